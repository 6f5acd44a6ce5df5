package view

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"gatehouse/config"
	"gatehouse/fhir"
	"gatehouse/fhir/wire"
)

// What a form makes of a document is what the walk makes of it, to the byte: for
// every type, with values of every kind in the place of others.

// twice is a view with forms of its own, and the same without.
type twice struct {
	forms      *forms
	with, sans *View
	buf        []byte
	hits       int
}

func newTwice(w *View) *twice {
	d := &twice{forms: &forms{eager: true}}
	with, sans := *w, *w
	with.forms, sans.forms = &sync.Pool{New: func() any { return d.forms }}, nil
	sans.entry = nil
	d.with, d.sans = &with, &sans
	return d
}

func (d *twice) hold(t *testing.T, doc []byte, c Context) {
	t.Helper()
	d.forms.credit = maxForms
	want, fault := d.sans.Apply([]byte("before"), doc, c)
	got, err := d.with.Apply(append(d.buf[:0], "before"...), doc, c)
	if (err == nil) != (fault == nil) || !bytes.Equal(got, want) {
		t.Fatalf("%s\n with forms %v: %s\n without %v: %s", doc, err, got, fault, want)
	}
	d.buf = got
	if d.forms.credit > maxForms {
		d.hits++
	}
	d.named(t, doc, c)
}

// named holds what Show says of names to what is found in its output.
func (d *twice) named(t *testing.T, doc []byte, c Context) {
	_, s, err := d.with.Show([]byte("before"), doc, c)
	if err != nil {
		return
	}
	found := Shown{Doc: s.Doc}
	if err := found.find(); err != nil || found.ID != s.ID || found.Version != s.Version {
		t.Fatalf("%s is shown as %s\n and named %v, want %v, %v", doc, s.Doc, s, found, err)
	}
}

// values may stand in the place of others.
var values = []string{`"x"`, `"Patient/9"`, `"Patient/1"`, `"#a"`, `"#"`, `"http://up:9000/fhir/Patient/77"`, `"http://elsewhere.org/Patient/7"`, `"urn:uuid:0b6fb4f5-4a42-4b4c-9a3e-9d6f4f1f7d11"`,
	`"urn:oid:1.2.3"`, `"1999"`, `"1999-12"`, `"1999-12-31"`, `"1930-01-02"`, `"2024-02-29T23:59:59+14:00"`, `"2024-02-30"`, `"12:30:00"`, `"http://loinc.org"`, `"http://local.example/codes"`,
	`"final"`, `"male"`, `"02138"`, `"03601-1234"`, `"K1A 0B1"`, `"a"`, `"years"`, `"ombCategory"`, `"http://hl7.org/fhir/StructureDefinition/data-absent-reason"`, `"masked"`, `"REDACTED"`,
	`"` + observationValue + `"`, `"http://hl7.org/fhir/StructureDefinition/Patient"`, `"a\"b\\cé"`, `"\u00e4"`, `""`, `1`, `0`, `91`, `-3.50`, `1e400`, `true`, `false`, `null`, `"Observation"`, `"bad id!"`}

// mutated has so many of its scalars replaced.
func mutated(r *rand.Rand, doc []byte, n int) []byte {
	var tree wire.Tree
	if tree.Parse(doc) != nil {
		return doc
	}
	var edits wire.Edits
	edits.Reset(&tree)
	for range n {
		if i := r.IntN(len(tree.Nodes)); tree.Nodes[i].Kind < wire.Array {
			v := values[r.IntN(len(values))]
			if other := r.IntN(len(tree.Nodes)); r.IntN(3) == 0 && tree.Nodes[other].Kind < wire.Array {
				v = string(tree.Raw(other))
			}
			edits.Replace(i, []byte(v))
		}
	}
	return edits.Apply(nil)
}

const formRules = `
default: keep
rules:
  - {path: nodesByType('Identifier').value, method: pseudonymize, when: {system: ['http://loinc.org', 'x']}}
  - {path: nodesByType('Identifier'), method: mask}
  - {path: nodesByType('HumanName').family, method: substitute, with: '"***"'}
  - {path: nodesByType('HumanName').given, method: redact, unless: {$this: ['x', 'final']}}
  - {path: nodesByType('Extension'), method: remove, when: {url: ['x', 'ombCategory']}}
  - {path: Resource.id | Resource.meta.versionId | nodesByType('Reference').reference, method: pseudonymize}
  - {path: nodesByType('Address').postalCode, method: generalize, to: zip, digits: 3, lists: ['2010']}
  - {path: nodesByType('Quantity').value | nodesByType('decimal'), method: generalize, to: age, max_age: 89}
  - {path: nodesByType('dateTime'), method: generalize, to: month}
  - {path: nodesByType('date') | nodesByType('instant'), method: dateShift, range: 100d, keep_time: true, max_age: 89}
  - {path: nodesByType('code'), method: keep, when: {$this: ['@fhir-codes']}}
  - {path: nodesByType('code'), method: redact}
`

const pregnant = `{"resourceType":"Observation","id":"o","meta":{"versionId":"3","security":[{"system":"` + observationValue + `","code":"PSEUDED"}]},` +
	`"contained":[{"resourceType":"Patient","id":"a","birthDate":"1970-02-03","identifier":[{"system":"http://loinc.org","value":"7"}]},{"resourceType":"Device","id":"b"}],` +
	`"status":"final","subject":{"reference":"#a"},"device":{"reference":"#b"},"focus":[{"reference":"Patient/1"},{"reference":"nowhere"}],"code":{"coding":[{"system":"http://loinc.org","code":"1-8","display":"d"}]},` +
	`"effectiveDateTime":"2020-02-01T10:00:00Z","_effectiveDateTime":{"extension":[{"url":"ombCategory","valueDate":"2020-01-01"}]},"issued":"2020-02-01T10:00:00Z",` +
	`"valueQuantity":{"value":91,"unit":"years","code":"a","system":"http://unitsofmeasure.org"},"note":[{"text":"seen"}]}`

func formViews(t testing.TB) []*View {
	list := []*View{ruleView(t, formRules)}
	for _, use := range Shipped() {
		list = append(list, testView(t, use))
	}
	return list
}

// bundled are resources in one Bundle, as they are stored and as they are exchanged.
func bundled(resources ...[]byte) []byte {
	b := []byte("{\n \"resourceType\": \"Bundle\", \"meta\":{\"lastUpdated\":\"2020-01-01T00:00:00Z\"}, \"type\":\"transaction\", \"entry\": [")
	for i, doc := range resources {
		b = fmt.Appendf(b, `{"fullUrl":"urn:uuid:0b6fb4f5-4a42-4b4c-9a3e-9d6f4f1f7d%02d","resource":%s,"request":{"method":"POST","url":"Observation"}},`, i%90+10, doc)
	}
	return append(b, `{"response":{"status":"201 Created","location":"Patient/1/_history/3","lastModified":"2020-01-01T00:00:00Z"}}],"timestamp":"2020-01-01T00:00:00Z"}`...)
}

// TestFormsOfEntries: the entries of a Bundle are shown by forms as they are with it,
// whoever they are about.
func TestFormsOfEntries(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 9))
	one := formDocs()[1]
	var list [][]byte
	for i := range 40 {
		doc := mutated(r, one, 1)
		switch i % 4 {
		case 0:
			doc = bytes.Replace(doc, []byte(`"Patient/1"`), []byte(`"urn:uuid:0b6fb4f5-4a42-4b4c-9a3e-9d6f4f1f7d11"`), 1)
		case 1:
			doc = mutated(r, []byte(pregnant), 1)
		case 2:
			doc = bytes.Replace(doc, []byte(`"Patient/1"`), []byte(`"Patient/2"`), 1)
		}
		list = append(list, doc)
	}
	for _, w := range formViews(t) {
		d := newTwice(w)
		if w.entry == nil {
			t.Errorf("%s: entries are not shown one by one", w.name)
		}
		for _, c := range []Context{study, {Domain: "study", Patient: "Patient/9", Base: study.Base}, {Domain: "study", ask: true}} {
			for range 3 {
				d.hold(t, bundled(list...), c)
				d.hold(t, bundled(mutated(r, one, 3), mutated(r, []byte(pregnant), 2), []byte(`{"resourceType":"Patient","modifierExtension":[{"url":"x"}]}`)), c)
			}
		}
		used := 0
		for _, f := range d.forms.list {
			if f.part && f.used > 20 {
				used++
			}
		}
		if used < 2 {
			t.Errorf("%s: %d forms of entries are used", w.name, used)
		}
	}
}

func formDocs() [][]byte {
	docs := [][]byte{[]byte(pregnant), bytes.TrimSuffix(bytes.SplitN(labResult(1), []byte(`"resource":`), 2)[1], []byte(`,"search":{"mode":"match"}}`))}
	for i, typ := range fhir.R4.ResourceTypes() {
		p := &planter{v: fhir.R4, systems: i%2 == 0, places: map[string]string{}}
		if doc := p.object(nil, typ, 1, map[string]int{}); len(doc) <= maxForm {
			docs = append(docs, doc)
		}
	}
	return docs
}

func TestForms(t *testing.T) {
	const rounds = 4
	r := rand.New(rand.NewPCG(6, 7))
	own, _ := fhir.NewBaseSet("https://gw.example.org/r4", "http://up:9000/fhir")
	for _, w := range formViews(t) {
		d, n := newTwice(w), 0
		for _, doc := range formDocs() {
			c := Context{Domain: "study", Patient: "Patient/1", Base: "https://gw.example.org/r4", Own: own}
			for range rounds {
				d.hold(t, mutated(r, doc, r.IntN(4)), c)
				c.Patient = []string{"", "Patient/1", "Patient/2"}[r.IntN(3)]
				c.Domain = []string{"study", "study", "other"}[r.IntN(3)]
				n++
			}
		}
		if d.hits < n/5 {
			t.Errorf("%s: %d of %d documents are shown by forms", w.revision, d.hits, n)
		}
	}
}

// What a form made holds no longer once somebody is erased, or older than the bound.
func TestFormsEnd(t *testing.T) {
	erased, now := &Erased{}, time.Date(2026, 11, 21, 23, 0, 0, 0, time.UTC)
	codec, err := CodecOptions{Vault: MemoryVault(), Erased: erased}.Codec(testKey(1))
	if err != nil {
		t.Fatal(err)
	}
	w, err := Load(fhir.R4, "test", config.View{Use: "research"}, Options{Codec: codec, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	d := newTwice(w)
	doc := []byte(`{"resourceType":"Patient","id":"1","birthDate":"1936-11-22","deceasedDateTime":"2020-01-01"}`)
	for _, c := range []struct {
		what string
		do   func()
		hits int
	}{
		{"once", func() {}, 0},
		{"again", func() {}, 1},
		{"two hours later", func() { now = now.Add(2 * time.Hour) }, 1},
		{"again", func() {}, 2},
		{"erased", func() { erased.Add(codec.Tombstone("1")) }, 2},
	} {
		c.do()
		d.hold(t, doc, study)
		if d.hits != c.hits {
			t.Errorf("%s: %d shown by forms, want %d", c.what, d.hits, c.hits)
		}
	}
}

// Views laid over others have no forms of these.
func TestFormsOverlaid(t *testing.T) {
	research, limited := testView(t, "research"), testView(t, "limited")
	limited.codec = research.codec
	for w := research.Overlay(limited); w != nil; w = w.over {
		if w.forms != nil {
			t.Errorf("%s has forms", w.name)
		}
	}
}

func FuzzForms(f *testing.F) {
	f.Add([]byte(pregnant), uint64(1), uint8(2))
	f.Add([]byte(`{"resourceType":"Patient","id":"1","name":[{"given":["A","B"],"_given":[null,{"id":"x"}]}],"extension":[{"url":"ombCategory","valueCoding":{"system":"http://loinc.org","code":"x"}},{}],"birthDate":"1970"}`), uint64(2), uint8(3))
	f.Add([]byte(`{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Patient","id":"1","birthDate":"1970-01-02"}}]}`), uint64(3), uint8(1))
	views := formViews(f)
	own, _ := fhir.NewBaseSet("https://gw.example.org/r4", "http://up:9000/fhir")
	f.Fuzz(func(t *testing.T, doc []byte, seed uint64, n uint8) {
		r := rand.New(rand.NewPCG(seed, 1))
		for _, w := range views {
			d := newTwice(w)
			c := Context{Domain: "study", Patient: "Patient/1", Base: "https://gw.example.org/r4", Own: own}
			for range 4 {
				d.hold(t, doc, c)
				d.hold(t, bundled(doc, doc), c)
				doc = mutated(r, doc, int(n%8))
				c.Patient = []string{"", "Patient/1", "Patient/2"}[r.IntN(3)]
			}
		}
	})
}

// What is shown has one id, and one meta.
func TestShownNames(t *testing.T) {
	for _, bad := range []string{`{}`, `{"id":"x","meta":[{"versionId":"1"},{"versionId":"2"}]}`} {
		if s := (Shown{Doc: []byte(bad)}); s.find() == nil {
			t.Errorf("%s: got %v, want an error", bad, s)
		}
	}
}
