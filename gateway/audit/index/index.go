// Package index finds the records of an audit log that concern a patient, a user
// or a client without reading the others. It holds keyed hashes, places and times
// in a SQLite file beside the log, is made from the log alone, and may be deleted
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
	"net/url"
	"os"
	"path/filepath"

	"gatehouse/gateway/audit"

	_ "modernc.org/sqlite" // the driver sqlite
)

// Index is an open index. It is safe for concurrent use, by other processes too.
type Index struct {
	db  *sql.DB
	key []byte
	log *audit.Reader
}

const format = 2

// name is the file of the index of a log: several gateways may share a directory.
func name(dir, logDir string) string {
	h := sha256.Sum256([]byte(filepath.Clean(logDir)))
	return filepath.Join(dir, fmt.Sprintf("audit-index-%x.db", h[:4]))
}

// Exists tells whether an index of the log in logDir was begun in dir.
func Exists(dir, logDir string) bool {
	_, err := os.Stat(name(dir, logDir))
	return err == nil
}

// Open opens the index in dir of the log in logDir, making it when there is none
// or when it is of another log or key; key is the audit key. What is in it is
// then up to where Advance came.
func Open(ctx context.Context, dir, logDir string, key []byte) (*Index, error) {
	log, err := audit.OpenReader(logDir, key)
	if err != nil {
		return nil, err
	}
	own, err := hkdf.Key(sha256.New, key[:sha256.Size], nil, "gatehouse audit index", sha256.Size) // the newest of several
	if err != nil {
		return nil, fmt.Errorf("audit index key: %w", err)
	}
	db, err := connect(name(dir, logDir))
	if err != nil {
		return nil, err
	}
	x := &Index{db: db, key: own, log: log}
	if err := x.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open the audit index in %s: %w", dir, err), db.Close())
	}
	return x, nil
}

// connect opens the file. What is deleted is overwritten, since a patient may be
// erased; a commit that a crash undoes is made again from the log.
func connect(path string) (*sql.DB, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make state directory: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) // SQLite would make it readable for all
	if err != nil {
		return nil, fmt.Errorf("open the audit index: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("open the audit index: %w", err)
	}
	dsn := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path), RawQuery: "_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)" +
		"&_pragma=synchronous(NORMAL)&_pragma=secure_delete(ON)&_pragma=cache_size(-65536)&_txlock=immediate"}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, fmt.Errorf("open the audit index: %w", err)
	}
	db.SetMaxOpenConns(2)
	return db, nil
}

// Close lets the index go.
func (x *Index) Close() error { return x.db.Close() }

// prepare makes the tables, anew where what is there is not of this log.
func (x *Index) prepare(ctx context.Context) error {
	tx, err := x.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	h, err := readHead(ctx, tx)
	if err == nil && h.check == x.tag("index", "") && x.there(h) {
		return nil
	}
	for _, statement := range []string{
		`DROP TABLE IF EXISTS head`, `DROP TABLE IF EXISTS place`, `DROP TABLE IF EXISTS posting`,
		`CREATE TABLE head (format INTEGER, own INTEGER, segment INTEGER, offset INTEGER, next INTEGER,
			last_segment INTEGER, last_offset INTEGER, last_index INTEGER, sum BLOB)`,
		`CREATE TABLE place (idx INTEGER PRIMARY KEY, segment INTEGER, offset INTEGER, since INTEGER, until INTEGER)`,
		`CREATE TABLE posting (tag INTEGER, idx INTEGER, PRIMARY KEY (tag, idx)) WITHOUT ROWID`,
	} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO head VALUES (?, ?, 0, 0, 0, 0, 0, 0, x'')`, format, x.tag("index", "")); err != nil {
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

func readHead(ctx context.Context, from querier) (head, error) {
	var h head
	var found int
	err := from.QueryRowContext(ctx, `SELECT format, own, segment, offset, next, last_segment, last_offset, last_index, sum FROM head`).
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
	if _, err := x.db.ExecContext(ctx, `DELETE FROM posting WHERE tag IN (?, ?)`, x.tag(byPatient, patient), x.tag(byUser, patient)); err != nil {
		return fmt.Errorf("erase from the audit index: %w", err)
	}
	if _, err := x.db.ExecContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
		return fmt.Errorf("erase from the audit index: %w", err)
	}
	return nil
}
