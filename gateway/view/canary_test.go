package view

import (
	"fmt"
	"maps"
	"regexp"
	"strings"
	"testing"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
)

// planter writes, for one type, a value with a canary in every string-like
// leaf, each canary once.
type planter struct {
	v       fhir.Version
	systems bool              // Coding.system and the like name published systems, extension urls are let in
	places  map[string]string // canary → "Type.element" where it stands
	n       int
}

// What a view hides of a modifier withholds the resource: see TestModifiers.

const plantedDay = "1961-05-17" // a shifted date may meet another one, never its own

var planted = regexp.MustCompile(`canary[0-9]{6}`)

func (p *planter) token(place string) string {
	p.n++
	c := fmt.Sprintf("canary%06d", p.n)
	p.places[c] = place
	return c
}

func (p *planter) object(b []byte, typ string, depth int, path map[string]int) []byte {
	b = append(b, '{')
	if p.v.Kind(typ) == fhir.Resource {
		b = fmt.Appendf(b, `"resourceType":%q,`, typ)
	}
	path[typ]++
	defer func() { path[typ]-- }()
	for e := range p.v.Elements(typ) {
		if e.Type == "" || path[e.Type] > 0 || modifies(e.Name) || e.Type == "Extension" && depth > 1 || depth > 2 && p.v.Kind(e.Type) != fhir.Primitive {
			continue
		}
		value := p.value(e, typ, depth, path)
		if value == nil {
			continue
		}
		if e.Array {
			value = append(append([]byte{'['}, value...), ']')
		}
		b = fmt.Appendf(b, "%q:%s,", e.Name, value)
		if p.v.Kind(e.Type) == fhir.Primitive && typ != "Extension" && e.Name != "id" && depth < 2 {
			side := fmt.Sprintf(`{"id":%q,"extension":[{"url":%q,"valueString":%q}]}`, p.token("_.id"), p.token("_.url"), p.token("_.valueString"))
			if e.Array {
				side = "[" + side + "]"
			}
			b = fmt.Appendf(b, "%q:%s,", "_"+e.Name, side)
		}
	}
	if b[len(b)-1] == ',' {
		b = b[:len(b)-1]
	}
	return append(b, '}')
}

func (p *planter) value(e fhir.ElementInfo, typ string, depth int, path map[string]int) []byte {
	place := typ + "." + e.Name
	switch e.Type {
	case "boolean":
		return []byte("true")
	case "integer", "positiveInt", "unsignedInt", "decimal":
		return []byte("7")
	case "date", "dateTime", "instant":
		if e.Type == "date" {
			return []byte(`"` + plantedDay + `"`)
		}
		return []byte(`"` + plantedDay + `T12:34:56.789Z"`)
	case "Resource":
		if depth > 1 {
			return nil
		}
		return p.object(nil, "Patient", depth+1, path)
	}
	if p.v.Kind(e.Type) != fhir.Primitive {
		return p.object(nil, e.Type, depth+1, path)
	}
	switch {
	case p.systems && e.Name == "system" && e.Type == "uri":
		return []byte(`"http://loinc.org"`)
	case p.systems && place == "Extension.url":
		return []byte(`"ombCategory"`)
	case place == "Reference.reference":
		return wire.Quote(nil, "Patient/"+p.token(place))
	case e.Type == "uri" || e.Type == "url" || e.Type == "canonical":
		return wire.Quote(nil, "http://example.org/"+p.token(place))
	}
	return wire.Quote(nil, p.token(place))
}

// releases are all of them; in a short run the one that most have.
func releases() []fhir.Version {
	if testing.Short() {
		return []fhir.Version{fhir.R4}
	}
	return fhir.Versions
}

// survivors are the places whose canary is found in what the view shows.
func survivors(t *testing.T, w *View, systems bool) map[string]int {
	t.Helper()
	found := map[string]int{}
	var tree wire.Tree
	leaves := 0
	for _, typ := range w.version.ResourceTypes() {
		p := &planter{v: w.version, systems: systems, places: map[string]string{}}
		doc := p.object(nil, typ, 0, map[string]int{})
		if err := tree.Parse(doc); err != nil {
			t.Fatalf("%s: planted badly: %v", typ, err)
		}
		out := apply(t, w, string(doc))
		if err := tree.Parse([]byte(out)); err != nil {
			t.Fatalf("%s: the view made broken JSON: %v", typ, err)
		}
		for _, canary := range planted.FindAllString(out, -1) {
			found[p.places[canary]]++
		}
		if strings.Contains(out, plantedDay) {
			found["a date in "+typ]++
		}
		leaves += len(p.places)
	}
	t.Logf("%s: %d canaries in %d types, %d places survive", w.version, leaves, len(w.version.ResourceTypes()), len(found))
	return found
}

// D-02 to D-13, DEIDENTIFICATION A.4: nothing of what anybody could have
// written survives safe-harbor; with published systems, only their codes.
func TestCanariesSafeHarbor(t *testing.T) {
	reasons := map[string]string{
		"Coding.code":   "a published system's code",
		"Quantity.code": "a unit's code", "Age.code": "a unit's code", "Duration.code": "a unit's code", "Count.code": "a unit's code", "Distance.code": "a unit's code",
	}
	for _, v := range releases() {
		w := viewOf(t, v, "safe-harbor")
		if found := survivors(t, w, false); len(found) > 0 {
			t.Errorf("%s: survivors: %v", v, found)
		}
		for place := range survivors(t, w, true) {
			if reasons[place] == "" {
				t.Errorf("%s: survives: %s", v, place)
			}
		}
	}
}

// In research a place survives only for a reason.
func TestCanariesResearch(t *testing.T) {
	reasons := map[string]string{
		"Coding.code":   "clinical content; local codes too, without their display",
		"Coding.system": "what a code means",
	}
	inSystems := map[string]string{"Coding.display": "of published systems alone"}
	for _, typ := range []string{"Quantity", "Age", "Duration", "Count", "Distance"} {
		inSystems[typ+".code"] = "a unit's code"
		inSystems[typ+".unit"] = "a unit as printed, of published systems alone"
	}
	maps.Copy(inSystems, reasons)
	for _, v := range releases() {
		w := viewOf(t, v, "research")
		for place := range survivors(t, w, false) {
			if reasons[place] == "" {
				t.Errorf("%s: survives: %s", v, place)
			}
		}
		for place := range survivors(t, w, true) {
			if inSystems[place] == "" {
				t.Errorf("%s: survives with published systems: %s", v, place)
			}
		}
	}
}

// Of a limited data set town and state stay, and no string beyond research's.
func TestCanariesLimited(t *testing.T) {
	reasons := map[string]string{"Coding.code": "as in research", "Coding.system": "as in research"}
	for _, element := range []string{"city", "state", "country", "postalCode"} {
		reasons["Address."+element] = "the rule lets a town, state, country and ZIP code stay"
	}
	for _, v := range releases() {
		for place := range survivors(t, viewOf(t, v, "limited"), false) {
			if reasons[place] == "" && !strings.HasPrefix(place, "a date in ") {
				t.Errorf("%s: survives: %s", v, place)
			}
		}
	}
}

// When the server stored a record anybody can know who saw it written: shifted
// it tells the patient's offset, and shown it finds the record again.
func TestNoViewTellsWhenTheServerStored(t *testing.T) {
	for _, use := range Shipped() {
		out := apply(t, testView(t, use), `{"resourceType":"Patient","id":"1","birthDate":"1970-03-01","meta":{"versionId":"1","lastUpdated":"2026-03-04T05:06:07.089Z"},`+
			`"contained":[{"resourceType":"Condition","id":"c","meta":{"lastUpdated":"2026-03-04T05:06:07.089Z"},"subject":{"reference":"#"}}]}`)
		if strings.Contains(out, "lastUpdated") || strings.Contains(out, "07.089") {
			t.Errorf("%s: %s", use, out)
		}
		if v := testView(t, use).Hides("Observation", "meta.lastUpdated"); v == Kept {
			t.Errorf("%s: a search may ask when a record was stored", use)
		}
	}
}

// Every place of A.4 that survives the other tool's sample, by name.
func TestKnownLeaks(t *testing.T) {
	w := testView(t, "safe-harbor")
	for _, doc := range []string{
		`{"resourceType":"AuditEvent","agent":[{"altId":"SECRET","name":"SECRET","network":{"address":"SECRET"}}],"entity":[{"name":"SECRET","query":"U0VDUkVU","detail":[{"type":"SECRET","valueString":"SECRET"}]}],"outcomeDesc":"SECRET","source":{"site":"SECRET"}}`,
		`{"resourceType":"Composition","title":"SECRET","section":[{"title":"SECRET","text":{"status":"generated","div":"<div>SECRET</div>"}}]}`,
		`{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"invalid","diagnostics":"Patient/SECRET","details":{"text":"SECRET"},"expression":["SECRET"]}]}`,
		`{"resourceType":"Parameters","parameter":[{"name":"SECRET","valueString":"SECRET","part":[{"name":"SECRET","resource":{"resourceType":"Patient","name":[{"text":"SECRET"}]}}]}]}`,
		`{"resourceType":"Bundle","type":"searchset","link":[{"relation":"self","url":"http://u/Patient?name=SECRET"}],"entry":[{"fullUrl":"http://u/Patient/SECRET","resource":{"resourceType":"Patient","id":"SECRET","meta":{"source":"SECRET"}},"request":{"method":"GET","url":"Patient?name=SECRET","ifNoneExist":"SECRET"},"response":{"status":"SECRET","etag":"SECRET","location":"SECRET","outcome":{"resourceType":"OperationOutcome","issue":[{"diagnostics":"SECRET"}]}}}]}`,
		`{"resourceType":"Device","lotNumber":"SECRET","partNumber":"SECRET","url":"http://SECRET","udiCarrier":[{"deviceIdentifier":"SECRET"}]}`,
		`{"resourceType":"ImagingStudy","series":[{"uid":"1.2.SECRET","instance":[{"uid":"SECRET","title":"SECRET"}]}]}`,
		`{"resourceType":"Patient","gender":"SECRET","language":"SECRET","contained":[{"resourceType":"RelatedPerson","id":"SECRET","name":[{"family":"SECRET"}]}],"link":[{"other":{"reference":"#SECRET","display":"SECRET"},"type":"seealso"}],"birthDate":"SECRET"}`,
		`{"resourceType":"Observation","valueString":"SECRET","valueDateTime":"2020-01-01TSECRET","code":{"coding":[{"system":"http://loinc.org","code":"1-8","display":"SECRET"}],"text":"SECRET"}}`,
		`{"resourceType":"Group","member":[{"entity":{"reference":"http://other.example/Patient/SECRET","display":"SECRET"}}]}`,
	} {
		if out := apply(t, w, doc); strings.Contains(out, "SECRET") || strings.Contains(out, "U0VDUkVU") {
			t.Errorf("%s\nshows %s", doc, out)
		}
	}
}
