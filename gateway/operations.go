package gateway

import (
	"context"
	"net/http"
	"slices"

	"gatehouse/fhir"
)

// operation serves what is on the allow-list; fhir.Parse has refused all others.
func (x *exchange) operation(ctx context.Context, m *matter, out output) error {
	switch m.access.Operation {
	case "$everything":
		return x.everything(ctx, m, out)
	case "$export":
		return x.export(ctx, m, out)
	case "$lastn":
		return x.lastN(ctx, m, out)
	case "$docref":
		return x.docRef(ctx, m, out)
	case "$de-identify":
		return x.deIdentify(ctx, m, out)
	case "$validate":
		return x.validate(ctx, m, out)
	}
	return unserved()
}

func unserved() error {
	return &failure{status: http.StatusForbidden, code: "operation.unsupported",
		text: "This gateway cannot judge what this operation returns, so it does not offer it."}
}

// everything is served of one resource. An upstream answers 404 or an empty Bundle
// by whether the patient exists: who may not see the patient gets neither.
func (x *exchange) everything(ctx context.Context, m *matter, out output) error {
	if m.access.ID == "" {
		return unserved()
	}
	if m.at.Target == "" {
		if err := x.visibleNow(ctx, m, fhir.Ref{Type: m.access.Type, ID: m.access.ID}); err != nil {
			return err
		}
	}
	return x.search(ctx, m, out)
}

// docRef finds the documents of one patient, each of which is judged
// (http://hl7.org/fhir/us/core/OperationDefinition/docref). A patient other than
// that of the caller's context has none, whether or not it exists.
func (x *exchange) docRef(ctx context.Context, m *matter, out output) error {
	patient := criterion(m.access, "patient")
	if patient == nil {
		return parameter("$docref is about one patient; name it by its id.")
	}
	if profile := criterion(m.access, "profile"); profile != nil && !slices.ContainsFunc(profile.Values, ownProfile) {
		return foreignProfile()
	}
	search := &fhir.Access{Interaction: fhir.SearchType, Type: m.access.Type, Version: m.access.Version}
	for _, p := range x.caller.grants.Narrow(search) {
		if p.Name == "patient" && !slices.Contains(p.Values, "Patient/"+patient.Values[0]) {
			m.empty = true
		}
	}
	return x.search(ctx, m, out)
}

func parameter(text string) error {
	return &failure{status: http.StatusBadRequest, code: "operation.parameter", text: text}
}
