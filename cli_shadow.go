package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/config"
	"gatehouse/gateway"
)

func policyShadowReport() *cobra.Command {
	var file string
	var asJSON bool
	c := configFlag(&cobra.Command{
		Use:   "shadow-report -c FILE",
		Short: "Tell what the shadow policy would decide otherwise on live traffic",
		Long: `Reads what the candidate of policy.shadow has said since it was named, on all
replicas together, up to ten seconds ago. The gateway may be running. The report
names no patient.`,
		Example: `  gatehouse policy shadow-report -c gatehouse.yaml`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, problems := config.Load(file)
			if err := problems.Err(); err != nil {
				return err
			}
			r, err := gateway.ReadShadow(c.Context(), cfg)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(c.OutOrStdout(), r)
			}
			printShadow(c.OutOrStdout(), r)
			return nil
		},
	}, &file)
	c.Flags().BoolVar(&asJSON, "json", false, "write JSON instead of words")
	return c
}

func printShadow(out io.Writer, r *gateway.ShadowReport) {
	if r.Until.IsZero() {
		fmt.Fprintf(out, "%s has been asked nothing yet\n", r.Candidate)
		return
	}
	fmt.Fprintf(out, "from %s to %s: %d decisions put to %s\n", r.Since.UTC().Format(time.RFC3339), r.Until.UTC().Format(time.RFC3339), r.Decisions, r.Candidate)
	printChanges(out, &r.Replay)
	if r.Dropped > 0 {
		fmt.Fprintf(out, "not looked at ×%d: too many came at once\n", r.Dropped)
	}
}
