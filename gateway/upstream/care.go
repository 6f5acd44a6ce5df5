package upstream

import (
	"cmp"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"gatehouse/config"

	"github.com/sony/gobreaker/v2"
	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"
)

// care spares a server that is in trouble, and callers what it cannot do.
type care struct {
	breaker *gobreaker.TwoStepCircuitBreaker[struct{}]
	rest    time.Duration
	room    *semaphore.Weighted // of clients' requests under way
	retries *rate.Limiter       // of all callers together, so that retries are no storm
}

const (
	tries       = 3           // of a safe read, the first included
	queueFor    = time.Second // for room
	patientFor  = time.Second // with a server that says when to come again
	breakerSpan = 10 * time.Second
)

func newCare(c config.Upstream, log *zap.Logger) care {
	failures := uint32(cmp.Or(c.Breaker.Failures, 20))
	rest := cmp.Or(time.Duration(c.Breaker.Rest), 5*time.Second)
	room := cmp.Or(c.MaxRequests, max(1, cmp.Or(c.MaxConnections, 256)/2))
	return care{rest: rest, room: semaphore.NewWeighted(int64(room)), retries: rate.NewLimiter(10, 20),
		breaker: gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
			MaxRequests: 3, Interval: breakerSpan, BucketPeriod: time.Second, Timeout: rest,
			ReadyToTrip: func(n gobreaker.Counts) bool {
				return n.TotalFailures >= failures && 2*n.TotalFailures >= n.Requests
			},
			IsExcluded: func(err error) bool { return errors.Is(err, errNoVerdict) },
			OnStateChange: func(_ string, from, to gobreaker.State) {
				log.Warn("the upstream's breaker changed", zap.String("from", from.String()), zap.String("to", to.String()))
			},
		})}
}

// ErrResting says that the server is left alone.
var ErrResting = errors.New("it failed repeatedly and is left alone for a moment")

// Resting is ErrResting while nothing, or but a trial, is sent to the server.
func (u *Upstream) Resting() error {
	if u.breaker.State() == gobreaker.StateClosed {
		return nil
	}
	return ErrResting
}

// Rest is how long the server is left alone.
func (u *Upstream) Rest() time.Duration { return u.rest }

// enter takes room for a client's request, and waits for it only for a moment.
// The room is given back at the latest when ctx ends.
func (u *Upstream) enter(ctx context.Context) (*inside, error) {
	if !u.room.TryAcquire(1) {
		within, cancel := context.WithTimeout(ctx, queueFor)
		defer cancel()
		if u.room.Acquire(within, 1) != nil {
			if ctx.Err() != nil {
				return nil, &Error{Kind: Canceled, Err: context.Canceled}
			}
			return nil, &Error{Kind: Busy, Err: errors.New("it works on as many requests as it may")}
		}
	}
	i := &inside{room: u.room}
	i.stop = context.AfterFunc(ctx, i.give)
	return i, nil
}

// inside is an answer that takes room until it is closed.
type inside struct {
	io.ReadCloser
	room  *semaphore.Weighted
	given atomic.Bool
	stop  func() bool // the watch over the request
}

func (i *inside) give() {
	if i.given.CompareAndSwap(false, true) {
		i.room.Release(1)
	}
}

func (i *inside) leave() {
	i.stop()
	i.give()
}

func (i *inside) Close() error {
	i.leave()
	return i.ReadCloser.Close()
}

// send sends a request, a safe read again where that may help.
func (u *Upstream) send(ctx context.Context, r Request) (Head, io.ReadCloser, error) {
	for n := 1; ; n++ {
		head, body, err := u.guarded(ctx, r)
		wait, again := u.again(r, n, head, err)
		if !again {
			return head, body, err
		}
		select {
		case <-ctx.Done():
			return head, body, err
		case <-time.After(wait):
		}
		if err == nil {
			body.Close()
		}
	}
}

// guarded asks the breaker, and tells it what came.
func (u *Upstream) guarded(ctx context.Context, r Request) (Head, io.ReadCloser, error) {
	done, err := u.breaker.Allow()
	if err != nil {
		return Head{}, nil, &Error{Kind: Resting, Err: ErrResting}
	}
	head, body, err := u.try(ctx, r)
	done(verdict(r, head, err))
	return head, body, err
}

var (
	errNoVerdict = errors.New("says nothing about the server")
	errFailing   = errors.New("the server cannot serve")
)

// verdict is what an answer says of the server's health: a wrong answer is one.
func verdict(r Request, head Head, err error) error {
	var e *Error
	switch {
	case errors.As(err, &e) && e.Kind == Unreachable, errors.As(err, &e) && e.Kind == Timeout && !r.Slow:
		return err
	case err != nil && e != nil && e.Kind != Protocol:
		return errNoVerdict
	case err == nil && unavailable(head.Status):
		return errFailing
	}
	return nil
}

func unavailable(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}

// again tells whether a read is worth another try, and after how long. What may
// have changed something is never sent twice, and a server that does not say
// when to come again, or in how long a time, is not asked again.
func (u *Upstream) again(r Request, n int, head Head, err error) (time.Duration, bool) {
	if r.Method != http.MethodGet || r.Slow || n == tries {
		return 0, false
	}
	var e *Error
	wait := time.Duration(n) * 50 * time.Millisecond
	switch {
	case errors.As(err, &e):
		if e.Kind != Unreachable {
			return 0, false
		}
	case !unavailable(head.Status) || head.RetryAfter == "":
		return 0, false
	default:
		after, _ := strconv.Atoi(head.RetryAfter)
		if wait = max(wait, time.Duration(after)*time.Second); wait > patientFor {
			return 0, false
		}
	}
	if !u.retries.Allow() {
		return 0, false
	}
	return wait + rand.N(wait), true
}

// timeouts are how long requests of each class may take.
type timeouts struct{ read, search, write, operation time.Duration }

func newTimeouts(c config.Upstream) timeouts {
	usual := cmp.Or(time.Duration(c.Timeout), 30*time.Second)
	t := c.Timeouts
	return timeouts{cmp.Or(time.Duration(t.Read), usual), cmp.Or(time.Duration(t.Search), usual), cmp.Or(time.Duration(t.Write), usual),
		cmp.Or(time.Duration(t.Operation), 10*usual)}
}

func (t timeouts) of(r Request) time.Duration {
	path, _, query := strings.Cut(r.Target, "?")
	switch {
	case r.Slow:
		return t.operation
	case r.Method == http.MethodPost && strings.HasSuffix("/"+path, "/_search"):
		return t.search
	case r.Method != http.MethodGet:
		return t.write
	case query || strings.Count(path, "/") != 1 && !strings.Contains(path, "/_history/"):
		return t.search
	}
	return t.read
}
