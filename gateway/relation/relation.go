// Package relation looks up the care around patients, their encounters and
// care teams, for policies that ask who takes part in it.
package relation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"

	lru "github.com/hashicorp/golang-lru/v2"
)

// Care is what surrounds one or more patients.
type Care struct {
	Encounters    []Encounter
	CareTeams     []string // "CareTeam/1", active ones
	Practitioners []string // members of the care teams, and of encounters that are in progress
}

// Encounter is one encounter. Start and End are FHIR dateTimes, "" where open.
type Encounter struct {
	ID, Status, Start, End string
	Locations              []string // "Location/3"
	Participants           []string // "Practitioner/7"
}

// Source finds the Encounters and CareTeams of patients.
type Source interface {
	// Around returns the resources (JSON) of both types that have one of the
	// patients ("Patient/1") as subject. An error means that some may be
	// missing, and is never remembered.
	Around(ctx context.Context, patients []string) ([][]byte, error)
}

// Engine remembers the care around patients for a while. It is safe for
// concurrent use.
type Engine struct {
	source   Source
	bases    *fhir.BaseSet
	names    names
	maxStale time.Duration
	now      func() time.Time

	mu    sync.Mutex
	known *lru.Cache[string, held]
}

type held struct {
	care *Care
	at   time.Time
}

// keptPatients bounds the patients whose care is remembered.
const keptPatients = 1 << 15

// names are the elements of an Encounter that not every release calls the same.
type names struct{ period, participant string }

// New makes an Engine; maxStale bounds how old what it says may be.
func New(v fhir.Version, s Source, bases *fhir.BaseSet, maxStale time.Duration, now func() time.Time) *Engine {
	known, err := lru.New[string, held](keptPatients)
	if err != nil { // of a size that is not positive: program text
		panic(err)
	}
	called := names{"period", "individual"}
	if v == fhir.R5 {
		called = names{"actualPeriod", "actor"}
	}
	return &Engine{source: s, bases: bases, names: called, maxStale: maxStale, now: now, known: known}
}

// Load returns the care around each of the patients, asking the source once
// for all that are not remembered.
func (e *Engine) Load(ctx context.Context, patients []string) (map[string]*Care, error) {
	found := make(map[string]*Care, len(patients))
	now := e.now()
	missing := e.recall(found, patients, now)
	if len(missing) == 0 {
		return found, nil
	}
	resources, err := e.source.Around(ctx, missing)
	if err != nil {
		return nil, fmt.Errorf("care of %d patients: %w", len(missing), err)
	}
	for _, p := range missing {
		found[p] = &Care{}
	}
	for _, r := range resources {
		if err := e.file(found, missing, r); err != nil {
			return nil, fmt.Errorf("read care: %w", err)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range missing {
		e.known.Add(p, held{found[p], now})
	}
	return found, nil
}

func (e *Engine) recall(found map[string]*Care, patients []string, now time.Time) (missing []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range patients {
		if found[p] != nil || slices.Contains(missing, p) {
			continue
		}
		if h, ok := e.known.Get(p); ok && now.Sub(h.at) < e.maxStale {
			found[p] = h.care
		} else {
			missing = append(missing, p)
		}
	}
	return missing
}

// Merge is the care around several patients at once.
func Merge(of map[string]*Care, patients []string) *Care {
	if len(patients) == 1 && of[patients[0]] != nil {
		return of[patients[0]]
	}
	all := &Care{}
	for _, p := range patients {
		if c := of[p]; c != nil {
			all.Encounters = append(all.Encounters, c.Encounters...)
			all.CareTeams = append(all.CareTeams, c.CareTeams...)
			all.Practitioners = append(all.Practitioners, c.Practitioners...)
		}
	}
	return all
}

// file adds one resource to the care of its patient, if it was asked for: an
// upstream that ignores its filter adds nothing.
func (e *Engine) file(found map[string]*Care, asked []string, resource []byte) error {
	var t wire.Tree
	if err := t.Parse(resource); err != nil {
		return err
	}
	subject := e.ref(&t, t.Get(0, "subject"))
	if !slices.Contains(asked, subject) {
		return nil
	}
	c := found[subject]
	switch text(&t, 0, "resourceType") {
	case "Encounter":
		n := e.encounter(&t)
		c.Encounters = append(c.Encounters, n)
		if n.Status == "in-progress" {
			c.join(n.Participants)
		}
		return nil
	case "CareTeam":
		if text(&t, 0, "status") == "active" {
			c.CareTeams = append(c.CareTeams, "CareTeam/"+text(&t, 0, "id"))
			c.join(e.refs(&t, t.Get(0, "participant"), "member"))
		}
		return nil
	}
	return errors.New("neither an Encounter nor a CareTeam")
}

func (c *Care) join(people []string) {
	for _, p := range people {
		if strings.HasPrefix(p, "Practitioner") && !slices.Contains(c.Practitioners, p) {
			c.Practitioners = append(c.Practitioners, p)
		}
	}
}

func (e *Engine) encounter(t *wire.Tree) Encounter {
	n := Encounter{ID: text(t, 0, "id"), Status: text(t, 0, "status"),
		Locations: e.refs(t, t.Get(0, "location"), "location"), Participants: e.refs(t, t.Get(0, "participant"), e.names.participant)}
	if p := t.Get(0, e.names.period); p >= 0 {
		n.Start, n.End = text(t, p, "start"), text(t, p, "end")
	}
	return n
}

// refs are the references in the member name of each element of a list that
// holds now: who has left a team cares no more, and where a patient lay last week
// is no place of theirs.
func (e *Engine) refs(t *wire.Tree, list int, name string) []string {
	if list < 0 || t.Nodes[list].Kind != wire.Array {
		return nil
	}
	var all []string
	for i := range t.Children(list) {
		if t.Nodes[i].Kind != wire.Object || e.isOver(t, i) {
			continue
		}
		if r := e.ref(t, t.Get(i, name)); r != "" {
			all = append(all, r)
		}
	}
	return all
}

// isOver tells that an element is of the past, or not yet: by its status, which a
// place of an encounter has, or by its period. An end that cannot be read is one.
func (e *Engine) isOver(t *wire.Tree, i int) bool {
	if s := text(t, i, "status"); s != "" && s != "active" {
		return true
	}
	p := t.Get(i, "period")
	if p < 0 || t.Nodes[p].Kind != wire.Object {
		return p >= 0
	}
	end := text(t, p, "end")
	if end == "" {
		return t.Get(p, "end") >= 0
	}
	for _, form := range []string{time.RFC3339, time.DateOnly, "2006-01", "2006"} {
		if at, err := time.Parse(form, end); err == nil {
			return e.now().After(last(at, form))
		}
	}
	return true
}

// last is the last instant of a date of FHIR that is less precise.
func last(at time.Time, form string) time.Time {
	switch form {
	case time.DateOnly:
		return at.AddDate(0, 0, 1)
	case "2006-01":
		return at.AddDate(0, 1, 0)
	case "2006":
		return at.AddDate(1, 0, 0)
	}
	return at
}

// ref is the "Type/id" of a Reference to this server, or "".
func (e *Engine) ref(t *wire.Tree, node int) string {
	if node < 0 || t.Nodes[node].Kind != wire.Object {
		return ""
	}
	r, _, ok := fhir.ParseRef(text(t, node, "reference"), e.bases)
	if !ok {
		return ""
	}
	return r.String()
}

func text(t *wire.Tree, node int, name string) string {
	if i := t.Get(node, name); i >= 0 {
		return t.Text(i)
	}
	return ""
}
