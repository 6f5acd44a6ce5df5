package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	wrong "github.com/santhosh-tekuri/jsonschema/v6/kind"
	"go.yaml.in/yaml/v3"

	"gatehouse/policies"
)

const tableSchema = "tables.schema.json"

// checkShapes holds the tables of the shipped policies to their schemas, wherever
// the rules that read them stand as they ship. A table under another key is the
// user's own.
func checkShapes(tables map[string]table, o Options, rules []source) Problems {
	var ps Problems
	keys := shippedKeys()
	if !o.shipped() {
		keys = keysReadBy(rules)
	}
	for key, t := range tables {
		if !slices.Contains(keys, key) {
			if near := nearest(key, keys); near != "" && o.shipped() { // in a directory another rule may read it
				ps.add(t.file, t.line, "no rule reads the table %s: did you mean %s?", key, near)
			}
			continue
		}
		schema := shippedSchema(tableSchema + "#/properties/" + key)
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

// shippedKeys are the tables that the shipped rules and the gateway read: all that
// have a schema.
var shippedKeys = sync.OnceValue(func() []string {
	var schema struct{ Properties map[string]any }
	text, err := policies.Files.ReadFile(tableSchema)
	if err == nil {
		err = json.Unmarshal(text, &schema)
	}
	if err != nil {
		panic(err) // it is inside this binary
	}
	return slices.Sorted(maps.Keys(schema.Properties))
})

// keysReadBy are the tables of which it is known how they are read: by the gateway,
// and by rules that stand in a directory as they ship. Rules that somebody has
// changed may want another shape.
func keysReadBy(rules []source) []string {
	keys := slices.Clone(labelKeys)
	for _, r := range rules {
		keys = append(keys, keysOfShipped()[string(r.text)]...)
	}
	return keys
}

// keysOfShipped are the tables that each shipped file of rules reads, by its text.
var keysOfShipped = sync.OnceValue(func() map[string][]string {
	all := map[string][]string{}
	shipped, err := readFiles(FilesOf(Options{}))
	if err != nil {
		panic(err) // they are inside this binary
	}
	for _, r := range shipped.rules {
		for _, m := range tableRead.FindAllSubmatch(r.text, -1) {
			if key := string(m[1]); slices.Contains(shippedKeys(), key) {
				all[string(r.text)] = append(all[string(r.text)], key)
			}
		}
	}
	return all
})

// tableRead finds references to tables in rules.
var tableRead = regexp.MustCompile(`\bdata\.([a-z_]+)`)

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
		return ofPattern(k)
	case *wrong.PropertyNames:
		return fmt.Sprintf("has the name %q: write one as Organization/2", k.Property)
	case *wrong.Format:
		return fmt.Sprintf("is %q: write a time, as 2026-11-21T10:00:00Z", k.Got)
	case *wrong.MinProperties, *wrong.MaxProperties:
		return "has no single member: see policies/scenarios.schema.json"
	case *wrong.MinItems, *wrong.MinLength:
		return "is empty"
	case *wrong.UniqueItems:
		return "lists the same twice"
	}
	return "is not as it should be"
}

// ofPattern names something that a pattern of the schemas takes.
func ofPattern(k *wrong.Pattern) string {
	sample := ""
	switch {
	case strings.HasPrefix(k.Want, "^[0-9]"):
		sample = "a day, as 2027-12-31"
	case strings.HasPrefix(k.Want, "^Location"):
		sample = "a reference, as Location/ward-3"
	case strings.HasPrefix(k.Want, "^Organization"):
		sample = "a reference, as Organization/2"
	case strings.Contains(k.Want, "|"):
		sample = "system|code"
	default:
		return "has more than one line, or characters that no header holds"
	}
	return fmt.Sprintf("is %q: write %s", k.Got, sample)
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
	if near := nearest(fmt.Sprint(k.Got), want); near != "" && len(near) > 2 { // any letter is near any other
		return text + "did you mean " + near + "?"
	}
	if slices.Contains(want, "Patient") {
		return text + "write a FHIR resource type, or a group of type_groups"
	}
	return text + "write one of " + strings.Join(want, ", ")
}

// path names a place in the table: roles.clinician[0].when.
func (t *table) path(at []string) string {
	var b strings.Builder
	b.WriteString(t.key)
	for i, p := range at {
		if t.key == "" && i == 0 {
			b.WriteString(p)
			continue
		}
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
