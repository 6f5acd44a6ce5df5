//go:build unix

package main

import "syscall"

// noCore keeps memory, and with it keys and records, out of core dumps (G-05).
// Where the limit cannot be set the system allowed none, so nothing is lost.
func noCore() { _ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}) }
