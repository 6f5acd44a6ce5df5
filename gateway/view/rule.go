package view

import (
	"fmt"
	"slices"
	"strings"

	"gatehouse/fhir/path"
)

// rule is one line of a view: the nodes it names, the condition it has, and
// what is done to them.
type rule struct {
	index    int // place in the list: the lowest that matches a node wins
	path     string
	patterns []pattern  // empty where dynamic is set
	dynamic  *path.Expr // evaluated for each resource
	when     guard
	method   method
	cases    []branch // generalize, instead of to
	at       position
	lenient  bool // shipped: may name what only other releases have
}

// method is what is done to a leaf.
type method struct {
	name     string
	to       string   // generalize
	cases    []string // generalize: the texts of the rule's cases
	others   bool     // generalize: values of no case stay
	days     int      // dateShift: largest shift
	weekday  bool     // dateShift: whole weeks alone
	keepTime bool     // dateShift: times of day stay
	maxAge   int      // dates and ages beyond are removed or pooled; 0 is no bound
	lists    []string
	digits   int     // zip
	isAge    bool    // generalize to age: the type says so, whatever the unit
	span     float64 // perturb
	ratio    bool    // perturb: span is a part of the value
	roundTo  int
	with     []byte // substitute: a JSON value
	known    bool   // scrub: also what is known of the patient elsewhere, or nothing is shown
}

const (
	keep          = "keep"
	redact        = "redact"
	remove        = "remove"
	mask          = "mask"
	pseudonymize  = "pseudonymize"
	cryptoHash    = "cryptoHash"
	encrypt       = "encrypt"
	dateShift     = "dateShift"
	generalize    = "generalize"
	perturb       = "perturb"
	substitute    = "substitute"
	scrub         = "scrub"
	methodsInText = "keep, redact, remove, mask, pseudonymize, cryptoHash, encrypt, dateShift, generalize, perturb, substitute, scrub"
)

var methodNames = []string{keep, redact, remove, mask, pseudonymize, cryptoHash, encrypt, dateShift, generalize, perturb, substitute, scrub}

// hides reports a method after which nothing of the value is left.
func (m *method) hides() bool { return m.name == redact || m.name == remove }

// guard is a rule's condition on the text of one member: of the node itself
// where it is an object, else of the object it stands in.
type guard struct {
	member string // "" is no condition; "$this" the node's own text
	items  []string
	in     set // of the items
	not    bool
}

func (g *guard) met(text string) bool { return g.in.has(text) != g.not }

// set is a list of texts, some of them built in.
type set struct {
	texts map[string]bool
	tests []func(string) bool
}

func (s *set) has(text string) bool {
	if s.texts[text] {
		return true
	}
	return slices.ContainsFunc(s.tests, func(test func(string) bool) bool { return test(text) })
}

// newSet makes a set of texts and of "@name" for the built-in lists.
func newSet(items []string) (s set, err error) {
	s.texts = make(map[string]bool, len(items))
	for _, item := range items {
		name, builtIn := strings.CutPrefix(item, "@")
		if !builtIn {
			s.texts[item] = true
			continue
		}
		test, ok := builtInLists[name]
		if !ok {
			return s, fmt.Errorf("no built-in list %q (there are @standard-systems, @fhir-codes, @standard-profiles, @resource-types)", item)
		}
		s.tests = append(s.tests, test)
	}
	return s, nil
}

type position struct {
	file         string
	line, column int
}

func (p position) String() string { return fmt.Sprintf("%s:%d:%d", p.file, p.line, p.column) }
