package judge

import (
	"bytes"
	"slices"
	"strings"
	"sync"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
	"gatehouse/gateway/policy"
)

// Marks says what becomes of security labels on the way to a client.
type Marks struct {
	Show       string            // confidentiality, all, none; "" is confidentiality
	Unlabelled string            // the level of what nothing labels, which is not written into it
	Views      map[string]string // by obligation, the view that meets it
	Encrypted  bool              // answers are, on their way
	Patient    bool              // the caller is a patient, or acts for one
}

// heed does what the labels of a resource oblige whoever discloses it to, and
// gives the reason to withhold it where that cannot be done (DS4P-01). Refrains
// and obligations of its recipient stay in it.
func (c *Court) heed(v *Verdict, eval *policy.Evaluation) string {
	f := &v.Facts
	if f.UnknownLabel {
		return "label.unknown" // it may be an obligation
	}
	if len(f.Labels) < 2 || strings.IndexByte("cud", c.Letter) >= 0 {
		return "" // a level alone; writes disclose nothing
	}
	for _, l := range f.Labels {
		switch l {
		case "MASK", "REDACT", "PSEUD", "DEID", "ANONY":
			name := c.Marks.Views[l]
			if name == "" {
				return "label.obligation"
			}
			if o := &v.Decision.Obligations; !slices.Contains(o.Views, name) {
				o.Views = append(slices.Clone(o.Views), name) // the decision is shared
			}
		case "ENCRYPT", "ENCRYPTT":
			if !c.Marks.Encrypted {
				return "label.obligation"
			}
		case "HUAPRV": // nobody approves here
			return "label.obligation"
		case "NOAUTH", "NODSCLCD", "NODSCLCDS":
			if v.Consent.Decision != "permit" && !eval.OverridesConsent(f) {
				return "label.refrain"
			}
		case "NOPAT":
			if c.Marks.Patient {
				return "label.refrain"
			}
		}
	}
	return ""
}

// Refraining are the labels for which heed may withhold a record from whoever is
// shown labels so.
func Refraining(m Marks) []string {
	list := []string{"HUAPRV", "NOAUTH", "NODSCLCD", "NODSCLCDS"}
	for _, l := range []string{"MASK", "REDACT", "PSEUD", "DEID", "ANONY"} {
		if m.Views[l] == "" {
			list = append(list, l)
		}
	}
	if !m.Encrypted {
		list = append(list, "ENCRYPT", "ENCRYPTT")
	}
	if m.Patient {
		list = append(list, "NOPAT")
	}
	return list
}

// shown makes of a resource's labels what the client may see: its level as it
// counts, and what its reader must or must not do. doc is the resource as it was
// read, or with other URLs in it. inner tells that labels were taken out from
// inside, so that the resource is not what is stored.
func (c *Court) shown(it *Item, doc []byte) (out []byte, inner bool, err error) {
	f := &it.Verdict.Facts
	want := c.wanted(f)
	if !marked(f) && !f.Inlaid && len(want) == 0 {
		return doc, false, nil
	}
	s := sheets.Get().(*sheet)
	defer sheets.Put(s)
	s.all, s.want, s.given = c.Marks.Show == "all", want, c.Marks.Unlabelled
	if whole := &doc[0] == &it.Resource[0]; whole && marked(f) && !f.Inlaid {
		if out, ok := s.splice(doc, f); ok {
			return out, false, nil
		}
	}
	if err := s.open(doc); err != nil {
		return nil, false, err
	}
	if f.Inlaid && !s.all {
		s.strip(0, "", "", 0)
	}
	inner = !s.edits.Empty()
	s.own()
	if s.edits.Empty() {
		return doc, false, nil
	}
	s.edits.Prune()
	return s.edits.Apply(nil), inner, nil
}

// marked tells whether the resource has labels of its own.
func marked(f *fhir.Facts) bool { return f.Security[1] > 0 }

// wanted are the labels that the resource is to show. Its level is none where
// the configuration alone gives it.
func (c *Court) wanted(f *fhir.Facts) []string {
	var want []string
	for _, l := range f.Labels {
		level := fhir.Level(l) > 0
		if level && !marked(f) && l == c.Marks.Unlabelled {
			continue
		}
		if c.Marks.Show == "all" || level && c.Marks.Show != "none" || fhir.IsHandling(l) {
			want = append(want, l)
		}
	}
	return want
}

// sheet is the labels of one resource being rewritten.
type sheet struct {
	tree  wire.Tree
	edits wire.Edits
	all   bool
	want  []string
	given string // a level that is kept where it stands, and not written
}

var sheets = sync.Pool{New: func() any { return new(sheet) }}

func (s *sheet) open(doc []byte) error {
	if err := s.tree.Parse(doc); err != nil {
		return err
	}
	s.edits.Reset(&s.tree)
	return nil
}

// splice rewrites the list of labels alone, where some of it stays: on a server
// that labels everything this is each resource.
func (s *sheet) splice(doc []byte, f *fhir.Facts) (out []byte, ok bool) {
	start, end := f.Security[0], f.Security[1]
	if doc[start] != '[' || s.open(doc[start:end]) != nil {
		return nil, false
	}
	kept, add := s.list(0)
	if kept == 0 && len(add) == 0 {
		return nil, false
	}
	for _, raw := range add {
		s.edits.AppendElement(0, raw)
	}
	if s.edits.Empty() {
		return doc, true
	}
	return slices.Concat(doc[:start], s.edits.Apply(nil), doc[end:]), true
}

// list takes out of meta.security what is not to be seen, and gives how many stay
// and what is to be added.
func (s *sheet) list(list int) (kept int, add [][]byte) {
	var space [4]string
	have := space[:0]
	if list >= 0 {
		for i := range s.tree.Children(list) {
			label, ok := s.keeps(i)
			if !ok {
				s.edits.Remove(i)
				continue
			}
			have = append(have, label)
		}
	}
	for _, l := range s.want {
		if l != s.given && !slices.Contains(have, l) {
			add = append(add, Coding(l))
		}
	}
	return len(have), add
}

const (
	confidentialitySystem = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
	actCodeSystem         = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
	observationValue      = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
)

// own rewrites the resource's own meta.security.
func (s *sheet) own() {
	t := &s.tree
	meta := t.Get(0, "meta")
	if meta >= 0 && t.Nodes[meta].Kind != wire.Object {
		s.edits.Remove(meta)
		meta = -1
	}
	list := -1
	if meta >= 0 {
		list = t.Get(meta, "security")
	}
	_, add := s.list(list)
	switch {
	case len(add) == 0:
	case meta < 0:
		s.edits.Append(0, "meta", slices.Concat([]byte(`{"security":[`), bytes.Join(add, []byte{','}), []byte(`]}`)))
	case list < 0 || t.Nodes[list].Kind != wire.Array:
		if list >= 0 {
			s.edits.Remove(list)
		}
		s.edits.Append(meta, "security", slices.Concat([]byte{'['}, bytes.Join(add, []byte{','}), []byte{']'}))
	default:
		for _, raw := range add {
			s.edits.AppendElement(list, raw)
		}
	}
}

// keeps reports whether a coding of meta.security stays, and its label. Labels of
// v3-ObservationValue tell of the resource's form (SUBSETTED, PSEUDED).
func (s *sheet) keeps(coding int) (label string, ok bool) {
	label, system := s.label(coding)
	if s.all && fhir.Level(label) == 0 || system == observationValue {
		return label, true
	}
	if !slices.Contains(s.want, label) {
		return label, false
	}
	for m := range s.tree.Children(coding) { // an extension may tell by which law
		switch string(s.tree.Name(m)) {
		case "system", "code", "display", "version":
		default:
			if !s.all {
				s.edits.Remove(m)
			}
		}
	}
	return label, true
}

func (s *sheet) label(coding int) (label, system string) {
	t := &s.tree
	if i := t.Get(coding, "system"); i >= 0 {
		system = t.Text(i)
	}
	if i := t.Get(coding, "code"); i >= 0 {
		label = fhir.Label(system, t.Text(i))
	}
	return label, system
}

// strip takes out the labels that stand inside the resource: on elements, and of
// contained resources and entries all but what a reader must do.
func (s *sheet) strip(node int, name, parent string, depth int) {
	t := &s.tree
	switch t.Nodes[node].Kind {
	case wire.Array:
		for c := range t.Children(node) {
			s.strip(c, name, parent, depth)
		}
	case wire.Object:
		if fhir.IsInlineLabel(t, node) {
			s.edits.Remove(node)
			return
		}
		if name == "security" && parent == "meta" && depth > 2 {
			if label, system := s.label(node); !fhir.IsHandling(label) && system != observationValue {
				s.edits.Remove(node)
			}
			return
		}
		for c := range t.Children(node) {
			s.strip(c, string(t.Name(c)), name, depth+1)
		}
	}
}

// Coding is a label as it stands in meta.security.
func Coding(label string) []byte {
	system, code, found := strings.Cut(label, "|")
	switch {
	case found:
	case fhir.Level(label) > 0:
		system, code = confidentialitySystem, label
	default:
		system, code = actCodeSystem, label
	}
	out := append([]byte(`{"system":`), wire.Quote(nil, system)...)
	out = append(append(out, `,"code":`...), wire.Quote(nil, code)...)
	return append(out, '}')
}
