package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/config"
	"gatehouse/gateway"
	"gatehouse/gateway/audit"
)

func incidentCommands() *cobra.Command {
	group := &cobra.Command{Use: "incident", Short: "Tell whom an incident affects, with proofs"}
	group.AddCommand(incidentReport(), incidentCheck())
	return group
}

func incidentReport() *cobra.Command {
	var path, format string
	var a asking
	c := configFlag(&cobra.Command{
		Use:   "report",
		Short: "List the patients and kinds of data that a client or user reached",
		Long: `Lists, for their notification, each patient of whom something was given to a client
or a user, or changed by them, in a period: what kinds of data, which fields (all, or
those that a view keeps), when, by whom, and the records of the audit log that say so.
What was refused affects nobody. With --format json each record has a proof that it is
one of the log's, under a checkpoint that incident check verifies.

It reads by the index that the running gateway keeps, unless --scan. Making it is
itself a record of the log. First keep out who is still there: gatehouse block.`,
		Example: `  gatehouse incident report -c gatehouse.yaml --client lost-tablet --since 2026-05-02
  gatehouse incident report -c gatehouse.yaml --user Practitioner/7 --format json > incident.json`,
		Args: cobra.NoArgs,
	}, &path)
	scan := false
	c.RunE = func(c *cobra.Command, _ []string) error {
		q, err := a.question(time.Now())
		if err != nil {
			return err
		}
		return onConfig(path, func(cfg *config.Config) error { return tellIncident(c, cfg, path, q, format, scan) })
	}
	c.Flags().StringVar(&a.Patient, "patient", "", "one `PATIENT` alone, as Patient/ID")
	a.flags(c)
	c.Flags().BoolVar(&scan, "scan", false, "read the whole log, not by the index")
	c.Flags().StringVar(&format, "format", "text", "`FORM`: text, csv, json")
	c.MarkFlagsOneRequired("client", "user", "since", "patient")
	return c
}

func tellIncident(c *cobra.Command, cfg *config.Config, path string, q audit.Question, format string, scan bool) error {
	if format != "text" && format != "csv" && format != "json" {
		return fmt.Errorf("--format %s: write one of text, csv, json", format)
	}
	o, err := gateway.AuditOptions(cfg)
	if err != nil {
		return err
	}
	public, err := audit.VerifierKey(o.Origin, o.Seed)
	if err != nil {
		return err
	}
	r := reading{trail: trail{config: path}, scan: scan}
	src, done, err := r.source(c, "incident", q)
	if err != nil {
		return err
	}
	form := audit.NewIncident(c.OutOrStdout(), format, func(size int64) (*audit.Prover, error) { return audit.NewProver(o.Dir, public, size) })
	return errors.Join(audit.Tell(src, q, form), done())
}

func incidentCheck() *cobra.Command {
	var public string
	c := &cobra.Command{
		Use:   "check FILE",
		Short: "Check the proofs of an incident report",
		Long: `Checks that each record that a report (--format json) names is one of the log's,
under its checkpoint: with the report and the log's public key alone, which audit
verify prints. What a record says is encrypted, so this does not check that patients
and data are those of the records: have the report made again where the audit key is.`,
		Example: "  gatehouse incident check incident.json --public-key 'gatehouse/fhir.example.org+…'",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			b, err := os.ReadFile(args[0])
			if err != nil {
				return fmt.Errorf("read report: %w", err)
			}
			proofs, patients, err := audit.CheckProofs(b, public)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "good: %d records of %d patients are in the log\nwhat they say is encrypted: only who holds the audit key can see that the report is true to it\n", proofs, patients)
			return nil
		},
	}
	c.Flags().StringVar(&public, "public-key", "", "public `KEY` of the log")
	return required(c, "public-key")
}
