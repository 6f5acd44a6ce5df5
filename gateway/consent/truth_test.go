package consent

import (
	"math/rand/v2"
	"strings"
	"testing"

	"gatehouse/fhir"
)

// The truth table of CONS-04: rules in three levels, with every kind of
// condition at each, against an evaluator that knows nothing of the engine. It
// was written from the standard's sentences, and what a condition means for the
// one access of the table was written down by hand.

// truth of a condition for the access of the table: Practitioner/7 of
// Organization/2 with client app reads, for treatment, Observation/o of
// 2026-03-01, labelled R and HIV, at noon of 2026-05-01.
type truth int

const (
	isFalse truth = iota
	isTrue
	cannotBeTold
)

var conditions = []struct {
	json  string
	holds truth
}{
	{``, isTrue},
	{`"period":{"start":"2026","end":"2026-05-01"}`, isTrue},
	{`"period":{"end":"2026-04"}`, isFalse},
	{`"period":{"end":"whenever"}`, cannotBeTold},
	{`"actor":[{"reference":{"reference":"Organization/9"}},{"reference":{"reference":"Practitioner/7"}}]`, isTrue},
	{`"actor":[{"reference":{"reference":"Organization/9"}}]`, isFalse},
	{`"actor":[{"reference":{"display":"Dr. No"}}]`, cannotBeTold},
	{`"action":[{"coding":[{"code":"access"}]}]`, isTrue},
	{`"action":[{"coding":[{"code":"correct"}]}]`, isFalse},
	{`"action":[{"coding":[{"code":"borrow"}]}]`, cannotBeTold},
	{`"purpose":[{"code":"HPAYMT"},{"code":"TREAT"}]`, isTrue},
	{`"purpose":[{"code":"BTG"}]`, isFalse},
	{`"securityLabel":[{"code":"HIV"}]`, isTrue},
	{`"securityLabel":[{"code":"PSY"}]`, isFalse},
	{`"class":[{"code":"Observation"}]`, isTrue},
	{`"class":[{"code":"Condition"}]`, isFalse},
	{`"class":[{"system":"urn:ietf:rfc:3986","code":"http://profile"}]`, cannotBeTold},
	{`"code":[{"coding":[{"system":"http://loinc.org","code":"85354-9"}]}]`, isTrue},
	{`"code":[{"coding":[{"system":"http://loinc.org","code":"1-8"}]}]`, isFalse},
	{`"code":[{"text":"blood"}]`, cannotBeTold},
	{`"dataPeriod":{"start":"2026-03-01","end":"2026-03-01"}`, isTrue},
	{`"dataPeriod":{"start":"2026-04"}`, isFalse},
	{`"data":[{"meaning":"instance","reference":{"reference":"Observation/o"}}]`, isTrue},
	{`"data":[{"meaning":"instance","reference":{"reference":"Observation/p"}}]`, isFalse},
	{`"data":[{"meaning":"beside","reference":{"reference":"Observation/p"}}]`, cannotBeTold},
	{`"colour":"blue"`, cannotBeTold},
}

// naive is a rule of the table.
type naive struct {
	typ        string // permit, deny
	conditions []int
	nested     []naive
}

func (n *naive) json() string {
	parts := []string{`"type":"` + n.typ + `"`}
	for _, c := range n.conditions {
		if conditions[c].json != "" {
			parts = append(parts, conditions[c].json)
		}
	}
	var nested []string
	for i := range n.nested {
		nested = append(nested, n.nested[i].json())
	}
	if len(nested) > 0 {
		parts = append(parts, `"provision":[`+strings.Join(nested, ",")+`]`)
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// says is the answer of the standard: "A provision matches only if all present
// conditions match. A nested provision is an exception to its parent, evaluated
// within the parent's match. Of siblings deny wins. What cannot be told does not
// satisfy a permit, and satisfies a deny", which then stands, whatever it
// excepts: nobody knows that its exceptions were reached.
func (n *naive) says() string {
	all := isTrue
	for _, c := range n.conditions {
		switch h := conditions[c].holds; {
		case h == isFalse || all == isFalse:
			all = isFalse
		case h == cannotBeTold:
			all = cannotBeTold
		}
	}
	if all == isFalse {
		return "none"
	}
	if all == cannotBeTold && n.typ == "deny" {
		return "deny"
	}
	answer := n.typ
	for i := range n.nested {
		switch n.nested[i].says() {
		case "deny":
			return "deny"
		case "permit":
			answer = "permit"
		}
	}
	if all == cannotBeTold && answer == "permit" {
		return "none"
	}
	return answer
}

var accessOfTable = &query{action: "read", now: noon, actor: doctor,
	facts: &fhir.Facts{Type: "Observation", ID: "o", Patients: []string{"Patient/1"}, Date: "2026-03-01", Labels: []string{"R", "HIV"}, Codes: []string{"http://loinc.org|85354-9"}}}

func (n *naive) compare(t *testing.T, e *Engine) {
	t.Helper()
	c := e.reader.one([]byte(wrap(`,"provision":` + n.json())))
	q := *accessOfTable
	q.engine = e
	v, _ := c.decide(&q)
	if got, want := [...]string{silent: "none", permit: "permit", deny: "deny"}[v], n.says(); got != want {
		t.Fatalf("got %s, want %s: %s", got, want, n.json())
	}
}

func TestTruthTable(t *testing.T) {
	e, cases := engine(usual(), &source{}), 0
	types := []string{"permit", "deny"}
	for i := range 8 {
		for a := range conditions {
			for b := range conditions {
				for c := range conditions {
					if testing.Short() && (a+b+c)%4 != 0 {
						continue
					}
					third := naive{typ: types[i>>2], conditions: []int{c}}
					second := naive{types[i>>1&1], []int{b}, []naive{third}}
					(&naive{types[i&1], []int{a}, []naive{second}}).compare(t, e)
					cases++
				}
			}
		}
	}
	t.Logf("%d cases", cases)
}

// Siblings, and several conditions at once, by chance.
func TestTruthBySample(t *testing.T) {
	e := engine(usual(), &source{})
	for seed := range uint64(30000) {
		r := rand.New(rand.NewPCG(seed, 4))
		n := sample(r, 0)
		n.compare(t, e)
	}
}

func sample(r *rand.Rand, depth int) naive {
	n := naive{typ: []string{"permit", "deny"}[r.IntN(2)]}
	kinds := map[string]bool{}
	for range r.IntN(3) {
		c := r.IntN(len(conditions))
		kind, _, _ := strings.Cut(conditions[c].json, ":")
		if !kinds[kind] { // a member stands once
			kinds[kind] = true
			n.conditions = append(n.conditions, c)
		}
	}
	if depth < 3 {
		for range r.IntN(4 - depth) {
			n.nested = append(n.nested, sample(r, depth+1))
		}
	}
	return n
}
