//go:build real

package real

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
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

// The same in a browser: a page from another origin launches, somebody logs in at
// Keycloak's page, and the page shows that patient's record and nobody else's.
// Its picture is kept in the directory that GATEHOUSE_REAL_PICTURES names.
func TestFHIRClientInABrowser(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	picture := filepath.Join(gate.dir, "browser.png")
	c := exec.CommandContext(ctx, "node", "fhirclient/browser.js", gate.base, gate.app, "pat", "password", picture)
	c.Env = append(os.Environ(), "FHIRCLIENT="+os.Getenv("GATEHOUSE_REAL")+"/fhirclient")
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var got struct {
		State, Patient, Observations, Other string
		Login, PKCE, Landed                 string
		Calls                               int
		Said                                []string
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got.State != "done" || got.Patient != "p1 "+family+"1" || got.Observations != "o1a o1b" || got.Other != "404" {
		t.Errorf("the page shows %+v", got)
	}
	if got.Login != realm.url || got.PKCE != "S256" || got.Landed != gate.app || got.Calls < 4 {
		t.Errorf("the browser went %+v", got)
	}
	if info, err := os.Stat(picture); err != nil || info.Size() < 1000 {
		t.Errorf("the picture of the page: %v", err)
	}
	if keep := os.Getenv("GATEHOUSE_REAL_PICTURES"); keep != "" {
		if err := copyFile(picture, filepath.Join(keep, "browser.png")); err != nil {
			t.Error(err)
		}
	}
}
