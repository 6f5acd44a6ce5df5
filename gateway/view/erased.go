package view

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
)

// Erased are patients whose pseudonyms lead nowhere and are made no more, known by
// keyed hashes that name nobody (Codec.Tombstone). It is safe for concurrent use.
type Erased struct {
	mu    sync.RWMutex
	stone map[string]bool
	era   atomic.Int64 // how often it has changed
}

// Add erases the patient of a tombstone.
func (e *Erased) Add(tombstone string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stone == nil {
		e.stone = map[string]bool{}
	}
	e.stone[tombstone] = true
	e.era.Add(1)
}

// era tells whether somebody was erased meanwhile.
func (c *Codec) era() int64 {
	if c == nil || c.erased == nil {
		return 0
	}
	return c.erased.era.Load()
}

func (e *Erased) none() bool {
	if e == nil {
		return true
	}
	return e.era.Load() == 0
}

func (e *Erased) has(tombstone string) bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.stone[tombstone]
}

// ErrErased is why a view fails on what names an erased patient: it is withheld as
// if it were not there.
var ErrErased = errors.New("the patient was erased")

// Tombstone stands for a patient's id once the patient is erased. It is the same
// in every domain and epoch.
func (c *Codec) Tombstone(id string) string {
	return hex.EncodeToString(c.own.hash("erased:Patient", id))
}

// gone costs nothing before the first erasure, and a hash for each patient after.
func (c *Codec) gone(typ, id string) bool {
	return typ == "Patient" && !c.erased.none() && c.erased.has(c.Tombstone(id))
}

// Forget takes a patient's pseudonyms out of the vault, in every domain that ever
// used it: surrogates, which nothing leads back from then, and ids too long to fit.
func (c *Codec) Forget(id string) error {
	if c.vault == nil || !fhirID(id) {
		return nil
	}
	var keys [][]byte
	for n := range maxDomains {
		sealed, err := c.vault.Get(c.domainKey(n))
		if err != nil {
			return fmt.Errorf("read domains of the vault: %w", err)
		}
		if sealed == nil {
			break
		}
		name, err := c.own.siv.DecryptDeterministically(sealed, nil)
		if err != nil {
			return fmt.Errorf("read domains of the vault: %w", err)
		}
		of, err := c.kept(string(name), id)
		if err != nil {
			return err
		}
		keys = append(keys, of...)
	}
	if err := c.vault.Drop(keys...); err != nil {
		return fmt.Errorf("remove pseudonyms: %w", err)
	}
	return nil
}

// kept are the keys under which a domain may have kept a patient's pseudonyms.
func (c *Codec) kept(name, id string) (keys [][]byte, err error) {
	d, err := c.domain(name)
	if err != nil {
		return nil, err
	}
	first := &d.epochs[0]
	drawn := first.hash("surrogate:Patient", id)
	value, err := c.vault.Get(drawn)
	if err != nil {
		return nil, fmt.Errorf("read vault: %w", err)
	}
	if value != nil {
		keys = append(keys, drawn, first.hash("resolve:Patient", surrogateText(value)))
	}
	if p, ok := c.remembers(d, "given:Patient\x00"+id); ok {
		keys = append(keys, first.hash("service", "given:Patient\x00"+id), first.hash("service", "led:Patient\x00"+p))
	}
	for i := range d.epochs {
		k := &d.epochs[i]
		keys = append(keys, k.hash("resolve:Patient", storedText(byte('A'+i), k, "Patient", id)))
	}
	return keys, nil
}

func (c *Codec) domainKey(n int) []byte { return c.own.hash("vault domain", strconv.Itoa(n)) }

// note writes down that a domain uses the vault, so that Forget finds what it
// kept: the domains stand in a row, sealed.
func (c *Codec) note(d *domain) error {
	if d.noted.Load() {
		return nil
	}
	sealed, err := c.own.siv.EncryptDeterministically([]byte(d.name), nil)
	if err != nil {
		return fmt.Errorf("seal domain: %w", err)
	}
	for n := range maxDomains {
		stands, err := c.vault.Keep(c.domainKey(n), sealed)
		if err != nil {
			return fmt.Errorf("keep domain: %w", err)
		}
		if string(stands) == string(sealed) {
			d.noted.Store(true)
			return nil
		}
	}
	return errors.New("too many pseudonym domains")
}
