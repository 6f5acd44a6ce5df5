package test

import (
	"bufio"
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// otel is a collector that keeps what it gets.
type otel struct {
	url   string
	mu    sync.Mutex
	raw   bytes.Buffer
	spans []*tracepb.Span
}

func newOTel(t *testing.T) *otel {
	o := &otel{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var got tracepb.TracesData // has the bytes of an ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &got)
		}
		if err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", r.URL, err)
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		o.raw.Write(body)
		for _, resource := range got.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				o.spans = append(o.spans, scope.Spans...)
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(s.Close)
	o.url = s.URL
	return o
}

// Each step of a request is a span; who it was about, what was asked for and what
// the client says of traces is in none of them, nor in what goes upstream (G-05).
func TestTraces(t *testing.T) {
	o := newOTel(t)
	h := openHouse(t, "telemetry: {traces: {endpoint: "+o.url+", sample: 100%}}")
	h.ehr.on("GET /Observation/x-canary", 200, `{"resourceType":"Observation","id":"x-canary","status":"final","code":{"text":"Canary"},"subject":{"reference":"Patient/p-canary"}}`, "ETag", `W/"1"`)
	h.ehr.on("GET /Observation", 200, searchset(""))
	const theirs = "4bf92f3577b34da6a3ce929d0e0e4736"
	mine := []string{"traceparent", "00-" + theirs + "-00f067aa0ba902b7-01", "tracestate", "v=canary", "baggage", "who=canary"}
	token := h.token(map[string]any{"roles": []string{"staff"}, "sub": "sub-canary", "client_id": "client-canary"})
	got := h.do("GET", "/Observation/x-canary", token, "", mine...)
	if got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.body)
	}
	for _, header := range h.ehr.headers {
		for name := range header {
			if slices.Contains([]string{"Traceparent", "Tracestate", "Baggage"}, name) {
				t.Errorf("the upstream gets %s", name)
			}
		}
	}
	h.do("GET", "/Observation?subject=Patient/p-canary&code=canary", token, "", mine...)
	h.do("GET", "/Canary/canary", token, "", mine...)
	h.do("CANARY", "/Observation/x-canary", token, "", mine...)
	h.do("GET", "/Observation/x-canary", "canary", "", mine...)
	h.stop()
	if strings.Contains(strings.ToLower(o.raw.String()), "canary") {
		t.Errorf("a span tells who it was about: %q", o.raw.String())
	}
	of := map[string][]string{} // steps by trace
	root := map[string]*tracepb.Span{}
	for _, s := range o.spans {
		id := string(s.TraceId)
		if len(s.ParentSpanId) == 0 {
			root[id] = s
		} else {
			of[id] = append(of[id], s.Name)
		}
		if strings.Contains(string(s.TraceId), theirs) || len(s.Links) > 0 {
			t.Errorf("the client named %+v", s)
		}
	}
	if len(root) != 5 {
		t.Fatalf("%d traces of 5 requests", len(root))
	}
	for id, s := range root {
		if text := attributes(s); text["gatehouse.request"] == got.header.Get("X-Request-Id") {
			want := []string{"admit", "authenticate", "forward", "judge", "narrow", "parse", "policy", "record", "scope"}
			if steps := slices.Compact(slices.Sorted(slices.Values(of[id]))); !slices.Equal(steps, want) {
				t.Errorf("steps %v, want %v", steps, want)
			}
			if s.Name != "read" || text["gatehouse.type"] != "Observation" || text["http.request.method"] != "GET" || text["gatehouse.code"] != "ok" {
				t.Errorf("%s %v", s.Name, text)
			}
		}
	}
}

func attributes(s *tracepb.Span) map[string]string {
	all := map[string]string{}
	for _, a := range s.Attributes {
		all[a.Key] = a.Value.GetStringValue()
	}
	return all
}

// A client's trace is linked where the operator wants it, and leads nowhere else.
func TestTracesLink(t *testing.T) {
	o := newOTel(t)
	h := openHouse(t, "telemetry: {traces: {endpoint: "+o.url+"/v1/traces, sample: 1, link_clients: true}}")
	h.do("GET", "/Observation/a", "", "", "traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tracestate", "v=canary")
	h.do("GET", "/Observation/a", "", "", "traceparent", "00-canary")
	h.stop()
	links := 0
	for _, s := range o.spans {
		links += len(s.Links)
	}
	if links != 1 || bytes.Contains(o.raw.Bytes(), []byte("canary")) {
		t.Errorf("%d links, %q", links, o.raw.String())
	}
}

// A collector that is away costs no request and is told of.
func TestTracesCollectorAway(t *testing.T) {
	h := openHouse(t, "telemetry: {traces: {endpoint: 'http://127.0.0.1:1', sample: 100%}}")
	h.ehr.on("GET /Observation/a", 200, obsA)
	if got := h.get("/Observation/a", h.staff()); got.status != http.StatusOK {
		t.Errorf("%d %s", got.status, got.body)
	}
	h.stop()
	if !strings.Contains(h.log.String(), "the collector takes no traces") {
		t.Error("nobody is told")
	}
}

var series = regexp.MustCompile(`^(gatehouse_[a-z_]+(?:\{[^}]*\})?) `)

// seriesOf are the series of /metrics, in the format that has exemplars.
func (h *house) seriesOf(t *testing.T) (all map[string]bool, page string) {
	t.Helper()
	r, err := http.NewRequest("GET", "http://"+h.process.AdminAddr()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	page = read(t, resp).body
	all = map[string]bool{}
	for lines := bufio.NewScanner(strings.NewReader(page)); lines.Scan(); {
		if m := series.FindStringSubmatch(lines.Text()); m != nil {
			all[m[1]] = true
		}
	}
	return all, page
}

// No client makes a metric: a flood of odd methods, paths, types, ids, parameters,
// clients and hosts adds no series beyond those of its few kinds of outcome (L-01).
func TestMetricsAreBounded(t *testing.T) {
	h := openHouse(t, "limits: {address: {rate: 100000/s, burst: 100000}}")
	odd := func(i string) {
		token := h.token(map[string]any{"roles": []string{"staff"}, "sub": "u" + i, "client_id": "c" + i, "organization": "Organization/" + i})
		h.do("ODD"+i, "/Observation/"+i, token, "")
		h.do("GET", "/Odd"+i+"/"+i, token, "")
		h.do("GET", "/Observation/"+i, token, "")
		h.do("GET", "/Observation/$odd"+i, token, "")
		h.do("GET", "/Observation?odd"+i+"="+i, token, "")
		h.do("GET", "/Observation?_lastUpdated=odd"+i, token, "", "X-Purpose-Of-Use", i, "traceparent", i)
		h.do("POST", "/Odd"+i, token, `{"resourceType":"Odd`+i+`"}`, "Content-Type", "odd/"+i)
		h.do("GET", "/.well-known/odd"+i, "odd"+i, "")
	}
	odd("A")
	before, _ := h.seriesOf(t)
	for _, i := range strings.Split("B C D E F G H J K L M N P Q R S T U V W", " ") {
		odd(i)
	}
	after, page := h.seriesOf(t)
	maps.DeleteFunc(after, func(name string, _ bool) bool { return before[name] })
	if len(after) > 0 {
		t.Errorf("new series: %v", after)
	}
	if !strings.Contains(page, `# {request_id="0`) {
		t.Error("no exemplar leads to a request")
	}
}
