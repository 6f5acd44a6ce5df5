package compat

import (
	"regexp"
	"strings"

	"gatehouse/fhir"
)

// references finds the id within references (D2).
type references struct {
	forms []*regexp.Regexp // prefix, id, suffix
	wide  bool             // uri elements too, and searches by identifier
}

func newReferences(v fhir.Version, wide bool) *references {
	types := strings.Join(v.ResourceTypes(), "|")
	r := &references{wide: wide, forms: []*regexp.Regexp{
		regexp.MustCompile(`^((?:https?://[A-Za-z0-9\\/.:%$]*)?(?:` + types + `)/)([A-Za-z0-9\-.]{1,64})(/_history/[A-Za-z0-9\-.]{1,64})?$`),
		regexp.MustCompile(`^(urn:oid:)([0-2](?:\.(?:0|[1-9][0-9]*))+)()$`),
		regexp.MustCompile(`^(urn:uuid:)([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})()$`),
	}}
	if wide {
		r.forms = append(r.forms, regexp.MustCompile(`^((?:(?:`+types+`)\?)?identifier=(?:https?://[A-Za-z0-9\\/.:%$\-]*\|)?)([A-Za-z0-9\-.]{1,64})()$`))
	}
	return r
}

// is reports a node whose text is a reference: only its id is replaced.
func (r *references) is(n *node, text string) bool {
	if n.name == "reference" && n.parent != nil && n.parent.typ == "Reference" {
		return true
	}
	return r.wide && n.typ == "uri" && (r.forms[0].MatchString(text) || r.forms[3].MatchString(text))
}

// transform replaces the id of a reference, and any other text whole.
func (r *references) transform(n *node, text string, f func(string) (string, error)) (string, error) {
	if !r.is(n, text) {
		return f(text)
	}
	if id, ok := strings.CutPrefix(text, "#"); ok {
		p, err := f(id)
		return "#" + p, err
	}
	for _, form := range r.forms {
		if m := form.FindStringSubmatch(text); m != nil {
			p, err := f(m[2])
			return m[1] + p + m[3], err
		}
	}
	return f(text)
}

// domain is that of a pseudonym where the rule names none: the type that the
// id is of.
func (r *references) domain(n *node, text string) string {
	if n.name == "id" && n.parent != nil && n.parent.resource {
		return n.parent.typ
	}
	if !r.is(n, text) {
		return ""
	}
	for _, form := range r.forms {
		if m := form.FindStringSubmatch(text); m != nil {
			prefix, _, _ := strings.Cut(m[1], "?")
			prefix = strings.TrimSuffix(prefix, "/")
			return prefix[strings.LastIndexByte(prefix, '/')+1:]
		}
	}
	return ""
}
