package main

import (
	"log"
	"slices"
	"strings"
)

// table is what one release's tables hold, sorted, before it is written.
type table struct {
	types        []typeRow // by name
	compartments []compartmentRow
}

type typeRow struct {
	name, kind string // kind: Primitive, Complex, Backbone, Abstract, Resource
	elements   []elementRow
	params     []paramRow
}

type elementRow struct {
	name, path, typ string // name as in JSON, path as in FHIRPath
	order, min      int
	array, summary  bool
}

type paramRow struct {
	code, typ, expression string
	targets               []string
	components            [][2]string // code, expression
}

type compartmentRow struct {
	name, typ string
	params    []string
}

func build(d definitions) table {
	var t table
	release := d.release()
	for _, s := range d.structures {
		if s.Derivation != "constraint" && s.Kind != "logical" && s.FhirVersion == release {
			t.types = append(t.types, typesOf(s)...)
		}
	}
	slices.SortFunc(t.types, func(a, b typeRow) int { return strings.Compare(a.name, b.name) })
	t.addParams(d.parameters, referencesOf(d.structures))
	for _, c := range d.compartments {
		if c.Experimental && c.Code != "" && len(c.Resource) < 100 {
			continue // the specification's example
		}
		t.addCompartment(c)
	}
	slices.SortFunc(t.compartments, func(a, b compartmentRow) int {
		if c := strings.Compare(a.name, b.name); c != 0 {
			return c
		}
		return strings.Compare(a.typ, b.typ)
	})
	return t
}

// release is the FHIR version of Patient: packages slip in single types of a
// later release.
func (d definitions) release() string {
	i := slices.IndexFunc(d.structures, func(s structure) bool { return s.Name == "Patient" })
	if i < 0 {
		log.Fatal("the definitions have no Patient")
	}
	return d.structures[i].FhirVersion
}

// typesOf gives the structure's own type and one for each of its backbones.
func typesOf(s structure) []typeRow {
	rows := []typeRow{{name: s.Name, kind: kindOf(s)}}
	index := map[string]int{s.Name: 0}
	order := map[string]int{} // by parent
	for _, e := range s.Snapshot.Element[1:] {
		cut := strings.LastIndexByte(e.Path, '.')
		parent, name := e.Path[:cut], e.Path[cut+1:]
		at, ok := index[parent]
		if !ok {
			continue // below a datatype: a profile's business
		}
		row := elementRow{name: name, path: name, order: order[parent], min: e.Min, summary: e.IsSummary, array: e.Base.Max != "1" && e.Base.Max != "" || e.Max != "1" && e.Max != "0"}
		order[parent]++
		if strings.HasSuffix(name, "[x]") {
			rows[at].elements = append(rows[at].elements, choices(row, e)...)
			continue
		}
		row.typ = typeOf(e)
		if row.typ == "" && s.Kind == "primitive-type" {
			row.typ = s.Name // STU3 tells the value's type in extensions alone
		}
		if name == "id" && s.Kind == "resource" && parent == s.Name {
			row.typ = "id" // R4 prints "string" here; the type of Resource.id is id
		}
		if row.typ == "BackboneElement" || row.typ == "Element" && hasChildren(s, e.Path) {
			row.typ = e.Path
			index[e.Path] = len(rows)
			rows = append(rows, typeRow{name: e.Path, kind: "Backbone"})
		}
		rows[at].elements = append(rows[at].elements, row)
	}
	for _, r := range rows {
		slices.SortFunc(r.elements, func(a, b elementRow) int { return strings.Compare(a.name, b.name) })
	}
	return rows
}

func kindOf(s structure) string {
	switch {
	case s.Kind == "primitive-type":
		return "Primitive"
	case s.Kind == "complex-type":
		return "Complex"
	case s.Abstract:
		return "Abstract"
	}
	return "Resource"
}

func hasChildren(s structure, path string) bool {
	return slices.ContainsFunc(s.Snapshot.Element, func(e element) bool { return strings.HasPrefix(e.Path, path+".") })
}

func typeOf(e element) string {
	if e.ContentReference != "" {
		return e.ContentReference[strings.IndexByte(e.ContentReference, '#')+1:]
	}
	if len(e.Type) == 0 {
		return ""
	}
	return typeCode(e, 0)
}

// typeCode resolves the System types of ids and primitive values to FHIR's.
func typeCode(e element, i int) string {
	for _, x := range e.Type[i].Extension {
		if strings.HasSuffix(x.URL, "structuredefinition-fhir-type") {
			return x.ValueURL
		}
	}
	code := e.Type[i].Code
	if system, ok := strings.CutPrefix(code, "http://hl7.org/fhirpath/System."); ok {
		return strings.ToLower(system[:1]) + system[1:]
	}
	return code
}

// choices gives value[x] one row as FHIRPath names it and one for each name
// that it has in JSON.
func choices(row elementRow, e element) []elementRow {
	base := strings.TrimSuffix(row.name, "[x]")
	row.name, row.path, row.typ = base, base, ""
	rows := []elementRow{row}
	for i := range e.Type {
		c := row
		c.typ = typeCode(e, i)
		c.name = base + strings.ToUpper(c.typ[:1]) + c.typ[1:]
		if slices.ContainsFunc(rows, func(r elementRow) bool { return r.name == c.name }) {
			continue // STU3 lists Reference once per target
		}
		c.min = 0 // any one of them will do
		rows = append(rows, c)
	}
	return rows
}

func (t *table) addParams(params []parameter, refs references) {
	byURL := map[string]string{}
	for _, p := range params {
		byURL[p.URL] = p.Code
	}
	for _, p := range params {
		for _, base := range p.Base {
			i, ok := slices.BinarySearchFunc(t.types, base, func(r typeRow, n string) int { return strings.Compare(r.name, n) })
			if !ok {
				continue
			}
			row := paramRow{code: p.Code, typ: p.Type, expression: expressionFor(base, p), targets: slices.Clone(p.Target)}
			slices.Sort(row.targets)
			row.targets = refs.narrow(row)
			for _, c := range p.Component {
				row.components = append(row.components, [2]string{byURL[c.Definition], c.Expression})
			}
			if slices.ContainsFunc(row.components, func(c [2]string) bool { return c[0] == "" }) {
				log.Printf("%s.%s is left out: no parameter defines one of its components", base, p.Code)
				continue
			}
			if !slices.ContainsFunc(t.types[i].params, func(r paramRow) bool { return r.code == row.code }) {
				t.types[i].params = append(t.types[i].params, row)
			}
		}
	}
	for _, r := range t.types {
		slices.SortFunc(r.params, func(a, b paramRow) int { return strings.Compare(a.code, b.code) })
	}
}

// expressionFor keeps of a parameter shared by many types the alternatives
// that speak of one of them.
func expressionFor(base string, p parameter) string {
	var keep, bare []string
	for _, part := range alternatives(p.Expression) {
		first := strings.TrimLeft(part, "( ")
		end := strings.IndexAny(first+".", ". )")
		switch head := first[:end]; {
		case head == base || head == "Resource" || head == "DomainResource":
			keep = append(keep, part)
		case !slices.Contains(p.Base, head) && part != "":
			bare = append(bare, base+"."+part) // InsurancePlan's "name | alias"
		}
	}
	if len(keep) == 0 {
		keep = bare // of R5's "date", which is of many types, it is Appointment's
	}
	return strings.Join(keep, " | ")
}

// alternatives splits a union at its top level.
func alternatives(expression string) []string {
	var parts []string
	depth, from := 0, 0
	for i, c := range expression {
		switch c {
		case '(':
			depth++
		case ')':
			depth--
		case '|':
			if depth == 0 {
				parts = append(parts, strings.TrimSpace(expression[from:i]))
				from = i + 1
			}
		}
	}
	return append(parts, strings.TrimSpace(expression[from:]))
}

func (t *table) addCompartment(c compartment) {
	for _, r := range c.Resource {
		if len(r.Param) == 0 {
			continue
		}
		params := slices.DeleteFunc(slices.Clone(r.Param), func(p string) bool { return p == "{def}" })
		for i, p := range params {
			if strings.Contains(p, ".") {
				params[i] = "patient" // STU3's chains say "is about something of the patient's", which no resource tells by itself
			}
		}
		slices.Sort(params)
		t.compartments = append(t.compartments, compartmentRow{c.Code, r.Code, slices.Compact(params)})
	}
}
