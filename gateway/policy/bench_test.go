package policy

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/fhir"
)

func observation() *Resource {
	return resource(fhir.Facts{Type: "Observation", ID: "1", Patients: []string{"Patient/1"}, Organization: "Organization/2",
		Practitioners: []string{"Practitioner/7"}, Labels: []string{"N"}, Codes: []string{"http://loinc.org|1-8"}, Status: "final"})
}

func shipped(b *testing.B) *Engine {
	b.Helper()
	e, err := Load(Options{})
	if err != nil {
		b.Fatal(err)
	}
	return e
}

// large is the set of issue 4: 20 roles, 200 rules, tables of 10,000 rows.
func large(b *testing.B) *Engine {
	b.Helper()
	var rules, data strings.Builder
	rules.WriteString("package gatehouse\n")
	for i := range 190 {
		fmt.Fprintf(&rules, "permit contains \"rule %d\" if {\n\t\"role%d\" in input.subject.roles\n\tinput.action in {\"read\", \"search\"}\n\tinput.resource.type in data.types.role%d\n\tinput.resource.organization == \"Organization/%d\"\n}\n", i, i%20, i%20, i)
	}
	rules.WriteString(`
permit contains "own organization" if {
	some role in input.subject.roles
	input.resource.type in data.types[role]
	input.resource.organization == input.subject.organization
}
permit contains "by agreement" if {
	some row in data.agreements[input.client.id]
	input.resource.type in row.types
	substring(input.context.now, 0, 10) <= row.until
}
forbid contains "sensitive code" if {
	some code in input.resource.codes
	data.codes[code] == "high"
}
forbid contains "blocked patient" if {
	some patient in input.resource.patients
	data.blocked[patient]
}
`)
	data.WriteString("types:\n")
	for i := range 20 {
		fmt.Fprintf(&data, "  role%d: [Patient, Observation, Condition, Encounter]\n", i)
	}
	data.WriteString("agreements:\n")
	for i := range 10_000 {
		fmt.Fprintf(&data, "  client-%d: [{types: [Observation], until: 2027-12-31}]\n", i)
	}
	data.WriteString("codes:\n")
	for i := range 10_000 {
		fmt.Fprintf(&data, "  \"http://loinc.org|%d-5\": high\n", i)
	}
	data.WriteString("blocked:\n")
	for i := range 10_000 {
		fmt.Fprintf(&data, "  Patient/b%d: true\n", i)
	}
	dir := b.TempDir()
	for name, text := range map[string]string{"a.rego": rules.String(), "t.yaml": data.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	start := time.Now()
	e, err := Load(Options{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("loaded in %v", time.Since(start))
	return e
}

func largeRequest() *Request {
	s := clinician()
	s.Roles = []string{"role3", "role4"}
	s.Client = "client-77"
	return reading("Observation", s)
}

func benchFor(b *testing.B, e *Engine, r *Request) {
	e.For(background, r)
	b.ReportAllocs()
	for b.Loop() {
		if ok, d := e.For(background, r).Possible(); !ok {
			b.Fatal(d)
		}
	}
}

func benchDecide(b *testing.B, e *Engine, r *Request) {
	v, res := e.For(background, r), observation()
	if d := v.Decide(background, res); !d.Allow {
		b.Fatal(d)
	}
	b.ReportAllocs()
	for b.Loop() {
		if d := v.Decide(background, res); !d.Allow {
			b.Fatal(d)
		}
	}
}

func benchOPA(b *testing.B, e *Engine, r *Request) {
	res := observation()
	b.ReportAllocs()
	for b.Loop() {
		if d := e.ask(background, r, res); !d.Allow {
			b.Fatal(d)
		}
	}
}

// benchCold is a caller that policy has not seen.
func benchCold(b *testing.B, e *Engine, r *Request) {
	b.ReportAllocs()
	for b.Loop() {
		e.callers = cache{}
		if ok, d := e.For(background, r).Possible(); !ok {
			b.Fatal(d)
		}
	}
}

func BenchmarkShippedFor(b *testing.B) { benchFor(b, shipped(b), reading("Observation", clinician())) }
func BenchmarkShippedCold(b *testing.B) {
	benchCold(b, shipped(b), reading("Observation", clinician()))
}
func BenchmarkShippedDecide(b *testing.B) {
	benchDecide(b, shipped(b), reading("Observation", clinician()))
}
func BenchmarkShippedOPA(b *testing.B)  { benchOPA(b, shipped(b), reading("Observation", clinician())) }
func BenchmarkLargeFor(b *testing.B)    { benchFor(b, large(b), largeRequest()) }
func BenchmarkLargeCold(b *testing.B)   { benchCold(b, large(b), largeRequest()) }
func BenchmarkLargeDecide(b *testing.B) { benchDecide(b, large(b), largeRequest()) }
func BenchmarkLargeOPA(b *testing.B)    { benchOPA(b, large(b), largeRequest()) }

// Rules that do not match cost nothing.
func BenchmarkDecideRules10(b *testing.B) {
	benchDecide(b, manyRules(b, 10), reading("Observation", clinician()))
}
func BenchmarkDecideRules1000(b *testing.B) {
	benchDecide(b, manyRules(b, 1000), reading("Observation", clinician()))
}

func manyRules(b *testing.B, n int) *Engine {
	b.Helper()
	rules := "package gatehouse\n"
	for i := range n {
		rules += fmt.Sprintf("permit contains \"rule %d\" if { \"clinician\" in input.subject.roles; input.resource.organization == \"Organization/%d\"; input.resource.status != \"x\" }\n", i, i)
	}
	return mustLoad(b, map[string]string{"a.rego": rules})
}
