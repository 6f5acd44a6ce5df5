package demo

import (
	"net/http"
	"slices"
	"strings"

	"gatehouse/fhir"
	"gatehouse/fhir/search"
	"gatehouse/fhir/wire"
)

// search answers a search on a type, the system or a compartment.
func (s *Store) search(a *fhir.Access) reply {
	if r := a.Results; len(r.Elements) > 0 || r.Summary != "" && r.Summary != "count" && r.Summary != "false" {
		return refusal(http.StatusBadRequest, "not-supported", "_elements and _summary are not supported.")
	}
	found, refused := s.find(a)
	if refused != nil {
		return *refused
	}
	if refused := s.sort(found, a.Results.Sort); refused != nil {
		return *refused
	}
	return s.page(&result{kind: "searchset", self: a.Target(), all: found, results: a.Results}, 0, pageSize(a))
}

// defaultCount is how many entries a page has where nobody says.
const defaultCount = 20

func pageSize(a *fhir.Access) int {
	if a.Results.Count == nil {
		return defaultCount
	}
	return *a.Results.Count
}

// find lists what criteria match, in the order in which it came.
func (s *Store) find(a *fhir.Access) ([]*version, *reply) {
	var found []*version
	for _, typ := range a.Types() {
		if len(s.types[typ]) == 0 && a.Type == "" {
			continue
		}
		f, err := s.filter(typ, a)
		if err != nil {
			r := refusal(http.StatusBadRequest, "not-supported", err.Error())
			return nil, &r
		}
		found = append(found, s.scan(s.candidates(typ, a), f)...)
	}
	return found, nil
}

// filter says whether a resource is searched for.
type filter func(t *wire.Tree, v *version) bool

// scan filters what is not deleted; a nil filter keeps all of it.
func (s *Store) scan(among []*record, keep filter) (found []*version) {
	var t wire.Tree
	for _, r := range among {
		v := r.current()
		if v.body == nil {
			continue
		}
		if keep == nil || t.Parse(v.body) == nil && keep(&t, v) {
			found = append(found, v)
		}
	}
	return found
}

func (s *Store) filter(typ string, a *fhir.Access) (filter, error) {
	if len(a.Criteria) == 0 && a.Interaction != fhir.SearchCompartment {
		return nil, nil
	}
	criteria, err := s.criteria(typ, a.Criteria)
	if err != nil || a.Interaction != fhir.SearchCompartment {
		return criteria, err
	}
	within, err := s.within(typ, a.Compartment)
	if err != nil {
		return nil, err
	}
	return func(t *wire.Tree, v *version) bool { return within(t, v) && criteria(t, v) }, nil
}

// criteria joins parameters by AND.
func (s *Store) criteria(typ string, params []fhir.Param) (filter, error) {
	var plain []fhir.Param
	var others []filter
	for _, p := range params {
		var f filter
		var err error
		switch {
		case p.Name == "_type": // said by the types that are searched
		case p.Has != nil:
			f, err = s.has(p.Has)
		case len(p.Chain) > 0:
			f, err = s.chain(typ, p)
		default:
			plain = append(plain, p)
		}
		if err != nil {
			return nil, err
		}
		if f != nil {
			others = append(others, f)
		}
	}
	m, err := search.Compile(fhir.R4, typ, plain, s.bases)
	if err != nil {
		return nil, err
	}
	return func(t *wire.Tree, v *version) bool {
		for _, f := range others {
			if !f(t, v) {
				return false
			}
		}
		ok, err := m.Match(t)
		return ok && err == nil
	}, nil
}

// chain follows a reference: first what it may point to, then who points there.
// The first hop is the parameter itself; of the last one alone values are asked.
func (s *Store) chain(typ string, p fhir.Param) (filter, error) {
	next := p
	if next.Chain = p.Chain[1:]; len(next.Chain) == 1 {
		next.Chain = nil
	}
	next.Name = p.Chain[1].Name
	targets := map[fhir.Ref]bool{}
	for _, target := range p.Chain[1].Types {
		f, err := s.criteria(target, []fhir.Param{next})
		if err != nil {
			return nil, err
		}
		for _, v := range s.scan(s.types[target], f) {
			targets[v.ref] = true
		}
	}
	return func(t *wire.Tree, _ *version) bool {
		return slices.ContainsFunc(s.references(t, typ, p.Chain[0].Name), func(r fhir.Ref) bool { return targets[r] })
	}, nil
}

// has follows references backwards.
func (s *Store) has(h *fhir.Has) (filter, error) {
	f, err := s.criteria(h.Type, []fhir.Param{*h.Then})
	if err != nil {
		return nil, err
	}
	targets := map[fhir.Ref]bool{}
	s.scan(s.types[h.Type], func(t *wire.Tree, v *version) bool {
		if f(t, v) {
			for _, r := range s.references(t, h.Type, h.Ref) {
				targets[r] = true
			}
		}
		return false
	})
	return func(_ *wire.Tree, v *version) bool { return targets[v.ref] }, nil
}

// within says whether a resource is in a compartment: by any of the parameters
// that R4's CompartmentDefinition lists.
func (s *Store) within(typ string, compartment fhir.Ref) (filter, error) {
	if typ == compartment.Type {
		return func(_ *wire.Tree, v *version) bool { return v.ref == compartment }, nil
	}
	params, in := fhir.R4.Compartment(compartment.Type, typ)
	return func(t *wire.Tree, _ *version) bool {
		return in && slices.ContainsFunc(params, func(name string) bool {
			return slices.Contains(s.references(t, typ, name), compartment)
		})
	}, nil
}

// references lists what the elements of a reference parameter point to on this
// server; "*" is every reference parameter of the type.
func (s *Store) references(t *wire.Tree, typ, param string) (refs []fhir.Ref) {
	for _, path := range referencePaths(typ, param) {
		leaves(t, 0, path, func(node int) {
			if t.Nodes[node].Kind != wire.Object {
				return
			}
			i := t.Get(node, "reference")
			if i < 0 {
				return
			}
			if ref, _, ok := s.bases.ParseRef(t.Text(i)); ok {
				refs = append(refs, ref)
			}
		})
	}
	return refs
}

// leaves visits what a path of member names leads to; arrays on the way are
// transparent.
func leaves(t *wire.Tree, node int, path []string, visit func(int)) {
	if t.Nodes[node].Kind == wire.Array {
		for child := range t.Children(node) {
			leaves(t, child, path, visit)
		}
		return
	}
	if len(path) == 0 {
		visit(node)
		return
	}
	if t.Nodes[node].Kind != wire.Object {
		return
	}
	if child := t.Get(node, path[0]); child >= 0 {
		leaves(t, child, path[1:], visit)
	}
}

func split(elements []string) (paths [][]string) {
	for _, e := range elements {
		paths = append(paths, strings.Split(e, "."))
	}
	return paths
}
