// Package view shows a client a transformed FHIR server: field rules compiled
// against FHIR's types, pseudonyms in both directions, and the firewall that
// keeps a search from telling what the view hides.
package view

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"sync"
	"time"

	"gatehouse/config"
	"gatehouse/fhir"
	"gatehouse/fhir/path"
)

// View is a compiled set of rules. It never changes and is safe for concurrent
// use.
type View struct {
	name     string
	version  fhir.Version
	codec    *Codec
	now      func() time.Time
	auto     *automaton
	foreign  foreign    // runs instead of auto where the rules are another tool's
	dynamic  []*rule    // those that need FHIRPath
	random   bool       // pseudonyms are surrogates from the vault
	mapsIDs  bool       // ids are pseudonyms: inbound they are opened
	shifts   bool       // dates are shifted
	knows    bool       // scrubs by what is known of the patient
	cell     int        // patients that a search must find
	writes   bool       // what it shows may be written back
	revision string     // of the rules: what a version id is bound to
	over     *View      // laid over this one
	forms    *sync.Pool // of *forms; nil: each document is walked
	entry    *state     // of the entries of a Bundle; nil: these are shown with it
	below    traits     // of the view that this one is laid over
}

// traits of a lower view that an overlay must not repeat.
type traits struct{ mapsIDs, shifts bool }

// Options are what a view needs besides its rules.
type Options struct {
	Codec *Codec           // nil where no rule needs keys
	Now   func() time.Time // for ages; nil is the wall clock
	// FillKeys makes empty keys of other tools' rule files from the codec's.
	FillKeys bool
}

// Context is what the caller knows of the resource and its reader.
type Context struct {
	Domain  string        // whose pseudonyms; "" only where the view makes none
	Patient string        // "Patient/1", the one patient it is about; "" where none or several
	Base    string        // public base URL: absolute references are written below it
	Own     *fhir.BaseSet // bases under which absolute references are ours
	Known   []string      // names and numbers of the patient, for scrub
	// KnownWhole: Known are those of all whom it is about. Else a text that a rule
	// with known scrubs is taken out.
	KnownWhole bool
	Source     string // path of the file it came from, "" where there is none

	ask bool // the patient is what the resource says, if a rule needs one
}

// Load compiles the view that the configuration calls name. An error names
// file, line and column.
func Load(v fhir.Version, name string, c config.View, o Options) (*View, error) {
	if c.Compat != "" {
		return loadForeign(v, name, c, o)
	}
	f, err := open(v, c)
	if err != nil {
		return nil, err
	}
	w, err := build(v, name, f, o)
	if err == nil {
		w.writes = c.Write
	}
	return w, err
}

func build(v fhir.Version, name string, f *file, o Options) (*View, error) {
	w := &View{name: name, version: v, codec: o.Codec, now: o.Now, random: f.random, cell: f.cell}
	if w.now == nil {
		w.now = time.Now
	}
	hash := sha256.New()
	fallback := method{name: redact}
	if f.keepRest {
		fallback.name = keep
	}
	rules := append(f.rules, &rule{method: fallback})
	for i, r := range rules {
		r.index = i
		fmt.Fprintf(hash, "%s\x00%+v\x00%s\x00%t\x00%q\n", r.path, r.method, r.when.member, r.when.not, r.when.items)
		if err := w.check(r); err != nil {
			return nil, err
		}
	}
	w.revision = base64.RawURLEncoding.EncodeToString(hash.Sum(nil)[:9])
	w.auto = newAutomaton(v, rules)
	if w.dynamic == nil { // FHIRPath may ask anything
		w.forms, w.entry = newForms(), w.entryState()
	}
	return w, nil
}

// check refuses rules that could never do what they say.
func (w *View) check(r *rule) error {
	switch m := r.method.name; {
	case (m == pseudonymize || m == cryptoHash || m == dateShift || m == perturb || m == encrypt) && w.codec == nil:
		return fmt.Errorf("%s: method %s needs a key (--key-file, or pseudonyms.key_file)", r.at, m)
	case r.dynamic != nil:
		w.dynamic = append(w.dynamic, r)
	}
	if r.lenient {
		r.patterns = slices.DeleteFunc(r.patterns, func(p pattern) bool { return !w.names(p) })
	}
	for _, p := range r.patterns {
		if p.anchor != "" && !w.version.KnownType(p.anchor) {
			return fmt.Errorf("%s: %s is not a resource type", r.at, p.anchor)
		}
		if len(p.steps) == 0 && r.when.member != "" {
			return fmt.Errorf("%s: a rule about the whole resource cannot have a condition", r.at)
		}
		if p.anchor != "" && len(p.steps) > 0 && !p.steps[0].deep {
			if _, ok := w.version.Element(p.anchor, p.steps[0].name); !ok {
				return fmt.Errorf("%s: %s has no element %s", r.at, p.anchor, p.steps[0].name)
			}
		}
		for _, s := range p.steps {
			r.method.isAge = r.method.isAge || s.typ == "Age"
			if s.typ != "" && w.version.Kind(s.typ) == fhir.Unknown {
				return fmt.Errorf("%s: %s is not a type", r.at, s.typ)
			}
		}
		ids := len(p.steps) == 1 && p.steps[0].name == "id" && !p.steps[0].deep
		w.mapsIDs = w.mapsIDs || ids && r.method.name == pseudonymize
	}
	w.shifts = w.shifts || r.method.name == dateShift
	w.knows = w.knows || r.method.known
	return nil
}

// names reports whether a pattern can name something in the view's release. A
// shipped view has rules about several: those about another name nothing here.
func (w *View) names(p pattern) bool {
	for _, s := range p.steps {
		if s.typ != "" && w.version.Kind(s.typ) == fhir.Unknown {
			return false
		}
	}
	if p.anchor == "" {
		return true
	}
	if len(p.steps) > 0 && !p.steps[0].deep {
		_, ok := w.version.Element(p.anchor, p.steps[0].name)
		return ok
	}
	return w.version.KnownType(p.anchor)
}

// SmallestCell is how many patients a search by criteria must find for any of it
// to be shown; 0 is no bound, as for no view.
func (w *View) SmallestCell() int {
	most := 0
	for v := w; v != nil; v = v.over {
		most = max(most, v.cell)
	}
	return most
}

// Knows reports whether some rule takes the names and numbers of patients out of
// texts, so that they must be looked up.
func (w *View) Knows() bool {
	for v := w; v != nil; v = v.over {
		if v.knows {
			return true
		}
	}
	return false
}

// Name is what the configuration calls the view.
func (w *View) Name() string { return w.name }

// MapsIDs reports whether ids are pseudonyms, so that a domain is needed and
// inbound ids must be opened.
func (w *View) MapsIDs() bool { return w.mapper().mapsIDs }

// Apply appends the resource as the view shows it. On error nothing of it may
// be shown: the caller withholds the resource.
func (w *View) Apply(dst []byte, resource []byte, c Context) ([]byte, error) {
	r := runs.Get().(*run)
	defer r.release()
	return w.applied(r, dst, resource, c)
}

func (w *View) applied(r *run, dst, resource []byte, c Context) ([]byte, error) {
	out, err := w.show(r, dst, resource, c)
	for v := w.over; v != nil && err == nil; v = v.over {
		once := append([]byte(nil), out[len(dst):]...)
		out, err = v.show(r, dst, once, c)
	}
	return out, err
}

// show is one view of those laid over each other.
func (w *View) show(r *run, dst, doc []byte, c Context) ([]byte, error) {
	r.form = nil
	if w.foreign != nil {
		return w.applyForeign(dst, doc, c)
	}
	return r.apply(w, dst, doc, c)
}

// apply shows one document, like another one before if there was one.
func (r *run) apply(w *View, dst, doc []byte, c Context) ([]byte, error) {
	r.view, r.ctx, r.doc, r.dst, r.today, r.era = w, c, doc, dst, dayOf(w.now()), w.codec.era()
	r.second, r.err, r.names = w.below != traits{}, nil, nil
	r.part, r.bundle = false, w.entry != nil && isBundle(doc)
	if w.forms == nil || len(doc) > maxForm || r.bundle {
		return r.walked(dst)
	}
	fs := w.forms.Get().(*forms)
	defer w.forms.Put(fs)
	if fs.show(r) {
		if err := w.codec.sync(); err != nil {
			return dst, err
		}
		return r.dst, nil
	}
	if err := r.parse(); err != nil {
		return dst, fmt.Errorf("read resource: %w", err)
	}
	if !fs.learns(r.tree.Nodes) {
		return r.overTree(dst)
	}
	fs.notes.begin(len(dst))
	r.notes = &fs.notes
	out, err := r.overTree(dst)
	r.notes = nil
	if err == nil && !fs.notes.refused {
		fs.keep(r, out[len(dst):])
	}
	return out, err
}

// walked is the document as the walk over it shows it.
func (r *run) walked(dst []byte) ([]byte, error) {
	if err := r.parse(); err != nil {
		return dst, fmt.Errorf("read resource: %w", err)
	}
	return r.overTree(dst)
}

// overTree is walked once the document is read.
func (r *run) overTree(dst []byte) ([]byte, error) {
	r.nodes, r.dst, r.from = r.tree.Nodes, dst, 0
	r.frags, r.over, r.here, r.muddled = r.frags[:0], nil, resource{}, false
	err := r.overrule()
	if err == nil && !r.resource(0, nil, false) && r.err == nil {
		r.err = errRemoved
	}
	r.over = nil // of this document: whoever has this memory next has other rules
	if err != nil {
		return dst, err
	}
	if r.err == nil {
		// A pseudonym that leaves before it is kept could never be opened.
		r.err = r.view.codec.sync()
	}
	if r.err != nil {
		return dst, r.err
	}
	r.flush(int32(len(r.doc)))
	return r.dst, nil
}

func (r *run) parse() error {
	r.parts.reset()
	if r.bundle {
		return r.entries()
	}
	return r.tree.Parse(r.doc)
}

func (r *run) release() {
	r.doc, r.dst, r.view, r.ctx, r.tree.Doc, r.names, r.form, r.notes = nil, nil, nil, Context{}, nil, nil, nil, nil
	r.parts.reset()
	runs.Put(r)
}

// overrule evaluates the rules that need FHIRPath: which nodes do they name?
func (r *run) overrule() error {
	for _, ru := range r.view.dynamic {
		items, err := ru.dynamic.Eval(&r.tree, 0)
		if err != nil {
			return fmt.Errorf("%w at %s: %w", errRule, ru.at, err)
		}
		for _, item := range items {
			r.lay(item, ru.index)
		}
	}
	return nil
}

func (r *run) lay(item path.Item, index int) {
	if item.Node < 0 {
		return
	}
	if r.over == nil {
		r.over = map[int32]int{}
	}
	if old, ok := r.over[int32(item.Node)]; !ok || index < old {
		r.over[int32(item.Node)] = index
	}
}

// Overlay is the view that shows what both show: other is laid over w. A nil
// View shows all.
func (w *View) Overlay(other *View) *View {
	if w == nil {
		return other
	}
	if other == nil || other == w {
		return w
	}
	both := w
	for v := other; v != nil; v = v.over {
		both = both.lay(v)
	}
	return both
}

// lay puts one view on top of all that are there.
func (w *View) lay(other *View) *View {
	both := *w
	both.forms, both.entry = nil, nil // they are of w
	both.writes = false               // two views are not undone by one merge
	both.name, both.revision = w.name+"+"+other.name, w.revision+"+"+other.revision
	if w.over != nil {
		both.over = w.over.lay(other)
		return &both
	}
	top := *other
	top.over, top.forms, top.entry = nil, nil, nil
	top.below = traits{w.mapsIDs || w.below.mapsIDs, w.shifts || w.below.shifts}
	both.over = &top
	return &both
}

// mapper is the view among those laid over each other that names records.
func (w *View) mapper() *View {
	for v := w; v != nil; v = v.over {
		if v.mapsIDs {
			return v
		}
	}
	return w
}

// pseudonym is the view's kind of name for an id.
func (w *View) pseudonym(domain, typ, id string) (string, error) {
	if w.random {
		return w.codec.Surrogate(domain, typ, id)
	}
	return w.codec.Pseudonym(domain, typ, id)
}

// Pseudonym is the name by which the view's readers in domain know typ/id: for
// Location headers, fullUrls and links. Without MapsIDs it is the id.
func (w *View) Pseudonym(domain, typ, id string) (string, error) {
	m := w.mapper()
	if !m.mapsIDs {
		return id, nil
	}
	p, err := m.pseudonym(domain, typ, id)
	if err != nil {
		return "", err
	}
	return p, m.codec.sync()
}

// Version is the version id under this view (DESIGN §10.6): it changes with
// the version, the rules and the reader, and tells nothing.
func (w *View) Version(domain, typ, id, version string) (string, error) {
	m := w.mapper()
	if m.codec == nil || domain == "" {
		return version, nil
	}
	return m.codec.version(domain, version, versions, m.revision, ":", typ, "/", id)
}

// RealVersion undoes Version for the real typ/id.
func (w *View) RealVersion(domain, typ, id, version string) (string, bool) {
	m := w.mapper()
	if m.codec == nil || domain == "" {
		return version, true
	}
	return m.codec.Real(domain, m.versionLabel(typ, id), version)
}

const versions = "version:"

func (w *View) versionLabel(typ, id string) string {
	return versions + w.revision + ":" + typ + "/" + id
}

// pseudonymousSystem begins the systems of mapped identifiers, so that nobody
// takes them for real ones.
const pseudonymousSystem = "urn:gatehouse:pseudonymous:"

// PseudonymousSystem is the system under which a domain sees the mapped
// identifiers of a real system.
func (w *View) PseudonymousSystem(domain, system string) (string, error) {
	p, err := w.mapper().codec.Text(domain, "system", system)
	return pseudonymousSystem + p, err
}
