package gateway

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
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
	var policy, left strings.Builder
	windows := map[string]bool{}
	for _, q := range quotas {
		if q.Of != "client" && q.Of != "user" {
			continue
		}
		if policy.Len() > 0 {
			policy.WriteString(", ")
			left.WriteString(", ")
		}
		name := quotaName(q, windows)
		fmt.Fprintf(&policy, "%q;q=%d", name, q.Limit)
		if unit := quotaUnits[q.Name]; unit != "" {
			fmt.Fprintf(&policy, ";qu=%q", unit)
		}
		fmt.Fprintf(&left, "%q;r=%d", name, q.Left)
		if q.Window > 0 {
			fmt.Fprintf(&policy, ";w=%d", wholeSeconds(q.Window))
			fmt.Fprintf(&left, ";t=%d", wholeSeconds(q.Reset))
		}
	}
	if policy.Len() > 0 {
		x.out.w.Header()["Ratelimit-Policy"] = []string{policy.String()}
		x.out.w.Header()["Ratelimit"] = []string{left.String()}
	}
}

// quotaUnits are what a quota counts where that is not requests.
var quotaUnits = map[string]string{"bytes": "content-bytes", "concurrent": "concurrent-requests", "entries": "entries", "patients": "patients", "upstream": "milliseconds"}

// quotaName names a quota in one answer: "patients", "user-requests",
// "patients-86400" for a second window of the same.
func quotaName(q limit.Quota, taken map[string]bool) string {
	name := q.Name
	if q.Of != "client" {
		name = q.Of + "-" + name
	}
	if taken[name] {
		name += "-" + strconv.Itoa(wholeSeconds(q.Window))
	}
	taken[name] = true
	return name
}

func wholeSeconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

// once asks the Redis of all replicas whether a thing is new.
func (p *Process) once(ctx context.Context, thing string, last time.Duration) (bool, error) {
	return p.limit.Once(ctx, thing, last)
}

var _ auth.Once = (*Process)(nil).once
