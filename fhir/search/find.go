package search

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"gatehouse/fhir"
)

// Finding lists the parameters by which a search finds every resource of typ
// whose fact is, or as a list holds, the value: each of them alone does, and
// may find others too. fact and value are as a policy's input.resource has
// them ("organization", "Organization/2"). There is none where the elements
// that give the fact are more than any one parameter reads, where a value
// cannot be written as a criterion, and for labels and dates.
func Finding(v fhir.Version, typ, fact, value string) []fhir.Param {
	var kind, target string
	switch fact {
	case "patients", "organization", "practitioners", "author", "encounter":
		ref, version, ok := fhir.ParseRef(value, nil)
		if !ok || version != "" || !v.KnownType(ref.Type) || value != ref.String() {
			return nil
		}
		if kind, target = "reference", ref.Type; ref.Type == typ && slices.Contains(v.FactElements(typ, fact), "id") {
			return ownID(v, typ, fact, ref.ID)
		}
	case "categories", "codes", "status":
		if kind, value = "token", tokenOf(fact, value); value == "" {
			return nil
		}
	case "id":
		if fhir.ValidID(value) {
			return []fhir.Param{{Name: "_id", Type: "token", Values: []string{value}}}
		}
	}
	var all []fhir.Param
	for _, code := range readersOf(readerKey{v, typ, fact, kind, target}) {
		all = append(all, fhir.Param{Name: code, Type: kind, Values: []string{value}})
	}
	return all
}

// ownID finds the resource itself, where nothing else can give the fact.
func ownID(v fhir.Version, typ, fact, id string) []fhir.Param {
	if len(v.FactElements(typ, fact)) > 1 {
		return nil
	}
	return []fhir.Param{{Name: "_id", Type: "token", Values: []string{id}}}
}

// tokenOf writes "system|code" as a criterion, "" where that cannot be told
// apart. A code without a system may be a plain code, whose system is implied:
// the bare code finds both.
func tokenOf(fact, value string) string {
	system, code := "", value
	if fact != "status" {
		if strings.Count(value, "|") != 1 {
			return ""
		}
		system, code, _ = strings.Cut(value, "|")
	}
	if code == "" || code != strings.TrimSpace(code) {
		return ""
	}
	if system == "" {
		return escapes.Replace(code)
	}
	return escapes.Replace(system) + "|" + escapes.Replace(code)
}

var escapes = strings.NewReplacer(`\`, `\\`, `,`, `\,`, `|`, `\|`, `$`, `\$`)

type readerKey struct {
	version         fhir.Version
	typ, fact, kind string
	target          string // type that a reference points to
}

var readers sync.Map // readerKey → []string; its keys are names of the release

// readersOf lists the parameters that read every element that gives the fact,
// the most precise first.
func readersOf(k readerKey) []string {
	if known, ok := readers.Load(k); ok {
		return known.([]string)
	}
	type reader struct {
		code  string
		reads int
	}
	var found []reader
	needed := slices.DeleteFunc(slices.Clone(k.version.FactElements(k.typ, k.fact)), func(path string) bool { return path == "id" })
	for p := range k.version.SearchParams(k.typ) {
		if n := reads(k, p, needed); n > 0 {
			found = append(found, reader{p.Code, n})
		}
	}
	slices.SortFunc(found, func(a, b reader) int { return cmp.Or(cmp.Compare(a.reads, b.reads), strings.Compare(a.code, b.code)) })
	codes := make([]string, len(found))
	for i, r := range found {
		codes[i] = r.code
	}
	if len(needed) > 0 {
		readers.Store(k, codes)
	}
	return codes
}

// reads counts the elements that a parameter reads, 0 where it would miss a
// value of some element that is needed.
func reads(k readerKey, p fhir.SearchParam, needed []string) int {
	if p.Type != k.kind || k.target != "" && !slices.Contains(p.Targets, k.target) || len(needed) == 0 {
		return 0
	}
	paths, err := compileExpression(k.version, k.typ, p.Expression)
	if err != nil || known(paths, p.Type) != nil {
		return 0
	}
	for _, element := range needed {
		if !slices.ContainsFunc(paths, func(at path) bool { return at.String() == element && at.all(k.target) }) {
			return 0
		}
	}
	return len(paths)
}

// all reports whether the path leads to every value of its element, as far as
// these are references to a type.
func (p path) all(target string) bool {
	return !slices.ContainsFunc(p.steps, func(s step) bool {
		return s.member != "" || s.first || s.is != "" && s.is != target
	})
}
