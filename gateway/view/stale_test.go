package view

import "testing"

// What a rule by FHIRPath found in one document is forgotten with it: the memory of
// the run may next be that of another view, whose rule of the same number it is not.
func TestRunsForgetWhatRulesFound(t *testing.T) {
	w := ruleView(t, `
default: deny
rules:
  - {path: "Patient.name.where(use = 'official').family", method: keep}
`)
	r := new(run)
	out, err := r.apply(w, nil, []byte(`{"resourceType":"Patient","name":[{"use":"official","family":"F"}]}`), study)
	if err != nil || len(w.dynamic) == 0 || r.over != nil {
		t.Errorf("%s %v, %d rules by FHIRPath, left: %v", out, err, len(w.dynamic), r.over)
	}
}
