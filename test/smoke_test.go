package test

import (
	"net/http"
	"testing"
)

const obsA = `{"resourceType":"Observation","id":"a","meta":{"versionId":"3"},"status":"final","code":{"text":"x"},"subject":{"reference":"Patient/A"},"valueQuantity":{"value":1.10}}`

func TestRead(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Observation/a", 200, obsA, "ETag", `W/"3"`)
	got := h.get("/Observation/a", h.staff())
	if got.status != http.StatusOK || got.body != obsA || got.header.Get("ETag") != `W/"3"` {
		t.Errorf("got %d %v %s", got.status, got.header, got.body)
	}
}
