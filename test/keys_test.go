package test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/config"
	"gatehouse/gateway"
	"gatehouse/gateway/view"
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

// A line taken out of the key file of pseudonyms would change all of them: a reload
// refuses that, and goes on with the keys it has.
func TestFirstKeyStays(t *testing.T) {
	h := openResearch(t)
	study := h.researcher("study")
	before := h.pseudonym(t, study)
	h.rotate("pseudonyms", false)
	h.reload(t)
	fresh := h.pseudonym(t, study)
	file := filepath.Join(h.dir, "pseudonyms.key")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n")
	h.write("pseudonyms.key", rest)
	r, err := http.Post("http://"+h.process.AdminAddr()+"/-/reload", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, r); got.status != 422 || !strings.Contains(got.body, "the first key") {
		t.Errorf("got %d %s", got.status, got.body)
	}
	for _, p := range []string{before, fresh} {
		if got := h.get("/Patient/"+p, study); got.status != 200 {
			t.Errorf("%s: got %d", p, got.status)
		}
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

// openShaped is a house whose pseudonyms of UUIDs are UUIDs.
func openShaped(t *testing.T, real string) *house {
	t.Helper()
	h := newHouse(t, "R4")
	h.write("gatehouse.yaml", strings.Replace(h.config(adminAuth, `clients:
  study: {view: research, domain: study-17}
  other: {view: research, domain: study-18}`), "pseudonyms: {key_file: pseudonyms.key}", "pseudonyms: {key_file: pseudonyms.key, shape: uuid, tenant: north}", 1))
	h.start()
	shaped := strings.NewReplacer("mrn-19700101", real, "obscanary1", strings.Replace(real, "7c9e", "7c9f", 1))
	h.ehr.on("GET /Patient/"+real, 200, shaped.Replace(patientSeen))
	h.ehr.on("GET /Patient", 200, searchset("", shaped.Replace(patientSeen)))
	h.ehr.on("GET /Observation", 200, searchset("", shaped.Replace(observationSeen)))
	return h
}

// Issue 6 point 5: with shape uuid the pseudonym of a UUID is a UUID. It has no seal,
// so what is made up is asked of the upstream, and answered as what is absent.
func TestUUIDShapedPseudonyms(t *testing.T) {
	const real = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
	h := openShaped(t, real)
	study, other := h.researcher("study"), h.researcher("other")
	p, q := h.pseudonym(t, study), h.pseudonym(t, other)
	if !view.UUIDShaped(p) || !view.UUIDShaped(q) || p == q || p == real {
		t.Fatalf("X-02: got %s and %s", p, q)
	}
	got := h.get("/Patient/"+p, study)
	if h.noReal(t, got); got.status != 200 || !strings.Contains(got.body, `"id":"`+p+`"`) || strings.Contains(got.body, real) {
		t.Errorf("got %d %s", got.status, got.body)
	}
	h.ehr.requests()
	found := h.get("/Observation?subject=Patient/"+p, study)
	if sent := h.ehr.requests(); found.status != 200 || !strings.Contains(found.body, `"Patient/`+p+`"`) || strings.Contains(found.body, "e07fc1f90ae7") || len(sent) != 1 || !strings.Contains(sent[0], real) {
		t.Errorf("got %d %s, upstream %v", found.status, found.body, sent)
	}
	absent := h.get("/Patient/nobody", study)
	for name, id := range map[string]string{"the real id": real, "another domain's": q, "made up": "00000000-0000-4000-8000-000000000000", "upper case": strings.ToUpper(p)} {
		if got := h.get("/Patient/"+id, study); got.status != 404 || got.body != absent.body {
			t.Errorf("%s: %d %s, want %s", name, got.status, got.body, absent.body)
		}
		for _, sent := range h.ehr.requests() {
			if strings.Contains(sent, real) {
				t.Errorf("%s leads to the record", name)
			}
		}
	}
	ann, bob := h.token(map[string]any{"sub": "ann", "roles": []string{"privacy-officer"}}), h.officer()
	id := h.resolve(ann, "", `{"domain": "study-17", "reason": "finding", "ids": ["Patient/`+p+`"]}`, 200, "").ID
	h.resolve(bob, "/"+id+"/approve", "", 200, "")
	if got := h.resolve(ann, "/"+id+"/show", "", 200, ""); len(got.Resolved) != 1 || got.Resolved[0].Real != "Patient/"+real {
		t.Errorf("got %+v", got)
	}
}

// X-02, issue 6 point 5: one number in two systems, and in two studies, shows no
// link; a mapped system is taken for no real one, and leads back with its value alone.
func TestIdentifiersAreMappedPerSystem(t *testing.T) {
	h := openResearch(t)
	record := `{"resourceType":"Patient","id":"mrn-19700101","identifier":[{"system":"urn:hospital:mrn","value":"4711"},{"system":"urn:hospital:case","value":"4711"}]}`
	h.ehr.on("GET /Patient", 200, searchset("", record))
	seen := map[string]bool{}
	type pair struct{ System, Value string }
	var first pair
	for _, client := range []string{"study", "other"} {
		got := h.get("/Patient", h.researcher(client))
		var b struct {
			Entry []struct{ Resource struct{ Identifier []pair } }
		}
		if err := json.Unmarshal([]byte(got.body), &b); err != nil || len(b.Entry) != 1 || len(b.Entry[0].Resource.Identifier) != 2 {
			t.Fatalf("%v %s", err, got.body)
		}
		for _, one := range b.Entry[0].Resource.Identifier {
			if !strings.HasPrefix(one.System, "urn:gatehouse:pseudonymous:") || seen[one.System] || seen[one.Value] || strings.Contains(got.body, "4711") {
				t.Errorf("%s: %+v", client, one)
			}
			seen[one.System], seen[one.Value] = true, true
			if first.Value == "" {
				first = one
			}
		}
	}
	ask := func(client, token string) (string, int) {
		t.Helper()
		h.ehr.requests()
		got := h.get("/Patient?identifier="+token, h.researcher(client))
		if got.status != 200 {
			t.Errorf("%s: %d %s", token, got.status, got.body)
		}
		return strings.Join(h.ehr.requests(), " "), len(got.ids(t))
	}
	if sent, _ := ask("study", first.System+"|"+first.Value); !strings.Contains(strings.ReplaceAll(sent, "%7C", "|"), "identifier=urn:hospital:mrn|4711") {
		t.Errorf("the upstream got %s", sent)
	}
	for client, token := range map[string]string{"study": "urn:hospital:mrn|4711", "other": first.System + "|" + first.Value} {
		if sent, n := ask(client, token); sent != "" || n != 0 {
			t.Errorf("%s asks for %s: the upstream got %q, %d found", client, token, sent, n)
		}
	}
}

// DEIDENTIFICATION §3: what names an erased patient is not there under a view, and
// nothing tells that it was, as long as the server may still have it.
func TestErasedPatientIsNotThere(t *testing.T) {
	h := openResearch(t)
	study := h.researcher("study")
	h.ehr.on("GET /Patient", 200, searchset("", patientSeen)) // no second page
	old, cfg := h.pseudonym(t, study), h.cfg()
	if got := h.get("/Observation", study); len(got.ids(t)) == 0 {
		t.Fatalf("got %s", got.body)
	}
	keys, err := cfg.Pseudonyms.Key().Read()
	if err != nil {
		t.Fatal(err)
	}
	codec, err := view.NewCodec(nil, keys.Epochs...)
	if err != nil {
		t.Fatal(err)
	}
	st, err := gateway.OpenState(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if err := st.Put(t.Context(), "pseudonym-erased", codec.Tombstone("mrn-19700101"), []byte{1}, time.Time{}); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if h.get("/Patient/"+old, study).status == 404 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	absent := h.get("/Patient/nobody", study)
	h.ehr.requests()
	if got := h.get("/Patient/"+old, study); got.status != 404 || got.body != absent.body {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if got := h.get("/Observation?subject=Patient/"+old, study); got.status != 200 || len(got.ids(t)) != 0 {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if sent := h.ehr.requests(); len(sent) != 0 {
		t.Errorf("the upstream got %v", sent)
	}
	for _, search := range []string{"/Patient", "/Observation"} {
		if got := h.get(search, study); got.status != 200 || strings.Contains(got.body, `"entry":[{`) || strings.Contains(got.body, "OperationOutcome") || strings.Contains(got.body, `"total":1`) {
			t.Errorf("%s: got %d %s", search, got.status, got.body)
		}
	}
	if got := h.get("/Patient/mrn-19700101", h.staff()); got.status != 200 {
		t.Errorf("whoever sees patients by name: %d", got.status)
	}
	if n := h.alarms(t, "view.failed"); n != "" {
		t.Errorf("%s alarms", n)
	}
}
