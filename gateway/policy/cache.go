package policy

import (
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
)

// cache holds callers by key in two generations: what was not used while the
// younger one filled up is forgotten. Its zero value is empty.
type cache struct {
	mu         sync.RWMutex
	young, old map[string]*caller
}

// maxCallers bounds one generation.
const maxCallers = 1024

// get finds the caller of a key. The key is copied only where it is new.
func (c *cache) get(key []byte, make func() *caller) *caller {
	c.mu.RLock()
	found := c.young[string(key)]
	c.mu.RUnlock()
	if found != nil {
		return found
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if found := c.young[string(key)]; found != nil {
		return found
	}
	found = c.old[string(key)]
	if found == nil {
		found = make()
	}
	if c.young == nil || len(c.young) >= maxCallers {
		c.old, c.young = c.young, map[string]*caller{}
	}
	c.young[string(key)] = found
	return found
}

// caller is all callers and requests that policy cannot tell apart before it
// sees a resource: their residuals by the resource's type.
type caller struct {
	mu    sync.RWMutex
	known ast.Object // the input that the residuals are made with
	types map[string]*residual
}

// maxTypes bounds the residuals of one caller: an upstream may invent types.
const maxTypes = 200

func (c *caller) find(typ string) (r *residual, room bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.types[typ], len(c.types) < maxTypes || typ == ""
}
