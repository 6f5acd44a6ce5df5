package audit

import "slices"

// A record's entries were decided one by one, mostly alike. They are told by
// their place in a table of the reasons that came up, whose first row is what
// stands for the whole request; a new row follows the entry that has it first.

// verdict are the reasons of one row.
type verdict struct{ permits, forbids []string }

// knownVerdicts bounds the rows that are looked through: beyond it a row may
// stand there twice.
const knownVerdicts = 64

// writeVerdicts ends the part of the log in a record with entries. Those of
// before entries had reasons end without.
func (s *sealer) writeVerdicts(w *writer, r *Record) {
	if len(r.Entries) == 0 {
		return
	}
	rows := append(s.verdicts[:0], verdict{r.Decision.Permits, r.Decision.Forbids})
	for i := range r.Entries {
		v := verdict{r.Entries[i].Permits, r.Entries[i].Forbids}
		at := slices.IndexFunc(rows[:min(len(rows), knownVerdicts)], v.equal)
		if at >= 0 {
			w.count(at)
			continue
		}
		w.count(len(rows))
		w.list(v.permits)
		w.list(v.forbids)
		rows = append(rows, v)
	}
	s.verdicts = rows
	clear(rows)
}

func (v verdict) equal(o verdict) bool {
	return slices.Equal(v.permits, o.permits) && slices.Equal(v.forbids, o.forbids)
}

func readVerdicts(d *reader, r *Record) {
	if len(r.Entries) == 0 || len(d.b) == 0 {
		return
	}
	rows := []verdict{{r.Decision.Permits, r.Decision.Forbids}}
	for i := range r.Entries {
		at := int(d.uint())
		if at == len(rows) {
			rows = append(rows, verdict{d.list(), d.list()})
		}
		if at < 0 || at >= len(rows) {
			d.bad = true
			return
		}
		r.Entries[i].Permits, r.Entries[i].Forbids = rows[at].permits, rows[at].forbids
	}
}

// decidedFor are the reasons that decided on what is about a patient; those of
// the whole request where nothing is.
func decidedFor(r *Record, patient string) (permits, forbids []string) {
	named := false
	for i := range r.Entries {
		e := &r.Entries[i]
		if patient == "" || !slices.Contains(e.Patients, patient) {
			continue
		}
		named = true
		permits, forbids = join(permits, e.Permits), join(forbids, e.Forbids)
	}
	if !named {
		return r.Decision.Permits, r.Decision.Forbids
	}
	return permits, forbids
}

func join(all, more []string) []string {
	for _, s := range more {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}
