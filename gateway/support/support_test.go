package support

import (
	"strings"
	"testing"
)

// G-05, issue 8 point 5: what a bundle may not hold is found in every form in which a
// log could have it, and what diagnostics are made of is not taken for it.
func TestScan(t *testing.T) {
	known := Known{}
	for text, what := range map[string]string{"mrn-00471": "an id", "von Wolfeschlegel": "a name", "1970-02-13": "a date", "c2VjcmV0/key+text==": "a key's text", "a": "too short", "patient": "too common"} {
		known.Add(text, what)
	}
	for line, want := range map[string]string{
		"read of MRN-00471 failed":                      "an id",
		`{"id":"mrn\u002d00471"}`:                       "an id",
		"GET /fhir/Observation?patient=mrn%2D00471&x=1": "an id",
		"GET /x%252Fmrn%252D00471":                      "an id",
		"name is Von Wolfeschlegel, and so on":          "a name",
		"born 1970-02-13T00:00:00Z":                     "a date",
		"key c2VjcmV0/key+text== was read":              "a key's text",
		"no such Patient/1":                             "a reference to a record",
		"Patient%2F1":                                   "a reference to a record",
		`\"Observation\/77\"`:                           "a reference to a record",
		`{"error":"read it:\nmrn-00471 is locked"}`:     "an id",
		`{"error":"read it:\\n\\tPatient/1 is locked"}`: "a reference to a record",
		"GET /Patient?name=Von+Wolfeschlegel&x=1":       "a name",
		"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJh.c2ln":        "a token",
		"Authorization: Bearer abcdefghijklmnop":        "credentials",
		"postgres://gw:hunter2@db/x":                    "credentials in a URL",
		"-----BEGIN EC PRIVATE KEY-----":                "a private key",
		"gatehouse-key-v1 AAAA":                         "a key",
		`{"resourceType":"Patient"}`:                    "a resource",
		`{\"resourceType\": \"Basic\"}`:                 "a resource",
		"write to jane.doe@example.org":                 "an e-mail address",
		"078-05-1120":                                   "a US social security number",

		"mrn-004712 is another":                                              "",
		"a patient has 1970 observations":                                    "",
		"organizations: {Organization/2: {}}":                                "",
		"type: basic authentication is used":                                 "",
		"golang.org/x/sync/errgroup.(*Group).Go.func1()":                     "",
		"/root/go/pkg/mod/github.com/jackc/pgx/v5@v5.12.0/conn.go:412 +0x1f": "",
		`"request":"01a2034f-c03d-76c8-9acd-609232598024","took":0.0557`:     "",
		"https://hooks.example.org/…":                                        "",
	} {
		got := Scan([]File{{"a.txt", "fine\n"}, {"b.txt", "fine\n" + line + "\nfine\n"}}, known)
		switch {
		case want == "" && len(got) > 0:
			t.Errorf("%s: %v", line, got)
		case want != "" && (len(got) != 1 || got[0] != Finding{"b.txt", 2, "looks like " + want}):
			t.Errorf("%s: got %v, want %s", line, got, want)
		case want != "" && strings.Contains(got[0].String(), line):
			t.Errorf("%s is quoted: %s", line, got[0])
		}
	}
}
