//go:build !linux

package main

import "net"

// ignoreNew does nothing here: a connection that comes in the instant before the listener closes is reset.
func ignoreNew(*net.TCPListener) {}

// queued is not known here.
func queued(*net.TCPListener) bool { return false }
