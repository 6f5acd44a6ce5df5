package policy

import (
	"encoding/binary"
	"errors"
	"time"

	"gatehouse/fhir"
)

var errBasis = errors.New("what policy read is not legible in the record")

// basisReader reads what a Keeper wrote.
type basisReader struct {
	b   []byte
	bad bool
	has [lastPath]bool
}

func (d *basisReader) count() int {
	n, size := binary.Uvarint(d.b)
	if size <= 0 || n > uint64(len(d.b)) {
		d.b, d.bad = nil, true
		return 0
	}
	d.b = d.b[size:]
	return int(n)
}

func (d *basisReader) text() string {
	n := d.count()
	if n > len(d.b) {
		d.b, d.bad = nil, true
		return ""
	}
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}

func (d *basisReader) list() []string {
	n := d.count()
	if n == 0 {
		return nil
	}
	l := make([]string, 0, n)
	for range n {
		l = append(l, d.text())
	}
	return l
}

func (d *basisReader) instant() time.Time {
	t, err := time.Parse(time.RFC3339, d.text())
	if err != nil {
		return time.Time{}
	}
	return t
}

// path is the number that comes next; 0 at the end.
func (d *basisReader) path() byte {
	if len(d.b) == 0 {
		return 0
	}
	p := d.b[0]
	d.b = d.b[1:]
	if p == 0 || p >= lastPath {
		d.b, d.bad = nil, true
		return 0
	}
	d.has[p] = true
	return p
}

// asked reads what AppendAsked wrote.
func (d *basisReader) asked(q *Request) {
	s := q.Subject
	for p := d.path(); p != 0; p = d.path() {
		switch p {
		case pathAction:
			q.Action = d.text()
		case pathInteraction:
			q.Interaction = d.text()
			if q.Interaction != "" && q.Interaction[0] == '$' {
				q.Operation = q.Interaction
			}
		case pathType:
			q.Type = d.text()
		case pathID:
			q.ID = d.text()
		case pathScopes:
			s.Scopes = d.list()
		case pathPatient:
			s.Patient = d.text()
		case pathACR:
			s.ACR = d.text()
		case pathAuthTime:
			s.AuthTime = d.instant()
		case pathParameters:
			q.Parameters = map[string][]string{}
			for range d.count() {
				name := d.text()
				q.Parameters[name] = d.list()
			}
		case pathEmergency:
			q.Emergency = d.emergency()
		default:
			d.b, d.bad = nil, true
		}
	}
	if d.has[pathPatient] {
		d.has[pathEmergency] = true // where patients are named, nothing is written for none
	}
}

func (d *basisReader) emergency() *Emergency {
	l := d.list()
	if len(l) != 3 {
		d.bad = true
		return nil
	}
	until, err := time.Parse(time.RFC3339, l[2])
	d.bad = d.bad || err != nil
	return &Emergency{Patient: l[0], Reason: l[1], Until: until}
}

// own reads what begins a basis: whether it has a request of its own.
func (d *basisReader) own() (asked []byte, has bool) {
	if len(d.b) == 0 || d.b[0] > 1 {
		d.b, d.bad = nil, true
		return nil, false
	}
	has = d.b[0] == 1
	d.b = d.b[1:]
	if !has {
		return nil, false
	}
	return []byte(d.text()), true
}

// basis reads the rest of what AppendBasis wrote.
func (d *basisReader) basis(r *Resource) {
	f := r.Facts
	for p := d.path(); p != 0; p = d.path() {
		if text := d.textFact(f, p); text != nil {
			*text = d.text()
			continue
		}
		switch p {
		case pathUnnamed:
			f.Unnamed = true
		case pathPractitioners:
			f.Practitioners = d.list()
		case pathLabels:
			f.Labels = d.list()
		case pathCategories:
			f.Categories = d.list()
		case pathCodes:
			f.Codes = d.list()
		case pathConsent:
			r.Consent.Decision = d.text()
		case pathProvision:
			r.Consent.Provision = d.text()
		case pathConsentSource:
			r.Consent.Source = d.text()
		case pathRelation:
			r.Relation = d.relation()
		default:
			d.b, d.bad = nil, true
		}
	}
}

func (d *basisReader) textFact(f *fhir.Facts, path byte) *string {
	switch path {
	case pathOrganization:
		return &f.Organization
	case pathStatus:
		return &f.Status
	case pathAuthor:
		return &f.Author
	case pathEncounter:
		return &f.Encounter
	case pathDate:
		return &f.Date
	}
	return nil
}

func (d *basisReader) relation() *Relation {
	r := &Relation{}
	for range d.count() {
		r.Encounters = append(r.Encounters, Encounter{ID: d.text(), Status: d.text(), Start: d.text(), End: d.text(),
			Locations: d.list(), Participants: d.list()})
	}
	r.CareTeams, r.Practitioners = d.list(), d.list()
	return r
}
