package policy

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"gatehouse/fhir"
	"gatehouse/gateway/auth"
)

// Past is a decision of the past: what a record tells, and what a Keeper wrote
// down beside it.
type Past struct {
	Subject  auth.Subject // issuer, id, client, roles, purposes, organization, FHIR user
	Client   ClientInfo
	Now      time.Time
	Address  string
	Asked    []byte // by AppendAsked; nil: erased, or not kept
	Type, ID string // of the resource; "" where none was seen
	Patients []string
	Basis    []byte // by AppendBasis
}

// Rejudged is what a policy says of a Past.
type Rejudged struct {
	Decision
	Action   string
	Possible bool     // no resource was seen: some could be allowed
	Missing  []string // paths of the input without whose values it cannot be said
}

// Rejudge decides on what was decided before, as far as the record tells enough:
// where it does not, Missing is not empty and the decision says nothing.
func (e *Engine) Rejudge(ctx context.Context, p *Past) (Rejudged, error) {
	q, res, has, err := p.restore()
	if err != nil {
		return Rejudged{}, err
	}
	return e.judge(ctx, q, res, e.missing(&has, res != nil))
}

// ExplainPast explains what was decided before, where the record tells enough;
// nil where it does not.
func (e *Engine) ExplainPast(ctx context.Context, p *Past) (*Explanation, error) {
	q, res, has, err := p.restore()
	if err != nil || len(e.missing(&has, res != nil)) > 0 {
		return nil, err
	}
	return e.For(ctx, q).Explain(ctx, res)
}

// Reconsider decides on what another policy has just decided on, whose
// evaluation v is; with a nil resource on the request alone. What that policy had
// no use for, the care relation, may be Missing.
func (e *Engine) Reconsider(ctx context.Context, v *Evaluation, res *Resource) (Rejudged, error) {
	var has [lastPath]bool
	for i := range has {
		has[i] = i != pathRelation || res != nil && res.Relation != nil
	}
	return e.judge(ctx, v.request, res, e.missing(&has, res != nil))
}

func (e *Engine) judge(ctx context.Context, q *Request, res *Resource, missing []ast.Ref) (Rejudged, error) {
	if len(missing) > 0 {
		return e.rejudgeInPart(ctx, q, res, missing)
	}
	v := e.For(ctx, q)
	if res == nil {
		possible, d := v.Possible()
		return Rejudged{Decision: d, Action: q.Action, Possible: possible}, d.Err
	}
	d := v.Decide(ctx, res)
	return Rejudged{Decision: d, Action: q.Action}, d.Err
}

// restore puts the question together again; has are the paths that it knows.
func (p *Past) restore() (q *Request, res *Resource, has [lastPath]bool, err error) {
	subject := p.Subject
	q = &Request{Subject: &subject, Client: p.Client, Now: p.Now, Address: p.Address}
	asked, basis := basisReader{b: p.Asked}, basisReader{b: p.Basis}
	if p.Type != "" {
		if own, has := basis.own(); has {
			asked.b = own // as an entry of a transaction has, or what is read back after a write
		}
	}
	if asked.asked(q); asked.bad || basis.bad || q.Action == "" {
		return nil, nil, has, errBasis
	}
	if p.Type == "" {
		return q, nil, asked.has, nil
	}
	res = &Resource{Facts: &fhir.Facts{Type: p.Type, ID: p.ID, Patients: p.Patients}}
	basis.has = asked.has
	if basis.basis(res); basis.bad || res.Consent.Decision == "" {
		return nil, nil, has, errBasis
	}
	return q, res, basis.has, nil
}

// missing are the paths that some rule reads and the record does not know.
func (e *Engine) missing(has *[lastPath]bool, resource bool) (all []ast.Ref) {
	for i, name := range pathNames {
		if name == "" || has[i] || !resource && i > pathEmergency || !e.reads.mentions(name) {
			continue
		}
		all = append(all, ast.MustParseRef(name))
	}
	if resource && e.reads.content {
		all = append(all, ast.MustParseRef("input.resource.content"))
	}
	return all
}

// rejudgeInPart decides with some of the input unknown: whatever it was, the
// answer may be the same.
func (e *Engine) rejudgeInPart(ctx context.Context, q *Request, res *Resource, missing []ast.Ref) (Rejudged, error) {
	input, unknown := requestInput(q), missing
	if res != nil {
		full, err := fullInput(q, res, false)
		if err != nil {
			return Rejudged{}, err
		}
		input = full
	} else {
		unknown = append(unknown, ast.MustParseRef("input.resource"), ast.MustParseRef("input.consent"), ast.MustParseRef("input.relation"))
	}
	asked := map[string]bool{}
	left, err := e.partial(ctx, input, unknown, func(answer *rego.PartialQueries) { mentioned(asked, answer, missing) })
	if err != nil {
		return Rejudged{}, err
	}
	d, sure := left.whatever()
	r := Rejudged{Decision: d, Action: q.Action, Possible: res == nil && !d.Allow}
	switch {
	case d.Err != nil:
		return Rejudged{}, d.Err
	case res == nil:
		r.Possible = !sure || d.Allow
	case !sure:
		r.Decision, r.Missing = Decision{}, slices.Sorted(maps.Keys(asked))
	case d.Allow && res.Consent.Decision == "deny" && !e.For(ctx, q).OverridesConsent(res.Facts):
		r.Decision = Decision{Permits: d.Permits, Forbids: []string{consentDenies}}
	}
	return r, nil
}

// whatever is the decision that the unknown cannot change; sure is false where
// it can.
func (r *residual) whatever() (d Decision, sure bool) {
	if r.broken {
		return Decision{}, false
	}
	found := make([]byte, (len(r.values)+7)/8)
	permitted, forbidden := false, false // perhaps
	for i := range r.ways {
		w := &r.ways[i]
		can, must := w.constant()
		permitted, forbidden = permitted || can && w.set == 0, forbidden || can && w.set == 1
		if must {
			found[w.member/8] |= 1 << (w.member % 8)
		}
	}
	d = r.decisionOf(found)
	return d, d.Err == nil && (!permitted || len(d.Forbids) > 0 || d.Allow && !forbidden)
}

// constant tells whether a way can hold, and must, by what depends on nothing
// unknown.
func (w *way) constant() (can, must bool) {
	must = !w.toOPA
	f := &frame{}
	for i := range w.steps {
		s := &w.steps[i]
		if s.test == nil || s.uses != 0 {
			must = false
		} else if !s.test(f) {
			return false, false
		}
	}
	return true, must
}

// mentioned notes which of the paths an answer still asks for.
func mentioned(in map[string]bool, answer *rego.PartialQueries, paths []ast.Ref) {
	look := func(x any) {
		ast.WalkRefs(x, func(r ast.Ref) bool {
			for _, p := range paths {
				if r.HasPrefix(p) || p.HasPrefix(r.GroundPrefix()) {
					in[strings.TrimPrefix(p.String(), "input.")] = true
				}
			}
			return false
		})
	}
	for _, q := range answer.Queries {
		look(q)
	}
	for _, m := range answer.Support {
		look(m)
	}
}
