package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/config"
	"gatehouse/gateway"
	"gatehouse/gateway/audit"
)

func policyReplay() *cobra.Command {
	var file, candidate string
	var asJSON bool
	since := config.Duration(30 * 24 * time.Hour)
	c := &cobra.Command{
		Use:   "replay -c FILE --candidate DIR",
		Short: "Put the decisions of the past to another policy",
		Long: `Reads the audit trail and asks a candidate policy what the one in force was asked:
what it would newly allow and newly deny, by rule, client, role and type, and with
whose requests; and how many decisions could not be replayed, and why. Scopes and
consents stay as they were. The report names no patient.

The trail keeps, encrypted like the rest of a record, what the policy
in force read of each record (policy.replay: read), or all that a rule may read
(all). A decision that depends on what was not kept counts as not replayed.

The candidate is a directory of rules and tables, one of tables alone, which are
laid over the shipped ones, or "shipped". Nothing is asked of the network, and the
gateway may be running.`,
		Example: `  gatehouse policy replay -c gatehouse.yaml --since 30d --candidate candidate`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, problems := config.Load(file)
			if err := problems.Err(); err != nil {
				return err
			}
			o, err := policyNamed(candidate, file)
			if err != nil {
				return err
			}
			from := time.Now().Add(-time.Duration(since)).UTC().Truncate(time.Second)
			if err := onRecord(c.Context(), cfg, "policy replay", audit.Question{Since: from}); err != nil {
				return err
			}
			r, err := gateway.ReplayPast(c.Context(), cfg, gateway.ReplayOptions{Candidate: o, Since: from, Progress: progressTo(c.ErrOrStderr())})
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(c.OutOrStdout(), r)
			}
			printReplay(c.OutOrStdout(), r)
			return nil
		},
	}
	c.Flags().StringVarP(&file, "config", "c", "", "configuration `FILE` whose audit trail is replayed")
	c.Flags().StringVar(&candidate, "candidate", "", "`DIR` of the policy that is asked")
	c.Flags().Var(&since, "since", "how far back")
	c.Flags().BoolVar(&asJSON, "json", false, "write JSON instead of words")
	_ = c.MarkFlagRequired("config")
	_ = c.MarkFlagRequired("candidate")
	return c
}

func progressTo(out io.Writer) func(int64, time.Time) {
	return func(records int64, at time.Time) {
		fmt.Fprintf(out, "%d records, at %s\n", records, at.UTC().Format(time.RFC3339))
	}
}

func printReplay(out io.Writer, r *gateway.Replay) {
	fmt.Fprintf(out, "since %s: %d records, %d decisions put to %s\n", r.Since.Format(time.RFC3339), r.Records, r.Decisions, r.Candidate)
	printChanges(out, r)
}

// printChanges is what a report of a replay and of a shadow share.
func printChanges(out io.Writer, r *gateway.Replay) {
	fmt.Fprintf(out, "  %d alike, %d newly allowed, %d newly denied, %d newly looked at\n", r.Same, r.Allowed, r.Denied, r.Looked)
	if r.Others > 0 {
		fmt.Fprintf(out, "  %d more were withheld by scope, by consent or for another reason, whatever policy said\n", r.Others)
	}
	for _, c := range r.Changes {
		fmt.Fprintf(out, "%s ×%d: %s %s by %s (%s)\n", c.Change, c.Count, c.Action, c.Type, c.Client, c.Roles)
		fmt.Fprintf(out, "      %s\n      asked by %s; requests %s\n", c.Rule, strings.Join(c.Users, ", "), strings.Join(c.Requests, " "))
	}
	for _, g := range r.Unknown {
		fmt.Fprintf(out, "not replayed ×%d: %s\n", g.Count, g.Why)
	}
}
