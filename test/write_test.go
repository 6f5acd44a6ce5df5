package test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"gatehouse/gateway/audit"
)

// Group W: what a SMART app could read, steal, overwrite or learn by writing.

// ward takes writes as a careless server does, and keeps them. Of each it holds
// that the intent was on disk before (DESIGN §10.7).
type ward struct {
	h    *house
	t    *testing.T
	mu   sync.Mutex
	sent []string // "PUT /Observation/a {…}"
	pins []string // If-Match and If-None-Match
}

func (h *house) ward(t *testing.T, requests ...string) *ward {
	w := &ward{h: h, t: t}
	for _, request := range requests {
		h.ehr.handle(request, w.take)
	}
	return w
}

func (w *ward) take(rw http.ResponseWriter, r *http.Request) {
	w.h.ehr.mu.Lock()
	body := w.h.ehr.bodies[len(w.h.ehr.bodies)-1]
	w.h.ehr.mu.Unlock()
	target := strings.TrimPrefix(r.URL.RequestURI(), "/r4")
	w.mu.Lock()
	w.sent = append(w.sent, strings.TrimSpace(r.Method+" "+target+" "+body))
	w.pins = append(w.pins, r.Header.Get("If-Match")+r.Header.Get("If-None-Match"))
	w.mu.Unlock()
	if !slices.ContainsFunc(w.h.records(w.t, r.Header.Get("X-Request-Id")), func(r *audit.Record) bool { return r.Kind == audit.Intent }) {
		w.t.Errorf("%s %s came before its intent was on disk", r.Method, target)
	}
	rw.Header().Set("Content-Type", "application/fhir+json")
	rw.Header().Set("ETag", `W/"9"`)
	where, status := strings.TrimPrefix(target, "/"), http.StatusOK
	if r.Method == http.MethodPost {
		where, status = where+"/new", http.StatusCreated
	}
	rw.Header().Set("Location", w.h.ehr.url+"/r4/"+where+"/_history/9")
	rw.WriteHeader(status)
	_, _ = io.WriteString(rw, `{"resourceType":"OperationOutcome","issue":[{"severity":"information","code":"informational","diagnostics":"Jane Canary was written"}]}`)
}

// writing is an attack by a write.
type writing struct {
	attack
	sent    []string // what the upstream was given to write
	changed []string // entries of the record
}

func (w *ward) attack(t *testing.T, rows []writing) {
	t.Helper()
	for _, row := range rows {
		t.Run(strings.TrimSpace(row.id+" "+row.method+" "+row.target), func(t *testing.T) {
			w.t = t
			w.mu.Lock()
			w.sent, w.pins = nil, nil
			w.mu.Unlock()
			w.h.ehr.requests()
			got := w.h.do(row.method, row.target, row.token, row.body, row.header...)
			if row.calls == nil && row.sent != nil {
				row.calls = anyCalls
			}
			row.check(t, w.h, got)
			if !slices.Equal(w.sent, row.sent) {
				t.Errorf("written:\n%s\nwant:\n%s", strings.Join(w.sent, "\n"), strings.Join(row.sent, "\n"))
			}
			if changed := w.h.changed(t, got); !slices.Equal(changed, row.changed) {
				t.Errorf("the record says changed %v, want %v", changed, row.changed)
			}
		})
	}
}

// changed are the entries that the record of an answer says were changed.
func (h *house) changed(t *testing.T, got answer) []string {
	t.Helper()
	var names []string
	for _, r := range h.records(t, got.header.Get("X-Request-Id")) {
		for _, e := range r.Entries {
			if r.Kind == audit.Outcome && e.Effect == audit.Changed {
				names = append(names, e.Type+"/"+e.ID)
			}
		}
	}
	return names
}

// body is an Observation of a patient; id may be "".
func body(id, members string) string {
	if id != "" {
		id = `"id":"` + id + `",`
	}
	return `{"resourceType":"Observation",` + id + `"status":"final",` + members + `}`
}

func TestWrites(t *testing.T) {
	h := openHouse(t)
	w := h.ward(t, "POST /Observation", "PUT /Observation/a", "PUT /Observation/new", "DELETE /Observation/a", "POST /Patient")
	h.ehr.on("GET /Observation/a", 200, obsA)
	h.ehr.on("GET /Observation/b", 200, obsB)
	h.ehr.on("GET /Observation/r", 200, obsR)
	h.ehr.on("GET /Observation/new/ignored", 404, `{}`)
	tA := h.patient("A", "patient/*.cruds")
	ofA, ofB := body("", ref("subject", "Patient/A")), body("", ref("subject", "Patient/B"))
	refused := func(id, method, target, body string, status int, code string, calls ...string) writing {
		return writing{attack: attack{id: id, method: method, target: target, body: body, token: tA, status: status, code: code, calls: calls}}
	}
	withheld := func(row writing, names ...string) writing { row.withheld = names; return row }
	done := func(id, method, target, body, sent, changed string, status int) writing {
		return writing{attack: attack{id: id, method: method, target: target, body: body, token: tA, status: status}, sent: []string{sent}, changed: []string{changed}}
	}
	w.attack(t, []writing{
		done("create", "POST", "/Observation", ofA, "POST /Observation "+ofA, "Observation/new", 201),
		done("W-02 an id of the client's choice is taken out", "POST", "/Observation", body("b", ref("subject", "Patient/A")), "POST /Observation "+ofA, "Observation/new", 201),
		withheld(refused("B-01 create", "POST", "/Observation", ofB, 403, "scope.instance"), "Observation/"),
		withheld(refused("a Patient with the own id", "POST", "/Patient", `{"resourceType":"Patient","id":"A"}`, 403, "scope.instance"), "Patient/"),
		done("update", "PUT", "/Observation/a", body("a", ref("subject", "Patient/A")), "PUT /Observation/a "+body("a", ref("subject", "Patient/A")), "Observation/a", 200),
		withheld(refused("W-02 B's record overwritten", "PUT", "/Observation/b", body("b", ref("subject", "Patient/A")), 404, "resource.not-found", "GET /Observation/b"), "Observation/b"),
		withheld(refused("W-02 the own record given to B", "PUT", "/Observation/a", body("a", ref("subject", "Patient/B")), 403, "scope.instance"), "Observation/a"),
		withheld(refused("FHIR-16 B's record, present", "PUT", "/Observation/b", body("b", ref("subject", "Patient/B")), 403, "scope.instance"), "Observation/b"),
		withheld(refused("FHIR-16 B's record, absent", "PUT", "/Observation/none", body("none", ref("subject", "Patient/B")), 403, "scope.instance"), "Observation/none"),
		withheld(refused("Law 10 restricted", "DELETE", "/Observation/r", "", 404, "resource.not-found", "GET /Observation/r"), "Observation/r"),
		done("update as create", "PUT", "/Observation/new", body("new", ref("subject", "Patient/A")), "PUT /Observation/new "+body("new", ref("subject", "Patient/A")), "Observation/new", 201),
		done("delete", "DELETE", "/Observation/a", "", "DELETE /Observation/a", "Observation/a", 204),
		refused("W-02 delete B's", "DELETE", "/Observation/none", "", 404, "resource.not-found", "GET /Observation/none"),
		refused("J-05 body of another type", "PUT", "/Observation/a", `{"resourceType":"Patient","id":"a"}`, 400, ""),
		refused("body of another id", "PUT", "/Observation/a", body("b", ref("subject", "Patient/A")), 400, ""),
		refused("N-06 a name twice", "PUT", "/Observation/a", body("a", ref("subject", "Patient/A")+`,`+ref("subject", "Patient/B")), 400, ""),
	})
	w.attack(t, []writing{{attack: attack{id: "FHIR-20", method: "POST", target: "/Observation", body: ofA, token: tA, status: 400,
		header: []string{"X-Provenance", `{"resourceType":"Provenance"}`}}}})
}

// W-09, H-08: nothing of a version is told of what may not be seen, and what is
// written is pinned to what was judged.
func TestPins(t *testing.T) {
	h := openHouse(t)
	w := h.ward(t, "PUT /Observation/a", "PUT /Observation/tag", "PUT /Observation/bare", "PUT /Observation/new")
	h.ehr.on("GET /Observation/a", 200, obsA)
	h.ehr.on("GET /Observation/b", 200, obsB, "ETag", `W/"1"`)
	h.ehr.on("GET /Observation/tag", 200, body("tag", ref("subject", "Patient/A")), "ETag", `W/"7"`)
	h.ehr.on("GET /Observation/bare", 200, body("bare", ref("subject", "Patient/A")))
	tA := h.patient("A", "patient/*.cruds")
	put := func(id, ifMatch string) answer {
		var header []string
		if ifMatch != "" {
			header = []string{"If-Match", ifMatch}
		}
		return h.do("PUT", "/Observation/"+id, tA, body(id, ref("subject", "Patient/A")), header...)
	}
	for _, row := range []struct {
		id, ifMatch, code, pin string
		status                 int
	}{
		{"a", "", "", `W/"3"`, 200},
		{"a", `W/"3"`, "", `W/"3"`, 200},
		{"a", `W/"2"`, "write.version", "", 412},
		{"tag", "", "", `W/"7"`, 200},
		{"bare", "", "write.unpinned", "", 409},
		{"new", "", "", "*", 201},
		{"new", `W/"1"`, "resource.not-found", "", 404}, // as B's, whatever the version
		{"b", `W/"1"`, "resource.not-found", "", 404},
		{"b", `W/"2"`, "resource.not-found", "", 404},
	} {
		w.sent, w.pins = nil, nil
		got := put(row.id, row.ifMatch)
		pin := strings.Join(w.pins, " ")
		if got.status != row.status || got.code() != row.code || pin != row.pin {
			t.Errorf("%s %s: got %d %s, pinned %q: want %v", row.id, row.ifMatch, got.status, got.code(), pin, row)
		}
		h.noCanary(t, got)
	}
	want, got := put("none", `W/"1"`), put("b", `W/"1"`)
	if got.body != want.body {
		t.Errorf("of B's: %s, of none: %s", got.body, want.body)
	}
}

// N-08, W-11: what a body may hold.
func TestBodies(t *testing.T) {
	h := openHouse(t)
	w := h.ward(t, "POST /Observation", "PUT /Observation/a", "POST /DocumentReference", "PUT /Patient/A")
	h.ehr.on("GET /Observation/a", 200, obsA)
	h.ehr.on("GET /Patient/A", 200, resource("Patient", "A", ""))
	tA, staff := h.patient("A", "patient/*.cruds"), h.staff()
	for _, row := range []struct {
		id, token, members, sent, code string
	}{
		{"R-01 own base", tA, ref("subject", "http://gw.example.org/fhir/Patient/A"), ref("subject", "Patient/A"), ""},
		{"R-01 own base in other words", tA, ref("subject", "HTTP://GW.example.org:80/fhir/Patient/A"), ref("subject", "Patient/A"), ""},
		{"R-01 the upstream's base", staff, ref("subject", h.ehr.url+"/r4/Patient/B"), ref("subject", "Patient/B"), ""},
		{"R-01 own base, B", tA, ref("subject", "HTTP://GW.example.org:80/fhir/Patient/B"), "", "scope.instance"},
		{"R-01 a version of B", tA, ref("subject", "Patient/B/_history/3"), "", "scope.instance"},
		{"R-01 a path", staff, ref("subject", "../Patient/B"), "", "resource.reference"},
		{"R-01 a rooted path", staff, ref("subject", "/Patient/B"), "", "resource.reference"},
		{"R-07 a query", staff, ref("subject", "Patient/B?x"), "", "resource.reference"},
		{"R-07 a fragment", staff, ref("subject", "Patient/B#x"), "", "resource.reference"},
		{"R-07 case", staff, ref("subject", "patient/B"), "", "resource.reference"},
		{"R-07 padding", staff, ref("subject", "Patient/B%20"), "", "resource.reference"},
		{"FHIR-15 a search outside of a transaction", staff, ref("subject", "Patient?identifier=MRN-B"), "", "resource.reference"},
		{"R-06 contradiction", staff, `"subject":{"reference":"Patient/B","type":"Group"}`, "", "resource.reference"},
		{"R-02 logical", tA, `"subject":{"identifier":{"system":"urn:mrn","value":"MRN-B"}}`, "", "scope.instance"},
		{"R-03 contained patient", tA, `"contained":[{"resourceType":"Patient","id":"p"}],` + ref("subject", "#p"), "", "resource.contained"},
		{"R-03 contained patient beside", tA, `"contained":[{"resourceType":"Patient","id":"p"}],` + ref("subject", "Patient/A"), "", "resource.contained"},
		{"FHIR-18 contained of B", tA, `"contained":[{"resourceType":"Condition","id":"p","subject":{"reference":"Patient/B"}}],` + ref("subject", "Patient/A"), "", "resource.contained"},
		{"FHIR-18 contained of nobody named", tA, `"contained":[{"resourceType":"Condition","id":"p","subject":{"identifier":{"value":"MRN-B"}}}],` + ref("subject", "Patient/A"), "", "scope.instance"},
		{"a reference in an extension", staff, `"extension":[{"url":"http://x/y","valueReference":{"reference":"../Patient/B"}}]`, "", "resource.reference"},
		{"a reference beside a primitive", staff, `"_status":{"extension":[{"url":"http://x/y","valueReference":{"reference":"../Patient/B"}}]}`, "", "resource.reference"},
		{"B-06 a second patient", tA, ref("subject", "Patient/A") + `,"performer":[{"reference":"Patient/B"}]`, "", "scope.instance"},
		{"N-08 case twin", tA, ref("subject", "Patient/A") + `,` + ref("Subject", "Patient/B"), "", "resource.element"},
		{"N-08 two subjects", tA, `"subject":[{"reference":"Patient/A"},{"reference":"Patient/B"}]`, "", "resource.element"},
		{"N-08 one performer", tA, ref("subject", "Patient/A") + `,"performer":{"reference":"Patient/A"}`, "", "resource.element"},
		{"N-08 a list in a list", tA, ref("subject", "Patient/A") + `,"performer":[[{"reference":"Patient/A"}]]`, "", "resource.element"},
		{"N-08 within", tA, ref("subject", "Patient/A") + `,"component":[{"code":[{"text":"x"}]}]`, "", "resource.element"},
		{"N-08 fold twin", tA, ref("subject", "Patient/A") + `,` + ref("ſubject", "Patient/B"), "", "resource.element"},
		{"W-11 a part", tA, ref("subject", "Patient/A") + `,"meta":{"tag":[{"code":"SUBSETTED"}]}`, "", "resource.partial"},
		{"FHIR-14 a masked form", tA, ref("subject", "Patient/A") + `,"meta":{"security":[{"code":"REDACTED"}]}`, "", "resource.partial"},
		{"labels can be raised, and then not seen", tA, ref("subject", "Patient/A") + `,"meta":{"security":[{"code":"R"}]}`, "", "policy.denied"},
		{"bytes survive", tA, ref("subject", "Patient/A") + ` , "valueQuantity":{"value":1.10,"unknown":[1e2]}`, ref("subject", "Patient/A") + ` , "valueQuantity":{"value":1.10,"unknown":[1e2]}`, ""},
	} {
		t.Run(row.id, func(t *testing.T) {
			one := writing{attack: attack{id: row.id, method: "POST", target: "/Observation", token: row.token, body: body("", row.members), status: 201, code: row.code}}
			switch {
			case row.code == "":
				one.sent, one.changed = []string{"POST /Observation " + body("", row.sent)}, []string{"Observation/new"}
			case row.code == "resource.element":
				one.status = 400
			case strings.HasPrefix(row.code, "resource"):
				one.status = 422
			default:
				one.status = 403
				if row.id != "FHIR-18 contained of nobody named" {
					one.withheld = []string{"Observation/"}
				}
			}
			w.attack(t, []writing{one})
		})
	}
	w.attack(t, []writing{{attack: attack{id: "B-07 the own record linked to B", method: "PUT", target: "/Patient/A", token: tA, status: 403, code: "scope.instance", calls: []string{"GET /Patient/A"},
		body: `{"resourceType":"Patient","id":"A","link":[{"other":{"reference":"Patient/B"},"type":"refer"}]}`}}})
}

// FHIR-16, W-09: a client whose new ids are its own cannot tell by a PUT what is
// hidden from what is not there.
func TestNewIDs(t *testing.T) {
	h := openHouse(t, `clients: {"*": {new_ids: lab-*}}`)
	w := h.ward(t, "PUT /Observation/a", "PUT /Observation/lab-1")
	h.ehr.on("GET /Observation/a", 200, obsA)
	h.ehr.on("GET /Observation/b", 200, obsB)
	tA := h.patient("A", "patient/*.cruds")
	var rows []writing
	for id, status := range map[string]int{"a": 200, "lab-1": 201, "b": 404, "none": 404} {
		own := body(id, ref("subject", "Patient/A"))
		one := writing{attack: attack{id: "FHIR-16", method: "PUT", target: "/Observation/" + id, token: tA, body: own, status: status, calls: []string{"GET /Observation/" + id}}}
		if status < 300 {
			one.calls, one.sent, one.changed = anyCalls, []string{"PUT /Observation/" + id + " " + own}, []string{"Observation/" + id}
		}
		if id == "b" {
			one.withheld = []string{"Observation/b"}
		}
		rows = append(rows, one)
	}
	w.attack(t, rows)
	put := func(id string) string {
		return h.do("PUT", "/Observation/"+id, tA, body(id, ref("subject", "Patient/A"))).body
	}
	if put("b") != put("none") {
		t.Errorf("hidden %s, absent %s", put("b"), put("none"))
	}
}
