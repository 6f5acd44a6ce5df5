package audit

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"
)

// Sustained appends, each waited for, from many goroutines; prints how many
// records shared a flush.
func BenchmarkAppendAndWait(b *testing.B) {
	for _, goroutines := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprint(goroutines), func(b *testing.B) {
			o := testOptions(b.TempDir())
			o.CheckpointEvery = time.Second
			var flushes atomic.Int64
			o.open = func(path string, flag int) (file, error) {
				f, err := openFile(path, flag)
				return &countingFile{f, &flushes}, err
			}
			l := mustOpen(b, o)
			b.SetParallelism(goroutines / 2)
			flushes.Store(0)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				r := smallRead(1)
				for pb.Next() {
					if err := l.Append(r).Wait(context.Background()); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
			b.ReportMetric(float64(b.N)/float64(flushes.Load()), "records/flush")
		})
	}
}

type countingFile struct {
	file
	n *atomic.Int64
}

func (f *countingFile) Datasync() error { f.n.Add(1); return f.file.Datasync() }

// The CPU of one record: encoding, encryption, leaf hash.
func BenchmarkSeal(b *testing.B) {
	keys := newKeyring(newSecrets())
	for name, r := range map[string]*Record{"read": smallRead(1), "page of 100 patients": searchPage(100)} {
		b.Run(name, func(b *testing.B) {
			s := sealers.Get().(*sealer)
			b.ReportAllocs()
			for b.Loop() {
				out, _, err := s.seal(keys, r)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(len(out)))
			}
		})
	}
}

func BenchmarkNewPatient(b *testing.B) {
	keys := newKeyring(newSecrets())
	for i := 0; b.Loop(); i++ {
		if _, err := keys.patient(fmt.Sprint("Patient/", i)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	const n = 100_000
	o := testOptions(b.TempDir())
	o.SegmentBytes = 8 << 20
	l := mustOpen(b, o)
	var p *Pending
	for i := range n {
		p = l.Append(smallRead(i))
	}
	if err := p.Wait(context.Background()); err != nil {
		b.Fatal(err)
	}
	mustClose(b, l)
	for b.Loop() {
		checkVerified(b, o.Dir)
	}
	b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

func BenchmarkRead(b *testing.B) {
	keys := newKeyring(newSecrets())
	s := sealers.Get().(*sealer)
	out, _, _ := s.seal(keys, smallRead(1))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := open(keys, out); err != nil {
			b.Fatal(err)
		}
	}
}
