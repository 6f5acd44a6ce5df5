package audit

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Proof shows offline that one stored record is in the log.
type Proof struct {
	Index      int64
	Stored     []byte // the leaf's bytes: the record, sealed
	Hashes     []tlog.Hash
	Checkpoint []byte
}

// Prove makes the proof that the record at index is in the log in dir, under its
// present checkpoint. It needs no key.
func Prove(dir string, index int64) (Proof, error) {
	b, c, err := unverified(dir)
	if err != nil {
		return Proof{}, err
	}
	if index < 0 || index >= c.Size {
		return Proof{}, fmt.Errorf("record %d is not among the %d that the checkpoint signs", index, c.Size)
	}
	stored, err := storedRecord(dir, index)
	if err != nil {
		return Proof{}, err
	}
	hashes, err := tlog.ProveRecord(c.Size, index, tiles{dir}.hashes(c.Size))
	if err != nil {
		return Proof{}, fmt.Errorf("prove record %d: %w", index, err)
	}
	return Proof{Index: index, Stored: stored, Hashes: hashes, Checkpoint: b}, nil
}

// Marshal writes the proof as C2SP tlog-proof has it; the record itself goes
// beside it.
func (p Proof) Marshal() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "c2sp.org/tlog-proof@v1\nindex %d\n", p.Index)
	for _, h := range p.Hashes {
		fmt.Fprintf(&b, "%s\n", h)
	}
	fmt.Fprintf(&b, "\n%s", p.Checkpoint)
	return b.Bytes()
}

// Check checks the proof with the log's public key alone.
func (p Proof) Check(verifierKey string) error {
	v, err := note.NewVerifier(verifierKey)
	if err != nil {
		return fmt.Errorf("audit verifier key: %w", err)
	}
	c, err := openCheckpoint(p.Checkpoint, v)
	if err != nil {
		return err
	}
	if err := tlog.CheckRecord(p.Hashes, c.Size, c.Root, p.Index, leafHash(p.Stored)); err != nil {
		return fmt.Errorf("record %d: %w", p.Index, err)
	}
	return nil
}

// ProveConsistent makes the proof that the first n records of the log in dir,
// as an older checkpoint signed them, are still its first n;
// tlog.CheckTree checks it against the two checkpoints.
func ProveConsistent(dir string, n int64) (tlog.TreeProof, error) {
	_, c, err := unverified(dir)
	if err != nil {
		return nil, err
	}
	p, err := tlog.ProveTree(c.Size, n, tiles{dir}.hashes(c.Size))
	if err != nil {
		return nil, fmt.Errorf("prove that %d records grew out of %d: %w", c.Size, n, err)
	}
	return p, nil
}

// unverified reads the checkpoint of a log for making proofs, which whoever gets
// them checks.
func unverified(dir string) ([]byte, checkpoint, error) {
	b, err := readCheckpoint(dir)
	if err != nil {
		return nil, checkpoint{}, err
	}
	c, err := parseCheckpoint(string(b))
	if err != nil {
		return nil, checkpoint{}, fmt.Errorf("%s: %w", dir, err)
	}
	return b, c, nil
}

// storedRecord finds the bytes of one record.
func storedRecord(dir string, index int64) (found []byte, err error) {
	numbers, err := numbered(filepath.Join(dir, "segments"), ".log")
	if err != nil {
		return nil, err
	}
	for i := len(numbers) - 1; i >= 0 && found == nil; i-- {
		s, err := openSegment(segmentPath(dir, numbers[i]))
		if errors.Is(err, errTorn) {
			continue // being made
		}
		if err != nil {
			return nil, err
		}
		if s.First <= index {
			found = s.find(index)
		}
		s.close()
	}
	if found == nil {
		gone, err := expiredOf(dir, "", unproven)
		if err == nil && Gaps(gone).past(index) > index {
			return nil, fmt.Errorf("record %d has expired", index)
		}
		return nil, fmt.Errorf("record %d is missing", index)
	}
	return found, nil
}

func (s *segment) find(index int64) (found []byte) {
	for {
		b, err := s.next()
		if err != nil || b.First > index {
			return nil
		}
		b.each(func(i int64, stored []byte) error {
			if i == index {
				found = bytes.Clone(stored)
			}
			return nil
		})
		if found != nil {
			return found
		}
	}
}
