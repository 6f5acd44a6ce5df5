//go:build real

package real

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"testing"
	"time"
)

// A SMART app made with fhirclient launches: discovery at the gateway, login
// at Keycloak with PKCE, reads through the gateway.
func TestFHIRClient(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "node", "fhirclient/launch.js", gate.base, "pat", "password")
	c.Env = append(os.Environ(), "FHIRCLIENT="+os.Getenv("GATEHOUSE_REAL")+"/fhirclient")
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var got struct {
		Patient, Family     string
		Observations, Other int
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got.Patient != "p1" || got.Family != family+"1" || got.Observations != 2 || got.Other != 404 {
		t.Errorf("%+v", got)
	}
}
