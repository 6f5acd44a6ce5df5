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
		attack{id: "D-07", target: "/Binary/B1", token: h.staff(), header: []string{"Accept", "application/pdf"}, status: 406},
		attack{id: "D-06", target: "/Binary/A3", token: h.patient("A", "patient/Binary.r"), status: 404, calls: anyCalls, withheld: []string{"Binary/A3"}},
		attack{id: "D-06", target: "/Binary/A1", token: h.patient("A", "patient/Observation.rs"), status: 403},
	)
	h.attack(t, rows)
}
