package test

import (
	"bytes"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/gateway"
	"gatehouse/gateway/audit"
)

var updateStored = flag.Bool("update-stored", false, "write testdata/stored anew: what earlier versions wrote is then no longer tested")

// Issue 8 point 10: what version 1 of each stored format holds (keys, state store,
// vault, audit log) opens in this version, and says what it said. The
// files of testdata/stored were written once and must never be written again: a
// version that changes a format adds its own beside them.
func TestWhatWasStoredOpens(t *testing.T) {
	const kept = "testdata/stored/1"
	h := newHouse(t, "R4")
	changes := "views: {safe: {use: safe-harbor}}\nclients: {research: {view: safe, domain: study}}"
	h.ehr.on("GET /Patient/A", 200, resource("Patient", "A", `"birthDate":"1970-02-03"`))
	h.ehr.on("GET /Patient", 200, searchset("", resource("Patient", "A", `"birthDate":"1970-02-03"`)))
	ask := func() string {
		got := h.get("/Patient", h.token(map[string]any{"client_id": "research", "roles": []string{"staff"}}))
		if ids := got.ids(t); len(ids) == 1 {
			return ids[0]
		}
		t.Fatalf("got %d %s", got.status, got.body)
		return ""
	}
	if *updateStored {
		h.write("gatehouse.yaml", h.config(changes))
		h.start()
		b := gateway.Block{What: "client", Value: "stolen", By: "root", Reason: "lost"}
		if err := gateway.SetBlock(t.Context(), h.cfg(), &b); err != nil {
			t.Fatal(err)
		}
		h.write("pseudonym", ask())
		h.within(3*time.Second, func() bool { return len(h.notices(t, audit.BlockSet)) == 1 })
		h.stop()
		if err := os.CopyFS(kept, os.DirFS(h.dir)); err != nil {
			t.Fatal(err)
		}
	}
	err := fs.WalkDir(os.DirFS(kept), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(filepath.Join(kept, name))
		h.write(name, string(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	h.write("gatehouse.yaml", h.config(changes))
	want, err := os.ReadFile(filepath.Join(kept, "pseudonym"))
	if err != nil {
		t.Fatal(err)
	}
	if list, err := gateway.Blocks(t.Context(), h.cfg()); err != nil || len(list) != 1 || list[0].Value != "stolen" {
		t.Errorf("state store: %v %v", list, err)
	}
	h.start()
	if got := ask(); got != string(want) {
		t.Errorf("vault: the patient is now %s, and was %s", got, want)
	}
	if got := h.get("/Patient/A", h.token(map[string]any{"client_id": "stolen", "roles": []string{"staff"}})); got.status != 401 {
		t.Errorf("the block does not hold: %d", got.status)
	}
	h.stop()
	h.oldTrail(t)
}

// oldTrail holds the log to being whole, with what was recorded then.
func (h *house) oldTrail(t *testing.T) {
	t.Helper()
	o, err := gateway.AuditOptions(h.cfg())
	if err != nil {
		t.Fatal(err)
	}
	key, err := audit.VerifierKey(o.Origin, o.Seed)
	if err != nil {
		t.Fatal(err)
	}
	if report, err := audit.Verify(o.Dir, key); err != nil || !report.OK() {
		t.Errorf("audit log: %+v %v", report, err)
	}
	if n := len(h.notices(t, audit.BlockSet)); n == 0 { // once more where the directory is another
		t.Error("the log does not tell of the block")
	}
}

// What a later version has written is refused with a clear word, and is not changed.
func TestNewerIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		file, old, new, want string
	}{
		"config":        {"gatehouse.yaml", "listen:", "version: 2\nlisten:", "version: is 2, and this Gatehouse reads 1"},
		"key file":      {"sealing.key", "gatehouse-key-v1", "gatehouse-key-v2", "is of a newer format"},
		"audit segment": {"audit/segments/00000001.log", "gatehouse-audit\x01", "gatehouse-audit\x02", "is of a newer format"},
	} {
		t.Run(name, func(t *testing.T) {
			h := openHouse(t)
			h.stop()
			path := filepath.Join(h.dir, c.file)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			b = bytes.Replace(b, []byte(c.old), []byte(c.new), 1)
			h.write(c.file, string(b))
			if err := h.open(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, b) {
				t.Errorf("it was changed: %v", err)
			}
		})
	}
}
