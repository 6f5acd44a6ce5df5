package view

import (
	"slices"
	"strings"
)

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
	missing := r.here.labels
	if r.here.securityEnd > 0 {
		for _, l := range labelCodes {
			if missing&l.is != 0 && r.labelled(i, l.code) {
				missing &^= l.is
			}
		}
	}
	codings := labelTexts[missing]
	if codings == "" {
		return
	}
	switch at := r.here.securityEnd; {
	case at > 0: // a list that survived has an element
		r.insert(at, ",", codings, "")
	case r.here.metaEnd > 0:
		r.insert(r.here.metaEnd, `,"security":[`, codings, "]")
	default:
		r.flush(prev)
		r.dst = append(append(append(r.dst, `,"meta":{"security":[`...), codings...), `]}`...)
		r.from = max(r.from, r.nodes[i].End-1)
	}
}

// insert puts texts into what is already written.
func (r *run) insert(at int, before, codings, after string) {
	n := len(before) + len(codings) + len(after)
	if r.notes != nil {
		r.notes.moved(at, n)
	}
	r.dst = slices.Grow(r.dst, n)[:len(r.dst)+n]
	copy(r.dst[at+n:], r.dst[at:])
	at += copy(r.dst[at:], before)
	at += copy(r.dst[at:], codings)
	copy(r.dst[at:], after)
}

// labelTexts are the codings of every set of labels.
var labelTexts = func() (texts [16]string) {
	for set := range texts {
		for _, l := range labelCodes {
			if label(set)&l.is != 0 {
				texts[set] += `,{"system":"` + observationValue + `","code":"` + l.code + `"}`
			}
		}
		texts[set] = strings.TrimPrefix(texts[set], ",")
	}
	return texts
}()

// labelled reports a label that the source has already.
func (r *run) labelled(i int, code string) bool {
	security := r.tree.Get(r.tree.Get(i, "meta"), "security")
	for c := range r.tree.Children(security) {
		system, at := r.tree.Get(c, "system"), r.tree.Get(c, "code")
		if system >= 0 && at >= 0 && r.peek(system) == observationValue && r.peek(at) == code {
			return true
		}
	}
	return false
}
