package limit

import (
	"hash/maphash"
	"time"

	"gatehouse/config"
)

// client is what one client has asked for and been given. Its shard's lock
// guards it.
type client struct {
	requests, entries, bytes bucket
	patients                 distinct
}

func (c *client) request(now time.Time, l config.ClientLimits, cost int) (retryAfter time.Duration, ok bool) {
	if after := c.exhausted(now, l); after > 0 {
		return after, false
	}
	return c.requests.take(now, l.Rate, l.Burst, max(1, cost))
}

func (c *client) charge(now time.Time, l config.ClientLimits, u Use, seed maphash.Seed) bool {
	if l.Rate.N > 0 && u.Units > 0 {
		spend(c.requests.at(now, l.Rate, l.Burst), now, u.Units)
	}
	if l.Entries.N > 0 {
		spend(c.entries.at(now, l.Entries, 0), now, u.Entries)
	}
	if l.Bytes.N > 0 {
		spend(c.bytes.at(now, l.Bytes, 0), now, u.Bytes)
	}
	if l.Patients.N > 0 {
		for _, p := range u.Patients {
			c.patients.add(now, l.Patients, maphash.String(seed, p))
		}
	}
	return c.exhausted(now, l) > 0
}

// exhausted is how long until every quota of released things has room again; 0
// where all have.
func (c *client) exhausted(now time.Time, l config.ClientLimits) time.Duration {
	after := max(c.entries.empty(now, l.Entries), c.bytes.empty(now, l.Bytes))
	if l.Patients.N > 0 {
		after = max(after, c.patients.full(now, l.Patients))
	}
	return after
}

// empty is how long until the bucket holds a token again; 0 where it does.
func (b *bucket) empty(now time.Time, r config.Rate) time.Duration {
	if r.N <= 0 {
		return 0
	}
	t := b.at(now, r, 0)
	if have := t.TokensAt(now); have < 1 {
		return seconds((1 - have) / float64(t.Limit()))
	}
	return 0
}

func (c *client) idle(now time.Time) bool {
	return c.requests.idle(now) && c.entries.idle(now) && c.bytes.idle(now) && c.patients.idle(now)
}

// distinct is the set of patients released within the last period, by hash:
// patient ids are not kept. A patient counts again when a period has passed
// since it was counted.
type distinct struct {
	per   time.Duration
	seen  map[uint64]struct{}
	order []sighting // oldest first
}

type sighting struct {
	patient uint64
	at      time.Time
}

// slack bounds the set beyond its quota: one answer may overrun the quota, but
// what comes after so many more changes nothing.
const slack = 1024

func (d *distinct) add(now time.Time, r config.Rate, patient uint64) {
	d.expire(now, r.Per)
	if _, ok := d.seen[patient]; ok || len(d.order) >= quota(r)+slack {
		return
	}
	if d.seen == nil {
		d.seen = make(map[uint64]struct{})
	}
	d.seen[patient] = struct{}{}
	d.order = append(d.order, sighting{patient, now})
}

// full is how long until there is room for one more patient; 0 where there is.
func (d *distinct) full(now time.Time, r config.Rate) time.Duration {
	d.expire(now, r.Per)
	over := len(d.order) - quota(r)
	if over < 0 {
		return 0
	}
	return seconds(d.order[over].at.Add(r.Per).Sub(now).Seconds())
}

func (d *distinct) idle(now time.Time) bool {
	d.expire(now, d.per)
	return len(d.order) == 0
}

func (d *distinct) expire(now time.Time, per time.Duration) {
	d.per = per
	n := 0
	for n < len(d.order) && now.Sub(d.order[n].at) >= per {
		delete(d.seen, d.order[n].patient)
		n++
	}
	if d.order = d.order[n:]; len(d.order) == 0 {
		d.order, d.seen = nil, nil
	}
}

func quota(r config.Rate) int { return max(1, int(r.N)) }
