package patch

import (
	"strings"
	"testing"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
)

const jsonPatch = "application/json-patch+json"

func apply(doc, body []byte, contentType string) ([]byte, error) {
	p, err := Parse(fhir.R4, body, contentType)
	if err != nil {
		return nil, err
	}
	return p.Apply(doc)
}

func TestApply(t *testing.T) {
	const doc = `{"resourceType":"Observation","status":"final","value":1.10,"category":[{"text":"a"},{"text":"b"}],"subject":{"reference":"Patient/A"},"a/b":{"~":1}}`
	for _, c := range []struct{ name, patch, want string }{
		{"replace", `[{"op":"replace","path":"/status","value":"amended"}]`, `{"resourceType":"Observation","status":"amended","value":1.10,"category":[{"text":"a"},{"text":"b"}],"subject":{"reference":"Patient/A"},"a/b":{"~":1}}`},
		{"add to the end of a list", `[{"op":"add","path":"/category/-","value":{"text":"c"}}]`, `{"resourceType":"Observation","status":"final","value":1.10,"category":[{"text":"a"},{"text":"b"},{"text":"c"}],"subject":{"reference":"Patient/A"},"a/b":{"~":1}}`},
		{"add before", `[{"op":"add","path":"/category/0","value":{"text":"c"}}]`, `{"resourceType":"Observation","status":"final","value":1.10,"category":[{"text":"c"},{"text":"a"},{"text":"b"}],"subject":{"reference":"Patient/A"},"a/b":{"~":1}}`},
		{"remove the last of an object prunes it", `[{"op":"remove","path":"/subject/reference"}]`, `{"resourceType":"Observation","status":"final","value":1.10,"category":[{"text":"a"},{"text":"b"}],"a/b":{"~":1}}`},
		{"move", `[{"op":"move","from":"/category/0","path":"/category/1"}]`, `{"resourceType":"Observation","status":"final","value":1.10,"category":[{"text":"b"},{"text":"a"}],"subject":{"reference":"Patient/A"},"a/b":{"~":1}}`},
		{"copy", `[{"op":"copy","from":"/status","path":"/issued"}]`, `{"resourceType":"Observation","status":"final","value":1.10,"category":[{"text":"a"},{"text":"b"}],"subject":{"reference":"Patient/A"},"a/b":{"~":1},"issued":"final"}`},
		{"escapes", `[{"op":"replace","path":"/a~1b/~0","value":2}]`, `{"resourceType":"Observation","status":"final","value":1.10,"category":[{"text":"a"},{"text":"b"}],"subject":{"reference":"Patient/A"},"a/b":{"~":2}}`},
		{"a test that holds", `[{"op":"test","path":"/value","value":1.1},{"op":"test","path":"/category","value":[{"text":"a"},{"text":"b"}]}]`, doc},
		{"nothing to do", `[]`, doc},
	} {
		got, err := apply([]byte(doc), []byte(c.patch), jsonPatch)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: got %s, %v; want %s", c.name, got, err, c.want)
		}
	}
}

func TestRefused(t *testing.T) {
	const doc = `{"resourceType":"Observation","category":[1]}`
	for _, patch := range []string{
		`{}`, `[1]`, `[{"op":"replace","path":"","value":{}}]`, `[{"op":"remove","path":""}]`, `[{"op":"replace","path":"/nothing","value":1}]`,
		`[{"op":"add","path":"/category/2","value":1}]`, `[{"op":"add","path":"/category/00","value":1}]`, `[{"op":"add","path":"/category/-1","value":1}]`,
		`[{"op":"remove","path":"/category/-"}]`, `[{"op":"move","from":"/category","path":"/category/0"}]`, `[{"op":"add","path":"category","value":1}]`,
		`[{"op":"add","path":"/a~2","value":1}]`, `[{"op":"add","path":"/a"}]`, `[{"op":"test","path":"/category/0","value":2}]`, `[{"op":"increment","path":"/category/0","value":2}]`,
		`[{"op":"add","op":"remove","path":"/category","value":1}]`, `[{"op":"add","path":"/resourceType/x","value":1}]`, `[{"path":"/a","value":1}]`,
	} {
		if got, err := apply([]byte(doc), []byte(patch), jsonPatch); err == nil {
			t.Errorf("%s: got %s, want an error", patch, got)
		}
	}
	if _, err := apply([]byte(doc), []byte(`[]`), "application/merge-patch+json"); err != ErrMediaType {
		t.Errorf("merge patch: got %v, want %v (W-05)", err, ErrMediaType)
	}
}

// L-03: a resource that is copied into itself again and again ends at a bound.
func TestBomb(t *testing.T) {
	const double = `{"op":"copy","from":"/a","path":"/a/-"}`
	patch := "[" + strings.Repeat(double+",", 100) + double + "]"
	if got, err := apply([]byte(`{"a":["0123456789"]}`), []byte(patch), jsonPatch); err == nil {
		t.Errorf("got %d bytes, want an error", len(got))
	}
}

// What comes out is strict JSON, whatever the patch.
func FuzzJSONPatch(f *testing.F) {
	f.Add(`{"a":[1,{"b":null}],"c":"x"}`, `[{"op":"move","from":"/a/1/b","path":"/c"},{"op":"add","path":"/a/0","value":[]}]`)
	f.Fuzz(func(t *testing.T, doc, patch string) {
		got, err := apply([]byte(doc), []byte(patch), jsonPatch)
		if err != nil || patch == "[]" {
			return
		}
		var in, out wire.Tree
		if in.Parse([]byte(doc)) == nil && out.Parse(got) != nil {
			t.Errorf("%s patched by %s is not JSON: %s", doc, patch, got)
		}
	})
}
