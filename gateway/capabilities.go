package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/fhir"
	"gatehouse/gateway/scope"
	"gatehouse/gateway/upstream"
	"gatehouse/gateway/view"
)

// metadata is the CapabilityStatement, made from the upstream's by leaving out
// what the gateway does not let through; kept for a while, since it is the same
// for every caller without a view.
type metadata struct {
	mu      sync.Mutex
	made    []byte
	through map[*view.View][]byte // made of it for clients with a view
	expires time.Time
}

const metadataLife = time.Minute

// capabilities answers GET /metadata, which needs no token.
func (x *exchange) capabilities(ctx context.Context, out output) error {
	doc, err := x.s.capabilityStatement(ctx)
	var away *upstream.Error
	if errors.As(err, &away) {
		return upstreamFailed(err, http.MethodGet)
	}
	if err != nil {
		return badUpstream(err)
	}
	if w := cmp.Or(x.caller.view, x.seenBy); w != nil {
		if doc, err = x.s.statementThrough(doc, w); err != nil {
			return internal(err)
		}
	}
	x.outcome(http.StatusOK, "ok")
	if err := x.commit(ctx); err != nil {
		return err
	}
	if out == output(x.out) { // not as an entry of a batch, which holds more
		x.out.w.Header().Set("Access-Control-Allow-Origin", "*") // any origin may discover (SMART-09)
	}
	_, err = out.begin(head{status: http.StatusOK, contentType: fhirJSON, length: int64(len(doc))}).Write(doc)
	return clientGone(err)
}

func (s *snapshot) capabilityStatement(ctx context.Context) ([]byte, error) {
	s.metadata.mu.Lock()
	doc, fresh := s.metadata.made, time.Now().Before(s.metadata.expires)
	s.metadata.mu.Unlock()
	if fresh {
		return doc, nil
	}
	statement, err := s.upstreamMetadata(ctx)
	if err != nil {
		return nil, err
	}
	if said, other := s.otherRelease(statement); other {
		return nil, fmt.Errorf("the upstream speaks FHIR %s, and upstream.fhir_version is %s: its records are read by the wrong definitions", said, s.grammar.Version)
	}
	s.reduce(statement)
	if doc, err = json.Marshal(statement); err != nil {
		return nil, fmt.Errorf("write CapabilityStatement: %w", err)
	}
	s.metadata.mu.Lock()
	s.metadata.through = nil
	s.metadata.made, s.metadata.expires = doc, time.Now().Add(metadataLife)
	s.metadata.mu.Unlock()
	return doc, nil
}

func (s *snapshot) upstreamMetadata(ctx context.Context) (map[string]any, error) {
	answer, err := s.up.Own(ctx, upstream.Metadata, upstream.Request{Method: http.MethodGet, Target: "metadata"})
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(answer.Body, int64(s.cfg.Limits.Resource)))
	if err != nil {
		return nil, fmt.Errorf("read /metadata: %w", err)
	}
	statement := map[string]any{}
	if err := json.Unmarshal(raw, &statement); err != nil {
		return nil, fmt.Errorf("read /metadata: %w", err)
	}
	if answer.Status != http.StatusOK || statement["resourceType"] != "CapabilityStatement" {
		return nil, errors.New("/metadata is not a CapabilityStatement")
	}
	return statement, nil
}

// reduce keeps of the upstream's statement what is true of the gateway
// (FHIR-22). It is an allow-list: a member that is not named here is dropped,
// since vendors put host names and product notes anywhere.
func (s *snapshot) reduce(c map[string]any) {
	rest := map[string]any{"mode": "server", "security": s.securitySection()}
	var resources []any
	if list, _ := c["rest"].([]any); len(list) > 0 {
		first, _ := list[0].(map[string]any)
		operations := s.exportAt("", first["operation"])
		if s.grammar.Operations["$de-identify"] { // the gateway's own: the upstream need not have it
			operations = append(operations, map[string]any{"name": "de-identify", "definition": "urn:gatehouse:operation:de-identify"})
		}
		if len(operations) > 0 {
			rest["operation"] = operations
		}
		all, _ := first["resource"].([]any)
		for _, r := range all {
			if reduced := s.reduceResource(r); reduced != nil {
				resources = append(resources, reduced)
			}
		}
	}
	if len(resources) > 0 {
		rest["resource"] = resources
	}
	rest["interaction"] = codeList("batch", "transaction")
	keep := map[string]any{"resourceType": "CapabilityStatement", "status": "active", "kind": "instance", "date": c["date"],
		"fhirVersion": s.grammar.Version.Full(), "format": []any{"json"}, "rest": []any{rest},
		"software":       map[string]any{"name": "Gatehouse"},
		"implementation": map[string]any{"description": "FHIR through Gatehouse", "url": s.publicURL}}
	if s.grammar.Version == fhir.STU3 {
		asSTU3(keep, rest, resources)
	}
	clear(c)
	for k, v := range keep {
		if v != nil {
			c[k] = v
		}
	}
}

var resourceInteractions = []string{"read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type"}

func (s *snapshot) reduceResource(listed any) map[string]any {
	r, _ := listed.(map[string]any)
	typ, _ := r["type"].(string)
	v := s.grammar.Version
	if !v.KnownType(typ) || closed(v, typ) {
		return nil
	}
	out := map[string]any{"type": typ, "versioning": "versioned"}
	for _, k := range []string{"readHistory", "updateCreate"} {
		if b, ok := r[k].(bool); ok {
			out[k] = b
		}
	}
	if slices.Contains([]any{"no-version", "versioned", "versioned-update"}, r["versioning"]) {
		out["versioning"] = r["versioning"]
	}
	for _, k := range []string{"searchInclude", "searchRevInclude"} {
		if list := includes(v, r[k]); len(list) > 0 {
			out[k] = list
		}
	}
	out["interaction"] = keepIf(r["interaction"], "code", func(code string) bool { return slices.Contains(resourceInteractions, code) })
	out["searchParam"] = keepIf(r["searchParam"], "name", func(name string) bool {
		_, ok := v.SearchParam(typ, name)
		return ok
	})
	for _, k := range []string{"interaction", "searchParam"} {
		if list, _ := out[k].([]any); len(list) == 0 {
			delete(out, k)
		}
	}
	operations := s.operationsOf(typ)
	if typ == "Patient" || typ == "Group" {
		operations = append(operations, s.exportAt(typ, r["operation"])...)
	}
	if len(operations) > 0 {
		out["operation"] = operations
	}
	return out
}

// operationsOf are the operations on a type that are switched on, but for exports,
// which take a server that makes them.
func (s *snapshot) operationsOf(typ string) (list []any) {
	for _, o := range []struct{ name, on, definition string }{
		{"everything", "Patient", "http://hl7.org/fhir/OperationDefinition/Patient-everything"},
		{"lastn", "Observation", "http://hl7.org/fhir/OperationDefinition/Observation-lastn"},
		{"docref", "DocumentReference", "http://hl7.org/fhir/us/core/OperationDefinition/docref"},
		{"validate", typ, "http://hl7.org/fhir/OperationDefinition/Resource-validate"},
	} {
		if o.on == typ && s.grammar.Operations["$"+o.name] {
			list = append(list, map[string]any{"name": o.name, "definition": o.definition})
		}
	}
	return list
}

// closed tells whether no scope opens a type.
func closed(v fhir.Version, typ string) bool {
	widest := scope.Parse(v, []string{"system/" + typ + ".cruds"}, "", nil)
	return widest.Covers(&fhir.Access{Interaction: fhir.Read, Type: typ, ID: "x", Version: v}) != nil
}

// includes keeps those that FHIR knows.
func includes(v fhir.Version, list any) []any {
	var kept []any
	all, _ := list.([]any)
	for _, one := range all {
		text, _ := one.(string)
		parts := strings.Split(text, ":")
		if len(parts) < 2 || len(parts) > 3 || len(parts) == 3 && !v.KnownType(parts[2]) {
			continue
		}
		if _, ok := v.SearchParam(parts[0], parts[1]); ok {
			kept = append(kept, text)
		}
	}
	return kept
}

func keepIf(v any, key string, ok func(string) bool) []any {
	var kept []any
	list, _ := v.([]any)
	for _, e := range list {
		m, _ := e.(map[string]any)
		name, _ := m[key].(string)
		if !ok(name) {
			continue
		}
		one := map[string]any{key: name}
		if typ, _ := m["type"].(string); typ != "" {
			one["type"] = typ
		}
		kept = append(kept, one)
	}
	return kept
}

func codeList(names ...string) []any {
	var list []any
	for _, n := range names {
		list = append(list, map[string]any{"code": n})
	}
	return list
}

// securitySection tells SMART 1.0 clients where to get tokens (SMART-08).
func (s *snapshot) securitySection() map[string]any {
	section := map[string]any{"cors": len(s.cors.origins) > 0,
		"service":     []any{map[string]any{"coding": []any{map[string]any{"system": "http://terminology.hl7.org/CodeSystem/restful-security-service", "code": "SMART-on-FHIR"}}}},
		"description": "OAuth2 using SMART on FHIR"}
	if e := s.auth.Endpoints(); e.Token != "" {
		uris := []any{map[string]any{"url": "token", "valueUri": e.Token}}
		if e.Authorization != "" {
			uris = append(uris, map[string]any{"url": "authorize", "valueUri": e.Authorization})
		}
		section["extension"] = []any{map[string]any{"url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris", "extension": uris}}
	}
	return section
}
