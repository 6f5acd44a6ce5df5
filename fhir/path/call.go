package path

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"gatehouse/fhir"
)

type call struct {
	from node
	name string
	args []node
	text string         // literal argument
	re   *regexp.Regexp // of matches, replaceMatches
}

// arity is how many arguments each function takes, at least and at most.
var arity = map[string][2]int{
	"where": {1, 1}, "exists": {0, 1}, "all": {1, 1}, "empty": {0, 0}, "not": {0, 0}, "first": {0, 0}, "last": {0, 0}, "count": {0, 0},
	"nodesByType": {1, 1}, "nodesByName": {1, 1}, "extension": {1, 1},
	"startsWith": {1, 1}, "endsWith": {1, 1}, "contains": {1, 1}, "matches": {1, 1}, "replaceMatches": {2, 2},
	"substring": {1, 2}, "toString": {0, 0}, "lower": {0, 0}, "upper": {0, 0}, "length": {0, 0},
}

func newCall(v fhir.Version, from node, name string, args []node) (node, error) {
	n, ok := arity[name]
	if !ok {
		return nil, fmt.Errorf("unknown function %s()", name)
	}
	if len(args) < n[0] || len(args) > n[1] {
		return nil, fmt.Errorf("%s() has %d arguments", name, len(args))
	}
	c := &call{from: from, name: name, args: args}
	if l, ok := first(args).(literal); ok {
		c.text = l.text
	}
	switch name {
	case "nodesByType", "nodesByName", "extension":
		if c.text == "" {
			return nil, fmt.Errorf("%s() needs a text", name)
		}
	case "matches", "replaceMatches":
		re, err := regexp.Compile(namedGroups.ReplaceAllString(c.text, `(?P<$1>`))
		if err != nil || c.text == "" {
			return nil, errors.New("regular expression is not supported (RE2: no look-around, no back-references)")
		}
		c.re = re
	}
	return c, nil
}

// namedGroups: rule files write groups as .NET does.
var namedGroups = regexp.MustCompile(`\(\?<(\w+)>`)

// numberedGroups: there $1 ends with its digits, here with the word.
var numberedGroups = regexp.MustCompile(`\$(\d+)`)

func first(args []node) node {
	if len(args) == 0 {
		return nil
	}
	return args[0]
}

func (c *call) eval(e *eval, in []Item) ([]Item, error) {
	items, err := c.from.eval(e, in)
	if err != nil {
		return nil, err
	}
	switch c.name {
	case "where", "exists", "all":
		return c.filter(e, items)
	case "empty":
		return boolean(len(items) == 0), nil
	case "not":
		t, err := truth(e, items)
		if len(items) == 0 {
			return nil, nil
		}
		return boolean(!t), err
	case "first":
		return items[:min(1, len(items))], nil
	case "last":
		return items[max(0, len(items)-1):], nil
	case "count":
		return []Item{computed(value{isNumber, strconv.Itoa(len(items))})}, nil
	case "nodesByType", "nodesByName":
		return c.nodes(e, items), nil
	case "extension":
		return c.extension(e, items), nil
	}
	return c.onText(e, items, in)
}

func (c *call) filter(e *eval, items []Item) ([]Item, error) {
	kept := items
	if len(c.args) > 0 {
		kept = nil
		for _, i := range items {
			scope := *e
			ok := false
			result, err := c.args[0].eval(&scope, []Item{i})
			if err == nil {
				ok, err = truth(e, result)
			}
			if err != nil {
				return nil, err
			}
			if ok {
				kept = append(kept, i)
			}
		}
	}
	switch c.name {
	case "exists":
		return boolean(len(kept) > 0), nil
	case "all":
		return boolean(len(kept) == len(items)), nil
	}
	return kept, nil
}

// nodes are the descendants of a type or name, outside of resources inside.
func (c *call) nodes(e *eval, items []Item) (out []Item) {
	var walk func(Item)
	walk = func(i Item) {
		e.children(i, func(info fhir.ElementInfo, at Item) {
			if info.Type == "Resource" {
				return
			}
			if c.name == "nodesByType" && at.Type == c.text || c.name == "nodesByName" && (info.Name == c.text || info.Path == c.text) {
				out = append(out, at)
			}
			walk(at)
		})
	}
	for _, i := range items {
		walk(i)
	}
	return out
}

func (c *call) extension(e *eval, items []Item) (out []Item) {
	for _, i := range items {
		e.children(i, func(info fhir.ElementInfo, at Item) {
			if info.Name == "extension" {
				if url := e.tree.Get(at.Node, "url"); url >= 0 && e.tree.Text(url) == c.text {
					out = append(out, at)
				}
			}
		})
	}
	return out
}

// onText are the functions of one text.
func (c *call) onText(e *eval, items, in []Item) ([]Item, error) {
	if len(items) == 0 {
		return nil, nil
	}
	if len(items) > 1 {
		return nil, errSingle
	}
	s := e.value(items[0]).text
	args := make([]string, len(c.args))
	for k, a := range c.args {
		v, err := a.eval(e, in)
		if err != nil || len(v) != 1 {
			return nil, err
		}
		args[k] = e.value(v[0]).text
	}
	switch c.name {
	case "startsWith":
		return boolean(strings.HasPrefix(s, args[0])), nil
	case "endsWith":
		return boolean(strings.HasSuffix(s, args[0])), nil
	case "contains":
		return boolean(strings.Contains(s, args[0])), nil
	case "matches":
		return boolean(c.re.MatchString(s)), nil
	case "length":
		return []Item{computed(value{isNumber, strconv.Itoa(len([]rune(s)))})}, nil
	case "lower":
		s = strings.ToLower(s)
	case "upper":
		s = strings.ToUpper(s)
	case "replaceMatches":
		s = c.re.ReplaceAllString(s, numberedGroups.ReplaceAllString(args[1], "$${$1}"))
	case "substring":
		return substring(s, args)
	}
	return []Item{computed(value{isText, s})}, nil
}

func substring(s string, args []string) ([]Item, error) {
	runes := []rune(s)
	from, err := strconv.Atoi(args[0])
	if err != nil || from < 0 || from >= len(runes) {
		return nil, nil
	}
	to := len(runes)
	if len(args) > 1 {
		n, err := strconv.Atoi(args[1])
		if err != nil || n < 0 {
			return nil, nil
		}
		to = min(to, from+n)
	}
	return []Item{computed(value{isText, string(runes[from:to])})}, nil
}
