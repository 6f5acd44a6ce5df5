//go:build real

package real

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	account "os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gatehouse/gateway/state"
)

// postgres is a PostgreSQL of its own, in a directory of its own.
type postgres struct {
	dir     string
	port    int
	url     string
	owner   *syscall.Credential // it does not run as root
	running *exec.Cmd
}

const postgresPassword = "ledger-keeper"

func startPostgres(port int) (*postgres, error) {
	dir, err := os.MkdirTemp("", "gatehouse-postgres-")
	if err != nil {
		return nil, err
	}
	p := &postgres{dir: dir, port: port, url: fmt.Sprintf("postgres://gatehouse:%s@127.0.0.1:%d/postgres?sslmode=disable", postgresPassword, port)}
	if err := p.prepare(); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare PostgreSQL: %w", err), os.RemoveAll(dir))
	}
	return p, p.start()
}

func (p *postgres) prepare() error {
	if err := os.WriteFile(filepath.Join(p.dir, "password"), []byte(postgresPassword), 0o600); err != nil {
		return err
	}
	if os.Getuid() == 0 {
		if err := p.disown(); err != nil {
			return err
		}
	}
	initdb := p.command("initdb", "-D", filepath.Join(p.dir, "data"), "-U", "gatehouse", "-A", "scram-sha-256", "--pwfile", filepath.Join(p.dir, "password"), "--no-sync", "-E", "UTF8", "--locale=C")
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

// disown gives the directory to the user that Debian's package made.
func (p *postgres) disown() error {
	u, err := account.Lookup("postgres")
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return err
	}
	p.owner = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return errors.Join(os.Chown(p.dir, uid, gid), os.Chown(filepath.Join(p.dir, "password"), uid, gid))
}

// command is a program of PostgreSQL's, which Debian keeps out of the PATH.
func (p *postgres) command(name string, args ...string) *exec.Cmd {
	if found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name); err == nil && len(found) > 0 {
		name = slices.Max(found)
	}
	c := exec.Command(name, args...)
	c.Dir = p.dir
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Credential: p.owner}
	return c
}

func (p *postgres) start() error {
	var log bytes.Buffer
	c := p.command("postgres", "-D", filepath.Join(p.dir, "data"), "-h", "127.0.0.1", "-p", strconv.Itoa(p.port), "-k", "")
	c.Stdout, c.Stderr = &log, &log
	begun := time.Now()
	if err := c.Start(); err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	p.running = c
	db, err := sql.Open("pgx", p.url)
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for db.PingContext(ctx) != nil {
		select {
		case <-ctx.Done():
			return errors.Join(errors.New("PostgreSQL does not answer"), p.stop(), errors.New(log.String()))
		case <-time.After(100 * time.Millisecond):
		}
	}
	fmt.Printf("test/real: postgres answers after %.1fs\n", time.Since(begun).Seconds())
	return nil
}

// stop ends it as an operator in a hurry would (SIGINT: fast shutdown).
func (p *postgres) stop() error {
	if p.running == nil {
		return nil
	}
	c := p.running
	p.running = nil
	return errors.Join(c.Process.Signal(syscall.SIGINT), c.Wait())
}

func (p *postgres) close() error { return errors.Join(p.stop(), os.RemoveAll(p.dir)) }

// replica opens the database under a key of the tests' own, beside the gateway's.
func replica(t *testing.T, key byte) (*state.Store, error) {
	t.Helper()
	s, err := state.Open(state.Options{URL: ledger.url + "&search_path=tests", Key: bytes.Repeat([]byte{key}, 32)})
	if err == nil {
		t.Cleanup(func() { s.Close() })
	}
	return s, err
}

func schema(t *testing.T) {
	t.Helper()
	db, err := sql.Open("pgx", ledger.url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "CREATE SCHEMA IF NOT EXISTS tests"); err != nil {
		t.Fatal(err)
	}
}

// Two replicas share what must outlive a request: neither loses the other's write,
// each learns of every change, and what the database holds tells nothing.
func TestStateOnPostgreSQL(t *testing.T) {
	schema(t)
	a, err := replica(t, 7)
	if err != nil {
		t.Fatal(err)
	}
	b, err := replica(t, 7)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if err := a.Put(ctx, "count", family, []byte("0"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	add := func(old []byte) ([]byte, error) {
		n, err := strconv.Atoi(string(old))
		return strconv.AppendInt(nil, int64(n+1), 10), err
	}
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			if err := []*state.Store{a, b}[i%2].Update(ctx, "count", family, add); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if r, err := b.Get(ctx, "count", family); err != nil || string(r.Value) != "40" {
		t.Errorf("got %q %v, want 40", r.Value, err)
	}
	var first []bool
	for _, s := range []*state.Store{a, b} {
		created, err := s.Create(ctx, "block", "x", []byte("stolen"), time.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		first = append(first, created)
	}
	if !slices.Equal(first, []bool{true, false}) {
		t.Errorf("both made it: %v", first)
	}
	told(t, a, b)
	if _, err := replica(t, 8); err == nil {
		t.Error("it opens under another key")
	}
	secret(t)
}

// told holds b to telling what a writes and deletes, in order.
func told(t *testing.T, a, b *state.Store) {
	t.Helper()
	ctx := t.Context()
	since, err := b.Since(ctx, 0, func(string, state.Row) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(a.Put(ctx, "grant", "g", []byte("one"), time.Time{}), a.Delete(ctx, "block", "x"))
	if err != nil {
		t.Fatal(err)
	}
	var news []string
	_, err = b.Since(ctx, since, func(kind string, r state.Row) error {
		news = append(news, fmt.Sprintf("%s %s %q", kind, r.ID, r.Value))
		return nil
	})
	if want := []string{`grant g "one"`, `block x ""`}; err != nil || !slices.Equal(news, want) {
		t.Errorf("got %q %v, want %q", news, err, want)
	}
}

// secret looks for what was written in what the database would dump.
func secret(t *testing.T) {
	t.Helper()
	dump := ledger.command("pg_dump", "-d", ledger.url)
	out, err := dump.CombinedOutput()
	if err != nil || len(out) < 500 {
		t.Fatalf("pg_dump: %v %s", err, out)
	}
	for _, word := range []string{family, fmt.Sprintf("%x", family), fmt.Sprintf("%x", "stolen")} {
		if bytes.Contains(out, []byte(word)) {
			t.Errorf("the database holds %q", word)
		}
	}
}

// The gateway's own store is there: a command's block is the gateway's within two
// seconds, and holds when the database comes back from a restart.
func TestBlockedThroughPostgreSQL(t *testing.T) {
	token := user(t, "ann", userReads)
	become := func(status int) {
		t.Helper()
		for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(100 * time.Millisecond) {
			a := get(t, "/Patient/p1", token)
			if a.status == status {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("status %d, want %d: %.300s", a.status, status, a.body)
			}
		}
	}
	become(http.StatusOK)
	if out, err := gate.command("block", "client", "ward-app", "-c", gate.config(), "--reason", "lost"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	become(http.StatusUnauthorized)
	if err := errors.Join(ledger.stop(), ledger.start()); err != nil {
		t.Fatal(err)
	}
	if a := get(t, "/Patient/p1", token); a.status == http.StatusOK {
		t.Errorf("the block went with the database: %d", a.status)
	}
	if out, err := gate.command("block", "list", "-c", gate.config()); err != nil || !strings.Contains(out, "ward-app") {
		t.Errorf("%v %s", err, out)
	}
	if out, err := gate.command("unblock", "client", "ward-app", "-c", gate.config(), "--reason", "found"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	become(http.StatusOK)
}
