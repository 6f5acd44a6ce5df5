package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// loader collects the problems of one file, one for each key at most: the
// second is mostly the echo of the first.
type loader struct {
	file, dir string
	problems  Problems
	at        map[string]place  // where each key that the file has stands
	written   map[string]string // values that named a variable, as written
	reported  map[string]bool   // keys that have their problem
	getenv    func(string) (string, bool)
	outer     *Config // whose tenant the file is; nil where it is loaded alone
	called    string  // under which outer has it
}

type place struct{ line, column int }

func (l *loader) whole(text string) Problems {
	return append(l.problems, Problem{File: l.file, Text: text})
}

func (l *loader) has(key string) bool { _, ok := l.at[key]; return ok }

// report adds a problem at a key, or at the nearest key around it that the
// file has.
func (l *loader) report(key, format string, args ...any) {
	if l.failed(key) {
		return
	}
	l.reported[key] = true
	p := Problem{File: l.file, Key: key, Text: fmt.Sprintf(format, args...)}
	for around := key; ; around = parent(around) {
		if where, ok := l.at[around]; ok {
			p.Line, p.Column = where.line, where.column
			break
		}
	}
	l.problems = append(l.problems, p)
}

// failed says whether a key, or one around it, has its problem already.
func (l *loader) failed(key string) bool {
	for ; key != ""; key = parent(key) {
		if l.reported[key] {
			return true
		}
	}
	return l.reported[""]
}

func parent(key string) string {
	return key[:max(0, strings.LastIndexAny(key, ".["))]
}

func index(key string, i int) string { return fmt.Sprintf("%s[%d]", key, i) }

func join(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}

func position(n ast.Node) (line, column int) {
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line, t.Position.Column
	}
	return 0, 0
}

// decode sets v from a node. option is what the field's yaml tag says beside
// the name.
func (l *loader) decode(n ast.Node, v reflect.Value, key, option string) {
	if _, null := n.(*ast.NullNode); null || n == nil {
		l.report(key, "has no value; write one or remove the key")
		return
	}
	if path, ok := v.Addr().Interface().(*ClaimPath); ok {
		*path = l.claimPath(n, key, option == "alternatives")
		return
	}
	if f, ok := v.Addr().Interface().(*OnFailure); ok {
		l.decodeOnFailure(n, f, key)
		return
	}
	if rates, ok := v.Addr().Interface().(*Rates); ok {
		if _, list := n.(*ast.SequenceNode); !list {
			*rates = make(Rates, 1)
			l.decode(n, v.Index(0), key, "")
			return
		}
	}
	if p, ok := v.Addr().Interface().(interface{ parse(string) error }); ok {
		if text, ok := l.scalar(n, key, "text or a number"); ok {
			if err := p.parse(text); err != nil {
				l.report(key, "%q %s", l.show(key, text), err)
			}
		}
		return
	}
	l.decodeKind(n, v, key)
}

func (l *loader) decodeKind(n ast.Node, v reflect.Value, key string) {
	switch v.Kind() {
	case reflect.Struct:
		l.decodeStruct(n, v, key)
	case reflect.Map:
		l.decodeMap(n, v, key)
	case reflect.Slice:
		l.decodeList(n, v, key)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		l.defaults(v.Elem())
		l.decode(n, v.Elem(), key, "")
	case reflect.String:
		if text, ok := l.scalar(n, key, "text"); ok {
			v.SetString(text)
		}
	case reflect.Bool:
		l.decodeBool(n, v, key)
	case reflect.Int:
		l.decodeInt(n, v, key)
	default:
		l.report(key, "takes no value in this version; leave it out")
	}
}

func (l *loader) decodeStruct(n ast.Node, v reflect.Value, key string) {
	fields := fieldsOf(v.Type())
	for name, value := range l.members(n, key) {
		f, ok := fields[name]
		if !ok {
			l.report(join(key, name), "is not a known key%s", suggestion(name, fields))
			continue
		}
		l.decode(value, v.Field(f.index), join(key, name), f.option)
	}
}

func (l *loader) decodeMap(n ast.Node, v reflect.Value, key string) {
	v.Set(reflect.MakeMap(v.Type()))
	for name, value := range l.members(n, key) {
		item := reflect.New(v.Type().Elem()).Elem()
		l.defaults(item)
		l.decode(value, item, join(key, name), "")
		v.SetMapIndex(reflect.ValueOf(name), item)
	}
}

func (l *loader) decodeList(n ast.Node, v reflect.Value, key string) {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		l.report(key, "is %s; write a list, such as [a, b]", describe(n))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(list.Values), len(list.Values)))
	for i, value := range list.Values {
		item := index(key, i)
		l.mark(item, value)
		l.defaults(v.Index(i))
		l.decode(value, v.Index(i), item, "")
	}
}

func (l *loader) decodeBool(n ast.Node, v reflect.Value, key string) {
	text, ok := l.literal(n, key)
	if !ok || text != "true" && text != "false" {
		l.report(key, "is %s; write true or false", describe(n))
		return
	}
	v.SetBool(text == "true")
}

func (l *loader) decodeInt(n ast.Node, v reflect.Value, key string) {
	text, _ := l.literal(n, key)
	number, err := strconv.ParseInt(text, 10, 32)
	if err != nil || number <= 0 {
		l.report(key, "is not a positive whole number; write one, such as 100")
		return
	}
	v.SetInt(number)
}

func (l *loader) claimPath(n ast.Node, key string, alternatives bool) ClaimPath {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		text, ok := l.scalar(n, key, "a claim, a dotted path or a list of names")
		return ClaimPath{l.dotted(text, key, ok)}
	}
	if len(list.Values) == 0 {
		l.report(key, "is an empty list; name a claim, or leave the key out")
		return nil
	}
	_, nested := list.Values[0].(*ast.SequenceNode)
	if !nested {
		names := l.names(list, key)
		if !alternatives {
			return ClaimPath{names}
		}
		paths := make(ClaimPath, len(names))
		for i, name := range names {
			paths[i] = l.dotted(name, index(key, i), true)
		}
		return paths
	}
	paths := make(ClaimPath, len(list.Values))
	for i, value := range list.Values {
		item := index(key, i)
		l.mark(item, value)
		paths[i] = l.names(value, item)
	}
	return paths
}

// dotted splits a path; what is no text (not ok) was reported already.
func (l *loader) dotted(text, key string, ok bool) []string {
	names := strings.Split(text, ".")
	if ok && slices.Contains(names, "") {
		l.report(key, "has an empty name; write a claim, or names with dots between them")
	}
	return names
}

// names reads a list of texts.
func (l *loader) names(n ast.Node, key string) []string {
	var names []string
	l.decodeList(n, reflect.ValueOf(&names).Elem(), key)
	for i, name := range names {
		if name == "" {
			l.report(index(key, i), "is empty; write the name of a claim")
		}
	}
	return names
}
