package auth

import (
	"reflect"
	"strings"
	"testing"

	"gatehouse/config"
	"gatehouse/gateway/auth/authtest"

	"github.com/go-jose/go-jose/v4"
)

// subjectOf authenticates a token with claims; nil where it is refused.
func (r *rig) subjectOf(claims map[string]any) *Subject {
	s, _ := r.auth.Authenticate(request(r.issuer.Token(claims)))
	return s
}

// S-07, S-08, J-09, SMART-33: scopes come from one claim and split at spaces.
func TestScopes(t *testing.T) {
	r := newRig(t, nil)
	tests := []struct {
		name   string
		claims map[string]any
		want   []string
	}{
		{"none", nil, []string{}},
		{"empty", map[string]any{"scope": ""}, []string{}},
		{"two", map[string]any{"scope": "launch patient/*.rs"}, []string{"launch", "patient/*.rs"}},
		{"a list", map[string]any{"scope": []string{"launch", "patient/*.rs"}}, []string{"launch", "patient/*.rs"}},
		{"a list with two in one", map[string]any{"scope": []string{"launch user/*.rs"}}, []string{}},
		{"JWT-11 scp beside it", map[string]any{"scope": "launch", "scp": []string{"system/*.cruds"}}, []string{"launch"}},
		{"JWT-11 scp instead", map[string]any{"scp": []string{"system/*.cruds"}}, []string{}},
		{"no-break space does not split", map[string]any{"scope": "launch\u00a0user/*.rs"}, []string{"launch\u00a0user/*.rs"}},
	}
	for _, tt := range tests {
		if s := r.subjectOf(tt.claims); s == nil || !reflect.DeepEqual(s.Scopes, tt.want) {
			t.Errorf("%s: %+v, want %q", tt.name, s, tt.want)
		}
	}
	if s := r.subjectOf(map[string]any{"scope": "launch\tuser/*.rs"}); s != nil {
		t.Errorf("a tab in scope: %q", s.Scopes)
	}
}

// An issuer whose tokens carry no SMART scopes grants none by accident.
func TestScopesNone(t *testing.T) {
	r := newRig(t, func(c *config.Issuer) { c.Scopes = "none" })
	if s := r.subjectOf(map[string]any{"scope": "user/*.cruds"}); s == nil || s.SMART || s.Scopes != nil {
		t.Errorf("got %+v", s)
	}
}

// SMART-26, SMART-27, S-09: who and which patient, as references of this server.
func TestReferences(t *testing.T) {
	r := newRig(t, nil)
	tests := []struct {
		claim string
		value any
		want  string
	}{
		{"patient", "1", "Patient/1"},
		{"patient", "Patient/1", "Patient/1"},
		{"patient", base + "/Patient/1", "Patient/1"},
		{"patient", nil, ""},
		{"patient", "", ""},
		{"encounter", "e-1.x", "Encounter/e-1.x"},
		{"org", "2", "Organization/2"},
		{"org", "Organization/2", "Organization/2"},
		{"org", []string{"2"}, "Organization/2"},
		{"org", []string{"2", "3"}, ""},
		{"org", map[string]any{"acme": 1}, ""},
		{"org", "St. Mary's", ""},
		{"org", "https://evil.example/Organization/2", ""},
		{"org", "Patient/2", ""},
		{"fhirUser", "Practitioner/7", "Practitioner/7"},
		{"fhirUser", base + "/Patient/7", "Patient/7"},
		{"fhirUser", "PractitionerRole/7", "PractitionerRole/7"},
		{"fhirUser", "RelatedPerson/7", "RelatedPerson/7"},
		{"fhirUser", "https://evil/Practitioner/1", ""},
		{"fhirUser", base + ".evil/Practitioner/1", ""},
		{"fhirUser", "https://fhir.example.org@evil/r4/Practitioner/1", ""},
		{"fhirUser", "Practitioner/7/_history/2", ""},
		{"fhirUser", "Organization/7", ""},
		{"fhirUser", "practitioner/7", ""},
		{"fhirUser", 7, ""},
	}
	for _, tt := range tests {
		s := r.subjectOf(map[string]any{tt.claim: tt.value})
		if s == nil {
			t.Errorf("%s %v: refused", tt.claim, tt.value)
			continue
		}
		got := map[string]string{"patient": s.Patient, "encounter": s.Encounter, "org": s.Organization, "fhirUser": s.FHIRUser}[tt.claim]
		if got != tt.want {
			t.Errorf("%s %v: %q, want %q", tt.claim, tt.value, got, tt.want)
		}
	}
}

// CONS-07, IUA-01, UDAP-02: purposes and roles as strings, Codings and
// CodeableConcepts, at their configured place or in the standard extensions.
func TestPurposesAndRoles(t *testing.T) {
	r := newRig(t, nil)
	coding := func(system, code string) map[string]any { return map[string]any{"system": system, "code": code} }
	in := func(extension string, v any) map[string]any {
		return map[string]any{"extensions": map[string]any{extension: map[string]any{"purpose_of_use": v}}}
	}
	tests := []struct {
		name   string
		claims map[string]any
		want   []string
	}{
		{"none", nil, nil},
		{"a string", map[string]any{"purpose_of_use": "TREAT"}, []string{"TREAT"}},
		{"strings", map[string]any{"purpose_of_use": []string{"TREAT", "BTG"}}, []string{"TREAT", "BTG"}},
		{"UDAP form", map[string]any{"purpose_of_use": []string{"urn:oid:2.16.840.1.113883.5.8#TREAT"}}, []string{"TREAT"}},
		{"token form", map[string]any{"purpose_of_use": ActReason[0] + "|TREAT"}, []string{"TREAT"}},
		{"Coding", map[string]any{"purpose_of_use": coding(ActReason[0], "TREAT")}, []string{"TREAT"}},
		{"Coding without system", map[string]any{"purpose_of_use": map[string]any{"code": "TREAT"}}, []string{"TREAT"}},
		{"Coding of another system", map[string]any{"purpose_of_use": coding("urn:oid:1.0.14265.1", "TREAT")}, []string{"urn:oid:1.0.14265.1|TREAT"}},
		{"CodeableConcept", map[string]any{"purpose_of_use": map[string]any{"coding": []any{coding(ActReason[0], "HRESCH")}}}, []string{"HRESCH"}},
		{"IUA extension", in("ihe_iua", []any{coding("urn:oid:2.16.840.1.113883.5.8", "TREAT")}), []string{"TREAT"}},
		{"UDAP extension", in("hl7-b2b", []string{"urn:oid:2.16.840.1.113883.5.8#HPAYMT"}), []string{"HPAYMT"}},
		{"IUA roles", map[string]any{"realm_access": map[string]any{"roles": []any{coding("urn:r", "1"), "clerk"}}}, nil},
	}
	for _, tt := range tests {
		s := r.subjectOf(tt.claims)
		if s == nil || !reflect.DeepEqual(s.Purpose, tt.want) {
			t.Errorf("%s: %+v, want %q", tt.name, s, tt.want)
		}
	}
	s := r.subjectOf(tests[len(tests)-1].claims)
	if !reflect.DeepEqual(s.Roles, []string{"urn:r|1", "clerk"}) {
		t.Errorf("roles %q", s.Roles)
	}
	configured := in("ihe_iua", "BTG")
	configured["purpose_of_use"] = "TREAT"
	if s := r.subjectOf(configured); !reflect.DeepEqual(s.Purpose, []string{"TREAT"}) { // S-08
		t.Errorf("two places are one union: %q", s.Purpose)
	}
}

func TestClaimNamesWithDots(t *testing.T) {
	r := newRig(t, func(c *config.Issuer) { c.Claims.Roles = config.ClaimPath{{"https://idp.example/roles"}} })
	s := r.subjectOf(map[string]any{"https://idp.example/roles": "clinician"})
	if s == nil || !reflect.DeepEqual(s.Roles, []string{"clinician"}) {
		t.Errorf("got %+v", s)
	}
}

// SMART-11: a token for several FHIR servers.
func TestAuthorizationDetails(t *testing.T) {
	r := newRig(t, nil)
	detail := func(location, patient string) map[string]any {
		return map[string]any{"type": "smart_on_fhir", "locations": []string{location}, "scope": "patient/*.r", "patient": patient}
	}
	tests := []struct {
		name    string
		details any
		code    string
		patient string
	}{
		{"of another kind", []any{map[string]any{"type": "payment"}}, "", "Patient/top"},
		{"for this server", []any{detail("https://b.example/r4", "b"), detail(base, "a")}, "", "Patient/a"},
		{"for this server, with a slash", []any{detail(base+"/", "a")}, "", "Patient/a"},
		{"not a list", detail(base, "a"), "", "Patient/a"},
		{"without patient", []any{map[string]any{"type": "smart_on_fhir", "locations": []string{base}, "scope": "patient/*.r"}}, "", ""},
		{"for another server", []any{detail("https://b.example/r4", "b")}, CodeAudience, ""},
		{"twice for this server", []any{detail(base, "a"), detail(base, "b")}, CodeAudience, ""},
		{"malformed patient", []any{detail(base, "../b")}, CodeInvalid, ""},
	}
	for _, tt := range tests {
		claims := map[string]any{"scope": "user/*.cruds", "patient": "top", "authorization_details": tt.details}
		s, err := r.auth.Authenticate(request(r.issuer.Token(claims)))
		if got := codeOf(s, err); got != tt.code || err == nil && s.Patient != tt.patient {
			t.Errorf("%s: %q, %+v", tt.name, got, s)
		}
		if tt.name == "for this server" && strings.Join(s.Scopes, " ") != "patient/*.r" {
			t.Errorf("%s: scopes %q", tt.name, s.Scopes)
		}
	}
}

// FuzzToken: nothing that the issuer did not sign authenticates, and nothing
// panics.
func FuzzToken(f *testing.F) {
	r := newRig(f, nil)
	good := r.issuer.Token(nil)
	parts := strings.Split(good, ".")
	for _, seed := range []string{"", "..", "a.b.c", good, good[:len(good)-1], parts[0] + "." + parts[1] + ".",
		unsigned(`{"alg":"none"}`, []byte(`{}`), ""), unsigned(`{"alg":"ES256","typ":"at+jwt","jwk":{}}`, []byte(`{"iss":"x"}`), "s")} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if s, err := r.auth.Authenticate(request(token)); err == nil && token != good {
			last := strings.LastIndex(token, ".")
			if last < 0 || token[:last] != good[:strings.LastIndex(good, ".")] { // a signature has more than one base64 spelling
				t.Errorf("authenticated %+v", s)
			}
		}
	})
}

// FuzzClaims: claims that a good key signed never panic, and never give a
// subject without a client, a principal or an end.
func FuzzClaims(f *testing.F) {
	r := newRig(f, nil)
	for _, seed := range []string{`{}`, `null`, string(r.payload(map[string]any{"patient": "1"})),
		string(r.payload(map[string]any{"cnf": map[string]any{"jkt": "x"}, "purpose_of_use": []any{map[string]any{"coding": []any{}}}})),
		`{"aud":[],"exp":1e400,"authorization_details":[{"type":"smart_on_fhir","locations":[null]}]}`} {
		f.Add([]byte(seed))
	}
	key := r.issuer.SigningKey()
	f.Fuzz(func(t *testing.T, payload []byte) {
		token := authtest.Sign(key, map[jose.HeaderKey]any{"typ": "at+jwt"}, payload)
		s, err := r.auth.Authenticate(request(token))
		if err == nil && (s.Client == "" || s.ID == "" || s.Issuer != r.issuer.URL || !s.Expires.After(r.now().Add(-r.auth.issuers[s.Issuer].skew))) {
			t.Errorf("authenticated %+v", s)
		}
	})
}

func BenchmarkAuthenticateRemembered(b *testing.B) {
	r := newRig(b, nil)
	req := request(r.issuer.Token(map[string]any{"scope": strings.Repeat("patient/Observation.rs ", 8), "patient": "1"}))
	b.SetBytes(int64(len(req.Header.Get("Authorization"))))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.auth.Authenticate(req); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAuthenticateRememberedParallel(b *testing.B) {
	r := newRig(b, nil)
	req := request(r.issuer.Token(nil))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r.auth.Authenticate(req)
		}
	})
}

func BenchmarkAuthenticateFirst(b *testing.B) {
	r := newRig(b, nil)
	tokens := make([]string, 2000)
	for i := range tokens {
		tokens[i] = r.issuer.Token(nil)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%len(tokens) == 0 {
			r.auth.cache = newCache()
		}
		if _, err := r.auth.Authenticate(request(tokens[i%len(tokens)])); err != nil {
			b.Fatal(err)
		}
	}
}
