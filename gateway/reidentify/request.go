// Package reidentify is the way back from pseudonyms: one person asks with a
// reason, another one answers, and the first reads what they lead to, once.
package reidentify

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// The bounds of a request. Waits is how long it may be answered, Readable how
// long after an approval it may be read, Kept how long it is listed, and Every
// how often one person may ask.
const (
	Waits    = 24 * time.Hour
	Readable = time.Hour
	Kept     = 30 * 24 * time.Hour
	Every    = time.Minute
	MaxIDs   = 50
)

// Request is one request, from the moment it is asked. It holds pseudonyms
// alone: what they lead to is computed when it is read, and kept nowhere.
type Request struct {
	ID     string   `json:"id"`
	Domain string   `json:"domain"`
	Reason string   `json:"reason"` // names nobody
	IDs    []string `json:"ids"`    // "Patient/Bs…", pseudonyms
	Events []Event  `json:"events"` // what befell it, in order; the first is Asked
}

// Person is who takes a step.
type Person struct {
	Issuer  string `json:"issuer"`
	Subject string `json:"subject"`
	Name    string `json:"name,omitempty"` // to be read; identifies nobody
	User    string `json:"user,omitempty"` // "Practitioner/7"
}

// Same tells whether two are one person, by whichever account.
func (p Person) Same(o Person) bool {
	return p.Issuer == o.Issuer && p.Subject == o.Subject || p.User != "" && p.User == o.User
}

// Event is one step. Note is why one was refused or denied.
type Event struct {
	What string    `json:"what"`
	By   Person    `json:"by"`
	At   time.Time `json:"at"`
	Note string    `json:"note,omitempty"`
}

// The steps.
const (
	Asked    = "asked"
	Approved = "approved"
	Denied   = "denied"
	Read     = "read"
	Refused  = "refused" // somebody tried what they may not
)

// The states beside Approved, Denied and Read.
const (
	Waiting = "waiting"
	Expired = "expired"
)

// What a step is refused with.
var (
	ErrOwn     = errors.New("you asked for this yourself; somebody else approves it")
	ErrReader  = errors.New("only who asked may read it")
	ErrState   = errors.New("the request is not in a state for this")
	ErrRequest = errors.New("name a domain, a reason, and 1 to 50 pseudonyms")
)

// New is a request as it is asked; the caller has looked at the texts.
func New(id, domain, reason string, ids []string, by Person, now time.Time) (*Request, error) {
	if domain == "" || strings.TrimSpace(reason) == "" || len(ids) == 0 || len(ids) > MaxIDs || by.Subject == "" {
		return nil, ErrRequest
	}
	r := &Request{ID: id, Domain: domain, Reason: reason, IDs: ids}
	r.add(Asked, by, "", now)
	return r, nil
}

func (r *Request) add(what string, by Person, note string, now time.Time) {
	r.Events = append(r.Events, Event{what, by, now.UTC().Truncate(time.Second), note})
}

// By is who asked.
func (r *Request) By() Person { return r.Events[0].By }

// last is the last event that changed the state.
func (r *Request) last() Event {
	for i := len(r.Events) - 1; i > 0; i-- {
		if r.Events[i].What != Refused {
			return r.Events[i]
		}
	}
	return r.Events[0]
}

// State is where the request stands, and until when; zero: for good.
func (r *Request) State(now time.Time) (state string, until time.Time) {
	last, life := r.last(), time.Duration(0)
	switch last.What {
	case Asked:
		state, life = Waiting, Waits
	case Approved:
		state, life = Approved, Readable
	default:
		return last.What, time.Time{}
	}
	if until = last.At.Add(life); !now.Before(until) {
		return Expired, time.Time{}
	}
	return state, until
}

// Approve lets who asked read it; it takes another person.
func (r *Request) Approve(by Person, now time.Time) error {
	if state, _ := r.State(now); state != Waiting {
		return ErrState
	}
	if by.Subject == "" || by.Same(r.By()) {
		return r.refuse(by, "approve", now, ErrOwn)
	}
	r.add(Approved, by, "", now)
	return nil
}

// Deny ends it before it is read, approved or not; who asked may take it back.
func (r *Request) Deny(by Person, note string, now time.Time) error {
	if state, _ := r.State(now); state != Waiting && state != Approved {
		return ErrState
	}
	r.add(Denied, by, note, now)
	return nil
}

// Take is the one reading, by who asked.
func (r *Request) Take(by Person, now time.Time) error {
	asker := r.By()
	if by.Issuer != asker.Issuer || by.Subject != asker.Subject {
		return r.refuse(by, "show", now, ErrReader)
	}
	if state, _ := r.State(now); state != Approved {
		return ErrState
	}
	r.add(Read, by, "", now)
	return nil
}

// maxRefused bounds what somebody who keeps trying can make us keep.
const maxRefused = 20

// refuse notes an attempt that the trail must tell of.
func (r *Request) refuse(by Person, what string, now time.Time, err error) error {
	if len(r.Events) < maxRefused {
		r.add(Refused, by, what, now)
	}
	return err
}

// Encode is the stored form.
func (r *Request) Encode() ([]byte, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("write request to resolve pseudonyms: %w", err)
	}
	return b, nil
}

// Decode reads it.
func Decode(b []byte) (*Request, error) {
	r := new(Request)
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("read request to resolve pseudonyms: %w", err)
	}
	if r.ID == "" || len(r.Events) == 0 || r.Events[0].What != Asked || r.By().Subject == "" {
		return nil, errors.New("read request to resolve pseudonyms: it is not one")
	}
	return r, nil
}
