package consent

import (
	"strings"
	"testing"

	"gatehouse/fhir"
)

// CONS-10: Consents as the examples of IHE PCF have them, and what its text says
// that they mean.

const tpo = `"purpose":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActReason","code":"TREAT"},{"system":"http://terminology.hl7.org/CodeSystem/v3-ActReason","code":"HPAYMT"},{"system":"http://terminology.hl7.org/CodeSystem/v3-ActReason","code":"HOPERAT"}]`

// pcf is a Consent of a PCF profile; rest is its root provision's members.
func pcf(rest string) string {
	return `{"resourceType":"Consent","id":"c","meta":{"profile":["https://profiles.ihe.net/ITI/PCF/StructureDefinition/IHE.PCF.consentAdvanced"]},"status":"active",` +
		`"scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]},"category":[{"coding":[{"system":"http://loinc.org","code":"59284-0"}]}],` +
		`"patient":{"reference":"Patient/1"},"dateTime":"2022-06-13","performer":[{"reference":"Patient/1"}],"organization":[{"reference":"Organization/o"}],` +
		`"sourceReference":{"reference":"DocumentReference/d"},"policy":[{"uri":"http://example.org/policies/basePrivacyConsentPolicy.txt"}],"provision":{` + rest + `}}`
}

func TestPCF(t *testing.T) {
	label := func(code string) string {
		system := "v3-ActCode"
		if len(code) == 1 {
			system = "v3-Confidentiality"
		}
		return `"securityLabel":[{"system":"http://terminology.hl7.org/CodeSystem/` + system + `","code":"` + code + `"}]`
	}
	irc := func(ref string) string {
		return `"actor":[{"role":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ParticipationType","code":"IRCP"}]},"reference":{"reference":"` + ref + `"}}]`
	}
	data := func(meaning, ref string) string {
		return `"data":[{"meaning":"` + meaning + `","reference":{"reference":"` + ref + `"}}]`
	}
	permit, deny := `"type":"permit",`+tpo, `"type":"deny"`
	within := func(rest string) string { return `,"provision":[{` + rest + `}]` }
	colleague := doctor
	colleague.User = "Practitioner/6"
	research, glass := doctor, doctor
	research.Purpose, glass.Purpose = []string{"HRESCH"}, []string{"BTG"}
	for _, c := range []struct {
		name, consent string
		actor         Actor
		labels        []string
		date          string
		want          string
	}{
		{"basic treat", permit, doctor, nil, "", "permit"},
		{"basic treat, for research", permit, research, nil, "", "none"},
		{"expired", permit + `,"period":{"end":"2022-12-31"}`, doctor, nil, "", "none"},
		{"reject", deny + `,` + tpo, doctor, nil, "", "deny"},
		{"reject, for research", deny + `,` + tpo, research, nil, "", "none"},
		{"timeframe", permit + `,"dataPeriod":{"start":"2022-01","end":"2022-12"}`, doctor, nil, "2022-12-31T23:59:59Z", "permit"},
		{"timeframe, after", permit + `,"dataPeriod":{"start":"2022-01","end":"2022-12"}`, doctor, nil, "2023-01-01", "none"},
		{"not timeframe", permit + within(deny+`,"dataPeriod":{"start":"2022-01","end":"2022-12"}`), doctor, nil, "2022-03", "deny"},
		{"not timeframe, after", permit + within(deny+`,"dataPeriod":{"start":"2022-01","end":"2022-12"}`), doctor, nil, "2023-01-01", "permit"},
		{"authoredby", permit + `,` + data("authoredby", "Practitioner/8"), doctor, nil, "", "permit"},
		{"not authoredby", permit + within(deny+`,`+data("authoredby", "Practitioner/8")), doctor, nil, "", "deny"},
		{"encounter", permit + `,` + data("related", "Encounter/5"), doctor, nil, "", "permit"},
		{"not encounter", permit + within(deny+`,`+data("related", "Encounter/5")), doctor, nil, "", "deny"},
		{"data", permit + `,` + data("instance", "Observation/o"), doctor, nil, "", "permit"},
		{"not data", permit + within(deny+`,`+data("instance", "Observation/o")), doctor, nil, "", "deny"},
		{"dissent but break-glass", deny + within(`"type":"permit","purpose":[{"code":"BTG"}],`+irc("Group/1")), glass, nil, "", "permit"},
		{"dissent but break-glass, treatment", deny + within(`"type":"permit","purpose":[{"code":"BTG"}],`+irc("Group/1")), doctor, nil, "", "deny"},
		{"normal", permit + `,` + label("N"), doctor, []string{"N"}, "", "permit"},
		{"normal, not restricted data", permit + `,` + label("N"), doctor, []string{"R"}, "", "none"},
		{"not restricted", permit + `,` + label("N") + within(deny+`,`+label("R")), doctor, []string{"R"}, "", "none"},
		{"focused restricted", permit + `,` + label("N") + within(`"type":"permit",`+irc("Practitioner/7")+`,`+label("R")), doctor, []string{"R"}, "", "permit"},
		{"focused restricted, a colleague", permit + `,` + label("N") + within(`"type":"permit",`+irc("Practitioner/7")+`,`+label("R")), colleague, []string{"R"}, "", "none"},
		{"focused restricted, over", permit + `,"period":{"end":"2022"},` + label("N") + within(`"type":"permit",`+irc("Practitioner/7")+`,`+label("R")), doctor, []string{"R"}, "", "none"},
		{"break-glass restricted", permit + `,` + label("N") + within(`"type":"permit","purpose":[{"code":"BTG"}],`+label("R")), glass, []string{"R"}, "", "permit"},
		{"break-glass restricted, treatment", permit + `,` + label("N") + within(`"type":"permit","purpose":[{"code":"BTG"}],`+label("R")), doctor, []string{"R"}, "", "none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rule{consents: []string{pcf(c.consent)}, actor: c.actor, labels: c.labels, date: c.date, want: c.want, refused: c.want != "permit"}
			r.run(t)
		})
	}
	// Without the profile a permit within a permit is an exception to it, and adds nothing.
	plain := strings.Replace(pcf(permit+`,`+label("N")+within(`"type":"permit",`+irc("Practitioner/7")+`,`+label("R"))), "https://profiles.ihe.net/ITI/PCF", "https://example.org", 1)
	e := engine(usual(), &source{consents: []string{plain}})
	if got := decide(t, e, doctor, "read", &fhir.Facts{Type: "Observation", Patients: []string{"Patient/1"}, Labels: []string{"R"}}, ""); !got.Refused {
		t.Errorf("without the profile: got %+v", got)
	}
}
