package consent

import (
	"strings"
	"time"

	"gatehouse/fhir/wire"
)

// consent is a Consent resource, read for evaluation.
type consent struct {
	ref     string // "Consent/9"
	active  bool   // in force as far as its status and scope say
	root    provision
	unclear bool // something in it is not understood: its permits do not count
}

type provision struct {
	kind       verdict // silent where the resource does not say
	period     period
	dataPeriod period
	actors     []string
	actions    []string
	purposes   []string
	labels     []string
	classes    []coding
	codes      []coding
	data       []datum
	exceptions []provision
	unclear    bool
}

type coding struct{ system, code string }

type datum struct{ meaning, ref string }

// maxDepth bounds nested provisions; deeper ones make the consent unclear.
const maxDepth = 16

// read reads a patient's Consents. One that cannot be read denies everything:
// it may have been meant to.
func read(resources [][]byte) []*consent {
	list := make([]*consent, 0, len(resources))
	for _, r := range resources {
		list = append(list, readOne(r))
	}
	return list
}

func readOne(resource []byte) *consent {
	var t wire.Tree
	if err := t.Parse(resource); err != nil {
		return &consent{active: true, root: provision{kind: deny}}
	}
	c := &consent{ref: "Consent/" + text(&t, 0, "id")}
	c.active = text(&t, 0, "status") == "active" && privacy(&t)
	c.unclear = t.Get(0, "modifierExtension") >= 0 || t.Get(0, "implicitRules") >= 0
	if p := t.Get(0, "provision"); p >= 0 && t.Nodes[p].Kind == wire.Object {
		c.root = readProvision(&t, p, 0)
	}
	if c.root.kind == silent {
		c.root.kind = base(&t)
	}
	return c
}

// privacy tells whether the Consent is about privacy (R4's scope); those about
// treatment, research participation or advance directives say nothing here.
func privacy(t *wire.Tree) bool {
	scope := t.Get(0, "scope")
	if scope < 0 {
		return true // R5 has no scope
	}
	for _, c := range codingsOf(t, scope) {
		if c.code == "patient-privacy" {
			return true
		}
	}
	return false
}

// base is what holds where the root provision has no type of its own: the
// policy that the Consent refers to (C6).
func base(t *wire.Tree) verdict {
	rule := t.Get(0, "policyRule")
	if rule < 0 {
		return silent
	}
	for _, c := range codingsOf(t, rule) {
		switch c.code {
		case "OPTIN", "OPTINR":
			return permit
		case "OPTOUT", "OPTOUTE":
			return deny
		}
	}
	return silent
}

// understood are the members of a provision that are evaluated here; one with
// another member says something that is not.
var understood = map[string]bool{"id": true, "type": true, "period": true, "actor": true, "action": true, "securityLabel": true,
	"purpose": true, "class": true, "code": true, "dataPeriod": true, "data": true, "provision": true, "extension": true}

func readProvision(t *wire.Tree, node, depth int) provision {
	p := provision{kind: kindOf(text(t, node, "type")), period: readPeriod(t, t.Get(node, "period")), dataPeriod: readPeriod(t, t.Get(node, "dataPeriod"))}
	for i := t.First(node); i < int(t.Nodes[node].Next); i = int(t.Nodes[i].Next) {
		if !understood[string(t.Name(i))] {
			p.unclear = true
		}
	}
	for _, a := range elements(t, t.Get(node, "actor")) {
		p.actors = append(p.actors, reference(t, t.Get(a, "reference")))
	}
	for _, a := range elements(t, t.Get(node, "action")) {
		p.actions = append(p.actions, codeIn(codingsOf(t, a)))
	}
	for _, l := range elements(t, t.Get(node, "purpose")) {
		p.purposes = append(p.purposes, text(t, l, "code"))
	}
	for _, l := range elements(t, t.Get(node, "securityLabel")) {
		p.labels = append(p.labels, text(t, l, "code"))
	}
	for _, l := range elements(t, t.Get(node, "class")) {
		p.classes = append(p.classes, coding{text(t, l, "system"), text(t, l, "code")})
	}
	for _, c := range elements(t, t.Get(node, "code")) {
		p.codes = append(p.codes, codingsOf(t, c)...)
		p.unclear = p.unclear || len(codingsOf(t, c)) == 0
	}
	for _, d := range elements(t, t.Get(node, "data")) {
		p.data = append(p.data, datum{text(t, d, "meaning"), reference(t, t.Get(d, "reference"))})
	}
	if depth == maxDepth {
		p.unclear = true
		return p
	}
	for _, e := range elements(t, t.Get(node, "provision")) {
		exception := readProvision(t, e, depth+1)
		if exception.kind == silent {
			exception.kind = deny // R4 demands a type here; what it was to be cannot be told
		}
		p.exceptions = append(p.exceptions, exception)
	}
	return p
}

func kindOf(s string) verdict {
	switch s {
	case "permit":
		return permit
	case "deny":
		return deny
	}
	return silent
}

// codeIn is the consent action among codings; "" where there is none, which no
// action matches for certain.
func codeIn(list []coding) string {
	for _, c := range list {
		if strings.HasSuffix(c.system, "/consentaction") || c.system == "" {
			return c.code
		}
	}
	return ""
}

func text(t *wire.Tree, node int, name string) string {
	if i := t.Get(node, name); i >= 0 {
		return t.Text(i)
	}
	return ""
}

func elements(t *wire.Tree, list int) []int {
	if list < 0 || t.Nodes[list].Kind != wire.Array {
		return nil
	}
	var found []int
	for i := t.First(list); i < int(t.Nodes[list].Next); i = int(t.Nodes[i].Next) {
		found = append(found, i)
	}
	return found
}

func codingsOf(t *wire.Tree, concept int) []coding {
	if concept < 0 || t.Nodes[concept].Kind != wire.Object {
		return nil
	}
	var list []coding
	for _, c := range elements(t, t.Get(concept, "coding")) {
		list = append(list, coding{text(t, c, "system"), text(t, c, "code")})
	}
	return list
}

// reference is the "Type/id" of a Reference; "" where it names no resource.
func reference(t *wire.Tree, node int) string {
	if node < 0 || t.Nodes[node].Kind != wire.Object {
		return ""
	}
	parts := strings.Split(text(t, node, "reference"), "/")
	for len(parts) > 3 && parts[len(parts)-2] == "_history" {
		parts = parts[:len(parts)-2]
	}
	if len(parts) < 2 {
		return ""
	}
	return strings.Join(parts[len(parts)-2:], "/")
}

// period is a FHIR Period, its ends inclusive to their precision.
type period struct {
	start, end time.Time // zero: open
	bad        bool
}

func readPeriod(t *wire.Tree, node int) period {
	if node < 0 {
		return period{}
	}
	var p period
	if s := text(t, node, "start"); s != "" {
		from, _, ok := span(s)
		p.start, p.bad = from, !ok
	}
	if s := text(t, node, "end"); s != "" {
		_, to, ok := span(s)
		p.end, p.bad = to, p.bad || !ok
	}
	return p
}

func (p period) holds(now time.Time) match {
	switch {
	case p.bad:
		return unknown
	case !p.start.IsZero() && now.Before(p.start), !p.end.IsZero() && !now.Before(p.end):
		return no
	}
	return yes
}

// span is the time that a FHIR date or dateTime covers, from inclusive, to
// exclusive. A date without a zone is read in UTC.
func span(s string) (from, to time.Time, ok bool) {
	for _, f := range []struct {
		layout              string
		years, months, days int
	}{{"2006", 1, 0, 0}, {"2006-01", 0, 1, 0}, {"2006-01-02", 0, 0, 1}} {
		if t, err := time.Parse(f.layout, s); err == nil {
			return t, t.AddDate(f.years, f.months, f.days), true
		}
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}, time.Time{}, false
	}
	return t, t.Add(time.Second), true
}
