package gateway

import (
	"context"
	"runtime"
	heap "runtime/metrics"
	"testing"
	"time"
)

// A small heap may grow by heapRoom, a large one by itself, as ever.
func TestGCPercent(t *testing.T) {
	for _, tt := range []struct {
		live uint64
		want int
	}{{0, 400}, {1 << 20, 400}, {12 << 20, 200}, {24 << 20, 100}, {1 << 30, 100}} {
		if got := gcPercent(tt.live); got != tt.want {
			t.Errorf("gcPercent(%d) = %d, want %d", tt.live, got, tt.want)
		}
	}
}

// The collector is fitted after it has run, and left as it was in the end.
func TestKeepRoom(t *testing.T) {
	t.Setenv("GOGC", "")
	ctx, cancel := context.WithCancel(context.Background())
	keepRoom(ctx)
	percent := []heap.Sample{{Name: "/gc/gogc:percent"}}
	wait := func(what string, is func(percent uint64) bool) {
		t.Helper()
		for range 3000 {
			runtime.GC()
			heap.Read(percent)
			if is(percent[0].Value.Uint64()) {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatal(what)
	}
	wait("a small heap has no more room", func(p uint64) bool { return p > 100 })
	cancel()
	wait("it keeps the room when all has ended", func(p uint64) bool { return p == 100 })
}
