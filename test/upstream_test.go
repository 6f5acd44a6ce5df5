package test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Groups N, E, D and T from the upstream's side: answers that are not what was
// asked for.

// wireAnswer takes over the connection and writes bytes as they stand.
func wireAnswer(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, strings.ReplaceAll(text, "\n", "\r\n"))
		if c, ok := conn.(*net.TCPConn); ok {
			_ = c.CloseWrite()
		}
	}
}

func gzipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(s))
	_ = z.Close()
	return b.String()
}

func http11(status, headers, body string) string {
	return "HTTP/1.1 " + status + "\nContent-Type: application/fhir+json\n" + headers + "Content-Length: " + strconv.Itoa(len(body)) + "\n\n" + body
}

// N-02, N-03, N-06, T-10, D-15, E-05: nothing of a wrong answer to a read is
// released, and the caller learns nothing from it.
func TestWrongAnswersToRead(t *testing.T) {
	h := openHouse(t)
	canary := resource("Observation", "x", `"note":[{"text":"Canary"}],`+ref("subject", "Patient/A"))
	token := h.staff()
	other := map[string][]string{"SEC-01 other type": {"Condition/x"}, "SEC-01 other id": {"Observation/y"}, "D-15 bundle": {"Bundle/x"}}
	for _, c := range []struct {
		id, answer string
		status     int
	}{
		{"N-02 gzip", http11("200 OK", "Content-Encoding: gzip\n", gzipped(canary)), 502},
		{"N-02 gzip unsaid", http11("200 OK", "", gzipped(canary)), 502},
		{"N-02 br", http11("200 OK", "Content-Encoding: br\n", canary), 502},
		{"N-03 206", http11("206 Partial Content", "Content-Range: bytes 0-9/99\n", canary), 502},
		{"H-08 304", "HTTP/1.1 304 Not Modified\nETag: W/\"Canary\"\n\n", 502},
		{"T-10 101", "HTTP/1.1 101 Switching Protocols\nUpgrade: h2c\nConnection: Upgrade\n\nCanary", 502},
		{"302", http11("302 Found", "Location: http://evil.example/Canary\n", ""), 502},
		{"204", "HTTP/1.1 204 No Content\n\n", 502},
		{"202", http11("202 Accepted", "Content-Location: http://evil.example/Canary\n", "{}"), 502},
		{"D-15 html", strings.Replace(http11("200 OK", "", "<html>Canary</html>"), "application/fhir+json", "text/html", 1), 502},
		{"D-15 xml", strings.Replace(http11("200 OK", "", "<Patient>Canary</Patient>"), "application/fhir+json", "application/fhir+xml", 1), 502},
		{"D-15 no type", strings.Replace(http11("200 OK", "", canary), "Content-Type: application/fhir+json\n", "", 1), 502},
		{"D-15 two types", http11("200 OK", "Content-Type: text/html\n", canary), 502},
		{"N-06 utf-16", strings.Replace(http11("200 OK", "", canary), "fhir+json", "fhir+json; charset=utf-16", 1), 502},
		{"N-06 BOM", http11("200 OK", "", "\ufeff"+canary), 502},
		{"N-06 bad UTF-8", http11("200 OK", "", strings.Replace(canary, "Canary", "Can\xff", 1)), 502},
		{"N-06 overlong", http11("200 OK", "", strings.Replace(canary, "Canary", "Can\xc0\xaf", 1)), 502},
		{"N-06 surrogate", http11("200 OK", "", strings.Replace(canary, "Canary", `Canary\ud800`, 1)), 502},
		{"SEC-01 other type", http11("200 OK", "", strings.Replace(canary, "Observation", "Condition", 1)), 502},
		{"SEC-01 other id", http11("200 OK", "", strings.Replace(canary, `"id":"x"`, `"id":"y"`, 1)), 502},
		{"D-15 no resourceType", http11("200 OK", "", `{"id":"x","note":"Canary"}`), 502},
		{"D-15 unknown type", http11("200 OK", "", `{"resourceType":"Nonsense","id":"x","note":"Canary"}`), 502},
		{"D-15 array", http11("200 OK", "", `[`+canary+`]`), 502},
		{"D-15 bundle", http11("200 OK", "", `{"resourceType":"Bundle","id":"x","type":"collection","entry":[{"resource":`+canary+`}]}`), 502},
		{"D-15 empty", http11("200 OK", "", ""), 502},
		{"truncated", strings.Replace(http11("200 OK", "", canary), "Content-Length: ", "Content-Length: 9", 1), 502},
		{"short", http11("200 OK", "", canary[:len(canary)-1]), 502},
		{"trailing", http11("200 OK", "", canary+"{}"), 502},
		{"N-08 duplicate subject", http11("200 OK", "", strings.Replace(canary, `"note"`, `"subject":{"reference":"Patient/B"},"note"`, 1)), 502},
		{"N-08 duplicate id", http11("200 OK", "", strings.Replace(canary, `"note"`, `"id":"x","note"`, 1)), 502},
		{"N-08 duplicate label", http11("200 OK", "", strings.Replace(canary, `"meta":{`, `"meta":{"security":[],"security":[{"code":"R"}],`, 1)), 502},
		{"N-08 escaped subject", http11("200 OK", "", strings.Replace(canary, `"note"`, `"s\u0075bject":{"reference":"Patient/B"},"note"`, 1)), 502},
		{"deep", http11("200 OK", "", strings.Replace(canary, `"Canary"`, strings.Repeat("[", 2000)+strings.Repeat("]", 2000), 1)), 502},
		{"E-01 500", http11("500 Oops", "X-Stack: Canary\n", `{"resourceType":"OperationOutcome","issue":[{"diagnostics":"Jane Canary"}]}`), 502},
		{"E-01 401", http11("401 Unauthorized", "WWW-Authenticate: Basic realm=Canary\n", "Canary"), 502},
		{"E-02 403", http11("403 Forbidden", "", "Canary"), 404},
		{"E-02 400", http11("400 Bad Request", "", "Canary"), 404},
		{"E-02 410", http11("410 Gone", "", "Canary"), 404},
		{"FHIR-26 429", http11("429 Too Many", "Retry-After: 7\n", "Canary"), 503},
		{"FHIR-26 503", http11("503 Busy", "Retry-After: 0\n", "Canary"), 503},
		{"no HTTP", "Canary\n\n", 502},
		{"closed", "", 502},
	} {
		h.ehr.handle("GET /Observation/x", wireAnswer(c.answer))
		h.attack(t, []attack{{id: c.id, target: "/Observation/x", token: token, status: c.status, calls: anyCalls, withheld: other[c.id]}})
	}
}

// N-12, E-05: what is right comes through byte for byte, without the
// upstream's headers.
func TestRightAnswersToRead(t *testing.T) {
	h := openHouse(t)
	body := `{ "resourceType" : "Observation", "id":"x", "subject":{"reference":"Patient/A"}, "valueQuantity":{"value":1.10,"x":12345678901234567890, "y":1e309}, "unknown":{"é":"\u00e9"}}`
	head := "Server: Canary\nX-Powered-By: Canary\nSet-Cookie: a=Canary\nWarning: 199 - Canary\nLink: <http://Canary>\nWWW-Authenticate: Canary\nETag: Canary\n"
	for _, answer := range []string{
		http11("200 OK", head, body),
		"HTTP/1.1 103 Early Hints\nLink: <http://Canary>\n\nHTTP/1.1 100 Continue\n\n" + http11("200 OK", head, body),
		"HTTP/1.1 200 OK\nContent-Type: application/json;charset=utf-8\nTransfer-Encoding: chunked\nTrailer: X-Canary\n" + head + "\n" + strconv.FormatInt(int64(len(body)), 16) + "\n" + body + "\n0\nX-Canary: Canary\n\n",
	} {
		h.ehr.handle("GET /Observation/x", wireAnswer(answer))
		got := h.get("/Observation/x", h.staff())
		if got.status != 200 || got.body != body || got.header.Get("ETag") != "" {
			t.Errorf("got %d %v %s", got.status, got.header, got.body)
		}
		h.noCanary(t, got)
	}
}

// The same for searches: never a well-formed short Bundle.
func TestWrongAnswersToSearch(t *testing.T) {
	h := openHouse(t)
	token := h.staff()
	good := searchset("", obsA, strings.Replace(obsA, `"x"`, `"Canary"`, 1))
	for _, c := range []struct {
		id, body string
	}{
		{"not a Bundle", obsA},
		{"other Bundle", strings.Replace(good, "searchset", "history", 1)},
		{"document", strings.Replace(good, "searchset", "document", 1)},
		{"no type", strings.Replace(good, `"type":"searchset",`, "", 1)},
		{"two types", strings.Replace(good, `"type":"searchset"`, `"type":"searchset","type":"searchset"`, 1)},
		{"two entries", strings.Replace(good, `"entry":[`, `"entry":[{"resource":`+obsA+`}],"entry":[`, 1)},
		{"two resources", strings.Replace(good, `"search":{`, `"resource":`+obsA+`,"search":{`, 1)},
		{"truncated", good[:len(good)-20]},
		{"unclosed", good[:len(good)-1]},
		{"trailing", good + "x"},
		{"outcome", `{"resourceType":"OperationOutcome","issue":[{"diagnostics":"Canary"}]}`},
		{"empty", ""},
		{"huge head", "{" + strings.Repeat(" ", 70<<10) + good[1:]},
		{"escaped entry", strings.Replace(good, `"entry"`, `"entr\u0079"`, 1)},
		{"bad entry", strings.Replace(good, obsA, `{"resourceType":"Observation","id":"a","subject":{"reference":"Patient/\ud800"}}`, 1)},
	} {
		h.ehr.on("GET /Observation", 200, c.body)
		h.attack(t, []attack{{id: c.id, target: "/Observation", token: token, status: 502, code: "upstream.invalid", calls: anyCalls}})
	}
	for _, status := range []int{400, 422} {
		h.ehr.on("GET /Observation", status, `{"resourceType":"OperationOutcome","issue":[{"diagnostics":"Canary"}]}`)
		h.attack(t, []attack{{id: "E-01", target: "/Observation", token: token, status: 400, code: "search.unsupported", calls: anyCalls}})
	}
}

// A long answer that breaks off after its status line resets the connection.
func TestBrokenLongAnswer(t *testing.T) {
	h := openHouse(t)
	var rows []string
	for range 450 {
		rows = append(rows, obsA)
	}
	whole := searchset("", rows...)
	h.ehr.on("GET /Observation", 200, whole[:len(whole)-10])
	r, err := http.NewRequest(http.MethodGet, h.base+"/Observation", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+h.staff())
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return // reset before the head was read
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("a broken answer ends well after %d bytes", len(b))
	}
	h.recorded(t, &attack{status: 0, released: slices.Repeat([]string{"Observation/a"}, 400)}, answer{status: 0, header: resp.Header})
}

// H-04, D-12, FHIR-09: URLs of the upstream are rewritten where they are URLs,
// and stay where they are words.
func TestURLs(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /DocumentReference/d", 200, resource("DocumentReference", "d", ref("subject", "%BASE%/Patient/A")+
		`,"content":[{"attachment":{"contentType":"text/plain","url":"%BASE%/Binary/x"}}],"author":[{"reference":"http:\/\/`+strings.TrimPrefix(h.ehr.url, "http://")+`\/r4\/Practitioner\/7"}]`))
	got := h.get("/DocumentReference/d", h.staff())
	h.noCanary(t, got)
	for _, want := range []string{"http://gw.example.org/fhir/Patient/A", "http://gw.example.org/fhir/Binary/x", "http://gw.example.org/fhir/Practitioner/7"} {
		if !strings.Contains(got.body, want) {
			t.Errorf("%s is missing: %s", want, got.body)
		}
	}
	h.ehr.on("GET /Patient/w", 200, resource("Patient", "w", `"identifier":[{"system":"%BASE%/mrn","value":"1"}],"text":{"div":"<div>%BASE%</div>"}`))
	if got := h.get("/Patient/w", h.staff()); !strings.Contains(got.body, h.ehr.url+"/r4/mrn") {
		t.Errorf("a name was rewritten: %s", got.body)
	}
}

// T-18, N-05: an upstream that stalls, drips or floods holds nothing open and
// fills no memory.
func TestStallsAndFloods(t *testing.T) {
	h := openHouse(t, "limits: {resource: 64KiB}")
	h.write("gatehouse.yaml", strings.Replace(h.config("limits: {resource: 64KiB}"), "fhir_version: R4}", "fhir_version: R4, timeout: 300ms}", 1))
	if err := h.process.Reload(); err != nil {
		t.Fatal(err)
	}
	done := make(chan bool)
	defer close(done)
	stall := func(first string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/fhir+json")
			if first != "" {
				_, _ = io.WriteString(w, first)
				_ = http.NewResponseController(w).Flush()
			}
			select {
			case <-done:
			case <-r.Context().Done():
			}
		}
	}
	flood := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/fhir+json")
		_, _ = io.WriteString(w, `{"resourceType":"Observation","id":"x","note":"`)
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, strings.Repeat("Canary", 1000)); err != nil {
				return
			}
		}
	}
	good := searchset("", obsA, obsB)
	for _, c := range []struct {
		id, target string
		answer     http.HandlerFunc
		status     int
	}{
		{"silent", "/Observation/x", stall(""), 504},
		{"half", "/Observation/x", stall(obsA[:40]), 504},
		{"silent search", "/Observation", stall(""), 504},
		{"half search", "/Observation", stall(good[:len(good)-30]), 504},
		{"flood", "/Observation/x", flood, 502},
		{"flood search", "/Observation", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/fhir+json")
			_, _ = io.WriteString(w, `{"resourceType":"Bundle","type":"searchset","entry":[{"resource":`)
			flood(w, r)
		}, 502},
	} {
		h.ehr.handle("GET "+c.target, c.answer)
		h.attack(t, []attack{{id: c.id, target: c.target, token: h.staff(), status: c.status, calls: anyCalls}})
	}
}
