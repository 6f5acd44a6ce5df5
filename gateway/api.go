package gateway

import (
	"context"
	"io"
	"net/http"
	"time"

	"gatehouse/gateway/audit"
	"gatehouse/gateway/auth"

	"github.com/go-json-experiment/json"
	"github.com/gorilla/mux"
)

// This file is the admin API: /api/v1 on the admin listener, for people and
// tools that the identity provider gives a role. What it serves registers its
// routes in api.

// api adds the routes below /api/v1.
func (p *Process) api(r *mux.Router) {
	v1 := r.PathPrefix("/api/v1").Subrouter()
	v1.Handle("/decisions/{id}", p.forRole("operator privacy", p.decisions)).Methods(http.MethodGet)
	p.reviewRoutes(v1)
	p.blockRoutes(v1)
	p.quotaRoutes(v1)
	p.policyRoutes(v1)
	p.pseudonymRoutes(v1)
	p.trailRoutes(v1)
	p.levelRoutes(v1)
	v1.Handle("/diagnostics", p.forRole("operator", p.diagnostics)).Methods(http.MethodGet)
	v1.NewRoute().Handler(p.forRole("", func(context.Context, *call) (any, error) { // what no route above matches
		return nil, &failure{status: http.StatusNotFound, code: "admin.not-found", text: "The admin API has no such path or method."}
	}))
}

// call is one request to the admin API, by who holds the role that it needs.
type call struct {
	r      *http.Request
	who    *auth.Subject
	record audit.Record // that the call leaves; a handler names the Patients it is about
}

// forRole makes a handler for whoever holds the admin role, or one of several
// with spaces between; "" is any of them.
// What h returns is answered as JSON, after the record of the call is on disk;
// of a call that may change something, it is there before h begins.
func (p *Process) forRole(role string, h func(context.Context, *call) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &call{r: r, record: audit.Record{Request: requestID(), UserAgent: r.UserAgent(), Time: time.Now(), Address: remote(r).String(),
			Method: r.Method, Interaction: audit.AdminInteraction, Query: []byte(r.URL.EscapedPath())}}
		w.Header().Set("X-Request-Id", c.record.Request)
		answer, err := p.adminCall(r.Context(), c, role, h)
		c.record.Kind, c.record.Status, c.record.Code = audit.Outcome, http.StatusOK, "ok"
		if err != nil {
			f := asFailure(err)
			c.record.Status, c.record.Code = f.status, f.code
		}
		c.record.Took = time.Since(c.record.Time)
		if f := p.recorded(&c.record); f != nil {
			err = f
		}
		if err != nil {
			writeFailure(w, asFailure(err))
			return
		}
		writeJSON(w, http.StatusOK, answer)
	})
}

func (p *Process) adminCall(ctx context.Context, c *call, role string, h func(context.Context, *call) (any, error)) (any, error) {
	if err := p.adminAllowed(c, role); err != nil {
		return nil, err
	}
	if c.r.Method != http.MethodGet {
		intent := c.record
		intent.Kind = audit.Intent
		if f := p.recorded(&intent); f != nil {
			return nil, f
		}
	}
	return h(ctx, c)
}

// adminAllowed refuses everybody but those to whom admin_auth gives the role. A
// browser is refused first: a page could send its user's requests.
func (p *Process) adminAllowed(c *call, role string) error {
	s := p.live.Load()
	if s.cfg.AdminAuth == nil {
		return &failure{status: http.StatusForbidden, code: "admin.off", text: "The admin API is off: the configuration has no admin_auth."}
	}
	if browser(c.r) {
		return &failure{status: http.StatusForbidden, code: "admin.browser", text: "The admin API is not for browsers."}
	}
	if retry, _ := p.limit.Address(c.r.Context(), remote(c.r), false); retry > 0 {
		return &failure{status: http.StatusTooManyRequests, code: "limit.address", retry: retry,
			text: "Too many requests from your address. Wait as long as Retry-After says."}
	}
	who, refused := s.auth.Authenticate(c.r)
	if refused != nil {
		return refused
	}
	c.who = who
	c.record.Caller = recordOf(who, tokenName(who, c.r))
	if held := roleHeld(s.cfg.AdminAuth, who, role); held != "" {
		c.record.Decision = audit.Decision{Allow: true, Permits: []string{"The token has the admin role " + held + "."}}
		return nil
	}
	return &failure{status: http.StatusForbidden, code: "admin.role", text: "Your token does not hold the role that this needs."}
}

// recorded makes a record durable; what is returned is the answer where that
// fails.
func (p *Process) recorded(r *audit.Record) *failure {
	ctx, cancel := context.WithTimeout(context.Background(), recordWait)
	defer cancel()
	if err := p.keep(ctx, r, p.live.Load().cfg.Audit.OnFailure.Write, new(bool)); err != nil {
		p.metrics.alarm("audit.unavailable")
		return &failure{status: http.StatusServiceUnavailable, code: "audit.unavailable", retry: time.Second,
			text: "The access could not be recorded, so it was not given. Try again.", log: err}
	}
	return nil
}

// read decodes the JSON body of a call, strictly.
func (c *call) read(v any) error {
	b, err := io.ReadAll(http.MaxBytesReader(nil, c.r.Body, smallBody))
	if err != nil {
		return &failure{status: http.StatusRequestEntityTooLarge, code: "request.too-long", text: "The body is too long, or ended early.", log: err}
	}
	return readStrict(b, v)
}

// smallBody bounds bodies of calls to the admin API.
const smallBody = 64 << 10

// readStrict decodes JSON with nothing unknown and nothing twice in it: what was
// understood is what the audit trail says.
func readStrict(b []byte, v any) error {
	if err := json.Unmarshal(b, v, json.RejectUnknownMembers(true)); err != nil {
		return &failure{status: http.StatusBadRequest, code: "request.json", text: "The body is not the JSON object that belongs here."}
	}
	return nil
}

// writeFailure answers on the admin listener, where nobody expects FHIR.
func writeFailure(w http.ResponseWriter, f *failure) {
	f.header(w.Header())
	writeJSON(w, f.status, map[string]string{"error": f.text, "code": f.code})
}
