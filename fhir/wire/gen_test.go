package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// page makes a searchset as messy as real ones: narrative with markup and
// escapes, names in several scripts, decimals with trailing zeros, extensions
// beside primitives, contained resources, attachments.
func page(entries int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	b.WriteString(`{"resourceType":"Bundle","id":"page","type":"searchset","total":` + fmt.Sprint(entries) + `,"link":[{"relation":"self","url":"https://ehr.example.org/fhir/Observation?patient=1&_count=100"}],"entry":[`)
	for i := range entries {
		if i > 0 {
			b.WriteByte(',')
		}
		id := fmt.Sprintf("%08x-%04x-4000-8000-%012x", r.Uint32(), r.IntN(1<<16), r.Uint64N(1<<48))
		fmt.Fprintf(&b, `{"fullUrl":"https://ehr.example.org/fhir/X/%s","resource":%s,"search":{"mode":"match"}}`, id, resource(r, id))
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

func resource(r *rand.Rand, id string) string {
	switch r.IntN(8) {
	case 0:
		return patient(r, id)
	case 1:
		return document(r, id)
	case 2:
		return encounter(r, id)
	}
	return observation(r, id)
}

func meta(r *rand.Rand) string {
	security := ""
	if r.IntN(10) == 0 {
		security = `,"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]`
	}
	return fmt.Sprintf(`{"versionId":"%d","lastUpdated":"2026-03-%02dT10:%02d:00.000+00:00"%s}`, r.IntN(9)+1, r.IntN(28)+1, r.IntN(60), security)
}

func observation(r *rand.Rand, id string) string {
	return fmt.Sprintf(`{"resourceType":"Observation","id":%q,"meta":%s,"status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs","display":"vital-signs"}]}],"code":{"coding":[{"system":"http://loinc.org","code":"%d-%d","display":"Body Weight"}],"text":"Body Weight"},"subject":{"reference":"Patient/p%d"},"encounter":{"reference":"Encounter/%s"},"effectiveDateTime":"2012-08-%02dT13:06:37-04:00","issued":"2012-08-26T13:06:37.519-04:00","valueQuantity":{"value":%d.%d0,"unit":"kg","system":"http://unitsofmeasure.org","code":"kg"},"interpretation":[{"coding":[{"code":"N"}]}]}`,
		id, meta(r), r.IntN(99999), r.IntN(10), r.IntN(100), id, r.IntN(28)+1, r.IntN(200), r.IntN(10))
}

func patient(r *rand.Rand, id string) string {
	names := []string{"Hoeger", "Müller-Lüdenscheidt", "Ó Briain", "山田", "Иванова", "O\\u0027Neil", "José \\\"Pepe\\\""}
	return fmt.Sprintf(`{"resourceType":"Patient","id":%q,"meta":%s,"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">%s<\/div>"},"extension":[{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-race","extension":[{"url":"ombCategory","valueCoding":{"system":"urn:oid:2.16.840.1.113883.6.238","code":"2106-3","display":"White"}},{"url":"text","valueString":"White"}]},{"url":"disability-adjusted-life-years","valueDecimal":1.6421%d}],"identifier":[{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR"}]},"system":"http://hospital.smarthealthit.org","value":%q}],"name":[{"use":"official","family":"%s","given":["Buster%d",null],"_given":[null,{"extension":[{"url":"x","valueCode":"asked-unknown"}]}]}],"telecom":[{"system":"phone","value":"555-%d","use":"home"}],"gender":"male","birthDate":"19%02d-03-14","_birthDate":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthTime","valueDateTime":"1974-12-25T14:35:45-05:00"}]},"address":[{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/geolocation","extension":[{"url":"latitude","valueDecimal":42.%d},{"url":"longitude","valueDecimal":-71.%d}]}],"line":["%d Main St"],"city":"Boston"}],"multipleBirthBoolean":false}`,
		id, meta(r), strings.Repeat("<p>seen on ward 3, café<\\/p>", r.IntN(12)), r.IntN(999), id, names[r.IntN(len(names))], r.IntN(99), r.IntN(9999), r.IntN(99), r.Uint32(), r.Uint32(), r.IntN(999))
}

func document(r *rand.Rand, id string) string {
	data := make([]byte, r.IntN(800))
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	return fmt.Sprintf(`{"resourceType":"DocumentReference","id":%q,"meta":%s,"contained":[{"resourceType":"Practitioner","id":"a","name":[{"family":"Who"}]}],"status":"current","subject":{"reference":"Patient/p%d"},"author":[{"reference":"#a"}],"content":[{"attachment":{"contentType":"text/plain","data":"%s"}}],"unknownElement":{"deep":[[1e3,-0.0],{}]}}`,
		id, meta(r), r.IntN(100), base64.StdEncoding.EncodeToString(data))
}

func encounter(r *rand.Rand, id string) string {
	return fmt.Sprintf(`{"resourceType":"Encounter","id":%q,"meta":%s,"status":"finished","class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"AMB"},"type":[{"coding":[{"system":"http://snomed.info/sct","code":"%d","display":"Encounter for check up (procedure)"}],"text":"Encounter for check up"}],"subject":{"reference":"Patient/p%d","display":"Mr. Buster Hoeger"},"participant":[{"individual":{"reference":"Practitioner/%d"}}],"period":{"start":"2010-05-11T15:23:11-04:00","end":"2010-05-11T15:38:11-04:00"},"serviceProvider":{"reference":"Organization/%d"}}`,
		id, meta(r), r.Uint32(), r.IntN(100), r.IntN(999), r.IntN(99))
}

// indented is doc with the white space that many servers send.
func indented(doc []byte) []byte {
	var b bytes.Buffer
	if err := json.Indent(&b, doc, "", "    "); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// corpora are the pages that benchmarks run on. GATEHOUSE_CORPUS names a
// directory of more.
func corpora(b *testing.B) map[string][]byte {
	docs := map[string][]byte{"compact": page(100)}
	docs["indented"] = indented(docs["compact"])
	dir := os.Getenv("GATEHOUSE_CORPUS")
	if dir == "" {
		return docs
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*.json"))
	all := []byte("[")
	for i, file := range files {
		doc, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
		if i > 0 {
			all = append(all, ',')
		}
		all = append(all, doc...)
	}
	docs["corpus"] = append(all, ']')
	var small bytes.Buffer
	if err := json.Compact(&small, docs["corpus"]); err != nil {
		b.Fatal(err)
	}
	docs["corpus-compact"] = small.Bytes()
	return docs
}
