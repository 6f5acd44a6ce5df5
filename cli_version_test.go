package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var pinned = regexp.MustCompile(`(?m)^\t([^\s/]+\.[^\s]+) (v\S+)`)

// Every module of go.mod has its licence in the table, and none that is not there; each
// is one that may be shipped with a program under Apache-2.0 (issue 8 item 8).
// go test . -run Licences -update reads them from the modules.
func TestLicences(t *testing.T) {
	text, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	wanted, table := map[string]bool{}, &strings.Builder{}
	for _, m := range pinned.FindAllStringSubmatch(string(text), -1) {
		wanted[m[1]] = true
		if *update {
			table.WriteString(m[1] + "\t" + licenceOf(t, m[1]) + "\n")
		}
	}
	if *update {
		if err := os.WriteFile("licences.tsv", []byte(table.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return // the table is linked in at the next build
	}
	allowed := map[string]bool{"Apache-2.0": true, "MIT": true, "BSD-2-Clause": true, "BSD-3-Clause": true, "ISC": true, "MPL-2.0": true}
	known := licences()
	for path := range wanted {
		if !allowed[known[path]] {
			t.Errorf("%s has the licence %q; go test . -run Licences -update", path, known[path])
		}
	}
	for path := range known {
		if !wanted[path] {
			t.Errorf("%s is not in go.mod; go test . -run Licences -update", path)
		}
	}
}

// licenceOf tells a licence by the words that no other has.
func licenceOf(t *testing.T, module string) string {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		t.Fatalf("%s: %v", module, err)
	}
	files, _ := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "[LlCc][IiOo][CcPp][EeYy]*"))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		words := strings.Join(strings.Fields(string(text)), " ")
		for _, l := range []struct{ id, says string }{
			{"Apache-2.0", "Apache License Version 2.0"}, {"MPL-2.0", "Mozilla Public License Version 2.0"}, {"MPL-2.0", "Mozilla Public License, version 2.0"},
			{"MIT", "Permission is hereby granted, free of charge"}, {"ISC", "Permission to use, copy, modify, and"},
			{"BSD-3-Clause", "to endorse or promote products derived from"}, {"BSD-2-Clause", "Redistribution and use in source and binary forms"},
		} {
			if strings.Contains(words, l.says) {
				return l.id
			}
		}
	}
	t.Fatalf("no licence that is known in %s", dir)
	return ""
}

func TestVersion(t *testing.T) {
	code, out, errs := gatehouse("version")
	if code != 0 || !regexp.MustCompile(`^gatehouse \S+ go1\.\S+ \S+/\S+ .*, fips140 (off|on|only)`).MatchString(out) {
		t.Errorf("%d %s %s", code, out, errs)
	}
	var b build
	if code, out, _ := gatehouse("version", "--json"); code != 0 || json.Unmarshal([]byte(out), &b) != nil || len(b.Modules) < 30 {
		t.Errorf("%d %s", code, out)
	}
	var bom struct {
		BomFormat, SpecVersion string
		Metadata               struct{ Component struct{ Name string } }
		Components             []struct {
			Name, Version, Purl string
			Licenses            []struct{ License struct{ ID string } }
		}
	}
	if code, out, _ := gatehouse("version", "--sbom"); code != 0 || json.Unmarshal([]byte(out), &bom) != nil {
		t.Fatalf("%d %s", code, out)
	}
	if bom.BomFormat != "CycloneDX" || bom.SpecVersion != "1.6" || bom.Metadata.Component.Name != "gatehouse" || len(bom.Components) != len(b.Modules)+1 {
		t.Errorf("%+v", bom)
	}
	text, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range bom.Components[1:] {
		if c.Purl != "pkg:golang/"+c.Name+"@"+c.Version || !strings.Contains(string(text), c.Name+" "+c.Version) {
			t.Errorf("%s %s is not what go.mod pins", c.Name, c.Version)
		}
		if len(c.Licenses) != 1 || c.Licenses[0].License.ID == "" {
			t.Errorf("%s has no licence", c.Name)
		}
	}
}

// Issue 8 point 8: the bill of materials is CycloneDX 1.6, held to the rules of its schema
// that concern what is in it: no member that it does not know, its patterns and its sets.
func TestBillOfMaterials(t *testing.T) {
	_, out, _ := gatehouse("version", "--sbom")
	allowed := map[string]string{"": "bomFormat specVersion version metadata components", "metadata": "component", "component": "type bom-ref name version purl licenses properties",
		"license": "license", "id": "id", "property": "name value"}
	refs := map[string]bool{}
	members := func(kind string, v any) map[string]any {
		m, ok := v.(map[string]any)
		if !ok {
			t.Fatalf("%s is %T", kind, v)
		}
		for name := range m {
			if !slices.Contains(strings.Fields(allowed[kind]), name) {
				t.Errorf("%s: %s is not in the schema, or not looked at here", kind, name)
			}
		}
		return m
	}
	component := func(v any, kind string) {
		c := members("component", v)
		ref, _ := c["bom-ref"].(string)
		purl, _ := c["purl"].(string)
		if c["type"] != kind || c["name"] == "" || c["name"] == nil || ref == "" || refs[ref] || !regexp.MustCompile(`^pkg:golang/[^@\s]+@[^@\s]+$`).MatchString(purl) {
			t.Errorf("%v", c)
		}
		refs[ref] = true
		for _, l := range c["licenses"].([]any) {
			if id := members("id", members("license", l)["license"])["id"].(string); !regexp.MustCompile(`^(Apache-2\.0|BSD-2-Clause|BSD-3-Clause|MIT|ISC|MPL-2\.0|Unlicense|CC0-1\.0)$`).MatchString(id) {
				t.Errorf("%v: %q is no licence that SPDX lists among those in use here", c["name"], id)
			}
		}
		properties, _ := c["properties"].([]any) // std has none
		for _, p := range properties {
			members("property", p)
		}
	}
	var doc any
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		t.Fatal(err)
	}
	top := members("", doc)
	if top["bomFormat"] != "CycloneDX" || top["specVersion"] != "1.6" || top["version"] != 1.0 {
		t.Errorf("%v %v %v", top["bomFormat"], top["specVersion"], top["version"])
	}
	component(members("metadata", top["metadata"])["component"], "application")
	for _, c := range top["components"].([]any) {
		component(c, "library")
	}
}

// Issue 8 point 8: the notes of a release are its section of the changelog, with digests;
// what is not released has none unless they are a draft.
func TestReleaseNotes(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "gatehouse")
	if err := os.WriteFile(binary, []byte("#!/bin/sh\necho made of $*\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	notes := func(env, version string) (string, error) {
		c := exec.Command("bash", ".ci/release-notes", version, binary)
		c.Env = append(os.Environ(), env)
		out, err := c.CombinedOutput()
		return string(out), err
	}
	if out, err := notes("DRAFT=no", "0.1.0"); err == nil || !strings.Contains(out, "unreleased") {
		t.Errorf("of what is not released: %v %s", err, out)
	}
	if out, err := notes("DRAFT=yes", "9.9.9"); err == nil || !strings.Contains(out, "no section of 9.9.9") {
		t.Errorf("of nothing: %v %s", err, out)
	}
	text, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	out, err := notes("DRAFT=yes", "0.1.0")
	for _, want := range []string{"# Gatehouse 0.1.0\n", "\n### Features\n", "    made of version\n", fmt.Sprintf("%x", sha256.Sum256(text)), fmt.Sprintf("%x", sha256.Sum256([]byte("made of version --sbom\n")))} {
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("%v: %q is not in\n%s", err, want, out)
		}
	}
}
