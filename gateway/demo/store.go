package demo

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"

	lru "github.com/hashicorp/golang-lru/v2"
)

// Store is a FHIR R4 server in memory, for the demo and for tests alone. It
// keeps the bytes that it is given: of a resource it writes id, meta.versionId
// and meta.lastUpdated, and nothing else. It asks nobody who they are, validates
// no profile and guards no reference.
type Store struct {
	base    string // without a trailing slash
	path    string // of base
	bases   *fhir.BaseSet
	options fhir.Options
	now     func() time.Time
	pages   *lru.Cache[string, *result]

	mu      sync.RWMutex
	records map[fhir.Ref]*record
	types   map[string][]*record   // in the order in which they came
	links   map[fhir.Ref][]*record // what refers, or once referred, to a resource
	log     []*version             // of everything, oldest first
	serial  int
	last    time.Time

	capabilities func() []byte
}

// record is one resource through time.
type record struct {
	ref      fhir.Ref
	place    int // in the order in which they came
	versions []*version
}

func (r *record) current() *version { return r.versions[len(r.versions)-1] }

// version is one state of a resource; without a body it is deleted.
type version struct {
	ref    fhir.Ref
	number int
	at     time.Time
	method string
	body   []byte
}

func (v *version) etag() string { return `W/"` + strconv.Itoa(v.number) + `"` }

// keptResults bounds the searches whose next pages can be asked for.
const keptResults = 1024

// NewStore makes an empty store. base is the absolute URL under which it is
// served, "http://127.0.0.1:9000/fhir"; links and locations begin with it.
func NewStore(base string) (*Store, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, fmt.Errorf("base of the store: %w", err)
	}
	base = strings.TrimSuffix(base, "/")
	bases, err := fhir.NewBaseSet(base, FormerBase)
	if err != nil {
		return nil, fmt.Errorf("base of the store: %w", err)
	}
	pages, err := lru.New[string, *result](keptResults)
	if err != nil {
		return nil, err
	}
	s := &Store{base: base, path: strings.TrimSuffix(u.EscapedPath(), "/"), bases: bases, now: time.Now, pages: pages,
		records: map[fhir.Ref]*record{}, types: map[string][]*record{}, links: map[fhir.Ref][]*record{}, serial: 100_000,
		options: fhir.Options{Version: fhir.R4, Bases: bases, Operations: map[string]bool{"$everything": true}, MaxEntries: 100_000}}
	s.capabilities = sync.OnceValue(s.statement)
	return s, nil
}

// Load stores resources as they are, under the ids that they have.
func (s *Store) Load(resources [][]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, raw := range resources {
		ref, err := identify(raw)
		if err != nil {
			return fmt.Errorf("load resource %d: %w", i, err)
		}
		if _, err := s.put(ref, raw, http.MethodPut); err != nil {
			return fmt.Errorf("load %s: %w", ref, err)
		}
	}
	return nil
}

var identity = wire.NewPlan("resourceType", "id")

func identify(raw []byte) (ref fhir.Ref, err error) {
	hits, err := identity.Skim(raw, nil)
	if err != nil {
		return ref, err
	}
	for _, h := range hits {
		text, err := wire.Unquote(raw[h.Start:h.End])
		if err != nil {
			return ref, err
		}
		if h.Path == 0 {
			ref.Type = text
		} else {
			ref.ID = text
		}
	}
	if !fhir.R4.KnownType(ref.Type) || !fhir.ValidID(ref.ID) {
		return ref, errors.New("no resourceType or id of R4")
	}
	return ref, nil
}

// get is the present state of a resource, nil where there is none.
func (s *Store) get(ref fhir.Ref) *version {
	r := s.records[ref]
	if r == nil || r.current().body == nil {
		return nil
	}
	return r.current()
}

// put makes the next version of a resource.
func (s *Store) put(ref fhir.Ref, body []byte, method string) (*version, error) {
	r := s.records[ref]
	number := 1
	if r != nil {
		number = r.current().number + 1
	}
	v := &version{ref: ref, number: number, at: s.tick(), method: method}
	if body != nil {
		var err error
		if v.body, err = stamp(body, v); err != nil {
			return nil, err
		}
	}
	if r == nil {
		r = &record{ref: ref, place: len(s.records)}
		s.records[ref] = r
		s.types[ref.Type] = append(s.types[ref.Type], r)
	}
	r.versions = append(r.versions, v)
	s.index(r, v)
	s.log = append(s.log, v)
	return v, nil
}

// tick is a time later than every one before: _since and history count on it.
func (s *Store) tick() time.Time {
	at := s.now().UTC().Truncate(time.Millisecond)
	if !at.After(s.last) {
		at = s.last.Add(time.Millisecond)
	}
	s.last = at
	return at
}

const instant = "2006-01-02T15:04:05.000Z07:00"

// stamp writes id, version and time into a resource; all else keeps its bytes.
func stamp(body []byte, v *version) ([]byte, error) {
	var t wire.Tree
	if err := t.Parse(bytes.TrimSpace(body)); err != nil {
		return nil, err
	}
	var e wire.Edits
	e.Reset(&t)
	set(&t, &e, 0, "id", v.ref.ID)
	number, at := strconv.Itoa(v.number), v.at.Format(instant)
	if meta := t.Get(0, "meta"); meta >= 0 && t.Nodes[meta].Kind == wire.Object {
		set(&t, &e, meta, "versionId", number)
		set(&t, &e, meta, "lastUpdated", at)
	} else {
		e.Append(0, "meta", []byte(`{"versionId":"`+number+`","lastUpdated":"`+at+`"}`))
	}
	return e.Apply(nil), nil
}

func set(t *wire.Tree, e *wire.Edits, node int, name, value string) {
	raw := wire.Quote(nil, value)
	if i := t.Get(node, name); i >= 0 {
		e.Replace(i, raw)
	} else {
		e.Append(node, name, raw)
	}
}

func (s *Store) newID() string {
	for {
		s.serial++
		id := strconv.Itoa(s.serial)
		taken := false
		for typ := range s.types {
			taken = taken || s.records[fhir.Ref{Type: typ, ID: id}] != nil
		}
		if !taken {
			return id
		}
	}
}
