package gateway

import (
	"strings"
	"testing"
)

// L-03: looking a reference up costs what the reference is long, whatever the
// transaction holds and however long its fullUrls are.
func TestNamedCostsNoStepMore(t *testing.T) {
	base := "http://other.example.org/" + strings.Repeat("x", maxFullURL-100) + "/"
	names := map[string]*step{}
	var g graph
	for _, id := range []string{"a", "b", "c"} {
		s := &step{fullURL: base + "Patient/" + id, base: baseOf(base + "Patient/" + id), names: names}
		names[s.fullURL] = s
		g = append(g, s)
	}
	for _, tt := range []struct {
		text string
		want *step
	}{
		{g[1].fullURL, g[1]}, {"Patient/c", g[2]}, {"Patient/d", nil}, {"", nil}, {base, nil},
		{strings.Repeat("y", 1<<20), nil},
	} {
		if got := g[0].named(tt.text); got != tt.want {
			t.Errorf("%.40q: got %v, want %v", tt.text, got, tt.want)
		}
	}
	text := strings.Repeat("y", 1<<20)
	if n := testing.AllocsPerRun(10, func() { g[0].named(text) }); n != 0 {
		t.Errorf("a long reference was joined: %v allocations", n)
	}
	for range 5000 {
		s := &step{fullURL: base + "Patient/" + requestID(), names: names}
		names[s.fullURL] = s
	}
	if n := testing.AllocsPerRun(10, func() { g[0].named("Patient/none") }); n > 1 {
		t.Errorf("a reference was joined %v times", n)
	}
	if (&step{}).named("Patient/a") != nil {
		t.Error("a write by itself names a step")
	}
}
