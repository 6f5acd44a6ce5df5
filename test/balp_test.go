package test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/audit"
)

// This file holds the AuditEvents of every gateway of this package to FHIR R4 and
// to the IHE BALP profiles (1.1.4) that they claim; the rules are written by hand
// after those, with what validators miss: minimums inside slices (AUD-02…08).

type object = map[string]any

// sliceRule is one slice of agent or entity: those whose type has the coding.
type sliceRule struct {
	in, system, code string
	min, max         int               // 0: any number
	needs            []string          // paths inside that must be there
	lacks            []string          // and must not
	is               map[string]string // path: one of these, between blanks
}

// profileRule is one profile.
type profileRule struct {
	is     map[string]string // of the event
	agents int               // at least
	slices []sliceRule
}

const (
	dcm    = "http://dicom.nema.org/resources/ontology/DCM"
	part   = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
	kinds  = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
	balpCS = "https://profiles.ihe.net/ITI/BALP/CodeSystem/"
	balpSD = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
)

var (
	noPerson = []string{"network", "media"}
	patient1 = sliceRule{"entity", kinds, "1", 1, 1, []string{"what.reference"}, nil, map[string]string{"role.code": "1", "what.type": "Patient"}}
	request1 = sliceRule{"entity", balpCS + "BasicAuditEntityType", "XrequestId", 0, 1, []string{"what.identifier.value"}, nil, nil}
	data1    = sliceRule{"entity", kinds, "2", 1, 1, []string{"what"}, nil, map[string]string{"role.code": "3 4 20"}}
	query1   = sliceRule{"entity", kinds, "2", 1, 1, []string{"query"}, []string{"what", "lifecycle", "detail"}, map[string]string{"role.code": "24"}}
)

func machine(code string) sliceRule {
	return sliceRule{"agent", dcm, code, 1, 1, []string{"who", "network.address", "network.type"}, []string{"media"}, nil}
}

func person(code string) sliceRule {
	return sliceRule{"agent", part, code, 0, 1, []string{"who"}, noPerson, map[string]string{"requestor": "true"}}
}

func restful(action, subtypes, client, server, user string, what sliceRule) profileRule {
	s := machine(server)
	if server == "custodian" {
		s.system = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
	}
	return profileRule{map[string]string{"type.code": "rest", "subtype.code": subtypes, "action": action, "outcome": "0"}, 2,
		[]sliceRule{machine(client), s, person(user), request1, what}}
}

var balpProfiles = map[string]profileRule{
	"Read":   restful("R", "read vread", "110152", "110153", "IRCP", data1),
	"Create": restful("C", "create", "110153", "110152", "AUT", data1),
	"Update": restful("U", "update patch", "110153", "110152", "AUT", data1),
	"Delete": restful("D", "delete", "110150", "custodian", "CST", data1),
	"Query":  restful("E", "search search-type search-system", "110153", "110152", "IRCP", query1),
	"OAUTHaccessTokenUse.Minimal": {nil, 1, []sliceRule{{"agent", balpCS + "UserAgentTypes", "UserOauthAgent", 1, 0,
		[]string{"policy"}, noPerson, map[string]string{"requestor": "true", "policy": "urn:ietf:params:oauth:jti:…"}}}},
	"OAUTHaccessTokenUse.Opaque": {nil, 1, []sliceRule{{"agent", balpCS + "UserAgentTypes", "UserOauthAgent", 1, 0,
		[]string{"policy"}, noPerson, map[string]string{"requestor": "true"}}}},
	"OAUTHaccessTokenUse.Comprehensive": {nil, 1, []sliceRule{
		{"agent", dcm, "110150", 1, 1, []string{"who.identifier.value"}, []string{"media"}, nil},
		{"agent", part, "IRCP", 0, 1, []string{"who.identifier.system", "who.identifier.value", "policy"}, noPerson, map[string]string{"requestor": "true"}}}},
	"AuthZconsent": {map[string]string{"type.code": "110113", "subtype.code": "AuthZ-Consent AuthZ-Role", "action": "E", "outcome": "0 4 8 12"}, 2, []sliceRule{
		machine("110150"), {"agent", part, "IRCP", 1, 1, []string{"who"}, noPerson, map[string]string{"requestor": "true"}},
		{"agent", "http://terminology.hl7.org/CodeSystem/v3-RoleClass", "PROV", 1, 1, []string{"who"}, noPerson, map[string]string{"requestor": "false"}},
		{"agent", "http://terminology.hl7.org/CodeSystem/extra-security-role-type", "authserver", 1, 1, []string{"who", "observer"}, noPerson, map[string]string{"requestor": "false"}},
		patient1, {"entity", "http://hl7.org/fhir/resource-types", "Consent", 1, 0, []string{"what.reference"}, nil, nil}}},
	"PrivacyDisclosure.Source": {map[string]string{"type.code": "110106", "subtype.code": "disclose", "action": "R", "outcome": "0 4 8 12"}, 2, []sliceRule{
		{"agent", dcm, "110153", 1, 1, []string{"who", "network.address", "observer"}, nil, nil}, machine("110152"), patient1,
		{"entity", kinds, "2", 1, 0, []string{"what"}, nil, nil}}},
}

func init() {
	for _, name := range []string{"Read", "Create", "Update", "Delete", "Query"} {
		p := balpProfiles[name]
		p.slices = append(slices.Clone(p.slices), patient1)
		balpProfiles["Patient"+name] = p
	}
}

// events checks every AuditEvent of the gateway's trail, and counts the profiles
// that they claim.
func (h *house) events(t *testing.T) map[string]int {
	t.Helper()
	key, err := config.ReadKey(filepath.Join(h.dir, "audit.key"))
	if err != nil {
		return nil // a test that rotates keys
	}
	var out bytes.Buffer
	if _, err := audit.Export(filepath.Join(h.dir, "audit"), key, &out); err != nil {
		return nil // one that damages the trail, or moves it
	}
	claimed := map[string]int{}
	for line := range strings.Lines(out.String()) {
		var e object
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		wrong := baseRules(e)
		for _, name := range texts(e, "meta.profile") {
			name = strings.TrimPrefix(name, balpSD)
			claimed[name]++
			wrong = append(wrong, balpRules(e, name)...)
		}
		if wrong != nil {
			t.Errorf("AuditEvent: %s\n%.2000s", strings.Join(wrong, "; "), line)
		}
	}
	return claimed
}

// baseRules are those of AuditEvent in R4: what is required, closed sets of codes.
func baseRules(e object) (wrong []string) {
	miss := func(ok bool, what string) {
		if !ok {
			wrong = append(wrong, what)
		}
	}
	_, err := time.Parse(time.RFC3339Nano, text(e, "recorded"))
	miss(text(e, "resourceType") == "AuditEvent" && text(e, "type.code") != "" && err == nil && text(e, "source.observer.identifier.value") != "", "no type, recorded or source")
	miss(strings.Contains(" C R U D E ", " "+text(e, "action")+" "), "action "+text(e, "action"))
	miss(strings.Contains(" 0 4 8 12 ", " "+text(e, "outcome")+" "), "outcome "+text(e, "outcome"))
	miss(len(text(e, "id")) <= 64 && text(e, "id") != "", "id")
	agents := list(e, "agent")
	miss(len(agents) > 0, "no agent")
	for _, a := range agents {
		_, told := a["requestor"].(bool)
		miss(told, "agent without requestor")
		if a["network"] != nil {
			miss(strings.Contains(" 1 2 3 4 5 ", " "+text(a, "network.type")+" "), "network type")
		}
	}
	for _, n := range list(e, "entity") {
		if q := text(n, "query"); q != "" {
			_, err := base64.StdEncoding.DecodeString(q)
			miss(err == nil && text(n, "name") == "", "query is no base64, or stands beside a name (sev-1)")
		}
		for _, d := range list(n, "detail") {
			miss(text(d, "type") != "" && text(d, "valueString") != "", "detail without type or value")
		}
	}
	miss(!strings.Contains(fmt.Sprint(e), ":[]") && !empty(e), "an empty value")
	return wrong
}

// empty says whether something in it is empty, which FHIR has no place for.
func empty(v any) bool {
	switch v := v.(type) {
	case string:
		return v == ""
	case []any:
		return len(v) == 0 || slices.ContainsFunc(v, empty)
	case object:
		for _, m := range v {
			if empty(m) {
				return true
			}
		}
		return len(v) == 0
	}
	return v == nil
}

func balpRules(e object, name string) (wrong []string) {
	p, known := balpProfiles[name]
	if !known {
		return []string{"claims " + name}
	}
	for path, want := range p.is {
		if !oneOf(texts(e, path), want) {
			wrong = append(wrong, fmt.Sprintf("%s: %s is %v, want one of %s", name, path, texts(e, path), want))
		}
	}
	if len(list(e, "agent")) < p.agents {
		wrong = append(wrong, name+": too few agents")
	}
	for _, s := range p.slices {
		wrong = append(wrong, s.check(e, name)...)
	}
	return wrong
}

func (s *sliceRule) check(e object, name string) (wrong []string) {
	n := 0
	for _, o := range list(e, s.in) {
		if !s.holds(o) {
			continue
		}
		n++
		for _, path := range s.needs {
			if path == "observer" {
				if fmt.Sprint(o["who"]) != fmt.Sprint(e["source"].(object)["observer"]) {
					wrong = append(wrong, "val-audit-source")
				}
			} else if len(texts(o, path)) == 0 && o[path] == nil {
				wrong = append(wrong, fmt.Sprintf("%s: %s %s has no %s", name, s.in, s.code, path))
			}
		}
		for _, path := range s.lacks {
			if o[path] != nil {
				wrong = append(wrong, fmt.Sprintf("%s: %s %s has %s", name, s.in, s.code, path))
			}
		}
		for path, want := range s.is {
			if path == "what.type" {
				want, path = want+"/…", "what.reference"
			}
			if !oneOf(texts(o, path), want) {
				wrong = append(wrong, fmt.Sprintf("%s: %s %s: %s is %v, want %s", name, s.in, s.code, path, texts(o, path), want))
			}
		}
	}
	if n < s.min || s.max > 0 && n > s.max {
		wrong = append(wrong, fmt.Sprintf("%s: %d of %s %s", name, n, s.in, s.code))
	}
	return wrong
}

// holds says whether an agent or entity is of the slice: the type of an agent is
// a CodeableConcept, that of an entity a Coding.
func (s *sliceRule) holds(o object) bool {
	t, _ := o["type"].(object)
	codings := list(t, "coding")
	if s.in == "entity" {
		codings = []object{t}
	}
	return slices.ContainsFunc(codings, func(c object) bool { return text(c, "system") == s.system && text(c, "code") == s.code })
}

// oneOf says whether a value is among those wanted; one that ends in … is a prefix.
func oneOf(got []string, want string) bool {
	return slices.ContainsFunc(got, func(g string) bool {
		return slices.ContainsFunc(strings.Fields(want), func(w string) bool {
			prefix, ok := strings.CutSuffix(w, "…")
			return g == w || ok && strings.HasPrefix(g, prefix)
		})
	})
}

func list(o object, name string) (all []object) {
	items, _ := o[name].([]any)
	for _, i := range items {
		if m, ok := i.(object); ok {
			all = append(all, m)
		}
	}
	return all
}

func text(o object, path string) string {
	if all := texts(o, path); len(all) > 0 {
		return all[0]
	}
	return ""
}

// texts are the values at a path, of every member of a list on the way.
func texts(v any, path string) []string {
	switch v := v.(type) {
	case []any:
		var all []string
		for _, i := range v {
			all = append(all, texts(i, path)...)
		}
		return all
	case object:
		name, rest, _ := strings.Cut(path, ".")
		if path == "" || v[name] == nil {
			return nil
		}
		return texts(v[name], rest)
	}
	if path != "" {
		return nil
	}
	return []string{fmt.Sprint(v)}
}
