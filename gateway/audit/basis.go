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

// writePartBases ends the part of a patient or a group. Behind the bases stands what
// the caller has in common with the patient, where there is any; they then stand
// there, empty, where none are kept.
func (s *sealer) writePartBases(r *Record, part int) {
	keeps, same := keepsBasis(r), s.sameIn(r, part)
	if !keeps && !same {
		return
	}
	kept := func(basis []byte) []byte {
		if !keeps {
			return nil
		}
		return basis
	}
	if len(s.patients) == 1 && part == 0 {
		s.w.raw(kept(r.Asked))
	}
	var b bases
	for e := s.entries.head[part]; e >= 0; e = s.entries.next[e] {
		b.write(&s.w, kept(r.Entries[e].Basis))
	}
	if !same {
		return
	}
	for e := s.entries.head[part]; e >= 0; e = s.entries.next[e] {
		s.w.byte(byte(r.Entries[e].Same))
	}
}

// sameIn tells whether the caller has something in common with a part's patient.
func (s *sealer) sameIn(r *Record, part int) bool {
	for e := s.entries.head[part]; e >= 0; e = s.entries.next[e] {
		if r.Entries[e].Same != 0 {
			return true
		}
	}
	return false
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
	if len(d.b) == 0 {
		return
	}
	for e := c.head[part]; e >= 0; e = c.next[e] {
		o.record.Entries[e].Same = Same(d.byte())
	}
}
