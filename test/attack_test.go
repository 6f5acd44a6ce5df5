package test

import (
	"bytes"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"gatehouse/config"
	"gatehouse/gateway/audit"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// attack is one row of THREATS as a black-box case: a request, and what must
// become of it. Three things are held of every row: no canary reaches the
// caller or the log, the upstream got exactly what was approved, and exactly
// one audit record tells the truth.
type attack struct {
	id     string // of the requirement or threat
	method string // GET where empty
	target string
	body   string
	header []string // pairs
	token  string
	status int
	code   string   // of the OperationOutcome; "" is not looked at
	ids    []string // of the Bundle; nil is not looked at
	calls  []string // what the upstream got, in order; anyCalls is not looked at
	// released and withheld are the entries of the record, "Observation/a";
	// nil is none.
	released, withheld []string
}

var anyCalls = []string{"any"}

// attack plays rows against the house.
func (h *house) attack(t *testing.T, rows []attack) {
	t.Helper()
	for _, row := range rows {
		t.Run(strings.TrimSpace(row.id+" "+row.method+" "+row.target), func(t *testing.T) {
			h.ehr.requests()
			got := h.do(or(row.method, http.MethodGet), row.target, row.token, row.body, row.header...)
			row.check(t, h, got)
		})
	}
}

func (row *attack) check(t *testing.T, h *house, got answer) {
	t.Helper()
	if got.status != row.status || row.code != "" && got.code() != row.code {
		t.Errorf("got %d %s, want %d %s: %.300s", got.status, got.code(), row.status, row.code, got.body)
	}
	if row.ids != nil && got.status == http.StatusOK {
		if ids := got.ids(t); !slices.Equal(ids, row.ids) {
			t.Errorf("got %v, want %v", ids, row.ids)
		}
	}
	h.noCanary(t, got)
	if calls := h.ehr.requests(); !slices.Equal(row.calls, anyCalls) && !slices.Equal(calls, row.calls) {
		t.Errorf("upstream got %q, want %q", calls, row.calls)
	}
	h.recorded(t, row, got)
}

// noCanary holds that nothing of what may not be seen is in the answer, in any
// form, nor the upstream's name.
func (h *house) noCanary(t *testing.T, got answer) {
	t.Helper()
	all := got.body
	for name, values := range got.header {
		all += "\n" + name + ": " + strings.Join(values, " ")
	}
	for _, word := range []string{"Canary", "Q2FuYXJ5", h.ehr.url, strings.TrimPrefix(h.ehr.url, "http://")} {
		if strings.Contains(all, word) {
			t.Errorf("%q reaches the caller: …%.300s", word, all[max(0, strings.Index(all, word)-150):])
		}
	}
	for line := range strings.Lines(h.log.String()) {
		if strings.Contains(line, "Canary") || strings.Contains(line, "eyJ") {
			t.Errorf("the log tells: %s", line)
		}
	}
}

// recorded holds the truth of the one record of a request.
func (h *house) recorded(t *testing.T, row *attack, got answer) {
	t.Helper()
	var outcome *audit.Record
	var released, withheld []string
	for _, r := range h.records(t, got.header.Get("X-Request-Id")) {
		for _, e := range r.Entries {
			switch e.Effect {
			case audit.Released:
				released = append(released, e.Type+"/"+e.ID)
			case audit.Withheld:
				withheld = append(withheld, e.Type+"/"+e.ID)
			}
		}
		if r.Kind != audit.Outcome {
			continue
		}
		if outcome != nil {
			t.Errorf("two records of one request")
		}
		outcome = r
	}
	switch {
	case outcome == nil:
		t.Errorf("no record of the request")
		return
	case outcome.Status != got.status, row.code != "" && outcome.Code != row.code:
		t.Errorf("the record says %d %s, the answer was %d %s", outcome.Status, outcome.Code, got.status, row.code)
	}
	if !slices.Equal(released, row.released) || !slices.Equal(withheld, row.withheld) {
		t.Errorf("the record says released %v withheld %v, want %v and %v", released, withheld, row.released, row.withheld)
	}
}

// records are those of one request.
func (h *house) records(t *testing.T, id string) []*audit.Record {
	t.Helper()
	key, err := config.ReadKey(filepath.Join(h.dir, "audit.key"))
	if err != nil {
		t.Fatal(err)
	}
	trail, err := audit.OpenReader(filepath.Join(h.dir, "audit"), key)
	if err != nil {
		t.Fatal(err)
	}
	list, err := trail.ByID(id)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// logBook keeps what the gateway logs.
type logBook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBook) logger() *zap.Logger {
	return zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(l), zap.DebugLevel))
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
