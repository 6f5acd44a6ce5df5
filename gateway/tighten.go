package gateway

import (
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/gateway/policy"
	"gatehouse/gateway/state"

	"go.uber.org/zap"
	"golang.org/x/time/rate"
)

// This file is what an alert of watch does to a caller, on every replica, until
// its time is over: fewer requests, or a new login.

// tightKind is the kind of their rows in the state store.
const tightKind = "tighten"

// tightRate is what a throttled caller has left.
var tightRate = rate.Every(6 * time.Second)

const tightBurst = 3

// tightening is one of them.
type tightening struct {
	Then     string    `json:"then"` // throttle, step_up
	At       time.Time `json:"at"`   // of the alert
	Detector string    `json:"detector"`

	until  time.Time
	bucket *rate.Limiter
}

// tightID names what is done, and the caller: a person at any client, or a client.
// Else one alert would undo another's: a new login the throttling.
func tightID(then, issuer, subject, client string) string {
	if subject != "" {
		return then + "\x00" + issuer + "\x00" + subject
	}
	return then + "\x00client\x00" + client
}

// tightened are the callers that it is about.
type tightened struct {
	n  atomic.Int64 // most gateways have none
	mu sync.RWMutex
	of map[string]*tightening
}

func (t *tightened) set(id string, one *tightening, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of == nil {
		t.of = map[string]*tightening{}
	}
	delete(t.of, id)
	if one != nil {
		t.of[id] = one
	}
	for name, old := range t.of {
		if !now.Before(old.until) {
			delete(t.of, name)
		}
	}
	t.n.Store(int64(len(t.of)))
}

func (t *tightened) get(id string, now time.Time) *tightening {
	if t.n.Load() == 0 {
		return nil
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	if one := t.of[id]; one != nil && now.Before(one.until) {
		return one
	}
	return nil
}

// learnTightening acts on an alert, from the next request on.
func (g *Gateway) learnTightening(r state.Row) {
	if r.Value == nil {
		g.tight.set(r.ID, nil, g.now())
		return
	}
	one := &tightening{until: r.Expires, bucket: rate.NewLimiter(tightRate, tightBurst)}
	if err := json.Unmarshal(r.Value, one); err != nil {
		g.metrics.alarm("state.malformed")
		g.log.Error("what an alert of watch is to do cannot be read", zap.Error(err))
		return
	}
	g.tight.set(r.ID, one, g.now())
}

// checkTightened refuses what an alert has left the caller no right to.
func (x *exchange) checkTightened() error {
	s := x.caller.subject
	if one := x.tightenedTo("step_up"); one != nil && (!s.AuthTime.After(one.At) || x.start.Sub(s.AuthTime) < -futureLogin) {
		need := policy.StepUp{MaxAge: max(1, int(x.start.Sub(one.At)/time.Second))}
		return &failure{status: http.StatusUnauthorized, code: "watch.step-up", challenges: x.s.auth.StepUp(need.ACR, need.MaxAge),
			text: "Log in again, as the WWW-Authenticate header says.", log: errors.New("an alert of watch demands a new login")}
	}
	if one := x.tightenedTo("throttle"); one != nil && !one.bucket.AllowN(x.start, 1) {
		return &failure{status: http.StatusTooManyRequests, code: "limit.watch", retry: 6 * time.Second,
			text: "Too many requests for now. Wait as long as Retry-After says."}
	}
	return nil
}

func (x *exchange) tightenedTo(then string) *tightening {
	s := x.caller.subject
	return x.g.tight.get(tightID(then, s.Issuer, s.ID, s.Client), x.start)
}
