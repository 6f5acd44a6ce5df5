package main

import (
	"fmt"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"gatehouse/gateway"
)

func commands() []*cobra.Command {
	return []*cobra.Command{demonstrate(), serve(), check(), doctor(), keys(), policyCommands(), consentCommands(), scopeCommands(), viewCommands(), deid(), auditCommands(),
		blockCommand(), unblockCommand(), logLevelCommand(), supportBundle(), emergencyCommands(), pseudonymCommands(), eraseCommand(), incidentCommands(), version()}
}

func serve() *cobra.Command {
	var path string
	return configFlag(&cobra.Command{
		Use:   "serve",
		Short: "Run the gateway",
		Long: `Runs the gateway of a configuration until SIGINT or SIGTERM, then drains. It
refuses to start on any problem that check prints. SIGHUP, a changed file and
POST /-/reload on the admin listener load the configuration and the policies
again: the new state replaces the old one whole, or not at all when it is bad.

Logs are JSON on stderr and hold no patient data.`,
		Example: "  gatehouse serve -c gatehouse.yaml",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o := zap.NewProductionConfig()
			o.Level.SetLevel(zap.DebugLevel)                        // which the gateway uses where `log-level` says so
			log, err := o.Build(zap.AddStacktrace(zap.DPanicLevel)) // a panic brings its own
			if err != nil {
				return fmt.Errorf("open log: %w", err)
			}
			defer log.Sync() //nolint:errcheck // stderr is often no file that can be synced
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return gateway.Serve(ctx, path, log)
		},
	}, &path)
}
