package view

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Vault keeps pairs for pseudonyms that cannot carry their id: ids too long to
// fit, and random surrogates. Keys are keyed hashes and values are sealed, so
// a stolen vault without the master key tells nothing.
type Vault interface {
	// Keep stores value under key unless one stands there, and returns what
	// stands. It may be held in memory until Sync.
	Keep(key, value []byte) ([]byte, error)
	// Put stores a value that is the same whoever stores it, until Sync perhaps in
	// memory alone.
	Put(key, value []byte) error
	// Get returns the value, nil where there is none.
	Get(key []byte) ([]byte, error)
	// Sync makes what was kept durable: a pseudonym is released only after it.
	Sync() error
	// Drop removes keys, durably; one that is not there is no error.
	Drop(keys ...[]byte) error
}

var errNoVault = errors.New("id needs a vault and none is configured")

// store gives an id that does not fit a handle: a keyed hash.
func (c *Codec) store(d *domain, typ, id string) (string, error) {
	epoch, k := d.now()
	p := storedText(epoch, k, typ, id)
	return p, c.keep(d, epoch, k, typ, id, p)
}

func storedText(epoch byte, k *keys, typ, id string) string {
	return string([]byte{epoch, classStored}) + sixBits.EncodeToString(k.hash("handle:"+typ, id))
}

func surrogateText(drawn []byte) string {
	return string([]byte{'A', classRandom}) + sixBits.EncodeToString(drawn)
}

// keep lets p be resolved to id.
func (c *Codec) keep(d *domain, epoch byte, k *keys, typ, id, p string) error {
	if c.vault == nil {
		return errNoVault
	}
	sealed, err := k.siv.EncryptDeterministically([]byte(id), bind(epoch, p[1], d.name, typ+"\x00"+p))
	if err != nil {
		return fmt.Errorf("seal vault entry: %w", err)
	}
	if err := c.note(d); err != nil {
		return err
	}
	if err = c.vault.Put(k.hash("resolve:"+typ, p), sealed); err != nil {
		return fmt.Errorf("keep pseudonym: %w", err)
	}
	if p[1] == classRandom { // beside the keyed pseudonym of the same id
		d.memo.put(p, id, surrogates, typ)
	} else {
		d.memo.put(p, id, typ)
	}
	return nil
}

const surrogates = "surrogate:"

func (c *Codec) stored(d *domain, k *keys, typ, p string) (string, bool) {
	if c.vault == nil {
		return "", false
	}
	sealed, err := c.vault.Get(k.hash("resolve:"+typ, p))
	if err != nil || sealed == nil {
		return "", false
	}
	id, err := k.siv.DecryptDeterministically(sealed, bind(p[0], p[1], d.name, typ+"\x00"+p))
	return string(id), err == nil
}

// Surrogate is a pseudonym not derived from the id (45 CFR 164.514(c)): random
// once, then kept in the vault. Real opens it like any other.
func (c *Codec) Surrogate(domain, typ, id string) (string, error) {
	d, err := c.domain(domain)
	if err != nil {
		return "", err
	}
	if c.gone(typ, id) {
		return "", ErrErased
	}
	if p, ok := d.memo.get(id, surrogates, typ); ok {
		return p, nil
	}
	if typ == "" || !fhirID(id) {
		return "", errors.New("not a FHIR id")
	}
	if c.vault == nil {
		return "", errNoVault
	}
	epoch, k := byte('A'), &d.epochs[0] // for good: it must be found again after rotation
	fresh := make([]byte, 16)
	if _, err := rand.Read(fresh); err != nil {
		return "", fmt.Errorf("draw surrogate: %w", err)
	}
	drawn, err := c.vault.Keep(k.hash("surrogate:"+typ, id), fresh)
	if err != nil {
		return "", fmt.Errorf("keep surrogate: %w", err)
	}
	p := surrogateText(drawn)
	return p, c.keep(d, epoch, k, typ, id, p)
}

// surrogateUUID is the same for a UUID that names no type; it leads nowhere
// back, since nothing is asked for by it.
func (c *Codec) surrogateUUID(domain, uuid string) (string, error) {
	d, err := c.domain(domain)
	if err != nil {
		return "", err
	}
	if p, ok := d.memo.get(uuid, surrogates, "uuid"); ok {
		return p, nil
	}
	var b [16]byte
	if c.vault == nil || !parseUUID(&b, uuid) {
		return "", errNoVault
	}
	fresh, _ := rand.Read(b[:])
	if fresh != len(b) {
		return "", errors.New("draw surrogate: too few random bytes")
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80 // version 4
	drawn, err := c.vault.Keep(d.epochs[0].hash("surrogate:uuid", uuid), b[:])
	if err != nil || len(drawn) != 16 {
		return "", fmt.Errorf("keep surrogate: %w", err)
	}
	p := formatUUID((*[16]byte)(drawn))
	d.memo.put(p, uuid, surrogates, "uuid")
	return p, nil
}

func (c *Codec) sync() error {
	if c == nil || c.vault == nil {
		return nil
	}
	return c.vault.Sync()
}

// MemoryVault is a vault for tests and for one run of `gatehouse deid`: its
// surrogates end with the process.
func MemoryVault() Vault { return &fileVault{pending: map[string][]byte{}} }

// ErrHeld is what OpenVault gives while another process has the vault open.
var ErrHeld = errors.New("another process holds it")

// OpenVault opens the vault file pseudonyms.db in the state directory dir.
func OpenVault(dir string) (Vault, func() error, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("make state directory: %w", err)
	}
	path := filepath.Join(dir, "pseudonyms.db")
	// A second process on the same file would wait for ever without a timeout.
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: 3 * time.Second})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, nil, fmt.Errorf("open pseudonym vault %s: %w: one gateway runs on one state.dir", path, ErrHeld)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("open pseudonym vault %s: %w", path, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		if name, _ := tx.Cursor().Last(); name != nil && bytes.Compare(name, bucket) > 0 { // with another's rows beside it each would draw anew
			return errors.New("it is of a newer format than this Gatehouse reads: run the version that made it, or a later one")
		}
		_, err := tx.CreateBucketIfNotExists(bucket)
		return err
	})
	if err != nil {
		db.Close()
		return nil, nil, fmt.Errorf("prepare pseudonym vault %s: %w", path, err)
	}
	v := &fileVault{db: db, pending: map[string][]byte{}}
	return v, func() error { return errors.Join(v.Sync(), db.Close()) }, nil
}

var bucket = []byte("pseudonyms/v1")

// fileVault collects what is new and writes it in one transaction on Sync: a
// page with 300 new ids costs one disk flush and not 300.
type fileVault struct {
	db      *bbolt.DB // nil: memory alone
	syncing sync.Mutex
	mu      sync.Mutex
	pending map[string][]byte // not yet durable
}

func (v *fileVault) Keep(key, value []byte) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	old, err := v.find(key)
	if err != nil || old != nil {
		return old, err
	}
	v.pending[string(key)] = value
	return value, nil
}

func (v *fileVault) Put(key, value []byte) error {
	_, err := v.Keep(key, value)
	return err
}

// Drop waits for a commit at work: it could bring back what is dropped.
func (v *fileVault) Drop(keys ...[]byte) error {
	v.syncing.Lock()
	defer v.syncing.Unlock()
	v.mu.Lock()
	for _, key := range keys {
		delete(v.pending, string(key))
	}
	v.mu.Unlock()
	if v.db == nil {
		return nil
	}
	return v.db.Update(func(tx *bbolt.Tx) error {
		for _, key := range keys {
			if err := tx.Bucket(bucket).Delete(key); err != nil {
				return err
			}
		}
		return nil
	})
}

func (v *fileVault) Get(key []byte) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.find(key)
}

func (v *fileVault) find(key []byte) (value []byte, err error) {
	if value, ok := v.pending[string(key)]; ok || v.db == nil {
		return value, nil
	}
	err = v.db.View(func(tx *bbolt.Tx) error {
		if old := tx.Bucket(bucket).Get(key); old != nil {
			value = append([]byte{}, old...)
		}
		return nil
	})
	return value, err
}

// Sync waits for a commit that another began: that one may hold our pairs.
func (v *fileVault) Sync() error {
	if v.db == nil {
		return nil
	}
	v.syncing.Lock()
	defer v.syncing.Unlock()
	v.mu.Lock()
	batch := maps.Clone(v.pending)
	v.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	err := v.db.Update(func(tx *bbolt.Tx) error {
		for k, value := range batch {
			if err := tx.Bucket(bucket).Put([]byte(k), value); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("write pseudonym vault: %w", err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for k := range batch {
		delete(v.pending, k)
	}
	return nil
}
