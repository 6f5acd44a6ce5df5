package judge

import (
	"bytes"
	"fmt"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
	"gatehouse/gateway/view"
)

// Projection is what _elements and _summary leave of a resource. It is applied
// after judgement: the upstream sends resources whole, since a part of one may
// lack the label or the patient that it must be judged by (FHIR-07).
type Projection struct {
	Elements []string // _elements: top-level names, or Type.name
	Summary  string   // true, text, data
}

// modifiers are the top elements that can turn the meaning of the others round (R4
// §2.4.1.2: isModifier, those of all releases): a part without them says something
// else. One of the name that is none is kept too, and says no more than was asked for.
var modifiers = map[string]bool{
	"modifierExtension": true, "implicitRules": true, "status": true, "clinicalStatus": true, "verificationStatus": true,
	"lifecycleStatus": true, "active": true, "deceased": true, "link": true, "intent": true, "mode": true, "scope": true,
	"doNotPerform": true, "notDone": true, "notGiven": true, "wasNotGiven": true, "taken": true, "isSubpotent": true, "actuality": true, "inactive": true,
}

const subsetted = `{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}`

// apply drops the elements that were not asked for and marks the rest as a part.
func (p *Projection) apply(v fhir.Version, doc []byte) ([]byte, error) {
	var t wire.Tree
	if err := t.Parse(doc); err != nil {
		return nil, fmt.Errorf("project: %w", err)
	}
	var e wire.Edits
	e.Reset(&t)
	typ := ""
	if i := t.Get(0, "resourceType"); i >= 0 {
		typ = t.Text(i)
	}
	meta := -1
	for i := t.First(0); i < int(t.Nodes[0].Next); i = int(t.Nodes[i].Next) {
		name := string(bytes.TrimPrefix(t.Name(i), []byte("_")))
		if name == "meta" {
			meta = i
		}
		if !p.keeps(v, typ, name) {
			e.Remove(i)
		}
	}
	mark(&t, &e, meta)
	return e.Apply(nil), nil
}

func (p *Projection) keeps(v fhir.Version, typ, name string) bool {
	switch name {
	case "resourceType", "id", "meta":
		return true
	}
	info, ok := v.Element(typ, name)
	if ok && (info.Required || modifiers[name] || modifiers[info.Path]) {
		return true
	}
	switch p.Summary {
	case "data":
		return name != "text"
	case "text":
		return name == "text"
	case "true":
		return ok && info.Summary
	}
	for _, want := range p.Elements {
		if want == name || want == typ+"."+name || ok && info.Choice && (want == info.Path || want == typ+"."+info.Path) {
			return true
		}
	}
	return false
}

// mark adds the SUBSETTED tag, so that nobody writes the part back as the whole.
func mark(t *wire.Tree, e *wire.Edits, meta int) {
	if meta < 0 {
		e.Append(0, "meta", []byte(`{"tag":[`+subsetted+`]}`))
		return
	}
	if tag := t.Get(meta, "tag"); tag >= 0 {
		e.AppendElement(tag, []byte(subsetted))
		return
	}
	e.Append(meta, "tag", []byte(`[`+subsetted+`]`))
}

// rename gives the id that a view gave a resource, and writes the client's version
// over what stands there, where there is one: with a view the same version has other
// bytes, and its number must not be comparable between clients (DESIGN §10.6). What it
// writes is appended to dst.
func rename(dst []byte, s view.Shown, version string) (room, out []byte, id string, err error) {
	number := s.Version.Of(s.Doc)
	if id, err = wire.Unquote(s.ID.Of(s.Doc)); err != nil || number == nil || version == "" || wire.Equal(number, version) {
		return dst, s.Doc, id, err
	}
	start := len(dst)
	dst = wire.Quote(append(dst, s.Doc[:s.Version.Start]...), version)
	dst = append(dst, s.Doc[s.Version.End:]...)
	return dst, dst[start:len(dst):len(dst)], id, nil
}
