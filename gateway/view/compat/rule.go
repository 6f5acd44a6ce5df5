package compat

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gatehouse/fhir/path"
)

// rule is one entry of fhirPathRules.
type rule struct {
	at     *value
	head   string // the type that the path begins with, "" for any resource
	sel    selector
	method method
}

// method is what a rule does, with its settings.
type method struct {
	name         string
	span         float64 // perturb
	proportional bool
	roundTo      int
	cases        []branch // generalize
	keepOthers   bool
	with         string // substitute
	empty        bool   // substitute: by nothing
	truncate     int    // cryptoHash: so many characters at most; 0 is all
	domain       string // pseudonymize; "" is read from the value
	prefix       string
}

// branch is a case of generalize.
type branch struct{ when, then *path.Expr }

const (
	keep         = "keep"
	redact       = "redact"
	dateShift    = "dateShift"
	cryptoHash   = "cryptoHash"
	encrypt      = "encrypt"
	substitute   = "substitute"
	perturb      = "perturb"
	generalize   = "generalize"
	pseudonymize = "pseudonymize"
	remove       = "remove"
)

var (
	microsoftMethods = []string{keep, redact, dateShift, cryptoHash, encrypt, substitute, perturb, generalize}
	miracumMethods   = append(slices.Clone(microsoftMethods), pseudonymize, remove)
)

// pathHead is how the tools split a path: the type says to which resources the
// rule applies, the rest is evaluated on them.
var pathHead = regexp.MustCompile(`^([A-Z][a-zA-Z]*)?\.?(.*)$`)

func (e *Engine) newRule(v *value) (*rule, error) {
	if v.get("path").string() == "" || v.get("method").string() == "" {
		return nil, errors.New("a rule has a path and a method")
	}
	text := v.get("path").string()
	r := &rule{at: v}
	m := pathHead.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return nil, fmt.Errorf("path %q has a line break", text)
	}
	head, rest := m[1], m[2]
	if head != "Resource" && head != "DomainResource" {
		r.head = head
	}
	var err error
	if head != "" && rest == "" {
		r.sel = selector{whole: true}
	} else if r.sel, err = e.newSelector(rest); err != nil {
		return nil, fmt.Errorf("path %q: %w", text, err)
	}
	r.method, err = e.newMethod(v)
	return r, err
}

func (e *Engine) newMethod(v *value) (m method, err error) {
	known := microsoftMethods
	if e.tool == Miracum {
		known = miracumMethods
	}
	i := slices.IndexFunc(known, func(name string) bool { return strings.EqualFold(name, v.get("method").string()) })
	if i < 0 {
		return m, fmt.Errorf("method %q is unknown; there are %s", v.get("method").string(), strings.Join(known, ", "))
	}
	m.name = known[i]
	switch m.name {
	case perturb:
		err = m.readPerturb(v)
	case generalize:
		err = m.readGeneralize(e, v)
	case substitute:
		with := v.get("replaceWith")
		if with == nil {
			return m, errors.New("substitute needs replaceWith")
		}
		m.with, m.empty = with.text, with.kind == null
		if with.kind == object || with.kind == array {
			m.with = string(with.json(nil))
		}
	case cryptoHash:
		if t := v.get("truncateToMaxLength"); t != nil && e.tool == Miracum {
			if m.truncate, err = t.integer(); err != nil || m.truncate < 1 {
				return m, errors.New("truncateToMaxLength is no number of characters")
			}
		}
	case pseudonymize:
		m.domain = firstOf(v, "domain", "namespace")
		m.prefix = firstOf(v, "domain-prefix", "namespace-prefix")
	}
	return m, err
}

func firstOf(v *value, names ...string) string {
	for _, n := range names {
		if s := v.get(n).string(); s != "" {
			return s
		}
	}
	return ""
}

func (m *method) readPerturb(v *value) (err error) {
	span := v.get("span")
	if span == nil {
		return errors.New("perturb needs a span")
	}
	if m.span, err = strconv.ParseFloat(span.string(), 64); err != nil || m.span < 0 || math.IsInf(m.span, 0) || math.IsNaN(m.span) {
		return errors.New("span is no number of 0 or more")
	}
	m.roundTo = 2
	if r := v.get("roundTo"); r != nil {
		if m.roundTo, err = r.integer(); err != nil || m.roundTo < 0 || m.roundTo > 28 {
			return errors.New("roundTo is no number from 0 to 28")
		}
	}
	if t := v.get("rangeType"); t != nil {
		m.proportional = strings.EqualFold(t.string(), "proportional")
		if !m.proportional && !strings.EqualFold(t.string(), "fixed") {
			return errors.New("rangeType is neither fixed nor proportional")
		}
	}
	return nil
}

func (m *method) readGeneralize(e *Engine, v *value) (err error) {
	cases := v.get("cases")
	if cases != nil && cases.kind == scalar && e.tool == Microsoft { // JSON within a text
		if cases, err = readJSON("cases", []byte(cases.text)); err != nil {
			return err
		}
	}
	if cases == nil || cases.kind != object {
		return errors.New("generalize needs cases")
	}
	for i, when := range cases.names {
		var b branch
		if b.when, err = path.Compile(e.version, when); err != nil {
			return fmt.Errorf("case %q: %w", when, err)
		}
		then := cases.parts[i].string()
		if b.then, err = path.Compile(e.version, then); err != nil {
			return fmt.Errorf("case %q: value %q: %w", when, then, err)
		}
		m.cases = append(m.cases, b)
	}
	if o := v.get("otherValues"); o != nil {
		m.keepOthers = strings.EqualFold(o.string(), "keep")
		if !m.keepOthers && !strings.EqualFold(o.string(), "redact") {
			return errors.New("otherValues is neither redact nor keep")
		}
	}
	return nil
}
