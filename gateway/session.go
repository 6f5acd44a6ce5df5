package gateway

import (
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"gatehouse/gateway/auth"
)

// This file ends logins that are too old or idle, where the client's entry says
// how long one counts (issue 5 point 5).

// loginsKept bounds the logins whose last use (Unix nanoseconds) is remembered. One
// that is forgotten counts from its auth_time, so forgetting never prolongs it.
const loginsKept = 1 << 16

// sessionKey names a login: person, application, and the provider's session
// where the token tells it.
func sessionKey(s *auth.Subject) string { return s.Key() + "\x00" + s.Client + "\x00" + s.Session }

// checkSession refuses a login that is over, and notes the use of one that is
// not.
func (x *exchange) checkSession() error {
	bounds, s := x.caller.client.Session, x.caller.subject
	idle, longest := time.Duration(bounds.Idle), time.Duration(bounds.Max)
	if idle == 0 && longest == 0 || s.Machine || x.caller == nobody {
		return nil
	}
	since := x.start.Sub(s.AuthTime)
	if s.AuthTime.IsZero() || since < -time.Minute || longest > 0 && since > longest { // unknown, to come, or over
		return x.sessionOver("session.old", "Your login is too old. Log in again.", longest)
	}
	if idle == 0 {
		return nil
	}
	last := x.g.lastUse(x.caller.session)
	if used := max(last.Load(), s.AuthTime.UnixNano()); x.start.UnixNano()-used > int64(idle) {
		return x.sessionOver("session.idle", "You have been away. Log in again.", idle)
	}
	last.Store(x.start.UnixNano())
	return nil
}

func (g *Gateway) lastUse(login string) *atomic.Int64 {
	if last, ok := g.logins.Get(login); ok {
		return last
	}
	last := new(atomic.Int64)
	if before, had, _ := g.logins.PeekOrAdd(login, last); had {
		return before
	}
	return last
}

func (x *exchange) sessionOver(code, text string, maxAge time.Duration) error {
	return &failure{status: http.StatusUnauthorized, code: code, text: text,
		challenges: x.s.auth.StepUp("", max(1, int(maxAge/time.Second))), log: errors.New("session over")}
}
