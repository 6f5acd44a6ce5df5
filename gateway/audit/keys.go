package audit

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"sort"
	"sync"
	"sync/atomic"
)

// Each segment has secrets of its own, in a key file of its own beside it:
//
//	log secret    gives the key that seals what names no patient, and the key
//	              that turns a patient into a tag of 64 bits
//	patient tree  gives every tag a key: child = SHA-256(parent ‖ nibble),
//	              sixteen levels down from a random root
//
// So a new patient costs no write, no flush and no memory, and yet one patient
// can be forgotten for good: the path of the tag is cut out of the tree, which
// leaves the siblings along it and every other patient's key (a puncturable
// pseudorandom function, as Goldreich, Goldwasser and Micali built it).
// Segments are never rewritten and may be copied to where nothing can be
// deleted; the key files alone must stay where deleting means deleting.
const (
	fanout    = 16
	treeDepth = 16 // nibbles of a tag
	maxCached = 4096
)

var errNoKey = errors.New("the patient's key was erased")

// secrets is the content of a key file.
type secrets struct {
	log   [32]byte
	nodes []node // sorted by start; together all tags but the erased ones
}

// node is an inner node of the patient tree, the root of all tags from start on
// that share its first depth nibbles.
type node struct {
	start uint64
	depth uint8
	key   [32]byte
}

func newSecrets() *secrets {
	s := &secrets{nodes: make([]node, 1)}
	rand.Read(s.log[:])
	rand.Read(s.nodes[0].key[:])
	return s
}

func (n *node) last() uint64 {
	if n.depth == 0 {
		return ^uint64(0)
	}
	return n.start | (1<<(4*(treeDepth-uint(n.depth))) - 1)
}

func (n *node) child(i uint64) node {
	var in [33]byte
	copy(in[:], n.key[:])
	in[32] = byte(i)
	depth := n.depth + 1
	return node{start: n.start | i<<(4*(treeDepth-uint(depth))), depth: depth, key: sha256.Sum256(in[:])}
}

// towards is the number of the child of n whose tags include tag.
func (n *node) towards(tag uint64) uint64 {
	return tag >> (4 * (treeDepth - 1 - uint(n.depth))) % fanout
}

func (s *secrets) covering(tag uint64) int {
	i := sort.Search(len(s.nodes), func(i int) bool { return s.nodes[i].start > tag }) - 1
	if i < 0 || s.nodes[i].last() < tag {
		return -1
	}
	return i
}

// key derives the key of a tag; errNoKey once it is erased.
func (s *secrets) key(tag uint64) ([32]byte, error) {
	i := s.covering(tag)
	if i < 0 {
		return [32]byte{}, errNoKey
	}
	n := s.nodes[i]
	for n.depth < treeDepth {
		n = n.child(n.towards(tag))
	}
	return n.key, nil
}

// erase cuts the tag out of the tree. It says whether there was anything to cut.
func (s *secrets) erase(tag uint64) bool {
	i := s.covering(tag)
	if i < 0 {
		return false
	}
	n := s.nodes[i]
	var before, after []node
	for n.depth < treeDepth {
		at, right := n.towards(tag), []node(nil)
		for c := range uint64(fanout) {
			switch {
			case c < at:
				before = append(before, n.child(c))
			case c > at:
				right = append(right, n.child(c))
			}
		}
		after = append(right, after...)
		n = n.child(at)
	}
	rest := append(before, after...)
	s.nodes = append(s.nodes[:i:i], append(rest, s.nodes[i+1:]...)...)
	return true
}

const nodeLen = 8 + 1 + 32

func (s *secrets) marshal() []byte {
	b := append(make([]byte, 0, 32+len(s.nodes)*nodeLen), s.log[:]...)
	for i := range s.nodes {
		n := &s.nodes[i]
		b = binary.BigEndian.AppendUint64(b, n.start)
		b = append(b, n.depth)
		b = append(b, n.key[:]...)
	}
	return b
}

func parseSecrets(b []byte) (*secrets, error) {
	if len(b) < 32 || (len(b)-32)%nodeLen != 0 {
		return nil, errors.New("key file has an odd length")
	}
	s := &secrets{}
	b = b[copy(s.log[:], b):]
	for ; len(b) > 0; b = b[nodeLen:] {
		n := node{start: binary.BigEndian.Uint64(b), depth: b[8]}
		copy(n.key[:], b[9:])
		s.nodes = append(s.nodes, n)
	}
	return s, nil
}

// keyring seals and opens the records of one segment. Its counter makes every
// nonce of the segment unique; a segment is written by one process, once.
type keyring struct {
	secrets *secrets
	log     cipher.AEAD
	tagKey  []byte
	counter atomic.Uint64

	mu    sync.RWMutex
	cache map[string]*patientKey // by name, for sealing; bounded, emptied when full
	tags  map[uint64]*patientKey // by tag, for opening; the same
}

type patientKey struct {
	tag  uint64
	key  [32]byte
	aead cipher.AEAD
}

func newKeyring(s *secrets) *keyring {
	return &keyring{
		secrets: s,
		log:     newAEAD(derive(s.log[:], "record")),
		tagKey:  derive(s.log[:], "tag"),
		cache:   make(map[string]*patientKey),
		tags:    make(map[uint64]*patientKey),
	}
}

// patient is the key that seals what concerns one patient.
func (k *keyring) patient(name string) (*patientKey, error) {
	k.mu.RLock()
	p := k.cache[name]
	k.mu.RUnlock()
	if p != nil {
		return p, nil
	}
	p, err := k.byTag(k.tag(name))
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.cache) >= maxCached {
		clear(k.cache)
	}
	k.cache[name] = p
	return p, nil
}

func (k *keyring) tag(patient string) uint64 {
	m := hmac.New(sha256.New, k.tagKey)
	m.Write([]byte(patient))
	return binary.BigEndian.Uint64(m.Sum(nil))
}

func (k *keyring) byTag(tag uint64) (*patientKey, error) {
	k.mu.RLock()
	p := k.tags[tag]
	k.mu.RUnlock()
	if p != nil {
		return p, nil
	}
	key, err := k.secrets.key(tag)
	if err != nil {
		return nil, err
	}
	p = &patientKey{tag: tag, key: key, aead: newAEAD(key[:])}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.tags) >= maxCached {
		clear(k.tags)
	}
	k.tags[tag] = p
	return p, nil
}

// together is the key of what concerns several patients: it needs the key of
// each, so that erasing one of them erases it.
func together(of []*patientKey) cipher.AEAD {
	h := sha256.New()
	h.Write([]byte("gatehouse audit set"))
	for _, p := range of {
		h.Write(p.key[:])
	}
	return newAEAD(h.Sum(nil))
}

func newAEAD(key []byte) cipher.AEAD {
	b, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // keys are 32 bytes by construction
	}
	a, err := cipher.NewGCM(b)
	if err != nil {
		panic(err)
	}
	return a
}

func derive(secret []byte, label string) []byte {
	k, err := hkdf.Key(sha256.New, secret, nil, "gatehouse audit "+label, 32)
	if err != nil {
		panic(err) // 32 bytes are always within HKDF's reach
	}
	return k
}

func hashHex(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

const keyFormat = 1

// masterLen is the length of an audit key. Where several stand one after
// another, the first wraps, and what any of them wrapped opens.
const masterLen = 32

// wrap seals a key file's content under the master key, bound to its segment.
func wrap(master []byte, segment uint64, s *secrets) []byte {
	nonce := make([]byte, 12)
	rand.Read(nonce)
	out := append([]byte{keyFormat}, nonce...)
	return newAEAD(derive(master[:masterLen], "key file")).Seal(out, nonce, s.marshal(), segmentAAD(segment))
}

func unwrap(master []byte, segment uint64, b []byte) (*secrets, error) {
	if len(b) > 0 && b[0] > keyFormat {
		return nil, fmt.Errorf("key file of segment %d: %w", segment, errNewer)
	}
	if len(b) < 13 || b[0] != keyFormat {
		return nil, fmt.Errorf("key file of segment %d: unknown format", segment)
	}
	for ; len(master) >= masterLen; master = master[masterLen:] {
		plain, err := newAEAD(derive(master[:masterLen], "key file")).Open(nil, b[1:13], b[13:], segmentAAD(segment))
		if err == nil {
			return parseSecrets(plain)
		}
	}
	return nil, fmt.Errorf("key file of segment %d does not open: damaged, or the audit key is another one", segment)
}

func segmentAAD(segment uint64) []byte { return binary.BigEndian.AppendUint64(nil, segment) }
