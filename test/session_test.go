package test

import (
	"strings"
	"testing"
	"time"
)

// Issue 5 point 5: a login that is too old, idle or of unknown age is refused with
// a challenge for a fresh one; it is the login that counts, not the token.
func TestSessions(t *testing.T) {
	h := openHouse(t, `clients: {"*": {session: {max: 8h}}, tablet: {session: {idle: 1s}}, open: {session: {max: 100h}}}`)
	h.ehr.on("GET /Observation/a", 200, obsA)
	at := func(client string, age time.Duration) string {
		return h.token(map[string]any{"sub": "ann", "client_id": client, "roles": []string{"staff"}, "auth_time": time.Now().Add(-age).Unix()})
	}
	for _, c := range []struct {
		name, token string
		status      int
		code        string
	}{
		{"fresh", at("any", 0), 200, ""},
		{"nearly over", at("any", 8*time.Hour-time.Minute), 200, ""},
		{"over", at("any", 8*time.Hour+time.Minute), 401, "session.old"},
		{"to come", at("any", -time.Hour), 401, "session.old"},
		{"unknown", h.token(map[string]any{"sub": "ann", "roles": []string{"staff"}}), 401, "session.old"},
		{"another client's bound", at("open", 50*time.Hour), 200, ""},
		{"over for a client with a bound on idleness, by *", at("tablet", 9*time.Hour), 401, "session.old"},
		{"a service", h.token(map[string]any{"sub": "svc", "client_id": "svc", "roles": []string{"staff"}, "scope": "system/*.rs"}), 200, ""},
	} {
		got := h.get("/Observation/a", c.token)
		if got.status != c.status || c.code != "" && got.code() != c.code {
			t.Errorf("%s: got %d %s", c.name, got.status, got.body)
		}
		if c.status == 401 && !strings.Contains(got.header.Get("WWW-Authenticate"), "insufficient_user_authentication") {
			t.Errorf("%s: challenge %v", c.name, got.header)
		}
	}
}

func TestIdleSessions(t *testing.T) {
	t.Parallel() // it waits more than it works
	h := openHouse(t, `clients: {tablet: {session: {idle: 6s}}}`)
	h.ehr.on("GET /Observation/a", 200, obsA)
	login := time.Now().Unix()
	token := func(login int64) string {
		return h.token(map[string]any{"sub": "ann", "client_id": "tablet", "sid": "s1", "roles": []string{"staff"}, "auth_time": login})
	}
	for range 4 { // use prolongs it beyond what the login alone would
		if got := h.get("/Observation/a", token(login)); got.status != 200 {
			t.Fatalf("in use: %d %s", got.status, got.body)
		}
		time.Sleep(2400 * time.Millisecond)
	}
	time.Sleep(6 * time.Second)
	for range 2 { // to be refused is no use
		if got := h.get("/Observation/a", token(login)); got.status != 401 || got.code() != "session.idle" {
			t.Errorf("idle: %d %s", got.status, got.body)
		}
	}
	if got := h.get("/Observation/a", token(time.Now().Unix())); got.status != 200 {
		t.Errorf("logged in again: %d %s", got.status, got.body)
	}
	if got := h.get("/Observation/a", token(login)); got.status != 200 { // the same session, in use again
		t.Errorf("an older token of the session: %d", got.status)
	}
	h.stop()
	h.start()
	time.Sleep(6 * time.Second)
	if got := h.get("/Observation/a", token(login)); got.status != 401 {
		t.Errorf("a restart prolongs it: %d", got.status)
	}
}
