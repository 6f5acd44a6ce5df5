package compat

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"gatehouse/fhir"
)

var today = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// load makes an engine of rules and parameters, given as members of JSON.
func load(t *testing.T, tool, rules, parameters string) *Engine {
	t.Helper()
	// JSON, which is YAML too.
	file := `{"fhirVersion": "R4", "fhirPathRules": [` + rules + `], "parameters": {` + parameters + `}}`
	e, err := Load(tool, "rules", []byte(file), Options{Version: fhir.R4, Now: func() time.Time { return today }, Keys: fakeKeys{}})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func apply(t *testing.T, e *Engine, doc string) string {
	t.Helper()
	got, err := e.Apply(nil, []byte(doc), Context{})
	if err != nil {
		t.Fatalf("%s: %v", doc, err)
	}
	return string(got)
}

// fakeKeys stand for those of the house.
type fakeKeys struct{}

func (fakeKeys) Pseudonym(domain, label, text string) (string, error) {
	return "P." + hex.EncodeToString([]byte(domain+"|"+label+"|"+text)), nil
}

func (fakeKeys) MAC(domain, label, text string) ([]byte, error) {
	return hex.DecodeString((&params{hashKey: domain}).hash(label + text))
}

// D1, D12: HMAC-SHA256 as both tools write it, BLAKE3 and derived keys.
func TestHash(t *testing.T) {
	for _, c := range []struct{ tool, parameters, text, want string }{
		{Microsoft, `"cryptoHashKey":"123"`, "example", "698d54f0494528a759f19c8e87a9f99e75a5881b9267ee3926bcf62c992d84ba"},
		{Miracum, `"cryptoHashKey":"fhir-pseudonymizer"`, "example", "a43d05b5…c072ed"},
		{Miracum, `"cryptoHashKey":"fhir-pseudonymizer"`, "pid.999", "16d9c09730b9ba1c0b8d5c33a990de91…"},
		{Miracum, `"cryptoHashKey":"fhir-pseudonymizer"`, "cid.106", "751c28c3f6689d5cbdafa0379fedbe6d…"},
		{Miracum, `"cryptoHashKey":"fhir-pseudonymizer","cryptoHashAlgorithm":"Blake3"`, "example", "ca4176e8…4d2ae"},
		{Miracum, `"cryptoHashKey":"a-shared-master-key","keyDerivationContext":"project-a"`, "example", "146d6ef2ddd00563…3a004"},
		{Microsoft, `"cryptoHashKey":"123"`, "", ""},
	} {
		e := load(t, c.tool, `{"path":"Patient.id","method":"CRYPTOHASH"}`, c.parameters)
		got := e.params.hash(c.text)
		head, tail, _ := strings.Cut(c.want, "…")
		if !strings.HasPrefix(got, head) || !strings.HasSuffix(got, tail) || len(got) != len(c.want) && !strings.Contains(c.want, "…") {
			t.Errorf("%s %s %q: got %s, want %s", c.tool, c.parameters, c.text, got, c.want)
		}
	}
	e := load(t, Miracum, `{"path":"Patient.id","method":"cryptoHash"}`, `"cryptoHashKey":"a-shared-master-key","keyDerivationContext":"project-a"`)
	if k := e.params.hashKey; !strings.HasPrefix(k, "c54e5f4a") || !strings.HasSuffix(k, "d476cc") {
		t.Errorf("derived key %s", k)
	}
}

// D2: of a reference its id is replaced, of anything else all.
func TestReferences(t *testing.T) {
	h := func(s string) string { return (&params{hashKey: "k"}).hash(s) }
	e := map[string]*Engine{}
	for _, tool := range []string{Microsoft, Miracum} {
		e[tool] = load(t, tool, `{"path":"Observation.subject.reference","method":"cryptoHash"},{"path":"Bundle.link.url","method":"cryptoHash"}`, `"cryptoHashKey":"k"`)
	}
	const uuid = "C757873D-EC9A-4326-A141-556F43239520"
	for _, c := range []struct{ tool, ref, want string }{
		{Microsoft, "Patient/123", "Patient/" + h("123")},
		{Microsoft, "http://fhir.org/base/Patient/1/_history/2", "http://fhir.org/base/Patient/" + h("1") + "/_history/2"},
		{Microsoft, "https://a-b.org/Patient/1", h("https://a-b.org/Patient/1")}, // its pattern has no hyphen
		{Microsoft, "#p1", "#" + h("p1")},
		{Microsoft, "#", "#"},
		{Microsoft, "urn:uuid:" + uuid, "urn:uuid:" + h(uuid)},
		{Microsoft, "urn:oid:1.2.3", "urn:oid:" + h("1.2.3")},
		{Microsoft, "Unknown/1", h("Unknown/1")},
		{Microsoft, "Patient?identifier=http://s|7", h("Patient?identifier=http://s|7")},
		{Miracum, "Patient?identifier=http://s-1|7", "Patient?identifier=http://s-1|" + h("7")},
		{Miracum, "identifier=7", "identifier=" + h("7")},
	} {
		got := apply(t, e[c.tool], `{"resourceType":"Observation","subject":{"reference":"`+c.ref+`"}}`)
		if !strings.Contains(got, `"reference":"`+c.want+`"`) {
			t.Errorf("%s %s: got %s", c.tool, c.ref, got)
		}
	}
	const link = `{"resourceType":"Bundle","link":[{"relation":"self","url":"Patient/1"}]}`
	if got := apply(t, e[Microsoft], link); !strings.Contains(got, `"url":"`+h("Patient/1")+`"`) {
		t.Errorf("microsoft uri: %s", got)
	}
	if got := apply(t, e[Miracum], link); !strings.Contains(got, `"url":"Patient/`+h("1")+`"`) {
		t.Errorf("miracum uri: %s", got)
	}
}

// D3: offsets, time zones and precision.
func TestDateShift(t *testing.T) {
	for _, c := range []struct {
		text string
		want int
	}{
		{"dummy", -21}, {"example123", 41},
		{"698d54f0494528a759f19c8e87a9f99e75a5881b9267ee3926bcf62c992d84ba123", -20}, {(&params{hashKey: "123"}).hash("lipid") + "123", -11},
	} {
		if got := dayOffset(c.text); got != c.want {
			t.Errorf("%s: got %d, want %d", c.text, got, c.want)
		}
	}
	for _, c := range []struct{ parameters, member, want string }{
		{``, `"deceasedDateTime":"2015-02-07T13:28:17.12345-05:00"`, `"deceasedDateTime":"2015-01-17T00:00:00.00000-05:00"`},
		{``, `"deceasedDateTime":"2015-02-07T01:28:17+14:00"`, `"deceasedDateTime":"2015-01-17T00:00:00+14:00"`},
		{``, `"deceasedDateTime":"2015-02-07T13:28:17Z"`, `"deceasedDateTime":"2015-01-17T00:00:00Z"`},
		{``, `"birthDate":"2015-02-07"`, `"birthDate":"2015-01-17"`},
		{``, `"birthDate":"2015-02"`, ``},
		{`,"enablePartialDatesForRedact":true`, `"birthDate":"2015-02"`, `"birthDate":"2015"`},
		{`,"enablePartialDatesForRedact":true`, `"birthDate":"1936-11-21"`, ``},
		{`,"enablePartialDatesForRedact":true`, `"birthDate":"1936-11-22"`, `"birthDate":"1936-11-01"`},
		{`,"enablePartialDatesForRedact":true`, `"birthDate":"1936-11"`, ``},
		{`,"enablePartialDatesForRedact":true`, `"birthDate":"2015-02-30"`, ``},
		{`,"enablePartialDatesForRedact":true`, `"birthDate":"last spring"`, ``},
		{`,"dateShiftFixedOffsetInDays":3`, `"birthDate":"2015-12-30"`, `"birthDate":"2016-01-02"`},
	} {
		e := load(t, Microsoft, `{"path":"nodesByType('date')","method":"dateShift"},{"path":"nodesByType('dateTime')","method":"dateshift"}`, `"dateShiftKey":"dummy"`+c.parameters)
		got := apply(t, e, `{"resourceType":"Patient",`+c.member+`}`)
		_, got, _ = strings.Cut(got, `}]}`)
		if want := strings.TrimSuffix(","+c.want, ",") + "}"; got != want {
			t.Errorf("%s %s: got %s, want %s", c.parameters, c.member, got, want)
		}
	}
}

// D3: what the offset is made from.
func TestDateShiftScope(t *testing.T) {
	const doc = `{"resourceType":"Bundle","id":"b","entry":[{"resource":{"resourceType":"Patient","id":"p","birthDate":"2000-01-01"}}]}`
	for _, c := range []struct{ scope, source, prefix string }{
		{"resource", "/in/f.json", "b"}, {"file", "/in/f.json", "f.json"}, {"Folder", "/data/in/f.json", "in"}, {"file", "", "b"},
	} {
		e := load(t, Microsoft, `{"path":"nodesByType('date')","method":"dateShift"}`, `"dateShiftKey":"k","dateShiftScope":"`+c.scope+`"`)
		got, err := e.Apply(nil, []byte(doc), Context{Source: c.source})
		want := time.Date(2000, 1, 1+dayOffset(c.prefix+"k"), 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
		if err != nil || !strings.Contains(string(got), want) {
			t.Errorf("%s %s: got %s %v, want %s", c.scope, c.source, got, err, want)
		}
	}
}

// D4: what the tools decrypt.
func TestEncrypt(t *testing.T) {
	const key = "704ab12c8e3e46d4bea600ef62a6bec7"
	vector, _ := base64.StdEncoding.DecodeString("qpxGp6T9DP7wB0EYPQwOYVrScQ/pq3c0D+JQ+hjnfkY=")
	if got := decrypt(t, key, vector); got != "abc" {
		t.Fatalf("the tool's own vector: %q", got)
	}
	for _, tool := range []string{Microsoft, Miracum} {
		e := load(t, tool, `{"path":"Patient.id","method":"encrypt"}`, `"encryptKey":"`+key+`"`)
		seen := map[string]bool{}
		for _, text := range []string{"abc", "abc", "0123456789abcdef", "ünï"} {
			n := leaf("id", "id", text)
			if _, err := (&run{Engine: e}).encrypt(n); err != nil {
				t.Fatal(err)
			}
			sealed, err := base64.StdEncoding.DecodeString(n.text())
			if tool == Miracum {
				sealed, err = hex.DecodeString(n.text())
				if n.text() != strings.ToUpper(n.text()) {
					t.Errorf("not upper case: %s", n.text())
				}
			}
			if got := decrypt(t, key, sealed); err != nil || got != text || seen[n.text()] {
				t.Errorf("%s %q: got %q %v", tool, text, got, err)
			}
			seen[n.text()] = true
		}
	}
}

func decrypt(t *testing.T, key string, sealed []byte) string {
	t.Helper()
	block, err := aes.NewCipher([]byte(key))
	if err != nil || len(sealed) < 32 || len(sealed)%16 != 0 {
		t.Fatalf("%d bytes: %v", len(sealed), err)
	}
	plain := make([]byte, len(sealed)-16)
	cipher.NewCBCDecrypter(block, sealed[:16]).CryptBlocks(plain, sealed[16:])
	return string(plain[:len(plain)-int(plain[len(plain)-1])])
}
