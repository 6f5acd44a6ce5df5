package gateway

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/fhir"
	"gatehouse/gateway/judge"
)

// This file finds out whether the labels of a type's records may withhold one
// from a caller whom scope, consent and policy give them all. Policy cannot tell:
// obligations and refrains are heeded after it (DS4P-01), and a count or a chain
// that the upstream evaluates would tell of such a record.

// refrained are the types of which a record was withheld for its labels, and what
// the upstream said of the others.
type refrained struct{ sync.Map }

type asked struct {
	at    time.Time
	found bool
}

// refrainedFor bounds how long the upstream's word counts.
const refrainedFor = time.Minute

// note remembers a type of which a record was withheld for its labels. An unknown
// label or one on a single element cannot be searched for, so the first of them
// is known only once it was seen.
func (r *refrained) note(it *judge.Item) {
	if strings.HasPrefix(it.Verdict.Reason, "label.") {
		r.Store(it.Verdict.Facts.Type, true)
	}
}

// refrains tells whether labels may withhold a record of a type from the caller:
// the upstream is asked, by a search that finds such records. One that does not
// understand the question finds others, and that is a yes (P-13).
func (x *exchange) refrains(ctx context.Context, typ string) bool {
	if x.g == nil {
		return false // a question that is only asked (Explain) tells no counts
	}
	if _, seen := x.g.refrained.Load(typ); seen {
		return true
	}
	codes := judge.Refraining(x.caller.marks)
	key := typ + "\x00" + strings.Join(codes, ",")
	if known, ok := x.s.refrained.Load(key); ok && x.start.Sub(known.(asked).at) < refrainedFor {
		return known.(asked).found
	}
	one := 1
	any := fhir.Access{Interaction: fhir.SearchType, Type: typ, Version: x.s.grammar.Version, Results: fhir.Results{Count: &one},
		Criteria: []fhir.Param{{Name: "_security", Type: "token", Values: slices.Clone(codes)}}}
	found, err := x.s.finds(ctx, typ, any.Target())
	if err != nil {
		return true
	}
	x.s.refrained.Store(key, asked{x.start, found})
	return found
}
