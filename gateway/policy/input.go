package policy

import (
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"gatehouse/fhir"
)

// fullInput is the document of policies/input.schema.json for one resource.
func fullInput(r *Request, res *Resource, withContent bool) (ast.Object, error) {
	in := requestInput(r)
	facts := factsInput(res.Facts)
	if withContent {
		content, err := contentInput(res.Content)
		if err != nil {
			return nil, err
		}
		facts.Insert(ast.StringTerm("content"), content)
	}
	in.Insert(ast.StringTerm("resource"), ast.NewTerm(facts))
	in.Insert(ast.StringTerm("consent"), ast.NewTerm(object{}.
		text("decision", res.Consent.Decision).text("provision", res.Consent.Provision).text("source", res.Consent.Source).value()))
	if res.Relation != nil {
		in.Insert(ast.StringTerm("relation"), ast.NewTerm(relationInput(res.Relation)))
	}
	return in, nil
}

// requestInput is what is known before any resource is. What the token does
// not say is left undefined, so that no rule takes two absent organizations
// for the same one.
func requestInput(r *Request) ast.Object {
	return inputOf(allFields, r)
}

var allFields = func() []*field {
	all := make([]*field, len(fields))
	for i := range fields {
		all[i] = &fields[i]
	}
	return all
}()

func emergencyInput(r *Request) *ast.Term {
	e := r.Emergency
	if e == nil {
		return ast.NullTerm()
	}
	return ast.NewTerm(object{}.text("patient", e.Patient).text("reason", e.Reason).text("until", instant(e.Until)).value())
}

func parametersInput(r *Request) *ast.Term {
	o := object{}
	for name, values := range r.Parameters {
		o = o.list(name, values)
	}
	return ast.NewTerm(o.value())
}

func factsInput(f *fhir.Facts) ast.Object {
	return object{}.
		text("type", f.Type).text("id", f.ID).
		list("patients", patientsOf(f)).
		text("organization", f.Organization).
		list("practitioners", f.Practitioners).list("labels", f.Labels).
		list("categories", f.Categories).list("codes", f.Codes).
		text("status", f.Status).text("author", f.Author).
		text("encounter", f.Encounter).text("date", f.Date).
		value()
}

// patientsOf adds "" for a patient that cannot be named: no rule that asks
// whether all patients are the caller's then holds, nor one for resources that
// are about nobody.
func patientsOf(f *fhir.Facts) []string {
	if !f.Unnamed {
		return f.Patients
	}
	return append(append(make([]string, 0, len(f.Patients)+1), f.Patients...), "")
}

func relationInput(r *Relation) ast.Object {
	encounters := make([]*ast.Term, len(r.Encounters))
	for i, e := range r.Encounters {
		period := object{}.text("start", e.Start).text("end", e.End)
		encounters[i] = ast.NewTerm(object{}.
			text("id", e.ID).text("status", e.Status).
			term("period", ast.NewTerm(period.value())).
			list("locations", e.Locations).list("participants", e.Participants).value())
	}
	return object{}.
		term("encounters", ast.ArrayTerm(encounters...)).
		list("care_teams", r.CareTeams).list("practitioners", r.Practitioners).
		value()
}

func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// object builds an OPA object member by member.
type object [][2]*ast.Term

func (o object) value() ast.Object { return ast.NewObject(o...) }

func (o object) term(name string, t *ast.Term) object {
	return append(o, [2]*ast.Term{ast.StringTerm(name), t})
}

func (o object) text(name, s string) object { return o.term(name, ast.StringTerm(s)) }

func (o object) list(name string, values []string) object {
	return o.term(name, listTerm(values))
}

func listTerm(values []string) *ast.Term {
	terms := make([]*ast.Term, len(values))
	for i, s := range values {
		terms[i] = ast.StringTerm(s)
	}
	return ast.ArrayTerm(terms...)
}
