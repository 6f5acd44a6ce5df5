package audit

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Witness is the public key of a witness (C2SP tlog-witness), "<name>+<hash>+<key>"
// of the type cosignature/v1. It is a note.Verifier.
type Witness struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

const cosignatureAlgorithm = 4

// ParseWitness reads a witness's public key.
func ParseWitness(text string) (*Witness, error) {
	wrong := errors.New("is no public key of a witness; write NAME+HASH+KEY as the witness gives it")
	name, rest, ok := strings.Cut(text, "+")
	hash, encoded, ok2 := strings.Cut(rest, "+")
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || !ok2 || name == "" || err != nil || len(key) != 1+ed25519.PublicKeySize || key[0] != cosignatureAlgorithm {
		return nil, wrong
	}
	sum := sha256.Sum256(append([]byte(name+"\n"), key...))
	w := &Witness{name, binary.BigEndian.Uint32(sum[:]), key[1:]}
	if fmt.Sprintf("%08x", w.hash) != hash {
		return nil, wrong
	}
	return w, nil
}

// Name is that of the witness.
func (w *Witness) Name() string { return w.name }

// KeyHash tells its signatures from those of others.
func (w *Witness) KeyHash() uint32 { return w.hash }

// Verify checks a cosignature: when it was made, and the signature over that and
// the checkpoint.
func (w *Witness) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	signed := fmt.Appendf(nil, "cosignature/v1\ntime %d\n", binary.BigEndian.Uint64(sig))
	return ed25519.Verify(w.key, append(signed, msg...), sig[8:])
}

// Cosigned is when the witness signed a checkpoint, of how many records; an error
// where it did not.
func (w *Witness) Cosigned(checkpoint []byte) (at time.Time, size int64, err error) {
	n, err := note.Open(checkpoint, note.VerifierList(w))
	if err != nil {
		return at, 0, fmt.Errorf("cosignature of %s: %w", w.name, err)
	}
	c, err := parseCheckpoint(n.Text)
	if err != nil {
		return at, 0, err
	}
	sig, err := base64.StdEncoding.DecodeString(n.Sigs[0].Base64)
	if err != nil || len(sig) < 12 {
		return at, 0, errCheckpoint
	}
	return time.Unix(int64(binary.BigEndian.Uint64(sig[4:])), 0).UTC(), c.Size, nil
}

// CheckpointSize is how many records a checkpoint signs. Its signature is not
// checked.
func CheckpointSize(b []byte) (int64, error) {
	text, _, ok := strings.Cut(string(b), "\n\n")
	if !ok {
		return 0, errCheckpoint
	}
	c, err := parseCheckpoint(text + "\n")
	return c.Size, err
}

// ProveGrowth makes the proof that the first size records of the log in dir grew
// out of its first old; tlog.CheckTree checks it against two checkpoints.
func ProveGrowth(dir string, old, size int64) (tlog.TreeProof, error) {
	if old == 0 || old == size {
		return nil, nil
	}
	p, err := tlog.ProveTree(size, old, tiles{dir}.hashes(size))
	if err != nil {
		return nil, fmt.Errorf("prove that %d records grew out of %d: %w", size, old, err)
	}
	return p, nil
}
