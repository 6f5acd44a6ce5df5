package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
)

// Kind says what became of a request that has no answer.
type Kind uint8

// The kinds of failure.
const (
	Unreachable Kind = iota // no connection, or it broke before an answer
	Timeout                 // no answer, or no more of it, in time
	Protocol                // an answer that FHIR and the gateway do not know
	Refused                 // never sent: no permit, or nothing that may be sent
	Credentials             // never sent: the gateway has no credentials for it
	Canceled                // whoever asked has gone
	Resting                 // never sent: the server has failed and is left alone
	Busy                    // never sent: it works on as much as it may
)

var kinds = [...]string{"unreachable", "timeout", "protocol", "refused", "credentials", "canceled", "resting", "busy"}

func (k Kind) String() string { return kinds[k] }

// Error is a request without an answer. Its text is for the log: it names hosts
// and never a path, a parameter or a secret.
type Error struct {
	Kind Kind
	// Sent: the upstream may have received the request, so a write may have
	// been done. False: it certainly was not.
	Sent bool
	Err  error
}

func (e *Error) Error() string { return "upstream " + e.Kind.String() + ": " + e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

var errSlow = errors.New("the time for the answer is over")

// failure sorts what the transport reports.
func failure(ctx context.Context, err error) *Error {
	var op *net.OpError
	sent := !(errors.As(err, &op) && op.Op == "dial")
	switch cause := context.Cause(ctx); {
	case cause == errSlow:
		return &Error{Timeout, sent, errSlow}
	case cause != nil:
		return &Error{Canceled, sent, context.Canceled}
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return &Error{Timeout, sent, err}
	}
	return &Error{Unreachable, sent, quotable(err)}
}

var errBroken = errors.New("what came is not HTTP")

// quotable lets through the errors of connections. Others of the transport may
// quote what the upstream sent in place of HTTP: somebody's record, when an
// answer was longer than it said.
func quotable(err error) error {
	var op *net.OpError
	var verify *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	switch {
	case errors.As(err, &op), errors.As(err, &verify), errors.As(err, &record), errors.As(err, &alert),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return err
	}
	return errBroken
}
