package test

import "testing"

// D-06, D-07, FHIR-19: bytes that nobody can look into are seen by whoever may
// see what they are a part of, and by nobody where there is nothing.
func TestBinary(t *testing.T) {
	h := openHouse(t)
	binary := func(id, context string) {
		members := `"contentType":"application/pdf","data":"Q2FuYXJ5"`
		if id[0] == 'A' {
			members = `"contentType":"application/pdf","data":"ZmluZQ=="`
		}
		if context != "" {
			members += "," + ref("securityContext", context)
		}
		h.ehr.on("GET /Binary/"+id, 200, resource("Binary", id, members))
	}
	document := func(id, patient, url string) string {
		return resource("DocumentReference", id, ref("subject", "Patient/"+patient)+`,"content":[{"attachment":{"url":"`+url+`"}}]`)
	}
	binary("A1", "Patient/A")
	binary("A2", "DocumentReference/a")
	binary("A3", "")
	binary("A4", "")
	binary("B1", "Patient/B")
	binary("B2", "DocumentReference/b")
	binary("B3", "")
	binary("B4", "DocumentReference/none")
	binary("B5", "Binary/A1")
	binary("B6", "https://elsewhere.example/fhir/Patient/A")
	h.ehr.on("GET /DocumentReference/a", 200, document("a", "A", "Binary/A2"))
	h.ehr.on("GET /DocumentReference/b", 200, document("b", "B", "Binary/B2"))
	// It ignores what is searched for, as a careless server would.
	all := searchset("", document("a", "A", "Binary/A3"), document("b", "B", "Binary/B3"), document("a4", "A", "%BASE%/Binary/A4"))
	h.ehr.on("GET /DocumentReference", 200, all)
	h.ehr.on("GET /Binary", 200, searchset("", resource("Binary", "B3", `"data":"Q2FuYXJ5"`)))
	tA := h.patient("A", "patient/*.rs")
	var rows []attack
	for _, id := range []string{"A1", "A2", "A3", "A4"} {
		rows = append(rows, attack{id: "FHIR-19", target: "/Binary/" + id, token: tA, status: 200, calls: anyCalls, released: []string{"Binary/" + id}})
	}
	for _, id := range []string{"B1", "B2", "B3", "B4", "B5", "B6"} {
		rows = append(rows, attack{id: "FHIR-19", target: "/Binary/" + id, token: tA, status: 404, calls: anyCalls, withheld: []string{"Binary/" + id}})
	}
	for _, id := range []string{"B4", "B5", "B6"} { // not even for those who may see all
		rows = append(rows, attack{id: "D-06", target: "/Binary/" + id, token: h.staff(), status: 404, calls: anyCalls, withheld: []string{"Binary/" + id}})
	}
	rows = append(rows,
		attack{id: "D-06", target: "/Binary", token: h.staff(), status: 200, ids: []string{}, calls: anyCalls, withheld: []string{"Binary/B3"}},
		attack{id: "D-07", target: "/Binary/B1", token: h.staff(), header: []string{"Accept", "application/fhir+xml"}, status: 406},
		attack{id: "D-07", target: "/Binary/B1", token: h.staff(), header: []string{"Accept", "application/xml, text/xml;q=0.5"}, status: 406},
		attack{id: "D-07", target: "/Binary", token: h.staff(), header: []string{"Accept", "application/pdf"}, status: 406},
		attack{id: "D-07", target: "/Patient/A", token: h.staff(), header: []string{"Accept", "application/pdf"}, status: 406},
		attack{id: "D-07", target: "/Binary/A1?_elements=data", token: tA, header: []string{"Accept", "application/pdf"}, status: 406},
		attack{id: "D-07", target: "/Binary/A1", token: tA, header: []string{"Accept", "image/png, application/pdf;q=0"}, status: 406, calls: []string{"GET /Binary/A1"}},
		attack{id: "D-07", target: "/Binary/B1", token: tA, header: []string{"Accept", "application/pdf"}, status: 404, calls: anyCalls, withheld: []string{"Binary/B1"}},
		attack{id: "D-07", target: "/Binary/A1", token: tA, header: []string{"Accept", "application/pdf", "Range", "bytes=0-1"}, status: 200, calls: []string{"GET /Binary/A1"}, released: []string{"Binary/A1"}},
		attack{id: "FHIR-19", method: "POST", target: "/Binary", token: tA, body: resource("Binary", "x", ""), header: []string{"X-Security-Context", "Patient/A"}, status: 400},
		attack{id: "D-06", target: "/Binary/A3", token: h.patient("A", "patient/Binary.r"), status: 404, calls: anyCalls, withheld: []string{"Binary/A3"}},
		attack{id: "D-06", target: "/Binary/A1", token: h.patient("A", "patient/Observation.rs"), status: 403},
	)
	h.attack(t, rows)
}

// D-07, N-03, N-15: the content alone is an attachment that no browser runs, and
// whole whatever part is asked for.
func TestBinaryContent(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Binary/A", 200, resource("Binary", "A", `"contentType":"text/html;charset=utf-8","data":"PGI+\nZmluZQ==",`+ref("securityContext", "Patient/A")), "ETag", `W/"1"`)
	h.ehr.on("GET /Binary/bad", 200, resource("Binary", "bad", `"contentType":"text/html","data":"%%%",`+ref("securityContext", "Patient/A")))
	tA := h.patient("A", "patient/*.rs")
	got := h.do("GET", "/Binary/A", tA, "", "Accept", "text/*", "Range", "bytes=1-2", "If-Range", `W/"1"`)
	h.ehr.mu.Lock()
	sent := h.ehr.headers[0]
	h.ehr.mu.Unlock()
	if got.status != 200 || got.body != "<b>fine" || sent.Get("Range")+sent.Get("If-Range") != "" || sent.Get("Accept") != "application/fhir+json" {
		t.Errorf("got %d %q, the upstream got %v", got.status, got.body, sent)
	}
	for name, want := range map[string]string{"Content-Type": "text/html; charset=utf-8", "X-Content-Type-Options": "nosniff",
		"Content-Disposition": "attachment", "Content-Security-Policy": "sandbox; default-src 'none'", "ETag": `W/"1"`, "Cache-Control": "no-store"} {
		if got.header.Get(name) != want {
			t.Errorf("%s: %q", name, got.header.Get(name))
		}
	}
	if got := h.do("HEAD", "/Binary/A", tA, "", "Accept", "text/html"); got.status != 200 || got.body != "" || got.header.Get("Content-Length") != "7" {
		t.Errorf("HEAD: %d %q %v", got.status, got.body, got.header)
	}
	if got := h.do("GET", "/Binary/bad", tA, "", "Accept", "text/html"); got.status != 502 {
		t.Errorf("no base64: %d %s", got.status, got.body)
	}
}

// DESIGN §10.1, E-10: a Binary that is hidden takes as many requests upstream as one
// that is not there.
func TestBinaryUniformNo(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Binary/patient", 200, resource("Binary", "patient", ref("securityContext", "Patient/B")))
	h.ehr.on("GET /Binary/document", 200, resource("Binary", "document", ref("securityContext", "DocumentReference/b")))
	h.ehr.on("GET /Binary/nothing", 200, resource("Binary", "nothing", ""))
	h.ehr.on("GET /Binary/closed", 200, resource("Binary", "closed", ref("securityContext", "AuditEvent/1")))
	h.ehr.on("GET /DocumentReference/b", 200, resource("DocumentReference", "b", ref("subject", "Patient/B")))
	h.ehr.on("GET /DocumentReference", 200, searchset(""))
	for _, scopes := range []string{"patient/*.rs", "patient/Binary.r"} {
		tA := h.patient("A", scopes)
		h.ehr.requests()
		want := h.get("/Binary/none", tA)
		calls := len(h.ehr.requests())
		for _, id := range []string{"patient", "document", "nothing", "closed"} {
			got := h.get("/Binary/"+id, tA)
			if n := h.ehr.requests(); got.status != 404 || got.body != want.body || len(n) != calls {
				t.Errorf("%s %s: %d after %q, absent %d after %d", scopes, id, got.status, n, want.status, calls)
			}
		}
	}
}
