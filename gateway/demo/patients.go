package demo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
)

// The places and people of the demo's hospital. What ward a patient lies on is
// told by its number; see ward.
const (
	internal   = "ward-3" // internal medicine
	psychiatry = "ward-5"
	infections = "ward-7"
)

var wards = []string{internal, psychiatry, infections}

// Patients makes the records of n synthetic patients and of the hospital that
// treats them, about two dozen resources each: the same bytes for the same n on
// every call, and the first patients of more are those of fewer. The data is as
// untidy as that of a real hospital; nobody in it exists.
func Patients(n int) [][]byte {
	all := hospital()
	for i := 1; i <= n; i++ {
		p := newPatient(i)
		all = append(all, p.resources()...)
	}
	return all
}

// FormerBase is where the hospital's FHIR server was before: links in records
// still name it.
const FormerBase = "http://ehr.klinikum.example:8080/fhir"

// patient is one patient while the records are made.
type patient struct {
	n      int // from 1
	id     string
	ward   string
	doctor string // attending
	name   person
	rand   *rand.Rand
	serial int
	made   [][]byte
}

func newPatient(n int) *patient {
	p := &patient{n: n, id: fmt.Sprintf("p%03d", n), rand: rand.New(rand.NewPCG(17, uint64(n)))}
	if n%50 == 7 { // as long as FHIR lets an id be
		p.id += "-" + strings.Repeat("x", 64-len(p.id)-1)
	}
	p.ward = wards[n%len(wards)]
	p.doctor = attending(p.ward, n)
	p.name = people[n%len(people)]
	return p
}

func (p *patient) resources() [][]byte {
	for _, make := range []func(){p.self, p.stays, p.team, p.conditions, p.vitals, p.laboratory, p.oddities,
		p.medication, p.allergy, p.procedures, p.reports, p.money, p.consents} {
		make()
	}
	return p.made
}

// add takes a resource. One in ten is stored indented, as some systems do:
// whoever copies bytes must not care.
func (p *patient) add(o object) {
	b := encode(o)
	if len(p.made)%10 == 9 {
		var indented bytes.Buffer
		if json.Indent(&indented, b, "", "  ") == nil {
			b = indented.Bytes()
		}
	}
	p.made = append(p.made, b)
}

// next names a new resource of the patient; ids come in several styles, as
// where systems were merged.
func (p *patient) next(short string) string {
	p.serial++
	switch p.serial % 7 {
	case 3:
		return fmt.Sprintf("%08x-%04x-4000-8000-%012x", p.n, p.serial, p.rand.Uint64()>>16)
	case 5:
		return fmt.Sprintf("%s.%d-%d", strings.ToUpper(short), p.n, p.serial)
	}
	return fmt.Sprintf("%s-%d-%d", short, p.n, p.serial)
}

// date is a day of the last years before 2026; some are known in part alone.
func (p *patient) date() string {
	return fmt.Sprintf("%d-%02d-%02d", 2019+p.rand.IntN(7), 1+p.rand.IntN(12), 1+p.rand.IntN(28))
}

func (p *patient) time() string {
	zone := []string{"Z", "+01:00", "+02:00", "+08:00"}[p.rand.IntN(4)]
	return fmt.Sprintf("%sT%02d:%02d:%02d%s", p.date(), p.rand.IntN(24), p.rand.IntN(60), p.rand.IntN(60), zone)
}

// partly is a date as people remember it.
func (p *patient) partly() string {
	d := p.date()
	return []string{d, d, d[:7], d[:4]}[p.rand.IntN(4)]
}

func (p *patient) ref() object   { return object{"reference", "Patient/" + p.id} }
func (p *patient) shown() object { return append(p.ref(), "display", p.name.text()) }

func ref(typ, id string) object { return object{"reference", typ + "/" + id} }

func coding(system, code, display string) object {
	return object{"system", system, "code", code, "display", display}
}

func concept(system, code, display string) object {
	return object{"coding", list{coding(system, code, display)}, "text", display}
}

const (
	loinc           = "http://loinc.org"
	snomed          = "http://snomed.info/sct"
	icd10           = "http://hl7.org/fhir/sid/icd-10"
	rxnorm          = "http://www.nlm.nih.gov/research/umls/rxnorm"
	ucum            = "http://unitsofmeasure.org"
	terminology     = "http://terminology.hl7.org/CodeSystem/"
	confidentiality = terminology + "v3-Confidentiality"
	actCode         = terminology + "v3-ActCode"
	structure       = "http://hl7.org/fhir/StructureDefinition/"
	usCore          = "http://hl7.org/fhir/us/core/StructureDefinition/"
)

// labels are meta with security labels: R and V for confidentiality, HIV, PSY
// and ETH for what the record is about; nil for none.
func labels(codes ...string) any {
	if len(codes) == 0 {
		return nil
	}
	var security list
	for _, c := range codes {
		system := actCode
		if c == "R" || c == "V" {
			system = confidentiality
		}
		security = append(security, object{"system", system, "code", c})
	}
	return object{"security", security}
}

func narrative(html string) object {
	return object{"status", "generated", "div", `<div xmlns="http://www.w3.org/1999/xhtml">` + html + `</div>`}
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}
