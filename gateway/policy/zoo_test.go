package policy

import "fmt"

// zoo are rule bodies that have broken evaluators: undefined against false,
// negation, wildcards, walks over lists, rules that err. Each stands alone as
// permit, forbid and oblige.
var zoo = []string{
	`input.resource.status == "final"`,
	`input.resource.status != "final"`,
	`not input.resource.status == "final"`,
	`input.resource.organization == input.subject.organization`,
	`input.resource.organization != input.subject.organization`,
	`not input.resource.organization == input.subject.organization`,
	`not input.resource.organization != input.subject.organization`,
	`input.resource.author == input.subject.fhir_user`,
	`not input.resource.author == input.subject.fhir_user`,
	`input.subject.fhir_user in input.resource.practitioners`,
	`not input.subject.fhir_user in input.resource.practitioners`,
	`input.subject.patient`,
	`not input.subject.patient`,
	`"R" in input.resource.labels`,
	`not "R" in input.resource.labels`,
	`"R" in input.resource.labels; not "TREAT" in input.subject.purpose`,
	`input.resource.labels[_] == "R"`,
	`not count(input.resource.labels) == 1`,
	`not lower(input.subject.fhir_user) == "x"`,
	`not startswith(input.subject.fhir_user, "Pr")`,
	`x := input.subject.fhir_user; not x == "Practitioner/7"`,
	`x := input.subject.fhir_user; not x in input.resource.practitioners`,
	`x := input.resource.labels[0]; not x == "R"`,
	`x := input.subject.patient; every p in input.resource.patients { p == x }`,
	`x := input.resource.labels[1]; every p in input.resource.patients { p != x }`,
	`input.subject.patient; every p in input.resource.patients { p == input.subject.patient }`,
	`input.subject.patient != ""; not input.subject.patient == "Patient/1"`,
	`x := input.subject.patient; not helped(x)`,
	`x := input.subject.patient; not helped(x); not input.subject.patient == "Patient/1"`,
	`unhelped(input.subject.patient)`, `unhelped(input.resource.labels[0])`,
	`x := input.relation.practitioners; not x == []`,
	`not input.relation.practitioners == []`,
	`x := lower(input.subject.fhir_user); every p in input.resource.patients { p != x }`,
	`x := lower(input.subject.fhir_user); not x == "a"`,
	`r := input.relation; not r.practitioners == []`,
	`some t in texts; not t == "Patient/1"`, `not "Patient/1" in texts`,
	`chained(input.subject.patient)`,
	`helped(input.subject.patient)`, `not helped(input.subject.patient)`,
	`"final" in texts; not "R" in texts`,
	`every p in input.resource.patients { helped(p) }`,
	`every p in input.resource.patients { p in texts }`,
	`every p in input.resource.patients { not p in input.resource.labels }`,
	`every p in input.resource.patients { p in input.relation.care_teams }`,
	`x := input.relation.care_teams; every p in input.resource.patients { p in x }`,
	`every p in input.resource.patients { not p == input.subject.patient }`,
	`some e in input.relation.encounters; some p in e.participants; not p == input.subject.fhir_user`,
	`some i; not input.resource.labels[i] == input.resource.codes[0]; input.resource.labels[i]`,
	`not count(input.relation.care_teams) == 1`,
	`some l in input.resource.labels; not l == "R"`,
	`some l in input.resource.labels; l in {"R", "V", 3}`,
	`some i, l in input.resource.labels; i > 0; l == "R"`,
	`some i; input.resource.labels[i] == input.resource.codes[i]`,
	`some l in input.resource.labels; some c in input.resource.codes; l == c`,
	`input.resource.labels[0] == "R"`,
	`input.resource.labels[1]`,
	`not input.resource.labels[1]`,
	`input.resource.labels == ["R"]`,
	`input.resource.labels == []`,
	`input.resource.labels != ["R", "V"]`,
	`input.resource.labels == input.resource.codes`,
	`count(input.resource.patients) == 1`,
	`count(input.resource.patients) > 0; every p in input.resource.patients { p == input.subject.patient }`,
	`every p in input.resource.patients { p == input.subject.patient }`,
	`not all_mine`,
	`every i, p in input.resource.patients { i < 1; startswith(p, "Patient/") }`,
	`every p in input.resource.patients { some l in input.resource.labels; l == p }`,
	`some p in input.resource.patients; p != input.subject.patient`,
	`startswith(input.resource.status, "f")`,
	`not endswith(input.resource.status, "l")`,
	`contains(input.resource.status, "in")`,
	`some c in input.resource.codes; startswith(c, "R"); not endswith(c, "R")`,
	`lower(input.resource.status) == "final"`,
	`upper(input.resource.status) == input.resource.status`,
	`substring(input.resource.date, 0, 4) == "2026"`,
	`substring(input.resource.status, 1, -1) == "inal"`,
	`substring(input.resource.status, 2, 2) != "na"`,
	`substring(input.resource.status, -1, 2) == "x"`,
	`split(input.resource.status, "n")[0] == "fi"`,
	`split(input.resource.status, "n")[_] == "al"`,
	`count(input.resource.status) == 5`,
	`trim_prefix(input.resource.status, "fi") == "nal"`,
	`trim_suffix(input.resource.status, "al") != input.resource.status`,
	`regex.match("^f.*l$", input.resource.status)`,
	`regex.match("(", input.resource.status)`,
	`regex.match(input.resource.date, input.resource.status)`,
	`input.resource.date < "2026-06"`,
	`input.resource.date >= input.context.now`,
	`input.context.now <= "2026-12-31"`,
	`substring(input.context.now, 0, 10) <= "2026-12-31"`,
	`time.parse_rfc3339_ns(input.context.now) > time.parse_rfc3339_ns("2026-01-01T00:00:00Z")`,
	`time.parse_rfc3339_ns(input.resource.date) > 0`,
	`to_number(input.resource.status) > 3`,
	`to_number(input.resource.date) > 3`,
	`to_number(input.subject.acr) > 1`,
	`input.resource.type == "Device"; to_number(input.subject.acr) > 1`,
	`input.resource.status == "final"; to_number(input.resource.date) > 3`,
	`not to_number(input.resource.date) > 3`,
	`to_number(input.resource.date) > 3; "admin" in input.subject.roles`,
	`input.request.id == input.resource.id`,
	`input.request.type != input.resource.type`,
	`input.request.parameters.code[_] == input.resource.codes[_]`,
	`input.consent.decision != "deny"`,
	`input.consent.decision in {"permit", "none"}`,
	`input.context.emergency.patient in input.resource.patients`,
	`input.context.emergency`,
	`input.context.emergency == null`,
	`not input.relation.practitioners`,
	`input.subject.fhir_user in input.relation.practitioners`,
	`not input.subject.fhir_user in input.relation.practitioners`,
	`some e in input.relation.encounters; e.status == "in-progress"; input.subject.fhir_user in e.participants`,
	`some e in input.relation.encounters; not e.status == "in-progress"`,
	`some e in input.relation.encounters; e.period.start <= input.context.now; not ended(e)`,
	`every e in input.relation.encounters { e.status == "finished" }`,
	`count(input.relation.encounters) == 0`,
	`input.relation.encounters[0].locations[_] == "Location/3"`,
	`data.grants[input.subject.roles[_]][_] == input.resource.type`,
	`input.resource.type in data.grants[input.subject.roles[_]]`,
	`data.codes[input.resource.codes[_]].level == "high"`,
	`some c in input.resource.codes; not data.codes[c]`,
	`some c in input.resource.codes; c in data.list`,
	`data.wards[input.resource.organization].open`,
	`not data.wards[input.resource.organization].open`,
	`data.staff[input.subject.fhir_user].level > 2`,
	`some c in input.resource.codes; data.many[c] == "high"`,
	`some c in input.resource.codes; not data.many[c] == "high"`,
	`some c in input.resource.codes; not data.many[c]`,
	`some c in input.resource.codes; data.many[c]`,
	`some c in input.resource.codes; data.many[c].level == "high"`,
	`some c in input.resource.codes; x := data.many[c]; not x == "high"`,
	`some c in input.resource.codes; x := data.many[c]; x != "high"`,
	`some c in input.resource.codes; data.many[c].types[_] == input.resource.type`,
	`some c in input.resource.codes; input.resource.type in data.many[c].types`,
	`some c in input.resource.codes; data.many[c] == input.resource.status`,
	`data.many[input.resource.status]`, `not data.many[input.resource.status]`,
	`data.many[input.subject.roles[_]] == "high"`, `rated(input.resource.status)`, `not rated(input.subject.patient)`,
	`data.many.final`, `data.many.k3 == input.resource.status`, `count(data.many) > 5; input.resource.status == "final"`,
	`some k, v in data.many; v == input.resource.status`,
	`helper`, `not helper`, `negated`, `not negated`,
	`fallback`, `not fallback`, `fallback == false`, `level == "high"`, `not level == "low"`,
	`near(input.resource.status)`, `not near(input.resource.status)`,
	`"a" in tags`, `not "a" in tags`, `count(tags) > 1`,
	`tags & {"R", "V"} != set()`,
	`{l | some l in input.resource.labels} == {"R"}`,
	`count([l | some l in input.resource.labels; l == "R"]) > 1`,
	`object.get(input.resource, "status", "") == "final"`,
	`x := input.resource; x.status == "final"`,
	`x := input.resource.status; y := x; y == "final"`,
	`some k; input.resource[k] == "final"`,
	`input.subject.roles[0] == "clinician"`,
	`some r in input.subject.roles; r in {"clinician", "admin"}; some p in input.resource.patients; p != ""`,
	`picked == "R"`, `not picked == "R"`, `table.R == 1`, `first == "R"`, `chosen(input.resource.status) == 1`,
	`conflict == 1`,
	`not conflict == 1`,
	`input.resource.status < 5`,
	`input.resource.content.status == "final"`,
	`startswith(input.resource.content.name, "a")`,
	`input.client.view == "research"`,
	`not input.client.view`,
	`"HRESCH" in input.client.purposes`,
	`walk(input, [path, value]); value == "final"; count(path) > 1`,
	`input.subject[_] == input.resource.author`,
	`print_like(input.resource.status) == "<final>"`,
	`sprintf("%s|%s", [input.resource.type, input.resource.status]) == "Observation|final"`,
	`concat("|", [input.resource.type, input.resource.status]) == "Observation|final"`,
	`input.resource.status == input.subject.roles[_]`,
	`[a, b] = input.resource.labels; a == b`,
	`input.resource.status == "final" with input.resource.status as "final"`,
	`input.resource.type == "Observation"; input.resource.type != "Observation"`,
	`true`, `false`, `1 == 1; input.resource.id != ""`,
}

const zooHelpers = `
all_mine if { every p in input.resource.patients { p == input.subject.patient } }
helper if input.resource.status == "final"
helper if { some l in input.resource.labels; l == "R"; not "V" in input.resource.labels }
negated if not helper
default fallback := false
fallback if input.resource.status == "final"
level := "high" if input.resource.status == "final" else := "low" if input.resource.status != ""
near(s) if { startswith(s, "f"); s != "final" }
near(s) if s == "amended"
ended(e) if e.period.end != ""
helped(x) if x == "Patient/1"
texts contains input.subject.patient
texts contains input.resource.status if input.resource.status != ""
texts contains l if some l in input.resource.labels
rated(x) if data.many[x] == "high"
chained(x) if { y := x; every p in input.resource.patients { p != y } }
unhelped(x) if not x == "Patient/1"
tags contains l if some l in input.resource.labels
tags contains "a" if input.resource.status == "final"
conflict := 1 if input.resource.status == "final"
conflict := 2 if "R" in input.resource.labels
picked := l if some l in input.resource.labels
table[l] := i if some i, l in input.resource.labels
first := input.resource.labels[0]
chosen(s) := 1 if startswith(s, "f")
chosen(s) := 2 if endswith(s, "l")
print_like(s) := sprintf("<%s>", [s])
`

const zooData = `
grants: {clinician: [Observation, Condition], admin: [Device]}
codes: {R: {level: high}, "s|1": {level: low}, V: {level: high}}
list: [R, 5, "s|1"]
wards: {Organization/2: {open: true}, Organization/3: {open: false}}
staff: {Practitioner/7: {level: 3}, Practitioner/8: {level: 1}}
`

// manyRowsTable is a table that residuals are made without.
func manyRowsTable() string {
	rows := "many:\n  R: high\n  final: false\n  V: {level: high, types: [Device]}\n  admin: high\n  \"s|1\": {level: low}\n  zz: final\n"
	for i := range manyRows {
		rows += fmt.Sprintf("  k%d: amended\n", i)
	}
	return rows
}
