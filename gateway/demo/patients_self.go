package demo

import (
	"fmt"
	"strings"
)

// self is the Patient.
func (p *patient) self() {
	name := humanName(p.name, "official")
	if p.n%11 == 4 { // the same text, escaped as some libraries do
		name = object{"use", "official", "family", raw(`"M\u00fcller\/Gro\u00df"`), "given", list{p.name.given[0]},
			"_family", object{"extension", list{object{"url", structure + "humanname-own-name", "valueString", "Groß"}}}}
	}
	names := list{name}
	if p.n%4 == 0 {
		names = append(names, object{"use", "nickname", "text", "Schnuffel 🐻"})
	}
	var meta any = object{"profile", list{usCore + "us-core-patient"}}
	if p.vip() {
		meta = labels("V")
	}
	var contained, practitioner any
	practitioner = list{ref("Practitioner", p.doctor)}
	if p.n%5 == 3 {
		contained = list{object{"resourceType", "Practitioner", "id", "gp", "name", list{object{"text", "Dr. Hausarzt, 0160 1234567"}}}}
		practitioner = list{object{"reference", "#gp"}, ref("Practitioner", p.doctor)}
	}
	p.add(object{"resourceType", "Patient", "id", p.id, "meta", meta, "language", "de",
		"text", narrative(fmt.Sprintf("<p><b>%s</b>, MRN %s</p>", escape(p.name.text()), p.mrn())), "contained", contained,
		"extension", p.extensions(), "identifier", p.identifiers(), "active", true, "name", names,
		"telecom", p.telecom(), "gender", p.name.gender, "birthDate", p.birthDate(),
		"deceasedDateTime", p.deceased(), "address", p.address(), "maritalStatus", p.marital(),
		"photo", p.photo(), "contact", p.contact(), "communication", list{object{"language", object{"coding", list{object{"system", "urn:ietf:bcp:47", "code", p.name.lang}}}, "preferred", true}},
		"generalPractitioner", practitioner, "managingOrganization", ref("Organization", p.ward)})
}

func (p *patient) vip() bool { return p.n%97 == 41 }

func (p *patient) mrn() string { return fmt.Sprintf("%08d", 31_000_000+p.n*37) }

func (p *patient) extensions() list {
	omb := func(code, display string) object {
		return object{"url", "ombCategory", "valueCoding", object{"system", "urn:oid:2.16.840.1.113883.6.238", "code", code, "display", display}}
	}
	return list{
		object{"url", usCore + "us-core-race", "extension", list{omb("2106-3", "White"), object{"url", "text", "valueString", "White"}}},
		object{"url", usCore + "us-core-ethnicity", "extension", list{omb("2186-5", "Not Hispanic or Latino"), object{"url", "text", "valueString", "Not Hispanic or Latino"}}},
		object{"url", usCore + "us-core-birthsex", "valueCode", strings.ToUpper(p.name.gender[:1])},
		object{"url", structure + "patient-mothersMaidenName", "valueString", people[(p.n*3)%len(people)].family},
		object{"url", "https://klinikum.example.org/fhir/bettnummer", "valueString", fmt.Sprintf("Zi. %d / Bett %d", p.n%40, p.n%3)},
	}
}

func (p *patient) identifiers() list {
	ids := list{object{"use", "usual", "type", concept(terminology+"v2-0203", "MR", "Medical record number"),
		"system", "https://klinikum.example.org/mrn", "value", p.mrn(), "assigner", object{"reference", "Organization/hospital", "display", "Klinikum"}}}
	if p.n%9 == 2 { // longer than an id may be
		ids = append(ids, object{"system", "https://klinikum.example.org/legacy", "value", fmt.Sprintf("%088d", p.n)})
	}
	if p.n%3 == 0 {
		ids = append(ids, object{"system", "http://fhir.de/sid/gkv/kvid-10", "value", fmt.Sprintf("A%09d", 123_456_000+p.n)})
	}
	return ids
}

func (p *patient) telecom() any {
	if p.n%8 == 6 {
		return nil
	}
	return list{object{"system", "phone", "value", fmt.Sprintf("+49 30 %07d", 1_230_000+p.n), "use", "home"},
		object{"system", "email", "value", fmt.Sprintf("patient%d@example.org", p.n)}}
}

// birthDate is exact for most; those older than 89 are there too.
func (p *patient) birthDate() any {
	year := 1930 + p.n*7%90
	switch p.n % 6 {
	case 1:
		return fmt.Sprintf("%d", year)
	case 2:
		return fmt.Sprintf("%d-%02d", year, 1+p.n%12)
	}
	return fmt.Sprintf("%d-%02d-%02d", year, 1+p.n%12, 1+p.n%28)
}

func (p *patient) deceased() any {
	if p.n%29 != 11 {
		return nil
	}
	return p.time()
}

func (p *patient) address() list {
	return list{object{"use", "home", "line", list{fmt.Sprintf("Große Straße %d", 1+p.n%200), "c/o Büttner"}, "city", []string{"Köln", "İzmir", "上海", "Düsseldorf"}[p.n%4],
		"postalCode", fmt.Sprintf("%05d", 10_000+p.n*13%80_000), "country", []string{"DE", "TR", "CN", "DE"}[p.n%4],
		"extension", list{object{"url", structure + "geolocation", "extension", list{
			object{"url", "latitude", "valueDecimal", number(fmt.Sprintf("50.9%03d0", p.n))}, object{"url", "longitude", "valueDecimal", number("6.9600")}}}}}}
}

func (p *patient) marital() any {
	if p.n%3 == 1 {
		return nil
	}
	return concept(terminology+"v3-MaritalStatus", []string{"M", "S", "W"}[p.n%3], []string{"Married", "Never Married", "Widowed"}[p.n%3])
}

// pixel is a PNG of one pixel.
const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

func (p *patient) photo() any {
	if p.n%15 != 2 {
		return nil
	}
	return list{object{"contentType", "image/png", "data", pixel, "title", p.name.text() + ".png"}}
}

func (p *patient) contact() any {
	if p.n%7 != 1 {
		return nil
	}
	other := people[(p.n+1)%len(people)]
	return list{object{"relationship", list{concept(terminology+"v2-0131", "N", "Next-of-Kin")}, "name", humanName(other, "usual"),
		"telecom", list{object{"system", "phone", "value", "+90 232 555 01 0" + fmt.Sprint(p.n%10)}}}}
}

// stays are encounters: an old one, and for half of the patients a present one.
func (p *patient) stays() {
	for i, status := range []string{"finished", []string{"in-progress", "finished"}[p.n/len(wards)%2]} {
		start := p.date()
		period := object{"start", start + "T08:30:00+01:00", "end", nil}
		if status == "finished" {
			period[3] = start + "T16:00:00.000+01:00"
		}
		class := []string{"IMP", "AMB"}[i%2]
		p.add(object{"resourceType", "Encounter", "id", fmt.Sprintf("enc-%d-%d", p.n, i+1), "status", status,
			"class", coding(actCode, class, class), "subject", p.shown(),
			"participant", list{object{"individual", ref("Practitioner", p.doctor)}}, "period", period,
			"location", list{object{"location", ref("Location", p.ward)}}, "serviceProvider", ref("Organization", p.ward)})
	}
}

func (p *patient) encounter() object { return ref("Encounter", fmt.Sprintf("enc-%d-2", p.n)) }

func (p *patient) team() {
	if p.n%4 != 1 {
		return
	}
	p.add(object{"resourceType", "CareTeam", "id", p.next("team"), "status", "active", "subject", p.ref(),
		"participant", list{object{"member", ref("Practitioner", p.doctor)}, object{"member", p.ref()}}, "managingOrganization", list{ref("Organization", p.ward)}})
}

// consents: most have opted in; some with exceptions, some by exceptions alone
// (as the German MII form does), some against research, some whose consent has
// run out, and some have said nothing.
func (p *patient) consents() {
	sensitive := object{"type", "deny", "securityLabel", list{object{"system", actCode, "code", "PSY"}, object{"system", actCode, "code", "HIV"}, object{"system", actCode, "code", "ETH"}}}
	provision := object{"type", "permit"}
	switch p.n % 10 {
	case 3:
		provision = object{"type", "permit", "provision", list{sensitive}}
	case 5:
		class := func(code string) object { return object{"system", "http://hl7.org/fhir/resource-types", "code", code} }
		provision = object{"type", "deny", "period", object{"start", "2020", "end", "2055-01"},
			"provision", list{object{"type", "permit", "class", list{class("Patient"), class("Observation"), class("Encounter")}}}}
	case 6:
		return
	case 8:
		provision = object{"type", "permit", "provision", list{object{"type", "deny", "purpose", list{object{"system", terminology + "v3-ActReason", "code", "HRESCH"}}}}}
	case 9:
		provision = object{"type", "permit", "period", object{"end", "2021-12"}}
	}
	p.add(object{"resourceType", "Consent", "id", fmt.Sprintf("consent-%d", p.n), "status", "active",
		"scope", object{"coding", list{object{"system", terminology + "consentscope", "code", "patient-privacy"}}},
		"category", list{object{"coding", list{object{"system", loinc, "code", "59284-0"}}}},
		"patient", p.ref(), "dateTime", p.partly(), "organization", list{ref("Organization", "hospital")},
		"policyRule", object{"coding", list{object{"system", actCode, "code", "OPTIN"}}}, "provision", provision})
}
