package gateway

import (
	"context"
	"sync"
	"time"
)

// searchable is what the upstream's CapabilityStatement says that it can be
// searched by. A parameter that it does not know it might ignore, which
// narrows nothing, or refuse, which ends a search that the client asked for well.
type searchable struct {
	mu     sync.Mutex
	params map[string]map[string]string // by type and name: the parameter's type; "" is every type
	again  time.Time                    // when the upstream, which did not tell, is asked again
}

// metadataWait bounds how long a search waits to learn what it may be narrowed by.
const metadataWait = 5 * time.Second

// searchableBy tells whether the upstream says that a type can be searched by a
// parameter of that type. It is asked once; what it did not tell is not so.
func (s *snapshot) searchableBy(ctx context.Context, typ, name, kind string) bool {
	k := &s.searches
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.params == nil && !time.Now().Before(k.again) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), metadataWait)
		defer cancel()
		if statement, err := s.upstreamMetadata(ctx); err == nil {
			k.params = searchParams(statement)
		}
		k.again = time.Now().Add(metadataLife)
	}
	return k.params[typ][name] == kind || k.params[""][name] == kind
}

// searchParams are those of each type, and under "" those of every type.
func searchParams(statement map[string]any) map[string]map[string]string {
	all := map[string]map[string]string{}
	add := func(typ string, list any) {
		params, _ := list.([]any)
		all[typ] = make(map[string]string, len(params))
		for _, one := range params {
			p, _ := one.(map[string]any)
			name, _ := p["name"].(string)
			kind, _ := p["type"].(string)
			all[typ][name] = kind
		}
	}
	rest, _ := statement["rest"].([]any)
	if len(rest) == 0 {
		return all
	}
	server, _ := rest[0].(map[string]any)
	add("", server["searchParam"])
	resources, _ := server["resource"].([]any)
	for _, one := range resources {
		r, _ := one.(map[string]any)
		typ, _ := r["type"].(string)
		add(typ, r["searchParam"])
	}
	return all
}
