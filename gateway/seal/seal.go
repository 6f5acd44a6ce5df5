// Package seal turns what the gateway must remember about a caller into a
// handle that the caller carries: sealed, bound to its owner, and expiring
// (DESIGN §2 law 9).
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// MinKey is the least length of a sealing key in bytes.
const MinKey = 32

// ErrForeign is a handle that this key never sealed for this purpose and
// owner; ErrExpired is one that it did, whose time is over.
var (
	ErrForeign = errors.New("handle is not one of ours, or not this caller's")
	ErrExpired = errors.New("handle has expired")
)

// A handle is base64url(version ‖ salt ‖ nonce ‖ AES-256-GCM(expiry ‖ payload)).
// The salt gives each handle a key of its own: random 96-bit nonces under one
// key would have to stop at 2^32 handles, which a busy gateway reaches in weeks.
const (
	version  = 1
	saltLen  = 16
	nonceLen = 12
	headLen  = 1 + saltLen + nonceLen
)

var encoding = base64.RawURLEncoding.Strict() // one spelling for each handle

// Sealer seals and opens handles. It is safe for concurrent use.
type Sealer struct {
	root     []byte   // the oldest key: what is derived from it never changes
	keys     [][]byte // the first seals, all open
	purposes sync.Map // purpose -> [][]byte, one derived key for each of keys
}

// New makes a Sealer of keys of at least MinKey random bytes, oldest first. The
// newest seals, and what the others sealed opens.
func New(root []byte, newer ...[]byte) (*Sealer, error) {
	keys := append([][]byte{root}, newer...)
	if err := longEnough(keys); err != nil {
		return nil, err
	}
	slices.Reverse(keys)
	return &Sealer{root: root, keys: keys}, nil
}

// Await opens handles of keys with which others may seal already: replicas read
// a new key one after another. To be called before the first handle.
func (s *Sealer) Await(next ...[]byte) error {
	s.keys = append(s.keys, next...)
	return longEnough(next)
}

func longEnough(keys [][]byte) error {
	for _, k := range keys {
		if len(k) < MinKey {
			return fmt.Errorf("sealing key has %d bytes, needs at least %d", len(k), MinKey)
		}
	}
	return nil
}

// Seal makes a URL-safe handle of payload, 71 characters longer than base64 of
// it. It opens only for the same purpose (program text, of which there are few)
// and bind, until expires (to the second).
func (s *Sealer) Seal(purpose, bind string, payload []byte, expires time.Time) string {
	handle := make([]byte, headLen, headLen+8+len(payload)+16)
	handle[0] = version
	rand.Read(handle[1:]) // never fails since Go 1.24: it ends the process instead

	plain := binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(payload)), uint64(expires.Unix()))
	plain = append(plain, payload...)
	aead := cipherFor(s.derived(purpose)[0], handle)
	handle = aead.Seal(handle, handle[1+saltLen:headLen], plain, additional(bind))
	return encoding.EncodeToString(handle)
}

// Open gives the payload of a handle. Its errors are ErrForeign and ErrExpired.
func (s *Sealer) Open(purpose, bind, handle string, now time.Time) ([]byte, error) {
	raw, err := encoding.DecodeString(handle)
	if err != nil || len(raw) < headLen || raw[0] != version || strings.ContainsAny(handle, "\r\n") {
		return nil, ErrForeign // the decoder skips line breaks: a second spelling
	}
	for _, key := range s.derived(purpose) {
		plain, err := cipherFor(key, raw).Open(nil, raw[1+saltLen:headLen], raw[headLen:], additional(bind))
		if err != nil || len(plain) < 8 {
			continue
		}
		if now.Unix() >= int64(binary.BigEndian.Uint64(plain)) {
			return nil, ErrExpired
		}
		return plain[8:], nil
	}
	return nil, ErrForeign
}

// Derive gives n bytes that depend on the oldest key and label alone: keys of
// the stores for which the configuration names none.
func (s *Sealer) Derive(label string, n int) []byte {
	return expand(s.root, "gatehouse derived key: "+label, n)
}

// derived gives the purpose's keys, each derived once.
func (s *Sealer) derived(purpose string) [][]byte {
	if keys, ok := s.purposes.Load(purpose); ok {
		return keys.([][]byte)
	}
	keys := make([][]byte, len(s.keys))
	for i, k := range s.keys {
		keys[i] = expand(k, "gatehouse handle: "+purpose, 32)
	}
	s.purposes.Store(purpose, keys)
	return keys
}

// cipherFor makes the AEAD of the handle whose version and salt are head.
func cipherFor(key, head []byte) cipher.AEAD {
	mac := hmac.New(sha256.New, key)
	mac.Write(head[:1+saltLen])
	block, err := aes.NewCipher(mac.Sum(nil))
	if err != nil {
		panic(err) // 32 bytes are always an AES key
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return aead
}

// additional hashes bind, so that the AEAD's work does not grow with it.
func additional(bind string) []byte {
	sum := sha256.Sum256([]byte(bind))
	return sum[:]
}

func expand(key []byte, info string, n int) []byte {
	out, err := hkdf.Key(sha256.New, key, nil, info, n)
	if err != nil {
		panic(err) // n is program text, far below HKDF's limit
	}
	return out
}
