package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"time"

	"gatehouse/gateway"

	"go.uber.org/zap"
)

// The roles that this binary plays as a child: upstream, proxy URL, gateway
// FILE. A child prints its address, then obeys the lines on its standard
// input, and ends with it.
func child(role string, args []string) error {
	var serve func() error
	var address string
	switch role {
	case "upstream", "proxy":
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		address = l.Addr().String()
		handler := http.Handler(newEHR("http://" + address + "/fhir"))
		if role == "proxy" {
			if handler, err = proxy(args[0]); err != nil {
				return err
			}
		}
		serve = func() error { return http.Serve(l, handler) }
	case "gateway":
		log, err := zap.NewProduction()
		if err != nil {
			return err
		}
		p, err := gateway.Open(args[0], log)
		if err != nil {
			return err
		}
		address = p.PublicAddr() + " " + p.AdminAddr()
		serve = func() error { return p.Run(context.Background()) }
	case "assembled":
		var err error
		var stop func()
		if address, serve, stop, err = assembled(args[0], args[1], args[2], args[3]); err != nil {
			return err
		}
		defer stop()
	default:
		return fmt.Errorf("no role %q", role)
	}
	fmt.Println(address)
	failed := make(chan error, 1)
	go func() { failed <- serve() }()
	go func() { failed <- obey() }()
	return <-failed
}

// proxy is a bare ReverseProxy; its transport may keep as many connections as
// Gatehouse's, where the default keeps two.
func proxy(to string) (http.Handler, error) {
	target, err := url.Parse(to)
	if err != nil {
		return nil, err
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost, t.DisableCompression = 256, 256, true
	return &httputil.ReverseProxy{Transport: t, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}, nil
}

// obey answers the parent: cpu, rss, gc, profile FILE, stop, allocs FILE.
func obey() error {
	var file *os.File
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		command, path, _ := strings.Cut(in.Text(), " ")
		answer, err := int64(0), error(nil)
		switch command {
		case "cpu":
			answer, err = used()
		case "rss":
			answer, err = resident()
		case "gc":
			debug.FreeOSMemory() // what is idle is told without what the load before has left
		case "profile":
			if file, err = os.Create(path); err == nil {
				err = pprof.StartCPUProfile(file)
			}
		case "stop":
			pprof.StopCPUProfile()
			err = file.Close()
		case "allocs":
			err = allocations(path)
		}
		if err != nil {
			return err
		}
		fmt.Println(answer)
	}
	return in.Err()
}

// used is the CPU time of this process so far, in nanoseconds.
func used() (int64, error) {
	var r syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return r.Utime.Nano() + r.Stime.Nano(), err
}

// resident is the memory that this process holds, in bytes.
func resident() (int64, error) {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0, fmt.Errorf("read statm: %q", b)
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

func allocations(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return pprof.Lookup("allocs").WriteTo(f, 0)
}

// process is a child seen from its parent.
type process struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Scanner
	address string
	admin   string // of a gateway
}

func start(role string, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(self, append([]string{"child", role}, args...)...)}
	p.cmd.Stderr = os.Stderr
	if role == "gateway" {
		log, err := os.Create(args[0] + ".log")
		if err != nil {
			return nil, err
		}
		defer log.Close()
		p.cmd.Stderr = log
	}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewScanner(out)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	if !p.out.Scan() {
		return nil, fmt.Errorf("%s did not start: %w", role, p.cmd.Wait())
	}
	p.address, p.admin, _ = strings.Cut(p.out.Text(), " ")
	return p, nil
}

func (p *process) ask(command string) (int64, error) {
	if _, err := fmt.Fprintln(p.in, command); err != nil {
		return 0, err
	}
	if !p.out.Scan() {
		return 0, fmt.Errorf("%s: the process has ended", command)
	}
	return strconv.ParseInt(p.out.Text(), 10, 64)
}

func (p *process) stop() {
	p.in.Close()
	timer := time.AfterFunc(5*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer timer.Stop()
	_ = p.cmd.Wait() // it was told to end; how it did is nobody's concern
}
