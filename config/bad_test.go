package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"flag"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the messages as they are; read them before committing")

// TestBadConfigs loads every file of testdata/bad and compares all its
// problems with the .txt beside it (issue 2 item 2, G-06).
func TestBadConfigs(t *testing.T) {
	dir := fixture(t)
	t.Setenv("GH_EMPTY", "")
	t.Setenv("GH_SECRET", "topsecret")
	t.Setenv("GH_KEYS", "gatehouse-key-v1 topsecret")
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no bad configurations", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c, problems := Load(write(t, dir, name+".yaml", string(text)))
			if len(problems) == 0 || c != nil {
				t.Fatal("it loads")
			}
			got := strings.ReplaceAll(problems.String(), dir+string(filepath.Separator), "") + "\n"
			if strings.Contains(got, "topsecret") {
				t.Errorf("a problem tells a secret: %s", got)
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil || got != string(want) {
				t.Errorf("got:\n%swant:\n%s%v", got, want, err)
			}
		})
	}
}

// fixture is a directory with the files that the bad configurations name.
func fixture(t *testing.T) string {
	t.Helper()
	dir := folder(t)
	key, err := os.ReadFile(filepath.Join(dir, "keys/sealing.key"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"keys/open.key": string(key), "keys/group.key": string(key), "keys/password": "topsecret\n", "keys/empty": "\n", "keys/lines": "a\nb\n",
		"keys/short.key":     keyPrefix + base64.StdEncoding.EncodeToString(make([]byte, 16)) + "\n",
		"keys/zero.key":      keyPrefix + base64.StdEncoding.EncodeToString(make([]byte, KeySize)) + "\n",
		"keys/several.key":   keyLine("") + "\n" + keyLine("") + "\n",
		"views/billing.yaml": "default: deny\n", "empty/readme": "", "tls/none.pem": "nothing\n",
	} {
		write(t, dir, name, text)
	}
	for name, mode := range map[string]os.FileMode{"keys/open.key": 0o604, "keys/group.key": 0o640} {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	certificate(t, dir, "tls/cert.pem", "tls/key.pem")
	certificate(t, dir, "tls/other-cert.pem", "tls/other.pem")
	return dir
}

// certificate writes a P-256 key and a certificate of it.
func certificate(t *testing.T, dir, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, certFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
	write(t, dir, keyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}
