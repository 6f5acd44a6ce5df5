package consent

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"gatehouse/fhir"
)

// generated is a Source with a Consent for every patient there is, made when
// asked for.
type generated struct{ template string }

func (g generated) Consents(_ context.Context, patients []string) (all [][]byte, err error) {
	for _, p := range patients {
		all = append(all, []byte(strings.ReplaceAll(g.template, "Patient/1", p)))
	}
	return all, nil
}

func (generated) Named(context.Context, []string) (map[string][][]byte, error) { return nil, nil }

// The cost of a page of 100 patients, and the memory that is kept, are the same
// however many Consents there are (issue 5, Speed).
func BenchmarkPage(b *testing.B) {
	template := root("deny", `"provision":[{"type":"permit","purpose":[{"code":"TREAT"}],"provision":[{"type":"deny","securityLabel":[{"code":"HIV"}]}]}]`)
	for _, total := range []int{1, 100, 10_000, 1_000_000} {
		patients := make([]string, total)
		for i := range patients {
			patients[i] = fmt.Sprintf("Patient/p%07d", i)
		}
		for _, warm := range []bool{true, false} {
			e := engine(usual(), nil)
			e.source = generated{template}
			now := noon
			e.now = func() time.Time { return now }
			at := 0
			page := func() []string {
				p := make([]string, 0, 100)
				for range 100 {
					p = append(p, patients[at%total])
					at++
				}
				return p
			}
			for range max(1, total/100) { // everyone has been seen once
				judge(b, e, page())
			}
			b.Run(fmt.Sprintf("consents=%d/warm=%v", total, warm), func(b *testing.B) {
				p := page()
				judge(b, e, p)
				b.ReportAllocs()
				for b.Loop() {
					if !warm {
						now = now.Add(time.Minute)
					}
					judge(b, e, p)
				}
				b.ReportMetric(float64(e.known.weight)/(1<<20), "MiB-kept")
			})
		}
	}
}

func judge(b *testing.B, e *Engine, patients []string) {
	b.Helper()
	set, err := e.Load(context.Background(), &doctor, patients)
	if err != nil {
		b.Fatal(err)
	}
	for i := range patients {
		if set.Decide(&doctor, "read", &fhir.Facts{Type: "Observation", Patients: patients[i : i+1]}, nil).Refused {
			b.Fatal("refused")
		}
	}
}

// A read of one patient's resource, everything remembered.
func BenchmarkRead(b *testing.B) {
	e := engine(usual(), nil)
	e.source = generated{permits}
	patients, facts := []string{"Patient/1"}, &fhir.Facts{Type: "Observation", Patients: []string{"Patient/1"}}
	b.ReportAllocs()
	for b.Loop() {
		set, err := e.Load(context.Background(), &doctor, patients)
		if err != nil || set.Decide(&doctor, "read", facts, nil).Refused {
			b.Fatal("refused", err)
		}
	}
}
