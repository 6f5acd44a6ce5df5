//go:build unix

package sink

import (
	"bytes"
	"context"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/audit"
)

// Sustained appends, each waited for, by 256 callers while a sink copies all: how many
// records a second are durable, and how many the sink delivers. Budget: 20,000 on two
// cores.
func BenchmarkWhileASinkRuns(b *testing.B) {
	l, err := audit.Open(audit.Options{Dir: b.TempDir(), Key: bytes.Repeat([]byte{7}, 32), Seed: bytes.Repeat([]byte{9}, 32), Origin: "gatehouse.test/audit"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	dir := b.TempDir()
	s, stop := start(b, config.Sink{Type: "jsonl", Path: filepath.Join(dir, "copy"), Batch: 500}, options(l, filepath.Join(dir, "sinks")))
	var n atomic.Int64
	b.SetParallelism(128)
	began := processor()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := l.Append(read(int(n.Add(1)))).Wait(context.Background()); err != nil {
				b.Error(err)
			}
		}
	})
	b.StopTimer()
	b.ReportMetric(float64((processor()-began).Microseconds())/float64(b.N), "cpu-µs/record") // on a busy machine
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(s.Next())/b.Elapsed().Seconds(), "delivered/s")
	stop()
}

// processor is what this process has used of it.
func processor() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
