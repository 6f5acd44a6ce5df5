package policy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The tables that records are labelled by are held to their shape, whatever the
// rules are, and what a policy leaves out is what ships.
func TestLabelTables(t *testing.T) {
	for text, want := range map[string]string{
		"labelling:\n  - {sensitivity: [HVI], codes: {x: [A]}}\n":        "t.yaml:2: labelling[0].sensitivity[0] is HVI: write one of 42CFRPart2,",
		"labelling:\n  - {confidentiality: Q, types: [Patient]}\n":       "t.yaml:2: labelling[0].confidentiality is Q: write one of U, L, M, N, R, V",
		"labelling:\n  - {labels: [VIP], types: [Patient]}\n":            "t.yaml:2: labelling[0].labels[0] is \"VIP\": write system|code",
		"labelling:\n  - sensitivity: [HIV]\n    types: [Obervation]\n":  "t.yaml:3: labelling[0].types[0] is Obervation: did you mean Observation?",
		"notices:\n  - labels: [HIV]\n    refrain: NORDS\n    text: x\n": "t.yaml:3: notices[0].refrain is NORDS: write one of NOAUTH,",
		"notices:\n  - labels: [HIV]\n    text: \"two\\nlines\"\n":       "t.yaml:3: notices[0].text has more than one line, or characters that no header holds",
		"labelling: []\n": "",
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, "t.yaml")
		for name, text := range map[string]string{"t.yaml": text, "a.rego": permitAll} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for how, o := range map[string]Options{"in a directory": {Dir: dir}, "beside what ships": {Data: []string{file}}} {
			e, err := Load(o)
			got := ""
			if err != nil {
				got = shorten(err, dir+"/").Error()
			}
			if want == "" && err != nil || want != "" && !strings.HasPrefix(got, want) {
				t.Errorf("%s: got %s, want %s", how, got, want)
			}
			if err == nil && (len(e.Table("labelling").([]any)) != 0 || e.Table("code_systems") == nil) {
				t.Errorf("%s: the tables are not the own one and the shipped", how)
			}
		}
	}
}

// What is obliged by name is found in rules and in the tables they take it from.
func TestObliged(t *testing.T) {
	e := mustLoad(t, map[string]string{"a.rego": permitAll + `
oblige contains {"view": "short"} if input.action == "read"

oblige contains {"view": data.forms[role]} if some role in input.subject.roles

oblige contains {"step_up": {"acr": "high", "max_age": 5}} if "R" in input.resource.labels

oblige contains {"domain": input.client.id} if input.action == "search"
`, "t.yaml": "forms:\n  a: long\n  b: longer\n"})
	var got []string
	for _, o := range e.Obliged() {
		got = append(got, o.Kind+" "+o.Name+" "+filepath.Base(o.File))
	}
	if want := "view short a.rego, acr high a.rego, view long t.yaml, view longer t.yaml"; strings.Join(got, ", ") != want {
		t.Errorf("got %s, want %s", strings.Join(got, ", "), want)
	}
}

// J-19: of two demands the stronger counts, where it is said which that is.
func TestStrongerACR(t *testing.T) {
	dir := t.TempDir()
	text := permitAll + `
oblige contains {"step_up": {"acr": "mid", "max_age": 60}} if input.action == "read"

oblige contains {"step_up": {"acr": "high"}} if input.resource.status == "final"
`
	if err := os.WriteFile(filepath.Join(dir, "a.rego"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		order []string
		want  StepUp
	}{{[]string{"mid", "high"}, StepUp{"high", 60}}, {[]string{"high", "mid"}, StepUp{"mid", 60}}, {nil, StepUp{}}, {[]string{"mid"}, StepUp{}}} {
		e, err := Load(Options{Dir: dir, ACROrder: c.order})
		if err != nil {
			t.Fatal(err)
		}
		f := facts()
		f.Status = "final"
		d := e.For(background, reading("Observation", clinician())).Decide(background, resource(f))
		if denied := d.Err != nil; denied != (c.want == StepUp{}) || !denied && *d.Obligations.StepUp != c.want {
			t.Errorf("%v: got %+v", c.order, d)
		}
	}
}
