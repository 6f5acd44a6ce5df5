package policy

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"gatehouse/policies"
)

// Document is a YAML file that was read as strictly as a table: what could be
// read in two ways is refused.
type Document struct {
	Value map[string]any // JSON's types; numbers are json.Number
	table
}

// ReadDocument reads the text of a file and holds it to a schema of package
// policies ("file.schema.json#/$defs/name"). The error is Problems, with the
// line of everything that is wrong.
func ReadDocument(file string, text []byte, schema string) (*Document, error) {
	var ps Problems
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		line, words := yamlError(err)
		ps.add(file, line, "%s", words)
		return nil, ps
	}
	if doc.Kind == 0 || doc.Content[0].Kind != yaml.MappingNode {
		ps.add(file, 1, "this file is a mapping of names")
		return nil, ps
	}
	decoder := decoder{file: file, problems: &ps}
	d := &Document{Value: decoder.object(doc.Content[0]), table: table{file: file, line: 1, node: doc.Content[0]}}
	if len(ps) > 0 {
		return nil, ps.err()
	}
	var invalid *jsonschema.ValidationError
	if errors.As(shippedSchema(schema).Validate(d.Value), &invalid) {
		d.report(&ps, invalid)
	}
	return d, ps.err()
}

// Line is that of a path in the document, or of as much of it as there is.
func (d *Document) Line(path ...string) int { return lineOf(d.node, path, d.line) }

// shippedSchemas are those that were asked for, by name: as many as the program
// names.
var shippedSchemas sync.Map

// shippedSchema is a schema of package policies: program text.
func shippedSchema(name string) *jsonschema.Schema {
	if s, ok := shippedSchemas.Load(name); ok {
		return s.(*jsonschema.Schema)
	}
	file, _, _ := bytes.Cut([]byte(name), []byte("#"))
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	text, err := policies.Files.ReadFile(string(file))
	if err == nil {
		var doc any
		if doc, err = jsonschema.UnmarshalJSON(bytes.NewReader(text)); err == nil {
			err = c.AddResource(string(file), doc)
		}
	}
	if err != nil {
		panic(fmt.Sprintf("%s: %v", name, err))
	}
	s := c.MustCompile(name)
	shippedSchemas.Store(name, s)
	return s
}
