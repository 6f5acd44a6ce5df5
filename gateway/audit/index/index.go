// Package index finds the records of an audit log that concern a patient, a user
// or a client without reading the others. It holds keyed hashes, places and times
// in a SQLite file or a PostgreSQL, is made from the log alone, and may be deleted
// at any time.
package index

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"

	"gatehouse/gateway/audit"
)

// Index is an open index. It is safe for concurrent use, by other processes too.
type Index struct {
	db  *database
	key []byte
	log *audit.Reader
}

const format = 3

// Open opens the index of the log in logDir, making it when there is none
// or when it is of another log or key; key is the audit key. What is in it is
// then up to where Advance came.
func Open(ctx context.Context, at Store, logDir string, key []byte) (*Index, error) {
	log, err := audit.OpenReader(logDir, key)
	if err != nil {
		return nil, err
	}
	own, err := hkdf.Key(sha256.New, key[:sha256.Size], nil, "gatehouse audit index", sha256.Size) // the newest of several
	if err != nil {
		return nil, fmt.Errorf("audit index key: %w", err)
	}
	db, err := connect(at, logDir)
	if err != nil {
		return nil, err
	}
	x := &Index{db: db, key: own, log: log}
	if err := x.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open the audit index of %s: %w", logDir, err), db.Close())
	}
	return x, nil
}

// Close lets the index go.
func (x *Index) Close() error { return x.db.Close() }

// prepare makes the tables, anew where what is there is not of this log.
func (x *Index) prepare(ctx context.Context) error {
	tx, err := x.db.change(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if x.db.has(ctx, tx) {
		if h, err := x.readHead(ctx, tx); err == nil && h.check == x.tag("index", "") && x.there(h) {
			return nil
		} else if err != nil && x.db.postgres { // of another format: the transaction has ended with it
			return fmt.Errorf("its tables are not as this version makes them: drop them (%s)", x.db.sql("{head}, {place}, {posting}"))
		}
	}
	for _, statement := range []string{
		`DROP TABLE IF EXISTS {head}`, `DROP TABLE IF EXISTS {place}`, `DROP TABLE IF EXISTS {posting}`,
		`CREATE TABLE {head} (format {int}, own {int}, segment {int}, start {int}, next {int},
			last_segment {int}, last_start {int}, last_index {int}, sum {blob})`,
		`CREATE TABLE {place} (idx {int} PRIMARY KEY, segment {int}, start {int}, since {int}, until {int})`,
		`CREATE TABLE {posting} (tag {int}, idx {int}, PRIMARY KEY (tag, idx)) {rowless}`,
	} {
		if _, err := tx.ExecContext(ctx, x.db.sql(statement)); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, x.db.sql(`INSERT INTO {head} VALUES ($1, $2, 0, 0, 0, 0, 0, 0, $3)`), format, x.tag("index", ""), []byte{}); err != nil {
		return err
	}
	return tx.Commit()
}

// head is how far the index came.
type head struct {
	check int64       // tells whose it is
	next  audit.Place // what it holds no more of
	last  audit.Place // the last batch that it holds of
	sum   []byte      // of that batch
}

type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func (x *Index) readHead(ctx context.Context, from querier) (head, error) {
	var h head
	var found int
	err := from.QueryRowContext(ctx, x.db.sql(`SELECT format, own, segment, start, next, last_segment, last_start, last_index, sum FROM {head}`)).
		Scan(&found, &h.check, &h.next.Segment, &h.next.Offset, &h.next.Index, &h.last.Segment, &h.last.Offset, &h.last.Index, &h.sum)
	if err == nil && found != format {
		err = fmt.Errorf("format %d", found)
	}
	return h, err
}

// there tells whether the log still has what the index was made from: it may be
// an older copy, put back from a backup.
func (x *Index) there(h head) bool {
	if h.next.Index == 0 {
		return true
	}
	same := false
	err := x.log.After(h.last, func(b audit.Batch) error {
		same = b.At == h.last && b.Next.Index == h.next.Index && string(b.Sum[:]) == string(h.sum)
		return errEnough
	})
	return same && errors.Is(err, errEnough)
}

var errEnough = errors.New("enough")

// tag stands for one value of a kind: nobody without the audit key knows for
// which. Two that share one cost a record read in vain.
func (x *Index) tag(kind, value string) int64 {
	m := hmac.New(sha256.New, x.key)
	m.Write([]byte(kind))
	m.Write([]byte{0})
	m.Write([]byte(value))
	return int64(binary.BigEndian.Uint64(m.Sum(nil)))
}

// Forget removes what the index holds of a patient. It comes after the patient's
// keys are gone, or Advance would add it again.
func (x *Index) Forget(ctx context.Context, patient string) error {
	if _, err := x.db.ExecContext(ctx, x.db.sql(`DELETE FROM {posting} WHERE tag IN ($1, $2)`), x.tag(byPatient, patient), x.tag(byUser, patient)); err != nil {
		return fmt.Errorf("erase from the audit index: %w", err)
	}
	if err := x.db.clean(ctx); err != nil {
		return fmt.Errorf("erase from the audit index: %w", err)
	}
	return nil
}
