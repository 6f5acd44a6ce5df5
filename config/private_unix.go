//go:build unix

package config

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// private refuses a secret that others can read or replace. A file of root's
// may be readable by a group when the gateway is not root: so does Kubernetes
// hand a secret to a process without rights (PostgreSQL has the same rule).
func private(info fs.FileInfo) error {
	mode, owner := info.Mode().Perm(), -1
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		owner = int(stat.Uid)
	}
	switch {
	case owner == os.Geteuid() && mode&0o077 != 0:
		return errors.New("can be read by others; run chmod 600 on it")
	case owner == os.Geteuid():
		return nil
	case owner != 0:
		return errors.New("belongs to another user; it must belong to the gateway's user or to root")
	case mode&0o027 != 0:
		return errors.New("can be read by others; run chmod 640 on it")
	}
	return nil
}

// own gives a file the owner of another.
func own(f *os.File, like fs.FileInfo) error {
	stat, ok := like.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) == os.Geteuid() && int(stat.Gid) == os.Getegid() {
		return nil
	}
	return f.Chown(int(stat.Uid), int(stat.Gid))
}
