package test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"gatehouse/gateway/auth/authtest"
)

// adminAuth gives the admin API to two roles of the house's issuer.
const adminAuth = "admin_auth: {issuer: %ISSUER%, roles: {operator: [gw-ops], privacy: [privacy-officer]}}"

func (h *house) operator() string {
	return h.token(map[string]any{"sub": "olga", "roles": []string{"gw-ops"}})
}
func (h *house) officer() string {
	return h.token(map[string]any{"sub": "paul", "roles": []string{"privacy-officer"}})
}

// call sends a request to the admin API.
func (h *house) call(method, path, token, body string, headers ...string) answer {
	h.t.Helper()
	r, err := http.NewRequest(method, "http://"+h.process.AdminAddr()+"/api/v1"+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		h.t.Fatalf("%s %s: %v", method, path, err)
	}
	return read(h.t, resp)
}

// adminCode is the stable code of an answer of the admin API.
func (a answer) adminCode() string {
	var o struct{ Error, Code string }
	if json.Unmarshal([]byte(a.body), &o) != nil || o.Error == "" {
		return ""
	}
	return o.Code
}

func TestAdminAPIIsClosedWithoutAdminAuth(t *testing.T) {
	h := openHouse(t)
	for _, token := range []string{"", h.operator()} {
		if got := h.call("GET", "/blocks", token, ""); got.status != 403 || got.adminCode() != "admin.off" {
			t.Errorf("got %d %s", got.status, got.body)
		}
	}
}

// G-03: the admin API is for whom admin_auth names, and every call leaves a
// record, refused ones too.
func TestAdminAPIRefuses(t *testing.T) {
	other, err := authtest.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	h := openHouse(t, adminAuth)
	foreign := other.Token(map[string]any{"aud": "http://gw.example.org/fhir", "roles": []string{"gw-ops"}})
	for _, c := range []struct {
		name, token string
		headers     []string
		status      int
		code        string
	}{
		{"no token", "", nil, 401, "token.missing"},
		{"a clinician", h.staff(), nil, 403, "admin.role"},
		{"no roles", h.token(nil), nil, 403, "admin.role"},
		{"an issuer nobody named", foreign, nil, 401, "token.invalid"},
		{"a browser", h.operator(), []string{"Origin", "https://evil.example.org"}, 403, "admin.browser"},
		{"a browser on the same site", h.operator(), []string{"Sec-Fetch-Site", "same-origin"}, 403, "admin.browser"},
		{"the operator, of what there is not", h.operator(), nil, 404, "admin.not-found"},
	} {
		got := h.call("GET", "/nothing", c.token, "", c.headers...)
		if got.status != c.status || got.adminCode() != c.code {
			t.Errorf("%s: got %d %s", c.name, got.status, got.body)
		}
		records := h.records(t, got.header.Get("X-Request-Id"))
		if len(records) != 1 || records[0].Code != c.code || records[0].Status != c.status || records[0].Interaction != "$gatehouse-admin" {
			t.Errorf("%s: records %+v", c.name, records)
		}
	}
	if got := h.get("/api/v1/nothing", h.operator()); got.status == 200 {
		t.Errorf("the public listener answers: %d %s", got.status, got.body)
	}
}

// A gateway that hears nothing of blocks and grants made elsewhere says that it
// is not ready.
func TestStateIsPartOfReadiness(t *testing.T) {
	h := openHouse(t)
	resp, err := http.Get("http://" + h.process.AdminAddr() + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, resp); got.status != 200 || strings.Contains(got.body, "state") {
		t.Errorf("got %d %s", got.status, got.body)
	}
}
