package view

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"gatehouse/fhir/wire"
)

func decode(t *testing.T, s string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(s), &m); err != nil {
		t.Fatalf("%v: %s", err, s)
	}
	return m
}

// at follows names and indices.
func at(v any, path ...any) any {
	for _, p := range path {
		switch k := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[k]
		case int:
			l, _ := v.([]any)
			if k >= len(l) {
				return nil
			}
			v = l[k]
		}
	}
	return v
}

func TestResearchLinks(t *testing.T) {
	w := testView(t, "research")
	c := w.codec
	pat, _ := c.Pseudonym("study", "Patient", "1")
	ref := func(r string) any {
		return at(decode(t, apply(t, w, `{"resourceType":"Observation","status":"final","subject":{"reference":"`+r+`","display":"Jane"}}`)), "subject", "reference")
	}
	for in, want := range map[string]any{
		"Patient/1": "Patient/" + pat, "Patient/1/_history/7": "Patient/" + pat, "https://gw.example.org/r4/Patient/1": "https://gw.example.org/r4/Patient/" + pat,
		"http://up:9000/fhir/Patient/1": "https://gw.example.org/r4/Patient/" + pat, "#jane": "#c1", "http://other.example/Patient/1": nil,
		"Patient?identifier=1": nil, "Nothing/1": nil, "urn:x:1": nil, "Patient/1/../2": nil,
	} {
		if got := ref(in); got != want {
			t.Errorf("%s becomes %v, want %v", in, got, want)
		}
	}
	uuid, _ := c.UUID("study", "7c9e6679-7425-40de-944b-e07fc1f90ae7")
	if got := ref("urn:uuid:7c9e6679-7425-40de-944b-e07fc1f90ae7"); got != "urn:uuid:"+uuid {
		t.Errorf("urn:uuid becomes %v", got)
	}
	if got, _ := ref("urn:oid:1.2.840.999").(string); !strings.HasPrefix(got, "urn:oid:2.25.") {
		t.Errorf("urn:oid becomes %v", got)
	}
	doc := decode(t, apply(t, w, `{"resourceType":"Patient","id":"1","contained":[{"resourceType":"Organization","id":"org-jane"}],"managingOrganization":{"reference":"#org-jane"}}`))
	if at(doc, "id") != pat || at(doc, "contained", 0, "id") != "c1" || at(doc, "managingOrganization", "reference") != "#c1" {
		t.Errorf("contained: %v", doc)
	}
	// nobody takes a mapped identifier for a real one.
	doc = decode(t, apply(t, w, `{"resourceType":"Patient","id":"1","identifier":[{"system":"urn:mrn","value":"123"}]}`))
	if system, _ := at(doc, "identifier", 0, "system").(string); !strings.HasPrefix(system, pseudonymousSystem) {
		t.Errorf("identifier: %v", doc)
	}
}

// one offset per patient and domain; intervals and the age at admission
// come out right.
func TestDateShift(t *testing.T) {
	w := testView(t, "research")
	day := func(s any) time.Time {
		d, err := time.Parse("2006-01-02", s.(string)[:10])
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	enc := decode(t, apply(t, w, `{"resourceType":"Encounter","id":"e","status":"finished","subject":{"reference":"Patient/1"},"period":{"start":"2020-02-27T23:30:00-05:00","end":"2020-03-05T08:00:00-05:00"}}`))
	pat := decode(t, apply(t, w, `{"resourceType":"Patient","id":"1","birthDate":"1970-03-01"}`))
	start, end := at(enc, "period", "start").(string), at(enc, "period", "end").(string)
	if got := day(end).Sub(day(start)); got != 7*24*time.Hour || start[10:] != "" {
		t.Errorf("stay of %v from %s", got, start)
	}
	keeps := ruleView(t, "extends: research\nrules: [{path: nodesByType('dateTime'), method: dateShift, range: 180d, keep_time: true}]")
	kept := decode(t, apply(t, keeps, `{"resourceType":"Encounter","id":"e","status":"finished","subject":{"reference":"Patient/1"},"period":{"start":"2020-02-27T23:30:00-05:00"}}`))
	if got := at(kept, "period", "start"); got != start+"T23:30:00-05:00" {
		t.Errorf("keep_time: got %v, want %s with its time", got, start)
	}
	obs := decode(t, apply(t, w, `{"resourceType":"Observation","id":"o","status":"final","subject":{"reference":"Patient/1"},"code":{"coding":[{"code":"x"}]},"issued":"2020-02-27T23:30:01.123-05:00"}`))
	if at(obs, "issued") != start+"T00:00:00Z" { // an instant has a time
		t.Errorf("issued: %v", at(obs, "issued"))
	}
	if got := day(start).Sub(day(at(pat, "birthDate"))); got != time.Date(2020, 2, 27, 0, 0, 0, 0, time.UTC).Sub(time.Date(1970, 3, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("age at admission is off: %v", got)
	}
	if day(start).Equal(day("2020-02-27")) {
		t.Error("not shifted at all")
	}
	other := study
	other.Domain = "other"
	out, _ := w.Apply(nil, []byte(`{"resourceType":"Patient","id":"1","birthDate":"1970-03-01"}`), other)
	if at(decode(t, string(out)), "birthDate") == at(pat, "birthDate") {
		t.Error("two domains share an offset")
	}
	// Ruling 14, and dates that tell of an age above 89.
	nobody := study
	nobody.Patient = ""
	out, _ = w.Apply(nil, []byte(`{"resourceType":"Patient","id":"1","birthDate":"1970-03-01","deceasedDateTime":"1931-01-01","meta":{"lastUpdated":"2020-01-01T00:00:00Z"}}`), nobody)
	if m := decode(t, string(out)); at(m, "birthDate") != "1970" || at(m, "deceasedDateTime") != nil || at(m, "meta", "lastUpdated") != nil {
		t.Errorf("no patient: %s", out)
	}
}

func TestBundlesKeepTheirLinks(t *testing.T) {
	for _, use := range Shipped() {
		w := testView(t, use)
		const u1, u2 = "7c9e6679-7425-40de-944b-e07fc1f90ae7", "8c9e6679-7425-40de-944b-e07fc1f90ae7"
		doc := decode(t, apply(t, w, `{"resourceType":"Bundle","type":"transaction","entry":[
			{"fullUrl":"urn:uuid:`+u1+`","resource":{"resourceType":"Patient","id":"`+u1+`","birthDate":"1980-01-02"},"request":{"method":"POST","url":"Patient"}},
			{"fullUrl":"urn:uuid:`+u2+`","resource":{"resourceType":"Encounter","status":"finished","class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"AMB"},"subject":{"reference":"urn:uuid:`+u1+`"},"period":{"start":"1980-01-02"}},"request":{"method":"PUT","url":"Encounter/`+u2+`"}},
			{"resource":{"resourceType":"Binary","contentType":"application/pdf","data":"U0VDUkVU"}}]}`))
		if at(doc, "entry", 0, "fullUrl") == nil || at(doc, "entry", 0, "fullUrl") != at(doc, "entry", 1, "resource", "subject", "reference") {
			t.Errorf("%s: the link is lost: %v", use, doc)
		}
		if at(doc, "entry", 0, "request", "url") != "Patient" {
			t.Errorf("%s: what is created is lost: %v", use, doc)
		}
		if use != "safe-harbor" && at(doc, "entry", 0, "resource", "birthDate") != at(doc, "entry", 1, "resource", "period", "start") {
			t.Errorf("%s: one patient has two offsets: %v", use, doc)
		}
		if at(doc, "entry", 2, "resource", "data") != nil {
			t.Errorf("%s: Binary shows", use)
		}
	}
}

// the same record for two domains shares no string but codes.
func TestDomainsShareNothing(t *testing.T) {
	w := testView(t, "research")
	shown := map[string]string{}
	for _, domain := range []string{"a", "b"} {
		c := study
		c.Domain = domain
		out, err := w.Apply(nil, []byte(`{"resourceType":"Patient","id":"1","meta":{"versionId":"9"},"identifier":[{"system":"urn:mrn","value":"123"}],"generalPractitioner":[{"reference":"Practitioner/2"},{"reference":"urn:uuid:7c9e6679-7425-40de-944b-e07fc1f90ae7"},{"reference":"urn:oid:1.2.3"}],"birthDate":"1980-01-02"}`), c)
		if err != nil {
			t.Fatal(err)
		}
		shown[domain] = string(out)
	}
	a, b := decode(t, shown["a"]), decode(t, shown["b"])
	for _, p := range [][]any{{"id"}, {"meta", "versionId"}, {"identifier", 0, "system"}, {"identifier", 0, "value"}, {"generalPractitioner", 0, "reference"}, {"generalPractitioner", 1, "reference"}, {"generalPractitioner", 2, "reference"}, {"birthDate"}} {
		if x, y := at(a, p...), at(b, p...); x == nil || x == y {
			t.Errorf("%v: %v and %v", p, x, y)
		}
	}
}

func TestPerturbRepeats(t *testing.T) {
	w := ruleView(t, "rules: [{path: Observation.value.value, method: perturb, span: 10, round_to: 1}, {path: Observation, method: keep}]\n")
	doc := `{"resourceType":"Observation","id":"1","valueQuantity":{"value":100.0}}`
	first := apply(t, w, doc)
	v, _ := at(decode(t, first), "valueQuantity", "value").(float64)
	if v < 95 || v > 105 || first != apply(t, w, doc) {
		t.Errorf("perturbed to %v", v)
	}
}

func testViewWith(t *testing.T, use string, c *Codec) *View {
	w := *testView(t, use)
	w.codec = c
	return &w
}

// An element survives an overlay only if both views keep it, and nothing is
// mapped twice.
func TestOverlay(t *testing.T) {
	research := testView(t, "research")
	noCodes := ruleView(t, "default: keep\nrules: [{path: nodesByType('Coding'), method: redact}, {path: Resource.id, method: pseudonymize}]\n")
	noCodes.codec = research.codec
	doc := `{"resourceType":"Observation","id":"1","status":"final","subject":{"reference":"Patient/1"},"effectiveDateTime":"2020-02-01","code":{"coding":[{"system":"http://loinc.org","code":"1-8"}]},"valueString":"x"}`
	once := decode(t, apply(t, research, doc))
	for name, w := range map[string]*View{"over": research.Overlay(noCodes), "under": noCodes.Overlay(research), "thrice": research.Overlay(testViewWith(t, "limited", research.codec)).Overlay(noCodes)} {
		got := decode(t, apply(t, w, doc))
		if at(got, "id") != at(once, "id") || at(got, "status") != "final" || at(got, "code", "coding") != nil || at(got, "valueString") != nil {
			t.Errorf("%s: %v", name, got)
		}
		if name != "under" && (at(got, "subject", "reference") != at(once, "subject", "reference") || at(got, "effectiveDateTime") != at(once, "effectiveDateTime")) {
			t.Errorf("%s: mapped twice: %v", name, got)
		}
	}
}

func TestScrub(t *testing.T) {
	w := ruleView(t, "rules: [{path: Observation.note.text, method: scrub}]\n")
	c := study
	c.Known = []string{"Chalmers"}
	out, err := w.Apply(nil, []byte(`{"resourceType":"Observation","note":[{"text":"CHALMERS, 555-123-4567, a@b.org, seen 2020-01-02, MRN 12345678, well"}]}`), c)
	if err != nil || at(decode(t, string(out)), "note", 0, "text") != "***, ***, ***, seen ***, MRN ***, well" {
		t.Errorf("%s %v", out, err)
	}
}

// The document's own names and numbers are known.
func TestScrubKnowsWhoItIsAbout(t *testing.T) {
	w := ruleView(t, "default: keep\nrules: [{path: nodesByType('Annotation').text, method: scrub}]\n")
	for doc, want := range map[string]string{
		`{"resourceType":"Observation","subject":{"display":"Jim Chalmers"},"note":[{"text":"jim CHALMERS is well"}]}`:                                                                                                                                                                 "*** *** is well",
		`{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","name":[{"family":"Duck","given":["Dagobert"]}],"identifier":[{"value":"A77X"}]}},{"resource":{"resourceType":"Observation","note":[{"text":"Dagobert Duck (a77x) is well"}]}}]}`: "*** *** (***) is well",
	} {
		if got := apply(t, w, doc); !strings.Contains(got, `"text":"`+want+`"`) {
			t.Errorf("%s\n got %s\nwant %s", doc, got, want)
		}
	}
}

func TestDeid(t *testing.T) {
	w := testView(t, "research")
	c := Context{Domain: "study"}
	one := `{"resourceType":"Patient","id":"1","name":[{"family":"F"}],"birthDate":"1980-01-02"}`
	for name, in := range map[string]string{"line": one, "lines": one + "\n" + one + "\n", "pretty": "\ufeff{\n\"resourceType\":\"Patient\",\n\"id\":\"1\",\"name\":[{\"family\":\"F\"}]}\n"} {
		var out bytes.Buffer
		if err := w.Deid(&out, strings.NewReader(in), c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if strings.Contains(out.String(), "family") || name == "lines" && strings.Count(out.String(), "\n") != 2 || !strings.Contains(out.String(), "PSEUDED") {
			t.Errorf("%s: %s", name, out.String())
		}
	}
	var out bytes.Buffer
	if err := w.Deid(&out, strings.NewReader(one+"\n{\"resourceType\":\"Patient\"\n"), c); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("broken line: %v", err)
	}
}

// Whatever comes in, what goes out is one JSON document of the same type, or
// nothing.
func FuzzApply(f *testing.F) {
	f.Add(`{"resourceType":"Patient","id":"1","name":[{"given":["A","B"],"_given":[null,{"id":"x"}]}],"meta":{"security":[]},"text":{"status":"generated"}}`)
	f.Add(`{"resourceType":"Bundle","type":"batch","entry":[{"fullUrl":"urn:uuid:7c9e6679-7425-40de-944b-e07fc1f90ae7","resource":{"resourceType":"Observation","status":"final","valueQuantity":{"value":1e400,"unit":"a"}}}]}`)
	f.Add(`{"resourceType":"Observation","meta":{},"extension":[{"url":"ombCategory","valueCoding":{"system":"http://loinc.org","code":"x"}},{}],"contained":[{"resourceType":"Patient"},[],null,1],"effectiveDateTime":"2020-02-30"}`)
	var views []*View
	for _, use := range Shipped() {
		views = append(views, testView(f, use))
	}
	f.Fuzz(func(t *testing.T, doc string) {
		for _, w := range views {
			out, err := w.Apply([]byte("head"), []byte(doc), study)
			if err != nil {
				if string(out) != "head" {
					t.Fatalf("error, but something is shown: %s", out)
				}
				continue
			}
			var tree wire.Tree
			if err := tree.Parse(out[4:]); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if _, err := w.Apply(nil, out[4:], study); err != nil && !strings.Contains(err.Error(), "pseudonym") {
				t.Fatalf("what a view made another cannot read: %v: %s", err, out)
			}
		}
	})
}

// the age bound goes by what is shown: on which day a date disappears, and which
// dates that a writer chooses are shown, tells nothing of the patient's offset; and
// nobody over the bound is shown.
func TestAgeBoundTellsNoOffset(t *testing.T) {
	w := ruleView(t, "rules: [{path: Patient.birthDate, method: dateShift, range: 180d, max_age: 89}]\n")
	today := time.Date(2026, 6, 15, 0, 0, 0, 0, time.UTC)
	w.now = func() time.Time { return today }
	firstShown := map[string]bool{}
	for n := range 6 {
		c, first := study, ""
		c.Patient = fmt.Sprintf("Patient/%d", n)
		for day := today.AddDate(-91, 0, 0); first == ""; day = day.AddDate(0, 0, 1) {
			out, err := w.Apply(nil, []byte(`{"resourceType":"Patient","birthDate":"`+day.Format(time.DateOnly)+`"}`), c)
			if err != nil {
				t.Fatal(err)
			}
			first, _ = at(decode(t, string(out)), "birthDate").(string)
			if first != "" && !day.AddDate(90, 0, 0).After(today) {
				t.Errorf("%s is shown as %s", day.Format(time.DateOnly), first)
			}
		}
		firstShown[first] = true
	}
	if len(firstShown) != 1 {
		t.Errorf("the first dates that are shown differ by patient: %v", firstShown)
	}
}
