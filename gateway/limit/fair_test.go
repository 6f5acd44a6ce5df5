package limit

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"gatehouse/config"
)

// This file is the simulation of issue 8 point 1 (L-02, L-03, L-06): callers with the
// same limits who ask in different ways, for twenty minutes of made-up time.

// asker is one way of asking; act is one second of it.
type asker struct {
	name string
	act  func(s *scene)
}

// scene is what an asker sees of the limiter, and what it got.
type scene struct {
	*Limiter
	t                          *testing.T
	clock                      *clock
	n                          int // of requests made
	requests, entries, refused int
	patients                   map[string]bool
}

var fairLimits = config.ClientLimits{Rate: perSecond(10), Burst: 20, Entries: perHour(6000), Patients: config.Rates{perHour(50)}, UpstreamSeconds: perHour(600)}

// ask makes one request of so many units, and where it is let in takes entries of
// so many patients.
func (s *scene) ask(from, user string, units, entries, patients int) bool {
	s.n++
	ctx := s.t.Context()
	if after, _ := s.Address(ctx, netip.MustParseAddr(from), true); after > 0 {
		s.refused++
		return false
	}
	ps := []Party{{Of: "client", Key: "app", Limits: &fairLimits}, {Of: "user", Key: "app\x00" + user, Limits: &config.ClientLimits{Rate: perSecond(1000)}}}
	id := fmt.Sprint(s.n)
	if s.Admit(ctx, netip.MustParseAddr(from), ps, units, id).RetryAfter > 0 {
		s.refused++
		return false
	}
	var names []string
	for i := range patients {
		names = append(names, fmt.Sprintf("Patient/%d", s.n*100+i))
	}
	s.requests += units
	s.entries += entries
	for _, p := range names {
		s.patients[p] = true
	}
	s.Charge(ctx, ps, Use{Entries: entries, Patients: names, Upstream: 20 * time.Millisecond})
	s.Leave(ctx, ps, id)
	return true
}

var askers = []asker{
	{"reads as fast as it can", func(s *scene) {
		for range 25 {
			s.ask("192.0.2.1", "u", 1, 1, 0)
		}
	}},
	{"batches of a hundred", func(s *scene) {
		for range 10 {
			s.ask("192.0.2.1", "u", 100, 100, 0)
		}
	}},
	{"pages of two hundred entries", func(s *scene) {
		for range 20 {
			s.ask("192.0.2.1", "u", 1, 200, 0)
		}
	}},
	{"includes", func(s *scene) {
		for range 20 {
			s.ask("192.0.2.1", "u", 1+4*5, 50, 0)
		}
	}},
	{"rotates its address", func(s *scene) {
		for i := range 15 {
			s.ask(fmt.Sprintf("2001:db8:%x:%x::1", s.n%65536, i), "u", 1, 1, 0)
		}
	}},
	{"has a token of each of a thousand users", func(s *scene) {
		for i := range 25 {
			s.ask("192.0.2.1", fmt.Sprint("u", (s.n+i)%1000), 1, 1, 0)
		}
	}},
	{"asks slowly for another patient each time", func(s *scene) {
		if s.n%3 == 0 {
			s.ask("192.0.2.1", "u", 1, 1, 1)
		} else {
			s.n++
		}
	}},
}

// Nobody gets more by the way of asking: neither units, entries nor patients. One
// answer may overrun a quota that counts what was released.
func TestFairness(t *testing.T) {
	const seconds = 1200
	for _, a := range askers {
		t.Run(a.name, func(t *testing.T) {
			l, c := fairLimiter(t)
			s := &scene{Limiter: l, t: t, clock: c, patients: map[string]bool{}}
			for range seconds {
				a.act(s)
				c.advance(time.Second)
			}
			if most := 10*seconds + 20 + 100; s.requests > most {
				t.Errorf("%d units, want at most %d", s.requests, most)
			}
			if most := 6000 + 2000 + 200; s.entries > most { // what the bucket held, what came meanwhile, one answer
				t.Errorf("%d entries, want at most %d", s.entries, most)
			}
			if len(s.patients) > 50+1 {
				t.Errorf("%d patients, want at most 51", len(s.patients))
			}
			if s.requests == 0 {
				t.Error("it got nothing")
			}
		})
	}
}

// fairLimiter counts in memory by a clock of its own.
func fairLimiter(t *testing.T) (*Limiter, *clock) {
	t.Helper()
	c := &clock{t: time.Unix(1_800_000_000, 0)}
	l, err := New(config.Limits{Address: config.AddressLimits{Rate: perSecond(100), Burst: 200, Failures: config.Rate{N: 60, Per: time.Minute}}}, Options{Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	return l, c
}

// L-02: somebody at the same address floods it, with bad tokens or with requests that
// need none; who is known there is heard all the same, as often as before.
func TestVictimIsNotLockedOut(t *testing.T) {
	for name, fails := range map[string]bool{"bad tokens": true, "no tokens": false} {
		l, c := fairLimiter(t)
		ctx, nat := t.Context(), netip.MustParseAddr("192.0.2.1")
		stopped, refused := 0, 0
		for range 300 {
			for range 500 {
				after, _ := l.Address(ctx, nat, false)
				if after > 0 {
					stopped++
				} else if fails {
					l.Failed(ctx, nat)
				}
			}
			for range 50 {
				if after, _ := l.Address(ctx, nat, true); after > 0 {
					refused++
				}
			}
			c.advance(time.Second)
		}
		if stopped == 0 || refused > 0 {
			t.Errorf("%s: the flood was stopped %d times, the victim refused %d times", name, stopped, refused)
		}
	}
}
