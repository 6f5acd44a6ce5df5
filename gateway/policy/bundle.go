package policy

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
)

// Bundle is a policy as it is handed around: OPA's own format, a .tar.gz with a
// revision and a signature over its files.
type Bundle struct {
	Revision string
	Files    map[string][]byte // as Options.Files
}

// Options are those that load the bundle.
func (b *Bundle) Options() Options {
	return Options{Files: b.Files, Name: "bundle " + b.Revision, Revision: b.Revision}
}

// BundleKey verifies bundles.
type BundleKey struct {
	pem       string
	algorithm string
}

// ParseBundleKey reads a public key, or the certificate of one, in PEM. algorithm
// is that of the signatures (ES256, RS256, PS256 …); "" is the usual one of the
// key. Shared secrets are no keys here: who can verify could sign.
func ParseBundleKey(text []byte, algorithm string) (*BundleKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("holds no PEM public key")
	}
	var key any
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var c *x509.Certificate
		if c, err = x509.ParseCertificate(block.Bytes); err == nil {
			key = c.PublicKey
		}
	default:
		return nil, fmt.Errorf("holds a PEM %s; write a PUBLIC KEY or a CERTIFICATE", block.Type)
	}
	if err != nil {
		return nil, errors.New("holds a public key that cannot be read")
	}
	fits := algorithmsOf(key)
	switch {
	case len(fits) == 0:
		return nil, errors.New("holds a key of no supported kind; write RSA (2048 bits or more) or ECDSA")
	case algorithm == "":
		algorithm = fits[0]
	case !slices.Contains(fits, algorithm):
		return nil, fmt.Errorf("cannot verify %s; it is a key for %s", algorithm, strings.Join(fits, ", "))
	}
	return &BundleKey{string(text), algorithm}, nil
}

func algorithmsOf(key any) []string {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() >= 2048 {
			return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
		}
	case *ecdsa.PublicKey:
		return map[int][]string{256: {"ES256"}, 384: {"ES384"}, 521: {"ES512"}}[k.Curve.Params().BitSize]
	}
	return nil
}

// maxBundle bounds one file of a bundle.
const maxBundle = 64 << 20

// keyName is how the one key is called while a bundle is verified: which key
// signed is the configuration's to say, not the bundle's.
const keyName = "gatehouse"

// OpenBundle verifies a bundle and gives its files. Nothing of one whose
// signature does not hold is used. With a nil key the signature is not looked at:
// for comparing, never for deciding.
func OpenBundle(raw []byte, key *BundleKey) (*Bundle, error) {
	r := bundle.NewReader(bytes.NewReader(raw)).WithSizeLimitBytes(maxBundle).
		WithRegoVersion(ast.RegoV1).WithCapabilities(capabilities())
	if key == nil {
		r = r.WithSkipBundleVerification(true)
	} else {
		r = r.WithBundleVerificationConfig(bundle.NewVerificationConfig(
			map[string]*bundle.KeyConfig{keyName: {Key: key.pem, Algorithm: key.algorithm}}, keyName, "", nil))
	}
	b, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("read bundle: %w", err)
	}
	if len(b.WasmModules)+len(b.PlanModules) > 0 {
		return nil, errors.New("read bundle: it holds compiled rules, which nobody can review; build it without a target")
	}
	files := map[string][]byte{}
	for _, m := range b.Modules {
		files[strings.TrimPrefix(m.Path, "/")] = m.Raw
	}
	for name, value := range b.Data {
		text, err := json.Marshal(map[string]any{name: value})
		if err != nil {
			return nil, fmt.Errorf("read bundle: %w", err)
		}
		files[name+".json"] = text
	}
	return &Bundle{Revision: b.Manifest.Revision, Files: files}, nil
}

// SigningKey signs bundles.
type SigningKey struct {
	PEM       []byte // private key
	Algorithm string // of its signatures, "ES256"
}

// BuildBundle makes a bundle of a policy, which must load; a nil key leaves it
// unsigned. Tests stay behind.
func BuildBundle(o Options, revision string, key *SigningKey) ([]byte, error) {
	if !Ordered(revision) {
		return nil, errUnordered(revision)
	}
	if _, err := Load(o); err != nil {
		return nil, err
	}
	files, shipped, own, err := gather(o)
	if err != nil {
		return nil, err
	}
	tables, _ := loadTables(shipped, own)
	version := 1
	b := bundle.Bundle{Data: dataOf(tables), Manifest: bundle.Manifest{Revision: revision, Roots: &[]string{""}, RegoVersion: &version}}
	for _, f := range files {
		name := "/" + strings.TrimPrefix(path.Clean(strings.TrimPrefix(f.name, displayOf(o))), "/")
		b.Modules = append(b.Modules, bundle.ModuleFile{URL: name, Path: name, Raw: f.text})
	}
	if key != nil {
		if err := b.GenerateSignature(bundle.NewSigningConfig(string(key.PEM), key.Algorithm, "").WithPlugin("_default"), keyName, false); err != nil {
			return nil, fmt.Errorf("sign bundle: %w", err)
		}
		b.Signatures.Plugin = ""
	}
	var out bytes.Buffer
	if err := bundle.NewWriter(&out).DisableFormat(true).Write(b); err != nil {
		return nil, fmt.Errorf("write bundle: %w", err)
	}
	return out.Bytes(), nil
}

// displayOf is what the names of a policy's files begin with.
func displayOf(o Options) string {
	_, name := FilesOf(o)
	return path.Clean(name) // as path.Join leaves it
}

// Ordered tells whether a revision has a place among others: it begins with a
// digit (a number, a date, a version), perhaps after a v.
func Ordered(revision string) bool {
	r := strings.TrimPrefix(revision, "v")
	return r != "" && isDigit(r[0]) && len(r) <= 128
}

func errUnordered(revision string) error {
	return fmt.Errorf("the revision %q has no order: begin it with a number, a date or a version, so that an older bundle is known from a newer one", revision)
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// CompareRevisions is negative where a is older than b: numbers within them
// compare as numbers, so that 10 comes after 9 and v1.10 after v1.9.
func CompareRevisions(a, b string) int {
	a, b = strings.TrimPrefix(a, "v"), strings.TrimPrefix(b, "v")
	for a != "" && b != "" {
		x, y := digits(a), digits(b)
		if x == "" || y == "" {
			if a[0] != b[0] {
				return int(a[0]) - int(b[0])
			}
			a, b = a[1:], b[1:]
			continue
		}
		a, b = a[len(x):], b[len(y):]
		x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
		if len(x) != len(y) {
			return len(x) - len(y)
		}
		if d := strings.Compare(x, y); d != 0 {
			return d
		}
	}
	return len(a) - len(b)
}

func digits(s string) string {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return s[:n]
}

// Gathered are a policy's rules and tables by name, as Options.Files takes them.
func Gathered(o Options) (map[string][]byte, error) {
	rules, shipped, own, err := gather(o)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, f := range rules {
		files[strings.TrimPrefix(strings.TrimPrefix(f.name, displayOf(o)), "/")] = f.text
	}
	tables, ps := loadTables(shipped, own)
	if len(ps) > 0 {
		return nil, ps.err()
	}
	for _, key := range slices.Sorted(maps.Keys(tables)) {
		text, err := json.Marshal(map[string]any{key: tables[key].value})
		if err != nil {
			return nil, fmt.Errorf("table %s: %w", key, err)
		}
		files[key+".json"] = text
	}
	return files, nil
}
