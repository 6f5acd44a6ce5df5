package fhir

import (
	"errors"
	"fmt"
	"sync"

	"gatehouse/fhir/wire"
)

// Facts are the little that a decision needs of a resource (the policy input's
// `resource`). Lists hold each value once, in document order. References are
// "Type/id" of this server. Which element gives which fact for each type is
// docs/facts.md, made from the table in facts_gen.go.
type Facts struct {
	Type, ID, VersionID string
	Patients            []string // every patient that the release's Patient compartment ties it to
	Organization        string
	Practitioners       []string
	Labels              []string // bare codes for v3-Confidentiality and v3-ActCode, else "system|code"
	Categories, Codes   []string // "system|code"
	Status, Author      string
	Encounter, Date     string
	// Unnamed is set when an element that may tie the resource to a patient
	// cannot be named (logical, contained, urn or foreign reference): such a
	// resource is in no patient's compartment.
	Unnamed bool
	// By ReadLabelled alone: where meta.security stands in the bytes (two zeros:
	// nowhere), whether labels stand deeper, and whether one of v3 is not understood.
	Security             [2]int32
	Inlaid, UnknownLabel bool
	Notice               string // that goes with the record, by its labels; by ReadLabelled alone
}

// ReadFacts reads the facts of one resource in one pass over its bytes, which
// it does not keep. base are the own addresses by which absolute references to
// this server are known. It is an error if the JSON is refused, if resourceType
// or id is not one that this release can have, or if a fact's element has
// another shape than its type: a resource that cannot be read is not judged.
func (v Version) ReadFacts(resource []byte, base *BaseSet) (Facts, error) {
	r := factReaders.Get().(*factReader)
	defer r.release()
	return v.readFacts(r, resource, base)
}

func (v Version) readFacts(r *factReader, resource []byte, base *BaseSet) (Facts, error) {
	r.version, r.doc, r.base = v, resource, base
	typ, err := r.resourceType()
	if err != nil {
		return Facts{}, fmt.Errorf("read facts: %w", err)
	}
	r.plan = v.factPlan(typ)
	if r.plan == nil {
		return Facts{}, errors.New("read facts: unknown resourceType")
	}
	if r.hits, err = r.plan.skim.Skim(resource, r.hits[:0]); err != nil {
		return Facts{}, fmt.Errorf("read facts: %w", err)
	}
	if err := r.collect(); err != nil {
		return Facts{}, fmt.Errorf("read facts of a %s: %w", r.plan.typ, err)
	}
	return r.facts()
}

// fact is one of the facts that rows of the table give.
type fact uint8

const (
	factPatients fact = iota
	factOrganization
	factPractitioners
	factLabels
	factCategories
	factCodes
	factStatus
	factAuthor
	factEncounter
	factDate
	factCount
)

// factNames are the facts as policies name them.
var factNames = [factCount]string{"patients", "organization", "practitioners", "labels", "categories", "codes", "status", "author", "encounter", "date"}

// FactElements lists the elements of a type that give a fact, which has the
// name of its member in a policy's input.resource: dotted JSON names, those
// that count first in front. "id" is the resource itself. There are none where
// the type or this release has no such fact.
func (v Version) FactElements(typ, fact string) []string {
	p := v.factPlan([]byte(typ))
	if p == nil {
		return nil
	}
	return p.sources[fact]
}

// form is how an element holds its fact.
type form uint8

const (
	formReference form = iota
	formConcept
	formCoding
	formCode
	formText
	formSelf // the resource's own id
)

// factRow says that the element at path gives a fact. Of a fact with one value
// the first row that the resource fills counts. A strict row is about whom the
// resource is, so that nothing but a literal reference will do.
type factRow struct {
	fact   fact
	path   string
	form   form
	strict bool
}

type typeFacts struct {
	typ  string
	rows []factRow
}

// part is what a path of a plan means for its element.
type part uint8

const (
	partType part = iota // resourceType
	partID
	partVersion
	partWhole // the Reference, or the array of them
	partEach  // one Reference of an array
	partReference
	partRefType
	partIdentifier
	partSystem
	partCode     // of a coding
	partText     // a code or date
	partSecurity // meta.security, whatever stands in it
	partNested   // resources or items in it, which paths do not reach
)

// factPlan is the table of one type, ready to read by.
type factPlan struct {
	typ      string
	skim     *wire.Plan
	names    []string // of the paths that skim looks for
	paths    []factPath
	elements []factElement
	self     uint16              // bit by fact that its own id gives
	sources  map[string][]string // elements by the fact's name
}

type factPath struct {
	part    part
	element int16
}

// factElement is one element with the facts it gives, each with its rank among
// the rows of that fact.
type factElement struct {
	form   form
	strict bool
	coded  bool             // its codes may ask for labels
	gives  uint16           // bit by fact
	ranks  [factCount]uint8 // 0: does not give it
}

// factPlans are made when a release is first asked for: a process serves one.
var factPlans = [...]func() map[string]*factPlan{R4: R4.plans(r4Facts[:]), R4B: R4B.plans(r4bFacts[:]), R5: R5.plans(r5Facts[:]), STU3: STU3.plans(stu3Facts[:])}

func (v Version) plans(types []typeFacts) func() map[string]*factPlan {
	return sync.OnceValue(func() map[string]*factPlan {
		plans := make(map[string]*factPlan, len(types))
		for i := range types {
			plans[types[i].typ] = v.newFactPlan(&types[i])
		}
		return plans
	})
}

func (v Version) factPlan(typ []byte) *factPlan {
	return factPlans[v]()[string(typ)]
}

func (v Version) newFactPlan(t *typeFacts) *factPlan {
	p := &factPlan{typ: t.typ, paths: []factPath{{part: partType}, {part: partID}, {part: partVersion}}, sources: map[string][]string{}}
	p.names = []string{"resourceType", "id", "meta.versionId"}
	add := func(element int, of part, path string) {
		p.names = append(p.names, path)
		p.paths = append(p.paths, factPath{of, int16(element)})
	}
	_, typed := v.Element("Reference", "type") // STU3 has none, and a server would not heed it
	at := map[string]int{}
	var ranks [factCount]uint8
	for _, row := range t.rows {
		p.sources[factNames[row.fact]] = append(p.sources[factNames[row.fact]], row.path)
		if row.form == formSelf {
			p.self |= 1 << row.fact
			continue
		}
		i, known := at[row.path]
		if !known {
			i = len(p.elements)
			at[row.path] = i
			p.elements = append(p.elements, factElement{form: row.form})
			row.paths(func(of part, path string) {
				if of != partRefType || typed {
					add(i, of, path)
				}
			})
		}
		ranks[row.fact]++
		p.elements[i].gives |= 1 << row.fact
		p.elements[i].ranks[row.fact] = ranks[row.fact]
		p.elements[i].strict = p.elements[i].strict || row.strict
	}
	p.labels(v, at, add)
	p.skim = wire.NewPlan(p.names...)
	return p
}

// labels adds what labels are read by: every coding of the type.
func (p *factPlan) labels(v Version, at map[string]int, add func(element int, of part, path string)) {
	codings, nested := v.codings(p.typ)
	for _, c := range codings {
		i, known := at[c.path]
		if !known {
			i = len(p.elements)
			p.elements = append(p.elements, factElement{form: c.form})
			c.paths(func(of part, path string) { add(i, of, path) })
		}
		p.elements[i].coded = true
	}
	for _, path := range nested {
		add(0, partNested, path)
	}
	add(0, partSecurity, "meta.security")
}

// paths are those that reading the element of the row takes.
func (r factRow) paths(add func(part, string)) {
	switch r.form {
	case formReference:
		add(partWhole, r.path)
		add(partEach, r.path+"[]")
		add(partReference, r.path+".reference")
		add(partRefType, r.path+".type")
		add(partIdentifier, r.path+".identifier")
	case formConcept:
		add(partSystem, r.path+".coding.system")
		add(partCode, r.path+".coding.code")
	case formCoding:
		add(partSystem, r.path+".system")
		add(partCode, r.path+".code")
	case formCode:
		add(partText, r.path)
		add(partText, r.path+"[]")
	case formText:
		add(partText, r.path)
	}
}
