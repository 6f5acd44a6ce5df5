package limit

import (
	"hash/maphash"
	"slices"
	"time"
)

// memory keeps the counts of this process.
type memory struct {
	seed    maphash.Seed
	parties *table[string, counts]
}

// held are the counts of some parties, locked. Their shards are locked in their
// order, so that two requests never wait for each other.
type held struct {
	n      int
	shards [maxParties]*shard[string, counts]
	of     [maxParties]*counts
}

func (m *memory) hold(ps []Party, now time.Time) (h held) {
	var order [maxParties]uint64
	for i, p := range ps {
		order[i] = maphash.String(m.seed, p.Key) % shards
	}
	at := order
	slices.Sort(order[:len(ps)])
	for i := range ps {
		if i == 0 || order[i] != order[i-1] {
			s := m.parties.shard(order[i])
			s.mu.Lock()
			h.shards[h.n], h.n = s, h.n+1
		}
	}
	for i, p := range ps {
		h.of[i] = m.parties.shard(at[i]).get(p.Key, now)
	}
	return h
}

func (h *held) release() {
	for _, s := range h.shards[:h.n] {
		s.mu.Unlock()
	}
}

// admit takes a request in, or refuses it and takes nothing.
func (m *memory) admit(now time.Time, ps []Party, cost int, enters bool) (v Verdict) {
	h := m.hold(ps, now)
	defer h.release()
	for i, p := range ps {
		h.of[i].admits(now, p, cost, &v)
	}
	for i, p := range ps {
		if v.RetryAfter == 0 {
			h.of[i].take(now, p, cost, enters)
		}
		if v.Quotas == nil {
			v.Quotas = make([]Quota, 0, 4) // as many as a client has, as a rule
		}
		v.Quotas = h.of[i].quotas(now, p, v.Quotas)
	}
	return v
}

// note counts what was let in elsewhere.
func (m *memory) note(now time.Time, ps []Party, cost int, enters bool) {
	h := m.hold(ps, now)
	defer h.release()
	for i, p := range ps {
		h.of[i].take(now, p, cost, enters)
	}
}

func (m *memory) charge(now time.Time, ps []Party, u *Use) (exhausted bool) {
	h := m.hold(ps, now)
	defer h.release()
	for i, p := range ps {
		h.of[i].charge(now, p, u, m.seed)
		exhausted = exhausted || h.of[i].exhausted(now, p)
	}
	return exhausted
}

func (m *memory) leave(now time.Time, ps []Party) {
	h := m.hold(ps, now)
	defer h.release()
	for i := range ps {
		if h.of[i].open--; h.of[i].open < 0 { // counted before its caller was forgotten
			h.of[i].open = 0
		}
	}
}

// peek tells what is left and changes nothing.
func (m *memory) peek(now time.Time, p Party) []Quota {
	h := m.hold([]Party{p}, now)
	defer h.release()
	return h.of[0].quotas(now, p, nil)
}
