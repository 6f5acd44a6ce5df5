package limit

import (
	"hash/maphash"
	"time"

	"gatehouse/config"
)

// counts are what one party has asked for and been given. Its shard's lock
// guards them.
type counts struct {
	buckets  [buckets]bucket
	patients []distinct // one for each window
	open     int        // requests under way
}

// admits tells in v whether the party has room for a request of cost units.
func (c *counts) admits(now time.Time, p Party, cost int, v *Verdict) {
	for i := range c.buckets {
		n := 1
		if i == requests {
			n = cost
		}
		r, burst := limitOf(p.Limits, i)
		v.refuse(c.buckets[i].wait(now, r, burst, n), p.Of, names[i])
	}
	for i, r := range p.Limits.Patients {
		v.refuse(c.window(i).full(now, r), p.Of, "patients")
	}
	if n := p.Limits.Concurrent; n > 0 && c.open >= n {
		v.refuse(time.Second, p.Of, "concurrent")
	}
}

// window is the set of patients of one of the limits.
func (c *counts) window(i int) *distinct {
	for len(c.patients) <= i {
		c.patients = append(c.patients, distinct{})
	}
	return &c.patients[i]
}

// take counts a request that is let in.
func (c *counts) take(now time.Time, p Party, cost int, enters bool) {
	c.buckets[requests].spend(now, p.Limits.Rate, p.Limits.Burst, cost)
	if enters {
		c.open++
	}
}

func (c *counts) charge(now time.Time, p Party, u *Use, seed maphash.Seed) {
	for i := range c.buckets {
		if n := u.of(i); n > 0 {
			r, burst := limitOf(p.Limits, i)
			c.buckets[i].spend(now, r, burst, n)
		}
	}
	for i, r := range p.Limits.Patients {
		for _, patient := range u.Patients {
			c.window(i).add(now, r, maphash.String(seed, patient))
		}
	}
}

// exhausted tells whether a quota of released things has no room.
func (c *counts) exhausted(now time.Time, p Party) bool {
	for _, i := range [...]int{entries, bytesOut, upstream} {
		if r, burst := limitOf(p.Limits, i); c.buckets[i].wait(now, r, burst, 1) > 0 {
			return true
		}
	}
	for i, r := range p.Limits.Patients {
		if c.window(i).full(now, r) > 0 {
			return true
		}
	}
	return false
}

// quotas appends what is left of each limit.
func (c *counts) quotas(now time.Time, p Party, list []Quota) []Quota {
	for i := range c.buckets {
		r, burst := limitOf(p.Limits, i)
		if r.N <= 0 {
			continue
		}
		t := c.buckets[i].at(now, r, burst)
		have := t.TokensAt(now)
		list = append(list, bucketQuota(p.Of, i, r, burst, have))
	}
	for i, r := range p.Limits.Patients {
		d := c.window(i)
		d.expire(now, r.Per)
		q := Quota{Of: p.Of, Name: "patients", Limit: int64(quota(r)), Window: r.Per, Left: int64(max(0, quota(r)-len(d.order)))}
		if len(d.order) > 0 {
			q.Reset = seconds(d.order[len(d.order)-1].at.Add(r.Per).Sub(now).Seconds())
		}
		list = append(list, q)
	}
	if n := p.Limits.Concurrent; n > 0 {
		list = append(list, Quota{Of: p.Of, Name: "concurrent", Limit: int64(n), Left: int64(max(0, n-c.open))})
	}
	return list
}

// bucketQuota tells of a bucket in which so many units are.
func bucketQuota(of string, which int, r config.Rate, burst int, have float64) Quota {
	full, one := size(r, burst), every(r)
	q := Quota{Of: of, Name: names[which], Limit: int64(full), Window: seconds(float64(full) * one), Left: int64(max(0, have))}
	if missing := float64(full) - have; missing > 0 {
		q.Reset = seconds(missing * one)
	}
	return q
}

func (c *counts) idle(now time.Time) bool {
	for i := range c.buckets {
		if !c.buckets[i].idle(now) {
			return false
		}
	}
	for i := range c.patients {
		if !c.patients[i].idle(now) {
			return false
		}
	}
	return c.open <= 0
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
