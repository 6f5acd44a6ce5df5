package fhir

import "testing"

func BenchmarkParse(b *testing.B) {
	o := options(b)
	h := map[string][]string{"Accept": {"application/fhir+json"}, "Authorization": {"Bearer x"}, "User-Agent": {"x"}}
	for _, c := range []struct{ name, path, query string }{
		{"read", "/Patient/123", ""},
		{"search", "/Observation", "patient=Patient/123&category=laboratory&date=ge2026-01-01&_count=50&_sort=-date"},
		{"chain", "/Observation", "subject:Patient.organization.name=x"},
	} {
		r := Request{Method: "GET", Path: c.path, Query: c.query, Header: h}
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(r, o); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(c.name+"/print", func(b *testing.B) {
			a, _ := Parse(r, o)
			b.ReportAllocs()
			for b.Loop() {
				a.Target()
			}
		})
	}
}
