package demo

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"gatehouse/fhir"
	"gatehouse/fhir/search"
	"gatehouse/fhir/wire"
)

// Where parameters look in a resource, remembered: reading an expression costs
// more than evaluating it.
var elementPaths, linkPaths sync.Map // "Type param" to [][]string

func paramPaths(typ, param string) ([][]string, error) {
	if paths, ok := elementPaths.Load(typ + " " + param); ok {
		return paths.([][]string), nil
	}
	elements, err := search.Elements(fhir.R4, typ, param)
	if err != nil {
		return nil, err
	}
	paths := split(elements)
	elementPaths.Store(typ+" "+param, paths)
	return paths, nil
}

func referencePaths(typ, param string) [][]string {
	if paths, ok := linkPaths.Load(typ + " " + param); ok {
		return paths.([][]string)
	}
	var paths [][]string
	for sp := range fhir.R4.SearchParams(typ) {
		if sp.Type == "reference" && (param == "*" || param == sp.Code) {
			found, err := paramPaths(typ, sp.Code)
			if err == nil {
				paths = append(paths, found...)
			}
		}
	}
	linkPaths.Store(typ+" "+param, paths)
	return paths
}

// sort orders by the first value that each key's parameter finds; without one
// a resource comes last.
func (s *Store) sort(found []*version, keys []fhir.SortKey) *reply {
	for _, key := range slices.Backward(keys) {
		values := make(map[*version]sortValue, len(found))
		var t wire.Tree
		for _, v := range found {
			paths, err := paramPaths(v.ref.Type, key.Name)
			if err != nil {
				r := refusal(http.StatusBadRequest, "not-supported", "_sort="+key.Name+" is not supported.")
				return &r
			}
			if t.Parse(v.body) == nil {
				values[v] = firstValue(&t, paths)
			}
		}
		slices.SortStableFunc(found, func(a, b *version) int { return values[a].compare(values[b], key.Desc) })
	}
	return nil
}

type sortValue struct {
	text   string
	number float64
}

func (v sortValue) compare(w sortValue, desc bool) int {
	switch {
	case v.text == "" || w.text == "":
		return strings.Compare(w.text, v.text) // the missing last, whichever way
	case desc:
		v, w = w, v
	}
	if v.number != w.number {
		if v.number < w.number {
			return -1
		}
		return 1
	}
	return strings.Compare(v.text, w.text)
}

func firstValue(t *wire.Tree, paths [][]string) (value sortValue) {
	for _, path := range paths {
		leaves(t, 0, path, func(node int) {
			if value.text == "" {
				value = valueOf(t, node)
			}
		})
	}
	return value
}

// valueOf is what a datatype is sorted by.
func valueOf(t *wire.Tree, node int) sortValue {
	switch t.Nodes[node].Kind {
	case wire.String:
		return sortValue{text: strings.ToLower(t.Text(node))}
	case wire.Number:
		n, _ := strconv.ParseFloat(string(t.Raw(node)), 64)
		return sortValue{text: "0", number: n}
	case wire.True, wire.False:
		return sortValue{text: string(t.Raw(node))}
	case wire.Object:
		for _, name := range []string{"start", "value", "reference", "family", "code", "coding", "text", "city", "given"} {
			if i := t.Get(node, name); i >= 0 {
				if v := valueOf(t, i); v.text != "" {
					return v
				}
			}
		}
	case wire.Array:
		for child := range t.Children(node) {
			return valueOf(t, child)
		}
	}
	return sortValue{}
}
