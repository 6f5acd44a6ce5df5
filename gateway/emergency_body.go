package gateway

import (
	"net/http"
	"strings"
	"time"

	"gatehouse/config"
	"gatehouse/fhir"
	"gatehouse/gateway/auth"
	"gatehouse/gateway/emergency"
	"gatehouse/gateway/policy"
)

// opening is what somebody who breaks the glass must say, as plain JSON or as a
// FHIR Parameters resource, and in which of the two they want the answer.
type opening struct {
	patient string // "Patient/1"
	reason  string
	minutes int // 0: as long as may be
	fhir    bool
}

// parameters4 is the part of a FHIR Parameters resource that is read and written
// here.
type parameters4 struct {
	ResourceType string       `json:"resourceType"`
	Parameter    []parameter4 `json:"parameter"`
}

type parameter4 struct {
	Name      string      `json:"name"`
	String    string      `json:"valueString,omitempty"`
	Integer   int         `json:"valueInteger,omitempty"`
	Positive  int         `json:"valuePositiveInt,omitempty"`
	Instant   string      `json:"valueInstant,omitempty"`
	Reference *reference4 `json:"valueReference,omitempty"`
}

type reference4 struct {
	Reference string `json:"reference"`
}

func readOpening(body []byte, s *snapshot) (*opening, error) {
	o := &opening{fhir: strings.Contains(string(body), `"resourceType"`)} // many a client sends all as FHIR
	patient, reason, err := "", "", error(nil)
	if o.fhir {
		patient, reason, err = o.readParameters(body)
	} else {
		var plain struct {
			Patient string `json:"patient"`
			Reason  string `json:"reason"`
			Minutes *int   `json:"minutes"`
		}
		if err = readStrict(body, &plain); plain.Minutes != nil {
			o.minutes = *plain.Minutes
			if o.minutes <= 0 {
				return nil, badOpening("minutes is a whole number above 0.")
			}
		}
		patient, reason = plain.Patient, plain.Reason
	}
	if err != nil {
		return nil, err
	}
	ref, _, ok := s.bases.ParseRef(patient)
	if !ok || ref.Type != "Patient" || !fhir.ValidID(ref.ID) {
		return nil, badOpening("patient is one patient, written Patient/1.")
	}
	o.patient = ref.Type + "/" + ref.ID
	if o.reason, ok = emergency.Text(reason); !ok {
		return nil, badOpening("reason says in a few words why you need the record now.")
	}
	return o, nil
}

func badOpening(text string) error {
	return &failure{status: http.StatusBadRequest, code: "emergency.request", text: text}
}

func (o *opening) readParameters(body []byte) (patient, reason string, err error) {
	var p parameters4
	if err := readStrict(body, &p); err != nil {
		return "", "", err
	}
	seen := map[string]bool{}
	for _, one := range p.Parameter {
		if seen[one.Name] {
			return "", "", badOpening("A parameter stands there twice.")
		}
		seen[one.Name] = true
		switch one.Name {
		case "patient":
			if patient = one.String; one.Reference != nil {
				patient = one.Reference.Reference
			}
		case "reason":
			reason = one.String
		case "minutes":
			if o.minutes = max(one.Integer, one.Positive); o.minutes <= 0 {
				return "", "", badOpening("minutes is a whole number above 0.")
			}
		default:
			return "", "", badOpening("The parameters are patient, reason and minutes.")
		}
	}
	return patient, reason, nil
}

// answer is the opened grant in the form of the request.
func (o *opening) answer(handle string, g *emergency.Grant) any {
	until := g.Until.UTC().Format(time.RFC3339)
	if !o.fhir {
		return map[string]string{"grant": handle, "patient": g.Patient, "until": until, "review": g.ID}
	}
	return parameters4{"Parameters", []parameter4{{Name: "grant", String: handle},
		{Name: "patient", Reference: &reference4{g.Patient}}, {Name: "until", Instant: until}, {Name: "review", String: g.ID}}}
}

func personOf(s *auth.Subject) emergency.Person {
	return emergency.Person{Issuer: s.Issuer, Subject: strings.TrimPrefix(s.Key(), s.Issuer+"\x00"), Client: s.Client, User: s.FHIRUser, Roles: s.Roles}
}

// stepUpOf is a configured demand in policy's terms; nil where nothing is
// demanded.
func stepUpOf(c config.StepUp) *policy.StepUp {
	if c == (config.StepUp{}) {
		return nil
	}
	return &policy.StepUp{ACR: c.ACR, MaxAge: int(time.Duration(c.MaxAge) / time.Second)}
}
