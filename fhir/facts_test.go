package fhir

import (
	"reflect"
	"strings"
	"testing"
)

func ownBases(t testing.TB) *BaseSet {
	t.Helper()
	set, err := NewBaseSet("https://gw.example.org/fhir", "http://ehr.internal:8080/r4")
	if err != nil {
		t.Fatal(err)
	}
	return set
}

const observation = `{"resourceType":"Observation","id":"o1","meta":{"versionId":"3","security":[
{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"},{"code":"HIV","system":"http://terminology.hl7.org/CodeSystem/v3-ActCode"},
{"system":"urn:own","code":"x"},{"code":"bare"},{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]},
"status":"final","category":[{"coding":[{"system":"http://cat","code":"laboratory"}]}],
"code":{"coding":[{"code":"1234-5","system":"http://loinc.org","display":"x"},{"code":"local"}],"text":"T"},
"subject":{"reference":"Patient/1/_history/4","display":"Jane"},"encounter":{"reference":"http://EHR.internal:8080/r4/Encounter/e1"},
"effectiveDateTime":"2024-05-01","issued":"2024-05-02T00:00:00Z",
"performer":[{"reference":"Practitioner/p"},{"reference":"Organization/2"},{"reference":"https://gw.example.org/fhir/PractitionerRole/r"}],
"component":[{"code":{"coding":[{"system":"http://loinc.org","code":"sys"}]}},{"code":{"coding":[{"system":"http://loinc.org","code":"dia"}]}}]}`

func TestReadFacts(t *testing.T) {
	for _, c := range []struct {
		resource string
		want     Facts
	}{
		{observation, Facts{Type: "Observation", ID: "o1", VersionID: "3", Patients: []string{"Patient/1"}, Organization: "Organization/2",
			Practitioners: []string{"Practitioner/p", "PractitionerRole/r"}, Labels: []string{"R", "HIV", "urn:own|x", "bare"},
			Categories: []string{"http://cat|laboratory"}, Codes: []string{"http://loinc.org|1234-5", "|local", "http://loinc.org|sys", "http://loinc.org|dia"},
			Status: "final", Author: "Practitioner/p", Encounter: "Encounter/e1", Date: "2024-05-01"}},
		{`{"id":"1","resourceType":"Patient","managingOrganization":{"reference":"Organization/2"},"link":[{"other":{"reference":"Patient/2"}}],
		"generalPractitioner":[{"reference":"Practitioner/p"}]}`,
			Facts{Type: "Patient", ID: "1", Patients: []string{"Patient/1"}, Organization: "Organization/2", Practitioners: []string{"Practitioner/p"}}},
		{`{"resourceType":"Encounter","id":"e","status":"finished","class":{"system":"http://act","code":"AMB"},"subject":{"reference":"Patient/1"},
		"period":{"start":"2024-01-01"},"serviceProvider":{"reference":"Organization/2"},"type":[{"coding":[{"code":"a"}]}]}`,
			Facts{Type: "Encounter", ID: "e", Patients: []string{"Patient/1"}, Organization: "Organization/2", Categories: []string{"http://act|AMB"},
				Codes: []string{"|a"}, Status: "finished", Encounter: "Encounter/e", Date: "2024-01-01"}},
		{`{"resourceType":"Coverage","id":"c","beneficiary":{"reference":"Patient/2"},"policyHolder":{"reference":"RelatedPerson/x"},"payor":[{"reference":"Patient/3"}],
		"status":"active"}`,
			Facts{Type: "Coverage", ID: "c", Patients: []string{"Patient/2", "Patient/3"}, Status: "active"}},
		{`{"resourceType":"AllergyIntolerance","category":["food",null],"_category":[null,{"id":"x"}],"clinicalStatus":{"coding":[{"system":"s","code":"active"}]},
		"patient":{"reference":"Patient/1"}}`,
			Facts{Type: "AllergyIntolerance", Patients: []string{"Patient/1"}, Categories: []string{"|food"}, Status: "active"}},
		{`{"resourceType":"Organization","id":"2"}`, Facts{Type: "Organization", ID: "2", Organization: "Organization/2"}},
		{`{"resourceType":"Practitioner","id":"p"}`, Facts{Type: "Practitioner", ID: "p", Practitioners: []string{"Practitioner/p"}}},
		{`{"resourceType":"Binary","id":"b","securityContext":{"reference":"DocumentReference/d"}}`, Facts{Type: "Binary", ID: "b"}},
		{`{"resourceType":"Binary","id":"b","securityContext":{"reference":"Patient/1"}}`, Facts{Type: "Binary", ID: "b", Patients: []string{"Patient/1"}}},
		{`{"resourceType":"Condition","id":"c","code":{"coding":[{"system":"a\u002fb","code":"\u0063"}]},"subject":{"reference":"Patient\/1"}}`,
			Facts{Type: "Condition", ID: "c", Patients: []string{"Patient/1"}, Codes: []string{"a/b|c"}}},
		{`{"resourceType":"Appointment","status":"booked","participant":[{"actor":{"reference":"Patient/1"}},{"actor":{"reference":"Patient/2"}},{"actor":{"display":"Room 3"}}]}`,
			Facts{Type: "Appointment", Patients: []string{"Patient/1", "Patient/2"}, Status: "booked"}},
	} {
		got, err := R4.ReadFacts([]byte(c.resource), ownBases(t))
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%.60s…\n got %+v %v\nwant %+v", c.resource, got, err, c.want)
		}
	}
}

// B-08: an element that may tie a resource to a
// patient and does not name one leaves the resource in nobody's compartment.
func TestUnnamed(t *testing.T) {
	contained := `"contained":[{"resourceType":"Patient","id":"p"},{"resourceType":"Practitioner","id":"d"},{"resourceType":"Practitioner","id":"two"},{"resourceType":"Patient","id":"two"}],`
	for _, c := range []struct {
		element string // members of an Observation
		unnamed bool
	}{
		{`"subject":{"reference":"Patient/B"}`, false},
		{`"subject":{"reference":"https://gw.example.org/fhir/Patient/B"}`, false},
		{`"subject":{"reference":"HTTP://GW.example.org:443/fhir/Patient/B/_history/3"}`, false},
		{`"subject":{"reference":"Patient/B","type":"Patient"}`, false},
		{`"subject":{"reference":"Group/9"}`, false},
		{`"subject":null`, true},
		{`"subject":"Patient/B"`, true},
		{`"subject":{}`, true},
		{`"subject":[]`, true},
		{`"subject":{"display":"Jane B"}`, true},
		{`"subject":{"reference":"https://gw.example.org/other/Patient/B"}`, true},
		{`"subject":{"reference":"https://evil.example.org/fhir/Patient/B"}`, true},
		{`"subject":{"reference":"../Patient/B"}`, true},
		{`"subject":{"reference":"/Patient/B"}`, true},
		{`"subject":{"reference":"patient/B"}`, true},
		{`"subject":{"reference":"Patient/B "}`, true},
		{`"subject":{"reference":"Patient/B?x"}`, true},
		{`"subject":{"reference":"Patient/B#frag"}`, true},
		{`"subject":{"reference":"Patient/B/"}`, true},
		{`"subject":{"reference":"Patient/B/_history/"}`, true},
		{`"subject":{"reference":"Pаtient/B"}`, true}, // a Cyrillic а
		{`"subject":{"reference":"Nonsense/B"}`, true},
		{`"subject":{"reference":"Patient?identifier=MRN-B"}`, true},
		{`"subject":{"reference":"urn:uuid:6c2d9b5e-6a3c-4b06-8a5c-2f2f2f2f2f2f"}`, true},
		{`"subject":{"reference":"#p"}`, true},
		{`"subject":{"reference":"#d"}`, true},
		{`"subject":{"reference":"Patient/B","type":"Group"}`, true},
		{`"subject":{"type":"Group","identifier":{"value":"MRN-B"}}`, true},
		{`"subject":{"identifier":{"value":"MRN-B"}}`, true},
		{`"performer":[{"reference":"#d"}]`, false},
		{`"performer":[{"reference":"#d","type":"Practitioner"}]`, false},
		{`"performer":[{"reference":"#d","type":"Patient"}]`, true},
		{`"performer":[{"reference":"#p"}]`, true},
		{`"performer":[{"reference":"#two"}]`, true},
		{`"performer":[{"reference":"#none"}]`, true},
		{`"performer":[{"reference":"#"}]`, true},
		{`"performer":[{"display":"Dr. X"}]`, false},
		{`"performer":[{"type":"Practitioner","identifier":{"value":"9"}}]`, false},
		{`"performer":[{"type":"Patient","display":"Jane B"}]`, true},
		{`"performer":[{"type":"Nobody","identifier":{"value":"9"}}]`, true},
		{`"performer":[{"identifier":{"value":"9"}}]`, true},
		{`"performer":[{"reference":"Practitioner/p"},{"reference":"urn:uuid:1"}]`, true},
		{`"performer":[{"reference":"Practitioner/p","type":"Patient"}]`, true},
		{`"performer":["Patient/B"]`, true},
		{`"performer":[null]`, true},
		{`"performer":[[{"reference":"Patient/B"}]]`, true},
		{`"performer":{"reference":"urn:uuid:1"}`, true},
		{`"encounter":{"reference":"urn:uuid:1"}`, false},
	} {
		doc := `{"resourceType":"Observation",` + contained + c.element + `}`
		got, err := R4.ReadFacts([]byte(doc), ownBases(t))
		if err != nil {
			if !c.unnamed {
				t.Errorf("%s: %v", c.element, err)
			}
			continue
		}
		if got.Unnamed != c.unnamed {
			t.Errorf("%s: unnamed %v, patients %v", c.element, got.Unnamed, got.Patients)
		}
		if c.unnamed && len(got.Patients) > 0 {
			t.Errorf("%s: patients %v", c.element, got.Patients)
		}
	}
}

// D-15: what cannot be read is not judged.
func TestReadFactsRefusals(t *testing.T) {
	for _, doc := range []string{
		``, `{}`, `[]`, `null`, `"Patient"`, `{"resourceType":"Nothing"}`, `{"resourceType":"patient"}`, `{"resourceType":7}`,
		`{"resourceType":"Patient","resourceType":"Observation"}`, `{"id":"1","id":"2","resourceType":"Patient"}`,
		`{"resourceType":"Patient","id":"a b"}`, `{"resourceType":"Patient","id":"../x"}`, `{"resourceType":"Patient","id":1}`,
		`{"resourceType":"Patient"} x`, `{"resourceType":"Patient"`, `{"resourceType":"Patient","res\u006furceType":"Observation"}`,
		`{"resourceType":"Observation","subject":{"reference":"Patient/1","reference":"Patient/2"}}`,
		`{"resourceType":"Observation","subject":{"reference":7}}`, `{"resourceType":"Observation","status":{}}`,
		`{"resourceType":"Observation","meta":{"security":[{"code":7}]}}`,
		`{"resourceType":"DomainResource"}`, `{"resourceType":"HumanName"}`,
	} {
		if got, err := R4.ReadFacts([]byte(doc), nil); err == nil {
			t.Errorf("%s gave %+v", doc, got)
		}
	}
}

// Facts keep nothing of the document's bytes, which the caller uses again.
func TestFactsAreCopied(t *testing.T) {
	doc := []byte(observation)
	got, err := R4.ReadFacts(doc, ownBases(t))
	if err != nil {
		t.Fatal(err)
	}
	clear(doc)
	if got.Patients[0] != "Patient/1" || got.Type != "Observation" || got.Codes[0] != "http://loinc.org|1234-5" {
		t.Errorf("facts changed with the document: %+v", got)
	}
}

func FuzzReadFacts(f *testing.F) {
	f.Add([]byte(observation))
	f.Add([]byte(`{"resourceType":"Appointment","participant":[{"actor":{"reference":"#p"}}],"contained":[{"id":"p"}]}`))
	base := ownBases(f)
	f.Fuzz(func(t *testing.T, doc []byte) {
		got, err := R4.ReadFacts(doc, base)
		if err != nil {
			return
		}
		for _, p := range got.Patients {
			if id, ok := strings.CutPrefix(p, "Patient/"); !ok || !ValidID(id) {
				t.Errorf("patient %q", p)
			}
		}
	})
}

func BenchmarkReadFacts(b *testing.B) {
	base := ownBases(b)
	for name, doc := range map[string]string{"Observation": benchObservation, "Encounter": benchEncounter} {
		b.Run(name, func(b *testing.B) {
			raw := []byte(doc)
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				if f, err := R4.ReadFacts(raw, base); err != nil || len(f.Patients) != 1 {
					b.Fatal(f, err)
				}
			}
		})
	}
}

const benchObservation = `{"resourceType":"Observation","id":"f1e4c1a5-8a0b-4c9f-9a2e-1d2c3b4a5f6e","meta":{"versionId":"1","lastUpdated":"2024-05-02T10:00:00.000+00:00","profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-observation-lab"]},"status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory","display":"laboratory"}]}],"code":{"coding":[{"system":"http://loinc.org","code":"2339-0","display":"Glucose [Mass/volume] in Blood"}],"text":"Glucose [Mass/volume] in Blood"},"subject":{"reference":"Patient/6c2d9b5e-6a3c-4b06-8a5c-2f2f2f2f2f2f"},"encounter":{"reference":"Encounter/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"},"effectiveDateTime":"2012-06-20T03:01:13-04:00","issued":"2012-06-20T03:01:13.461-04:00","valueQuantity":{"value":78.12,"unit":"mg/dL","system":"http://unitsofmeasure.org","code":"mg/dL"}}`
const benchEncounter = `{"resourceType":"Encounter","id":"0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9","meta":{"versionId":"1","lastUpdated":"2024-05-02T10:00:00.000+00:00"},"status":"finished","class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"AMB"},"type":[{"coding":[{"system":"http://snomed.info/sct","code":"185349003","display":"Encounter for check up (procedure)"}],"text":"Encounter for check up (procedure)"}],"subject":{"reference":"Patient/6c2d9b5e-6a3c-4b06-8a5c-2f2f2f2f2f2f","display":"Mr. Ned123 Hintz995"},"participant":[{"individual":{"reference":"Practitioner/0000016d-3a85-4cca-0000-00000000fa9c","display":"Dr. Kaycee352 Barrows520"}}],"period":{"start":"2012-06-20T03:01:13-04:00","end":"2012-06-20T03:16:13-04:00"},"serviceProvider":{"reference":"Organization/4bc9b7a6-9a9b-3ac0-a3a9-7c9c9d9e9f90","display":"PCP87052"}}`

// The facts of what differs most from R4 in the other releases.
func TestFactsByRelease(t *testing.T) {
	for _, c := range []struct {
		v        Version
		resource string
		want     Facts
	}{
		{R5, `{"resourceType":"Encounter","id":"1","class":[{"coding":[{"code":"AMB"}]}],"subject":{"reference":"Patient/1"},"actualPeriod":{"start":"2026-01-01"},"participant":[{"actor":{"reference":"Practitioner/7"}}]}`,
			Facts{Type: "Encounter", ID: "1", Patients: []string{"Patient/1"}, Practitioners: []string{"Practitioner/7"}, Categories: []string{"|AMB"}, Encounter: "Encounter/1", Date: "2026-01-01"}},
		{R5, `{"resourceType":"MedicationRequest","medication":{"concept":{"coding":[{"system":"s","code":"c"}]}},"subject":{"reference":"Patient/1"},"requester":{"reference":"Practitioner/7"}}`,
			Facts{Type: "MedicationRequest", Patients: []string{"Patient/1"}, Practitioners: []string{"Practitioner/7"}, Codes: []string{"s|c"}, Author: "Practitioner/7"}},
		{R5, `{"resourceType":"Consent","decision":"deny","subject":{"reference":"Patient/1"}}`, Facts{Type: "Consent", Patients: []string{"Patient/1"}}},
		{STU3, `{"resourceType":"MedicationRequest","context":{"reference":"Encounter/3"},"subject":{"reference":"Patient/1"},"requester":{"agent":{"reference":"Practitioner/7"},"onBehalfOf":{"reference":"Organization/2"}}}`,
			Facts{Type: "MedicationRequest", Patients: []string{"Patient/1"}, Organization: "Organization/2", Practitioners: []string{"Practitioner/7"}, Author: "Practitioner/7", Encounter: "Encounter/3"}},
		{STU3, `{"resourceType":"ImagingManifest","patient":{"reference":"Patient/1"},"author":{"reference":"Practitioner/7"}}`,
			Facts{Type: "ImagingManifest", Patients: []string{"Patient/1"}, Practitioners: []string{"Practitioner/7"}, Author: "Practitioner/7"}},
		{STU3, `{"resourceType":"AuditEvent","agent":[{"reference":{"reference":"Practitioner/7"}}],"entity":[{"reference":{"reference":"Patient/1"}}]}`,
			Facts{Type: "AuditEvent", Patients: []string{"Patient/1"}, Practitioners: []string{"Practitioner/7"}, Author: "Practitioner/7"}},
		// STU3 has no Reference.type, so nothing is named by it.
		{STU3, `{"resourceType":"Observation","performer":[{"type":"Practitioner","identifier":{"value":"9"}}]}`, Facts{Type: "Observation", Unnamed: true}},
		{R4, `{"resourceType":"Observation","performer":[{"type":"Practitioner","identifier":{"value":"9"}}]}`, Facts{Type: "Observation"}},
	} {
		if got, err := c.v.ReadFacts([]byte(c.resource), nil); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s %s:\n got %+v, %v\nwant %+v", c.v, c.resource, got, err, c.want)
		}
	}
	for v, typ := range map[Version]string{R4: "ReferralRequest", R4B: "MedicinalProduct", R5: "Media", STU3: "ServiceRequest"} {
		if got, err := v.ReadFacts([]byte(`{"resourceType":"`+typ+`"}`), nil); err == nil {
			t.Errorf("%s has no %s: got %+v", v, typ, got)
		}
	}
}
