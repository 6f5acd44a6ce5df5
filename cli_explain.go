package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"gatehouse/config"
	"gatehouse/gateway"
	"gatehouse/gateway/audit"
	"gatehouse/gateway/policy"
	"github.com/spf13/cobra"
)

// This file puts decisions into words.

var verdicts = map[string]string{
	"yes":     "allowed",
	"no":      "refused",
	"depends": "may be allowed: it depends on the resource, which --resource names",
}

// reasons say why one resource is withheld.
var reasons = map[string]string{
	"scope.instance":       "no scope covers this resource",
	"scope.missing":        "no scope of the token opens this interaction on this type",
	"consent.denied":       "the patient's consent, or the lack of one, denies",
	"policy.denied":        "no rule permits it, or one forbids it",
	"policy.error":         "a rule failed",
	"relation.unavailable": "the care relations could not be looked up",
}

// because says why something is refused.
func because(reason string, permits, forbids []string) string {
	switch {
	case reason != "policy.denied":
		return cmp.Or(reasons[reason], reason)
	case len(forbids) > 0:
		return "forbidden: " + strings.Join(forbids, " ")
	case len(permits) == 0:
		return "no rule permits it"
	}
	return cmp.Or(reasons[reason], reason)
}

func printExplanation(out io.Writer, e *gateway.Explanation) {
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(out, "%-12s %s\n", name, text)
		}
	}
	line("request", strings.TrimSpace(e.Interaction+" "+e.Type))
	line("outcome", verdicts[e.Allowed])
	if e.Code != "" {
		line("answer", fmt.Sprintf("%d %s: %s", e.Status, e.Code, e.Text))
	}
	why := because(cmp.Or(e.Reason, e.Code), e.Permits, e.Forbids)
	if why != e.Code {
		line("because", why)
	}
	if e.Needed != "" {
		line("needed", "the scope "+e.Needed+", or one that holds it")
	}
	for _, r := range e.Rules {
		line(r.Set+"s", r.Reason+" "+at(r.File, r.Line))
	}
	printNear(out, e.Near)
	if f := e.Facts; f != nil {
		line("resource", f.Type+"/"+f.ID+factsInWords(f))
	}
	if c := e.Consent; c != nil {
		line("consent", consentInWords(c.Decision, c.Source, c.Provision, c.Refused))
	}
	line("seen through", strings.Join(e.Views, ", "))
	line("policy", e.Revision)
}

func at(file string, line int) string { return fmt.Sprintf("(%s:%d)", file, line) }

// printNear tells what nearly permitted, and what was missing.
func printNear(out io.Writer, near []policy.Near) {
	for _, n := range near {
		fmt.Fprintf(out, "%-12s %s\n", "nearly", strings.TrimSpace(n.Reason+" "+at(n.File, n.Line)))
		printLacks(out, n.Missing, "missing", "")
		printLacks(out, n.Depends, "depends", "")
	}
}

func printLacks(out io.Writer, lacks []policy.Lack, name, in string) {
	for _, l := range lacks {
		if len(l.Ways) == 1 { // what the condition asks has one way only: that is what is missing
			printLacks(out, l.Ways[0], name, in)
			continue
		}
		fmt.Fprintf(out, "  %-10s %s%s %s\n", name, in, l.Words, at(l.File, l.Line))
		for i, way := range l.Ways {
			word := "or"
			if i == 0 {
				word = "either"
			}
			printLacks(out, way, word, in+"  ")
		}
	}
}

func factsInWords(f *gateway.ExplainedFacts) string {
	var b strings.Builder
	for _, fact := range []struct{ name, value string }{
		{"patients", strings.Join(f.Patients, ", ")}, {"organization", f.Organization},
		{"practitioners", strings.Join(f.Practitioners, ", ")}, {"labels", strings.Join(f.Labels, ", ")}, {"status", f.Status},
	} {
		if fact.value != "" {
			b.WriteString("; " + fact.name + " " + fact.value)
		}
	}
	if f.Unnamed {
		b.WriteString("; about a patient who cannot be named")
	}
	return b.String()
}

func consentInWords(decision, source, provision string, refused bool) string {
	text := decision
	if source != "" {
		text += " by " + source
	}
	if provision != "" {
		text += ", " + provision
	}
	if decision == "none" && refused {
		text += ": no active consent, and consent.default denies"
	}
	return text
}

// past tells what the trail has of a request.
func (q *question) past(c *cobra.Command, id string) error {
	err := onConfig(q.config, func(cfg *config.Config) error {
		return gateway.NoteReading(c.Context(), cfg, gateway.Reading{What: "policy explain", By: account(), About: "request " + id})
	})
	if err != nil {
		return err
	}
	records, err := gateway.Decided(c.Context(), q.config, id)
	if err != nil {
		return err
	}
	if q.json {
		return writeJSON(c.OutOrStdout(), records)
	}
	for _, r := range records {
		printRecord(c.OutOrStdout(), r)
	}
	return nil
}

func printRecord(out io.Writer, r *gateway.PastDecision) {
	line := func(name, text string) {
		if text = strings.TrimSpace(text); text != "" {
			fmt.Fprintf(out, "%-12s %s\n", name, text)
		}
	}
	line(r.Kind, fmt.Sprintf("record %d, %s, after %s", r.Index, r.Time.UTC().Format(time.RFC3339), r.Took.Round(time.Microsecond)))
	line("who", who(r))
	line("asked", r.Asked)
	line("request", r.Method+" "+strings.ReplaceAll(r.Target, "\n", " "))
	if r.Status != 0 {
		line("answer", fmt.Sprintf("%d %s", r.Status, r.Code))
	}
	if why := because(r.Code, r.Permits, r.Forbids); why != r.Code {
		line("because", why)
	}
	for _, reason := range r.Permits {
		line("permits", reason)
	}
	for _, reason := range r.Forbids {
		line("forbids", reason)
	}
	printNear(out, r.Near)
	for _, c := range r.Consents {
		line("consent", c.Patient+": "+consentInWords(c.Decision, c.Source, c.Provision, false))
	}
	line("seen through", r.View)
	line("domain", r.Domain)
	for _, e := range r.Entries {
		why := because(e.Reason, e.Permits, e.Forbids)
		if e.Effect != audit.Withheld.String() {
			why = strings.Join(e.Permits, " ")
		}
		line(e.Effect, e.Resource+"  "+why+"  "+e.Decision)
		printNear(out, e.Near)
	}
	line("policy", r.Policy)
	line("note", r.Note)
	if r.Erased {
		line("erased", "the key of a patient is gone, so a part of this cannot be read")
	}
}

func who(r *gateway.PastDecision) string {
	c := &r.Caller
	if c.Client == "" {
		return "nobody who was verified, from " + c.Address
	}
	text := cmp.Or(c.Name, c.FHIRUser, c.Subject) + " with " + c.Client
	for _, fact := range []struct{ name, value string }{
		{"roles", strings.Join(c.Roles, ", ")}, {"organization", c.Organization}, {"purpose", strings.Join(c.Purpose, ", ")},
		{"subject", c.Subject + " of " + c.Issuer}, {"address", c.Address},
	} {
		if fact.value != "" {
			text += "; " + fact.name + " " + fact.value
		}
	}
	return text
}
