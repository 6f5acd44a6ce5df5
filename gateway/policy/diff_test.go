package policy

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// altered is a copy of the shipped policies with a file laid over it.
func altered(t *testing.T, name string, edit func(string) string) Options {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../policies")); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, name)
	text, _ := os.ReadFile(path) // none: a new file
	if err := os.WriteFile(path, []byte(edit(string(text))), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := Named(dir)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

const ward3 = `package gatehouse

permit contains "Nurses of ward 3 may read medication." if {
	"nurse" in input.subject.roles
	input.subject.organization == "Organization/ward-3"
	input.action in {"read", "search"}
	input.resource.type == "MedicationRequest"
	some encounter in input.relation.encounters
	encounter.status == "in-progress"
	"Location/ward-3" in encounter.locations
}
`

// A rule tells in the diff where it is, and in which cells it decides
// otherwise, though it asks for constants that no table names (C-15).
func TestDiff(t *testing.T) {
	ctx := context.Background()
	d, err := Diff(ctx, Options{}, altered(t, "ward3.rego", func(string) string { return ward3 }))
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Rules) != 1 || d.Rules[0].Change != Added || d.Rules[0].Set != "permit" || d.Rules[0].Reason != "Nurses of ward 3 may read medication." {
		t.Errorf("rules: %+v", d.Rules)
	}
	if len(d.Tables) != 0 || d.From == d.To {
		t.Errorf("tables: %+v, revisions %s %s", d.Tables, d.From, d.To)
	}
	want := []string{"role nurse read,search MedicationRequest"}
	if got := cellsOf(d, func(c CellChange) []string { return c.Denied }); len(got) > 0 {
		t.Errorf("newly denied: %v", got)
	}
	if got := cellsOf(d, func(c CellChange) []string { return c.Allowed }); !slices.Equal(got, want) {
		t.Errorf("newly allowed: %v, want %v", got, want)
	}
}

func cellsOf(d *Difference, in func(CellChange) []string) (all []string) {
	for _, c := range d.Cells {
		if len(in(c)) > 0 {
			all = append(all, c.Who+" "+strings.Join(c.Actions, ",")+" "+strings.Join(c.Types, ","))
		}
	}
	return all
}

func TestDiffOfTables(t *testing.T) {
	cases := []struct{ name, file, old, new, row, cell string }{
		{"a row's action", "roles.yaml", "    - reason: Billing clerks may read what their own organization bills.\n      types: [administrative]\n      actions: [read, search]",
			"    - reason: Billing clerks may read what their own organization bills.\n      types: [administrative]\n      actions: [read]",
			`changed roles.billing "Billing clerks may read what their own organization bills.".actions`, "denied role billing search"},
		{"a label's role", "sensitive.yaml", "  V:\n    reason: This record is very restricted.\n    roles: []", "  V:\n    reason: This record is very restricted.\n    roles: [nurse]",
			"changed sensitive.V.roles", "allowed role nurse read"},
		{"an agreement", "agreements.yaml", "agreements: {}", "agreements: {lab: [{reason: r, types: [Observation], actions: [create], purposes: [TREAT], until: 2099-01-01}]}",
			"added agreements.lab", "allowed client lab create"},
		{"what a patient may write", "patient_access.yaml", "create: []", "create: [Observation]", "changed patient_access.create", "allowed a patient's app create"},
		{"a view", "purposes.yaml", "    view: research\n", "", "removed purposes.HRESCH.view", "obliged role researcher read"},
	}
	o := altered(t, "roles.yaml", func(s string) string { return s })
	for _, c := range cases {
		file := filepath.Join(o.Dir, c.file)
		text, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(text), c.old) {
			t.Fatalf("%s lacks %q: %v", c.file, c.old, err)
		}
		if err := os.WriteFile(file, []byte(strings.Replace(string(text), c.old, c.new, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d, err := Diff(context.Background(), Options{}, o) // one for all: it asks each cell of the matrix
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Tables) != len(cases) {
		t.Errorf("tables: %+v", d.Tables)
	}
	for _, c := range cases {
		if !slices.ContainsFunc(d.Tables, func(r RowChange) bool { return r.Change+" "+r.Path == c.row }) {
			t.Errorf("%s: tables: %+v, want %s", c.name, d.Tables, c.row)
		}
		verb, cell, _ := strings.Cut(c.cell, " ")
		in := map[string]func(CellChange) []string{"allowed": func(c CellChange) []string { return c.Allowed },
			"denied": func(c CellChange) []string { return c.Denied }, "obliged": func(c CellChange) []string { return c.Obliged }}[verb]
		if got := cellsOf(d, in); !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, cell) }) {
			t.Errorf("%s: cells: %+v, want %s", c.name, d.Cells, c.cell)
		}
	}
}

func TestDiffOfTheSame(t *testing.T) {
	d, err := Diff(context.Background(), Options{}, altered(t, "roles.rego", func(s string) string { return s + "\n# a remark\n" }))
	if err != nil || len(d.Rules)+len(d.Tables)+len(d.Cells) > 0 || d.Asked == 0 {
		t.Errorf("%+v %v", d, err)
	}
}

// A directory of tables alone is laid over the shipped policies.
func TestNamed(t *testing.T) {
	dir := t.TempDir()
	if _, err := Named(dir); err == nil {
		t.Error("an empty directory is a policy")
	}
	if err := os.WriteFile(filepath.Join(dir, "roles.yaml"), []byte("roles: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := Named(dir)
	if err != nil || o.Dir != "" || len(o.Data) != 1 {
		t.Errorf("%+v %v", o, err)
	}
}

// Rows for wards and named organizations show in the matrix, and those for other
// ones do not.
func TestDiffOfOrganizations(t *testing.T) {
	const nurse = "  nurse:\n"
	row := "    - {reason: r, types: [MedicationRequest], actions: [read], when: own_ward, organizations: [Organization/ward-3]}\n"
	wards := func(o Options, text string) Options {
		if err := os.WriteFile(filepath.Join(o.Dir, "wards.yaml"), []byte("wards: "+text), 0o600); err != nil {
			t.Fatal(err)
		}
		return o
	}
	with := func(old, new string) Options { // nurses alone and no labels: each role and label multiplies the cases
		o := altered(t, "roles.yaml", func(s string) string {
			_, nurses, _ := strings.Cut(s, nurse)
			nurses, _, _ = strings.Cut(nurses, "  billing:\n")
			return strings.Replace("roles:\n"+nurse+nurses, old, new, 1)
		})
		if err := os.WriteFile(filepath.Join(o.Dir, "sensitive.yaml"), []byte("sensitive: {}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return o
	}
	const here, other = "{Organization/ward-3: [Location/ward-3]}", "{Organization/ward-3: [Location/ward-3], Organization/ward-4: [Location/ward-4]}"
	for _, c := range []struct {
		name          string
		before, after Options
		want, lacks   string
	}{
		{"a row for one ward", with("", ""), wards(with(nurse, nurse+row), here),
			"a record of a patient who lies in Location/ward-3, for people of Organization/ward-3, for no purpose", "people of Organization/home"},
		{"a row for all wards", wards(with("", ""), other), wards(with(nurse, nurse+strings.Replace(row, ", organizations: [Organization/ward-3]", "", 1)), other),
			"a record of a patient who lies in Location/ward-3, for people of Organization/ward-3, for no purpose", ""},
		{"an organization", with("", ""), with(nurse, nurse+strings.Replace(row, "own_ward", "own_organization", 1)),
			"a record of their own organization, for people of Organization/ward-3, for no purpose", "Location"},
	} {
		d, err := Diff(context.Background(), c.before, c.after)
		if err != nil {
			t.Fatal(c.name, err)
		}
		var cases []string
		for _, cell := range d.Cells {
			if cell.Who != "role nurse" || !slices.Equal(cell.Types, []string{"MedicationRequest"}) || !slices.Equal(cell.Actions, []string{"read"}) {
				t.Errorf("%s: another cell: %+v", c.name, cell)
			}
			cases = append(cases, cell.Allowed...)
		}
		if !slices.Contains(cases, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, cases, c.want)
		}
		if c.lacks != "" && strings.Contains(strings.Join(cases, "\n"), c.lacks) {
			t.Errorf("%s: %q speaks of %s", c.name, cases, c.lacks)
		}
	}
}
