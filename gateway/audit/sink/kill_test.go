package sink

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/audit"
)

// childDir names the directory of the process that is killed, childKills how many
// rounds there are, where not the usual number.
const (
	childDir   = "GATEHOUSE_SINK_CHILD"
	childKills = "GATEHOUSE_KILLS"
)

// TestMain turns the test binary into the process that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		workUntilKilled(dir)
	}
	os.Exit(m.Run())
}

func childOptions(dir string) audit.Options {
	return audit.Options{Dir: filepath.Join(dir, "audit"), Key: bytes.Repeat([]byte{7}, 32), Seed: bytes.Repeat([]byte{9}, 32),
		Origin: "gatehouse.test/audit", SegmentBytes: 8 << 10, CheckpointEvery: time.Millisecond}
}

// say prints one line in one write: the parent reads whole ones.
func say(format string, args ...any) { os.Stdout.WriteString(fmt.Sprintf(format, args...) + "\n") }

func must(err error) {
	if err != nil {
		say("error %v", err)
		os.Exit(1)
	}
}

// workUntilKilled appends, erases, lets segments expire and copies the trail, all at
// once, and says what was acknowledged: "a REQUEST", "e PATIENT".
func workUntilKilled(dir string) {
	l, err := audit.Open(childOptions(dir))
	must(err)
	all, err := Open([]config.Sink{{Type: "jsonl", Path: filepath.Join(dir, "copy"), Fields: "full", Batch: 16}}, options(l, filepath.Join(dir, "sinks")))
	must(err)
	go all[0].Run(context.Background())
	ctx := context.Background()
	for g := range 4 {
		go func() {
			for i := 0; ; i++ {
				patient := fmt.Sprintf("Patient/%d-%d-%d", os.Getpid(), g, i/8)
				r := read(i)
				r.Request, r.Time, r.ID = fmt.Sprintf("%d/%d/%d", os.Getpid(), g, i), time.Now(), "o"
				r.Entries[0].Patients = []string{patient}
				must(l.Append(r).Wait(ctx))
				say("a %s", r.Request)
				if i%8 == 7 {
					must(l.Erase(ctx, patient))
					say("e %s", patient)
				}
			}
		}()
	}
	for {
		_, _, err := l.Expire(ctx, audit.ExpireOptions{Before: time.Now().Add(-20 * time.Millisecond), Keep: all[0].Next()})
		must(err)
		time.Sleep(2 * time.Millisecond)
	}
}

// U-02, issue 7 points 2, 3, 5 and 8 together: kill -9 amid erasures, expiry and
// delivery loses no acknowledged record, brings no erased key back, and leaves no
// record out of a sink or behind a later one.
func TestKill9AmidEverything(t *testing.T) {
	rounds, err := strconv.Atoi(os.Getenv(childKills))
	if err != nil {
		rounds = 25
	}
	dir := t.TempDir()
	var acknowledged, erased []string
	for range rounds {
		for _, line := range killedChild(t, dir) {
			if id, ok := strings.CutPrefix(line, "a "); ok {
				acknowledged = append(acknowledged, id)
			} else if patient, ok := strings.CutPrefix(line, "e "); ok {
				erased = append(erased, patient)
			}
		}
	}
	l, err := audit.Open(childOptions(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := config.Sink{Type: "jsonl", Path: filepath.Join(dir, "copy"), Fields: "full", Batch: 16}
	s, stop := start(t, c, options(l, filepath.Join(dir, "sinks")))
	awaited(t, "the sink has all", func() bool { return s.Next() >= l.Durable() })
	stop()
	isCopied(t, c.Path, acknowledged)
	kept, gone := 0, 0
	for r, err := range l.Reader().All() {
		if err != nil {
			t.Fatal(err)
		}
		kept++
		for _, p := range audit.PatientsOf(r) {
			if slices.Contains(erased, p) {
				t.Fatalf("record %d names %s, who was erased", r.Index, p)
			}
		}
	}
	gone = int(l.Durable()) - kept
	public, err := audit.VerifierKey(childOptions(dir).Origin, childOptions(dir).Seed)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if result, err := audit.Verify(childOptions(dir).Dir, public); err != nil || !result.OK() {
		t.Errorf("the log does not verify: %+v, %v", result, err)
	}
	t.Logf("%d kills: %d acknowledged, %d erased, %d records kept, %d expired", rounds, len(acknowledged), len(erased), kept, gone)
	if len(acknowledged) < rounds || len(erased) == 0 || gone == 0 {
		t.Error("the test kills too early")
	}
}

// isCopied holds the copy to what was acknowledged: each is there, and of each
// writer in its order, second copies aside.
func isCopied(t *testing.T, path string, acknowledged []string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	there, last := map[string]bool{}, map[string]int{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var e struct {
			Entity []struct {
				What struct{ Identifier struct{ Value string } }
			}
		}
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue // half a line, which a kill left
		}
		for _, entity := range e.Entity {
			id := entity.What.Identifier.Value
			writer, number := filepath.Dir(id), 0
			if number, err = strconv.Atoi(filepath.Base(id)); err != nil || there[id] {
				continue
			}
			if before, ok := last[writer]; ok && number != before+1 || !ok && number != 0 {
				t.Fatalf("the copy has %s after number %d", id, before)
			}
			there[id], last[writer] = true, number
		}
	}
	for _, id := range acknowledged {
		if !there[id] {
			t.Errorf("the copy lacks %s, which was acknowledged", id)
		}
	}
}

func killedChild(t *testing.T, dir string) (lines []string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := sync.OnceFunc(func() { cmd.Process.Signal(syscall.SIGKILL) })
	if rand.IntN(5) == 0 { // while it starts and recovers
		time.AfterFunc(time.Duration(rand.IntN(30))*time.Millisecond, kill)
	}
	wait := 1 + rand.IntN(60) // lines; not a time, in which a busy machine does nothing
	for s := bufio.NewScanner(out); s.Scan(); {
		if strings.HasPrefix(s.Text(), "error") {
			t.Errorf("child: %s", s.Text())
		}
		if lines = append(lines, s.Text()); len(lines) == wait {
			kill()
		}
	}
	_ = cmd.Wait()
	return lines
}
