package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/config"
	"gatehouse/gateway"
)

func policyReview() *cobra.Command {
	var path, format string
	since := config.Duration(90 * 24 * time.Hour)
	c := configFlag(&cobra.Command{
		Use:   "review -c FILE",
		Short: "Report who holds which role, what expires, and what nobody uses",
		Long: `The periodic review of access, from the audit trail, the policy in force and the
state store:

  people    who was seen with which role, by which clients, and when last
  ending    agreements and emergency accesses that have expired, or will within 30 days
  rules     rules, and rows of tables, whose reason is in no record
  scopes    permissions of scopes that a client's tokens carried and no request used
  clients   that are configured, or were seen, and when last

The report names no patient; that it was made is a record of the trail. A rule that computes its reason is told by the rows of
its table; scopes are known of tokens that came since this version serves.`,
		Example: `  gatehouse policy review -c gatehouse.yaml --since 90d
  gatehouse policy review -c gatehouse.yaml --format csv`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			print, ok := map[string]func(io.Writer, *gateway.Review) error{"text": printReview, "csv": writeReview,
				"json": func(out io.Writer, r *gateway.Review) error { return writeJSON(out, r) }}[format]
			if !ok {
				return fmt.Errorf("--format is text, json or csv")
			}
			return onConfig(path, func(cfg *config.Config) error {
				now := time.Now()
				about := "access review since " + day(now.Add(-time.Duration(since)))
				if err := gateway.NoteReading(c.Context(), cfg, gateway.Reading{What: "review", By: account(), About: about}); err != nil {
					return err
				}
				r, err := gateway.AccessReview(c.Context(), cfg, now.Add(-time.Duration(since)), now)
				if err != nil {
					return err
				}
				return print(c.OutOrStdout(), r)
			})
		},
	}, &path)
	c.Flags().Var(&since, "since", "how far back")
	c.Flags().StringVar(&format, "format", "text", "`FORMAT`: text, json or csv")
	return c
}

// rowsOf are the lines of a review: section, who or what, detail, when.
func rowsOf(r *gateway.Review) (rows [][4]string) {
	add := func(section, what, detail, when string) { rows = append(rows, [4]string{section, what, detail, when}) }
	for _, h := range r.People {
		who := h.Subject
		if h.Name != "" {
			who += " (" + h.Name + ")"
		}
		add("role "+h.Role, who, strings.TrimSpace(fmt.Sprintf("%s by %s, %d requests", h.User, strings.Join(h.Clients, ", "), h.Requests)), day(h.Last))
	}
	for _, e := range r.Ending {
		when := "until " + e.Until
		if e.Expired {
			when = "expired " + e.Until
		}
		add(e.What, e.Who, e.Detail, when)
	}
	for _, u := range r.Rules {
		add("rule never used", u.Set+" "+u.Reason, u.Place, "")
	}
	for _, u := range r.Rows {
		add("row never used", u.Set+" "+u.Reason, u.Place, "")
	}
	for _, s := range r.Scopes {
		add("scope not used", s.Client, s.Scope+": "+s.Unused, "granted "+s.Last)
	}
	for _, c := range r.Clients {
		detail, when := fmt.Sprintf("%d requests", c.Requests), "not seen"
		if !c.Last.IsZero() {
			when = day(c.Last)
		}
		if !c.Configured {
			detail += ", not in the configuration"
		}
		add("client", c.ID, detail, when)
	}
	return rows
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func printReview(out io.Writer, r *gateway.Review) error {
	fmt.Fprintf(out, "from %s to %s: %d records, policy %s\n", day(r.Since), day(r.Until), r.Records, r.Policy)
	for _, s := range r.Silent {
		fmt.Fprintln(out, s)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range rowsOf(r) {
		fmt.Fprintln(w, strings.Join(row[:], "\t"))
	}
	return w.Flush()
}

// writeReview writes one line for each finding. A cell that a spreadsheet would
// take for a formula is quoted: texts of it come from tokens.
func writeReview(out io.Writer, r *gateway.Review) error {
	w := csv.NewWriter(out)
	if err := w.Write([]string{"section", "what", "detail", "when"}); err != nil {
		return err
	}
	for _, row := range rowsOf(r) {
		for i, cell := range row {
			if strings.HasPrefix(strings.TrimSpace(cell), "=") || cell != "" && strings.ContainsRune("+-@\t\r", rune(cell[0])) {
				row[i] = "'" + cell
			}
		}
		if err := w.Write(row[:]); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}
