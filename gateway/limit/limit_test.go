package limit

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"gatehouse/config"

	"github.com/alicebob/miniredis/v2"
)

// clock is a time that tests move, and with it that of a Redis.
type clock struct {
	t     time.Time
	redis *miniredis.Miniredis
}

func (c *clock) now() time.Time { return c.t }

func (c *clock) advance(d time.Duration) {
	c.t = c.t.Add(d)
	if c.redis != nil {
		c.redis.SetTime(c.t)
		c.redis.FastForward(d)
	}
}

func addressLimits(n float64, burst int) config.Limits {
	return config.Limits{Address: config.AddressLimits{Rate: perSecond(n), Burst: burst}}
}

func limiter(t testing.TB, n float64, burst int) (*Limiter, *clock) {
	c := &clock{t: time.Unix(1_800_000_000, 0)}
	l, err := New(addressLimits(n, burst), Options{Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	return l, c
}

// onRedis is a limiter that keeps its counts in a Redis, and one more for every
// call of replica.
func onRedis(t testing.TB, limits config.Limits) (l *Limiter, c *clock, replica func() *Limiter) {
	c = &clock{t: time.Unix(1_800_000_000, 0), redis: miniredis.RunT(t)}
	c.redis.SetTime(c.t)
	limits.State, limits.Replicas = "redis://"+c.redis.Addr()+"/0", 2
	replica = func() *Limiter {
		l, err := New(limits, Options{Now: c.now, Key: []byte("key")})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	return replica(), c, replica
}

// eachState runs a test in memory and on Redis, which must count alike.
func eachState(t *testing.T, f func(t *testing.T, l *Limiter, c *clock)) {
	t.Run("memory", func(t *testing.T) {
		l, c := limiter(t, 10, 20)
		f(t, l, c)
	})
	t.Run("redis", func(t *testing.T) {
		l, c, _ := onRedis(t, addressLimits(10, 20))
		f(t, l, c)
	})
}

func party(key string, l config.ClientLimits) []Party {
	return []Party{{Of: "client", Key: key, Limits: &l}}
}

// client asks for leave as one client.
func (l *Limiter) client(key string, c config.ClientLimits, cost int) (retryAfter time.Duration, ok bool) {
	v := l.Admit(context.Background(), netip.Addr{}, party(key, c), cost, "")
	return v.RetryAfter, v.RetryAfter == 0
}

func (l *Limiter) charge(key string, c config.ClientLimits, u Use) bool {
	return l.Charge(context.Background(), party(key, c), u)
}

func (l *Limiter) address(a netip.Addr) (retryAfter time.Duration, ok bool) {
	after, _ := l.Address(context.Background(), a, false)
	return after, after == 0
}

func perSecond(n float64) config.Rate { return config.Rate{N: n, Per: time.Second} }
func perHour(n float64) config.Rate   { return config.Rate{N: n, Per: time.Hour} }

// admitted counts how many of n requests of an address pass now.
func admitted(l *Limiter, n int, addr func(int) netip.Addr) (ok int) {
	for i := range n {
		if after, pass := l.address(addr(i)); pass {
			ok++
		} else if after < time.Second || after%time.Second != 0 {
			panic(fmt.Sprint("retryAfter ", after))
		}
	}
	return ok
}

func same(s string) func(int) netip.Addr {
	a := netip.MustParseAddr(s)
	return func(int) netip.Addr { return a }
}

// v6 numbers addresses within a prefix: the number stands at the given byte.
func v6(at int) func(int) netip.Addr {
	return func(i int) netip.Addr {
		b := netip.MustParseAddr("2001:db8::").As16()
		binary.BigEndian.PutUint32(b[at:], uint32(i))
		return netip.AddrFrom16(b)
	}
}

// L-02: rotating what an attacker can rotate gains nothing.
func TestAddress(t *testing.T) {
	tests := []struct {
		name string
		addr func(int) netip.Addr
		want int
	}{
		{"one IPv4", same("192.0.2.1"), 20},
		{"one IPv4, mapped into IPv6", func(i int) netip.Addr {
			return []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("::ffff:192.0.2.1")}[i%2]
		}, 20},
		{"one IPv6", same("2001:db8::1"), 20},
		{"zones of one IPv6", func(i int) netip.Addr {
			return netip.MustParseAddr(fmt.Sprintf("fe80::1%%eth%d", i))
		}, 20},
		{"1000 addresses in one /64", v6(12), 20},
		{"1000 different /64", v6(4), 1000},
		{"no address", func(int) netip.Addr { return netip.Addr{} }, 20},
	}
	for _, tt := range tests {
		l, _ := limiter(t, 10, 20)
		if got := admitted(l, 1000, tt.addr); got != tt.want {
			t.Errorf("%s: %d admitted, want %d", tt.name, got, tt.want)
		}
	}
}

func TestAddressRefills(t *testing.T) {
	l, c := limiter(t, 10, 20)
	admitted(l, 20, same("192.0.2.1"))
	c.advance(500 * time.Millisecond)
	if got := admitted(l, 100, same("192.0.2.1")); got != 5 {
		t.Errorf("after half a second: %d, want 5", got)
	}
	c.advance(-time.Hour) // L-05: a clock that jumps back grants nothing
	if got := admitted(l, 100, same("192.0.2.1")); got != 0 {
		t.Errorf("after a jump back: %d, want 0", got)
	}
}

func TestConfigureKeepsCounts(t *testing.T) {
	l, c := limiter(t, 10, 20)
	admitted(l, 20, same("192.0.2.1"))
	l.Configure(config.Limits{Address: config.AddressLimits{Rate: perSecond(100), Burst: 200}})
	if got := admitted(l, 100, same("192.0.2.1")); got != 0 {
		t.Errorf("a reload gave %d requests, want 0", got)
	}
	c.advance(time.Second)
	if got := admitted(l, 500, same("192.0.2.1")); got != 100 {
		t.Errorf("a second after the reload: %d, want 100", got)
	}
}

// L-02: 10^6 addresses are no memory bomb, and flooding does not reset
// anybody's bucket.
func TestFlood(t *testing.T) {
	l, _ := limiter(t, 10, 20)
	admitted(l, 20, same("192.0.2.1"))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	got := admitted(l, 1_000_000, v6(4))
	runtime.GC()
	runtime.ReadMemStats(&after)

	if size := l.Size(); size > maxAddresses {
		t.Errorf("%d buckets, want at most %d", size, maxAddresses)
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 40<<20 {
		t.Errorf("grew by %d MiB, want at most 40", grown>>20)
	}
	if most := maxAddresses + 20*shards; got > most {
		t.Errorf("%d of a flood admitted at once, want at most %d", got, most)
	}
	if n := admitted(l, 1, same("192.0.2.1")); n != 0 {
		t.Error("a flood reset a spent bucket")
	}
	runtime.KeepAlive(l)
}

func TestIdleBucketsMakeRoom(t *testing.T) {
	l, c := limiter(t, 10, 20)
	admitted(l, 2*maxAddresses, v6(4))
	c.advance(3 * time.Second)
	fresh := func(i int) netip.Addr { return v6(4)(1<<24 + i) }
	if got := admitted(l, maxAddresses, fresh); got < maxAddresses*9/10 {
		t.Errorf("%d of %d newcomers admitted after the flood", got, maxAddresses)
	}
}

func TestClientRate(t *testing.T) {
	c50 := config.ClientLimits{Rate: perSecond(50), Burst: 100}
	tests := []struct {
		name   string
		limits config.ClientLimits
		cost   int
		want   int // requests admitted at once
		after  int // and 10 seconds later
	}{
		{"burst", c50, 1, 100, 100},
		{"batches of 10", c50, 10, 10, 10},
		// L-03: 1,000 reads in one batch pass once; 10 s pay for 500 of the 900 owed
		{"batch larger than the burst", c50, 1000, 1, 0},
		{"no cost counts as one", c50, 0, 100, 100},
		{"burst not named", config.ClientLimits{Rate: perSecond(20)}, 1, 20, 20},
		{"slow rate", config.ClientLimits{Rate: perHour(3)}, 1, 3, 0},
		{"no limit", config.ClientLimits{}, 1000, 500, 500},
	}
	for _, tt := range tests {
		eachState(t, func(t *testing.T, l *Limiter, c *clock) {
			pass := func() (n int) {
				for range 500 {
					if _, ok := l.client("app", tt.limits, tt.cost); ok {
						n++
					}
				}
				return n
			}
			if got := pass(); got != tt.want {
				t.Errorf("%s: %d at once, want %d", tt.name, got, tt.want)
			}
			c.advance(10 * time.Second)
			if got := pass(); got != tt.after {
				t.Errorf("%s: %d after 10 s, want %d", tt.name, got, tt.after)
			}
			if _, ok := l.client("other", tt.limits, 1); !ok {
				t.Errorf("%s: another client is refused", tt.name)
			}
		})
	}
}

// L-03, L-06: what was released is charged, and the next request refused.
func TestCharge(t *testing.T) {
	patients := func(n int) (ps []string) {
		for i := range n {
			ps = append(ps, fmt.Sprint("Patient/", i))
		}
		return ps
	}
	tests := []struct {
		name      string
		limits    config.ClientLimits
		uses      []Use
		exhausted bool
		recovers  time.Duration // when the client may go on
	}{
		{"entries below", config.ClientLimits{Entries: perHour(100)}, []Use{{Entries: 99}}, false, 0},
		{"entries used up", config.ClientLimits{Entries: perHour(100)}, []Use{{Entries: 60}, {Entries: 40}}, true, 36 * time.Second},
		{"entries overrun", config.ClientLimits{Entries: perHour(100)}, []Use{{Entries: 300}}, true, 2*time.Hour + 36*time.Second},
		{"bytes overrun", config.ClientLimits{Bytes: perHour(3600)}, []Use{{Bytes: 3660}}, true, 61 * time.Second},
		{"debt is bounded", config.ClientLimits{Bytes: perHour(3600)}, []Use{{Bytes: 1 << 40}}, true, 9*time.Hour + time.Second},
		{"same patient over and over", config.ClientLimits{Patients: config.Rates{perHour(5)}},
			[]Use{{Patients: patients(4)}, {Patients: patients(4)}, {Patients: patients(4)}}, false, 0},
		{"distinct patients", config.ClientLimits{Patients: config.Rates{perHour(5)}},
			[]Use{{Patients: patients(3)}, {Patients: patients(5)}}, true, time.Hour},
		{"a page of patients", config.ClientLimits{Patients: config.Rates{perHour(5)}}, []Use{{Patients: patients(50_000)}}, true, time.Hour},
		{"not limited", config.ClientLimits{Rate: perSecond(10)}, []Use{{Entries: 1e6, Bytes: 1e9, Patients: patients(1000)}}, false, 0},
	}
	for _, tt := range tests {
		eachState(t, func(t *testing.T, l *Limiter, c *clock) {
			var got bool
			for _, u := range tt.uses {
				got = l.charge("app", tt.limits, u)
			}
			if got != tt.exhausted {
				t.Errorf("%s: exhausted %v, want %v", tt.name, got, tt.exhausted)
			}
			after, ok := l.client("app", tt.limits, 1)
			if ok == tt.exhausted || after != tt.recovers {
				t.Errorf("%s: next request %v after %v, want %v after %v", tt.name, ok, after, !tt.exhausted, tt.recovers)
			}
			c.advance(tt.recovers)
			if _, ok := l.client("app", tt.limits, 1); !ok {
				t.Errorf("%s: still refused when Retry-After has passed", tt.name)
			}
		})
	}
}

// L-06: slow enumeration meets a sliding window, not one that begins anew at
// the full hour.
func TestDistinctPatientsSlide(t *testing.T) {
	eachState(t, func(t *testing.T, l *Limiter, c *clock) {
		limits := config.ClientLimits{Patients: config.Rates{perHour(60)}}
		released := 0
		for i := range 10 * 60 { // one new patient every 30 seconds for five hours
			if _, ok := l.client("app", limits, 1); ok {
				l.charge("app", limits, Use{Patients: []string{fmt.Sprint("Patient/", i)}})
				released++
			}
			c.advance(30 * time.Second)
		}
		if released != 5*60 {
			t.Errorf("%d patients in five hours, want 300", released)
		}
	})
}

// L-06: who is slow enough for the hour meets the day.
func TestSeveralWindows(t *testing.T) {
	eachState(t, func(t *testing.T, l *Limiter, c *clock) {
		limits := config.ClientLimits{Patients: config.Rates{perHour(60), {N: 100, Per: 24 * time.Hour}}}
		released := 0
		for i := range 10 * 60 {
			if _, ok := l.client("app", limits, 1); ok {
				l.charge("app", limits, Use{Patients: []string{fmt.Sprint("Patient/", i)}})
				released++
			}
			c.advance(time.Minute)
		}
		if released != 100 {
			t.Errorf("%d patients in ten hours, want the day's 100", released)
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	l, _ := limiter(t, 1000, 1000)
	limits := config.ClientLimits{Rate: perSecond(100), Patients: config.Rates{perHour(10)}, Entries: perHour(1000)}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 2000 {
				l.address(v6(4)(i))
				l.client(fmt.Sprint("app", i%7), limits, 1)
				l.charge(fmt.Sprint("app", g), limits, Use{Entries: 1, Patients: []string{fmt.Sprint(i)}})
				l.Size()
			}
		})
	}
	wg.Wait()
}

func BenchmarkAddress(b *testing.B) {
	l, _ := limiter(b, 1e9, 1<<30)
	a := netip.MustParseAddr("192.0.2.1")
	b.ReportAllocs()
	for b.Loop() {
		l.address(a)
	}
}

func BenchmarkAddressFlood(b *testing.B) {
	l, _ := limiter(b, 10, 20)
	addr := v6(4)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		l.address(addr(i))
	}
}

func BenchmarkClientAndCharge(b *testing.B) {
	l, _ := limiter(b, 10, 20)
	limits := config.ClientLimits{Rate: perSecond(1e9), Burst: 1 << 30, Patients: config.Rates{perHour(1e6)}, Entries: perHour(1e15)}
	use := Use{Entries: 1, Bytes: 1000, Patients: []string{"Patient/1"}}
	b.ReportAllocs()
	for b.Loop() {
		l.client("app", limits, 1)
		l.charge("app", limits, use)
	}
}
