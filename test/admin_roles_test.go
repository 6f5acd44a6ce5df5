package test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// G-03, issue 7: every route of the admin API answers those roles alone that need it;
// whoever has another, or none, is told so before anything is read, and is on record.
func TestEveryAdminRouteHasItsRoles(t *testing.T) {
	const id = "01a20093-594a-79b8-b6cc-3bd3dc563ad6"
	routes := map[string]string{ // route: who may
		"GET /decisions/{id}": "operator privacy",
		"GET /blocks":         "operator privacy", "POST /blocks": "operator privacy", "DELETE /blocks": "operator privacy",
		"GET /policies": "compliance operator", "GET /policies/{id}": "compliance operator",
		"POST /policies/{id}/{step:approve|reject|activate}": "compliance",
		"GET /pseudonyms": "privacy", "POST /pseudonyms": "privacy", "POST /pseudonyms/{id}/{step:approve|deny|show}": "privacy",
		"GET /quotas": "operator", "GET /diagnostics": "operator",
		"GET /log-levels": "operator", "POST /log-levels": "operator", "DELETE /log-levels": "operator",
		"GET /grants": "privacy", "DELETE /grants/{id}": "privacy", "GET /reviews": "privacy", "POST /reviews/{id}": "privacy",
		"GET /accesses": "privacy", "GET /incidents": "privacy",
		"GET /erasures": "privacy", "POST /erasures": "privacy", "POST /erasures/{id}/{step:approve|deny}": "privacy",
	}
	for route := range declaredRoutes(t) {
		if routes[route] == "" {
			routes[route] = "?" // not told here: closed to all without an admin role at least
		}
	}
	h := openHouse(t, "admin_auth: {issuer: %ISSUER%, roles: {operator: [gw-ops], privacy: [privacy-officer], compliance: [auditor]}}")
	tokens := map[string]string{"operator": h.operator(), "privacy": h.officer(),
		"compliance": h.token(map[string]any{"sub": "cora", "roles": []string{"auditor"}}), "none": h.staff(), "patient": h.patient("1", "patient/*.rs")}
	step := regexp.MustCompile(`\{step:(\w+)[^}]*\}`)
	for route, roles := range routes {
		method, path, _ := strings.Cut(route, " ")
		path = strings.ReplaceAll(step.ReplaceAllString(path, "$1"), "{id}", id)
		for role, token := range tokens {
			got := h.call(method, path, token, "")
			if refused := got.status == 403 && got.adminCode() == "admin.role"; refused == strings.Contains(roles, role) && (roles != "?" || role == "none" || role == "patient") {
				t.Errorf("%s as %s: %d %s", route, role, got.status, got.body)
			}
			records := h.records(t, got.header.Get("X-Request-Id"))
			if len(records) == 0 {
				t.Errorf("%s as %s left no record", route, role)
			}
		}
	}
}

// declaredRoutes are those of the admin API in the gateway's own text.
func declaredRoutes(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("../gateway/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %d files", err, len(files))
	}
	found := map[string]bool{}
	handle := regexp.MustCompile(`v1\.Handle\("([^"]+)".*\.Methods\(http\.Method(\w+)\)`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range handle.FindAllStringSubmatch(string(text), -1) {
			found[strings.ToUpper(m[2])+" "+m[1]] = true
		}
	}
	if len(found) < 20 {
		t.Errorf("only %d routes found", len(found))
	}
	return found
}
