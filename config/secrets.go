package config

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// KeySize is the length of every Gatehouse key, in bytes.
const KeySize = 32

// keyPrefix opens a key file, so that a password or a PEM file in its place is
// told apart from a key.
const keyPrefix = "gatehouse-key-v1 "

const maxSecret = 64 << 10

// NewKey makes a key file for any use: one line, a word that says what it is
// and 32 random bytes in base64. The file must not exist, and is readable by
// its owner alone; a directory that is missing is made the same way.
func NewKey(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make directory of key file: %w", err)
	}
	var key [KeySize]byte
	rand.Read(key[:])
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("key file %s is there already, and a key is never overwritten", path)
	}
	if err != nil {
		return fmt.Errorf("make key file: %w", err)
	}
	_, err = f.WriteString(keyPrefix + base64.StdEncoding.EncodeToString(key[:]) + "\n")
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		os.Remove(path) // half a key is none
		return fmt.Errorf("write key file %s: %w", path, err)
	}
	return nil
}

// ReadKey reads a file made by NewKey. Errors never quote it.
func ReadKey(path string) ([]byte, error) {
	text, err := readPrivate(path)
	if err != nil {
		return nil, err
	}
	wrong := errors.New("is not a key made by `gatehouse keys new`")
	encoded, ok := strings.CutPrefix(strings.TrimSpace(string(text)), keyPrefix)
	if !ok {
		return nil, wrong
	}
	key, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || len(key) != KeySize {
		return nil, wrong
	}
	if bytes.Count(key, key[:1]) == KeySize {
		return nil, errors.New("holds no random key")
	}
	return key, nil
}

// ReadSecret reads a password or token: one line, without its line end.
func ReadSecret(path string) (string, error) {
	text, err := readPrivate(path)
	if err != nil {
		return "", err
	}
	secret := strings.TrimRight(string(text), "\r\n")
	if secret == "" {
		return "", errors.New("is empty")
	}
	for _, r := range secret {
		if r < ' ' || r == 0x7f {
			return "", errors.New("holds more than one line of text")
		}
	}
	return secret, nil
}

// ReadPrivateKey reads the first private key of a PEM file: PKCS #8, PKCS #1
// or SEC 1.
func ReadPrivateKey(path string) (crypto.Signer, error) {
	text, err := readPrivate(path)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		if key := parsePrivate(block.Bytes); key != nil {
			return key, nil
		}
		return nil, errors.New("holds a private key that is encrypted or of no supported kind; write RSA (2048 bits or more), ECDSA or Ed25519 in PEM")
	}
	return nil, errors.New("holds no PEM private key")
}

func parsePrivate(der []byte) crypto.Signer {
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		switch k := key.(type) {
		case *rsa.PrivateKey:
			if k.N.BitLen() >= 2048 {
				return k
			}
		case *ecdsa.PrivateKey:
			return k
		case ed25519.PrivateKey:
			return k
		}
		return nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil && key.N.BitLen() >= 2048 {
		return key
	}
	return nil
}

// ReadCertificates reads every certificate of a PEM file; at least one.
func ReadCertificates(path string) ([]*x509.Certificate, error) {
	text, err := readBounded(path, maxFile)
	if err != nil {
		return nil, err
	}
	var all []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, errors.New("holds a certificate that cannot be read")
		}
		all = append(all, certificate)
	}
	if len(all) == 0 {
		return nil, errors.New("holds no PEM certificate")
	}
	return all, nil
}

// readPrivate reads a file that nobody else may read.
func readPrivate(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if err := private(info); err != nil {
		return nil, err
	}
	return readBounded(path, maxSecret)
}
