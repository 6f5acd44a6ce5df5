package demo

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func TestTokenEndpoint(t *testing.T) {
	p := newProvider("http://127.0.0.1:1", "http://127.0.0.1:2/fhir")
	for _, c := range []struct {
		form url.Values
		want int
	}{
		{url.Values{"grant_type": {"password"}, "username": {"clinician"}, "client_id": {"ward-app"}}, 200},
		{url.Values{"grant_type": {"password"}, "username": {"mallory"}}, 400},
		{url.Values{"grant_type": {"client_credentials"}, "client_id": {"lab-service"}}, 200},
		{url.Values{"grant_type": {"client_credentials"}, "client_id": {"ward-app"}}, 400},
		{url.Values{"username": {"clinician"}}, 400},
		{nil, 400},
	} {
		r := httptest.NewRequest("POST", "/token", strings.NewReader(c.form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		if has := strings.Contains(w.Body.String(), `"access_token":"ey`); w.Code != c.want || has != (c.want == 200) {
			t.Errorf("%v: got %d %s, want %d", c.form, w.Code, w.Body, c.want)
		}
	}
}
