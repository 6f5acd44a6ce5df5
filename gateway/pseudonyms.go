package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/config"
	"gatehouse/fhir"
	"gatehouse/gateway/audit"
	"gatehouse/gateway/reidentify"
	"gatehouse/gateway/state"
	"gatehouse/gateway/view"
)

// This file is the way back from pseudonyms, for commands and the admin API: who
// asks, who answers, and what is read, on the state store that they share.

// The kinds of rows in the state store: requests, who asked within the last
// minute, and how many steps of a request the trail of a gateway tells of.
const (
	resolveKind      = "pseudonym"
	resolveAskedKind = "pseudonym-asked"
	resolveHeardKind = "pseudonym-heard"
)

// What PseudonymDesk refuses beside what reidentify does.
var (
	ErrNoRequest = errors.New("there is no such request")
	ErrTooOften  = errors.New("one person may ask once a minute")
	ErrVaultHeld = errors.New("the running gateway holds the vault that this pseudonym leads through; read it at the admin API: POST /api/v1/pseudonyms/REQUEST/show")
)

// PseudonymDesk takes the steps of requests to resolve pseudonyms.
type PseudonymDesk struct {
	store *state.Store
	codec func(vault bool) (*view.Codec, error)
	now   func() time.Time
	form  func(typ, id string) bool // whether an id that is no sealed pseudonym may be one
	kept  bool                      // the vault leads back from pseudonyms of a service
}

// otherForms: a UUID where pseudonyms are UUIDs, and whatever the service of a
// trusted third party makes.
func otherForms(cfg *config.Config) func(typ, id string) bool {
	return func(typ, id string) bool {
		service := cfg.Pseudonyms.Service
		return cfg.Pseudonyms.Shape == "uuid" && view.UUIDShaped(id) || service != nil && slices.Contains(service.Types, typ) && fhir.ValidID(id)
	}
}

func keptBack(cfg *config.Config) bool {
	return cfg.Pseudonyms.Service != nil && cfg.Pseudonyms.Service.Kind == "entici"
}

// Resolved is a pseudonym and what it leads to; Real is "" where it leads
// nowhere in the domain.
type Resolved struct {
	Pseudonym string `json:"pseudonym"` // "Patient/Bs…", as it was asked for
	Real      string `json:"real,omitempty"`
}

// OnPseudonyms works on the requests of a configuration; the gateway may be
// running on it, and records each step, or else at its next start.
func OnPseudonyms(cfg *config.Config, f func(*PseudonymDesk) error) error {
	if !cfg.Pseudonyms.Key().Named() {
		return errors.New("the configuration has no pseudonyms key, so nobody was given a pseudonym")
	}
	return withState(cfg, func(st *state.Store) error {
		own := &stores{shared: st}
		if err := own.readErased(context.Background()); err != nil {
			return err
		}
		s := &snapshot{cfg: cfg, stores: own}
		codec := func(vault bool) (*view.Codec, error) {
			if !vault && cfg.State.URL == "" { // or a gateway that starts meanwhile would find the file held
				own.opened = view.MemoryVault()
			}
			c, err := s.codec()
			if errors.Is(err, view.ErrHeld) {
				return nil, ErrVaultHeld
			}
			return c, err
		}
		return errors.Join(f(&PseudonymDesk{st, codec, time.Now, otherForms(cfg), keptBack(cfg)}), own.closeVault())
	})
}

// Ask stores a request. An id is a pseudonym of type typ, or "Type/pseudonym", or
// an identifier or encrypted text (resolve_text.go).
// What is no pseudonym by its form is refused: a real id must not reach the trail.
func (d *PseudonymDesk) Ask(ctx context.Context, by reidentify.Person, domain, reason, typ string, ids []string) (*reidentify.Request, error) {
	var all []string
	for _, id := range ids {
		t, p, ok := strings.Cut(id, "/")
		if !ok {
			t, p = typ, id
		}
		if is, _ := view.Shape(p); (!is && !d.form(t, p) || !knownType(t)) && !textPseudonym(t, p) {
			return nil, fmt.Errorf("%w: one of the ids is no pseudonym that a view made, or its type is none", reidentify.ErrRequest)
		}
		if one := t + "/" + p; !slices.Contains(all, one) {
			all = append(all, one)
		}
	}
	if !plainText(reason) || !plainText(domain) {
		return nil, fmt.Errorf("%w: each is one line of at most 1000 bytes", reidentify.ErrRequest)
	}
	now := d.now()
	r, err := reidentify.New(requestID(), domain, reason, all, by, now)
	if err != nil {
		return nil, err
	}
	value, err := r.Encode()
	if err != nil {
		return nil, err
	}
	first, err := d.store.Create(ctx, resolveAskedKind, by.Issuer+"\x00"+by.Subject, []byte(r.ID), now.Add(reidentify.Every))
	if err != nil {
		return nil, err
	}
	if !first {
		return nil, ErrTooOften
	}
	return r, d.store.Put(ctx, resolveKind, r.ID, value, now.Add(reidentify.Kept))
}

func knownType(t string) bool {
	return slices.ContainsFunc([]fhir.Version{fhir.R4, fhir.R4B, fhir.R5, fhir.STU3}, func(v fhir.Version) bool { return v.KnownType(t) })
}

// Approve lets who asked read the answer.
func (d *PseudonymDesk) Approve(ctx context.Context, by reidentify.Person, id string) (*reidentify.Request, error) {
	return d.step(ctx, id, func(r *reidentify.Request) error { return r.Approve(by, d.now()) })
}

// Deny ends a request.
func (d *PseudonymDesk) Deny(ctx context.Context, by reidentify.Person, id, note string) (*reidentify.Request, error) {
	if !plainText(note) {
		return nil, fmt.Errorf("%w: a note is one line of at most 1000 bytes", reidentify.ErrRequest)
	}
	return d.step(ctx, id, func(r *reidentify.Request) error { return r.Deny(by, note, d.now()) })
}

// Show gives what the pseudonyms lead to, once, to who asked. It is resolved
// before the reading is spent, and released after it is.
func (d *PseudonymDesk) Show(ctx context.Context, by reidentify.Person, id string) (*reidentify.Request, []Resolved, error) {
	r, err := d.request(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	found, err := d.resolve(r)
	if err != nil {
		return nil, nil, err
	}
	if r, err = d.step(ctx, id, func(r *reidentify.Request) error { return r.Take(by, d.now()) }); err != nil {
		return nil, nil, err
	}
	return r, found, nil
}

func (d *PseudonymDesk) resolve(r *reidentify.Request) ([]Resolved, error) {
	vault := slices.ContainsFunc(r.IDs, func(id string) bool {
		_, vault := view.Shape(id[strings.IndexByte(id, '/')+1:])
		return vault || d.kept
	})
	codec, err := d.codec(vault)
	if err != nil {
		return nil, err
	}
	found := make([]Resolved, 0, len(r.IDs))
	for _, id := range r.IDs {
		typ, p, _ := strings.Cut(id, "/")
		one := Resolved{Pseudonym: id}
		if textPseudonym(typ, p) {
			one.Real = resolveText(codec, r.Domain, typ, p)
		} else if real, ok := codec.Real(r.Domain, typ, p); ok {
			one.Real = typ + "/" + real
		}
		found = append(found, one)
	}
	return found, nil
}

// List gives the requests of the last thirty days, newest first.
func (d *PseudonymDesk) List(ctx context.Context) (list []*reidentify.Request, err error) {
	err = d.store.List(ctx, resolveKind, func(row state.Row) error {
		r, err := reidentify.Decode(row.Value)
		list = append(list, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b *reidentify.Request) int { return strings.Compare(b.ID, a.ID) }) // ids begin with their time
	return list, nil
}

func (d *PseudonymDesk) request(ctx context.Context, id string) (*reidentify.Request, error) {
	row, err := d.store.Get(ctx, resolveKind, id)
	if errors.Is(err, state.ErrNone) {
		return nil, ErrNoRequest
	}
	if err != nil {
		return nil, err
	}
	return reidentify.Decode(row.Value)
}

// step changes a request. A refused attempt is stored too, so that the trail
// tells of it.
func (d *PseudonymDesk) step(ctx context.Context, id string, f func(*reidentify.Request) error) (r *reidentify.Request, refused error) {
	err := d.store.Update(ctx, resolveKind, id, func(old []byte) (_ []byte, err error) {
		if r, err = reidentify.Decode(old); err != nil {
			return nil, err
		}
		refused = f(r)
		return r.Encode()
	})
	if errors.Is(err, state.ErrNone) {
		return nil, ErrNoRequest
	}
	if err != nil {
		return nil, err
	}
	return r, refused
}

// recordsOf are the steps of a request as the trail tells them, with pseudonyms
// alone.
func recordsOf(r *reidentify.Request) []*audit.Record {
	var all []*audit.Record
	for _, e := range r.Events {
		one := &audit.Record{Kind: audit.Notice, Code: audit.Reidentify + e.What, Time: e.At, Request: r.ID, Domain: r.Domain,
			Caller: audit.Caller{Issuer: e.By.Issuer, Subject: e.By.Subject, Name: e.By.Name, User: e.By.User},
			Notes:  []audit.Note{{Name: "by", Value: e.By.Subject}, {Name: "asked-by", Value: r.By().Subject}, {Name: "reason", Value: r.Reason}}}
		if e.Note != "" {
			one.Notes = append(one.Notes, audit.Note{Name: "note", Value: e.Note})
		}
		for _, id := range r.IDs {
			one.Notes = append(one.Notes, audit.Note{Name: audit.PseudonymNote, Value: id})
		}
		all = append(all, one)
	}
	return all
}
