package main

import (
	"net"

	"golang.org/x/sys/unix"
)

// onlyBegun is a packet filter (BPF) that drops whatever begins a TCP connection: SYN without ACK in the flags, which are
// byte 13 of the header (RFC 9293 §3.1). A handshake under way gets on.
var onlyBegun = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 13},
	{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: 0x12},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 0x02, Jf: 1},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0xffffffff},
}

// ignoreNew has the kernel pass over new connections, so that the queue of those that wait to be accepted comes to an
// end. A client that comes now asks again after a second, finds the listener closed and is refused. Where the kernel
// knows no filters, what comes in the instant before the close is reset.
func ignoreNew(l *net.TCPListener) {
	onSocket(l, func(fd int) {
		_ = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: uint16(len(onlyBegun)), Filter: &onlyBegun[0]})
	})
}

// queued reports whether a connection waits to be accepted.
func queued(l *net.TCPListener) (waits bool) {
	onSocket(l, func(fd int) {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(poll, 0)
		waits = err == nil && n > 0
	})
	return waits
}

func onSocket(l *net.TCPListener, fn func(fd int)) {
	raw, err := l.SyscallConn()
	if err == nil {
		_ = raw.Control(func(fd uintptr) { fn(int(fd)) }) // fails for a listener that is closed
	}
}
