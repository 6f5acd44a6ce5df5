package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/mod/sumdb/tlog"
)

// publisher grows the tree over what the writer has made durable and signs it.
type publisher struct {
	mu     sync.Mutex
	leaves []tlog.Hash // durable, not yet in the tree

	tree   *tree
	tiles  tiles
	full   []filledTile // not yet written
	dirty  []string     // tile files not yet flushed
	stale  bool         // the checkpoint on disk is not of the tree
	last   error        // of the last attempt
	sync   atomic.Bool  // a segment ended: flush the tiles
	synced atomic.Int64 // size of the tree whose tiles are known to be on disk
}

type filledTile struct {
	tile tlog.Tile
	data []byte
}

// push hands over the leaves of a durable batch.
func (p *publisher) push(leaves []tlog.Hash) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leaves = append(p.leaves, leaves...)
}

func (p *publisher) pull() []tlog.Hash {
	p.mu.Lock()
	defer p.mu.Unlock()
	leaves := p.leaves
	p.leaves = nil
	return leaves
}

// publishLoop is the publisher's goroutine.
func (l *Log) publishLoop() {
	defer close(l.ended)
	tick := time.NewTicker(l.o.CheckpointEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.flushThrottled(l.o.Now())
			l.publish()
		case <-l.quit:
			l.publisher.sync.Store(true)
			l.publish()
			return
		}
	}
}

// publish brings tree and checkpoint up to the durable data. While it fails the
// log takes no records: a trail whose proof cannot be kept is not kept.
func (l *Log) publish() {
	p := &l.publisher
	defer l.publishing.idle()
	l.publishing.at()
	for _, leaf := range p.pull() {
		p.add(leaf)
	}
	err := l.publishTree()
	p.last = err
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil && l.behind == nil {
		l.o.Log.Error("audit tree cannot be written", zap.Error(err))
	}
	l.behind = err
}

func (p *publisher) add(leaf tlog.Hash) {
	p.tree.add(leaf, func(tile tlog.Tile, data []byte) {
		p.full = append(p.full, filledTile{tile, slices.Clone(data)})
	})
	p.stale = true
}

func (l *Log) publishTree() error {
	p := &l.publisher
	if p.stale {
		if err := p.writeTiles(&l.publishing); err != nil {
			return err
		}
		l.publishing.at()
		if err := l.publishCheckpoint(); err != nil {
			return err
		}
		p.stale = false
	}
	if p.sync.Swap(false) { // before it is done: what is asked meanwhile is for leaves to come
		if err := p.flushTiles(&l.publishing); err != nil {
			p.sync.Store(true)
			return err
		}
		p.synced.Store(p.tree.size)
	}
	return nil
}

// writeTiles writes tiles before the checkpoint that needs them.
func (p *publisher) writeTiles(at *work) error {
	for len(p.full) > 0 {
		at.at()
		if err := p.writeTile(p.full[0].tile, p.full[0].data); err != nil {
			return err
		}
		p.full = p.full[1:]
	}
	for tile, data := range p.tree.partial() {
		at.at()
		if err := p.writeTile(tile, data); err != nil {
			return err
		}
	}
	return nil
}

func (p *publisher) writeTile(tile tlog.Tile, data []byte) error {
	written, err := p.tiles.write(tile, data)
	if written {
		p.dirty = append(p.dirty, p.tiles.path(tile))
	}
	return err
}

// publishCheckpoint signs the tree. The file is flushed, so that after a crash
// the log cannot be shorter than what was handed out.
func (l *Log) publishCheckpoint() error {
	p := &l.publisher
	root, err := p.tree.root()
	if err != nil {
		return fmt.Errorf("hash audit tree: %w", err)
	}
	c := checkpoint{Origin: l.o.Origin, Size: p.tree.size, Root: root}
	b, err := c.sign(l.signer)
	if err != nil {
		return err
	}
	if err := replace(filepath.Join(l.o.Dir, "checkpoint"), b); err != nil {
		return err
	}
	if l.o.Publish != nil {
		if err := l.o.Publish(b); err != nil {
			l.o.Log.Warn("audit checkpoint not published", zap.Error(err))
		}
	}
	return nil
}

// flushTiles makes the tiles durable. It runs once for each segment, not for
// each checkpoint: until then recovery makes them again from the data.
func (p *publisher) flushTiles(at *work) error {
	dirs := make(map[string]bool)
	for _, path := range p.dirty {
		at.at()
		if err := syncPath(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err // a partial tile may be gone, filled since
		}
		for dir := filepath.Dir(path); len(dir) > len(p.tiles.dir); dir = filepath.Dir(dir) {
			dirs[dir] = true
		}
	}
	for dir := range dirs {
		at.at()
		if err := syncPath(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	p.dirty = nil
	return nil
}

// readCheckpoint reads the checkpoint of the log in dir; nil where there is none.
func readCheckpoint(dir string) ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read checkpoint: %w", err)
	}
	return b, nil
}
