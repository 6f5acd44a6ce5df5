package view

import "slices"

// label is a set of what a view did, as told in meta.security with codes of
// v3-ObservationValue.
type label uint8

const (
	labelRedacted label = 1 << iota
	labelMasked
	labelPseudonymized
	labelAbstracted
)

var labelCodes = [...]struct {
	is   label
	code string
}{{labelRedacted, "REDACTED"}, {labelMasked, "MASKED"}, {labelPseudonymized, "PSEUDED"}, {labelAbstracted, "ABSTRED"}}

const observationValue = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"

// label writes the labels of the resource just walked into its meta.security.
func (r *run) label(i int, prev int32) {
	var codings []byte
	for _, l := range labelCodes {
		if r.here.labels&l.is != 0 && !r.labelled(i, l.code) {
			if codings != nil {
				codings = append(codings, ',')
			}
			codings = append(append(append(codings, `{"system":"`+observationValue+`","code":"`...), l.code...), `"}`...)
		}
	}
	if codings == nil {
		return
	}
	switch at := r.here.securityEnd; {
	case at > 0: // a list that survived has an element
		r.dst = slices.Insert(r.dst, at, append([]byte{','}, codings...)...)
	case r.here.metaEnd > 0:
		r.dst = slices.Insert(r.dst, r.here.metaEnd, append(append([]byte(`,"security":[`), codings...), ']')...)
	default:
		r.flush(prev)
		r.dst = append(append(append(r.dst, `,"meta":{"security":[`...), codings...), `]}`...)
		r.from = max(r.from, r.nodes[i].End-1)
	}
}

// labelled reports a label that the source has already.
func (r *run) labelled(i int, code string) bool {
	if r.here.securityEnd == 0 {
		return false
	}
	security := r.tree.Get(r.tree.Get(i, "meta"), "security")
	for c := range r.tree.Children(security) {
		system, at := r.tree.Get(c, "system"), r.tree.Get(c, "code")
		if system >= 0 && at >= 0 && r.tree.Text(system) == observationValue && r.tree.Text(at) == code {
			return true
		}
	}
	return false
}
