//go:build !linux

package audit

import (
	"fmt"
	"os"
)

func datasync(f *os.File) error { return f.Sync() }

// lock only marks the directory here: elsewhere than on Linux, running one
// process for each log is the operator's care.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	return f, nil
}
