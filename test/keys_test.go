package test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/config"
)

func (h *house) rotate(name string, announce bool) {
	h.t.Helper()
	if err := config.RotateKey(filepath.Join(h.dir, name+".key"), announce, time.Now()); err != nil {
		h.t.Fatal(err)
	}
}

// Issue 6 point 8: keys rotate while the gateway serves. Old pseudonyms and page
// links go on to open; an answer names each record by the new key alone.
func TestKeysRotateWithoutDowntime(t *testing.T) {
	h := openResearch(t)
	study, other := h.researcher("study"), h.researcher("other")
	page := h.get("/Patient", study)
	old, next := h.pseudonym(t, study), nextLink(t, page)
	if old[0] != 'A' {
		t.Fatalf("got %s", old)
	}
	h.rotate("pseudonyms", true)
	h.rotate("sealing", false)
	h.reload(t)
	if p := h.pseudonym(t, study); p != old {
		t.Errorf("a key that waits writes: %s", p)
	}
	h.rotate("pseudonyms", false)
	h.reload(t)
	fresh := h.pseudonym(t, study)
	if fresh[0] != 'B' || fresh == old {
		t.Fatalf("got %s", fresh)
	}
	for _, p := range []string{old, fresh} {
		got := h.get("/Patient/"+p, study)
		h.noReal(t, got)
		if got.status != 200 || !strings.Contains(got.body, `"id":"`+fresh+`"`) {
			t.Errorf("%s: %d %s", p, got.status, got.body)
		}
		h.ehr.requests()
		got = h.get("/Observation?subject=Patient/"+p, study)
		h.noReal(t, got)
		if sent := strings.Join(h.ehr.requests(), " "); !strings.Contains(sent, "mrn-19700101") {
			t.Errorf("%s: the upstream got %s", p, sent)
		}
		_, entries, _ := strings.Cut(got.body, `"entry":`)
		if !strings.Contains(entries, `"Patient/`+fresh+`"`) || strings.Contains(entries, old) {
			t.Errorf("%s: references and ids of one answer differ: %s", p, got.body)
		}
		if got := h.get("/Patient/"+p, other); got.status != 404 {
			t.Errorf("X-02: another study opens %s: %d", p, got.status)
		}
	}
	if got := h.get(next, study); got.status != 200 {
		t.Errorf("a page link from before: %d %s", got.status, got.body)
	}
	// The stores and the log, whose keys are made from the sealing key, open again.
	h.stop()
	h.rotate("audit", false)
	h.start()
	if got := h.get("/Patient/"+old, study); got.status != 200 {
		t.Errorf("after a restart: %d", got.status)
	}
}

// a pseudonym keeps neither order nor length nor shape of a number.
func TestPseudonymsKeepNoShape(t *testing.T) {
	h := openResearch(t)
	seen := map[string]string{}
	for _, id := range []string{"1", "2", "10", "1000000000000000000", "a", "abcdefghijklmnopqrst"} {
		h.ehr.on("GET /Patient", 200, searchset("", strings.ReplaceAll(patientSeen, "mrn-19700101", id)))
		p := h.pseudonym(t, h.researcher("study"))
		for before, id2 := range seen {
			if p == before || p[2:12] == before[2:12] {
				t.Errorf("%s and %s: %s %s", id, id2, p, before)
			}
		}
		if want := map[bool]int{true: 34, false: 48}[id[0] <= '9']; len(p) != want {
			t.Errorf("%s: %d characters", id, len(p))
		}
		seen[p] = id
	}
}
