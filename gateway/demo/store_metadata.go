package demo

import (
	"gatehouse/fhir"
	"gatehouse/fhir/search"
)

// statement is the CapabilityStatement: what the code here does, no more.
func (s *Store) statement() []byte {
	interactions := func(codes ...string) (l list) {
		for _, c := range codes {
			l = append(l, object{"code", c})
		}
		return l
	}
	var resources list
	for _, typ := range fhir.R4.ResourceTypes() {
		resources = append(resources, object{"type", typ,
			"interaction", interactions("read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type"),
			"versioning", "versioned-update", "readHistory", true, "updateCreate", true,
			"conditionalCreate", true, "conditionalRead", "full-support", "conditionalUpdate", true, "conditionalDelete", "single",
			"searchInclude", list{"*"}, "searchParam", params(typ), "operation", everythingOf(typ)})
	}
	return encode(object{"resourceType", "CapabilityStatement", "status", "active", "date", "2026-01-01", "kind", "instance",
		"software", object{"name", "Gatehouse demo store"},
		"implementation", object{"description", "Synthetic patients in memory, for the demo and for tests alone", "url", s.base},
		"fhirVersion", "4.0.1", "format", list{"json"}, "patchFormat", list{"application/json-patch+json", "application/fhir+json"},
		"rest", list{object{"mode", "server", "resource", resources,
			"interaction", interactions("transaction", "batch", "history-system", "search-system")}}})
}

// params are the search parameters of a type that can be evaluated.
func params(typ string) any {
	var l list
	for p := range fhir.R4.SearchParams(typ) {
		if p.Type == "composite" || p.Type == "special" {
			continue
		}
		if _, err := search.Elements(fhir.R4, typ, p.Code); err == nil {
			l = append(l, object{"name", p.Code, "type", p.Type})
		}
	}
	if len(l) == 0 {
		return nil
	}
	return l
}

func everythingOf(typ string) any {
	if typ != "Patient" {
		return nil
	}
	return list{object{"name", "everything", "definition", "http://hl7.org/fhir/OperationDefinition/Patient-everything"}}
}
