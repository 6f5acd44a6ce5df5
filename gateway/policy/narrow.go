package policy

import (
	"context"
	"slices"

	"gatehouse/fhir"
)

// Finder lists the search parameters each of which finds every resource whose
// fact is, or as a list holds, the value (see search.Finding).
type Finder func(fact, value string) []fhir.Param

// Narrow gives criteria that every resource of the type must meet for policy to
// permit it, to be added to a search by AND. What meets them may still be
// denied. There are none where the ways to a permit have no criterion in
// common: FHIR cannot ask for one parameter or another.
func (v *Evaluation) Narrow(ctx context.Context, typ string, find Finder) []fhir.Param {
	if typ == "" || !v.possible {
		return nil
	}
	r, err := v.residual(ctx, typ)
	if err != nil || r.broken {
		return nil
	}
	f := v.frame(nil)
	defer f.release()
	ways := r.demands(f, typ)
	if len(ways) == 0 || slices.ContainsFunc(ways, func(w []demanded) bool { return len(w) == 0 }) {
		return nil
	}
	return common(ways, find)
}

// demanded is a need with its values.
type demanded struct {
	fact   string
	values []string
}

// demands lists what each way to a permit demands, as far as the request leaves
// the way open.
func (r *residual) demands(f *frame, typ string) (ways [][]demanded) {
	for i := range r.ways {
		w := &r.ways[i]
		if w.set != 0 {
			continue
		}
		if can, _ := w.outlook(f); !can {
			continue
		}
		if all, open := w.demands(f, typ); open {
			ways = append(ways, all)
		}
	}
	return ways
}

// demands is not open where the request, or the type, cannot meet a need.
func (w *way) demands(f *frame, typ string) (all []demanded, open bool) {
	for _, n := range w.needs {
		d := demanded{fact: n.fact}
		for _, value := range n.values {
			if s, ok := value.text(f); ok {
				d.values = append(d.values, s)
			}
		}
		if len(d.values) == 0 || n.fact == "type" && !slices.Contains(d.values, typ) {
			return nil, false
		}
		if n.fact != "type" {
			all = append(all, d)
		}
	}
	return all, true
}

// common are the criteria that all ways share: parameters by which a need of
// each can be asked for, with the values of all.
func common(ways [][]demanded, find Finder) (params []fhir.Param) {
	found := make([][][]fhir.Param, len(ways)) // by way and need
	for i, needs := range ways {
		for _, d := range needs {
			found[i] = append(found[i], d.params(find))
		}
	}
	for _, choices := range found[0] {
		p, ok := shared(choices, found[1:])
		if ok && !slices.ContainsFunc(params, func(q fhir.Param) bool { return q.Name == p.Name && slices.Equal(q.Values, p.Values) }) {
			params = append(params, p)
		}
	}
	return params
}

// params are the parameters that find each of the values, with all of them.
func (d demanded) params(find Finder) (params []fhir.Param) {
	for i, value := range d.values {
		one := find(d.fact, value)
		if i == 0 {
			params = slices.Clone(one)
			continue
		}
		params = slices.DeleteFunc(params, func(p fhir.Param) bool { return named(one, p.Name) == nil })
		for k := range params {
			params[k] = with(params[k], named(one, params[k].Name).Values)
		}
	}
	return params
}

// shared is the first of the choices that every other way offers too.
func shared(choices []fhir.Param, others [][][]fhir.Param) (fhir.Param, bool) {
	for _, p := range choices {
		if slices.ContainsFunc(others, func(needs [][]fhir.Param) bool { return offered(needs, p.Name) == nil }) {
			continue
		}
		for _, needs := range others {
			p = with(p, offered(needs, p.Name).Values)
		}
		return p, true
	}
	return fhir.Param{}, false
}

func offered(needs [][]fhir.Param, name string) *fhir.Param {
	for _, choices := range needs {
		if p := named(choices, name); p != nil {
			return p
		}
	}
	return nil
}

func named(params []fhir.Param, name string) *fhir.Param {
	i := slices.IndexFunc(params, func(p fhir.Param) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return &params[i]
}

// with is p with more alternatives.
func with(p fhir.Param, values []string) fhir.Param {
	p.Values = slices.Clone(p.Values)
	for _, s := range values {
		if !slices.Contains(p.Values, s) {
			p.Values = append(p.Values, s)
		}
	}
	return p
}
