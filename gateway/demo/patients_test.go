package demo

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
)

func TestPatientsAreTheSame(t *testing.T) {
	few, many := Patients(5), Patients(60)
	for i, r := range few {
		if !bytes.Equal(r, many[i]) {
			t.Fatalf("resource %d differs: %s", i, r)
		}
	}
	all := string(bytes.Join(many, nil))
	for _, mess := range []string{`1.10`, `0.00010`, `1e-3`, `12345678901234567890.10`, `"contained"`, `"modifierExtension"`, `"presentedForm"`, `\u00fc`, "王小明", "Ayşe",
		"e\u0301", `"code":"V"`, `"code":"HIV"`, `"code":"PSY"`, `"code":"ETH"`, `"birthDate":"19`, strings.Repeat("x", 59), strings.Repeat("0", 80), `<div xmlns=\"`} {
		if !strings.Contains(all, mess) {
			t.Errorf("no %s among the patients", mess)
		}
	}
}

// Untidy, but FHIR: every element is one of R4's, what must be there is there,
// ids are unique, and references lead to something.
func TestPatientsAreFHIR(t *testing.T) {
	known := map[fhir.Ref]bool{}
	all := Patients(300)
	for _, r := range all {
		ref, err := identify(r)
		if err != nil {
			t.Fatalf("%v: %s", err, r)
		}
		if known[ref] {
			t.Errorf("%s is there twice", ref)
		}
		known[ref] = true
	}
	var tree wire.Tree
	for _, r := range all {
		if err := tree.Parse(r); err != nil {
			t.Fatalf("%v: %s", err, r)
		}
		c := checker{t: t, tree: &tree, known: known}
		c.resource(0)
		if t.Failed() {
			t.Fatalf("in %s", r)
		}
	}
}

type checker struct {
	t     *testing.T
	tree  *wire.Tree
	known map[fhir.Ref]bool
}

func (c *checker) resource(node int) {
	c.object(node, c.tree.Text(c.tree.Get(node, "resourceType")))
}

func (c *checker) object(node int, typ string) {
	var seen []string
	for child := range c.tree.Children(node) {
		name := strings.TrimPrefix(string(c.tree.Name(child)), "_")
		if name == "resourceType" {
			continue
		}
		e, ok := fhir.R4.Element(typ, name)
		if !ok {
			c.t.Errorf("%s has no %s", typ, name)
			return
		}
		seen = append(seen, e.Path)
		if array := c.tree.Nodes[child].Kind == wire.Array; array != e.Array {
			c.t.Errorf("%s.%s: a list is %v, want %v", typ, name, array, e.Array)
		} else if array {
			for item := range c.tree.Children(child) {
				c.value(item, e.Type)
			}
		} else {
			c.value(child, e.Type)
		}
	}
	for e := range fhir.R4.Elements(typ) {
		if e.Required && !slices.Contains(seen, e.Path) {
			c.t.Errorf("%s lacks %s", typ, e.Name)
		}
	}
}

func (c *checker) value(node int, typ string) {
	if c.tree.Nodes[node].Kind != wire.Object {
		return
	}
	switch fhir.R4.Kind(typ) {
	case fhir.Abstract, fhir.Resource:
		c.resource(node)
	case fhir.Complex, fhir.Backbone:
		c.object(node, typ)
	}
	if typ != "Reference" {
		return
	}
	if i := c.tree.Get(node, "reference"); i >= 0 {
		if ref, _, ok := fhir.ParseRef(c.tree.Text(i), nil); ok && !c.known[ref] {
			c.t.Errorf("%s leads nowhere", ref)
		}
	}
}
