package view

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"syscall"
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

// cpu reports MB/s of the processor time that f took: the clock tells little
// on a machine that others use too.
func cpu(b *testing.B, bytes int, f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b.ReportAllocs()
	var from, to syscall.Rusage
	const thread = 1 // RUSAGE_THREAD
	syscall.Getrusage(thread, &from)
	n := 0
	for b.Loop() {
		f()
		n++
	}
	syscall.Getrusage(thread, &to)
	spent := to.Utime.Nano() + to.Stime.Nano() - from.Utime.Nano() - from.Stime.Nano()
	b.ReportMetric(float64(n)*float64(bytes)/float64(spent)*1e3, "cpuMB/s")
}

var patients = []string{"Patient/0", "Patient/1", "Patient/2", "Patient/3", "Patient/4", "Patient/5", "Patient/6"}

func BenchmarkApply(b *testing.B) {
	doc := page()
	own, _ := fhir.NewBaseSet("http://up:9000/fhir")
	var entries [][]byte // as the judge gives them: one resource, its patient known
	for i := range 100 {
		entries = append(entries, bytes.TrimSuffix(bytes.SplitN(labResult(i), []byte(`"resource":`), 2)[1], []byte(`,"search":{"mode":"match"}}`)))
	}
	for _, use := range Shipped() {
		w := testView(b, use)
		c := Context{Domain: "study", Base: "https://gw.example.org/r4", Own: own}
		size := len(bytes.Join(entries, nil))
		var out []byte
		b.Run(use+" by entry", func(b *testing.B) {
			cpu(b, size, func() {
				for i, e := range entries {
					c.Patient = patients[i%len(patients)]
					var err error
					if out, err = w.Apply(out[:0], e, c); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
		walked := *w // as entries are that are like no other
		walked.forms, walked.entry = nil, nil
		b.Run(use+" walked", func(b *testing.B) {
			cpu(b, len(doc), func() {
				var err error
				if out, err = walked.Apply(out[:0], doc, c); err != nil {
					b.Fatal(err)
				}
			})
		})
		b.Run(use+" as Bundle", func(b *testing.B) {
			cpu(b, len(doc), func() {
				var err error
				if out, err = w.Apply(out[:0], doc, c); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
	b.Run("tree alone", func(b *testing.B) {
		var tree wire.Tree
		cpu(b, len(doc), func() { tree.Parse(doc) })
	})
	b.Run("plain token copy", func(b *testing.B) {
		cpu(b, len(doc), func() { tokenCopy(b, doc) })
	})
}

func tokenCopy(b *testing.B, doc []byte) {
	dec, enc := jsontext.NewDecoder(bytes.NewReader(doc)), jsontext.NewEncoder(io.Discard)
	for {
		token, err := dec.ReadToken()
		if err == io.EOF {
			return
		}
		if err != nil {
			b.Fatal(err)
		}
		enc.WriteToken(token)
	}
}
