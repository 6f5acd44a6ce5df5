package config

import (
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// Insecure lists the options in force that weaken security, as keys: they are
// logged at start and shown by /readyz.
func (c *Config) Insecure() []string {
	var all []string
	walk(reflect.ValueOf(c).Elem(), "", func(v reflect.Value, key, name string) {
		if strings.HasPrefix(name, "insecure_") && v.Kind() == reflect.Bool && v.Bool() {
			all = append(all, key)
		}
	})
	return all
}

// walk visits every key of a section and of those inside it, in order.
func walk(v reflect.Value, key string, visit func(v reflect.Value, key, name string)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			walk(v.Elem(), key, visit)
		}
	case reflect.Slice:
		for i := range v.Len() {
			walk(v.Index(i), index(key, i), visit)
		}
	case reflect.Struct:
		for f := range eachField(v.Type()) {
			visit(v.Field(f.index), join(key, f.name), f.name)
			walk(v.Field(f.index), join(key, f.name), visit)
		}
	}
}

// Dump is the whole configuration in force as YAML, defaults included and
// secrets not: a value that named an environment variable is dumped as it was
// written, and a password in a URL is left out.
func (c *Config) Dump() string {
	text, err := yaml.Marshal(c.plain(reflect.ValueOf(c).Elem(), ""))
	if err != nil { // plain yields texts, numbers, lists and maps alone
		return "# " + err.Error() + "\n"
	}
	return string(text)
}

// plain turns a section into what YAML writes; nil is left out.
func (c *Config) plain(v reflect.Value, key string) any {
	if written, ok := c.written[key]; ok {
		return written
	}
	switch value := v.Interface().(type) {
	case ClaimPath:
		return [][]string(value)
	case fmt.Stringer:
		return value.String()
	case string:
		return withoutPassword(value)
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return c.plain(v.Elem(), key)
	case reflect.Struct:
		return c.plainSection(v, key)
	case reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = c.plain(v.Index(i), index(key, i))
		}
		return list
	case reflect.Map:
		section := yaml.MapSlice{}
		names := v.MapKeys()
		slices.SortFunc(names, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, name := range names {
			section = append(section, yaml.MapItem{Key: name.String(), Value: c.plain(v.MapIndex(name), join(key, name.String()))})
		}
		return section
	}
	return v.Interface()
}

func (c *Config) plainSection(v reflect.Value, key string) any {
	section := yaml.MapSlice{}
	for f := range eachField(v.Type()) {
		value := c.plain(v.Field(f.index), join(key, f.name))
		if v.Field(f.index).IsZero() && v.Field(f.index).Kind() != reflect.Bool || value == nil {
			continue
		}
		section = append(section, yaml.MapItem{Key: f.name, Value: value})
	}
	return section
}

func withoutPassword(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.User == nil {
		return text
	}
	return u.Redacted()
}
