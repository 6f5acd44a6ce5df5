package limit

import (
	"math"
	"time"

	"gatehouse/config"

	"golang.org/x/time/rate"
)

// bucket is one token bucket, made and changed to the configured rate as it is
// used. Its shard's lock guards it.
type bucket struct{ tokens *rate.Limiter }

// at gives the bucket as configured; a burst that is not named is what one
// period allows.
func (b *bucket) at(now time.Time, r config.Rate, burst int) *rate.Limiter {
	if r.Per <= 0 {
		r.Per = time.Second // dividing by zero would be no limit
	}
	limit := rate.Limit(r.N / r.Per.Seconds())
	if burst <= 0 {
		burst = int(min(max(1, math.Ceil(r.N)), math.MaxInt32))
	}
	switch {
	case b.tokens == nil:
		b.tokens = rate.NewLimiter(limit, burst)
	case b.tokens.Limit() != limit || b.tokens.Burst() != burst:
		b.tokens.SetLimitAt(now, limit)
		b.tokens.SetBurstAt(now, burst)
	}
	return b.tokens
}

// take spends n tokens if they are there or the bucket is full.
func (b *bucket) take(now time.Time, r config.Rate, burst, n int) (retryAfter time.Duration, ok bool) {
	if r.N <= 0 {
		return 0, true
	}
	t := b.at(now, r, burst)
	need := float64(min(n, t.Burst()))
	if have := t.TokensAt(now); have < need {
		return seconds((need - have) / float64(t.Limit())), false
	}
	spend(t, now, n)
	return 0, true
}

// spend takes n tokens whether they are there or not. Debt stops at ten
// bursts, so that one answer bars its client for ten periods and not for ever.
func spend(t *rate.Limiter, now time.Time, n int) {
	for range 10 {
		k := min(n, t.Burst())
		if k <= 0 {
			return
		}
		t.ReserveN(now, k)
		n -= k
	}
}

// idle tells whether forgetting the bucket would give its owner nothing.
func (b *bucket) idle(now time.Time) bool {
	return b.tokens == nil || b.tokens.TokensAt(now) >= float64(b.tokens.Burst())
}

// seconds rounds up to what Retry-After can say.
func seconds(s float64) time.Duration {
	return time.Duration(min(max(1, math.Ceil(s)), 30*86400)) * time.Second
}
