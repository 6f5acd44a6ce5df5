package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// tiles reads and writes the tiles of C2SP tlog-tiles below a directory:
// tile/<L>/<N>[.p/<W>].
type tiles struct{ dir string }

func (t tiles) path(tile tlog.Tile) string {
	// The go.sum database names the height, which C2SP fixes at 8.
	return filepath.Join(t.dir, "tile", filepath.FromSlash(strings.TrimPrefix(tile.Path(), "tile/8/")))
}

// read gives the hashes of a tile. Where a partial tile has been filled since,
// the wider one holds them.
func (t tiles) read(tile tlog.Tile) ([]byte, error) {
	want := tile.W * tlog.HashSize
	b, err := os.ReadFile(t.path(tile))
	if errors.Is(err, fs.ErrNotExist) && tile.W < tileWidth {
		b, err = t.readWider(tile)
	}
	if err != nil {
		return nil, fmt.Errorf("read tile: %w", err)
	}
	if len(b) < want {
		return nil, fmt.Errorf("tile %s is shorter than it says", t.path(tile))
	}
	return b[:want], nil
}

func (t tiles) readWider(tile tlog.Tile) ([]byte, error) {
	full := tile
	full.W = tileWidth
	b, err := os.ReadFile(t.path(full))
	if !errors.Is(err, fs.ErrNotExist) {
		return b, err
	}
	partials, _ := os.ReadDir(t.path(full) + ".p")
	for _, e := range partials {
		if w, convErr := strconv.Atoi(e.Name()); convErr == nil && w > tile.W && w < tileWidth {
			full.W = w
			return os.ReadFile(t.path(full))
		}
	}
	return nil, err
}

// write stores a tile, unless it is there as it should be. The bytes of a tile
// never change, so a reader that knows of it reads it whole.
func (t tiles) write(tile tlog.Tile, data []byte) (written bool, err error) {
	path := t.path(tile)
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, data) {
		return false, nil
	}
	err = os.WriteFile(path, data, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
			err = os.WriteFile(path, data, 0o600)
		}
	}
	if err != nil {
		return false, fmt.Errorf("write tile: %w", err)
	}
	if tile.W == tileWidth {
		os.RemoveAll(path + ".p") // the full tile answers for them; if they stay, no harm
	}
	return true, nil
}

// load reads the right edge of a tree of the given size.
func (t tiles) load(size int64) (*tree, error) {
	tr := &tree{size: size}
	for level, n := 0, size; n > 0; level, n = level+1, n>>tileHeight {
		edge := make([]byte, 0, tileWidth*tlog.HashSize)
		if w := int(n % tileWidth); w > 0 {
			data, err := t.read(tlog.Tile{H: tileHeight, L: level, N: n >> tileHeight, W: w})
			if err != nil {
				return nil, err
			}
			edge = append(edge, data...)
		}
		tr.edge = append(tr.edge, edge)
	}
	return tr, nil
}

// hashes answers for any hash of a tree of the given size.
func (t tiles) hashes(size int64) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			tile := tlog.TileForIndex(tileHeight, x)
			// Ask for the tile as a tree of this size has it: narrower ones were
			// perhaps never published.
			if have := size>>(tileHeight*tile.L) - tile.N*tileWidth; have < tileWidth {
				tile.W = int(have)
			} else {
				tile.W = tileWidth
			}
			data, err := t.read(tile)
			if err != nil {
				return nil, err
			}
			if out[i], err = tlog.HashFromTile(tile, data, x); err != nil {
				return nil, fmt.Errorf("hash %d: %w", x, err)
			}
		}
		return out, nil
	})
}
