// Package state keeps what must outlive a request — grants, reviews, blocks —
// in one encrypted store that several processes share: a SQLite file, or
// PostgreSQL for several replicas.
package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// ErrNone is what Get and Update give for a row that is not there, or whose time
// is over.
var ErrNone = errors.New("no such row")

// Options say where the store is and what it is sealed with.
type Options struct {
	Dir string           // of the file state.db, made when missing
	URL string           // postgres://…; "": the file in Dir
	Key []byte           // 32 bytes or more; the oldest, by which rows are found
	Now func() time.Time // time.Now where nil

	Newer [][]byte // keys that took the place of Key, oldest first: the last one seals
	Next  [][]byte // keys with which other processes may seal already
}

// Store is an open store. It is safe for concurrent use, by other processes too.
type Store struct {
	db   *sql.DB
	blob string // what the database calls a column of bytes
	box  *box
	now  func() time.Time
}

// Row is one value. Version is the store's when the row was last written; it
// rises with every write of any row.
type Row struct {
	ID      string
	Value   []byte
	Expires time.Time // zero: never
	Version int64
}

// kept is how long a deleted or expired row is remembered for those who poll
// Since.
const kept = 7 * 24 * time.Hour

// Get gives the row of an id.
func (s *Store) Get(ctx context.Context, kind, id string) (Row, error) {
	st, err := s.read(ctx, s.db, kind, s.box.label(kind, id))
	if err != nil {
		return Row{}, fmt.Errorf("read %s: %w", kind, err)
	}
	if st == nil || st.over(s.now()) {
		return Row{}, ErrNone
	}
	return st.row(), nil
}

// Put writes a row, durably, over what stood there. From expires on (zero:
// never) it is gone.
func (s *Store) Put(ctx context.Context, kind, id string, value []byte, expires time.Time) error {
	return s.change(ctx, kind, id, func(*stored) (*stored, error) {
		return &stored{value: value, expires: expires}, nil
	})
}

// Create is Put for an id that must be new: created is false, and nothing
// changed, where a row stands.
func (s *Store) Create(ctx context.Context, kind, id string, value []byte, expires time.Time) (created bool, err error) {
	err = s.change(ctx, kind, id, func(old *stored) (*stored, error) {
		if old != nil {
			return nil, errStands
		}
		return &stored{value: value, expires: expires}, nil
	})
	if errors.Is(err, errStands) {
		return false, nil
	}
	return err == nil, err
}

var errStands = errors.New("a row stands there")

// Update replaces the value of a row by what f makes of it, with no other write
// in between; f must be quick, since all writers wait for it. An error of f
// changes nothing and is returned.
func (s *Store) Update(ctx context.Context, kind, id string, f func(old []byte) ([]byte, error)) error {
	return s.change(ctx, kind, id, func(old *stored) (*stored, error) {
		if old == nil {
			return nil, ErrNone
		}
		value, err := f(old.value)
		if err != nil {
			return nil, err
		}
		return &stored{value: value, expires: old.expires}, nil
	})
}

// Expire lets a row end at a time, whatever its value is by then; one that is not
// there is no error.
func (s *Store) Expire(ctx context.Context, kind, id string, at time.Time) error {
	return s.change(ctx, kind, id, func(old *stored) (*stored, error) {
		if old == nil {
			return nil, nil
		}
		return &stored{value: old.value, expires: at}, nil
	})
}

// Delete removes a row; one that is not there is no error.
func (s *Store) Delete(ctx context.Context, kind, id string) error {
	return s.change(ctx, kind, id, func(old *stored) (*stored, error) {
		if old == nil {
			return nil, nil
		}
		return &stored{gone: true, expires: s.now().Add(kept)}, nil
	})
}

// List gives the rows of a kind to each, oldest write first.
func (s *Store) List(ctx context.Context, kind string, each func(Row) error) error {
	now := s.now()
	err := s.scan(ctx, "WHERE kind = $1 ORDER BY version", kind, func(_ string, st *stored) error {
		if st.over(now) {
			return nil
		}
		return each(st.row())
	})
	if err != nil {
		return fmt.Errorf("list %s: %w", kind, err)
	}
	return nil
}

// Since gives every row written after version to each, in the order of writing,
// and the version to ask with next. A deleted row has a nil Value. Rows do not
// come again when their time is over: Expires tells.
func (s *Store) Since(ctx context.Context, version int64, each func(kind string, r Row) error) (int64, error) {
	now := s.now()
	err := s.scan(ctx, "WHERE version > $1 ORDER BY version", version, func(kind string, st *stored) error {
		version = st.version
		if st.gone || st.over(now) {
			st.value = nil
		} else if st.value == nil {
			st.value = []byte{}
		}
		return each(kind, st.row())
	})
	if err != nil {
		return version, fmt.Errorf("read changes: %w", err)
	}
	return version, nil
}

// Close ends the use of the store.
func (s *Store) Close() error { return s.db.Close() }

// change is the one way to write: everybody's writes come one after another,
// since each takes the next version first, and that row is locked until the
// commit. So versions are in the order of commits, and no poller passes one by.
func (s *Store) change(ctx context.Context, kind, id string, f func(old *stored) (*stored, error)) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("write %s: %w", kind, err)
	}
	defer tx.Rollback()
	version, err := s.next(ctx, tx)
	if err != nil {
		return fmt.Errorf("write %s: %w", kind, err)
	}
	label := s.box.label(kind, id)
	old, err := s.read(ctx, tx, kind, label)
	if err != nil {
		return fmt.Errorf("write %s: %w", kind, err)
	}
	if old != nil && old.over(s.now()) {
		old = nil
	}
	next, err := f(old)
	if err != nil || next == nil {
		return err // nothing is to be changed
	}
	next.id, next.version = id, version
	if err := s.write(ctx, tx, kind, label, next); err != nil {
		return fmt.Errorf("write %s: %w", kind, err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("write %s: %w", kind, err)
	}
	return nil
}

func (s *Store) next(ctx context.Context, tx *sql.Tx) (version int64, err error) {
	err = tx.QueryRowContext(ctx, `UPDATE gatehouse_version SET version = version + 1 RETURNING version`).Scan(&version)
	return version, err
}

// write also forgets what is long over: the store grows with what is in it, not
// with what was.
func (s *Store) write(ctx context.Context, tx *sql.Tx, kind, label string, st *stored) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO gatehouse_state (kind, label, sealed, expires, version) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (kind, label) DO UPDATE SET sealed = excluded.sealed, expires = excluded.expires, version = excluded.version`,
		kind, label, s.box.seal(kind, label, st), unix(st.expires), st.version)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM gatehouse_state WHERE expires > 0 AND expires < $1`, s.now().Add(-kept).Unix())
	return err
}

type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// read gives what stands under a label, whether its time is over or not; nil
// where nothing does.
func (s *Store) read(ctx context.Context, from querier, kind, label string) (*stored, error) {
	var sealed []byte
	var expires, version int64
	err := from.QueryRowContext(ctx, `SELECT sealed, expires, version FROM gatehouse_state WHERE kind = $1 AND label = $2`, kind, label).
		Scan(&sealed, &expires, &version)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return s.box.open(kind, label, sealed, expires, version)
}

// scan hands rows to each after all of them are read: what each does may take a
// connection of its own.
func (s *Store) scan(ctx context.Context, where string, arg any, each func(kind string, st *stored) error) error {
	rows, err := s.db.QueryContext(ctx, `SELECT kind, label, sealed, expires, version FROM gatehouse_state `+where, arg)
	if err != nil {
		return err
	}
	defer rows.Close()
	var kinds []string
	var all []*stored
	for rows.Next() {
		var kind, label string
		var sealed []byte
		var expires, version int64
		if err := rows.Scan(&kind, &label, &sealed, &expires, &version); err != nil {
			return err
		}
		st, err := s.box.open(kind, label, sealed, expires, version)
		if err != nil {
			return err
		}
		kinds, all = append(kinds, kind), append(all, st)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for i, st := range all {
		if err := each(kinds[i], st); err != nil {
			return err
		}
	}
	return nil
}
