//go:build real

package real

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// redis is a Redis of its own, which writes down what it holds as docs/operations.md
// asks: what it forgot would be allowed again.
type redis struct {
	dir     string
	port    int
	running *exec.Cmd
}

func startRedis(t *testing.T, dir string, port int) *redis {
	t.Helper()
	r := &redis{dir: filepath.Join(dir, "redis"), port: port}
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := r.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.stop() })
	return r
}

func (r *redis) url() string { return fmt.Sprintf("redis://127.0.0.1:%d/0", r.port) }

func (r *redis) start() error {
	c := exec.Command("redis-server", "--port", strconv.Itoa(r.port), "--bind", "127.0.0.1", "--dir", r.dir,
		"--save", "", "--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction")
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		return fmt.Errorf("start Redis: %w", err)
	}
	r.running = c
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if r.pongs() {
			return nil
		}
	}
	return fmt.Errorf("Redis does not answer within %s", patience)
}

func (r *redis) pongs() bool {
	conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", r.port), time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	answer := make([]byte, 5)
	_, err = fmt.Fprint(conn, "PING\r\n")
	if err == nil {
		_, err = conn.Read(answer)
	}
	return err == nil && string(answer) == "+PONG"
}

// stop ends it as an operator would; what it holds is written down.
func (r *redis) stop() {
	if r.running == nil {
		return
	}
	_ = r.running.Process.Signal(syscall.SIGTERM)
	_ = r.running.Wait() // it tells the signal
	r.running = nil
}

// freeze stops it answering without closing a connection, and thaw ends that.
func (r *redis) freeze() { _ = r.running.Process.Signal(syscall.SIGSTOP) }
func (r *redis) thaw()   { _ = r.running.Process.Signal(syscall.SIGCONT) }
