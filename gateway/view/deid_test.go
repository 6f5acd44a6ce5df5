package view

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// Issue 6.11: many workers, one order; a line that cannot be read ends the job
// after all before it; what is withheld says so.
func TestDeidInOrder(t *testing.T) {
	w := ruleView(t, "default: keep\nrules: [{path: Patient.name, method: redact}, {path: nodesByType('Extension'), method: redact}]")
	var in, want strings.Builder
	const n = 20000
	for i := range n {
		fmt.Fprintf(&in, `{"resourceType":"Patient","meta":{"security":[{"code":"x"}]},"id":"p%d","active":true}`+"\n", i)
	}
	want.WriteString(in.String())
	for _, workers := range []int{1, 7} {
		var out bytes.Buffer
		var done int64
		j := Job{View: w, Workers: workers, Done: func(n int64) error { done = n; return nil }}
		if err := j.Run(&out, strings.NewReader(in.String())); err != nil || out.String() != want.String() || done != n || j.Lines.Load() != n {
			t.Errorf("%d workers: %v, %d bytes of %d, done %d", workers, err, out.Len(), want.Len(), done)
		}
		out.Reset()
		j = Job{View: w, Workers: workers, Skip: n - 1}
		if err := j.Run(&out, strings.NewReader(in.String())); err != nil || !strings.HasPrefix(out.String(), `{"resourceType":"Patient","meta":{"security":[{"code":"x"}]},"id":"p19999"`) || strings.Count(out.String(), "\n") != 1 {
			t.Errorf("skipping: %v %s", err, out.String())
		}
		out.Reset()
		broken := in.String() + "{\n" + in.String()
		if err := w.Deid(&out, strings.NewReader(broken), Context{}); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("line %d:", n+1)) || out.String() != want.String() {
			t.Errorf("%d workers: %v, %d bytes", workers, err, out.Len())
		}
	}
	var out bytes.Buffer
	j := Job{View: w}
	modified := `{"resourceType":"Patient","modifierExtension":[{"url":"urn:x","valueBoolean":true}]}` + "\n"
	if err := j.Run(&out, strings.NewReader(modified+modified)); err != nil || out.String() != Withheld+"\n"+Withheld+"\n" || j.Withheld.Load() != 2 {
		t.Errorf("withheld: %v %s", err, out.String())
	}
}
