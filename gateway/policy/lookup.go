package policy

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// manyRows is the size from which a table that rules look up by a resource's
// facts is kept out of partial evaluation: it would try every row.
const manyRows = 64

// lookups are such tables, by path: data.codes in data.codes[code].
type lookups map[string]map[string]ast.Value

func lookupsOf(c *ast.Compiler, data ast.Value, known []*field) lookups {
	all := lookups{}
	for _, m := range c.Modules {
		ast.WalkRules(m, func(r *ast.Rule) bool {
			for _, path := range lookedUp(r, known) {
				if rows := rowsOf(data, path); len(rows) > manyRows {
					all[path.String()] = rows
				}
			}
			return false
		})
	}
	return all
}

// lookedUp lists the tables that a rule indexes by what is not known before the
// resource is, or by an argument, which may be.
func lookedUp(r *ast.Rule, known []*field) []ast.Ref {
	from := originsIn(r)
	args := ast.NewVarSet()
	for _, a := range r.Head.Args {
		ast.WalkVars(a, func(v ast.Var) bool { args.Add(v); return false })
	}
	var paths []ast.Ref
	ast.WalkRefs(r, func(ref ast.Ref) bool {
		if !ref.HasPrefix(ast.DefaultRootRef) {
			return false
		}
		for i := 1; i < len(ref); i++ {
			v, ok := ref[i].Value.(ast.Var)
			if !ok {
				continue
			}
			if i > 1 && (args.Contains(v) || slices.ContainsFunc(from[v], func(o ast.Ref) bool { return !isKnown(o, known) })) {
				paths = append(paths, ref[:i])
			}
			break
		}
		return false
	})
	return paths
}

func isKnown(r ast.Ref, known []*field) bool {
	return slices.ContainsFunc(known, func(f *field) bool { return r.HasPrefix(ast.MustParseRef(f.name())) })
}

// rowsOf is an object of the tables by its text keys, nil where path is none.
func rowsOf(data ast.Value, path ast.Ref) map[string]ast.Value {
	o, ok := find(data, path[1:]).value.(ast.Object)
	if !ok {
		return nil
	}
	rows := make(map[string]ast.Value, o.Len())
	o.Foreach(func(k, v *ast.Term) {
		if s, ok := k.Value.(ast.String); ok {
			rows[string(s)] = v.Value
		}
	})
	return rows
}

// dataRef is a place in the tables: known, or a row looked up by a fact.
func (l *lowering) dataRef(r ast.Ref, steps *[]step) (expr, error) {
	plain := 1
	for plain < len(r) && ast.IsScalar(r[plain].Value) {
		plain++
	}
	if plain == 1 || find(l.data, r[1:2]).value == nil {
		return expr{}, errNotCompiled // a rule
	}
	if plain == len(r) {
		return find(l.data, r[1:]), nil
	}
	rows := l.lookups[r[:plain].String()]
	if rows == nil {
		return expr{}, errNotCompiled
	}
	key, err := l.term(r[plain], steps)
	if err != nil {
		return expr{}, err
	}
	if key, ok := key.asText(); ok {
		return rowExpr(rows, key).walk(r[plain+1:])
	}
	return expr{}, errNotCompiled
}

func rowExpr(rows map[string]ast.Value, key expr) expr {
	return expr{typ: value, uses: key.uses, partial: true, row: func(f *frame) ast.Value {
		if k, ok := key.text(f); ok {
			return rows[k]
		}
		return nil
	}}
}

// walk goes further into a row by known names.
func (e expr) walk(path ast.Ref) (expr, error) {
	if len(path) == 0 {
		return e, nil
	}
	for _, t := range path {
		if !ast.IsScalar(t.Value) {
			return expr{}, errNotCompiled
		}
	}
	row := e.row
	e.row = func(f *frame) ast.Value {
		if v := row(f); v != nil {
			return find(v, path).value
		}
		return nil
	}
	return e, nil
}
