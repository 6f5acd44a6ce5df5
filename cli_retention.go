package main

import (
	"cmp"
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/config"
	"gatehouse/gateway"
)

func auditHold() *cobra.Command {
	c := holdCommand("hold", "Keep records of the audit log beyond its retention",
		`Keeps what the audit log has of a patient, or all of it, until release: a segment
that holds a record of the patient does not expire, however old. The gateway
records who decided it and why.`, "  gatehouse audit hold -c gatehouse.yaml --patient Patient/12 --reason 'court file 7 O 44/26'", gateway.SetHold)
	c.AddCommand(listHolds())
	return c
}

func auditRelease() *cobra.Command {
	return holdCommand("release", "Release what hold keeps",
		"Releases what `audit hold` keeps; what is over its retention then expires.",
		"  gatehouse audit release -c gatehouse.yaml --patient Patient/12 --reason 'the case is closed'", gateway.ReleaseHold)
}

func holdCommand(use, short, long, example string, do func(ctx context.Context, cfg *config.Config, h *gateway.Hold) error) *cobra.Command {
	var path, patient, reason string
	var all bool
	c := configFlag(&cobra.Command{
		Use: use, Short: short, Long: long, Example: example,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return onConfig(path, func(cfg *config.Config) error {
				return do(c.Context(), cfg, &gateway.Hold{Patient: patient, Reason: reason, By: whoami()})
			})
		},
	}, &path)
	c.Flags().StringVar(&patient, "patient", "", "of whom, as `Patient/ID`")
	c.Flags().BoolVar(&all, "all", false, "of everybody")
	c.Flags().StringVar(&reason, "reason", "", "`TEXT` for the audit trail")
	c.MarkFlagsOneRequired("patient", "all")
	c.MarkFlagsMutuallyExclusive("patient", "all")
	return required(c, "reason")
}

func listHolds() *cobra.Command {
	var path string
	return configFlag(&cobra.Command{
		Use:     "list",
		Short:   "List what is held",
		Example: "  gatehouse audit hold list -c gatehouse.yaml",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return onConfig(path, func(cfg *config.Config) error {
				list, err := gateway.Holds(c.Context(), cfg)
				if err != nil || len(list) == 0 {
					return err
				}
				out := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
				fmt.Fprintln(out, "PATIENT\tSINCE\tBY\tREASON")
				for _, h := range list {
					fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", cmp.Or(h.Patient, "all"), h.At.Format(time.RFC3339), h.By, h.Reason)
				}
				return out.Flush()
			})
		},
	}, &path)
}

func auditExpire() *cobra.Command {
	var path string
	return configFlag(&cobra.Command{
		Use:   "expire",
		Short: "Take out what is over its retention now",
		Long: `Takes out of the audit log the segments whose records are all older than
audit.retention, with their keys, but for what a legal hold keeps or a sink has not
got yet. The gateway does the same each hour; where it runs, it is asked to. Each
segment that goes is recorded and leaves a signed note, by which verify tells it
from a missing one.`,
		Example: "  gatehouse audit expire -c gatehouse.yaml",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return onConfig(path, func(cfg *config.Config) error {
				e, err := gateway.Expire(c.Context(), cfg)
				if err != nil {
					return err
				}
				fmt.Fprintf(c.OutOrStdout(), "expired %d records in %d segments; %d segments are held\n", e.Records, e.Segments, e.Held)
				return nil
			})
		},
	}, &path)
}
