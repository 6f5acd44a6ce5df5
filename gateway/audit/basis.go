package audit

// What policy read of a request and of each resource may be kept beside the
// record, in policy's own form, so that another policy can be asked the same
// later. It ends the part that names what it is about, and is sealed and erased
// with it; parts without end without. A basis that is that of the entry before
// it in the part is not repeated.

// keepsBasis tells whether a record has any of it. An intent leaves it to its
// outcome.
func keepsBasis(r *Record) bool { return len(r.Asked) > 0 && r.Kind != Intent }

// bases writes or reads those of one part, one after another.
type bases struct {
	before []byte
	begun  bool
}

func (b *bases) write(w *writer, basis []byte) {
	if b.begun && string(basis) == string(b.before) {
		w.byte(1)
		return
	}
	w.byte(0)
	w.raw(basis)
	b.before, b.begun = basis, true
}

func (b *bases) read(d *reader) []byte {
	if d.byte() == 0 {
		b.before = d.raw()
	}
	return b.before
}

// writeOwnBases writes of the part of the log: the request where it names no
// patient, and the entries about nobody. They stand there, empty, where only
// notes follow: the reader could not tell the two apart.
func (s *sealer) writeOwnBases(w *writer, r *Record) {
	keeps := keepsBasis(r)
	if !keeps && (r.Kind == Notice || len(r.Notes) == 0) {
		return
	}
	kept := func(basis []byte) []byte {
		if !keeps {
			return nil
		}
		return basis
	}
	if len(s.patients) == 0 {
		w.raw(kept(r.Asked))
	}
	var b bases
	for i := range r.Entries {
		if s.place[i] < 0 {
			b.write(w, kept(r.Entries[i].Basis))
		}
	}
}

func (o *opener) readOwnBases(d *reader, r *Record) {
	if r.Kind == Notice || len(d.b) == 0 {
		return
	}
	if len(o.members) == 0 {
		r.Asked = d.raw()
	}
	var b bases
	for i := range r.Entries {
		if o.place[i] < 0 {
			r.Entries[i].Basis = b.read(d)
		}
	}
}

// writePartBases ends the part of a patient or a group.
func (s *sealer) writePartBases(r *Record, part int) {
	if !keepsBasis(r) {
		return
	}
	if len(s.patients) == 1 && part == 0 {
		s.w.raw(r.Asked)
	}
	var b bases
	for e := s.entries.head[part]; e >= 0; e = s.entries.next[e] {
		b.write(&s.w, r.Entries[e].Basis)
	}
}

func (o *opener) readPartBases(d *reader, c *chain, part int) {
	if len(d.b) == 0 {
		return
	}
	if len(o.members) == 1 && part == 0 {
		o.record.Asked = d.raw()
	}
	var b bases
	for e := c.head[part]; e >= 0; e = c.next[e] {
		o.record.Entries[e].Basis = b.read(d)
	}
}
