package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"gatehouse/fhir"
	"gatehouse/gateway/audit"
	"gatehouse/gateway/auth"
	"gatehouse/gateway/judge"
	"gatehouse/gateway/kin"
	"gatehouse/gateway/upstream"

	"github.com/hashicorp/golang-lru/v2/expirable"
)

// This file has each access say, where a rule of watch asks for it, whether the
// caller and the patient bear the same surname or live at the same address. It is
// compared before the access is recorded, since the trail holds neither.

// kinship remembers hashes of people, by "Practitioner/7" and "Patient/1".
type kinship struct {
	known *expirable.LRU[string, kin.Marks]
	rests atomic.Int64 // until when nothing is looked up, Unix seconds: the upstream has just failed
}

const (
	kinKept   = 1 << 16
	kinFor    = time.Hour
	kinWithin = 5 * time.Second  // an access does not wait longer to be compared
	kinRest   = 10 * time.Second // after a failure
)

func newKinship() *kinship {
	return &kinship{known: expirable.NewLRU[string, kin.Marks](kinKept, nil, kinFor)}
}

// noteKin takes what a Patient that goes out tells; one that is changed is read anew.
func (x *exchange) noteKin(it *judge.Item, effect audit.Effect) {
	f := &it.Verdict.Facts
	if f.Type != "Patient" || effect == audit.Withheld || !x.comparesKin() {
		return
	}
	name := "Patient/" + f.ID
	x.g.kin.known.Remove(name)
	if effect == audit.Released {
		if m, err := kin.Of(it.Resource); err == nil {
			x.g.kin.known.Add(name, m)
		}
	}
}

// comparesKin tells whether a rule of watch asks for it of this caller: staff, not
// patients and their relatives.
func (x *exchange) comparesKin() bool {
	if len(x.s.cfg.Watch) == 0 || x.g == nil || x.caller == nil || x.caller.subject.Machine {
		return false
	}
	s := x.caller.subject
	if user, _, _ := strings.Cut(s.FHIRUser, "/"); user == "Patient" || selfOf(s) != "" || user == "RelatedPerson" || s.FHIRUser == "" && s.Kin.Empty() {
		return false
	}
	for i := range x.s.cfg.Watch {
		if w := &x.s.cfg.Watch[i]; (w.Detector == "same-surname" || w.Detector == "same-address") &&
			(len(w.Roles) == 0 || slices.ContainsFunc(w.Roles, func(role string) bool { return slices.Contains(s.Roles, role) })) {
			return true
		}
	}
	return false
}

// compareKin marks the entries of the record. Where somebody could not be looked up
// they are not compared, with an alarm: nobody's care waits for it.
func (x *exchange) compareKin(ctx context.Context) {
	if len(x.record.Entries) == 0 || x.record.Kind == audit.Intent || !x.comparesKin() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, kinWithin)
	defer cancel()
	caller, err := x.g.kin.caller(ctx, x.s, x.caller.subject)
	if err == nil && caller.Empty() {
		return
	}
	if err == nil {
		err = x.g.kin.load(ctx, x.s, x.patientsGiven())
	}
	if err != nil && ctx.Err() != context.Canceled {
		x.alarm("watch.kin")
	}
	for i := range x.record.Entries {
		e := &x.record.Entries[i]
		for _, p := range e.Patients {
			m, ok := x.g.kin.known.Peek(p)
			if !ok || e.Effect == audit.Withheld {
				continue
			}
			surname, address := caller.Same(&m)
			if surname {
				e.Same |= audit.SameSurname
			}
			if address {
				e.Same |= audit.SameAddress
			}
		}
	}
}

// patientsGiven are those whose data the record tells of.
func (x *exchange) patientsGiven() []string {
	var l []string
	for i := range x.record.Entries {
		if e := &x.record.Entries[i]; e.Effect != audit.Withheld {
			l = append(l, e.Patients...)
		}
	}
	slices.Sort(l)
	return slices.Compact(l)
}

var errRests = errors.New("the upstream has just failed")

// look runs a lookup, unless one has just failed.
func (k *kinship) look(s *snapshot, f func() error) error {
	if s.now().Unix() < k.rests.Load() {
		return errRests
	}
	err := f()
	if err != nil {
		k.rests.Store(s.now().Add(kinRest).Unix())
	}
	return err
}

// caller is what the token tells of who calls, and what the resource does that it
// names: of a role, the person in it.
func (k *kinship) caller(ctx context.Context, s *snapshot, subject *auth.Subject) (kin.Marks, error) {
	user := subject.FHIRUser
	if user == "" {
		return subject.Kin, nil
	}
	m, ok := k.known.Get(user)
	if !ok {
		err := k.look(s, func() error {
			resource, err := s.personOf(ctx, user)
			if err == nil && resource != nil {
				m, err = kin.Of(resource)
			}
			return err
		})
		if err != nil {
			return subject.Kin, err
		}
		k.known.Add(user, m)
	}
	return subject.Kin.Join(&m), nil
}

// personOf reads the resource of who calls; nil where there is none.
func (s *snapshot) personOf(ctx context.Context, user string) ([]byte, error) {
	resource, err := s.ownResource(ctx, user)
	if err != nil || !strings.HasPrefix(user, "PractitionerRole/") {
		return resource, err
	}
	ref, _, ok := s.bases.ParseRef(kin.Practitioner(resource))
	if !ok || ref.Type != "Practitioner" {
		return nil, nil
	}
	return s.ownResource(ctx, ref.String())
}

func (s *snapshot) ownResource(ctx context.Context, name string) ([]byte, error) {
	answer, err := s.up.Own(ctx, upstream.Kin, upstream.Request{Method: http.MethodGet, Target: name})
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	switch answer.Status {
	case http.StatusOK:
		return io.ReadAll(io.LimitReader(answer.Body, int64(s.cfg.Limits.Resource)))
	case http.StatusNotFound, http.StatusGone:
		return nil, nil
	}
	return nil, fmt.Errorf("upstream status %d", answer.Status)
}

// load sees to it that patients are known: one search for all who are not. Who is
// not found has nothing in common with anybody.
func (k *kinship) load(ctx context.Context, s *snapshot, patients []string) error {
	missing := slices.DeleteFunc(patients, func(p string) bool {
		id, is := strings.CutPrefix(p, "Patient/")
		return !is || !fhir.ValidID(id) || k.known.Contains(p)
	})
	for batch := range slices.Chunk(missing, knownTogether) {
		if err := k.look(s, func() error { return k.find(ctx, s, batch) }); err != nil {
			return err
		}
	}
	return nil
}

func (k *kinship) find(ctx context.Context, s *snapshot, patients []string) error {
	ids := make([]string, len(patients))
	for i, p := range patients {
		ids[i] = strings.TrimPrefix(p, "Patient/")
	}
	found := map[string]kin.Marks{}
	query := "_id=" + url.QueryEscape(strings.Join(ids, ",")) + "&_count=200"
	err := gather(ctx, s.up, int64(s.cfg.Limits.Resource), upstream.Kin, "Patient", query, func(resource []byte) error {
		facts, err := s.grammar.Version.ReadFacts(resource, s.bases)
		if err == nil {
			found["Patient/"+facts.ID], err = kin.Of(resource)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, p := range patients {
		k.known.Add(p, found[p])
	}
	return nil
}
