package main

import (
	"errors"
	"fmt"
	"os"
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
		o.passing = &runVault{few: map[[16]byte][16]byte{}, rest: map[string][]byte{}}
		return o.passing, nil
	}
	vault, done, err := view.OpenVault(o.vault)
	if err != nil {
		return nil, err
	}
	o.kept = &lateVault{Vault: vault, done: done}
	return o.kept, nil
}

// runVault keeps which random id is whose for one run, after which nothing leads back:
// in memory as long as they are few, then in a file without a name.
type runVault struct {
	mu   sync.Mutex
	few  map[[16]byte][16]byte
	rest map[string][]byte // what is longer: names of domains
	file *lateVault        // nil: they are few
}

// maxFew ids take some 16 MiB.
const maxFew = 1 << 18

// Put forgets the way back from an id: nobody can ask for it once the run is over.
func (v *runVault) Put([]byte, []byte) error { return nil }

func (v *runVault) Keep(key, value []byte) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if old, err := v.find(key); old != nil || err != nil {
		return old, err
	}
	switch {
	case len(value) != 16 || len(key) < 16:
		v.rest[string(key)] = value
		return value, nil
	case len(v.few) < maxFew:
		v.few[[16]byte(key)] = [16]byte(value) // the beginning of a keyed hash: no two are alike
		return value, nil
	}
	if v.file == nil {
		var err error
		if v.file, err = namelessVault(); err != nil {
			return nil, err
		}
	}
	return v.file.Keep(key, value)
}

func (v *runVault) Get(key []byte) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.find(key)
}

func (v *runVault) find(key []byte) ([]byte, error) {
	if len(key) >= 16 {
		if value, ok := v.few[[16]byte(key)]; ok {
			return value[:], nil
		}
	}
	if value, ok := v.rest[string(key)]; ok || v.file == nil {
		return value, nil
	}
	return v.file.Get(key)
}

// Drop is for erasures, which a run knows nothing of.
func (v *runVault) Drop(...[]byte) error { return errors.New("a run forgets all when it ends") }

func (v *runVault) Sync() error {
	v.mu.Lock()
	file := v.file
	v.mu.Unlock()
	if file == nil {
		return nil
	}
	return file.Sync()
}

func (v *runVault) close() error {
	if v == nil || v.file == nil {
		return nil
	}
	return v.file.close()
}

// namelessVault is in a file that nobody can open by name, and that ends with the
// process.
func namelessVault() (*lateVault, error) {
	dir, err := os.MkdirTemp("", "gatehouse-deid-")
	if err != nil {
		return nil, fmt.Errorf("keep random ids for the run: %w", err)
	}
	vault, done, err := view.OpenVault(dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := os.RemoveAll(dir); err != nil { // not on every system: then at the end
		return &lateVault{Vault: vault, done: func() error { return errors.Join(done(), os.RemoveAll(dir)) }}, nil
	}
	return &lateVault{Vault: vault, done: done}, nil
}
