package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx
	_ "modernc.org/sqlite"             // the driver sqlite
)

// format is the version of what Open makes and understands. A later Gatehouse
// that stores otherwise raises it, and this one then refuses to touch the store.
const format = 1

// openWait bounds how long Open waits for the database, or for another process
// that is making the same file.
const openWait = 10 * time.Second

// Open opens the store, making it when there is none. It refuses one of a newer
// format and one that was made under another key.
func Open(o Options) (*Store, error) {
	s, err := connect(o)
	if err != nil {
		return nil, err
	}
	if s.box, err = newBox(o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if s.now = o.Now; s.now == nil {
		s.now = time.Now
	}
	ctx, cancel := context.WithTimeout(context.Background(), openWait)
	defer cancel()
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open the state store in %s: %w", where(o), err), s.Close())
	}
	return s, nil
}

func connect(o Options) (*Store, error) {
	if o.URL != "" {
		db, err := sql.Open("pgx", o.URL)
		if err != nil {
			return nil, errors.New("open the state store: state.url is not a URL that PostgreSQL's driver reads") // its error holds the password
		}
		db.SetMaxOpenConns(8)
		return &Store{db: db, blob: "BYTEA"}, nil
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make state directory: %w", err)
	}
	path := filepath.Join(o.Dir, "state.db")
	// Made here, so that it is its owner's alone from its first byte; SQLite
	// gives its -wal and -shm the same mode.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the state store: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("open the state store: %w", err)
	}
	// Write-ahead, so that a poller never waits for a writer; every commit
	// flushed, since a grant that was answered must survive; a writer begins as
	// one, or two that read first would each wait for the other.
	dsn := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path), RawQuery: "_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate"}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, fmt.Errorf("open the state store: %w", err)
	}
	db.SetMaxOpenConns(4)
	return &Store{db: db, blob: "BLOB"}, nil
}

// where names the store in errors, without the password of a URL.
func where(o Options) string {
	if o.URL == "" {
		return o.Dir
	}
	u, err := url.Parse(o.URL)
	if err != nil {
		return "PostgreSQL"
	}
	return u.Redacted()
}

// prepare reads the format, or makes the tables where there are none.
func (s *Store) prepare(ctx context.Context) error {
	found, check, err := s.format(ctx)
	for err != nil { // no tables yet, or another process is making them
		made := s.create(ctx)
		if found, check, err = s.format(ctx); err == nil {
			break
		}
		if made != nil && (s.blob == "BYTEA" || ctx.Err() != nil) {
			return made
		}
		time.Sleep(20 * time.Millisecond)
	}
	if found > format {
		return fmt.Errorf("it has format %d, and this version of Gatehouse understands %d: run the version that made it, or a later one", found, format)
	}
	if _, err := s.box.open("format", "check", check, 0, int64(found)); err != nil {
		return errors.New("it was made under another key: name that key as state.key_file, or the sealing key that it was derived from")
	}
	return nil
}

func (s *Store) format(ctx context.Context) (format int, check []byte, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT format, sealed FROM gatehouse_format`).Scan(&format, &check)
	return format, check, err
}

// create makes the tables. Of several processes that do it at once one is first;
// to the others everything is there.
func (s *Store) create(ctx context.Context) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for _, table := range []string{
		`CREATE TABLE IF NOT EXISTS gatehouse_format (one INTEGER PRIMARY KEY, format INTEGER NOT NULL, sealed ` + s.blob + ` NOT NULL)`,
		`CREATE TABLE IF NOT EXISTS gatehouse_version (one INTEGER PRIMARY KEY, version BIGINT NOT NULL)`,
		`CREATE TABLE IF NOT EXISTS gatehouse_state (kind TEXT NOT NULL, label TEXT NOT NULL, sealed ` + s.blob + ` NOT NULL,
			expires BIGINT NOT NULL, version BIGINT NOT NULL, PRIMARY KEY (kind, label))`,
		`CREATE UNIQUE INDEX IF NOT EXISTS gatehouse_state_version ON gatehouse_state (version)`,
		`CREATE INDEX IF NOT EXISTS gatehouse_state_expires ON gatehouse_state (expires) WHERE expires > 0`,
		`INSERT INTO gatehouse_version (one, version) VALUES (1, 0) ON CONFLICT (one) DO NOTHING`,
	} {
		if _, err := tx.ExecContext(ctx, table); err != nil {
			return fmt.Errorf("make its tables: %w", err)
		}
	}
	check := s.box.seal("format", "check", &stored{version: format})
	if _, err := tx.ExecContext(ctx, `INSERT INTO gatehouse_format (one, format, sealed) VALUES (1, $1, $2) ON CONFLICT (one) DO NOTHING`, format, check); err != nil {
		return fmt.Errorf("make its tables: %w", err)
	}
	return tx.Commit()
}
