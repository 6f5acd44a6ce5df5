package compat

import (
	"regexp"
	"strings"

	"gatehouse/fhir/path"
)

// selector finds the nodes of a rule in a resource.
type selector struct {
	whole bool
	steps []step
	expr  *path.Expr // where steps cannot say it
	text  string     // of expr
}

// step goes from nodes to nodes.
type step struct {
	kind stepKind
	name string
	all  bool // nodesByType and nodesByName at the head of a path: see index
}

type stepKind uint8

const (
	child  stepKind = iota
	byType          // nodesByType
	byName          // nodesByName
	ofType          // ofType and as
)

var (
	stepText = regexp.MustCompile(`^(?:(nodesByType|nodesByName)\(\s*['"]([A-Za-z0-9]+)['"]\s*\)|(ofType|as)\(\s*([A-Za-z]+)\s*\)|([a-z][A-Za-z0-9]*))(?:\.|$)`)
	// a.b as T, and (a.b as T).c
	asText = regexp.MustCompile(`^(\()?([^ ]+) +as +([A-Za-z]+)(?:(\))(\.[^ ]+)?)?$`)
)

var stepKinds = map[string]stepKind{"nodesByType": byType, "nodesByName": byName}

// newSelector compiles what stands behind the head of a path. Most paths are
// plain steps; the others go to the FHIRPath engine, over a copy of the
// resource as the rules before have left it.
func (e *Engine) newSelector(text string) (selector, error) {
	if steps, ok := parseSteps(text); ok {
		for _, s := range steps {
			if s.kind == ofType {
				if err := e.known(s.name); err != nil {
					return selector{}, err
				}
			}
		}
		return selector{steps: steps}, nil
	}
	expr, err := path.Compile(e.version, text)
	return selector{expr: expr, text: text}, err
}

func parseSteps(text string) (steps []step, ok bool) {
	if m := asText.FindStringSubmatch(text); m != nil && (m[1] == "") == (m[4] == "") {
		text = m[2] + ".as(" + m[3] + ")" + m[5]
	}
	if strings.HasSuffix(text, ".") {
		return nil, false
	}
	for text != "" {
		m := stepText.FindStringSubmatch(text)
		switch {
		case m == nil:
			return nil, false
		case m[1] != "":
			steps = append(steps, step{stepKinds[m[1]], m[2], len(steps) == 0})
		case m[3] != "":
			steps = append(steps, step{ofType, m[4], false})
		default:
			steps = append(steps, step{child, m[5], false})
		}
		text = text[len(m[0]):]
	}
	return steps, len(steps) > 0
}
