package policy

import (
	"bytes"
	"context"
	"fmt"
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
)

// residual is what is left of the policy once caller, request and perhaps the
// resource's type are known: a list of ways into the three sets.
type residual struct {
	engine  *Engine
	ways    []way
	index   *index   // nil: there are few ways
	values  []member // what the ways put into the sets, each once
	memo    atomic.Pointer[map[string]*Decision]
	writing sync.Mutex
	broken  bool // partial evaluation met an error: OPA judges every resource
}

// member is one value of one set.
type member struct {
	set   int // index in setNames
	value ast.Value
}

// way is one conjunction of conditions under which a value is in its set.
type way struct {
	steps  []step
	member int // index in values, -1 where unknown
	set    int
	toOPA  bool // not all conditions compiled: where these hold, OPA decides
	needs  []need
}

// partial evaluates the policy with the known input; look, where there is one,
// is shown OPA's answers. It fails only where the time ran out.
func (e *Engine) partial(ctx context.Context, known ast.Object, unknown []ast.Ref, look func(*rego.PartialQueries)) (*residual, error) {
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	terms := make([]*ast.Term, len(unknown))
	for i, r := range unknown {
		terms[i] = ast.NewTerm(r)
	}
	r := &residual{engine: e}
	r.memo.Store(&map[string]*Decision{})
	var demands []demand
	for set, question := range e.partials {
		if question == nil {
			continue
		}
		b := newBudget(ctx, e.steps)
		answer, err := question.Partial(ctx, rego.EvalParsedInput(known), rego.EvalParsedUnknowns(terms), rego.EvalDisableInlining(e.torn), rego.EvalExternalCancel(b))
		if early := b.failed(); early != nil {
			return nil, early
		}
		if err != nil {
			return &residual{engine: e, broken: true}, nil
		}
		if look != nil {
			look(answer)
		}
		support := supportRules(answer.Support)
		for _, q := range answer.Queries {
			l := &lowering{known: known, unknown: unknown, data: e.data, lookups: e.lookups, compiler: e.compiler, support: support, doubtful: e.doubtful, scope: map[ast.Var]expr{}}
			r.add(set, l, q)
			demands = append(demands, demandOf(q))
		}
	}
	r.index = newIndex(demands)
	return r, nil
}

// memberVar is the variable of the questions `data.gatehouse.permit[member]`.
const memberVar = ast.Var("member")

func (r *residual) add(set int, l *lowering, q ast.Body) {
	steps, whole := l.body(q)
	w := way{steps: steps, set: set, member: -1, toOPA: !whole}
	if head, ok := l.scope[memberVar]; ok && whole && head.typ == constant && head.value != nil {
		w.member = r.number(set, head.value)
	} else {
		w.toOPA = true
	}
	if set == 0 {
		w.needs = needsOf(q)
	}
	r.ways = append(r.ways, w)
}

func (r *residual) number(set int, v ast.Value) int {
	for i, m := range r.values {
		if m.set == set && m.value.Compare(v) == 0 {
			return i
		}
	}
	r.values = append(r.values, member{set, v})
	return len(r.values) - 1
}

func supportRules(modules []*ast.Module) map[string][]*ast.Rule {
	all := map[string][]*ast.Rule{}
	for _, m := range modules {
		for _, r := range m.Rules {
			name := m.Package.Path.Extend(r.Head.Ref()).String()
			all[name] = append(all[name], r)
		}
	}
	return all
}

// decide judges one resource; false tells that OPA must.
func (r *residual) decide(f *frame) (Decision, bool) {
	if r.broken {
		return Decision{}, false
	}
	var space [32]byte
	n := (len(r.values) + 7) / 8
	if n > len(space) {
		return r.decideWith(f, make([]byte, n))
	}
	return r.decideWith(f, space[:n])
}

func (r *residual) decideWith(f *frame, found []byte) (Decision, bool) {
	if !r.mark(f, found) {
		return Decision{}, false
	}
	if d, ok := (*r.memo.Load())[string(found)]; ok {
		return *d, true
	}
	return r.remember(found), true
}

// mark sets the bits of the members that the resource puts into the sets; false
// where OPA must say.
func (r *residual) mark(f *frame, found []byte) bool {
	try := func(i int) bool {
		w := &r.ways[i]
		if !w.toOPA && found[w.member/8]&(1<<(w.member%8)) != 0 || !match(w.steps, f) {
			return true
		}
		if w.toOPA {
			return false
		}
		found[w.member/8] |= 1 << (w.member % 8)
		return true
	}
	if r.index != nil {
		return r.index.each(f, try)
	}
	for i := range r.ways {
		if !try(i) {
			return false
		}
	}
	return true
}

// maxDecisions bounds what one residual remembers; as many reasons can hold in
// as many combinations.
const maxDecisions = 512

func (r *residual) remember(found []byte) Decision {
	d := r.decisionOf(found)
	r.writing.Lock()
	defer r.writing.Unlock()
	old := *r.memo.Load()
	if len(old) >= maxDecisions {
		return d
	}
	grown := make(map[string]*Decision, len(old)+1)
	for k, v := range old {
		grown[k] = v
	}
	grown[string(bytes.Clone(found))] = &d
	r.memo.Store(&grown)
	return d
}

func (r *residual) decisionOf(found []byte) Decision {
	var sets [3][]ast.Value
	for i, b := range found {
		for ; b != 0; b &= b - 1 {
			m := r.values[i*8+bits.TrailingZeros8(b)]
			sets[m.set] = append(sets[m.set], m.value)
		}
	}
	return r.engine.decide(sets[0], sets[1], sets[2])
}

// possible is what the request alone settles: ok is false where no resource
// can be allowed, and the decision then has the forbids that always hold. It
// holds the obligations that no resource changes.
func (r *residual) possible(f *frame) (bool, Decision) {
	if r.broken {
		return true, Decision{}
	}
	found := make([]byte, (len(r.values)+7)/8)
	permitted, forbidden := false, false
	for i := range r.ways {
		w := &r.ways[i]
		can, must := w.outlook(f)
		permitted = permitted || can && w.set == 0
		if !must {
			continue
		}
		forbidden = forbidden || w.set == 1
		if w.set > 0 {
			found[w.member/8] |= 1 << (w.member % 8)
		}
	}
	d := r.decisionOf(found)
	return permitted && !forbidden && d.Err == nil, d
}

// outlook tells whether the way can hold for some resource, and whether it
// must for each.
func (w *way) outlook(f *frame) (can, must bool) {
	must = !w.toOPA
	for i := range w.steps {
		s := &w.steps[i]
		if s.test == nil || s.uses&usesResource != 0 {
			must = false
			continue
		}
		if !s.test(f) {
			return false, false
		}
	}
	return true, must
}

// dependsOn is what the decision on a resource depends on: another that agrees in
// these is decided alike.
func (r *residual) dependsOn(f *frame) (all uses) {
	for i := range r.ways {
		all |= r.ways[i].dependsOn(f)
	}
	return all
}

// dependsOn of a way that does not hold is one condition of it that fails, where
// one does whatever element a loop is at.
func (w *way) dependsOn(f *frame) uses {
	failing, found := usesOf(w.steps), false
	for i := range w.steps {
		s := &w.steps[i]
		if s.test == nil {
			break // a loop begins
		}
		if found && s.uses&(usesLoop|usesRelation) != 0 {
			continue // an earlier condition may have to hold before it is asked
		}
		if !s.test(f) && (!found || bits.OnesCount32(uint32(s.uses)) < bits.OnesCount32(uint32(failing))) {
			failing, found = s.uses, true
		}
	}
	return failing
}

// preparePartials compiles the question for the members of each set, nil for a
// set without rules.
func (e *Engine) preparePartials() error {
	for i, set := range setNames {
		if !e.has(set) {
			continue
		}
		q, err := rego.New(
			rego.Compiler(e.compiler), rego.Store(e.store), rego.StrictBuiltinErrors(true),
			rego.Query(fmt.Sprintf("data.gatehouse.%s[%s]", set, memberVar)),
		).PrepareForPartial(context.Background())
		if err != nil {
			return fmt.Errorf("prepare policy: %w", err)
		}
		e.partials[i] = &q
	}
	return nil
}
