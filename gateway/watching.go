package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/audit"
	"gatehouse/gateway/audit/watch"
	"gatehouse/gateway/auth"
	"gatehouse/gateway/notify"
	"gatehouse/gateway/state"

	"go.uber.org/zap"
)

// This file has the rules of watch read the trail while the gateway serves, off
// the path of requests, and acts on what they find. An alert only ever tightens.

// lookEvery is how often the log is looked at; what was read takes no more than
// a third of a core.
const (
	lookEvery = time.Second
	lookRest  = 2 // times as long as a step took
)

const watchHeardKind = "watch-heard"

// keepWatch watches until ctx ends.
func (p *Process) keepWatch(ctx context.Context) error {
	var w *watching
	wait := lookEvery
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		cfg, began := p.live.Load().cfg, time.Now()
		if len(cfg.Watch) == 0 {
			w = nil
			continue
		}
		var err error
		if w == nil || !reflect.DeepEqual(w.rules, cfg.Watch) {
			w, err = p.newWatching(ctx, cfg)
		}
		if err == nil {
			err = w.step(ctx)
		}
		if err != nil && ctx.Err() == nil {
			p.metrics.alarm("audit.watch")
			p.log.Error("the audit trail is not watched", zap.Error(err))
			wait = 30 * time.Second
			continue
		}
		wait = max(lookEvery, lookRest*time.Since(began))
	}
}

// watching is one set of rules at its place in the log.
type watching struct {
	p       *Process
	rules   []config.Watch
	watcher *watch.Watcher
	log     *audit.Reader
	next    audit.Place
	heard   int64   // what the state store says of quiet, less what is owed
	quiet   int64   // alerts up to this record were given before, or are of before there were rules
	owed    []*owed // alerts of which something is still to be done, oldest first
}

// owed is an alert, and what was done of it.
type owed struct {
	watch.Alert
	told, acted, recorded bool
}

// owedMost is how many alerts may wait; then the log is not read on.
const owedMost = 1000

// newWatching learns from the log what is usual, without an alert for what an
// earlier run has looked at.
func (p *Process) newWatching(ctx context.Context, cfg *config.Config) (*watching, error) {
	log, err := audit.OpenReader(p.trail.Dir, p.trail.Key)
	if err != nil {
		return nil, err
	}
	w := &watching{p: p, rules: cfg.Watch, watcher: watch.New(cfg.Watch), log: log}
	row, err := p.stores.shared.Get(ctx, watchHeardKind, p.place)
	switch {
	case errors.Is(err, state.ErrNone):
		w.quiet = p.began - 1
	case err != nil:
		return nil, err
	default:
		w.quiet, _ = strconv.ParseInt(string(row.Value), 10, 64)
	}
	w.heard = w.quiet
	w.next, err = log.PlaceOf(p.now().Add(-watch.Reach(cfg.Watch)))
	return w, err
}

// step looks at what the log has grown by, when there is room for what that may
// bring; and does what could not be done before.
func (w *watching) step(ctx context.Context) error {
	w.settle(ctx)
	if len(w.owed) >= owedMost {
		return errors.New("alerts wait for the audit log or the state store")
	}
	last := int64(-1)
	err := w.log.After(w.next, func(b audit.Batch) error {
		for _, r := range b.Records {
			for _, a := range w.watcher.See(r) {
				if a.Index > w.quiet {
					w.owed = append(w.owed, &owed{Alert: a})
				}
			}
			last = r.Index
		}
		w.next = b.Next
		w.settle(ctx)
		return ctx.Err()
	})
	done := max(last, w.quiet)
	if len(w.owed) > 0 { // a gateway that starts anew gives these once more, rather than never
		done = min(done, w.owed[0].Index-1)
	}
	if last <= w.quiet && done == w.heard {
		return err
	}
	w.quiet, w.heard = max(last, w.quiet), done
	return errors.Join(err, w.p.stores.shared.Put(ctx, watchHeardKind, w.p.place, []byte(strconv.FormatInt(done, 10)), time.Time{}))
}

// settle does what is still to be done of each alert.
func (w *watching) settle(ctx context.Context) {
	records := true // until one fails: a disk that hangs is waited for once
	w.owed = slices.DeleteFunc(w.owed, func(o *owed) bool {
		w.p.alerted(ctx, o, records)
		records = records && o.recorded
		return o.acted && o.recorded
	})
}

// alerted does what an alert's rule says, records it where the log may take it, and
// tells it, each once.
func (p *Process) alerted(ctx context.Context, o *owed, records bool) {
	if !o.acted {
		err := p.tighten(ctx, &o.Alert)
		if o.acted = err == nil; err != nil {
			p.metrics.alarm("state.unavailable")
			p.log.Error("what an alert of watch is to do could not be stored", zap.Error(err))
		}
	}
	if records && !o.recorded {
		o.recorded = p.recorded(alertRecord(&o.Alert)) == nil // a failure raises its own alarm
	}
	if !o.told {
		o.told = true
		p.spread(&o.Alert)
	}
}

// spread tells an alert to the channels of its rule and to the log.
func (p *Process) spread(a *watch.Alert) {
	s := p.live.Load()
	told := notify.Alert{Event: "watch." + a.Rule.Detector, Time: a.At.UTC(), Gateway: s.publicURL, Client: a.Caller.Client, Reason: a.Evidence}
	if n := len(a.Requests); n > 0 {
		told.Request = a.Requests[n-1]
	}
	if strings.HasPrefix(a.Caller.User, "Practitioner") {
		told.User = a.Caller.User
	}
	for _, patient := range a.Patients {
		told.Patient = append(told.Patient, s.patientHash(patient))
	}
	p.metrics.alerts.WithLabelValues(told.Event).Inc()
	for _, name := range a.Rule.Notify {
		if c, ok := s.cfg.Notify[name]; ok {
			p.notify.Send(name, c, told, nil)
		}
	}
	p.log.Warn("an alert of watch", zap.String("detector", a.Rule.Detector), zap.String("client", a.Caller.Client), zap.String("request", told.Request), zap.String("then", a.Rule.Then))
}

// alertRecord is the alert as the trail tells it, patients sealed.
func alertRecord(a *watch.Alert) *audit.Record {
	return &audit.Record{Kind: audit.Notice, Code: audit.WatchPrefix + a.Rule.Detector, Caller: a.Caller, Patients: a.Patients,
		Notes: []audit.Note{{Name: "evidence", Value: a.Evidence}, {Name: "record", Value: fmt.Sprint(a.Index)},
			{Name: "requests", Value: strings.Join(a.Requests, " ")}, {Name: "then", Value: a.Rule.Then}}}
}

// tighten does what the rule says.
func (p *Process) tighten(ctx context.Context, a *watch.Alert) error {
	until := p.now().Add(time.Duration(a.Rule.For))
	switch a.Rule.Then {
	case "block":
		b := &Block{What: "user", Value: auth.PrincipalOf(a.Caller.Issuer, a.Caller.Subject), Reason: "watch: " + a.Rule.Detector, By: "watch", Until: until}
		if a.Caller.Subject == "" || a.Rule.Detector == "new-right" {
			b.What, b.Value = "client", a.Caller.Client
		}
		if err := b.check(p.now()); err != nil { // no caller has such a name; another try would not help
			p.log.Error("an alert of watch names nobody who can be blocked", zap.Error(err))
			return nil
		}
		for _, other := range []*Block{b, {What: "user", Value: a.Caller.Subject}} {
			if row, err := p.stores.shared.Get(ctx, blockKind, other.id()); err == nil && (row.Expires.IsZero() || row.Expires.After(until)) {
				return nil // somebody's own decision, perhaps until it is lifted
			}
		}
		if err := storeBlock(ctx, p.stores.shared, b); err != nil {
			return err
		}
	case "throttle", "step_up":
		t := tightening{Then: a.Rule.Then, At: p.now().UTC(), Detector: a.Rule.Detector}
		value, err := json.Marshal(t)
		if err != nil {
			return err
		}
		id := tightID(t.Then, a.Caller.Issuer, a.Caller.Subject, a.Caller.Client)
		if row, err := p.stores.shared.Get(ctx, tightKind, id); err == nil && row.Expires.After(until) {
			until = row.Expires
		}
		if err := p.stores.shared.Put(ctx, tightKind, id, value, until); err != nil {
			return err
		}
	default:
		return nil
	}
	_ = p.stores.poll(ctx) // what is stored stands; where it cannot be read now, follow tells
	return nil
}

// Detect runs the rules of a configuration over its trail, with no effect, and
// gives each alert from since on (zero: of all the log) to told.
func Detect(ctx context.Context, cfg *config.Config, since time.Time, told func(*watch.Alert) error) (audit.Span, error) {
	o, err := AuditOptions(cfg)
	if err != nil {
		return audit.Span{}, err
	}
	log, err := audit.OpenReader(o.Dir, o.Key)
	if err != nil {
		return audit.Span{}, err
	}
	w := watch.New(slices.Clone(cfg.Watch))
	return log.Whole(func(r *audit.Record) error {
		for _, a := range w.See(r) {
			if !a.At.Before(since) {
				if err := told(&a); err != nil {
					return err
				}
			}
		}
		return ctx.Err()
	})
}
