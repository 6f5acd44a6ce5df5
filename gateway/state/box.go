package state

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"
)

// box seals what is stored. In the database stand a kind, which is a word of
// the program, and a keyed hash of the id; the id itself is sealed with the
// value, since it may name a patient.
type box struct {
	aead  cipher.AEAD   // seals
	other []cipher.AEAD // open too
	names []byte        // key of the hashes
}

// stored is one row in clear.
type stored struct {
	id      string
	value   []byte
	gone    bool // deleted; remembered for those who poll
	expires time.Time
	version int64
}

func (st *stored) over(now time.Time) bool {
	return st.gone || !st.expires.IsZero() && !now.Before(st.expires)
}

func (st *stored) row() Row {
	return Row{ID: st.id, Value: st.value, Expires: st.expires, Version: st.version}
}

func newBox(o Options) (*box, error) {
	b, writes := &box{}, len(o.Newer)
	for i, key := range slices.Concat([][]byte{o.Key}, o.Newer, o.Next) {
		aead, err := newAEAD(key)
		if err != nil {
			return nil, err
		}
		if i == writes {
			b.aead = aead
			continue
		}
		b.other = append(b.other, aead)
	}
	var err error
	if b.names, err = hkdf.Key(sha256.New, o.Key, nil, "gatehouse state: ids", 32); err != nil {
		return nil, fmt.Errorf("derive state key: %w", err)
	}
	return b, nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	if len(key) < 32 {
		return nil, fmt.Errorf("state key has %d bytes, needs at least 32", len(key))
	}
	sealing, err := hkdf.Key(sha256.New, key, nil, "gatehouse state: values", 32)
	if err != nil {
		return nil, fmt.Errorf("derive state key: %w", err)
	}
	block, err := aes.NewCipher(sealing)
	if err != nil {
		return nil, fmt.Errorf("state key: %w", err)
	}
	// Random nonces under one key are safe for 2^32 writes; at a hundred a
	// second that is more than a year of grants without pause.
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("state key: %w", err)
	}
	return aead, nil
}

// label stands for an id in the database.
func (b *box) label(kind, id string) string {
	h := hmac.New(sha256.New, b.names)
	h.Write([]byte(kind))
	h.Write([]byte{0})
	h.Write([]byte(id))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:18])
}

// seal binds the value to its place, its time and its version: who can write to
// the database but has no key cannot move a row, prolong it or bring it up to
// date.
func (b *box) seal(kind, label string, st *stored) []byte {
	plain := []byte{0}
	if st.gone {
		plain[0] = 1
	}
	plain = binary.AppendUvarint(plain, uint64(len(st.id)))
	plain = append(append(plain, st.id...), st.value...)
	return b.aead.Seal(nil, nil, plain, place(kind, label, unix(st.expires), st.version))
}

var errBroken = errors.New("a row does not open: it was changed, or sealed under another key")

func (b *box) open(kind, label string, sealed []byte, expires, version int64) (*stored, error) {
	bound := place(kind, label, expires, version)
	plain, err := b.aead.Open(nil, nil, sealed, bound)
	for i := 0; err != nil && i < len(b.other); i++ {
		plain, err = b.other[i].Open(nil, nil, sealed, bound)
	}
	if err != nil || len(plain) < 2 {
		return nil, errBroken
	}
	n, width := binary.Uvarint(plain[1:])
	rest := plain[1+max(width, 0):]
	if width <= 0 || n > uint64(len(rest)) {
		return nil, errBroken
	}
	st := &stored{id: string(rest[:n]), value: rest[n:], gone: plain[0] == 1, version: version}
	if expires > 0 {
		st.expires = time.Unix(expires, 0)
	}
	return st, nil
}

// place is what a sealed value belongs to; neither a kind nor a label holds a
// zero byte.
func place(kind, label string, expires, version int64) []byte {
	p := append([]byte("gatehouse state 1\x00"+kind), 0)
	p = append(append(p, label...), 0)
	p = binary.BigEndian.AppendUint64(p, uint64(expires))
	return binary.BigEndian.AppendUint64(p, uint64(version))
}

// unix is a time in whole seconds, rounded down so that nothing lives longer
// than it was given; 0: never.
func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return max(t.Unix(), 1)
}
