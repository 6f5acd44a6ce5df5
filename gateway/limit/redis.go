package limit

import (
	"context"
	"crypto/fips140"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"gatehouse/config"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"go.uber.org/zap"
)

// shared keeps the counts of all replicas in a Redis. Callers and patients are
// named there by keyed hashes.
type shared struct {
	client *redis.Client
	o      Options
	away   atomic.Int64 // Unix nanoseconds; not asked before: 0 where it answers
}

// Bounds on what a Redis that is slow or away may cost: each request waits once
// at most, and while it rests none does.
const (
	answerWithin = 250 * time.Millisecond
	rest         = time.Second
)

// lease bounds how long a request counts as under way where the process that let
// it in has died: the longest that an answer may take (server.go).
const lease = 16 * time.Minute

//go:embed script.lua
var source string

var script = newScript()

// newScript leaves it to Redis to name the script by its SHA-1 where that hash is
// refused (GODEBUG=fips140=only); else a process would not even start.
func newScript() *redis.Script {
	if fips140.Enforced() {
		return redis.NewScriptServerSHA(source)
	}
	return redis.NewScript(source)
}

func newShared(c config.Limits, o Options) (*shared, error) {
	ro, err := redis.ParseURL(c.State)
	if err != nil {
		return nil, errors.New("limits.state: not a Redis URL") // the parser's word may quote a password
	}
	// With its own defaults a client dials five times and retries three times.
	ro.DialTimeout, ro.ReadTimeout, ro.WriteTimeout, ro.PoolTimeout = answerWithin, answerWithin, answerWithin, answerWithin
	ro.MaxRetries, ro.DialerRetries, ro.ContextTimeoutEnabled = -1, 1, true
	ro.DisableIdentity = true
	ro.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	if ro.TLSConfig != nil {
		ro.TLSConfig.MinVersion = tls.VersionTLS12
		if err := trust(ro.TLSConfig, c.StateCAFile); err != nil {
			return nil, err
		}
	}
	redis.SetLogger(silence{})
	return &shared{client: redis.NewClient(ro), o: o}, nil
}

// silence keeps the client from writing to stderr by itself: ask says what matters.
type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

func trust(t *tls.Config, file string) error {
	if file == "" {
		return nil
	}
	certificates, err := config.ReadCertificates(file)
	if err != nil {
		return fmt.Errorf("limits.state_ca_file: %w", err)
	}
	t.RootCAs = x509.NewCertPool()
	for _, c := range certificates {
		t.RootCAs.AddCert(c)
	}
	return nil
}

// errAway stands for a Redis that did not answer a moment ago.
var errAway = errors.New("limits.state: Redis is away; each process allows its share of every limit")

func (s *shared) healthy() error {
	if s.away.Load() != 0 {
		return errAway
	}
	return nil
}

// name is what a caller, a patient or a request is called in Redis.
func (s *shared) name(text string) string {
	h := hmac.New(sha256.New, s.o.Key)
	h.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16])
}

// admit asks for leave; 0 units only look.
func (s *shared) admit(ctx context.Context, ps []Party, cost int, id string) (Verdict, error) {
	c := call{shared: s, args: []any{"admit"}}
	for _, p := range ps {
		c.admission(p, cost, id)
	}
	reply, err := c.run(ctx)
	if err != nil {
		return Verdict{}, err
	}
	var v Verdict
	for i, m := range c.meters {
		after, left := time.Duration(reply[2*i])*time.Millisecond, float64(reply[2*i+1])/1000
		if after > 0 && cost > 0 {
			v.refuse(seconds(after.Seconds()), m.of, m.name)
		}
		v.Quotas = append(v.Quotas, m.quota(left))
	}
	return v, nil
}

// charge takes what was used, and tells whether a quota of released things has
// no room.
func (s *shared) charge(ctx context.Context, ps []Party, u *Use) (exhausted bool, err error) {
	c := call{shared: s, args: []any{"charge"}}
	for _, p := range ps {
		c.use(p, u)
	}
	if len(c.keys) == 0 {
		return false, nil
	}
	reply, err := c.run(ctx)
	if err != nil {
		return false, err
	}
	for i, m := range c.meters {
		exhausted = exhausted || reply[2*i] > 0 && m.name != names[requests] && m.name != names[denials]
	}
	return exhausted, nil
}

// leave ends a request that is under way.
func (s *shared) leave(ctx context.Context, ps []Party, id string) {
	c := call{shared: s, args: []any{"leave"}}
	for _, p := range ps {
		if p.Limits.Concurrent > 0 {
			c.add(p, meter{name: "concurrent"}, "c", 0, 0, 0, 0, s.name(id))
		}
	}
	_, _ = c.run(ctx) // its lease ends in any case
}

// ask runs f unless Redis is resting, and lets it rest after an error.
func (s *shared) ask(ctx context.Context, f func(context.Context) error) error {
	now := s.o.Now().UnixNano()
	away := s.away.Load()
	if away != 0 && (now < away || !s.away.CompareAndSwap(away, now+int64(rest))) { // one at a time tries again
		return errAway
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerWithin) // what a client gives up is counted all the same
	defer cancel()
	err := f(ctx)
	if err == nil {
		if s.away.Swap(0) != 0 && s.o.Log != nil {
			s.o.Log.Info("the Redis of limits.state answers again")
		}
		return nil
	}
	if s.away.Swap(s.o.Now().Add(rest).UnixNano()) == 0 && s.o.Log != nil {
		s.o.Log.Error("the Redis of limits.state is away; this process allows its share of each limit", zap.String("error", kindOf(err)))
	}
	if s.o.Alarm != nil {
		s.o.Alarm("limits.unavailable")
	}
	return errAway
}

// kindOf is an error without what it quotes of the address, which may hold a
// password, and of what was sent.
func kindOf(err error) string {
	text := err.Error()
	for _, known := range []string{"i/o timeout", "deadline exceeded", "connection refused", "connection reset", "no such host", "EOF", "certificate", "NOAUTH", "WRONGPASS", "NOPERM", "READONLY", "OOM", "LOADING", "MOVED"} {
		if strings.Contains(text, known) {
			return known
		}
	}
	return "it does not answer as Redis does"
}

// Once remembers a thing for so long in Redis, for all replicas, and tells
// whether it was new. Without a Redis everything is new here, and whoever asks
// remembers by itself. An error means that nobody knows.
func (l *Limiter) Once(ctx context.Context, thing string, last time.Duration) (fresh bool, err error) {
	if l.shared == nil {
		return true, nil
	}
	s := l.shared
	err = s.ask(ctx, func(ctx context.Context) (err error) {
		fresh, err = s.client.SetNX(ctx, "gatehouse:once:"+s.name(thing), 1, last).Result()
		return err
	})
	return fresh, err
}
