package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Vault keeps pairs of keyed hashes and sealed values for several replicas, beside
// the rows of the store. It neither seals nor versions: its pairs are sealed by
// who keeps them, and change no more. It is safe for concurrent use.
type Vault struct {
	db      *sql.DB
	syncing sync.Mutex
	mu      sync.Mutex
	pending map[string][]byte // put, and not yet durable
	down    atomic.Int64      // Unix nanoseconds until which the database is not asked
}

// vaultWait bounds each question to the database: a page waits for it. vaultRest is
// how long it is not asked after it failed: a page would else wait for each of its
// resources.
const (
	vaultWait = 5 * time.Second
	vaultRest = 2 * time.Second

	maxPending = 100_000
)

var errVaultDown = errors.New("the pseudonym vault has just failed")

// within asks the database.
func (v *Vault) within(ask func(context.Context) error) error {
	if time.Now().UnixNano() < v.down.Load() {
		return errVaultDown
	}
	ctx, cancel := context.WithTimeout(context.Background(), vaultWait)
	defer cancel()
	err := ask(ctx)
	if err != nil {
		v.down.Store(time.Now().Add(vaultRest).UnixNano())
	}
	return err
}

// vaultTable has its format in its name; newerVault is that of the next.
const (
	vaultTable = "gatehouse_vault_1"
	newerVault = "gatehouse_vault_2"
)

// Vault opens the vault of the store's database, making its table where there is
// none. It is closed with the store.
func (s *Store) Vault(ctx context.Context) (*Vault, error) {
	ctx, cancel := context.WithTimeout(ctx, openWait)
	defer cancel()
	if _, err := s.db.ExecContext(ctx, `SELECT 1 FROM `+newerVault+` WHERE 1 = 0`); err == nil {
		return nil, errors.New("the pseudonym vault is of a newer format than this Gatehouse reads: run the version that made it, or a later one")
	}
	if _, err := s.db.ExecContext(ctx, `SELECT 1 FROM `+vaultTable+` WHERE 1 = 0`); err != nil {
		// Asked first: who may use the table need not be allowed to make one.
		_, made := s.db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS `+vaultTable+` (pair `+s.blob+` PRIMARY KEY, sealed `+s.blob+` NOT NULL)`)
		if made != nil {
			return nil, fmt.Errorf("make the pseudonym vault: %w", made)
		}
	}
	return &Vault{db: s.db, pending: map[string][]byte{}}, nil
}

// Keep stores value under key unless one stands there, durably, and returns what
// stands: of several replicas one is first.
func (v *Vault) Keep(key, value []byte) ([]byte, error) {
	if stands, err := v.Get(key); err != nil || stands != nil {
		return stands, err
	}
	err := v.within(func(ctx context.Context) error {
		_, err := v.db.ExecContext(ctx, `INSERT INTO `+vaultTable+` (pair, sealed) VALUES ($1, $2) ON CONFLICT (pair) DO NOTHING`, key, value)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("write pseudonym vault: %w", err)
	}
	return v.Get(key)
}

// Put stores a value that is the same whoever stores it; Sync makes it durable.
func (v *Vault) Put(key, value []byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.pending) >= maxPending {
		return errVaultDown // for long: nothing may grow without end
	}
	v.pending[string(key)] = value
	return nil
}

// Get returns the value, nil where there is none.
func (v *Vault) Get(key []byte) ([]byte, error) {
	v.mu.Lock()
	value, ok := v.pending[string(key)]
	v.mu.Unlock()
	if ok {
		return value, nil
	}
	err := v.within(func(ctx context.Context) error {
		err := v.db.QueryRowContext(ctx, `SELECT sealed FROM `+vaultTable+` WHERE pair = $1`, key).Scan(&value)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read pseudonym vault: %w", err)
	}
	return value, nil
}

// Sync waits for a commit that another began: that one may hold our pairs.
func (v *Vault) Sync() error {
	v.syncing.Lock()
	defer v.syncing.Unlock()
	v.mu.Lock()
	batch := maps.Clone(v.pending)
	v.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	if err := v.each(`INSERT INTO `+vaultTable+` (pair, sealed) VALUES ($1, $2) ON CONFLICT (pair) DO NOTHING`, slices.Sorted(maps.Keys(batch)), batch); err != nil {
		return fmt.Errorf("write pseudonym vault: %w", err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for key := range batch {
		delete(v.pending, key)
	}
	return nil
}

// Drop removes keys, durably.
func (v *Vault) Drop(keys ...[]byte) error {
	v.syncing.Lock() // a commit at work could bring back what is dropped
	defer v.syncing.Unlock()
	var all []string
	v.mu.Lock()
	for _, key := range keys {
		delete(v.pending, string(key))
		all = append(all, string(key))
	}
	v.mu.Unlock()
	if err := v.each(`DELETE FROM `+vaultTable+` WHERE pair = $1`, all, nil); err != nil {
		return fmt.Errorf("write pseudonym vault: %w", err)
	}
	return nil
}

// each runs a statement for every key, and its value where there is one, in one
// transaction. Keys come in one order, or two replicas would wait for each other.
func (v *Vault) each(statement string, keys []string, values map[string][]byte) error {
	return v.within(func(ctx context.Context) error { return v.all(ctx, statement, keys, values) })
}

func (v *Vault) all(ctx context.Context, statement string, keys []string, values map[string][]byte) error {
	tx, err := v.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	prepared, err := tx.PrepareContext(ctx, statement)
	if err != nil {
		return err
	}
	defer prepared.Close()
	for _, key := range keys {
		args := []any{[]byte(key)}
		if values != nil {
			args = append(args, values[key])
		}
		if _, err := prepared.ExecContext(ctx, args...); err != nil {
			return err
		}
	}
	return tx.Commit()
}
