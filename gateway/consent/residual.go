package consent

import (
	"cmp"
	"slices"
	"time"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
)

// Residual is what a token of IHE PCF says is left of its permission
// (extensions.ihe_pcf, CONS-11): a forbid removes, a permit overrides a forbid,
// and what neither names flows. It is held against the resource beside the
// patient's Consents and widens nothing.
type Residual struct {
	patient string // "Patient/1"; "" where the token names none
	rules   []provision
	unclear bool // it cannot be read: nothing flows
	engine  *Engine
}

// ReadResidual reads the extension; nil where the token has none.
func ReadResidual(extension []byte, bases *fhir.BaseSet, zone *time.Location) *Residual {
	if len(extension) == 0 {
		return nil
	}
	r := &Residual{engine: &Engine{reader: reader{bases: bases, zone: zone}}}
	var t wire.Tree
	if t.Parse(extension) != nil || t.Nodes[0].Kind != wire.Object {
		r.unclear = true
		return r
	}
	f := form{reader: &r.engine.reader, t: &t, c: &consent{}}
	if id := t.Get(0, "patient_id"); id >= 0 {
		if r.patient = patientNamed(t.Text(id), bases); r.patient == "" {
			r.unclear = true // who is meant, nobody here can tell (IUA-01)
		}
	}
	for i, node := range f.list(0, "residual", nil) {
		r.rules = append(r.rules, f.residual(node, i))
	}
	r.unclear = r.unclear || f.c.void
	return r
}

func patientNamed(text string, bases *fhir.BaseSet) string {
	if fhir.ValidID(text) {
		text = "Patient/" + text
	}
	ref, _, ok := bases.ParseRef(text)
	if !ok || ref.Type != "Patient" {
		return ""
	}
	return ref.String()
}

// residual reads one rule. One of another type than permit may forbid.
func (f *form) residual(node, i int) provision {
	p := provision{kind: cmp.Or(kindOf(text(f.t, node, "type")), deny), path: step("residual", i)}
	for m := range f.t.Children(node) {
		switch string(f.t.Name(m)) {
		case "type", "securityLabel", "dataPeriod", "data":
		default:
			p.unclear = true
		}
	}
	p.dataPeriod = f.period(node, "dataPeriod", &p)
	for _, c := range f.codings(node, "securityLabel", &p) {
		p.labels = append(p.labels, c.bare("v3-Confidentiality", "v3-ActCode"))
	}
	for _, d := range f.list(node, "data", &p) {
		p.data = append(p.data, f.residualDatum(d))
	}
	return p
}

// residualDatum: PCF's own examples write the reference both as a text and as a
// Reference.
func (f *form) residualDatum(node int) datum {
	if at := f.t.Get(node, "reference"); at >= 0 && f.t.Nodes[at].Kind == wire.String {
		ref, _, ok := f.bases.ParseRef(f.t.Text(at))
		if !ok {
			return datum{}
		}
		return datum{text(f.t, node, "meaning"), ref.String()}
	}
	return f.datum(node)
}

// Refuses tells whether a resource is not left to the token, and by which rule.
func (r *Residual) Refuses(f *fhir.Facts, content []byte) (Result, bool) {
	if len(f.Patients) == 0 && !f.Unnamed {
		return Result{}, false
	}
	refused := Result{Decision: "deny", Provision: "ihe_pcf", Refused: true}
	if r.unclear || r.patient != "" && (f.Unnamed || slices.ContainsFunc(f.Patients, func(p string) bool { return p != r.patient })) {
		return refused, true
	}
	q := query{action: "read", facts: f, content: content, engine: r.engine}
	forbidden := false
	for i := range r.rules {
		p := &r.rules[i]
		switch m := p.matches(&q); {
		case p.kind == permit && m == yes:
			return Result{}, false
		case p.kind == deny && m != no && !forbidden:
			forbidden, refused.Provision = true, p.path
		}
	}
	return refused, forbidden
}
