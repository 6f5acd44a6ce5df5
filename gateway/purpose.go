package gateway

import (
	"net/http"
	"slices"
	"strings"

	"gatehouse/gateway/auth"
)

// This file is the purpose of use that a client asserts by a header. Only those
// may whose entry says so, and only purposes that their entry lists; from all
// others the header is not read, as nothing is that callers say of themselves
// (DESIGN §2.13, CONS-07, C-12). What the token names comes before any header.

// assertion is a token with the purpose that was asserted beside it.
type assertion struct {
	subject *auth.Subject
	purpose string
}

// assertedKept bounds the assertions remembered per snapshot.
const assertedKept = 4096

// asserted is the subject with the purpose that its request asserts. It is the
// same pointer for the same token and purpose.
func (s *snapshot) asserted(subject *auth.Subject, r *http.Request) (*auth.Subject, error) {
	values := r.Header[s.purpose]
	if len(values) == 0 {
		return subject, nil
	}
	client := s.cfg.Client(subject.Client)
	if !client.PurposeHeader {
		return subject, nil
	}
	purpose, ok := purposeOf(values)
	switch {
	case !ok:
		return nil, &failure{status: http.StatusBadRequest, code: "purpose.malformed",
			text: "Name one purpose of use in the header " + s.purpose + ", as a code of v3-ActReason: TREAT."}
	case len(subject.Purpose) > 0 && !slices.Contains(subject.Purpose, purpose), purpose == "BTG", !slices.Contains(client.Purposes, purpose):
		return nil, &failure{status: http.StatusForbidden, code: "purpose.not-agreed",
			text: "The purpose of use in the header is none that the token names, or none that your client has an agreement for."}
	case len(subject.Purpose) > 0:
		return subject, nil
	}
	key := assertion{subject, purpose}
	if known, ok := s.asserts.Get(key); ok {
		return known, nil
	}
	with := *subject
	with.Purpose = []string{purpose}
	s.asserts.Add(key, &with)
	return &with, nil
}

// purposeOf reads the header: one code, bare or with the system of v3-ActReason.
func purposeOf(values []string) (string, bool) {
	if len(values) != 1 {
		return "", false
	}
	code := values[0]
	for _, separator := range []string{"|", "#"} {
		if system, rest, found := strings.Cut(code, separator); found {
			if !slices.Contains(auth.ActReason, system) {
				return "", false
			}
			code = rest
		}
	}
	return code, plainID(code) && code != ""
}
