package gateway

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/policy"
	"gatehouse/gateway/view"
)

// assured tells whether the caller's login is as strong and as fresh as policy
// asks. A login whose strength or time the token does not tell is not
// (STEP-01).
func (x *exchange) assured(s *policy.StepUp) bool {
	if s == nil {
		return true
	}
	subject := x.caller.subject
	if s.ACR != "" && !x.s.strong(subject.ACR, s.ACR) {
		return false
	}
	age := x.start.Sub(subject.AuthTime)
	return s.MaxAge == 0 || !subject.AuthTime.IsZero() && age <= time.Duration(s.MaxAge)*time.Second && age >= -futureLogin
}

// futureLogin bounds how far the clocks of gateway and issuer may differ: a login
// that is yet to come would be fresh for ever.
const futureLogin = time.Minute

// strong tells whether a login of one acr will do for another: the same, or one
// that acr_order puts above it. Names are never compared as text (J-19).
func (s *snapshot) strong(have, want string) bool {
	order := s.cfg.ACROrder
	at := slices.Index(order, want)
	return have == want || at >= 0 && slices.Index(order, have) > at
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

// checkAssurance challenges before the upstream is touched where policy demands
// the login whatever the data: for a role, an operation, a write, a type. What a
// record's own labels demand is asked when it is seen.
func (x *exchange) checkAssurance(m *matter) error {
	if _, d := m.eval.Possible(); d.Obligations.StepUp != nil {
		if f := x.stepUp(d.Obligations.StepUp); f != nil {
			return f
		}
	}
	return nil
}

// checkObliged refuses a policy that obliges what no configuration could do: a
// view that there is not, a level of assurance that acr_order does not know.
func (s *snapshot) checkObliged(views map[string]config.View) error {
	if s.policy == nil {
		return nil // it could not be read, which was said
	}
	names := append(slices.Collect(maps.Keys(views)), view.Shipped()...) // a shipped one that has no key yet fails where it is used
	slices.Sort(names)
	names = slices.Compact(names)
	var problems []error
	for _, o := range s.policy.Obliged() {
		switch {
		case o.Kind == "view" && !slices.Contains(names, o.Name):
			problems = append(problems, o.Wrong("obliges the view %q, which is not among the views: write one of %s, or declare it under views",
				o.Name, strings.Join(names, ", ")))
		case o.Kind == "acr" && len(s.cfg.ACROrder) > 0 && !slices.Contains(s.cfg.ACROrder, o.Name):
			problems = append(problems, o.Wrong("obliges the acr %q, which acr_order does not list: write one of %s, or add it there", o.Name, strings.Join(s.cfg.ACROrder, ", ")))
		}
	}
	return errors.Join(problems...)
}
