package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/config"
	"gatehouse/gateway"
	"gatehouse/gateway/proposal"
)

func policyApprove() *cobra.Command {
	return changeStep("approve ID", "Approve a change of policy that somebody else proposed",
		`Says that a change may be put in force. Look at it first: gatehouse policy show. Who
proposed a change does not approve it, by whichever login; who approves it activates
it.`, "", "approved; you activate it: gatehouse policy activate",
		func(c *cobra.Command, d *gateway.PolicyDesk, by proposal.Person, id, _ string) (*proposal.Change, error) {
			return d.Approve(c.Context(), by, id)
		})
}

func policyReject() *cobra.Command {
	return changeStep("reject ID", "Reject a change of policy; who proposed it may take it back so",
		"Ends a change that is not in force, for good.", "reason", "rejected",
		func(c *cobra.Command, d *gateway.PolicyDesk, by proposal.Person, id, reason string) (*proposal.Change, error) {
			return d.Reject(c.Context(), by, id, reason)
		})
}

func policyActivate() *cobra.Command {
	return changeStep("activate ID", "Put an approved change in force; who approved it does",
		`Puts the very bytes of an approved change in force, on every gateway of the
configuration within seconds: /readyz and the metrics name its revision. It is
refused where another policy came in force since it was proposed: then what it was
compared with is no longer there, and it is to be proposed again.

policy.change_control: required is what gives activated changes their effect.`, "", "activated",
		func(c *cobra.Command, d *gateway.PolicyDesk, by proposal.Person, id, _ string) (*proposal.Change, error) {
			return d.Activate(c.Context(), by, id)
		})
}

// changeStep is a command that takes one step of a change; with a flag for a text
// where reason names it.
func changeStep(use, short, long, reason, done string,
	step func(*cobra.Command, *gateway.PolicyDesk, proposal.Person, string, string) (*proposal.Change, error)) *cobra.Command {
	var s changing
	var text string
	c := s.flags(&cobra.Command{
		Use: use, Short: short, Long: long,
		Example: "  gatehouse policy " + use[:len(use)-len(" ID")] + " -c gatehouse.yaml 0199aa3e-…",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return s.on(c, func(d *gateway.PolicyDesk, by proposal.Person) error {
				change, err := step(c, d, by, args[0], text)
				if err != nil {
					return err
				}
				fmt.Fprintf(c.OutOrStdout(), "%s (policy %s)\n", done, change.Revision)
				return s.remind(c.OutOrStdout(), change)
			})
		},
	})
	if reason != "" {
		c.Flags().StringVar(&text, reason, "", "`TEXT` for the audit trail")
	}
	return c
}

// remind tells where a change that is in force decides nothing.
func (s *changing) remind(out io.Writer, c *proposal.Change) error {
	cfg, problems := config.Load(s.path)
	if err := problems.Err(); err != nil {
		return err
	}
	if cfg.Policy.ChangeControl != "required" && c.Last().What != proposal.Rejected {
		fmt.Fprintln(out, "policy.change_control is off: policy.dir and policy.data decide, until it is required")
	}
	return nil
}

func policyRollback() *cobra.Command {
	var s changing
	var to, reason string
	c := s.flags(&cobra.Command{
		Use:   "rollback -c FILE",
		Short: "Put the change in force again that was before",
		Long: `Puts back the change that was in force before the one that is, or with --to any
that was. It takes one person: two have approved what comes back.`,
		Example: "  gatehouse policy rollback -c gatehouse.yaml --reason 'nurses of ward 4 were locked out'",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return s.on(c, func(d *gateway.PolicyDesk, by proposal.Person) error {
				change, err := d.RollBack(c.Context(), by, to, reason)
				if err != nil {
					return err
				}
				fmt.Fprintf(c.OutOrStdout(), "rolled back to change %s: %s (policy %s)\n", change.ID, change.Title, change.Revision)
				return s.remind(c.OutOrStdout(), change)
			})
		},
	})
	c.Flags().StringVar(&to, "to", "", "`ID` of a change that was in force; left out: the one before")
	c.Flags().StringVar(&reason, "reason", "", "`TEXT` for the audit trail")
	return c
}

func policyChanges() *cobra.Command {
	var s changing
	var asJSON bool
	c := s.flags(&cobra.Command{
		Use:     "changes -c FILE",
		Short:   "List the changes of policy, newest first",
		Example: "  gatehouse policy changes -c gatehouse.yaml",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return s.on(c, func(d *gateway.PolicyDesk, _ proposal.Person) error {
				all, err := d.List(c.Context())
				if err != nil {
					return err
				}
				if asJSON {
					return writeJSON(c.OutOrStdout(), all)
				}
				return printChangeList(c.OutOrStdout(), all)
			})
		},
	})
	c.Flags().BoolVar(&asJSON, "json", false, "write JSON")
	return c
}

func printChangeList(out io.Writer, all []gateway.ChangeInfo) error {
	if len(all) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CHANGE\tSTATE\tPROPOSED\tBY\tPOLICY\tTITLE")
	for _, i := range all {
		if i.Change == nil {
			fmt.Fprintf(w, "%s\t%s\t\t\t\t%s\n", i.Row, i.State, i.Problem)
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", i.ID, i.State, i.Events[0].At.Format(time.RFC3339), named(i.By()), i.Revision, i.Title)
	}
	return w.Flush()
}

func named(p proposal.Person) string {
	if p.Name != "" {
		return p.Subject + " (" + p.Name + ")"
	}
	return p.Subject
}

func policyShow() *cobra.Command {
	var s changing
	var asJSON, signed bool
	var file string
	c := s.flags(&cobra.Command{
		Use:   "show ID",
		Short: "Print a change of policy: who, what it changes, its tests, what it would have decided",
		Long: `Prints the record of a change. --file prints one of its files. --signed prints the
record as it is signed, a signed note (C2SP) that other tools verify with the
public key of the audit log; it names the files and the evidence by digests.`,
		Example: `  gatehouse policy show -c gatehouse.yaml 0199aa3e-…
  gatehouse policy show -c gatehouse.yaml 0199aa3e-… --file roles.yaml`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return s.on(c, func(d *gateway.PolicyDesk, _ proposal.Person) error {
				out := c.OutOrStdout()
				if file != "" {
					text, err := d.ChangeFile(c.Context(), args[0], file)
					if err == nil {
						_, err = out.Write(text)
					}
					return err
				}
				r, err := d.Show(c.Context(), args[0])
				switch {
				case err != nil:
					return err
				case signed:
					_, err = io.WriteString(out, r.Note)
					return err
				case asJSON:
					return writeJSON(out, r)
				}
				printChange(out, r)
				return nil
			})
		},
	})
	c.Flags().BoolVar(&asJSON, "json", false, "write JSON")
	c.Flags().BoolVar(&signed, "signed", false, "write the signed note alone")
	c.Flags().StringVar(&file, "file", "", "write one `FILE` of the change alone")
	c.MarkFlagsMutuallyExclusive("json", "signed", "file")
	return c
}

func printChange(out io.Writer, r *gateway.ChangeRecord) {
	fmt.Fprintf(out, "change %s: %s\nstate  %s\npolicy %s, instead of %s\nfiles  sha256:%s\n", r.ID, r.Title, r.State, r.Revision, orNone(r.Base.Revision), r.Digest)
	if r.Reason != "" {
		fmt.Fprintf(out, "reason %s\n", r.Reason)
	}
	for _, e := range r.Events {
		printStep(out, e.At, e.What, e.By, e.Note)
	}
	for _, s := range r.InForce {
		printStep(out, s.At, s.What, s.By, s.Note)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Files)) {
		fmt.Fprintf(out, "  %s  %s\n", r.Files[name][:12], name)
	}
	fmt.Fprintln(out, "\nWhat it changes")
	printDiff(out, r.Evidence.Diff)
	fmt.Fprintln(out, "\nTests")
	printSummary(out, r.Summary[1:2])
	for _, what := range r.Evidence.Tests.Untested {
		fmt.Fprintf(out, "  no test in which this holds: %s\n", what)
	}
	fmt.Fprintln(out, "\nPast decisions")
	if r.Evidence.Replay == nil {
		fmt.Fprintf(out, "  none: %s\n", r.Evidence.NoReplay)
		return
	}
	printReplay(out, r.Evidence.Replay)
}

func orNone(revision string) string {
	if revision == "" {
		return "none"
	}
	return revision
}

func printStep(out io.Writer, at time.Time, what string, by proposal.Person, note string) {
	fmt.Fprintf(out, "%s %s by %s", at.Format(time.RFC3339), what, named(by))
	if note != "" {
		fmt.Fprintf(out, ": %s", note)
	}
	fmt.Fprintln(out)
}
