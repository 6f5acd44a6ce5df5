package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// field is one key of a section.
type field struct {
	index  int
	name   string
	option string // what the yaml tag says beside the name
	tag    reflect.StructTag
}

// fieldsOf are the keys of a section's type.
func fieldsOf(t reflect.Type) map[string]field {
	fields := map[string]field{}
	for f := range eachField(t) {
		fields[f.name] = f
	}
	return fields
}

// eachField yields the keys of a section's type in the order they are written.
func eachField(t reflect.Type) func(func(field) bool) {
	return func(yield func(field) bool) {
		for i := range t.NumField() {
			tag := t.Field(i).Tag
			name, option, _ := strings.Cut(tag.Get("yaml"), ",")
			if name != "" && name != "-" && !yield(field{i, name, option, tag}) {
				return
			}
		}
	}
}

// defaults fills a section, and those inside it, from its default tags.
func (l *loader) defaults(v reflect.Value) {
	if v.Kind() != reflect.Struct || v.Type() == reflect.TypeFor[Rate]() {
		return
	}
	for f := range eachField(v.Type()) {
		value := v.Field(f.index)
		l.defaults(value)
		if text := f.tag.Get("default"); text != "" {
			setDefault(value, text, f.option == "alternatives")
		}
	}
}

func setDefault(v reflect.Value, text string, alternatives bool) {
	switch p := v.Addr().Interface().(type) {
	case *string:
		*p = text
	case *[]string:
		*p = strings.Split(text, ",")
	case *ClaimPath:
		for _, name := range strings.Split(text, ",") {
			*p = append(*p, strings.Split(name, "."))
		}
	case *bool:
		*p = text == "true"
	case interface{ parse(string) error }:
		if err := p.parse(text); err != nil {
			panic("config: default " + text + " " + err.Error())
		}
	case *int:
		var n Size
		if err := n.parse(text); err != nil {
			panic("config: default " + text + " " + err.Error())
		}
		*p = int(n)
	}
}

// checkTags checks what the tags of a section's fields say, and of the
// sections inside it: required (its value is an example), oneof, path,
// and that no text is empty and no duration zero.
func (l *loader) checkTags(v reflect.Value, key string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			l.checkTags(v.Elem(), key)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() { // a copy: paths of a map's entries are set back
			item := reflect.New(v.Type().Elem()).Elem()
			item.Set(v.MapIndex(k))
			l.checkTags(item, join(key, k.String()))
			v.SetMapIndex(k, item)
		}
	case reflect.String:
		if v.Len() == 0 && l.has(key) {
			l.report(key, "is empty; write a value or remove it")
		}
	case reflect.Slice:
		for i := range v.Len() {
			l.checkTags(v.Index(i), index(key, i))
		}
	case reflect.Struct:
		for f := range eachField(v.Type()) {
			l.checkField(v.Field(f.index), join(key, f.name), key, f)
			l.checkTags(v.Field(f.index), join(key, f.name))
		}
	}
}

func (l *loader) checkField(v reflect.Value, key, section string, f field) {
	example := f.tag.Get("required")
	if example != "" && !l.has(key) && l.has(section) && !l.elsewhere(key) {
		l.report(key, "is required; for example %s: %s", f.name, example)
		return
	}
	switch v.Kind() {
	case reflect.String:
		l.checkOneOf(v.String(), key, f)
		if kind := f.tag.Get("path"); kind != "" && v.String() != "" {
			v.SetString(l.absolute(v.String()))
			l.checkPath(key, v.String(), kind)
		}
	case reflect.Slice:
		if example != "" && v.Len() == 0 && l.has(key) {
			l.report(key, "is empty; for example %s: %s", f.name, example)
		}
	case reflect.Int64:
		zero := v.Type() == reflect.TypeFor[Duration]() && time.Duration(v.Int()) == 0
		if zero && l.has(key) && f.tag.Get("zero") == "" {
			l.report(key, "is zero; write a longer duration, or leave the key out")
		}
	}
}

func (l *loader) checkOneOf(value, key string, f field) {
	allowed := strings.Fields(f.tag.Get("oneof"))
	if len(allowed) == 0 || value == "" && !l.has(key) {
		return
	}
	for _, a := range allowed {
		if value == a {
			return
		}
	}
	l.report(key, "%q is not known; write %s", l.show(key, value), oneOf(allowed))
}

func oneOf(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
