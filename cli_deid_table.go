package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
)

// table is a hash table in a file without a name, which ends with the process: a run
// may meet more ids than memory should hold.
type table struct {
	file  *os.File
	slots int64 // a power of two
	used  int64
}

// pair is a slot: a key and a value of 16 bytes. An empty one is nothing but zeros.
type pair [32]byte

func newTable(slots int64) (*table, error) {
	f, err := os.CreateTemp("", "gatehouse-deid-")
	if err != nil {
		return nil, fmt.Errorf("keep random ids for the run: %w", err)
	}
	os.Remove(f.Name()) // where that cannot be, as on Windows, it stays: keyed hashes and random ids
	if err := f.Truncate(slots * int64(len(pair{}))); err != nil {
		f.Close()
		return nil, fmt.Errorf("keep random ids for the run: %w", err)
	}
	return &table{file: f, slots: slots}, nil
}

// keep gives the value that stands under a key, and puts one there where there is none.
func (t *table) keep(key, value [16]byte) ([]byte, error) {
	one, at, err := t.find(key)
	if err != nil {
		return nil, fmt.Errorf("read random ids of the run: %w", err)
	}
	if one != (pair{}) {
		return one[16:], nil
	}
	copy(one[:], key[:])
	copy(one[16:], value[:])
	if _, err := t.file.WriteAt(one[:], at); err != nil {
		return nil, fmt.Errorf("write random ids of the run: %w", err)
	}
	if t.used++; t.used*2 > t.slots {
		if err := t.grow(); err != nil {
			return nil, err
		}
	}
	return value[:], nil
}

// find is the slot of a key, or the empty one where it belongs.
func (t *table) find(key [16]byte) (one pair, at int64, err error) {
	for i := int64(binary.LittleEndian.Uint64(key[:]) >> 1); ; i++ { // keys are hashes
		at = i & (t.slots - 1) * int64(len(one))
		if _, err = t.file.ReadAt(one[:], at); err != nil || one == (pair{}) || [16]byte(one[:16]) == key {
			return one, at, err
		}
	}
}

func (t *table) grow() error {
	larger, err := newTable(2 * t.slots)
	if err != nil {
		return err
	}
	rows := io.NewSectionReader(t.file, 0, t.slots*int64(len(pair{})))
	for chunk := make([]byte, 64<<10); ; {
		n, err := io.ReadFull(rows, chunk)
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("read random ids of the run: %w", err)
		}
		for row := chunk[:n]; len(row) > 0; row = row[len(pair{}):] {
			one := pair(row)
			if one == (pair{}) {
				continue
			}
			_, at, err := larger.find([16]byte(one[:16]))
			if err == nil {
				_, err = larger.file.WriteAt(one[:], at)
			}
			if err != nil {
				return fmt.Errorf("write random ids of the run: %w", err)
			}
		}
	}
	larger.used = t.used
	t.file.Close()
	*t = *larger
	return nil
}
