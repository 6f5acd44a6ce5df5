package view

import (
	"errors"
	"fmt"

	"gatehouse/fhir/wire"
)

// Shown is a resource as a view shows it.
type Shown struct {
	Doc         []byte
	ID, Version Span // the values of id and meta.versionId in Doc, with quotes
}

// Span is a range of bytes; none is where it ends at 0.
type Span struct{ Start, End int }

// Of is the range of doc, nil for none.
func (s Span) Of(doc []byte) []byte {
	if s.End == 0 {
		return nil
	}
	return doc[s.Start:s.End]
}

// Show is Apply, and tells what the resource is called by. It is an error if it has no
// id: nobody could ask for it.
func (w *View) Show(dst, resource []byte, c Context) (room []byte, s Shown, err error) {
	r := runs.Get().(*run)
	defer r.release()
	if room, err = w.applied(r, dst, resource, c); err != nil {
		return room, s, err
	}
	s.Doc = room[len(dst):len(room):len(room)]
	if f := r.form; f != nil && w.over == nil && f.id.was.End > 0 {
		s.ID, s.Version = f.id.is, f.version.is
		return room, s, nil
	}
	return room, s, s.find()
}

var namePlan = wire.NewPlan("id", "meta.versionId", "meta")

// find looks for the names.
func (s *Shown) find() error {
	var space [4]wire.Hit
	hits, err := namePlan.SkimSome(s.Doc, space[:0], 3) // no view writes a name twice
	if err != nil {
		return fmt.Errorf("read the id after the view: %w", err)
	}
	for _, h := range hits {
		at := &s.ID
		switch h.Path {
		case 1:
			at = &s.Version
		case 2:
			if s.Doc[h.Start] != '{' {
				return errors.New("meta is no object after the view")
			}
			continue
		}
		if at.End > 0 {
			return errors.New("two ids or versions after the view")
		}
		*at = Span{int(h.Start), int(h.End)}
	}
	if s.ID.End == 0 {
		return errors.New("no id after the view")
	}
	return nil
}

// spot is a value in the output of a form, and where it comes to lie in that of the
// document under way.
type spot struct{ was, is Span }

// pass takes in where the answer to a question came to lie.
func (p *spot) pass(q *question, start, end int) {
	switch from, by := int(q.from), end-int(q.to); {
	case from == p.was.Start:
		p.is = Span{start, end}
	case from < p.was.Start && p.was.End > 0:
		p.is = Span{p.was.Start + by, p.was.End + by}
	}
}
