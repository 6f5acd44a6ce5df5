package policy

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"
)

// calls are the built-ins that compile. None can fail on operands of the types
// that it takes here; whatever could stays with OPA, whose errors deny.
var calls = map[string]func([]expr) (expr, error){
	"equal": equality, "eq": equality,
	"neq":                   inequality,
	"lt":                    comparison(func(c int) bool { return c < 0 }),
	"lte":                   comparison(func(c int) bool { return c <= 0 }),
	"gt":                    comparison(func(c int) bool { return c > 0 }),
	"gte":                   comparison(func(c int) bool { return c >= 0 }),
	"internal.member_2":     membership,
	"count":                 count,
	"startswith":            twoTexts(strings.HasPrefix),
	"endswith":              twoTexts(strings.HasSuffix),
	"contains":              twoTexts(strings.Contains),
	"lower":                 oneText(strings.ToLower),
	"upper":                 oneText(strings.ToUpper),
	"trim_prefix":           textOfTwo(strings.TrimPrefix),
	"trim_suffix":           textOfTwo(strings.TrimSuffix),
	"substring":             substring,
	"split":                 split,
	"regex.match":           regexMatch,
	"time.parse_rfc3339_ns": parseNow,
}

func comparison(want func(int) bool) func([]expr) (expr, error) {
	return func(args []expr) (expr, error) {
		if a, ok := args[0].asText(); ok {
			if b, ok := args[1].asText(); ok {
				return boolExpr(a.uses|b.uses, func(f *frame) (bool, bool) {
					x, ok := a.text(f)
					y, is := b.text(f)
					return ok && is && want(strings.Compare(x, y)), ok && is
				}), nil
			}
		}
		if a, ok := args[0].asNumber(); ok {
			if b, ok := args[1].asNumber(); ok {
				return boolExpr(a.uses|b.uses, func(f *frame) (bool, bool) {
					x, ok := a.number(f)
					y, is := b.number(f)
					return ok && is && want(cmp.Compare(x, y)), ok && is
				}), nil
			}
		}
		return expr{}, errNotCompiled
	}
}

func membership(args []expr) (expr, error) {
	if all, ok := args[1].asList(); ok && args[1].typ == list {
		x, ok := args[0].asText()
		if !ok {
			return expr{}, errNotCompiled
		}
		if args[0].typ == constant {
			want, _ := x.text(nil)
			return boolExpr(all.uses, func(f *frame) (bool, bool) {
				l, ok := all.list(f)
				return ok && slices.Contains(l, want), ok
			}), nil
		}
		return boolExpr(all.uses|x.uses, func(f *frame) (bool, bool) {
			l, ok := all.list(f)
			s, is := x.text(f)
			return ok && is && slices.Contains(l, s), ok && is
		}), nil
	}
	x := args[0]
	known, ok := memberTest(args[1])
	if x.typ != text || !ok {
		return expr{}, errNotCompiled
	}
	return boolExpr(x.uses, func(f *frame) (bool, bool) {
		s, ok := x.text(f)
		return ok && known(s), ok
	}), nil
}

// memberTest tells which strings a known array, set or object holds. Members
// that are no strings equal none.
func memberTest(e expr) (func(string) bool, bool) {
	if e.typ != constant || e.value == nil {
		return nil, false
	}
	var all []string
	add := func(t *ast.Term) {
		if s, ok := t.Value.(ast.String); ok {
			all = append(all, string(s))
		}
	}
	switch c := e.value.(type) {
	case *ast.Array:
		c.Foreach(add)
	case ast.Set:
		c.Foreach(add)
	case ast.Object:
		c.Foreach(func(_, v *ast.Term) { add(v) })
	default:
		return func(string) bool { return false }, true
	}
	if len(all) <= 8 {
		return func(s string) bool { return slices.Contains(all, s) }, true
	}
	set := make(map[string]struct{}, len(all))
	for _, s := range all {
		set[s] = struct{}{}
	}
	return func(s string) bool { _, ok := set[s]; return ok }, true
}

func count(args []expr) (expr, error) {
	switch a := args[0]; a.typ {
	case list:
		return numberExpr(a.uses, func(f *frame) (int64, bool) { all, ok := a.list(f); return int64(len(all)), ok }), nil
	case text:
		return numberExpr(a.uses, func(f *frame) (int64, bool) {
			s, ok := a.text(f)
			return int64(utf8.RuneCountInString(s)), ok
		}), nil
	case encounters:
		n := a.size()
		return numberExpr(a.uses, func(f *frame) (int64, bool) { return int64(n(f)), a.guard(f) }), nil
	}
	return expr{}, errNotCompiled
}

func twoTexts(test func(string, string) bool) func([]expr) (expr, error) {
	return func(args []expr) (expr, error) {
		a, ok := args[0].asText()
		b, is := args[1].asText()
		if !ok || !is {
			return expr{}, errNotCompiled
		}
		return boolExpr(a.uses|b.uses, func(f *frame) (bool, bool) {
			x, ok := a.text(f)
			y, is := b.text(f)
			return ok && is && test(x, y), ok && is
		}), nil
	}
}

func textOfTwo(apply func(string, string) string) func([]expr) (expr, error) {
	return func(args []expr) (expr, error) {
		a, ok := args[0].asText()
		b, is := args[1].asText()
		if !ok || !is {
			return expr{}, errNotCompiled
		}
		return textExpr(a.uses|b.uses, func(f *frame) (string, bool) {
			x, ok := a.text(f)
			y, is := b.text(f)
			if !ok || !is {
				return "", false
			}
			return apply(x, y), true
		}), nil
	}
}

func oneText(apply func(string) string) func([]expr) (expr, error) {
	return func(args []expr) (expr, error) {
		a, ok := args[0].asText()
		if !ok {
			return expr{}, errNotCompiled
		}
		return textExpr(a.uses, func(f *frame) (string, bool) {
			s, ok := a.text(f)
			if !ok {
				return "", false
			}
			return apply(s), true
		}), nil
	}
}

// substring counts characters, as OPA does; a negative length is the rest, a
// negative offset an error and left to OPA.
func substring(args []expr) (expr, error) {
	a, ok := args[0].asText()
	from, isFrom := args[1].asNumber()
	length, isLength := args[2].asNumber()
	if !ok || !isFrom || !isLength || args[1].typ != constant || args[2].typ != constant {
		return expr{}, errNotCompiled
	}
	start, _ := from.number(nil)
	n, _ := length.number(nil)
	if start < 0 {
		return expr{}, errNotCompiled
	}
	return textExpr(a.uses, func(f *frame) (string, bool) {
		s, ok := a.text(f)
		return cut(s, start, n), ok
	}), nil
}

func cut(s string, start, n int64) string {
	begin, at := -1, int64(0)
	for i := range s {
		if at == start {
			begin = i
		}
		if begin >= 0 && n >= 0 && at == start+n {
			return s[begin:i]
		}
		at++
	}
	if begin < 0 {
		return ""
	}
	return s[begin:]
}

func split(args []expr) (expr, error) {
	a, ok := args[0].asText()
	by, is := args[1].value.(ast.String)
	if !ok || !is || by == "" {
		return expr{}, errNotCompiled
	}
	return listExpr(a.uses, func(f *frame) ([]string, bool) {
		s, ok := a.text(f)
		if !ok {
			return nil, false
		}
		return strings.Split(s, string(by)), true
	}), nil
}

func regexMatch(args []expr) (expr, error) {
	pattern, ok := args[0].value.(ast.String)
	a, is := args[1].asText()
	if !ok || !is {
		return expr{}, errNotCompiled
	}
	re, err := regexp.Compile(string(pattern))
	if err != nil {
		return expr{}, errNotCompiled // OPA's error at run time denies
	}
	return boolExpr(a.uses, func(f *frame) (bool, bool) {
		s, ok := a.text(f)
		return ok && re.MatchString(s), ok
	}), nil
}

// parseNow reads input.context.now, which is always an instant; of any other
// text it may fail, which is OPA's to say.
func parseNow(args []expr) (expr, error) {
	if !args[0].isNow {
		return expr{}, errNotCompiled
	}
	return numberExpr(usesRequest, func(f *frame) (int64, bool) {
		return f.request.Now.Truncate(time.Second).UnixNano(), true
	}), nil
}
