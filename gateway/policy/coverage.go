package policy

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"

	"gatehouse/fhir"

	"github.com/open-policy-agent/opa/v1/ast"
	"go.yaml.in/yaml/v3"
)

// Coverage notes what tests and scenarios have tried of one policy: which
// rules, and which rows of its tables, held, and who was seen to do what.
type Coverage struct {
	engine *Engine
	tables map[string]table

	mu      sync.Mutex
	rules   map[string]bool // by place
	reasons map[string]bool
	cells   map[Cell]bool
	obliges []string // since the last call of Obliged
}

// Cell is one place of the matrix that the role table spans.
type Cell struct {
	Role   string `json:"role"`
	Type   string `json:"type"`
	Action string `json:"action"`
}

// Covered is a rule, or a row of a table with its reason, and whether it held.
type Covered struct {
	Rule
	Held bool `json:"held"`
}

// Covering is what was tried, and what was not.
type Covering struct {
	Rules    []Covered `json:"rules"`
	Rows     []Covered `json:"rows"`  // Set is the table's name
	Cells    int       `json:"cells"` // that the role table allows something in
	Untested []Cell    `json:"untested"`
}

// NewCoverage loads the policy to be covered.
func NewCoverage(o Options) (*Coverage, error) {
	e, err := Load(o)
	if err != nil {
		return nil, err
	}
	_, shipped, own, err := gather(o)
	if err != nil {
		return nil, err
	}
	c := &Coverage{engine: e, rules: map[string]bool{}, reasons: map[string]bool{}, cells: map[Cell]bool{}}
	c.tables, _ = loadTables(shipped, own) // Load has shown its problems
	e.watch = c.watch
	return c, nil
}

// Engine is the policy; what it decides from now on is noted.
func (c *Coverage) Engine() *Engine { return c.engine }

// watch notes a decision of the engine: on a request, where there is no
// resource, or on a resource.
func (c *Coverage) watch(v *Evaluation, res *Resource, d Decision) {
	input := requestInput(v.request)
	if res != nil {
		full, err := fullInput(v.request, res, c.engine.reads.content)
		if err != nil {
			return // it was denied for the same reason
		}
		input = full
		c.see(v.request.Subject.Roles, res.Facts.Type, v.request.Action)
	} else if v.possible {
		return // what comes of it, its resources tell
	} else {
		c.see(v.request.Subject.Roles, v.request.Type, v.request.Action)
	}
	ctx := context.Background()
	w, err := newWalk(ctx, c.engine, input, nil)
	if err != nil {
		return
	}
	defer w.close()
	for _, r := range c.engine.ordered() {
		for _, found := range w.solve(r.Body, nil) {
			c.hold(r, reasonOf(r, found), d.Allow)
		}
	}
}

func (c *Coverage) hold(r *ast.Rule, reason string, allowed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rules[place(r.Location.File, r.Location.Row)] = true
	c.reasons[reason] = true
	if allowed && ruleName(r) == "oblige" && !slices.Contains(c.obliges, reason) {
		c.obliges = append(c.obliges, reason)
	}
}

func (c *Coverage) see(roles []string, typ, action string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, role := range roles {
		c.cells[Cell{role, typ, action}] = true
	}
}

// Obliged are the obligations, as JSON, of what was allowed since the last call.
func (c *Coverage) Obliged() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.obliges
	c.obliges = nil
	slices.Sort(all)
	return all
}

// Covering tells what was tried so far.
func (c *Coverage) Covering() Covering {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all Covering
	for _, r := range c.engine.rules {
		all.Rules = append(all.Rules, Covered{r, c.rules[place(r.File, r.Line)]})
	}
	for _, row := range c.rows() {
		all.Rows = append(all.Rows, Covered{row, c.reasons[row.Reason]})
	}
	for _, cell := range c.allowed() {
		all.Cells++
		if !c.cells[cell] {
			all.Untested = append(all.Untested, cell)
		}
	}
	return all
}

// rows are the places in the tables that give a reason.
func (c *Coverage) rows() (rows []Rule) {
	for key, t := range c.tables {
		eachReason(t.node, func(n *yaml.Node) {
			rows = append(rows, Rule{Set: key, Reason: n.Value, File: t.file, Line: n.Line})
		})
	}
	slices.SortFunc(rows, comparePlaces)
	return rows
}

func eachReason(n *yaml.Node, f func(*yaml.Node)) {
	if n.Kind == yaml.MappingNode {
		if _, reason := child(n, "reason"); reason != nil && reason.Kind == yaml.ScalarNode {
			f(reason)
		}
	}
	for _, c := range n.Content {
		eachReason(c, f)
	}
}

// allowed are the cells in which some row of the role table allows something.
// Scenarios are played on R4: what only another release has, none can try.
func (c *Coverage) allowed() (cells []Cell) {
	roles, _ := c.tables["roles"].value.(map[string]any)
	seen := map[Cell]bool{}
	for role, rows := range roles {
		list, _ := rows.([]any)
		for _, row := range list {
			m, _ := row.(map[string]any)
			for _, typ := range c.spelled(m["types"]) {
				for _, action := range textsIn(m["actions"]) {
					if cell := (Cell{role, typ, action}); !seen[cell] && fhir.R4.KnownType(typ) {
						seen[cell] = true
						cells = append(cells, cell)
					}
				}
			}
		}
	}
	slices.SortFunc(cells, compareCells)
	return cells
}

// spelled are types with the groups among them written out.
func (c *Coverage) spelled(types any) (all []string) {
	groups, _ := c.tables["type_groups"].value.(map[string]any)
	for _, t := range textsIn(types) {
		if group, ok := groups[t]; ok {
			all = append(all, textsIn(group)...)
		} else {
			all = append(all, t)
		}
	}
	return all
}

func textsIn(v any) (all []string) {
	list, _ := v.([]any)
	for _, x := range list {
		if s, ok := x.(string); ok {
			all = append(all, s)
		}
	}
	return all
}

func compareCells(a, b Cell) int {
	return cmp.Or(strings.Compare(a.Role, b.Role), strings.Compare(a.Action, b.Action), strings.Compare(a.Type, b.Type))
}
