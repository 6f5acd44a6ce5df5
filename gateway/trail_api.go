package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"gatehouse/gateway/audit"
	"gatehouse/gateway/reidentify"

	"github.com/gorilla/mux"
)

// This file is the trail on the admin API, for the privacy role: GET accesses and
// incidents, with patient=, user=, client=, denied=true, since= and until= (RFC
// 3339); and erasures: GET lists, POST asks, POST {id}/approve and {id}/deny.

func (p *Process) trailRoutes(v1 *mux.Router) {
	v1.Handle("/accesses", p.forRole("privacy", p.getAccesses)).Methods(http.MethodGet)
	v1.Handle("/incidents", p.forRole("privacy", p.getIncident)).Methods(http.MethodGet)
	v1.Handle("/erasures", p.forRole("privacy", p.listErasures)).Methods(http.MethodGet)
	v1.Handle("/erasures", p.forRole("privacy", p.askErasure)).Methods(http.MethodPost)
	v1.Handle("/erasures/{id}/{step:approve|deny}", p.forRole("privacy", p.stepErasure)).Methods(http.MethodPost)
}

// answered bounds the accesses of one answer: beyond it the command line serves.
const answered = 10_000

var errAnswered = &failure{status: http.StatusRequestEntityTooLarge, code: "admin.too-many",
	text: "There are more than 10000 such accesses. Ask about less: since, until, one user or client."}

// shortForm is a form that ends where an answer grows too long.
type shortForm struct {
	audit.Form
	n int
}

func (b *shortForm) Line(l *audit.Line) error {
	if b.n++; b.n > answered {
		return errAnswered
	}
	return b.Form.Line(l)
}

func (p *Process) getAccesses(ctx context.Context, c *call) (any, error) {
	var out bytes.Buffer
	return p.told(ctx, c, audit.NewJSON(&out), &out)
}

func (p *Process) getIncident(ctx context.Context, c *call) (any, error) {
	public, err := audit.VerifierKey(p.trail.Origin, p.trail.Seed)
	if err != nil {
		return nil, internal(err)
	}
	var out bytes.Buffer
	prover := func(size int64) (*audit.Prover, error) { return audit.NewProver(p.trail.Dir, public, size) }
	return p.told(ctx, c, audit.NewIncident(&out, "json", prover), &out)
}

// told answers the question of a call.
func (p *Process) told(ctx context.Context, c *call, form audit.Form, out *bytes.Buffer) (any, error) {
	q, err := questionOf(c.r)
	if err != nil {
		return nil, err
	}
	if q.Patient != "" {
		c.record.Patients = []string{q.Patient}
	}
	patient := q.Patient
	q.Patient = ""
	c.record.Notes = append(c.record.Notes, audit.Note{Name: "about", Value: q.About()})
	q.Patient = patient
	if !p.reports.TryAcquire(1) {
		return nil, &failure{status: http.StatusServiceUnavailable, code: "gateway.busy", retry: time.Second, text: "Other reports are being made. Try again."}
	}
	defer p.reports.Release(1)
	src, done, err := OpenTrail(ctx, p.live.Load().cfg, false)
	if err != nil {
		return nil, internal(err)
	}
	err = audit.Tell(src, q, &shortForm{Form: form})
	if err = errors.Join(err, done()); errors.Is(err, errAnswered) {
		return nil, errAnswered
	}
	if err != nil {
		return nil, internal(err) // fewer accesses than there were would be believed
	}
	return json.RawMessage(out.Bytes()), nil
}

var badQuestion = &failure{status: http.StatusBadRequest, code: "admin.request",
	text: "Ask with patient=Patient/1, user=, client=, denied=true, since= and until= (RFC 3339), each once and at least one of the first three or since."}

func questionOf(r *http.Request) (audit.Question, error) {
	values := r.URL.Query()
	for name, list := range values {
		if len(list) != 1 || !strings.Contains(" patient user client denied since until ", " "+name+" ") {
			return audit.Question{}, badQuestion
		}
	}
	q := audit.Question{Patient: values.Get("patient"), User: values.Get("user"), Client: values.Get("client"), Denied: values.Get("denied") == "true"}
	for name, to := range map[string]*time.Time{"since": &q.Since, "until": &q.Until} {
		if text := values.Get(name); text != "" {
			t, err := time.Parse(time.RFC3339, text)
			if err != nil {
				return q, badQuestion
			}
			*to = t
		}
	}
	if q.Check() != nil || q.Patient == "" && q.User == "" && q.Client == "" && q.Since.IsZero() {
		return q, badQuestion
	}
	return q, nil
}

func (p *Process) eraseDesk() *EraseDesk {
	return newEraseDesk(p.live.Load().cfg, p.stores.shared, p.trail.Key, p.now)
}

// erasureInfo is what a privacy officer sees of an erasure.
type erasureInfo struct {
	*Erasure
	State string `json:"state"`
}

func (p *Process) listErasures(ctx context.Context, _ *call) (any, error) {
	all, err := p.eraseDesk().List(ctx)
	if err != nil {
		return nil, stateDown(err)
	}
	list := []erasureInfo{}
	for _, e := range all {
		list = append(list, erasureInfo{e, e.Status(p.now())})
	}
	return map[string]any{"erasures": list}, nil
}

func (p *Process) askErasure(ctx context.Context, c *call) (any, error) {
	var asked struct {
		Patient string `json:"patient"`
		Reason  string `json:"reason"`
	}
	if err := c.read(&asked); err != nil {
		return nil, err
	}
	return p.takeErasure(ctx, c, func(d *EraseDesk, by reidentify.Person) (*Erasure, error) {
		return d.Ask(ctx, by, asked.Patient, asked.Reason)
	})
}

func (p *Process) stepErasure(ctx context.Context, c *call) (any, error) {
	id, step := mux.Vars(c.r)["id"], mux.Vars(c.r)["step"]
	return p.takeErasure(ctx, c, func(d *EraseDesk, by reidentify.Person) (*Erasure, error) {
		if step == "approve" {
			return d.Approve(ctx, by, id)
		}
		return d.Deny(ctx, by, id, "")
	})
}

// takeErasure takes a step. The record of the call names no patient: it would stand
// in the trail under new keys.
func (p *Process) takeErasure(ctx context.Context, c *call, step func(*EraseDesk, reidentify.Person) (*Erasure, error)) (any, error) {
	if c.who.Machine {
		return nil, notPerson
	}
	e, err := step(p.eraseDesk(), resolverOf(c.who))
	if e != nil {
		c.record.Notes = append(c.record.Notes, audit.Note{Name: "erasure", Value: e.ID})
	}
	if told := p.stores.poll(ctx); told != nil && err == nil {
		err = told
	}
	switch {
	case errors.Is(err, ErrErasePatient):
		return nil, &failure{status: http.StatusBadRequest, code: "admin.request", text: `Send {"patient": "Patient/1", "reason": …}: one line that does not name the patient.`}
	case errors.Is(err, ErrHeldBack):
		return nil, &failure{status: http.StatusConflict, code: "erase.held", text: "The patient's records are under legal hold: nothing is erased."}
	case err != nil:
		return nil, resolveFailure(err)
	}
	return erasureInfo{e, e.Status(p.now())}, nil
}
