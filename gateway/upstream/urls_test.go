package upstream

import (
	"strings"
	"testing"

	"gatehouse/config"
	"gatehouse/fhir/wire"
)

func TestPublicAndBelow(t *testing.T) { // H-04, H-10, G-02
	u := open(t, "http://ehr.local:80/fhir", func(c *config.Upstream) {
		c.ParsedAliases = append(c.ParsedAliases, mustURL(t, "https://ehr.hospital.org/api/r4"))
	})
	for _, tt := range []struct{ url, public, below string }{
		{"http://ehr.local/fhir/Patient/1", "https://fhir.example.org/r4/Patient/1", "Patient/1"},
		{"HTTP://EHR.LOCAL:80/fhir/Patient/1", "https://fhir.example.org/r4/Patient/1", "Patient/1"},
		{"http://ehr.local/fhir", "https://fhir.example.org/r4", ""},
		{"http://ehr.local/fhir/", "https://fhir.example.org/r4/", ""},
		{"http://ehr.local/fhir?_getpages=a&_count=5", "https://fhir.example.org/r4?_getpages=a&_count=5", "?_getpages=a&_count=5"},
		{"http://ehr.local/fhir/Patient?name=a|b c", "https://fhir.example.org/r4/Patient?name=a|b c", "Patient?name=a|b%20c"},
		{"https://ehr.hospital.org/api/r4/Patient/1/_history/2", "https://fhir.example.org/r4/Patient/1/_history/2", "Patient/1/_history/2"},
		{"Patient?page=2", "-", "Patient?page=2"},
		{"?page=2", "-", "?page=2"},
		{"/fhir/Patient?page=2", "-", "Patient?page=2"},
		{"/admin", "-", "-"},
		{"https://ehr.local/fhir/Patient/1", "-", "-"}, // another scheme is another server
		{"http://ehr.local:8080/fhir/Patient/1", "-", "-"},
		{"http://ehr.local.evil/fhir/Patient/1", "-", "-"},
		{"http://ehr.local@evil/fhir/Patient/1", "-", "-"},
		{"http://user@ehr.local/fhir/Patient/1", "-", "-"},
		{"http://ehr.local/fhirx/Patient/1", "-", "-"},
		{"http://ehr.local/fhir/../admin", "-", "-"},
		{"http://ehr.local/fhir/%2e%2e/admin", "-", "-"},
		{"http://ehr.local/fhir/%2E./admin", "-", "-"},
		{"//ehr.local/fhir/Patient/1", "-", "-"},
		{"//evil/fhir", "-", "-"},
		{"../admin", "-", "-"},
		{"http:ehr.local/fhir", "-", "-"},
		{"urn:uuid:0b3c", "-", "-"},
		{"javascript:alert(1)", "-", "-"},
		{"http://[::1", "-", "-"},
	} {
		public, ok := u.Public(tt.url)
		if !ok {
			public = "-"
		}
		below, ok := u.Below(tt.url)
		if !ok {
			below = "-"
		}
		if public != tt.public || below != tt.below {
			t.Errorf("%s: got %q, %q; want %q, %q", tt.url, public, below, tt.public, tt.below)
		}
	}
}

func TestMayNameSeesEscapedForms(t *testing.T) {
	u := open(t, "http://ehr.local:9000/fhir")
	for _, tt := range []struct {
		text string
		want bool
	}{
		{`{"a":"http://ehr.local:9000/fhir/Patient/1"}`, true},
		{`{"a":"HTTP://EHR.Local:9000/fhir/Patient/1"}`, true},
		{`{"a":"http:\/\/ehr.local:9000\/fhir"}`, true},
		{`{"a":"http:\u002f\u002fehr.local:9000/fhir"}`, true},
		{`{"a":"http:\u002F/ehr.local:9000/fhir"}`, true},
		{`{"a":"http://\u0065hr.local:9000/fhir"}`, true},
		{`{"a":"http://ehr\u002elocal:9000/fhir"}`, true},
		{`{"a":"http\u003a//ehr.local"}`, true},
		{`{"system":"http://loinc.org","div":"\u003cb\u003e \u0026 \u00e4 \n \""}`, false},
		{`{"a":"Patient/1"}`, false},
		{`//`, false},
		{`\u00`, false},
	} {
		if got := u.MayName([]byte(tt.text)); got != tt.want {
			t.Errorf("%s: got %v", tt.text, got)
		}
	}
}

func TestRewriteChangesPlacesAndNoNames(t *testing.T) {
	u := open(t, "http://ehr.local/fhir")
	const old, public = "http://ehr.local/fhir", "https://fhir.example.org/r4"
	for _, tt := range []struct {
		text    string
		changed bool
	}{
		{`{"resourceType":"Bundle","link":[{"relation":"next","url":"OLD?page=2"}]}`, true},
		{`{"resourceType":"Bundle","entry":[{"fullUrl":"OLD/Patient/1"}]}`, true},
		{`{"entry":[{"response":{"status":"201","location":"OLD/Patient/1/_history/1"}}]}`, true},
		{`{"entry":[{"request":{"method":"GET","url":"OLD/Patient/1"}}]}`, true},
		{`{"entry":[{"link":[{"url":"OLD/x"}]}]}`, true},
		{`{"subject":{"reference":"OLD/Patient/1"}}`, true},
		{`{"subject":{"reference":"http:\/\/ehr.local\/fhir/Patient/1"}}`, true},
		{`{"contained":[{"performer":[{"reference":"OLD/Practitioner/1"}]}]}`, true},
		{`{"extension":[{"url":"x","valueReference":{"reference":"OLD/Patient/1"}}]}`, true},
		{`{"content":[{"attachment":{"contentType":"text/plain","url":"OLD/Binary/1"}}]}`, true},
		{`{"photo":[{"url":"OLD/Binary/1"}]}`, true},
		{`{"parameter":[{"name":"a","valueUrl":"OLD/x"}]}`, true},
		{`{"extension":[{"url":"OLD/StructureDefinition/x"}]}`, false},
		{`{"extension":[{"extension":[{"url":"OLD/StructureDefinition/x"}],"url":"y"}]}`, false},
		{`{"modifierExtension":[{"url":"OLD/StructureDefinition/x","valueString":"a"}]}`, false},
		{`{"resourceType":"ValueSet","url":"OLD/ValueSet/x"}`, false},
		{`{"identifier":[{"system":"OLD/id","value":"1"}]}`, false},
		{`{"meta":{"profile":["OLD/StructureDefinition/x"],"source":"OLD"}}`, false},
		{`{"instantiatesCanonical":["OLD/PlanDefinition/x"],"valueCanonical":"OLD/x","valueUri":"OLD/x"}`, false},
		{`{"text":{"div":"OLD"},"note":[{"text":"OLD/Patient/1"}],"location":"OLD/x","reference":["OLD/x"]}`, false},
		{`{"subject":{"reference":"http://ehr.local.evil/fhir/Patient/1"}}`, false},
		{`"OLD/Patient/1"`, false},
	} {
		text := strings.ReplaceAll(tt.text, "OLD", old)
		want := text
		if tt.changed {
			want = strings.ReplaceAll(strings.ReplaceAll(text, `\/`, "/"), old, public)
		}
		var tree wire.Tree
		var edits wire.Edits
		if err := tree.Parse([]byte(text)); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		edits.Reset(&tree)
		u.Rewrite(&tree, &edits)
		if got := string(edits.Apply(nil)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// What Public maps, MayName must have seen: else the walk would be spared where
// it is needed.
func FuzzMayNameMissesNothing(f *testing.F) {
	u := open(f, "http://ehr.local/fhir")
	for _, seed := range []string{`"http://ehr.local/fhir"`, `"http:\/\/EHR.local\/fhir\/x"`, `"\u0068ttp://ehr.local/fhir?a"`, `"http:/\u002fehr.local/fhir"`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		text, err := wire.Unquote(raw)
		if err != nil || len(raw) < 2 || raw[0] != '"' {
			return
		}
		var tree wire.Tree
		if tree.Parse(raw) != nil {
			return
		}
		if _, ours := u.Public(text); ours && !u.MayName(raw) {
			t.Errorf("%s is ours and was not seen", raw)
		}
		if below, ok := u.Below(text); ok {
			if _, err := u.locate(below); err != nil {
				t.Errorf("%q leads below the base and cannot be sent", below)
			}
		}
	})
}
