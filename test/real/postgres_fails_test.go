//go:build real

package real

import (
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The PostgreSQL of state.url (the table of docs/operations.md): whatever befalls it,
// who is known is served, who is blocked stays blocked, what cannot be stored is not
// said to be, and the gateway tells what it misses.
func TestPostgreSQLFails(t *testing.T) {
	f := startFleet(t, "a")
	l := &traffic{fleet: f, t: t, began: time.Now(), lost: map[string]int{}, count: map[string]int{}}
	db, err := sql.Open("pgx", ledger.url+"&search_path=fleet")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	run := func(statements ...string) {
		t.Helper()
		for _, s := range statements {
			if _, err := db.ExecContext(t.Context(), s); err != nil {
				t.Error(s, err)
			}
		}
	}
	block := func(what ...string) (string, error) {
		return gate.command(append(append([]string{"block"}, what...), "-c", filepath.Join(f.dir, "a.yaml"), "--reason", "lost")...)
	}
	if out, err := block("client", "stolen"); err != nil {
		t.Fatal(err, out)
	}
	known, stolen := f.token(nil), f.token(map[string]any{"client_id": "stolen"})
	time.Sleep(2 * time.Second)
	deaf := func(said string) bool { return strings.Contains(said, `"state":"the state store cannot be read`) }
	t.Cleanup(func() { ledger.signal(syscall.SIGCONT) })
	for _, way := range []struct {
		name      string
		fail, end func()
		deaf      bool
	}{
		{"slow", func() { ledger.signal(syscall.SIGSTOP) }, func() { ledger.signal(syscall.SIGCONT) }, true},
		{"refusing", func() { _ = ledger.stop() }, func() { _ = ledger.start() }, true},
		{"wrong", func() { run("ALTER TABLE gatehouse_state RENAME TO away") }, func() { run("ALTER TABLE away RENAME TO gatehouse_state") }, true},
		{"full", func() { run("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()") },
			func() {
				run("SET default_transaction_read_only = off", "ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()")
			}, false},
	} {
		l.during(way.name)
		db.SetMaxOpenConns(1)
		way.fail()
		if way.deaf {
			f.all(t, 12*time.Second, deaf)
		}
		l.right("known", l.ask("GET", "/Patient/p001", known, ""), 200)
		l.right("stolen", l.ask("GET", "/Patient/p001", stolen, ""), 401, "token.revoked")
		if way.name == "slow" { // a command would wait with it
			l.right("known", l.ask("GET", "/Patient/p001", f.token(map[string]any{"sub": "new"}), ""), 200)
		} else if out, err := block("client", "other"); err == nil || strings.Contains(out, postgresPassword) {
			t.Errorf("%s: a block that cannot be stored: %v %s", way.name, err, out)
		}
		way.end()
		f.all(t, 10*time.Second, func(said string) bool { return strings.Contains(said, `"ready":true`) })
	}
	if out, err := block("client", "other"); err != nil {
		t.Error(err, out)
	}
	time.Sleep(2 * time.Second)
	l.right("other", l.ask("GET", "/Patient/p001", f.token(map[string]any{"client_id": "other"}), ""), 401, "token.revoked")
	for _, odd := range l.odd {
		t.Error(odd)
	}
}

// signal goes to PostgreSQL and its children, which have sessions of their own.
func (p *postgres) signal(s syscall.Signal) {
	if p.running == nil {
		return
	}
	pid := p.running.Process.Pid
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", pid)) // none there: it has ended
	_ = syscall.Kill(pid, s)
	for child := range strings.FieldsSeq(string(children)) {
		if pid, err := strconv.Atoi(child); err == nil {
			_ = syscall.Kill(pid, s)
		}
	}
}

// The script for operators tells what is as written from what is not.
func TestGameDay(t *testing.T) {
	f := startFleet(t, "a")
	_, port, _ := strings.Cut(f.replicas[0].public, ":")
	redis := f.redis.running.Process.Pid
	f.write(t, "gameday", fmt.Sprintf("base=http://127.0.0.1:%s/fhir admin=http://%s read=/Patient/p001 token=%s\n"+
		"redis_stop='kill -STOP %d' redis_start='kill -CONT %[4]d' postgres_stop=true postgres_start=true patience=8\n", port, f.replicas[0].admin, f.token(nil), redis))
	out, err := exec.Command("bash", "../gameday", filepath.Join(f.dir, "gameday")).CombinedOutput()
	for _, want := range []string{"redis     away: as written", "redis     back: as before", "postgres  away: FAILED: 200", "upstream  left out"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if err == nil {
		t.Error("what failed is no error")
	}
}
