package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/config"
	"gatehouse/gateway"
	"gatehouse/gateway/audit"
	"gatehouse/gateway/audit/paper"
	"gatehouse/gateway/reidentify"
)

// reading is a command that reads the trail: of a configuration by its index and
// on record, of a copy as it is.
type reading struct {
	trail
	scan bool
}

// source opens the trail, once the reading is recorded.
func (r *reading) source(c *cobra.Command, what string, q audit.Question) (audit.Source, func() error, error) {
	ctx := c.Context()
	if r.config == "" {
		dir, key, err := r.open()
		if err != nil {
			return nil, nil, err
		}
		src, err := audit.OpenReader(dir, key)
		return src, func() error { return nil }, err
	}
	cfg, problems := config.Load(r.config)
	if err := problems.Err(); err != nil {
		return nil, nil, err
	}
	if warning := gateway.SpoolWarning(cfg); warning != "" {
		fmt.Fprintln(c.ErrOrStderr(), "warning: "+warning)
	}
	src, done, err := gateway.OpenTrail(ctx, cfg, r.scan)
	if err != nil {
		return nil, nil, err
	}
	if err := onRecord(ctx, cfg, what, q); err != nil {
		return nil, nil, errors.Join(err, done())
	}
	return src, done, nil
}

// onRecord records that the trail is read. The patient stands apart, sealed.
func onRecord(ctx context.Context, cfg *config.Config, what string, q audit.Question) error {
	patient := q.Patient
	q.Patient = ""
	return gateway.NoteReading(ctx, cfg, gateway.Reading{What: what, By: account(), About: q.About(), Patient: patient})
}

// account is who the system says runs the command.
func account() reidentify.Person {
	u, err := user.Current()
	if err != nil {
		return reidentify.Person{Issuer: accountIssuer, Subject: "unknown"}
	}
	return reidentify.Person{Issuer: accountIssuer, Subject: "uid " + u.Uid, Name: u.Username}
}

func auditExport() *cobra.Command {
	var r reading
	return r.flags(&cobra.Command{
		Use: "export", Annotations: severalDirs,
		Short: "Write the log as FHIR AuditEvents",
		Long: `Writes the log to stdout as IHE BALP AuditEvents (FHIR R4), one a line: for each
request one per patient. This is patient data. How many records it was made from,
and of what time, goes to stderr. A log that lost a record fails where it did: the
events of what came before are written, and the exit code is 1. With -c the export
is itself a record of the log. The logs of several replicas (--dir, repeated) become
one, by time.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if len(r.dirs) > 0 {
				r.dir = r.dirs[0]
			}
			dir, key, err := r.open()
			if err != nil {
				return err
			}
			if r.config != "" {
				if _, done, err := r.source(c, "export", audit.Question{}); err != nil {
					return err
				} else if err := done(); err != nil {
					return err
				}
			}
			if len(r.dirs) > 1 {
				spans, err := audit.Merge(r.dirs, key, c.OutOrStdout())
				for i, span := range spans {
					fmt.Fprintf(c.ErrOrStderr(), "%s: made from %s.\n", r.dirs[i], span)
				}
				return err
			}
			span, err := audit.Export(dir, key, c.OutOrStdout())
			fmt.Fprintf(c.ErrOrStderr(), "Made from %s.\n", span)
			return err
		},
	}, "audit key `FILE`, with --dir")
}

// asking are the flags of a question.
type asking struct {
	audit.Question
	since, until string
}

func (a *asking) flags(c *cobra.Command) {
	c.Flags().StringVar(&a.User, "user", "", "what a `USER` did: token subject, or as Practitioner/7")
	c.Flags().StringVar(&a.Client, "client", "", "what was done through a `CLIENT`, by its OAuth id")
	c.Flags().StringVar(&a.since, "since", "", "from this `TIME` on: 2026-01-31, 2026-01-31T08:00:00Z, or an age such as 30d")
	c.Flags().StringVar(&a.until, "until", "", "before this `TIME`")
}

// question is what was asked, with its times read.
func (a *asking) question(now time.Time) (q audit.Question, err error) {
	q = a.Question
	for _, one := range []struct {
		text string
		to   *time.Time
	}{{a.since, &q.Since}, {a.until, &q.Until}} {
		if *one.to, err = moment(one.text, now); err != nil {
			return q, err
		}
	}
	return q, q.Check()
}

// moment reads a time: a date, a time, or an age; "" is none.
func moment(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	var age config.Duration
	if age.Set(s) == nil {
		return now.Add(-time.Duration(age)), nil
	}
	return time.Time{}, fmt.Errorf("%q is no time; write 2026-01-31, 2026-01-31T08:00:00Z, or an age such as 30d", s)
}

func auditReport() *cobra.Command {
	var r reading
	var a asking
	var format string
	var accounting, ehds bool
	c := r.flags(&cobra.Command{
		Use:   "report",
		Short: "Tell who looked at a patient's record, or what a user or client did",
		Long: `Writes who looked at or changed what of a patient, or was refused it, one access a
line, times in UTC; and under them how many records it was made from. Of a user, a
client, or all that was refused it tells the same. A change of which no outcome was
recorded is there as one that may have been made. A log that lost a record fails
where it did, with what came before and exit code 1.

--accounting is the accounting of disclosures of 45 CFR 164.528, of six years where
--since says nothing else: without what was for treatment, payment or operations, to
the patient, or by the patient's authorization; what was left out is counted. An
access with no stated purpose is told. --ehds is the information on access of EHDS
Art. 9: who, of which provider, when and what data.

With -c it uses the index that the running gateway keeps (--scan: reads everything),
and says so; and the reading is itself a record of the log, by your account.

A request refused before its caller was known (401) names no patient here: whether
its path holds an id or a pseudonym nobody can tell. Nor does one that a view
refused, or one whose pseudonym stands for nobody. What was asked is in the export.`,
		Example: `  gatehouse audit report -c gatehouse.yaml --patient Patient/1
  gatehouse audit report -c gatehouse.yaml --patient Patient/1 --accounting --format pdf > p1.pdf
  gatehouse audit report -c gatehouse.yaml --user Practitioner/7 --since 30d --denied`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			now := time.Now()
			if accounting && a.since == "" {
				a.Since = now.AddDate(-6, 0, 0)
			}
			q, err := a.question(now)
			if err != nil {
				return err
			}
			if a.since == "" {
				q.Since = a.Since
			}
			return r.report(c, q, format, accounting, ehds)
		},
	}, "audit key `FILE`, with --dir")
	c.Flags().StringVar(&a.Patient, "patient", "", "whose record, as `Patient/ID`")
	a.flags(c)
	c.Flags().BoolVar(&a.Denied, "denied", false, "what was refused alone")
	c.Flags().BoolVar(&accounting, "accounting", false, "accounting of disclosures (45 CFR 164.528)")
	c.Flags().BoolVar(&ehds, "ehds", false, "information on access (EHDS Art. 9)")
	c.Flags().BoolVar(&r.scan, "scan", false, "read the whole log, not by the index")
	c.Flags().StringVar(&format, "format", "text", "`FORM`: "+strings.Join(reportForms, ", "))
	c.MarkFlagsOneRequired("patient", "user", "client", "denied", "since")
	c.MarkFlagsMutuallyExclusive("accounting", "ehds", "denied")
	return c
}

var reportForms = []string{"text", "csv", "json", "pdf", "fhir"}

func (r *reading) report(c *cobra.Command, q audit.Question, format string, accounting, ehds bool) error {
	dir, _, err := r.open()
	if err != nil {
		return err
	}
	origin, err := audit.OriginOf(dir)
	if err != nil {
		return err
	}
	form, err := reportForm(c.OutOrStdout(), q, format, origin, accounting, ehds)
	if err != nil {
		return err
	}
	src, done, err := r.source(c, "report", q)
	if err != nil {
		return err
	}
	return errors.Join(audit.Tell(src, q, form), done())
}

// reportForm makes the form that was asked for.
func reportForm(out io.Writer, q audit.Question, format, origin string, accounting, ehds bool) (audit.Form, error) {
	title := "Who used the record"
	switch {
	case accounting:
		title = "Accounting of disclosures (45 CFR 164.528)"
	case ehds:
		title = "Information on access (EHDS Article 9)"
	}
	var form audit.Form
	switch format {
	case "text":
		form = audit.NewText(out, q)
	case "csv":
		form = audit.NewCSV(out)
	case "json":
		form = audit.NewJSON(out)
	case "pdf":
		form = paper.NewPDF(out, title, q, time.Now())
	case "fhir":
		form = audit.NewFHIR(out, origin)
	default:
		return nil, fmt.Errorf("--format %s: write one of %s", format, strings.Join(reportForms, ", "))
	}
	switch {
	case accounting:
		return audit.Disclosures(form), nil
	case ehds:
		return audit.Entitled(form), nil
	}
	return form, nil
}

func auditIndex() *cobra.Command {
	var path string
	return configFlag(&cobra.Command{
		Use:   "index",
		Short: "Bring the index up to date by which reports find records",
		Long: `The index finds the records of a patient, a user or a client without reading the
others. It is in state.dir, or in the PostgreSQL of state.url. The running gateway makes it and keeps it, half a minute behind;
this makes it at once, as after an update, or where the gateway is not running. It
holds keyed hashes, places and times, is made from the log alone, and may be deleted.`,
		Example: "  gatehouse audit index -c gatehouse.yaml",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return onConfig(path, func(cfg *config.Config) error { return gateway.BuildIndex(c.Context(), cfg) })
		},
	}, &path)
}
