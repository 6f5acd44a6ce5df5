package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"gatehouse/policies"
)

// banned are built-ins that are not called nondeterministic but reach past
// their arguments all the same: to the clock, a random source, the log, or for all memory
// there is.
var banned = map[string]bool{
	"print": true, "internal.print": true, "trace": true,
	"io.jwt.decode_verify":                                   true, // asks the clock unless told the time
	"crypto.x509.parse_and_verify_certificates":              true, // clock
	"crypto.x509.parse_and_verify_certificates_with_options": true,
	"providers.aws.sign_req":                                 true,
	"rego.parse_module":                                      true,
	"numbers.range":                                          true, // makes as much as it is told to, and cannot be stopped
	"numbers.range_step":                                     true,
	"net.cidr_expand":                                        true,
}

// capabilities are OPA's without network, clock, environment, chance and
// printing: a decision depends on its input and nothing else.
func capabilities() *ast.Capabilities {
	c := ast.CapabilitiesForThisVersion()
	c.Builtins = slices.DeleteFunc(slices.Clone(c.Builtins), func(b *ast.Builtin) bool {
		return b.Nondeterministic || banned[b.Name]
	})
	c.AllowNet = []string{} // JSON Schemas with remote references included
	return c
}

// compile parses and compiles rules against the schema of the input.
func compile(rules []source) (*ast.Compiler, Problems) {
	var ps Problems
	caps := capabilities()
	modules := map[string]*ast.Module{}
	for _, f := range rules {
		m, err := ast.ParseModuleWithOpts(f.name, string(f.text), ast.ParserOptions{RegoVersion: ast.RegoV1, Capabilities: caps})
		if err != nil {
			ps.addRego(f.name, err)
			continue
		}
		modules[f.name] = m
	}
	if len(ps) > 0 {
		return nil, ps
	}
	schemas := ast.NewSchemaSet()
	schemas.Put(ast.SchemaRootRef, inputSchema())
	c := ast.NewCompiler().WithCapabilities(caps).WithSchemas(schemas)
	if c.Compile(modules); c.Failed() {
		ps.addRego("", c.Errors)
		return nil, ps
	}
	return c, nil
}

func inputSchema() any {
	text, err := policies.Files.ReadFile("input.schema.json")
	if err != nil {
		panic("policies: " + err.Error())
	}
	var schema any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&schema); err != nil {
		panic("policies/input.schema.json: " + err.Error())
	}
	return schema
}

// addRego files OPA's errors under their places, in words that name what to
// write instead.
func (ps *Problems) addRego(file string, err error) {
	var list ast.Errors
	if !errors.As(err, &list) {
		ps.add(file, 0, "%s", err)
		return
	}
	for _, e := range list {
		name, line := file, 0
		if e.Location != nil {
			name, line = e.Location.File, e.Location.Row
		}
		ps.add(name, line, "%s", explainRego(e))
	}
}

var undefinedFunction = regexp.MustCompile(`undefined function (\S+)`)

func explainRego(e *ast.Error) string {
	if d, ok := e.Details.(*ast.RefErrInvalidDetail); ok && d.Pos > 0 && d.Pos < len(d.Ref) {
		return explainRef(d)
	}
	if m := undefinedFunction.FindStringSubmatch(e.Message); m != nil {
		if _, known := ast.BuiltinMap[m[1]]; known {
			return fmt.Sprintf("%s is not available: a rule sees its input and tables, never network, clock, environment, chance or output (the time is input.context.now)", m[1])
		}
	}
	return e.Message
}

func explainRef(d *ast.RefErrInvalidDetail) string {
	text := d.Ref[:d.Pos+1].String() + " does not exist"
	name, ok := d.Ref[d.Pos].Value.(ast.String)
	if !ok {
		return text
	}
	var known []string
	for _, v := range d.OneOf {
		if s, ok := v.(ast.String); ok {
			known = append(known, string(s))
		}
	}
	if near := nearest(string(name), known); near != "" {
		return text + ": did you mean " + near + "?"
	}
	if len(known) > 0 {
		slices.Sort(known)
		text += ": there are " + strings.Join(known, ", ")
	}
	return text
}
