package fhir

import (
	"bytes"
	"errors"
	"sync"

	"gatehouse/fhir/wire"
)

var (
	errNoType = errors.New("no resourceType")
	errArray  = errors.New("not an object")
	errShape  = errors.New("an element that gives a fact has another shape than its type")
)

// factReader is the memory of one reading, used again for the next.
type factReader struct {
	version Version
	doc     []byte
	base    *BaseSet
	plan    *factPlan
	hits    []wire.Hit
	text    []byte // what the facts keep of the document, copied out once
	items   []item
	given   uint16 // bit by fact that some item may give
	known   string // a type that the release has
	id      extent
	ver     extent

	labeller              Labeller
	found                 []string // labels that codes ask for
	tree                  wire.Tree
	security              [2]int32
	inlaid, deep, unknown bool
}

// extent is a range of factReader.text.
type extent struct{ start, end int32 }

// item is one value that was found: a reference, a coding, a code or a date.
type item struct {
	element    int16
	identifier bool // a Reference holds one
	strange    bool // a Reference is no object
	text       extent
	typ        extent // Reference.type
	code       int32  // where in text a coding's bare code begins
	at         int32  // where in the resource the one scalar lies that it is made of; 0: of several
	value      string // what becomes of it
	ref        Ref
}

var factReaders = sync.Pool{New: func() any { return new(factReader) }}

func (r *factReader) release() {
	clear(r.items) // they hold strings that would outlive the resource
	r.items, r.text = r.items[:0], r.text[:0]
	r.doc, r.base, r.plan, r.id, r.ver, r.given = nil, nil, nil, extent{}, extent{}, 0
	r.known, r.labeller, r.found, r.tree.Doc, r.security, r.inlaid, r.deep, r.unknown = "", nil, r.found[:0], nil, [2]int32{}, false, false, false
	factReaders.Put(r)
}

var typePlan = wire.NewPlan("resourceType")

// resourceType finds the type, without quotes. Most resources begin with it;
// whether it comes again is for the plan's own skim to refuse.
func (r *factReader) resourceType() ([]byte, error) {
	if name, ok := leadingType(r.doc); ok {
		return name, nil
	}
	// A plan looks into arrays: of an array of resources the facts of one would
	// pass for those of all.
	if doc := bytes.TrimLeft(r.doc, " \t\r\n"); len(doc) == 0 || doc[0] != '{' {
		return nil, errArray
	}
	hits, err := typePlan.Skim(r.doc, r.hits[:0])
	r.hits = hits
	if err != nil {
		return nil, err
	}
	if len(hits) == 0 {
		return nil, errNoType
	}
	return bytes.Trim(r.doc[hits[0].Start:hits[0].End], `"`), nil
}

func leadingType(doc []byte) ([]byte, bool) {
	for _, token := range [...]string{"{", `"resourceType"`, ":", `"`} {
		for len(doc) > 0 && (doc[0] == ' ' || doc[0] == '\n' || doc[0] == '\r' || doc[0] == '\t') {
			doc = doc[1:]
		}
		if len(doc) < len(token) || string(doc[:len(token)]) != token {
			return nil, false
		}
		doc = doc[len(token):]
	}
	end := bytes.IndexByte(doc, '"')
	return doc[:max(end, 0)], end > 0
}

// collect turns hits, which stand in document order, into items.
func (r *factReader) collect() error {
	for i := 0; i < len(r.hits); {
		h := r.hits[i]
		p := r.plan.paths[h.Path]
		var err error
		switch p.part {
		case partType:
			i++
		case partID: // behind its type, so that both are a reference to it
			r.text = append(append(r.text, r.plan.typ...), '/')
			r.id, err = r.copy(h)
			i++
		case partVersion:
			r.ver, err = r.copy(h)
			i++
		case partText:
			err = r.code(h, p)
			i++
		case partSecurity:
			r.security = [2]int32{h.Start, h.End}
			i++
		case partNested:
			r.deep = true
			i++
		case partSystem, partCode:
			i, err = r.coding(i)
		default:
			i, err = r.reference(i)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// copy appends the text of a string to r.text.
func (r *factReader) copy(h wire.Hit) (extent, error) {
	raw := r.doc[h.Start:h.End]
	if len(raw) < 2 || raw[0] != '"' {
		return extent{}, errShape
	}
	start := int32(len(r.text))
	if inner := raw[1 : len(raw)-1]; bytes.IndexByte(inner, '\\') < 0 {
		r.text = append(r.text, inner...)
	} else if s, err := wire.Unquote(raw); err != nil {
		return extent{}, err
	} else {
		r.text = append(r.text, s...)
	}
	return extent{start, int32(len(r.text))}, nil
}

// code reads a plain code or date. The array around codes is hit too, and a
// null holds the place of a value that is only an extension.
func (r *factReader) code(h wire.Hit, p factPath) error {
	if c := r.doc[h.Start]; c == '[' || c == 'n' {
		return nil
	}
	start := int32(len(r.text))
	r.text = append(r.text, '|')
	value, err := r.copy(h)
	r.items = append(r.items, item{element: p.element, text: extent{start, value.end}, code: value.start, at: h.Start})
	return err
}

// coding reads the system and code of one coding: the hits of one group.
func (r *factReader) coding(i int) (int, error) {
	first := r.plan.paths[r.hits[i].Path]
	group := r.hits[i].Group
	var system, code *wire.Hit
	for ; i < len(r.hits); i++ {
		p := r.plan.paths[r.hits[i].Path]
		if p.element != first.element || r.hits[i].Group != group || p.part != partSystem && p.part != partCode {
			break
		}
		if p.part == partSystem {
			system = &r.hits[i]
		} else {
			code = &r.hits[i]
		}
	}
	if code == nil {
		return i, nil
	}
	e := &r.plan.elements[first.element]
	if e.coded {
		if err := r.look(system, code); err != nil {
			return i, err
		}
	}
	if e.gives == 0 {
		return i, nil
	}
	start := int32(len(r.text))
	if system != nil {
		if _, err := r.copy(*system); err != nil {
			return i, err
		}
	}
	r.text = append(r.text, '|')
	value, err := r.copy(*code)
	r.items = append(r.items, item{element: first.element, text: extent{start, value.end}, code: value.start})
	return i, err
}

// reference reads one Reference: its own hit, then those of its members.
func (r *factReader) reference(i int) (int, error) {
	whole, p := r.hits[i], r.plan.paths[r.hits[i].Path]
	if p.part != partWhole && p.part != partEach {
		return i, errShape
	}
	if p.part == partWhole && r.doc[whole.Start] == '[' && len(r.hits) > i+1 && r.hits[i+1].Start < whole.End {
		return i + 1, nil // its elements follow
	}
	it := item{element: p.element, strange: r.doc[whole.Start] != '{'}
	var err error
	for i++; i < len(r.hits) && r.hits[i].Start < whole.End && err == nil; i++ {
		switch r.plan.paths[r.hits[i].Path].part {
		case partReference:
			it.text, err = r.copy(r.hits[i])
			it.at = r.hits[i].Start
		case partRefType:
			it.typ, err = r.copy(r.hits[i])
		case partIdentifier:
			it.identifier = true
		default:
			err = errShape
		}
	}
	r.items = append(r.items, it)
	return i, err
}
