package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
