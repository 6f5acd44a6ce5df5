package audit

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func mustSpool(t testing.TB, l *Log, dir string, most int64) *Spool {
	t.Helper()
	s, err := l.OpenSpool(dir, most)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func spooled(t testing.TB, s *Spool, r *Record) {
	t.Helper()
	if err := s.Append(r).Wait(context.Background()); err != nil {
		t.Fatalf("spool: %v", err)
	}
}

func drained(t testing.TB, s *Spool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); s.used(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d records are still in the spool", s.Waiting())
		}
	}
}

// failingLog is a log on a disk that can be made to fail.
func failingLog(t testing.TB) (*Log, *badDisk, Options) {
	d := &badDisk{}
	o := testOptions(t.TempDir())
	o.open, o.retry = d.open, 2*time.Millisecond
	return mustOpen(t, o), d, o
}

func holds(t testing.TB, dir string, o Options, want bool) {
	t.Helper()
	if got, err := SpoolHolds(dir, o.Key); got != want || err != nil {
		t.Errorf("the spool holds records: %t, %v; want %t", got, err, want)
	}
}

// U-02, AUD-12: what the log cannot take waits in the spool, over a restart too,
// and is in the log afterwards: whole, once, in order.
func TestSpoolReplaysOnceInOrder(t *testing.T) {
	for _, restart := range []bool{false, true} {
		l, d, o := failingLog(t)
		dir := filepath.Join(t.TempDir(), "spool")
		s := mustSpool(t, l, dir, 1<<20)
		mustAppend(t, l, smallRead(0))
		holds(t, dir, o, false)
		d.noSpace.Store(true)
		if l.Append(smallRead(1)).Wait(context.Background()) == nil {
			t.Fatal("the disk is full")
		}
		var want []*Record
		for i := range 300 {
			r := smallRead(i + 1)
			if i == 7 {
				r = searchPage(20)
			}
			r.UserAgent = "evil\r\n\u202eagent"
			want = append(want, r)
			spooled(t, s, r)
		}
		hold := &Record{Kind: Notice, Code: HoldSet, Request: "h"} // begins with audit. as the log's own words do
		spooled(t, s, hold)
		if n := s.Waiting(); n != 301 {
			t.Errorf("%d wait, want 301", n)
		}
		holds(t, dir, o, true)
		if raw, _ := exec.Command("grep", "-r", "Practitioner", dir).Output(); len(raw) > 0 {
			t.Error("the spool is not encrypted")
		}
		d.noSpace.Store(false)
		if restart {
			s.Close()
			l.Close()
			l = mustOpen(t, o)
			s = mustSpool(t, l, dir, 1<<20)
		}
		drained(t, s)
		holds(t, dir, o, false)
		if n, _ := s.Bytes(); n > 10<<10 {
			t.Errorf("a drained spool holds %d bytes", n)
		}
		if err := errors.Join(s.Close(), l.Close()); err != nil {
			t.Fatal(err)
		}
		checkVerified(t, o.Dir)
		got := mustRead(t, o.Dir)[1:]
		if len(got) != len(want) {
			t.Fatalf("%d records, want %d", len(got), len(want))
		}
		for i, r := range got {
			if !strings.HasPrefix(noteOf(r, SpooledNote), "1/") {
				t.Errorf("record %d does not tell that it was spooled: %v", i, r.Notes)
			}
			r.Index, r.Notes = 0, nil
			want[i].UserAgent = r.UserAgent
			if !reflect.DeepEqual(r, want[i]) {
				t.Errorf("record %d:\ngot  %+v\nwant %+v", i, r, want[i])
			}
			if r.UserAgent != `evil\u{d}\u{a}\u{202e}agent` {
				t.Errorf("user agent %q: escaped twice, or never", r.UserAgent)
			}
		}
		if held := notices(t, o.Dir, HoldSet); held != 1 {
			t.Errorf("%d notices of the hold, want 1", held)
		}
		if told := notices(t, o.Dir, SpoolReplayed); told != 1 {
			t.Errorf("%d notices of the replay, want 1", told)
		}
		if left, _ := os.ReadDir(dir); len(left) != 0 {
			t.Errorf("left in the spool: %v", left)
		}
	}
}

func notices(t *testing.T, dir, code string) (n int) {
	t.Helper()
	r, err := OpenReader(dir, testKey)
	if err != nil {
		t.Fatal(err)
	}
	for rec, err := range r.All() {
		if err != nil {
			t.Fatal(err)
		}
		if rec.Code == code {
			n++
		}
	}
	return n
}

// A full spool refuses; nothing in it is given for what comes.
func TestSpoolIsBounded(t *testing.T) {
	l, d, _ := failingLog(t)
	s := mustSpool(t, l, t.TempDir(), 20<<10)
	defer s.Close()
	d.noFlush.Store(true)
	l.Append(smallRead(0)).Wait(context.Background())
	taken := int64(0)
	var err error
	for i := 0; i < 1000 && err == nil; i++ {
		if err = s.Append(smallRead(i)).Wait(context.Background()); err == nil {
			taken++
		}
	}
	if !errors.Is(err, errSpoolFull) || s.Healthy() == nil || taken != s.Waiting() || taken < 5 {
		t.Errorf("after %d records: %v, healthy %v, %d wait", taken, err, s.Healthy(), s.Waiting())
	}
	if n, most := s.Bytes(); n > most+2<<10 {
		t.Errorf("%d bytes of at most %d", n, most)
	}
	d.noFlush.Store(false)
	drained(t, s)
	spooled(t, s, smallRead(1))
}

// Who is erased while records wait is erased in them too.
func TestSpoolErases(t *testing.T) {
	l, d, o := failingLog(t)
	s := mustSpool(t, l, t.TempDir(), 1<<20)
	d.noSpace.Store(true)
	l.Append(smallRead(0)).Wait(context.Background())
	spooled(t, s, smallRead(1))
	if err := s.EraseKeys(context.Background(), "Patient/p1"); err != nil {
		t.Fatal(err)
	}
	d.noSpace.Store(false)
	drained(t, s)
	if err := errors.Join(s.Close(), l.Close()); err != nil {
		t.Fatal(err)
	}
	got := mustRead(t, o.Dir)
	if len(got) != 1 || got[0].ID != "" || len(got[0].Query) > 0 {
		t.Errorf("an erased patient's record: %+v", got)
	}
}

// crashed copies a directory as kill -9 would leave it. The log may go on meanwhile:
// its segments are copied last, since nothing else may tell of records that they lack.
func crashed(t testing.TB, dir string) string {
	t.Helper()
	to := t.TempDir()
	for _, segments := range []bool{false, true} {
		err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			below, _ := filepath.Rel(dir, name)
			if err != nil || strings.Contains(below, "segments") != segments || strings.HasSuffix(name, ".tmp") {
				return err
			}
			if d.IsDir() {
				return os.MkdirAll(filepath.Join(to, below), 0o700)
			}
			text, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(to, below), text, 0o600)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// A crash amid a replay: what was replayed already is not replayed again.
func TestSpoolReplayedBeforeACrash(t *testing.T) {
	l, d, o := failingLog(t)
	dir := t.TempDir()
	s := mustSpool(t, l, dir, 1<<20)
	d.noSpace.Store(true)
	l.Append(smallRead(0)).Wait(context.Background())
	const n = 3*replayBatch + 7
	for i := range n {
		s.Append(smallRead(i))
	}
	spooled(t, s, smallRead(n))
	before := crashed(t, dir)
	d.noSpace.Store(false)
	var half string
	for half == "" {
		if w := s.Waiting(); w < n && w > 0 {
			half = crashed(t, o.Dir)
		} else if w == 0 {
			break // too fast to be seen
		}
	}
	drained(t, s)
	s.Close()
	for _, log := range []string{half, crashed(t, o.Dir)} {
		if log == "" {
			continue
		}
		l := mustOpen(t, testOptions(log))
		s := mustSpool(t, l, crashed(t, before), 1<<20)
		drained(t, s)
		if err := errors.Join(s.Close(), l.Close()); err != nil {
			t.Fatal(err)
		}
		checkVerified(t, log)
		got := mustRead(t, log)
		if len(got) != n+1 {
			t.Errorf("%d records, want %d", len(got), n+1)
		}
		for i, r := range got {
			if r.Request != smallRead(i).Request {
				t.Fatalf("record %d is %s", i, r.Request)
			}
		}
	}
}

// A disk that has written a record and could not say so dies; its record was
// spooled, and the log holds it after all.
func TestSpoolOfARecordThatTheLogHasToo(t *testing.T) {
	l, d, o := failingLog(t)
	dir := t.TempDir()
	s := mustSpool(t, l, dir, 1<<20)
	mustAppend(t, l, smallRead(0))
	d.dead.Store(true)
	d.noFlush.Store(true)
	if l.Append(smallRead(1)).Wait(context.Background()) == nil {
		t.Fatal("the disk is dead")
	}
	spooled(t, s, smallRead(1))
	spooled(t, s, smallRead(2))
	log, spool := crashed(t, o.Dir), crashed(t, dir)
	if n := len(mustRead(t, log)); n != 2 {
		t.Fatalf("the log holds %d records: the test needs the one that was not acknowledged", n)
	}
	l = mustOpen(t, testOptions(log))
	s = mustSpool(t, l, spool, 1<<20)
	drained(t, s)
	if err := errors.Join(s.Close(), l.Close()); err != nil {
		t.Fatal(err)
	}
	if n := len(mustRead(t, log)); n != 3 {
		t.Errorf("%d records, want 3", n)
	}
}

const childSpool = "GATEHOUSE_AUDIT_SPOOL"

// spoolUntilKilled appends to a log whose disk comes and goes, and to its spool
// meanwhile, and prints the id of every record that was acknowledged.
func spoolUntilKilled(dir, spool string) {
	d := &badDisk{}
	o := testOptions(dir)
	o.SegmentBytes, o.CheckpointEvery, o.open, o.retry = 16<<10, time.Millisecond, d.open, time.Millisecond
	l, err := Open(o)
	if err != nil {
		fail(err)
	}
	s, err := l.OpenSpool(spool, 1<<30)
	if err != nil {
		fail(err)
	}
	go func() {
		for {
			time.Sleep(time.Duration(rand.IntN(8)) * time.Millisecond)
			fault := []*atomic.Bool{&d.noSpace, &d.noFlush}[rand.IntN(2)]
			fault.Store(true)
			time.Sleep(time.Duration(rand.IntN(8)) * time.Millisecond)
			fault.Store(false)
		}
	}()
	var mu sync.Mutex
	for g := range 8 {
		go func() {
			for i := 0; ; i++ {
				r := smallRead(i)
				r.Request = fmt.Sprintf("%d-%d-%d", os.Getpid(), g, i)
				if l.Append(r).Wait(context.Background()) != nil {
					if err := s.Append(r).Wait(context.Background()); err != nil {
						fail(err)
					}
				}
				mu.Lock()
				os.Stdout.WriteString(r.Request + "\n")
				mu.Unlock()
			}
		}()
	}
	select {}
}

func fail(err error) {
	fmt.Println("error", err)
	os.Exit(1)
}

// U-02: kill -9 while records are spooled and while they are replayed loses none
// and doubles none.
func TestKill9OfSpoolLosesAndDoublesNothing(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 5
	}
	dir, spool := t.TempDir(), t.TempDir()
	acknowledged := map[string]bool{}
	for range rounds {
		for _, id := range killSpooling(t, dir, spool) {
			acknowledged[id] = true
		}
	}
	o := testOptions(dir)
	o.retry = time.Millisecond
	l := mustOpen(t, o)
	s := mustSpool(t, l, spool, 1<<30)
	drained(t, s)
	if err := errors.Join(s.Close(), l.Close()); err != nil {
		t.Fatal(err)
	}
	checkVerified(t, dir)
	stored, came := map[string]int{}, 0
	for _, r := range mustRead(t, dir) {
		stored[r.Request]++
		if noteOf(r, SpooledNote) != "" {
			came++
		}
	}
	for id, n := range stored {
		if n != 1 {
			t.Errorf("record %s is stored %d times", id, n)
		}
	}
	for id := range acknowledged {
		if stored[id] != 1 {
			t.Errorf("acknowledged record %s is stored %d times", id, stored[id])
		}
	}
	t.Logf("%d kills, %d acknowledged, %d of %d stored by way of the spool", rounds, len(acknowledged), came, len(stored))
	if came == 0 || came == len(stored) {
		t.Errorf("%d of %d records went through the spool: the test does not test both ways", came, len(stored))
	}
}

func killSpooling(t *testing.T, dir, spool string) (ids []string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childDir+"="+dir, childSpool+"="+spool)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := func() { cmd.Process.Signal(syscall.SIGKILL) }
	early := rand.IntN(4) == 0 // also while it starts and looks for what was replayed
	if early {
		time.AfterFunc(time.Duration(rand.IntN(60))*time.Millisecond, kill)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "error") {
			t.Fatalf("child: %s", lines.Text())
		}
		if len(ids) == 0 && !early {
			time.AfterFunc(time.Duration(rand.IntN(40))*time.Millisecond, kill)
		}
		ids = append(ids, lines.Text())
	}
	cmd.Wait()
	return ids
}
