package main

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gatehouse/fhir"
	"gatehouse/gateway/scope"
)

var update = flag.Bool("update", false, "write the tables that are made from the code")

// docs/operations.md names every metric and every alarm there is, and no other.
func TestOperationsNamesWhatThereIs(t *testing.T) {
	page, err := os.ReadFile("docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for what, find := range map[string]struct{ code, page *regexp.Regexp }{
		"metric": {regexp.MustCompile(`Name: "(gatehouse_[a-z_]+)"`), regexp.MustCompile("\\| `(gatehouse_[a-z_]+)` \\|")},
		"alarm":  {regexp.MustCompile(`[aA]larm\("([a-z]+\.[a-z-]+)"|Reason = "(upstream\.[a-z-]+)"`), nil},
	} {
		inCode := map[string]bool{}
		err := filepath.WalkDir("gateway", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return err
			}
			text, err := os.ReadFile(name)
			for _, m := range find.code.FindAllStringSubmatch(string(text), -1) {
				inCode[strings.Join(m[1:], "")] = true
			}
			return err
		})
		if err != nil || len(inCode) < 5 {
			t.Fatal(inCode, err)
		}
		for name := range inCode {
			if !strings.Contains(string(page), "`"+name+"`") {
				t.Errorf("docs/operations.md does not name the %s %s", what, name)
			}
		}
		if find.page == nil {
			continue
		}
		for _, m := range find.page.FindAllStringSubmatch(string(page), -1) {
			if !inCode[m[1]] {
				t.Errorf("docs/operations.md names the %s %s, which is not there", what, m[1])
			}
		}
	}
}

// sample is a request of the support matrix.
type sample struct {
	what, method, path, contentType, body string
	header                                map[string][]string
}

const patient = `{"resourceType":"Patient"}`

var samples = []sample{
	{what: "read", method: "GET", path: "/Patient/1"},
	{what: "read of one version", method: "GET", path: "/Patient/1/_history/2"},
	{what: "head", method: "HEAD", path: "/Patient/1"},
	{what: "history of one", method: "GET", path: "/Patient/1/_history"},
	{what: "history of a type", method: "GET", path: "/Patient/_history"},
	{what: "history of all", method: "GET", path: "/_history"},
	{what: "search", method: "GET", path: "/Patient?name=x"},
	{what: "search by form", method: "POST", path: "/Patient/_search", contentType: "application/x-www-form-urlencoded", body: "name=x"},
	{what: "search of several types", method: "GET", path: "/?_type=Patient,Observation"},
	{what: "search in a compartment", method: "GET", path: "/Patient/1/Observation"},
	{what: "chain", method: "GET", path: "/Observation?subject:Patient.name=x"},
	{what: "reverse chain", method: "GET", path: "/Patient?_has:Observation:patient:code=x"},
	{what: "include", method: "GET", path: "/Observation?_include=Observation:subject"},
	{what: "reverse include", method: "GET", path: "/Patient?_revinclude=Observation:subject"},
	{what: "sort, page size, elements", method: "GET", path: "/Patient?_sort=name&_count=20&_elements=name"},
	{what: "search by text", method: "GET", path: "/Patient?_content=x"},
	{what: "`_filter`", method: "GET", path: "/Patient?_filter=name eq x"},
	{what: "`_list`", method: "GET", path: "/Patient?_list=7"},
	{what: "contained resources", method: "GET", path: "/Patient?_contained=true"},
	{what: "a parameter that FHIR does not have", method: "GET", path: "/Patient?nmae=x"},
	{what: "XML", method: "GET", path: "/Patient/1?_format=xml"},
	{what: "content of a Binary", method: "GET", path: "/Binary/1", header: map[string][]string{"Accept": {"application/pdf"}}},
	{what: "create", method: "POST", path: "/Patient", contentType: "application/fhir+json", body: patient},
	{what: "conditional create", method: "POST", path: "/Patient", contentType: "application/fhir+json", body: patient,
		header: map[string][]string{"If-None-Exist": {"identifier=x"}}},
	{what: "update", method: "PUT", path: "/Patient/1", contentType: "application/fhir+json", body: `{"resourceType":"Patient","id":"1"}`},
	{what: "conditional update", method: "PUT", path: "/Patient?identifier=x", contentType: "application/fhir+json", body: patient},
	{what: "JSON Patch", method: "PATCH", path: "/Patient/1", contentType: "application/json-patch+json", body: `[{"op":"remove","path":"/name"}]`},
	{what: "FHIRPath Patch", method: "PATCH", path: "/Patient/1", contentType: "application/fhir+json", body: `{"resourceType":"Parameters"}`},
	{what: "XML Patch", method: "PATCH", path: "/Patient/1", contentType: "application/xml-patch+xml", body: `<diff/>`},
	{what: "delete", method: "DELETE", path: "/Patient/1"},
	{what: "`$everything`", method: "GET", path: "/Patient/1/$everything"},
	{what: "`$lastn`", method: "GET", path: "/Observation/$lastn?code=x"},
	{what: "`$docref`", method: "GET", path: "/DocumentReference/$docref?patient=1"},
	{what: "`$de-identify`", method: "POST", path: "/$de-identify", contentType: "application/fhir+json", body: patient},
	{what: "`$validate` of a new resource", method: "POST", path: "/Patient/$validate", contentType: "application/fhir+json", body: patient},
	{what: "`$validate` of one", method: "POST", path: "/Patient/1/$validate", contentType: "application/fhir+json", body: patient},
	{what: "`$export`", method: "GET", path: "/$export"},
	{what: "`$graphql` and others", method: "GET", path: "/$graphql?query=x"},
	{what: "conditional delete", method: "DELETE", path: "/Patient?identifier=x"},
}

// The support matrix of docs/integrators.md is what the parser and the scopes
// say of each request.
func TestSupportMatrix(t *testing.T) {
	var b strings.Builder
	b.WriteString("| what | request | answer | letters of a scope |\n|---|---|---|---|\n")
	for _, s := range samples {
		answer, letters := s.outcome()
		request := s.method + " " + s.path
		for name := range s.header {
			request += " " + name
		}
		fmt.Fprintf(&b, "| %s | `%s` | %s | %s |\n", s.what, request, answer, letters)
	}
	const page, begin, end = "docs/integrators.md", "<!-- made by TestSupportMatrix -->\n", "<!-- end -->\n"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the matrix", page)
	}
	want := head + begin + b.String() + end + tail
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(text) {
		t.Errorf("the matrix is not what the code says: go test . -run TestSupportMatrix -update")
	}
}

func (s *sample) outcome() (answer, letters string) {
	path, query, _ := strings.Cut(s.path, "?")
	a, err := fhir.Parse(fhir.Request{Method: s.method, Path: strings.TrimSuffix(path, "/"), Query: strings.ReplaceAll(query, " ", "%20"),
		Header: s.header, Body: []byte(s.body), ContentType: s.contentType}, fhir.Options{Operations: allowed()})
	if err != nil {
		return fmt.Sprintf("%d `%s`", err.Status, err.Code), ""
	}
	return "judged", fewest(a)
}

func allowed() map[string]bool {
	all := map[string]bool{}
	for _, name := range fhir.Operations() {
		all[name] = true
	}
	return all
}

// fewest are the letters of which a token needs each for the access.
func fewest(a *fhir.Access) string {
	covered := func(letters string) bool {
		return scope.Parse(fhir.R4, []string{"user/*." + letters}, "", nil).Covers(a) == nil ||
			a.Operation == "$export" && scope.Parse(fhir.R4, []string{"system/*." + letters}, "", nil).Covers(a) == nil
	}
	var sets []string
	for set := 1; set < 32; set++ {
		letters := ""
		for i, c := range "cruds" {
			if set&(1<<i) != 0 {
				letters += string(c)
			}
		}
		smaller := slices.ContainsFunc(sets, func(s string) bool { return containsAll(letters, s) })
		if covered(letters) && !smaller {
			sets = append(sets, letters)
		}
	}
	return strings.Join(sets, " or ")
}

func containsAll(s, letters string) bool {
	return !strings.ContainsFunc(letters, func(c rune) bool { return !strings.ContainsRune(s, c) })
}
