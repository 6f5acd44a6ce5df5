package test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// This file holds the arrows of DESIGN §3: which package may import which, and
// the two calls that make a missing check impossible.

const module = "gatehouse/"

// parts are the parts of gateway with what each may import of the others.
// Everything else that they share lies below them, in fhir and config.
var parts = map[string][]string{
	"audit":         nil,
	"audit/index":   {"audit"},
	"audit/paper":   {"audit"},
	"audit/watch":   {"audit"},
	"audit/sink":    {"audit"},
	"auth":          {"kin"},
	"auth/authtest": nil, // an identity provider for tests and the demo
	"consent":       nil, // reads FHIR through a Source that gateway injects
	"demo":          {"auth/authtest"},
	"doctor":        {"upstream"},
	"emergency":     nil,
	"scenario":      {"auth/authtest", "policy"},
	"kin":           nil,
	"judge":         {"policy", "scope", "consent", "relation", "view", "audit"},
	"label":         nil,
	"limit":         nil,
	"notify":        nil,
	"policy":        {"auth", "scope"},
	"proposal":      {"reidentify"}, // for who a person is
	"reidentify":    nil,
	"relation":      nil, // reads FHIR through a Source that gateway injects
	"scope":         nil,
	"seal":          nil,
	"state":         nil,
	"trustee":       nil,
	"upstream":      {"policy"}, // for the Permit
	"telemetry":     nil,
	"view":          {"view/compat"},
	"view/compat":   nil,
	"view/gen":      nil, // a generator
}

// above are the exceptions: arrows that point up. The demo and the scenarios are
// no part of the gateway but programs around one, as main is, and imported by
// main alone; the demo writes the shipped tables to disk to be edited. main hands
// the demo's FHIR server to the scenarios, and the soak test stands before it.
var above = map[string][]string{"gateway/demo": {"gateway", "policies"}, "gateway/scenario": {"gateway"}, "test/soak": {"gateway/demo"}}

// shared are the packages below the parts. policies is the shipped Rego, which
// policy alone loads.
func shared(importer, imported string) bool {
	return imported == "config" || imported == "fhir" || strings.HasPrefix(imported, "fhir/") ||
		imported == "policies" && importer == "gateway/policy"
}

// jsonUsers import a JSON library, and never for a body that a client or the
// upstream sent and somebody else will read: there a library's idea of the
// document and the reader's could differ. Bodies are read by fhir/wire.
var jsonUsers = map[string]string{
	"gateway":               "writes OperationOutcomes, admin answers and discovery; reads the upstream's CapabilityStatement to keep an allow-list of it; page handles",
	"gateway/audit":         "writes AuditEvents",
	"gateway/audit/sink":    "wraps AuditEvents as receivers want them, reads what they answer and its own place",
	"gateway/auth":          "reads tokens, keys and discovery, strictly",
	"gateway/auth/authtest": "a test issuer",
	"gateway/consent":       "reads the forms by which patients consent",
	"gateway/demo":          "a toy store with made-up patients",
	"gateway/doctor":        "reads what probes bring, which nobody else does",
	"gateway/emergency":     "reads and writes its own rows of the state store",
	"gateway/notify":        "writes alerts",
	"gateway/proposal":      "reads and writes its own rows of the state store",
	"gateway/reidentify":    "reads and writes its own rows of the state store",
	"gateway/label":         "reads tables",
	"gateway/scenario":      "writes made-up records, reads the answers about them",
	"gateway/policy":        "reads schemas and tables",
	"gateway/trustee":       "speaks the interfaces of pseudonym services",
	"fhir/gen":              "a generator: reads FHIR's definitions",
	"gateway/view/compat":   "reads the rule files of another tool",
	"gateway/view/gen":      "a generator",
	"main":                  "writes what --json asks for; reads the subject of policy explain",
}

// clean is what fhir may not touch: it is pure knowledge, so that a fuzzer can
// run it and a test need not wait.
var unclean = []string{"net", "net/http", "os", "os/exec", "syscall", "io/ioutil"}

// file is one Go file that is not a test.
type file struct {
	pkg   string // below the module; "main" at its root
	name  string
	fset  *token.FileSet
	tree  *ast.File
	wants []string // imports
}

func sources(t *testing.T) []file {
	t.Helper()
	var all []file
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && name != ".." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, "_gen.go") {
			return nil
		}
		f := file{name: name, fset: token.NewFileSet()}
		if f.tree, err = parser.ParseFile(f.fset, name, nil, parser.SkipObjectResolution); err != nil {
			return err
		}
		f.pkg = filepath.ToSlash(strings.TrimPrefix(filepath.Dir(name), ".."))
		if f.pkg = strings.TrimPrefix(f.pkg, "/"); f.pkg == "" {
			f.pkg = "main"
		}
		for _, i := range f.tree.Imports {
			f.wants = append(f.wants, strings.Trim(i.Path.Value, `"`))
		}
		all = append(all, f)
		return nil
	})
	if err != nil || len(all) < 100 {
		t.Fatalf("%d files, %v", len(all), err)
	}
	return all
}

func TestArrows(t *testing.T) {
	for _, f := range sources(t) {
		for _, want := range f.wants {
			if own, ok := strings.CutPrefix(want, module); ok && !mayImport(f.pkg, own) {
				t.Errorf("%s: %s may not import %s", f.name, f.pkg, own)
			}
		}
	}
}

func mayImport(pkg, own string) bool {
	part, isPart := strings.CutPrefix(pkg, "gateway/")
	switch {
	case slices.Contains(above[pkg], own):
		return true
	case own == "gateway/demo", own == "gateway/scenario":
		return pkg == "main"
	case own == "gateway/auth/authtest":
		return pkg == "gateway/demo" || pkg == "gateway/scenario" || pkg == "main" || strings.HasPrefix(pkg, "test/")
	case strings.HasPrefix(pkg, "test/"):
		return true
	case pkg == "main", pkg == "gateway":
		return pkg == "main" && (own == "gateway" || own == "policies") || strings.HasPrefix(own, "gateway/") || shared(pkg, own)
	case pkg == "config", pkg == "policies":
		return false
	case pkg == "fhir", strings.HasPrefix(pkg, "fhir/"):
		return own == "fhir" || strings.HasPrefix(own, "fhir/")
	case isPart:
		allowed, known := parts[part]
		return known && (shared(pkg, own) || slices.Contains(allowed, strings.TrimPrefix(own, "gateway/")))
	}
	return false
}

// Each library that decides or reads has one place.
func TestOneImporter(t *testing.T) {
	for _, f := range sources(t) {
		for _, want := range f.wants {
			if strings.HasPrefix(want, "github.com/open-policy-agent/") && f.pkg != "gateway/policy" && f.pkg != "test/bench" { // which compares with OPA
				t.Errorf("%s: only gateway/policy imports OPA", f.name)
			}
			if isJSON(want) && f.pkg != "fhir/wire" && jsonUsers[f.pkg] == "" && !strings.HasPrefix(f.pkg, "test/") {
				t.Errorf("%s: only fhir/wire reads bodies; say in jsonUsers what %s is for", f.name, want)
			}
			if strings.HasPrefix(f.pkg, "fhir") && !strings.HasSuffix(f.pkg, "gen") && slices.Contains(unclean, want) {
				t.Errorf("%s: fhir has no network, files or clock, so no %s", f.name, want)
			}
		}
	}
}

func isJSON(name string) bool {
	return name == "encoding/json" || strings.Contains(name, "go-json-experiment/json") || slices.Contains([]string{
		"github.com/bytedance/sonic", "github.com/valyala/fastjson", "github.com/tidwall/gjson", "github.com/tidwall/sjson",
		"github.com/goccy/go-json", "github.com/json-iterator/go"}, name)
}

// What the upstream sent is opened where it is judged: policy.Unjudged.Open is
// called in gateway/judge alone. It is the one method of that name with one
// argument; a receiver that is a package (os.Open) is another thing. A method
// value would hide the call, so it counts as one.
func TestOnlyJudgeOpens(t *testing.T) {
	opened := 0
	for _, f := range sources(t) {
		calls := map[ast.Expr]int{}
		ast.Inspect(f.tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				calls[n.Fun] = len(n.Args)
			case *ast.SelectorExpr:
				args, called := calls[n]
				if n.Sel.Name != "Open" || called && args != 1 || f.isPackage(n.X) {
					return true
				}
				if f.pkg == "gateway/judge" {
					opened++
				} else {
					t.Errorf("%s: opens an answer that nobody has judged", f.fset.Position(n.Pos()))
				}
			}
			return true
		})
	}
	if opened == 0 {
		t.Error("nothing is opened at all: this test looks for the wrong name")
	}
}

// fhir takes the time as an argument.
func TestFHIRHasNoClock(t *testing.T) {
	for _, f := range sources(t) {
		if !strings.HasPrefix(f.pkg, "fhir") {
			continue
		}
		ast.Inspect(f.tree, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && f.isPackage(s.X) && slices.Contains([]string{"Now", "Since", "Until", "After", "Sleep"}, s.Sel.Name) {
				if x, _ := s.X.(*ast.Ident); x.Name == "time" {
					t.Errorf("%s: asks the clock", f.fset.Position(n.Pos()))
				}
			}
			return true
		})
	}
}

// isPackage tells whether an expression is the name of an import.
func (f *file) isPackage(x ast.Expr) bool {
	id, ok := x.(*ast.Ident)
	if !ok {
		return false
	}
	for i, spec := range f.tree.Imports {
		name := path.Base(f.wants[i])
		if spec.Name != nil {
			name = spec.Name.Name
		}
		if name == id.Name {
			return true
		}
	}
	return false
}
