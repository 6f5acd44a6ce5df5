package gateway

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"gatehouse/config"
	"gatehouse/fhir"
	"gatehouse/fhir/wire"
	"gatehouse/gateway/auth"
	"gatehouse/gateway/judge"
)

// This file is about the security labels that clients see and ask for. Those
// that tell what a record is about (HIV, PSY) tell as much as the record.

// marks says what a caller sees of labels.
func (s *snapshot) marks(client config.Client, subject *auth.Subject) judge.Marks {
	user := subject.FHIRUser
	return judge.Marks{Show: cmp.Or(client.Labels, s.cfg.Labels.Show), Unlabelled: s.cfg.Labels.Unlabelled, Views: s.cfg.Labels.Views,
		Encrypted: s.cfg.TLS != nil || s.cfg.Base.Scheme == "https",
		Patient:   strings.HasPrefix(user, "Patient/") || strings.HasPrefix(user, "RelatedPerson/") || user == "" && subject.Patient != ""}
}

// hidesLabels refuses to search, sort or match by labels that the caller does
// not see: to be found by HIV tells as much as to read it (law 5).
func (x *exchange) hidesLabels(a *fhir.Access) error {
	if x.caller.marks.Show == "all" {
		return nil
	}
	hidden := slices.ContainsFunc(a.Results.Sort, func(k fhir.SortKey) bool { return k.Name == "_security" })
	for i := range a.Criteria {
		hidden = hidden || x.asksLabel(&a.Criteria[i])
	}
	if hidden {
		return &failure{status: http.StatusBadRequest, code: "search.labels",
			text: "You may not search by security labels that you do not see. Search by a level of confidentiality, or leave out _security."}
	}
	for _, filter := range a.Filters {
		if err := x.hidesLabels(filter); err != nil {
			return err
		}
	}
	return nil
}

// asksLabel reports whether a criterion, wherever its chain leads, is about
// labels other than a level that the caller may see.
func (x *exchange) asksLabel(p *fhir.Param) bool {
	if p.Has != nil {
		return x.asksLabel(p.Has.Then)
	}
	name, modifier := p.Name, p.Modifier
	if n := len(p.Chain); n > 0 {
		name, modifier = p.Chain[n-1].Name, cmp.Or(p.Chain[n-1].Modifier, modifier)
	}
	if name != "_security" {
		return false
	}
	if x.caller.marks.Show != "confidentiality" || modifier != "" && modifier != "not" {
		return true
	}
	return slices.ContainsFunc(p.Values, func(v string) bool {
		system, code, found := strings.Cut(v, "|")
		if !found {
			system, code = "", v
		}
		return fhir.Level(fhir.Label(system, code)) == 0
	})
}

// watermark is what the labels of all that an answer releases come to: its level
// is the highest of them (DS4P-02), and their notices go with it. It knows
// nothing of what is withheld.
type watermark struct {
	level   string
	notices []string
	labels  []string // of what was added last
	notice  string
}

func (w *watermark) add(f *fhir.Facts) {
	if f.Notice == w.notice && slices.Equal(f.Labels, w.labels) {
		return // entries of a page are labelled alike
	}
	w.labels, w.notice = f.Labels, f.Notice
	if level := fhir.Confidentiality(f.Labels); fhir.Level(level) > fhir.Level(w.level) {
		w.level = level
	}
	if f.Notice != "" && !slices.Contains(w.notices, f.Notice) {
		w.notices = append(w.notices, f.Notice)
	}
}

// header is the notices as one header has them.
func (w *watermark) header() string { return strings.Join(w.notices, " ") }

// meta is the Bundle's own, "" where nothing is to be said.
func (w *watermark) meta(show string) string {
	if w.level == "" || show == "none" {
		return ""
	}
	return `,"meta":{"security":[` + string(judge.Coding(w.level)) + `]}`
}

// noticeOutcome is an OperationOutcome that tells a notice.
func noticeOutcome(text string) []byte {
	b := []byte(`{"resourceType":"OperationOutcome","issue":[{"severity":"information","code":"informational","details":{"coding":[{"system":"` +
		outcomeSystem + `","code":"label.notice"}],"text":`)
	return append(wire.Quote(b, text), `}}]}`...)
}
