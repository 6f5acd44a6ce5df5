package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// KeyFiles checks that each segment in dir has its key file, and, with the audit
// key, that it opens: without it no record of the segment can be read, though all
// of them verify. The count is that of the segments.
func KeyFiles(dir string, key []byte) (segments int, err error) {
	numbers, err := numbered(filepath.Join(dir, "segments"), ".log")
	if err != nil {
		return 0, err
	}
	for _, n := range numbers {
		if err := checkKeyFile(dir, key, n); err != nil {
			return len(numbers), err
		}
	}
	return len(numbers), nil
}

func checkKeyFile(dir string, key []byte, number uint64) error {
	_, err := os.Stat(keyPath(dir, number))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is missing: what segment %d holds cannot be read", keyPath(dir, number), number)
	}
	if err == nil && key != nil {
		_, err = loadSecrets(dir, key, number)
	}
	return err
}
