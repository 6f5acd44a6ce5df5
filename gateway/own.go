package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"gatehouse/fhir"
)

// ownEndpoint serves what the gateway offers beside FHIR to an authenticated
// caller, below the base.
func (x *exchange) ownEndpoint(ctx context.Context) (done bool, err error) {
	path, query, err := x.below()
	if err != nil {
		return false, nil // said by parse
	}
	switch at, below := ownPath(path); at {
	case consentsPath:
		return true, x.consentsOf(ctx, below, query)
	case accessesPath:
		return true, x.accessesOf(ctx, below, query)
	case emergencyPath:
		return true, x.emergencyAccess(ctx, below, query)
	}
	return false, nil
}

// The endpoints: of patients, and of staff in an emergency.
const (
	consentsPath  = "/_gatehouse/consents"
	accessesPath  = "/_gatehouse/accesses"
	emergencyPath = "/_gatehouse/emergency"
)

// ownPath cuts the endpoint off a path; below is "" or "/…".
func ownPath(path string) (endpoint, below string) {
	for _, p := range []string{consentsPath, accessesPath, emergencyPath} {
		if rest, ok := strings.CutPrefix(path, p); ok && (rest == "" || rest[0] == '/') {
			return p, rest
		}
	}
	return "", ""
}

// patientInCharge is the patient whose matters the caller may see to: the
// patient itself, in an app that was launched for it, or one that somebody
// with a portal's role names. A launch context alone is not the patient: a
// clinician's app has one too.
func (x *exchange) patientInCharge(named string) (string, error) {
	s := x.caller.subject
	own := strings.HasPrefix(s.Patient, "Patient/") && s.Patient == s.FHIRUser
	portal := slices.ContainsFunc(s.Roles, func(r string) bool { return slices.Contains(x.s.cfg.Consent.PortalRoles, r) })
	if named != "" {
		ref, _, ok := x.s.bases.ParseRef(named)
		if ok {
			named = ref.String()
		}
		if !ok || ref.Type != "Patient" {
			return "", &failure{status: http.StatusBadRequest, code: "consent.form", text: "Name the patient as Patient/1."}
		}
	}
	patient := cmp.Or(named, s.Patient)
	switch {
	case x.caller.view != nil:
		return "", readOnly()
	case !own && !portal:
		return "", &failure{status: http.StatusForbidden, code: "consent.right",
			text: "This is for patients themselves: the token's patient and its user must be the same. A portal needs a role that the configuration names."}
	case patient == "":
		return "", &failure{status: http.StatusBadRequest, code: "consent.form", text: "Name the patient as Patient/1."}
	case x.blocked([]string{patient}), s.Patient != "" && patient != s.Patient: // what is not there and what may not be seen are one (E-02)
		return "", absent(nil)
	}
	x.record.Type, x.record.Patients = "Patient", []string{patient}
	return patient, nil
}

// own answers at an endpoint of the gateway with JSON, once its record is on
// disk.
func (x *exchange) answerOwn(ctx context.Context, status int, v any, location string) error {
	b, err := json.Marshal(v)
	if err != nil {
		return internal(err)
	}
	x.outcome(status, "ok")
	if err := x.commit(ctx); err != nil {
		if x.sent {
			return afterWrite(err)
		}
		return err
	}
	contentType := "application/json"
	if _, ok := v.(parameters4); ok {
		contentType = fhirJSON
	}
	_, err = x.out.begin(head{status: status, contentType: contentType, location: location, length: int64(len(b))}).Write(b)
	return clientGone(err)
}

// askedOwn notes what is asked at an endpoint of the gateway, and charges it.
func (x *exchange) askedOwn(interaction string) error {
	x.record.Interaction, x.record.Query = interaction, clientQuery(x.r, nil)
	x.record.Decision.Revision = x.s.policy.Revision()
	return x.limitClient(1)
}

func wrongMethod(allow, text string) *failure {
	return &failure{status: http.StatusMethodNotAllowed, code: "request.method", text: text, allow: allow}
}

// fhirID tells whether a path below an endpoint is one id.
func fhirID(below string) (string, bool) {
	id, ok := strings.CutPrefix(below, "/")
	return id, ok && fhir.ValidID(id)
}
