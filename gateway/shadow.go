package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"gatehouse/gateway/audit"
	"gatehouse/gateway/judge"
	"gatehouse/gateway/policy"

	"go.uber.org/zap"
)

// shadow is a candidate policy that is asked, after the answer, what the one in
// force was asked: its word changes nothing. A nil shadow asks nobody.
type shadow struct {
	row      string // of its report in the state store
	revision string // "" where it did not load
	problem  error
	since    time.Time
	queue    chan []sample
	metrics  *metrics

	mu      sync.Mutex // guards what follows; never held while the candidate decides
	tally   *tally
	dropped int64
	changed bool // since the last report
}

// sample is one decision that was made.
type sample struct {
	record audit.Record // who asked for what; no entries
	eval   *policy.Evaluation
	res    policy.Resource // no content; without facts: the request alone was refused
	given  bool
	permit []string
}

const (
	// shadowQueue bounds the requests, and samplesKept those of each, that wait
	// for the candidate: what is beyond is dropped and counted.
	shadowQueue = 256
	samplesKept = 1000
)

// newShadow loads the candidate. One that does not load is told, and stops
// nothing else from loading.
func newShadow(dir string, acrOrder []string, live *policy.Engine, m *metrics, log *zap.Logger) *shadow {
	if dir == "" {
		return nil
	}
	w := &shadow{row: requestID(), since: time.Now(), queue: make(chan []sample, shadowQueue), metrics: m}
	o, err := policy.Named(dir)
	if err == nil {
		var e *policy.Engine
		o.ACROrder = acrOrder
		if e, err = policy.Load(o); err == nil {
			w.revision, w.tally = e.Revision(), newTally(e, live)
			return w
		}
	}
	w.problem = fmt.Errorf("policy.shadow: %w", err)
	if log != nil {
		log.Error("the shadow policy does not load; the policy in force stands as it is", zap.Error(w.problem))
	}
	return w
}

// loads tells whether there is somebody to ask.
func (w *shadow) loads() bool { return w != nil && w.problem == nil }

// noted keeps a decision on a resource for the shadow.
func (x *exchange) noted(v *judge.Verdict, effect audit.Effect) {
	if !x.s.shadow.loads() || v.Eval == nil || effect == audit.Withheld && v.Reason != "policy.denied" {
		return
	}
	facts, res := v.Facts, policyOn(v)
	res.Facts = &facts
	x.sample(sample{eval: v.Eval, given: effect != audit.Withheld, permit: v.Decision.Permits, res: res})
}

// notedEarly keeps that a request was refused before any resource was looked at.
func (x *exchange) notedEarly(v *policy.Evaluation) {
	if x.s.shadow.loads() {
		x.sample(sample{eval: v})
	}
}

func (x *exchange) sample(s sample) {
	if len(x.samples) >= samplesKept {
		x.unsampled++
		return
	}
	s.record = audit.Record{Request: x.id, Time: x.start, Caller: x.record.Caller, Type: x.record.Type}
	x.samples = append(x.samples, s)
}

// overshadow hands on what a request kept, once it is answered.
func (x *exchange) overshadow() {
	if len(x.samples) > 0 {
		x.s.shadow.offer(x.samples, x.unsampled)
	}
}

// offer never waits.
func (w *shadow) offer(all []sample, lost int) {
	select {
	case w.queue <- all:
	default:
		lost += len(all)
	}
	if lost > 0 {
		w.metrics.shadowed("dropped", lost)
		w.mu.Lock()
		w.dropped, w.changed = w.dropped+int64(lost), true
		w.mu.Unlock()
	}
}

// watch asks the candidate until ctx ends.
func (w *shadow) watch(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case all := <-w.queue:
			for i := range all {
				w.consider(ctx, &all[i])
			}
		}
	}
}

func (w *shadow) consider(ctx context.Context, s *sample) {
	res := &s.res
	if res.Facts == nil {
		res = nil
	}
	d, err := w.tally.engine.Reconsider(ctx, s.eval, res)
	if ctx.Err() != nil {
		return // half an answer
	}
	why := unknownBecause(d, err, "the gateway had no use for ")
	w.mu.Lock()
	var change, rule string
	if res == nil {
		change, rule = w.tally.compareEarly(&s.record, d, why)
	} else {
		change, rule = w.tally.compare(&s.record, s.res.Facts.Type, s.given, s.permit, d, why)
	}
	w.changed = true
	w.mu.Unlock()
	switch {
	case why != "":
		w.metrics.shadowed("unknown", 1)
	case change == "":
		w.metrics.shadowed("same", 1)
	default:
		w.metrics.shadowed(strings.ReplaceAll(change, " ", "_"), 1)
		w.metrics.differs(change, rule, &s.record, s.typ())
	}
}

func (s *sample) typ() string {
	if s.res.Facts != nil {
		return s.res.Facts.Type
	}
	return s.record.Type
}

// ShadowReport is what a candidate policy would have decided otherwise on live
// traffic. It names people who asked and no patient.
type ShadowReport struct {
	Replay
	Until   time.Time `json:"until"`
	Dropped int64     `json:"dropped"` // not looked at: too much came at once
	Problem string    `json:"problem,omitempty"`
}

// report is what was counted since the shadow was loaded.
func (w *shadow) report() *ShadowReport {
	if w.problem != nil {
		return &ShadowReport{Until: time.Now(), Problem: w.problem.Error()}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	r := &ShadowReport{Replay: *w.tally.report(), Until: time.Now(), Dropped: w.dropped}
	r.Since = w.since
	return r
}

// add lays the report of another replica, or of before a restart, over r.
func (r *ShadowReport) add(o *ShadowReport) {
	if o.Since.Before(r.Since) {
		r.Since = o.Since
	}
	if o.Until.After(r.Until) {
		r.Until = o.Until
	}
	r.Decisions, r.Same, r.Dropped = r.Decisions+o.Decisions, r.Same+o.Same, r.Dropped+o.Dropped
	r.Allowed, r.Denied, r.Looked = r.Allowed+o.Allowed, r.Denied+o.Denied, r.Looked+o.Looked
	for _, c := range o.Changes {
		r.addChange(c)
	}
	for _, g := range o.Unknown {
		r.addGap(g)
	}
	r.sort()
}

func (r *ShadowReport) addChange(c ReplayChange) {
	key := func(c *ReplayChange) changeKey {
		return changeKey{c.Change, c.Rule, c.Client, c.Roles, c.Type, c.Action}
	}
	for i := range r.Changes {
		at := &r.Changes[i]
		if key(at) != key(&c) {
			continue
		}
		at.Count += c.Count
		for _, one := range c.Users {
			at.Users = example(at.Users, one)
		}
		for _, one := range c.Requests {
			at.Requests = example(at.Requests, one)
		}
		return
	}
	r.Changes = append(r.Changes, c)
}

func (r *ShadowReport) addGap(g ReplayGap) {
	for i := range r.Unknown {
		if r.Unknown[i].Why == g.Why {
			r.Unknown[i].Count += g.Count
			return
		}
	}
	r.Unknown = append(r.Unknown, g)
}

var errNoShadow = errors.New("no shadow policy has run: name one in policy.shadow")
