package auth

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"time"
)

// digest stands for a token wherever one is remembered: what is in memory
// cannot be presented.
type digest [sha256.Size]byte

func digestOf(token string) digest {
	var onStack [2048]byte // a plain conversion would put each request's token on the heap
	if len(token) <= len(onStack) {
		return sha256.Sum256(onStack[:copy(onStack[:], token)])
	}
	return sha256.Sum256([]byte(token))
}

// entry is one verified token.
type entry struct {
	subject *Subject
	bound   binding
	issuer  *issuer
	key     *key          // that signed it; nil for an opaque token
	until   int64         // Unix nanoseconds; believed before, verified anew from then on
	checked atomic.Uint64 // blocks.epoch at which it was not blocked
}

// good tells whether the entry may still be believed: neither its own time nor
// that of its keys is over, and the key that signed it is still published.
func (e *entry) good(now time.Time) bool {
	n := now.UnixNano()
	return n < e.until && (e.key == nil || !e.key.gone.Load() && n < e.issuer.keys.until.Load())
}

// cache remembers verified tokens, a bounded number of them.
type cache struct{ shards [cacheShards]cacheShard }

const (
	cacheShards = 64
	cacheMax    = 1 << 15 // tokens, of about a kilobyte each
)

type cacheShard struct {
	mu      sync.RWMutex
	entries map[digest]*entry
	_       [32]byte // its own cache line: readers on other cores do not wait
}

func newCache() *cache {
	c := new(cache)
	for i := range c.shards {
		c.shards[i].entries = make(map[digest]*entry)
	}
	return c
}

func (c *cache) get(d *digest) *entry {
	s := &c.shards[d[0]%cacheShards]
	s.mu.RLock()
	e := s.entries[*d]
	s.mu.RUnlock()
	return e
}

func (c *cache) put(d *digest, e *entry, now time.Time) {
	s := &c.shards[d[0]%cacheShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.entries) >= cacheMax/cacheShards {
		s.makeRoom(now)
	}
	s.entries[*d] = e
}

// makeRoom forgets what is not good any more among a few entries, or else one
// of them: only those who hold many valid tokens can get here.
func (s *cacheShard) makeRoom(now time.Time) {
	var victim digest
	looked := 0
	for d, e := range s.entries {
		if !e.good(now) {
			delete(s.entries, d)
		}
		victim = d
		if looked++; looked == 16 {
			break
		}
	}
	if len(s.entries) >= cacheMax/cacheShards {
		delete(s.entries, victim)
	}
}
