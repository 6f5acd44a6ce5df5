package sink

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/audit"

	"go.uber.org/zap"
)

// Publisher hands the checkpoints of the log to where its operator cannot rewrite
// them, so that a log cut short, or put back from an older copy, shows (U-07).
type Publisher struct {
	all    []*Anchor
	latest atomic.Pointer[[]byte]
}

// Anchor is one place that checkpoints are published to.
type Anchor struct {
	Name  string
	to    keeper
	every time.Duration
	o     Options

	mu     sync.Mutex
	failed error
	size   int64     // of the last checkpoint that is there
	at     time.Time // when it was published
}

// keeper is what takes a checkpoint.
type keeper interface {
	put(ctx context.Context, checkpoint []byte, size int64) error
}

// Open prepares the places of a configuration. dir is the log's. The checkpoints
// that were taken before are not lost.
func (p *Publisher) Open(c []config.Publish, dir string, o Options) error {
	for i := range c {
		to, err := newAnchor(&c[i], dir, o)
		if err != nil {
			return fmt.Errorf("audit.publish %s: %w", c[i].ID(), err)
		}
		p.all = append(p.all, &Anchor{Name: c[i].ID(), to: to, every: time.Duration(c[i].Every), o: o})
	}
	return nil
}

func newAnchor(c *config.Publish, dir string, o Options) (keeper, error) {
	switch c.Type {
	case "file":
		return folder{c.Path}, nil
	case "syslog":
		t, err := newSyslog(&config.Sink{Parsed: c.Parsed, CAFile: c.CAFile}, o)
		if err != nil {
			return nil, err
		}
		return &journal{t.(*syslog)}, nil
	case "http":
		client, err := o.HTTP(c.Upstream(), o.Log)
		return &bucket{client: client, c: c}, err
	case "s3":
		client, err := o.HTTP(c.Upstream(), o.Log)
		if err != nil {
			return nil, err
		}
		return signedBucket(client, c)
	case "witness":
		client, err := o.HTTP(c.Upstream(), o.Log)
		if err != nil {
			return nil, err
		}
		key, err := audit.ParseWitness(c.PublicKey)
		if err != nil {
			return nil, fmt.Errorf("public_key %w", err)
		}
		return &witness{client: client, url: c.URL + "/add-checkpoint", key: key, log: dir, kept: CosignedPath(dir, c)}, nil
	}
	return nil, fmt.Errorf("there is no place of type %q", c.Type)
}

// CosignedPath is the file of the last checkpoint that a witness signed.
func CosignedPath(dir string, c *config.Publish) string {
	return filepath.Join(dir, "witness", c.ID())
}

// Take takes the log's newest checkpoint, and does not wait.
func (p *Publisher) Take(checkpoint []byte) error {
	b := bytes.Clone(checkpoint)
	p.latest.Store(&b)
	return nil
}

// Anchors are the places.
func (p *Publisher) Anchors() []*Anchor { return p.all }

// Run publishes until ctx ends, and then once more.
func (p *Publisher) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, a := range p.all {
		all.Go(func() {
			for ctx.Err() == nil {
				wait := a.every
				if !a.publish(ctx, p.latest.Load()) {
					wait = min(wait, longest)
				}
				pause(ctx, wait)
			}
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout/6)
			defer cancel()
			a.publish(last, p.latest.Load())
		})
	}
	all.Wait()
}

// Last is how many records the last checkpoint signs that was published, and when
// that was; Trouble why no newer one is.
func (a *Anchor) Last() (size int64, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.size, a.at
}

// Trouble says why a checkpoint could not be published, nil while they are.
func (a *Anchor) Trouble() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failed
}

func (a *Anchor) publish(ctx context.Context, checkpoint *[]byte) (ok bool) {
	if checkpoint == nil {
		return false // none is signed yet
	}
	size, err := audit.CheckpointSize(*checkpoint)
	if last, at := a.Last(); err == nil && size == last && !at.IsZero() {
		return true
	}
	if err == nil {
		within, cancel := context.WithTimeout(ctx, timeout)
		err = a.to.put(within, *checkpoint, size)
		cancel()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil {
		a.size, a.at = size, time.Now()
	} else if a.failed == nil {
		a.o.Log.Error("a checkpoint of the audit log was not published", zap.String("to", a.Name), zap.Error(err))
	}
	if a.failed = err; err != nil {
		a.o.Failed(a.Name)
	}
	return err == nil
}

// folder keeps each checkpoint in a file of its own, named by its size: on a
// write-once disk, or one of another machine.
type folder struct{ path string }

func (f folder) put(_ context.Context, checkpoint []byte, size int64) error {
	if err := os.MkdirAll(f.path, 0o755); err != nil {
		return err
	}
	name := filepath.Join(f.path, fmt.Sprintf("%016d", size))
	out, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, os.ErrExist) {
		old, err := os.ReadFile(name)
		if err == nil && !bytes.Equal(old, checkpoint) {
			err = fmt.Errorf("%s holds another checkpoint of as many records", name)
		}
		return err
	}
	if err != nil {
		return err
	}
	_, err = out.Write(checkpoint)
	return errors.Join(err, out.Sync(), out.Close())
}

// journal sends each checkpoint as one syslog message, its note in base64.
type journal struct{ s *syslog }

func (j *journal) put(ctx context.Context, checkpoint []byte, size int64) error {
	m := fmt.Sprintf(`<110>1 %s %s gatehouse %d checkpoint [checkpoint@32473 size="%d" note="%s"]`,
		time.Now().UTC().Format("2006-01-02T15:04:05.000000Z"), j.s.host, os.Getpid(), size, base64.StdEncoding.EncodeToString(checkpoint))
	err := j.s.connect(ctx)
	if err == nil {
		err = j.s.send(ctx, []byte(strconv.Itoa(len(m))+" "+m))
	}
	if err != nil {
		j.s.close()
	}
	return err
}

// bucket puts each checkpoint by HTTP: object storage, with a retention lock.
type bucket struct {
	client Doer
	c      *config.Publish
	sign   func(ctx context.Context, r *http.Request, body []byte) error // nil: the client's credentials do
}

func (b *bucket) put(ctx context.Context, checkpoint []byte, size int64) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, strings.ReplaceAll(b.c.URL, "{size}", fmt.Sprintf("%016d", size)), bytes.NewReader(checkpoint))
	if err != nil {
		return errors.New("put: the URL does not read as one")
	}
	r.Header.Set("Content-Type", "text/plain; charset=utf-8")
	if b.sign != nil {
		if err := b.sign(ctx, r, checkpoint); err != nil {
			return err
		}
	}
	status, _, err := answerOf(b.client, r)
	if err == nil && status/100 != 2 {
		err = fmt.Errorf("put: status %d", status)
	}
	return err
}

func answerOf(client Doer, r *http.Request) (status int, body []byte, err error) {
	r.Header.Set("User-Agent", "Gatehouse")
	answer, err := client.Do(r)
	if err != nil {
		return 0, nil, fmt.Errorf("%s: %w", strings.ToLower(r.Method), unquoted(err))
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	return answer.StatusCode, body, err
}

// witness is a third party that signs only what has grown out of what it signed
// before (C2SP tlog-witness).
type witness struct {
	client Doer
	url    string
	key    *audit.Witness
	log    string // directory of the log
	kept   string // file of the last cosigned checkpoint
}

func (w *witness) put(ctx context.Context, checkpoint []byte, size int64) error {
	old := int64(0)
	if b, err := os.ReadFile(w.kept); err == nil {
		if _, n, err := w.key.Cosigned(b); err == nil {
			old = n
		}
	}
	status, answer, err := w.add(ctx, checkpoint, min(old, size), size)
	if err == nil && status == http.StatusConflict { // it knows more, or less, than we remember
		if old, err = strconv.ParseInt(strings.TrimSpace(string(answer)), 10, 64); err != nil || old < 0 {
			return errors.New("the witness does not say which size it has signed")
		}
		if old > size {
			return fmt.Errorf("the witness has signed %d records, and the log has %d: it was cut short, or put back from an older copy", old, size)
		}
		status, answer, err = w.add(ctx, checkpoint, old, size)
	}
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("the witness does not sign: status %d", status)
	}
	return w.keep(checkpoint, answer, size)
}

// add asks for a signature over a checkpoint that grew out of old records.
func (w *witness) add(ctx context.Context, checkpoint []byte, old, size int64) (int, []byte, error) {
	proof, err := audit.ProveGrowth(w.log, old, size)
	if err != nil {
		return 0, nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "old %d\n", old)
	for _, h := range proof {
		fmt.Fprintf(&b, "%s\n", h)
	}
	b.WriteByte('\n')
	b.Write(checkpoint)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, &b)
	if err != nil {
		return 0, nil, unquoted(err)
	}
	return answerOf(w.client, r)
}

// keep stores the checkpoint with the witness's signature, if it is one.
func (w *witness) keep(checkpoint, signatures []byte, size int64) error {
	cosigned := append(bytes.Clone(checkpoint), signatures...)
	if _, n, err := w.key.Cosigned(cosigned); err != nil || n != size {
		return fmt.Errorf("the witness's answer is no signature of its own: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(w.kept), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(w.kept+".tmp", cosigned, 0o600); err != nil {
		return err
	}
	return os.Rename(w.kept+".tmp", w.kept)
}
