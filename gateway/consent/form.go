package consent

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"

	"gatehouse/fhir"
)

// Form is a consent as somebody gives it without knowing FHIR: who may, or may
// not, see what of the patient, for which purposes, until when.
type Form struct {
	Patient  string // "Patient/1"; "" where the form does not say
	Decision string // permit or deny
	Who      []string
	Types    []string // resource types; with labels and codes each narrows the others
	Labels   []string
	Codes    []coding
	Purpose  []string
	Until    string // a FHIR date or dateTime
}

// formJSON is a Form as it is sent.
type formJSON struct {
	Patient  string          `json:"patient"`
	Decision string          `json:"decision"`
	Who      json.RawMessage `json:"who"`
	What     json.RawMessage `json:"what"`
	Purpose  json.RawMessage `json:"purpose"`
	Until    string          `json:"until"`
}

type whatJSON struct {
	Types  []string `json:"types"`
	Labels []string `json:"labels"`
	Codes  []string `json:"codes"`
}

// recipients are the types whose resources can be named in who.
var recipients = set("Practitioner", "PractitionerRole", "Organization", "CareTeam", "RelatedPerson", "Device", "Group")

// ReadForm reads a form. Its errors say what to write, and hold nothing of what
// was sent.
func (e *Engine) ReadForm(v fhir.Version, body []byte) (*Form, error) {
	var in formJSON
	if err := strictly(body, &in); err != nil {
		return nil, errors.New(`the form is one JSON object with decision, who, what, purpose and until; send for instance {"decision": "deny", "who": "Organization/2", "what": {"types": ["Observation"]}}`)
	}
	f := &Form{Decision: in.Decision, Until: in.Until}
	if in.Decision != "permit" && in.Decision != "deny" {
		return nil, errors.New("decision is permit or deny")
	}
	if in.Patient != "" {
		ref, _, ok := e.reader.bases.ParseRef(in.Patient)
		if !ok || ref.Type != "Patient" {
			return nil, errors.New("patient is a reference such as Patient/1")
		}
		f.Patient = ref.String()
	}
	for _, read := range []func() error{
		func() error { return e.readWho(f, in.Who) },
		func() error { return f.readWhat(v, in.What) },
		func() error { return f.readPurpose(in.Purpose) },
		func() error { return e.readUntil(f) },
	} {
		if err := read(); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func strictly(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("more than one value")
	}
	return nil
}

// words reads one text or a list of them; nil for what is absent or the word
// that stands for everything.
func words(raw json.RawMessage, everything string) ([]string, bool) {
	if len(raw) == 0 {
		return nil, true
	}
	var one string
	if json.Unmarshal(raw, &one) == nil {
		if one == everything && one != "" {
			return nil, true
		}
		return []string{one}, one != ""
	}
	var list []string
	if json.Unmarshal(raw, &list) != nil || len(list) == 0 || slices.Contains(list, "") || slices.Contains(list, everything) {
		return nil, false
	}
	return list, true
}

func (e *Engine) readWho(f *Form, raw json.RawMessage) error {
	list, ok := words(raw, "anyone")
	if !ok || len(raw) == 0 {
		return errors.New(`who is "anyone", or a reference such as Practitioner/7 or Organization/2, or a list of them`)
	}
	for _, who := range list {
		ref, _, ok := e.reader.bases.ParseRef(who)
		if !ok || !recipients[ref.Type] {
			return errors.New("who names a Practitioner, PractitionerRole, Organization, CareTeam, RelatedPerson, Device or Group of this server, or anyone")
		}
		f.Who = append(f.Who, ref.String())
	}
	return nil
}

func (f *Form) readWhat(v fhir.Version, raw json.RawMessage) error {
	if len(raw) == 0 || string(raw) == `"everything"` {
		return nil
	}
	var what whatJSON
	if strictly(raw, &what) != nil || len(what.Types)+len(what.Labels)+len(what.Codes) == 0 {
		return errors.New(`what is "everything", or an object with types, labels or codes, each a list`)
	}
	for _, t := range what.Types {
		if !v.KnownType(t) {
			return errors.New("types are FHIR resource types, such as Observation")
		}
	}
	for _, l := range what.Labels {
		if !knownLabel(l) {
			return errors.New("labels are a confidentiality (N, R, V) or a sensitivity such as HIV, PSY or SUD")
		}
	}
	for _, c := range what.Codes {
		system, code, ok := strings.Cut(c, "|")
		if !ok || system == "" || code == "" {
			return errors.New("codes are written system|code, such as http://loinc.org|8480-6")
		}
		f.Codes = append(f.Codes, coding{system, code})
	}
	f.Types, f.Labels = what.Types, what.Labels
	return nil
}

// knownLabel: one that no resource could have would be a consent that seems to
// hold and does not.
func knownLabel(l string) bool {
	if len(l) == 1 {
		return strings.Contains(confidentiality, l)
	}
	return sensitivities[l]
}

func (f *Form) readPurpose(raw json.RawMessage) error {
	list, ok := words(raw, "")
	for _, p := range list {
		ok = ok && purposes[p]
	}
	if !ok {
		return errors.New("purpose is a code of v3-ActReason such as TREAT, HPAYMT, HOPERAT or HRESCH, or a list of them; left out: any")
	}
	f.Purpose = list
	return nil
}

func (e *Engine) readUntil(f *Form) error {
	if f.Until == "" {
		return nil
	}
	_, to, ok := span(f.Until, e.reader.zone)
	if !ok || !to.After(e.now()) {
		return errors.New("until is a date such as 2027-01-31, or a time with its zone, that is still to come; it is the last that counts")
	}
	return nil
}

func code(system, code string) any { return map[string]any{"system": system, "code": code} }

func concept(system, c string) any { return map[string]any{"coding": []any{code(system, c)}} }

func reference(to string) any { return map[string]any{"reference": to} }
