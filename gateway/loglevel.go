package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/audit"
	"gatehouse/gateway/state"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// LogLevel is how much is logged of the requests of one route, for some minutes and
// on every replica. It never adds patient data: at debug a line says more of how a
// request went, and nothing of whom it was about.
type LogLevel struct {
	Route  string    `json:"route"` // "GET /Observation", "POST /", "* *"; names a type at most, never an id
	Level  string    `json:"level"` // debug, info, warn, error
	Reason string    `json:"reason"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Until  time.Time `json:"until"`
	Reset  bool      `json:"reset,omitempty"` // it is over from At on
}

// The kinds of rows in the state store: each decision, the same to be recorded, which
// may have to wait for the audit log, and where it was.
const (
	levelKind      = "log-level"
	levelEventKind = "log-level-event"
	levelHeardKind = "log-level-heard"
)

// Bounds, so that what somebody forgets is over, and no list grows.
const (
	levelLasts  = 4 * time.Hour
	levelRoutes = 32
)

var methods = []string{"*", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}

// check makes the level as it is stored, or says what is wrong with it.
func (l *LogLevel) check(last time.Duration, now time.Time) error {
	method, path, _ := strings.Cut(l.Route, " ")
	typ, below := strings.CutPrefix(path, "/")
	l.At, l.Until = now.UTC(), now.UTC().Add(last).Truncate(time.Second)
	switch {
	case !slices.Contains(methods, method) || path != "*" && path != "/" && !(below && knownType(typ)):
		return errors.New(`a route is a method and a type, such as "GET /Observation", "POST /" or "* *"; it names no id`)
	case l.Reset:
		l.Level, l.Until = "", l.At.Add(levelLasts)
	case !slices.Contains([]string{"debug", "info", "warn", "error"}, l.Level):
		return errors.New("a level is debug, info, warn or error")
	case last < time.Second || last > levelLasts:
		return fmt.Errorf("it lasts at least a second and at most %s", config.Duration(levelLasts))
	}
	if !plainText(l.Reason) {
		return errors.New("the reason is one line of at most 1000 bytes")
	}
	return nil
}

// SetLogLevel stores one for the gateways of a configuration, from now on and so long.
func SetLogLevel(ctx context.Context, cfg *config.Config, l *LogLevel, last time.Duration) error {
	if err := l.check(last, time.Now()); err != nil {
		return err
	}
	return withState(cfg, func(st *state.Store) error { return storeLevel(ctx, st, l) })
}

// LogLevels lists those that are in force.
func LogLevels(ctx context.Context, cfg *config.Config) (list []*LogLevel, err error) {
	err = withState(cfg, func(st *state.Store) error { list, err = listLevels(ctx, st); return err })
	return list, err
}

// storeLevel stores a decision; of several about a route the last one counts.
func storeLevel(ctx context.Context, st *state.Store, l *LogLevel) error {
	list, err := listLevels(ctx, st)
	if err != nil {
		return err
	}
	set := slices.ContainsFunc(list, func(o *LogLevel) bool { return o.Route == l.Route })
	switch {
	case l.Reset && !set:
		return ErrNoLevel
	case !l.Reset && !set && len(list) >= levelRoutes:
		return fmt.Errorf("%d routes have a level already: wait, or reset some", levelRoutes)
	}
	value, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("write log level: %w", err)
	}
	id, until := requestID(), l.At.Add(blockEventLife) // as for blocks: gateways that are away record it later
	if err := st.Put(ctx, levelEventKind, id, value, until); err != nil {
		return err
	}
	return st.Put(ctx, levelKind, id, value, until)
}

// ErrNoLevel is what a reset gives where the route has no level of its own.
var ErrNoLevel = errors.New("this route has no level of its own")

func listLevels(ctx context.Context, st *state.Store) ([]*LogLevel, error) {
	routes := levelTable{}
	err := st.List(ctx, levelKind, func(r state.Row) error {
		l := new(LogLevel)
		if err := json.Unmarshal(r.Value, l); err != nil {
			return fmt.Errorf("read log level: %w", err)
		}
		routes.take(l)
		return nil
	})
	return routes.inForce(time.Now()), err
}

// usual is log without what a LogLevel alone brings out.
func usual(log *zap.Logger) *zap.Logger {
	if log.Core().Enabled(zapcore.DebugLevel) {
		return log.WithOptions(zap.IncreaseLevel(zapcore.InfoLevel))
	}
	return log
}

// record is the decision as the audit trail tells it.
func (l *LogLevel) record() *audit.Record {
	r := &audit.Record{Kind: audit.Notice, Code: audit.LogLevelSet, Notes: []audit.Note{{Name: "route", Value: l.Route}, {Name: "by", Value: l.By}, {Name: "reason", Value: l.Reason}}}
	if l.Reset {
		r.Code = audit.LogLevelReset
		return r
	}
	r.Notes = append(r.Notes, audit.Note{Name: "level", Value: l.Level}, audit.Note{Name: "until", Value: l.Until.Format(time.RFC3339)})
	return r
}

// levelTable is the last decision about each route.
type levelTable map[string]*LogLevel

func (t levelTable) take(l *LogLevel) {
	if before := t[l.Route]; before == nil || before.At.Before(l.At) {
		t[l.Route] = l
	}
}

func (t levelTable) inForce(now time.Time) []*LogLevel {
	list := []*LogLevel{}
	for _, l := range t {
		if !l.Reset && now.Before(l.Until) {
			list = append(list, l)
		}
	}
	slices.SortFunc(list, func(a, b *LogLevel) int { return strings.Compare(a.Route, b.Route) })
	return list
}

// levels are those that this process has heard of. Most of the time there is none,
// and a request looks at one pointer.
type levels struct {
	mu      sync.Mutex
	decided levelTable
	live    atomic.Pointer[[]*LogLevel] // nil: no route has one
}

func (v *levels) take(l *LogLevel, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.decided == nil {
		v.decided = levelTable{}
	}
	v.decided.take(l)
	for route, l := range v.decided {
		if !now.Before(l.Until) {
			delete(v.decided, route)
		}
	}
	list := v.decided.inForce(now)
	if len(list) == 0 {
		v.live.Store(nil)
		return
	}
	v.live.Store(&list)
}

// now are those that are not over.
func (v *levels) now(now time.Time) []*LogLevel {
	list := v.live.Load()
	if list == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(*list), func(l *LogLevel) bool { return !now.Before(l.Until) })
}

// of is the level of a request, and whether it has one of its own: of several that
// fit, the most talkative.
func (v *levels) of(method, typ string, now time.Time) (level zapcore.Level, own bool) {
	if v.live.Load() == nil {
		return zapcore.InfoLevel, false
	}
	for _, l := range v.now(now) {
		m, path, _ := strings.Cut(l.Route, " ")
		if m != "*" && m != method || path != "*" && path != "/"+typ {
			continue
		}
		found, err := zapcore.ParseLevel(l.Level)
		if err == nil && (!own || found < level) {
			level, own = found, true
		}
	}
	return level, own
}

// maybeDetailed tells whether a request may turn out to be one of whose steps a line
// tells: its type is not known when it begins.
func (v *levels) maybeDetailed(method string, now time.Time) bool {
	if v.live.Load() == nil {
		return false
	}
	return slices.ContainsFunc(v.now(now), func(l *LogLevel) bool {
		return l.Level == "debug" && (strings.HasPrefix(l.Route, "* ") || strings.HasPrefix(l.Route, method+" "))
	})
}

// learnLevel acts on a decision.
func (p *Process) learnLevel(r state.Row) {
	if l := new(LogLevel); r.Value != nil && json.Unmarshal(r.Value, l) == nil {
		p.levels.take(l, p.now())
	}
}

// learnLevelEvent records a decision, once in the trail of each gateway.
func (p *Process) learnLevelEvent(r state.Row) {
	l := new(LogLevel)
	if r.Value == nil || json.Unmarshal(r.Value, l) != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), recordWait)
	defer cancel()
	id := p.place + "\x00" + r.ID
	_, err := p.stores.shared.Get(ctx, levelHeardKind, id)
	if err == nil {
		return
	}
	if errors.Is(err, state.ErrNone) {
		if p.recorded(l.record()) != nil {
			p.stores.again(levelEventKind, r) // it has raised its alarm
			return
		}
		err = p.stores.shared.Put(ctx, levelHeardKind, id, []byte("1"), r.Expires)
	}
	if err != nil {
		p.metrics.alarm("state.unavailable")
	}
}
