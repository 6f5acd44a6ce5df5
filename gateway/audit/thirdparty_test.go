package audit_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"gatehouse/gateway/audit"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// TLOG-02: what follows uses golang.org/x/mod and the C2SP specifications, and
// nothing of ours but Open, Append and the proofs under test.

// thirdParty reads tiles as tlog-tiles lays them out.
type thirdParty struct{ dir string }

func (thirdParty) Height() int                     { return 8 }
func (thirdParty) SaveTiles([]tlog.Tile, [][]byte) {}
func (p thirdParty) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var out [][]byte
	for _, t := range tiles {
		n, path := t.N, fmt.Sprintf("%03d", t.N%1000)
		for n >= 1000 {
			n /= 1000
			path = fmt.Sprintf("x%03d/%s", n%1000, path)
		}
		path = filepath.Join(p.dir, "tile", strconv.Itoa(t.L), path)
		b, err := os.ReadFile(path)
		if t.W < 256 {
			if b, err = os.ReadFile(fmt.Sprintf("%s.p/%d", path, t.W)); err != nil {
				b, err = os.ReadFile(path) // filled since
			}
		}
		if err != nil {
			return nil, err
		}
		out = append(out, b[:t.W*32])
	}
	return out, nil
}

func readTree(t *testing.T, msg []byte, v note.Verifier) tlog.Tree {
	t.Helper()
	n, err := note.Open(msg, note.VerifierList(v))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(n.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || lines[0] != v.Name() {
		t.Fatalf("checkpoint %q: %v", n.Text, err)
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		t.Fatal(err)
	}
	return tlog.Tree{N: size, Hash: root}
}

func TestThirdPartyVerifiesTheLog(t *testing.T) {
	dir, seed := t.TempDir(), make([]byte, 32)
	seed[0] = 1
	const origin = "log.example.org/audit"
	public := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	key, err := note.NewEd25519VerifierKey(origin, public)
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(key)
	if err != nil {
		t.Fatal(err)
	}
	if ours, err := audit.VerifierKey(origin, seed); err != nil || ours != key {
		t.Fatalf("VerifierKey = %s, %v; want %s", ours, err, key)
	}

	var checkpoints [][]byte
	for _, n := range []int{3, 300, 70000} {
		l, err := audit.Open(audit.Options{Dir: dir, Key: make([]byte, 32), Seed: seed, Origin: origin,
			Publish: func(b []byte) error { checkpoints = append(checkpoints, b); return nil }})
		if err != nil {
			t.Fatal(err)
		}
		var p *audit.Pending
		for i := range n {
			p = l.Append(&audit.Record{Request: strconv.Itoa(i)})
		}
		if err := p.Wait(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	last := readTree(t, checkpoints[len(checkpoints)-1], v)
	hashes := tlog.TileHashReader(last, thirdParty{dir})

	for _, index := range []int64{0, 1, 255, 256, 302, 65535, 65536, last.N - 1} {
		p, err := audit.Prove(dir, index)
		if err != nil {
			t.Fatal(err)
		}
		if err := tlog.CheckRecord(p.Hashes, last.N, last.Hash, index, tlog.RecordHash(p.Stored)); err != nil {
			t.Errorf("record %d: %v", index, err)
		}
		own, err := tlog.ProveRecord(last.N, index, hashes)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(own) != fmt.Sprint(tlog.RecordProof(p.Hashes)) {
			t.Errorf("record %d: another proof from the same tiles", index)
		}
		if err := p.Check(key); err != nil {
			t.Error(err)
		}
		p.Stored[30] ^= 1
		if p.Check(key) == nil {
			t.Errorf("record %d: a changed record passes", index)
		}
		if text := string(p.Marshal()); !strings.HasPrefix(text, "c2sp.org/tlog-proof@v1\nindex ") || !strings.HasSuffix(text, string(p.Checkpoint)) {
			t.Errorf("proof reads %q", text)
		}
	}
	for _, b := range checkpoints {
		older := readTree(t, b, v)
		if older.N == 0 {
			continue
		}
		p, err := audit.ProveConsistent(dir, older.N)
		if err != nil {
			t.Fatal(err)
		}
		if err := tlog.CheckTree(p, last.N, last.Hash, older.N, older.Hash); err != nil {
			t.Errorf("%d records did not grow out of %d: %v", last.N, older.N, err)
		}
	}
	if r, err := audit.Verify(dir, key, checkpoints...); err != nil || !r.OK() {
		t.Errorf("Verify = %+v, %v", r, err)
	}
}
