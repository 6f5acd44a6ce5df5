package audit

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
)

// tree is the right edge of the Merkle tree, which is all that appending and
// signing need: for each level of tiles the hashes of its last, unfilled tile.
type tree struct {
	size int64
	edge [][]byte
}

// add appends a leaf and hands every tile that it fills to full; data is
// valid during the call.
func (t *tree) add(leaf tlog.Hash, full func(tile tlog.Tile, data []byte)) {
	n := t.size
	t.size++
	for level, h := 0, leaf; ; level++ {
		if level == len(t.edge) {
			t.edge = append(t.edge, make([]byte, 0, tileWidth*tlog.HashSize))
		}
		t.edge[level] = append(t.edge[level], h[:]...)
		n >>= tileHeight
		data := t.edge[level]
		if len(data) < tileWidth*tlog.HashSize {
			return
		}
		full(tlog.Tile{H: tileHeight, L: level, N: n, W: tileWidth}, data)
		h = tileRoot(data)
		t.edge[level] = data[:0]
	}
}

// tileRoot is the hash over a full tile.
func tileRoot(data []byte) tlog.Hash {
	var hashes [tileWidth]tlog.Hash
	for i := range hashes {
		copy(hashes[i][:], data[i*tlog.HashSize:])
	}
	for n := tileWidth; n > 1; n /= 2 {
		for i := range n / 2 {
			hashes[i] = tlog.NodeHash(hashes[2*i], hashes[2*i+1])
		}
	}
	return hashes[0]
}

// root is the head of the tree as it stands.
func (t *tree) root() (tlog.Hash, error) { return tlog.TreeHash(t.size, tlog.HashReaderFunc(t.read)) }

// read answers for the hashes on the right edge.
func (t *tree) read(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		tile := tlog.TileForIndex(tileHeight, x)
		if tile.L >= len(t.edge) || tile.W*tlog.HashSize > len(t.edge[tile.L]) || tile.N != t.size>>(tileHeight*(tile.L+1)) {
			return nil, fmt.Errorf("hash %d is not on the right edge of a tree of %d", x, t.size)
		}
		h, err := tlog.HashFromTile(tile, t.edge[tile.L][:tile.W*tlog.HashSize], x)
		if err != nil {
			return nil, fmt.Errorf("hash %d: %w", x, err)
		}
		hashes[i] = h
	}
	return hashes, nil
}

// partial are the unfilled tiles of the tree.
func (t *tree) partial() map[tlog.Tile][]byte {
	tiles := make(map[tlog.Tile][]byte)
	for level, data := range t.edge {
		if len(data) > 0 {
			n := t.size >> (tileHeight * (level + 1))
			tiles[tlog.Tile{H: tileHeight, L: level, N: n, W: len(data) / tlog.HashSize}] = data
		}
	}
	return tiles
}
