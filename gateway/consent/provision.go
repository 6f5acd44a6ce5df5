package consent

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"gatehouse/fhir/wire"
)

// provision is one rule of a Consent, with the exceptions to it.
type provision struct {
	kind       verdict    // silent where the resource does not say
	base       *provision // what a silent one says: a policy that it refers to
	path       string     // "provision.provision[1]"
	period     period
	dataPeriod period
	actors     []actor
	grantees   []actor // of R5: who is to keep to it
	actions    []string
	purposes   []string
	labels     []string // as fhir.Facts has them
	classes    []coding
	codes      []coding
	modules    []string // of the German MII: what they name is a purpose, not data
	data       []datum
	clinician  bool // of PCF's policies: for clinicians alone
	research   bool // heard only where research is the purpose
	adds       bool // PCF: a permit within a permit adds to it
	exceptions []provision
	unclear    bool // it has a condition that is not understood
}

type coding struct{ system, code string }

// actor is whom a provision names: "Practitioner/7", or "Type?identifier=…" of
// one named by an identifier; "" where that cannot be told. One with roles and
// no reference is whoever has one of the roles.
type actor struct {
	ref   string
	roles []coding
	other bool // a part that is not that of a recipient
}

type datum struct{ meaning, ref string }

// understood are the members of a provision that are evaluated here.
var (
	understood = set("id", "period", "actor", "action", "securityLabel", "purpose", "code", "dataPeriod", "data", "provision", "extension")
	onlyFour   = set("type", "class")
	onlyFive   = set("resourceType", "documentType")
)

func step(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// unconditional tells whether the provision holds for every access.
func (p *provision) unconditional() bool {
	return len(p.actors) == 0 && len(p.actions) == 0 && len(p.purposes) == 0 && len(p.labels) == 0 && len(p.classes) == 0 &&
		len(p.codes) == 0 && len(p.modules) == 0 && len(p.data) == 0 && p.dataPeriod == (period{}) && !p.unclear
}

// reads tells whether the provision, or an exception to it, has a condition on
// the resource.
func (p *provision) reads() bool {
	return len(p.labels)+len(p.classes)+len(p.codes)+len(p.data) > 0 || p.dataPeriod != (period{}) ||
		p.base != nil && p.base.reads() || slices.ContainsFunc(p.exceptions, func(e provision) bool { return e.reads() })
}

// provision reads one rule, whose kind R5 gives by where it stands.
func (f *form) provision(p *provision, node, depth int) {
	t := f.t
	if t.Nodes[node].Kind != wire.Object {
		p.kind, p.unclear = deny, true
		return
	}
	f.members(p, node)
	if !f.five {
		p.kind = kindOf(text(t, node, "type"))
	}
	f.conditions(p, node)
	f.exceptions(p, node, depth)
}

// conditions reads what a rule is bound to.
func (f *form) conditions(p *provision, node int) {
	t := f.t
	p.period, p.dataPeriod = f.period(node, "period", p), f.period(node, "dataPeriod", p)
	for _, a := range f.list(node, "actor", p) {
		p.actors = append(p.actors, f.actor(a))
	}
	for _, a := range f.list(node, "action", p) {
		p.actions = append(p.actions, actionIn(codingsOf(t, a)))
	}
	for _, c := range f.codings(node, "purpose", p) {
		p.purposes = append(p.purposes, c.bare("v3-ActReason"))
	}
	for _, c := range f.codings(node, "securityLabel", p) {
		p.labels = append(p.labels, c.bare("v3-Confidentiality", "v3-ActCode"))
	}
	f.classes(p, node)
	f.codes(p, node)
	for _, d := range f.list(node, "data", p) {
		p.data = append(p.data, f.datum(d))
	}
}

func (f *form) members(p *provision, node int) {
	also := onlyFour
	if f.five {
		also = onlyFive
	}
	for i := f.t.First(node); i < int(f.t.Nodes[node].Next); i = int(f.t.Nodes[i].Next) {
		if name := string(f.t.Name(i)); !understood[name] && !also[name] || f.three && name == "provision" {
			p.unclear = true
			f.note("unknown-element")
		}
	}
}

// note keeps a reason for the report without voiding the whole Consent: the
// provision that it stands in is already no permit.
func (f *form) note(why string) {
	if f.c.problem == "" {
		f.c.problem = why
	}
}

func (f *form) exceptions(p *provision, node, depth int) {
	list := f.list(node, "provision", p)
	if depth == maxDepth && len(list) > 0 {
		f.unclear("too-deep")
		p.unclear = true
		return
	}
	pcf := f.pcf()
	for i, n := range list {
		e := provision{path: step(p.path+".provision", i), kind: opposite(p.kind)}
		f.provision(&e, n, depth+1)
		if e.kind == silent {
			e.kind, e.unclear = deny, true // R4 demands a type here; what it was to be cannot be told
			f.note("malformed-element")
		}
		e.adds = pcf && depth == 0 && e.kind == permit && p.kind == permit
		p.exceptions = append(p.exceptions, e)
	}
}

// pcf tells whether the Consent is written by IHE PCF, whose nested permits add
// to the permit that they stand in: "normal data for treatment, and restricted
// data for this doctor".
func (f *form) pcf() bool {
	meta := f.t.Get(0, "meta")
	if meta < 0 {
		return false
	}
	for _, p := range elements(f.t, f.t.Get(meta, "profile")) {
		if strings.HasPrefix(f.t.Text(p), "https://profiles.ihe.net/ITI/PCF/StructureDefinition/") {
			return true
		}
	}
	return false
}

// notRecipients are parts in which an actor is not the one who gets the data.
var notRecipients = set("CST", "CONSENTER", "CONSWIT", "WIT", "GRANTOR", "DELEGATOR", "AUT", "INF", "SOURCE", "EVTWIT", "CLASSIFIER", "DECLASSIFIER", "DOWNGRDER", "TRANS", "VALID", "VERF")

func (f *form) actor(node int) actor {
	t := f.t
	a := actor{ref: f.reference(t.Get(node, "reference"))}
	roles := codingsOf(t, t.Get(node, "role"))
	for _, c := range roles {
		a.other = a.other || notRecipients[c.code]
	}
	if t.Get(node, "reference") < 0 {
		a.roles = roles
	}
	switch typ, _, _ := strings.Cut(a.ref, "/"); typ {
	case "CareTeam", "Group", "PractitionerRole":
		f.needs(a.ref)
	}
	return a
}

func (f *form) needs(name string) {
	if name != "" && !slices.Contains(f.c.needs, name) {
		f.c.needs = append(f.c.needs, name)
	}
}

// datum reads which data are meant. What is related to a resource is told by
// that resource's own references.
func (f *form) datum(node int) datum {
	d := datum{text(f.t, node, "meaning"), f.reference(f.t.Get(node, "reference"))}
	if d.meaning == "related" {
		f.needs(d.ref)
	}
	if typ, _, _ := strings.Cut(d.ref, "/"); d.meaning == "authoredby" && (typ == "CareTeam" || typ == "Group") {
		f.needs(d.ref)
	}
	return d
}

func (f *form) classes(p *provision, node int) {
	names := []string{"class", "resourceType", "documentType"}
	if f.three { // whose root is the resource itself
		names = names[:1]
	}
	for _, name := range names {
		for _, c := range f.codings(node, name, p) {
			if name == "documentType" {
				c.system = "document:" + c.system // never a resource type
			}
			p.classes = append(p.classes, c)
		}
	}
}

// codes reads the codes of data, and the German MII's modules apart from them.
func (f *form) codes(p *provision, node int) {
	for _, n := range f.list(node, "code", p) {
		list := codingsOf(f.t, n)
		if f.three { // a Coding itself
			list = []coding{{text(f.t, n, "system"), text(f.t, n, "code")}}
		}
		if len(list) == 0 {
			p.unclear = true
			f.note("malformed-element")
		}
		for _, c := range list {
			if module, ok := miiModule(c); ok {
				p.modules = append(p.modules, module)
				continue
			}
			p.codes = append(p.codes, c)
		}
	}
}

// list are the objects of a repeating element. One that is not a filled array
// of objects names a condition that cannot be read: it is not the same as none.
func (f *form) list(node int, name string, p *provision) []int {
	at := f.t.Get(node, name)
	if at < 0 {
		return nil
	}
	found := elements(f.t, at)
	bad := len(found) == 0
	for _, e := range found {
		bad = bad || f.t.Nodes[e].Kind != wire.Object
	}
	if !bad {
		return found
	}
	f.note("malformed-element")
	if p == nil {
		f.unclear("malformed-element")
	} else {
		p.unclear = true
	}
	return nil
}

func (f *form) codings(node int, name string, p *provision) []coding {
	var all []coding
	for _, n := range f.list(node, name, p) {
		all = append(all, coding{text(f.t, n, "system"), text(f.t, n, "code")})
	}
	return all
}

// bare is a code as facts and tokens have it: alone if it is of one of the
// systems, or names none, else "system|code".
func (c coding) bare(systems ...string) string {
	for _, s := range systems {
		if c.system == "" || c.system == "http://terminology.hl7.org/CodeSystem/"+s || c.system == "http://hl7.org/fhir/"+strings.Replace(s, "v3-", "v3/", 1) {
			return c.code
		}
	}
	return c.system + "|" + c.code
}

// actionIn is the consent action among codings; "" where there is none, which
// no action matches for certain.
func actionIn(list []coding) string {
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
		if t.Nodes[c].Kind == wire.Object {
			list = append(list, coding{text(t, c, "system"), text(t, c, "code")})
		}
	}
	return list
}

// reference is the "Type/id" of a Reference to this server, or, of one by an
// identifier, the search that finds whom it names. "" is neither: another
// server's Practitioner/7 is not ours (C-10).
func (f *form) reference(node int) string {
	if node < 0 || f.t.Nodes[node].Kind != wire.Object {
		return ""
	}
	if f.t.Get(node, "reference") >= 0 {
		ref, _, ok := f.bases.ParseRef(text(f.t, node, "reference"))
		if !ok {
			return ""
		}
		return ref.String()
	}
	typ, id := text(f.t, node, "type"), f.t.Get(node, "identifier")
	if !named[typ] || id < 0 || f.t.Nodes[id].Kind != wire.Object {
		return ""
	}
	system, value := text(f.t, id, "system"), text(f.t, id, "value")
	if system == "" || value == "" {
		return ""
	}
	name := typ + "?identifier=" + url.QueryEscape(token(system)+"|"+token(value))
	f.needs(name)
	return name
}

// named are the types that an identifier alone may name.
var named = set("Practitioner", "PractitionerRole", "Organization", "Device", "RelatedPerson", "CareTeam", "Group")

// token escapes what has a meaning in a search value.
func token(s string) string {
	return strings.NewReplacer(`\`, `\\`, `,`, `\,`, `|`, `\|`, `$`, `\$`).Replace(s)
}
