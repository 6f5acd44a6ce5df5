package compat

import (
	"errors"
	"fmt"
	"slices"

	"gatehouse/fhir/wire"
)

// run is one document on its way through the rules.
type run struct {
	*Engine
	ctx     Context
	root    *node
	origin  string // id of the root before any rule
	changes int    // so far, to know when a copy is stale
	copy    copied
	noises  int // drawn so far
}

// copied is a resource as the FHIRPath engine reads it.
type copied struct {
	of      *node
	changes int
	tree    wire.Tree
	places  map[int]*node
}

// ErrRule is a rule that failed on a resource, where the file says raise.
var ErrRule = errors.New("a rule failed")

// Apply appends the resource as the rules leave it, as compact JSON. Where a
// rule fails and the file says skip, that is the resource without anything in
// it; else the error is ErrRule, and nothing may be shown.
func (e *Engine) Apply(dst, doc []byte, c Context) ([]byte, error) {
	var t wire.Tree
	if err := t.Parse(doc); err != nil {
		return dst, fmt.Errorf("read resource: %w", err)
	}
	b := &builder{version: e.version, tree: &t}
	root, err := b.resource(0, nil)
	if err != nil {
		return dst, fmt.Errorf("read resource: %w", err)
	}
	r := &run{Engine: e, ctx: c, root: root, origin: idOf(root)}
	_, err = r.visit(root, b.dropped)
	w := writer{out: dst}
	switch {
	case err != nil && e.skip:
		root.kids = nil
		root.label(done{redacted: true})
	case err != nil:
		return dst, fmt.Errorf("%w: %w", ErrRule, err)
	default:
		root.prune()
	}
	w.node(root)
	return w.out, nil
}

func idOf(n *node) string {
	if id := n.child("id"); id != nil {
		return id.text()
	}
	return ""
}

// visit applies the rules to each resource, the outer before those in it.
func (r *run) visit(n *node, dropped bool) (did done, err error) {
	if n.resource {
		if did, err = r.resource(n); err != nil {
			return did, err
		}
		did.redacted = did.redacted || dropped
	}
	for _, k := range slices.Clone(n.kids) {
		inner, err := r.visit(k, false)
		if err != nil {
			return did, err
		}
		did = did.or(inner)
	}
	if n.resource && n.name != "contained" {
		n.label(did)
	}
	return did, nil
}

// resource runs all rules that may be about n, in the order of the file.
func (r *run) resource(n *node) (did done, err error) {
	for _, ru := range r.rules {
		if ru.head != "" && ru.head != n.typ {
			continue
		}
		found, err := r.find(&ru.sel, n)
		if err != nil {
			return did, ru.at.errorf(r.file, "%w", err)
		}
		for _, f := range found {
			one, err := r.process(f, ru)
			if err != nil {
				return did, ru.at.errorf(r.file, "method %s: %w", ru.method.name, err)
			}
			did = did.or(one)
		}
	}
	return did, nil
}

// process applies a rule to a node and all in it that no rule has decided yet.
func (r *run) process(n *node, ru *rule) (did done, err error) {
	if n.visited {
		return done{}, nil
	}
	r.changes++
	if did, err = r.apply(n, &ru.method); err != nil {
		return did, err
	}
	n.visited = true
	for _, k := range slices.Clone(n.kids) {
		if k.resource {
			continue
		}
		one, err := r.process(k, ru)
		if err != nil {
			return did, err
		}
		did = did.or(one)
	}
	return did, nil
}

func (r *run) apply(n *node, m *method) (done, error) {
	switch m.name {
	case redact:
		return r.redact(n), nil
	case dateShift:
		return r.dateShift(n), nil
	case cryptoHash:
		return r.cryptoHash(n, m), nil
	case encrypt:
		return r.encrypt(n)
	case substitute:
		return r.substitute(n, m)
	case perturb:
		return r.perturb(n, m)
	case generalize:
		return r.generalize(n, m)
	case pseudonymize:
		return r.pseudonymize(n, m)
	case remove:
		return r.remove(n), nil
	}
	return done{}, nil // keep
}
