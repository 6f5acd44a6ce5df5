package policy

import (
	"slices"

	"go.yaml.in/yaml/v3"
)

// Ending is a row of a table that holds up to a day.
type Ending struct {
	Place  string `json:"place"` // file:line
	Path   string `json:"path"`  // agreements.lab-service
	Reason string `json:"reason"`
	Until  string `json:"until"` // the last day on which it holds, "2027-12-31"
}

// Endings are the rows of a policy's tables that end, soonest first.
func (c *Coverage) Endings() (all []Ending) {
	for key, t := range c.tables {
		eachEnding(t.node, key, func(path string, row *yaml.Node, until string) {
			e := Ending{Place: place(t.file, row.Line), Path: path, Until: until}
			if _, reason := child(row, "reason"); reason != nil {
				e.Reason = reason.Value
			}
			all = append(all, e)
		})
	}
	slices.SortFunc(all, func(a, b Ending) int { return compareTexts(a.Until, b.Until, a.Path, b.Path, a.Place, b.Place) })
	return all
}

func eachEnding(n *yaml.Node, path string, f func(string, *yaml.Node, string)) {
	switch n.Kind {
	case yaml.MappingNode:
		if _, until := child(n, "until"); until != nil && until.Kind == yaml.ScalarNode {
			f(path, n, until.Value)
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			eachEnding(n.Content[i+1], path+"."+n.Content[i].Value, f)
		}
	case yaml.SequenceNode:
		for _, row := range n.Content {
			eachEnding(row, path, f)
		}
	}
}

// compareTexts compares pair by pair, until one differs.
func compareTexts(pairs ...string) int {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i] != pairs[i+1] {
			if pairs[i] < pairs[i+1] {
				return -1
			}
			return 1
		}
	}
	return 0
}
