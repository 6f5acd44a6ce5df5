package fhir

import (
	"bytes"
	"slices"
	"strings"

	"gatehouse/fhir/wire"
)

// Labeller gives records the security labels that their content asks for.
type Labeller interface {
	// AddCode appends the labels of a code to labels. system is empty where the
	// coding names none.
	AddCode(labels []string, system, code []byte) []string
	// Known reports whether a code of v3-ActCode or v3-Confidentiality is one that
	// is understood.
	Known(code string) bool
	// Settle makes of a record's labels, those of its codes among them, what
	// counts, and the notice that goes with it. Neither list is changed.
	Settle(typ string, categories, labels []string) (settled []string, notice string)
}

// ReadLabelled is ReadFacts with the labels that by asks for: those of every
// coding in the record, of what it contains, and of labels on single elements
// (DS4P). They count for the record as a whole.
func (v Version) ReadLabelled(resource []byte, base *BaseSet, by Labeller) (Facts, error) {
	r := factReaders.Get().(*factReader)
	defer r.release()
	r.labeller = by
	return v.readFacts(r, resource, base)
}

// look asks for the labels of one coding. A list or an object where a code
// should stand could hold any.
func (r *factReader) look(system, code *wire.Hit) error {
	if r.labeller == nil {
		return nil
	}
	value, err := r.plain(code)
	if err != nil || len(value) == 0 {
		return err
	}
	var name []byte
	if system != nil {
		if name, err = r.plain(system); err != nil {
			return err
		}
	}
	r.found = r.labeller.AddCode(r.found, name, value)
	return nil
}

// plain is the text of a scalar, in place where nothing in it is escaped.
func (r *factReader) plain(h *wire.Hit) ([]byte, error) {
	raw := r.doc[h.Start:h.End]
	switch raw[0] {
	case '[', '{':
		return nil, errShape
	case 'n':
		return nil, nil
	case '"':
		if bytes.IndexByte(raw, '\\') < 0 {
			return raw[1 : len(raw)-1], nil
		}
		s, err := wire.Unquote(raw)
		return []byte(s), err
	}
	return raw, nil // a number is no code, and some servers send one
}

// label completes the labels of the facts that were read.
func (r *factReader) label(f *Facts) error {
	if r.labeller == nil {
		return nil
	}
	if r.deep || hasInlineLabel(r.doc) || slices.Contains(f.Labels, "PROCESSINLINELABEL") {
		if err := r.tree.Parse(r.doc); err != nil {
			return err
		}
		r.walk(0, "", "", 0)
	}
	f.Security, f.Inlaid, f.UnknownLabel = r.security, r.inlaid, r.unknown
	for _, code := range r.found {
		if !slices.Contains(f.Labels, code) {
			f.Labels = append(slices.Clip(f.Labels), code)
		}
	}
	f.Labels, f.Notice = r.labeller.Settle(f.Type, f.Categories, f.Labels)
	return nil
}

// walk visits every object of the record, where its parts are not all on paths:
// contained resources, entries, items in items, labels on elements. depth is 0
// for the record itself, whose own labels are read already.
func (r *factReader) walk(node int, name, parent string, depth int) {
	t := &r.tree
	switch t.Nodes[node].Kind {
	case wire.Array:
		for c := range t.Children(node) {
			r.walk(c, name, parent, depth)
		}
	case wire.Object:
		inline := IsInlineLabel(t, node)
		for c := range t.Children(node) {
			member := string(t.Name(c))
			if inline && member == "valueCoding" {
				r.inner(c)
				continue
			}
			r.walk(c, member, name, depth+1)
		}
		if name == "security" && parent == "meta" {
			if depth > 2 {
				r.inner(node)
			}
			return
		}
		if code := t.Get(node, "code"); code >= 0 && t.Nodes[code].Kind == wire.String {
			r.found = r.labeller.AddCode(r.found, []byte(textOf(t, node, "system")), []byte(t.Text(code)))
		}
	}
}

// inner takes a label that stands inside the record.
func (r *factReader) inner(coding int) {
	r.inlaid = true
	system, code := textOf(&r.tree, coding, "system"), textOf(&r.tree, coding, "code")
	if code == "" {
		return
	}
	r.unknown = r.unknown || r.strange(system, code)
	r.found = append(r.found, Label(system, code))
}

func textOf(t *wire.Tree, node int, name string) string {
	i := t.Get(node, name)
	if i < 0 {
		return ""
	}
	return t.Text(i)
}

// inlineLabel ends the url of DS4P's label on a single element.
const inlineLabel = "extension-inline-sec-label"

// Label is the name by which policies know a label: the bare code for the two
// systems of v3, else "system|code".
func Label(system, code string) string {
	if slices.Contains(labelSystems, system) {
		return code
	}
	return system + "|" + code
}

// IsInlineLabel reports whether an object is DS4P's extension that labels one
// element.
func IsInlineLabel(t *wire.Tree, node int) bool {
	url := t.Get(node, "url")
	return url >= 0 && strings.HasSuffix(t.Text(url), inlineLabel)
}

// hasInlineLabel tells whether there may be such an extension: whether its url is
// there, or escapes that could spell it. It looks by the url's length at a time
// (Horspool): every record that is judged passes here.
func hasInlineLabel(doc []byte) bool {
	if escapesLetter(doc) {
		return true
	}
	const last = len(inlineLabel) - 1
	for i := last; i < len(doc); i += inlineSkip[doc[i]] {
		if doc[i] == inlineLabel[last] && string(doc[i-last:i+1]) == inlineLabel {
			return true
		}
	}
	return false
}

// escapesLetter looks for \u00… of a small letter or a hyphen, which nobody who
// writes JSON needs.
func escapesLetter(doc []byte) bool {
	for {
		i := bytes.IndexByte(doc, '\\')
		if i < 0 || len(doc) < i+len(`\u0061`) {
			return false
		}
		if e := doc[i+1:]; string(e[:3]) == "u00" && (e[3] == '6' || e[3] == '7' || e[3] == '2' && e[4]|0x20 == 'd') {
			return true
		}
		doc = doc[i+2:]
	}
}

var inlineSkip = func() (skip [256]int) {
	for i := range skip {
		skip[i] = len(inlineLabel)
	}
	for i := range len(inlineLabel) - 1 {
		skip[inlineLabel[i]] = len(inlineLabel) - 1 - i
	}
	return skip
}()

// strange reports a label of v3 that is not understood: it may be an obligation.
func (r *factReader) strange(system, code string) bool {
	return system != "" && slices.Contains(labelSystems, system) && !r.labeller.Known(code)
}
