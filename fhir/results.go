package fhir

import (
	"slices"
	"strconv"
	"strings"
)

// isResult reports whether name shapes the answer and selects nothing.
func isResult(name string) bool {
	switch name {
	case "_count", "_sort", "_include", "_revinclude", "_include:iterate", "_revinclude:iterate", "_include:recurse", "_revinclude:recurse",
		"_elements", "_summary", "_total", "_since", "_at", "_contained", "_containedType":
		return true
	}
	return false
}

// resultsOf tells which interactions a result parameter goes with.
func resultsOf(i Interaction, name string) bool {
	switch i {
	case SearchType, SearchSystem, SearchCompartment:
		return name != "_since" && name != "_at"
	case HistoryInstance, HistoryType, HistorySystem:
		return name == "_count" || name == "_since" || name == "_at" || name == "_elements" || name == "_summary"
	case Read, VRead, Capabilities:
		return name == "_elements" || name == "_summary"
	}
	return false
}

// again is the modifier of an include that looks at what was included too.
func (v Version) again() string {
	if v == STU3 {
		return ":recurse"
	}
	return ":iterate"
}

// result reads one result parameter (https://hl7.org/fhir/R4/search.html#return).
func (p *parser) result(a *Access, types []string, one pair) *Error {
	r := &a.Results
	name := one.name
	if bare, ok := strings.CutSuffix(name, p.o.Version.again()); ok {
		name = bare
	}
	switch name {
	case "_count":
		return p.count(r, one)
	case "_sort":
		return p.sort(r, types, one)
	case "_include":
		return p.include(a, &r.Include, types, one, false)
	case "_revinclude":
		return p.include(a, &r.RevInclude, types, one, true)
	case "_elements":
		return p.elements(r, types, one)
	case "_summary":
		return pick(&r.Summary, one, "true", "text", "data", "count", "false")
	case "_total":
		return pick(&r.Total, one, "none", "estimate", "accurate")
	case "_since":
		return moment(&r.Since, one, true)
	case "_at":
		return moment(&r.At, one, false)
	}
	if strings.HasPrefix(name, "_include:") || strings.HasPrefix(name, "_revinclude:") {
		return refuse(codeUnknown, "Includes of includes are asked for by %s in FHIR %s.", p.o.Version.again(), p.o.Version)
	}
	if one.value == "false" || one.name == "_containedType" && one.value == "container" {
		return nil // what a server does anyway
	}
	return refuse(codeUnsupported, "Searching contained resources (%s) is not served; _contained=false is what you get.", one.name)
}

// pick reads a parameter that has one of a few values and may stand once.
func pick(to *string, one pair, values ...string) *Error {
	if *to != "" {
		return repeated(one.name)
	}
	if !slices.Contains(values, one.value) {
		return refuse(codeValue, "%s is one of %s.", one.name, strings.Join(values, ", "))
	}
	*to = one.value
	return nil
}

func repeated(name string) *Error { return refuse(codeRepeated, "%s may stand once.", name) }

func flag(to *bool, one pair) *Error {
	if one.value != "true" && one.value != "false" {
		return refuse(codeValue, "%s is true or false.", one.name)
	}
	*to = one.value == "true"
	return nil
}

// count caps _count. Zero asks for no entries at all, which R4 defines as
// _summary=count; it is read as that, so that one rule judges both (P-10).
func (p *parser) count(r *Results, one pair) *Error {
	if r.Count != nil {
		return repeated("_count")
	}
	n, err := strconv.ParseUint(one.value, 10, 31)
	if err != nil {
		return refuse(codeValue, "_count is a whole number of 0 or more.")
	}
	if n == 0 {
		return pick(&r.Summary, pair{"_summary", "count"}, "count")
	}
	n = min(n, uint64(p.o.MaxCount))
	count := int(n)
	r.Count = &count
	return nil
}

func (p *parser) sort(r *Results, types []string, one pair) *Error {
	if r.Sort != nil {
		return repeated("_sort")
	}
	for _, key := range strings.Split(one.value, ",") {
		name, desc := strings.CutPrefix(key, "-")
		def, ok := p.lookup(types, name)
		if !ok {
			return p.unknown(types, name)
		}
		if def.Type == "special" || def.Type == "composite" || def.Expression == "" {
			return refuse(codeUnsupported, "Results cannot be sorted by %s.", shown(name))
		}
		r.Sort = append(r.Sort, SortKey{Name: name, Desc: desc})
	}
	if len(r.Sort) > maxSorts {
		return refuse(codeTooMany, "A search may have %d sort keys.", maxSorts)
	}
	return nil
}

func (p *parser) elements(r *Results, types []string, one pair) *Error {
	if r.Elements != nil {
		return repeated("_elements")
	}
	for _, name := range strings.Split(one.value, ",") {
		if !p.elementOf(types, name) {
			return refuse(codeValue, "_elements has a name that is no element at the top of the resource.")
		}
		r.Elements = append(r.Elements, name)
	}
	return nil
}

func (p *parser) elementOf(types []string, name string) bool {
	if types == nil {
		types = p.o.Version.ResourceTypes()
	}
	for _, t := range types {
		if _, ok := p.o.Version.Element(t, name); ok {
			return true
		}
	}
	return false
}

// moment reads _since (an instant) or _at (a date of any precision).
func moment(to *string, one pair, instant bool) *Error {
	if *to != "" {
		return repeated(one.name)
	}
	if !validDate(one.value) || instant && !strings.Contains(one.value, "T") {
		return refuse(codeValue, "%s is a time such as 2026-11-03T08:00:00Z; write the + of a zone as %%2B.", one.name)
	}
	*to = one.value
	return nil
}

// include reads _include and _revinclude: Source:param[:Target], where param
// may be *.
func (p *parser) include(a *Access, list *[]Include, types []string, one pair, reverse bool) *Error {
	inc := Include{Iterate: strings.Contains(one.name, ":")}
	parts := strings.Split(one.value, ":")
	if one.value == "*" && !reverse && len(types) == 1 {
		parts = []string{types[0], "*"}
	}
	if len(parts) < 2 || len(parts) > 3 {
		return refuse(codeValue, "An include is written Type:parameter or Type:parameter:Target.")
	}
	inc.Source, inc.Param = parts[0], parts[1]
	if len(parts) == 3 {
		inc.Target = parts[2]
	}
	if err := p.checkInclude(inc, types, reverse); err != nil {
		return err
	}
	if len(*list) == maxIncludes {
		return refuse(codeTooMany, "A search may have %d includes.", maxIncludes)
	}
	*list = append(*list, inc)
	return nil
}

func (p *parser) checkInclude(inc Include, types []string, reverse bool) *Error {
	if err := p.typeOf(inc.Source); err != nil {
		return err
	}
	if inc.Target != "" {
		if err := p.typeOf(inc.Target); err != nil {
			return err
		}
	}
	if !reverse && !inc.Iterate && types != nil && !slices.Contains(types, inc.Source) {
		return refuse(codeChain, "An _include from a type that is not searched for is written _include%s.", p.o.Version.again())
	}
	if inc.Param == "*" {
		return nil
	}
	def, ok := p.o.Version.SearchParam(inc.Source, inc.Param)
	if !ok {
		return p.unknown([]string{inc.Source}, inc.Param)
	}
	if def.Type != "reference" {
		return refuse(codeChain, "%s of %s is no reference, so nothing can be included by it.", shown(inc.Param), inc.Source)
	}
	if inc.Target != "" && !pointsTo(def, inc.Target) {
		return refuse(codeChain, "%s of %s does not refer to %s.", shown(inc.Param), inc.Source, inc.Target)
	}
	if reverse && !inc.Iterate && types != nil && !slices.ContainsFunc(types, func(t string) bool { return pointsTo(def, t) }) {
		return refuse(codeChain, "%s of %s does not refer to what is searched for.", shown(inc.Param), inc.Source)
	}
	return nil
}

// pointsTo reports whether the reference may point to typ; one whose targets
// FHIR does not list may point anywhere.
func pointsTo(def SearchParam, typ string) bool {
	if len(def.Targets) == 0 {
		return true
	}
	_, ok := slices.BinarySearch(def.Targets, typ)
	return ok
}
