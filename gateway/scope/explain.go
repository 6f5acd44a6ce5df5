package scope

import (
	"net/url"
	"strings"
)

// Explanation says what became of one scope, for people and for programs.
type Explanation struct {
	Scope      string   `json:"scope"`
	Grants     bool     `json:"grants"`
	Context    string   `json:"context,omitempty"`     // patient, user or system
	Type       string   `json:"type,omitempty"`        // a resource type or *
	Letters    string   `json:"permissions,omitempty"` // of c, r, u, d, s
	Constraint []string `json:"constraint,omitempty"`  // search criteria, all of which must hold
	Reason     string   `json:"reason,omitempty"`      // why it grants nothing
	Text       string   `json:"text"`
}

// Explain lists the scopes in their order in the token.
func (g *Grants) Explain() []Explanation {
	switch {
	case g == nil:
		return nil
	case g.unbound:
		return []Explanation{{Scope: "(none)", Grants: true, Context: "system", Type: "*", Letters: "cruds",
			Text: "this issuer's tokens carry no scopes; policy alone decides"}}
	}
	list := make([]Explanation, len(g.scopes))
	copy(list, g.scopes)
	for i := range list {
		if list[i].Text == "" {
			list[i].Text = "grants nothing: " + list[i].Reason
		}
	}
	return list
}

func (e *Explanation) describe(one grant) {
	e.Context, e.Type, e.Letters = one.context, one.typ, one.letters.String()
	if one.matcher != nil {
		_, query, _ := strings.Cut(e.Scope, "?")
		for part := range strings.SplitSeq(query, "&") {
			if plain, err := url.QueryUnescape(part); err == nil {
				part = plain
			}
			e.Constraint = append(e.Constraint, part)
		}
	}
}

var verbs = [...]string{"create", "read", "update", "delete", "search"}

// text says in a sentence what the scope opens.
// closedToWildcards lists, in words, the types that "*" does not reach.
func (g *Grants) closedToWildcards() string {
	var names []string
	for _, typ := range g.version.ResourceTypes() {
		if neverByWildcard[typ] || off[typ] {
			names = append(names, typ)
		}
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

func (g *Grants) text(one grant, e Explanation) string {
	if !e.Grants {
		return "grants nothing: " + e.Reason
	}
	var b strings.Builder
	effective := one.letters
	if one.typ != "*" {
		effective = g.cut(&one, one.typ)
	}
	var can []string
	for i, verb := range verbs {
		if effective&(1<<i) != 0 {
			can = append(can, verb)
		}
	}
	b.WriteString(strings.Join(can, ", "))
	if one.typ == "*" {
		b.WriteString(" of every type but " + g.closedToWildcards())
	} else {
		b.WriteString(" of " + one.typ)
	}
	switch {
	case one.context == "patient" && one.typ != "*" && shared[one.typ]:
		b.WriteString(", as shared reference data")
	case one.context == "patient":
		b.WriteString(" of " + g.patient + " alone")
	case one.context == "user":
		b.WriteString(", as far as the user may")
	default:
		b.WriteString(", as far as the client may")
	}
	if len(e.Constraint) > 0 {
		b.WriteString(", where " + strings.Join(e.Constraint, " and "))
	}
	return b.String()
}
