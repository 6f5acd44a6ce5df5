package gateway

import (
	"errors"
	"net/http"
	"time"

	"gatehouse/gateway/policy"
)

// assured tells whether the caller's login is as strong and as fresh as policy
// asks. A login whose strength or time the token does not tell is not
// (STEP-01).
func (x *exchange) assured(s *policy.StepUp) bool {
	if s == nil {
		return true
	}
	subject := x.caller.subject
	if s.ACR != "" && subject.ACR != s.ACR {
		return false
	}
	return s.MaxAge == 0 || !subject.AuthTime.IsZero() && x.start.Sub(subject.AuthTime) <= time.Duration(s.MaxAge)*time.Second
}

// stepUp challenges a caller whose login is not enough (RFC 9470); nil where
// it is.
func (x *exchange) stepUp(s *policy.StepUp) *failure {
	if x.assured(s) {
		return nil
	}
	return &failure{status: http.StatusUnauthorized, code: "policy.step-up", challenges: x.s.auth.StepUp(s.ACR, s.MaxAge),
		text: "Log in again, as the WWW-Authenticate header says, to get at this.", log: errors.New("step-up demanded")}
}
