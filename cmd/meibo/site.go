package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

const (
	// lastCall is how long connections may still come in that clients had begun before the site refused new ones.
	lastCall = 100 * time.Millisecond
	// lastWord is how long a client that holds a connection may take to use it once more: only an answer can tell
	// it to close. Whoever is silent for longer than that at the end finds its connection closed.
	lastWord = time.Second
	// leavingTick is how often a leaving site looks who is still there.
	leavingTick = 10 * time.Millisecond
)

// site is one address that is served. It leaves without dropping a request:
//
//	refuse   nobody new; who has a connection is served, even if nobody has accepted it yet
//	settle   each answer says close; wait until no client has anything more to say
//	close    the connections that are left, all of them silent
type site struct {
	http     *http.Server
	listener *listener
	clients  clients
	served   chan struct{} // closed when no more connections come in; nil until it is served
}

// newSite takes an address. Connections queue until serve.
func newSite(ctx context.Context, address string, h http.Handler, log *zap.Logger) (*site, error) {
	var config net.ListenConfig
	config.SetMultipathTCP(false) // its sockets take no packet filter
	l, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	s := &site{listener: &listener{TCPListener: l.(*net.TCPListener)}, clients: clients{since: map[net.Conn]time.Time{}}}
	s.http = &http.Server{
		Handler: h, ReadHeaderTimeout: readHeaderTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderBytes, DisableGeneralOptionsHandler: true, // which would answer anybody 200
		ErrorLog: zap.NewStdLog(log.Named("http")), ConnState: s.clients.observe,
	}
	return s, nil
}

// serve takes requests until refuse, when it returns nil, or until the address fails.
func (s *site) serve() error {
	defer close(s.served)
	err := s.http.Serve(s.listener)
	if s.listener.refusing.Load() {
		return nil
	}
	return err
}

// leave ends the site and returns when all requests are answered, at the latest when ctx ends: the rest is broken off.
func (s *site) leave(ctx context.Context) error {
	if s.served == nil {
		return s.listener.Close()
	}
	s.settle(ctx)
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("requests were broken off after shutdown_timeout: %w", err), s.http.Close())
	}
	return nil
}

// settle waits for the clients' last words.
func (s *site) settle(ctx context.Context) {
	s.listener.refuse()
	select {
	case <-s.served:
	case <-ctx.Done():
		return
	}
	began, word := time.Now(), lastWordWithin(ctx)
	tick := time.NewTicker(leavingTick)
	defer tick.Stop()
	for !s.clients.silent(word, began, time.Now()) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// lastWordWithin is lastWord, or half of the time that is left: what comes after the sites needs some, too.
func lastWordWithin(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return lastWord
	}
	return min(lastWord, time.Until(deadline)/2)
}

// clients knows since when each connection has been idle.
type clients struct {
	mu    sync.Mutex
	since map[net.Conn]time.Time // zero while a request is under way
}

// observe is an http.Server's ConnState.
func (c *clients) observe(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew, http.StateIdle:
		c.since[conn] = time.Now()
	case http.StateActive:
		c.since[conn] = time.Time{}
	case http.StateClosed, http.StateHijacked:
		delete(c.since, conn)
	}
}

// silent reports whether every connection has been idle for so long, counted from began at the earliest.
func (c *clients) silent(long time.Duration, began, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, since := range c.since {
		if since.IsZero() || now.Sub(since) < long || now.Sub(began) < long {
			return false
		}
	}
	return true
}

// listener is a TCP listener that can refuse new connections without breaking off those that clients have already: the
// kernel completes connections before a program accepts them, and resets what waits when the listener closes.
type listener struct {
	*net.TCPListener
	refusing atomic.Bool
}

// refuse has Accept end once it has handed out every connection that there is.
func (l *listener) refuse() {
	if l.refusing.Swap(true) {
		return
	}
	ignoreNew(l.TCPListener)
	_ = l.SetDeadline(time.Now().Add(lastCall)) // fails only when it is closed, and then Accept has ended
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.TCPListener.Accept()
		if err == nil || !l.refusing.Load() || !errors.Is(err, os.ErrDeadlineExceeded) {
			return conn, err
		}
		if !queued(l.TCPListener) {
			return nil, net.ErrClosed
		}
		if err := l.SetDeadline(time.Now().Add(lastCall)); err != nil {
			return nil, err
		}
	}
}
