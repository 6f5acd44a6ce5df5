package audit

import (
	"net/netip"
	"strings"
)

// Scrubber takes from records, for readers who are not to know of whom they are
// (a SIEM, U-06), what tells or could tell it:
//
//	kept      who asked, of staff and services; what kind of data; outcome,
//	          rules, revision, view; times, request id
//	hash      ids of patients and of resources, of callers who may be patients
//	          themselves, opaque tokens, values of notes: equal ones stay equal
//	dropped   query and body, what policy read, versions, names; of a caller who
//	          may be a patient the last part of the address
type Scrubber struct {
	Hash func(string) string // keyed: without the key nobody can try out ids
}

// Scrub gives the record as such readers may see it; r stays as it is.
func (s Scrubber) Scrub(r *Record) *Record {
	c := *r
	c.Query, c.Body, c.Asked, c.UserAgent = nil, nil, nil, ""
	c.Patients = s.refs(r.Patients)
	if c.ID != "" {
		c.ID = s.id(r.Type, r.ID)
	}
	c.Consents = make([]Consent, len(r.Consents))
	for i, k := range r.Consents {
		k.Patient, k.Source = s.ref(k.Patient), s.ref(k.Source)
		c.Consents[i] = k
	}
	c.Entries = make([]Entry, len(r.Entries))
	for i, e := range r.Entries {
		e.ID, e.Version, e.Basis, e.Patients = s.id(e.Type, e.ID), "", nil, s.refs(e.Patients)
		c.Entries[i] = e
	}
	c.Notes = s.notes(r.Notes)
	s.caller(&c)
	return &c
}

// ref keeps the type of a reference.
func (s Scrubber) ref(ref string) string {
	typ, id, ok := strings.Cut(ref, "/")
	if ref == "" || !ok {
		return s.hash(ref)
	}
	return typ + "/" + s.id(typ, id)
}

func (s Scrubber) refs(l []string) []string {
	out := make([]string, len(l))
	for i, ref := range l {
		out[i] = s.ref(ref)
	}
	return out
}

// id is the same for a patient's own record and for a reference to it.
func (s Scrubber) id(typ, id string) string {
	if id == "" {
		return ""
	}
	return s.hash(typ + "/" + id)
}

func (s Scrubber) hash(text string) string {
	if text == "" {
		return ""
	}
	return s.Hash(text)
}

// plainNotes are the notes whose values are the gateway's own words or ids.
var plainNotes = map[string]bool{EmergencyNote: true, "verdict": true, "what": true, "until": true, "resolve": true,
	"config": true, "policy": true, "bundle": true, "segment": true, "records": true, "spooled": true, "sink": true, "by": true, "asked-by": true, "route": true, "level": true}

// notes hashes what a person wrote or what may stand for a patient.
func (s Scrubber) notes(l []Note) []Note {
	out := make([]Note, len(l))
	for i, n := range l {
		if !plainNotes[n.Name] {
			n.Value = s.hash(n.Value)
		}
		out[i] = n
	}
	return out
}

// caller hides who may be a patient: everybody who is not known as staff or as
// a service.
func (s Scrubber) caller(r *Record) {
	c := &r.Caller
	if !strings.HasPrefix(c.Token, jtiPrefix) {
		c.Token = s.hash(c.Token)
	}
	staff := strings.HasPrefix(c.User, "Practitioner/") || strings.HasPrefix(c.User, "PractitionerRole/")
	service := c.User == "" && c.Self == "" && c.Subject == c.Client
	if staff || service {
		return
	}
	c.Subject, c.User, c.Self, c.Name = s.hash(c.Subject), s.ref(c.User), "", ""
	r.Address = network24(r.Address)
}

// network24 is the network of an address: /24, of IPv6 /48.
func network24(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	bits := 48
	if a = a.Unmap(); a.Is4() {
		bits = 24
	}
	p, err := a.WithZone("").Prefix(bits)
	if err != nil {
		return ""
	}
	return p.Addr().String()
}
