package gateway

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"gatehouse/gateway/scope"
)

// This file answers what names no patient and needs no token: preflights and
// the discovery documents. They are made from the configuration and from what
// the issuers publish about themselves, never from the upstream (E-07).

// beside answers such a request, if it is one. It is held to the address limit
// and recorded like any other.
func (x *exchange) beside(ctx context.Context) (done bool, err error) {
	doc := x.document()
	preflight := x.r.Method == http.MethodOptions
	if !preflight && (doc == nil || x.r.Method != http.MethodGet && x.r.Method != http.MethodHead) {
		return false, nil
	}
	if err := x.limitAddress(); err != nil {
		return true, err
	}
	status := http.StatusOK
	x.record.Interaction = "discovery"
	if doc == missing {
		return true, &failure{status: http.StatusNotFound, code: "discovery.unknown", text: "No such document is published here."}
	}
	if preflight {
		status, x.record.Interaction = http.StatusNoContent, "preflight"
	}
	x.outcome(status, "ok")
	if err := x.commit(ctx); err != nil {
		return true, err
	}
	x.out.status, x.out.began = status, true
	if preflight {
		x.s.cors.preflight(x.out.w)
		return true, nil
	}
	x.out.w.Header().Set("Access-Control-Allow-Origin", "*") // any origin may discover
	writeJSON(x.out.w, status, doc)
	return true, nil
}

// missing stands for a well-known document that there is not (UDAP-01): who asks
// for it without a token must learn that, and not that a token is wanted.
const missing = "missing"

// document is the discovery document at the request's path, missing where that is
// the place of another one, nil where it is no place of such documents.
func (x *exchange) document() any {
	switch x.r.URL.Path {
	case x.s.basePath + "/.well-known/smart-configuration", "/.well-known/smart-configuration":
		return x.smartConfiguration()
	case x.s.basePath + "/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource" + x.s.basePath, "/.well-known/oauth-protected-resource":
		return x.protectedResource()
	}
	if below, _ := strings.CutPrefix(x.r.URL.Path, x.s.basePath); strings.HasPrefix(below, "/.well-known/") {
		return missing
	}
	return nil
}

// smartConfiguration is the SMART discovery document (SMART-01 to SMART-07).
// With several issuers that speak SMART, the first one is named: the format has
// room for one.
func (x *exchange) smartConfiguration() map[string]any {
	doc := map[string]any{
		"grant_types_supported":            []string{"authorization_code", "client_credentials"},
		"code_challenge_methods_supported": []string{"S256"},
		"scopes_supported":                 x.s.scopesSupported(),
		"response_types_supported":         []string{"code"},
	}
	capabilities := []string{"client-public", "client-confidential-symmetric", "client-confidential-asymmetric",
		"permission-offline", "permission-patient", "permission-user", "permission-v1", "permission-v2"}
	e := x.s.auth.Endpoints()
	if e.Authorization != "" { // without it nobody can launch (SMART-04)
		capabilities = append(capabilities, "launch-standalone", "context-standalone-patient")
	}
	doc["capabilities"] = capabilities
	for field, value := range map[string]string{"authorization_endpoint": e.Authorization, "token_endpoint": e.Token,
		"introspection_endpoint": e.Introspection, "revocation_endpoint": e.Revocation} {
		if value != "" {
			doc[field] = value
		}
	}
	return doc
}

// protectedResource is RFC 9728 metadata (PRM-01).
func (x *exchange) protectedResource() map[string]any {
	var servers []string
	for _, issuer := range x.s.cfg.Issuers {
		if !slices.Contains(servers, issuer.Issuer) {
			servers = append(servers, issuer.Issuer)
		}
	}
	return map[string]any{"resource": x.s.publicURL, "authorization_servers": servers, "bearer_methods_supported": []string{"header"},
		"scopes_supported": x.s.scopesSupported(), "resource_name": "FHIR by Gatehouse"}
}

// beyondResources are the scopes of the SMART launch that a login may grant.
var beyondResources = []string{"openid", "fhirUser", "launch", "launch/patient", "launch/encounter", "offline_access", "online_access"}

// scopesSupported are the scopes that are enforced here, and of those that the login
// alone grants the ones that it says it knows (SMART-05).
func (s *snapshot) scopesSupported() []string {
	var list []string
	login := s.auth.Endpoints().Scopes
	for _, one := range beyondResources {
		if slices.Contains(login, one) {
			list = append(list, one)
		}
	}
	return append(list, scope.Supported(s.grammar.Version)...)
}
