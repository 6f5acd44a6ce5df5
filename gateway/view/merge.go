package view

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
)

// HiddenError is a change that a view does not let be made: Path is the element.
type HiddenError struct{ Path string }

func (e *HiddenError) Error() string { return e.Path + " is hidden or changed by the view" }

// Writes tells whether what the view shows may be written back.
func (w *View) Writes() bool { return w.writes }

// Merge is what a stored resource becomes when its reader writes back what the
// view showed of it (W-11): three ways, element by element. What the reader left
// as it was shown stays as it is stored, what was hidden stays, and what is new
// is turned back: ids, references, identifiers and dates. A change of anything
// else is a *HiddenError. Without before and shown it is a new resource.
func (w *View) Merge(before, shown, written []byte, c Context) ([]byte, error) {
	m := &merger{run: run{view: w, ctx: c}}
	if err := m.tree.Parse(written); err != nil {
		return nil, fmt.Errorf("read what is written: %w", err)
	}
	m.doc, m.nodes = m.tree.Doc, m.tree.Nodes
	bi, si := -1, -1
	if before != nil {
		if err := errors.Join(m.before.Parse(before), m.shown.Parse(shown)); err != nil {
			return nil, fmt.Errorf("read what is stored: %w", err)
		}
		bi, si = 0, 0
	}
	typ := m.tree.Get(0, "resourceType")
	if typ < 0 || w.auto == nil || w.over != nil || w.auto.starts[m.peek(typ)] == nil {
		return nil, &HiddenError{"resourceType"}
	}
	m.here = resource{typ: m.peek(typ), patient: c.Patient, asked: true}
	if err := m.overrule(); err != nil {
		return nil, err
	}
	if err := m.object(m.here.typ, w.auto.starts[m.here.typ], bi, si, 0); err != nil {
		return nil, err
	}
	return m.out, nil
}

// merger writes one resource. Indices into before and shown are -1 where the
// reader adds something.
type merger struct {
	run    // over what is written
	before wire.Tree
	shown  wire.Tree
	out    []byte
}

func (m *merger) object(path string, s *state, bi, si, ni int) error {
	if m.nodes[ni].Kind != wire.Object {
		return &HiddenError{path}
	}
	m.out = append(m.out, '{')
	for c := range m.tree.Children(ni) {
		name := string(m.tree.Name(c))
		m.name(name)
		mark := len(m.out)
		if err := m.member(path, name, s, bi, si, ni, c); err != nil {
			return err
		}
		if len(m.out) == mark { // nothing is stored of what the view made up
			m.unname(name)
		}
	}
	if err := m.left(path, bi, si, ni); err != nil {
		return err
	}
	m.out = append(bytes.TrimSuffix(m.out, []byte(",")), '}')
	return nil
}

func (m *merger) name(name string) { m.out = append(wire.Quote(m.out, name), ':') }

func (m *merger) unname(name string) {
	m.out = m.out[:len(m.out)-len(wire.Quote(nil, name))-1]
}

// member merges one member that the reader wrote.
func (m *merger) member(path, name string, s *state, bi, si, ni, c int) error {
	b, v := get(&m.before, bi, name), get(&m.shown, si, name)
	root, at := ni == 0, s.table.find([]byte(name))
	switch {
	case root && name == "resourceType":
		m.raw(m.tree.Raw(c))
	case root && name == "meta" && bi >= 0:
		return m.meta(path, b, v, c)
	case v >= 0 && same(&m.shown, v, &m.tree, c):
		if b >= 0 {
			m.raw(m.before.Raw(b))
		}
	case v < 0 && b >= 0, at < 0, root && name == "id" && bi >= 0:
		return &HiddenError{path + "." + name}
	case s.fields[at].info.Array:
		return m.array(path+"."+name, s.fields[at], b, v, ni, c)
	default:
		if err := m.value(path+"."+name, s.fields[at], b, v, ni, c); err != nil {
			return err
		}
		m.out = append(m.out, ',')
	}
	return nil
}

func (m *merger) raw(b []byte) { m.out = append(append(m.out, b...), ',') }

// left keeps what the reader did not see, and takes out what it left out. What
// holds hidden parts cannot be left out: they would be erased.
func (m *merger) left(path string, bi, si, ni int) error {
	if bi < 0 {
		return nil
	}
	for b := range m.before.Children(bi) {
		name := string(m.before.Name(b))
		v := get(&m.shown, si, name)
		switch {
		case m.tree.Get(ni, name) >= 0:
		case v < 0, ni == 0 && (name == "id" || name == "meta"):
			m.name(name)
			m.raw(m.before.Raw(b))
		case !wholly(&m.before, b, &m.shown, v):
			return &HiddenError{path + "." + name}
		}
	}
	return nil
}

// meta stays as it is stored; a reader may leave it out, or send back what it saw.
func (m *merger) meta(path string, b, v, c int) error {
	for part := range m.tree.Children(c) {
		switch name := string(m.tree.Name(part)); name {
		case "versionId", "lastUpdated":
		default:
			if at := get(&m.shown, v, name); at < 0 || !same(&m.shown, at, &m.tree, part) {
				return &HiddenError{path + ".meta." + name}
			}
		}
	}
	if b >= 0 {
		m.raw(m.before.Raw(b))
	}
	return nil
}

// array pairs what is written with what was shown by equality, then by place.
func (m *merger) array(path string, f *field, bi, si, parent, ni int) error {
	if m.nodes[ni].Kind != wire.Array {
		return &HiddenError{path}
	}
	written, stored, seen := children(&m.tree, ni), children(&m.before, bi), children(&m.shown, si)
	if len(stored) != len(seen) { // which one is which cannot be told
		return &HiddenError{path}
	}
	pairs, ok := m.pair(written, seen, stored)
	if !ok || f.leaf && len(written) != len(stored) && m.tree.Get(parent, "_"+f.info.Name) >= 0 {
		return &HiddenError{path}
	}
	m.out = append(m.out, '[')
	for k, n := range written {
		p := pairs[k]
		if p >= 0 && same(&m.shown, seen[p], &m.tree, n) {
			m.raw(m.before.Raw(stored[p]))
			continue
		}
		b, v := -1, -1
		if p >= 0 {
			b, v = stored[p], seen[p]
		}
		if err := m.value(fmt.Sprintf("%s[%d]", path, k), f, b, v, parent, n); err != nil {
			return err
		}
		m.out = append(m.out, ',')
	}
	m.out = append(bytes.TrimSuffix(m.out, []byte(",")), ']', ',')
	return nil
}

// pair finds for each element that is written the one that it was, -1 for a new
// one. ok is false where that is ambiguous, or where one that is gone had hidden
// parts.
func (m *merger) pair(written, seen, stored []int) (pairs []int, ok bool) {
	pairs = make([]int, len(written))
	used := make([]bool, len(seen))
	fresh, gone := 0, len(seen)
	for k, n := range written {
		pairs[k] = -1
		for try := range seen { // from its own place on
			p := (k + try) % len(seen)
			if !used[p] && same(&m.shown, seen[p], &m.tree, n) {
				pairs[k], used[p] = p, true
				gone--
				break
			}
		}
		if pairs[k] < 0 {
			fresh++
		}
	}
	switch {
	case fresh == 0 || gone == 0:
		for p := range seen {
			if !used[p] && !wholly(&m.before, stored[p], &m.shown, seen[p]) {
				return nil, false
			}
		}
		return pairs, true
	case fresh != gone || len(written) != len(seen):
		return nil, false
	}
	for k, n := range written {
		if pairs[k] >= 0 {
			continue
		}
		if used[k] || !wholly(&m.before, stored[k], &m.shown, seen[k]) && !m.akin(seen[k], n) {
			return nil, false
		}
		pairs[k] = k
	}
	return pairs, true
}

// akin tells that an element is a changed one, not another: something in it is
// as it was shown.
func (m *merger) akin(v, n int) bool {
	if m.nodes[n].Kind != wire.Object {
		return false
	}
	for c := range m.tree.Children(n) {
		if at := get(&m.shown, v, string(m.tree.Name(c))); at >= 0 && same(&m.shown, at, &m.tree, c) {
			return true
		}
	}
	return false
}

// value writes one value that differs from what was shown, or is new.
func (m *merger) value(path string, f *field, b, v, parent, n int) error {
	w := m.choose(parent, n, f)
	switch {
	case f.nested:
		return &HiddenError{path}
	case f.leaf:
		if f.kind.fits(m.nodes[n].Kind) && m.back(parent, n, f, &w.rule.method) {
			return nil
		}
		return &HiddenError{path}
	case w.next.dead, w.rule.method.hides() && f.info.Type == "Extension":
		return &HiddenError{path}
	}
	return m.object(path, w.next, b, v, n)
}

// back turns a shown leaf into what is stored. false: the view tells no way back.
func (m *merger) back(parent, n int, f *field, by *method) bool {
	switch by.name {
	case keep:
		if m.wellFormed(n, f.kind) {
			m.out = append(m.out, m.tree.Raw(n)...)
			return true
		}
	case dateShift:
		return f.kind.dated() && m.unshift(n, f.kind, by)
	case encrypt: // what the reader saw was another text each time
		real, err := m.view.codec.Open(m.ctx.Domain, f.place(), m.tree.Text(n))
		return err == nil && m.text(real)
	case pseudonymize:
		switch name := f.info.Name; {
		case name == "reference":
			return m.realReference(m.tree.Text(n))
		case f.owner == "Identifier" && name == "system":
			system, ok := m.realSystem(n)
			return ok && m.text(system)
		case f.owner == "Identifier" && name == "value":
			system, ok := m.realSystem(m.tree.Get(parent, "system"))
			real, opens := m.view.codec.RealText(m.ctx.Domain, identifierLabel(system), m.tree.Text(n))
			return ok && opens && m.text(real)
		}
	}
	return false
}

func (m *merger) text(s string) bool {
	m.out = wire.Quote(m.out, s)
	return true
}

func (m *merger) realReference(text string) bool {
	ref, version, ok := m.ctx.Own.ParseRef(text)
	if !ok || version != "" {
		return false
	}
	in := &inbound{view: m.view, domain: m.ctx.Domain}
	id, ok := in.real(ref.Type, ref.ID)
	return ok && m.text(fhir.Ref{Type: ref.Type, ID: id}.String())
}

// realSystem opens the system of an identifier; -1 is one without.
func (m *merger) realSystem(n int) (string, bool) {
	if n < 0 {
		return "", true
	}
	text := m.tree.Text(n)
	if len(text) <= len(pseudonymousSystem) || text[:len(pseudonymousSystem)] != pseudonymousSystem {
		return "", false
	}
	return m.view.codec.RealText(m.ctx.Domain, "system", text[len(pseudonymousSystem):])
}

// unshift moves a day back by the patient's offset. The time of day is as it is
// written: the view shows none, or the true one.
func (m *merger) unshift(n int, kind prim, by *method) bool {
	d, ok := parseDate(m.tree.Text(n))
	if !ok || d.have < len("2006-01-02") || kind == primInstant && d.rest == "" || m.ctx.Patient == "" {
		return false
	}
	days, err := m.view.daysOf(m.ctx.Domain, m.ctx.Patient, by)
	return err == nil && m.text(d.start().AddDate(0, 0, -days).Format(time.DateOnly)+d.rest)
}

func get(t *wire.Tree, i int, name string) int {
	if i < 0 || t.Nodes[i].Kind != wire.Object {
		return -1
	}
	return t.Get(i, name)
}

func children(t *wire.Tree, i int) (list []int) {
	if i < 0 || t.Nodes[i].Kind != wire.Array {
		return nil
	}
	for c := range t.Children(i) {
		list = append(list, c)
	}
	return list
}

// same compares two values as JSON: order of members and escapes do not count.
func same(a *wire.Tree, i int, b *wire.Tree, j int) bool {
	if a.Nodes[i].Kind != b.Nodes[j].Kind {
		return false
	}
	switch a.Nodes[i].Kind {
	case wire.String:
		return a.Text(i) == b.Text(j)
	case wire.Array:
		x, y := children(a, i), children(b, j)
		if len(x) != len(y) {
			return false
		}
		for k := range x {
			if !same(a, x[k], b, y[k]) {
				return false
			}
		}
		return true
	case wire.Object:
		n := 0
		for c := range a.Children(i) {
			other := b.Get(j, string(a.Name(c)))
			if other < 0 || !same(a, c, b, other) {
				return false
			}
			n++
		}
		for range b.Children(j) {
			n--
		}
		return n == 0
	}
	return bytes.Equal(a.Raw(i), b.Raw(j))
}

// wholly tells whether all that a stored value has is there as it is shown.
func wholly(stored *wire.Tree, i int, shown *wire.Tree, j int) bool {
	if stored.Nodes[i].Kind != shown.Nodes[j].Kind {
		return false
	}
	switch stored.Nodes[i].Kind {
	case wire.Array:
		x, y := children(stored, i), children(shown, j)
		if len(x) != len(y) {
			return false
		}
		for k := range x {
			if !wholly(stored, x[k], shown, y[k]) {
				return false
			}
		}
	case wire.Object:
		for c := range stored.Children(i) {
			other := shown.Get(j, string(stored.Name(c)))
			if other < 0 || !wholly(stored, c, shown, other) {
				return false
			}
		}
	}
	return true
}

// WrittenPatient is the one patient that a new resource is about, as its writer
// names it: "Patient/1" in the record's own ids, "" where there is none.
func WrittenPatient(written []byte, w *View, c Context) string {
	shown, ok := PatientOf(w.version, written, c.Own)
	if !ok {
		return ""
	}
	typ, id, _ := strings.Cut(shown, "/")
	in := &inbound{view: w, domain: c.Domain}
	if id, ok = in.real(typ, id); !ok || typ != "Patient" {
		return ""
	}
	return typ + "/" + id
}
