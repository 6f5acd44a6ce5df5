package sink

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/audit"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// witnessServer is a witness of C2SP tlog-witness out of golang.org/x/mod alone:
// it signs only what grew out of what it signed before.
type witnessServer struct {
	name, public string
	key          ed25519.PrivateKey
	log          note.Verifier
	size         int64
	root         tlog.Hash
}

func newWitness(t *testing.T, log note.Verifier) *witnessServer {
	w := &witnessServer{name: "witness.test/w", key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{5}, 32)), log: log}
	w.public = fmt.Sprintf("%s+%08x+%s", w.name, w.hash(), base64.StdEncoding.EncodeToString(w.typed()))
	return w
}

func (w *witnessServer) typed() []byte {
	return append([]byte{4}, w.key.Public().(ed25519.PublicKey)...)
}
func (w *witnessServer) hash() uint32 {
	sum := sha256.Sum256(append([]byte(w.name+"\n"), w.typed()...))
	return binary.BigEndian.Uint32(sum[:])
}

func (w *witnessServer) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	head, checkpoint, _ := strings.Cut(string(body), "\n\n")
	lines := strings.Split(head, "\n")
	old, err := strconv.ParseInt(strings.TrimPrefix(lines[0], "old "), 10, 64)
	n, noteErr := note.Open([]byte(checkpoint), note.VerifierList(w.log))
	if err != nil || noteErr != nil || r.URL.Path != "/add-checkpoint" {
		out.WriteHeader(http.StatusForbidden)
		return
	}
	said := strings.Split(n.Text, "\n")
	size, _ := strconv.ParseInt(said[1], 10, 64)
	root, _ := tlog.ParseHash(said[2])
	if old != w.size {
		out.WriteHeader(http.StatusConflict)
		fmt.Fprintln(out, w.size)
		return
	}
	var proof tlog.TreeProof
	for _, l := range lines[1:] {
		h, err := tlog.ParseHash(l)
		if err != nil {
			out.WriteHeader(http.StatusBadRequest)
			return
		}
		proof = append(proof, h)
	}
	if old > 0 && old < size && tlog.CheckTree(proof, size, root, old, w.root) != nil || old == size && root != w.root {
		out.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	w.size, w.root = size, root
	stamp := binary.BigEndian.AppendUint64(nil, 1700000000)
	sig := ed25519.Sign(w.key, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", 1700000000, n.Text))
	blob := append(binary.BigEndian.AppendUint32(nil, w.hash()), append(stamp, sig...)...)
	fmt.Fprintf(out, "— %s %s\n", w.name, base64.StdEncoding.EncodeToString(blob))
}

// TLOG-01: a third party signs each checkpoint after it has seen that it grew out
// of the last; what it signed is kept, and verifies.
func TestWitnessCosigns(t *testing.T) {
	dir, seed := t.TempDir(), bytes.Repeat([]byte{9}, 32)
	public, _ := audit.VerifierKey("gatehouse.test/audit", seed)
	v, err := note.NewVerifier(public)
	if err != nil {
		t.Fatal(err)
	}
	w := newWitness(t, v)
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	c := []config.Publish{{Type: "witness", URL: server.URL, PublicKey: w.public, Parsed: parsed(t, server.URL)},
		{Type: "file", Path: filepath.Join(t.TempDir(), "kept")}}
	p := &Publisher{}
	l, err := audit.Open(audit.Options{Dir: dir, Key: bytes.Repeat([]byte{7}, 32), Seed: seed, Origin: "gatehouse.test/audit", CheckpointEvery: time.Millisecond, Publish: p.Take})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if err := p.Open(c, dir, options(l, "")); err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		fill(t, l, round*300, round*300+300)
		awaited(t, "signed", func() bool { size, _ := audit.CheckpointSize(*p.latest.Load()); return size == l.Durable() })
		for _, a := range p.Anchors() {
			if !a.publish(context.Background(), p.latest.Load()) {
				t.Fatalf("%s: %v", a.Name, a.Trouble())
			}
		}
		if round == 1 { // the witness alone remembers
			os.Remove(CosignedPath(dir, &c[0]))
		}
	}
	cosigned, err := os.ReadFile(CosignedPath(dir, &c[0]))
	if err != nil {
		t.Fatal(err)
	}
	key, err := audit.ParseWitness(w.public)
	if err != nil {
		t.Fatal(err)
	}
	if at, size, err := key.Cosigned(cosigned); err != nil || size != l.Durable() || at.Unix() != 1700000000 {
		t.Errorf("cosigned %d records at %s: %v", size, at, err)
	}
	kept, _ := filepath.Glob(filepath.Join(c[1].Path, "*"))
	if len(kept) != 3 {
		t.Errorf("%d checkpoints are kept", len(kept))
	}
	first, _ := os.ReadFile(kept[0])
	if r, err := audit.Verify(dir, public, cosigned, first); err != nil || !r.OK() {
		t.Errorf("verify: %+v, %v", r, err)
	}
	w.size = l.Durable() + 5 // the log was put back from an older copy
	if a := p.Anchors()[0]; a.to.put(context.Background(), *p.latest.Load(), l.Durable()) == nil {
		t.Error("a witness that has signed more is not heard")
	}
	cosigned[len(cosigned)-10] ^= 1
	if _, _, err := key.Cosigned(cosigned); err == nil {
		t.Error("a changed cosignature passes")
	}
}

// A bucket gets each checkpoint by PUT, under its size; syslog as one message.
func TestCheckpointsArePut(t *testing.T) {
	got := map[string]string{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got[r.Method+" "+r.URL.Path] = string(b)
	}))
	t.Cleanup(server.Close)
	log := newSyslogServer(t).(*syslogServer)
	log.set(true)
	p := &Publisher{}
	err := p.Open([]config.Publish{{Type: "http", URL: server.URL + "/c/{size}", Parsed: parsed(t, server.URL)},
		{Type: "syslog", Address: "tls://" + log.addr, Parsed: parsed(t, "tls://"+log.addr), CAFile: log.ca}}, "", options(nil, ""))
	if err != nil {
		t.Fatal(err)
	}
	text := []byte("gatehouse.test/audit\n7\n" + base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\n\n— x AAAA\n")
	for _, a := range p.Anchors() {
		if !a.publish(context.Background(), &text) {
			t.Errorf("%s: %v", a.Name, a.Trouble())
		}
	}
	if got["PUT /c/0000000000000007"] != string(text) {
		t.Errorf("put %v", got)
	}
}
