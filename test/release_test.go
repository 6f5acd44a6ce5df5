package test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"gatehouse/fhir"
)

// The main scenarios on each FHIR release, and the attacks that only one knows.

// eachRelease runs f before an upstream of each release.
func eachRelease(t *testing.T, f func(t *testing.T, v fhir.Version)) {
	for _, v := range fhir.Versions {
		t.Run(v.String(), func(t *testing.T) { f(t, v) })
	}
}

// visit is an Encounter as its release writes it, of a patient and a practitioner.
func visit(v fhir.Version, id, patient string) string {
	members := `"class":{"code":"AMB"},` + ref("subject", "Patient/"+patient) + `,"period":{"start":"2026-01-02"},"participant":[{"individual":{"reference":"Practitioner/7"}}]`
	if v == fhir.R5 {
		members = `"class":[{"coding":[{"code":"AMB"}]}],` + ref("subject", "Patient/"+patient) + `,"actualPeriod":{"start":"2026-01-02"},"participant":[{"actor":{"reference":"Practitioner/7"}}]`
	}
	if patient != "A" {
		members += `,"text":{"status":"generated","div":"<div>Canary</div>"}`
	}
	return resource("Encounter", id, `"status":"in-progress",`+members)
}

// order is a MedicationRequest of patient A in an encounter.
func order(v fhir.Version, encounter string) string {
	in := ref("encounter", "Encounter/"+encounter)
	switch v {
	case fhir.R5:
		return resource("MedicationRequest", "m", `"status":"active","intent":"order","medication":{"concept":{"text":"x"}},`+in+`,`+ref("subject", "Patient/A"))
	case fhir.STU3:
		in = ref("context", "Encounter/"+encounter)
	}
	return resource("MedicationRequest", "m", `"status":"active","intent":"order","medicationCodeableConcept":{"text":"x"},`+in+`,`+ref("subject", "Patient/A"))
}

func TestEachReleaseReads(t *testing.T) {
	eachRelease(t, func(t *testing.T, v fhir.Version) {
		h := openRelease(t, v.String(), "operations: {allow: [$everything]}")
		own, others := visit(v, "e", "A"), visit(v, "f", "B")
		in := "encounter"
		if v == fhir.STU3 {
			in = "context"
		}
		brought := searchset("", order(v, "e"), own, others)
		brought = strings.ReplaceAll(brought, own+`,"search":{"mode":"match"}`, own+`,"search":{"mode":"include"}`)
		brought = strings.ReplaceAll(brought, others+`,"search":{"mode":"match"}`, others+`,"search":{"mode":"include"}`)
		patA, patB := resource("Patient", "A", ""), resource("Patient", "B", `"name":[{"family":"Canary"}]`)
		for request, answer := range map[string]string{
			"GET /Encounter/e": own, "GET /Encounter/f": others, "GET /Encounter": searchset("", own, others), "GET /MedicationRequest": brought,
			"GET /Encounter/e/_history": history(own), "GET /Encounter/f/_history": history(others),
			"GET /Patient/A": patA, "GET /Patient/A/$everything": searchset("", patA, own, others, patB),
		} {
			h.ehr.on(request, 200, answer)
		}
		tA := h.patient("A", "patient/*.rs")
		see := []string{"Encounter/e"}
		h.attack(t, []attack{
			{id: "own", target: "/Encounter/e", token: tA, status: 200, calls: []string{"GET /Encounter/e"}, released: see},
			{id: "another's", target: "/Encounter/f", token: tA, status: 404, calls: []string{"GET /Encounter/f"}, withheld: []string{"Encounter/f"}},
			{id: "narrowed", target: "/Encounter", token: tA, status: 200, ids: see, calls: []string{"GET /Encounter?patient=Patient/A"}, released: see, withheld: []string{"Encounter/f"}},
			{id: "include", target: "/MedicationRequest?_include=MedicationRequest:" + in, token: tA, status: 200, ids: []string{"MedicationRequest/m", "Encounter/e"},
				calls: anyCalls, released: []string{"MedicationRequest/m", "Encounter/e"}, withheld: []string{"Encounter/f"}},
			{id: "history", target: "/Encounter/e/_history", token: tA, status: 200, ids: see, calls: anyCalls, released: see},
			{id: "another's history", target: "/Encounter/f/_history", token: tA, status: 404, calls: anyCalls, withheld: []string{"Encounter/f"}},
			{id: "$everything", target: "/Patient/A/$everything", token: tA, status: 200, ids: []string{"Patient/A", "Encounter/e"}, calls: anyCalls,
				released: []string{"Patient/A", "Encounter/e"}, withheld: []string{"Encounter/f", "Patient/B"}},
		})
	})
}

func TestEachReleaseWrites(t *testing.T) {
	eachRelease(t, func(t *testing.T, v fhir.Version) {
		h := openRelease(t, v.String())
		own, others := visit(v, "e", "A"), visit(v, "f", "B")
		h.ehr.on("GET /Encounter/e", 200, own)
		h.ehr.on("GET /Encounter/f", 200, others)
		w := h.ward(t, "PUT /Encounter/e", "PUT /Encounter/f", "POST /Encounter")
		tA := h.patient("A", "patient/*.cruds")
		stolen := strings.Replace(others, "Patient/B", "Patient/A", 1)
		given := strings.Replace(own, "Patient/A", "Patient/B", 1)
		done := strings.Replace(own, "in-progress", "finished", 1)
		created := strings.Replace(own, `"id":"e",`, "", 1)
		patch := `[{"op":"replace","path":"/status","value":"finished"}]`
		reason := `[{"op":"replace","path":"/subject/reference","value":"Patient/B"}]`
		row := func(id, method, target, body string, status int, sent ...string) writing {
			r := writing{attack: attack{id: id, method: method, target: target, body: body, token: tA, status: status, calls: anyCalls}, sent: sent}
			if strings.HasPrefix(body, "[") {
				r.header = []string{"Content-Type", jsonPatch}
			}
			return r
		}
		rows := []writing{
			row("W-02 another's record taken", "PUT", "/Encounter/f", stolen, 404),
			row("W-01 the own given away", "PUT", "/Encounter/e", given, 403),
			row("update", "PUT", "/Encounter/e", done, 200, "PUT /Encounter/e "+done),
			row("patch", "PATCH", "/Encounter/e", patch, 200, "PUT /Encounter/e "+done),
			row("W-05 patch of the subject", "PATCH", "/Encounter/e", reason, 403),
			row("create for another", "POST", "/Encounter", strings.Replace(given, `"id":"e",`, "", 1), 403),
			row("create", "POST", "/Encounter", created, 201, "POST /Encounter "+created),
		}
		for i := range rows {
			switch r := &rows[i]; {
			case r.sent != nil:
				r.changed = []string{map[string]string{"POST": "Encounter/new"}[r.method]}
				if r.method != "POST" {
					r.changed[0] = "Encounter/e"
				}
			case r.target == "/Encounter/f":
				r.withheld = []string{"Encounter/f"}
			case r.method == "POST":
				r.withheld = []string{"Encounter/"}
			default:
				r.withheld = []string{"Encounter/e"}
			}
		}
		w.attack(t, rows)
		// SMART-15: a batch has no rights of its own.
		got := h.do("POST", "", tA, batchOf("batch", request{method: "GET", url: "Encounter/e"}, request{method: "GET", url: "Encounter/f"}))
		h.noCanary(t, got)
		if list := got.responses(t); len(list) != 2 || !strings.HasPrefix(list[0].Response.Status, "200") || !strings.HasPrefix(list[1].Response.Status, "404") {
			t.Errorf("batch: %d %s", got.status, got.body)
		}
	})
}

// The documents of the gateway's own have no element that their release does
// not have, and none less than it demands.
func TestEachReleaseOwnDocuments(t *testing.T) {
	const listed = `{"resourceType":"CapabilityStatement","status":"active","date":"2026-01-01","fhirVersion":"%s","rest":[{"mode":"server","operation":[{"name":"export","definition":"http://Canary.example"}],` +
		`"resource":[{"type":"Encounter","interaction":[{"code":"read"}],"searchParam":[{"name":"patient","type":"reference"},{"name":"canary","type":"token"}]},{"type":"Patient","interaction":[{"code":"read"}],"operation":[{"name":"export"}]},{"type":"Subscription"},{"type":"SubscriptionTopic"},{"type":"Canary"}]}]}`
	eachRelease(t, func(t *testing.T, v fhir.Version) {
		h := openRelease(t, v.String(), "operations: {allow: [$everything, $export]}")
		h.ehr.on("GET /metadata", 200, strings.Replace(listed, "%s", v.Full(), 1))
		statement := h.get("/metadata", "")
		h.noCanary(t, statement)
		if statement.status != 200 || !strings.Contains(statement.body, `"fhirVersion":"`+v.Full()+`"`) || !strings.Contains(statement.body, "everything") {
			t.Errorf("got %d %s", statement.status, statement.body)
		}
		valid(t, v, statement.body)
		h.ehr.on("GET /Encounter", 200, searchset("", visit(v, "e", "A")))
		for _, target := range []string{"/Encounter/none", "/Nothing/1", "/Subscription/1", "/Encounter?nonsense=1"} {
			valid(t, v, h.get(target, h.patient("A", "patient/*.rs")).body)
		}
		valid(t, v, h.get("/Encounter", h.staff()).body)
	})
}

// An upstream that speaks another release than it is said to is not believed:
// its records would be read by the wrong definitions.
func TestOtherReleaseThanConfigured(t *testing.T) {
	h := openRelease(t, "R4")
	h.ehr.on("GET /metadata", 200, `{"resourceType":"CapabilityStatement","fhirVersion":"5.0.0","rest":[{}]}`)
	if got := h.get("/metadata", ""); got.status != 502 || got.code() != "upstream.invalid" {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

// valid holds a resource to the elements of its release.
func valid(t *testing.T, v fhir.Version, body string) {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal([]byte(body), &doc); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	typ, _ := doc["resourceType"].(string)
	if !v.KnownType(typ) {
		t.Fatalf("%s: %s", typ, body)
	}
	validElements(t, v, typ, doc)
}

func validElements(t *testing.T, v fhir.Version, typ string, doc map[string]any) {
	t.Helper()
	for e := range v.Elements(typ) {
		if _, there := doc[e.Name]; e.Required && !e.Choice && !there {
			t.Errorf("%s: %s has no %s", v, typ, e.Name)
		}
	}
	for name, value := range doc {
		e, ok := v.Element(typ, name)
		if name == "resourceType" {
			continue
		}
		list, array := value.([]any)
		if !ok || array != e.Array {
			t.Errorf("%s: %s.%s is none of its elements, or a list where one is", v, typ, name)
			continue
		}
		if !array {
			list = []any{value}
		}
		for _, one := range list {
			object, _ := one.(map[string]any)
			if (object == nil) != (v.Kind(e.Type) == fhir.Primitive) {
				t.Errorf("%s: %s.%s is %T", v, typ, name, one)
			}
			if of, ok := object["resourceType"].(string); ok {
				validElements(t, v, of, object)
			} else if object != nil {
				validElements(t, v, e.Type, object)
			}
		}
	}
}

// N-01: another release than the server's is refused, in and out.
func TestEachReleaseMediaTypes(t *testing.T) {
	eachRelease(t, func(t *testing.T, v fhir.Version) {
		h := openRelease(t, v.String())
		h.ehr.on("GET /Encounter/e", 200, visit(v, "e", "A"))
		h.ward(t, "POST /Encounter")
		tA := h.patient("A", "patient/*.cruds")
		created := strings.Replace(visit(v, "e", "A"), `"id":"e",`, "", 1)
		for _, other := range fhir.Versions {
			media := "application/fhir+json; fhirVersion=" + other.Number()
			read, write := 200, 201
			if other != v {
				read, write = 406, 415
			}
			for _, got := range []struct {
				got  answer
				want int
			}{
				{h.do("GET", "/Encounter/e", tA, "", "Accept", media), read},
				{h.do("GET", "/Encounter/e?_format="+strings.NewReplacer("+", "%2B", ";", "%3B", " ", "").Replace(media), tA, ""), read},
				{h.do("POST", "/Encounter", tA, created, "Content-Type", media), write},
			} {
				if got.got.status != got.want {
					t.Errorf("%s: got %d, want %d: %s", media, got.got.status, got.want, got.got.body)
				}
			}
		}
		if got := h.do("GET", "/Encounter/e", tA, "", "Accept", "application/fhir+json"); got.status != 200 {
			t.Errorf("got %d", got.status)
		}
	})
}

// Without upstream.fhir_version the upstream says it, once, at start.
func TestReleaseIsReadFromMetadata(t *testing.T) {
	t.Parallel() // it waits more than it works
	for said, v := range map[string]fhir.Version{"3.0.1": fhir.STU3, "4.0.1": fhir.R4, "4.3.0": fhir.R4B, "5.0.0": fhir.R5} {
		h := newHouse(t, v.String())
		h.ehr.on("GET /metadata", 200, `{"resourceType":"CapabilityStatement","fhirVersion":"`+said+`","rest":[{}]}`)
		h.write("gatehouse.yaml", strings.Replace(h.config(), ", fhir_version: "+v.String(), "", 1))
		h.start()
		if got := h.get("/metadata", ""); !strings.Contains(got.body, `"fhirVersion":"`+v.Full()+`"`) {
			t.Errorf("%s: got %d %s", said, got.status, got.body)
		}
	}
	for _, said := range []string{"1.0.2", "4.1.0", "4.0.1-ballot", "6.0.0-ballot3", "5.0.0-cibuild", ""} {
		h := newHouse(t, "R4")
		h.ehr.on("GET /metadata", 200, `{"resourceType":"CapabilityStatement","fhirVersion":"`+said+`","rest":[{}]}`)
		h.write("gatehouse.yaml", strings.Replace(h.config(), ", fhir_version: R4", "", 1))
		if err := h.open(); err == nil || !strings.Contains(err.Error(), "R4, R4B, R5 and STU3 are served") {
			t.Errorf("%q: %v", said, err)
		}
	}
}

// What differs by release, and could be taken for nobody's or for the caller's.
func TestReleaseAttacks(t *testing.T) {
	a, b := "Patient/A", "Patient/B"
	for v, cases := range map[fhir.Version]map[string]string{ // patient A's record as it seems, and B in it
		fhir.R4B: {
			"Observation": ref("subject", a) + `,"performer":[{"reference":"` + b + `"}]`,
		},
		fhir.R5: {
			"Appointment":           ref("subject", b) + `,"participant":[{"actor":{"reference":"` + a + `"}}]`,
			"AllergyIntolerance":    ref("patient", a) + `,"participant":[{"actor":{"reference":"` + b + `"}}]`,
			"Condition":             ref("subject", a) + `,"participant":[{"actor":{"reference":"` + b + `"}}]`,
			"DeviceRequest":         ref("subject", a) + `,"performer":{"reference":{"reference":"` + b + `"}}`,
			"Task":                  ref("for", a) + `,` + ref("focus", b),
			"NutritionIntake":       ref("subject", a) + `,` + ref("reportedReference", b),
			"Coverage":              ref("beneficiary", a) + `,"paymentBy":[{"party":{"reference":"` + b + `"}}]`,
			"RequestOrchestration":  ref("subject", a) + `,"action":[{"participant":[{"actorReference":{"reference":"` + b + `"}}]}]`,
			"CommunicationRequest":  ref("subject", a) + `,"informationProvider":[{"reference":"` + b + `"}]`,
			"ImagingSelection":      ref("patient", a),                        // the element is called subject
			"MedicationStatement":   `"subject":{"identifier":{"value":"B"}}`, // a logical reference
			"Encounter":             `"subject":[{"reference":"` + a + `"},{"reference":"` + b + `"}]`,
			"QuestionnaireResponse": ref("subject", a) + `,` + ref("author", b),
		},
		fhir.STU3: {
			"ReferralRequest":  ref("subject", a) + `,"requester":{"agent":{"reference":"` + b + `"}}`,
			"ProcedureRequest": ref("subject", a) + `,` + ref("performer", b),
			"SupplyRequest":    `"requester":{"agent":{"reference":"` + b + `"}}`,
			"DeviceRequest":    ref("subject", a) + `,"requester":{"agent":{"reference":"` + b + `"}}`,
			"ImagingManifest":  ref("patient", a) + `,` + ref("author", b),
			"AuditEvent":       `"agent":[{"reference":{"reference":"` + a + `"}}],"entity":[{"reference":{"reference":"` + b + `"}}]`,
			"Provenance":       `"target":[{"reference":"` + a + `"},{"reference":"` + b + `"}]`,
			"BodySite":         ref("patient", b),
			"Observation":      ref("subject", a) + `,"performer":[{"type":"Practitioner","identifier":{"value":"B"}}]`, // no such member as type
			"MeasureReport":    ref("subject", a),                                                                       // the element is called patient
			"DocumentManifest": ref("subject", a) + `,"author":[{"reference":"` + b + `"}]`,
		},
	} {
		h := openRelease(t, v.String())
		tA := h.patient("A", "patient/*.rs patient/AuditEvent.rs patient/Provenance.rs")
		for typ, members := range cases {
			h.ehr.on("GET /"+typ+"/x", 200, resource(typ, "x", members+`,"text":{"status":"generated","div":"<div>Canary</div>"}`))
			h.attack(t, []attack{{id: v.String(), target: "/" + typ + "/x", token: tA, status: 404, calls: anyCalls, withheld: []string{typ + "/x"}}})
		}
	}
}

// B-04: a type that has no compartment rule in its release is closed to a
// patient's app, and one that another release has is no type.
func TestReleaseTypes(t *testing.T) {
	eachRelease(t, func(t *testing.T, v fhir.Version) {
		h := openRelease(t, v.String())
		tA := h.patient("A", "patient/*.cruds")
		var rows []attack
		for _, typ := range v.ResourceTypes() {
			if _, in := v.Compartment("Patient", typ); in || typ == "Binary" || slices.Contains(sharedTypes, typ) {
				continue
			}
			rows = append(rows, attack{id: "B-04", target: "/" + typ + "/x", token: tA, status: 403, code: "scope.missing"})
		}
		for _, other := range fhir.Versions {
			for _, typ := range other.ResourceTypes() {
				if !v.KnownType(typ) {
					rows = append(rows, attack{id: "type of " + other.String(), target: "/" + typ + "/x", token: tA, status: 400, code: "request.type-unknown"})
				}
			}
		}
		if v == fhir.R5 || v == fhir.R4B {
			for _, typ := range []string{"SubscriptionTopic", "SubscriptionStatus"} {
				rows = append(rows, attack{id: "§10.12", target: "/" + typ + "/x", token: h.token(map[string]any{"roles": []string{"staff"}, "scope": "user/*.cruds user/" + typ + ".cruds"}), status: 403, code: "scope.missing"})
			}
		}
		if v == fhir.R5 {
			rows = append(rows, attack{id: "W-13 who may do what", target: "/Permission/x", token: h.staff(), status: 403, code: "scope.missing"})
		}
		h.attack(t, rows)
	})
}

// sharedTypes are reference data that a patient's app may read (FHIR-24).
var sharedTypes = []string{"ActivityDefinition", "CapabilityStatement", "CodeSystem", "ConceptMap", "HealthcareService", "ImplementationGuide", "InsurancePlan",
	"Library", "Location", "Measure", "Medication", "MedicationKnowledge", "NamingSystem", "OperationDefinition", "Organization",
	"OrganizationAffiliation", "PlanDefinition", "Practitioner", "PractitionerRole", "Questionnaire", "SearchParameter",
	"StructureDefinition", "StructureMap", "Substance", "ValueSet"}

// D-02: what a view has no rule for is not let through, whatever the release
// calls it.
func TestEachReleaseView(t *testing.T) {
	eachRelease(t, func(t *testing.T, v fhir.Version) {
		h := openRelease(t, v.String(), "clients: {study: {view: research, domain: s17}}")
		here := strings.Replace(visit(v, "canary1", "mrn-19700101"), `"status"`, map[fhir.Version]string{
			fhir.R5:   `"virtualService":[{"addressUrl":"http://Canary.example","additionalInfo":["http://Canary.example"]}],"dietPreference":[{"text":"Canary"}],"plannedStartDate":"2026-03-04",`,
			fhir.STU3: `"diagnosis":[{"condition":{"reference":"Condition/canary2","display":"Canary"}}],"incomingReferral":[{"reference":"ReferralRequest/canary3"}],`,
		}[v]+`"status"`, 1)
		h.ehr.on("GET /Encounter", 200, searchset("", here))
		h.ehr.on("GET /Patient", 200, searchset("", strings.Replace(patientSeen, `"text":`, map[fhir.Version]string{
			fhir.STU3: `"animal":{"species":{"text":"Canary"}},`}[v]+`"text":`, 1)))
		for _, target := range []string{"/Encounter", "/Patient"} {
			got := h.get(target, h.researcher("study"))
			h.noReal(t, got)
			if got.status != 200 || len(got.ids(t)) != 1 || strings.Contains(got.body, "canary") {
				t.Errorf("%s: got %d %s", target, got.status, got.body)
			}
		}
	})
}

// C-01: a patient's refusal is kept, as each release writes it.
func TestEachReleaseConsent(t *testing.T) {
	eachRelease(t, func(t *testing.T, v fhir.Version) {
		const with = "consent: {source: upstream, default: permit, max_staleness: 200ms}"
		h := openRelease(t, v.String(), with)
		refusal := consentOf("b", "B", "deny", "")
		if v == fhir.R5 {
			refusal = resource("Consent", "b", `"status":"active",`+ref("subject", "Patient/B")+`,"decision":"deny"`)
		}
		if v == fhir.STU3 {
			refusal = resource("Consent", "b", `"status":"active",`+ref("patient", "Patient/B")+`,"policyRule":"http://hl7.org/fhir/ConsentPolicy/opt-out"`)
		}
		h.consents(refusal)
		h.ehr.on("GET /Encounter/e", 200, visit(v, "e", "A"))
		h.ehr.on("GET /Encounter/f", 200, visit(v, "f", "B"))
		h.attack(t, []attack{
			{id: "C-01", target: "/Encounter/e", token: h.staff(), status: 200, calls: anyCalls, released: []string{"Encounter/e"}},
			{id: "C-01", target: "/Encounter/f", token: h.staff(), status: 404, calls: anyCalls, withheld: []string{"Encounter/f"}},
		})
	})
}

// Issue 5 point 7: patients give and revoke consents in the form of each release, and
// both act at once.
func TestEachReleasePatientGives(t *testing.T) {
	eachRelease(t, func(t *testing.T, v fhir.Version) {
		h := openRelease(t, v.String(), "consent: {source: upstream, default: permit, max_staleness: 1h, clients: [app]}")
		r := h.registry()
		h.ehr.on("GET /Encounter/e", 200, visit(v, "e", "P"))
		doctor, patient := h.clinicianOf("2"), h.patient("P", "patient/*.rs")
		seen := func() int { return h.get("/Encounter/e", doctor).status }
		before := seen()
		made := h.do("POST", "/_gatehouse/consents", patient, `{"decision":"deny","who":"Organization/2","what":{"types":["Encounter"]}}`)
		denied := seen()
		gone := h.do("DELETE", "/_gatehouse/consents/n0", patient, "")
		if after := seen(); before != 200 || made.status != 201 || denied != 404 || gone.status != 200 || after != 200 {
			t.Errorf("got %d, given %d %s, %d, revoked %d %s, %d: %s", before, made.status, made.body, denied, gone.status, gone.body, after, r.held["n0"])
		}
	})
}
