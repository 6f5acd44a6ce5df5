package policy

import (
	"fmt"
	"path"
	"testing"

	"gatehouse/gateway/auth"
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
	if !x.Decision.Allow || len(x.Near) > 0 {
		t.Errorf("got %+v", x)
	}
}

// What nearly permitted, row by row, and what was missing, in words.
func TestNear(t *testing.T) {
	e, err := Load(Options{})
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := resource(facts())
	elsewhere.Facts.Organization = "Organization/3"
	nobody := clinician()
	nobody.Roles = nil
	for _, test := range []struct {
		who  *auth.Subject
		res  *Resource
		want string
	}{
		{clinician(), elsewhere, `Clinicians may read the records that their own organization keeps.
 holds(row.when) (row.when is own_organization) does not hold: roles.rego:11
  the record's organization (Organization/3) is not the caller's organization (Organization/2): roles.rego:37
Clinicians may read records that name them as responsible.
 holds(row.when) (row.when is own_patient) does not hold: roles.rego:11
  the caller's own record (Practitioner/7) is not among the practitioners whom the record names (none): roles.rego:39
Clinicians may read the records of the patients they care for.
 holds(row.when) (row.when is care_relationship) does not hold: roles.rego:11
  there is none in the patient's encounters (not said): roles.rego:42
  those who care for the patient is not said: roles.rego:47
`},
		{nobody, nil, `In an emergency, clinicians may read the records of the patient they named, and must account for it.
 the patient of an open emergency access is not said: emergency.rego:7
You may see what is recorded about you.
 patient_side does not hold: patient_access.rego:6
  the patient whom the token names is not said: patient_access.rego:25
  the caller's own record (Practitioner/7) may not be there: patient_access.rego:26
  the caller's own record (Practitioner/7) is not the patient whom the token names (not said): patient_access.rego:29
  the patient whom the token names is not said: patient_access.rego:32
  the caller's own record (Practitioner/7) does not begin with RelatedPerson/: patient_access.rego:33

 there is none in the caller's roles (none): roles.rego:5
`},
	} {
		x, err := e.For(background, reading("Observation", test.who)).Explain(background, test.res)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, n := range x.Near {
			got += n.Reason + "\n" + lacks(n.Missing, " ")
		}
		if got != test.want {
			t.Errorf("got\n%s\nwant\n%s", got, test.want)
		}
	}
}

func lacks(all []Lack, in string) (text string) {
	for _, l := range all {
		text += fmt.Sprintf("%s%s: %s:%d\n", in, l.Words, path.Base(l.File), l.Line)
		for _, w := range l.Ways {
			text += lacks(w, in+" ")
		}
	}
	return text
}
