package policy

import (
	"context"
	"strings"
	"testing"

	"gatehouse/gateway/auth"
)

// what is told of resources by their number is told only where each of
// them could be read.
func TestCertain(t *testing.T) {
	self := `permit contains "self" if {
	input.resource.type in {"Immunization", "Encounter"}
	count(input.resource.patients) > 0
	every p in input.resource.patients { p == input.subject.patient }
}
`
	staff := `permit contains "staff" if "staff" in input.subject.roles
`
	for _, c := range []struct {
		rules         string
		certain, ofMe bool // for staff, and for the patient's own
	}{
		{staff, true, false},
		{self, false, true},
		{staff + self, true, true},
		{staff + self + `forbid contains "r" if "R" in input.resource.labels`, false, false},
		{staff + self + `forbid contains "r" if { "R" in input.resource.labels; not "staff" in input.subject.roles }`, true, false},
		{staff + self + `forbid contains "n" if count(input.resource.patients) == 0`, false, true},
		{staff + self + `forbid contains "other" if { some p in input.resource.patients; p != input.subject.patient }`, false, true},
		{staff + self + `forbid contains "c" if input.consent.decision == "deny"`, false, false},
		{staff + self + `forbid contains "c" if input.relation.practitioners == []`, false, false},
		{staff + self + `oblige contains {"view": "v"} if input.resource.status == "final"`, false, false},
		{staff + self + `oblige contains {"view": "v"} if input.resource.type == "Claim"`, true, true},
		{`permit contains "of nobody" if { input.resource.type == "Organization"; count(input.resource.patients) == 0 }`, false, false},
		{`permit contains "own" if input.resource.status == "final"`, false, false},
		{`permit contains "first" if input.resource.patients[0] == input.subject.patient`, false, true},
		{`permit contains "whole" if { r := input.resource; count(r.patients) == 1; r.patients[0] == input.subject.patient }`, false, false},
	} {
		e, err := loadText(t, map[string]string{"p.rego": "package gatehouse\n" + c.rules})
		if err != nil {
			t.Fatal(err)
		}
		ctx := context.Background()
		nurse := e.For(ctx, searching("Immunization", &auth.Subject{ID: "n", Roles: []string{"staff"}, Patient: "Patient/2"}))
		me := e.For(ctx, searching("Immunization", &auth.Subject{ID: "p", Patient: "Patient/1", FHIRUser: "Patient/1"}))
		if got := nurse.Certain(ctx, "Immunization"); got != c.certain {
			t.Errorf("%s staff: got %v", c.rules, got)
		}
		if got := me.CertainOf(ctx, "Immunization", "Patient/1"); got != c.ofMe {
			t.Errorf("%s own: got %v", c.rules, got)
		}
		if me.CertainOf(ctx, "", "Patient/1") {
			t.Errorf("%s: certain of any type", c.rules)
		}
		if me.CertainOf(ctx, "Immunization") || me.CertainOf(ctx, "Organization") != strings.Contains(c.rules, "of nobody") {
			t.Errorf("%s: of nobody's", c.rules)
		}
		if me.CertainOf(ctx, "Immunization", "Patient/2") {
			t.Errorf("%s: certain of another patient's", c.rules)
		}
	}
}
