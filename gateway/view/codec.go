package view

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
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tink-crypto/tink-go/v2/daead/subtle"
)

// symbols are the 64 characters of a FHIR id: six bits each, and nothing but a
// legal id can be written with them.
const symbols = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-."

// Strict: without it the spare bits of the last character would give one id
// several pseudonyms, and a handle that opens must be the one we made.
var sixBits = base64.NewEncoding(symbols).WithPadding(base64.NoPadding).Strict()

// Codec turns real ids into pseudonyms and back, one space of them per domain.
// Pseudonyms are keyed and reversible (AES-SIV, RFC 5297) with domain, type and
// key epoch as associated data, so that one of another domain or type does not
// open. It is safe for concurrent use.
type Codec struct {
	epochs  [][]byte // master keys, oldest first
	writes  int      // index of the one that makes pseudonyms
	dropped []bool   // by epoch, if any: what it made opens no more
	tenant  string
	uuids   bool
	own     *keys // of no domain
	erased  *Erased
	service Service
	vault   Vault
	mu      sync.RWMutex
	domains map[string]*domain
	last    atomic.Pointer[domain] // of these, the one asked for last
}

// domain holds the keys of one recipient, each purpose its own.
type domain struct {
	name   string
	epochs []keys
	writes int
	noted  atomic.Bool // that it uses the vault
	memo   memo
}

type keys struct {
	siv  *subtle.AESSIV
	gcm  cipher.AEAD  // texts that are encrypted, each with a nonce of its own
	mac  []byte       // hashes, date offsets, overflow handles
	uuid cipher.Block // UUID to UUID
}

// maxDomains bounds what strangers can make us hold: domains come from
// configuration and policy, so more than this is a bug or an attack.
const maxDomains = 4096

var errDomain = errors.New("no domain for pseudonyms and dates; write --domain NAME")

func (c *Codec) domain(name string) (*domain, error) {
	if c == nil || name == "" {
		return nil, errDomain
	}
	if d := c.last.Load(); d != nil && d.name == name {
		return d, nil
	}
	c.mu.RLock()
	d := c.domains[name]
	c.mu.RUnlock()
	if d != nil {
		c.last.Store(d)
	}
	if d != nil {
		return d, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if d := c.domains[name]; d != nil {
		return d, nil
	}
	if len(c.domains) >= maxDomains {
		return nil, errors.New("too many pseudonym domains")
	}
	d = &domain{name: name, writes: c.writes}
	for _, master := range c.epochs {
		k, err := derive(master, c.tenant, name)
		if err != nil {
			return nil, fmt.Errorf("derive pseudonym keys: %w", err)
		}
		d.epochs = append(d.epochs, k)
	}
	c.domains[name] = d
	return d, nil
}

// derive is the way from a master key, one for each epoch, by tenant, purpose and
// domain to the keys of a domain.
func derive(master []byte, tenant, domain string) (k keys, err error) {
	part := func(purpose string, n int) (key []byte) {
		if err == nil {
			key, err = hkdf.Key(sha256.New, master, []byte(tenant), "gatehouse/"+purpose+"/v1/"+domain, n)
		}
		return key
	}
	siv, mac, block, sealing := part("pseudonym", 64), part("mac", 32), part("uuid", 32), part("encrypt", 32)
	if err != nil {
		return keys{}, err
	}
	if k.siv, err = subtle.NewAESSIV(siv); err != nil {
		return keys{}, err
	}
	k.mac = mac
	if k.uuid, err = aes.NewCipher(block); err != nil {
		return keys{}, err
	}
	sealer, err := aes.NewCipher(sealing)
	if err != nil {
		return keys{}, err
	}
	k.gcm, err = cipher.NewGCMWithRandomNonce(sealer)
	return k, err
}

func (d *domain) now() (byte, *keys) {
	return byte('A' + d.writes), &d.epochs[d.writes]
}

// bind is the associated data: each part with its length, so that no two
// bindings read the same.
func bind(epoch, class byte, domain, typ string) []byte {
	ad := make([]byte, 0, len(domain)+len(typ)+8)
	ad = append(ad, epoch, class)
	ad = binary.AppendUvarint(ad, uint64(len(domain)))
	ad = append(ad, domain...)
	return append(ad, typ...)
}

// Pseudonym is the id that a domain knows the resource typ/id by: a legal FHIR
// id of at most 64 characters that begins with a letter. It is the same each
// time, unless the key epoch moves on.
func (c *Codec) Pseudonym(domain, typ, id string) (string, error) {
	d, err := c.domain(domain)
	if err != nil {
		return "", err
	}
	if c.gone(typ, id) {
		return "", ErrErased
	}
	if p, ok := d.memo.get(id, typ); ok {
		return p, nil
	}
	return c.sealed(d, typ, id)
}

// version is Pseudonym of what is no resource, under a label given in parts.
func (c *Codec) version(domain, version string, label ...string) (string, error) {
	d, err := c.domain(domain)
	if err != nil {
		return "", err
	}
	if p, ok := d.memo.get(version, label...); ok {
		return p, nil
	}
	p, err := c.sealed(d, strings.Join(label, ""), version)
	if err == nil {
		d.memo.put(p, version, label...)
	}
	return p, err
}

// sealed is Pseudonym, made anew.
func (c *Codec) sealed(d *domain, typ, id string) (string, error) {
	if typ == "" || !fhirID(id) {
		return "", errors.New("not a FHIR id")
	}
	if c.elsewhere(typ) {
		return c.asked(d, typ, id)
	}
	if c.uuids && plainType(typ) && UUIDShaped(id) {
		return d.uuidOf(typ, id)
	}
	class, packed, fits := pack(id)
	if !fits {
		return c.store(d, typ, id)
	}
	epoch, k := d.now()
	sealed, err := k.siv.EncryptDeterministically(packed, bind(epoch, class, d.name, typ))
	if err != nil {
		return "", fmt.Errorf("seal pseudonym: %w", err)
	}
	p := string([]byte{epoch, class}) + sixBits.EncodeToString(sealed)
	d.memo.put(p, id, typ)
	return p, nil
}

// Real opens a pseudonym of the domain and type. A foreign, forged, shortened
// or real id does not open.
func (c *Codec) Real(domain, typ, p string) (id string, ok bool) {
	d, err := c.domain(domain)
	if err != nil || len(p) < 2 || !fhirID(p) {
		return "", false
	}
	id, ok = c.open(d, typ, p)
	if !ok && c.elsewhere(typ) {
		id, ok = c.led(d, typ, p)
	}
	if !ok || c.gone(typ, id) {
		return "", false
	}
	return id, true
}

// opens are the keys that made a handle, by its letter, unless they were dropped. A
// random surrogate is not made of a key: who holds it can make none.
func (c *Codec) opens(d *domain, p string) (*keys, bool) {
	e := int(p[0]) - 'A'
	if e < 0 || e >= len(d.epochs) || p[1] != classRandom && e < len(c.dropped) && c.dropped[e] {
		return nil, false
	}
	return &d.epochs[e], true
}

func (c *Codec) open(d *domain, typ, p string) (id string, ok bool) {
	if c.uuids && plainType(typ) && UUIDShaped(p) && !c.elsewhere(typ) {
		return d.realOf(typ, p)
	}
	k, ok := c.opens(d, p)
	if !ok {
		return "", false
	}
	if class := p[1]; class == classStored || class == classRandom {
		return c.stored(d, k, typ, p)
	}
	sealed, err := open64(p[2:])
	if err != nil {
		return "", false
	}
	packed, err := k.siv.DecryptDeterministically(sealed, bind(p[0], p[1], d.name, typ))
	if err != nil {
		return "", false
	}
	return unpack(p[1], packed)
}

// open64 decodes without what the standard decoder forgives: line breaks.
func open64(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, errors.New("line break in pseudonym")
	}
	return sixBits.DecodeString(s)
}

// mac is the keyed hash behind one-way methods: 32 bytes bound to the domain
// and a label.
func (c *Codec) mac(domain, label, text string) ([]byte, error) {
	d, err := c.domain(domain)
	if err != nil {
		return nil, err
	}
	// The first epoch for good: a hash that moved with the key would break
	// what it links, and dates would jump.
	return d.epochs[0].hash(label, text), nil
}

// remembered is mac for texts that come again and again.
func (c *Codec) remembered(domain, label, text string) (string, error) {
	d, err := c.domain(domain)
	if err != nil {
		return "", err
	}
	if sum, ok := d.memo.get(text, "mac:", label); ok {
		return sum, nil
	}
	sum := string(d.epochs[0].hash(label, text))
	d.memo.put(sum, text, "mac:", label)
	return sum, nil
}

func (k *keys) hash(label, text string) []byte {
	h := hmac.New(sha256.New, k.mac)
	h.Write(binary.AppendUvarint(nil, uint64(len(label))))
	h.Write([]byte(label))
	h.Write([]byte(text))
	return h.Sum(nil)
}
