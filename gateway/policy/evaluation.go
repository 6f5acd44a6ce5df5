package policy

import (
	"context"
	"errors"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Evaluation is the policy with the caller and the request known and the
// resource not. It may be shared by goroutines.
type Evaluation struct {
	engine  *Engine
	request *Request
	err     error
}

// For evaluates the policy as far as the request alone allows.
func (e *Engine) For(_ context.Context, r *Request) *Evaluation {
	v := &Evaluation{engine: e, request: r}
	if r.Subject == nil || r.Subject.ID == "" || r.Action == "" {
		v.err = errors.New("policy was asked without a caller or an action")
	}
	return v
}

// Possible tells whether any resource at all could be allowed. Where none can,
// the decision says why, and the upstream must not be touched.
func (v *Evaluation) Possible() (bool, Decision) {
	if v.err != nil {
		return false, Decision{Err: v.err}
	}
	return true, Decision{}
}

// Decide judges one resource. The decision may be shared: it is not to be
// changed.
func (v *Evaluation) Decide(ctx context.Context, res *Resource) Decision {
	if v.err != nil {
		return Decision{Err: v.err}
	}
	if err := res.check(); err != nil {
		return Decision{Err: err}
	}
	return v.engine.ask(ctx, v.request, res)
}

func (res *Resource) check() error {
	if res == nil || res.Facts == nil || res.Facts.Type == "" {
		return errors.New("policy was asked about a resource without facts")
	}
	switch res.Consent.Decision {
	case "permit", "deny", "none", "n/a":
		return nil
	}
	return errors.New("policy was asked without the patients' consent")
}

func reasons(values []ast.Value) ([]string, error) {
	list := make([]string, 0, len(values))
	for _, v := range values {
		s, ok := v.(ast.String)
		if !ok || s == "" {
			return nil, errors.New("evaluate policy: a reason is not text")
		}
		list = append(list, string(s))
	}
	slices.Sort(list)
	return list, nil
}
