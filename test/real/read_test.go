//go:build real

package real

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestDiscovery(t *testing.T) {
	var smart map[string]any
	get(t, "/.well-known/smart-configuration", "").want(t, 200).into(t, &smart)
	for field, want := range map[string]string{"issuer": realm.issuer, "jwks_uri": realm.issuer + "/protocol/openid-connect/certs",
		"authorization_endpoint": realm.issuer + "/protocol/openid-connect/auth", "token_endpoint": realm.issuer + "/protocol/openid-connect/token"} {
		if got, ok := smart[field]; ok && got != want || !ok && strings.HasSuffix(field, "_endpoint") {
			t.Errorf("%s: %v, want %s", field, got, want)
		}
	}
	var capabilities resource
	get(t, "/metadata", "").want(t, 200).into(t, &capabilities)
	if capabilities.ResourceType != "CapabilityStatement" {
		t.Errorf("metadata is a %s", capabilities.ResourceType)
	}
}

func TestWithoutAToken(t *testing.T) {
	for _, token := range []string{"", "nonsense", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0."} {
		a := get(t, "/Patient/p1", token).want(t, http.StatusUnauthorized)
		if !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("WWW-Authenticate: %q", a.header.Get("WWW-Authenticate"))
		}
	}
}

func TestWhoMayRead(t *testing.T) {
	ann, nina, nobody := user(t, "ann", userReads), user(t, "nina", userReads), user(t, "nobody", userReads)
	pat, svc := patient(t, patientApp), backend(t)
	for _, c := range []struct {
		what, target, token string
		want                int
	}{
		{"clinician, own organization", "/Patient/p1", ann, 200},
		{"clinician, another organization", "/Patient/p50", ann, 404},
		{"clinician, absent", "/Patient/absent", ann, 404},
		{"clinician, restricted record, with the purpose", "/Observation/restricted", ann, 200},
		{"clinician, record for nobody", "/Observation/sealed", ann, 404},
		{"clinician, patient who refused", "/Patient/p39", ann, 404},
		{"clinician, patient who was never asked", "/Observation/o40a", ann, 404},
		{"clinician, one version", "/Patient/p1/_history/1", ann, 200},
		{"clinician, a version that is absent", "/Patient/p1/_history/77", ann, 404},
		{"nurse, patient of a stay", "/Patient/p2", nina, 200},
		{"nurse, anybody else", "/Patient/p3", nina, 404},
		{"billing, coverage is not clinical", "/Observation/o1a", user(t, "bill", userReads), 403},
		{"somebody without roles", "/Patient/p1", nobody, 403},
		{"patient, self", "/Patient/p1", pat, 200},
		{"patient, another", "/Patient/p2", pat, 404},
		{"patient, own observation", "/Observation/o1a", pat, 200},
		{"patient, another's observation", "/Observation/o2a", pat, 404},
		{"patient, own by identifier only", "/Observation/logical", pat, 404},
		{"patient, narrower scope", "/Encounter/e1", patient(t, "launch/patient fhirUser patient/Observation.rs"), 403},
		{"patient app without its patient", "/Patient/p1", patient(t, "fhirUser patient/*.rs"), 403},
		{"service, by agreement", "/Observation/o1a", svc, 200},
		{"service, beyond its agreement", "/Encounter/e1", svc, 403},
		{"unknown type", "/Patients/p1", ann, 400},
	} {
		t.Run(c.what, func(t *testing.T) { get(t, c.target, c.token).want(t, c.want) })
	}
}

func TestMethodsThatFHIRDoesNotHave(t *testing.T) {
	for method, want := range map[string]int{"TRACE": 405, "PROPFIND": 405} {
		send(t, method, "/Patient/p1", user(t, "ann", userReads), "").want(t, want)
	}
	if a := send(t, http.MethodHead, "/Patient/p1", user(t, "ann", userReads), ""); a.status != 200 || a.body != "" {
		t.Errorf("HEAD: status %d, body %q", a.status, a.body)
	}
}

// $everything gives what reads of each would give.
func TestEverything(t *testing.T) {
	for who, c := range map[string]struct{ token, has, hasNot string }{
		"clinician": {user(t, "ann", userReads), "Observation/restricted", "Observation/sealed"},
		"patient":   {patient(t, patientApp), "Observation/o1a", "Observation/restricted"},
	} {
		got, _ := pages(t, "/Patient/p1/$everything", c.token)
		if !slices.Contains(got, "Patient/p1") || !slices.Contains(got, c.has) || slices.Contains(got, c.hasNot) {
			t.Errorf("%s: %v", who, got)
		}
		get(t, "/Patient/p55/$everything", c.token).want(t, http.StatusNotFound)
	}
}

// This server knows no search in a compartment; its callers do not notice.
func TestCompartmentSearch(t *testing.T) {
	token := user(t, "ann", userReads)
	got, _ := pages(t, "/Patient/p5/Observation", token)
	want, _ := pages(t, "/Observation?patient=p5", token)
	slices.Sort(got)
	slices.Sort(want)
	if len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// What a caller may not see and what is not there must not differ (ruling 1).
func TestForbiddenLooksAbsent(t *testing.T) {
	for who, token := range map[string]string{"patient": patient(t, patientApp), "clinician": user(t, "ann", userReads)} {
		var seen []answer
		for _, id := range []string{"p55", "absent"} {
			seen = append(seen, get(t, "/Patient/"+id, token).want(t, 404))
		}
		for i := range seen {
			for _, name := range []string{"Date", "X-Request-Id"} {
				if id := seen[i].header.Get(name); id != "" {
					seen[i].body = strings.ReplaceAll(seen[i].body, id, "")
				}
				seen[i].header.Del(name)
			}
		}
		if seen[0].body != seen[1].body {
			t.Errorf("%s: forbidden %q, absent %q", who, seen[0].body, seen[1].body)
		}
		var a, b strings.Builder
		if seen[0].header.Write(&a) != nil || seen[1].header.Write(&b) != nil || a.String() != b.String() {
			t.Errorf("%s: forbidden\n%s\nabsent\n%s", who, a.String(), b.String())
		}
	}
}

// What is not touched keeps its bytes: decimals, extensions, contained
// resources, narrative.
func TestBytesSurvive(t *testing.T) {
	direct, err := directly(http.MethodGet, hapi.url+"/Patient/p7", "")
	if err != nil {
		t.Fatal(err)
	}
	if got := get(t, "/Patient/p7", user(t, "ann", userReads)).want(t, 200).body; got != direct {
		t.Errorf("got  %s\nwant %s", got, direct)
	}
	if !strings.Contains(direct, `"valueDecimal":1.10`) {
		t.Errorf("the server does not keep decimals; this test proves little: %s", direct)
	}
}

func TestAttachmentURLIsTheGateways(t *testing.T) {
	a := get(t, "/DocumentReference/d1", user(t, "ann", userReads)).want(t, 200)
	if want := `"url":"` + gate.base + `/Binary/b1"`; !strings.Contains(a.body, want) {
		t.Errorf("no %s in %s", want, a.body)
	}
}

func TestResearcherSeesNobody(t *testing.T) {
	a := get(t, "/Patient?_count=5", researcher(t))
	b := a.bundle(t)
	if len(b.Entry) == 0 {
		t.Fatal("the researcher sees nothing at all")
	}
	for _, word := range []string{family, "MRN-", "Patient/p", "-03-04", "kin</div>"} {
		if strings.Contains(a.body, word) {
			t.Errorf("%q in %.1000s", word, a.body)
		}
	}
	pseudonym := b.Entry[0].Resource.ID
	get(t, "/Patient/"+pseudonym, researcher(t)).want(t, 200)
	get(t, "/Patient/p1", researcher(t)).want(t, 404)
	get(t, "/Patient?family="+family+"1", researcher(t)).want(t, 400)
}
