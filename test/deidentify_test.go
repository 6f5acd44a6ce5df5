package test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/config"
	"gatehouse/fhir"
	"gatehouse/gateway/view"
)

const stewardPolicy = `package gatehouse

permit contains "reads" if {
	"staff" in input.subject.roles
	input.action in {"read", "search"}
}

permit contains "steward" if {
	"steward" in input.subject.roles
	input.action == "operation"
	input.interaction == "$de-identify"
	input.resource.type != "Basic"
}

oblige contains {"view": "research"} if "obliged" in input.subject.roles

oblige contains {"domain": "study-17"} if "obliged" in input.subject.roles

oblige contains {"view": "limited"} if input.resource.status == "entered-in-error"
`

func openStewards(t *testing.T) *house {
	h := newHouse(t, "R4")
	h.write("policy/policy.rego", stewardPolicy)
	h.write("gatehouse.yaml", h.config(`clients:
  study: {view: research, domain: study-17}
  other: {view: research, domain: study-18}`, "operations: {allow: [$de-identify]}", "limits: {entries: 3, address: {rate: 100000/s, burst: 100000}}"))
	h.start()
	return h
}

// shownTo is what `deid --view research --domain D` makes of a document.
func (h *house) shownTo(t *testing.T, domain, doc string) string {
	t.Helper()
	keys, err := config.ReadKeys(filepath.Join(h.dir, "pseudonyms.key"))
	if err != nil {
		t.Fatal(err)
	}
	codec, err := view.NewCodec(view.MemoryVault(), keys.Epochs...)
	if err != nil {
		t.Fatal(err)
	}
	w, err := view.Load(fhir.R4, "research", config.View{Use: "research"}, view.Options{Codec: codec})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := w.Deid(&out, strings.NewReader(doc), view.Context{Domain: domain}); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(out.String(), "\n")
}

func collection(resources ...string) string {
	entries := make([]string, len(resources))
	for i, r := range resources {
		entries[i] = `{"resource":` + r + `}`
	}
	return `{"resourceType":"Bundle","type":"collection","entry":[` + strings.Join(entries, ",") + `]}`
}

func operationOn(resource, more string) string {
	return `{"resourceType":"Parameters","parameter":[{"name":"resource","resource":` + resource + `}` + more + `]}`
}

// Issue 6.11: $de-identify gives what deid gives of the posted document, by an
// action of its own, in the caller's own domain, without the upstream, on record.
func TestDeIdentify(t *testing.T) {
	h := openStewards(t)
	as := func(client string, roles ...string) string {
		return h.token(map[string]any{"roles": roles, "client_id": client, "sub": "user-of-" + client})
	}
	steward, reader, obliged := as("study", "steward"), as("study", "staff"), as("none", "steward", "obliged")
	both := collection(patientSeen, observationSeen)
	names := []string{"Patient/mrn-19700101", "Observation/obscanary1"}
	basic := `{"resourceType":"Basic","id":"c","code":{"text":"x"}}`
	row := func(id, target, body, token string, status int, code string) attack {
		return attack{id: id, method: "POST", target: target, body: body, token: token, status: status, code: code}
	}
	released := func(r attack, names ...string) attack { r.released = names; return r }
	withheld := func(r attack, names ...string) attack { r.withheld = names; return r }
	rows := []attack{
		released(row("6.11 a resource", "/$de-identify", patientSeen, steward, 200, ""), names[0]),
		released(row("6.11 of its type", "/Patient/$de-identify", patientSeen, steward, 200, ""), names[0]),
		released(row("6.11 a Bundle", "/$de-identify", both, steward, 200, ""), names...),
		released(row("6.11 Parameters", "/$de-identify", operationOn(both, `,{"name":"view","valueString":"research"}`), steward, 200, ""), names...),
		released(row("6.11 obliged", "/$de-identify", patientSeen, obliged, 200, ""), names[0]),
		row("6.11 another type", "/Observation/$de-identify", patientSeen, steward, 400, "resource.type"),
		row("6.11 another view", "/$de-identify", operationOn(patientSeen, `,{"name":"view","valueString":"limited"}`), steward, 400, "operation.parameter"),
		row("X-02 another domain", "/$de-identify", operationOn(patientSeen, `,{"name":"domain","valueString":"study-18"}`), steward, 400, "operation.parameter"),
		row("X-02 in the URL", "/$de-identify?domain=study-18", patientSeen, steward, 400, "request.parameter-unknown"),
		row("6.11 two", "/$de-identify", operationOn(patientSeen, `,{"name":"resource","resource":`+patientSeen+`}`), steward, 400, "operation.parameter"),
		row("6.11 no right", "/$de-identify", patientSeen, reader, 403, "policy.denied"),
		row("6.11 no view", "/$de-identify", patientSeen, as("none", "steward"), 403, "view.none"),
		withheld(row("6.11 one of them may not", "/$de-identify", collection(patientSeen, basic), steward, 403, "policy.denied"), "Basic/c"),
		withheld(row("6.11 within", "/$de-identify", collection(collection(basic)), steward, 403, "policy.denied"), "Basic/c"),
		withheld(row("6.11 in Parameters", "/$de-identify", collection(operationOn(basic, "")), steward, 403, "policy.denied"), "Basic/c"),
		row("6.11 too many", "/$de-identify", collection(patientSeen, patientSeen, patientSeen, patientSeen), steward, 413, "request.too-long"),
		row("6.11 no JSON", "/$de-identify", `{"resourceType":"Patient","id":"a","id":"b"}`, steward, 400, "request.body"),
		row("6.11 nothing", "/$de-identify", `{"resourceType":"Parameters"}`, steward, 400, "operation.parameter"),
		row("6.11 names without records", "/$de-identify", `{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"http://up.example.org/fhir/Patient/mrn-1","request":{"method":"GET","url":"Patient/mrn-1"}}]}`, steward, 400, "resource.invalid"),
		row("6.11 beside a record", "/$de-identify", `{"resourceType":"Bundle","type":"batch","entry":[{"resource":`+patientSeen+`},{"request":{"method":"GET","url":"Patient/mrn-1"}}]}`, steward, 400, "resource.invalid"),
		row("6.11 references alone", "/$de-identify", operationOn(`{"resourceType":"Parameters","parameter":[{"name":"x","valueReference":{"reference":"Patient/mrn-1"}}]}`, ""), steward, 400, "resource.invalid"),
		row("6.11 an empty Bundle", "/$de-identify", `{"resourceType":"Bundle","type":"collection"}`, steward, 400, "resource.invalid"),
		row("6.11 of an id", "/Patient/A/$de-identify", patientSeen, steward, 403, "operation.not-allowed"),
		{id: "6.11 by GET", target: "/$de-identify", token: steward, status: 405},
		row("6.11 unknown meaning", "/$de-identify", `{"resourceType":"Patient","id":"a","modifierExtension":[{"url":"urn:x","valueString":"Canary"}]}`, steward, 422, "view.withheld"),
		withheld(row("STANDARDS 1.1", "/$de-identify", patientSeen, h.token(map[string]any{"roles": []string{"steward"}, "client_id": "study", "scope": "user/Observation.r"}), 403, "scope.instance"), names[0]),
		row("STANDARDS 1.1", "/$de-identify", patientSeen, h.token(map[string]any{"roles": []string{"steward"}, "client_id": "study", "scope": "user/Patient.cuds"}), 403, "scope.missing"),
		withheld(row("B-01", "/$de-identify", patientSeen, h.token(map[string]any{"roles": []string{"steward"}, "client_id": "study", "patient": "A", "scope": "patient/*.r"}), 403, "scope.instance"), names[0]),
	}
	h.attack(t, rows)
	for token, domain := range map[string]string{steward: "study-17", obliged: "study-17", as("other", "steward"): "study-18"} {
		for _, doc := range []string{patientSeen, observationSeen, both} {
			got := h.do("POST", "/$de-identify", token, doc)
			h.noReal(t, got)
			if want := h.shownTo(t, domain, doc); got.body != want {
				t.Errorf("%s: got  %s\nwant %s", domain, got.body, want)
			}
		}
	}
	if calls := h.ehr.requests(); len(calls) > 0 {
		t.Errorf("the upstream got %q", calls)
	}
}

// 6.11: what policy obliges for one resource of a document is laid over all of it,
// and an entry of a batch is the same as a request.
func TestDeIdentifyObligedByContent(t *testing.T) {
	h := openStewards(t)
	steward := h.token(map[string]any{"roles": []string{"steward"}, "client_id": "study"})
	wrong := strings.Replace(observationSeen, `"final"`, `"entered-in-error"`, 1)
	plain, both := h.do("POST", "/$de-identify", steward, observationSeen), h.do("POST", "/$de-identify", steward, collection(wrong, observationSeen))
	if plain.status != 200 || both.status != 200 {
		t.Fatalf("got %d %s, %d %s", plain.status, plain.body, both.status, both.body)
	}
	h.noReal(t, both)
	got := h.do("POST", "", steward, batchOf("batch", request{method: "POST", url: "$de-identify", body: observationSeen}))
	if got.status != 200 || !strings.Contains(got.body, plain.body) {
		t.Errorf("in a batch: %d %s", got.status, got.body)
	}
}

// FHIR-22: the CapabilityStatement lists it where it is on, for who has a view too.
func TestDeIdentifyListed(t *testing.T) {
	h := openStewards(t)
	h.ehr.on("GET /metadata", 200, capabilities)
	for _, token := range []string{"", h.token(map[string]any{"roles": []string{"steward"}, "client_id": "study"})} {
		if got := h.get("/metadata", token); !strings.Contains(got.body, `"name":"de-identify"`) {
			t.Errorf("got %s", got.body)
		}
	}
	off := openHouse(t)
	off.ehr.on("GET /metadata", 200, capabilities)
	if got := off.get("/metadata", ""); strings.Contains(got.body, "de-identify") {
		t.Error("listed though it is off")
	}
	if got := off.do("POST", "/$de-identify", off.staff(), patientSeen); got.status != 403 {
		t.Errorf("off: %s", fmt.Sprint(got.status))
	}
}
