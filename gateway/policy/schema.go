package policy

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	wrong "github.com/santhosh-tekuri/jsonschema/v6/kind"
	"go.yaml.in/yaml/v3"

	"gatehouse/policies"
)

const tableSchema = "tables.schema.json"

// checkShapes holds the tables of the shipped policies to their schemas. A
// table under another key is the user's own.
func checkShapes(tables map[string]table, keys []string) Problems {
	var ps Problems
	c := jsonschema.NewCompiler()
	text, err := policies.Files.ReadFile(tableSchema)
	if err == nil {
		var doc any
		if doc, err = jsonschema.UnmarshalJSON(bytes.NewReader(text)); err == nil {
			err = c.AddResource(tableSchema, doc)
		}
	}
	if err != nil {
		panic(tableSchema + ": " + err.Error())
	}
	for key, t := range tables {
		if !slices.Contains(keys, key) {
			if near := nearest(key, keys); near != "" && len(keys) > len(labelKeys) {
				ps.add(t.file, t.line, "no rule reads the table %s: did you mean %s?", key, near)
			}
			continue
		}
		schema := c.MustCompile(tableSchema + "#/properties/" + key)
		var invalid *jsonschema.ValidationError
		if errors.As(schema.Validate(t.value), &invalid) {
			t.report(&ps, invalid)
		}
	}
	return ps
}

// labelKeys are the tables that records are labelled by. The gateway reads them
// itself, whatever the rules are.
var labelKeys = []string{"code_systems", "implied_labels", "labelling", "notices"}

// shippedKeys are the tables that the shipped rules and the gateway read.
func shippedKeys() []string {
	return append([]string{"agreements", "patient_access", "purposes", "roles", "sensitive", "type_groups"}, labelKeys...)
}

// report files each innermost cause at its line.
func (t *table) report(ps *Problems, e *jsonschema.ValidationError) {
	for _, cause := range e.Causes {
		t.report(ps, cause)
	}
	if len(e.Causes) > 0 {
		return
	}
	if more, ok := e.ErrorKind.(*wrong.AdditionalProperties); ok {
		for _, name := range more.Properties {
			at := append(slices.Clone(e.InstanceLocation), name)
			ps.add(t.file, lineOf(t.node, at, t.line), "%s is not known here", t.path(at))
		}
		return
	}
	ps.add(t.file, lineOf(t.node, e.InstanceLocation, t.line), "%s %s", t.path(e.InstanceLocation), fault(e.ErrorKind))
}

// fault says what to write instead.
func fault(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *wrong.Enum:
		return notOneOf(k)
	case *wrong.Required:
		return "lacks " + strings.Join(k.Missing, ", ")
	case *wrong.Type:
		return fmt.Sprintf("is of type %s: write %s", k.Got, article(k.Want))
	case *wrong.Pattern:
		if strings.HasPrefix(k.Want, "^[0-9]") {
			return fmt.Sprintf("is %q: write a day, as 2027-12-31", k.Got)
		}
		if strings.Contains(k.Want, "|") {
			return fmt.Sprintf("is %q: write system|code", k.Got)
		}
		return "has more than one line, or characters that no header holds"
	case *wrong.MinItems, *wrong.MinLength:
		return "is empty"
	case *wrong.UniqueItems:
		return "lists the same twice"
	}
	return "is not as it should be"
}

func article(types []string) string {
	names := map[string]string{"array": "a list", "object": "a mapping", "string": "text", "boolean": "true or false"}
	var all []string
	for _, t := range types {
		if n, ok := names[t]; ok {
			t = n
		}
		all = append(all, t)
	}
	return strings.Join(all, " or ")
}

func notOneOf(k *wrong.Enum) string {
	var want []string
	for _, w := range k.Want {
		want = append(want, fmt.Sprint(w))
	}
	text := fmt.Sprintf("is %v: ", k.Got)
	if near := nearest(fmt.Sprint(k.Got), want); near != "" {
		return text + "did you mean " + near + "?"
	}
	if len(want) > 20 {
		return text + "write a FHIR resource type, or a group of type_groups"
	}
	return text + "write one of " + strings.Join(want, ", ")
}

// path names a place in the table: roles.clinician[0].when.
func (t *table) path(at []string) string {
	var b strings.Builder
	b.WriteString(t.key)
	for _, p := range at {
		if _, err := strconv.Atoi(p); err == nil {
			b.WriteString("[" + p + "]")
			continue
		}
		b.WriteString("." + p)
	}
	return b.String()
}

// lineOf follows a path into the document; the line is that of the last part
// that is there.
func lineOf(n *yaml.Node, at []string, line int) int {
	for _, p := range at {
		key, next := child(n, p)
		if next == nil {
			return line
		}
		n, line = next, key.Line
	}
	return line
}

// child is a member or element, and the node that stands where it begins.
func child(n *yaml.Node, name string) (key, value *yaml.Node) {
	switch n.Kind {
	case yaml.AliasNode:
		return child(n.Alias, name)
	case yaml.MappingNode:
		for i := 0; i < len(n.Content); i += 2 {
			if n.Content[i].Value == name {
				return n.Content[i], n.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(name); err == nil && i < len(n.Content) {
			return n.Content[i], n.Content[i]
		}
	}
	return nil, nil
}
