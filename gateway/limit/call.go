package limit

import (
	"context"
	"errors"
	"strconv"
	"time"

	"gatehouse/config"

	"github.com/redis/go-redis/v9"
)

// call is one run of the script: a key and some arguments for each meter.
type call struct {
	*shared
	keys   []string
	args   []any
	meters []meter
}

// meter is one count in Redis.
type meter struct {
	of, name string
	bucket   int // of bucketed meters
	rate     config.Rate
	burst    int
	limit    int // of others
	kind     string
}

// add adds a meter: what it is, how long a unit (of a bucket), a sighting or a
// request lasts in milliseconds, how much it holds, how much must be there, how
// much to take, and what to put into a set.
func (c *call) add(p Party, m meter, kind string, last float64, holds, need, take int, members ...string) {
	m.of, m.kind = p.Of, kind
	c.meters = append(c.meters, m)
	key := "gatehouse:limit:" + c.name(p.Key) + ":" + m.name
	if kind == "d" {
		key += ":" + m.rate.Per.String()
	}
	c.keys = append(c.keys, key)
	c.args = append(c.args, kind, strconv.FormatFloat(last, 'f', -1, 64), holds, need, take, len(members))
	for _, member := range members {
		c.args = append(c.args, member)
	}
}

func (c *call) addBucket(p Party, which, need, take int) {
	r, burst := limitOf(p.Limits, which)
	if r.N > 0 {
		c.add(p, meter{name: names[which], bucket: which, rate: r, burst: burst}, "b", every(r)*1000, size(r, burst), need, take)
	}
}

// admission adds what a request of so many units must find and takes.
func (c *call) admission(p Party, cost int, id string) {
	for which := range buckets {
		if which == requests {
			c.addBucket(p, which, cost, cost)
		} else {
			c.addBucket(p, which, min(1, cost), 0)
		}
	}
	for _, r := range p.Limits.Patients {
		c.add(p, meter{name: "patients", rate: r, limit: quota(r)}, "d", float64(r.Per.Milliseconds()), quota(r), 0, 0)
	}
	if n := p.Limits.Concurrent; n > 0 && id != "" {
		c.add(p, meter{name: "concurrent", limit: n}, "c", float64(lease.Milliseconds()), n, 0, 0, c.name(id))
	} else if n > 0 {
		c.add(p, meter{name: "concurrent", limit: n}, "c", float64(lease.Milliseconds()), n, 0, 0)
	}
}

// use adds what a request took.
func (c *call) use(p Party, u *Use) {
	for which := range buckets {
		if n := u.of(which); n > 0 {
			c.addBucket(p, which, 1, n)
		}
	}
	if len(u.Patients) == 0 {
		return
	}
	for _, r := range p.Limits.Patients {
		members := make([]string, 0, min(len(u.Patients), quota(r)+slack))
		for _, patient := range u.Patients[:cap(members)] {
			members = append(members, c.name(patient))
		}
		c.add(p, meter{name: "patients", rate: r, limit: quota(r)}, "d", float64(r.Per.Milliseconds()), quota(r), 0, 0, members...)
	}
}

// run answers two numbers for each meter: how many milliseconds until it has
// room, and how many thousandths of a unit are left.
func (c *call) run(ctx context.Context) (reply []int64, err error) {
	err = c.ask(ctx, func(ctx context.Context) error {
		r, err := script.Run(ctx, c.client, c.keys, c.args...).Int64Slice()
		if err == nil && len(r) != 2*len(c.meters) || errors.Is(err, redis.Nil) {
			err = errors.New("an answer of another length")
		}
		reply = r
		return err
	})
	return reply, err
}

func (m *meter) quota(left float64) Quota {
	switch m.kind {
	case "b":
		return bucketQuota(m.of, m.bucket, m.rate, m.burst, left)
	case "d":
		q := Quota{Of: m.of, Name: m.name, Limit: int64(m.limit), Window: m.rate.Per, Left: int64(max(0, left))}
		if q.Left < q.Limit {
			q.Reset = m.rate.Per.Round(time.Second)
		}
		return q
	}
	return Quota{Of: m.of, Name: m.name, Limit: int64(m.limit), Left: int64(max(0, left))}
}
