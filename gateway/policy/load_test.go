package policy

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gatehouse/fhir"
	"gatehouse/policies"
)

const permitAll = "package gatehouse\npermit contains \"p\" if input.action == \"read\"\n"

// TestLoadRefuses: what would be silently without effect is an error with its
// place (C-03, SEC-06, DESIGN §6).
func TestLoadRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"nothing": {map[string]string{}, "no rule says `permit contains …` in package gatehouse: every request would be refused"},
		"renamed package": {map[string]string{"a.rego": "package gate\npermit contains \"p\" if input.action == \"read\""},
			"a.rego:2: permit is read in package gatehouse alone, and this is gate"},
		"forbid in another package": {map[string]string{"a.rego": permitAll, "b.rego": "package authz\nforbid contains \"f\" if input.action == \"read\""},
			"b.rego:2: forbid is read in package gatehouse alone, and this is authz"},
		"misspelt set": {map[string]string{"a.rego": permitAll + "forbidd contains \"f\" if input.action == \"read\""},
			"a.rego:3: nothing reads forbidd: did you mean forbid?"},
		"no set": {map[string]string{"a.rego": "package gatehouse\npermit := true"},
			"a.rego:2: permit is a set: write `permit contains … if …`"},
		"default": {map[string]string{"a.rego": "package gatehouse\ndefault permit := false\npermit if input.action == \"read\""},
			"a.rego:2: permit is a set: write `permit contains … if …`\na.rego:3: permit is a set: write `permit contains … if …`"},
		"allow": {map[string]string{"a.rego": "package gatehouse\nallow if input.action == \"read\""},
			"no rule says `permit contains …` in package gatehouse: every request would be refused"},
		"reason is no text": {map[string]string{"a.rego": permitAll + "forbid contains 5 if input.action == \"x\""},
			"a.rego:3: forbid contains reasons, which are text"},
		"empty reason": {map[string]string{"a.rego": permitAll + "forbid contains \"\" if input.action == \"x\""},
			"a.rego:3: forbid needs a reason that a person can read"},
		"misspelt input": {map[string]string{"a.rego": permitAll + "permit contains \"x\" if \"a\" in input.subject.rolez"},
			"a.rego:3: input.subject.rolez does not exist: did you mean roles?"},
		"unknown input": {map[string]string{"a.rego": permitAll + "permit contains \"x\" if input.resource.frobnication == \"a\""},
			"a.rego:3: input.resource.frobnication does not exist: there are author, categories, codes, content, date, encounter, id, labels, organization, patients, practitioners, status, type"},
		"input root": {map[string]string{"a.rego": permitAll + "permit contains \"x\" if input.user.id == \"a\""},
			"a.rego:3: input.user does not exist: there are action, client, consent, context, interaction, relation, request, resource, subject"},
		"text walked as a list": {map[string]string{"a.rego": permitAll + "permit contains \"x\" if \"a\" == input.resource.status[_]"},
			"a.rego:3: undefined ref: input.resource.status[_]"},
		"network": {map[string]string{"a.rego": permitAll + "permit contains \"x\" if http.send({\"url\": \"http://a\", \"method\": \"get\"}).status_code == 200"},
			"a.rego:3: http.send is not available: a rule sees its input and tables, never network, clock, environment, chance or output (the time is input.context.now)"},
		"unknown function": {map[string]string{"a.rego": permitAll + "permit contains \"x\" if foo(input.action)"}, "a.rego:3: undefined function foo"},
		"unknown obligation": {map[string]string{"a.rego": permitAll + "oblige contains {\"viev\": \"x\"} if input.action == \"read\""},
			`a.rego:3: unknown obligation "viev": there are view, domain, step_up, notify, cost`},
		"obligation of unknown value": {map[string]string{"a.rego": permitAll + "oblige contains {\"vieww\": x} if x := input.action"},
			`a.rego:3: unknown obligation "vieww": there are view, domain, step_up, notify, cost`},
		"obligation of two": {map[string]string{"a.rego": permitAll + "oblige contains {\"view\": \"a\", \"cost\": 1} if input.action == \"read\""},
			`a.rego:3: an obligation has one key: write {"view": …} and {"notify": …} as two rules`},
		"obligation no object": {map[string]string{"a.rego": permitAll + "oblige contains \"view\" if input.action == \"read\""},
			`a.rego:3: an obligation is an object such as {"view": "research"}`},
		"step-up of nothing": {map[string]string{"a.rego": permitAll + "oblige contains {\"step_up\": {}} if input.action == \"read\""},
			`a.rego:3: obligation step_up is {"acr": "…", "max_age": seconds}, one of them at least`},
		"cost below one": {map[string]string{"a.rego": permitAll + "oblige contains {\"cost\": 0} if input.action == \"read\""},
			`a.rego:3: obligation cost is a whole number above 0: {"cost": 5}`},
		"no such table": {map[string]string{"a.rego": permitAll + "forbid contains \"f\" if data.blockd[input.subject.id]", "t.yaml": "blocked: {}"},
			"a.rego:3: no data file has the key blockd: did you mean blocked?"},
		"no such rule": {map[string]string{"a.rego": permitAll + "is_staff if \"staff\" in input.subject.roles\nforbid contains \"f\" if not data.gatehouse.is_stuff"},
			"a.rego:4: no rule of package gatehouse is named is_stuff: did you mean is_staff?"},
		"no such rule of another package": {map[string]string{"a.rego": permitAll + "import data.wards\nforbid contains \"f\" if wards.closd", "b.rego": "package wards\nclosed if input.action == \"x\""},
			"a.rego:4: no rule of package wards is named closd: did you mean closed?"},
		"table twice": {map[string]string{"a.rego": permitAll, "s.yaml": "x: 1\na: 2", "t.yaml": "b: 1\na: 3"},
			"t.yaml:2: table \"a\" is already in s.yaml:2: one key stands in one file"},
		"key twice in a file": {map[string]string{"a.rego": permitAll, "t.yaml": "a: {x: 1}\nb: 2\na: {y: 2}"},
			"t.yaml:3: key \"a\" stands here twice"},
		"key twice in a table": {map[string]string{"a.rego": permitAll, "t.yaml": "a:\n  x: 1\n  x: 2"},
			"t.yaml:3: key \"x\" stands here twice"},
		"table named as the package": {map[string]string{"a.rego": permitAll, "t.yaml": "gatehouse: 1"}, "t.yaml:1: table \"gatehouse\" has the name of a package"},
		"table is no mapping":        {map[string]string{"a.rego": permitAll, "t.yaml": "- 1"}, "t.yaml:1: a table file is a mapping of names to tables"},
		"table of tabs":              {map[string]string{"a.rego": permitAll, "t.yaml": "a:\n\tb: 1"}, "t.yaml:2: found character that cannot start any token"},
		"endless table":              {map[string]string{"a.rego": permitAll, "t.yaml": "a: &x [*x]"}, "t.yaml:1: nested too deeply"},
		"number that is none":        {map[string]string{"a.rego": permitAll, "t.yaml": "a: 0x1F"}, "t.yaml:1: 0x1F is neither text nor a JSON number: put it in quotes"},
		"syntax":                     {map[string]string{"a.rego": "package gatehouse\npermit contains \"x\" if {"}, "a.rego:2: unexpected eof token"},
	} {
		e, err := loadText(t, c.files)
		if err == nil {
			t.Errorf("%s: loaded (%v), want %s", name, e.Rules(), c.want)
		} else if err.Error() != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, err, c.want)
		}
	}
}

// TestNoReachingOut: a decision depends on its input and tables alone (SEC-06).
func TestNoReachingOut(t *testing.T) {
	for _, call := range []string{
		`http.send({"method": "get", "url": "http://127.0.0.1/"})`, `net.lookup_ip_addr("localhost")`, `opa.runtime()`,
		`time.now_ns()`, `rand.intn("a", 5)`, `uuid.rfc4122("a")`, `io.jwt.decode_verify("a", {})`, `io.jwt.encode_sign({}, {}, {})`,
		`io.jwt.encode_sign_raw("", "", "")`, `crypto.x509.parse_and_verify_certificates("")`, `rego.parse_module("a", "")`,
		`numbers.range(1, 1000000000)`, `numbers.range_step(1, 1000000000, 1)`, `net.cidr_expand("::/64")`, `providers.aws.sign_req({}, {}, 1)`, `trace("x")`, `json.match_schema({}, {"$ref": "http://127.0.0.1:1/s.json"})`,
	} {
		if _, err := loadText(t, map[string]string{"a.rego": permitAll + "permit contains \"x\" if { x := " + call + "; x != 1 }"}); err == nil {
			t.Errorf("%s: loaded", call)
		}
	}
}

// TestTablesOfShippedPolicies: the tables that a non-programmer edits are
// checked, with file, line and what to write instead.
func TestTablesOfShippedPolicies(t *testing.T) {
	row := "roles:\n  clinician:\n    - reason: x\n      types: [Patient]\n      actions: [read]\n      when: always\n"
	for name, c := range map[string]struct{ text, want string }{
		"good":        {row, ""},
		"condition":   {row[:len(row)-7] + "sometimes\n", "t.yaml:6: roles.clinician[0].when is sometimes: write one of always, own_organization, own_patient, care_relationship, current_encounter, own_ward, not_about_a_patient"},
		"near":        {row[:len(row)-7] + "own_pateint\n", "t.yaml:6: roles.clinician[0].when is own_pateint: did you mean own_patient?"},
		"type":        {"roles: {a: [{reason: x, types: [Observaton], actions: [read], when: always}]}", "t.yaml:1: roles.a[0].types[0] is Observaton: did you mean Observation?"},
		"lower case":  {"roles: {a: [{reason: x, types: [everything], actions: [read], when: always}]}", "t.yaml:1: roles.a[0].types[0] is everything: write a FHIR resource type, or a group of type_groups"},
		"unknown key": {row + "      wen: always\n", "t.yaml:7: roles.clinician[0].wen is not known here"},
		"lacks":       {"roles:\n  a:\n    - reason: x\n      types: [Patient]\n", "t.yaml:3: roles.a[0] lacks actions, when"},
		"no list":     {"roles:\n  a:\n    reason: x\n", "t.yaml:2: roles.a is of type object: write a list"},
		"action":      {"roles:\n  a:\n    - {reason: x, types: [Patient], when: always, actions: [raed]}", "t.yaml:3: roles.a[0].actions[0] is raed: did you mean read?"},
		"date":        {"agreements:\n  c:\n    - {reason: x, types: [Patient], actions: [read], purposes: [TREAT], until: 31.12.2027}", `t.yaml:3: agreements.c[0].until is "31.12.2027": write a day, as 2027-12-31`},
		"other table": {"role: {}", "t.yaml:1: no rule reads the table role: did you mean roles?"},
		"own table":   {"wards_of_ours: {a: 1}", ""},
	} {
		file := filepath.Join(t.TempDir(), "t.yaml")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(Options{Data: []string{file}})
		got := ""
		if err != nil {
			got = shorten(err, filepath.Dir(file)+"/").Error()
		}
		if got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
}

func TestSources(t *testing.T) {
	if _, err := Load(Options{Dir: filepath.Join(t.TempDir(), "none")}); err == nil {
		t.Error("a directory that is not there: loaded")
	}
	if _, err := Load(Options{Data: []string{filepath.Join(t.TempDir(), "*.yaml")}}); err == nil {
		t.Error("a pattern that matches nothing: loaded")
	}
	dir := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "sub"), 0o700), os.WriteFile(filepath.Join(dir, "a.rego"), []byte(permitAll), 0o600),
		os.WriteFile(filepath.Join(dir, "a_test.rego"), []byte("not rego"), 0o600),
		os.WriteFile(filepath.Join(dir, ".hidden.yaml"), []byte("- x"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(Options{Dir: dir}); err != nil {
		t.Errorf("tests and hidden files: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "sub", "t.yaml"), []byte("a: 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(Options{Dir: dir}); err == nil {
		t.Error("a table below the top: loaded")
	}
}

func TestRevision(t *testing.T) {
	a := mustLoad(t, map[string]string{"a.rego": permitAll, "t.yaml": "x: 1"})
	same := mustLoad(t, map[string]string{"a.rego": permitAll, "t.yaml": "x: 1"})
	other := mustLoad(t, map[string]string{"a.rego": permitAll, "t.yaml": "x: 2"})
	if a.Revision() == "" || a.Revision() == other.Revision() {
		t.Errorf("revisions %q and %q", a.Revision(), other.Revision())
	}
	if a.Revision() != same.Revision() {
		t.Errorf("one policy in two places: %q and %q", a.Revision(), same.Revision())
	}
}

func TestNeeds(t *testing.T) {
	for body, want := range map[string][2]bool{
		`input.resource.status == "x"`:               {false, false},
		`input.resource.content.status == "x"`:       {true, false},
		`input.resource[_] == "x"`:                   {true, false},
		`count(input.relation.encounters) > 0`:       {false, true},
		`walk(input, [_, v]); v == 5`:                {true, true},
		`x := input; x.action == "y"`:                {true, true},
		`helper(input.resource)`:                     {true, false},
		`input.relation.practitioners[_] == "a"`:     {false, true},
		`input["resource"]["content"]["a"] == "b"`:   {true, false},
		`some k; input[k] == "b"`:                    {true, true},
		`y := "content"; input.resource[y].a == 5`:   {true, false},
		`object.get(input, ["action"], "") == "x"`:   {true, true},
		`input.action == "x" with input.action as 3`: {false, false},
	} {
		e, err := loadText(t, map[string]string{"a.rego": "package gatehouse\npermit contains \"p\" if { " + body + " }\nhelper(r) if r.status == \"x\"\n"})
		if err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		if got := [2]bool{e.NeedsContent(), e.NeedsRelation()}; got != want {
			t.Errorf("%s: content, relation %v, want %v", body, got, want)
		}
	}
}

// TestTableSchemaNamesEveryType keeps the schema's list with the releases': a
// table may name a type of any, and one of none is a mistake.
func TestTableSchemaNamesEveryType(t *testing.T) {
	known := map[string]bool{}
	for _, v := range fhir.Versions {
		for _, typ := range v.ResourceTypes() {
			known[typ] = true
			if !slices.Contains(tableTypes(), typ) {
				t.Errorf("%s of %s is not in policies/tables.schema.json", typ, v)
			}
		}
	}
	for _, typ := range tableTypes() {
		if !known[typ] {
			t.Errorf("%s is no type of any release", typ)
		}
	}
}

func tableTypes() []string {
	var doc struct {
		Properties map[string]struct {
			Defs map[string]struct{ Enum []string } `json:"$defs"`
		}
	}
	text, _ := policies.Files.ReadFile("tables.schema.json")
	if err := json.Unmarshal(text, &doc); err != nil {
		panic(err)
	}
	return doc.Properties["type_groups"].Defs["type"].Enum
}
