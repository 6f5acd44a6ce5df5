//go:build real

package real

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

// trail is how many AuditEvents name each request id, and which of them are
// readings of the trail itself.
func trail(t *testing.T) (found map[string]int, readings map[string]bool) {
	t.Helper()
	out, err := gate.command("audit", "export", "-c", gate.config())
	if err != nil {
		t.Fatalf("audit export: %v\n%.600s", err, out)
	}
	found, readings = map[string]int{}, map[string]bool{}
	for line := range strings.Lines(out) {
		var e struct {
			ResourceType string
			Entity       []struct {
				What struct{ Identifier struct{ Value string } }
				Type struct{ Code string }
			}
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.ResourceType != "AuditEvent" {
			t.Fatalf("audit export: %v: %.300s", err, line)
		}
		for _, n := range e.Entity {
			if n.Type.Code == "XrequestId" {
				found[n.What.Identifier.Value]++
				if strings.Contains(line, `"gatehouse export"`) {
					readings[n.What.Identifier.Value] = true
				}
			}
		}
	}
	return found, readings
}

// Each request leaves its record, whatever became of it, and nothing else
// does; the log proves itself while the gateway writes it.
func TestEveryRequestIsRecordedOnce(t *testing.T) {
	ann, pat := user(t, "ann", userWrites), patient(t, patientApp)
	before, _ := trail(t)
	var ids []string
	for _, a := range []answer{
		get(t, "/Patient/p1", ann),
		get(t, "/Patient/absent", ann),
		get(t, "/Patient/p50", ann),
		get(t, "/Patient/p1", ""),
		get(t, "/Observation/o1a", user(t, "nobody", userReads)),
		get(t, "/Patients?x", ann),
		get(t, "/Observation", pat),
		send(t, http.MethodPut, "/Observation/audited", ann, observation("audited", "p16", "")),
		send(t, http.MethodDelete, "/Observation/audited", ann, ""),
	} {
		ids = append(ids, a.header.Get("X-Request-Id"))
	}
	// The gateway learns within a second that its trail was read (AUD-11).
	var after map[string]int
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(time.Second) {
		var readings map[string]bool
		after, readings = trail(t)
		for id := range before {
			delete(after, id)
		}
		seen := len(after)
		for id := range after {
			if readings[id] {
				delete(after, id)
			}
		}
		if len(after) < seen {
			break
		}
		if time.Now().After(deadline) {
			t.Error("the first export of the trail is not in it")
			break
		}
	}
	for i, id := range ids {
		if id == "" || after[id] != 1 {
			t.Errorf("request %d (%q): %d AuditEvents, want 1", i, id, after[id])
		}
	}
	if len(after) != len(ids) {
		t.Errorf("%d requests recorded, want %d", len(after), len(ids))
	}
	out, err := gate.command("audit", "verify", "-c", gate.config())
	if err != nil {
		t.Errorf("audit verify: %v\n%s", err, out)
	}
	out, err = gate.command("audit", "report", "-c", gate.config(), "--patient", "Patient/p16")
	if err != nil || !strings.Contains(out, "Practitioner/ann") || !strings.Contains(out, "update") {
		t.Errorf("audit report: %v\n%s", err, out)
	}
}
