package audit

import (
	"sync"
	"time"
)

const (
	throttleWindow = 10 * time.Second
	maxThrottled   = 4096 // addresses counted apart; a flood from more shares one record
)

// throttled counts refused requests by address.
type throttled struct {
	mu     sync.Mutex
	counts map[string]*throttleCount
}

type throttleCount struct {
	since time.Time
	n     int
}

// Throttled counts a request of the address refused for its rate; the log keeps
// one record per address and ten seconds. It costs no disk and no encryption,
// so that a flood of requests is not one of records.
func (l *Log) Throttled(address string) {
	t := &l.throttled
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = make(map[string]*throttleCount)
	}
	c := t.counts[address]
	if c == nil {
		if len(t.counts) >= maxThrottled {
			address = "other addresses"
		}
		if c = t.counts[address]; c == nil {
			c = &throttleCount{since: l.o.Now()}
			t.counts[address] = c
		}
	}
	c.n++
}

// flushThrottled records the counts whose ten seconds are over.
func (l *Log) flushThrottled(now time.Time) {
	if l.Healthy() != nil {
		return // it goes on counting until it can be recorded
	}
	for _, r := range l.throttled.due(now) {
		l.Append(r)
	}
}

func (t *throttled) due(now time.Time) []*Record {
	t.mu.Lock()
	defer t.mu.Unlock()
	var due []*Record
	for address, c := range t.counts {
		// A clock that stepped back must not keep a count for ever.
		if age := now.Sub(c.since); age >= throttleWindow || age < 0 {
			due = append(due, &Record{Kind: Throttle, Time: c.since, Took: max(age, 0), Address: address,
				Count: c.n, Status: 429, Code: "limit.address"})
			delete(t.counts, address)
		}
	}
	return due
}
