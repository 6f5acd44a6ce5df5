// Package compat runs the rule files of two other de-identification tools and
// gives their results: Microsoft's FHIR anonymizer (JSON) and miracum's FHIR
// pseudonymizer (YAML).
//
// Unlike a view of ours, such a file keeps what no rule names, and its rules
// run one after the other over a tree that each of them changes.
package compat

import (
	"fmt"
	"time"

	"gatehouse/fhir"
)

// The tools, as the configuration names them.
const (
	Microsoft = "microsoft"
	Miracum   = "miracum"
)

// Engine is a compiled rule file. It never changes and is safe for concurrent
// use.
type Engine struct {
	tool    string
	file    string
	version fhir.Version
	now     func() time.Time
	keys    Keys
	fill    bool   // empty keys are made from keys
	noise   []byte // seeds perturb where there are no keys
	params  params
	rules   []*rule
	skip    bool // a failing rule empties the resource
	refs    *references
}

// Keys are the pseudonym keys of the house, for what the tools leave to a
// service or to chance.
type Keys interface {
	// Pseudonym is a legal FHIR id, the same each time and another for each text.
	Pseudonym(domain, label, text string) (string, error)
	// MAC is a keyed hash.
	MAC(domain, label, text string) ([]byte, error)
}

// Options are what a file needs besides its rules.
type Options struct {
	Version fhir.Version
	Now     func() time.Time // for ages; nil is the wall clock
	Keys    Keys             // nil where there are none
	Fill    bool             // empty keys of the file are made from Keys, else refused where a rule uses them
}

// Context is what the caller knows of a resource and its reader.
type Context struct {
	Domain string // whose pseudonyms; "" is one domain for all
	Source string // path of the file it came from, "" where there is none
}

// Load reads the rule file of a tool. An error names file, line and column,
// one line for each problem.
func Load(tool, name string, data []byte, o Options) (*Engine, error) {
	e := &Engine{tool: tool, file: name, version: o.Version, now: o.Now, keys: o.Keys, fill: o.Fill}
	if e.now == nil {
		e.now = time.Now
	}
	var root *value
	var err error
	switch tool {
	case Microsoft:
		root, err = readJSON(name, data)
	case Miracum:
		root, err = readYAML(name, data)
	default:
		return nil, fmt.Errorf("%s: there is no compat %q; write %s or %s", name, tool, Microsoft, Miracum)
	}
	if err != nil {
		return nil, err
	}
	if err := e.configure(root); err != nil {
		return nil, err
	}
	e.refs = newReferences(o.Version, tool == Miracum)
	return e, nil
}
