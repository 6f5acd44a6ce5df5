package audit

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// checkpoint is a signed tree head (C2SP tlog-checkpoint): the origin, the size
// and the root hash, in a signed note.
type checkpoint struct {
	Origin string
	Size   int64
	Root   tlog.Hash
}

func (c checkpoint) text() string { return fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, c.Root) }

func (c checkpoint) sign(s note.Signer) ([]byte, error) {
	b, err := note.Sign(&note.Note{Text: c.text()}, s)
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	return b, nil
}

// openCheckpoint checks the signature and reads the tree head.
func openCheckpoint(b []byte, v note.Verifier) (checkpoint, error) {
	n, err := note.Open(b, note.VerifierList(v))
	if err != nil {
		return checkpoint{}, fmt.Errorf("checkpoint: %w", err)
	}
	c, err := parseCheckpoint(n.Text)
	if err != nil {
		return checkpoint{}, err
	}
	if c.Origin != v.Name() {
		return checkpoint{}, fmt.Errorf("checkpoint is of the log %q, not of %q", c.Origin, v.Name())
	}
	return c, nil
}

var errCheckpoint = errors.New("checkpoint does not read as one")

func parseCheckpoint(text string) (checkpoint, error) {
	lines := strings.SplitN(text, "\n", 4)
	if len(lines) < 4 {
		return checkpoint{}, errCheckpoint
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return checkpoint{}, errCheckpoint
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return checkpoint{}, errCheckpoint
	}
	return checkpoint{Origin: lines[0], Size: size, Root: root}, nil
}

// VerifierKey is the public key of a log as signed notes write it,
// "<origin>+<hash>+<key>": all that verifying needs.
func VerifierKey(origin string, seed []byte) (string, error) {
	if len(seed) != ed25519.SeedSize {
		return "", fmt.Errorf("audit signing key: %d bytes, want %d", len(seed), ed25519.SeedSize)
	}
	if origin == "" || strings.ContainsAny(origin, " +\t\r\n") {
		return "", fmt.Errorf("audit log origin %q: must not be empty nor hold spaces or a plus", origin)
	}
	key, err := note.NewEd25519VerifierKey(origin, ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey))
	if err != nil {
		return "", fmt.Errorf("audit verifier key: %w", err)
	}
	return key, nil
}

// newSigner gives the signer of a log. Signed notes write a private key like the
// public one, with the seed in place of the key.
func newSigner(origin string, seed []byte) (note.Signer, note.Verifier, error) {
	public, err := VerifierKey(origin, seed)
	if err != nil {
		return nil, nil, err
	}
	v, err := note.NewVerifier(public)
	if err != nil {
		return nil, nil, fmt.Errorf("audit verifier key: %w", err)
	}
	const ed25519Algorithm = 1
	private := base64.StdEncoding.EncodeToString(append([]byte{ed25519Algorithm}, seed...))
	s, err := note.NewSigner(fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", origin, v.KeyHash(), private))
	if err != nil {
		return nil, nil, fmt.Errorf("audit signing key: %w", err)
	}
	return s, v, nil
}
