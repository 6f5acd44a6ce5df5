package config

import (
	"errors"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// members yields the names and values of a mapping, reporting what is no
// mapping and names that come twice; of those the first counts.
func (l *loader) members(n ast.Node, key string) iter.Seq2[string, ast.Node] {
	return func(yield func(string, ast.Node) bool) {
		var values []*ast.MappingValueNode
		switch m := n.(type) {
		case *ast.MappingNode:
			values = m.Values
		case *ast.MappingValueNode:
			values = []*ast.MappingValueNode{m}
		default:
			l.report(key, "is %s; write keys and values", describe(n))
			return
		}
		for _, value := range values {
			name, ok := l.name(value, key)
			if ok && !yield(name, value.Value) {
				return
			}
		}
	}
}

// name is the key of one member, marked as seen.
func (l *loader) name(value *ast.MappingValueNode, key string) (string, bool) {
	text, ok := value.Key.(*ast.StringNode)
	if !ok {
		token := value.Key.GetToken().Value
		l.mark(join(key, token), value.Key)
		advice := "write it in quotes"
		if _, merge := value.Key.(*ast.MergeKeyNode); merge {
			advice = "write the keys out"
		}
		l.report(join(key, token), "is %s, as a key; %s", describe(value.Key), advice)
		return "", false
	}
	name := text.Value
	if first, twice := l.at[join(key, name)]; twice {
		line, column := position(value.Key)
		l.problems = append(l.problems, Problem{File: l.file, Key: join(key, name), Line: line, Column: column,
			Text: fmt.Sprintf("is already on line %d; keep one of them", first.line)})
		return "", false
	}
	l.mark(join(key, name), value.Key)
	return name, true
}

func (l *loader) mark(key string, n ast.Node) {
	line, column := position(n)
	l.at[key] = place{line, column}
}

// scalar is the text of a value, with its variables; numbers only where want
// says so: a text that looks like a number must be quoted, since YAML would
// change it (0123, 1.10, 1e3).
func (l *loader) scalar(n ast.Node, key, want string) (string, bool) {
	if text, ok := joined(n); ok {
		return l.expand(text, key)
	}
	switch s := n.(type) {
	case *ast.StringNode:
		return l.expand(s.Value, key)
	case *ast.LiteralNode:
		return l.expand(s.Value.Value, key)
	case *ast.IntegerNode, *ast.FloatNode:
		// Of a port alone checkAddress says what to write.
		if strings.Contains(want, "number") || key == "listen" || key == "admin" {
			return n.GetToken().Value, true
		}
	case *ast.MappingNode, *ast.MappingValueNode, *ast.SequenceNode, *ast.AliasNode, *ast.AnchorNode, *ast.TagNode:
		l.report(key, "is %s; write %s", describe(n), want)
		return "", false
	}
	l.report(key, "is %s; write %s, in quotes if this is meant", describe(n), want)
	return "", false
}

// joined is text with a colon inside, as of [http://127.0.0.1:8080], that the
// parser took apart: in a list within {} it takes any colon for a mapping's, where
// YAML wants a space behind it.
func joined(n ast.Node) (string, bool) {
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) == 1 && !m.IsFlowStyle {
		n = m.Values[0]
	}
	pair, ok := n.(*ast.MappingValueNode)
	if !ok {
		return "", false
	}
	key, value := pair.Key.GetToken(), pair.Value.GetToken()
	if key.Type != token.StringType || value.Type != token.StringType && value.Type != token.IntegerType {
		return "", false
	}
	at, next := key.Position, value.Position
	if at.Line != next.Line || at.Column+utf8.RuneCountInString(key.Value)+1 != next.Column {
		return "", false
	}
	return key.Value + ":" + value.Value, true
}

// literal is the text of an unquoted bool or number, or what a variable holds.
func (l *loader) literal(n ast.Node, key string) (string, bool) {
	if s, ok := n.(*ast.StringNode); ok {
		if !strings.Contains(s.Value, "${") {
			return "", false
		}
		return l.expand(s.Value, key)
	}
	switch n.(type) {
	case *ast.BoolNode, *ast.IntegerNode:
		return n.GetToken().Value, true
	}
	return "", false
}

var variable = regexp.MustCompile(`\$\{([^}]*)\}?`)

var variableName = regexp.MustCompile(`^\$\{[A-Za-z_][A-Za-z0-9_]*\}$`)

// expand replaces ${NAME}. What the variable holds is a value and never YAML:
// it cannot add keys.
func (l *loader) expand(text, key string) (string, bool) {
	if !strings.Contains(text, "${") {
		return text, true
	}
	ok := true
	out := variable.ReplaceAllStringFunc(text, func(ref string) string {
		if !variableName.MatchString(ref) {
			l.report(key, "has %q, which names no environment variable; write ${NAME}", ref)
			ok = false
			return ""
		}
		name := ref[2 : len(ref)-1]
		value, _ := l.getenv(name)
		if value == "" {
			l.report(key, "the environment variable %s is unset or empty; set it", name)
			ok = false
		}
		return value
	})
	l.written[key] = text
	return out, ok
}

// show is a value as a problem may quote it: what came from the environment
// may be a secret.
func (l *loader) show(key, text string) string {
	if written, ok := l.written[key]; ok {
		return written
	}
	return text
}

func describe(n ast.Node) string {
	switch n.(type) {
	case *ast.StringNode, *ast.LiteralNode:
		return "text"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.BoolNode:
		return "true or false"
	case *ast.SequenceNode:
		return "a list"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		return "a YAML anchor, alias or merge, which is not supported"
	case *ast.TagNode:
		return "a YAML tag, which is not supported"
	case *ast.NullNode:
		return "empty"
	}
	return "not understood"
}

// suggestion names the known key nearest to a misspelt one, else all of them.
func suggestion(name string, fields map[string]field) string {
	known := make([]string, 0, len(fields))
	for k := range fields {
		known = append(known, k)
	}
	slices.Sort(known)
	best, distance := "", 1+len(name)/3
	for _, k := range known {
		if d := levenshtein.ComputeDistance(name, k); d <= distance && (best == "" || d < distance) {
			best, distance = k, d
		}
	}
	if best != "" {
		return "; did you mean " + best + "?"
	}
	return "; known here: " + strings.Join(known, ", ")
}

// syntaxProblem is the first thing that is no YAML, without the excerpt that
// the parser adds: it may hold a secret.
func syntaxProblem(err error) *Problem {
	var syntax yaml.Error
	if !errors.As(err, &syntax) {
		return &Problem{Text: "is not YAML"}
	}
	p := &Problem{Text: "is not YAML: " + syntax.GetMessage()}
	if t := syntax.GetToken(); t != nil && t.Position != nil {
		p.Line, p.Column = t.Position.Line, t.Position.Column
	}
	return p
}
