//go:build !unix

package main

// noCore: there are no core dumps here.
func noCore() {}
