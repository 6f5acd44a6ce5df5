package sink

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/audit"

	"go.uber.org/zap"
)

func openLog(t testing.TB) *audit.Log {
	t.Helper()
	l, err := audit.Open(audit.Options{Dir: t.TempDir(), Key: bytes.Repeat([]byte{7}, 32), Seed: bytes.Repeat([]byte{9}, 32),
		Origin: "gatehouse.test/audit", SegmentBytes: 32 << 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func read(i int) *audit.Record {
	return &audit.Record{Kind: audit.Outcome, Request: fmt.Sprint("req-", i), Time: time.Unix(1700000000, int64(i)).UTC(), Address: "192.0.2.7",
		Caller: audit.Caller{Issuer: "https://idp.example.org", Subject: "f9b1c3", Client: "ward-app", User: "Practitioner/7"},
		Method: "GET", Interaction: "read", Type: "Observation", ID: fmt.Sprint("canary-", i), Query: []byte("/Observation/canary"),
		Decision: audit.Decision{Allow: true, Permits: []string{"staff"}},
		Entries:  []audit.Entry{{Effect: audit.Released, Type: "Observation", ID: fmt.Sprint("canary-", i), Patients: []string{"Patient/canary"}}}, Status: 200}
}

func fill(t testing.TB, l *audit.Log, from, to int) {
	t.Helper()
	var p *audit.Pending
	for i := from; i < to; i++ {
		p = l.Append(read(i))
	}
	if err := p.Wait(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func options(l *audit.Log, dir string) Options {
	return Options{Source: l, Dir: dir, Hash: func(s string) string { return fmt.Sprintf("%x", len(s)) + "hash" }, Log: zap.NewNop(), Failed: func(string) {},
		HTTP: func(config.Upstream, *zap.Logger) (Doer, error) { return &http.Client{}, nil }}
}

// start runs one sink until the test, or whoever calls stop, ends it.
func start(t testing.TB, c config.Sink, o Options) (s *Sink, stop func()) {
	t.Helper()
	if c.Batch == 0 {
		c.Batch = 7
	}
	all, err := Open([]config.Sink{c}, o)
	if err != nil {
		t.Fatal(err)
	}
	s = all[0]
	s.wait = time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { s.Run(ctx); close(done) }()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return s, stop
}

func awaited(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 15 s", what)
		}
	}
}

// receiver is a stub of what a sink delivers to.
type receiver interface {
	sink(t *testing.T) config.Sink
	set(up bool)   // takes events, or does not
	got() []string // ids of the events taken, "index-part", in the order they came
}

// book keeps what a stub got.
type book struct {
	mu   sync.Mutex
	open bool
	ids  []string
	raw  []string
}

func (b *book) set(up bool) { b.mu.Lock(); defer b.mu.Unlock(); b.open = up }
func (b *book) got() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.ids)
}

func (b *book) take(t *testing.T, event []byte) {
	var e struct{ ResourceType, ID string }
	if err := json.Unmarshal(event, &e); err != nil || e.ResourceType != "AuditEvent" {
		t.Errorf("no AuditEvent: %v: %s", err, event)
	}
	b.ids, b.raw = append(b.ids, e.ID), append(b.raw, string(event))
}

func parsed(t testing.TB, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// AUD-09: a receiver that is away loses nothing, the order holds, and a restart
// goes on where it was. Twice is allowed, but not once again from the start.
func TestNothingIsLost(t *testing.T) {
	for name, make := range map[string]func(*testing.T) receiver{
		"fhir": newRepository, "jsonl": newFile, "syslog": newSyslogServer, "otlp": newCollector, "nats": newJetStream,
	} {
		t.Run(name, func(t *testing.T) {
			l, r := openLog(t), make(t)
			c, o := r.sink(t), options(l, filepath.Join(t.TempDir(), "sinks"))
			r.set(false)
			fill(t, l, 0, 100)
			s, stop := start(t, c, o)
			awaited(t, "trouble is told", func() bool { return s.Trouble() != nil })
			if n, behind := s.Lag(time.Now()); n != 101 || behind <= 0 {
				t.Errorf("lag = %d records, %s", n, behind)
			}
			r.set(true)
			awaited(t, "all delivered", func() bool { return s.Next() == l.Durable() })
			if err := s.Trouble(); err != nil {
				t.Errorf("trouble after all is delivered: %v", err)
			}
			stop()
			fill(t, l, 100, 150)
			s, stop = start(t, c, o)
			awaited(t, "the rest delivered", func() bool { return s.Next() == l.Durable() })
			stop()
			checkOrder(t, r.got(), 151)
		})
	}
}

// checkOrder wants the events of so many records, each after the one before it,
// none left out, and none but those of a batch or two again.
func checkOrder(t *testing.T, got []string, records int) {
	t.Helper()
	next, again := 0, 0
	for _, id := range got {
		var index, part int
		if _, err := fmt.Sscanf(id, "%d-%d", &index, &part); err != nil {
			t.Fatalf("id %q: %v", id, err)
		}
		switch {
		case index == next:
			next++
		case index > next:
			t.Fatalf("record %d came where %d was due", index, next)
		default:
			again++
		}
	}
	if next != records {
		t.Errorf("%d records arrived, want %d", next, records)
	}
	if again > 60 {
		t.Errorf("%d events came again", again)
	}
}

// A sink that fails in the middle of what it is given gets the rest, in order.
func TestReceiverThatComesAndGoes(t *testing.T) {
	for name, make := range map[string]func(*testing.T) receiver{"fhir": newRepository, "syslog": newSyslogServer, "nats": newJetStream} {
		t.Run(name, func(t *testing.T) {
			l, r := openLog(t), make(t)
			r.set(true)
			s, stop := start(t, r.sink(t), options(l, t.TempDir()))
			for i := range 10 {
				fill(t, l, i*20, i*20+20)
				r.set(i%2 == 1)
				time.Sleep(3 * time.Millisecond)
			}
			r.set(true)
			awaited(t, "all delivered", func() bool { return s.Next() == l.Durable() })
			stop()
			seen := map[string]bool{}
			for _, id := range r.got() {
				seen[id] = true
			}
			if len(seen) != 201 {
				t.Errorf("%d events arrived, want 201", len(seen))
			}
		})
	}
}

// U-06: a sink that is not to know of whom it is told is not.
func TestPseudonymousSink(t *testing.T) {
	for fields, want := range map[string]bool{"": false, "pseudonymous": false, "full": true} {
		l, r := openLog(t), newRepository(t).(*repository)
		r.set(true)
		c := r.sink(t)
		c.Fields = fields
		fill(t, l, 0, 3)
		s, stop := start(t, c, options(l, t.TempDir()))
		awaited(t, "delivered", func() bool { return s.Next() == l.Durable() })
		stop()
		all := fmt.Sprint(r.raw)
		if got := bytes.Contains([]byte(all), []byte("canary")); got != want {
			t.Errorf("fields: %q: patients in clear %v, want %v", fields, got, want)
		}
	}
}

// A place that does not read is said, not taken for a new sink.
func TestBrokenPlaceIsRefused(t *testing.T) {
	l, dir := openLog(t), t.TempDir()
	c := config.Sink{Type: "jsonl", Name: "x", Path: filepath.Join(dir, "out"), Batch: 7}
	write(t, filepath.Join(dir, "x.json"), `{"next": 3, "from": 9}`)
	if _, err := Open([]config.Sink{c}, options(l, dir)); err == nil {
		t.Error("opened")
	}
}
