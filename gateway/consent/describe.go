package consent

import (
	"slices"
	"strings"
	"time"

	"gatehouse/fhir/wire"
)

// Summary is a Consent as it is listed for its patient.
type Summary struct {
	ID        string `json:"id"`
	Status    string `json:"status"`
	Given     string `json:"given,omitempty"`   // as it says of itself
	Counts    bool   `json:"counts"`            // it is heard now
	Problem   string `json:"problem,omitempty"` // why it permits nothing, one of Problems
	Words     string `json:"words"`
	Rule      *Rule  `json:"rule,omitempty"`
	Revocable bool   `json:"revocable"`
}

// Rule is one provision in the terms of a Form.
type Rule struct {
	Decision string   `json:"decision"`
	Who      []string `json:"who,omitempty"`  // none: anyone
	What     []string `json:"what,omitempty"` // none: everything
	Purpose  []string `json:"purpose,omitempty"`
	Until    string   `json:"until,omitempty"` // the first moment after it
	Except   []Rule   `json:"except,omitempty"`
}

// Summaries lists those of the Consents that are a patient's.
func (e *Engine) Summaries(patient string, resources [][]byte) []Summary {
	all := make([]Summary, 0, len(resources))
	now := e.now()
	for _, r := range resources {
		if whose, sure := e.reader.whose(r, []string{patient}); len(whose) == 0 || !sure {
			continue
		}
		c := e.reader.one(r)
		s := Summary{ID: strings.TrimPrefix(c.ref, "Consent/"), Problem: c.problem}
		var t wire.Tree
		if t.Parse(r) != nil {
			s.Words = "This consent cannot be read: it permits nothing, and everything is denied."
			all = append(all, s)
			continue
		}
		s.Status, s.Given = text(&t, 0, "status"), text(&t, 0, "dateTime")+text(&t, 0, "date")
		s.Counts = c.active && e.trusts(c) && c.root.period.holds(now) != no
		s.Revocable = s.Status == "active" && c.active
		said := &c.root
		if said.kind == silent && said.base == nil && len(said.exceptions) == 1 {
			said = &said.exceptions[0] // as a form is written where the root cannot say it
		}
		rule := said.rule(now.Location())
		s.Rule, s.Words = &rule, rule.words()
		if c.void {
			s.Words += " A part of it is not understood, so it permits nothing."
		}
		all = append(all, s)
	}
	return all
}

func (p *provision) rule(zone *time.Location) Rule {
	r := Rule{Decision: map[verdict]string{permit: "permit", deny: "deny", silent: "none"}[p.kind], Purpose: p.purposes}
	for _, a := range append(slices.Clone(p.actors), p.grantees...) {
		who := a.ref
		for _, role := range a.roles {
			who = strings.TrimSpace(who + " role " + role.code)
		}
		if who == "" {
			who = "somebody who is not named"
		}
		r.Who = append(r.Who, who)
	}
	for _, c := range p.classes {
		r.What = append(r.What, c.code)
	}
	for _, l := range p.labels {
		r.What = append(r.What, "labelled "+l)
	}
	for _, c := range append(slices.Clone(p.codes), moduleCodes(p.modules)...) {
		r.What = append(r.What, c.system+"|"+c.code)
	}
	for _, d := range p.data {
		r.What = append(r.What, d.meaning+" "+d.ref)
	}
	if !p.period.end.IsZero() {
		r.Until = p.period.end.In(zone).Format(time.RFC3339)
	}
	for i := range p.exceptions {
		r.Except = append(r.Except, p.exceptions[i].rule(zone))
	}
	return r
}

func moduleCodes(modules []string) (all []coding) {
	for _, m := range modules {
		all = append(all, coding{"urn:oid:" + miiPolicies, m})
	}
	return all
}

// words says a rule in a sentence, its exceptions in one each behind it.
func (r *Rule) words() string {
	may := map[string]string{"permit": "may see", "deny": "may not see", "none": "is not said to see or not to see"}[r.Decision]
	s := either(r.Who, "Anyone") + " " + may + " " + either(r.What, "everything")
	if len(r.Purpose) > 0 {
		s += " for " + either(r.Purpose, "")
	}
	if r.Until != "" {
		s += ", before " + r.Until
	}
	s += "."
	for i := range r.Except {
		s += " Except: " + r.Except[i].words()
	}
	return s
}

func either(list []string, none string) string {
	if len(list) == 0 {
		return none
	}
	return strings.Join(list, " or ")
}

// ID is a Consent's, "" where it has none.
func (e *Engine) ID(resource []byte) string { return idOf(resource) }

// Problem is why a Consent permits nothing or not all that it says, one of
// Problems; "" where it is understood.
func (e *Engine) Problem(resource []byte) string { return e.reader.one(resource).problem }

// Revoked is a Consent of the patient with status inactive; false where it is
// none of the patient's privacy consents that are active.
func (e *Engine) Revoked(patient string, resource []byte) ([]byte, bool) {
	whose, sure := e.reader.whose(resource, []string{patient})
	if c := e.reader.one(resource); len(whose) == 0 || !sure || !c.active {
		return nil, false
	}
	var t wire.Tree
	if t.Parse(resource) != nil || text(&t, 0, "status") != "active" {
		return nil, false
	}
	var edits wire.Edits
	edits.Reset(&t)
	edits.Replace(t.Get(0, "status"), []byte(`"inactive"`))
	return edits.Apply(nil), true
}
