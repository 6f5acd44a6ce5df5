package notify

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/config"

	"go.uber.org/zap"
)

type hook struct {
	*httptest.Server
	mu     sync.Mutex
	got    []string
	tokens []string
	answer func(n int) int // status of the nth request
}

func newHook(t *testing.T, answer func(n int) int) *hook {
	h := &hook{answer: answer}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.got, h.tokens = append(h.got, string(b)), append(h.tokens, r.Header.Get("Authorization"))
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(h.answer(len(h.got)))
	}))
	t.Cleanup(h.Close)
	return h
}

func TestDelivery(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		answer func(n int) int
		posts  int
		alarms int64
	}{
		{"at once", func(int) int { return 204 }, 1, 0},
		{"at the third try", func(n int) int { return map[bool]int{true: 500, false: 200}[n < 3] }, 3, 0},
		{"never", func(int) int { return 500 }, tries, 1},
		{"a redirect is not followed", func(int) int { return 307 }, tries, 1},
	} {
		h := newHook(t, c.answer)
		var alarms atomic.Int64
		s := New(zap.NewNop(), func(string) { alarms.Add(1) })
		s.wait = time.Millisecond
		s.Send("privacy", config.Channel{URL: h.URL, TokenFile: token}, Alert{Event: "emergency.opened", Request: "r1"}, nil)
		s.Close()
		if len(h.got) != c.posts || alarms.Load() != c.alarms {
			t.Errorf("%s: %d posts, %d alarms", c.name, len(h.got), alarms.Load())
		}
		if !strings.Contains(h.got[0], `"event":"emergency.opened"`) || !slices.Contains(h.tokens, "Bearer s3cret") {
			t.Errorf("%s: got %s with %s", c.name, h.got[0], h.tokens[0])
		}
	}
}

// An endpoint that hangs holds up neither the sender nor the memory.
func TestTooManyAlertsAreDroppedWithAnAlarm(t *testing.T) {
	release := make(chan struct{})
	h := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(h.Close)
	var alarms atomic.Int64
	s := New(zap.NewNop(), func(string) { alarms.Add(1) })
	for range queued + workers + 10 {
		s.Send("privacy", config.Channel{URL: h.URL}, Alert{Event: "e"}, nil)
	}
	if alarms.Load() < 10 {
		t.Errorf("%d alarms", alarms.Load())
	}
	close(release)
	s.Close()
}
