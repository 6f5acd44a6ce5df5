package fhir

import (
	"strings"
	"testing"
)

func mustBases(t testing.TB, urls ...string) *BaseSet {
	b, err := NewBaseSet(urls...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParseRef(t *testing.T) {
	own := mustBases(t, "https://gw.example/fhir", "http://10.0.0.1:9000/fhir/")
	for _, c := range []struct {
		id, in, want, version string
	}{
		{"", "Patient/B", "Patient/B", ""},
		{"R-01", "https://gw.example/fhir/Patient/B", "Patient/B", ""},
		{"R-01", "HTTP://GW.example:443/fhir/Patient/B", "Patient/B", ""},
		{"R-01", "http://gw.EXAMPLE:80/fhir/Patient/B", "Patient/B", ""},
		{"R-01", "http://10.0.0.1:9000/fhir/Patient/B", "Patient/B", ""},
		{"R-01", "Patient/B/_history/3", "Patient/B", "3"},
		{"R-01", "https://gw.example/fhir/Patient/B/_history/3", "Patient/B", "3"},
		{"R-01", "../Patient/B", "", ""},
		{"R-01", "/Patient/B", "", ""},
		{"R-01", "./Patient/B", "", ""},
		{"R-03", "#p", "", ""},
		{"R-05", "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", "", ""},
		{"R-07", "Patient/B ", "", ""},
		{"R-07", " Patient/B", "", ""},
		{"R-07", "Patient/B/", "", ""},
		{"R-07", "Patient/B?x", "", ""},
		{"R-07", "Patient/B#frag", "", ""},
		{"R-07", "Patient/B%20", "", ""},
		{"R-07", "patient/B", "", ""},
		{"R-07", "Pаtient/B", "", ""}, // Cyrillic а
		{"R-07", "Patient/В", "", ""}, // Cyrillic В
		{"R-07", "Patient/" + strings.Repeat("a", 65), "", ""},
		{"R-01", "Patient/..", "", ""},
		{"R-01", "Patient/B/_history/", "", ""},
		{"R-01", "Patient/B/_history/3/x", "", ""},
		{"R-01", "https://gw.example/fhir/../fhir/Patient/B", "", ""},
		{"R-01", "https://gw.example/fhir//Patient/B", "", ""},
		{"R-01", "https://gw.example/fhirPatient/B", "", ""},
		{"G-02", "https://gw.example.evil/fhir/Patient/B", "", ""},
		{"G-02", "https://gw.example@evil/fhir/Patient/B", "", ""},
		{"R-01", "https://gw.example:8443/fhir/Patient/B", "", ""},
		{"R-01", "ftp://gw.example/fhir/Patient/B", "", ""},
		{"", "", "", ""},
		{"", "Patient", "", ""},
		{"", "B", "", ""},
	} {
		got, version, ok := own.ParseRef(c.in)
		if ok != (c.want != "") || ok && (got.String() != c.want || version != c.version) {
			t.Errorf("%s: ParseRef(%q) = %v %q %v, want %q %q", c.id, c.in, got, version, ok, c.want, c.version)
		}
	}
	if _, _, ok := ParseRef("https://gw.example/fhir/Patient/B", nil); ok {
		t.Error("a nil base set knows a base")
	}
}

func TestNewBaseSetRefuses(t *testing.T) {
	for _, s := range []string{"", "gw", "ftp://gw/fhir", "https://u:p@gw/fhir", "https://gw/fhir?x", "https://gw/fhir#f", "/fhir"} {
		if _, err := NewBaseSet(s); err == nil {
			t.Errorf("NewBaseSet(%q) accepted", s)
		}
	}
}

func TestValidID(t *testing.T) {
	for in, want := range map[string]bool{
		"1": true, "a-B.9": true, strings.Repeat("x", 64): true, "...": true,
		"": false, ".": false, "..": false, "a_b": false, "a/b": false, "a b": false, "é": false, "a\x00": false, strings.Repeat("x", 65): false,
	} {
		if got := ValidID(in); got != want {
			t.Errorf("ValidID(%q) = %v", in, got)
		}
	}
}

func TestRefAllocations(t *testing.T) {
	own := mustBases(t, "https://gw.example/fhir")
	if n := testing.AllocsPerRun(100, func() { own.ParseRef("https://GW.example/fhir/Patient/B/_history/2") }); n != 0 {
		t.Errorf("ParseRef allocates %v times", n)
	}
}
