// Package gateway is the life of a request: it admits a caller, decides on
// each access before it is forwarded and on each resource before it is
// released, and records both.
package gateway

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"gatehouse/fhir"
	"gatehouse/gateway/audit"
	"gatehouse/gateway/emergency"
	"gatehouse/gateway/limit"
	"gatehouse/gateway/notify"
	"gatehouse/gateway/policy"
	"gatehouse/gateway/upstream"

	lru "github.com/hashicorp/golang-lru/v2"
	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"
)

// Gateway serves FHIR under the snapshot of its configuration that is live.
type Gateway struct {
	live      atomic.Pointer[snapshot]
	audit     *audit.Log
	spool     *audit.Spool // what the log cannot take waits there; may be nil
	metrics   *metrics
	log       *zap.Logger
	verbose   *zap.Logger // of routes that a LogLevel is set for
	levels    levels
	troubles  *troubles
	limit     *limit.Limiter
	bodies    *semaphore.Weighted // of bodyBytes
	reports   *semaphore.Weighted // made at once
	glass     *emergency.Book     // emergency grants
	blocked   patientBlocks
	tight     tightened
	refrained refrained                         // types, of which labels have withheld a record
	logins    *lru.Cache[string, *atomic.Int64] // see checkSession
	binaries  *lru.Cache[string, made]          // by id; see judgeAttached
	notify    *notify.Sender
	kin       *kinship // what watch compares callers and patients by
}

// ServeHTTP is one HTTP request: admit the caller, serve what it asks, and
// leave exactly one record, whatever happens.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := g.begin(g.live.Load(), w, r)
	defer x.end()
	if err := x.answer(r.Context()); err != nil {
		x.refuse(err)
	}
}

func (x *exchange) answer(ctx context.Context) error {
	if done, err := x.beside(ctx); done {
		return err // preflights and discovery, which name no patient and need no caller
	}
	if err := x.admit(ctx); err != nil {
		return err
	}
	if done, err := x.ownEndpoint(ctx); done {
		return err
	}
	a, err := x.parse()
	if err != nil {
		return err
	}
	x.failMode = onFailure(&x.s.cfg.Audit.OnFailure, x.r.Method, a)
	return x.serve(ctx, a, x.out)
}

// admit finds out who asks; nothing of it costs more than the caller has been
// allowed so far.
func (x *exchange) admit(ctx context.Context) error {
	defer x.step("admit")()
	if err := x.limitAddress(); err != nil {
		return err
	}
	if err := x.checkTransport(); err != nil {
		return err
	}
	if err := x.checkStale(); err != nil {
		return err
	}
	if err := x.authenticate(ctx); err != nil {
		return err
	}
	if err := x.checkTightened(); err != nil {
		return err
	}
	return x.checkSession()
}

// serve is one access: an HTTP request, or one entry of a batch. By the time
// it forwards anything, scope and policy have said that it may be allowed and
// the request has been rebuilt from the parse, narrowed by what they demand.
func (x *exchange) serve(ctx context.Context, a *fhir.Access, out output) error {
	switch a.Interaction {
	case fhir.Capabilities:
		return x.capabilities(ctx, out)
	case fhir.Batch:
		return x.batch(ctx, a, out)
	case fhir.Transaction:
		return x.transaction(ctx, a, out)
	}
	m, err := x.prepare(ctx, a)
	if err != nil {
		return err
	}
	return x.carryOut(ctx, m, out)
}

// carryOut does what prepare has left possible.
func (x *exchange) carryOut(ctx context.Context, m *matter, out output) error {
	switch m.access.Interaction {
	case fhir.Read, fhir.VRead:
		return x.read(ctx, m, out)
	case fhir.Create, fhir.Update, fhir.Patch, fhir.Delete:
		return x.write(ctx, m, out)
	case fhir.HistoryInstance:
		return x.historyInstance(ctx, m, out)
	case fhir.Operation:
		return x.operation(ctx, m, out)
	}
	return x.search(ctx, m, out) // the search and history interactions that are left
}

// prepare decides what can be decided without data. Its order is that of
// DESIGN §4: a later step relies on the earlier ones having refused.
func (x *exchange) prepare(ctx context.Context, a *fhir.Access) (*matter, error) {
	m := x.matter(a)
	if err := x.chooseView(ctx, m); err != nil {
		return nil, err
	}
	if err := x.firewall(m); err != nil {
		return nil, err
	}
	if err := x.hidesLabels(a); err != nil {
		return nil, err
	}
	x.names(m)
	if err := x.limitClient(x.cost(m)); err != nil {
		return nil, err
	}
	if err := x.checkScope(m); err != nil {
		return nil, err
	}
	if err := x.checkPolicy(m); err != nil {
		return nil, err
	}
	if err := x.checkAssurance(m); err != nil {
		return nil, err
	}
	m.access = typeSearch(m.access)
	x.narrow(ctx, m)
	return m, nil
}

// forward sends what was decided, and returns an answer that only a judge can
// open.
func (x *exchange) forward(ctx context.Context, m *matter, r upstream.Request) (*upstream.Answer, error) {
	permit, err := m.eval.Permit(r.Target)
	if err != nil {
		return nil, internal(err)
	}
	r.ID = x.id
	defer x.worked(m, time.Now())
	defer x.step("forward")()
	answer, err := x.s.up.Forward(ctx, permit, r)
	if err != nil {
		return nil, upstreamFailed(err, r.Method)
	}
	return answer, nil
}

// own is a read of the gateway's own, for judging; what it brings is never
// released unjudged.
func (x *exchange) own(ctx context.Context, target string) (*upstream.Answer, error) {
	defer x.worked(nil, time.Now())
	defer x.step("before-image")()
	answer, err := x.s.up.Own(ctx, upstream.BeforeImage, upstream.Request{Method: http.MethodGet, Target: target, ID: x.id})
	if err != nil {
		return nil, upstreamFailed(err, http.MethodGet)
	}
	return &upstream.Answer{Head: answer.Head, Body: policy.Hold(answer.Body)}, nil
}
