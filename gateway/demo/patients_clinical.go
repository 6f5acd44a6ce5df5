package demo

import "fmt"

func (p *patient) conditions() {
	type problem struct {
		system, code, display string
		labels                []string
	}
	list1 := []problem{{icd10, "I10", "Essential (primary) hypertension", nil}, {snomed, "44054006", "Diabetes mellitus type 2", nil}, {icd10, "J45.9", "Asthma, unspecified", nil}}
	all := []problem{list1[p.n%3]}
	switch {
	case p.ward == psychiatry && p.n%2 == 0:
		all = append(all, problem{icd10, "F32.1", "Moderate depressive episode", []string{"R", "PSY"}})
	case p.ward == infections && p.hiv():
		all = append(all, problem{icd10, "B20", "HIV disease", []string{"R", "HIV", "NOPAT"}})
	case p.n%14 == 5:
		all = append(all, problem{icd10, "F10.2", "Alcohol dependence syndrome", []string{"ETH"}})
	}
	for _, c := range all {
		p.add(object{"resourceType", "Condition", "id", p.next("cond"), "meta", labels(c.labels...),
			"clinicalStatus", object{"coding", list{object{"system", terminology + "condition-clinical", "code", "active"}}},
			"category", list{concept(terminology+"condition-category", "encounter-diagnosis", "Encounter Diagnosis")},
			"code", concept(c.system, c.code, c.display), "subject", p.ref(), "encounter", p.encounter(),
			"onsetDateTime", p.partly(), "recordedDate", p.time(), "recorder", ref("Practitioner", p.doctor),
			"note", list{object{"text", p.name.text() + " berichtet über Beschwerden seit Wochen."}}})
	}
}

func (p *patient) hiv() bool { return p.n%4 == 0 }

func quantity(value, unit, code string) object {
	return object{"value", number(value), "unit", unit, "system", ucum, "code", code}
}

func (p *patient) performers() list {
	return list{ref("Organization", p.ward), ref("Practitioner", p.doctor)}
}

// observation begins an Observation; its value follows.
func (p *patient) observation(meta any, category string, code object, more ...any) {
	o := object{"resourceType", "Observation", "id", p.next("obs"), "meta", meta, "status", "final",
		"category", list{concept(terminology+"observation-category", category, category)}, "code", code,
		"subject", p.ref(), "encounter", p.encounter(), "effectiveDateTime", p.time(), "performer", p.performers()}
	p.add(append(o, more...))
}

func (p *patient) vitals() {
	p.observation(nil, "vital-signs", concept(loinc, "85354-9", "Blood pressure panel"), "component", list{
		object{"code", concept(loinc, "8480-6", "Systolic blood pressure"), "valueQuantity", quantity(fmt.Sprint(105+p.rand.IntN(60)), "mmHg", "mm[Hg]")},
		object{"code", concept(loinc, "8462-4", "Diastolic blood pressure"), "valueQuantity", quantity(fmt.Sprint(60+p.rand.IntN(35)), "mmHg", "mm[Hg]")}})
	p.observation(nil, "vital-signs", concept(loinc, "29463-7", "Body weight"), "valueQuantity", quantity(fmt.Sprintf("%d.10", 50+p.rand.IntN(60)), "kg", "kg"))
	p.observation(nil, "vital-signs", concept(loinc, "8302-2", "Body height"), "valueQuantity", quantity(fmt.Sprintf("1%d.0", 50+p.rand.IntN(45)), "cm", "cm"))
}

// laboratory has numbers that only survive where nobody reads them as floats.
func (p *patient) laboratory() {
	specimen := object{"resourceType", "Specimen", "id", "s", "type", concept(snomed, "119297000", "Blood specimen"), "subject", p.ref()}
	p.observation(nil, "laboratory", concept(loinc, "2160-0", "Creatinine [Mass/volume] in Serum or Plasma"),
		"contained", list{specimen}, "specimen", object{"reference", "#s"},
		"valueQuantity", quantity([]string{"1.10", "0.90", "1.00", "2.340"}[p.rand.IntN(4)], "mg/dL", "mg/dL"),
		"referenceRange", list{object{"high", quantity("1.20", "mg/dL", "mg/dL")}})
	p.observation(nil, "laboratory", concept(loinc, "30522-7", "C reactive protein [Mass/volume] by High sensitivity method"),
		"valueQuantity", append(object{"value", number([]string{"0.00010", "1e-3", "1.0E+1", "12345678901234567890.10"}[p.n%4])}, quantity("0", "g/L", "g/L")[2:]...))
	p.observation(nil, "laboratory", concept(loinc, "4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood"),
		"valueQuantity", quantity(fmt.Sprintf("%d.%d0", 5+p.rand.IntN(5), p.rand.IntN(10)), "%", "%"))
	if p.ward == infections && p.hiv() {
		p.observation(labels("R", "HIV"), "laboratory", concept(loinc, "75622-1", "HIV 1 and 2 tests - Meaningful Use set"),
			"valueCodeableConcept", concept(snomed, "10828004", "Positive"), "note", list{object{"text", "Befund mit " + p.name.text() + " besprochen."}})
	}
	if p.ward == psychiatry {
		p.observation(labels("PSY"), "survey", concept(loinc, "44249-1", "PHQ-9 quick depression assessment panel"), "valueInteger", p.rand.IntN(27))
	}
}

// oddities are records that real servers hold and that are easily judged wrong.
func (p *patient) oddities() {
	switch p.n % 8 {
	case 2: // about nobody
		p.add(object{"resourceType", "Observation", "id", p.next("obs"), "status", "final", "code", concept(loinc, "8302-2", "Body height"),
			"effectiveDateTime", p.date(), "device", object{"display", "Waage, Kalibrierung"}, "valueQuantity", quantity("0.00010", "cm", "cm")})
	case 4: // about somebody who is named by a number alone
		p.add(object{"resourceType", "Observation", "id", p.next("obs"), "status", "preliminary", "code", concept(loinc, "29463-7", "Body weight"),
			"subject", object{"type", "Patient", "identifier", object{"system", "https://klinikum.example.org/mrn", "value", p.mrn()}, "display", p.name.text()},
			"performer", p.performers(), "valueQuantity", quantity("71.50", "kg", "kg")})
	case 6: // whose meaning an extension turns around
		p.observation(nil, "exam", concept(loinc, "11450-4", "Problem list"), "modifierExtension",
			list{object{"url", "https://klinikum.example.org/fhir/ruled-out", "valueBoolean", true}}, "valueString", "Verdacht auf Pneumonie: ausgeschlossen")
	case 7: // of a mother and her child
		p.add(object{"resourceType", "Observation", "id", p.next("obs"), "status", "final", "code", concept(loinc, "57722-1", "Birth plurality"),
			"subject", p.ref(), "performer", list{object{"reference", fmt.Sprintf("Patient/p%03d", p.n-1)}}, "valueInteger", 1})
	}
}

func (p *patient) medication() {
	contained := list{object{"resourceType", "Medication", "id", "m", "code", concept(rxnorm, "314076", "lisinopril 10 MG Oral Tablet"),
		"ingredient", list{object{"itemCodeableConcept", object{"text", "Lisinopril"}, "strength", object{"numerator", quantity("10.0", "mg", "mg"), "denominator", quantity("1", "Tbl", "1")}}}}}
	o := object{"resourceType", "MedicationRequest", "id", p.next("rx"), "status", "active", "intent", "order"}
	if p.n%2 == 0 {
		o = append(o, "contained", contained, "medicationReference", object{"reference", "#m"})
	} else {
		o = append(o, "medicationReference", ref("Medication", "metformin"))
	}
	p.add(append(o, "subject", p.ref(), "encounter", p.encounter(), "authoredOn", p.partly(), "requester", ref("Practitioner", p.doctor),
		"dosageInstruction", list{object{"text", "1–0–1 nach dem Essen", "doseAndRate", list{object{"doseQuantity", quantity("0.50", "mg", "mg")}}}}))
}

func (p *patient) allergy() {
	if p.n%3 != 0 {
		return
	}
	p.add(object{"resourceType", "AllergyIntolerance", "id", p.next("alg"),
		"clinicalStatus", object{"coding", list{object{"system", terminology + "allergyintolerance-clinical", "code", "active"}}},
		"code", concept(snomed, "91936005", "Allergy to penicillin"), "patient", p.ref(), "recorder", ref("Practitioner", p.doctor), "onsetDateTime", p.partly()})
}

func (p *patient) procedures() {
	p.add(object{"resourceType", "Procedure", "id", p.next("proc"), "status", "completed", "code", concept(snomed, "80146002", "Appendectomy"),
		"subject", p.ref(), "performedDateTime", p.partly(), "performer", list{object{"actor", ref("Practitioner", p.doctor)}}})
	p.add(object{"resourceType", "Immunization", "id", p.next("imm"), "status", "completed", "vaccineCode", concept("http://hl7.org/fhir/sid/cvx", "140", "Influenza"),
		"patient", p.ref(), "occurrenceDateTime", p.date(), "lotNumber", fmt.Sprintf("LOT%06d", p.n*7919%1_000_000)})
}

// letter is a discharge letter of one line, as base64.
const letter = "RW50bGFzc3VuZ3NicmllZjogS2xpbmlrdW0gU3QuIEVsaXNhYmV0aA=="

func (p *patient) reports() {
	p.add(object{"resourceType", "DiagnosticReport", "id", p.next("rep"), "text", narrative("<p>Labor für " + escape(p.name.text()) + "</p>"),
		"status", "final", "category", list{concept(terminology+"v2-0074", "LAB", "Laboratory")}, "code", concept(loinc, "11502-2", "Laboratory report"),
		"subject", p.ref(), "encounter", p.encounter(), "effectiveDateTime", p.time(), "issued", p.date() + "T10:00:00.000Z",
		"performer", p.performers(), "presentedForm", list{object{"contentType", "text/plain", "data", letter, "title", "Befund " + p.name.family}}})
	binary := fmt.Sprintf("bin-%d", p.n)
	url := "Binary/" + binary
	if p.n%6 == 0 {
		url = FormerBase + "/" + url
	}
	p.add(object{"resourceType", "Binary", "id", binary, "contentType", "text/plain", "securityContext", p.ref(), "data", letter})
	p.add(object{"resourceType", "DocumentReference", "id", p.next("doc"), "status", "current", "type", concept(loinc, "18842-5", "Discharge summary"),
		"subject", p.ref(), "date", p.date() + "T12:30:00.5+02:00", "author", list{ref("Practitioner", p.doctor)}, "custodian", ref("Organization", p.ward),
		"content", list{object{"attachment", object{"contentType", "text/plain", "url", url, "title", "Brief.txt"}}}})
}

// money is what billing sees.
func (p *patient) money() {
	coverage := fmt.Sprintf("cov-%d", p.n)
	p.add(object{"resourceType", "Coverage", "id", coverage, "status", "active", "subscriberId", fmt.Sprintf("A%09d", 123_456_000+p.n),
		"beneficiary", p.ref(), "payor", list{ref("Organization", "payer")}})
	p.add(object{"resourceType", "Claim", "id", fmt.Sprintf("claim-%d", p.n), "status", "active", "type", concept(terminology+"claim-type", "institutional", "Institutional"),
		"use", "claim", "patient", p.ref(), "created", p.date(), "insurer", ref("Organization", "payer"), "provider", ref("Organization", p.ward),
		"priority", object{"coding", list{object{"code", "normal"}}}, "insurance", list{object{"sequence", 1, "focal", true, "coverage", ref("Coverage", coverage)}},
		"item", list{object{"sequence", 1, "productOrService", object{"text", "DRG F62B"}, "net", object{"value", number(fmt.Sprintf("%d.10", 900+p.n)), "currency", "EUR"}}}})
	start := p.date()
	p.add(object{"resourceType", "Appointment", "id", fmt.Sprintf("appt-%d", p.n), "status", "booked", "start", start + "T09:00:00+01:00", "end", start + "T09:20:00+01:00",
		"comment", "Bitte nüchtern kommen", "participant", list{object{"actor", p.ref(), "status", "accepted"}, object{"actor", ref("Practitioner", p.doctor), "status", "accepted"}}})
}
