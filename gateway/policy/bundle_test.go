package policy

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"strings"
	"testing"
)

// signer is an EC key pair in PEM.
func signer(t *testing.T) (private []byte, public *BundleKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, _ := x509.MarshalPKCS8PrivateKey(key)
	pub, _ := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if public, err = ParseBundleKey(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pub}), ""); err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), public
}

// repack changes one file of a bundle, or with nil leaves it out.
func repack(t *testing.T, raw []byte, name string, edit func([]byte) []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	in := tar.NewReader(z)
	var out bytes.Buffer
	zw := gzip.NewWriter(&out)
	w := tar.NewWriter(zw)
	found := false
	for {
		h, err := in.Next()
		if err == io.EOF {
			break
		}
		b, _ := io.ReadAll(in)
		if strings.TrimPrefix(h.Name, "/") == name {
			found = true
			if edit == nil {
				continue
			}
			b = edit(b)
			h.Size = int64(len(b))
		}
		w.WriteHeader(h)
		w.Write(b)
	}
	w.Close()
	zw.Close()
	if !found {
		t.Fatalf("the bundle has no %s", name)
	}
	return out.Bytes()
}

// Issue 4.9: a bundle decides as the directory that it was built from, and one
// whose signature does not hold is nothing.
func TestBundle(t *testing.T) {
	private, public := signer(t)
	raw, err := BuildBundle(Options{}, "7", &SigningKey{private, "ES256"})
	if err != nil {
		t.Fatal(err)
	}
	b, err := OpenBundle(raw, public)
	if err != nil || b.Revision != "7" {
		t.Fatal(b, err)
	}
	e, err := Load(b.Options())
	if err != nil || !strings.HasPrefix(e.Revision(), "7-") {
		t.Fatal(e, err)
	}
	from, _ := readEdition(Options{})
	to, err := readEdition(b.Options())
	if err != nil || len(diffRules(from.rules, to.rules))+len(diffTables(from.tables, to.tables)) > 0 {
		t.Errorf("other rules or tables, or %v", err)
	}
	_, stranger := signer(t)
	add := func(text string) func([]byte) []byte { return func(b []byte) []byte { return append(b, text...) } }
	for name, c := range map[string]struct {
		raw []byte
		key *BundleKey
	}{
		"another's key":       {raw, stranger},
		"an edited rule":      {repack(t, raw, "roles.rego", add("\n# x")), public},
		"an edited table":     {repack(t, raw, "data.json", func(b []byte) []byte { return bytes.Replace(b, []byte("clinician"), []byte("clinicianx"), 1) }), public},
		"another revision":    {repack(t, raw, ".manifest", func(b []byte) []byte { return bytes.Replace(b, []byte(`"7"`), []byte(`"8"`), 1) }), public},
		"no signature":        {repack(t, raw, ".signatures.json", nil), public},
		"a rule that is gone": {repack(t, raw, "sensitive.rego", nil), public},
		"no bundle":           {[]byte("x"), public},
	} {
		if got, err := OpenBundle(c.raw, c.key); err == nil {
			t.Errorf("%s: %v", name, got.Revision)
		}
	}
}

func TestBundleKeys(t *testing.T) {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	pub, _ := x509.MarshalPKIXPublicKey(&key.PublicKey)
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pub})
	for algorithm, ok := range map[string]bool{"": true, "ES256": true, "ES384": false, "RS256": false, "HS256": false, "none": false} {
		if _, err := ParseBundleKey(text, algorithm); (err == nil) != ok {
			t.Errorf("%q: %v", algorithm, err)
		}
	}
	if _, err := ParseBundleKey([]byte("secret"), "HS256"); err == nil {
		t.Error("a secret is a key")
	}
}

func TestRevisionsHaveAnOrder(t *testing.T) {
	for _, inOrder := range [][]string{{"9", "10", "11"}, {"v1.9.0", "v1.10.0", "v2"}, {"2026-11-21", "2026-11-22", "2026-11-22.1"}, {"1", "1a", "1b"}, {"2026-11-21T10:00:00Z", "2026-11-21T10:00:01Z"}} {
		for i := range inOrder[1:] {
			if CompareRevisions(inOrder[i], inOrder[i+1]) >= 0 || CompareRevisions(inOrder[i+1], inOrder[i]) <= 0 {
				t.Errorf("%s is not older than %s", inOrder[i], inOrder[i+1])
			}
		}
	}
	if CompareRevisions("007", "7") != 0 || CompareRevisions("x1", "x1") != 0 {
		t.Error("the same differs")
	}
	for r, want := range map[string]bool{"1": true, "v2": true, "": false, "v": false, "abc123": false, "main": false} {
		if Ordered(r) != want {
			t.Errorf("%q", r)
		}
	}
	if _, err := BuildBundle(Options{}, "latest", nil); err == nil {
		t.Error("a revision without order is built")
	}
}
