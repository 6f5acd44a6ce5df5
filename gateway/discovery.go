package gateway

import (
	"net/http"
	"slices"
)

// This file answers what names no patient and needs no token: preflights and
// the discovery documents. They are made from the configuration and from what
// the issuers publish about themselves, never from the upstream (E-07).

// beside answers such a request, if it is one.
func (x *exchange) beside() bool {
	if x.r.Method == http.MethodOptions {
		x.quiet = true
		x.out.status = http.StatusNoContent
		x.s.cors.preflight(x.out.w, x.r)
		return true
	}
	path := x.r.URL.Path
	var doc any
	switch path {
	case x.s.basePath + "/.well-known/smart-configuration", "/.well-known/smart-configuration":
		doc = x.smartConfiguration()
	case x.s.basePath + "/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource" + x.s.basePath, "/.well-known/oauth-protected-resource":
		doc = x.protectedResource()
	default:
		return false
	}
	if _, ok := x.g.limit.Address(x.address); !ok || x.r.Method != http.MethodGet && x.r.Method != http.MethodHead {
		return false // the path refuses it with the right words
	}
	x.quiet = true
	x.record.Interaction = "discovery"
	x.out.w.Header().Set("Access-Control-Allow-Origin", "*") // any origin may discover
	x.out.status = http.StatusOK
	writeJSON(x.out.w, http.StatusOK, doc)
	return true
}

// smartConfiguration is the SMART discovery document (SMART-01 to SMART-07).
// With several issuers that speak SMART, the first one is named: the format has
// room for one.
func (x *exchange) smartConfiguration() map[string]any {
	doc := map[string]any{
		"grant_types_supported":            []string{"authorization_code", "client_credentials"},
		"code_challenge_methods_supported": []string{"S256"},
		"capabilities": []string{"launch-standalone", "client-public", "client-confidential-symmetric", "client-confidential-asymmetric",
			"context-standalone-patient", "permission-offline", "permission-patient", "permission-user", "permission-v1", "permission-v2"},
		"scopes_supported":         []string{"openid", "fhirUser", "launch/patient", "offline_access", "patient/*.rs", "user/*.cruds", "system/*.rs"},
		"response_types_supported": []string{"code"},
	}
	e := x.s.auth.Endpoints()
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
		"scopes_supported": []string{"patient/*.rs", "user/*.cruds", "system/*.rs"}, "resource_name": "FHIR by Gatehouse"}
}
