package gateway

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"gatehouse/gateway/audit"
	"gatehouse/gateway/emergency"

	"github.com/google/uuid"
	"go.uber.org/zap"
)

// This file is {base}/_gatehouse/emergency: POST breaks the glass for one
// patient, GET lists the caller's own open grants, DELETE …/{grant} ends one.

// openGrants bounds what one caller may have open at once.
const openGrants = 10

// emergencyAccess serves the endpoint; below is what follows its path.
func (x *exchange) emergencyAccess(ctx context.Context, below, query string) error {
	x.record.Interaction = audit.EmergencyInteraction
	x.record.Query = []byte(x.s.basePath + emergencyPath) // without a handle, which is a capability
	if err := x.limitClient(1); err != nil {
		return err
	}
	if query != "" {
		return badOpening("Send what you have to say in the body, and no parameters.")
	}
	switch handle, one := strings.CutPrefix(below, "/"); {
	case below == "" && x.r.Method == http.MethodPost:
		return x.breakGlass(ctx)
	case below == "" && x.r.Method == http.MethodGet:
		return x.listGrants(ctx)
	case one && x.r.Method == http.MethodDelete:
		return x.endGrant(ctx, handle)
	}
	return wrongMethod("GET, POST, DELETE", "POST here to open emergency access, GET to list it, DELETE what GET lists to end it.")
}

func (x *exchange) breakGlass(ctx context.Context) error {
	if err := x.checkGlass(); err != nil {
		return err
	}
	body, err := x.body()
	if err != nil {
		return err
	}
	asked, err := readOpening(body, x.s)
	if err != nil {
		return err
	}
	g := x.newGrant(asked)
	x.record.Patients, x.record.Body = []string{g.Patient}, []byte(g.Reason)
	x.record.Notes = []audit.Note{{Name: audit.EmergencyNote, Value: g.ID}}
	x.record.Decision = audit.Decision{Allow: true, Permits: []string{audit.EmergencyReason}, Revision: x.s.policy.Revision()}
	if err := x.intent(ctx); err != nil {
		return err
	}
	alert := x.alertOf("emergency.opened", []string{g.Patient}, g.ID)
	stored, err := x.keepAlerts(ctx, alert, x.s.cfg.Emergency.Notify)
	if err != nil {
		return err
	}
	if err := x.storeGrant(ctx, g); err != nil {
		return err // whether it stands is not known, so what was stored to tell of it stays
	}
	x.opened(g)
	x.tell(alert, x.s.cfg.Emergency.Notify, stored)
	handle := x.handle(g)
	return x.answerOwn(ctx, http.StatusCreated, asked.answer(handle, g), x.s.publicURL+emergencyPath+"/"+handle)
}

// checkGlass asks for the right, the login, and that earlier openings were
// reviewed.
func (x *exchange) checkGlass() error {
	e, log := x.s.cfg.Emergency, x.g.log
	if e == nil {
		return &failure{status: http.StatusForbidden, code: "emergency.off", text: "Emergency access is not offered here."}
	}
	if x.caller.glass == "" {
		log.Warn("emergency access refused", zap.String("request", x.id), zap.String("client", x.caller.subject.Client))
		x.g.metrics.glass.WithLabelValues("refused").Inc()
		x.alert("emergency.refused", e.Notify, nil, "")
		return &failure{status: http.StatusForbidden, code: "emergency.right", text: "You have no right to emergency access."}
	}
	if f := x.stepUp(stepUpOf(e.StepUp)); f != nil {
		return f
	}
	if e.BlockOverdue && x.g.glass.Owes(x.person(), x.start) {
		x.g.metrics.glass.WithLabelValues("overdue").Inc()
		return &failure{status: http.StatusForbidden, code: "emergency.overdue",
			text: "An earlier emergency access of yours is not reviewed yet. Ask your privacy officer."}
	}
	if len(x.g.glass.Of(x.caller.glass, x.start)) >= openGrants {
		return &failure{status: http.StatusTooManyRequests, code: "emergency.many", retry: time.Minute,
			text: "You have too many emergency accesses open. End one."}
	}
	return nil
}

func (x *exchange) person() emergency.Person { return personOf(x.caller.subject) }

func (x *exchange) newGrant(asked *opening) *emergency.Grant {
	e := x.s.cfg.Emergency
	last := time.Duration(e.MaxDuration)
	if asked.minutes > 0 {
		last = min(last, time.Duration(asked.minutes)*time.Minute)
	}
	id := uuid.Must(uuid.NewV7()).String() // sorts by time; requestID has seen that there is randomness
	return &emergency.Grant{ID: id, Bind: x.caller.glass, Patient: asked.patient, Reason: asked.reason, By: x.person(), Request: x.id,
		Opened: x.start, Until: x.start.Add(last).Truncate(time.Second), Due: x.start.Add(time.Duration(e.ReviewWithin))}
}

// storeGrant makes the grant durable; other replicas hear of it within two
// seconds, this one at once.
func (x *exchange) storeGrant(ctx context.Context, g *emergency.Grant) error {
	value, err := g.Encode()
	if err != nil {
		return internal(err)
	}
	st := x.s.stores
	if err := errors.Join(st.shared.Put(ctx, emergencyKind, g.ID, value, time.Time{}), st.poll(ctx)); err != nil {
		return stateDown(err)
	}
	return nil
}

func stateDown(err error) error {
	return &failure{status: http.StatusServiceUnavailable, code: "state.unavailable", retry: time.Second,
		text: "The decision could not be stored, so it does not stand. Try again.", log: err}
}

// opened tells those who must know (BTG-02).
func (x *exchange) opened(g *emergency.Grant) {
	x.g.metrics.glass.WithLabelValues("opened").Inc()
	x.g.log.Warn("emergency access opened", zap.String("request", x.id), zap.String("client", x.caller.subject.Client), zap.String("review", g.ID))
}

// handle is the grant as its owner names it.
func (x *exchange) handle(g *emergency.Grant) string {
	return x.s.sealer.Seal("emergency", x.caller.glass, []byte(g.ID), g.Until)
}

func (x *exchange) listGrants(ctx context.Context) error {
	type item struct {
		Grant   string    `json:"grant"`
		Patient string    `json:"patient"`
		Reason  string    `json:"reason"`
		Until   time.Time `json:"until"`
	}
	list := []item{}
	for _, g := range x.g.glass.Of(x.caller.glass, x.start) {
		x.record.Patients = append(x.record.Patients, g.Patient)
		list = append(list, item{x.handle(g), g.Patient, g.Reason, g.Until.UTC()})
	}
	return x.answerOwn(ctx, http.StatusOK, map[string]any{"grants": list}, "")
}

// endGrant ends one of the caller's own. Another's handle is as good as none.
func (x *exchange) endGrant(ctx context.Context, handle string) error {
	id, err := x.s.sealer.Open("emergency", x.caller.glass, handle, x.start)
	if err != nil || x.caller.glass == "" {
		return absent(err)
	}
	if err := x.intent(ctx); err != nil {
		return err
	}
	g, err := x.g.changeGrant(ctx, x.s.stores, string(id), func(g *emergency.Grant) error { g.End(x.start); return nil })
	if err != nil {
		return err
	}
	x.record.Patients = []string{g.Patient}
	x.record.Notes = []audit.Note{{Name: audit.EmergencyNote, Value: g.ID}}
	x.outcome(http.StatusNoContent, "ok")
	if err := x.commit(ctx); err != nil {
		return err
	}
	x.out.begin(head{status: http.StatusNoContent, length: -1})
	return nil
}
