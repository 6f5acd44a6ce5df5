package gateway

import (
	"context"
	"encoding/json"
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
)

// This file is the erasure of a patient: one person asks, another one approves,
// by the steps of reidentify; erase_run.go does it.

// The kinds of rows in the state store: erasures, and how many steps of one the
// trail of a gateway tells of.
const (
	eraseKind      = "erase"
	eraseHeardKind = "erase-heard"
	eraseDomain    = "erase"
)

// Erasure is one request to erase a patient.
type Erasure struct {
	reidentify.Request                    // IDs is the patient, until every trace is gone
	Hash               string             `json:"patient_hash"` // stands for the patient in the trail, by audit.PatientHash
	Done               map[string]*Erased `json:"done,omitempty"`
}

// Erased is what a gateway erased, by the directory of its trail.
type Erased struct {
	At     time.Time `json:"at"`
	Keys   int       `json:"keys"`             // key files that the patient's key was cut out of
	Grants int       `json:"grants"`           // emergency grants
	Failed string    `json:"failed,omitempty"` // why it is not done; it is tried again
}

// What EraseDesk refuses beside what reidentify does.
var (
	ErrErasePatient = fmt.Errorf("%w: name the patient as Patient/1 and a reason, one line that does not name the patient", reidentify.ErrRequest)
	ErrHeldBack     = errors.New("the patient's records are under legal hold: nothing is erased")
)

// EraseDesk takes the steps of erasures.
type EraseDesk struct {
	cfg   *config.Config
	store *state.Store
	hash  func(patient string) string
	now   func() time.Time
}

// OnErasures works on the erasures of a configuration; the gateway may be running
// on it.
func OnErasures(cfg *config.Config, f func(*EraseDesk) error) error {
	o, err := AuditOptions(cfg)
	if err != nil {
		return err
	}
	return withState(cfg, func(st *state.Store) error { return f(newEraseDesk(cfg, st, o.Key, time.Now)) })
}

func newEraseDesk(cfg *config.Config, st *state.Store, key []byte, now func() time.Time) *EraseDesk {
	return &EraseDesk{cfg, st, func(p string) string { return audit.PatientHash(key, p) }, now}
}

// Ask stores a request.
func (d *EraseDesk) Ask(ctx context.Context, by reidentify.Person, patient, reason string) (*Erasure, error) {
	id, ok := strings.CutPrefix(patient, "Patient/")
	if !ok || !fhir.ValidID(id) || !plainText(reason) || strings.Contains(reason, id) && len(id) > 3 {
		return nil, ErrErasePatient
	}
	if err := d.free(ctx, patient); err != nil {
		return nil, err
	}
	r, err := reidentify.New(requestID(), eraseDomain, reason, []string{patient}, by, d.now())
	if err != nil {
		return nil, ErrErasePatient
	}
	e := &Erasure{Request: *r, Hash: d.hash(patient)}
	value, err := e.encode()
	if err != nil {
		return nil, err
	}
	return e, d.store.Put(ctx, eraseKind, e.ID, value, d.now().Add(reidentify.Kept))
}

// Approve has the gateways erase the patient.
func (d *EraseDesk) Approve(ctx context.Context, by reidentify.Person, id string) (*Erasure, error) {
	e, err := d.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	if len(e.IDs) == 1 {
		if err := d.free(ctx, e.IDs[0]); err != nil {
			return nil, err
		}
	}
	return d.step(ctx, id, func(e *Erasure) error { return e.Request.Approve(by, d.now()) })
}

// Deny ends a request that waits.
func (d *EraseDesk) Deny(ctx context.Context, by reidentify.Person, id, note string) (*Erasure, error) {
	if !plainText(note) {
		return nil, fmt.Errorf("%w: a note is one line of at most 1000 bytes", reidentify.ErrRequest)
	}
	return d.step(ctx, id, func(e *Erasure) error {
		if e.approved() {
			return reidentify.ErrState
		}
		err := e.Request.Deny(by, note, d.now())
		if err == nil {
			e.IDs = nil
		}
		return err
	})
}

// free refuses to erase what is under legal hold.
func (d *EraseDesk) free(ctx context.Context, patient string) error {
	list, err := listHolds(ctx, d.store)
	if err == nil && held(list)(patient) {
		err = ErrHeldBack
	}
	return err
}

// Get gives one request.
func (d *EraseDesk) Get(ctx context.Context, id string) (*Erasure, error) {
	row, err := d.store.Get(ctx, eraseKind, id)
	if errors.Is(err, state.ErrNone) {
		return nil, ErrNoRequest
	}
	if err != nil {
		return nil, err
	}
	return decodeErasure(row.Value)
}

// List gives the requests of the last thirty days, newest first.
func (d *EraseDesk) List(ctx context.Context) (list []*Erasure, err error) {
	err = d.store.List(ctx, eraseKind, func(row state.Row) error {
		e, err := decodeErasure(row.Value)
		list = append(list, e)
		return err
	})
	slices.SortFunc(list, func(a, b *Erasure) int { return strings.Compare(b.ID, a.ID) }) // ids begin with their time
	return list, err
}

// step changes a request; a refused attempt is stored too.
func (d *EraseDesk) step(ctx context.Context, id string, f func(*Erasure) error) (e *Erasure, refused error) {
	err := d.store.Update(ctx, eraseKind, id, func(old []byte) (_ []byte, err error) {
		if e, err = decodeErasure(old); err != nil {
			return nil, err
		}
		refused = f(e)
		return e.encode()
	})
	if errors.Is(err, state.ErrNone) {
		return nil, ErrNoRequest
	}
	if err != nil {
		return nil, err
	}
	return e, refused
}

// Status is where it stands.
func (e *Erasure) Status(now time.Time) string {
	if !e.approved() {
		s, _ := e.State(now)
		return s
	}
	for _, one := range e.Done {
		if one.Failed != "" {
			return "failed: " + one.Failed
		}
	}
	if len(e.Done) == 0 {
		return reidentify.Approved
	}
	return "erased"
}

// approved tells whether it is to be done, or was: unlike a reading, an approved
// erasure does not grow old, since a gateway may be away.
func (e *Erasure) approved() bool {
	return slices.ContainsFunc(e.Events, func(v reidentify.Event) bool { return v.What == reidentify.Approved })
}

func (e *Erasure) encode() ([]byte, error) {
	b, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("write erasure: %w", err)
	}
	return b, nil
}

func decodeErasure(b []byte) (*Erasure, error) {
	e := new(Erasure)
	if err := json.Unmarshal(b, e); err != nil {
		return nil, fmt.Errorf("read erasure: %w", err)
	}
	if e.ID == "" || e.Domain != eraseDomain || len(e.Events) == 0 || e.Events[0].What != reidentify.Asked || e.By().Subject == "" {
		return nil, errors.New("read erasure: it is not one")
	}
	return e, nil
}

// records are the steps as the trail tells them, without the patient's name.
func (e *Erasure) records() []*audit.Record {
	var all []*audit.Record
	for _, v := range e.Events {
		one := &audit.Record{Kind: audit.Notice, Code: audit.ErasePrefix + v.What, Time: v.At, Request: e.ID,
			Caller: audit.Caller{Issuer: v.By.Issuer, Subject: v.By.Subject, Name: v.By.Name, User: v.By.User},
			Notes:  append(e.notes(), audit.Note{Name: "by", Value: v.By.Subject})}
		if v.Note != "" {
			one.Notes = append(one.Notes, audit.Note{Name: "note", Value: v.Note})
		}
		all = append(all, one)
	}
	return all
}

func (e *Erasure) notes() []audit.Note {
	return []audit.Note{{Name: "erasure", Value: e.ID}, {Name: "patient-hash", Value: e.Hash}, {Name: "asked-by", Value: e.By().Subject}, {Name: "reason", Value: e.Reason}}
}
