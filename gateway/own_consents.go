package gateway

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"

	"gatehouse/fhir"
	"gatehouse/gateway/audit"
	"gatehouse/gateway/upstream"
)

// This file is {base}/_gatehouse/consents: GET lists a patient's consents, POST
// gives one in simple form, DELETE …/{id} revokes one. They are FHIR Consents on
// the server that keeps them, written by the gateway, and act at once.

func (x *exchange) consentsOf(ctx context.Context, below, query string) error {
	if err := x.askedOwn("$gatehouse-consents"); err != nil {
		return err
	}
	named, err := onlyPatient(query)
	if err != nil {
		return err
	}
	if x.s.consent == nil {
		return &failure{status: http.StatusForbidden, code: "consent.off", text: "Consents are not consulted here."}
	}
	id, one := fhirID(below)
	switch {
	case below == "" && x.r.Method == http.MethodGet:
		return x.listConsents(ctx, named)
	case below == "" && x.r.Method == http.MethodPost:
		return x.giveConsent(ctx, named)
	case one && x.r.Method == http.MethodDelete:
		return x.revokeConsent(ctx, named, id)
	case below != "" && !one:
		return absent(nil)
	}
	return wrongMethod("GET, POST, DELETE", "GET lists consents, POST gives one, DELETE of one that GET lists revokes it.")
}

// onlyPatient reads the one parameter that the endpoints have in common.
func onlyPatient(query string) (string, error) {
	values, err := url.ParseQuery(query)
	for name, list := range values {
		if name != "patient" || len(list) != 1 || list[0] == "" {
			err = fmt.Errorf("parameter")
		}
	}
	if err != nil {
		return "", &failure{status: http.StatusBadRequest, code: "operation.parameter", text: "The one parameter here is patient=Patient/1."}
	}
	return values.Get("patient"), nil
}

func (x *exchange) listConsents(ctx context.Context, named string) error {
	patient, err := x.patientInCharge(named)
	if err != nil {
		return err
	}
	found, err := consentSource{x.s}.Consents(ctx, []string{patient})
	if err != nil {
		return consentsDown(err)
	}
	list := x.s.consent.Summaries(patient, found)
	for _, s := range list {
		x.record.Entries = append(x.record.Entries, audit.Entry{Effect: audit.Released, Type: "Consent", ID: s.ID, Patients: []string{patient}})
	}
	return x.answerOwn(ctx, http.StatusOK, map[string]any{"patient": patient, "without": x.s.cfg.Consent.Default, "consents": list}, "")
}

func consentsDown(err error) error {
	return &failure{status: http.StatusServiceUnavailable, code: "consent.unavailable", text: "The consents cannot be read now. Try again.", log: err}
}

// mayChangeConsents: an app with which a patient only reads is not one that
// gives consents. The configuration says which are, or else the token's scopes:
// letter is c to give one and u to revoke one.
func (x *exchange) mayChangeConsents(letter byte) error {
	apps := x.s.cfg.Consent.Clients
	if may := slices.Contains(apps, x.caller.subject.Client) || len(apps) == 0 && x.caller.grants.Gives(letter); !may {
		return &failure{status: http.StatusForbidden, code: "consent.client", text: "Consents are given and revoked with another application than this one."}
	}
	return nil
}

func (x *exchange) giveConsent(ctx context.Context, named string) error {
	if err := x.mayChangeConsents('c'); err != nil {
		return err
	}
	body, err := x.body()
	if err != nil {
		return err
	}
	form, err := x.s.consent.ReadForm(x.s.grammar.Version, body)
	if err != nil {
		return &failure{status: http.StatusBadRequest, code: "consent.form", text: "The form cannot be read: " + err.Error() + "."}
	}
	if named != "" && form.Patient != "" && named != form.Patient {
		return &failure{status: http.StatusBadRequest, code: "consent.form", text: "The form and the address name two patients."}
	}
	if form.Patient == "" {
		form.Patient = named
	}
	if form.Patient, err = x.patientInCharge(form.Patient); err != nil {
		return err
	}
	resource, err := form.Resource(x.s.grammar.Version, x.s.consentSeal(), x.performer(form.Patient), x.start)
	if err != nil {
		return internal(err)
	}
	head, err := x.writeConsent(ctx, form.Patient, upstream.Request{Method: http.MethodPost, Target: "Consent", Body: resource})
	if err != nil {
		return err
	}
	id := x.newConsent(head.Location)
	x.record.Entries = append(x.record.Entries, audit.Entry{Effect: audit.Changed, Type: "Consent", ID: id, Patients: []string{form.Patient}})
	location := ""
	if id != "" {
		location = x.s.publicURL + consentsPath + "/" + id
	}
	return x.answerOwn(ctx, http.StatusCreated, map[string]any{"id": id, "patient": form.Patient, "decision": form.Decision}, location)
}

// performer is who gives a consent: the user where the token names one.
func (x *exchange) performer(patient string) string {
	if user := x.caller.subject.FHIRUser; user != "" {
		return user
	}
	return patient
}

// newConsent is the id that the server gave.
func (x *exchange) newConsent(location string) string {
	target, ok := x.s.consents.Below(location)
	ref, _, valid := fhir.ParseRef(target, nil)
	if !ok || !valid || ref.Type != "Consent" {
		x.alarm("upstream.foreign-location")
		return ""
	}
	return ref.ID
}

// writeConsent sends a Consent with the gateway's own credentials, its intent on
// disk before. It counts from then on, whatever the answer says.
func (x *exchange) writeConsent(ctx context.Context, patient string, r upstream.Request) (*upstream.Head, error) {
	if err := x.intent(ctx); err != nil {
		return nil, err
	}
	r.ContentType, r.ID = fhirJSON, x.id
	x.sent = true
	defer x.s.consent.Forget(patient)
	answer, err := x.s.consents.WriteConsent(context.WithoutCancel(ctx), r)
	if err != nil {
		return nil, upstreamFailed(err, r.Method)
	}
	defer answer.Body.Close()
	switch {
	case answer.Status == http.StatusOK, answer.Status == http.StatusCreated:
		return &answer.Head, nil
	case answer.Status == http.StatusPreconditionFailed, answer.Status == http.StatusConflict:
		return nil, versionConflict()
	case answer.Status >= http.StatusInternalServerError:
		return nil, unknownWrite(fmt.Errorf("upstream status %d", answer.Status))
	}
	return nil, &failure{status: http.StatusUnprocessableEntity, code: "resource.refused", log: fmt.Errorf("upstream status %d", answer.Status),
		text: "The server that keeps consents does not accept this one."}
}

func (x *exchange) revokeConsent(ctx context.Context, named, id string) error {
	if err := x.mayChangeConsents('u'); err != nil {
		return err
	}
	patient, err := x.patientInCharge(named)
	if err != nil {
		return err
	}
	answer, err := x.s.consents.Own(ctx, upstream.Consent, upstream.Request{Method: http.MethodGet, Target: "Consent/" + id, ID: x.id})
	if err != nil {
		return upstreamFailed(err, http.MethodGet)
	}
	defer answer.Body.Close()
	if answer.Status != http.StatusOK {
		return absent(nil)
	}
	limit := int64(x.s.cfg.Limits.Resource)
	resource, err := io.ReadAll(io.LimitReader(answer.Body, limit+1))
	if err != nil || int64(len(resource)) > limit {
		return badUpstream(fmt.Errorf("read consent: %w", err))
	}
	revoked, ok := x.s.consent.Revoked(patient, resource)
	facts, err := x.s.grammar.Version.ReadFacts(resource, x.s.bases)
	if !ok || err != nil || facts.Type != "Consent" || facts.ID != id {
		return absent(err)
	}
	pin := facts.VersionID
	if pin == "" {
		pin = tagVersion(answer.ETag)
	}
	r := upstream.Request{Method: http.MethodPut, Target: "Consent/" + id, Body: revoked}
	switch {
	case pin != "":
		r.IfMatch = `W/"` + pin + `"`
	case !x.s.cfg.Upstream.InsecureUnpinnedWrites:
		return unpinned()
	}
	if _, err := x.writeConsent(ctx, patient, r); err != nil {
		return err
	}
	x.record.Entries = append(x.record.Entries, audit.Entry{Effect: audit.Changed, Type: "Consent", ID: id, Patients: []string{patient}})
	return x.answerOwn(ctx, http.StatusOK, map[string]any{"id": id, "patient": patient, "status": "inactive"}, "")
}
