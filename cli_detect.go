package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/config"
	"gatehouse/gateway"
	"gatehouse/gateway/audit"
	"gatehouse/gateway/audit/watch"
)

func auditDetect() *cobra.Command {
	var path, since string
	var replay, asJSON bool
	c := configFlag(&cobra.Command{
		Use:   "detect --replay",
		Short: "Tell which alerts the rules of watch would have given",
		Long: `Runs the rules of the configuration (watch) over the audit log as it is, and prints
each alert that they would have given, with its counts and the requests that made it.
Nobody is told, throttled or blocked: so thresholds are tuned on history before they
act. What is usual is learned from the beginning of the log on; --since only says from
when on alerts are printed. Patients are not named: audit report tells them.`,
		Example: "  gatehouse audit detect --replay -c gatehouse.yaml --since 30d",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if !replay {
				return errors.New("write --replay: the running gateway watches by itself, as its configuration says under watch")
			}
			from, err := moment(since, time.Now())
			if err != nil {
				return err
			}
			return onConfig(path, func(cfg *config.Config) error { return detect(c, cfg, from, asJSON) })
		},
	}, &path)
	c.Flags().BoolVar(&replay, "replay", false, "run over the log as it is")
	c.Flags().StringVar(&since, "since", "", "print alerts from this `TIME` on: a date, a time, or an age such as 30d")
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return c
}

// detected is an alert as detect prints it.
type detected struct {
	When     time.Time `json:"when"`
	Detector string    `json:"detector"`
	User     string    `json:"user,omitempty"`
	Client   string    `json:"client,omitempty"`
	Then     string    `json:"then"`
	Evidence string    `json:"evidence"`
	Record   int64     `json:"record"`
	Requests []string  `json:"requests"`
	Patients int       `json:"patients"`
}

func detect(c *cobra.Command, cfg *config.Config, since time.Time, asJSON bool) error {
	if len(cfg.Watch) == 0 {
		return errors.New("the configuration watches nothing: add rules, as watch: [{detector: many-patients}]")
	}
	if err := onRecord(c.Context(), cfg, "detect", audit.Question{Since: since}); err != nil {
		return err
	}
	out := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	lines := json.NewEncoder(c.OutOrStdout())
	n := 0
	span, err := gateway.Detect(c.Context(), cfg, since, func(a *watch.Alert) error {
		d := detected{a.At.UTC(), a.Rule.Detector, a.Caller.User, a.Caller.Client, a.Rule.Then, a.Evidence, a.Index, a.Requests, len(a.Patients)}
		if d.User == "" {
			d.User = a.Caller.Subject
		}
		if asJSON {
			return lines.Encode(d)
		}
		if n++; n == 1 {
			fmt.Fprintln(out, "WHEN (UTC)\tDETECTOR\tUSER\tCLIENT\tTHEN\tEVIDENCE\tREQUESTS")
		}
		_, err := fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", d.When.Format(time.DateTime), d.Detector, d.User, d.Client, d.Then, d.Evidence, strings.Join(d.Requests, " "))
		return err
	})
	err = errors.Join(err, out.Flush())
	if !asJSON {
		fmt.Fprintf(c.OutOrStdout(), "%d alerts. Made from %s.\n", n, span)
	}
	return err
}
