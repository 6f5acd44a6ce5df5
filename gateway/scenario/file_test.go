package scenario

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func readText(t *testing.T, texts ...string) ([]*scenario, error) {
	t.Helper()
	dir := t.TempDir()
	for i, text := range texts {
		if err := os.WriteFile(filepath.Join(dir, string(rune('a'+i))+".yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all, err := read(Options{Files: []string{filepath.Join(dir, "*.yaml")}})
	if err != nil {
		err = &located{strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), "")}
	}
	return all, err
}

// located is an error without the directory of the test, and without the name
// of a scenario in front.
type located struct{ text string }

func (l *located) Error() string {
	if _, rest, ok := strings.Cut(l.text, ": s: "); ok {
		return rest
	}
	return l.text
}

// What is wrong with a scenario is told with its file, its line and what to
// write instead.
func TestBadScenarios(t *testing.T) {
	const people = "people: {ann: {roles: [x]}}\n"
	for want, texts := range map[string][]string{
		"a.yaml:2: s lacks expect":                                              {"\ns: {as: {roles: []}, request: GET /Patient}"},
		"request is \"GET Patient\": write a method and a target":               {"s: {as: {roles: []}, request: GET Patient, expect: {status: 200}}"},
		"a.yaml:3: s.expect.visble is not known here":                           {"s:\n  as: {roles: []}\n  expect: {visble: []}\n  request: GET /Patient\n"},
		"a.yaml:1: s.as.role is not known here":                                 {"s: {as: {role: []}, request: GET /Patient, expect: {status: 200}}"},
		"there is nobody named bob among people":                                {people + "s: {as: bob, request: GET /Patient, expect: {status: 200}}"},
		"there is no list of records named ward":                                {"s: {as: {roles: []}, records: [ward], request: GET /Patient, expect: {status: 200}}"},
		"b.yaml:1: the scenario t is already at ":                               {"t: {as: {roles: []}, request: GET /Patient, expect: {status: 200}}", "t: {as: {roles: []}, request: GET /Patient, expect: {status: 200}}"},
		"b.yaml:1: people.ann is already at ":                                   {people, people},
		"a.yaml:1: s.at is \"noon\": write a time, as 2026-11-21T10:00:00Z":     {"s: {at: noon, as: {roles: []}, request: GET /Patient, expect: {status: 200}}"},
		"a.yaml:1: key \"s\" stands here twice":                                 {"{s: {}, s: {}}"},
		"a.yaml:1: s.records[0] has no single member: see policies/scenarios.s": {"s: {as: {roles: []}, records: [{}], request: GET /Patient, expect: {status: 200}}"},
		"there is no list of records named loop":                                {"records: {loop: [loop]}\ns: {as: {roles: []}, records: [loop], request: GET /Patient, expect: {status: 200}}"},
	} {
		_, err := readText(t, texts...)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// One scenario is played for each value, in its name or behind it.
func TestForEach(t *testing.T) {
	all, err := readText(t, `
"a {role} reads {type}":
  for: {role: [x, y], type: [Observation, Condition]}
  as: {roles: ["{role}"]}
  records: [{"{type}": {of: A}}]
  request: GET /{type}/1
  expect: {status: 200, visible: ["{type}/1"]}
`)
	if err != nil || len(all) != 4 {
		t.Fatalf("%d scenarios, %v", len(all), err)
	}
	s := all[1]
	if s.name != "a x reads Condition" || s.Request != "GET /Condition/1" || s.As.Roles[0] != "x" || !strings.Contains(string(s.records[0]), `"Condition"`) || s.line != 2 {
		t.Errorf("got %+v", s)
	}
}
