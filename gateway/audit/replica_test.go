package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// Issue 7.5: two replicas under one public_url have a log and an origin each: no
// event has the id of another, and one export of both is in the order of time.
func TestReplicasAreMerged(t *testing.T) {
	begin := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	var dirs []string
	for i, replica := range []string{"gw-1", "gw-2"} {
		o := testOptions(t.TempDir())
		o.Origin, o.Now = ReplicaOrigin("gatehouse/gw.test/fhir", replica), func() time.Time { return begin }
		l := mustOpen(t, o)
		for n := range 50 {
			r := smallRead(n)
			r.Time = begin.Add(time.Duration(2*n+i) * 500 * time.Millisecond)
			mustAppend(t, l, r)
		}
		mustClose(t, l)
		dirs = append(dirs, o.Dir)
		public, err := VerifierKey(o.Origin, o.Seed)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := Verify(o.Dir, public); err != nil || !r.OK() {
			t.Fatalf("%s: %+v, %v", replica, r, err)
		}
	}
	var out bytes.Buffer
	spans, err := Merge(dirs, testKey, &out)
	if err != nil || len(spans) != 2 || spans[0].Records < 50 || spans[1].Records < 50 {
		t.Fatalf("%v, %v", spans, err)
	}
	ids, last, turns, before := map[string]bool{}, time.Time{}, 0, ""
	for line := range strings.Lines(out.String()) {
		var e struct {
			ID       string
			Recorded time.Time
			Source   struct{ Site string }
			Agent    []struct{ Network struct{ Address string } }
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if ids[e.ID] || e.Recorded.Before(last) || !strings.HasPrefix(e.ID, e.Source.Site[len(e.Source.Site)-4:]+"-") {
			t.Fatalf("event %s of %s at %v after %v", e.ID, e.Source.Site, e.Recorded, last)
		}
		if ids[e.ID], last = true, e.Recorded; e.Source.Site != before {
			turns, before = turns+1, e.Source.Site
		}
	}
	if turns < 90 || !strings.Contains(out.String(), `"address":"gw.test"`) {
		t.Errorf("the logs take %d turns", turns)
	}

	if err := os.Truncate(segmentPath(dirs[0], 1), 4000); err != nil {
		t.Fatal(err)
	}
	var less bytes.Buffer
	if _, err := Merge(dirs, testKey, &less); err == nil || !strings.Contains(err.Error(), dirs[0]) || strings.Count(less.String(), "gw-2-") != strings.Count(out.String(), "gw-2-") {
		t.Errorf("with a damaged log: %v", err)
	}
}

// The ids of a gateway that is alone are as they were.
func TestEventPrefix(t *testing.T) {
	for origin, want := range map[string]string{"gatehouse/h/fhir": "", "gatehouse/h@a": "a-", "gatehouse/h/fhir@gw-1.x": "gw-1.x-", "gatehouse/h/a@b/fhir": ""} {
		if got := eventPrefix(origin); got != want {
			t.Errorf("%s: %q, want %q", origin, got, want)
		}
	}
	if id := eventPrefix("gatehouse/h@"+strings.Repeat("x", 32)) + fmt.Sprintf("%d-%d", int64(1)<<62, 99999); len(id) > 64 {
		t.Errorf("%s is no FHIR id", id)
	}
}
