package audit

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const childDir = "GATEHOUSE_AUDIT_CHILD"

// TestMain turns the test binary into the process that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if spool := os.Getenv(childSpool); spool != "" {
			spoolUntilKilled(dir, spool)
		}
		appendUntilKilled(dir)
	}
	os.Exit(m.Run())
}

// appendUntilKilled appends from several goroutines and prints the id of every
// record that was acknowledged.
func appendUntilKilled(dir string) {
	o := testOptions(dir)
	o.SegmentBytes, o.CheckpointEvery = 16<<10, time.Millisecond
	l, err := Open(o)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	var mu sync.Mutex
	for g := range 8 {
		go func() {
			for i := 0; ; i++ {
				r := smallRead(i)
				r.Request = fmt.Sprintf("%d-%d-%d", os.Getpid(), g, i)
				if err := l.Append(r).Wait(context.Background()); err != nil {
					fmt.Println("error", err)
					os.Exit(1)
				}
				mu.Lock()
				os.Stdout.WriteString(r.Request + "\n") // one write: the parent reads whole lines
				mu.Unlock()
			}
		}()
	}
	select {}
}

// U-02: kill -9 at any point loses no acknowledged record, and what recovery
// leaves verifies against every checkpoint that was ever handed out.
func TestKill9LosesNoAcknowledgedRecord(t *testing.T) {
	rounds := 120
	if testing.Short() {
		rounds = 10
	}
	dir := t.TempDir()
	acknowledged := make(map[string]bool)
	var kept [][]byte
	for round := range rounds {
		for _, id := range killChild(t, dir) {
			acknowledged[id] = true
		}
		// The tree head on disk is never ahead of the data, however it was killed.
		if b, err := readCheckpoint(dir); err != nil {
			t.Fatal(err)
		} else if b != nil {
			kept = append(kept, b)
			if r := mustVerify(t, dir); !r.OK() {
				t.Fatalf("round %d, before recovery: %+v", round, r)
			}
		}
	}
	mustClose(t, mustOpen(t, testOptions(dir)))
	checkVerified(t, dir, kept...)
	stored := make(map[string]int)
	for _, r := range mustRead(t, dir) {
		stored[r.Request]++
	}
	for id := range acknowledged {
		if stored[id] != 1 {
			t.Errorf("acknowledged record %s is stored %d times", id, stored[id])
		}
	}
	t.Logf("%d kills, %d acknowledged, %d stored, %d checkpoints", rounds, len(acknowledged), len(stored), len(kept))
	if len(acknowledged) < rounds {
		t.Errorf("only %d records were acknowledged: the test kills too early", len(acknowledged))
	}
}

func killChild(t *testing.T, dir string) (ids []string) {
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
	kill := func() { cmd.Process.Signal(syscall.SIGKILL) }
	early := rand.IntN(4) == 0 // also while it starts and recovers
	if early {
		time.AfterFunc(time.Duration(rand.IntN(30))*time.Millisecond, kill)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		id := lines.Text()
		if len(ids) == 0 && !early {
			time.AfterFunc(time.Duration(rand.IntN(20))*time.Millisecond, kill)
		}
		if strings.HasPrefix(id, "error") {
			t.Fatalf("child: %s", id)
		}
		ids = append(ids, id)
	}
	cmd.Wait()
	return ids
}
