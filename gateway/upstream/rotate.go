package upstream

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"gatehouse/config"
)

// secret is a value that may change while the gateway runs.
type secret[T any] interface{ get() T }

type fixed[T any] struct{ value T }

func (f fixed[T]) get() T { return f.value }

// lookEvery is how old a rotating value may be: files are looked at so often,
// and not for every request.
const lookEvery = time.Second

// rotating is a value read from files, and read again when one of them changes.
// A new file that cannot be read is logged and the last good value stays: the
// upstream, not the gateway, says whether that is still good.
type rotating[T any] struct {
	paths   []string
	read    func() (T, error)
	log     *zap.Logger
	now     func() time.Time
	changed func() // may be nil

	value atomic.Pointer[T]
	next  atomic.Int64 // when to look at the files, Unix nanoseconds
	mu    sync.Mutex
	seen  []stamp
}

// stamp is what tells one state of a file from another.
type stamp struct {
	changed time.Time
	size    int64
}

func newRotating[T any](paths []string, log *zap.Logger, read func() (T, error)) (*rotating[T], error) {
	r := &rotating[T]{paths: paths, read: read, log: log, now: time.Now}
	r.seen = r.look()
	value, err := read()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", paths[0], err)
	}
	r.value.Store(&value)
	r.next.Store(r.now().Add(lookEvery).UnixNano())
	return r, nil
}

func (r *rotating[T]) get() T {
	now, next := r.now(), r.next.Load()
	if now.UnixNano() >= next && r.next.CompareAndSwap(next, now.Add(lookEvery).UnixNano()) {
		r.refresh()
	}
	return *r.value.Load()
}

func (r *rotating[T]) refresh() {
	r.mu.Lock()
	defer r.mu.Unlock()
	stamps := r.look()
	if same(stamps, r.seen) {
		return
	}
	value, err := r.read()
	if err != nil { // looked at again after lookEvery: it may be half written
		r.log.Warn("credential file changed and cannot be read; the last one is used", zap.String("file", r.paths[0]), zap.Error(err))
		return
	}
	r.seen = stamps
	r.value.Store(&value)
	r.log.Info("credential file changed and was read again", zap.String("file", r.paths[0]))
	if r.changed != nil {
		r.changed()
	}
}

// look is before the read, so that a change in between is seen the next time.
func (r *rotating[T]) look() []stamp {
	stamps := make([]stamp, len(r.paths))
	for i, path := range r.paths {
		if info, err := os.Stat(path); err == nil {
			stamps[i] = stamp{info.ModTime(), info.Size()}
		}
	}
	return stamps
}

func same(a, b []stamp) bool {
	for i := range a {
		if !a[i].changed.Equal(b[i].changed) || a[i].size != b[i].size {
			return false
		}
	}
	return true
}

// newPair is the client certificate of mtls. When it changes, idle connections
// made with the old one are closed.
func newPair(c config.UpstreamAuth, t *http.Transport, log *zap.Logger) (secret[*tls.Certificate], error) {
	r, err := newRotating([]string{c.CertFile, c.KeyFile}, log, func() (*tls.Certificate, error) {
		if _, err := config.ReadPrivateKey(c.KeyFile); err != nil {
			return nil, err
		}
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		return &pair, err
	})
	if err != nil {
		return nil, err
	}
	r.changed = t.CloseIdleConnections
	return r, nil
}
