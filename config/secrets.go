package config

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"strings"
)

const maxSecret = 64 << 10

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
