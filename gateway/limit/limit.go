// Package limit holds callers to their share: requests per network address
// before any cryptography, and per client, user and organization what they ask
// for and what was really released, in memory or in a Redis that replicas share.
package limit

import (
	"context"
	"hash/maphash"
	"net/netip"
	"sync/atomic"
	"time"

	"gatehouse/config"

	"go.uber.org/zap"
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
	limits    atomic.Pointer[config.Limits]
	seed      maphash.Seed
	addresses *table[netip.Prefix, visitor]
	memory    memory
	shared    *shared // nil: memory alone
}

// visitor is what came from one address: with tokens that were good before, and
// without, apart. So nobody who shares an address can lock out who is known there.
type visitor struct{ requests, known, failures bucket }

func (v *visitor) idle(now time.Time) bool {
	return v.requests.idle(now) && v.known.idle(now) && v.failures.idle(now)
}

// Options are what a Limiter needs beside its limits; nothing of them is
// required in memory.
type Options struct {
	Now   func() time.Time
	Key   []byte            // names callers and patients in Redis, where nobody shall read who they are
	Alarm func(what string) // told limits.unavailable when Redis goes away
	Log   *zap.Logger
}

// New makes a Limiter. A Redis is not asked before it is needed, and may be
// away: then this process allows its share of each limit.
func New(c config.Limits, o Options) (*Limiter, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	seed := maphash.MakeSeed()
	l := &Limiter{now: o.Now, seed: seed, memory: memory{seed: seed}}
	l.addresses = newTable[netip.Prefix](maxAddresses, (*visitor).idle)
	l.memory.parties = newTable[string](maxClients, (*counts).idle)
	l.Configure(c)
	if c.State == "" || c.State == "memory" {
		return l, nil
	}
	var err error
	l.shared, err = newShared(c, o)
	return l, err
}

// Close ends the connections to Redis.
func (l *Limiter) Close() error {
	if l == nil || l.shared == nil {
		return nil
	}
	return l.shared.client.Close()
}

// Healthy is nil while the counts of all replicas can be reached.
func (l *Limiter) Healthy() error {
	if l.shared == nil {
		return nil
	}
	return l.shared.healthy()
}

// Configure changes the limits of addresses from the next request on. Counts
// are kept: a reload is no fresh quota.
func (l *Limiter) Configure(c config.Limits) {
	l.limits.Store(&c)
}

// Size is the number of callers that have counts of their own.
func (l *Limiter) Size() int { return l.addresses.size() + l.memory.parties.size() }

// Address counts one request of an IPv4 address, or of the /64 of an IPv6
// address, which is what one subscriber is given; trusted says that it brings a
// token that was good before, which costs no cryptography: what other replicas
// have counted of the address is then left to Admit. Where retryAfter is
// not 0 the request is refused, for its failures where locked.
func (l *Limiter) Address(ctx context.Context, a netip.Addr, trusted bool) (retryAfter time.Duration, locked bool) {
	c, p := &l.limits.Load().Address, prefix(a)
	if retryAfter, locked = l.addressHere(c, p, trusted); retryAfter > 0 || trusted || l.shared == nil {
		return retryAfter, locked
	}
	v, err := l.shared.admit(ctx, []Party{addressParty(c, p, false)}, 1, "")
	if err != nil {
		return 0, false // this process's own count has let it in
	}
	return v.RetryAfter, v.Name == names[denials]
}

func (l *Limiter) addressHere(c *config.AddressLimits, p netip.Prefix, trusted bool) (retryAfter time.Duration, locked bool) {
	if c.Rate.N <= 0 {
		return 0, false
	}
	now := l.now()
	s := l.addresses.shard(maphash.Comparable(l.seed, p))
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.get(p, now)
	requests := &v.requests
	if trusted {
		requests = &v.known
	}
	if after := requests.wait(now, c.Rate, c.Burst, 1); after > 0 {
		return after, false
	}
	if after := v.failures.wait(now, c.Failures, 0, 1); after > 0 && !trusted {
		return after, true
	}
	requests.spend(now, c.Rate, c.Burst, 1)
	return 0, false
}

// Failed counts a request of an address that had no good token.
func (l *Limiter) Failed(ctx context.Context, a netip.Addr) {
	c, p, now := &l.limits.Load().Address, prefix(a), l.now()
	if c.Failures.N <= 0 {
		return
	}
	s := l.addresses.shard(maphash.Comparable(l.seed, p))
	s.mu.Lock()
	s.get(p, now).failures.spend(now, c.Failures, 0, 1)
	s.mu.Unlock()
	if l.shared != nil {
		_, _ = l.shared.charge(ctx, []Party{addressParty(c, p, false)}, &Use{Denials: 1}) // counted here in any case
	}
}

// addressParty is an address as Redis counts it: its failures are its denials.
func addressParty(c *config.AddressLimits, p netip.Prefix, trusted bool) Party {
	key := "address\x00"
	if trusted {
		key = "known address\x00"
	}
	return Party{Of: "address", Key: key + p.String(), Limits: &config.ClientLimits{Rate: c.Rate, Burst: c.Burst, Denials: c.Failures}}
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

// Admit counts a request of cost units (1, or the entries of a batch) against
// the rate of all parties, or refuses it and counts nothing, where one of them
// has no room. What costs more than a burst passes when the burst is whole, and
// is paid for by a longer wait after. A request with an id is counted among
// those under way until Leave. from is its address where Address was told to trust
// it, else zero: other replicas count it too.
func (l *Limiter) Admit(ctx context.Context, from netip.Addr, ps []Party, cost int, id string) Verdict {
	cost = max(1, cost)
	if l.shared == nil {
		if len(ps) == 0 {
			return Verdict{}
		}
		return l.memory.admit(l.now(), ps, cost, id != "")
	}
	all, shares := ps, l.shares(ps)
	if c := &l.limits.Load().Address; from.IsValid() && c.Rate.N > 0 {
		p := addressParty(c, prefix(from), true)
		p.Limits.Denials = config.Rate{} // of others there, perhaps
		all = append(ps[:len(ps):len(ps)], p)
	}
	if len(all) == 0 {
		return Verdict{}
	}
	v, err := l.shared.admit(ctx, all, cost, id)
	if err != nil {
		return l.memory.admit(l.now(), shares, cost, id != "")
	}
	if v.RetryAfter == 0 { // an outage later is no fresh quota
		l.memory.note(l.now(), shares, cost, id != "")
	}
	return v
}

// Charge counts what a request took, and tells whether a quota of released
// things is used up: a long answer then ends with what it has, and the next
// request is refused.
func (l *Limiter) Charge(ctx context.Context, ps []Party, u Use) (exhausted bool) {
	if len(ps) == 0 {
		return false
	}
	if l.shared == nil {
		return l.memory.charge(l.now(), ps, &u)
	}
	here := l.memory.charge(l.now(), l.shares(ps), &u)
	exhausted, err := l.shared.charge(ctx, ps, &u)
	if err != nil {
		return here
	}
	return exhausted
}

// Leave ends a request that Admit let in under its id.
func (l *Limiter) Leave(ctx context.Context, ps []Party, id string) {
	if len(ps) == 0 {
		return
	}
	l.memory.leave(l.now(), ps)
	if l.shared != nil && concurrent(ps) {
		l.shared.leave(ctx, ps, id)
	}
}

// Left tells what is left to a party, and counts nothing.
func (l *Limiter) Left(ctx context.Context, p Party) []Quota {
	if l.shared != nil {
		if v, err := l.shared.admit(ctx, []Party{p}, 0, ""); err == nil {
			return v.Quotas
		}
	}
	return l.memory.peek(l.now(), p)
}

// Keys are those of parties that this process has counts of, the most recent of
// each shard first; at most n.
func (l *Limiter) Keys(n int) []string { return l.memory.parties.keys(n) }

func (l *Limiter) shares(ps []Party) []Party {
	replicas := max(1, l.limits.Load().Replicas)
	list := make([]Party, len(ps))
	for i, p := range ps {
		list[i] = Party{Of: p.Of, Key: p.Key, Limits: share(p.Limits, replicas)}
	}
	return list
}

func concurrent(ps []Party) bool {
	for _, p := range ps {
		if p.Limits.Concurrent > 0 {
			return true
		}
	}
	return false
}
