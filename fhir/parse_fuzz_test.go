package fhir

import (
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// stable holds law 1: what was parsed and what is sent are the same request,
// in bytes that no server can read in another way.
func stable(t interface{ Errorf(string, ...any) }, a *Access, o Options) {
	target := a.Target()
	for i := 0; i < len(target); i++ {
		if c := target[i]; !idByte[c] && !strings.ContainsRune("_~,:/*%?&=$", rune(c)) {
			t.Errorf("%q has the byte %q", target, c)
			return
		}
	}
	path, query, _ := strings.Cut(target, "?")
	if path != "" {
		path = "/" + path
	}
	r := Request{Method: a.Verb(), Path: path, Query: query, Body: a.Body, ContentType: a.ContentType, Header: map[string][]string{}}
	for name, v := range map[string]string{"If-Match": a.IfMatch, "If-None-Match": a.IfNoneMatch, "If-Modified-Since": a.IfModifiedSince, "If-None-Exist": a.IfNoneExist(), "Prefer": prefers(a)} {
		if v != "" {
			r.Header[name] = []string{v}
		}
	}
	b, err := Parse(r, o)
	if err != nil {
		t.Errorf("%s was printed and is refused: %v", target, err)
		return
	}
	want := *a
	want.Head, want.Results.Pretty = false, false
	if len(b.Criteria) == 0 {
		b.Criteria, want.Criteria = nil, nil
	}
	if !reflect.DeepEqual(&want, b) && !reordered(&want, b) {
		t.Errorf("%s parses to %+v, was %+v", target, b, &want)
	}
	if again := b.Target(); again != target {
		t.Errorf("%s prints as %s the second time", target, again)
	}
}

// reordered: an operation's _typeFilters are printed after its other parameters.
func reordered(a, b *Access) bool { return len(a.Filters) > 0 && a.Target() == b.Target() }

func prefers(a *Access) string {
	var list []string
	if a.ReturnPref != "" {
		list = append(list, "return="+a.ReturnPref)
	}
	if a.Async {
		list = append(list, "respond-async")
	}
	return strings.Join(list, ",")
}

func FuzzParse(f *testing.F) {
	for _, q := range []string{
		"", "name=x&_count=5", "subject:Patient.organization.name=x", "_has:Observation:patient:code=a|b,c", "_id=1&_type=Patient",
		"code-value-quantity=a$gt5", `name=a\,b&_pretty=true`, "_include=*&_revinclude:iterate=Provenance:target", "_sort=-date,_id&_summary=count",
		"date=ge2026-01-01T00:00:00%2B01:00", "patient=1,Patient/2", "_typeFilter=Observation%3Fcode%3Da", "_since=2026-01-01T00:00:00Z", "near=1|2|3|km",
	} {
		for _, path := range []string{"", "/Observation", "/Patient", "/Patient/1", "/Patient/1/*", "/Patient/1/Observation", "/Patient/1/_history/2", "/$export", "/Patient/1/$everything", "/Observation/$lastn"} {
			f.Add("GET", path, q, "")
		}
	}
	f.Add("POST", "/Observation/_search", "", "patient=A")
	f.Add("PUT", "/Patient", "identifier=x", `{"resourceType":"Patient"}`)
	f.Add("POST", "", "", `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Patient/1"}}]}`)
	f.Add("POST", "/Patient/1/$everything", "", `{"resourceType":"Parameters","parameter":[{"name":"start","valueDate":"2026"}]}`)
	o := options(f)
	f.Fuzz(func(t *testing.T, method, path, query, body string) {
		r := Request{Method: method, Path: path, Query: query, ContentType: "application/fhir+json", Body: []byte(body)}
		if strings.HasSuffix(path, "_search") {
			r.ContentType = "application/x-www-form-urlencoded"
		}
		a, err := Parse(r, o)
		if err != nil {
			return
		}
		a.Touches()
		a.Types()
		a.Included()
		if len(a.Entries) == 0 {
			stable(t, a, o)
		}
		for _, e := range a.Entries {
			if e.Access != nil {
				stable(t, e.Access, o)
			}
		}
	})
}

func FuzzParseRef(f *testing.F) {
	for _, s := range []string{"Patient/1", "https://gw.example/fhir/Patient/1/_history/2", "urn:uuid:1", "#a", "../Patient/1"} {
		f.Add(s)
	}
	own := mustBases(f, "https://gw.example/fhir")
	f.Fuzz(func(t *testing.T, s string) {
		ref, version, ok := own.ParseRef(s)
		if !ok {
			return
		}
		if version != "" {
			ref.ID += "/_history/" + version
		}
		if again, v, ok := own.ParseRef(ref.String()); !ok || v != version || again.Type != ref.Type {
			t.Errorf("%q reads as %v", s, ref)
		}
	})
}

// Any search put together from R4's own parameters is stable, whatever its
// values are made of.
func TestSearchesAreStable(t *testing.T) {
	o := options(t)
	var params []pair // type, code
	for _, typ := range R4.ResourceTypes() {
		for p := range R4.SearchParams(typ) {
			params = append(params, pair{typ, p.Code})
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		one := rapid.SampledFrom(params).Draw(t, "param")
		name := one.value + rapid.SampledFrom([]string{"", ":not", ":exact", ":missing", ":Patient", ":identifier", ":Patient.name", ".identifier"}).Draw(t, "suffix")
		value := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"1", "true", "ge2026", "a|b", "Patient/1", "5.4|s|u", "a$5", "http://x/y|1"})).Draw(t, "value")
		query := string(escape(appendName(nil, 0, name), value))[1:]
		for _, path := range []string{"/" + one.name, "/Patient/1/" + one.name} {
			if a, err := Parse(Request{Method: "GET", Path: path, Query: query}, o); err == nil {
				stable(t, a, o)
			}
		}
	})
}
