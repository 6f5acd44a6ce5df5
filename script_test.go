package main

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gatehouse/gateway/auth/authtest"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets this binary be the gatehouse command of the scripts.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"gatehouse": main, "curl": curlMain})
}

// TestScripts plays the scenarios of test/scripts: text files of commands and
// the files that they work on. Beside testscript's own commands there are
//
//	world DIR               start an issuer ($ISSUER) and an upstream ($UPSTREAM)
//	                        that serves DIR/Type/id.json and ignores every filter;
//	                        set $PUBLIC and $ADMIN to free addresses
//	token NAME claim=value… set $NAME to a signed token; a,b is a list
//	http STATUS METHOD URL [TOKEN]   body on stdout, header on stderr, id in $REQUEST
//	eventually STATUS METHOD URL TOKEN [PATTERN]   the same again, until the
//	                        answer has the status and matches
//	hold PATH, release      let the upstream's answer to PATH wait
//	begin …, end            an http command that runs meanwhile
//	hup                     send SIGHUP to what runs in the background
//	flip FILE               change one byte in the middle of a file
//	unpack FILE DIR         unpack a gzipped tar
//	tour PAGE FILE          write the commands and edits of a page as a shell script
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                "test/scripts",
		RequireUniqueNames: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"world": openWorld, "token": token, "http": httpCommand, "eventually": eventually,
			"hold": hold, "release": release, "begin": begin, "end": end, "hup": hup, "flip": flip, "unpack": unpack, "tour": tour,
		},
		Setup: func(e *testscript.Env) error {
			e.Values["world"] = &world{}
			return nil
		},
	})
}

// world is what surrounds the gateway of one script.
type world struct {
	issuer  *authtest.Issuer
	dir     string
	mu      sync.Mutex
	held    string
	freed   chan struct{}
	arrived chan struct{}
	ended   chan error
	output  reply
}

type reply struct {
	status int
	header http.Header
	body   string
}

func of(ts *testscript.TestScript) *world { return ts.Value("world").(*world) }

func openWorld(ts *testscript.TestScript, _ bool, args []string) {
	w := of(ts)
	var err error
	w.issuer, err = authtest.New()
	ts.Check(err)
	ts.Defer(w.issuer.Close)
	ts.Setenv("ISSUER", w.issuer.URL)
	w.dir = ts.MkAbs(args[0])
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	s := &http.Server{Handler: w, ReadHeaderTimeout: 5 * time.Second}
	go s.Serve(l)
	ts.Defer(func() { s.Close() })
	ts.Setenv("UPSTREAM", "http://"+l.Addr().String()+"/r4")
	for _, name := range []string{"PUBLIC", "ADMIN"} {
		ts.Setenv(name, freeAddress(ts))
	}
}

var given sync.Map // addresses that a script has: the system may give them again

func freeAddress(ts *testscript.TestScript) string {
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		addr := l.Addr().String()
		l.Close()
		if _, taken := given.LoadOrStore(addr, true); !taken {
			return addr
		}
	}
}

// ServeHTTP is the upstream.
func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/r4/")
	w.mu.Lock()
	held, freed, arrived := w.held, w.freed, w.arrived
	w.mu.Unlock()
	if held == path {
		close(arrived)
		<-freed
	}
	rw.Header().Set("Content-Type", "application/fhir+json")
	if strings.Contains(path, "/") {
		http.ServeFile(rw, r, filepath.Join(w.dir, path+".json"))
		return
	}
	files, _ := filepath.Glob(filepath.Join(w.dir, path, "*.json"))
	fmt.Fprint(rw, `{"resourceType":"Bundle","type":"searchset","entry":[`)
	for i, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(rw, `%s{"resource":%s,"search":{"mode":"match"}}`, strings.Repeat(",", min(i, 1)), text)
	}
	fmt.Fprint(rw, `]}`)
}

func token(ts *testscript.TestScript, _ bool, args []string) {
	claims := map[string]any{"aud": "http://" + ts.Getenv("PUBLIC") + "/fhir", "scope": "user/*.cruds"}
	for _, arg := range args[1:] {
		name, value, _ := strings.Cut(arg, "=")
		claims[name] = value
		if name == "roles" {
			claims[name] = strings.Split(value, ",")
		}
	}
	ts.Setenv(args[0], of(ts).issuer.Token(claims))
}

func ask(method, url, token string) (reply, error) {
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		return reply{}, err
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return reply{}, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return reply{answer.StatusCode, answer.Header, string(body)}, err
}

// tell shows an answer to the script and holds it to the status wanted.
func tell(ts *testscript.TestScript, want string, got reply) {
	fmt.Fprintln(ts.Stdout(), got.body)
	got.header.Write(ts.Stderr())
	ts.Setenv("REQUEST", got.header.Get("X-Request-Id"))
	if strconv.Itoa(got.status) != want {
		ts.Fatalf("got status %d, want %s: %s", got.status, want, got.body)
	}
}

func four(args []string) (status, method, url, token string) {
	args = append(args, "", "", "", "")
	return args[0], args[1], args[2], args[3]
}

func httpCommand(ts *testscript.TestScript, _ bool, args []string) {
	status, method, url, token := four(args)
	got, err := ask(method, url, token)
	ts.Check(err)
	tell(ts, status, got)
}

func eventually(ts *testscript.TestScript, _ bool, args []string) {
	status, method, url, token := four(args)
	pattern := regexp.MustCompile(strings.Join(args[min(4, len(args)):], " "))
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		got, err := ask(method, url, token)
		if err == nil && strconv.Itoa(got.status) == status && pattern.MatchString(got.body) {
			tell(ts, status, got)
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("still %d %s %v", got.status, got.body, err)
		}
	}
}

func hold(ts *testscript.TestScript, _ bool, args []string) {
	w := of(ts)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held, w.freed, w.arrived = args[0], make(chan struct{}), make(chan struct{})
	freed := w.freed
	ts.Defer(func() { w.free(freed) })
}

func (w *world) free(freed chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.held != "" && w.freed == freed {
		w.held = ""
		close(freed)
	}
}

func release(ts *testscript.TestScript, _ bool, _ []string) { of(ts).free(of(ts).freed) }

// begin returns when the request has reached the upstream and waits there.
func begin(ts *testscript.TestScript, _ bool, args []string) {
	w := of(ts)
	_, method, url, token := four(append([]string{""}, args...))
	w.ended = make(chan error, 1)
	go func() {
		var err error
		w.output, err = ask(method, url, token)
		w.ended <- err
	}()
	select {
	case <-w.arrived:
	case <-time.After(60 * time.Second):
		ts.Fatalf("the request did not reach the upstream")
	}
}

func end(ts *testscript.TestScript, _ bool, args []string) {
	w := of(ts)
	ts.Check(<-w.ended)
	tell(ts, args[0], w.output)
}

func unpack(ts *testscript.TestScript, _ bool, args []string) {
	f, err := os.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	ts.Check(err)
	t := tar.NewReader(z)
	for h, err := t.Next(); err != io.EOF; h, err = t.Next() {
		ts.Check(err)
		text, err := io.ReadAll(t)
		ts.Check(err)
		name := filepath.Join(ts.MkAbs(args[1]), filepath.Base(h.Name))
		ts.Check(os.MkdirAll(filepath.Dir(name), 0o700))
		ts.Check(os.WriteFile(name, text, 0o600))
	}
}

func hup(ts *testscript.TestScript, _ bool, _ []string) {
	for _, c := range ts.BackgroundCmds() {
		ts.Check(c.Process.Signal(syscall.SIGHUP))
	}
}

func flip(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	b, err := os.ReadFile(path)
	ts.Check(err)
	b[len(b)/2] ^= 1
	ts.Check(os.WriteFile(path, b, 0o600))
}
