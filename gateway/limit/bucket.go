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

// size is how many units a bucket holds; a burst that is not named is what one
// period allows.
func size(r config.Rate, burst int) int {
	if burst > 0 {
		return burst
	}
	return int(min(max(1, math.Ceil(r.N)), math.MaxInt32))
}

// every is how many seconds one unit takes to come back.
func every(r config.Rate) float64 {
	if r.Per <= 0 {
		r.Per = time.Second // dividing by zero would be no limit
	}
	return r.Per.Seconds() / r.N
}

// at gives the bucket as configured.
func (b *bucket) at(now time.Time, r config.Rate, burst int) *rate.Limiter {
	if r.Per <= 0 {
		r.Per = time.Second
	}
	limit := rate.Limit(r.N / r.Per.Seconds())
	burst = size(r, burst)
	switch {
	case b.tokens == nil:
		b.tokens = rate.NewLimiter(limit, burst)
	case b.tokens.Limit() != limit || b.tokens.Burst() != burst:
		b.tokens.SetLimitAt(now, limit)
		b.tokens.SetBurstAt(now, burst)
	}
	return b.tokens
}

// wait is how long until n units are there, or as many as the bucket holds; 0
// where they are.
func (b *bucket) wait(now time.Time, r config.Rate, burst, n int) time.Duration {
	if r.N <= 0 {
		return 0
	}
	t := b.at(now, r, burst)
	need := float64(min(n, t.Burst()))
	if have := t.TokensAt(now); have < need {
		return seconds((need - have) / float64(t.Limit()))
	}
	return 0
}

// spend takes n units whether they are there or not. Debt stops at ten bursts,
// so that one answer bars its caller for ten periods and not for ever.
func (b *bucket) spend(now time.Time, r config.Rate, burst, n int) {
	if r.N <= 0 || n <= 0 {
		return
	}
	t := b.at(now, r, burst)
	for range maxDebt {
		k := min(n, t.Burst())
		if k <= 0 {
			return
		}
		t.ReserveN(now, k)
		n -= k
	}
}

// maxDebt is in bursts.
const maxDebt = 10

// idle tells whether forgetting the bucket would give its owner nothing.
func (b *bucket) idle(now time.Time) bool {
	return b.tokens == nil || b.tokens.TokensAt(now) >= float64(b.tokens.Burst())
}

// seconds rounds up to what Retry-After can say.
func seconds(s float64) time.Duration {
	return time.Duration(min(max(1, math.Ceil(s)), 30*86400)) * time.Second
}
