package gateway

import (
	"strings"
	"sync"

	"gatehouse/gateway/audit"

	"github.com/prometheus/client_golang/prometheus"
)

// shadowMetrics count what a shadow policy would decide otherwise. The words are
// those of rules, clients, roles and types, the first of each that come; the
// others are counted as one, so that their number is bounded.
type shadowMetrics struct {
	decisions, differences *prometheus.CounterVec
	mu                     sync.Mutex
	known                  map[string]map[string]bool // by what
}

// wordsKept bounds the values of one label.
const wordsKept = 200

func (s *shadowMetrics) register(r *prometheus.Registry) {
	s.decisions = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatehouse_shadow_decisions_total",
		Help: "Decisions put to the shadow policy, by what it would change; dropped: too many at once to be looked at."}, []string{"result"})
	s.differences = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatehouse_shadow_differences_total",
		Help: "Decisions that the shadow policy would change, once for the rule, the client, each role and the type."}, []string{"change", "by", "name"})
	r.MustRegister(s.decisions, s.differences)
	s.known = map[string]map[string]bool{}
}

func (m *metrics) shadowed(result string, n int) {
	if m != nil {
		m.shadow.decisions.WithLabelValues(result).Add(float64(n))
	}
}

func (m *metrics) differs(change, rule string, r *audit.Record, typ string) {
	if m == nil {
		return
	}
	change = strings.ReplaceAll(change, " ", "_")
	count := func(by, name string) { m.shadow.differences.WithLabelValues(change, by, m.shadow.word(by, name)).Inc() }
	count("rule", rule)
	count("client", r.Caller.Client)
	count("type", typ)
	for _, role := range r.Caller.Roles {
		count("role", role)
	}
}

func (s *shadowMetrics) word(by, name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known[by] == nil {
		s.known[by] = map[string]bool{}
	}
	if !s.known[by][name] && len(s.known[by]) >= wordsKept {
		return "others"
	}
	s.known[by][name] = true
	return name
}
