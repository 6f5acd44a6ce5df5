package policy

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// decoder turns YAML into JSON's types. A day stays text, a number keeps its
// digits, and what would be read in two ways is a problem.
type decoder struct {
	file     string
	problems *Problems
	depth    int
}

// maxDepth ends the walk through a table that refers to itself.
const maxDepth = 64

func (d *decoder) value(n *yaml.Node) any {
	d.depth++
	defer func() { d.depth-- }()
	if d.depth > maxDepth {
		d.problems.add(d.file, n.Line, "nested too deeply")
		return nil
	}
	switch n.Kind {
	case yaml.AliasNode:
		return d.value(n.Alias)
	case yaml.MappingNode:
		return d.object(n)
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, c := range n.Content {
			list[i] = d.value(c)
		}
		return list
	}
	return d.scalar(n)
}

func (d *decoder) object(n *yaml.Node) map[string]any {
	o := make(map[string]any, len(n.Content)/2)
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge" {
			d.problems.add(d.file, key.Line, "a key is a name")
			continue
		}
		if _, twice := o[key.Value]; twice {
			d.problems.add(d.file, key.Line, "key %q stands here twice", key.Value)
			continue
		}
		o[key.Value] = d.value(n.Content[i+1])
	}
	return o
}

func (d *decoder) scalar(n *yaml.Node) any {
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		var b bool
		if err := n.Decode(&b); err == nil {
			return b
		}
	case "!!int", "!!float":
		if json.Valid([]byte(n.Value)) {
			return json.Number(n.Value)
		}
	case "!!str", "!!timestamp":
		return n.Value
	}
	d.problems.add(d.file, n.Line, "%s is neither text nor a JSON number: put it in quotes", n.Value)
	return nil
}

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): `)

// yamlError is the line and the bare text of a syntax error.
func yamlError(err error) (int, string) {
	text := err.Error()
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		line, _ := strconv.Atoi(m[1])
		return line, text[len(m[0]):]
	}
	return 0, strings.TrimPrefix(text, "yaml: ")
}
