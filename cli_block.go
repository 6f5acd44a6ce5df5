package main

import (
	"fmt"
	"os/user"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/config"
	"gatehouse/gateway"
)

func blockCommand() *cobra.Command {
	var path, until, reason string
	var last time.Duration
	c := configFlag(&cobra.Command{
		Use:   "block client|user|session|token|patient VALUE",
		Short: "Keep out a client, a user, a login or a token, or everybody from a patient's record",
		Long: `Refuses, within two seconds and on every replica, the tokens of a client (its
OAuth id), of a user (sub, ISSUER|SUB, or fhirUser as Practitioner/7), of a login (sid) or with
an id (jti); or lets nobody see anything of a patient, as if it were not there. Replicas share
blocks where they share a state store (state.url). A block stands until it is
lifted by unblock, or as long as --for or --until say.

The gateway records it in the audit trail, with --reason. Only for a patient
the reason may name somebody: it is sealed with what else is known of that patient.`,
		Example: `  gatehouse block client lost-tablet -c gatehouse.yaml --reason 'stolen on Monday'
  gatehouse block user Practitioner/7 -c gatehouse.yaml --for 24h
  gatehouse block patient Patient/12 -c gatehouse.yaml --reason 'identity under dispute'
  gatehouse block list -c gatehouse.yaml`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			b := &gateway.Block{What: args[0], Value: args[1], Reason: reason, By: whoami()}
			if err := b.Last(until, last); err != nil {
				return err
			}
			return onConfig(path, func(cfg *config.Config) error { return gateway.SetBlock(c.Context(), cfg, b) })
		},
	}, &path)
	c.Flags().StringVar(&until, "until", "", "lift it at this `TIME` (RFC 3339)")
	c.Flags().DurationVar(&last, "for", 0, "lift it after this `DURATION`, such as 24h")
	c.Flags().StringVar(&reason, "reason", "", "`TEXT` for the audit trail")
	c.MarkFlagsMutuallyExclusive("until", "for")
	c.AddCommand(listBlocks())
	return c
}

func unblockCommand() *cobra.Command {
	var path, reason string
	c := configFlag(&cobra.Command{
		Use:     "unblock client|user|session|token|patient VALUE",
		Short:   "Lift a block",
		Example: "  gatehouse unblock client lost-tablet -c gatehouse.yaml --reason 'found again'",
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			b := &gateway.Block{What: args[0], Value: args[1], Reason: reason, By: whoami()}
			return onConfig(path, func(cfg *config.Config) error { return gateway.LiftBlock(c.Context(), cfg, b) })
		},
	}, &path)
	c.Flags().StringVar(&reason, "reason", "", "`TEXT` for the audit trail")
	return c
}

func listBlocks() *cobra.Command {
	var path string
	return configFlag(&cobra.Command{
		Use:     "list",
		Short:   "List what is blocked",
		Example: "  gatehouse block list -c gatehouse.yaml",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return onConfig(path, func(cfg *config.Config) error {
				blocks, err := gateway.Blocks(c.Context(), cfg)
				if err != nil || len(blocks) == 0 {
					return err
				}
				out := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
				fmt.Fprintln(out, "WHAT\tVALUE\tSINCE\tUNTIL\tBY\tREASON")
				for _, b := range blocks {
					end := "unblock"
					if !b.Until.IsZero() {
						end = b.Until.Format(time.RFC3339)
					}
					fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\n", b.What, b.Value, b.At.Format(time.RFC3339), end, b.By, b.Reason)
				}
				return out.Flush()
			})
		},
	}, &path)
}

// onConfig works on a configuration that is good.
func onConfig(path string, f func(*config.Config) error) error {
	cfg, problems := config.Load(path)
	if err := problems.Err(); err != nil {
		return err
	}
	return f(cfg)
}

// whoami is who the system says runs the command.
func whoami() string {
	u, err := user.Current()
	if err != nil || u.Username == "" {
		return "unknown"
	}
	return u.Username
}

// required marks flags that a command cannot do without.
func required(c *cobra.Command, names ...string) *cobra.Command {
	for _, name := range names {
		if err := c.MarkFlagRequired(name); err != nil { // no such flag
			panic(err)
		}
	}
	return c
}
