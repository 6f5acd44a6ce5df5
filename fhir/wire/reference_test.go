package wire

import (
	"bytes"
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// model is what the strict library makes of a document: the reference that the
// package is held to.
type model struct {
	kind     jsontext.Kind
	text     string // of a string
	raw      string
	names    []string
	children []*model
	start    int
}

// modelOf reads a document with the strict library. ok is false if that
// refuses it, or if it has what this package refuses beyond: an escaped name
// or too much depth.
func modelOf(doc []byte, duplicates bool) (m *model, ok bool) {
	d := jsontext.NewDecoder(bytes.NewReader(doc), jsontext.AllowDuplicateNames(duplicates))
	m, ok = readModel(d, doc, 0)
	if !ok {
		return nil, false
	}
	_, err := d.ReadToken()
	return m, err == io.EOF
}

func readModel(d *jsontext.Decoder, doc []byte, depth int) (*model, bool) {
	if depth > maxDepth {
		return nil, false
	}
	t, err := d.ReadToken()
	if err != nil {
		return nil, false
	}
	end := int(d.InputOffset())
	m := &model{kind: t.Kind()}
	switch m.kind {
	case '{', '[':
		m.start = end - 1
		for d.PeekKind() != m.kind+2 {
			if m.kind == '{' {
				name, err := d.ReadToken()
				if err != nil || escapedBefore(doc, int(d.InputOffset())) {
					return nil, false
				}
				m.names = append(m.names, name.String())
			}
			c, ok := readModel(d, doc, depth+1)
			if !ok {
				return nil, false
			}
			m.children = append(m.children, c)
		}
		if depth == maxDepth {
			return nil, false
		}
		if _, err := d.ReadToken(); err != nil {
			return nil, false
		}
		end = int(d.InputOffset())
	case '"':
		m.text = t.String()
		m.start = stringStart(doc, end)
	default:
		m.start = end - len(t.String())
	}
	m.raw = string(doc[m.start:end])
	return m, true
}

// stringStart is where the string that ends at end begins.
func stringStart(doc []byte, end int) int {
	for i := end - 2; ; i-- {
		if doc[i] != '"' {
			continue
		}
		back := 0
		for back < i && doc[i-1-back] == '\\' {
			back++
		}
		if back%2 == 0 {
			return i
		}
	}
}

func escapedBefore(doc []byte, end int) bool {
	return bytes.IndexByte(doc[stringStart(doc, end):end], '\\') >= 0
}

// expectHits is what a skim of paths should find; ok is false if an object
// that a path leads through has a name twice.
func expectHits(m *model, paths []string) (hits []Hit, ok bool) {
	group := int32(0)
	var walk func(m *model, at string, inside int32) bool
	walk = func(m *model, at string, inside int32) bool {
		if p := slices.Index(paths, at); p >= 0 && at != "" {
			hits = append(hits, Hit{int32(p), int32(m.start), int32(m.start + len(m.raw)), inside})
		}
		through := strings.TrimSuffix(at, "[]")
		each := slices.Contains(paths, through+"[]")
		deeper := slices.ContainsFunc(paths, func(p string) bool {
			return through == "" || strings.HasPrefix(p, through+".")
		}) && len(paths) > 0
		if m.kind == '[' && (each || deeper) {
			for _, c := range m.children {
				group++
				if !walk(c, through+"[]", group) {
					return false
				}
			}
		}
		if m.kind != '{' || !deeper {
			return true
		}
		for i, c := range m.children {
			if slices.Contains(m.names[:i], m.names[i]) {
				return false
			}
			next := m.names[i]
			if through != "" {
				next = through + "." + next
			}
			if m.names[i] == "" || strings.ContainsAny(m.names[i], ".[]") {
				next = "." // no path names it
			}
			if !walk(c, next, inside) {
				return false
			}
		}
		return true
	}
	ok = walk(m, "", 0)
	return hits, ok
}
