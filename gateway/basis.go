package gateway

import (
	"bytes"

	"gatehouse/fhir"
	"gatehouse/gateway/audit"
	"gatehouse/gateway/judge"
	"gatehouse/gateway/policy"
)

// kept is what policy read for the record that is being made, so that another
// policy can be asked the same later.
type kept struct {
	asked *policy.Evaluation // whose request the record tells; nil before any was decided
	bytes []byte
	last  []byte
	space [256]byte // where bytes begins: a read needs no more
}

// asks names the request that a record begins with.
func (k *kept) asks(v *policy.Evaluation) {
	if k.asked == nil {
		k.asked = v
	}
}

// empty makes room for the next record. The trail has copied what was here.
func (k *kept) empty() { k.asked, k.bytes, k.last = nil, k.bytes[:0], nil }

// basis is what policy read to decide on one resource; nil where it was not
// asked, or nothing is kept. Neighbours of a page share theirs.
func (x *exchange) basis(v *judge.Verdict) []byte {
	if x.s.keeper == nil || v.Eval == nil {
		return nil
	}
	k, res := &x.kept, policyOn(v)
	if k.last != nil && x.lent != nil && x.lent.basis.is(x.s.keeper, v.Eval, &res) {
		return k.last
	}
	if k.bytes == nil {
		k.bytes = k.space[:0]
	}
	k.asks(v.Eval)
	start := len(k.bytes)
	k.bytes = x.s.keeper.AppendBasis(k.bytes, v.Eval, k.asked, &res)
	if x.lent != nil {
		x.lent.basis = basis{v.Eval, res, v.Facts}
	}
	b := k.bytes[start:len(k.bytes):len(k.bytes)]
	if k.last != nil && bytes.Equal(b, k.last) {
		k.bytes = k.bytes[:start]
		return k.last
	}
	k.last = b
	return b
}

// policyOn is what policy was asked about a resource, but for its content.
func policyOn(v *judge.Verdict) policy.Resource {
	return policy.Resource{Facts: &v.Facts, Relation: v.Relation,
		Consent: policy.ConsentResult{Decision: v.Consent.Decision, Provision: v.Consent.Provision, Source: v.Consent.Source}}
}

// basis is what the last one of a page was made of. Its facts are a copy: the window
// that they stood in goes on.
type basis struct {
	eval  *policy.Evaluation
	of    policy.Resource
	facts fhir.Facts
}

func (b *basis) is(k *policy.Keeper, v *policy.Evaluation, res *policy.Resource) bool {
	b.of.Facts = &b.facts
	return b.eval == v && k.Same(&b.of, res)
}

// askedOf is what policy read of the request, for its record.
func (x *exchange) askedOf(r *audit.Record) []byte {
	if x.s.keeper == nil || x.kept.asked == nil || r.Kind == audit.Intent {
		return nil
	}
	return x.s.keeper.AppendAsked(nil, x.kept.asked, !concernsSomebody(r))
}

// concernsSomebody tells whether a record names a patient, under whose key it is
// sealed.
func concernsSomebody(r *audit.Record) bool {
	if len(r.Patients)+len(r.Consents) > 0 || r.Type == "Patient" && r.ID != "" {
		return true
	}
	for i := range r.Entries {
		if len(r.Entries[i].Patients) > 0 {
			return true
		}
	}
	return false
}
