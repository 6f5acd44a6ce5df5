package scenario

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"gatehouse/gateway/policy"
)

// This file reads scenarios. Every top key of a file is one, but for people and
// records, which all files share: OPA's own tools read these files as data, and
// one name must not stand in two of them.

// file is one document.
type file struct {
	*policy.Document
	name string
	dir  string
}

// library is what all files share.
type library struct {
	people  map[string]any
	records map[string]any
	where   map[string]string // of every top key and shared name
}

func read(o Options) ([]*scenario, error) {
	files, err := documents(o)
	if err != nil {
		return nil, err
	}
	var ps policy.Problems
	lib := &library{people: map[string]any{}, records: map[string]any{}, where: map[string]string{}}
	for _, f := range files {
		lib.add(f, &ps)
	}
	var all []*scenario
	for _, f := range files {
		for _, name := range slices.Sorted(maps.Keys(f.Value)) {
			if name != "people" && name != "records" {
				all = append(all, f.scenarios(name, lib, &ps)...)
			}
		}
	}
	if len(ps) > 0 {
		return nil, ps
	}
	slices.SortStableFunc(all, func(a, b *scenario) int {
		if a.file == b.file {
			return a.line - b.line
		}
		return strings.Compare(a.file, b.file)
	})
	return all, nil
}

// documents reads the files that o names, or those of the policy's folder.
func documents(o Options) ([]*file, error) {
	var names []string
	for _, pattern := range o.Files {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			return nil, fmt.Errorf("scenarios %s: no such file", pattern)
		}
		names = append(names, found...)
	}
	if len(o.Files) > 0 {
		return parse(names, os.ReadFile, func(name string) (string, string) { return name, filepath.Dir(name) })
	}
	fsys, display := policy.FilesOf(o.Policy)
	found, err := fs.Glob(fsys, policy.ScenarioDir+"/*.yaml")
	if err != nil {
		return nil, err
	}
	return parse(found, func(name string) ([]byte, error) { return fs.ReadFile(fsys, name) },
		func(name string) (string, string) {
			return path.Join(display, name), path.Join(display, policy.ScenarioDir)
		})
}

func parse(names []string, readFile func(string) ([]byte, error), display func(string) (shown, dir string)) ([]*file, error) {
	var ps policy.Problems
	var files []*file
	for _, name := range names {
		text, err := readFile(name)
		if err != nil {
			return nil, fmt.Errorf("read scenarios: %w", err)
		}
		shown, dir := display(name)
		d, err := policy.ReadDocument(shown, text, "scenarios.schema.json#/$defs/scenarios")
		if err != nil {
			more, _ := err.(policy.Problems)
			ps = append(ps, more...)
			continue
		}
		files = append(files, &file{d, shown, dir})
	}
	if len(ps) > 0 {
		return nil, ps
	}
	return files, nil
}

// add takes what a file shares with others, and sees to it that no name is in
// two of them.
func (l *library) add(f *file, ps *policy.Problems) {
	once := func(key string, path ...string) bool {
		line := f.Line(path...)
		if first := l.where[key]; first != "" {
			*ps = append(*ps, policy.Problem{File: f.name, Line: line, Text: fmt.Sprintf("%s is already at %s", key, first)})
			return false
		}
		l.where[key] = fmt.Sprintf("%s:%d", f.name, line)
		return true
	}
	for key, value := range f.Value {
		shared := map[string]map[string]any{"people": l.people, "records": l.records}[key]
		if shared == nil {
			once("the scenario "+key, key)
			continue
		}
		for name, v := range value.(map[string]any) {
			if once(key+"."+name, key, name) {
				shared[name] = v
			}
		}
	}
}

// scenarios are those of one name: one, or one for each value of `for`.
func (f *file) scenarios(name string, lib *library, ps *policy.Problems) (all []*scenario) {
	body := f.Value[name].(map[string]any)
	for _, values := range combinations(body["for"]) {
		s := &scenario{name: filled(name, values), file: f.name, line: f.Line(name), at: func(p ...string) int {
			return f.Line(append([]string{name}, p...)...)
		}}
		if len(values) > 0 && s.name == name {
			s.name += " (" + strings.Join(slices.Sorted(maps.Values(values)), ", ") + ")"
		}
		if problem := s.take(substituted(body, values).(map[string]any), f.dir, lib); problem != nil {
			*ps = append(*ps, policy.Problem{File: f.name, Line: s.at(problem.path...), Text: name + ": " + problem.text})
			return nil // the other values have the same problem, as a rule
		}
		all = append(all, s)
	}
	return all
}

var requestLine = regexp.MustCompile(`^(GET|HEAD|POST|PUT|PATCH|DELETE) /[^ ]*$`)

// flaw is what is wrong with a part of a scenario.
type flaw struct {
	path []string
	text string
}

func (s *scenario) take(body map[string]any, dir string, lib *library) *flaw {
	if who, ok := body["as"].(string); ok {
		if lib.people[who] == nil {
			return &flaw{[]string{"as"}, fmt.Sprintf("there is nobody named %s among people", who)}
		}
		body["as"] = lib.people[who]
	}
	b := &builder{dir: dir, library: lib, taken: map[string]bool{}}
	list, _ := body["records"].([]any)
	var err error
	if s.records, err = b.list(list, 0); err != nil {
		return &flaw{[]string{"records"}, err.Error()}
	}
	if body["send"] != nil {
		if s.send, err = b.one(body["send"]); err != nil {
			return &flaw{[]string{"send"}, err.Error()}
		}
	}
	if request, _ := body["request"].(string); !requestLine.MatchString(request) {
		return &flaw{[]string{"request"}, fmt.Sprintf("request is %q: write a method and a target below the FHIR base, as GET /Observation?patient=1", request)}
	}
	for _, key := range []string{"records", "send", "for"} {
		delete(body, key)
	}
	text, err := json.Marshal(body)
	if err == nil {
		err = json.Unmarshal(text, s)
	}
	if err != nil {
		return &flaw{nil, err.Error()}
	}
	return nil
}

// combinations are the values that stand for the names of `for`, each with
// each.
func combinations(of any) []map[string]string {
	all := []map[string]string{{}}
	names, _ := of.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		values, _ := names[name].([]any)
		var next []map[string]string
		for _, c := range all {
			for _, v := range values {
				c := maps.Clone(c)
				c[name], _ = v.(string)
				next = append(next, c)
			}
		}
		all = next
	}
	return all
}

// substituted is a copy of a document with each {name} replaced.
func substituted(v any, values map[string]string) any {
	switch v := v.(type) {
	case string:
		return filled(v, values)
	case []any:
		all := make([]any, len(v))
		for i := range v {
			all[i] = substituted(v[i], values)
		}
		return all
	case map[string]any:
		all := make(map[string]any, len(v))
		for key, member := range v {
			all[filled(key, values)] = substituted(member, values)
		}
		return all
	}
	return v
}

func filled(text string, values map[string]string) string {
	for name, value := range values {
		text = strings.ReplaceAll(text, "{"+name+"}", value)
	}
	return text
}
