//go:build unix

package upstream

import (
	"net"
	"syscall"
)

const canPeek = true

// newPeek gives what tells whether nothing has come on a connection that is
// idle: neither its end nor bytes that nobody asked for.
func newPeek(c net.Conn) func() bool {
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return func() bool { return false }
	}
	var one [1]byte
	empty := false
	read := func(fd uintptr) bool {
		n, err := syscall.Read(int(fd), one[:])
		empty = n < 0 && (err == syscall.EAGAIN || err == syscall.EWOULDBLOCK)
		return true // it does not wait
	}
	return func() bool { return raw.Read(read) == nil && empty }
}
