package compat

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"lukechampine.com/blake3"
)

// cryptoHash puts the keyed hash in the place of a value, in references in that
// of the id (D1, D2).
func (r *run) cryptoHash(n *node, m *method) done {
	text := n.text()
	if text == "" {
		return done{}
	}
	hash := func(s string) (string, error) {
		h := r.params.hash(s)
		if m.truncate > 0 {
			h = h[:min(m.truncate, len(h))]
		}
		return h, nil
	}
	h, _ := r.refs.transform(n, text, hash) // hash never fails
	n.set(h)
	return done{hashed: true}
}

func (p *params) hash(s string) string {
	if s == "" {
		return ""
	}
	h := hmac.New(sha256.New, []byte(p.hashKey))
	if p.blake != nil {
		h := blake3.New(32, p.blake)
		h.Write([]byte(s))
		return hex.EncodeToString(h.Sum(nil))
	}
	h.Write([]byte(s))
	return hex.EncodeToString(h.Sum(nil))
}

// encrypt puts the ciphertext in the place of a value: AES-CBC with a random
// IV, which the tools read again (D4). It has no tag: this is their format, not
// one to choose.
func (r *run) encrypt(n *node) (done, error) {
	text := n.text()
	if text == "" {
		return done{}, nil
	}
	pad := aes.BlockSize - len(text)%aes.BlockSize
	plain := append([]byte(text), strings.Repeat(string(rune(pad)), pad)...)
	sealed := make([]byte, aes.BlockSize+len(plain))
	rand.Read(sealed[:aes.BlockSize]) // never fails
	cipher.NewCBCEncrypter(r.params.cipher, sealed[:aes.BlockSize]).CryptBlocks(sealed[aes.BlockSize:], plain)
	if r.tool == Miracum {
		n.set(strings.ToUpper(hex.EncodeToString(sealed)))
	} else {
		n.set(base64.StdEncoding.EncodeToString(sealed))
	}
	return done{masked: true}, nil
}

// everyone is the domain of pseudonyms where the caller has none of his own.
const everyone = "compat"

// pseudonymize gives the house's pseudonym where the tool asks a service: the
// same text has the same one within a domain.
func (r *run) pseudonymize(n *node, m *method) (done, error) {
	text := n.text()
	if text == "" {
		return done{}, nil
	}
	domain := m.domain
	if domain == "" {
		domain = r.refs.domain(n, text)
	}
	reader := r.ctx.Domain
	if reader == "" {
		reader = everyone
	}
	p, err := r.refs.transform(n, text, func(s string) (string, error) {
		if s == "" {
			return "", nil
		}
		return r.keys.Pseudonym(reader, "miracum:"+m.prefix+domain, s)
	})
	if err != nil {
		return done{}, err
	}
	n.set(p)
	return done{pseudonymized: true}, nil
}
