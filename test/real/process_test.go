//go:build real

package real

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// patience is how long a server may take to start on a busy machine.
const patience = 360 * time.Second

// server is a child process that answers HTTP on loopback.
type server struct {
	name    string
	command []string
	env     []string
	dir     string // where its log goes
	url     string
	probe   string // answers 200 when the server is ready

	running *exec.Cmd
	ended   chan error
}

// start runs the server in a process group of its own, which dies with the
// tests whatever becomes of them, and waits until it answers.
func (s *server) start() error {
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	c := exec.Command(s.command[0], s.command[1:]...)
	c.Stdout, c.Stderr = log, log
	c.Env = append(os.Environ(), s.env...)
	c.Dir = s.dir
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	begun := time.Now()
	if err := c.Start(); err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	s.running, s.ended = c, make(chan error, 1)
	go func() { s.ended <- c.Wait() }()
	if err := s.await(); err != nil {
		return errors.Join(fmt.Errorf("start %s: %w\n%s", s.name, err, s.tail()), s.stop())
	}
	fmt.Printf("test/real: %s answers after %.1fs\n", s.name, time.Since(begun).Seconds())
	return nil
}

func (s *server) await() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		if answers(ctx, s.probe) {
			return nil
		}
		select {
		case err := <-s.ended:
			s.running = nil
			return fmt.Errorf("ended: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("%s did not answer within %s", s.probe, patience)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func answers(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	a, err := plain.Do(r)
	if err != nil {
		return false
	}
	a.Body.Close()
	return a.StatusCode == http.StatusOK
}

// stop ends the server, by force if it does not go within twenty seconds.
func (s *server) stop() error {
	if s == nil || s.running == nil {
		return nil
	}
	group := -s.running.Process.Pid
	s.running = nil
	_ = syscall.Kill(group, syscall.SIGTERM) // it may be gone already
	select {
	case <-s.ended:
		_ = syscall.Kill(group, syscall.SIGKILL) // whatever it left behind
		return nil
	case <-time.After(60 * time.Second):
	}
	if err := syscall.Kill(group, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill %s: %w", s.name, err)
	}
	<-s.ended
	return nil
}

func (s *server) logFile() string { return filepath.Join(s.dir, s.name+".log") }

// tail is the end of the server's log.
func (s *server) tail() string {
	b, err := os.ReadFile(s.logFile())
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-4000):])
}

// freePorts finds ports that nothing listens on. They are kept until all are
// found, so that no two are the same.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
