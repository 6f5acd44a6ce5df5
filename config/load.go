package config

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"reflect"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxFile bounds the file: a configuration is written by hand.
const maxFile = 4 << 20

// Load reads, checks and completes a configuration file. It returns a Config
// only when there is no problem at all.
func Load(path string) (*Config, Problems) {
	c, problems := newLoader(path).load()
	if c != nil && len(c.Tenants) > 0 {
		return nil, Problems{{File: path, Key: "tenants", Text: "this needs one of them; name its file, such as -c " + c.Tenants[sorted(c.Tenants)[0]]}}
	}
	return c, problems
}

func newLoader(path string) *loader {
	return &loader{file: path, at: map[string]place{}, written: map[string]string{}, reported: map[string]bool{}, getenv: os.LookupEnv}
}

func (l *loader) load() (*Config, Problems) {
	path := l.file
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, l.whole("cannot be found: " + err.Error())
	}
	l.dir = filepath.Dir(abs)
	text, err := readBounded(abs, maxFile)
	if err != nil {
		return nil, l.whole("cannot be read: " + reason(err))
	}
	root, problem := parse(text)
	if problem != nil {
		problem.File = path
		return nil, Problems{*problem}
	}
	c := &Config{Path: abs, Hash: hash(text), written: l.written}
	l.defaults(reflect.ValueOf(c).Elem())
	l.at[""] = place{1, 1}
	l.decode(root, reflect.ValueOf(c).Elem(), "", "")
	l.checkTags(reflect.ValueOf(c).Elem(), "")
	l.checkRules(c)
	if len(l.problems) > 0 {
		l.problems.sort()
		return nil, l.problems
	}
	mergeClients(c)
	return c, nil
}

func hash(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])[:12]
}

// parse gives the one document of a file as a mapping. Duplicate keys pass
// here: decode reports each of them beside everything else.
func parse(text []byte) (ast.Node, *Problem) {
	file, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, syntaxProblem(err)
	}
	var docs []*ast.DocumentNode
	for _, d := range file.Docs {
		if d.Body != nil {
			docs = append(docs, d)
		}
	}
	switch len(docs) {
	case 0:
		return nil, &Problem{Text: "is empty; start from config/example.yaml"}
	case 1:
		return docs[0].Body, nil
	}
	line, column := position(docs[1].Body)
	return nil, &Problem{Line: line, Column: column, Text: "a second YAML document begins here; a configuration is one document"}
}

// mergeClients gives every entry what it leaves out and "*" says.
func mergeClients(c *Config) {
	common, ok := c.Clients["*"]
	if !ok {
		return
	}
	for id, client := range c.Clients {
		fill(reflect.ValueOf(&client).Elem(), reflect.ValueOf(common))
		c.Clients[id] = client
	}
}

// fill sets the zero fields of a struct from another of its type.
func fill(v, from reflect.Value) {
	for i := range v.NumField() {
		switch field := v.Field(i); {
		case field.Type() == reflect.TypeFor[ClientLimits](), field.Type() == reflect.TypeFor[Session]():
			fill(field, from.Field(i))
		case field.IsZero():
			field.Set(from.Field(i))
		}
	}
}
