package config

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const (
	chartOwn    = "../charts/values.own.schema.json"       // what the chart adds, written by hand
	chartSchema = "../charts/gatehouse/values.schema.json" // both, made here
)

// TestChartSchema holds the schema of the chart's values to the types of the
// configuration (issue 8 item 6): go test ./config -run ChartSchema -update.
func TestChartSchema(t *testing.T) {
	text, err := os.ReadFile(chartOwn)
	if err != nil {
		t.Fatal(err)
	}
	var whole map[string]any
	if err := json.Unmarshal(text, &whole); err != nil {
		t.Fatal(err)
	}
	g := schemas{defs: map[string]any{}, comments: comments(t)}
	whole["properties"].(map[string]any)["config"] = g.of(reflect.TypeFor[Config](), field{})
	whole["definitions"] = g.defs
	want, err := json.MarshalIndent(whole, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(chartSchema, append(want, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(chartSchema); err != nil || strings.TrimSpace(string(got)) != string(want) {
		t.Errorf("%s is not what the types say (%v); make it: go test ./config -run ChartSchema -update", chartSchema, err)
	}
}

// schemas makes JSON Schema (draft 7, which Helm reads) of sections. It refuses
// keys that Load does not know and values of another kind; what Load refuses
// beyond that, such as a file that is not there, only Load can know.
type schemas struct {
	defs     map[string]any
	comments map[string]string // of "Type.Field"
}

type object = map[string]any

// variables may stand wherever a value does.
var variables = object{"type": "string", "pattern": `\$\{[A-Za-z_][A-Za-z0-9_]*\}`}

func (g *schemas) of(t reflect.Type, f field) object {
	switch t {
	case reflect.TypeFor[Rates]():
		return object{"anyOf": []any{g.of(t.Elem(), f), object{"type": "array", "items": g.of(t.Elem(), f)}}}
	case reflect.TypeFor[OnFailure]():
		g.section(t)
		return object{"anyOf": []any{object{"enum": []any{"refuse", "spool"}}, variables, object{"$ref": "#/definitions/" + t.Name()}}}
	case reflect.TypeFor[Rate]():
		return object{"type": "string", "pattern": `^[0-9].*/[smhd]$|\$\{`}
	case reflect.TypeFor[ClaimPath]():
		return object{"type": []any{"string", "array"}}
	case reflect.TypeFor[Duration]():
		return object{"anyOf": []any{object{"const": 0}, object{"type": "string", "pattern": `^([0-9.]+(ns|us|µs|ms|s|m|h|d|w|y))+$|^0$|\$\{`}}}
	case reflect.TypeFor[Share]():
		return object{"anyOf": []any{object{"type": "number", "exclusiveMinimum": 0, "maximum": 1}, object{"type": "string", "pattern": `^[0-9.]+%?$|\$\{`}}}
	case reflect.TypeFor[Size]():
		return object{"anyOf": []any{object{"type": "integer", "minimum": 1}, object{"type": "string", "pattern": `^[0-9]+([KMG]iB)?$|\$\{`}}}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return g.of(t.Elem(), f)
	case reflect.Struct:
		g.section(t)
		return object{"$ref": "#/definitions/" + t.Name()}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": g.of(t.Elem(), field{})}
	case reflect.Slice:
		return object{"type": "array", "items": g.of(t.Elem(), field{})}
	case reflect.Bool:
		return object{"anyOf": []any{object{"type": "boolean"}, variables}}
	case reflect.Int:
		return object{"anyOf": []any{object{"type": "integer", "minimum": 1}, variables}}
	}
	if words := strings.Fields(f.tag.Get("oneof")); len(words) > 0 {
		return object{"anyOf": []any{object{"enum": words}, variables}}
	}
	return object{"type": "string", "minLength": 1}
}

func (g *schemas) section(t reflect.Type) {
	if g.defs[t.Name()] != nil {
		return
	}
	properties, required := object{}, []string{}
	section := object{"type": "object", "additionalProperties": false, "properties": properties}
	g.defs[t.Name()] = section
	for f := range eachField(t) {
		s := g.of(t.Field(f.index).Type, f)
		if text := g.comments[t.Name()+"."+t.Field(f.index).Name]; text != "" {
			s = object{"allOf": []any{s}, "description": text}
		}
		properties[f.name] = s
		if f.tag.Get("required") != "" {
			required = append(required, f.name)
		}
	}
	if t == reflect.TypeFor[Config]() { // of a process with tenants their files have what is required
		section["anyOf"] = []any{object{"required": required}, object{"required": []string{"listen", "tenants"}}}
	} else if len(required) > 0 {
		section["required"] = required
	}
}

// comments are those of the fields of this package's types.
func comments(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		p, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(p, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if section, ok := spec.Type.(*ast.StructType); ok {
				for _, f := range section.Fields.List {
					for _, name := range f.Names {
						all[spec.Name.Name+"."+name.Name] = strings.Join(strings.Fields(f.Doc.Text()), " ")
					}
				}
			}
			return true
		})
	}
	return all
}
