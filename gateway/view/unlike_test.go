package view

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
)

// unlike is a Bundle of n records as Synthea makes them, no two of which have the same
// members: of several types, with a vocabulary of some hundred codes.
func unlike(n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	var b bytes.Buffer
	b.WriteString(`{"resourceType":"Bundle","type":"searchset","entry":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		typ := []string{"Observation", "Condition", "Procedure", "Encounter", "MedicationRequest"}[i%5]
		fmt.Fprintf(&b, `{"fullUrl":"http://up:9000/fhir/%[1]s/%[2]d","resource":{"resourceType":"%[1]s","id":"%[2]d",`+
			`"meta":{"versionId":"1","lastUpdated":"2020-03-01T10:%02[3]d:00.000Z","profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-%[4]s"]}`, typ, i, i%60, []string{"lab", "vital-signs", "condition"}[r.IntN(3)])
		for _, at := range r.Perm(len(pieces)) {
			if r.IntN(3) > 0 {
				b.WriteString("," + pieces[at](r, i, typ))
			}
		}
		b.WriteString(`},"search":{"mode":"match"}}`)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

func concept(r *rand.Rand, typ, member string) string {
	k := r.IntN(40) + len(typ)*1000 + len(member)*100
	return fmt.Sprintf(`{"coding":[{"system":"%s","code":"%d","display":"Something that was found or done, of kind %d (finding)"}],"text":"Something that was found or done, of kind %d"}`,
		[]string{"http://snomed.info/sct", "http://loinc.org"}[k%2], 3000000+k*7919, k, k)
}

// pieces are members of records.
var pieces = []func(r *rand.Rand, i int, typ string) string{
	func(r *rand.Rand, i int, typ string) string { return `"code":` + concept(r, typ, "code") },
	func(r *rand.Rand, i int, typ string) string {
		return fmt.Sprintf(`"subject":{"reference":"Patient/%d","display":"Mr. Abe Smith%d"},"encounter":{"reference":"Encounter/e%d"}`, i%7, i%7, i%40)
	},
	func(r *rand.Rand, i int, typ string) string {
		if typ != "Observation" && typ != "Condition" {
			return `"category":[` + concept(r, typ, "category") + `]`
		}
		return `"category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory","display":"laboratory"}]}]`
	},
	func(r *rand.Rand, i int, typ string) string {
		return `"status":"` + []string{"final", "completed", "active"}[r.IntN(3)] + `"`
	},
	func(r *rand.Rand, i int, typ string) string {
		date := fmt.Sprintf(`20%02d-0%d-%02dT22:36:%02d-04:00`, r.IntN(20), 1+r.IntN(9), 1+r.IntN(28), i%60)
		switch typ {
		case "Observation":
			return fmt.Sprintf(`"effectiveDateTime":"%s","issued":"%s"`, date, date)
		case "Condition":
			return fmt.Sprintf(`"onsetDateTime":"%s","recordedDate":"%s"`, date, date)
		case "Encounter":
			return fmt.Sprintf(`"period":{"start":"%s","end":"%s"}`, date, date)
		case "Procedure":
			return fmt.Sprintf(`"performedPeriod":{"start":"%s","end":"%s"}`, date, date)
		}
		return fmt.Sprintf(`"authoredOn":"%s"`, date)
	},
	func(r *rand.Rand, i int, typ string) string {
		if typ == "Observation" {
			return fmt.Sprintf(`"valueQuantity":{"value":%d.%d,"unit":"mg/dL","system":"http://unitsofmeasure.org","code":"mg/dL"}`, r.IntN(200), i)
		}
		return `"reasonCode":[` + concept(r, typ, "reasonCode") + `]`
	},
	func(r *rand.Rand, i int, typ string) string {
		return fmt.Sprintf(`"identifier":[{"use":"official","system":"https://github.com/synthetichealth/synthea","value":"%d-%d"}]`, i, r.IntN(1e9))
	},
	func(r *rand.Rand, i int, typ string) string {
		return fmt.Sprintf(`"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">What was told of %d on that day</div>"}`, r.IntN(1e6))
	},
	func(r *rand.Rand, i int, typ string) string {
		return fmt.Sprintf(`"performer":[{"reference":"Practitioner/p%d","display":"Dr. Jane Doe%d"},{"reference":"Organization/%d"}]`, i%11, i%11, i%3)
	},
}

// BenchmarkUnlike: records like no other. "walked" remembers nothing of one for the next.
func BenchmarkUnlike(b *testing.B) {
	var docs [][]byte // so many that nothing is met again as a whole
	for seed := range 8 {
		docs = append(docs, unlike(100, uint64(seed)))
	}
	own, _ := fhir.NewBaseSet("http://up:9000/fhir")
	c := Context{Domain: "study", Base: "https://gw.example.org/r4", Own: own}
	for _, use := range Shipped() {
		w := testView(b, use)
		walked := *w
		walked.forms, walked.entry = nil, nil
		for _, m := range []struct {
			how string
			w   *View
		}{{" walked", &walked}, {" as Bundle", w}} {
			b.Run(use+m.how, func(b *testing.B) {
				var out []byte
				size := 0
				for _, d := range docs {
					size += len(d)
				}
				cpu(b, size, func() {
					for _, d := range docs {
						var err error
						if out, err = m.w.Apply(out[:0], d, c); err != nil {
							b.Fatal(err)
						}
					}
				})
			})
		}
	}
}

// BenchmarkUnlikeTree is what it takes to read the same.
func BenchmarkUnlikeTree(b *testing.B) {
	doc := unlike(800, 1)
	var tree wire.Tree
	cpu(b, len(doc), func() { tree.Parse(doc) })
}
