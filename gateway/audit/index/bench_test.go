package index

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"testing"
	"time"

	"gatehouse/gateway/audit"
)

// What a year of a hospital costs: GATEHOUSE_RECORDS of them (200,000 where it is
// not set), of which one patient has 500.
func BenchmarkIndex(b *testing.B) {
	n, err := strconv.Atoi(os.Getenv("GATEHOUSE_RECORDS"))
	if err != nil {
		n = 200_000
	}
	w := newWorld(b)
	w.close()
	if w.log, err = audit.Open(audit.Options{Dir: w.logs, Key: key, Seed: seed, Origin: "gatehouse.test/audit"}); err != nil {
		b.Fatal(err)
	}
	w.fill(n)
	x := w.index()
	began := time.Now()
	w.advance(x)
	indexed, size := float64(n)/time.Since(began).Seconds(), 0.0
	if info, err := os.Stat(file(w.dir, w.logs)); err == nil {
		size = float64(info.Size()) / float64(n)
	}
	q := audit.Question{Patient: "Patient/watched"}
	began = time.Now()
	w.told(w.scan(), q)
	scanned := time.Since(began)
	for b.Loop() {
		if err := audit.Tell(x, q, audit.NewText(io.Discard, q)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(indexed, "indexed/s") // Loop forgets what was reported before it
	b.ReportMetric(size, "bytes/record")
	b.ReportMetric(float64(scanned.Milliseconds()), "scan-ms")
	b.ReportMetric(b.Elapsed().Seconds()*1000/float64(b.N), "report-ms")
}

func (w *world) fill(n int) {
	every := max(1, n/500)
	var p *audit.Pending
	for i := range n {
		patient := fmt.Sprint("Patient/", w.dice.IntN(n/20))
		if i%every == 0 {
			patient = "Patient/watched"
		}
		p = w.log.Append(&audit.Record{Request: fmt.Sprintf("0190163d-8694-739b-aea5-%012d", i), Time: day0.Add(time.Duration(i) * time.Second), Method: "GET", Interaction: "read", Type: "Observation",
			Address: "192.0.2.7", UserAgent: "ward-app/1.2", Status: 200, Code: "ok", Decision: audit.Decision{Allow: true, Permits: []string{"clinician reads own ward"}, Revision: "r1"},
			Caller:  audit.Caller{Issuer: "https://idp.example.org", Subject: fmt.Sprint("sub", i%3000), User: fmt.Sprint("Practitioner/", i%3000), Client: fmt.Sprint("app", i%12), Roles: []string{"clinician"}, Purpose: []string{"TREAT"}},
			Entries: []audit.Entry{{Effect: audit.Released, Type: "Observation", ID: fmt.Sprint("o", i), Version: "1", Patients: []string{patient}}}})
		if i%1000 == 999 {
			if err := p.Wait(context.Background()); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	if err := p.Wait(context.Background()); err != nil {
		w.t.Fatal(err)
	}
}
