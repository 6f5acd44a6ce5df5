package main

import (
	"errors"
	"sync"

	"gatehouse/gateway/view"
)

// lateVault is the vault of a run of deid: what it keeps is durable when the journal
// says so, and not a disk flush for each resource.
type lateVault struct {
	view.Vault
	done func() error

	mu      sync.Mutex
	waiting int // pairs that may wait for a commit
}

// maxWaiting is how many pairs wait for a commit: a transaction of more takes time with
// their square, and holds a page for each.
const maxWaiting = 2048

func (v *lateVault) Keep(key, value []byte) ([]byte, error) {
	v.mu.Lock()
	v.waiting++
	v.mu.Unlock()
	return v.Vault.Keep(key, value)
}

func (v *lateVault) Put(key, value []byte) error {
	_, err := v.Keep(key, value)
	return err
}

// Sync leaves it to keep, unless too much waits: output that the journal does not name
// is made again.
func (v *lateVault) Sync() error {
	v.mu.Lock()
	full := v.waiting >= maxWaiting
	if full {
		v.waiting = 0
	}
	v.mu.Unlock()
	if !full {
		return nil
	}
	return v.Vault.Sync()
}

func (v *lateVault) keep() error {
	if v == nil {
		return nil
	}
	return v.Vault.Sync()
}

func (v *lateVault) close() error {
	if v == nil {
		return nil
	}
	return v.done()
}

// openVault is the vault that --vault names, else one that ends with the run.
func (o *deidOptions) openVault() (view.Vault, error) {
	if o.vault == "" {
		t, err := newTable(1 << 16)
		if err != nil {
			return nil, err
		}
		o.passing = &runVault{table: t, rest: map[string][]byte{}}
		return o.passing, nil
	}
	vault, done, err := view.OpenVault(o.vault)
	if err != nil {
		return nil, err
	}
	o.kept = &lateVault{Vault: vault, done: done}
	return o.kept, nil
}

// runVault keeps which random id is whose for one run, after which nothing leads back.
type runVault struct {
	mu    sync.Mutex
	table *table
	rest  map[string][]byte // what is longer: names of domains
}

// Put forgets the way back from an id: nobody can ask for it once the run is over.
func (v *runVault) Put([]byte, []byte) error { return nil }

func (v *runVault) Keep(key, value []byte) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(value) != 16 || len(key) < 16 {
		if old := v.rest[string(key)]; old != nil {
			return old, nil
		}
		v.rest[string(key)] = value
		return value, nil
	}
	// The beginning of a keyed hash: no two are alike.
	return v.table.keep([16]byte(key), [16]byte(value))
}

func (v *runVault) Get(key []byte) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.rest[string(key)], nil
}

// Drop is for erasures, which a run knows nothing of.
func (v *runVault) Drop(...[]byte) error { return errors.New("a run forgets all when it ends") }

func (v *runVault) Sync() error { return nil }

func (v *runVault) close() error {
	if v == nil {
		return nil
	}
	return v.table.file.Close()
}
