package test

import (
	"strings"
	"testing"
)

// H-05, H-06, FHIR-17: each version is judged by itself and by the resource as
// it is now.

// version is one version of an Observation.
func version(id, n, members string) string {
	return `{"resourceType":"Observation","id":"` + id + `","meta":{"versionId":"` + n + `"},"status":"final",` + members + `}`
}

// historyOf is a history of versions; "DELETE Observation/x" stands for a deletion.
func historyOf(versions ...string) string {
	var entries []string
	for _, v := range versions {
		if strings.HasPrefix(v, "DELETE ") {
			entries = append(entries, `{"fullUrl":"%BASE%/`+v[7:]+`","request":{"method":"DELETE","url":"`+v[7:]+`"},"response":{"status":"204","lastModified":"2020-01-01T00:00:00Z","etag":"W/\"Canary\""}}`)
			continue
		}
		entries = append(entries, `{"fullUrl":"%BASE%/Observation/x","resource":`+v+`,"request":{"method":"PUT","url":"Observation/Canary"},"response":{"status":"200 Canary","etag":"W/\"Canary\""}}`)
	}
	return `{"resourceType":"Bundle","type":"history","total":99,"entry":[` + strings.Join(entries, ",") + `]}`
}

func TestHistory(t *testing.T) {
	h := openHouse(t)
	own, others := ref("subject", "Patient/A"), ref("subject", "Patient/B")+`,"code":{"text":"Canary"}`
	restricted := ref("subject", "Patient/A") + `,"code":{"text":"Canary"}`
	labelledNow := strings.Replace(version("lab", "2", restricted), `"versionId"`, `"security":[{"code":"R"}],"versionId"`, 1)
	h.ehr.on("GET /Observation/moved", 200, version("moved", "2", own))
	h.ehr.on("GET /Observation/moved/_history/1", 200, version("moved", "1", others))
	h.ehr.on("GET /Observation/moved/_history/2", 200, version("moved", "2", own))
	h.ehr.on("GET /Observation/moved/_history", 200, historyOf(version("moved", "2", own), version("moved", "1", others), "DELETE Observation/moved"))
	h.ehr.on("GET /Observation/gone", 200, version("gone", "2", others))
	h.ehr.on("GET /Observation/gone/_history/1", 200, version("gone", "1", own))
	h.ehr.on("GET /Observation/lab", 200, labelledNow)
	h.ehr.on("GET /Observation/lab/_history/1", 200, version("lab", "1", restricted))
	h.ehr.on("GET /Observation/lab/_history", 200, historyOf(labelledNow, version("lab", "1", restricted)))
	h.ehr.on("GET /Observation/deleted", 410, `{}`)
	h.ehr.on("GET /Observation/liar", 200, version("liar", "1", own))
	h.ehr.on("GET /Observation/liar/_history/1", 200, version("b", "1", others))
	all := historyOf(version("moved", "2", own), version("moved", "1", others), version("gone", "1", strings.Replace(own, "}", `,"display":"Canary"}`, 1)),
		version("lab", "1", restricted), "DELETE Observation/deleted-Canary", version("b", "1", others))
	h.ehr.on("GET /Observation/_history", 200, all)
	h.ehr.on("GET /_history", 200, all)
	h.ehr.on("GET /Observation", 200, searchset("", version("moved", "2", own), version("gone", "2", others), labelledNow, version("b", "1", others)))
	tA := h.patient("A", "patient/*.rs")
	now := func(id string) string { return "GET /Observation/" + id }
	visible := []string{"Observation/moved"}
	row := func(id, target string, status int, code string, calls ...string) attack {
		return attack{id: id, target: target, token: tA, status: status, code: code, calls: calls}
	}
	read := row("vread", "/Observation/moved/_history/2", 200, "", now("moved"), now("moved/_history/2"))
	read.released = visible
	before := row("H-05 a version of when it was B's", "/Observation/moved/_history/1", 404, "resource.not-found", now("moved"), now("moved/_history/1"))
	before.withheld = visible
	gone := row("H-05 a version of before it was B's", "/Observation/gone/_history/1", 404, "resource.not-found", now("gone"))
	gone.withheld = []string{"Observation/gone"}
	label := row("FHIR-17 a version of before the label", "/Observation/lab/_history/1", 404, "resource.not-found", now("lab"))
	label.withheld = []string{"Observation/lab"}
	labels := row("FHIR-17 the history of what is labelled now", "/Observation/lab/_history", 404, "resource.not-found", now("lab"))
	labels.withheld = label.withheld
	instance := row("FHIR-17 the versions that are A's", "/Observation/moved/_history", 200, "", now("moved"), now("moved/_history"))
	instance.ids, instance.released, instance.withheld = visible, visible, []string{"Observation/moved", "Observation/moved"}
	typ := row("H-06 of a type", "/Observation/_history?_since=2020-01-01T00:00:00Z", 200, "", anyCalls...)
	typ.ids, typ.released, typ.withheld = visible, visible, []string{"Observation/moved", "Observation/gone", "Observation/lab", "Observation/deleted-Canary", "Observation/b"}
	system := row("H-06 of the system", "/_history", 200, "", anyCalls...)
	system.ids, system.released, system.withheld = visible, visible, typ.withheld
	other := row("SEC-01 the version of another", "/Observation/liar/_history/1", 502, "upstream.invalid", now("liar"), now("liar/_history/1"))
	other.withheld = []string{"Observation/b"}
	alone := row("SMART-14 r alone", "/Observation/_history", 403, "scope.missing")
	alone.token = h.patient("A", "patient/*.r")
	alone2 := row("SMART-14 s alone", "/Observation/moved/_history", 403, "scope.missing")
	alone2.token = h.patient("A", "patient/*.s")
	h.attack(t, []attack{read, before, gone, label, labels, instance, typ, system, other, alone, alone2,
		row("deleted", "/Observation/deleted/_history", 404, "resource.not-found", now("deleted")),
		row("deleted", "/Observation/deleted/_history/1", 404, "resource.not-found", now("deleted")),
		row("absent", "/Observation/none/_history", 404, "resource.not-found", now("none")),
	})
}
