package sink

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

	"gatehouse/config"
)

// place is how far a sink is, on disk beside the log.
type place struct {
	Format int `json:"format,omitempty"` // 1 where it is left out

	Next int64 `json:"next"` // index of the first record that is not delivered
	From int64 `json:"from"` // where to read from, to know the intents of what has not ended

	path  string
	saved time.Time
}

// saveEvery bounds what is delivered twice after a crash; more often would cost
// the log's disk a flush for each batch.
const saveEvery = time.Second

func openPlace(dir, name string) (place, error) {
	p := place{path: filepath.Join(dir, name+".json")}
	b, err := os.ReadFile(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return p, os.MkdirAll(dir, 0o700)
	}
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err == nil && p.Format > 1 {
		return p, fmt.Errorf("%s is of a newer format than this Gatehouse reads: run the version that wrote it, or a later one", p.path)
	}
	if err != nil || p.From < 0 || p.Next < p.From {
		return p, fmt.Errorf("%s does not tell how far the sink is; remove it to begin at the start of the log: %w", p.path, err)
	}
	return p, nil
}

func (p *place) saveNow(now time.Time) error {
	if d := now.Sub(p.saved); d >= 0 && d < saveEvery {
		return nil
	}
	p.saved = now
	return p.save()
}

// save replaces the file whole, flushed before it is renamed.
func (p *place) save() error {
	b, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("write %s: %w", p.path, err)
	}
	f, err := os.OpenFile(p.path+".tmp", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", p.path, err)
	}
	return os.Rename(p.path+".tmp", p.path)
}

// Delivered is up to which record every sink of a configuration has got all, as
// their places in dir say.
func Delivered(sinks []config.Sink, dir string) (int64, error) {
	next := int64(math.MaxInt64)
	for i := range sinks {
		p, err := openPlace(dir, sinks[i].ID())
		if err != nil {
			return 0, err
		}
		next = min(next, p.From)
	}
	return next, nil
}
