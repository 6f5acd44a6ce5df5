// Package policy decides by Rego who may do what to which resource: it
// compiles a policy once, asks it with little known and with all known, and is
// the only importer of OPA.
package policy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// Options name the policy to load.
type Options struct {
	Dir      string            // of Rego and tables; "" is what ships with Gatehouse
	Files    map[string][]byte // in place of Dir, by name: a policy that is held in memory
	Name     string            // what Files are called in errors
	Revision string            // that a publisher gave it; "" none: its files name it
	Data     []string          // table files or patterns; each top key stands under `data`
	Timeout  time.Duration     // of one evaluation; default 1s
	Steps    int               // of one evaluation; default 5 million
	// ACROrder are levels of assurance, weakest first: two that are obliged are
	// then met by the stronger.
	ACROrder []string
}

// Engine is one loaded policy. It never changes; what it remembers goes with
// it.
type Engine struct {
	revision string
	rules    []Rule
	reads    reads
	known    []*field  // request input that residuals are made with
	unknown  []ast.Ref // and without, the resource aside
	typed    bool      // a residual may know the resource's type
	compiler *ast.Compiler
	store    storage.Store
	data     ast.Value
	lookups  lookups // tables that residuals are made without
	whole    rego.PreparedEvalQuery
	torn     []ast.Ref                     // rules whose values may conflict
	doubtful []ast.Ref                     // see lowering
	partials [3]*rego.PreparedPartialQuery // by set
	callers  cache
	writing  sync.Once
	written  map[string]bool // texts of the rules and tables, once asked for
	timeout  time.Duration
	steps    int
	labels   map[string]table                       // labelKeys
	texts    map[string]bool                        // that stand in rules and tables
	watch    func(*Evaluation, *Resource, Decision) // nil but for Coverage; of a request the resource is nil
	obliged  []Obliged
	acr      []string // weakest first
}

// Load reads, compiles and checks a policy. The error is a Problems with file
// and line of everything that is wrong.
func Load(o Options) (*Engine, error) {
	if o.Timeout == 0 {
		o.Timeout = time.Second
	}
	rules, shipped, own, err := gather(o)
	if err != nil {
		return nil, err
	}
	tables, ps := loadTables(shipped, own)
	ps = append(ps, checkShapes(tables, o, rules)...)
	labels, standing, more := labelTables(tables)
	ps = append(ps, more...)
	compiler, more := compile(rules)
	if ps = append(ps, more...); len(ps) > 0 {
		return nil, ps.err()
	}
	contract, more := checkContract(compiler)
	ps = append(append(ps, more...), checkTables(compiler, tables)...)
	if len(ps) > 0 {
		return nil, ps.err()
	}
	data := dataOf(tables)
	e := &Engine{
		revision: o.named(revisionOf(rules, shipped, own, standing)),
		labels:   labels,
		texts:    namesOf(compiler, tables),
		obliged:  obligedNames(compiler, tables),
		acr:      o.ACROrder,
		rules:    contract,
		reads:    readsOf(compiler),
		compiler: compiler,
		store:    inmem.NewFromObjectWithOpts(data, inmem.OptRoundTripOnWrite(false), inmem.OptReturnASTValuesOnRead(true)),
		data:     ast.MustInterfaceToValue(data),
		timeout:  o.Timeout,
		steps:    cmp.Or(o.Steps, maxSteps),
	}
	e.known, e.unknown = divide(compiler, &e.reads)
	e.lookups = lookupsOf(compiler, e.data, e.known)
	for path := range e.lookups {
		e.unknown = append(e.unknown, ast.MustParseRef(path))
	}
	e.torn = mayConflict(compiler)
	e.doubtful = doubtfulRefs(compiler)
	e.typed = e.reads.onlyBelow(ast.MustParseRef("input.resource.type"))
	return e, e.prepare()
}

// shipped tells that the rules are those inside this binary.
func (o Options) shipped() bool { return o.Dir == "" && o.Files == nil }

// named is the revision by which all speak of the policy: the publisher's word,
// if any, and the hash of the files that it stands for.
func (o Options) named(hash string) string {
	if o.Revision == "" {
		return hash
	}
	return o.Revision + "-" + hash
}

// dataOf is the document under `data`.
func dataOf(tables map[string]table) map[string]any {
	data := map[string]any{}
	for key, t := range tables {
		data[key] = t.value
	}
	return data
}

func (e *Engine) has(set string) bool {
	return slices.ContainsFunc(e.rules, func(r Rule) bool { return r.Set == set })
}

// prepare compiles the question that asks for all three sets, and those for
// each. A set without any rule is left out: to OPA it would be undefined, not
// empty.
func (e *Engine) prepare() (err error) {
	query := ""
	for _, set := range setNames {
		if e.has(set) {
			query += set + " = data.gatehouse." + set + "\n"
		}
	}
	e.whole, err = rego.New(
		rego.Compiler(e.compiler), rego.Store(e.store), rego.Query(query),
		rego.StrictBuiltinErrors(true),
		rego.GenerateJSON(func(t *ast.Term, _ *rego.EvalContext) (any, error) { return t, nil }),
	).PrepareForEval(context.Background())
	if err != nil {
		return fmt.Errorf("prepare policy: %w", err)
	}
	return e.preparePartials()
}

// Revision names the policy by all its files: what decided is found again by
// it.
func (e *Engine) Revision() string { return e.revision }

// Rules are the rules of the three sets with their places.
func (e *Engine) Rules() []Rule { return e.rules }

// NeedsContent tells that some rule reads input.resource.content: then every
// resource is handed to OPA whole.
func (e *Engine) NeedsContent() bool { return e.reads.content }

// NeedsRelation tells that some rule reads input.relation.
func (e *Engine) NeedsRelation() bool { return e.reads.relation }

// RelationOnlyPermits tells that what rules read of input.relation can permit
// and neither forbid nor oblige: without it, less is allowed and nothing else
// changes.
func (e *Engine) RelationOnlyPermits() bool { return !e.reads.relationBinds }

// ask evaluates the whole policy by OPA.
func (e *Engine) ask(ctx context.Context, r *Request, res *Resource) Decision {
	input, err := fullInput(r, res, e.reads.content)
	if err != nil {
		return Decision{Err: err}
	}
	return e.askWith(ctx, input)
}

func (e *Engine) askWith(ctx context.Context, input ast.Object) Decision {
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	b := newBudget(ctx, e.steps)
	results, err := e.whole.Eval(ctx, rego.EvalParsedInput(input), rego.EvalExternalCancel(b))
	if early := b.failed(); early != nil {
		return Decision{Err: early}
	}
	if err != nil {
		return Decision{Err: failed(err)}
	}
	if len(results) != 1 {
		return Decision{Err: errors.New("evaluate policy: undefined")}
	}
	sets := map[string][]ast.Value{}
	for name, x := range results[0].Bindings {
		t, ok := x.(*ast.Term)
		if !ok {
			return Decision{Err: errors.New("evaluate policy: no term")}
		}
		set, ok := t.Value.(ast.Set)
		if !ok {
			return Decision{Err: fmt.Errorf("evaluate policy: %s is no set", name)}
		}
		for _, m := range set.Slice() {
			sets[name] = append(sets[name], m.Value)
		}
	}
	return e.decide(sets["permit"], sets["forbid"], sets["oblige"])
}

// failed says of what kind an evaluation's error is, and where. OPA's own words
// quote the values, which may be a patient's, and errors are logged.
func failed(err error) error {
	var e *topdown.Error
	if !errors.As(err, &e) {
		return errors.New("evaluate policy: failed")
	}
	if e.Location == nil {
		return fmt.Errorf("evaluate policy: %s", e.Code)
	}
	return fmt.Errorf("evaluate policy: %s at %s:%d", e.Code, e.Location.File, e.Location.Row)
}

// decide is the rule of DESIGN §6: allowed when permit is not empty and forbid
// is.
func (e *Engine) decide(permit, forbid, oblige []ast.Value) Decision {
	var d Decision
	var err error
	if d.Permits, err = reasons(permit); err != nil {
		return Decision{Err: err}
	}
	if d.Forbids, err = reasons(forbid); err != nil {
		return Decision{Err: err}
	}
	if d.Obligations, err = obligations(oblige, e.acr); err != nil {
		return Decision{Err: err}
	}
	d.Allow = len(d.Permits) > 0 && len(d.Forbids) == 0
	return d
}
