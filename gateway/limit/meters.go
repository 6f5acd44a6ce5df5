package limit

import (
	"time"

	"gatehouse/config"
)

// Party is one whom requests count against: a client, one user of it, or an
// organization.
type Party struct {
	Of     string // client, user, organization
	Key    string // what its counts are found under
	Limits *config.ClientLimits
}

// maxParties bounds the parties of one request.
const maxParties = 3

// The buckets of a party.
const (
	requests = iota
	entries
	bytesOut
	upstream // milliseconds
	denials
	buckets
)

var names = [buckets]string{"requests", "entries", "bytes", "upstream", "denials"}

// limitOf is the limit of one bucket; a rate of zero is none.
func limitOf(l *config.ClientLimits, which int) (r config.Rate, burst int) {
	switch which {
	case requests:
		return l.Rate, l.Burst
	case entries:
		return l.Entries, 0
	case bytesOut:
		return l.Bytes, 0
	case upstream:
		return config.Rate{N: l.UpstreamSeconds.N * 1000, Per: l.UpstreamSeconds.Per}, 0
	}
	return l.Denials, 0
}

// Limited tells whether anything of it is a limit: a party without one needs no
// counting.
func Limited(l *config.ClientLimits) bool {
	return l.Rate.N > 0 || l.Entries.N > 0 || l.Bytes.N > 0 || l.UpstreamSeconds.N > 0 || l.Denials.N > 0 || len(l.Patients) > 0 || l.Concurrent > 0
}

// share is what one process may allow of a limit while the count of all is out
// of reach (L-05).
func share(l *config.ClientLimits, replicas int) *config.ClientLimits {
	s, part := *l, float64(replicas)
	if s.Rate.N > 0 {
		s.Burst = max(1, size(s.Rate, s.Burst)/replicas)
	}
	for _, r := range [...]*config.Rate{&s.Rate, &s.Entries, &s.Bytes, &s.UpstreamSeconds, &s.Denials} {
		r.N /= part
	}
	s.Patients = make(config.Rates, len(l.Patients))
	for i, r := range l.Patients {
		s.Patients[i] = config.Rate{N: max(1, r.N/part), Per: r.Per}
	}
	if s.Concurrent > 0 {
		s.Concurrent = max(1, s.Concurrent/replicas)
	}
	return &s
}

// Use is what an answer took. Units are those of rate that it cost beyond what
// its request took.
type Use struct {
	Units          int
	Entries, Bytes int
	Patients       []string      // "Patient/1"; repeats count once within a period
	Upstream       time.Duration // that the upstream worked
	Denials        int
}

func (u *Use) of(which int) int {
	switch which {
	case requests:
		return u.Units
	case entries:
		return u.Entries
	case bytesOut:
		return u.Bytes
	case upstream:
		return int(u.Upstream.Milliseconds())
	}
	return u.Denials
}

// Quota is one limit of a party, and what is left of it.
type Quota struct {
	Of     string        `json:"of"`    // client, user, organization
	Name   string        `json:"name"`  // requests, entries, bytes, upstream (milliseconds), denials, patients, concurrent
	Limit  int64         `json:"limit"` // units in a window
	Window time.Duration `json:"-"`     // 0: those under way at once
	Left   int64         `json:"left"`  // never below zero
	Reset  time.Duration `json:"-"`     // until all is there again
}

// Verdict is the answer to a request for leave.
type Verdict struct {
	RetryAfter time.Duration // whole seconds; 0: go on
	Of, Name   string        // the limit that refuses
	Quotas     []Quota       // of all parties, as they are now
}

func (v *Verdict) refuse(after time.Duration, of, name string) {
	if after > v.RetryAfter {
		v.RetryAfter, v.Of, v.Name = after, of, name
	}
}
