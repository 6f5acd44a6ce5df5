package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
)

// Spool takes records while the log takes none, and puts them into the log in
// their order when it does again, each once. It is a row of small logs itself, in
// a directory that is best on another disk: durable before it acknowledges,
// encrypted, proof against kill -9.
//
//	00000001/   00000002/   …   generations, of which all but the last take no more
type Spool struct {
	log  *Log
	o    Options // of a generation
	dir  string
	most int64
	gens atomic.Pointer[[]*generation] // the last takes records; never empty

	work sync.Mutex // replay, erasure; no request waits for it
	stop context.CancelFunc
	done sync.WaitGroup
}

// generation is one log of the spool, begun when all before it is on its way
// into the log.
type generation struct {
	number uint64
	log    *Log
	before int64 // bytes of records that a process before left
	tail   *Tail
	next   atomic.Int64 // all before this index is in the log
	moved  atomic.Int64 // records put there by this process
	unsure bool         // how many are there: see Spool.known
	have   map[int64]bool
}

func (g *generation) bytes() int64   { return g.before + g.log.stored.Load() }
func (g *generation) waiting() int64 { return max(0, g.log.Durable()-g.next.Load()) }

// SpoolReplayed is the code of the Notice that so many records have come out of
// the spool; SpooledNote the note of each of them: its generation there and its
// index in it.
const (
	SpoolReplayed = "audit.replayed"
	SpooledNote   = "spooled"
)

// errSpoolFull is what a spool at its bound refuses with: a record that cannot be
// kept is never given for one that is.
var errSpoolFull = errors.New("audit spool is full")

// OpenSpool opens the spool of a log in dir, of at most so many bytes of records,
// and begins to put into the log what a process before left there.
func (l *Log) OpenSpool(dir string, bytes int64) (*Spool, error) {
	s := &Spool{log: l, o: l.o, dir: dir, most: bytes}
	s.o.Origin, s.o.Publish, s.o.SegmentBytes, s.o.open = l.o.Origin+"/spool", nil, 0, nil
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make audit spool: %w", err)
	}
	if err := s.sweep(); err != nil {
		return nil, err
	}
	numbers, err := numbered(dir, "")
	if err != nil {
		return nil, fmt.Errorf("audit spool: %w", err)
	}
	next := uint64(1)
	for _, n := range numbers {
		if err := s.begin(n, true); err != nil {
			return nil, errors.Join(err, s.closeAll())
		}
		next = n + 1
	}
	if err := s.begin(next, false); err != nil {
		return nil, errors.Join(err, s.closeAll())
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.done.Go(func() { s.run(ctx) })
	return s, nil
}

// SpoolHolds tells whether records may wait in the spool of a directory, which a
// gateway may have open: what is read of its log lacks them.
func SpoolHolds(dir string, key []byte) (bool, error) {
	numbers, err := numbered(dir, "")
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("audit spool: %w", err)
	}
	for _, n := range numbers {
		r, err := OpenReader(filepath.Join(dir, fmt.Sprintf("%08d", n)), key)
		if err != nil {
			return false, fmt.Errorf("audit spool: %w", err)
		}
		holds, err := r.holdsOthers()
		if holds || err != nil && !errors.Is(err, os.ErrNotExist) { // one that is begun, or was replayed, holds nothing
			return holds, err
		}
	}
	return false, nil
}

// holdsOthers tells of a generation whether it has more than its own words.
func (r *Reader) holdsOthers() (bool, error) {
	for one, err := range r.All() {
		if err != nil || !ownWord(one) {
			return err == nil, err
		}
	}
	return false, nil
}

func (s *Spool) path(number uint64) string { return filepath.Join(s.dir, fmt.Sprintf("%08d", number)) }

// remove takes a generation away; one that a crash has left half removed must not
// be taken for a damaged one.
func (s *Spool) remove(number uint64) error {
	gone := s.path(number) + removed
	if err := os.Rename(s.path(number), gone); err != nil {
		return fmt.Errorf("remove what was replayed: %w", err)
	}
	return os.RemoveAll(gone)
}

const removed = ".removed"

func (s *Spool) sweep() error {
	left, err := filepath.Glob(filepath.Join(s.dir, "*"+removed))
	for _, path := range left {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}

func (s *Spool) all() []*generation {
	if all := s.gens.Load(); all != nil {
		return *all
	}
	return nil
}

func (s *Spool) current() *generation { all := s.all(); return all[len(all)-1] }

// begin opens a generation, which takes the records from now on; left says that a
// process before left it.
func (s *Spool) begin(number uint64, left bool) error {
	o := s.o
	o.Dir = s.path(number)
	g := &generation{number: number, unsure: left}
	var err error
	if left {
		g.before, err = segmentBytes(o.Dir)
	}
	if err == nil {
		g.log, err = Open(o)
	}
	if err != nil {
		return fmt.Errorf("audit spool %s: %w", o.Dir, err)
	}
	if !left {
		g.next.Store(g.log.Durable()) // so far it has its own words alone
	}
	g.tail = g.log.Reader().Tail(g.next.Load())
	all := append(slices.Clone(s.all()), g)
	s.gens.Store(&all)
	return nil
}

func segmentBytes(dir string) (sum int64, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "segments", "*"))
	for _, f := range files {
		if info, err := os.Stat(f); err == nil {
			sum += info.Size()
		}
	}
	return sum, err
}

// Append takes a record in the log's stead.
func (s *Spool) Append(r *Record) *Pending {
	one := *r
	// What the log holds already: from there on it is looked for after a crash.
	one.Notes = append(one.Notes[:len(one.Notes):len(one.Notes)], Note{SpooledNote, strconv.FormatInt(s.log.Durable(), 10)})
	for {
		if now, most := s.Bytes(); now >= most {
			return refused(errSpoolFull)
		}
		g := s.current()
		p := g.log.Append(&one)
		if p.done != always || !errors.Is(p.err, errClosed) || s.current() == g {
			return p
		} // else another generation has begun
	}
}

// Waiting is how many records are in the spool alone.
func (s *Spool) Waiting() (records int64) {
	for _, g := range s.all() {
		records += g.waiting()
	}
	return records
}

// Bytes is how many bytes of records the spool holds, and how many it may.
func (s *Spool) Bytes() (now, most int64) {
	for _, g := range s.all() {
		now += g.bytes()
	}
	return now, s.most
}

// Healthy says why the spool takes no records; nil while it does.
func (s *Spool) Healthy() error {
	if now, most := s.Bytes(); now >= most {
		return errSpoolFull
	}
	return s.current().log.Healthy()
}

// Close ends the replay; what waits is replayed after the next start.
func (s *Spool) Close() error {
	s.stop()
	s.done.Wait()
	return s.closeAll()
}

func (s *Spool) closeAll() error {
	var errs []error
	for _, g := range s.all() {
		g.tail.Close()
		errs = append(errs, g.log.Close())
		if g.waiting() == 0 && !g.unsure {
			errs = append(errs, s.remove(g.number))
		}
	}
	return errors.Join(errs...)
}

// EraseKeys forgets a patient here as Log.EraseKeys does in the log; it comes
// first, so that nothing of the patient moves into the log after that.
func (s *Spool) EraseKeys(ctx context.Context, patient string) error {
	s.work.Lock()
	defer s.work.Unlock()
	for _, g := range s.all() {
		if _, err := g.log.EraseKeys(ctx, patient); err != nil {
			return fmt.Errorf("audit spool: %w", err)
		}
	}
	return nil
}
