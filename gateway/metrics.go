package gateway

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"gatehouse/gateway/consent"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are counted by words that the gateway chose; no label comes from a
// request, so their number is bounded and none names a patient.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	withheld prometheus.Counter
	released prometheus.Counter
	alarms   *prometheus.CounterVec
	reloads  *prometheus.CounterVec
	consents *prometheus.CounterVec
	glass    *prometheus.CounterVec
	alerts   *prometheus.CounterVec
	expired  prometheus.Counter
	shadow   shadowMetrics
	policy   *prometheus.GaugeVec
	limits   *prometheus.CounterVec
	shown    atomic.Int64 // second of the last exemplar
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatehouse_requests_total",
			Help: "Requests by FHIR interaction, HTTP status and outcome code."}, []string{"interaction", "status", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "gatehouse_request_seconds",
			Help: "Time from the request's arrival to its end, by FHIR interaction.", Buckets: prometheus.ExponentialBuckets(0.0005, 2.5, 12)}, []string{"interaction"}),
		withheld: prometheus.NewCounter(prometheus.CounterOpts{Name: "gatehouse_resources_withheld_total", Help: "Resources of upstream answers that were withheld."}),
		released: prometheus.NewCounter(prometheus.CounterOpts{Name: "gatehouse_resources_released_total", Help: "Resources released to clients."}),
		alarms: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatehouse_alarms_total",
			Help: "What operators must look at: an upstream that ignores filters, a policy in error, an audit log that cannot be written."}, []string{"what"}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatehouse_reloads_total", Help: "Reloads of the configuration."}, []string{"result"}),
		consents: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatehouse_consents_unusable_total",
			Help: "Consents read that permit nothing or not all that they say, by what is wrong with them; see gatehouse doctor."}, []string{"problem"}),
	}
	m.glass = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatehouse_emergency_total", Help: "Emergency access, opened or refused."}, []string{"result"})
	m.alerts = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatehouse_alerts_total", Help: "Alerts to the channels of the configuration, by event."}, []string{"event"})
	m.expired = prometheus.NewCounter(prometheus.CounterOpts{Name: "gatehouse_audit_expired_records_total", Help: "Audit records that audit.retention took out."})
	m.registry.MustRegister(m.expired)
	m.shadow.register(m.registry)
	m.policy = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "gatehouse_policy_info", Help: "The policy in force, by its revision; 1."}, []string{"revision"})
	m.limits = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatehouse_limited_total", Help: "Requests refused by a limit, by whose and which."}, []string{"of", "limit"})
	m.registry.MustRegister(m.policy, m.limits)
	m.registry.MustRegister(m.glass, m.alerts, m.requests, m.seconds, m.withheld, m.released, m.alarms, m.reloads, m.consents)
	m.fromZero()
	return m
}

// ofProcess tells of the process too, for the only gateway of one.
func (m *metrics) ofProcess() { registerProcess(m.registry) }

func registerProcess(r *prometheus.Registry) {
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
}

// fromZero shows what has not happened yet as zero: the first time that something
// happens would otherwise be no increase, and no rule would see it.
func (m *metrics) fromZero() {
	for _, result := range []string{"applied", "refused"} {
		m.reloads.WithLabelValues(result)
	}
	for _, result := range []string{"opened", "refused", "overdue"} {
		m.glass.WithLabelValues(result)
	}
	for _, problem := range consent.Problems {
		m.consents.WithLabelValues(problem)
	}
	m.alarms.WithLabelValues("audit.unavailable")
}

// reviews shows how many emergency accesses await their review.
func (m *metrics) reviews(count func(time.Time) (all, overdue int)) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gatehouse_emergency_reviews_open", Help: "Emergency accesses that await their review."},
			func() float64 { all, _ := count(time.Now()); return float64(all) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gatehouse_emergency_reviews_overdue", Help: "Emergency accesses whose review is overdue."},
			func() float64 { _, overdue := count(time.Now()); return float64(overdue) }))
}

// request counts one that ended. Now and then its ids are put beside its time, so
// that a slow bucket leads to a request of the audit trail, and to a trace.
func (m *metrics) request(interaction string, status int, code string, took time.Duration, x *exchange) {
	if interaction == "" {
		interaction = "none"
	}
	m.requests.WithLabelValues(interaction, strconv.Itoa(status), code).Inc()
	if seconds := m.seconds.WithLabelValues(interaction); !m.exemplary(seconds, took, x) {
		seconds.Observe(took.Seconds())
	}
}

// exemplary observes with an exemplar what is traced, and of all else one request a
// second: more of them nobody would see, and each costs what a request else does not.
func (m *metrics) exemplary(o prometheus.Observer, took time.Duration, x *exchange) bool {
	second := x.start.Unix()
	last := m.shown.Load()
	if x.trace == nil && (last >= second || !m.shown.CompareAndSwap(last, second)) {
		return false
	}
	ids := prometheus.Labels{"request_id": x.id}
	if x.trace != nil {
		ids["trace_id"] = x.trace.ID()
	}
	o.(prometheus.ExemplarObserver).ObserveWithExemplar(took.Seconds(), ids)
	return true
}

// limited counts a refusal: of is address, client, user or organization.
func (m *metrics) limited(of, which string) { m.limits.WithLabelValues(of, which).Inc() }

func (m *metrics) decidesBy(revision string) {
	m.policy.Reset()
	m.policy.WithLabelValues(revision).Set(1)
}

func (m *metrics) alarm(what string) { m.alarms.WithLabelValues(what).Inc() }

// unusableConsent counts a Consent that was read and permits nothing: what is
// one of consent.Problems.
func (m *metrics) unusableConsent(what string) { m.consents.WithLabelValues(what).Inc() }

func (m *metrics) reloaded(ok bool) {
	result := "applied"
	if !ok {
		result = "refused"
	}
	m.reloads.WithLabelValues(result).Inc()
}

func (m *metrics) handler() http.Handler {
	return metricsPage(m.registry)
}

func metricsPage(r *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{EnableOpenMetrics: true})
}
