package main

import (
	"cmp"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/config"
	"gatehouse/gateway"
	"gatehouse/gateway/emergency"
)

func emergencyCommands() *cobra.Command {
	c := &cobra.Command{
		Use:   "emergency",
		Short: "Review emergency access",
		Long: `Lists who broke the glass for which patient and why, and gives the verdict that
each opening waits for. The reviewer is somebody else than who opened it; the verdict
ends an access that is still open. It takes the role privacy, and both are in the
audit trail. The gateway may be running.`,
	}
	c.AddCommand(emergencyList(), emergencyReview())
	return c
}

func emergencyList() *cobra.Command {
	var path string
	var all bool
	var p person
	c := configFlag(&cobra.Command{
		Use:     "list",
		Short:   "List what awaits its review",
		Example: "  gatehouse emergency list -c gatehouse.yaml --token-file token",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return onConfig(path, func(cfg *config.Config) error {
				by, err := p.who(c.Context(), cfg, "privacy")
				if err != nil {
					return err
				}
				list, err := gateway.EmergencyReviews(c.Context(), cfg, by, all)
				if err != nil || len(list) == 0 {
					return err
				}
				out := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
				fmt.Fprintln(out, "ID\tOPENED\tUNTIL\tPATIENT\tBY\tREVIEW\tREASON")
				for _, g := range list {
					fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", g.ID, g.Opened.UTC().Format(time.RFC3339), g.Until.UTC().Format(time.RFC3339),
						g.Patient, cmp.Or(g.By.User, g.By.Subject), reviewOf(g), strings.ReplaceAll(g.Reason, "\n", " "))
				}
				return out.Flush()
			})
		},
	}, &path)
	c.Flags().BoolVar(&all, "all", false, "also what was reviewed")
	p.flag(c)
	return c
}

func reviewOf(g *emergency.Grant) string {
	switch {
	case g.Reviewed != nil:
		return g.Reviewed.Verdict
	case g.Overdue(time.Now()):
		return "overdue since " + g.Due.UTC().Format(time.RFC3339)
	}
	return "due " + g.Due.UTC().Format(time.RFC3339)
}

func emergencyReview() *cobra.Command {
	var path, note string
	var p person
	c := configFlag(&cobra.Command{
		Use:     "review ID justified|unjustified",
		Short:   "Give the verdict on one",
		Example: "  gatehouse emergency review ID justified -c gatehouse.yaml --token-file token --note 'seen in the chart'",
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			return onConfig(path, func(cfg *config.Config) error {
				by, err := p.who(c.Context(), cfg, "privacy")
				if err != nil {
					return err
				}
				return gateway.ReviewEmergency(c.Context(), cfg, by, args[0], args[1], note)
			})
		},
	}, &path)
	c.Flags().StringVar(&note, "note", "", "`TEXT`: why")
	p.flag(c)
	return c
}
