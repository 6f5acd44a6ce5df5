package view

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
)

// page is a search page of lab results like Synthea's: 100 entries, 110 KB.
func page() []byte {
	var b bytes.Buffer
	b.WriteString(`{"resourceType":"Bundle","type":"searchset","entry":[`)
	for i := range 100 {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(labResult(i))
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

func labResult(i int) []byte {
	return fmt.Appendf(nil, `{"fullUrl":"http://up:9000/fhir/Observation/o%[1]d","resource":{"resourceType":"Observation","id":"o%[1]d",`+
		`"meta":{"versionId":"1","lastUpdated":"2020-03-01T10:00:00.000Z","profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-observation-lab"]},`+
		`"status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory","display":"laboratory"}]}],`+
		`"code":{"coding":[{"system":"http://loinc.org","code":"6690-2","display":"Leukocytes [#/volume] in Blood by Automated count"}],"text":"Leukocytes [#/volume] in Blood by Automated count"},`+
		`"subject":{"reference":"Patient/%[2]d","display":"Mr. Abe Smith%[2]d"},"encounter":{"reference":"Encounter/e%[1]d"},`+
		`"effectiveDateTime":"2019-06-04T22:36:40-04:00","issued":"2019-06-04T22:36:40.123-04:00",`+
		`"valueQuantity":{"value":9.9%[1]d0,"unit":"10*3/uL","system":"http://unitsofmeasure.org","code":"10*3/uL"},`+
		`"note":[{"text":"seen with the patient's daughter"}]},"search":{"mode":"match"}}`, i, i%7)
}

func BenchmarkApply(b *testing.B) {
	doc := page()
	own, _ := fhir.NewBaseSet("http://up:9000/fhir")
	for _, use := range Shipped() {
		w := testView(b, use)
		c := Context{Domain: "study", Base: "https://gw.example.org/r4", Own: own}
		b.Run(use, func(b *testing.B) {
			b.SetBytes(int64(len(doc)))
			b.ReportAllocs()
			var out []byte
			for b.Loop() {
				var err error
				if out, err = w.Apply(out[:0], doc, c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("tree alone", func(b *testing.B) {
		b.SetBytes(int64(len(doc)))
		var tree wire.Tree
		for b.Loop() {
			tree.Parse(doc)
		}
	})
	b.Run("plain token copy", func(b *testing.B) {
		b.SetBytes(int64(len(doc)))
		var out bytes.Buffer
		for b.Loop() {
			out.Reset()
			dec, enc := jsontext.NewDecoder(bytes.NewReader(doc)), jsontext.NewEncoder(&out)
			for {
				token, err := dec.ReadToken()
				if err == io.EOF {
					break
				}
				if err != nil {
					b.Fatal(err)
				}
				enc.WriteToken(token)
			}
		}
	})
}
