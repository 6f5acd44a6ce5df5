package policy

import (
	"context"
	"errors"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"gatehouse/fhir"
)

// Evaluation is the policy with the caller and the request known and the
// resource not. It may be shared by goroutines.
type Evaluation struct {
	engine   *Engine
	request  *Request
	now      string
	caller   *caller
	possible bool
	outlook  Decision
}

// For evaluates the policy as far as the request alone allows. Where that
// fails, nothing is possible and the decision of Possible says why.
func (e *Engine) For(ctx context.Context, r *Request) *Evaluation {
	v := &Evaluation{engine: e, request: r}
	if r == nil || r.Subject == nil || r.Action == "" || r.Now.IsZero() {
		v.outlook.Err = errors.New("policy was asked without a caller, an action or a time")
		return v
	}
	v.now = instant(r.Now)
	var space [256]byte
	key := space[:0]
	for _, f := range e.known {
		key = f.key(key, r)
	}
	v.caller = e.callers.get(key, func() *caller {
		return &caller{known: inputOf(e.known, r), types: map[string]*residual{}}
	})
	v.foresee(ctx)
	if e.watch != nil {
		e.watch(v, nil, v.outlook)
	}
	return v
}

// foresee settles what the request alone settles.
func (v *Evaluation) foresee(ctx context.Context) {
	typ := v.request.Type
	if v.request.Operation != "" {
		typ = "" // what an operation returns need not be of the type it is called on
	}
	v.possible, v.outlook = v.outlookOn(ctx, typ)
}

func (v *Evaluation) outlookOn(ctx context.Context, typ string) (bool, Decision) {
	res, err := v.residual(ctx, typ)
	if err != nil {
		return false, Decision{Err: err}
	}
	if res.broken {
		return v.survives(ctx)
	}
	f := v.frame(nil)
	defer f.release()
	return res.possible(f)
}

// survives asks a policy that failed with the resource unknown once more with
// the resource undefined: an error met even so is met whatever the resource.
func (v *Evaluation) survives(ctx context.Context) (bool, Decision) {
	if d := v.engine.askWith(ctx, requestInput(v.request)); d.Err != nil {
		return false, Decision{Err: d.Err}
	}
	return true, Decision{}
}

// Possible tells whether any resource at all could be allowed. Where none can,
// the decision says why, and the upstream must not be touched. Where some can,
// its Obligations are those that hold for every resource of the requested
// type; it is never a leave to release anything (Allow is false).
func (v *Evaluation) Possible() (bool, Decision) { return v.possible, v.outlook }

// PossibleFor is Possible for resources of one type, of the several that an
// operation returns.
func (v *Evaluation) PossibleFor(ctx context.Context, typ string) (bool, Decision) {
	if !v.possible {
		return false, v.outlook
	}
	return v.outlookOn(ctx, typ)
}

// Decide judges one resource. The decision may be shared: it is not to be
// changed.
func (v *Evaluation) Decide(ctx context.Context, res *Resource) Decision {
	return v.DecideLike(ctx, res, nil)
}

// DecideLike is Decide with a memory of what was decided before, nil for none.
func (v *Evaluation) DecideLike(ctx context.Context, res *Resource, m *Memo) Decision {
	m.forget()
	if v.outlook.Err != nil {
		return Decision{Err: v.outlook.Err}
	}
	if err := res.check(); err != nil {
		return Decision{Err: err}
	}
	d := v.byRules(ctx, res, m)
	if v.engine.watch != nil {
		v.engine.watch(v, res, d)
	}
	if d.Allow && res.Consent.Decision == "deny" && !v.OverridesConsent(res.Facts) {
		return Decision{Permits: d.Permits, Forbids: []string{consentDenies}}
	}
	return d
}

const consentDenies = "The patient's consent does not allow this."

func (v *Evaluation) byRules(ctx context.Context, res *Resource, m *Memo) Decision {
	return v.decideWith(ctx, res.Facts.Type, res, m)
}

// decideWith decides by the residual for resources of a type, "" for any.
func (v *Evaluation) decideWith(ctx context.Context, typ string, res *Resource, m *Memo) Decision {
	residual, err := v.residual(ctx, typ)
	if err != nil {
		return Decision{Err: err}
	}
	if d, ok := m.find(v, residual, res); ok {
		return d
	}
	f := v.frame(res)
	defer f.release()
	if d, ok := residual.decide(f); ok {
		m.keep(f, res, d)
		return d
	}
	return v.engine.ask(ctx, v.request, res)
}

// OverridesConsent tells whether a consent that denies, or the lack of one,
// does not bind this caller: the patient's own access, and an open emergency
// grant for the patient (DESIGN §6). A launch context alone is not the patient:
// a clinician's app has one too.
func (v *Evaluation) OverridesConsent(f *fhir.Facts) bool {
	if f == nil || f.Unnamed || len(f.Patients) == 0 || v.request == nil || v.request.Subject == nil {
		return false
	}
	s, patient := v.request.Subject, ""
	if e := v.grant(); e != nil {
		patient = e.Patient
	}
	for _, p := range f.Patients {
		own := p == s.Patient && p == s.FHIRUser
		if p == "" || !own && p != patient {
			return false
		}
	}
	return true
}

// grant is the emergency grant that v was asked under, nil where there is none
// or its time is over.
func (v *Evaluation) grant() *Emergency {
	if v.request == nil {
		return nil
	}
	if e := v.request.Emergency; e != nil && e.Patient != "" && v.request.Now.Before(e.Until) {
		return e
	}
	return nil
}

// Granted gives the id of the emergency grant that v was asked under, where it
// is for the one patient that the resource is about; else "".
func (v *Evaluation) Granted(f *fhir.Facts) string {
	e := v.grant()
	if e == nil || f.Unnamed || len(f.Patients) != 1 || f.Patients[0] != e.Patient {
		return ""
	}
	return e.ID
}

// residual is the policy for resources of one type, "" where it is not known.
func (v *Evaluation) residual(ctx context.Context, typ string) (*residual, error) {
	e := v.engine
	if !e.typed {
		typ = ""
	}
	r, room := v.caller.find(typ)
	if !room {
		typ = ""
		r, _ = v.caller.find(typ)
	}
	if r != nil {
		return r, nil
	}
	v.caller.mu.Lock()
	defer v.caller.mu.Unlock()
	if r := v.caller.types[typ]; r != nil {
		return r, nil
	}
	r, err := e.partial(ctx, withType(v.caller.known, typ), e.unknownFor(typ), nil)
	if err == nil {
		v.caller.types[typ] = r
	}
	return r, err
}

func (v *Evaluation) frame(res *Resource) *frame {
	f := frames.Get().(*frame)
	f.request, f.now = v.request, v.now
	if res != nil {
		f.facts, f.patients, f.consent, f.relation = res.Facts, patientsOf(res.Facts), &res.Consent, res.Relation
	}
	return f
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
