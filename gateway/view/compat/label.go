package compat

import (
	"strings"

	"gatehouse/fhir/wire"
)

// done is what was done to a resource and those in it.
type done struct {
	redacted, abstracted, hashed, masked, perturbed, substituted, generalized, pseudonymized, removed bool
}

func (d done) or(o done) done {
	return done{d.redacted || o.redacted, d.abstracted || o.abstracted, d.hashed || o.hashed, d.masked || o.masked, d.perturbed || o.perturbed,
		d.substituted || o.substituted, d.generalized || o.generalized, d.pseudonymized || o.pseudonymized, d.removed || o.removed}
}

const observationValue = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"

// tags are the codings of meta.security in the order of the tools.
var tags = []struct {
	is                    func(done) bool
	system, code, display string
}{
	{func(d done) bool { return d.redacted }, observationValue, "REDACTED", "redacted"},
	{func(d done) bool { return d.abstracted }, observationValue, "ABSTRED", "abstracted"},
	{func(d done) bool { return d.hashed }, observationValue, "CRYTOHASH", "cryptographic hash function"}, // so written in the tools
	{func(d done) bool { return d.masked }, observationValue, "MASKED", "masked"},
	{func(d done) bool { return d.perturbed }, "", "PERTURBED", "exact value is replaced with another exact value"},
	{func(d done) bool { return d.substituted }, "", "SUBSTITUTED", "exact value is replaced with a predefined value"},
	{func(d done) bool { return d.generalized }, "", "GENERALIZED", "exact value is replaced with a general value"},
	{func(d done) bool { return d.pseudonymized }, observationValue, "PSEUDED", "pseudonymized"},
	{func(d done) bool { return d.removed }, observationValue, "REDACTED", "redacted"},
}

// label writes what was done into meta.security, where it is not said yet.
func (n *node) label(d done) {
	if d == (done{}) {
		return
	}
	meta := n.child("meta")
	if meta == nil {
		meta = &node{name: "meta", json: "meta", typ: "Meta", parent: n, visited: true}
		at := 0
		if len(n.kids) > 0 && n.kids[0].name == "id" {
			at = 1
		}
		n.kids = append(n.kids[:at], append([]*node{meta}, n.kids[at:]...)...)
	}
	for _, t := range tags {
		if t.is(d) && !meta.labelled(t.code) {
			meta.insert(coding(t.system, t.code, t.display))
		}
	}
}

func (n *node) labelled(code string) bool {
	for _, k := range n.kids {
		if k.name != "security" {
			continue
		}
		if c := k.child("code"); c != nil && strings.EqualFold(c.text(), code) {
			return true
		}
	}
	return false
}

func coding(system, code, display string) *node {
	c := &node{name: "security", json: "security", typ: "Coding", repeats: true, visited: true}
	if system != "" {
		c.insert(leaf("system", "uri", system))
	}
	c.insert(leaf("code", "code", code))
	c.insert(leaf("display", "string", display))
	return c
}

func leaf(name, typ, text string) *node {
	return &node{name: name, json: name, typ: typ, raw: wire.Quote(nil, text), primitive: true, visited: true}
}
