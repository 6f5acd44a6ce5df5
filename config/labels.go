package config

import "slices"

// Labels says what records without security labels are taken for, and what
// clients see of labels. Which codes give which labels is a table of the policy
// (policies/labelling.yaml).
type Labels struct {
	// Confidentiality of a record that neither its server nor the table labels.
	Unlabelled string `yaml:"unlabelled" default:"N" oneof:"U L M N R V"`
	// What clients see of labels: the level of confidentiality, all of them, or
	// none. What a record is about (HIV, PSY) is told by all alone; what its
	// reader must do or not do is always shown. A client's own entry comes first.
	Show string `yaml:"show" default:"confidentiality" oneof:"confidentiality all none"`
	// By obligation of a label (MASK, REDACT, PSEUD, DEID, ANONY), the view that
	// meets it. A record with an obligation that nothing meets is withheld.
	Views map[string]string `yaml:"views"`
}

// viewObligations are those that a view can meet.
var viewObligations = []string{"ANONY", "DEID", "MASK", "PSEUD", "REDACT"}

func (l *loader) checkLabels(c *Config) {
	for _, obligation := range sorted(c.Labels.Views) {
		key := join("labels.views", obligation)
		if !slices.Contains(viewObligations, obligation) {
			l.report(key, "is no obligation that a view can meet; write %s", oneOf(viewObligations))
			continue
		}
		l.declareView(c, key, c.Labels.Views[obligation])
	}
}
