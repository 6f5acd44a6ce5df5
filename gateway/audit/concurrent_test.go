package audit

import (
	"bytes"
	"context"
	"fmt"
	"strings"
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

func TestReportPatient(t *testing.T) {
	o := testOptions(t.TempDir())
	l := mustOpen(t, o)
	mustAppend(t, l, smallRead(1))
	mustAppend(t, l, searchPage(3)) // of others
	denied := smallRead(2)
	denied.Status, denied.Code, denied.Entries[0].Effect = 404, "policy.denied", Withheld
	mustAppend(t, l, denied)
	mustClose(t, l)
	var b bytes.Buffer
	if err := ReportPatient(o.Dir, testKey, "Patient/p1", &b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 5 || !strings.Contains(lines[1], "Practitioner/7 with ward-app") || !strings.Contains(lines[1], "TREAT: clinician reads own ward") ||
		!strings.Contains(lines[1], "permit Consent/c1") || !strings.Contains(lines[2], "refused (policy.denied)") {
		t.Errorf("report:\n%s", b.String())
	}
}
