// Package limit holds callers to their share: requests per network address
// before any cryptography, and per client what was really released.
package limit

import (
	"hash/maphash"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"gatehouse/config"
)

// Bounds on memory: so many callers have counts of their own; those beyond
// share the overflow counts of their shard.
const (
	maxAddresses = 1 << 16
	maxClients   = 1 << 16
)

// Limiter keeps the counts of all callers. It is safe for concurrent use; no
// lock is held beyond the arithmetic of one call.
type Limiter struct {
	now       func() time.Time
	seed      maphash.Seed
	address   atomic.Pointer[config.AddressLimits]
	addresses *table[netip.Prefix, bucket]
	clients   *table[string, client]
}

// UnsupportedError says that limits.state names a store that this build cannot
// use.
type UnsupportedError struct{ State string }

func (e *UnsupportedError) Error() string {
	return "limits.state: " + e.State + " is not available in this build: write memory"
}

// New makes a Limiter that keeps its counts in memory. Any other limits.state
// is an *UnsupportedError: to count locally where a shared count was asked for
// would multiply every quota by the number of replicas.
func New(c config.Limits, now func() time.Time) (*Limiter, error) {
	if c.State != "" && c.State != "memory" {
		scheme, _, _ := strings.Cut(c.State, ":") // the rest may hold a password
		return nil, &UnsupportedError{State: scheme}
	}
	l := &Limiter{now: now, seed: maphash.MakeSeed()}
	l.addresses = newTable[netip.Prefix](maxAddresses, (*bucket).idle)
	l.clients = newTable[string](maxClients, (*client).idle)
	l.Configure(c)
	return l, nil
}

// Configure changes the limits of addresses from the next request on. Counts
// are kept: a reload is no fresh quota.
func (l *Limiter) Configure(c config.Limits) {
	a := c.Address
	l.address.Store(&a)
}

// Size is the number of callers that have counts of their own.
func (l *Limiter) Size() int { return l.addresses.size() + l.clients.size() }

// Address counts one request of an IPv4 address, or of the /64 of an IPv6
// address, which is what one subscriber is given. Where ok is false,
// retryAfter is a whole number of seconds, at least one.
func (l *Limiter) Address(a netip.Addr) (retryAfter time.Duration, ok bool) {
	limits, now, p := l.address.Load(), l.now(), prefix(a)
	if limits.Rate.N <= 0 {
		return 0, true
	}
	s := l.addresses.shard(maphash.Comparable(l.seed, p))
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.get(p, now).take(now, limits.Rate, limits.Burst, 1)
}

func prefix(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // the zero Addr gives the zero Prefix: one count for all unknown
	return p
}

// Use is what an answer released. Units are those of rate that it cost beyond
// what its request took.
type Use struct {
	Units          int
	Entries, Bytes int
	Patients       []string // "Patient/1"; repeats count once within a period
}

// Client counts a request of cost units (1, or the entries of a batch) against
// the client's rate, and refuses it where an earlier answer has used up a
// quota of entries, bytes or patients. What costs more than the burst passes
// when the burst is whole, and is paid for by a longer wait after. retryAfter
// is as in Address.
func (l *Limiter) Client(key string, c config.ClientLimits, cost int) (retryAfter time.Duration, ok bool) {
	now := l.now()
	s := l.clients.shard(maphash.String(l.seed, key))
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.get(key, now).request(now, c, cost)
}

// Charge counts what was released, and tells whether a quota is used up: the
// page then ends with what it has, and the next request is refused.
func (l *Limiter) Charge(key string, c config.ClientLimits, u Use) (exhausted bool) {
	now := l.now()
	s := l.clients.shard(maphash.String(l.seed, key))
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.get(key, now).charge(now, c, u, l.seed)
}
