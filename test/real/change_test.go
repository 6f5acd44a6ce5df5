//go:build real

package real

import (
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// eventually waits for something to become true.
func eventually(t *testing.T, limit time.Duration, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if done() {
			return
		}
	}
	t.Fatalf("not within %s: %s", limit, what)
}

func status(t *testing.T, target, token string) int {
	t.Helper()
	return get(t, target, token).status
}

// A new signing key is known without a restart, and the old one still counts.
func TestKeyRotation(t *testing.T) {
	old := user(t, "ann", userReads)
	realm.administer(t, http.MethodPost, "/components", map[string]any{
		"name": "rotated", "providerId": "rsa-generated", "providerType": "org.keycloak.keys.KeyProvider",
		"config": map[string][]string{"priority": {"1000"}, "enabled": {"true"}, "active": {"true"}, "algorithm": {"RS256"}, "keySize": {"2048"}}})
	forgetTokens()
	fresh := user(t, "ann", userReads)
	if keyID(t, old) == keyID(t, fresh) {
		t.Fatal("Keycloak signs with the old key")
	}
	eventually(t, time.Minute, "a token of the new key is accepted", func() bool { return status(t, "/Patient/p1", fresh) == 200 })
	get(t, "/Patient/p1", old).want(t, 200)
}

// A consent counts as soon as it can be known: within max_staleness.
func TestConsentIsWritten(t *testing.T) {
	ann := user(t, "ann", userReads)
	const target = "/Observation/o40a"
	get(t, target, ann).want(t, 404)
	if _, err := directly(http.MethodPut, hapi.url+"/Consent/c40", consent(unasked, "permit")); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, "what the patient permits is seen", func() bool { return status(t, target, ann) == 200 })
	if _, err := directly(http.MethodDelete, hapi.url+"/Consent/c40", ""); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, "what the patient withdrew is hidden", func() bool { return status(t, target, ann) == 404 })
}

// Somebody who is no programmer edits the role table.
func TestRoleTableIsReloaded(t *testing.T) {
	lia := user(t, "lia", userReads)
	get(t, "/Observation/o1a", lia).want(t, http.StatusForbidden)
	before, err := os.ReadFile(gate.policy("roles.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	edit := func(text string) {
		t.Helper()
		if err := gate.write("policies/roles.yaml", string(before)+text); err != nil {
			t.Fatal(err)
		}
		if err := gate.process.running.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	row := "  lab:\n    - reason: The laboratory reads what it measured.\n      types: [Observation]\n      actions: [read, search]\n      when: own_organization\n"
	edit(row)
	eventually(t, 30*time.Second, "the laboratory reads", func() bool { return status(t, "/Observation/o1a", lia) == 200 })
	get(t, "/Patient/p1", lia).want(t, http.StatusForbidden)
	edit(row + "  lab: [nonsense\n")
	eventually(t, 30*time.Second, "the bad table is reported", func() bool {
		a := send(t, http.MethodGet, "http://"+gate.admin+"/readyz", "", "")
		return strings.Contains(a.body, "last_reload_refused")
	})
	get(t, "/Observation/o1a", lia).want(t, 200)
	edit("")
	eventually(t, 30*time.Second, "the laboratory reads no more", func() bool { return status(t, "/Observation/o1a", lia) == 403 })
}

// While the server behind is away, nothing is answered but that; when it is
// back, so is everything.
func TestUpstreamRestarts(t *testing.T) {
	ann := user(t, "ann", userReads)
	get(t, "/Patient/p1", ann).want(t, 200)
	if err := hapi.stop(); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"/Patient/p1", "/Patient?_count=3", "/Observation/o1a"} {
		if got := get(t, target, ann); got.status != http.StatusBadGateway && got.status != http.StatusServiceUnavailable || got.code(t) == "" {
			t.Errorf("%s: status %d: %.300s", target, got.status, got.body)
		}
	}
	if err := hapi.start(); err != nil {
		t.Fatal(err)
	}
	ann = user(t, "ann", userReads)
	eventually(t, 30*time.Second, "reads work again", func() bool { return status(t, "/Patient/p1", ann) == 200 })
}
