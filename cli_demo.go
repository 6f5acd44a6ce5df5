package main

import (
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"gatehouse/gateway/demo"
)

func demonstrate() *cobra.Command {
	var o demo.Options
	c := &cobra.Command{
		Use:   "demo",
		Short: "Try Gatehouse: everything in one process, with synthetic patients",
		Long: `Starts, on free loopback ports and in this process, a FHIR server with synthetic
patients, an identity provider, and the gateway in front; prints for each of a
few people curl lines to paste and what they show. Configuration, role table and
audit trail are written to a temporary directory, which is removed at the end,
or to --dir, which must be new or empty.

The FHIR server and the provider are for this alone: they ask nobody for a
password. For your own server, see: gatehouse serve --help`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return demo.Run(ctx, o, c.OutOrStdout())
		},
	}
	c.Flags().StringVar(&o.Dir, "dir", "", "write to `DIR` and keep it")
	c.Flags().IntVar(&o.Patients, "patients", 300, "how many patients there are")
	return c
}
