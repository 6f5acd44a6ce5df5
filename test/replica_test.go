package test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/gateway"
	"gatehouse/gateway/audit"
)

// Issue 8 point 2: replicas that share a state store have audit logs in directories
// of the same name, each on its own disk. What one has recorded the other still has
// to record.
func TestReplicasWithDirectoriesAlike(t *testing.T) {
	h := newHouse(t, "R4")
	as := func(replica string) {
		t.Helper()
		h.write("gatehouse.yaml", strings.Replace(h.config(), "audit: {dir: audit", "audit: {dir: audit, replica: "+replica, 1))
		if replica == "b" { // another host: the same path, another disk
			if err := os.Rename(filepath.Join(h.dir, "audit"), filepath.Join(h.dir, "of-a")); err != nil {
				t.Fatal(err)
			}
		}
		h.start()
	}
	as("a")
	b := gateway.Block{What: "client", Value: "x", By: "root", Reason: "stolen"}
	if err := gateway.SetBlock(t.Context(), h.cfg(), &b); err != nil {
		t.Fatal(err)
	}
	h.within(2*time.Second, func() bool { return len(h.notices(t, audit.BlockSet)) == 1 })
	h.stop()
	as("b")
	if got := h.notices(t, audit.BlockSet); len(got) != 1 {
		t.Errorf("the log of b tells of %d blocks, want 1", len(got))
	}
}

// Issue 8, "seen by": a process that is told to stop says so and serves on for
// drain_delay, so that a balancer can send elsewhere; then it closes.
func TestDrainDelay(t *testing.T) {
	t.Parallel() // it waits more than it works
	h := openHouse(t, "drain_delay: 5s")
	h.ehr.on("GET /Observation/a", 200, obsA)
	token := h.staff()
	if got := h.get("/Observation/a", token); got.status != 200 {
		t.Fatal(got)
	}
	done := make(chan bool)
	go func() { h.stop(); close(done) }()
	h.within(3*time.Second, func() bool { return strings.Contains(h.readyz(t), `"leaving":"it was told to stop`) })
	r, err := http.Get(h.base + "/metadata")
	if err != nil || !r.Close {
		t.Errorf("while it leaves: %v %+v", err, r)
	}
	if got := h.get("/Observation/a", token); got.status != 200 {
		t.Errorf("while it leaves: %d", got.status)
	}
	<-done
	if _, err := http.Get(h.base + "/metadata"); err == nil {
		t.Error("it listens still")
	}
}
