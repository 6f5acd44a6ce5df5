package scenario

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gatehouse/fhir"
)

// builder makes FHIR resources of a few facts, by the table that the gateway
// reads facts by; what it has made is read back, so that no scenario rests on a
// fact that its record does not have.
type builder struct {
	dir     string
	library *library
	taken   map[string]bool // ids, "Observation/1"
}

// maxNested bounds lists of records that name lists of records.
const maxNested = 8

func (b *builder) list(list []any, depth int) (all [][]byte, err error) {
	for _, item := range list {
		name, shared := item.(string)
		if !shared {
			one, err := b.one(item)
			if err != nil {
				return nil, err
			}
			all = append(all, one)
			continue
		}
		of, _ := b.library.records[name].([]any)
		if of == nil || depth == maxNested {
			return nil, fmt.Errorf("there is no list of records named %s", name)
		}
		more, err := b.list(of, depth+1)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

// one makes one record; the schema has seen to its having one member.
func (b *builder) one(item any) ([]byte, error) {
	for key, value := range item.(map[string]any) {
		switch key {
		case "file":
			return os.ReadFile(filepath.Join(b.dir, value.(string)))
		case "resource":
			return json.Marshal(value)
		}
		typ := typeNamed(key)
		if typ == "" {
			return nil, fmt.Errorf("%s is no type of FHIR R4", key)
		}
		facts, _ := value.(map[string]any)
		if id, ok := value.(string); ok {
			facts = map[string]any{"id": id}
		}
		return b.build(typ, facts)
	}
	return nil, errors.New("a record without a type")
}

// typeNamed takes Observation, observation, medication_request and the like.
func typeNamed(key string) string {
	plain := strings.ToLower(strings.ReplaceAll(key, "_", ""))
	for _, typ := range fhir.R4.ResourceTypes() {
		if strings.ToLower(typ) == plain {
			return typ
		}
	}
	return ""
}

// facts are the names of facts in scenarios, with those of fhir.Facts, and of
// the type that a bare id in them means.
var facts = []struct{ name, fact, refers string }{
	{"of", "patients", "Patient"}, {"organization", "organization", "Organization"},
	{"practitioners", "practitioners", "Practitioner"}, {"labels", "labels", ""}, {"categories", "categories", ""},
	{"codes", "codes", ""}, {"status", "status", ""}, {"author", "author", "Practitioner"},
	{"encounter", "encounter", "Encounter"}, {"date", "date", ""},
}

func (b *builder) build(typ string, said map[string]any) ([]byte, error) {
	r := map[string]any{"resourceType": typ, "id": b.id(typ, said["id"])}
	for _, f := range facts {
		for _, value := range texts(said[f.name]) {
			if err := put(r, typ, f.fact, referring(value, f.refers)); err != nil {
				return nil, err
			}
		}
	}
	if place, ok := said["location"].(string); ok {
		if typ != "Encounter" {
			return nil, errors.New("location is of an encounter alone")
		}
		r["location"] = []any{map[string]any{"location": map[string]any{"reference": referring(place, "Location")}}}
	}
	with, _ := said["with"].(map[string]any)
	maps.Copy(r, with)
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return text, verify(text, typ, said)
}

func (b *builder) id(typ string, said any) string {
	id, ok := said.(string)
	for n := 1; !ok; n++ {
		id = fmt.Sprint(n)
		ok = !b.taken[typ+"/"+id]
	}
	b.taken[typ+"/"+id] = true
	return id
}

func texts(v any) (all []string) {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, s := range v {
			all = append(all, s.(string))
		}
	}
	return all
}

func referring(value, typ string) string {
	if typ == "" || strings.Contains(value, "/") {
		return value
	}
	return typ + "/" + value
}

// put writes one value of a fact into the element that gives it.
func put(r map[string]any, typ, fact, value string) error {
	elements := fhir.R4.FactElements(typ, fact)
	if fact == "patients" { // whom it is about, rather than who took part
		for _, first := range []string{"beneficiary", "patient", "subject"} {
			if at := slices.Index(elements, first); at >= 0 {
				elements = []string{first}
			}
		}
	}
	if fact == "labels" && !strings.Contains(value, "|") {
		value = labelSystem(value) + "|" + value
	}
	for _, e := range elements {
		if e == "id" {
			return fmt.Errorf("a %s has its %s by its id", typ, fact)
		}
		if ok, err := write(r, typ, strings.Split(e, "."), value); ok || err != nil {
			return err
		}
	}
	return fmt.Errorf("no element of a %s that is left gives its %s (docs/facts.md)", typ, fact)
}

func labelSystem(code string) string {
	if strings.Contains("U L M N R V", code) {
		return "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
	}
	return "http://terminology.hl7.org/CodeSystem/v3-ActCode"
}

// write puts a value at a path of elements; false where one that holds a single
// value has it already.
func write(at map[string]any, typ string, path []string, value string) (bool, error) {
	e, ok := fhir.R4.Element(typ, path[0])
	if !ok {
		return false, fmt.Errorf("%s has no element %s", typ, path[0])
	}
	list, _ := at[path[0]].([]any)
	inner, held := at[path[0]].(map[string]any)
	if len(path) == 1 {
		switch {
		case e.Array:
			at[path[0]] = append(list, element(e.Type, value))
		case at[path[0]] != nil:
			return false, nil
		default:
			at[path[0]] = element(e.Type, value)
		}
		return true, nil
	}
	if !held {
		inner = map[string]any{}
	}
	if ok, err := write(inner, e.Type, path[1:], value); !ok || err != nil {
		return false, err
	}
	if e.Array {
		at[path[0]] = append(list, inner)
	} else {
		at[path[0]] = inner
	}
	return true, nil
}

// element is a value as its datatype has it.
func element(typ, value string) any {
	switch typ {
	case "Reference":
		return map[string]any{"reference": value}
	case "CodeableConcept":
		return map[string]any{"coding": []any{coding(value)}}
	case "Coding":
		return coding(value)
	}
	return value
}

// systems are code systems by the names that people give them.
var systems = map[string]string{"loinc": "http://loinc.org", "snomed": "http://snomed.info/sct",
	"icd10": "http://hl7.org/fhir/sid/icd-10", "rxnorm": "http://www.nlm.nih.gov/research/umls/rxnorm"}

func coding(value string) map[string]any {
	system, code, ok := strings.Cut(value, "|")
	if !ok {
		return map[string]any{"code": value}
	}
	if full := systems[system]; full != "" {
		system = full
	}
	return map[string]any{"system": system, "code": code}
}

// verify reads the record back.
func verify(text []byte, typ string, said map[string]any) error {
	bases, err := fhir.NewBaseSet()
	if err != nil {
		return err
	}
	got, err := fhir.R4.ReadFacts(text, bases)
	if err != nil {
		return err
	}
	has := map[string][]string{"of": got.Patients, "organization": {got.Organization}, "practitioners": got.Practitioners, "labels": got.Labels,
		"categories": got.Categories, "codes": got.Codes, "status": {got.Status}, "author": {got.Author}, "encounter": {got.Encounter}, "date": {got.Date}}
	for _, f := range facts {
		for _, want := range texts(said[f.name]) {
			if !slices.ContainsFunc(has[f.name], func(s string) bool { return same(s, referring(want, f.refers)) }) {
				return fmt.Errorf("a %s cannot be built with %s %s: its elements are %s", typ, f.name, want, strings.Join(fhir.R4.FactElements(typ, f.fact), ", "))
			}
		}
	}
	return nil
}

// same compares a fact as it is read with the fact as it was said.
func same(got, want string) bool {
	if system, code, ok := strings.Cut(want, "|"); ok && systems[system] != "" {
		want = systems[system] + "|" + code
	}
	return got == want || got == "|"+want
}
