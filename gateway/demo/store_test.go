package demo

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

const testBase = "http://store.example.org/fhir"

func newStore(t *testing.T, resources ...string) *Store {
	t.Helper()
	s, err := NewStore(testBase)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range resources {
		if err := s.Load([][]byte{[]byte(r)}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// ask sends a request; headers are pairs.
func ask(t *testing.T, s http.Handler, method, target, body string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, testBase+target, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", fhirJSON)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Result()
}

func text(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// bundle is as much of a Bundle as the tests look at.
type bundle struct {
	Type  string
	Total *int
	Link  []struct{ Relation, URL string }
	Entry []struct {
		Resource struct {
			ResourceType, ID string
			Meta             struct{ VersionID string }
		}
		Search   struct{ Mode string }
		Request  struct{ Method string }
		Response struct{ Status, Location string }
	}
}

func (b *bundle) ids() (ids []string) {
	for _, e := range b.Entry {
		id := e.Resource.ID
		if e.Search.Mode == "include" {
			id = "+" + id
		}
		ids = append(ids, id)
	}
	return ids
}

func (b *bundle) next() string {
	for _, l := range b.Link {
		if l.Relation == "next" {
			return strings.TrimPrefix(l.URL, testBase)
		}
	}
	return ""
}

func get(t *testing.T, s http.Handler, target string) *bundle {
	t.Helper()
	r := ask(t, s, "GET", target, "")
	body := text(t, r)
	var b bundle
	if err := json.Unmarshal([]byte(body), &b); err != nil || r.StatusCode != 200 {
		t.Fatalf("GET %s: %d %v %s", target, r.StatusCode, err, body)
	}
	return &b
}

// What is stored keeps its bytes; id, version and time alone are written.
func TestBytesSurvive(t *testing.T) {
	s := newStore(t)
	const body = "{ \"resourceType\" : \"Observation\",\n \"valueQuantity\":{\"value\":1.10, \"x\":1e-3},\"code\":{\"text\":\"M\\u00fcller\"} , \"meta\":{\"tag\":[]}}"
	r := ask(t, s, "POST", "/Observation", body)
	if r.StatusCode != 201 || r.Header.Get("ETag") != `W/"1"` {
		t.Fatalf("got %d %v", r.StatusCode, r.Header)
	}
	at := strings.TrimPrefix(r.Header.Get("Location"), testBase)
	got := text(t, ask(t, s, "GET", at, ""))
	for _, part := range []string{"{ \"resourceType\" : \"Observation\",\n \"valueQuantity\":{\"value\":1.10, \"x\":1e-3},\"code\":{\"text\":\"M\\u00fcller\"} , \"meta\":{\"tag\":[]", `"versionId":"1"`} {
		if !strings.Contains(got, part) {
			t.Errorf("%s is not in %s", part, got)
		}
	}
}

func TestVersions(t *testing.T) {
	s := newStore(t, `{"resourceType":"Patient","id":"a","active":true}`)
	for _, c := range []struct {
		name, method, target, body string
		headers                    []string
		want                       int
	}{
		{"update", "PUT", "/Patient/a", `{"resourceType":"Patient","id":"a","active":false}`, []string{"If-Match", `W/"1"`}, 200},
		{"stale", "PUT", "/Patient/a", `{"resourceType":"Patient","id":"a"}`, []string{"If-Match", `W/"1"`}, 412},
		{"patch", "PATCH", "/Patient/a", `[{"op":"replace","path":"/active","value":true}]`, []string{"Content-Type", "application/json-patch+json"}, 200},
		{"bad patch", "PATCH", "/Patient/a", `[{"op":"remove","path":"/nothing"}]`, []string{"Content-Type", "application/json-patch+json"}, 422},
		{"known version", "GET", "/Patient/a", "", []string{"If-None-Match", `W/"3"`}, 304},
		{"old version", "GET", "/Patient/a/_history/2", "", nil, 200},
		{"no such version", "GET", "/Patient/a/_history/9", "", nil, 404},
		{"update as create", "PUT", "/Patient/b", `{"resourceType":"Patient","id":"b"}`, nil, 201},
		{"only if new", "PUT", "/Patient/new", `{"resourceType":"Patient","id":"new"}`, []string{"If-None-Match", "*"}, 201},
		{"no longer new", "PUT", "/Patient/new", `{"resourceType":"Patient","id":"new"}`, []string{"If-None-Match", "*"}, 412},
		{"another's id", "PUT", "/Patient/b", `{"resourceType":"Patient","id":"c"}`, nil, 400},
		{"not JSON", "POST", "/Patient", `{`, nil, 400},
		{"twice the same name", "POST", "/Patient", `{"resourceType":"Patient","active":true,"active":false}`, nil, 400},
		{"unknown type", "GET", "/Nothing/a", "", nil, 400},
		{"unknown parameter", "GET", "/Patient?colour=red", "", nil, 400},
		{"delete", "DELETE", "/Patient/a", "", nil, 204},
		{"deleted", "GET", "/Patient/a", "", nil, 410},
		{"deleted again", "DELETE", "/Patient/a", "", nil, 204},
		{"head", "HEAD", "/Patient/b", "", nil, 200},
	} {
		if got := ask(t, s, c.method, c.target, c.body, c.headers...); got.StatusCode != c.want {
			t.Errorf("%s: got %d %s, want %d", c.name, got.StatusCode, text(t, got), c.want)
		}
	}
	b := get(t, s, "/Patient/a/_history")
	methods := []string{}
	for _, e := range b.Entry {
		methods = append(methods, e.Request.Method)
	}
	if want := []string{"DELETE", "PATCH", "PUT", "PUT"}; !slices.Equal(methods, want) {
		t.Errorf("history: got %v, want %v", methods, want)
	}
	if got := get(t, s, "/_history"); len(got.Entry) != 6 {
		t.Errorf("system history: got %d entries, want 6", len(got.Entry))
	}
}

func TestConditional(t *testing.T) {
	s := newStore(t)
	const anna = `{"resourceType":"Patient","identifier":[{"system":"urn:x","value":"1"}]}`
	for _, c := range []struct {
		name, method, target, body string
		headers                    []string
		want                       int
	}{
		{"create", "POST", "/Patient", anna, []string{"If-None-Exist", "identifier=urn:x|1"}, 201},
		{"is there", "POST", "/Patient", anna, []string{"If-None-Exist", "identifier=urn:x|1"}, 200},
		{"update", "PUT", "/Patient?identifier=urn:x|1", anna, nil, 200},
		{"none", "PUT", "/Patient?identifier=urn:x|2", anna, nil, 201},
		{"several", "PUT", "/Patient?identifier=urn:x|1", anna, nil, 412},
		{"delete several", "DELETE", "/Patient?identifier=urn:x|1", "", nil, 412},
	} {
		if got := ask(t, s, c.method, c.target, c.body, c.headers...); got.StatusCode != c.want {
			t.Errorf("%s: got %d %s, want %d", c.name, got.StatusCode, text(t, got), c.want)
		}
	}
}

var family = []string{
	`{"resourceType":"Organization","id":"o","name":"Ward"}`,
	`{"resourceType":"Patient","id":"a","name":[{"family":"Abel"}],"birthDate":"1950","managingOrganization":{"reference":"Organization/o"}}`,
	`{"resourceType":"Patient","id":"b","name":[{"family":"Bär"}],"birthDate":"1940-05"}`,
	`{"resourceType":"Patient","id":"c","birthDate":"1960-05-01"}`,
	`{"resourceType":"Observation","id":"x","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"1"}]},"subject":{"reference":"Patient/a"},"valueQuantity":{"value":9}}`,
	`{"resourceType":"Observation","id":"y","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"2"}]},"subject":{"reference":"http://store.example.org/fhir/Patient/b"},"valueQuantity":{"value":10},"hasMember":[{"reference":"Observation/x"}]}`,
	`{"resourceType":"Observation","id":"z","status":"final","code":{"text":"x"},"performer":[{"reference":"Patient/a"}]}`,
}

func TestSearch(t *testing.T) {
	s := newStore(t, family...)
	for _, c := range []struct{ target, want string }{
		{"/Patient", "a b c"},
		{"/Patient?name=abel", "a"},
		{"/Patient?_sort=birthdate", "b a c"},
		{"/Patient?_sort=-birthdate", "c a b"},
		{"/Patient?_sort=family", "a b c"},
		{"/Patient?birthdate=lt1955", "a b"},
		{"/Observation?patient=Patient/a", "x"},
		{"/Observation?subject=Patient/b", "y"},
		{"/Observation?subject:Patient.name=abel", "x"},
		{"/Observation?patient.organization.name=ward", "x"},
		{"/Patient?_has:Observation:subject:code=http://loinc.org|2", "b"},
		{"/Patient?organization:Organization.name=none", ""},
		{"/Observation?code=1,2&_sort=-value-quantity", "y x"},
		{"/Observation?code=1&_include=Observation:subject", "x +a"},
		{"/Observation?code=2&_include=Observation:has-member&_include:iterate=Observation:subject", "y +x +b +a"},
		{"/Patient?_id=a&_revinclude=Observation:subject", "a +x"},
		{"/Patient?_id=a&_revinclude=Observation:performer", "a +z"},
		{"/Patient/a/Observation", "x z"},
		{"/Patient/a/Observation?code=1", "x"},
		{"/Patient/a/*", "a x z"},
		{"/Patient/a/$everything", "a x z o"},
		{"/?_type=Patient,Organization&_id=a,o", "a o"},
		{"/Observation?_lastUpdated=gt2100", ""},
	} {
		got := strings.Join(get(t, s, c.target).ids(), " ")
		if words := strings.Fields(c.want); !slices.Equal(sorted(strings.Fields(got), c.target), sorted(words, c.target)) {
			t.Errorf("%s: got %q, want %q", c.target, got, c.want)
		}
	}
	r := httptest.NewRequest("POST", testBase+"/Patient/_search", strings.NewReader("name=abel"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if !strings.Contains(w.Body.String(), `"total":1`) {
		t.Errorf("POST _search: got %s", w.Body)
	}
}

// sorted compares as sets where the order is not asked for.
func sorted(ids []string, target string) []string {
	if strings.Contains(target, "_sort") {
		return ids
	}
	ids = slices.Clone(ids)
	slices.Sort(ids)
	return ids
}

func TestPages(t *testing.T) {
	s := newStore(t)
	if err := s.Load(Patients(25)); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	pages := 0
	for target := "/Patient?_count=10&_sort=family"; target != ""; pages++ {
		b := get(t, s, target)
		if b.Total == nil || *b.Total != 25 {
			t.Errorf("page %d: total is %v, want 25", pages, b.Total)
		}
		for _, id := range b.ids() {
			seen[id] = true
		}
		target = b.next()
	}
	if len(seen) != 25 || pages != 3 {
		t.Errorf("got %d patients on %d pages, want 25 on 3", len(seen), pages)
	}
	if b := get(t, s, "/Patient?_summary=count"); len(b.Entry) != 0 || *b.Total != 25 {
		t.Errorf("count: got %+v", b)
	}
	if got := ask(t, s, "GET", "?_getpages=nothing&_getpagesoffset=0&_count=1", ""); got.StatusCode != 410 {
		t.Errorf("foreign page: got %d, want 410", got.StatusCode)
	}
}

func TestTransaction(t *testing.T) {
	s := newStore(t, family...)
	const good = `{"resourceType":"Bundle","type":"transaction","entry":[
{"fullUrl":"urn:uuid:88f151c0-a954-468a-88bd-5ae15c08e059","resource":{"resourceType":"Patient","name":[{"family":"Neu"}]},"request":{"method":"POST","url":"Patient"}},
{"resource":{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"urn:uuid:88f151c0-a954-468a-88bd-5ae15c08e059"},"performer":[{"reference":"Patient?family=Abel"}]},"request":{"method":"POST","url":"Observation"}},
{"resource":{"resourceType":"Patient","id":"a"},"request":{"method":"PUT","url":"Patient/a","ifMatch":"W/\"%s\""}},
{"request":{"method":"DELETE","url":"Patient/c"}},
{"request":{"method":"GET","url":"Patient?name=neu"}}]}`
	r := ask(t, s, "POST", "", strings.Replace(good, "%s", "9", 1))
	if r.StatusCode != 412 || len(get(t, s, "/Patient").Entry) != 3 {
		t.Errorf("a stale entry: got %d, want 412 and nothing done", r.StatusCode)
	}
	r = ask(t, s, "POST", "", strings.Replace(good, "%s", "1", 1))
	body := text(t, r)
	var b bundle
	if err := json.Unmarshal([]byte(body), &b); err != nil || r.StatusCode != 200 || len(b.Entry) != 5 {
		t.Fatalf("got %d %v %s", r.StatusCode, err, body)
	}
	for i, want := range []string{"201 Created", "201 Created", "200 OK", "204 No Content", "200 OK"} {
		if got := b.Entry[i].Response.Status; got != want {
			t.Errorf("entry %d: got %s, want %s", i, got, want)
		}
	}
	if got := get(t, s, "/Observation?patient.name=neu&performer=Patient/a"); len(got.Entry) != 1 {
		t.Errorf("references of the transaction were not resolved: %+v", got)
	}
}

func TestBatch(t *testing.T) {
	s := newStore(t, family...)
	r := ask(t, s, "POST", "", `{"resourceType":"Bundle","type":"batch","entry":[
{"request":{"method":"GET","url":"Patient/a"}},{"request":{"method":"GET","url":"Patient/none"}},{"request":{"method":"GET","url":"Nothing"}}]}`)
	body := text(t, r)
	for _, want := range []string{`"family":"Abel"`, `"status":"404 Not Found"`, `"status":"400 Bad Request"`} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is not in %s", want, body)
		}
	}
}
