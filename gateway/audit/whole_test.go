package audit

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A-RPT-1: a report or an export of a log that lost something says so and
// fails; a partial answer that looks whole would be a false one.
func TestDamagedLogGivesNoWholeAnswer(t *testing.T) {
	const n = 400
	tests := []struct {
		name   string
		damage func(t *testing.T, dir string, segments []string)
		says   string
	}{
		{"a byte flipped in the last segment", func(t *testing.T, _ string, s []string) {
			edit(t, s[len(s)-1], func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
		}, "the log is damaged after record "},
		{"a byte flipped in the first segment", func(t *testing.T, _ string, s []string) {
			edit(t, s[0], func(b []byte) []byte { b[len(b)-9] ^= 1; return b })
		}, "the log is damaged after record "},
		{"the last segment cut short", func(t *testing.T, _ string, s []string) {
			edit(t, s[len(s)-1], func(b []byte) []byte { return b[:len(b)/2] })
		}, "the log is damaged after record "},
		{"the last segment emptied", func(t *testing.T, _ string, s []string) {
			edit(t, s[len(s)-1], func([]byte) []byte { return nil })
		}, "the log is damaged after record "},
		{"the last segment gone", func(t *testing.T, _ string, s []string) { remove(t, s[len(s)-1]) }, "the log is damaged after record "},
		{"a middle segment gone", func(t *testing.T, _ string, s []string) { remove(t, s[1]) }, "the log is damaged after record "},
		{"the first segment gone", func(t *testing.T, _ string, s []string) { remove(t, s[0]) }, "from its first record on"},
		{"all segments gone", func(t *testing.T, _ string, s []string) {
			for _, path := range s {
				remove(t, path)
			}
		}, "from its first record on"},
		{"a key file gone", func(t *testing.T, dir string, _ []string) { remove(t, keyPath(dir, 2)) }, "the log is damaged after record "},
		{"no checkpoint", func(t *testing.T, dir string, _ []string) { remove(t, filepath.Join(dir, "checkpoint")) }, "no checkpoint"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			filled(t, dir, n)
			segments, _ := filepath.Glob(filepath.Join(dir, "segments", "*.log"))
			if len(segments) < 3 {
				t.Fatalf("%d segments, want several", len(segments))
			}
			tt.damage(t, dir, segments)
			var out bytes.Buffer
			if err := ReportPatient(dir, testKey, "Patient/p1", &out); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("report: %v, want %q", err, tt.says)
			}
			if _, err := Export(dir, testKey, &out); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("export: %v, want %q", err, tt.says)
			}
		})
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// A-RPT-1: what a report was made from stands under it, also while the log is
// being written and its last batch is half there.
func TestReportSaysWhatItWasMadeFrom(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, testOptions(dir))
	for i := range 3 {
		mustAppend(t, l, smallRead(i))
	}
	mustClose(t, l)
	edit(t, segmentPath(dir, 1), func(b []byte) []byte { return append(b, batchMagic...) })
	var out bytes.Buffer
	if err := ReportPatient(dir, testKey, "Patient/p1", &out); err != nil {
		t.Fatal(err)
	}
	if want := "Made from 4 records from 2023-11-14 22:13:20 to "; !strings.Contains(out.String(), want) || !strings.HasSuffix(out.String(), " UTC.\n") {
		t.Errorf("report %q, want %q", out.String(), want)
	}
	span, err := Export(dir, testKey, &out)
	if err != nil || span.Records != 4 || span.First.Format("2006") != "2023" || !strings.Contains(fmt.Sprint(span), "4 records from") {
		t.Errorf("export: %v, %v", span, err)
	}
}

// A-RPT-1: a log that is being written, and rolls, is not taken for a damaged
// one.
func TestLiveLogIsWhole(t *testing.T) {
	o := testOptions(t.TempDir())
	o.SegmentBytes, o.CheckpointEvery = 16<<10, time.Millisecond
	l := mustOpen(t, o)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 3000 {
			p := l.Append(smallRead(i))
			if i%10 == 9 {
				<-p.done
			}
		}
	}()
	r, err := OpenReader(o.Dir, testKey)
	if err != nil {
		t.Fatal(err)
	}
	for rounds, writing := 0, true; writing; rounds++ {
		select {
		case <-done:
			writing = false
		default:
		}
		if span, err := r.Whole(func(*Record) error { return nil }); err != nil && !strings.Contains(err.Error(), "no checkpoint") {
			t.Fatalf("round %d, %s: %v", rounds, span, err)
		}
	}
}
