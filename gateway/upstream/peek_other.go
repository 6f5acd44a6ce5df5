//go:build !unix

package upstream

import "net"

const canPeek = false

func newPeek(net.Conn) func() bool { return func() bool { return false } }
