package fhir

import (
	"errors"
	"math/bits"
	"slices"
	"strings"

	"gatehouse/fhir/wire"
)

// listFacts have many values, the others one.
const listFacts uint16 = 1<<factPatients | 1<<factPractitioners | 1<<factLabels | 1<<factCategories | 1<<factCodes

// facts turns the items into facts. Everything they keep is one copied string
// and, for the lists, one array.
func (r *factReader) facts() (Facts, error) {
	text := string(r.text)
	f := Facts{Type: r.plan.typ, ID: text[r.id.start:r.id.end], VersionID: text[r.ver.start:r.ver.end]}
	if f.ID != "" && !ValidID(f.ID) {
		return Facts{}, errors.New("read facts: malformed id")
	}
	values := bits.OnesCount16(r.plan.self)
	for i := range r.items {
		it := &r.items[i]
		e := &r.plan.elements[it.element]
		it.value = text[it.text.start:it.text.end]
		if e.form == formReference {
			typ := text[it.typ.start:it.typ.end]
			r.resolve(it, typ)
			f.Unnamed = f.Unnamed || e.ranks[factPatients] > 0 && r.unnamed(it, e.strict, typ)
		}
		if e.gives&(1<<factLabels) != 0 && r.labeller != nil {
			r.unknown = r.unknown || r.strange(it.value[:it.bare()-1], it.value[it.bare():])
		}
		r.given |= e.gives
		values += bits.OnesCount16(e.gives & listFacts)
	}
	self := ""
	if f.ID != "" {
		self = text[int(r.id.start)-len(f.Type)-1 : r.id.end]
	}
	r.fill(&f, ^uint16(0), make([]string, 0, values), self)
	return f, r.label(&f)
}

// fill sets some of the facts (bits) by the items; all has room for their lists.
func (r *factReader) fill(f *Facts, some uint16, all []string, self string) {
	for _, l := range [...]struct {
		fact fact
		to   *[]string
	}{{factPatients, &f.Patients}, {factPractitioners, &f.Practitioners}, {factLabels, &f.Labels}, {factCategories, &f.Categories}, {factCodes, &f.Codes}} {
		if some&(1<<l.fact) != 0 {
			all, *l.to = r.list(all, l.fact, self)
		}
	}
	for _, o := range [...]struct {
		fact fact
		to   *string
	}{{factOrganization, &f.Organization}, {factAuthor, &f.Author}, {factEncounter, &f.Encounter}, {factStatus, &f.Status}, {factDate, &f.Date}} {
		if some&(1<<o.fact) != 0 {
			*o.to = r.first(o.fact, self)
		}
	}
}

// list appends the values of one fact to all, each once, and gives them.
func (r *factReader) list(all []string, f fact, self string) (rest, values []string) {
	start := len(all)
	if self != "" && r.plan.self&(1<<f) != 0 {
		all = append(all, self)
	} else if r.given&(1<<f) == 0 {
		return all, nil
	}
	for i := range r.items {
		it := &r.items[i]
		if r.plan.elements[it.element].gives&(1<<f) == 0 {
			continue
		}
		if s := it.as(f); s != "" && !slices.Contains(all[start:], s) {
			all = append(all, s)
		}
	}
	if len(all) == start {
		return all, nil
	}
	return all, all[start:len(all):len(all)]
}

// first is the value of the best row of a fact with one value.
func (r *factReader) first(f fact, self string) string {
	if r.plan.self&(1<<f) != 0 {
		return self
	}
	if r.given&(1<<f) == 0 {
		return ""
	}
	best, value := uint8(0), ""
	for i := range r.items {
		it := &r.items[i]
		rank := r.plan.elements[it.element].ranks[f]
		if rank == 0 || best != 0 && rank >= best {
			continue
		}
		if s := it.as(f); s != "" {
			best, value = rank, s
		}
	}
	return value
}

// as is what the item says for one fact, "" for nothing.
func (it *item) as(f fact) string {
	switch f {
	case factPatients:
		return it.of("Patient", "Patient")
	case factPractitioners:
		return it.of("Practitioner", "PractitionerRole")
	case factOrganization:
		return it.of("Organization", "Organization")
	case factEncounter:
		return it.of("Encounter", "Encounter")
	case factLabels:
		return it.label()
	case factStatus, factDate:
		return it.value[it.bare():]
	}
	return it.value
}

func (it *item) of(typ, other string) string {
	if it.ref.Type == typ || it.ref.Type == other {
		return it.value
	}
	return ""
}

func (it *item) bare() int32 { return it.code - it.text.start }

// labelSystems are those whose codes stand alone: the two of v3, by each of
// their names, and value sets that are taken for systems. A label without a system counts as theirs, for one who forbids
// "R" means it.
var labelSystems = []string{
	"", "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "http://hl7.org/fhir/v3/Confidentiality", "urn:oid:2.16.840.1.113883.5.25",
	"http://terminology.hl7.org/CodeSystem/v3-ActCode", "http://hl7.org/fhir/v3/ActCode", "urn:oid:2.16.840.1.113883.5.4",
	"http://terminology.hl7.org/CodeSystem/v3-ObligationPolicy", "http://terminology.hl7.org/ValueSet/v3-ObligationPolicy",
	"http://terminology.hl7.org/CodeSystem/v3-RefrainPolicy", "http://terminology.hl7.org/ValueSet/v3-RefrainPolicy",
}

func (it *item) label() string {
	if slices.Contains(labelSystems, it.value[:it.bare()-1]) {
		return it.value[it.bare():]
	}
	return it.value
}

// resolve leaves in it.value the "Type/id" that the reference names on this
// server, "" for none. A type beside it that says otherwise makes it none.
func (r *factReader) resolve(it *item, typ string) {
	ref, version, ok := r.base.ParseRef(it.value)
	if !ok || typ != "" && typ != ref.Type || ref.Type != r.known && !r.version.KnownType(ref.Type) {
		return
	}
	r.known = ref.Type
	it.ref = ref
	end := len(it.value)
	if version != "" {
		end -= len("/_history/") + len(version)
	}
	it.value = it.value[end-len(ref.Type)-1-len(ref.ID) : end]
}

// unnamed reports whether a reference that may tie the resource to a patient
// leaves open to which one.
func (r *factReader) unnamed(it *item, strict bool, typ string) bool {
	switch {
	case it.ref.Type != "":
		return false
	case it.strange || strict:
		return true
	case strings.HasPrefix(it.value, "#"):
		return !r.containsOther(it.value[1:], typ)
	case it.value != "":
		return true
	case typ == "":
		return it.identifier // without one it only shows a name
	}
	return typ == "Patient" || !r.version.KnownType(typ)
}

var containedPlan = wire.NewPlan("contained.resourceType", "contained.id")

// containsOther reports whether the contained resource with that id is one that
// is no Patient, as its reference's type says too if it says anything.
func (r *factReader) containsOther(id, typ string) bool {
	hits, err := containedPlan.Skim(r.doc, nil)
	if err != nil {
		return false
	}
	found := ""
	for _, h := range hits {
		if h.Path != 1 || string(r.doc[h.Start:h.End]) != `"`+id+`"` {
			continue
		}
		if found != "" {
			return false // two of one id
		}
		found = r.containedType(hits, h.Group)
		if found == "" {
			return false
		}
	}
	return found != "Patient" && r.version.KnownType(found) && (typ == "" || typ == found)
}

func (r *factReader) containedType(hits []wire.Hit, group int32) string {
	for _, h := range hits {
		if h.Path == 0 && h.Group == group {
			return strings.Trim(string(r.doc[h.Start:h.End]), `"`)
		}
	}
	return ""
}
