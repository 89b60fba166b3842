package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
)

// visit is a site whose handler answers as the front does, and its clients.
type visit struct {
	t       *testing.T
	site    *site
	leaving atomic.Bool
	ended   chan error
}

func newVisit(t *testing.T, serve bool) *visit {
	t.Helper()
	v := &visit{t: t, ended: make(chan error, 1)}
	var err error
	f := &front{leaving: v.leaving.Load}
	if v.site, err = newSite(t.Context(), "127.0.0.1:0", f, zap.NewNop()); err != nil {
		t.Fatal(err)
	}
	if serve {
		v.serve()
	}
	return v
}

func (v *visit) serve() {
	v.site.served = make(chan struct{})
	go func() { v.ended <- v.site.serve() }()
}

// leave begins to end the site; the channel has the result.
func (v *visit) leave() <-chan error {
	v.leaving.Store(true)
	left := make(chan error, 1)
	go func() { left <- v.site.leave(v.t.Context()) }()
	return left
}

func (v *visit) dial() net.Conn {
	v.t.Helper()
	conn, err := net.Dial("tcp", v.site.listener.Addr().String())
	if err != nil {
		v.t.Fatal(err)
	}
	v.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// ask sends a request and reads its answer, which says close or does not.
func (v *visit) ask(conn net.Conn, closes bool) {
	v.t.Helper()
	if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: site\r\n\r\n"); err != nil {
		v.t.Fatal(err)
	}
	v.answered(conn, closes)
}

func (v *visit) answered(conn net.Conn, closes bool) {
	v.t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		v.t.Fatalf("a request was dropped: %v", err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK || res.Close != closes {
		v.t.Errorf("status %d, close %v, %v; want 200, close %v", res.StatusCode, res.Close, err, closes)
	}
}

// A client that holds a connection may send once more after the site has begun to leave: it is answered and told to close.
func TestSiteHearsLastWords(t *testing.T) {
	t.Parallel()
	v := newVisit(t, true)
	talking, quiet := v.dial(), v.dial()
	v.ask(talking, false)
	v.ask(quiet, false)
	began := time.Now()
	left := v.leave()
	<-v.site.served // nobody new comes in: this is well after the site has begun to leave
	v.ask(talking, true)
	if err := <-left; err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took < lastWord {
		t.Errorf("a client that was quiet had %v for its last word, not %v", took, lastWord)
	}
	if _, err := quiet.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the quiet connection: %v, want its end", err)
	}
}

// Where little time is given, silent connections do not take it all.
func TestLastWordWithin(t *testing.T) {
	t.Parallel()
	for given, most := range map[time.Duration]time.Duration{lastWord: lastWord / 2, lastWord / 2: lastWord / 4, 0: 0} {
		ctx, cancel := context.WithTimeout(t.Context(), given)
		if got := lastWordWithin(ctx); got > most {
			t.Errorf("%v of %v", got, given)
		}
		cancel()
	}
	ample, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	if got := lastWordWithin(ample); got != lastWord || lastWordWithin(t.Context()) != lastWord {
		t.Errorf("%v of an hour", got)
	}
}

// Connections that the kernel has completed and nobody has accepted yet are answered, and those after them refused.
func TestSiteAnswersQueue(t *testing.T) {
	t.Parallel()
	v := newVisit(t, false)
	const waiting = 50
	var conns []net.Conn
	for range waiting {
		conn := v.dial()
		if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: site\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	v.site.listener.refuse()
	if runtime.GOOS == "linux" {
		if conn, err := net.DialTimeout("tcp", v.site.listener.Addr().String(), lastCall); err == nil {
			t.Error("a connection came about after the site refused")
			_ = conn.Close()
		}
	}
	v.serve() // its deadline has passed by now: what is queued counts all the same
	left := v.leave()
	for _, conn := range conns {
		v.answered(conn, true)
	}
	if err := <-left; err != nil {
		t.Error(err)
	}
	if err := <-v.ended; err != nil {
		t.Errorf("serve: %v", err)
	}
}

// Without clients a site leaves at once, whether it was served or not.
func TestSiteLeavesAlone(t *testing.T) {
	t.Parallel()
	for _, served := range []bool{false, true} {
		t.Run(fmt.Sprintf("served %v", served), func(t *testing.T) {
			t.Parallel()
			v := newVisit(t, served)
			began := time.Now()
			if err := <-v.leave(); err != nil {
				t.Error(err)
			}
			if took := time.Since(began); took >= lastWord {
				t.Errorf("took %v", took)
			}
			if conn, err := net.Dial("tcp", v.site.listener.Addr().String()); err == nil {
				t.Error("something still listens")
				_ = conn.Close()
			}
		})
	}
}

func TestClientsSilent(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		states []http.ConnState
		after  time.Duration
		want   bool
	}{
		{"nobody", nil, 0, true},
		{"gone", []http.ConnState{http.StateNew, http.StateActive, http.StateClosed}, 0, true},
		{"idle, but just now", []http.ConnState{http.StateNew, http.StateActive, http.StateIdle}, lastWord / 2, false},
		{"idle for long", []http.ConnState{http.StateNew, http.StateActive, http.StateIdle}, 2 * lastWord, true},
		{"never said anything", []http.ConnState{http.StateNew}, 2 * lastWord, true},
		{"asking", []http.ConnState{http.StateNew, http.StateActive}, time.Hour, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			conn, other := net.Pipe()
			defer conn.Close()
			defer other.Close()
			began := time.Now()
			c := &clients{since: map[net.Conn]time.Time{}}
			for _, state := range tc.states {
				c.observe(conn, state)
			}
			if got := c.silent(lastWord, began, time.Now().Add(tc.after)); got != tc.want {
				t.Errorf("silent: %v, want %v", got, tc.want)
			}
		})
	}
}
