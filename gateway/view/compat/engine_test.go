package compat

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"gatehouse/fhir"
)

// A tag as the tools write it.
func tag(code string) string {
	for _, t := range tags {
		if t.code == code {
			system := ""
			if t.system != "" {
				system = `"system":"` + t.system + `",`
			}
			return fmt.Sprintf(`{%s"code":"%s","display":"%s"}`, system, code, t.display)
		}
	}
	return code
}

func security(codes ...string) string {
	for i := range codes {
		codes[i] = tag(codes[i])
	}
	return `"security":[` + strings.Join(codes, ",") + `]`
}

const keyed = `"cryptoHashKey":"k","dateShiftKey":"k","encryptKey":"0123456789abcdef"`

// D5 and D9: what is left, byte for byte.
func TestRules(t *testing.T) {
	h := (&params{hashKey: "k"}).hash
	redacted := `"meta":{` + security("REDACTED") + `}`
	for _, c := range []struct{ name, tool, rules, parameters, in, want string }{
		{"nothing matches", Microsoft, `{"path":"Observation.id","method":"cryptoHash"}`, keyed,
			`{"resourceType":"Patient", "id":"p","multipleBirthInteger":1}`, `{"resourceType":"Patient","id":"p","multipleBirthInteger":1}`},
		{"keep leaves no tag", Microsoft, `{"path":"Patient","method":"keep"},{"path":"Patient.id","method":"redact"}`, keyed,
			`{"resourceType":"Patient","id":"p"}`, `{"resourceType":"Patient","id":"p"}`},
		{"first rule wins, for all below", Microsoft, `{"path":"nodesByType('HumanName').use","method":"keep"},{"path":"Patient.name","method":"redact"},{"path":"Patient.name.use","method":"redact"}`, keyed,
			`{"resourceType":"Patient","name":[{"use":"official","family":"F","_family":{"extension":[{"url":"u","valueString":"v"}]}},{"given":["G"]}]}`,
			`{"resourceType":"Patient",` + redacted + `,"name":[{"use":"official"}]}`},
		{"numbers keep their text", Microsoft, `{"path":"Observation.id","method":"redact"}`, keyed,
			`{"resourceType":"Observation","id":"o","valueQuantity":{"value":1.50},"component":[{"valueQuantity":{"value":1.0e1}}]}`,
			`{"resourceType":"Observation",` + redacted + `,"valueQuantity":{"value":1.50},"component":[{"valueQuantity":{"value":1.0e1}}]}`},
		{"lists of primitives stay in step", Microsoft, `{"path":"Patient.name.given.where($this='b')","method":"redact"}`, keyed,
			`{"resourceType":"Patient","name":[{"given":["a","b",null],"_given":[null,{"id":"x"},{"id":"y"}]}]}`,
			`{"resourceType":"Patient",` + redacted + `,"name":[{"given":["a",null],"_given":[null,{"id":"y"}]}]}`},
		{"partial", Microsoft, `{"path":"Patient.address","method":"redact"},{"path":"Patient.birthDate","method":"redact"}`,
			`"enablePartialZipCodesForRedact":true,"enablePartialDatesForRedact":true,"restrictedZipCodeTabulationAreas":["203"]`,
			`{"resourceType":"Patient","birthDate":"2001-02-03","address":[{"postalCode":"98028-1830"},{"postalCode":"20301-1830"},{"postalCode":"12"}]}`,
			`{"resourceType":"Patient","meta":{` + security("REDACTED", "ABSTRED") + `},"birthDate":"2001","address":[{"postalCode":"98000-0000"},{"postalCode":"00000-0000"},{"postalCode":"12"}]}`},
		{"ages", Microsoft, `{"path":"nodesByType('Age')","method":"redact"}`, `"enablePartialAgesForRedact":true`,
			`{"resourceType":"Condition","onsetAge":{"value":89.5,"unit":"a"},"abatementAge":{"value":90}}`,
			`{"resourceType":"Condition",` + redacted + `,"onsetAge":{"value":89.5}}`},
		{"an instant is no year", Microsoft, `{"path":"Observation.issued","method":"redact"}`, `"enablePartialDatesForRedact":true`,
			`{"resourceType":"Observation","issued":"2015-02-07T13:28:17.239+02:00"}`,
			`{"resourceType":"Observation",` + redacted + `,"_issued":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"masked"}]}}`},
		{"choices by their base name, and by type", Microsoft, `{"path":"FamilyMemberHistory.condition.onset as Age","method":"redact"},{"path":"FamilyMemberHistory.condition.onset","method":"keep"}`, keyed,
			`{"resourceType":"FamilyMemberHistory","condition":[{"onsetAge":{"value":3}},{"onsetString":"three"}]}`,
			`{"resourceType":"FamilyMemberHistory",` + redacted + `,"condition":[{"onsetString":"three"}]}`},
		{"resources inside are their own", Microsoft, `{"path":"Practitioner.id","method":"cryptoHash"},{"path":"nodesByType('HumanName')","method":"redact"}`, keyed,
			`{"resourceType":"Condition","contained":[{"resourceType":"Practitioner","id":"p1","name":[{"family":"F"}]}]}`,
			`{"resourceType":"Condition","meta":{` + security("REDACTED", "CRYTOHASH") + `},"contained":[{"resourceType":"Practitioner","id":"` + h("p1") + `"}]}`},
		{"tags are kept, added once, in order", Microsoft, `{"path":"Patient.id","method":"cryptoHash"},{"path":"Patient.gender","method":"redact"}`, keyed,
			`{"resourceType":"Patient","id":"p","meta":{"security":[{"code":"redacted"}],"versionId":"1"},"gender":"male"}`,
			`{"resourceType":"Patient","id":"` + h("p") + `","meta":{"security":[{"code":"redacted"},` + tag("CRYTOHASH") + `],"versionId":"1"}}`},
		{"extensions of primitives", Microsoft, `{"path":"nodesByType('Extension').where(url='u').value","method":"redact"}`, keyed,
			`{"resourceType":"Patient","birthDate":"2001-02-03","_birthDate":{"extension":[{"url":"u","valueString":"s"},{"url":"w","valueString":"s"}]},"_gender":{"extension":[{"url":"u","valueString":"s"}]}}`,
			`{"resourceType":"Patient",` + redacted + `,"birthDate":"2001-02-03","_birthDate":{"extension":[{"url":"u"},{"url":"w","valueString":"s"}]},"_gender":{"extension":[{"url":"u"}]}}`},
		{"later rules see what the earlier left", Microsoft, `{"path":"Patient.id","method":"cryptoHash"},{"path":"Patient.where(id='p').gender","method":"redact"}`, keyed,
			`{"resourceType":"Patient","id":"p","gender":"male"}`, `{"resourceType":"Patient","id":"` + h("p") + `","meta":{` + security("CRYTOHASH") + `},"gender":"male"}`},
		{"type names are exact", Microsoft, `{"path":"nodesByType('humanname')","method":"redact"}`, keyed,
			`{"resourceType":"Patient","name":[{"family":"F"}]}`, `{"resourceType":"Patient","name":[{"family":"F"}]}`},
		{"chained", Microsoft, `{"path":"Patient.contact.nodesByType('Address').nodesByName('city')","method":"redact"}`, keyed,
			`{"resourceType":"Patient","address":[{"city":"A"}],"contact":[{"address":{"city":"B","state":"S"}}]}`,
			`{"resourceType":"Patient",` + redacted + `,"address":[{"city":"A"}],"contact":[{"address":{"state":"S"}}]}`},
		{"booleans are hashed as .NET writes them", Microsoft, `{"path":"Patient.active","method":"cryptoHash"}`, keyed,
			`{"resourceType":"Patient","active":true}`, `{"resourceType":"Patient","meta":{` + security("CRYTOHASH") + `},"active":"` + h("True") + `"}`},
		{"truncated", Miracum, `{"path":"Patient.id","method":"cryptoHash","truncateToMaxLength":8}`, keyed,
			`{"resourceType":"Patient","id":"p"}`, `{"resourceType":"Patient","id":"` + h("p")[:8] + `","meta":{` + security("CRYTOHASH") + `}}`},
		{"removed with the resources inside", Miracum, `{"path":"Bundle.entry.where(resource is Patient)","method":"remove"}`, keyed,
			`{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient","id":"p"}},{"resource":{"resourceType":"Encounter","id":"e"}}]}`,
			`{"resourceType":"Bundle",` + redacted + `,"entry":[{"resource":{"resourceType":"Encounter","id":"e"}}]}`},
		{"unknown elements go", Microsoft, `{"path":"Observation","method":"keep"}`, keyed,
			`{"resourceType":"Patient","nickname":"N","id":"p"}`, `{"resourceType":"Patient","id":"p",` + redacted + `}`},
	} {
		if got := apply(t, load(t, c.tool, c.rules, c.parameters), c.in); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

// D12: the same text has the same pseudonym in a domain, in references too.
func TestPseudonymize(t *testing.T) {
	e := load(t, Miracum, `{"path":"Patient.id","method":"pseudonymize"},{"path":"nodesByType('Reference').reference","method":"pseudonymize"},
		{"path":"nodesByType('Identifier').value","method":"pseudonymize","namespace":"MRN","namespace-prefix":"x-"}`, ``)
	p := func(label, text string) string {
		s, _ := fakeKeys{}.Pseudonym("compat", "miracum:"+label, text)
		return s
	}
	got := apply(t, e, `{"resourceType":"Patient","id":"1","identifier":[{"value":"A 7"}],"link":[{"other":{"reference":"Patient/1"}}]}`)
	for _, want := range []string{`"id":"` + p("Patient", "1"), `"reference":"Patient/` + p("Patient", "1") + `"`, `"value":"` + p("x-MRN", "A 7"), tag("PSEUDED")} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
}

// D7: what is decided stays, the rest is as the replacement has it.
func TestSubstitute(t *testing.T) {
	for _, c := range []struct{ rules, in, want string }{
		{`{"path":"Patient.gender","method":"substitute","replaceWith":"other"}`, `"gender":"male"`, `"gender":"other"`},
		{`{"path":"Patient.active","method":"substitute","replaceWith":"false"}`, `"active":true`, `"active":false`},
		{`{"path":"Patient.gender","method":"substitute","replaceWith":null}`, `"gender":"male"`, ``},
		{`{"path":"Patient.address","method":"substitute","replaceWith":{"city":"X","line":["1","2"]}}`, `"address":[{"city":"C","state":"S","line":["L"]}]`, `"address":[{"city":"X","line":["1","2"]}]`},
		{`{"path":"Patient.address.state","method":"keep"},{"path":"Patient.address","method":"substitute","replaceWith":"{\"city\":\"X\",\"state\":\"Y\"}"}`,
			`"address":[{"city":"C","state":"S","period":{"start":"2000"}},{"line":["L"]}]`, `"address":[{"city":"X","state":"S"},{"city":"X","state":"Y"}]`},
		{`{"path":"Patient.contact.address.city","method":"keep"},{"path":"Patient.contact","method":"substitute","replaceWith":{"gender":"other"}}`,
			`"contact":[{"gender":"male","name":{"family":"F"},"address":{"city":"C","state":"S"}}]`, `"contact":[{"gender":"other","address":{"city":"C"}}]`},
	} {
		got := apply(t, load(t, Microsoft, c.rules, ``), `{"resourceType":"Patient",`+c.in+`}`)
		want := strings.TrimSuffix(`{"resourceType":"Patient","meta":{`+security("SUBSTITUTED")+`},`+c.want, ",") + "}"
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", c.rules, got, want)
		}
	}
}

// D8: cases in order, with the expressions that such files have.
func TestGeneralize(t *testing.T) {
	for _, c := range []struct{ cases, more, in, want string }{
		{`"$this >= 0 and $this < 20":"20","true":"$this div 10 * 10"`, ``, `"multipleBirthInteger":37`, `"multipleBirthInteger":30`},
		{`"$this in ('a' | 'b')":"'ab'"`, ``, `"language":"b"`, `"language":"ab"`},
		{`"$this in ('a' | 'b')":"'ab'"`, ``, `"language":"c"`, ``},
		{`"$this in ('a' | 'b')":"'ab'"`, `,"otherValues":"keep"`, `"language":"c"`, `"language":"c"`},
		{`"$this < @1990-01-01":"@1990"`, ``, `"birthDate":"1970-05-17"`, `"birthDate":"1990"`},
		{`"$this.matches('^\\d{4}-\\d\\d-\\d\\d$')":"$this.toString().replaceMatches('(?<year>\\d{4})-(?<month>\\d{2})-(?<day>\\d{2})\\b', '${year}-${month}')"`, ``,
			`"birthDate":"1970-05-17"`, `"birthDate":"1970-05"`},
		{`"true":"$this.toString().substring(0,4)"`, ``, `"birthDate":"1970-05-17"`, `"birthDate":"1970"`},
	} {
		rules := `{"path":"Patient.multipleBirth | Patient.language | Patient.birthDate","method":"generalize","cases":{` + c.cases + `}` + c.more + `}`
		got := apply(t, load(t, Microsoft, rules, ``), `{"resourceType":"Patient",`+c.in+`}`)
		want := strings.TrimSuffix(`{"resourceType":"Patient","meta":{`+security("GENERALIZED")+`},`+c.want, ",") + "}"
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", c.cases, got, want)
		}
	}
}

// D6: within the range, of the right kind, and the same each time.
func TestPerturb(t *testing.T) {
	value := func(e *Engine, doc, member string) float64 {
		got := apply(t, e, doc)
		_, rest, ok := strings.Cut(got, `"`+member+`":`)
		v, err := strconv.ParseFloat(rest[:strings.IndexAny(rest, ",}")], 64)
		if !ok || err != nil || !strings.Contains(got, "PERTURBED") {
			t.Fatalf("%s %v", got, err)
		}
		return v
	}
	e := load(t, Microsoft, `{"path":"Observation.value","method":"perturb","span":"10","roundTo":1},{"path":"Patient.multipleBirth","method":"perturb","span":4,"rangeType":"Proportional"}`, ``)
	seen := map[float64]bool{}
	for i := range 50 {
		doc := fmt.Sprintf(`{"resourceType":"Observation","id":"o%d","valueQuantity":{"value":100.0,"unit":"mg"}}`, i)
		v := value(e, doc, "value")
		if v < 95 || v > 105 || v != math.Round(v*10)/10 || v != value(e, doc, "value") {
			t.Errorf("got %v", v)
		}
		seen[v] = true
		if n := value(e, fmt.Sprintf(`{"resourceType":"Patient","id":"p%d","multipleBirthInteger":10}`, i), "multipleBirthInteger"); n < -10 || n > 30 || n != math.Trunc(n) {
			t.Errorf("got %v", n)
		}
	}
	if len(seen) < 20 {
		t.Errorf("%d values of 50", len(seen))
	}
	for typ, want := range map[string]string{"positiveInt": "1", "unsignedInt": "0", "integer": "-3"} {
		if got := atLeast(typ, "-3"); got != want {
			t.Errorf("%s: got %s", typ, got)
		}
	}
	for text, want := range map[string]string{"2.5": "2", "3.5": "4", "-2.5": "-2", "2.51": "3", "-0.4": "0"} {
		v, _ := rat(text)
		if got := round(v, 0); got != want {
			t.Errorf("round %s: got %s, want %s", text, got, want)
		}
	}
}

// A rule that fails shows nothing of the resource.
func TestFailure(t *testing.T) {
	const rules = `{"path":"Patient.name","method":"generalize","cases":{"true":"1"}}`
	const doc = `{"resourceType":"Patient","id":"p","name":[{"family":"Adams"}]}`
	raise := load(t, Microsoft, rules, ``)
	if got, err := raise.Apply([]byte("x"), []byte(doc), Context{}); !errors.Is(err, ErrRule) || string(got) != "x" || strings.Contains(err.Error(), "Adams") {
		t.Errorf("raise: %s %v", got, err)
	}
	skip, err := Load(Microsoft, "rules", []byte(`{"processingErrors":"Skip","fhirPathRules":[`+rules+`]}`), Options{Version: fhir.R4})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := apply(t, skip, doc), `{"resourceType":"Patient","meta":{`+security("REDACTED")+`}}`; got != want {
		t.Errorf("skip: %s", got)
	}
	for _, bad := range []string{`{"resourceType":"Foo"}`, `{}`, `[]`, `{"resourceType":"Patient","name":"x"}`, `{"resourceType":"Patient","gender":{}}`, `{"resourceType":"Patient","id":"a","id":"b"}`, ``} {
		if got, err := skip.Apply(nil, []byte(bad), Context{}); err == nil {
			t.Errorf("%s: no error but %s", bad, got)
		}
	}
}
