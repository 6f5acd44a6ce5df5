package test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/config"
	"gatehouse/gateway"
)

// AUD-12: an alert of watch takes back nothing that another alert, or somebody,
// has decided.
func TestAlertsOnlyTighten(t *testing.T) {
	t.Parallel() // it waits more than it works
	h := openHouse(t, `watch:
  - {detector: enumeration, threshold: 3, then: throttle}
  - {detector: watched, patients: [Patient/star], roles: [staff], then: step_up}
  - {detector: watched, patients: [Patient/moon], roles: [staff], then: block, for: 1h}`)
	for _, id := range []string{"star", "moon"} {
		h.ehr.on("GET /Patient/"+id, 200, `{"resourceType":"Patient","id":"`+id+`","meta":{"versionId":"1"}}`)
	}
	token := func(sub string, login time.Time) string {
		return h.token(map[string]any{"sub": sub, "roles": []string{"staff"}, "auth_time": login.Unix()})
	}
	until := func(target, token, code string) {
		t.Helper()
		for end := time.Now().Add(60 * time.Second); ; time.Sleep(100 * time.Millisecond) {
			if got := h.get(target, token).code(); got == code {
				return
			} else if time.Now().After(end) {
				t.Fatalf("%s: got %q, want %q", target, got, code)
			}
		}
	}
	early := time.Now().Add(-time.Hour)
	for range 3 {
		h.get("/Patient/nobody", token("eve", early))
	}
	until("/Patient/moonless", token("eve", early), "limit.watch")
	time.Sleep(7 * time.Second) // the throttled have a request each six
	h.get("/Patient/star", token("eve", early))
	until("/Patient/star", token("eve", early), "watch.step-up")
	time.Sleep(1100 * time.Millisecond)
	until("/Patient/star", token("eve", time.Now()), "limit.watch") // a new login ends no throttling

	cfg, problems := config.Load(filepath.Join(h.dir, "gatehouse.yaml"))
	if problems != nil {
		t.Fatal(problems)
	}
	h.get("/Patient/moon", token("bob", early))
	if err := gateway.SetBlock(context.Background(), cfg, &gateway.Block{What: "user", Value: "bob", Reason: "left", By: "ann"}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Second)
	list, err := gateway.Blocks(context.Background(), cfg)
	if err != nil || len(list) != 1 || !strings.Contains(list[0].Reason, "left") || !list[0].Until.IsZero() {
		t.Errorf("what was blocked until it is lifted is blocked as %+v, %v", list, err)
	}
}
