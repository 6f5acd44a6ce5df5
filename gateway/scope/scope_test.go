package scope

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"gatehouse/fhir"
	fhirsearch "gatehouse/fhir/search"
)

// SMART-12, SMART-13, SMART-19, SMART-33, S-03, S-07: the grammar is exact, and
// what is not in it grants nothing.
func TestGrammar(t *testing.T) {
	for scope, want := range map[string]string{
		"patient/Observation.rs": "rs", "user/*.cruds": "cruds", "system/Patient.r": "r", "patient/*.s": "s", "user/Patient.cd": "cd",
		"patient/Observation.read": "rs", "patient/Observation.write": "cud", "user/*.*": "cruds", "user/Patient.*": "cruds",
		"patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory": "rs",
		"patient/Observation.rs?category=laboratory&status=final":                                               "rs",
		"patient/Observation.rs?category=http%3A%2F%2Fcat%7Clab":                                                "rs",
		"user/Observation.rs?code:not=x":                                                                        "rs", "user/*.rs?_security=R": "rs", "user/Patient.rs?name:exact=Ann": "rs",
		"user/Observation.rs?date=ge2024&value-quantity=gt5|http://unitsofmeasure.org|mg": "rs",

		"": "", "patient": "", "patient/": "", "patient/Observation": "", "patient/Observation.": "", "patient/.rs": "", ".rs": "", "/": "",
		"patient/Observation.dus": "", "patient/Observation.sr": "", "patient/Observation.rr": "", "patient/Observation.READ": "", "patient/Observation.RS": "",
		"patients/Observation.rs": "", "patient/observation.rs": "", "PATIENT/*.rs": "", "Patient/Observation.rs": "", "system:Patient.read": "",
		"patient/Patient.rs%20user/*.cruds": "", "patient/Patient.rs user/*.cruds": "", "patient/Patient.rs\tuser/*.cruds": "",
		"patient/Patient.rs\u00a0": "", " patient/Patient.rs": "", "patient/Patient.rs ": "", "patient/Patient.rs\n": "", "patient/Patient.rs\x00": "",
		"patient/Patient.rs?": "", "patient/Patient.rs?name": "", "patient/Patient.rs?=x": "", "patient/Patient.rs?name=": "", "patient/Patient.rs?name=x&": "",
		"patient/Patient.read?name=x": "", "patient/Patient.*?name=x": "", "patient/Patient.?name=x": "", "patient/Patient?name=x.rs": "",
		"patient/Patient.rs?name=x?y=z;a=b": "", "patient/Patient.rs?name=%zz": "", "patient/Patient.rs?name=%00": "", "patient/Patient.rs?name=x#y": "",
		"patient/Resource.rs": "", "patient/DomainResource.rs": "", "patient/Nothing.rs": "", "patient/HumanName.rs": "", "patient/**.rs": "",
		"patient/Patient.rs/x": "", "patient/Patient/1.rs": "", "user/Patient.write.read": "", "user/Patient.readwrite": "",
		"user/Observation.rs?code:in=http://vs": "", "user/Observation.rs?code:text=x": "", "user/Observation.rs?subject:Patient.name=x": "",
		"user/Observation.rs?_filter=x": "", "user/Observation.rs?_has:Observation:patient:code=x": "", "user/Observation.rs?colour=x": "",
		"user/Observation.rs?category=lab&_count=5": "", "user/Observation.rs?_sort=date": "", "user/Observation.rs?category=lab&_format=json": "",
		"user/Observation.rs?_include=Observation:subject": "", "user/*.rs?category=lab": "", "user/*.rs?_type=Patient": "", "user/Location.rs?near=1|2": "",
		"openid": "", "fhirUser": "", "launch": "", "launch/patient": "", "offline_access": "", "__x": "", "https://example.org/scope": "",
		"patient/Subscription.cruds": "", "system/Subscription.rs": "", "patient/Device.rs": "", "patient/Consent.cud": "", "patient/Organization.cud": "",
	} {
		g := Parse(fhir.R4, []string{scope}, "Patient/A", nil)
		got := ""
		if len(g.grants) > 0 {
			got = g.grants[0].letters.String()
		}
		if got != want {
			t.Errorf("%q grants %q, want %q (%+v)", scope, got, want, g.Explain())
		}
		if e := g.Explain(); len(e) != 1 || e[0].Text == "" || e[0].Grants != (want != "") || (e[0].Reason == "") != (want != "") {
			t.Errorf("%q is explained as %+v", scope, e)
		}
	}
}

// access parses "GET /Patient?name=x" with the operations of the tests on.
func access(t testing.TB, line string) *fhir.Access {
	t.Helper()
	method, url, _ := strings.Cut(line, " ")
	url, exist, _ := strings.Cut(url, " If-None-Exist: ")
	path, query, _ := strings.Cut(url, "?")
	r := fhir.Request{Method: method, Path: strings.TrimSuffix(path, "/"), Query: query}
	if exist != "" {
		r.Header = map[string][]string{"If-None-Exist": {exist}}
	}
	if method == "POST" || method == "PUT" || method == "PATCH" {
		typ, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
		r.ContentType, r.Body = "application/fhir+json", []byte(`{"resourceType":"`+typ+`"}`)
		if id, _, _ := strings.Cut(rest, "/"); id != "" && id[0] != '$' {
			r.Body = []byte(`{"resourceType":"` + typ + `","id":"` + id + `"}`)
		}
		if method == "PATCH" {
			r.ContentType, r.Body = "application/json-patch+json", []byte(`[]`)
		}
	}
	operations := map[string]bool{}
	for _, name := range fhir.Operations() {
		operations[name] = true
	}
	a, refused := fhir.Parse(r, fhir.Options{Version: fhir.R4, Operations: operations})
	if refused != nil {
		t.Fatalf("%s: %v", line, refused)
	}
	return a
}

// STANDARDS table 1.1, row by row, with SMART-14, SMART-24, SMART-31, S-01,
// S-02, S-10, S-11, B-04, I-04, Q-02, Q-15, W-13: want is the denial's code and
// the scope that it asks for.
func TestCovers(t *testing.T) {
	for _, c := range []struct{ scopes, line, want string }{
		// read, vread, instance history
		{"user/Observation.r", "GET /Observation/1", ""},
		{"user/Observation.r", "HEAD /Observation/1", ""},
		{"user/Observation.r", "GET /Observation/1/_history/2", ""},
		{"user/Observation.r", "GET /Observation/1/_history", ""},
		{"user/Observation.s", "GET /Observation/1", "scope.missing user/Observation.r"},
		{"user/Observation.s", "GET /Observation/1/_history", "scope.missing user/Observation.r"},
		{"patient/Observation.rs", "GET /Condition", "scope.missing patient/Condition.s"},
		{"user/Observation.cud", "GET /Observation/1", "scope.missing user/Observation.r"},
		// searches and the wider histories
		{"user/Observation.s", "GET /Observation?code=x", ""},
		{"user/Observation.r", "GET /Observation?code=x", "scope.missing user/Observation.s"},
		{"user/Observation.r", "GET /Observation/_history", "scope.missing user/Observation.s"},
		{"user/Observation.s", "GET /Observation/_history", ""},
		{"user/Observation.s", "GET /_history", ""},
		{"user/Observation.r", "GET /_history", "scope.missing user/*.s"},
		{"user/Observation.s", "GET /?_id=x", ""},
		{"user/Observation.s", "GET /?_type=Observation&_id=x", ""},
		{"user/Observation.s", "GET /?_type=Observation,Condition&_id=x", "scope.missing user/Condition.s"},
		{"user/Observation.s", "GET /Patient/A/Observation", ""},
		{"user/Observation.s", "GET /Patient/A/Condition", "scope.missing user/Condition.s"},
		{"user/Observation.s", "GET /Patient/A/*", ""},
		{"user/Location.s", "GET /Patient/A/*", "scope.missing user/*.s"},
		// writes and their conditional forms
		{"user/Observation.c", "POST /Observation", ""},
		{"user/Observation.rs", "POST /Observation", "scope.missing user/Observation.c"},
		{"user/Observation.c", "POST /Observation If-None-Exist: identifier=x", "scope.missing user/Observation.cs"},
		{"user/Observation.c user/Observation.s", "POST /Observation If-None-Exist: identifier=x", ""},
		{"user/Observation.u", "PUT /Observation/1", ""},
		{"user/Observation.c", "PUT /Observation/1", "scope.missing user/Observation.u"},
		{"user/Observation.u", "PUT /Observation?identifier=x", "scope.missing user/Observation.us"},
		{"user/Observation.us", "PUT /Observation?identifier=x", ""},
		{"user/Observation.u", "PATCH /Observation/1", ""},
		{"user/Observation.write", "DELETE /Observation/1", ""},
		{"user/Observation.d", "DELETE /Observation?identifier=x", "scope.missing user/Observation.ds"},
		{"user/Observation.ds", "DELETE /Observation?identifier=x", ""},
		// includes
		{"user/Observation.s", "GET /Observation?_include=Observation:subject", "scope.missing user/Device.rs"},
		{"user/Observation.s user/Patient.r", "GET /Observation?_include=Observation:subject", ""},
		{"user/Observation.s user/Patient.r", "GET /Observation?_include=Observation:subject:Group", "scope.missing user/Group.rs"},
		{"user/Observation.s", "GET /Observation?_revinclude=Provenance:target", "scope.missing user/Provenance.rs"},
		{"user/*.rs", "GET /Observation?_revinclude=Provenance:target", "scope.missing user/Provenance.rs"},
		{"user/*.rs user/Provenance.r", "GET /Observation?_revinclude=Provenance:target", ""},
		{"patient/*.rs", "GET /Patient?_revinclude:iterate=AuditEvent:entity", "scope.missing patient/AuditEvent.rs"},
		// chains
		{"user/Observation.s", "GET /Observation?subject:Patient.name=x", "scope.missing user/Patient.rs"},
		{"user/Observation.s user/Patient.r", "GET /Observation?subject:Patient.name=x", ""},
		{"user/Observation.s user/Patient.r", "GET /Observation?subject:Patient.organization.name=x", "scope.missing user/Organization.rs"},
		{"user/Patient.s", "GET /Patient?_has:Observation:patient:code=x", "scope.missing user/Observation.rs"},
		{"user/Patient.s user/Observation.s", "GET /Patient?_has:Observation:patient:code=x", ""},
		{"user/Patient.s user/Observation.s?code=y", "GET /Patient?_has:Observation:patient:code=x", "scope.chain user/Observation.s"},
		{"user/Patient.s user/Observation.s", "GET /Patient?_has:Observation:patient:encounter.status=x", "scope.missing user/Encounter.rs"},
		{"patient/*.rs", "GET /Observation?subject:Patient.name=x", ""},
		{"patient/*.rs", "GET /Observation?performer:Patient.name=x", ""},
		{"patient/*.rs", "GET /Observation?focus:Patient.name=x", "scope.chain user/Patient.s"},
		{"patient/*.rs", "GET /Observation?encounter.status=x", "scope.chain user/Encounter.s"},
		{"patient/*.rs", "GET /Observation?performer:Practitioner.name=x", ""},
		{"patient/*.rs", "GET /Patient?_has:Observation:patient:code=x", ""},
		{"patient/*.rs", "GET /Patient?link:Patient.name=x", "scope.chain user/Patient.s"},
		{"patient/*.rs", "GET /Encounter?_has:Observation:encounter:code=x", "scope.chain user/Observation.s"},
		{"patient/Patient.rs user/Observation.rs", "GET /Observation?subject:Patient.name=x", "scope.chain user/Patient.s"},
		{"patient/Observation.rs", "POST /Observation If-None-Exist: subject:Patient.name=x", "scope.missing patient/Observation.cs"},
		// wildcards and closed types
		{"user/*.cruds", "GET /AuditEvent", "scope.missing user/AuditEvent.s"},
		{"user/*.cruds", "GET /Consent/1", "scope.missing user/Consent.r"},
		{"user/*.cruds", "POST /Subscription", "scope.missing"},
		{"user/*.cruds user/Consent.rs", "GET /Consent/1", ""},
		{"user/*.rs", "GET /Binary/1", ""},
		{"user/*.rs", "GET /DocumentReference", ""},
		{"patient/*.rs", "GET /Binary/1", ""},
		{"patient/*.cruds", "GET /Device", "scope.missing user/Device.s"},
		{"patient/*.cruds", "GET /Organization/1", ""},
		{"patient/*.cruds", "PUT /Organization/1", "scope.missing user/Organization.u"},
		{"patient/*.cruds", "GET /Group", ""},
		{"patient/*.cruds", "PUT /Group/1", "scope.missing user/Group.u"},
		{"patient/*.cruds", "POST /StructureDefinition", "scope.missing user/StructureDefinition.c"},
		{"patient/Consent.cruds", "POST /Consent", "scope.missing user/Consent.c"},
		{"patient/Consent.cruds", "GET /Consent", ""},
		// operations
		{"patient/*.rs", "GET /Patient/A/$everything", ""},
		{"patient/*.r", "GET /Patient/A/$everything", "scope.missing patient/*.rs"},
		{"patient/Patient.rs", "GET /Patient/A/$everything?_type=Condition", "scope.missing patient/*.rs"},
		{"user/Observation.rs", "GET /Observation/$lastn?code=x", ""},
		{"user/Observation.r", "GET /Observation/$lastn?code=x", "scope.missing user/*.rs"},
		{"user/*.cruds", "GET /$export", "scope.missing system/*.rs"},
		{"system/*.rs", "GET /$export", ""},
		{"system/Patient.rs", "GET /$export?_type=Condition", "scope.missing system/Condition.rs"},
		{"system/Patient.rs", "GET /$export?_type=Patient", ""},
		{"system/Patient.rs", "GET /Group/1/$export", "scope.missing system/Group.r"},
		{"system/Patient.rs system/Group.r", "GET /Group/1/$export", ""},
		{"system/Patient.rs", "GET /$export?_type=Patient&_typeFilter=Observation%3Fcode%3Dx", "scope.missing system/Observation.s"},
		{"user/DocumentReference.rs", "GET /DocumentReference/$docref?patient=1", ""},
		{"user/Patient.rs", "GET /DocumentReference/$docref?patient=1", "scope.missing user/*.rs"},
		{"user/Patient.c", "POST /Patient/$validate", ""},
		{"user/Patient.rus", "POST /Patient/$validate", "scope.missing user/Patient.c"},
		{"user/Patient.u", "POST /Patient/1/$validate", ""},
		{"user/Patient.crs", "POST /Patient/1/$validate", "scope.missing user/Patient.u"},
		{"user/*.cruds user/Subscription.cruds", "POST /Subscription", "scope.missing"},
		{"", "GET /metadata", ""},
		{"", "GET /Patient/1", "scope.missing patient/Patient.r"},
	} {
		got := ""
		if d := Parse(fhir.R4, strings.Fields(c.scopes), "Patient/A", nil).Covers(access(t, c.line)); d != nil {
			got = strings.TrimSpace(d.Code + " " + d.Needed)
		}
		if got != c.want {
			t.Errorf("%q on %s: got %q, want %q", c.scopes, c.line, got, c.want)
		}
	}
}

// S-02, SMART-20, SMART-23: a patient scope without a patient grants nothing.
func TestNoLaunchPatient(t *testing.T) {
	for _, patient := range []string{"", "A", "Patient/", "Practitioner/A", "Patient/A/_history/1", "https://x/Patient/A", "Patient/A,Patient/B"} {
		g := Parse(fhir.R4, []string{"openid", "patient/*.cruds"}, patient, nil)
		d := g.Covers(access(t, "GET /Patient/A"))
		if d == nil || d.Code != codePatient {
			t.Errorf("patient %q: %+v", patient, d)
		}
		if g.Judge('r', &fhir.Facts{Type: "Patient", ID: "A", Patients: []string{"Patient/A"}}, nil) {
			t.Errorf("patient %q: judged open", patient)
		}
	}
}

func TestNilAndZeroDeny(t *testing.T) {
	a := access(t, "GET /Patient/A")
	for _, g := range []*Grants{nil, {}} {
		if g.Covers(a) == nil || g.Judge('r', &fhir.Facts{Type: "Patient"}, nil) || g.Allows("Patient", 'r') || g.NarrowsExactly(a) {
			t.Errorf("%v opens something", g)
		}
	}
	if Unbound.Covers(a) != nil || !Unbound.Judge('r', &fhir.Facts{Type: "Patient"}, nil) || !Unbound.Allows("Patient", 'r') {
		t.Error("Unbound denies")
	}
	if Unbound.Judge('r', nil, nil) {
		t.Error("Unbound opens a resource without facts")
	}
}

// SMART-15: one entry that is not granted denies a transaction.
func TestTransaction(t *testing.T) {
	g := Parse(fhir.R4, []string{"user/Observation.c"}, "", nil)
	granted := &fhir.Entry{Access: access(t, "POST /Observation")}
	denied := &fhir.Entry{Access: access(t, "DELETE /Observation/1")}
	for _, c := range []struct {
		entries []*fhir.Entry
		open    bool
	}{{nil, true}, {[]*fhir.Entry{granted}, true}, {[]*fhir.Entry{granted, denied}, false}, {[]*fhir.Entry{granted, {Err: &fhir.Error{}}}, false}} {
		if d := g.Covers(&fhir.Access{Interaction: fhir.Transaction, Entries: c.entries}); (d == nil) != c.open {
			t.Errorf("%d entries: %+v", len(c.entries), d)
		}
	}
}

// SMART-16, SMART-17, SMART-18, SMART-20, S-05, S-12, B-01, B-04, B-05, B-06, B-08.
func TestJudge(t *testing.T) {
	lab := `{"resourceType":"Observation","id":"1","status":"final","category":[{"coding":[{"system":"http://cat","code":"laboratory"}]}],"subject":{"reference":"Patient/A"}}`
	vital := strings.Replace(lab, "laboratory", "vital-signs", 1)
	ofB := strings.Replace(lab, "Patient/A", "Patient/B", 1)
	for _, c := range []struct {
		scopes   string
		letter   byte
		resource string
		want     bool
	}{
		{"patient/*.rs", 'r', lab, true},
		{"patient/*.rs", 's', lab, true},
		{"patient/*.rs", 'u', lab, false},
		{"patient/*.rs", 'x', lab, false},
		{"patient/*.rs", 'r', ofB, false},
		{"user/*.rs", 'r', ofB, true},
		{"patient/*.rs", 'r', `{"resourceType":"Observation","id":"1"}`, false},
		{"patient/*.rs", 'r', `{"resourceType":"Observation","id":"1","subject":{"reference":"Patient/A"},"performer":[{"reference":"Patient/B"}]}`, false},
		{"patient/*.rs", 'r', `{"resourceType":"Observation","id":"1","subject":{"reference":"Patient/A"},"performer":[{"identifier":{"value":"B"}}]}`, false},
		{"patient/*.rs", 'r', `{"resourceType":"Observation","id":"1","subject":{"reference":"Group/A"}}`, false},
		{"patient/*.rs", 'r', `{"resourceType":"Patient","id":"A","link":[{"other":{"reference":"Patient/B"}}]}`, true},
		{"patient/*.rs", 'r', `{"resourceType":"Patient","id":"B","link":[{"other":{"reference":"Patient/A"}}]}`, false},
		{"patient/*.rs", 'r', `{"resourceType":"Practitioner","id":"p"}`, true},
		{"patient/*.rs", 'r', `{"resourceType":"Device","id":"d","patient":{"reference":"Patient/A"}}`, false},
		{"patient/*.rs", 'r', `{"resourceType":"Coverage","id":"c","beneficiary":{"reference":"Patient/B"},"policyHolder":{"reference":"Patient/A"}}`, false},
		{"patient/*.rs", 'r', `{"resourceType":"Consent","id":"c","patient":{"reference":"Patient/A"}}`, false},
		{"patient/Consent.cruds", 'r', `{"resourceType":"Consent","id":"c","patient":{"reference":"Patient/A"}}`, true},
		{"patient/Consent.cruds", 'u', `{"resourceType":"Consent","id":"c","patient":{"reference":"Patient/A"}}`, false},
		{"patient/*.cruds", 'c', `{"resourceType":"Patient"}`, false},
		{"patient/Observation.rs?category=laboratory", 'r', lab, true},
		{"patient/Observation.rs?category=laboratory", 's', lab, true},
		{"patient/Observation.rs?category=laboratory", 'r', vital, false},
		{"patient/Observation.rs?category=laboratory", 'r', ofB, false},
		{"patient/Observation.rs?category=laboratory&status=amended", 'r', lab, false},
		{"patient/Observation.rs?category=laboratory,vital-signs", 'r', vital, true},
		{"patient/Observation.rs?category=laboratory patient/Observation.rs?category=vital-signs", 'r', vital, true},
		{"patient/Observation.r?category=laboratory patient/Observation.s?category=vital-signs", 'r', vital, false},
		{"patient/Observation.r?category=laboratory patient/Observation.s?category=vital-signs", Included, vital, true},
		{"patient/Observation.r?category=laboratory patient/Observation.s?category=vital-signs", Returned, vital, false},
		{"patient/Observation.u?category=laboratory", 'u', vital, false},
		{"patient/Observation.rs?category=laboratory patient/Observation.rs", 'r', vital, true},
		{"patient/Observation.rs?category:in=x", 'r', lab, false},
		{"user/*.rs?_security=R", 'r', lab, false},
		{"user/Observation.r", Included, lab, true},
		{"user/Observation.r", Returned, lab, false},
		{"user/Observation.rs", Returned, lab, true},
	} {
		facts, err := fhir.R4.ReadFacts([]byte(c.resource), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := Parse(fhir.R4, strings.Fields(c.scopes), "Patient/A", nil).Judge(c.letter, &facts, []byte(c.resource)); got != c.want {
			t.Errorf("%q %c on %s: got %v", c.scopes, c.letter, c.resource, got)
		}
	}
	g := Parse(fhir.R4, []string{"user/Observation.rs?status=final"}, "", nil)
	if g.Judge('r', &fhir.Facts{Type: "Observation"}, []byte(`{"resourceType":"Observation","status":"final"`)) {
		t.Error("a resource that cannot be read is open")
	}
}

// SMART-20, P-04: narrowing is added to what the client asks, and never less
// than what the scopes ask.
func TestNarrow(t *testing.T) {
	for _, c := range []struct {
		scopes, line string
		want         []string
		exact        bool
	}{
		{"patient/*.rs", "GET /Observation?code=x", []string{"patient=Patient/A"}, false},
		{"patient/*.rs", "GET /MedicationRequest", []string{"patient=Patient/A"}, true},
		{"patient/*.rs", "GET /Patient?name=x", []string{"_id=A"}, true},
		{"patient/*.rs", "GET /Patient?_id=B", []string{"_id=A"}, true},
		{"patient/*.rs", "GET /Coverage", []string{"patient=Patient/A"}, false},
		{"patient/*.rs", "GET /Group", []string{"member=Patient/A"}, false},
		{"patient/*.rs", "GET /Schedule", []string{"actor=Patient/A"}, false},
		{"patient/*.rs", "GET /Patient/B/Observation", []string{"patient=Patient/A"}, false},
		{"patient/*.rs", "GET /Practitioner?name=x", nil, true},
		{"patient/*.rs", "GET /Binary?_id=x", nil, false},
		{"patient/*.rs", "GET /Observation/1", nil, false},
		{"patient/*.rs", "GET /Observation/$lastn?code=x", []string{"patient=Patient/A"}, false},
		{"patient/*.cruds", "PUT /Observation?identifier=x", []string{"patient=Patient/A"}, false},
		{"user/*.rs", "GET /Observation?code=x", nil, true},
		{"user/*.rs patient/*.rs", "GET /Observation?code=x", nil, true},
		{"user/Observation.rs?category=laboratory", "GET /Observation", []string{"category=laboratory"}, false},
		{"patient/Observation.rs?category=laboratory&status=final", "GET /Observation", []string{"patient=Patient/A", "category=laboratory", "status=final"}, false},
		{"patient/Observation.rs?category=laboratory patient/Observation.rs?category=vital-signs", "GET /Observation",
			[]string{"patient=Patient/A", "category=laboratory,vital-signs"}, false},
		{"patient/Observation.rs?category=laboratory patient/Observation.rs?status=final", "GET /Observation", []string{"patient=Patient/A"}, false},
		{"patient/Observation.rs?category:not=a patient/Observation.rs?category:not=b", "GET /Observation", []string{"patient=Patient/A"}, false},
		{"patient/Observation.rs?category=laboratory patient/Observation.rs", "GET /Observation", []string{"patient=Patient/A"}, false},
		{"patient/Observation.rs user/Observation.rs?category=laboratory", "GET /Observation", nil, false},
		{"patient/Observation.r", "GET /Observation", nil, false},
		{"user/Patient.rs user/Observation.rs", "GET /?_id=x", []string{"_type=Observation,Patient"}, false},
		{"user/*.rs", "GET /?_id=x", nil, false},
	} {
		g := Parse(fhir.R4, strings.Fields(c.scopes), "Patient/A", nil)
		a := access(t, c.line)
		var got []string
		for _, p := range g.Narrow(a) {
			got = append(got, p.Name+"="+strings.Join(p.Values, ","))
		}
		if !reflect.DeepEqual(got, c.want) || g.NarrowsExactly(a) != c.exact {
			t.Errorf("%q on %s: got %q %v, want %q %v", c.scopes, c.line, got, g.NarrowsExactly(a), c.want, c.exact)
		}
	}
}

// a search narrowed exactly to a patient reads every element by which a
// resource of the type is tied to one.
func TestNarrowsTo(t *testing.T) {
	v := fhir.R4
	bound := Parse(v, []string{"patient/*.rs", "patient/Provenance.rs"}, "Patient/A", nil)
	either := Parse(v, []string{"patient/*.rs", "user/Immunization.rs"}, "Patient/A", nil)
	n := 0
	for _, typ := range v.ResourceTypes() {
		a := &fhir.Access{Interaction: fhir.SearchType, Type: typ, Version: v}
		to := bound.NarrowsTo(a)
		if to == "" {
			continue
		}
		n++
		params := bound.Narrow(a)
		read, err := fhirsearch.Elements(v, typ, params[0].Name)
		if typ == "Patient" {
			read = []string{"id"}
		}
		if facts := v.FactElements(typ, "patients"); to != "Patient/A" || len(params) != 1 || err != nil || !slices.Equal(facts, read) {
			t.Errorf("%s: narrowed to %s by %v, which reads %v of %v: %v", typ, to, params, read, facts, err)
		}
		if got := either.NarrowsTo(a); got != "" && typ == "Immunization" {
			t.Errorf("%s: a scope for all of them narrows to %s", typ, got)
		}
	}
	if n < 20 {
		t.Errorf("%d types are narrowed exactly", n)
	}
	for _, typ := range []string{"Observation", "Practitioner", "Group", "Binary", ""} {
		a := &fhir.Access{Interaction: fhir.SearchType, Type: typ, Version: v}
		if got := bound.NarrowsTo(a); got != "" {
			t.Errorf("%s: narrowed to %s", typ, got)
		}
	}
}

func TestExplain(t *testing.T) {
	g := Parse(fhir.R4, []string{"patient/Observation.rs?category=http%3A%2F%2Fcat%7Clab", "user/*.read", "patient/Practitioner.cruds", "launch/patient"}, "Patient/A", nil)
	want := []string{
		"read, search of Observation of Patient/A alone, where category=http://cat|lab",
		"read, search of every type but AuditEvent, Consent, Provenance and Subscription, as far as the user may",
		"read, search of Practitioner, as shared reference data",
		"grants nothing: about login and launch; it grants no access to data",
	}
	for i, e := range g.Explain() {
		if e.Text != want[i] {
			t.Errorf("%s: %q, want %q", e.Scope, e.Text, want[i])
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"patient/*.rs", "user/Observation.rs?category=a|b&date=ge2024", "system/Patient.write", "patient/Patient.rs%20", "patient/Patient.rs?name=%41"} {
		f.Add(s)
	}
	facts := fhir.Facts{Type: "Observation", ID: "1", Patients: []string{"Patient/B"}}
	f.Fuzz(func(t *testing.T, s string) {
		g := Parse(fhir.R4, []string{s}, "Patient/A", nil)
		for _, one := range g.grants {
			bare, _, _ := strings.Cut(s, "?")
			if printed := one.context + "/" + one.typ + "." + one.letters.String(); printed != bare &&
				!strings.HasSuffix(bare, ".read") && !strings.HasSuffix(bare, ".write") && !strings.HasSuffix(bare, ".*") {
				t.Errorf("%q was read as %s", s, printed)
			}
			if one.matcher == nil && strings.Contains(s, "?") {
				t.Errorf("%q lost its constraint", s)
			}
			if one.context == "patient" && g.Judge('r', &facts, nil) {
				t.Errorf("%q opens another patient's record", s)
			}
		}
	})
}

func BenchmarkJudge(b *testing.B) {
	g := Parse(fhir.R4, []string{"openid", "launch/patient", "patient/*.rs"}, "Patient/A", nil)
	facts := fhir.Facts{Type: "Observation", ID: "1", Patients: []string{"Patient/A"}}
	b.ReportAllocs()
	for b.Loop() {
		if !g.Judge('s', &facts, nil) {
			b.Fatal("closed")
		}
	}
}

// BULK-02: what is judged by system scopes is opened by no other.
func TestSystemGrants(t *testing.T) {
	g := Parse(fhir.R4, []string{"system/Patient.rs", "user/*.cruds"}, "", nil).System()
	for typ, want := range map[string]bool{"Patient": true, "Observation": false} {
		f := &fhir.Facts{Type: typ, ID: "1", Patients: []string{"Patient/1"}}
		if g.Allows(typ, 'r') != want || g.Judge(Returned, f, nil) != want {
			t.Errorf("%s: want %v", typ, want)
		}
	}
	if Unbound.System() != Unbound || (*Grants)(nil).System().Allows("Patient", 'r') {
		t.Error("all and nothing are what they were")
	}
}

// SMART-05: what is offered can be granted, with all its letters and no more.
func TestSupported(t *testing.T) {
	for _, s := range Supported(fhir.R4) {
		for _, e := range Parse(fhir.R4, []string{s}, "Patient/A", nil).Explain() {
			if !e.Grants {
				t.Errorf("%s grants nothing: %s", s, e.Reason)
			}
		}
	}
	if got := strings.Join(Supported(fhir.R4), " "); strings.Contains(got, "Subscription") || !strings.HasPrefix(got, "patient/*.cruds ") ||
		!strings.Contains(got, " user/Consent.cruds ") || !strings.Contains(got, " patient/Consent.rs ") || !strings.Contains(got, " system/*.cruds ") {
		t.Error(got)
	}
}
