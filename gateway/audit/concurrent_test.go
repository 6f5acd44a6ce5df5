package audit

import (
	"context"
	"fmt"
	"sync"
	"testing"
)

// Many append while segments roll, patients are erased, the log is verified and
// read: no record is lost, doubled or sealed under another segment's keys.
func TestAllAtOnce(t *testing.T) {
	o := testOptions(t.TempDir())
	o.SegmentBytes = 32 << 10
	l := mustOpen(t, o)
	const writers, each = 16, 200
	var wg sync.WaitGroup
	for g := range writers {
		wg.Go(func() {
			for i := range each {
				r := smallRead(i)
				r.Request = fmt.Sprintf("%d-%d", g, i)
				if err := l.Append(r).Wait(context.Background()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for i := range 10 {
			if err := l.Erase(context.Background(), fmt.Sprint("Patient/other-", i)); err != nil {
				t.Error(err)
			}
			if r := mustVerify(t, o.Dir); !r.OK() {
				t.Errorf("verify beside the writer: %+v", r)
			}
			reader, _ := OpenReader(o.Dir, testKey)
			for _, err := range reader.All() {
				if err != nil {
					t.Errorf("read beside the writer: %v", err)
				}
			}
		}
	})
	wg.Wait()
	mustClose(t, l)
	checkVerified(t, o.Dir)
	seen := make(map[string]int)
	for _, r := range mustRead(t, o.Dir) {
		if r.Erased {
			t.Errorf("record of another patient was erased: %+v", r)
		}
		seen[r.Request]++
	}
	for g := range writers {
		for i := range each {
			if n := seen[fmt.Sprintf("%d-%d", g, i)]; n != 1 {
				t.Errorf("record %d-%d is stored %d times", g, i, n)
			}
		}
	}
}
