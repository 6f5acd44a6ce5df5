package consent

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/fhir/wire"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Set are the consents of the patients of one window. It is used by one goroutine.
type Set struct {
	engine *Engine
	now    time.Time
	looked map[string]*lookedUp // nil where nothing had to be looked up

	first heldBy // a read has one patient, as a rule: no list then
	count int
	rest  []heldBy
	index map[string]int // in rest
	next  int            // in rest, where the patient may stand that is asked for next
	room  int            // for this many patients
}

type heldBy struct {
	patient  string
	consents []*consent
}

func (s *Set) consents(patient string) []*consent {
	held, _ := s.find(patient)
	return held
}

// find is quick where patients are asked for in the order of the time before.
func (s *Set) find(patient string) ([]*consent, bool) {
	if s.count > 0 && s.first.patient == patient {
		return s.first.consents, true
	}
	for range 2 {
		if s.next < len(s.rest) && s.rest[s.next].patient == patient {
			s.next++
			return s.rest[s.next-1].consents, true
		}
		s.next = 0
	}
	i, ok := s.index[patient]
	if !ok {
		return nil, false
	}
	s.next = i + 1
	return s.rest[i].consents, true
}

func (s *Set) put(patient string, list []*consent) {
	if s.count++; s.count == 1 {
		s.first = heldBy{patient, list}
		return
	}
	if s.index == nil {
		s.index, s.rest = make(map[string]int, s.room), make([]heldBy, 0, s.room)
	}
	s.index[patient] = len(s.rest)
	s.rest = append(s.rest, heldBy{patient, list})
}

// Load returns the consents of patients for what one caller asks, asking the
// source once for all that are not remembered or are older than max_staleness.
// An error means that consent is not known: whoever asked must refuse.
func (e *Engine) Load(ctx context.Context, a *Actor, patients []string) (Set, error) {
	s := Set{engine: e, now: e.now(), room: len(patients)}
	missing, epoch := e.recall(&s, patients)
	if len(missing) > 0 {
		found, err := e.source.Consents(ctx, missing)
		if err != nil {
			return Set{}, fmt.Errorf("consents of %d patients: %w", len(missing), err)
		}
		e.keep(&s, missing, e.sort(missing, found), epoch)
	}
	if err := e.lookUp(ctx, &s, a, patients); err != nil {
		return Set{}, err
	}
	return s, nil
}

func (e *Engine) recall(s *Set, patients []string) (missing []string, epoch uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, p := range patients {
		if i > 0 && p == patients[i-1] {
			continue
		}
		if _, known := s.find(p); known || slices.Contains(missing, p) {
			continue
		}
		if list, ok := e.known.get(p, s.now, e.maxStale); ok {
			s.put(p, list)
			continue
		}
		missing = append(missing, p)
	}
	return missing, e.epoch
}

// sorted are consents by patient, with the bytes that they were read from.
type sorted map[string]struct {
	consents []*consent
	bytes    int
}

// sort reads Consents and gives each to the patients whose it is, or may be.
func (e *Engine) sort(asked []string, resources [][]byte) sorted {
	all := make(sorted, len(asked))
	for _, r := range resources {
		whose, sure := e.reader.whose(r, asked)
		if len(whose) == 0 {
			continue
		}
		c := e.reader.one(r)
		if !sure {
			c.void = true
			c.problem = cmp.Or(c.problem, "whose")
		}
		if c.problem != "" && e.problem != nil {
			e.problem(c.problem)
		}
		for _, p := range whose {
			of := all[p]
			of.consents, of.bytes = append(of.consents, c), of.bytes+len(r)
			all[p] = of
		}
	}
	return all
}

func (e *Engine) keep(s *Set, missing []string, found sorted, epoch uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range missing {
		of := found[p]
		s.put(p, of.consents)
		if e.epoch == epoch {
			e.known.put(p, of.consents, of.bytes, s.now)
		}
	}
}

// Forget drops what is remembered of a patient: a Consent was written through
// the gateway and acts at once (CONS-13).
func (e *Engine) Forget(patient string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.epoch++
	e.known.drop(patient)
}

var whosePlan = wire.NewPlan("patient", "subject", "patient.reference", "subject.reference")

// whose tells which of the patients that were asked about a Consent is of
// (CONS-01: its patient, nobody else it names). Where it names somebody and who
// that is cannot be told, the search that found it says that it may be any of
// them: not sure.
func (r *reader) whose(resource []byte, asked []string) (patients []string, sure bool) {
	hits, err := whosePlan.Skim(resource, nil)
	if err != nil {
		return asked, false
	}
	named, reference := false, ""
	for _, h := range hits {
		switch {
		case h.Path < 2:
			named = true
		case reference == "":
			if reference, err = wire.Unquote(resource[h.Start:h.End]); err != nil {
				return asked, false
			}
		default:
			return asked, false // it has a patient and a subject
		}
	}
	ref, _, ok := r.bases.ParseRef(reference)
	if at := slices.Index(asked, ref.String()); ok && at >= 0 {
		return asked[at : at+1], true
	}
	switch {
	case ok, !named:
		return nil, true // somebody else's: the server has not kept to the search
	case strings.Contains(reference, "://"):
		for i, p := range asked { // a name of the server that is not configured
			if strings.HasSuffix(reference, "/"+p) {
				return asked[i : i+1], false
			}
		}
		return nil, true
	}
	return asked, false
}

// cache remembers values for a time, the least used of them going first when
// they weigh too much together.
type cache[V any] struct {
	list   *simplelru.LRU[string, cached[V]]
	weight int
}

type cached[V any] struct {
	value  V
	weight int
	at     time.Time
}

// What caches hold at most, about: bytes that were read, and an allowance for
// each entry.
const (
	keptBytes   = 64 << 20
	keptEntries = 1 << 17
	entryWeight = 256
)

func newCache[V any]() cache[V] {
	list, err := simplelru.NewLRU[string, cached[V]](keptEntries, nil)
	if err != nil { // of a size that is not positive: program text
		panic(err)
	}
	return cache[V]{list: list}
}

func (c *cache[V]) get(key string, now time.Time, maxAge time.Duration) (v V, ok bool) {
	e, ok := c.list.Get(key)
	if !ok || now.Sub(e.at) >= maxAge {
		return v, false
	}
	return e.value, true
}

func (c *cache[V]) put(key string, v V, bytes int, now time.Time) {
	c.drop(key)
	weight := bytes + entryWeight
	if weight > keptBytes {
		return
	}
	for c.weight+weight > keptBytes || c.list.Len() == keptEntries {
		_, oldest, _ := c.list.RemoveOldest()
		c.weight -= oldest.weight
	}
	c.list.Add(key, cached[V]{v, weight, now})
	c.weight += weight
}

func (c *cache[V]) drop(key string) {
	if e, ok := c.list.Peek(key); ok {
		c.list.Remove(key)
		c.weight -= e.weight
	}
}
