package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gatehouse/gateway"
	"gatehouse/gateway/audit"
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
	for _, r := range e.Permits {
		line("permits", r)
	}
	for _, r := range e.Forbids {
		line("forbids", r)
	}
	if f := e.Facts; f != nil {
		line("resource", f.Type+"/"+f.ID+factsInWords(f))
	}
	if c := e.Consent; c != nil {
		line("consent", consentInWords(c.Decision, c.Source, c.Provision, c.Refused))
	}
	line("seen through", strings.Join(e.Views, ", "))
	line("policy", e.Revision)
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
func (q *question) past(out io.Writer, id string) error {
	t := trail{config: q.config}
	dir, key, err := t.open()
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, "checkpoint")); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no audit trail in %s yet", dir)
	}
	r, err := audit.OpenReader(dir, key)
	if err != nil {
		return err
	}
	records, err := r.ByID(id)
	if err != nil {
		return err
	}
	if len(records) == 0 {
		return fmt.Errorf("the audit trail has no request %s", id)
	}
	if q.json {
		var list []recordJSON
		for _, r := range records {
			list = append(list, jsonOf(r))
		}
		return writeJSON(out, list)
	}
	for _, r := range records {
		printRecord(out, r)
	}
	return nil
}

func printRecord(out io.Writer, r *audit.Record) {
	line := func(name, text string) {
		if text = strings.TrimSpace(text); text != "" {
			fmt.Fprintf(out, "%-12s %s\n", name, text)
		}
	}
	line(r.Kind.String(), fmt.Sprintf("record %d, %s, after %s", r.Index, r.Time.UTC().Format(time.RFC3339), r.Took.Round(time.Microsecond)))
	line("who", who(r))
	asked := r.Interaction + " " + r.Type
	if r.ID != "" {
		asked += "/" + r.ID
	}
	line("asked", asked)
	line("request", r.Method+" "+strings.ReplaceAll(string(r.Query), "\n", " "))
	if r.Status != 0 {
		line("answer", fmt.Sprintf("%d %s", r.Status, r.Code))
	}
	if why := because(r.Code, r.Decision.Permits, r.Decision.Forbids); why != r.Code {
		line("because", why)
	}
	for _, reason := range r.Decision.Permits {
		line("permits", reason)
	}
	for _, reason := range r.Decision.Forbids {
		line("forbids", reason)
	}
	for _, c := range r.Consents {
		line("consent", c.Patient+": "+consentInWords(c.Decision, c.Source, c.Provision, false))
	}
	line("seen through", r.View)
	line("domain", r.Domain)
	for _, e := range r.Entries {
		why := because(e.Reason, e.Permits, e.Forbids)
		if e.Effect != audit.Withheld {
			why = strings.Join(e.Permits, " ")
		}
		line(e.Effect.String(), e.Type+"/"+e.ID+"  "+why)
	}
	line("policy", r.Decision.Revision)
	if r.Erased {
		line("erased", "the key of a patient is gone, so a part of this cannot be read")
	}
}

func who(r *audit.Record) string {
	c := &r.Caller
	if c.Client == "" {
		return "nobody who was verified, from " + r.Address
	}
	text := cmp.Or(c.Name, c.User, c.Subject) + " with " + c.Client
	for _, fact := range []struct{ name, value string }{
		{"roles", strings.Join(c.Roles, ", ")}, {"organization", c.Organization}, {"purpose", strings.Join(c.Purpose, ", ")},
		{"subject", c.Subject + " of " + c.Issuer}, {"address", r.Address},
	} {
		if fact.value != "" {
			text += "; " + fact.name + " " + fact.value
		}
	}
	return text
}

// recordJSON is a record for programs.
type recordJSON struct {
	Index    int64          `json:"record"`
	Kind     string         `json:"kind"`
	Request  string         `json:"request"`
	Time     time.Time      `json:"time"`
	Caller   map[string]any `json:"caller"`
	Asked    string         `json:"asked"`
	Method   string         `json:"method"`
	Target   string         `json:"target"`
	Status   int            `json:"status,omitempty"`
	Code     string         `json:"code,omitempty"`
	Allow    bool           `json:"allow"`
	Permits  []string       `json:"permits"`
	Forbids  []string       `json:"forbids"`
	Policy   string         `json:"policy"`
	View     string         `json:"view,omitempty"`
	Domain   string         `json:"domain,omitempty"`
	Consents []consentJSON  `json:"consents,omitempty"`
	Entries  []entryJSON    `json:"entries,omitempty"`
	Erased   bool           `json:"erased,omitempty"`
}

type consentJSON struct {
	Patient   string `json:"patient"`
	Decision  string `json:"decision"`
	Source    string `json:"source,omitempty"`
	Provision string `json:"provision,omitempty"`
}

type entryJSON struct {
	Effect   string   `json:"effect"`
	Resource string   `json:"resource"`
	Patients []string `json:"patients,omitempty"`
	Reason   string   `json:"reason,omitempty"`
	Permits  []string `json:"permits"`
	Forbids  []string `json:"forbids,omitempty"`
}

func jsonOf(r *audit.Record) recordJSON {
	c, d := &r.Caller, &r.Decision
	j := recordJSON{Index: r.Index, Kind: r.Kind.String(), Request: r.Request, Time: r.Time, Asked: strings.TrimSpace(r.Interaction + " " + r.Type),
		Caller: map[string]any{"subject": c.Subject, "issuer": c.Issuer, "client": c.Client, "fhir_user": c.User, "organization": c.Organization,
			"roles": c.Roles, "purpose": c.Purpose, "address": r.Address},
		Method: r.Method, Target: string(r.Query), Status: r.Status, Code: r.Code, Allow: d.Allow, Permits: d.Permits, Forbids: d.Forbids,
		Policy: d.Revision, View: r.View, Domain: r.Domain, Erased: r.Erased}
	for _, c := range r.Consents {
		j.Consents = append(j.Consents, consentJSON(c))
	}
	for _, e := range r.Entries {
		j.Entries = append(j.Entries, entryJSON{e.Effect.String(), e.Type + "/" + e.ID, e.Patients, e.Reason, e.Permits, e.Forbids})
	}
	return j
}
