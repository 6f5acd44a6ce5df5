package gateway

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/errors.md")

// Every code that the program can say is in the table, and the page is made
// from it.
func TestErrorsPage(t *testing.T) {
	known := map[string]bool{}
	var page strings.Builder
	page.WriteString(errorsHead)
	for _, c := range Codes() {
		if !known[c.Code] {
			fmt.Fprintf(&page, "| `%s` | %d | %s |\n", c.Code, c.Status, c.Meaning)
		}
		known[c.Code] = true
	}
	said := regexp.MustCompile(`(?:code:|Code\w* +=|refuse\(|code\w+ +=) *"([a-z]+\.[a-z-]+)"`)
	for _, dir := range []string{".", "auth", "scope", "view", "../fhir"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			for _, m := range said.FindAllStringSubmatch(string(text), -1) {
				if !known[m[1]] {
					t.Errorf("%s says %s, which docs/errors.md does not explain: add it to codes.go", f, m[1])
				}
			}
		}
	}
	const path = "../docs/errors.md"
	if *update {
		if err := os.WriteFile(path, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != page.String() {
		t.Errorf("%s is stale (%v): run go test ./gateway -run TestErrorsPage -update", path, err)
	}
}

const errorsHead = `# Errors

Every answer that is not what was asked for is a FHIR OperationOutcome. Its
` + "`issue.details.coding`" + ` has the system ` + "`urn:gatehouse:outcome`" + ` and one of these codes, which
stay the same from release to release; ` + "`issue.details.text`" + ` says what to do next, and
` + "`X-Request-Id`" + ` names the request in the gateway's log and audit trail. The admin API answers
` + "`{\"error\": text, \"code\": code}`" + ` instead.

An instance that may not be seen is answered as one that does not exist, to the
byte: there is no code that tells the two apart.

| code | status | meaning |
|---|---|---|
`
