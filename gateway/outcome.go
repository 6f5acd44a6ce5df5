package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"gatehouse/fhir"
	"gatehouse/gateway/auth"
	"gatehouse/gateway/upstream"

	models "github.com/samply/golang-fhir-models/fhir-models/fhir"
)

// failure is an answer that is not what was asked for, in two texts: one for
// the client, which names neither patients nor internals, and one for the log.
// The zero failure is an internal error.
type failure struct {
	status     int
	code       string        // stable, listed in docs/errors.md
	text       string        // what to do next
	challenges []string      // WWW-Authenticate
	needed     string        // a scope that would have been enough
	retry      time.Duration // Retry-After
	allow      string        // of a 405
	made       bool          // a change was made, or may have been: no other answer may stand for this one
	withheld   bool          // an instance that may not be seen: nothing tells it from an absent one
	log        error
}

func (f *failure) Error() string {
	if f.log != nil {
		return f.code + ": " + f.log.Error()
	}
	return f.code
}

func (f *failure) Unwrap() error { return f.log }

// absent is the one answer for what does not exist and what may not be seen.
func absent(why error) *failure {
	return &failure{status: http.StatusNotFound, code: "resource.not-found",
		text: "There is no such resource, or you may not see it.", withheld: true, log: why}
}

func internal(err error) *failure {
	return &failure{status: http.StatusInternalServerError, code: "gateway.internal",
		text: "The gateway failed. Report the request id to whoever runs it.", log: err}
}

func badUpstream(err error) *failure {
	var e *upstream.Error
	if errors.As(err, &e) && e.Kind == upstream.Timeout { // in the middle of an answer
		return tooSlow(err)
	}
	return &failure{status: http.StatusBadGateway, code: "upstream.invalid",
		text: "The FHIR server behind the gateway gave an answer that cannot be judged. Report the request id.", log: err}
}

func tooSlow(err error) *failure {
	return &failure{status: http.StatusGatewayTimeout, code: "upstream.timeout", log: err,
		text: "The FHIR server behind the gateway took too long. Try again, or ask for less."}
}

// asFailure gives any error its answer; one that is not known is internal.
func asFailure(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	var grammar *fhir.Error
	if errors.As(err, &grammar) {
		return &failure{status: grammar.Status, code: grammar.Code, text: grammar.Text, allow: grammar.Allow}
	}
	var login *auth.Error
	if errors.As(err, &login) {
		return &failure{status: login.Status, code: login.Code, text: login.Text,
			challenges: login.Challenges, log: errors.New(login.Log)}
	}
	return internal(err)
}

// issueType is the FHIR issue type of an answer (BEAR-04).
func issueType(f *failure) models.IssueType {
	switch f.status {
	case http.StatusUnauthorized:
		return models.IssueTypeLogin
	case http.StatusForbidden:
		return models.IssueTypeForbidden
	case http.StatusNotFound:
		return models.IssueTypeNotFound
	case http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusUnsupportedMediaType:
		return models.IssueTypeNotSupported
	case http.StatusConflict, http.StatusPreconditionFailed:
		return models.IssueTypeConflict
	case http.StatusRequestEntityTooLarge:
		return models.IssueTypeTooLong
	case http.StatusUnprocessableEntity:
		return models.IssueTypeBusinessRule
	case http.StatusTooManyRequests:
		return models.IssueTypeThrottled
	case http.StatusServiceUnavailable, http.StatusBadGateway:
		return models.IssueTypeTransient
	case http.StatusGatewayTimeout:
		return models.IssueTypeTimeout
	case http.StatusInternalServerError:
		return models.IssueTypeException
	}
	return models.IssueTypeInvalid
}

// outcomeSystem is the code system of docs/errors.md.
const outcomeSystem = "urn:gatehouse:outcome"

// outcome is the OperationOutcome of a failure. The request id is left out of
// what is withheld: there the answer must not differ from one that is absent
// (DESIGN §10.1), and X-Request-Id carries it.
func (f *failure) outcome(requestID string) []byte {
	system, diagnostics := outcomeSystem, "Request "+requestID
	issue := models.OperationOutcomeIssue{Severity: models.IssueSeverityError, Code: issueType(f),
		Details: &models.CodeableConcept{Coding: []models.Coding{{System: &system, Code: &f.code}}, Text: &f.text}}
	if !f.withheld && requestID != "" {
		issue.Diagnostics = &diagnostics
	}
	b, err := json.Marshal(models.OperationOutcome{Issue: []models.OperationOutcomeIssue{issue}})
	if err != nil { // strings alone: cannot happen, and must not be silent if it does
		panic(fmt.Sprintf("marshal outcome: %v", err))
	}
	return b
}

// header writes what goes with the failure, and takes off what counts from one
// request to the next: by it what is hidden and what is absent would differ.
func (f *failure) header(h http.Header) {
	if f.withheld {
		h.Del("RateLimit")
		h.Del("RateLimit-Policy")
	}
	for _, c := range f.challenges {
		h.Add("WWW-Authenticate", c)
	}
	if f.retry > 0 || f.status == http.StatusTooManyRequests {
		h.Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(f.retry.Seconds())))))
	}
	if f.allow != "" {
		h.Set("Allow", f.allow)
	}
}

// upstreamFailed is the answer when the upstream gave none.
func upstreamFailed(err error, method string) error {
	var e *upstream.Error
	if !errors.As(err, &e) {
		return internal(err)
	}
	if e.Sent && method != http.MethodGet {
		return &failure{status: http.StatusInternalServerError, code: "upstream.unknown", log: err, made: true,
			text: "The change was sent and no answer came: it may have been made. Read the resource before you repeat it, and report the request id."}
	}
	switch e.Kind {
	case upstream.Timeout:
		return tooSlow(err)
	case upstream.Resting:
		return &failure{status: http.StatusServiceUnavailable, code: "upstream.down", log: err, retry: 5 * time.Second,
			text: "The FHIR server behind the gateway has failed repeatedly. Wait as long as Retry-After says."}
	case upstream.Busy:
		return &failure{status: http.StatusServiceUnavailable, code: "upstream.busy", log: err, retry: time.Second,
			text: "The FHIR server behind the gateway is busy. Wait as long as Retry-After says."}
	case upstream.Protocol:
		return badUpstream(err)
	case upstream.Refused:
		return internal(err)
	}
	return &failure{status: http.StatusBadGateway, code: "upstream.unreachable", log: err, retry: time.Second,
		text: "The FHIR server behind the gateway cannot be reached. Try again."}
}

func seconds(s string) time.Duration {
	n, err := strconv.Atoi(s)
	if err != nil {
		return time.Second
	}
	return time.Duration(n) * time.Second
}

// discard drops an answer that nobody will read.
func discard(a *upstream.Answer) {
	_ = a.Body.Discard() // closing what is thrown away: there is nothing to do about an error
}
