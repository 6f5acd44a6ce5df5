//go:build unix

package main

import (
	"syscall"
	"testing"
)

// G-05: no memory, and so no key and no record, ends in a core dump.
func TestNoCore(t *testing.T) {
	noCore()
	var got syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_CORE, &got); err != nil || got != (syscall.Rlimit{}) {
		t.Errorf("got %+v, %v", got, err)
	}
}
