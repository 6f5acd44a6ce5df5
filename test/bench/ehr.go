package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"gatehouse/fhir/wire"
)

// ehr is the upstream: synthetic resources, composed once.
type ehr struct {
	base  string
	pages map[string][]byte // by the query's status
}

func newEHR(base string) *ehr {
	e := &ehr{base: base}
	e.pages = map[string][]byte{"final": e.page(1), "final,amended": e.page(perPage)}
	return e
}

const fhirJSON = "application/fhir+json"

// observation is a resource of about 1 KB, as servers send them.
func observation(id, patient string) []byte {
	return fmt.Appendf(nil, `{"resourceType":"Observation","id":"%s","meta":{"versionId":"3","lastUpdated":"2024-03-05T09:12:44.120+01:00","profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-observation-lab"]},`+
		`"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><p><b>Hemoglobin A1c</b>: 6.10 %%</p></div>"},`+
		`"identifier":[{"system":"urn:oid:1.2.3.4.5","value":"LAB-%s"}],"status":"final",`+
		`"category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory","display":"Laboratory"}]}],`+
		`"code":{"coding":[{"system":"http://loinc.org","code":"4548-4","display":"Hemoglobin A1c/Hemoglobin.total in Blood"}],"text":"HbA1c"},`+
		`"subject":{"reference":"Patient/%s"},"encounter":{"reference":"Encounter/e-%s"},"effectiveDateTime":"2024-03-05T09:12:44+01:00","issued":"2024-03-05T09:12:44.120+01:00",`+
		`"performer":[{"reference":"Organization/2"}],"valueQuantity":{"value":6.10,"unit":"%%","system":"http://unitsofmeasure.org","code":"%%"}}`, id, id, patient, id)
}

func consentOf(patient string) []byte {
	return fmt.Appendf(nil, `{"resourceType":"Consent","id":"c-%s","meta":{"versionId":"1"},"status":"active","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]},`+
		`"category":[{"coding":[{"system":"http://loinc.org","code":"59284-0"}]}],"patient":{"reference":"Patient/%s"},"dateTime":"2024-01-01","provision":{"type":"permit"}}`, patient, patient)
}

const perPage = 100

// page is a searchset of 100 Observations of so many patients.
func (e *ehr) page(patients int) []byte {
	var entries [][]byte
	for i := range perPage {
		entries = append(entries, e.entry(i, patients))
	}
	return e.bundle(entries)
}

func (e *ehr) entry(i, patients int) []byte {
	id := "o" + strconv.Itoa(i)
	return fmt.Appendf(nil, `{"fullUrl":"%s/Observation/%s","resource":%s,"search":{"mode":"match"}}`, e.base, id, observation(id, "p"+strconv.Itoa(i%patients)))
}

// unlike is a page of 100 patients of which no two resources have their members in
// the same order, but for the first three.
func (e *ehr) unlike() []byte {
	var entries [][]byte
	for i := range perPage {
		var t wire.Tree
		one := observation("o"+strconv.Itoa(i), "p"+strconv.Itoa(i))
		if err := t.Parse(one); err != nil {
			panic(err) // it is made here
		}
		var members [][]byte
		for m := range t.Children(0) {
			members = append(members, one[t.Nodes[m].NameStart-1:t.Nodes[m].End])
		}
		rest := members[3:]
		slices.Reverse(rest[:2+i/len(rest)])
		turned := slices.Concat(members[:3], rest[i%len(rest):], rest[:i%len(rest)])
		entries = append(entries, slices.Concat([]byte(`{"fullUrl":"`+e.base+`/Observation/o`+strconv.Itoa(i)+`","resource":{`), bytes.Join(turned, []byte(",")), []byte(`},"search":{"mode":"match"}}`)))
	}
	return e.bundle(entries)
}

func (e *ehr) head() string {
	return `{"resourceType":"Bundle","id":"b","meta":{"lastUpdated":"2024-03-05T09:12:44+01:00"},"type":"searchset","link":[{"relation":"self","url":"` + e.base + `/Observation"}],"entry":[`
}

func (e *ehr) bundle(entries [][]byte) []byte {
	return append(append([]byte(e.head()), bytes.Join(entries, []byte(","))...), "]}"...)
}

func (e *ehr) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header()["Content-Type"] = []string{fhirJSON}
	path := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/fhir/"), "/_search")
	_ = r.ParseForm() // what cannot be read asks for nothing
	query := r.Form
	var body []byte
	switch {
	case path == "Observation" && query.Has("code"):
		e.endless(w, query.Get("code"))
		return
	case path == "Observation":
		body = e.pages[query.Get("status")]
	case strings.HasPrefix(path, "Observation/"):
		w.Header()["Etag"] = []string{`W/"3"`}
		w.Header()["Last-Modified"] = []string{"Tue, 05 Mar 2024 08:12:44 GMT"}
		body = theRead
	case path == "Consent":
		body = e.consents(query)
	default:
		body = e.bundle(nil)
	}

	w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
	_, _ = w.Write(body) // the client may be gone
}

var theRead = observation("o0", "p0")

func (e *ehr) consents(query url.Values) []byte {

	var entries [][]byte
	for _, p := range strings.Split(query.Get("patient"), ",") {
		entries = append(entries, append(append([]byte(`{"resource":`), consentOf(strings.TrimPrefix(p, "Patient/"))...), '}'))
	}
	return e.bundle(entries)
}

// endless streams a searchset of so many bytes, made on the fly.
func (e *ehr) endless(w http.ResponseWriter, bytesAsked string) {
	left, err := strconv.ParseInt(bytesAsked, 10, 64)
	if err != nil {
		http.Error(w, "", http.StatusBadRequest)
		return
	}
	chunk := bytes.Join([][]byte{e.entry(0, 1), e.entry(1, 1), e.entry(2, 1), e.entry(3, 1)}, []byte(","))
	write := func(b []byte) { _, err = w.Write(b) }
	write([]byte(e.head()))
	write(chunk)
	for left -= int64(len(chunk)); left > 0 && err == nil; left -= int64(len(chunk)) {
		write([]byte(","))
		write(chunk)
	}
	write([]byte("]}"))
}
