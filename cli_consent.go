package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/config"
	"gatehouse/fhir"
	"gatehouse/fhir/wire"
	"gatehouse/gateway"
)

func consentCommands() *cobra.Command {
	group := &cobra.Command{Use: "consent", Short: "Tell what consents do"}
	group.AddCommand(consentSimulate())
	return group
}

func consentSimulate() *cobra.Command {
	var path string
	var asked simulateFlags
	var asJSON bool
	c := configFlag(&cobra.Command{
		Use:   "simulate --patient P --as USER.json",
		Short: "Tell what a person can see of a patient today, and after one more consent",
		Long: `Judges each record of a patient as the gateway would for a person: by the scopes,
the rules and the patient's consents. The answer is a table by type and labels: how
many records there are, how many the person sees, and what decided.

Records and consents are those of the servers that the configuration names, asked
with the gateway's own credentials. --with adds a Consent that nobody has given
yet, or changes the one with its id, and the table then has a column for after.
Nothing is written to them, and the person is asked nothing; that it was asked, and
about whom, is a record of the audit log.

USER.json says who asks, as policy explain reads it: id and client, and of issuer,
roles, organization, fhir_user, patient, purpose, scopes, acr and auth_time what the
token would have. Without scopes those of the token are not looked at.

Without a server at hand: --data and --consents name files with resources, Bundles
or NDJSON instead of what the servers have. The output is patient data.`,
		Example: `  gatehouse consent simulate -c gatehouse.yaml --patient p012 --as ann.json
  gatehouse consent simulate -c gatehouse.yaml --patient p012 --as ann.json --with deny-hiv.json
  gatehouse consent simulate -c gatehouse.yaml --patient p012 --as ann.json --data records.ndjson --consents none.json --json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			answer, err := simulate(c.Context(), path, &asked)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(c.OutOrStdout(), answer)
			}
			return printSimulated(c.OutOrStdout(), answer)
		},
	}, &path)
	c.Flags().StringVar(&asked.patient, "patient", "", "whose records, as `ID` or Patient/ID")
	c.Flags().StringVar(&asked.as, "as", "", "`FILE` that says who asks")
	c.Flags().StringArrayVar(&asked.with, "with", nil, "`FILE` with a Consent that would come; may be repeated")
	c.Flags().StringArrayVar(&asked.consents, "consents", nil, "`FILE` with Consents, instead of those on the server")
	c.Flags().StringArrayVar(&asked.data, "data", nil, "`FILE` with the patient's records, instead of those on the server")
	c.Flags().BoolVar(&asJSON, "json", false, "write JSON instead of a table")
	return required(c, "patient", "as")
}

// simulateFlags are the question as it was typed.
type simulateFlags struct {
	patient, as          string
	with, consents, data []string
}

// simulate asks it, on record where servers are asked.
func simulate(ctx context.Context, path string, asked *simulateFlags) (*gateway.Simulated, error) {
	q, err := asked.question()
	if err != nil {
		return nil, err
	}
	if q.Data == nil || q.Consents == nil {
		if err := onSimulation(ctx, path, q); err != nil {
			return nil, err
		}
	}
	return gateway.Simulate(ctx, path, *q)
}

// question reads the files.
func (f *simulateFlags) question() (*gateway.Simulation, error) {
	q := gateway.Simulation{Patient: f.patient, Now: time.Now()}
	if !strings.Contains(f.patient, "/") {
		q.Patient = "Patient/" + f.patient
	}
	if id, ok := strings.CutPrefix(q.Patient, "Patient/"); !ok || !fhir.ValidID(id) {
		return nil, fmt.Errorf("--patient %s names no patient; write Patient/p012", f.patient)
	}
	var err error
	if q.Subject, err = readAsker(f.as); err != nil {
		return nil, err
	}
	for _, from := range []struct {
		names []string
		into  *[][]byte
	}{{f.with, &q.With}, {f.consents, &q.Consents}, {f.data, &q.Data}} {
		if *from.into, err = readResources(from.names); err != nil {
			return nil, err
		}
	}
	return &q, nil
}

// onSimulation puts into the audit trail, before anything is read, that somebody
// reads a patient's records and consents.
func onSimulation(ctx context.Context, path string, q *gateway.Simulation) error {
	return onConfig(path, func(cfg *config.Config) error {
		return gateway.NoteReading(ctx, cfg, gateway.Reading{What: gateway.SimulateReading, By: account(), Patient: q.Patient,
			About: "what " + q.Subject.ID + " of " + q.Subject.Client + " can see by consents and rules"})
	})
}

// readResources reads files of resources, Bundles and NDJSON; none are nil.
func readResources(names []string) ([][]byte, error) {
	var all [][]byte
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		all = append([][]byte{}, all...)
		for d := json.NewDecoder(f); ; {
			var raw json.RawMessage
			if err := d.Decode(&raw); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, fmt.Errorf("read %s: %w", name, err)
			}
			inside, err := unbundled(raw)
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", name, err)
			}
			all = append(all, inside...)
		}
	}
	return all, nil
}

// unbundled are the resources of a Bundle, or the one resource that is none.
func unbundled(raw []byte) ([][]byte, error) {
	var t wire.Tree
	if err := t.Parse(raw); err != nil {
		return nil, err
	}
	if kind := t.Get(0, "resourceType"); kind < 0 || t.Text(kind) != "Bundle" {
		return [][]byte{raw}, nil
	}
	var all [][]byte
	if entries := t.Get(0, "entry"); entries >= 0 {
		for e := range t.Children(entries) {
			if r := t.Get(e, "resource"); r >= 0 {
				all = append(all, t.Raw(r))
			}
		}
	}
	return all, nil
}

func printSimulated(out io.Writer, s *gateway.Simulated) error {
	compared := len(s.Seen) > 0 && s.Seen[0].After != nil
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	header := "TYPE\tLABELS\tRECORDS\tTODAY\tWHY"
	if compared {
		header = "TYPE\tLABELS\tRECORDS\tTODAY\tAFTER\tWHY TODAY\tWHY AFTER"
	}
	fmt.Fprintln(w, header)
	for _, r := range s.Seen {
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t", r.Type, cmp.Or(strings.Join(r.Labels, ", "), "-"), r.Records, ofAll(r.Today, r.Records))
		if compared {
			fmt.Fprintf(w, "%s\t%s\t%s\n", ofAll(*r.After, r.Records), inWords(r.Why), inWords(r.WhyAfter))
		} else {
			fmt.Fprintln(w, inWords(r.Why))
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(s.Seen) == 0 {
		fmt.Fprintf(out, "There are no records of %s.\n", s.Patient)
	}
	if len(s.NotAsked) > 0 {
		fmt.Fprintf(out, "\nThe server did not answer for: %s.\n", strings.Join(s.NotAsked, ", "))
	}
	return nil
}

func ofAll(seen, all int) string {
	switch seen {
	case 0:
		return "no"
	case all:
		return "yes"
	}
	return fmt.Sprintf("%d of them", seen)
}

// inWords puts the reasons of refusals into words, and leaves the rest.
func inWords(why string) string {
	for code, text := range reasons {
		why = strings.ReplaceAll(why, code, text)
	}
	return why
}
