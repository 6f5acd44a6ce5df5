package test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// A policy's {"notify": channel} posts one alert for a request that was given
// something by it, without a word that names the patient; a channel that is not
// configured is an alarm.
func TestPolicyNotifies(t *testing.T) {
	var mu sync.Mutex
	var alerts []string
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		alerts = append(alerts, string(b))
	}))
	t.Cleanup(hook.Close)
	h := openHouse(t, fmt.Sprintf("notify: {privacy: {url: %q}}", hook.URL))
	h.write("policy/policy.rego", usualPolicy+`
oblige contains {"notify": "privacy"} if "a" == input.resource.id

oblige contains {"notify": "nobody"} if "a" == input.resource.id
`)
	if err := h.process.Reload(); err != nil {
		t.Fatal(err)
	}
	h.ehr.on("GET /Observation/a", 200, obsA)
	h.ehr.on("GET /Observation/b", 200, obsB)
	h.ehr.on("GET /Observation", 200, searchset("", obsA, obsB, obsA))
	first, second := h.get("/Observation/a", h.staff()), h.get("/Observation?code=x", h.staff())
	for _, target := range []string{"/Observation/b", "/Observation/none"} {
		h.get(target, h.staff())
	}
	if got := h.get("/Observation/a", h.patient("B", "patient/*.rs")); got.status != 404 { // withheld: nothing was given
		t.Fatalf("got %d", got.status)
	}
	h.within(3*time.Second, func() bool { mu.Lock(); defer mu.Unlock(); return len(alerts) >= 2 })
	mu.Lock()
	defer mu.Unlock()
	all := strings.Join(alerts, "\n")
	if len(alerts) != 2 || strings.Contains(all, "Patient/A") || strings.Count(all, `"event":"policy.notify"`) != 2 {
		t.Errorf("alerts: %s", all)
	}
	for _, got := range []answer{first, second} {
		if !strings.Contains(all, got.header.Get("X-Request-Id")) {
			t.Errorf("no alert of %s in %s", got.header.Get("X-Request-Id"), all)
		}
	}
	if !strings.Contains(h.metrics(), `gatehouse_alarms_total{what="notify.no-channel"} 2`) {
		t.Error("a channel that is not there raises no alarm")
	}
}
