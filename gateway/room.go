package gateway

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	heap "runtime/metrics"
)

// heapRoom is by how many bytes the heap may always grow before the collector runs.
// It would else run when the heap has doubled, which is soon where it holds little:
// each read would pay for marking all of it several times a second. A heap that
// holds more than this doubles, as ever.
const heapRoom = 24 << 20

// keepRoom fits the collector's percentage to what the heap holds, after each of its
// runs, until ctx ends. An operator who sets GOGC has chosen.
func keepRoom(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	var collected func(int)
	collected = func(int) {
		if fit(ctx) {
			notice(collected)
		}
	}
	notice(collected)
}

// fit sets the percentage for what the heap holds; false once ctx has ended, when it
// is as it was.
func fit(ctx context.Context) bool {
	now := []heap.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/gogc:percent"}}
	heap.Read(now)
	want, set := 100, int(now[1].Value.Uint64())
	if ctx.Err() == nil {
		want = gcPercent(now[0].Value.Uint64())
	}
	if d := want - set; d > set/20 || -d > set/20 || want == 100 && d != 0 { // to set it stops the world for a moment
		debug.SetGCPercent(want)
	}
	return ctx.Err() == nil
}

// notice has f called when the collector has run: it finds what nobody holds.
func notice(f func(int)) { runtime.AddCleanup(&struct{ room [64]byte }{}, f, 0) }

// gcPercent is how much a heap that holds so many bytes may grow, in percent.
func gcPercent(live uint64) int { return int(min(max(100, heapRoom*100/max(live, 1)), 400)) }
