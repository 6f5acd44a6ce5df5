package view

import (
	"strings"
	"testing"

	"gatehouse/config"
	"gatehouse/fhir"
)

func parseURL(t *testing.T, url string) *fhir.Access {
	t.Helper()
	path, query, _ := strings.Cut(url, "?")
	own, _ := fhir.NewBaseSet("https://gw.example.org/r4")
	a, err := fhir.Parse(fhir.Request{Method: "GET", Path: "/" + path, Query: query},
		fhir.Options{Version: fhir.R4, Bases: own, Operations: map[string]bool{"$everything": true, "$export": true}})
	if err != nil {
		t.Fatalf("parse %s: %v", url, err)
	}
	return a
}

// names are the domain's names for some records, to write into test URLs.
func names(t *testing.T, w *View) *strings.Replacer {
	t.Helper()
	must := func(s string, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	system := must(w.PseudonymousSystem("study", "urn:mrn"))
	return strings.NewReplacer(
		"{pat}", must(w.Pseudonym("study", "Patient", "p1")), "{pat2}", must(w.Pseudonym("study", "Patient", "p2")),
		"{enc}", must(w.Pseudonym("study", "Encounter", "e1")), "{foreign}", must(w.Pseudonym("other", "Patient", "p1")),
		"{ver}", must(w.Version("study", "Patient", "p1", "3")),
		"{sys}", system, "{mrn}", must(w.codec.Text("study", identifierLabel("urn:mrn"), "123")))
}

func TestInboundOpens(t *testing.T) {
	w := testView(t, "research")
	rep := names(t, w)
	for in, want := range map[string]string{
		"Patient/{pat}":                                               "Patient/p1",
		"Patient/{pat}/_history/{ver}":                                "Patient/p1/_history/3",
		"Patient/{pat}/_history":                                      "Patient/p1/_history",
		"Patient/{pat}/Observation?code=1234-5":                       "Patient/p1/Observation?code=1234-5",
		"Patient/{pat}/$everything":                                   "Patient/p1/$everything",
		"Patient?_id={pat},{pat2}":                                    "Patient?_id=p1,p2",
		"Patient?_id={pat},p2":                                        "Patient?_id=p1",
		"Observation?subject=Patient/{pat}":                           "Observation?subject=Patient/p1",
		"Observation?subject={pat}":                                   "Observation?subject=Patient/p1",
		"Observation?patient={pat}":                                   "Observation?patient=Patient/p1",
		"Observation?subject:Patient={pat}":                           "Observation?subject=Patient/p1",
		"Observation?encounter={enc}&code=http://x|y":                 "Observation?encounter=Encounter/e1&code=http://x|y",
		"Observation?subject=https://gw.example.org/r4/Patient/{pat}": "Observation?subject=Patient/p1",
		"Patient?identifier={sys}|{mrn}":                              "Patient?identifier=urn:mrn|123",
		"Observation?subject:identifier={sys}|{mrn}":                  "Observation?subject:identifier=urn:mrn|123",
		"Patient?gender=male":                                         "Patient?gender=male",
		"Encounter?subject:Patient.gender=male":                       "Encounter?subject:Patient.gender=male",
		"Patient?_has:Observation:patient:code=http://loinc.org|1-8":  "Patient?_has:Observation:patient:code=http://loinc.org|1-8",
		"Observation?_include=Observation:subject":                    "Observation?_include=Observation:subject",
		"Observation?status=final&_count=10":                          "Observation?status=final&_count=10",
	} {
		a := parseURL(t, rep.Replace(in))
		outcome, _, err := w.Inbound(a, study)
		got := strings.NewReplacer("%2F", "/", "%7C", "|", "%3A", ":", "%2C", ",", "%24", "$").Replace(a.Target())
		if err != nil || outcome != Proceed || got != want {
			t.Errorf("%s\n got %s %v %v\nwant %s", in, got, outcome, err, want)
		}
	}
}

// Q-03, law 9: what is no pseudonym of this domain names nothing.
func TestInboundForeign(t *testing.T) {
	w := testView(t, "research")
	rep := names(t, w)
	for in, want := range map[string]Outcome{
		"Patient/p1": Absent, "Patient/{foreign}": Absent, "Encounter/{pat}": Absent, "Patient/{pat}/_history/3": Absent,
		"Patient/p1/Observation": Absent, "Patient/p1/$everything": Absent,
		"Patient?_id=p1": Nothing, "Patient?_id={foreign}": Nothing, "Observation?subject=Patient/p1": Nothing, "Observation?subject=p1": Nothing,
		"Observation?subject=Group/{pat}": Nothing, "Observation?patient={foreign}": Nothing, "Observation?subject=http://other.example/Patient/{pat}": Nothing,
		"Patient?identifier=urn:mrn|123": Nothing, "Patient?identifier=123": Nothing, "Patient?identifier={mrn}": Nothing, "Patient?identifier={sys}|123": Nothing,
		"Patient?identifier=urn:other|{mrn}": Nothing, "Patient?_has:Observation:patient:_id=o1": Nothing,
	} {
		outcome, _, err := w.Inbound(parseURL(t, rep.Replace(in)), study)
		if err != nil || outcome != want {
			t.Errorf("%s: %v %v, want %v", in, outcome, err, want)
		}
	}
}

// law 5: what is hidden or changed is not asked for.
func TestInboundRefuses(t *testing.T) {
	research := []string{
		"Patient?name=x", "Patient?family:exact=x", "Patient?given:missing=false", "Patient?phonetic=x", "Patient?address-city=x", "Patient?address=x",
		"Patient?telecom=x", "Patient?email=x", "Patient?birthdate:missing=true", "Patient?birthdate=1970-01-01T00:00:00Z",
		"Observation?_lastUpdated=gt2020", "Observation?value-quantity=gt95", "Observation?value-string=x",
		"Observation?code:text=x", "Observation?code-value-quantity=http://loinc.org|1-8$gt5",
		"Patient?_sort=birthdate", "Patient?_sort=family", "Patient?_sort=-_lastUpdated", "Patient?_sort=_id", "Patient?_sort=identifier",
		"Observation?subject:Patient.name=x", "Observation?subject:Patient.birthdate=1970", "Patient?general-practitioner:Practitioner.name=x",
		"Patient?_has:Observation:patient:date=ge2020", "Patient?_has:Person:patient:name=x", "Patient?identifier:not={sys}|{mrn}",
		"Location?near=42|-83|10", "Patient?gender=jdoe", "Patient?gender:missing=true", "Observation?_include=*",
		"Patient/{pat}/$everything?start=2020-01-01", "Patient/{pat}/_history?_since=2020-01-01T00:00:00Z", "Organization?name=x", "Patient?_source=x",
	}
	w := testView(t, "research")
	rep := names(t, w)
	for _, in := range research {
		a := parseURL(t, rep.Replace(in))
		if outcome, _, err := w.Inbound(a, study); err == nil || err.Code != "view.parameter-hidden" || err.Status != 400 || outcome != Absent {
			t.Errorf("%s: %v %v", in, outcome, err)
		}
	}
	w = testView(t, "safe-harbor")
	for _, in := range []string{"Patient?identifier=urn:mrn|123", "Observation?code=1234-5", "Observation?code=http://local|x", "Observation?code:not=http://local|x", "Observation?code:missing=true"} {
		if _, _, err := w.Inbound(parseURL(t, in), study); err == nil {
			t.Errorf("safe-harbor: %s goes through", in)
		}
	}
	if outcome, _, err := w.Inbound(parseURL(t, "Observation?code=http://loinc.org|1-8"), study); err != nil || outcome != Proceed {
		t.Errorf("a published code: %v %v", outcome, err)
	}
}

func TestInboundWrites(t *testing.T) { // W-11
	w := testView(t, "research")
	for _, i := range []fhir.Interaction{fhir.Create, fhir.Update, fhir.Patch, fhir.Delete, fhir.Transaction} {
		if _, _, err := w.Inbound(&fhir.Access{Interaction: i, Type: "Patient", ID: "x"}, study); err == nil || err.Status != 403 {
			t.Errorf("%s: %v", i, err)
		}
	}
}

func TestHides(t *testing.T) {
	w := testView(t, "research")
	for element, want := range map[string]Verdict{
		"id": Pseudonymized, "name": Hidden, "birthDate": Changed, "active": Kept, "gender": Partly, "generalPractitioner": Hidden,
		"generalPractitioner.reference": Pseudonymized, "identifier.value": Pseudonymized, "deceased": Changed, "nothing": Hidden, "": Hidden,
	} {
		if got := w.Hides("Patient", element); got != want {
			t.Errorf("Hides(Patient, %s) = %d, want %d", element, got, want)
		}
	}
	over := loadView(t, config.View{Use: "limited"}).Overlay(w)
	if got := over.Hides("Patient", "birthDate"); got != Changed {
		t.Errorf("limited under research: birthDate is %d", got)
	}
}
