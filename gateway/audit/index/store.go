package index

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gatehouse/gateway/audit"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx
	_ "modernc.org/sqlite"             // the driver sqlite
)

// Store says where indexes are: in a file of Dir for each log, or, where URL is
// set, in tables of a PostgreSQL for each log.
type Store struct{ Dir, URL string }

// connectWait bounds how long a PostgreSQL is waited for.
const connectWait = 10 * time.Second

// database is the index's place in a store, opened.
type database struct {
	*sql.DB
	postgres bool
	suffix   string // of the names of its tables
	number   int64  // of the log, in locks
}

// rows is how many one INSERT brings: to a server many, for the way there takes
// time; SQLite's driver compares each parameter with all.
func (d *database) rows() int {
	if d.postgres {
		return 200
	}
	return 32
}

// logName tells logs apart: several gateways may share a store, on machines whose
// directories are called alike.
func logName(logDir string) ([sha256.Size]byte, error) {
	dir, err := filepath.Abs(logDir)
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	origin, err := audit.OriginOf(logDir)
	return sha256.Sum256([]byte(origin + "\x00" + dir)), err
}

// file is that of the index of a log.
func file(dir, logDir string) string {
	h := sha256.Sum256([]byte(filepath.Clean(logDir)))
	return filepath.Join(dir, fmt.Sprintf("audit-index-%x.db", h[:4]))
}

// Exists tells whether an index of the log in logDir was begun. Where the
// PostgreSQL does not answer there is none: the log itself can be read.
func Exists(ctx context.Context, at Store, logDir string) bool {
	if at.URL == "" {
		_, err := os.Stat(file(at.Dir, logDir))
		return err == nil
	}
	db, err := connectPostgres(at.URL, logDir)
	if err != nil {
		return false
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(ctx, connectWait)
	defer cancel()
	var found sql.NullString
	err = db.QueryRowContext(ctx, db.sql(`SELECT to_regclass('{head}')::text`)).Scan(&found)
	return err == nil && found.Valid
}

func connect(at Store, logDir string) (*database, error) {
	if at.URL != "" {
		return connectPostgres(at.URL, logDir)
	}
	return connectFile(file(at.Dir, logDir))
}

func connectPostgres(link, logDir string) (*database, error) {
	name, err := logName(logDir)
	if err != nil {
		return nil, fmt.Errorf("open the audit index: %w", err)
	}
	db, err := sql.Open("pgx", link)
	if err != nil {
		return nil, errors.New("open the audit index: state.url is not a URL that PostgreSQL's driver reads") // its error holds the password
	}
	db.SetMaxOpenConns(2)
	number := int64(0)
	for _, b := range name[:7] {
		number = number<<8 | int64(b)
	}
	return &database{DB: db, postgres: true, suffix: fmt.Sprintf("_%x", name[:8]), number: number}, nil
}

// connectFile opens the file. What is deleted is overwritten, since a patient may
// be erased; a commit that a crash undoes is made again from the log.
func connectFile(path string) (*database, error) {
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
		"&_pragma=synchronous(NORMAL)&_pragma=secure_delete(ON)&_pragma=cache_size(-8192)&_txlock=immediate"}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, fmt.Errorf("open the audit index: %w", err)
	}
	db.SetMaxOpenConns(2)
	return &database{DB: db}, nil
}

// sql writes a statement for the database: {head}, {place}, {posting} are its
// tables, {int}, {blob} and {rowless} its kinds.
func (db *database) sql(statement string) string {
	prefix, number, blob, rowless := "", "INTEGER", "BLOB", "WITHOUT ROWID"
	if db.postgres {
		prefix, number, blob, rowless = "gatehouse_audit_", "BIGINT", "BYTEA", ""
	}
	return strings.NewReplacer("{head}", prefix+"head"+db.suffix, "{place}", prefix+"place"+db.suffix, "{posting}", prefix+"posting"+db.suffix,
		"{int}", number, "{blob}", blob, "{rowless}", rowless).Replace(statement)
}

// change begins a transaction that no other one of the log's index runs beside.
func (db *database) change(ctx context.Context) (*sql.Tx, error) {
	tx, err := db.BeginTx(ctx, nil)
	if err == nil && db.postgres {
		if _, err = tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock($1)`, db.number); err != nil {
			err = errors.Join(err, tx.Rollback())
		}
	}
	return tx, err
}

// look begins a transaction that sees one state of the index throughout.
func (db *database) look(ctx context.Context) (*sql.Tx, error) {
	o := sql.TxOptions{ReadOnly: true}
	if db.postgres {
		o.Isolation = sql.LevelRepeatableRead
	}
	return db.BeginTx(ctx, &o)
}

// has says whether the tables are there: in PostgreSQL a question to one that is
// not would end the transaction.
func (db *database) has(ctx context.Context, tx *sql.Tx) bool {
	if !db.postgres {
		return true
	}
	var found sql.NullString
	err := tx.QueryRowContext(ctx, db.sql(`SELECT to_regclass('{head}')::text`)).Scan(&found)
	return err == nil && found.Valid
}

// clean has what was deleted overwritten on the disk; PostgreSQL does so in its
// own time.
func (db *database) clean(ctx context.Context) error {
	statement := `PRAGMA wal_checkpoint(TRUNCATE)`
	if db.postgres {
		statement = db.sql(`VACUUM {posting}`)
	}
	_, err := db.ExecContext(ctx, statement)
	return err
}
