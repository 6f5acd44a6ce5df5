// Package consent holds an access against what patients have agreed to: FHIR
// Consent resources, found for all patients of a window at once, remembered no
// longer than configured, and evaluated provision by provision.
package consent

import (
	"context"
	"fmt"
	"sync"
	"time"

	"gatehouse/config"
	"gatehouse/fhir"

	lru "github.com/hashicorp/golang-lru/v2"
)

// Actor is who asks, as Consent provisions name them.
type Actor struct {
	User         string // "Practitioner/7"
	Organization string // "Organization/2"
	Client       string // OAuth client id
	Roles        []string
	Purpose      []string // v3-ActReason codes
}

// Result is what the consents of a resource's patients say. The zero Result
// refuses nothing and says nothing: see Engine.
type Result struct {
	Decision  string // permit, deny, none (no active consent speaks of it), n/a (no patient)
	Provision string // path of the provision that decided, e.g. "provision.provision[1]"
	Source    string // the Consent that decided, "Consent/9"
	Refused   bool   // the access is denied: by a consent, or by the default for those who have none
}

// Source finds the Consents of patients, whatever their status.
type Source interface {
	// Consents returns Consent resources (JSON) by "Patient/1". An error means
	// that some may be missing, and is never remembered.
	Consents(ctx context.Context, patients []string) (map[string][][]byte, error)
}

// Engine evaluates consents. It is safe for concurrent use.
type Engine struct {
	source   Source
	permit   bool // what patients with no active consent have agreed to
	maxStale time.Duration
	now      func() time.Time

	mu    sync.Mutex
	epoch uint64 // counts Forget: what was fetched before one is not kept after it
	known *lru.Cache[string, held]
}

// held are the consents of one patient, read at a time.
type held struct {
	consents []*consent
	at       time.Time
}

// keptPatients bounds the patients whose consents are remembered.
const keptPatients = 1 << 16

// New makes an Engine. c.Default decides for patients with no active consent;
// anything but "permit" refuses.
func New(c config.Consent, v fhir.Version, s Source, now func() time.Time) *Engine {
	known, err := lru.New[string, held](keptPatients)
	if err != nil { // of a size that is not positive: program text
		panic(err)
	}
	return &Engine{source: s, permit: c.Default == "permit", maxStale: time.Duration(c.MaxStaleness), now: now, known: known}
}

// Set are the consents of the patients of one window.
type Set struct {
	engine *Engine
	of     map[string][]*consent
	now    time.Time
}

// Load returns the consents of patients, asking the source once for all that
// are not remembered or are older than max_staleness. An error means that
// consent is not known: whoever asked must refuse.
func (e *Engine) Load(ctx context.Context, patients []string) (*Set, error) {
	s := &Set{engine: e, of: make(map[string][]*consent, len(patients)), now: e.now()}
	missing, epoch := e.recall(s, patients)
	if len(missing) == 0 {
		return s, nil
	}
	found, err := e.source.Consents(ctx, missing)
	if err != nil {
		return nil, fmt.Errorf("consents of %d patients: %w", len(missing), err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range missing {
		list := read(found[p])
		s.of[p] = list
		if e.epoch == epoch {
			e.known.Add(p, held{list, s.now})
		}
	}
	return s, nil
}

func (e *Engine) recall(s *Set, patients []string) (missing []string, epoch uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range patients {
		if _, ok := s.of[p]; ok {
			continue
		}
		h, ok := e.known.Get(p)
		if ok && s.now.Sub(h.at) < e.maxStale {
			s.of[p] = h.consents
			continue
		}
		s.of[p] = nil
		missing = append(missing, p)
	}
	return missing, e.epoch
}

// Forget drops what is remembered of a patient: a Consent was written through
// the gateway and acts at once.
func (e *Engine) Forget(patient string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.epoch++
	e.known.Remove(patient)
}

// Decide says what the consents of the resource's patients mean for one
// access. Of several patients one refusal is enough. action is read, search,
// create, update, delete or operation.
func (s *Set) Decide(a Actor, action string, f *fhir.Facts) Result {
	if len(f.Patients) == 0 {
		return Result{Decision: "n/a"}
	}
	q := query{actor: a, action: action, facts: f, now: s.now}
	var all Result
	for i, p := range f.Patients {
		r := s.one(&q, p)
		if i == 0 || r.Refused && !all.Refused {
			all = r
		}
	}
	return all
}

// one combines a patient's consents: a deny of one overrides the permits of
// others (CONS-03).
func (s *Set) one(q *query, patient string) Result {
	all := Result{Decision: "none", Refused: !s.engine.permit}
	for _, c := range s.of[patient] {
		verdict, path := c.decide(q)
		switch verdict {
		case deny:
			return Result{Decision: "deny", Provision: path, Source: c.ref, Refused: true}
		case permit:
			if all.Decision == "none" {
				all = Result{Decision: "permit", Provision: path, Source: c.ref}
			}
		}
	}
	return all
}
