package audit

import (
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"

	"golang.org/x/mod/sumdb/tlog"
)

// A stored record, format 1:
//
//	version 1 byte ‖ counter 8 bytes ‖ log part ‖ patient parts …
//
// each part is its length and AES-256-GCM ciphertext, nonce = counter ‖ number
// of the part. The log part tells everything that names no patient, the tags of
// the patients concerned and which parts follow: one for each patient (name,
// consents, entries about that patient alone), one for each group of patients
// that some entry is about, and, where there are several patients, one for what
// the request itself named, which opens while all their keys are there.
//
// The leaf of the tree is the hash of these bytes. The keys are random and the
// nonces unique, so the ciphertext is its own salt: a leaf tells nothing once
// the key is gone, and the tree stays whole.
const recordFormat = 1

// ownFormat is that of a record whose caller is a patient: that patient comes
// first, and who called stands in the patient's part, to be erased with it.
const ownFormat = 2

var errTooLarge = fmt.Errorf("record names more than %d entries or patients", maxEntries)

// sealer is the scratch space of one Append; pooled, since this is on the path
// of every request.
type sealer struct {
	concerned
	w     writer // plaintext of the part at hand
	clean bool   // the record's texts were escaped before
	cut   bool   // and cut
	out   []byte // leaf prefix ‖ stored record
	nonce [12]byte

	verdicts []verdict // see writeVerdicts
}

var sealers = sync.Pool{New: func() any { return &sealer{concerned: concerned{index: make(map[string]int)}} }}

// leafPrefix is what RFC 6962 puts before a leaf; the stored record lies behind
// it so that hashing needs no copy.
const leafPrefix = 1

// seal encodes and encrypts r. The bytes are valid until the sealer is used
// again.
func (s *sealer) seal(k *keyring, r *Record) ([]byte, tlog.Hash, error) {
	if len(r.Entries) > maxEntries || len(r.Patients) > maxEntries || len(r.Consents) > maxEntries {
		return nil, tlog.Hash{}, errTooLarge
	}
	s.clean, s.cut = r.clean, r.clean && r.Cut
	if err := s.gather(k, r); err != nil {
		return nil, tlog.Hash{}, err
	}
	s.out = append(s.out[:0], 0, recordFormat)
	if s.own {
		s.out[leafPrefix] = ownFormat
	}
	binary.BigEndian.PutUint64(s.nonce[:], k.counter.Add(1))
	s.out = append(s.out, s.nonce[:8]...)
	s.begin()
	s.writeLogPart(r)
	s.encrypt(k.log, 0)
	s.sealParts(r)
	return s.out[leafPrefix:], sha256.Sum256(s.out), nil
}

// begin starts a part; its first byte says whether a text in it was cut.
func (s *sealer) begin() { s.w = writer{b: append(s.w.b[:0], 0), clean: s.clean, cut: s.cut} }

func (s *sealer) encrypt(a cipher.AEAD, part int) {
	if s.w.cut {
		s.w.b[0] = 1
	}
	binary.BigEndian.PutUint32(s.nonce[8:], uint32(part))
	s.out = binary.AppendUvarint(s.out, uint64(len(s.w.b)+a.Overhead()))
	s.out = a.Seal(s.out, s.nonce[:], s.w.b, nil)
}

// writeLogPart writes what names no patient, and which parts follow.
func (s *sealer) writeLogPart(r *Record) {
	w := &s.w
	if c := r.Caller; s.own {
		c.Subject, c.User, c.Name = "", "", ""
		writeHead(w, r, &c, "")
	} else {
		writeHead(w, r, &r.Caller, r.Address)
	}
	w.count(len(s.patients))
	for _, p := range s.patients {
		w.fixed(p.tag)
	}
	w.count(len(s.groups))
	for _, g := range s.groups {
		w.count(len(g))
		for _, i := range g {
			w.count(i)
		}
	}
	if len(s.patients) == 0 {
		writeRequest(w, r)
	}
	w.count(len(r.Entries))
	for i := range r.Entries {
		s.writeEntry(w, r, i)
	}
	s.writeVerdicts(w, r)
	s.writeOwnBases(w, r)
	writeNotes(w, r)
}

var noEntry Entry

// writeEntry writes what an entry tells without naming a patient. A type or a
// reason that is that of the entry before is not repeated.
func (s *sealer) writeEntry(w *writer, r *Record, i int) {
	e, before := &r.Entries[i], &noEntry
	if i > 0 {
		before = &r.Entries[i-1]
	}
	w.byte(byte(e.Effect))
	w.bool(e.Type == before.Type)
	if e.Type != before.Type {
		w.text(e.Type)
	}
	w.bool(e.Reason == before.Reason)
	if e.Reason != before.Reason {
		w.text(e.Reason)
	}
	w.count(s.place[i] + 1)
	if s.place[i] < 0 {
		w.text(e.ID)
		w.text(e.Version)
	}
}

// sealParts seals what concerns patients: a part for each patient, a part for
// each group, and the request.
func (s *sealer) sealParts(r *Record) {
	if len(s.patients) == 0 {
		return
	}
	parts := len(s.patients) + len(s.groups)
	s.entries.link(parts, s.place)
	s.consents.link(len(s.patients), s.consentOf)
	for i := range parts {
		s.begin()
		if i < len(s.patients) {
			s.w.text(s.names[i])
			if i == 0 && s.own {
				writeOwn(&s.w, r)
			}
			s.writeConsents(r, i)
		}
		for e := s.entries.head[i]; e >= 0; e = s.entries.next[e] {
			s.w.text(r.Entries[e].ID)
			s.w.text(r.Entries[e].Version)
		}
		if len(s.patients) == 1 {
			writeRequest(&s.w, r)
		}
		s.writePartBases(r, i)
		s.encrypt(s.key(i), i+1)
	}
	if len(s.patients) > 1 {
		s.begin()
		writeRequest(&s.w, r)
		if keepsBasis(r) {
			s.w.raw(r.Asked)
		}
		s.encrypt(together(s.patients), parts+1)
	}
}

func (s *sealer) writeConsents(r *Record, patient int) {
	n := 0
	for c := s.consents.head[patient]; c >= 0; c = s.consents.next[c] {
		n++
	}
	s.w.count(n)
	for c := s.consents.head[patient]; c >= 0; c = s.consents.next[c] {
		s.w.text(r.Consents[c].Decision)
		s.w.text(r.Consents[c].Source)
		s.w.text(r.Consents[c].Provision)
	}
}

// key is the key of a part: a patient's own, or that of a group.
func (s *sealer) key(part int) cipher.AEAD {
	if part < len(s.patients) {
		return s.patients[part].aead
	}
	return together(pick(s.patients, s.groups[part-len(s.patients)]))
}

func pick(all []*patientKey, group []int) []*patientKey {
	of := make([]*patientKey, len(group))
	for i, p := range group {
		of[i] = all[p]
	}
	return of
}
