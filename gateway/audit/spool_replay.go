package audit

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
)

// replayBatch is how many records are put into the log at once.
const replayBatch = 128

// run puts what is in the spool into the log while that takes records.
func (s *Spool) run(ctx context.Context) {
	tick := time.NewTicker(s.o.retry)
	defer tick.Stop()
	for well := true; ; {
		if s.log.Healthy() == nil && s.used() {
			err := s.turn(ctx)
			if err != nil && well && ctx.Err() == nil {
				s.o.Log.Error("what is in the audit spool cannot be put into the log yet", zap.Error(err))
			}
			well = err == nil
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// used says whether there is something to replay or to remove.
func (s *Spool) used() bool {
	return len(s.all()) > 1 || s.current().waiting() > 0 || s.current().moved.Load() > 0
}

// turn replays what there is, and begins another generation behind the current
// one, so that this one can go when it is whole in the log.
func (s *Spool) turn(ctx context.Context) error {
	s.work.Lock()
	defer s.work.Unlock()
	g := s.current()
	for len(s.all()) > 1 {
		if err := s.finish(ctx, s.all()[0]); err != nil {
			return err
		}
	}
	if err := s.replay(ctx, g); err != nil {
		return err
	}
	if err := s.begin(g.number+1, false); err != nil {
		return err
	}
	return s.finish(ctx, g)
}

// finish replays the first generation, which takes no more, says in the log that
// it did, and removes it.
func (s *Spool) finish(ctx context.Context, g *generation) error {
	if err := g.log.Close(); err != nil { // who still appends is told, and goes to the current one
		return err
	}
	if err := s.replay(ctx, g); err != nil {
		return err
	}
	if moved := g.moved.Load(); moved > 0 {
		told := &Record{Kind: Notice, Code: SpoolReplayed, Notes: []Note{{"records", strconv.FormatInt(moved, 10)}}}
		if err := s.log.Append(told).Wait(ctx); err != nil {
			return err
		}
		s.o.Log.Info("what was in the audit spool is in the log", zap.Int64("records", moved))
		g.moved.Store(0)
	}
	if err := s.remove(g.number); err != nil {
		return err
	}
	rest := slices.Clone(s.all()[1:])
	s.gens.Store(&rest)
	return nil
}

// replay puts the records of a generation that are on disk into the log.
func (s *Spool) replay(ctx context.Context, g *generation) error {
	if g.unsure {
		if err := s.known(g); err != nil {
			return err
		}
	}
	defer g.tail.Close()
	for limit := g.log.Durable(); g.tail.Next() < limit; {
		if err := s.replaySome(ctx, g, limit); err != nil {
			g.unsure = true // what of the last records is there
			return err
		}
		g.next.Store(g.tail.Next())
	}
	return nil
}

func (s *Spool) replaySome(ctx context.Context, g *generation, limit int64) error {
	var some []*Record
	put := func() error {
		err := s.log.appendAll(some).Wait(ctx)
		if err == nil {
			g.moved.Add(int64(len(some)))
		}
		some = some[:0]
		return err
	}
	err := g.tail.Read(limit, replayBatch, func(r *Record) error {
		if g.have[r.Index] || ownWord(r) {
			return nil
		}
		r.Notes, r.clean = spooledAs(r.Notes, g.number, r.Index), true
		if some = append(some, r); len(some) < replayBatch {
			return nil
		}
		return put()
	})
	if err != nil || len(some) == 0 {
		return err
	}
	return put()
}

// ownWord is what the generation says of itself.
func ownWord(r *Record) bool {
	return r.Kind == Notice && (r.Code == logOpened || r.Code == logRecovered) && noteOf(r, SpooledNote) == ""
}

func noteOf(r *Record, name string) string {
	for _, n := range slices.Backward(r.Notes) {
		if n.Name == name {
			return n.Value
		}
	}
	return ""
}

// spooledAs changes the note of a record from where to look for it into what it
// was here.
func spooledAs(notes []Note, number uint64, index int64) []Note {
	notes = slices.DeleteFunc(notes, func(n Note) bool { return n.Name == SpooledNote })
	return append(notes, Note{SpooledNote, fmt.Sprintf("%d/%d", number, index)})
}

// twin tells records apart that are made of the same request.
type twin struct {
	request, code string
	kind          Kind
	time, took    int64
	entries       int
}

func twinOf(r *Record) twin {
	return twin{r.Request, r.Code, r.Kind, r.Time.UnixNano(), int64(r.Took), len(r.Entries)}
}

// known finds which records of a generation the log holds. Some were replayed
// before a crash, or beside others that failed; and one may have reached the log
// although its flush failed and it went to the spool.
func (s *Spool) known(g *generation) error {
	since, twins, err := s.inSpool(g)
	if err != nil {
		return err
	}
	have, mark := map[int64]bool{}, strconv.FormatUint(g.number, 10)+"/"
	tail := s.log.Reader().Tail(since)
	defer tail.Close()
	for limit := s.log.Durable(); tail.Next() < limit; {
		err := tail.Read(limit, replayBatch, func(r *Record) error {
			rest, ours := strings.CutPrefix(noteOf(r, SpooledNote), mark)
			if index, err := strconv.ParseInt(rest, 10, 64); ours && err == nil {
				have[index] = true
			} else if index, there := twins[twinOf(r)]; there && noteOf(r, SpooledNote) == "" {
				have[index] = true
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("look for what was replayed: %w", err)
		}
	}
	g.tail.Close()
	g.have, g.tail, g.unsure = have, g.log.Reader().Tail(0), false
	return nil
}

// inSpool lists the records of a generation, and gives the index in the log before
// which none of them is.
func (s *Spool) inSpool(g *generation) (since int64, twins map[twin]int64, err error) {
	since, twins = s.log.Durable(), map[twin]int64{}
	tail := g.log.Reader().Tail(0)
	defer tail.Close()
	for limit := g.log.Durable(); tail.Next() < limit; {
		err := tail.Read(limit, replayBatch, func(r *Record) error {
			if from, err := strconv.ParseInt(noteOf(r, SpooledNote), 10, 64); err == nil {
				since = min(since, from)
				twins[twinOf(r)] = r.Index
			}
			return nil
		})
		if err != nil {
			return 0, nil, err
		}
	}
	return since, twins, nil
}
