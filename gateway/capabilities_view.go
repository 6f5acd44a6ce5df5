package gateway

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"gatehouse/gateway/view"
)

// This file tells a client with a view what it may ask: the CapabilityStatement
// without what its view refuses (law 5). Anybody may read the whole one, so a
// token only narrows it, and one that is not good changes nothing.

// recognize finds the view of whoever asks for /metadata with a token.
func (x *exchange) recognize() {
	if x.r.Header.Get("Authorization") == "" {
		return
	}
	subject, failed := x.s.auth.Authenticate(x.r)
	if failed != nil {
		return
	}
	if c, err := x.s.callerOf(subject); err == nil {
		x.seenBy = c.view
	}
}

// statementThrough is the CapabilityStatement for clients with a view; kept as
// long as the one that it is made from.
func (s *snapshot) statementThrough(whole []byte, w *view.View) ([]byte, error) {
	k := &s.metadata
	k.mu.Lock()
	doc := k.through[w]
	k.mu.Unlock()
	if doc != nil {
		return doc, nil
	}
	statement := map[string]any{}
	if err := json.Unmarshal(whole, &statement); err != nil {
		return nil, fmt.Errorf("read CapabilityStatement: %w", err)
	}
	rests, _ := statement["rest"].([]any)
	for _, r := range rests {
		if rest, ok := r.(map[string]any); ok {
			throughView(rest, w)
		}
	}
	doc, err := json.Marshal(statement)
	if err != nil {
		return nil, fmt.Errorf("write CapabilityStatement: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.through == nil {
		k.through = map[*view.View][]byte{}
	}
	k.through[w] = doc
	return doc, nil
}

func throughView(rest map[string]any, w *view.View) {
	interactions := []string{"read", "vread", "history-instance", "history-type", "search-type"}
	if w.Writes() {
		interactions = append(interactions, "create", "update", "patch", "delete")
	}
	filter(rest, "interaction", "code", func(code string) bool { return code != "transaction" })
	filter(rest, "operation", "name", func(name string) bool { return name != "validate" })
	resources, _ := rest["resource"].([]any)
	for _, r := range resources {
		resource, _ := r.(map[string]any)
		typ, _ := resource["type"].(string)
		delete(resource, "updateCreate")
		filter(resource, "interaction", "code", func(code string) bool { return slices.Contains(interactions, code) })
		filter(resource, "operation", "name", func(name string) bool { return name != "validate" })
		filter(resource, "searchParam", "name", func(name string) bool { return w.Searchable(typ, name) })
		for _, k := range []string{"searchInclude", "searchRevInclude"} {
			filter(resource, k, "", func(text string) bool {
				source, rest, _ := strings.Cut(text, ":")
				param, _, _ := strings.Cut(rest, ":")
				return w.Includes(source, param)
			})
		}
	}
}

// filter keeps of a list those whose member key, or that themselves, are good.
func filter(object map[string]any, name, key string, good func(string) bool) {
	list, ok := object[name].([]any)
	if !ok {
		return
	}
	list = slices.DeleteFunc(list, func(one any) bool {
		if m, ok := one.(map[string]any); ok {
			one = m[key]
		}
		text, _ := one.(string)
		return !good(text)
	})
	if object[name] = list; len(list) == 0 {
		delete(object, name)
	}
}
