package view

import (
	"bytes"
	"fmt"
)

// The entries of a Bundle are shown one after the other as its bytes are read, so that
// those which are like others are neither parsed nor walked.

// part is an entry of a Bundle, shown.
type part struct {
	from, to int // in run.parts.room; none of it is shown where they are the same
	labels   label
}

// parts are the entries of the Bundle under way.
type parts struct {
	list []part
	next int // the one that the walk comes to
	room []byte
}

// keepRoom bounds what a Bundle leaves to others.
const keepRoom = 1 << 20

func (p *parts) reset() {
	if p.list, p.next, p.room = p.list[:0], 0, p.room[:0]; cap(p.room) > keepRoom {
		p.room = nil
	}
}

// entryState is where the rules are in an entry, if that hangs on nothing else in the
// Bundle; else nil.
func (w *View) entryState() *state {
	bundle := w.auto.starts["Bundle"]
	if bundle == nil || w.dynamic != nil {
		return nil
	}
	at := bundle.table.find([]byte("entry"))
	if at < 0 || len(bundle.fields[at].choices) != 1 {
		return nil
	}
	for _, r := range w.auto.rules {
		if m := &r.method; !m.repeats() && !m.hides() && m.name != mask {
			return nil
		}
	}
	to := &bundle.fields[at].choices[0]
	if name := to.rule.method.name; to.next == nil || to.next.dead || name == mask || name == substitute {
		return nil
	}
	return to.next
}

// isBundle reports whether a document begins like a Bundle, as they are written.
func isBundle(doc []byte) bool {
	for _, token := range [...]string{"{", `"resourceType"`, ":", `"Bundle"`} {
		doc = bytes.TrimLeft(doc, " \t\r\n")
		if len(doc) < len(token) || string(doc[:len(token)]) != token {
			return false
		}
		doc = doc[len(token):]
	}
	return true
}

// entries reads a Bundle and shows its entries.
func (r *run) entries() error {
	fs := r.view.forms.Get().(*forms)
	defer r.view.forms.Put(fs)
	one := runs.Get().(*run)
	defer one.release()
	one.view, one.ctx, one.today, one.era, one.bundle, one.second = r.view, r.ctx, r.today, r.era, false, false
	return r.tree.ParseParts(r.doc, "entry", func(i int) (int, error) {
		p := part{from: len(r.parts.room)}
		room, err := one.entryAlone(fs, r.doc[i:], r.parts.room)
		if err != nil {
			return i, fmt.Errorf("entry %d: %w", len(r.parts.list)+1, err)
		}
		r.parts.room = room
		p.to, p.labels = len(room), one.here.labels
		r.parts.list = append(r.parts.list, p)
		return i + len(one.doc), nil
	})
}

// entryAlone appends the entry that doc begins with, of which r.doc is then.
func (r *run) entryAlone(fs *forms, doc, dst []byte) ([]byte, error) {
	r.doc, r.dst, r.part, r.err, r.form = doc, dst, true, nil, nil
	if fs.show(r) {
		r.here.labels = r.form.labels
		return r.dst, nil
	}
	if err := r.tree.ParsePart(doc); err != nil {
		return dst, err
	}
	r.doc, r.nodes, r.dst, r.from, r.frags, r.muddled = r.tree.Doc, r.tree.Nodes, dst, 0, r.frags[:0], false
	r.here = resource{typ: "Bundle", idNode: -1, node: -1, patient: r.ctx.Patient, asked: true}
	learns := len(r.doc) <= maxForm && fs.learns(r.nodes)
	if learns {
		fs.notes.begin(len(dst))
		fs.notes.part = true
		r.notes = &fs.notes
		r.notes.enter(r)
	}
	ok := r.object(0, r.view.entry, false)
	r.notes = nil
	if r.err != nil || !ok {
		return dst, r.err
	}
	r.flush(int32(len(r.doc)))
	if learns && !fs.notes.refused {
		fs.keep(r, r.dst[len(dst):])
	}
	return r.dst, nil
}

// shownPart puts the entry that the walk comes to in the place of node i.
func (r *run) shownPart(i int) bool {
	p := &r.parts.list[r.parts.next]
	r.parts.next++
	r.here.labels |= p.labels
	return p.from < p.to && r.value(i, r.parts.room[p.from:p.to])
}
