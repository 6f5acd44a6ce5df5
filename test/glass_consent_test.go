package test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/gateway"
	"gatehouse/gateway/emergency"
	"gatehouse/gateway/reidentify"
)

// Issue 5 point 2, BTG-01, CONS-13: while nobody can tell what patients have
// consented to, nothing of them is shown, but under an open grant, to its owner and
// of its patient.
func TestEmergencyWhileConsentsAreAway(t *testing.T) {
	h := openGlass(t, "consent: {source: upstream, default: permit, max_staleness: 0s}")
	h.consents()
	ann, bob := h.ann(nil), h.ann(map[string]any{"sub": "bob", "fhirUser": "Practitioner/8", "organization": "Organization/9"})
	if got := h.breakGlass(ann, collapsed); got.status != 201 {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	for name, c := range map[string]struct {
		token, target string
		well, away    int
	}{
		"the grant's patient":      {ann, "/Patient/A", 200, 200},
		"another patient":          {ann, "/Patient/B", 404, 404},
		"without a grant":          {bob, "/Patient/A", 200, 404},
		"without a grant, another": {bob, "/Patient/B", 200, 404},
	} {
		h.consents()
		well := h.get(c.target, c.token)
		for _, method := range []string{"GET /Consent", "POST /Consent/_search"} {
			h.ehr.on(method, 503, "")
		}
		if away := h.get(c.target, c.token); well.status != c.well || away.status != c.away {
			t.Errorf("%s: got %d, and %d while they are away: %s", name, well.status, away.status, away.body)
		}
	}
}

// CONS-13: what becomes of a Consent past the gateway, its deletion included, counts
// within max_staleness.
func TestConsentDeletedElsewhere(t *testing.T) {
	h := openHouse(t, "consent: {source: upstream, default: deny, max_staleness: 300ms}")
	h.ehr.on("GET /Observation/a", 200, resource("Observation", "a", ref("subject", "Patient/P")+`,"code":{"text":"x"}`))
	seen := func() int { return h.get("/Observation/a", h.staff()).status }
	for i, c := range []struct {
		consents []string
		want     int
	}{{[]string{consentOf("c", "P", "permit", "")}, 200}, {nil, 404}, {[]string{consentOf("c", "P", "permit", ""), consentOf("d", "P", "deny", "")}, 404}, {[]string{consentOf("c", "P", "permit", "")}, 200}} {
		h.consents(c.consents...)
		time.Sleep(350 * time.Millisecond)
		if got := seen(); got != c.want {
			t.Errorf("%d: got %d, want %d", i, got, c.want)
		}
	}
}

// BTG-02: an alert that nobody could be told of before the gateway ended is told when
// it is there again, and only once more.
func TestAlertOutlivesTheProcess(t *testing.T) {
	t.Parallel() // it waits more than it works
	var mu sync.Mutex
	var heard []string
	up := false
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		if !up {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		heard = append(heard, string(b))
	}))
	t.Cleanup(hook.Close)
	h := openGlass(t, fmt.Sprintf("emergency: {roles: [clinician], notify: [privacy], review_within: 72h}\nnotify: {privacy: {url: %q}}", hook.URL))
	opened := h.breakGlass(h.ann(nil), collapsed)
	if opened.status != 201 {
		t.Fatalf("got %d %s", opened.status, opened.body)
	}
	h.stop()
	told := func() []string { mu.Lock(); defer mu.Unlock(); return slices.Clone(heard) }
	if got := told(); len(got) != 0 {
		t.Fatalf("heard while it was down: %v", got)
	}
	mu.Lock()
	up = true
	mu.Unlock()
	h.start()
	h.within(5*time.Second, func() bool { return len(told()) == 1 })
	h.stop()
	h.start()
	time.Sleep(500 * time.Millisecond)
	got := told()
	if len(got) != 1 || !strings.Contains(got[0], opened.header.Get("X-Request-Id")) || !strings.Contains(got[0], `"event":"emergency.opened"`) {
		t.Errorf("heard %v", got)
	}
}

// BTG-02: the review at the command line, by somebody else, with a reason, once; the
// running gateway hears of it.
func TestReviewAtTheCommandLine(t *testing.T) {
	h := openGlass(t)
	ann := h.ann(nil)
	if got := h.breakGlass(ann, collapsed); got.status != 201 || h.get("/Patient/A", ann).status != 200 {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	paul, opener := reidentify.Person{Issuer: h.issuer.URL, Subject: "paul"}, reidentify.Person{Issuer: h.issuer.URL, Subject: "ann-2", User: "Practitioner/7"}
	list, err := gateway.EmergencyReviews(t.Context(), h.cfg(), paul, false)
	if err != nil || len(list) != 1 || list[0].Patient != "Patient/A" {
		t.Fatalf("got %v %v", list, err)
	}
	for _, c := range []struct {
		by                reidentify.Person
		id, verdict, note string
		want              error
	}{
		{opener, list[0].ID, "justified", "it was me", emergency.ErrOwn},
		{paul, list[0].ID, "justified", "", emergency.ErrVerdict},
		{paul, list[0].ID, "fine", "seen in the chart", emergency.ErrVerdict},
		{paul, list[0].ID, "justified", "seen in the chart", nil},
		{paul, list[0].ID, "unjustified", "on second thought", emergency.ErrReviewed},
	} {
		if err := gateway.ReviewEmergency(t.Context(), h.cfg(), c.by, c.id, c.verdict, c.note); !errors.Is(err, c.want) {
			t.Errorf("%s %q: got %v, want %v", c.verdict, c.note, err, c.want)
		}
	}
	if err := gateway.ReviewEmergency(t.Context(), h.cfg(), paul, "none", "justified", "x y"); err == nil {
		t.Error("one that there is not was reviewed")
	}
	h.within(3*time.Second, func() bool { return h.get("/Patient/A", ann).status == 404 })
	left, err := gateway.EmergencyReviews(t.Context(), h.cfg(), paul, false)
	all, err2 := gateway.EmergencyReviews(t.Context(), h.cfg(), paul, true)
	if errors.Join(err, err2) != nil || len(left) != 0 || len(all) != 1 || all[0].Reviewed.By.Subject != "paul" {
		t.Errorf("left %v, all %v, %v", left, all, errors.Join(err, err2))
	}
}
