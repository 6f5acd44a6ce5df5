package view

import (
	"embed"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"gatehouse/config"
	"gatehouse/fhir"
	"gatehouse/fhir/path"
)

//go:embed shipped/*.yaml
var shipped embed.FS

// Shipped are the names of the views that come with the product.
func Shipped() []string { return []string{"limited", "research", "safe-harbor"} }

// file is a view file with what it extends.
type file struct {
	rules    []*rule
	keepRest bool
	random   bool
	cell     int
}

// document is a view file as written.
type document struct {
	Extends    string `yaml:"extends"`
	Default    string `yaml:"default"`    // deny | keep
	Pseudonyms string `yaml:"pseudonyms"` // keyed | random
	// SmallestCell is how many patients must have in common what a search by
	// criteria finds; 0 is no bound.
	SmallestCell int       `yaml:"smallest_cell"`
	Rules        []written `yaml:"rules"`
}

type written struct {
	Path      string              `yaml:"path"`
	Method    string              `yaml:"method"`
	When      map[string][]string `yaml:"when"`
	Unless    map[string][]string `yaml:"unless"`
	To        string              `yaml:"to"`         // generalize: year | month | zip | age
	Cases     yaml.MapSlice       `yaml:"cases"`      // generalize, instead of to: "condition": "what is shown", both FHIRPath on the value
	Others    string              `yaml:"others"`     // generalize by cases: redact | keep, for values of no case
	Range     string              `yaml:"range"`      // dateShift: "180d", at most so far either way
	Weekday   bool                `yaml:"weekday"`    // dateShift: the day of the week stays
	KeepTime  bool                `yaml:"keep_time"`  // dateShift: the time of day stays, by which records can be found again
	MaxAge    int                 `yaml:"max_age"`    // years; what is older is taken out or pooled
	Digits    int                 `yaml:"digits"`     // zip
	Lists     []string            `yaml:"lists"`      // zip: censuses whose restricted prefixes become 000
	Span      float64             `yaml:"span"`       // perturb
	RangeType string              `yaml:"range_type"` // perturb: fixed | proportional
	RoundTo   int                 `yaml:"round_to"`   // perturb
	With      string              `yaml:"with"`       // substitute: a JSON value
	Known     bool                `yaml:"known"`      // scrub: also names and numbers that the patient's own record holds
}

func open(v fhir.Version, c config.View) (*file, error) {
	if c.File == "" {
		return openShipped(v, c.Use, 0)
	}
	data, err := os.ReadFile(c.File)
	if err != nil {
		return nil, fmt.Errorf("read view file: %w", err)
	}
	return parse(v, c.File, data, filepath.Dir(c.File), 0)
}

func openShipped(v fhir.Version, name string, depth int) (*file, error) {
	if !slices.Contains(Shipped(), name) {
		return nil, fmt.Errorf("no shipped view %q; there are %s", name, strings.Join(Shipped(), ", "))
	}
	data, err := shipped.ReadFile("shipped/" + name + ".yaml")
	if err != nil {
		return nil, err
	}
	f, err := parse(v, name+".yaml", data, "", depth)
	if err == nil {
		for _, r := range f.rules {
			r.lenient = true
		}
	}
	return f, err
}

// parse reads a view file; every problem in it is in the error, a line each.
func parse(v fhir.Version, name string, data []byte, dir string, depth int) (*file, error) {
	if depth > 8 {
		return nil, fmt.Errorf("%s: views extend each other in a circle", name)
	}
	var d document
	if err := yaml.UnmarshalWithOptions(data, &d, yaml.Strict()); err != nil {
		return nil, yamlError(name, err)
	}
	tree, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, yamlError(name, err)
	}
	f, problems := &file{}, []error(nil)
	for i, w := range d.Rules {
		r, err := w.rule(v, placeOf(tree, name, i))
		if err != nil {
			problems = append(problems, err)
			continue
		}
		f.rules = append(f.rules, r)
	}
	if len(d.Rules) == 0 && d.Extends == "" {
		problems = append(problems, fmt.Errorf("%s:1:1: no rules: nothing would be shown", name))
	}
	problems = append(problems, f.extend(v, d, name, dir, depth))
	return f, errors.Join(problems...)
}

// extend puts the rules of the base behind its own, so that its own win.
func (f *file) extend(v fhir.Version, d document, name, dir string, depth int) error {
	base := &file{}
	if d.Extends != "" {
		var err error
		if slices.Contains(Shipped(), d.Extends) {
			base, err = openShipped(v, d.Extends, depth+1)
		} else {
			base, err = extendFile(v, d.Extends, name, dir, depth)
		}
		if err != nil {
			return err
		}
	}
	f.rules = append(f.rules, base.rules...)
	if f.cell = d.SmallestCell; f.cell == 0 {
		f.cell = base.cell
	}
	if f.cell < 0 {
		return fmt.Errorf("%s: smallest_cell: %d is no number of patients", name, f.cell)
	}
	switch d.Default {
	case "":
		f.keepRest = base.keepRest
	case "deny", "keep":
		f.keepRest = d.Default == "keep"
	default:
		return fmt.Errorf("%s: default: %q is neither deny nor keep", name, d.Default)
	}
	switch d.Pseudonyms {
	case "":
		f.random = base.random
	case "keyed", "random":
		f.random = d.Pseudonyms == "random"
	default:
		return fmt.Errorf("%s: pseudonyms: %q is neither keyed nor random", name, d.Pseudonyms)
	}
	return nil
}

func extendFile(v fhir.Version, extends, name, dir string, depth int) (*file, error) {
	if !filepath.IsAbs(extends) {
		extends = filepath.Join(dir, extends)
	}
	data, err := os.ReadFile(extends)
	if err != nil {
		return nil, fmt.Errorf("%s: extends: no shipped view and no file of that name: %w", name, err)
	}
	return parse(v, extends, data, filepath.Dir(extends), depth+1)
}

// yamlError gives the place that the YAML library knows, without its excerpt.
func yamlError(name string, err error) error {
	var y yaml.Error
	if errors.As(err, &y) && y.GetToken() != nil {
		at := y.GetToken().Position
		return fmt.Errorf("%s:%d:%d: %s", name, at.Line, at.Column, y.GetMessage())
	}
	return fmt.Errorf("%s: %w", name, err)
}

// placeOf is where rule i begins in the file.
func placeOf(tree *ast.File, name string, i int) position {
	p := position{file: name, line: 1, column: 1}
	path, err := yaml.PathString(fmt.Sprintf("$.rules[%d]", i))
	if err != nil {
		return p
	}
	node, err := path.FilterFile(tree)
	if err != nil {
		return p
	}
	for {
		m, ok := node.(*ast.MappingNode)
		if !ok || len(m.Values) == 0 {
			break
		}
		node = m.Values[0].Key
	}
	if token := node.GetToken(); token != nil {
		p.line, p.column = token.Position.Line, token.Position.Column
	}
	return p
}

func (w *written) rule(v fhir.Version, at position) (*rule, error) {
	r := &rule{path: w.Path, at: at}
	fail := func(format string, args ...any) (*rule, error) {
		return nil, fmt.Errorf("%s: %w", at, fmt.Errorf(format, args...))
	}
	patterns, plain, err := parsePatterns(w.Path)
	switch {
	case w.Path == "" || err != nil:
		return fail("path is empty")
	case plain:
		r.patterns = patterns
	default:
		if r.dynamic, err = path.Compile(v, w.Path); err != nil {
			return fail("path: %w", err)
		}
	}
	if r.when, err = w.guard(); err != nil {
		return fail("%w", err)
	}
	if r.dynamic != nil && r.when.member != "" {
		return fail("a path with where() cannot have when or unless as well")
	}
	if r.method, err = w.method(); err != nil {
		return fail("%w", err)
	}
	if r.method.name != generalize && (len(w.Cases) > 0 || w.Others != "") {
		return fail("cases and others stand with generalize alone")
	}
	if r.cases, r.method.cases, err = readCases(v, w.Cases); err != nil {
		return fail("%w", err)
	}
	return r, nil
}

func (w *written) guard() (g guard, err error) {
	if len(w.When)+len(w.Unless) > 1 {
		return g, errors.New("a rule has one condition: when or unless, about one member")
	}
	conditions, not := w.When, false
	if len(w.Unless) > 0 {
		conditions, not = w.Unless, true
	}
	for member, items := range conditions {
		in, err := newSet(items)
		if err != nil {
			return g, err
		}
		return guard{member, items, in, not}, nil
	}
	return g, nil
}

func (w *written) method() (m method, err error) {
	m = method{to: w.To, weekday: w.Weekday, keepTime: w.KeepTime, maxAge: w.MaxAge, lists: w.Lists, digits: w.Digits,
		span: w.Span, ratio: w.RangeType == "proportional", roundTo: w.RoundTo}
	for _, name := range methodNames {
		if strings.EqualFold(name, w.Method) {
			m.name = name
		}
	}
	switch m.name {
	case "":
		return m, fmt.Errorf("method %q is unknown; there are %s", w.Method, methodsInText)
	case dateShift:
		m.days, err = days(w.Range)
	case generalize:
		m.others = w.Others == "keep"
		if err = m.checkGeneralize(len(w.Cases) > 0); err == nil && w.Others != "" && w.Others != "redact" && !m.others {
			err = errors.New("others is redact or keep")
		}
	case perturb:
		if m.span <= 0 || m.roundTo < 0 || m.roundTo > 28 || w.RangeType != "" && w.RangeType != "fixed" && !m.ratio {
			err = errors.New("perturb needs span > 0, round_to 0 to 28, range_type fixed or proportional")
		}
	case substitute:
		m.with, err = jsonValue(w.With)
	case scrub:
		m.known = w.Known
	}
	if w.Known && m.name != scrub {
		err = errors.New("known stands with scrub alone")
	}
	return m, err
}

func (m *method) checkGeneralize(cases bool) error {
	if cases {
		if m.to != "" {
			return errors.New("generalize has to or cases, not both")
		}
		return nil
	}
	switch m.to {
	case "year", "month":
		m.digits = len("2006")
		if m.to == "month" {
			m.digits = len("2006-01")
		}
		return nil
	case "zip":
		if m.digits < 1 || m.digits > 3 || len(m.lists) == 0 {
			return errors.New("generalize to zip needs digits 1 to 3 and lists, e.g. ['2020']")
		}
		for _, l := range m.lists {
			if restrictedZIP[l] == "" {
				return fmt.Errorf("no list of restricted ZIP prefixes %q; there are 2000, 2010, 2020", l)
			}
		}
		return nil
	case "age":
		if m.maxAge < 1 {
			return errors.New("generalize to age needs max_age")
		}
		return nil
	}
	return fmt.Errorf("generalize to %q is unknown; there are year, month, zip, age, and cases", m.to)
}

// days reads "180d" or "180".
func days(s string) (int, error) {
	n := 0
	if _, err := fmt.Sscanf(strings.TrimSuffix(s, "d")+"\n", "%d\n", &n); err != nil || n < 1 || n > math.MaxInt16 {
		return 0, fmt.Errorf("range %q: write whole days, e.g. 180d", s)
	}
	return n, nil
}
