package test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// trustee is a gPAS made from its published interface, with words for pseudonyms by
// "target id". It makes others in the targets that it has.
func trustee(t *testing.T, words map[string]string) (url string, asked *atomic.Int64, down *atomic.Bool) {
	var mu sync.Mutex
	asked, down = &atomic.Int64{}, &atomic.Bool{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		var p struct {
			Parameter []struct{ Name, ValueString string }
		}
		body, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(body, &p)
		in := map[string]string{}
		for _, one := range p.Parameter {
			in[one.Name] = one.ValueString
		}
		mu.Lock()
		defer mu.Unlock()
		original, key := in["original"], in["target"]+" "+in["original"]
		if original != "" && words[key] == "" && in["target"] != "study-19" {
			words[key] = fmt.Sprintf("PSN-made-%d", len(words))
		}
		pseudonym := words[key]
		if strings.HasSuffix(r.URL.Path, "/$dePseudonymize") {
			original, pseudonym = "", in["pseudonym"]
			for key, word := range words {
				if target, id, _ := strings.Cut(key, " "); word == pseudonym && target == in["target"] {
					original = id
				}
			}
		}
		if down.Load() || original == "" || pseudonym == "" {
			w.WriteHeader(map[bool]int{true: 503, false: 404}[down.Load()])
			return
		}
		id := `{"name":%q,"valueIdentifier":{"system":"https://ths-greifswald.de/gpas","value":%q}}`
		fmt.Fprintf(w, `{"resourceType":"Parameters","parameter":[{"name":"pseudonym","part":[`+id+","+id+","+id+"]}]}", "original", original, "target", in["target"], "pseudonym", pseudonym)
	}))
	t.Cleanup(s.Close)
	return s.URL, asked, down
}

// Issue 6 point 12: patients are named by a trusted third party, in both directions,
// each domain by its own; without it nothing of a patient is shown.
func TestPseudonymsOfATrustee(t *testing.T) {
	url, asked, down := trustee(t, map[string]string{"study-17 mrn-19700101": "PSN0001", "study-18 mrn-19700101": "PSN9001"})
	h := newHouse(t, "R4")
	h.write("gatehouse.yaml", strings.Replace(h.config(adminAuth, `clients:
  study: {view: research, domain: study-17}
  other: {view: research, domain: study-18}
  unknown: {view: research, domain: study-19}`), "pseudonyms: {key_file: pseudonyms.key}", "pseudonyms: {key_file: pseudonyms.key, service: {kind: gpas, url: "+url+"}}", 1))
	h.start()
	h.ehr.on("GET /Patient/mrn-19700101", 200, patientSeen)
	h.ehr.on("GET /Patient", 200, searchset("", patientSeen))
	h.ehr.on("GET /Observation", 200, searchset("", observationSeen))
	study, other := h.researcher("study"), h.researcher("other")
	if p, q := h.pseudonym(t, study), h.pseudonym(t, other); p != "PSN0001" || q != "PSN9001" {
		t.Fatalf("got %s and %s", p, q)
	}
	got := h.get("/Patient/PSN0001", study)
	if h.noReal(t, got); got.status != 200 || !strings.Contains(got.body, `"id":"PSN0001"`) {
		t.Errorf("got %d %s", got.status, got.body)
	}
	h.ehr.requests()
	before := asked.Load()
	found := h.get("/Observation?subject=Patient/PSN0001", study)
	h.noReal(t, found)
	if sent := strings.Join(h.ehr.requests(), " "); found.status != 200 || !strings.Contains(found.body, `"Patient/PSN0001"`) || !strings.Contains(sent, "subject=Patient/mrn-19700101") {
		t.Errorf("got %d %s, upstream %s", found.status, found.body, sent)
	}
	if asked.Load() != before {
		t.Errorf("what is known is asked again, %d times", asked.Load()-before)
	}
	for name, target := range map[string]string{"X-02": "/Patient/PSN9001", "real id": "/Patient/mrn-19700101", "made up": "/Patient/PSN0002"} {
		if got := h.get(target, study); got.status != 404 {
			t.Errorf("%s: got %d", name, got.status)
		}
	}
	if sent := h.ehr.requests(); len(sent) != 0 {
		t.Errorf("the upstream got %v", sent)
	}
	ann := h.token(map[string]any{"sub": "ann", "roles": []string{"privacy-officer"}})
	id := h.resolve(ann, "", `{"domain": "study-17", "reason": "finding", "ids": ["Patient/PSN0001"]}`, 200, "").ID
	h.resolve(h.officer(), "/"+id+"/approve", "", 200, "")
	if got := h.resolve(ann, "/"+id+"/show", "", 200, ""); len(got.Resolved) != 1 || got.Resolved[0].Real != "Patient/mrn-19700101" {
		t.Errorf("got %+v", got)
	}
	// Whom it does not name, and everybody while it is down, nobody sees.
	for name, read := range map[string]func() answer{
		"not named": func() answer { return h.get("/Observation", h.researcher("unknown")) },
		"down": func() answer {
			down.Store(true)
			h.reload(t) // nothing is remembered
			return h.get("/Observation", study)
		},
	} {
		got := read()
		if h.noReal(t, got); strings.Contains(got.body, `"Observation"`) {
			t.Errorf("%s: got %d %s", name, got.status, got.body)
		}
	}
	if got := h.get("/Patient/PSN0001", study); got.status == 200 {
		t.Errorf("down: got %d", got.status)
	}
}

// Issue 6.12: of a service without a way back the vault leads back, also after a
// reload, for reading by pseudonym and for the two people who resolve.
func TestPseudonymsWithoutWayBack(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var p struct {
			Parameter []struct {
				Name, ValueString string
				ValueIdentifier   struct{ Value string }
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&p); err != nil || r.URL.Path != "/$pseudonymize" || len(p.Parameter) != 3 || p.Parameter[2].Name != "project" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, `{"resourceType":"Parameters","parameter":[{"name":"pseudonym","valueIdentifier":{"value":"%s-%d"}}]}`, p.Parameter[2].ValueString, len(p.Parameter[0].ValueIdentifier.Value))
	}))
	t.Cleanup(s.Close)
	h := newHouse(t, "R4")
	h.write("gatehouse.yaml", strings.Replace(h.config(adminAuth, `clients:
  study: {view: research, domain: study-17}
  other: {view: research, domain: study-18}`), "pseudonyms: {key_file: pseudonyms.key}", "pseudonyms: {key_file: pseudonyms.key, service: {kind: entici, url: "+s.URL+"}}", 1))
	h.start()
	h.ehr.on("GET /Patient/mrn-19700101", 200, patientSeen)
	h.ehr.on("GET /Patient", 200, searchset("", patientSeen))
	study := h.researcher("study")
	if p := h.pseudonym(t, study); p != "study-17-12" {
		t.Fatalf("got %s", p)
	}
	h.reload(t)
	got := h.get("/Patient/study-17-12", study)
	if h.noReal(t, got); got.status != 200 || !strings.Contains(got.body, `"id":"study-17-12"`) {
		t.Errorf("got %d %s", got.status, got.body)
	}
	for name, target := range map[string]string{"X-02": "/Patient/study-18-12", "real id": "/Patient/mrn-19700101", "made up": "/Patient/study-17-13"} {
		if got := h.get(target, study); got.status != 404 {
			t.Errorf("%s: got %d", name, got.status)
		}
	}
	ann := h.token(map[string]any{"sub": "ann", "roles": []string{"privacy-officer"}})
	id := h.resolve(ann, "", `{"domain": "study-17", "reason": "finding", "ids": ["Patient/study-17-12"]}`, 200, "").ID
	h.resolve(h.officer(), "/"+id+"/approve", "", 200, "")
	if got := h.resolve(ann, "/"+id+"/show", "", 200, ""); len(got.Resolved) != 1 || got.Resolved[0].Real != "Patient/mrn-19700101" {
		t.Errorf("got %+v", got)
	}
}
