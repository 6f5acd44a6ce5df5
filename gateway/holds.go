package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"gatehouse/config"
	"gatehouse/fhir"
	"gatehouse/gateway/audit"
	"gatehouse/gateway/state"
)

// Hold is a legal hold: what the audit trail has of a patient, or all of it, is
// neither expired nor erased until the hold is released.
type Hold struct {
	Patient  string    `json:"patient"` // "Patient/1"; "": everything
	Reason   string    `json:"reason"`
	By       string    `json:"by"`
	At       time.Time `json:"at"`
	Released bool      `json:"released,omitempty"`
}

// The kinds of rows in the state store: what is held, and what was decided of it,
// for the trail of each gateway.
const (
	holdKind      = "audit-hold"
	holdEventKind = "audit-hold-event"
)

// ErrNoHold is what ReleaseHold gives where nothing is held.
var ErrNoHold = errors.New("there is no such hold")

func (h *Hold) check(now time.Time) error {
	if h.Patient != "" && !strings.Contains(h.Patient, "/") {
		h.Patient = "Patient/" + h.Patient
	}
	id, ok := strings.CutPrefix(h.Patient, "Patient/")
	switch {
	case h.Patient != "" && (!ok || !fhir.ValidID(id)):
		return errors.New("a patient is written Patient/1")
	case h.Reason == "" || !plainText(h.Reason):
		return errors.New("give a reason: one line of at most 1000 bytes")
	}
	h.At = now.UTC().Truncate(time.Second)
	return nil
}

// SetHold stores a hold for the gateways of a configuration.
func SetHold(ctx context.Context, cfg *config.Config, h *Hold) error {
	return storeHold(ctx, cfg, h)
}

// ReleaseHold takes one back. By and Reason of h say who does it and why.
func ReleaseHold(ctx context.Context, cfg *config.Config, h *Hold) error {
	h.Released = true
	return storeHold(ctx, cfg, h)
}

func storeHold(ctx context.Context, cfg *config.Config, h *Hold) error {
	if err := h.check(time.Now()); err != nil {
		return err
	}
	value, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("write hold: %w", err)
	}
	return withState(cfg, func(st *state.Store) error {
		if h.Released {
			if _, err := st.Get(ctx, holdKind, h.Patient); errors.Is(err, state.ErrNone) {
				return ErrNoHold
			}
		}
		if err := st.Put(ctx, holdEventKind, requestID(), value, h.At.Add(blockEventLife)); err != nil {
			return err
		}
		if h.Released {
			return st.Delete(ctx, holdKind, h.Patient)
		}
		return st.Put(ctx, holdKind, h.Patient, value, time.Time{})
	})
}

// Holds lists what is held.
func Holds(ctx context.Context, cfg *config.Config) (list []*Hold, err error) {
	err = withState(cfg, func(st *state.Store) error { list, err = listHolds(ctx, st); return err })
	return list, err
}

func listHolds(ctx context.Context, st *state.Store) ([]*Hold, error) {
	list := []*Hold{}
	err := st.List(ctx, holdKind, func(r state.Row) error {
		h := new(Hold)
		if err := json.Unmarshal(r.Value, h); err != nil {
			return fmt.Errorf("read hold: %w", err)
		}
		list = append(list, h)
		return nil
	})
	return list, err
}

// held tells what the holds keep: nothing, one patient's, or everything.
func held(list []*Hold) func(patient string) bool {
	of := map[string]bool{}
	for _, h := range list {
		of[h.Patient] = true
	}
	return func(patient string) bool { return of[""] || of[patient] }
}

// record is the decision as the audit trail tells it; of a patient the reason is
// sealed with what else is known of that patient.
func (h *Hold) record() *audit.Record {
	r := &audit.Record{Kind: audit.Notice, Code: audit.HoldSet, Notes: []audit.Note{{Name: "by", Value: h.By}}}
	if h.Released {
		r.Code = audit.HoldReleased
	}
	if h.Patient == "" {
		r.Notes = append(r.Notes, audit.Note{Name: "what", Value: "everything"}, audit.Note{Name: "reason", Value: h.Reason})
		return r
	}
	r.Patients, r.Body = []string{h.Patient}, []byte(h.Reason)
	return r
}

// HeldBack tells whether a hold keeps what the trail has of a patient.
func HeldBack(ctx context.Context, cfg *config.Config, patient string) (bool, error) {
	list, err := Holds(ctx, cfg)
	return err == nil && held(list)(patient), err
}
