package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/audit"
	"gatehouse/gateway/audit/index"
	"gatehouse/gateway/reidentify"
	"gatehouse/gateway/state"

	"go.uber.org/zap"
)

// This file is reading the audit trail: by its index where there is one, and
// never without a record of it (AUD-11).

// OpenTrail opens the trail of a configuration for reports: its index, where the
// gateway has begun one and scan is not asked for, else the log itself. The
// gateway may be running.
func OpenTrail(ctx context.Context, cfg *config.Config, scan bool) (src audit.Source, done func() error, err error) {
	o, err := AuditOptions(cfg)
	if err != nil {
		return nil, nil, err
	}
	if !scan && index.Exists(ctx, indexStore(cfg), o.Dir) {
		x, err := index.Open(ctx, indexStore(cfg), o.Dir, o.Key)
		if err != nil {
			return nil, nil, err
		}
		return x, x.Close, nil
	}
	r, err := audit.OpenReader(o.Dir, o.Key)
	return r, func() error { return nil }, err
}

// indexStore is where the index is: beside the rest of the state.
func indexStore(cfg *config.Config) index.Store {
	return index.Store{Dir: cfg.State.Dir, URL: cfg.State.URL}
}

// SpoolWarning is what a reader of a configuration's trail must know of its spool:
// that records may wait there, which nothing read now has. "": nothing waits.
func SpoolWarning(cfg *config.Config) string {
	if cfg.Audit.Spool == nil {
		return ""
	}
	o, err := AuditOptions(cfg)
	waits := false
	if err == nil {
		waits, err = audit.SpoolHolds(cfg.Audit.Spool.Dir, o.Key)
	}
	switch {
	case err != nil:
		return "whether records wait in the audit spool cannot be told: " + err.Error()
	case waits:
		return "records wait in the audit spool " + cfg.Audit.Spool.Dir + ": they are in the trail, and in what is read of it, when the log takes them again"
	}
	return ""
}

// BuildIndex brings the index of a configuration's trail up to date.
func BuildIndex(ctx context.Context, cfg *config.Config) error {
	o, err := AuditOptions(cfg)
	if err != nil {
		return err
	}
	x, err := index.Open(ctx, indexStore(cfg), o.Dir, o.Key)
	if err != nil {
		return err
	}
	for more := true; more && err == nil; {
		more, err = x.Advance(ctx)
	}
	return errors.Join(err, x.Close())
}

// Reading is one reading of the trail, before it is made.
type Reading struct {
	What    string            `json:"what"` // report, export, incident, detect
	By      reidentify.Person `json:"by"`
	About   string            `json:"about"` // the question, without its patient
	Patient string            `json:"patient,omitempty"`
	Place   string            `json:"dir"` // of the trail: see TrailPlace
	At      time.Time         `json:"at"`
}

// SimulateReading is What of a reading of a patient's records and consents by
// consent simulate.
const SimulateReading = "consent simulate"

// BundleReading is What of a bundle that support-bundle made.
const BundleReading = "support-bundle"

const readingKind = "audit-reading"

// NoteReading hands a reading to the gateway, which has the log: it records it at
// once where it runs, else at its start. Nothing is to be shown where this fails.
func NoteReading(ctx context.Context, cfg *config.Config, r Reading) error {
	r.Place, r.At = TrailPlace(cfg), time.Now().UTC()
	value, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("record the reading: %w", err)
	}
	err = withState(cfg, func(st *state.Store) error { return st.Put(ctx, readingKind, requestID(), value, time.Time{}) })
	if err != nil {
		return fmt.Errorf("the reading could not be recorded, so nothing is shown: %w", err)
	}
	return nil
}

// record is the reading as the trail tells it.
func (r *Reading) record(request string) *audit.Record {
	one := &audit.Record{Kind: audit.Outcome, Request: request, Time: r.At, Method: "GET", Interaction: audit.ReadingInteraction, Status: 200, Code: "ok",
		Caller: audit.Caller{Issuer: r.By.Issuer, Subject: r.By.Subject, Name: r.By.Name, User: r.By.User, Client: "gatehouse " + r.What},
		Notes:  []audit.Note{{Name: "about", Value: r.About}}}
	if r.What == SimulateReading || r.What == BundleReading { // no trail was read, or for whom a bundle must not name alone
		one.Interaction = audit.AdminInteraction
	}
	if r.Patient != "" {
		one.Patients = []string{r.Patient}
	}
	return one
}

// learnReading records a reading of this gateway's trail, and forgets it then.
func (p *Process) learnReading(row state.Row) {
	r := new(Reading)
	if row.Value == nil || json.Unmarshal(row.Value, r) != nil || r.Place != p.place {
		return
	}
	if p.recorded(r.record(row.ID)) != nil {
		p.stores.again(readingKind, row) // it has raised its alarm
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), recordWait)
	defer cancel()
	if err := p.stores.shared.Delete(ctx, readingKind, row.ID); err != nil {
		p.metrics.alarm("state.unavailable")
	}
}

// How the index follows the log: seldom, since a report reads itself what is
// younger, and never with more than a fifth of a core.
const (
	indexEvery = 30 * time.Second
	indexRest  = 4 // times as long as a step took
)

// keepIndex has the index follow the log until ctx ends.
func (p *Process) keepIndex(ctx context.Context) error {
	var x *index.Index
	wait, well := indexEvery, true
	for {
		select {
		case <-ctx.Done():
			if x != nil {
				return x.Close()
			}
			return nil
		case <-time.After(wait):
		}
		began, more, err := time.Now(), false, error(nil)
		if x == nil {
			x, err = index.Open(ctx, indexStore(p.live.Load().cfg), p.trail.Dir, p.trail.Key)
		}
		if err == nil {
			more, err = x.Advance(ctx)
		}
		if wait = indexEvery; more {
			wait = indexRest * time.Since(began)
		}
		if err != nil && ctx.Err() == nil {
			p.metrics.alarm("audit.index")
			if well {
				p.log.Error("the index of the audit trail does not follow; reports are slower", zap.Error(err))
			}
		}
		well = err == nil
	}
}
