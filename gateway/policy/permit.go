package policy

import (
	"errors"
	"fmt"
	"io"
)

// Permit is leave to forward one request. Only an Evaluation that may allow
// something makes one; the zero Permit allows nothing.
type Permit struct {
	target   string
	revision string
}

// Allows tells whether the permit was given for this target: an error means
// that the request must not leave.
func (p Permit) Allows(target string) error {
	if p.revision == "" {
		return errors.New("no permit was given for this request")
	}
	if p.target != target {
		return errors.New("the permit was given for another request")
	}
	return nil
}

// Revision is the policy revision that gave the permit.
func (p Permit) Revision() string { return p.revision }

// Permit gives leave to forward the request to target, printed from the parse
// (Access.Target). It fails where the request can never be allowed.
func (v *Evaluation) Permit(target string) (Permit, error) {
	if ok, d := v.Possible(); !ok {
		return Permit{}, fmt.Errorf("no permit for an access that policy refuses: %w", errors.Join(errDenied, d.Err))
	}
	return Permit{target: target, revision: v.engine.revision}, nil
}

var errDenied = errors.New("denied")

// Unjudged is an upstream answer that nobody has judged yet. It can be thrown
// away by anyone and opened by package judge alone, which an architecture test
// holds.
type Unjudged struct{ body io.ReadCloser }

// Hold wraps an answer's body.
func Hold(body io.ReadCloser) Unjudged { return Unjudged{body} }

// Open yields the body to be judged under v. It fails for the zero Unjudged
// and for an evaluation that can allow nothing.
func (u Unjudged) Open(v *Evaluation) (io.ReadCloser, error) {
	if u.body == nil {
		return nil, errors.New("open answer: there is none")
	}
	if v == nil {
		return nil, errors.New("open answer: nothing judges it")
	}
	if ok, _ := v.Possible(); !ok {
		return nil, errors.New("open answer: policy refuses the access")
	}
	return u.body, nil
}

// Discard closes the body unread.
func (u Unjudged) Discard() error {
	if u.body == nil {
		return nil
	}
	return u.body.Close()
}
