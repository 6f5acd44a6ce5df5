package audit

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"path/filepath"
	"slices"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Report is what Verify found.
type Report struct {
	Origin   string
	Size     int64 // records that the checkpoint signs
	Unsigned int64 // records on disk beyond it: younger than the checkpoint
	Expired  int64 // records that are there no more, as the log itself has signed

	// Integrity is nil when every record that is here is the one that was signed.
	Integrity error
	// Completeness is nil when every signed record is here and every checkpoint
	// given is of this very log. A log cut short and signed anew by whoever holds
	// the key is whole in itself: only a checkpoint kept elsewhere tells.
	Completeness error
	// FirstBad is the index of the first record that is changed or missing; -1 if
	// none is, or if it is not known which.
	FirstBad int64
}

// OK says that both verdicts are good.
func (r *Report) OK() bool { return r.Integrity == nil && r.Completeness == nil }

// Verify checks the log in dir with nothing but its public key (as VerifierKey
// prints it) and the checkpoints of it that were kept elsewhere. It needs no key
// that opens records, and runs beside a writer. The error says that it could not
// verify; what it found is in the report.
func Verify(dir, verifierKey string, kept ...[]byte) (Report, error) {
	v, err := note.NewVerifier(verifierKey)
	if err != nil {
		return Report{}, fmt.Errorf("audit verifier key: %w", err)
	}
	b, err := readCheckpoint(dir)
	if err != nil {
		return Report{}, err
	}
	if b == nil {
		return Report{}, fmt.Errorf("%s holds no checkpoint", dir)
	}
	run := &verification{dir: dir, tiles: tiles{dir}, hash: sha256.New(), report: Report{Origin: v.Name(), FirstBad: -1}}
	if run.signed, err = openCheckpoint(b, v); err != nil {
		run.report.Integrity = err
		return run.report, nil
	}
	run.report.Size = run.signed.Size
	if run.gone, err = expiredOf(dir, v.Name(), bySignature(v)); err != nil {
		run.report.Integrity = err
	}
	run.keep(kept, v)
	if err := run.data(); err != nil {
		return run.report, err
	}
	run.end()
	return run.report, nil
}

// verification is one run of Verify. It builds the tree from the data; where a
// record is missing or changed, from the leaf that the tiles hold, so that one
// bad record does not hide what comes after it.
type verification struct {
	dir    string
	tiles  tiles
	signed checkpoint
	kept   []checkpoint // sorted by size; those not yet passed
	tree   tree
	hash   hash.Hash
	report Report
	gone   Gaps
	until  int64 // up to where what is missing has expired

	leaves   []byte // the level 0 tile at hand
	leavesOf int64  // its number, plus one
	tileErr  error  // first tile that is not what the data makes it
}

// keep opens the checkpoints that were kept elsewhere.
func (v *verification) keep(kept [][]byte, key note.Verifier) {
	for _, b := range kept {
		c, err := openCheckpoint(b, key)
		switch {
		case err != nil:
			v.incomplete(-1, fmt.Errorf("a kept checkpoint is not of this log: %w", err))
		case c.Size > v.signed.Size:
			v.incomplete(v.signed.Size, fmt.Errorf("a kept checkpoint signs %d records, the log's own only %d: the log was cut short", c.Size, v.signed.Size))
		default:
			v.kept = append(v.kept, c)
		}
	}
	v.kept = append(v.kept, v.signed)
	slices.SortStableFunc(v.kept, func(a, b checkpoint) int { return cmp.Compare(a.Size, b.Size) })
	v.compare()
}

func (v *verification) incomplete(index int64, err error) {
	v.report.Completeness = cmp.Or(v.report.Completeness, err)
	v.bad(index)
}

func (v *verification) broken(index int64, err error) {
	v.report.Integrity = cmp.Or(v.report.Integrity, err)
	v.bad(index)
}

func (v *verification) bad(index int64) {
	if index >= 0 && (v.report.FirstBad < 0 || index < v.report.FirstBad) {
		v.report.FirstBad = index
	}
}

// data reads every segment up to the size that is signed.
func (v *verification) data() error {
	numbers, err := numbered(filepath.Join(v.dir, "segments"), ".log")
	if err != nil {
		return err
	}
	for i, n := range numbers {
		if err := v.segment(n, i == len(numbers)-1); err != nil {
			return err
		}
	}
	v.missing(v.signed.Size)
	return nil
}

func (v *verification) segment(number uint64, last bool) error {
	s, err := openSegment(segmentPath(v.dir, number))
	if errors.Is(err, errTorn) {
		if !last {
			v.broken(v.tree.size, err)
		}
		return nil // what it held is found missing
	}
	if err != nil {
		return err
	}
	defer s.close()
	for {
		b, err := s.next()
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, errTorn) && last && v.tree.size >= v.signed.Size:
			return nil
		case errors.Is(err, errTorn):
			v.broken(v.tree.size, fmt.Errorf("segment %s is damaged after byte %d", s.path, s.offset))
			return nil
		case err != nil:
			return err
		}
		if err := b.each(v.record); err != nil {
			v.broken(v.tree.size, err)
		}
	}
}

// record takes one record off the disk.
func (v *verification) record(index int64, stored []byte) error {
	if index >= v.signed.Size {
		v.report.Unsigned++
		return nil
	}
	if index < v.tree.size {
		return fmt.Errorf("record %d comes again, or late, where record %d belongs", index, v.tree.size)
	}
	v.missing(index)
	var leaf tlog.Hash
	v.hash.Reset()
	v.hash.Write([]byte{0})
	v.hash.Write(stored)
	v.hash.Sum(leaf[:0])
	if want, ok := v.leaf(index); ok && want != leaf {
		v.broken(index, fmt.Errorf("record %d is not the one that was signed", index))
		leaf = want
	}
	v.grow(leaf)
	return nil
}

// missing bridges the records up to index with what the tiles hold of them.
func (v *verification) missing(index int64) {
	for v.tree.size < index {
		leaf, ok := v.leaf(v.tree.size)
		if v.until <= v.tree.size {
			v.until = v.gone.past(v.tree.size)
		}
		switch {
		case v.until <= v.tree.size:
			v.incomplete(v.tree.size, fmt.Errorf("record %d is missing", v.tree.size))
		case !ok:
			v.broken(v.tree.size, fmt.Errorf("record %d has expired, and its hash is missing", v.tree.size))
		default:
			v.report.Expired++
		}
		v.grow(leaf)
	}
}

// leaf is the hash that the tiles hold of a record.
func (v *verification) leaf(index int64) (h tlog.Hash, ok bool) {
	n := index / tileWidth
	if v.leavesOf != n+1 {
		tile := tlog.Tile{H: tileHeight, L: 0, N: n, W: int(min(v.signed.Size-n*tileWidth, tileWidth))}
		data, err := v.tiles.read(tile)
		if err != nil {
			v.tileErr = cmp.Or(v.tileErr, err)
		}
		v.leaves, v.leavesOf = data, n+1
	}
	at := int(index%tileWidth) * tlog.HashSize
	if len(v.leaves) < at+tlog.HashSize {
		return h, false
	}
	copy(h[:], v.leaves[at:])
	return h, true
}

func (v *verification) grow(leaf tlog.Hash) {
	v.tree.add(leaf, v.checkTile)
	v.compare()
}

// checkTile compares a tile above the leaves with what is on disk.
func (v *verification) checkTile(tile tlog.Tile, want []byte) {
	if tile.L == 0 {
		return // compared leaf by leaf
	}
	data, err := v.tiles.read(tile)
	if err == nil && !bytes.Equal(data, want) {
		err = fmt.Errorf("tile %s is not the one that was signed", v.tiles.path(tile))
	}
	v.tileErr = cmp.Or(v.tileErr, err)
}

// compare holds the tree against every checkpoint of its size.
func (v *verification) compare() {
	for len(v.kept) > 0 && v.kept[0].Size == v.tree.size {
		c := v.kept[0]
		v.kept = v.kept[1:]
		root, err := v.tree.root()
		if err == nil && root == c.Root {
			continue
		}
		err = fmt.Errorf("the first %d records are not those that the checkpoint signs", c.Size)
		v.report.Integrity = cmp.Or(v.report.Integrity, err)
		if c != v.signed {
			v.report.Completeness = cmp.Or(v.report.Completeness, fmt.Errorf("a kept checkpoint does not fit: %w", err))
		}
	}
}

// end compares the unfilled tiles and settles what a wrong root leaves open.
func (v *verification) end() {
	for tile, data := range v.tree.partial() {
		v.checkTile(tile, data)
	}
	if v.tileErr != nil {
		v.report.Integrity = cmp.Or(v.report.Integrity, v.tileErr)
	}
}
