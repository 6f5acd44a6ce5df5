package policy

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"gatehouse/fhir"
	"gatehouse/fhir/search"
	"gatehouse/fhir/wire"
	"gatehouse/gateway/auth"
)

func searching(typ string, s *auth.Subject) *Request {
	r := reading(typ, s)
	r.Action, r.Interaction, r.ID = "search", "search-type", ""
	return r
}

func finder(typ string) Finder {
	return func(fact, value string) []fhir.Param { return search.Finding(fhir.R4, typ, fact, value) }
}

// written is criteria as a URL has them.
func written(params []fhir.Param) string {
	var all []string
	for _, p := range params {
		all = append(all, p.Name+"="+strings.Join(p.Values, ","))
	}
	return strings.Join(all, "&")
}

// What each rule demands of a resource is asked for, and nothing else.
func TestNarrow(t *testing.T) {
	alone := func(body string) string { return "permit contains \"p\" if { " + body + " }\n" }
	for _, c := range []struct{ rules, typ, want string }{
		{alone(`input.resource.organization == input.subject.organization`), "Observation", "performer=Organization/2"},
		{alone(`input.subject.organization == input.resource.organization`), "Patient", "organization=Organization/2"},
		{alone(`input.resource.organization == input.subject.organization`), "DocumentReference", ""}, // custodian, or else author
		{alone(`input.subject.fhir_user in input.resource.practitioners`), "Encounter", "participant=Practitioner/7"},
		{alone(`input.subject.fhir_user in input.resource.practitioners`), "Practitioner", "_id=7"},
		{alone(`input.subject.fhir_user in input.resource.practitioners`), "PractitionerRole", "practitioner=Practitioner/7"},
		{alone(`input.subject.fhir_user in input.resource.practitioners`), "Condition", ""}, // asserter and recorder
		{alone(`not input.subject.fhir_user in input.resource.practitioners`), "Encounter", ""},
		{alone(`input.resource.author == input.subject.fhir_user`), "DocumentReference", "author=Practitioner/7"},
		{alone(`input.resource.encounter == "Encounter/e"`), "Encounter", "_id=e"},
		{alone(`input.resource.id == "x"`), "Device", "_id=x"},
		{alone(`input.resource.status == "final"; input.resource.organization == input.subject.organization`), "Observation", "status=final&performer=Organization/2"},
		{alone(`input.resource.status in {"final", "amended"}`), "Observation", "status=amended,final"},
		{alone(`input.resource.status != "final"`), "Observation", ""},
		{alone(`not input.resource.status == "final"`), "Observation", ""},
		{alone(`input.resource.status == "final" with input.resource.status as "final"`), "Observation", ""},
		{alone(`input.resource.status >= "final"`), "Observation", ""},
		{alone(`input.resource.status == ""`), "Observation", ""},
		{alone(`"http://loinc.org|4548-4" in input.resource.codes`), "Observation", "combo-code=http://loinc.org|4548-4"},
		{alone(`"http://loinc.org|4548-4" in input.resource.codes`), "Encounter", ""}, // type and serviceType
		{alone(`"s|a,b$c" in input.resource.categories`), "Observation", `category=s|a\,b\$c`},
		{alone(`"|lab" in input.resource.categories`), "Observation", "category=lab"},
		{alone(`"lab" in input.resource.categories`), "Observation", ""},
		{alone(`some c in input.resource.categories; c in {"s|a", "s|b"}`), "Observation", "category=s|a,s|b"},
		{alone(`some c in input.resource.categories; c == "s|a"`), "Observation", "category=s|a"},
		{alone(`some c in input.resource.categories; not c == "s|a"`), "Observation", ""},
		{alone(`every c in input.resource.categories { c == "s|a" }`), "Observation", ""}, // there may be none
		{alone(`"R" in input.resource.labels`), "Observation", ""},                        // the gateway labels by itself, too
		{alone(`input.resource.date == "2026-01-01"`), "Observation", ""},
		{alone(`count(input.resource.patients) > 0; every p in input.resource.patients { p == "Patient/1" }`), "Encounter", "patient=Patient/1"},
		{alone(`count(input.resource.patients) > 0; every p in input.resource.patients { p in {"Patient/1", "Patient/2"} }`), "Patient", "_id=1,2"},
		{alone(`count(input.resource.patients) > 0; every p in input.resource.patients { p == "Patient/1" }`), "Observation", ""}, // subject and performer
		{alone(`every p in input.resource.patients { p == "Patient/1" }`), "Encounter", ""},
		{alone(`input.resource.content.status == "final"`), "Observation", ""},
		{alone(`input.subject.fhir_user in input.relation.practitioners`), "Observation", ""},
		{alone(`input.resource.organization == "Organization/2"`) + alone(`input.subject.fhir_user in input.resource.practitioners`), "Observation", "performer=Organization/2,Practitioner/7"},
		{alone(`input.resource.organization == "Organization/2"`) + alone(`input.subject.fhir_user in input.resource.practitioners`), "Patient", ""},
		{alone(`input.resource.organization == "Organization/2"`) + alone(`input.resource.status == "final"; input.resource.organization == "Organization/3"`), "Claim", "provider=Organization/2,Organization/3"},
		{alone(`input.resource.organization == "Organization/2"`) + alone(`"admin" in input.subject.roles`), "Claim", "provider=Organization/2"},
		{alone(`input.resource.organization == "Organization/2"`) + alone(`"clinician" in input.subject.roles`), "Claim", ""},
		{alone(`input.resource.organization == "Organization/2"`) + alone(`input.subject.patient in input.resource.patients`), "Claim", "provider=Organization/2"}, // no patient in the token
		{alone(`input.resource.organization == "Organization/2"`) + alone(`input.resource.type == "Device"`), "Claim", "provider=Organization/2"},
		{alone(`input.resource.status == data.wards[input.resource.organization].open`), "Claim", ""},
	} {
		e := mustLoad(t, map[string]string{"a.rego": "package gatehouse\n" + c.rules, "t.yaml": zooData})
		got := written(e.For(background, searching(c.typ, clinician())).Narrow(background, c.typ, finder(c.typ)))
		if got != c.want {
			t.Errorf("%s of %s: %q, want %q", c.rules, c.typ, got, c.want)
		}
	}
}

// The shipped roles: what one organization or patient is all that opens is
// asked for; where rows are alternatives about different elements, nothing is.
func TestNarrowShipped(t *testing.T) {
	e, err := Load(Options{})
	if err != nil {
		t.Fatal(err)
	}
	with := func(role string) *auth.Subject { s := clinician(); s.Roles = []string{role}; return s }
	app := &auth.Subject{Issuer: "i", ID: "p", Client: "c", Patient: "Patient/1", FHIRUser: "Patient/1"}
	for _, c := range []struct {
		caller    *auth.Subject
		typ, want string
	}{
		{with("billing"), "Claim", "provider=Organization/2"},
		{with("billing"), "Encounter", "service-provider=Organization/2"},
		{with("billing"), "Patient", "organization=Organization/2"},
		{with("billing"), "Organization", ""},
		{with("clinician"), "Observation", ""}, // own ward, or in her care
		{with("nurse"), "Observation", ""},
		{app, "Encounter", "patient=Patient/1"},
		{app, "Patient", "_id=1"},
		{app, "Observation", ""}, // a patient may also be its performer
	} {
		got := written(e.For(background, searching(c.typ, c.caller)).Narrow(background, c.typ, finder(c.typ)))
		if got != c.want {
			t.Errorf("%v %s: %q, want %q", c.caller.Roles, c.typ, got, c.want)
		}
	}
}

var narrowedTypes = []string{"Observation", "Patient", "Encounter", "Condition", "Claim", "Procedure", "MedicationRequest", "DocumentReference",
	"PractitionerRole", "Practitioner", "Organization", "Appointment", "CareTeam", "Immunization", "AllergyIntolerance", "Coverage"}

// drawDocument makes a resource whose elements that give facts hold what they
// may, and what they should not.
func drawDocument(t *rapid.T) []byte {
	typ := rapid.SampledFrom(narrowedTypes).Draw(t, "rtype")
	doc := map[string]any{"resourceType": typ, "id": rapid.SampledFrom([]string{"1", "2", "7"}).Draw(t, "rid")}
	for _, fact := range []string{"patients", "organization", "practitioners", "categories", "codes", "status", "author", "encounter"} {
		for _, path := range fhir.R4.FactElements(typ, fact) {
			if path != "id" && rapid.Bool().Draw(t, path) {
				fillIn(t, doc, typ, strings.Split(path, "."))
			}
		}
	}
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func fillIn(t *rapid.T, in map[string]any, typ string, path []string) {
	if _, there := in[path[0]]; there && len(path) == 1 {
		return
	}
	e, _ := fhir.R4.Element(typ, path[0])
	if len(path) > 1 {
		inner := map[string]any{}
		if list, ok := in[path[0]].([]any); ok && rapid.Bool().Draw(t, "same") {
			fillIn(t, list[0].(map[string]any), e.Type, path[1:])
			return
		} else if one, ok := in[path[0]].(map[string]any); ok {
			inner = one
		}
		fillIn(t, inner, e.Type, path[1:])
		if in[path[0]] = inner; e.Array {
			in[path[0]] = []any{inner}
		}
		return
	}
	if in[path[0]] = drawValue(t, e.Type); e.Array {
		in[path[0]] = []any{in[path[0]], drawValue(t, e.Type)}
	}
}

func drawValue(t *rapid.T, typ string) any {
	one := func(from ...string) string { return rapid.SampledFrom(from).Draw(t, "value") }
	coding := func() any {
		c := map[string]any{"code": one("final", "a", "1", "R"), "display": "x"}
		if s := one("", "s", "http://loinc.org"); s != "" {
			c["system"] = s
		}
		return c
	}
	switch typ {
	case "Reference":
		target := one("Patient/1", "Patient/2", "Organization/2", "Organization/3", "Practitioner/7", "Practitioner/8", "PractitionerRole/7", "Encounter/1")
		r := map[string]any{"reference": one("", "", "", "https://ehr.test/fhir/", "https://else.test/") + target + one("", "", "", "/_history/3")}
		if said := one("", "", "", "Patient", "Group"); said != "" {
			r["type"] = said
		}
		return r
	case "CodeableConcept":
		return map[string]any{"coding": []any{coding(), coding()}}
	case "Coding":
		return coding()
	}
	return one("final", "amended", "active", "R")
}

// narrowsSafely holds that a search narrowed by policy finds every resource
// that policy would release (issue 4.2).
func narrowsSafely(t *testing.T, name string, e *Engine) {
	t.Helper()
	bases, err := fhir.NewBaseSet("https://ehr.test/fhir")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		doc, res := drawDocument(t), drawResource(t)
		facts, err := fhir.R4.ReadFacts(doc, bases)
		if err != nil {
			t.Fatal(err)
		}
		res.Facts, res.Content = &facts, doc
		r := drawRequest(t)
		r.Action, r.Type, r.Interaction = "search", facts.Type, "search-type"
		v := e.For(background, r)
		params := v.Narrow(background, facts.Type, finder(facts.Type))
		m, err := search.Compile(fhir.R4, facts.Type, params, bases)
		if err != nil {
			t.Fatalf("%s: %s: %v", name, written(params), err)
		}
		var tree wire.Tree
		if err := tree.Parse(doc); err != nil {
			t.Fatal(err)
		}
		found, err := m.Match(&tree)
		if d := v.Decide(background, res); d.Allow && (!found || err != nil) {
			t.Fatalf("%s: %q leaves out what %q permits (%v)\n%s\n%+v\n%+v", name, written(params), d.Permits, err, doc, facts, r.Subject)
		}
	})
}

func TestNarrowedShippedFindsWhatIsPermitted(t *testing.T) {
	e, err := Load(Options{})
	if err != nil {
		t.Fatal(err)
	}
	narrowsSafely(t, "shipped", e)
}

// demanding are conditions that narrow, beside those of the zoo.
var demanding = []string{
	`input.resource.organization == input.subject.organization`,
	`input.subject.fhir_user in input.resource.practitioners`,
	`input.resource.author == input.subject.fhir_user`,
	`input.subject.patient in input.resource.patients`,
	`count(input.resource.patients) > 0; every p in input.resource.patients { p == input.subject.patient }`,
	`some p in input.resource.patients; p in {"Patient/1", "Patient/2"}`,
	`input.resource.status in {"final", "active"}`,
	`"http://loinc.org|1" in input.resource.codes`, `"|a" in input.resource.codes`,
	`some c in input.resource.categories; c in {"s|a", "|R"}`,
	`input.resource.encounter == "Encounter/1"`,
	`input.resource.id == "1"`, `input.resource.type in {"Patient", "Claim"}`,
}

// TestNarrowedFindsWhatIsPermitted draws policies of one to three ways, each of
// one or two conditions.
func TestNarrowedFindsWhatIsPermitted(t *testing.T) {
	chance := rand.New(rand.NewPCG(4, 2))
	pool := slices.Concat(zoo, demanding, demanding, demanding, demanding)
	for n := 0; n < 60; {
		rules := "package gatehouse\n"
		for i := range 1 + chance.IntN(3) {
			body := pool[chance.IntN(len(pool))]
			if other := pool[chance.IntN(len(pool))]; chance.IntN(2) == 0 && !strings.Contains(body+other, "some ") {
				body += "; " + other
			}
			rules += fmt.Sprintf("permit contains \"p%d\" if { %s }\n", i, body)
		}
		e, err := loadText(t, map[string]string{"a.rego": rules + zooHelpers, "t.yaml": zooData + manyRowsTable()})
		if err != nil {
			continue // two conditions name one variable
		}
		n++
		t.Run(fmt.Sprint(n), func(t *testing.T) { narrowsSafely(t, rules, e) })
	}
}
