package gateway

import (
	"context"
	"runtime"
	"runtime/debug"
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

// The collector is fitted to what the heap holds, after it has run, and left as it was
// in the end.
func TestKeepRoom(t *testing.T) {
	t.Setenv("GOGC", "")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	defer debug.SetGCPercent(debug.SetGCPercent(40)) // what nobody wants
	keepRoom(ctx)
	now := []heap.Sample{{Name: "/gc/gogc:percent"}}
	for range 3000 {
		runtime.GC()
		if heap.Read(now); now[0].Value.Uint64() >= 100 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if got := now[0].Value.Uint64(); got < 100 || got > 400 {
		t.Errorf("after the collector has run: %d %%", got)
	}
	cancel()
	if fit(ctx) {
		t.Error("it goes on when all has ended")
	}
	if heap.Read(now); now[0].Value.Uint64() != 100 {
		t.Errorf("in the end: %d %%", now[0].Value.Uint64())
	}
}
