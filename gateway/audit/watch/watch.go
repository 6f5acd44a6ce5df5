// Package watch finds in the stream of audit records what an officer would want
// to look at, and says why in numbers: each detector is a count that anyone can
// make again from the log.
package watch

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/audit"

	lru "github.com/hashicorp/golang-lru/v2"
)

// Alert is what a rule found, with its evidence.
type Alert struct {
	Rule     config.Watch
	At       time.Time // of the record that made it
	Index    int64     // of that record
	Caller   audit.Caller
	Evidence string   // the counts, in words that name no patient
	Requests []string // the last few that made it
	Patients []string // "Patient/1": some that it is about
}

// Watcher holds the counts of some rules. It is not safe for concurrent use; the
// records come in the order of the log.
type Watcher struct {
	rules []*rule
}

// The bounds of what is kept: for each rule so many callers, the least recently
// seen go first; of each so many distinct values, requests and patients.
const (
	callersKept  = 50_000
	valuesKept   = 10_000
	requestsKept = 5
	patientsKept = 50
)

// New makes a watcher of rules that were checked.
func New(rules []config.Watch) *Watcher {
	w := &Watcher{}
	for _, c := range rules {
		callers, _ := lru.New[string, *caller](callersKept) // fails for a size of zero alone
		w.rules = append(w.rules, &rule{Watch: c, detect: detectors[c.Detector], callers: callers, roles: map[string]*norm{}, vip: c.Listed})
	}
	return w
}

// Reach is how far back the rules look: what is older changes no alert.
func Reach(rules []config.Watch) time.Duration {
	var longest time.Duration
	for _, c := range rules {
		longest = max(longest, time.Duration(c.History)+time.Duration(c.Window))
	}
	return longest
}

// See takes a record and gives the alerts that it makes.
func (w *Watcher) See(r *audit.Record) (alerts []Alert) {
	if r.Kind != audit.Outcome && r.Kind != audit.Part || r.Caller.Subject == "" && r.Caller.Client == "" || own(r) {
		return nil
	}
	for _, one := range w.rules {
		if len(one.Roles) > 0 && !slices.ContainsFunc(one.Roles, func(role string) bool { return slices.Contains(r.Caller.Roles, role) }) {
			continue
		}
		if a := one.see(r); a != nil {
			alerts = append(alerts, *a)
		}
	}
	return alerts
}

// own tells whether a record is of officers at work, or of watching itself.
func own(r *audit.Record) bool {
	return r.Interaction == audit.AdminInteraction || r.Interaction == audit.ReadingInteraction
}

// rule is one rule and its counts.
type rule struct {
	config.Watch
	detect  func(*rule, *caller, *audit.Record) string
	callers *lru.Cache[string, *caller]
	roles   map[string]*norm
	vip     map[string]bool
}

// caller is what a rule knows of one caller: the window at hand, and before it.
type caller struct {
	window   time.Time
	values   map[string]bool // distinct, of the window
	count    int             // events, of the window
	alerted  bool            // in the window
	requests []string
	patients []string

	since time.Time            // first seen
	seen  int                  // accesses since
	own   norm                 // of past windows
	known map[string]time.Time // values ever met, and when last
}

// norm is what is usual: the mean of past windows, the recent ones more.
type norm struct {
	mean    float64
	windows int
}

// settling is how many windows make a mean of their own; until then a plain one.
const settling = 14

func (n *norm) add(v int) {
	n.windows++
	n.mean += (float64(v) - n.mean) / float64(min(n.windows, settling))
}

// name is whom counts are kept for: a person, or a client that is none.
func (r *rule) name(c *audit.Caller) string {
	if r.Detector == "new-right" {
		return c.Client
	}
	return c.Issuer + "\x00" + cmp.Or(c.Subject, c.Client)
}

func (r *rule) see(rec *audit.Record) *Alert {
	name := r.name(&rec.Caller)
	c, ok := r.callers.Get(name)
	if !ok {
		c = &caller{since: rec.Time, known: map[string]time.Time{}}
		r.callers.Add(name, c)
	}
	if start := rec.Time.Truncate(time.Duration(r.Window)); start.After(c.window) { // a clock that steps back begins no window
		r.close(c, &rec.Caller)
		*c = caller{window: start, values: map[string]bool{}, since: c.since, seen: c.seen, own: c.own, known: c.known}
	}
	before := c.count + len(c.values)
	evidence := r.detect(r, c, rec)
	c.seen++
	if c.count+len(c.values) > before {
		c.note(rec, r.about(rec))
	}
	if evidence == "" || c.alerted {
		return nil
	}
	c.alerted = true // one alert for each caller and window
	return &Alert{Rule: r.Watch, At: rec.Time, Index: rec.Index, Caller: rec.Caller, Evidence: evidence, Requests: slices.Clone(c.requests), Patients: slices.Clone(c.patients)}
}

// close ends a window: what was in it is what is usual from now on.
func (r *rule) close(c *caller, who *audit.Caller) {
	if c.window.IsZero() {
		return
	}
	n := max(len(c.values), c.count)
	c.own.add(n)
	key := roleOf(who)
	of := r.roles[key]
	if of == nil {
		if len(r.roles) >= valuesKept {
			return
		}
		of = &norm{}
		r.roles[key] = of
	}
	of.add(n)
}

// roleOf is the group that a caller is compared with.
func roleOf(c *audit.Caller) string {
	return strings.Join(slices.Sorted(slices.Values(c.Roles)), " ")
}

// note keeps some of what was counted, as evidence.
func (c *caller) note(r *audit.Record, about []string) {
	if c.requests = append(c.requests, r.Request); len(c.requests) > requestsKept {
		c.requests = c.requests[1:]
	}
	for _, p := range about {
		if len(c.patients) < patientsKept && !slices.Contains(c.patients, p) {
			c.patients = append(c.patients, p)
		}
	}
}

func (c *caller) distinct(value string) {
	if len(c.values) < valuesKept {
		c.values[value] = true
	}
}
