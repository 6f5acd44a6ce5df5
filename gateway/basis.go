package gateway

import (
	"bytes"

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
	k := &x.kept
	if k.bytes == nil {
		k.bytes = k.space[:0]
	}
	k.asks(v.Eval)
	start := len(k.bytes)
	k.bytes = x.s.keeper.AppendBasis(k.bytes, v.Eval, k.asked, &v.Facts,
		policy.ConsentResult{Decision: v.Consent.Decision, Provision: v.Consent.Provision, Source: v.Consent.Source}, v.Relation)
	b := k.bytes[start:len(k.bytes):len(k.bytes)]
	if k.last != nil && bytes.Equal(b, k.last) {
		k.bytes = k.bytes[:start]
		return k.last
	}
	k.last = b
	return b
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
