package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"gatehouse/fhir"
	"gatehouse/gateway/audit"
	"gatehouse/gateway/limit"
	"gatehouse/gateway/telemetry"
	"gatehouse/gateway/view"

	"github.com/google/uuid"
	"go.uber.org/zap"
)

// exchange is one HTTP request on its way through the gateway. It lives as
// long as the request and is used by its goroutine alone.
type exchange struct {
	g         *Gateway
	s         *snapshot
	r         *http.Request
	out       *response
	id        string
	start     time.Time
	address   netip.Addr
	from      netip.Addr // address, where other replicas have not counted the request yet
	caller    *caller
	seenBy    *view.View                 // of who asks for /metadata with a token
	page      *page                      // a page link that was opened, or nil
	job       *job                       // of an export, whose URL was opened, or nil
	bulk      bool                       // an export, to which no emergency grant applies
	notices   map[string]map[string]bool // patients by the channel that policy notifies of them
	room      int64                      // of the gateway's bodyBytes, given back at the end
	record    audit.Record
	lent      *ledger  // memory of record, where it has many entries
	releases  int      // resources that the metrics do not count yet
	kept      kept     // what policy read, for record
	samples   []sample // for the shadow policy, once all is answered
	unsampled int      // beside those
	failed    *failure
	sent      bool             // a change has been sent
	looked    bool             // for what a Binary is a part of
	failMode  string           // what becomes of it where it cannot be recorded: see onFailure
	spooled   bool             // it could not
	quiet     bool             // counted elsewhere: no record of its own
	paid      int              // units that the access has cost so far
	dear      int              // the most that policy obliges for what it released
	trace     *telemetry.Trace // nil: not in the sample
	detail    *detail          // nil: its route is not logged at debug
	entered   bool             // counted among the requests that are under way
	owed      limit.Use        // what is charged at the end
}

func (g *Gateway) begin(s *snapshot, w http.ResponseWriter, r *http.Request) *exchange {
	x := &exchange{g: g, s: s, r: r, id: requestID(), start: s.now(), address: remote(r)}
	x.trace = s.tracer.Begin(x.start, r.Header)
	if g.levels.maybeDetailed(r.Method, x.start) {
		x.detail = new(detail)
	}
	x.out = &response{x: x, w: w}
	x.out.always()
	x.failMode = onFailure(&s.cfg.Audit.OnFailure, r.Method, nil)
	x.record = audit.Record{Request: x.id, UserAgent: r.UserAgent(), Time: x.start, Address: x.address.String(), Method: r.Method}
	return x
}

func (x *exchange) took() time.Duration { return x.s.now().Sub(x.start) }

// requestID names the request in answers, logs and audit; it sorts by time.
func requestID() string {
	id, err := uuid.NewV7()
	if err != nil { // no randomness left: nothing of this process can be trusted
		panic(fmt.Sprintf("request id: %v", err))
	}
	return id.String()
}

// remote is the address of the connection. Forwarding headers are not read:
// anyone can write them (L-02).
func remote(r *http.Request) netip.Addr {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap().WithZone("")
}

// end recovers from a panic, sees to it that the request has its record, and
// logs it without a word about patients.
func (x *exchange) end() {
	if p := recover(); p != nil {
		if p == http.ErrAbortHandler {
			x.finish()
			panic(p)
		}
		x.g.log.Error("panic", zap.String("request", x.id), zap.Any("type", fmt.Sprintf("%T", p)), zap.Stack("stack"))
		x.refuse(internal(errors.New("panic")))
	}
	x.finish()
}

func (x *exchange) finish() {
	x.g.bodies.Release(x.room)
	x.room = 0
	x.settle()
	status := x.out.status
	code := "ok"
	if x.failed != nil {
		code = x.failed.code
	}
	x.g.metrics.released.Add(float64(x.releases))
	x.g.metrics.request(x.record.Interaction, status, code, x.took(), x)
	x.logLine(status, code)
	x.traced(status, code)
	x.sendNotices()
	x.overshadow()
	x.giveBack()
}

// logLine makes its fields only where the line is written: a logger may pass
// over most of many alike. The audit trail has them all.
func (x *exchange) logLine(status int, code string) {
	level, why := zap.InfoLevel, zap.Skip()
	if x.failed != nil && x.failed.log != nil && status >= 500 {
		level, why = zap.ErrorLevel, zap.Error(x.failed.log)
	}
	if least, own := x.g.levels.of(x.r.Method, x.record.Type, x.s.now()); own && level < least {
		return
	} else if own && least == zap.DebugLevel {
		x.detailLine(status, code)
	}
	line := x.g.log.Check(level, "request")
	if line == nil {
		return
	}
	line.Write(zap.String("request", x.id), zap.Int("status", status), zap.String("code", code),
		zap.String("interaction", x.record.Interaction), zap.String("type", x.record.Type),
		zap.String("client", x.record.Caller.Client), zap.Duration("took", x.took()), why)
}

// refuse answers with a failure. It is recorded before it is said; where that
// fails, the answer is 503 whatever it would have been (DESIGN §2.11).
func (x *exchange) refuse(err error) {
	f := asFailure(err)
	x.failed = f
	x.countRefusal(f)
	if x.out.began {
		// Part of an answer is out. A well-formed short Bundle would be
		// believed: reset the connection instead.
		x.outcome(0, f.code)
		_ = x.commit(context.WithoutCancel(x.r.Context()))
		panic(http.ErrAbortHandler)
	}
	if !x.quiet {
		x.outcome(f.status, f.code)
		if err := x.commit(context.WithoutCancel(x.r.Context())); err != nil && !f.made {
			f = asFailure(err)
			x.failed = f
		}
	}
	x.out.fail(f)
}

// checkTransport refuses what would make the gateway and a server behind it
// read two different requests.
func (x *exchange) checkTransport() error {
	r := x.r
	if r.Method == http.MethodTrace || r.Method == http.MethodConnect {
		return &failure{status: http.StatusMethodNotAllowed, code: "request.method", text: "FHIR has no such method.",
			allow: "GET, HEAD, POST, PUT, PATCH, DELETE"}
	}
	if r.Header.Get("Upgrade") != "" {
		return &failure{status: http.StatusBadRequest, code: "request.upgrade", text: "Remove the Upgrade header: connections are not upgraded here."}
	}
	if r.URL.IsAbs() || r.URL.Opaque != "" || r.URL.Path == "*" {
		return &failure{status: http.StatusBadRequest, code: "request.target", text: "Send the path alone in the request line."}
	}
	if r.Header.Get("Content-Encoding") != "" {
		return &failure{status: http.StatusUnsupportedMediaType, code: "request.encoding", text: "Send the body without Content-Encoding."}
	}
	if !x.s.hosts.answer(r) {
		return &failure{status: http.StatusMisdirectedRequest, code: "request.host", text: "This gateway does not answer for that host."}
	}
	return nil
}

func (x *exchange) authenticate(ctx context.Context) error {
	defer x.step("authenticate")()
	if x.r.Method == http.MethodGet && x.r.URL.EscapedPath() == x.s.basePath+"/metadata" {
		x.caller = nobody // the one FHIR interaction that needs no token (STANDARDS §1.1)
		x.recognize()
		return nil
	}
	subject, failed := x.s.auth.Authenticate(x.r)
	if nonce := x.s.auth.Nonce(x.r); nonce != "" {
		x.out.w.Header()["Dpop-Nonce"] = []string{nonce}
	}
	if failed != nil {
		x.record.Query = []byte(x.r.URL.EscapedPath()) // without its query, which may hold a token
		return failed
	}
	x.identify(subject)
	subject, err := x.s.asserted(subject, x.r)
	if err != nil {
		return err
	}
	c, err := x.s.callerOf(subject)
	x.caller = c
	x.identify(subject)
	return err
}

// parse names the access. The body is read only after the caller is known.
func (x *exchange) parse() (*fhir.Access, error) {
	defer x.step("parse")()
	path, query, err := x.below()
	if err != nil {
		return nil, err
	}
	if handle, ok := strings.CutPrefix(path, "/_page/"); ok {
		return x.openPage(handle, query)
	}
	if purpose, handle, ok := jobHandle(path); ok {
		x.bulk = true
		return x.openJob(purpose, handle, query)
	}
	body, err := x.body()
	if err != nil {
		return nil, err
	}
	a, ferr := fhir.Parse(fhir.Request{Method: x.r.Method, Path: path, Query: query, Header: x.r.Header,
		Body: body, ContentType: x.r.Header.Get("Content-Type")}, x.s.grammar)
	if ferr != nil {
		x.record.Query = clientQuery(x.r, body)
		return nil, ferr
	}
	x.record.Query = clientQuery(x.r, body)
	x.describe(a)
	x.detail.named(a)
	x.bulk = a.Operation == "$export"
	if x.caller == nobody && a.Interaction != fhir.Capabilities {
		return nil, internal(errors.New("an access without a caller")) // authenticate let it pass for what it is not
	}
	return a, nil
}

// below cuts the FHIR base off the request's path, still escaped.
func (x *exchange) below() (path, query string, err error) {
	full := x.r.URL.EscapedPath()
	if x.r.RequestURI != "" { // as sent: url.Parse has unescaped what it liked
		full, query, _ = strings.Cut(x.r.RequestURI, "?")
	}
	path, ok := strings.CutPrefix(full, x.s.basePath)
	if !ok || path != "" && path[0] != '/' {
		return "", "", &failure{status: http.StatusNotFound, code: "request.base",
			text: "FHIR is served below " + x.s.cfg.Base.Path + "/ on this host."}
	}
	return path, query, nil
}

// body reads the request's body up to the configured limit.
func (x *exchange) body() ([]byte, error) {
	if x.r.Body == nil || x.r.Body == http.NoBody || x.r.ContentLength == 0 {
		return nil, nil
	}
	switch x.r.Method {
	case http.MethodGet, http.MethodHead, http.MethodDelete:
		return nil, &failure{status: http.StatusBadRequest, code: "request.body", text: "This method has no body here. Send none."}
	}
	limit := int64(x.s.cfg.Limits.Body)
	if x.r.ContentLength > limit {
		return nil, tooLong(limit)
	}
	if err := x.roomForBody(limit); err != nil {
		return nil, err
	}
	b, err := io.ReadAll(http.MaxBytesReader(x.out.w, x.r.Body, limit))
	var over *http.MaxBytesError
	if errors.As(err, &over) {
		return nil, tooLong(limit)
	}
	if err != nil {
		return nil, &failure{status: http.StatusBadRequest, code: "request.body", text: "The body ended early.", log: err}
	}
	return b, nil
}

// bodyBytes bounds the bodies that are held at once, all requests together: each
// sender alone may be slow and within its limit (T-18).
const bodyBytes = 512 << 20

// roomForBody takes the room that the body may need until the request ends.
func (x *exchange) roomForBody(limit int64) error {
	if x.r.ContentLength >= 0 {
		limit = x.r.ContentLength
	}
	limit = min(limit, bodyBytes)
	if !x.g.bodies.TryAcquire(limit) {
		return &failure{status: http.StatusServiceUnavailable, code: "gateway.busy", retry: time.Second,
			text: "The gateway is reading as much as it can hold. Try again."}
	}
	x.room = limit
	return nil
}

func tooLong(limit int64) error {
	return &failure{status: http.StatusRequestEntityTooLarge, code: "request.too-long",
		text: fmt.Sprintf("The body is over %d bytes. Send less at once.", limit)}
}

func (x *exchange) checkScope(m *matter) error {
	defer x.step("scope")()
	denial := x.caller.grants.Covers(m.access)
	if denial == nil {
		return x.checkSystemSearch(m)
	}
	return &failure{status: http.StatusForbidden, code: denial.Code, challenges: x.s.auth.InsufficientScope(denial.Needed), needed: denial.Needed,
		text: "The scopes of your token do not grant this interaction on this type."}
}

// checkSystemSearch refuses a search over types at once that scopes narrow by
// type, to a patient or by their own criteria: no parameter of it says so, and
// the upstream would search everyone's.
func (x *exchange) checkSystemSearch(m *matter) error {
	if m.access.Interaction != fhir.SearchSystem {
		return nil
	}
	for _, typ := range m.access.Types() {
		one := *m.access
		one.Interaction, one.Type = fhir.SearchType, typ
		if len(x.caller.grants.Narrow(&one)) > 0 {
			return &failure{status: http.StatusForbidden, code: "scope.system-search",
				text: "Your scopes are bound to a patient or to criteria of one type. Search one type at a time."}
		}
	}
	return nil
}

// checkPolicy refuses before the upstream is touched what no resource could
// make allowed.
func (x *exchange) checkPolicy(m *matter) error {
	defer x.step("policy")()
	possible, d := m.eval.Possible()
	if d.Err != nil {
		return x.policyDown(d.Err)
	}
	if !possible {
		x.decided(d)
		x.notedEarly(m.eval)
		return denied()
	}
	return nil
}

func denied() *failure {
	return &failure{status: http.StatusForbidden, code: "policy.denied",
		text: "The rules of this organization do not let you do this."}
}

// policyDown is policyDown with an alarm, where nobody has raised one.
func (x *exchange) policyDown(err error) *failure {
	x.alarm("policy.error")
	return policyDown(err)
}

func policyDown(err error) *failure {
	return &failure{status: http.StatusServiceUnavailable, code: "policy.unavailable", retry: time.Second,
		text: "The rules could not be evaluated. Try again.", log: err}
}
