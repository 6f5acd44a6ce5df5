package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"gatehouse/config"
	"gatehouse/gateway"
	"gatehouse/gateway/reidentify"
)

func pseudonymCommands() *cobra.Command {
	group := &cobra.Command{Use: "pseudonym", Short: "Find out whom a pseudonym stands for, which takes two people",
		Long: `One person asks with a reason, another one approves, and who asked reads the
answer, once and within an hour. Who is who: where the configuration has admin_auth,
a token with the role privacy (--token-file); else the account of the system, so
that two people need two accounts. Each step is a record of the audit trail.`}
	group.AddCommand(pseudonymResolve(), pseudonymApprove(), pseudonymDeny(), pseudonymShow(), pseudonymList())
	return group
}

// pseudonymDesk are the flags of a command that takes a step.
type pseudonymDesk struct{ desk }

func (d *pseudonymDesk) on(c *cobra.Command, f func(*gateway.PseudonymDesk, reidentify.Person) error) error {
	return d.as(c, "privacy", func(cfg *config.Config, who reidentify.Person) error {
		return gateway.OnPseudonyms(cfg, func(desk *gateway.PseudonymDesk) error { return f(desk, who) })
	})
}

func pseudonymResolve() *cobra.Command {
	var d pseudonymDesk
	var domain, reason, typ string
	c := d.flags(&cobra.Command{
		Use:   "resolve --domain D --reason TEXT ID...",
		Short: "Ask whom pseudonyms stand for",
		Long: `Asks whom pseudonyms of a domain stand for, at most 50 at once and once a minute,
and prints the number of the request. Nothing is resolved yet: somebody else
approves it within a day. The reason goes into the audit trail; it must not name
the patient. The domain is that of the client who was given the pseudonyms
(clients.X.domain; not named: the client's id).

An identifier is written Identifier/SYSTEM|VALUE, as the client sees it, and a text
that the view encrypted with its place, Device.lotNumber/TEXT.`,
		Example: `  gatehouse pseudonym resolve -c gatehouse.yaml --domain study-17 --reason 'finding to be told, ethics vote 12/26' BsV3x…
  gatehouse pseudonym resolve -c gatehouse.yaml --domain study-17 --reason 'sample to be found' 'Identifier/urn:gatehouse:pseudonymous:At7k…|AtQ9…'`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, ids []string) error {
			return d.on(c, func(desk *gateway.PseudonymDesk, by reidentify.Person) error {
				r, err := desk.Ask(c.Context(), by, domain, reason, typ, ids)
				if err != nil {
					return err
				}
				fmt.Fprintf(c.OutOrStdout(), `request %s
Somebody else approves it until %s:
  gatehouse pseudonym approve -c %s %s
Then you read the answer, once and within an hour:
  gatehouse pseudonym show -c %s %s
`, r.ID, until(r), d.again(), r.ID, d.again(), r.ID)
				return nil
			})
		},
	})
	c.Flags().StringVar(&domain, "domain", "", "`NAME` of the domain of the pseudonyms")
	c.Flags().StringVar(&reason, "reason", "", "`TEXT` for who approves and for the audit trail")
	c.Flags().StringVar(&typ, "type", "Patient", "resource `TYPE` of ids that are not written Type/ID")
	return required(c, "domain", "reason")
}

func until(r *reidentify.Request) string {
	if _, until := r.State(time.Now()); !until.IsZero() {
		return until.Format(time.RFC3339)
	}
	return "-"
}

func pseudonymApprove() *cobra.Command {
	var d pseudonymDesk
	return d.flags(&cobra.Command{
		Use:   "approve REQUEST",
		Short: "Let who asked read the answer; not who asked approves",
		Long: `Lets the person who asked read, once and within an hour, whom the pseudonyms of
the request stand for. Look at it first: gatehouse pseudonym list.`,
		Example: "  gatehouse pseudonym approve -c gatehouse.yaml 0199aa3e-…",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return d.on(c, func(desk *gateway.PseudonymDesk, by reidentify.Person) error {
				r, err := desk.Approve(c.Context(), by, args[0])
				if err != nil {
					return err
				}
				fmt.Fprintf(c.OutOrStdout(), "approved; who asked may read it until %s\n", until(r))
				return nil
			})
		},
	})
}

func pseudonymDeny() *cobra.Command {
	var d pseudonymDesk
	var reason string
	c := d.flags(&cobra.Command{
		Use:     "deny REQUEST",
		Short:   "End a request before it is read; who asked may take it back so",
		Example: "  gatehouse pseudonym deny -c gatehouse.yaml 0199aa3e-… --reason 'no ethics vote'",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return d.on(c, func(desk *gateway.PseudonymDesk, by reidentify.Person) error {
				_, err := desk.Deny(c.Context(), by, args[0], reason)
				return err
			})
		},
	})
	c.Flags().StringVar(&reason, "reason", "", "`TEXT` for the audit trail")
	return c
}

func pseudonymShow() *cobra.Command {
	var d pseudonymDesk
	return d.flags(&cobra.Command{
		Use:   "show REQUEST",
		Short: "Read the answer to your own approved request, once",
		Long: `Prints each pseudonym of your request with what it stands for. It can be read once
and within an hour of the approval. A surrogate (safe-harbor), or the pseudonym of
a very long id, leads through the vault; where that is a file a running gateway holds
it: then read it at the admin API, POST /api/v1/pseudonyms/REQUEST/show.`,
		Example: "  gatehouse pseudonym show -c gatehouse.yaml 0199aa3e-…",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return d.on(c, func(desk *gateway.PseudonymDesk, by reidentify.Person) error {
				_, found, err := desk.Show(c.Context(), by, args[0])
				if err != nil {
					return err
				}
				return printResolved(c.OutOrStdout(), found)
			})
		},
	})
}

func printResolved(out io.Writer, found []gateway.Resolved) error {
	var unknown int
	for _, one := range found {
		if one.Real == "" {
			unknown++
			one.Real = "- (no pseudonym of this domain and type)"
		}
		if strings.ContainsFunc(one.Real, unicode.IsControl) { // an encrypted text may hold anything
			one.Real = strconv.Quote(one.Real)
		}
		if _, err := fmt.Fprintf(out, "%s\t%s\n", one.Pseudonym, one.Real); err != nil {
			return err
		}
	}
	if unknown > 0 {
		return fmt.Errorf("%d of %d pseudonyms lead nowhere", unknown, len(found))
	}
	return nil
}

func pseudonymList() *cobra.Command {
	var d pseudonymDesk
	return d.flags(&cobra.Command{
		Use:     "list",
		Short:   "List the requests of the last thirty days",
		Example: "  gatehouse pseudonym list -c gatehouse.yaml",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return d.on(c, func(desk *gateway.PseudonymDesk, _ reidentify.Person) error {
				all, err := desk.List(c.Context())
				if err != nil || len(all) == 0 {
					return err
				}
				return printRequests(c.OutOrStdout(), all)
			})
		},
	})
}

func printRequests(out io.Writer, all []*reidentify.Request) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "REQUEST\tSTATE\tUNTIL\tASKED\tBY\tDOMAIN\tREASON\tPSEUDONYMS")
	var errs []error
	for _, r := range all {
		state, _ := r.State(time.Now())
		by := r.By().Subject
		if r.By().Name != "" {
			by += " (" + r.By().Name + ")"
		}
		_, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, state, until(r), r.Events[0].At.Format(time.RFC3339), by, r.Domain, r.Reason, strings.Join(r.IDs, " "))
		errs = append(errs, err)
	}
	return errors.Join(append(errs, w.Flush())...)
}
