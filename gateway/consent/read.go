package consent

import (
	"strings"
	"time"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
)

// consent is a Consent resource, read for evaluation.
type consent struct {
	ref     string    // "Consent/9"
	active  bool      // in force as far as its status and scope say
	void    bool      // something in it is not understood: it denies what it may have meant to, and permits nothing
	problem string    // why it is void, one of Problems
	given   time.Time // when it was; zero where it does not say
	authors []string  // who made it: "Type/id" and "system|value"
	sealed  bool      // it bears the mark of a gateway with the same key
	root    provision
	needs   []string // what has to be looked up to tell whom or what it speaks of
}

// Problems are the reasons for which a Consent permits nothing, the values of a
// metric's label.
var Problems = []string{"unreadable", "modifier", "unknown-element", "malformed-element", "unknown-status", "no-scope", "contradictory", "too-deep", "whose"}

// reader reads Consents. Unset, it knows no server's own references.
type reader struct {
	bases *fhir.BaseSet
	zone  *time.Location // of dates that name none
	three bool           // the server speaks STU3
	seal  *Sealer        // nil: there are no marks
}

// maxDepth bounds nested provisions; deeper ones make the consent void.
const maxDepth = 16

// one reads a Consent: of R4, R5 or, on such a server, STU3 by its shape. One that
// cannot be read denies everything: it may have been meant to.
func (r *reader) one(resource []byte) *consent {
	var t wire.Tree
	if err := t.Parse(resource); err != nil || t.Nodes[0].Kind != wire.Object {
		return &consent{ref: "Consent/" + idOf(resource), active: true, void: true, problem: "unreadable", root: provision{kind: deny, path: "provision"}}
	}
	c := &consent{ref: "Consent/" + text(&t, 0, "id")}
	f := form{reader: r, t: &t, c: c, five: isFive(&t)}
	f.three = f.isThree()
	f.header()
	f.rules()
	if c.void && c.root.kind == silent && c.root.base == nil {
		c.root.kind = deny // what it says is not known, and may be that
	}
	f.authors()
	return c
}

var idPlan = wire.NewPlan("id")

// idOf is the id of a resource of which perhaps nothing else can be read.
func idOf(resource []byte) string {
	hits, err := idPlan.Skim(resource, nil)
	if err != nil || len(hits) == 0 {
		return ""
	}
	id, _ := wire.Unquote(resource[hits[0].Start:hits[0].End]) // "" is no id, as none is
	return id
}

// isFive tells R5's shape from R4's.
func isFive(t *wire.Tree) bool {
	p := t.Get(0, "provision")
	return t.Get(0, "decision") >= 0 || t.Get(0, "subject") >= 0 || p >= 0 && t.Nodes[p].Kind == wire.Array
}

// form is one Consent under reading.
type form struct {
	*reader
	t     *wire.Tree
	c     *consent
	five  bool
	three bool
}

// unclear has the consent permit nothing; the first reason is the one told.
func (f *form) unclear(why string) {
	f.c.void = true
	if f.c.problem == "" {
		f.c.problem = why
	}
}

// The members of a Consent that are evaluated here, or do not change what it
// means. One with another says something that is not understood.
var (
	ordinary = set("resourceType", "id", "meta", "language", "text", "contained", "extension", "identifier", "status", "category", "verification", "provision", "patient")
	fourAlso = set("scope", "dateTime", "performer", "organization", "sourceAttachment", "sourceReference", "policy", "policyRule")
	fiveAlso = set("subject", "date", "period", "grantor", "grantee", "manager", "controller", "sourceAttachment", "sourceReference", "regulatoryBasis", "policyBasis", "policyText", "decision")
)

func set(names ...string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}

func (f *form) header() {
	t := f.t
	also := fourAlso
	switch {
	case f.five:
		also = fiveAlso
	case f.three:
		also = threeAlso
	}
	for i := t.First(0); i < int(t.Nodes[0].Next); i = int(t.Nodes[i].Next) {
		switch name := string(t.Name(i)); {
		case name == "modifierExtension", name == "implicitRules":
			f.unclear("modifier")
		case !ordinary[name] && !also[name]:
			f.unclear("unknown-element")
		}
	}
	switch text(t, 0, "status") {
	case "active":
		f.c.active = true
	case "draft", "proposed", "rejected", "inactive", "entered-in-error", "not-done":
	default:
		f.c.active = true
		f.unclear("unknown-status")
	}
	f.scope()
	f.given()
}

// scope: R4 has Consents about treatment, research and advance directives too,
// which say nothing here (CONS-01). Those of the German MII about research are
// heard where it is research that is asked for.
func (f *form) scope() {
	if f.five || f.three { // STU3's are about privacy alone
		return
	}
	if f.t.Get(0, "scope") < 0 {
		f.unclear("no-scope")
		return
	}
	for _, c := range codingsOf(f.t, f.t.Get(0, "scope")) {
		if c.system != "" && !strings.HasSuffix(c.system, "/consentscope") {
			continue
		}
		switch {
		case c.code == "patient-privacy":
			return
		case c.code == "research" && f.mii():
			f.c.root.research = true
			return
		}
	}
	f.c.active = false
}

func (f *form) given() {
	name := "dateTime"
	if f.five {
		name = "date"
	}
	if f.t.Get(0, name) < 0 {
		if meta := f.t.Get(0, "meta"); meta >= 0 {
			f.c.given, _, _ = span(text(f.t, meta, "lastUpdated"), f.zone)
		}
		return
	}
	from, _, ok := span(text(f.t, 0, name), f.zone)
	if !ok {
		f.unclear("malformed-element")
	}
	f.c.given = from
}

// rules reads what is permitted and denied.
func (f *form) rules() {
	switch {
	case f.five:
		f.rulesOfFive()
		return
	case f.three:
		f.rulesOfThree()
		return
	}
	root := &f.c.root
	root.path = "provision"
	p := f.t.Get(0, "provision")
	if p >= 0 && f.t.Nodes[p].Kind != wire.Object {
		f.unclear("malformed-element")
		root.kind = deny
		return
	}
	base, name := f.base()
	if p >= 0 {
		f.provision(root, p, 0)
	}
	switch {
	case root.kind == silent && f.t.Get(max(p, 0), "type") >= 0 && p >= 0:
		root.kind = deny // of a type that there is not
		f.unclear("malformed-element")
	case root.kind == silent:
		root.kind, root.base = base, name
	case root.kind == permit && base == deny:
		f.exceptToOptOut(root)
	}
}

// exceptToOptOut: an opt-out with a permit in its root provision permits that
// and nothing else; one that permits everything contradicts itself.
func (f *form) exceptToOptOut(root *provision) {
	if root.unconditional() {
		f.unclear("contradictory")
	}
	inner := *root
	inner.research = false
	*root = provision{kind: deny, path: "policyRule", period: inner.period, research: root.research, exceptions: []provision{inner}}
}

// base is what holds where the root provision has no type of its own: the
// policy that the Consent refers to (C6). One that is not known leaves it to
// the policy that holds without a Consent.
func (f *form) base() (verdict, *provision) {
	for _, c := range codingsOf(f.t, f.t.Get(0, "policyRule")) {
		switch c.code {
		case "OPTIN", "OPTINR":
			return permit, nil
		case "OPTOUT", "OPTOUTE":
			return deny, nil
		}
	}
	for _, p := range f.list(0, "policy", nil) {
		if named := implicitPolicy(text(f.t, p, "uri")); named != nil {
			return silent, named
		}
	}
	return silent, nil
}

// rulesOfFive reads R5: a decision, and provisions that each turn round what
// the level above them says.
func (f *form) rulesOfFive() {
	t, root := f.t, &f.c.root
	root.path = "decision"
	root.kind = kindOf(text(t, 0, "decision"))
	root.period = f.period(0, "period", root)
	if root.kind == silent {
		if t.Get(0, "decision") >= 0 {
			root.kind = deny
			f.unclear("malformed-element")
		} else if basis := t.Get(0, "policyBasis"); basis >= 0 {
			root.base = implicitPolicy(text(t, basis, "uri"))
		}
	}
	for _, g := range f.list(0, "grantee", root) {
		root.grantees = append(root.grantees, actor{ref: f.reference(g)})
	}
	kind := opposite(root.kind)
	if f.formPermits() {
		kind = permit
	}
	for i, p := range f.list(0, "provision", root) {
		e := provision{path: step("provision", i), kind: kind}
		f.provision(&e, p, 1)
		root.exceptions = append(root.exceptions, e)
	}
}

// formPermits tells a permission that the gateway has written from a form.
func (f *form) formPermits() bool {
	basis := f.t.Get(0, "policyBasis")
	return f.t.Get(0, "decision") < 0 && basis >= 0 && text(f.t, basis, "uri") == formPermits && f.seal != nil && f.seal.marked(f.t)
}

// opposite of what is not known is taken for a denial: it may be one.
func opposite(v verdict) verdict {
	if v == deny {
		return permit
	}
	return deny
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

// authors reads who made the Consent.
func (f *form) authors() {
	names := []string{"performer", "organization"}
	switch {
	case f.five:
		names = []string{"grantor", "manager", "controller"}
	case f.three:
		names = []string{"consentingParty", "organization"}
	}
	for _, name := range names {
		for _, node := range elements(f.t, f.t.Get(0, name)) {
			if ref := f.reference(node); ref != "" {
				f.c.authors = append(f.c.authors, ref)
			}
			if id := f.t.Get(node, "identifier"); id >= 0 {
				f.c.authors = append(f.c.authors, text(f.t, id, "system")+"|"+text(f.t, id, "value"))
			}
		}
	}
	f.c.sealed = f.seal != nil && f.seal.marked(f.t)
}
