package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/gateway/audit"
)

// witnessed is the key of a witness, as it gives it, and its cosignature of a
// checkpoint (C2SP tlog-cosignature), made by hand.
func witnessed(name string, seed byte, checkpoint []byte) (public, signed string) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, 32))
	typed := append([]byte{4}, key.Public().(ed25519.PublicKey)...)
	sum := sha256.Sum256(append([]byte(name+"\n"), typed...))
	text, _, _ := strings.Cut(string(checkpoint), "\n\n")
	at := binary.BigEndian.AppendUint64(nil, 1_790_000_000)
	sig := ed25519.Sign(key, []byte("cosignature/v1\ntime 1790000000\n"+text+"\n"))
	line := base64.StdEncoding.EncodeToString(bytes.Join([][]byte{sum[:4], at, sig}, nil))
	return fmt.Sprintf("%s+%x+%s", name, sum[:4], base64.StdEncoding.EncodeToString(typed)), string(checkpoint) + "\u2014 " + name + " " + line + "\n"
}

// U-07: a kept checkpoint counts as a witness's only by the witness's signature
// over just that.
func TestAuditVerifyByWitness(t *testing.T) {
	dir, seed := t.TempDir(), bytes.Repeat([]byte{9}, 32)
	l, err := audit.Open(audit.Options{Dir: filepath.Join(dir, "log"), Key: bytes.Repeat([]byte{7}, 32), Seed: seed, Origin: "gatehouse.test/audit"})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Append(&audit.Record{Request: "r"}).Wait(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	checkpoint, err := os.ReadFile(filepath.Join(dir, "log", "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	log, err := audit.VerifierKey("gatehouse.test/audit", seed)
	if err != nil {
		t.Fatal(err)
	}
	public, signed := witnessed("witness.test/w", 5, checkpoint)
	other, _ := witnessed("witness.test/other", 6, checkpoint)
	kept := map[string]string{"signed": signed, "plain": string(checkpoint), "altered": strings.Replace(signed, "\n2\n", "\n3\n", 1)}
	for name, text := range kept {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args []string
		want string // in the output; "": refused
	}{
		{[]string{"--witness", public, "--checkpoint", filepath.Join(dir, "signed")}, "witness.test/w signed 2 records at 2026-09-21"},
		{[]string{"--witness", public, "--checkpoint", filepath.Join(dir, "plain")}, ""},
		{[]string{"--witness", public, "--checkpoint", filepath.Join(dir, "altered")}, ""},
		{[]string{"--witness", other, "--checkpoint", filepath.Join(dir, "signed")}, ""},
		{[]string{"--witness", public}, ""},
		{[]string{"--witness", "none", "--checkpoint", filepath.Join(dir, "signed")}, ""},
	} {
		var out bytes.Buffer
		v := auditVerify()
		v.SetOut(&out)
		v.SetErr(&out)
		v.SetArgs(append([]string{"--dir", filepath.Join(dir, "log"), "--public-key", log}, c.args...))
		if err := v.Execute(); (err == nil) != (c.want != "") || !strings.Contains(out.String(), c.want) {
			t.Errorf("%v: %v\n%s", c.args, err, out.String())
		}
	}
}
