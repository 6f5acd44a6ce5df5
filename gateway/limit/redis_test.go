package limit

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/config"
)

// admits counts how many of n requests of a client pass now.
func admits(l *Limiter, limits config.ClientLimits, n int) (ok int) {
	for range n {
		if _, pass := l.client("app", limits, 1); pass {
			ok++
		}
	}
	return ok
}

// L-05: N replicas allow no more than one, for clients and for addresses.
func TestReplicasShareCounts(t *testing.T) {
	a, c, replica := onRedis(t, addressLimits(10, 20))
	b := replica()
	limits := config.ClientLimits{Rate: perSecond(5), Burst: 10, Patients: config.Rates{perHour(5)}, Concurrent: 2}
	if got := admits(a, limits, 6) + admits(b, limits, 100); got != 10 {
		t.Errorf("two replicas admit %d, want 10", got)
	}
	addr := netip.MustParseAddr("192.0.2.1")
	if got := admitted(a, 15, same("192.0.2.1")) + admitted(b, 15, same("192.0.2.1")); got != 20 {
		t.Errorf("two replicas admit %d of an address, want 20", got)
	}
	known := 0 // of tokens that are known there, which strangers cannot use up
	for i := range 60 {
		l := []*Limiter{a, b}[i%2]
		if after, _ := l.Address(t.Context(), addr, true); after == 0 && l.Admit(t.Context(), addr, nil, 1, "").RetryAfter == 0 {
			known++
		}
	}
	if known != 20 {
		t.Errorf("two replicas admit %d of known tokens, want 20", known)
	}
	c.advance(time.Minute)
	a.Failed(t.Context(), addr)
	a.charge("app", limits, Use{Patients: []string{"Patient/1", "Patient/2", "Patient/3"}})
	b.charge("app", limits, Use{Patients: []string{"Patient/3", "Patient/4", "Patient/5"}})
	if _, ok := a.client("app", limits, 1); ok {
		t.Error("five patients over two replicas are not counted together")
	}
	c.advance(time.Hour)
	for i, l := range []*Limiter{a, b, a} {
		v := l.Admit(t.Context(), netip.Addr{}, party("app", limits), 1, fmt.Sprint(i))
		if want := i == 2; (v.RetryAfter > 0) != want {
			t.Errorf("request %d under way: %+v", i, v)
		}
	}
	b.Leave(t.Context(), party("app", limits), "1")
	if v := a.Admit(t.Context(), netip.Addr{}, party("app", limits), 1, "3"); v.RetryAfter > 0 {
		t.Errorf("one that has ended still counts: %+v", v)
	}
}

// What lies in Redis names neither callers nor patients (law 12).
func TestRedisHoldsNoNames(t *testing.T) {
	l, c, _ := onRedis(t, addressLimits(10, 20))
	limits := config.ClientLimits{Rate: perSecond(5), Patients: config.Rates{perHour(5)}}
	l.address(netip.MustParseAddr("192.0.2.77"))
	l.client("https://idp\x00ward-app\x00jane", limits, 1)
	l.charge("https://idp\x00ward-app\x00jane", limits, Use{Patients: []string{"Patient/canary"}})
	text := c.redis.Dump()
	for _, secret := range []string{"canary", "ward-app", "jane", "192.0.2"} {
		if strings.Contains(text, secret) {
			t.Errorf("Redis holds %q:\n%s", secret, text)
		}
	}
	if !strings.Contains(text, "gatehouse:limit:") {
		t.Errorf("Redis holds nothing:\n%s", text)
	}
}

// L-05: with Redis away each process allows its share, of what it has not
// allowed before, and when it is back its counts are as they were.
func TestRedisAway(t *testing.T) {
	var alarms atomic.Int32
	l, c, replica := onRedis(t, addressLimits(1000, 2000))
	l.shared.o.Alarm = func(string) { alarms.Add(1) }
	limits := config.ClientLimits{Rate: perSecond(1), Burst: 100, Patients: config.Rates{perHour(10)}}
	if got := admits(l, limits, 20); got != 20 {
		t.Fatalf("%d of 20 admitted", got)
	}
	c.redis.Close()
	if got := admits(l, limits, 500); got != 30 { // of 100 this one may allow 50, and has allowed 20
		t.Errorf("with Redis away %d admitted, want 30", got)
	}
	if _, fresh := l.Once(t.Context(), "proof", time.Minute); fresh == nil {
		t.Error("nobody knows whether a proof is new, and nobody says so")
	}
	if l.Healthy() == nil || alarms.Load() == 0 {
		t.Error("an outage is not told")
	}
	other := replica() // started while it is away
	if got := admits(other, limits, 500); got != 50 {
		t.Errorf("a replica started meanwhile admits %d, want 50", got)
	}
	if err := c.redis.Restart(); err != nil {
		t.Fatal(err)
	}
	c.advance(2 * time.Second)
	if got := admits(l, limits, 500); got != 82 { // 100 less 20, and 2 that came back
		t.Errorf("when Redis is back %d admitted, want 82", got)
	}
	if l.Healthy() != nil {
		t.Error("the outage is over, and nobody says so")
	}
}

// A Redis that hangs, or is none, costs one wait and never a free pass.
func TestRedisThatIsNone(t *testing.T) {
	for name, answer := range map[string]string{"hangs": "", "is none": "HTTP/1.1 400 Bad Request\r\n\r\n", "asks for a password": "-NOAUTH Authentication required.\r\n"} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				go func() {
					defer conn.Close()
					buf := make([]byte, 4096)
					for {
						if _, err := conn.Read(buf); err != nil {
							return
						}
						if answer != "" {
							_, _ = conn.Write([]byte(answer))
						}
					}
				}()
			}
		}()
		c := addressLimits(1000, 2000)
		c.State, c.Replicas = "redis://"+listener.Addr().String(), 4
		l, err := New(c, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		begun := time.Now()
		if got := admits(l, config.ClientLimits{Rate: perHour(100), Burst: 100}, 200); got != 25 {
			t.Errorf("a Redis that %s: %d admitted, want 25", name, got)
		}
		if took := time.Since(begun); took > 10*answerWithin {
			t.Errorf("a Redis that %s: 200 requests waited %v", name, took)
		}
	}
}

// A reload changes limits and keeps counts, on Redis as in memory.
func TestReloadKeepsCounts(t *testing.T) {
	eachState(t, func(t *testing.T, l *Limiter, c *clock) {
		small := config.ClientLimits{Rate: perSecond(1), Burst: 10}
		large := config.ClientLimits{Rate: perSecond(1), Burst: 20}
		if got := admits(l, small, 20); got != 10 {
			t.Fatalf("%d admitted", got)
		}
		if got := admits(l, large, 100); got > 10 {
			t.Errorf("a larger limit admits %d at once, a fresh quota", got)
		}
	})
}

// RFC 9449 §11.1: a proof is new once, on whatever replica.
func TestOnce(t *testing.T) {
	a, c, replica := onRedis(t, addressLimits(10, 20))
	b := replica()
	var fresh atomic.Int32
	var wg sync.WaitGroup
	for _, l := range []*Limiter{a, b, a, b} {
		wg.Go(func() {
			if ok, err := l.Once(context.Background(), "jti", time.Minute); ok && err == nil {
				fresh.Add(1)
			}
		})
	}
	wg.Wait()
	if fresh.Load() != 1 {
		t.Errorf("a proof was new %d times", fresh.Load())
	}
	c.advance(2 * time.Minute)
	if ok, err := b.Once(t.Context(), "jti", time.Minute); !ok || err != nil {
		t.Error("a proof is remembered for ever")
	}
}

func BenchmarkRedis(b *testing.B) {
	l, _, _ := onRedis(b, addressLimits(10, 20))
	limits := config.ClientLimits{Rate: perSecond(1e6), Burst: 1 << 20, Patients: config.Rates{perHour(1e6)}, Entries: perHour(1e9)}
	for b.Loop() {
		l.client("app", limits, 1)
	}
}
