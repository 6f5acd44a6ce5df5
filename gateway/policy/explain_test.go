package policy

import (
	"strings"
	"testing"
)

// TestExplain names the rules that held, and where the others stopped.
func TestExplain(t *testing.T) {
	e := mustLoad(t, map[string]string{"a.rego": `package gatehouse

permit contains "final ones" if {
	"clinician" in input.subject.roles
	input.resource.status == "final"
}

permit contains sprintf("role %s", [role]) if some role in input.subject.roles

permit contains "own ward" if {
	"clinician" in input.subject.roles
	input.resource.encounter == "Encounter/9"
	input.resource.status == "final"
}

forbid contains "restricted" if "R" in input.resource.labels
oblige contains {"view": "v"} if input.action == "read"
`})
	x, err := e.For(background, reading("Observation", clinician())).Explain(background, resource(facts()))
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, r := range x.Held {
		got += r.Set + " " + r.Reason + "\n"
	}
	if want := "permit final ones\npermit role clinician\noblige {\"view\": \"v\"}\n"; got != want {
		t.Errorf("held:\n%s\nwant:\n%s", got, want)
	}
	got = ""
	for _, m := range x.Missed {
		got += m.Set + " " + m.Reason + ": " + m.Condition + "\n"
	}
	if want := "permit own ward: input.resource.encounter == \"Encounter/9\"\nforbid restricted: \"R\" in input.resource.labels\n"; got != want {
		t.Errorf("missed:\n%s\nwant:\n%s", got, want)
	}
	if !x.Decision.Allow || !strings.Contains(x.Input, `"Patient/1"`) {
		t.Errorf("got %+v", x)
	}
}
