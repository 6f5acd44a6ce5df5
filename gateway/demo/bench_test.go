package demo

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// What the store costs itself, to be taken off where the gateway is measured
// before it.
func BenchmarkStore(b *testing.B) {
	s, err := NewStore(testBase)
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Load(Patients(300)); err != nil {
		b.Fatal(err)
	}
	for name, target := range map[string]string{"read": "/Patient/p012", "search": "/Observation?patient=Patient/p012", "page": "/Observation?_count=100",
		"consents": "/Consent?patient=Patient/p012,Patient/p015,Patient/p018&_count=200", "everything": "/Patient/p012/$everything"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				w := httptest.NewRecorder()
				s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, testBase+target, nil))
				if w.Code != http.StatusOK {
					b.Fatal(w.Code, w.Body)
				}
			}
		})
	}
}
