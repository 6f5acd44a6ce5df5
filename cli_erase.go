package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/config"
	"gatehouse/gateway"
	"gatehouse/gateway/audit"
	"gatehouse/gateway/reidentify"
)

// eraseDesk are the flags of a command that takes a step of an erasure.
type eraseDesk struct{ desk }

func (d *eraseDesk) on(c *cobra.Command, f func(*config.Config, *gateway.EraseDesk, reidentify.Person) error) error {
	return d.as(c, "privacy", func(cfg *config.Config, who reidentify.Person) error {
		return gateway.OnErasures(cfg, func(desk *gateway.EraseDesk) error { return f(cfg, desk, who) })
	})
}

func eraseCommand() *cobra.Command {
	var d eraseDesk
	var patient, reason string
	c := d.flags(&cobra.Command{
		Use:   "erase --patient P --reason TEXT",
		Short: "Erase what Gatehouse holds of a patient, which takes two people",
		Long: `Asks for the erasure of a patient and prints the number of the request. Nothing is
erased yet: somebody else approves it within a day (erase approve). Who is who: where
the configuration has admin_auth, a token with the role privacy (--token-file); else
the account of the system, so that two people need two accounts.

Erased are the keys of all that the audit trail tells of the patient, the rows of its
index, emergency grants, and the way back from pseudonyms that were given out. The records stay, and tell of a request on somebody; the
tree over them stays whole, and a record says that it was done, by whom and why, with
a keyed hash in the patient's place. A block stands until it is lifted. The FHIR
server, copies of the trail's key files and what was sent to sinks are out of reach.`,
		Example: `  gatehouse erase -c gatehouse.yaml --patient Patient/12 --reason 'request of 3 May, file 26/114'
  gatehouse erase approve -c gatehouse.yaml 0199aa3e-…`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return d.on(c, func(_ *config.Config, desk *gateway.EraseDesk, by reidentify.Person) error {
				e, err := desk.Ask(c.Context(), by, patient, reason)
				if err != nil {
					return err
				}
				fmt.Fprintf(c.OutOrStdout(), "request %s\nSomebody else approves it until %s, and then it is done:\n  gatehouse erase approve -c %s %s\n",
					e.ID, until(&e.Request), d.again(), e.ID)
				return nil
			})
		},
	})
	c.Flags().StringVar(&patient, "patient", "", "whom, as `Patient/ID`")
	c.Flags().StringVar(&reason, "reason", "", "`TEXT` for who approves and for the audit trail; it must not name the patient")
	c.AddCommand(eraseApprove(), eraseDeny(), eraseList())
	return required(c, "patient", "reason")
}

func eraseApprove() *cobra.Command {
	var d eraseDesk
	return d.flags(&cobra.Command{
		Use:   "approve REQUEST",
		Short: "Have the patient of a request erased; not who asked approves",
		Long: `Approves the erasure that somebody else asked for. The running gateway does it; where
none runs, this command does. Then it shows the record that says so, and verifies that
the rest of the log is whole. There is no way back.`,
		Example: "  gatehouse erase approve -c gatehouse.yaml 0199aa3e-…",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return d.on(c, func(cfg *config.Config, desk *gateway.EraseDesk, by reidentify.Person) error {
				e, err := desk.Approve(c.Context(), by, args[0])
				if err != nil {
					return err
				}
				if err := carryOut(c.Context(), cfg, desk, e); err != nil {
					return err
				}
				return proveErased(c.OutOrStdout(), cfg, e.ID)
			})
		},
	})
}

// eraseWithin is how long the running gateway may take before the command leaves
// it to it.
const eraseWithin = 2 * time.Minute

// carryOut does it here, or waits until the gateway has.
func carryOut(ctx context.Context, cfg *config.Config, desk *gateway.EraseDesk, e *gateway.Erasure) error {
	err := gateway.EraseHere(ctx, cfg, desk, e)
	if !errors.Is(err, audit.ErrHeld) {
		return err
	}
	for end := time.Now().Add(eraseWithin); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if e, err = desk.Get(ctx, e.ID); err != nil {
			return err
		}
		switch done := e.Done[gateway.TrailPlace(cfg)]; {
		case done == nil:
		case done.Failed != "":
			return errors.New("the gateway could not erase it; its log says why, and it tries again at its next start")
		default:
			return nil
		}
	}
	return errors.New("approved, and the running gateway has not done it yet: erase list tells when it has")
}

// proveErased shows the record of it and that the log is whole.
func proveErased(out io.Writer, cfg *config.Config, id string) error {
	o, err := gateway.AuditOptions(cfg)
	if err != nil {
		return err
	}
	r, err := audit.OpenReader(o.Dir, o.Key)
	if err != nil {
		return err
	}
	records, err := r.ByID(id)
	if err != nil {
		return err
	}
	told := false
	for _, one := range records {
		if one.Code == audit.ErasedCode {
			told = true
			fmt.Fprintf(out, "erased       record %d of the audit log says so, at %s\n", one.Index, one.Time.UTC().Format(time.DateTime))
			for _, n := range one.Notes {
				fmt.Fprintf(out, "  %-13s%s\n", n.Name, n.Value)
			}
		}
	}
	if !told {
		return errors.New("no record of the audit log says that it was erased")
	}
	public, err := audit.VerifierKey(o.Origin, o.Seed)
	if err != nil {
		return err
	}
	return verifier{dir: o.Dir, public: public, key: o.Key}.run(out, nil)
}

func eraseDeny() *cobra.Command {
	var d eraseDesk
	var reason string
	c := d.flags(&cobra.Command{
		Use:     "deny REQUEST",
		Short:   "End a request before it is approved; who asked may take it back so",
		Example: "  gatehouse erase deny -c gatehouse.yaml 0199aa3e-… --reason 'to be kept until 2031'",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return d.on(c, func(_ *config.Config, desk *gateway.EraseDesk, by reidentify.Person) error {
				_, err := desk.Deny(c.Context(), by, args[0], reason)
				return err
			})
		},
	})
	c.Flags().StringVar(&reason, "reason", "", "`TEXT` for the audit trail")
	return c
}

func eraseList() *cobra.Command {
	var d eraseDesk
	return d.flags(&cobra.Command{
		Use:     "list",
		Short:   "List the erasures of the last thirty days",
		Example: "  gatehouse erase list -c gatehouse.yaml",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return d.on(c, func(_ *config.Config, desk *gateway.EraseDesk, _ reidentify.Person) error {
				all, err := desk.List(c.Context())
				if err != nil || len(all) == 0 {
					return err
				}
				w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "REQUEST\tSTATE\tASKED\tBY\tREASON\tPATIENT\tPATIENT HASH")
				for _, e := range all {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.ID, e.Status(time.Now()), e.Events[0].At.Format(time.RFC3339), e.By().Subject, e.Reason,
						cmp.Or(strings.Join(e.IDs, " "), "-"), e.Hash)
				}
				return w.Flush()
			})
		},
	})
}
