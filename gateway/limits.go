package gateway

import (
	"context"
	"math"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"gatehouse/gateway/auth"
	"gatehouse/gateway/limit"
)

// This file holds a request to its caller's limits: its address before any
// cryptography, then the client, the user and the organization by what it costs.

func (x *exchange) limitAddress() error {
	trusted := x.s.auth.Known(x.r)
	retry, locked := x.g.limit.Address(x.r.Context(), x.address, trusted)
	if trusted {
		x.from = x.address
	}
	if retry == 0 {
		return nil
	}
	x.quiet = true // one record per address and ten seconds: see audit.Throttled
	x.g.audit.Throttled(x.address.String())
	if locked {
		x.g.metrics.limited("address", "failures")
		return &failure{status: http.StatusTooManyRequests, code: "limit.failures", retry: retry,
			text: "Too many requests from your address brought no valid token. Wait as long as Retry-After says."}
	}
	x.g.metrics.limited("address", "requests")
	return &failure{status: http.StatusTooManyRequests, code: "limit.address", retry: retry,
		text: "Too many requests from your address. Wait as long as Retry-After says."}
}

// parties are those whom the requests of a caller count against.
func (s *snapshot) parties(c *caller) (list []limit.Party) {
	subject := c.subject
	key := subject.Issuer + "\x00" + subject.Client
	add := func(p limit.Party) {
		if limit.Limited(p.Limits) {
			list = append(list, p)
		}
	}
	add(limit.Party{Of: "client", Key: "client\x00" + key, Limits: &c.client.Limits})
	if !subject.Machine {
		add(limit.Party{Of: "user", Key: "user\x00" + key + "\x00" + subject.ID, Limits: &c.client.UserLimits})
	}
	if o, ok := s.cfg.Organizations[subject.Organization]; ok {
		add(limit.Party{Of: "organization", Key: "organization\x00" + subject.Organization, Limits: &o.Limits})
	}
	return list
}

// limitClient charges an access with the units of rate that it takes, of which
// there is no less than one.
func (x *exchange) limitClient(units int) error {
	x.paid, x.dear = units, 0
	from := x.from
	if x.from = (netip.Addr{}); len(x.caller.parties) == 0 && !from.IsValid() {
		return nil
	}
	id := x.id
	if x.entered {
		id = "" // an entry of a batch: the request is under way already
	}
	v := x.g.limit.Admit(x.r.Context(), from, x.caller.parties, x.paid, id)
	x.tellQuotas(v.Quotas)
	if v.RetryAfter == 0 {
		x.entered = true
		return nil
	}
	x.g.metrics.limited(v.Of, v.Name)
	return overLimit(v)
}

func overLimit(v limit.Verdict) *failure {
	f := &failure{status: http.StatusTooManyRequests, code: "limit.client", retry: v.RetryAfter,
		text: "Your client has used up its limit. Wait as long as Retry-After says."}
	switch {
	case v.Of == "address":
		f.code, f.text = "limit.address", "Too many requests from your address. Wait as long as Retry-After says."
	case v.Name == "denials":
		f.code, f.text = "limit.denials", "Too many of your calls asked for what you may not have. Wait as long as Retry-After says."
	case v.Of == "user":
		f.code, f.text = "limit.user", "You have used up your limit at this client. Wait as long as Retry-After says."
	case v.Of == "organization":
		f.code, f.text = "limit.organization", "Your organization has used up its limit. Wait as long as Retry-After says."
	}
	return f
}

// countRefusal notes a call that came to nothing, for the limits on those. What
// is hidden and what is not there count alike.
func (x *exchange) countRefusal(f *failure) {
	switch {
	case x.caller == nil && f.status == http.StatusUnauthorized:
		x.g.limit.Failed(x.r.Context(), x.address)
	case f.status == http.StatusForbidden || f.withheld:
		x.owed.Denials++
	}
}

// settle charges what is known at the end alone, and ends the request's stay.
func (x *exchange) settle() {
	if x.caller == nil || !x.entered {
		return
	}
	x.entered = false
	if u := x.owed; u.Units > 0 || u.Upstream > 0 || u.Denials > 0 {
		x.owed = limit.Use{}
		x.g.limit.Charge(x.r.Context(), x.caller.parties, u)
	}
	x.g.limit.Leave(x.r.Context(), x.caller.parties, x.id)
}

// charge takes what was released off the caller's limits, and tells whether they
// are used up.
func (x *exchange) charge(entries, bytes int, patients []string) (exhausted bool) {
	return x.g.limit.Charge(x.r.Context(), x.caller.parties, x.use(entries, bytes, patients))
}

// cost is the units of rate that an access takes, as far as policy and the
// request can say before its data: one, or what policy obliges, and its includes.
func (x *exchange) cost(m *matter) int {
	_, d := m.eval.Possible()
	includes := len(m.access.Results.Include) + len(m.access.Results.RevInclude)
	return max(1, d.Obligations.Cost) + includes*x.s.cfg.Limits.Weights.Include
}

// use is what was released, and what it cost beyond what was paid: an access
// costs as much as the dearest resource of it (DESIGN §10.9).
func (x *exchange) use(entries, bytes int, patients []string) limit.Use {
	more := max(0, x.dear-x.paid)
	x.paid += more
	return limit.Use{Units: more, Entries: entries, Bytes: bytes, Patients: patients}
}

// worked notes that the upstream has answered an access, and for how long it has
// worked; each page of a search after the first has its weight.
func (x *exchange) worked(m *matter, since time.Time) {
	x.owed.Upstream += time.Since(since)
	if m == nil {
		return
	}
	if m.forwarded {
		x.owed.Units += x.s.cfg.Limits.Weights.Page
	}
	m.forwarded = true
}

// tellQuotas writes what is left of the caller's own limits
// (draft-ietf-httpapi-ratelimit-headers-10). What others of an organization use
// is not the caller's to know (DESIGN §10.9).
func (x *exchange) tellQuotas(quotas []limit.Quota) {
	var space [2][256]byte // each request has them
	var names [8]string
	policy, left, taken := space[0][:0], space[1][:0], names[:0]
	for _, q := range quotas {
		if q.Of != "client" && q.Of != "user" {
			continue
		}
		if len(taken) > 0 {
			policy, left = append(policy, ", "...), append(left, ", "...)
		}
		name := quotaName(q, taken)
		taken = append(taken, name)
		policy = number(append(strconv.AppendQuote(policy, name), ";q="...), q.Limit)
		if unit := quotaUnits[q.Name]; unit != "" {
			policy = strconv.AppendQuote(append(policy, ";qu="...), unit)
		}
		left = number(append(strconv.AppendQuote(left, name), ";r="...), q.Left)
		if q.Window > 0 {
			policy = number(append(policy, ";w="...), wholeSeconds(q.Window))
			left = number(append(left, ";t="...), wholeSeconds(q.Reset))
		}
	}
	if len(taken) > 0 {
		values := [...]string{string(policy), string(left)}
		x.out.w.Header()["Ratelimit-Policy"] = values[:1:1]
		x.out.w.Header()["Ratelimit"] = values[1:]
	}
}

func number[T int | int64](b []byte, n T) []byte { return strconv.AppendInt(b, int64(n), 10) }

// quotaUnits are what a quota counts where that is not requests.
var quotaUnits = map[string]string{"bytes": "content-bytes", "concurrent": "concurrent-requests", "entries": "entries", "patients": "patients", "upstream": "milliseconds"}

// quotaName names a quota in one answer: "patients", "user-requests",
// "patients-86400" for a second window of the same.
func quotaName(q limit.Quota, taken []string) string {
	name := q.Name
	if q.Of != "client" {
		name = q.Of + "-" + name
	}
	if slices.Contains(taken, name) {
		name += "-" + strconv.Itoa(wholeSeconds(q.Window))
	}
	return name
}

func wholeSeconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

// once asks the Redis of all replicas whether a thing is new.
func (p *Process) once(ctx context.Context, thing string, last time.Duration) (bool, error) {
	return p.limit.Once(ctx, thing, last)
}

var _ auth.Once = (*Process)(nil).once
