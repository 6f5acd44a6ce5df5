package gateway

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/audit"

	"go.uber.org/zap"
)

// idle is a process that serves nobody.
func idle(t *testing.T, more string) *Process {
	t.Helper()
	dir := t.TempDir()
	for _, k := range []string{"sealing", "audit"} {
		if err := config.NewKey(filepath.Join(dir, k+".key")); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "gatehouse.yaml")
	err := os.WriteFile(path, []byte(`listen: 127.0.0.1:0
admin: 127.0.0.1:0
public_url: http://gw.example.org/fhir
insecure_http: true
upstream: {url: "http://127.0.0.1:9/r4", fhir_version: R4}
issuers: [{issuer: "http://127.0.0.1:9", audiences: [a], insecure_http: true}]
consent: {source: none, default: permit}
sealing: {key_file: sealing.key}
state: {dir: state}
audit: {dir: audit, key_file: audit.key}
`+more), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Open(path, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// failLog lets the log take no records; restore undoes it, and waits.
func failLog(t *testing.T, p *Process) (restore func()) {
	t.Helper()
	tree := filepath.Join(p.trail.Dir, "tile")
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(tree); err == nil {
			break // the log's first checkpoint has been made
		}
	}
	if err := errors.Join(os.Rename(tree, tree+".away"), os.WriteFile(tree, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	until := func(healthy bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); (p.audit.Healthy() == nil) != healthy; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("the log is not healthy=%v", healthy)
			}
			p.audit.Append(&audit.Record{Kind: audit.Notice, Code: "test"})
		}
	}
	until(false)
	return func() {
		t.Helper()
		if err := errors.Join(os.Remove(tree), os.Rename(tree+".away", tree)); err != nil {
			t.Fatal(err)
		}
		until(true)
	}
}

// told counts the records of the trail by code.
func told(t *testing.T, p *Process) map[string]int {
	t.Helper()
	n := map[string]int{}
	for r, err := range p.audit.Reader().All() {
		if err != nil {
			t.Fatal(err)
		}
		n[r.Code]++
	}
	return n
}

// Issue 7.7, U-02: what watch finds while the log takes no records acts at once, and
// is in the trail, once, when the log is back; so is every block that was decided
// meanwhile, in their order.
func TestAlertWaitsForTheLog(t *testing.T) {
	t.Parallel()
	p := idle(t, "watch: [{detector: watched, patients: [Patient/star], then: block}]\n")
	ctx := context.Background()
	w, err := p.newWatching(ctx, p.live.Load().cfg)
	if err != nil {
		t.Fatal(err)
	}
	seen := &audit.Record{Request: "r", Status: 200, Code: "ok", Interaction: "read", Caller: audit.Caller{Issuer: "i", Subject: "eve", Client: "c"},
		Entries: []audit.Entry{{Effect: audit.Released, Type: "Patient", ID: "star", Patients: []string{"Patient/star"}}}}
	if err := p.audit.Append(seen).Wait(ctx); err != nil {
		t.Fatal(err)
	}
	restore := failLog(t, p)
	for range 3 {
		if err := w.step(ctx); err != nil {
			t.Fatal(err)
		}
	}
	bob := &Block{What: "user", Value: "bob", Reason: "left", By: "ann"}
	if err := errors.Join(SetBlock(ctx, p.live.Load().cfg, bob), p.stores.poll(ctx), p.stores.poll(ctx)); err != nil {
		t.Fatal(err)
	}
	if list, err := listBlocks(ctx, p.stores.shared); err != nil || len(list) != 2 {
		t.Fatalf("%d blocks, %v", len(list), err)
	}
	restore()
	for range 3 {
		if err := errors.Join(w.step(ctx), p.stores.poll(ctx)); err != nil {
			t.Fatal(err)
		}
	}
	got := told(t, p)
	if got["watch.watched"] != 1 || got[audit.BlockSet] != 2 {
		t.Errorf("the trail has %v", got)
	}
	var blocked []string
	for r := range p.audit.Reader().All() {
		if r.Code == audit.BlockSet {
			blocked = append(blocked, r.Notes[len(r.Notes)-2].Value)
		}
	}
	if len(blocked) == 2 && (blocked[1] != "bob" || blocked[0] == "bob") {
		t.Errorf("blocked in the order %q", blocked)
	}
	again, err := p.newWatching(ctx, p.live.Load().cfg)
	if err == nil {
		err = again.step(ctx)
	}
	if n := told(t, p)["watch.watched"]; err != nil || n != 1 {
		t.Errorf("after a start: %d alerts, %v", n, err)
	}
}

// A gateway that stops while an alert is owed gives it at its next start.
func TestAlertSurvivesAStop(t *testing.T) {
	t.Parallel()
	p := idle(t, "watch: [{detector: watched, patients: [Patient/star]}]\n")
	ctx := context.Background()
	w, err := p.newWatching(ctx, p.live.Load().cfg)
	if err != nil {
		t.Fatal(err)
	}
	seen := &audit.Record{Request: "r", Status: 200, Code: "ok", Interaction: "read", Caller: audit.Caller{Issuer: "i", Subject: "eve", Client: "c"},
		Entries: []audit.Entry{{Effect: audit.Released, Type: "Patient", ID: "star", Patients: []string{"Patient/star"}}}}
	if err := p.audit.Append(seen).Wait(ctx); err != nil {
		t.Fatal(err)
	}
	restore := failLog(t, p)
	if err := w.step(ctx); err != nil {
		t.Fatal(err)
	}
	restore()
	again, err := p.newWatching(ctx, p.live.Load().cfg)
	if err == nil {
		err = again.step(ctx)
	}
	if n := told(t, p)["watch.watched"]; err != nil || n != 1 {
		t.Errorf("%d alerts, %v", n, err)
	}
}
