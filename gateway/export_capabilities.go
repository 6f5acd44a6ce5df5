package gateway

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
)

// exportAt is the $export of a level ("", "Patient" or "Group") for the
// CapabilityStatement: where it is switched on, and the upstream lists one.
func (s *snapshot) exportAt(level string, listed any) []any {
	name := strings.TrimPrefix(strings.ToLower(level)+"-export", "-")
	names := []string{"export", "$export", name}
	has := keepIf(listed, "name", func(n string) bool { return slices.Contains(names, n) })
	if len(has) == 0 || !s.grammar.Operations["$export"] {
		return nil
	}
	return []any{map[string]any{"name": "export", "definition": "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/" + name}}
}

// upstreamTypes are the types that the upstream lists; none where it does not
// say.
func (s *snapshot) upstreamTypes(ctx context.Context) []string {
	doc, err := s.capabilityStatement(ctx)
	if err != nil {
		return nil
	}
	var statement struct {
		Rest []struct{ Resource []struct{ Type string } }
	}
	if json.Unmarshal(doc, &statement) != nil {
		return nil
	}
	var types []string
	for _, rest := range statement.Rest {
		for _, r := range rest.Resource {
			types = append(types, r.Type)
		}
	}
	return types
}
