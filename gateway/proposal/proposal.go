// Package proposal is change control of policies: one person proposes, another
// one approves and activates, and every step is signed.
package proposal

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"gatehouse/gateway/reidentify"
)

// Person is who takes a step.
type Person = reidentify.Person

// Change is a policy that somebody proposes: its files and what was found out
// about them by their digests, so that whoever signs it signs them too.
type Change struct {
	ID       string            `json:"id"`
	Title    string            `json:"title"`
	Reason   string            `json:"reason,omitempty"`
	Base     Base              `json:"base"`
	Revision string            `json:"revision"` // under which the gateway would decide
	Files    map[string]string `json:"files"`    // SHA-256 (hex) by name
	Evidence string            `json:"evidence"` // SHA-256 (hex) of the diff, the tests and the replay
	Summary  []string          `json:"summary"`  // of the evidence, in words that name nobody
	Events   []Event           `json:"events"`   // what befell it, in order; the first is Proposed
}

// Base is what was in force when a change was proposed.
type Base struct {
	Change   string `json:"change,omitempty"`   // "" where none had been activated
	Revision string `json:"revision,omitempty"` // "" where no policy was in force
}

// Event is one step. Note is why, or of one that was refused what was tried.
type Event struct {
	What string    `json:"what"`
	By   Person    `json:"by"`
	At   time.Time `json:"at"`
	Note string    `json:"note,omitempty"`
}

// The steps of a change and of a Line.
const (
	Proposed   = "proposed"
	Approved   = "approved"
	Rejected   = "rejected"
	Refused    = "refused" // somebody tried what they may not
	Activated  = "activated"
	RolledBack = "rolled-back"
)

// What a step is refused with.
var (
	ErrOwn      = errors.New("you proposed this yourself; somebody else approves it")
	ErrApprover = errors.New("who approved the change activates it")
	ErrState    = errors.New("the change is not in a state for this: it waits for approval, or was approved or rejected already")
	ErrRequest  = errors.New("give a title, in one line of at most 1000 bytes")
	ErrMoved    = errors.New("another policy is in force than the one that this was compared with: propose it again, so that its diff says what it changes")
	ErrNever    = errors.New("there is no such change that was in force before")
	ErrStands   = errors.New("this change is in force already")
)

// New is a change as it is proposed; the caller has looked at the texts.
func New(c Change, by Person, now time.Time) (*Change, error) {
	if c.ID == "" || strings.TrimSpace(c.Title) == "" || len(c.Files) == 0 || by.Subject == "" {
		return nil, ErrRequest
	}
	c.Events = nil
	c.add(Proposed, by, "", now)
	return &c, nil
}

func (c *Change) add(what string, by Person, note string, now time.Time) {
	c.Events = append(c.Events, Event{what, by, now.UTC().Truncate(time.Second), note})
}

// By is who proposed it.
func (c *Change) By() Person { return c.Events[0].By }

// Last is the last event that changed the state: Proposed, Approved or Rejected.
func (c *Change) Last() Event {
	for _, e := range slices.Backward(c.Events) {
		if e.What != Refused {
			return e
		}
	}
	return c.Events[0]
}

// Digest names the files, whatever else is said of the change.
func (c *Change) Digest() string { return DigestOf(c.Files) }

// DigestOf is one digest over those of several files.
func DigestOf(files map[string]string) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		h.Write([]byte(name + "\x00" + files[name] + "\n"))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Sum is the digest of a text.
func Sum(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Sums are the digests of files.
func Sums(files map[string][]byte) map[string]string {
	sums := map[string]string{}
	for name, text := range files {
		sums[name] = Sum(text)
	}
	return sums
}

// Approve takes another person than who proposed it.
func (c *Change) Approve(by Person, now time.Time) error {
	if c.Last().What != Proposed {
		return ErrState
	}
	if by.Subject == "" || by.Same(c.By()) {
		return c.refuse(by, "approve", now, ErrOwn)
	}
	c.add(Approved, by, "", now)
	return nil
}

// Reject ends a change for good, approved or not; who proposed it may take it
// back.
func (c *Change) Reject(by Person, reason string, now time.Time) error {
	if c.Last().What == Rejected {
		return ErrState
	}
	c.add(Rejected, by, reason, now)
	return nil
}

// MayActivate tells whether the person may put the change in force; an attempt
// of somebody else is noted.
func (c *Change) MayActivate(by Person, now time.Time) error {
	last := c.Last()
	if last.What != Approved {
		return ErrState
	}
	if by.Subject == "" || !by.Same(last.By) || by.Same(c.By()) {
		return c.refuse(by, "activate", now, ErrApprover)
	}
	return nil
}

// maxEvents bounds what somebody who keeps trying can make us keep.
const maxEvents = 20

func (c *Change) refuse(by Person, what string, now time.Time, err error) error {
	if len(c.Events) < maxEvents {
		c.add(Refused, by, what, now)
	}
	return err
}
