package campaign

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// weather is how a proxy treats what it carries.
type weather int

const (
	fair     weather = iota
	slow             // everything comes late
	hole             // nothing comes through, and nothing is lost: it comes when the weather changes
	halfOpen         // as hole, but the connections of that time stay dead for ever without being closed
	hail             // connections are reset, old ones and new ones
	closed           // nobody listens, and old connections are reset
)

// proxy stands between the server and PostgreSQL's socket, and breaks connections as networks do.
type proxy struct {
	t       testing.TB
	target  string // path of a Unix socket
	address string // where it listens
	delay   time.Duration

	mu       sync.Mutex
	weather  weather
	changed  chan struct{} // closed when the weather changes
	listener net.Listener
	links    map[*link]bool
	working  sync.WaitGroup
}

// link is one connection through the proxy.
type link struct {
	near, far net.Conn // to the server; to PostgreSQL, nil while there is none
	dead      bool
}

// newProxy stands before target. A slow one keeps what passes for delay, each way.
func newProxy(t testing.TB, target string, delay time.Duration) *proxy {
	t.Helper()
	p := &proxy{t: t, target: target, delay: delay, address: "127.0.0.1:0", changed: make(chan struct{}), links: map[*link]bool{}}
	p.listen()
	t.Cleanup(func() {
		p.set(closed)
		p.working.Wait()
	})
	return p
}

// listen takes the same address again after the first time.
func (p *proxy) listen() {
	listener, err := net.Listen("tcp", p.address)
	if err != nil {
		p.t.Errorf("proxy: %v", err)
		return
	}
	p.listener, p.address = listener, listener.Addr().String()
	p.working.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			p.working.Go(func() { p.carry(&link{near: conn}) })
		}
	})
}

// set changes the weather for all connections.
func (p *proxy) set(w weather) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.weather
	p.weather = w
	switch {
	case w == closed && before != closed:
		p.listener.Close()
	case before == closed && w != closed:
		p.listen()
	}
	for l := range p.links {
		switch w {
		case hail, closed:
			l.reset()
		case halfOpen:
			l.dead = true
			if l.far != nil {
				l.far.Close()
			}
		}
	}
	close(p.changed)
	p.changed = make(chan struct{})
}

// reset breaks a link off without a farewell.
func (l *link) reset() {
	if tcp, ok := l.near.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // it may be closed
	}
	l.near.Close()
	if l.far != nil {
		l.far.Close()
	}
}

func (p *proxy) carry(l *link) {
	if !p.enter(l) {
		return
	}
	defer p.leave(l)
	p.pass(l) // a hole swallows the first words as well
	far, err := net.Dial("unix", p.target)
	if err != nil {
		return
	}
	p.mu.Lock()
	l.far = far
	dead := l.dead || p.weather == closed || p.weather == hail
	p.mu.Unlock()
	defer far.Close()
	if dead {
		_, _ = io.Copy(io.Discard, l.near) // until the server gives it up
		return
	}
	var back sync.WaitGroup
	back.Go(func() { p.pump(l, l.near, far) })
	p.pump(l, far, l.near)
	back.Wait()
}

func (p *proxy) enter(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.weather == hail || p.weather == closed {
		l.reset()
		return false
	}
	l.dead = p.weather == halfOpen
	p.links[l] = true
	return true
}

func (p *proxy) leave(l *link) {
	l.near.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}

// pump carries one direction. What goes on a dead link is lost.
func (p *proxy) pump(l *link, to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && p.pass(l) {
			if _, err := to.Write(buf[:n]); err != nil && !p.isDead(l) {
				break
			}
		}
		if err != nil {
			break
		}
	}
	if p.isDead(l) && from != l.near {
		return // the server does not learn that PostgreSQL is gone
	}
	to.Close()
	from.Close()
}

func (p *proxy) isDead(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return l.dead
}

// pass waits until the weather lets something through, and reports whether it does at all.
func (p *proxy) pass(l *link) bool {
	for {
		p.mu.Lock()
		weather, changed, dead, delay := p.weather, p.changed, l.dead, p.delay
		p.mu.Unlock()
		switch {
		case dead:
			return false
		case weather == slow:
			select {
			case <-time.After(delay):
				return true
			case <-changed:
			}
		case weather == hole:
			<-changed
		default:
			return true
		}
	}
}

// TestProxy holds the proxy to what its weathers say, by an echo.
func TestProxy(t *testing.T) {
	t.Parallel()
	socket := t.TempDir() + "/echo"
	echo, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	go func() {
		for {
			conn, err := echo.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(conn, conn); conn.Close() }()
		}
	}()
	p := newProxy(t, socket, 50*time.Millisecond)
	const brief = 100 * time.Millisecond
	// An answer that is to come may take as long as a busy machine does.
	ask := func(conn net.Conn, comes bool) error {
		within := 3 * brief
		if comes {
			within = patience
		}
		_ = conn.SetDeadline(time.Now().Add(within))
		if _, err := conn.Write([]byte("x")); err != nil {
			return err
		}
		_, err := io.ReadFull(conn, make([]byte, 1))
		return err
	}
	late := func(err error) bool {
		var network net.Error
		return errors.As(err, &network) && network.Timeout()
	}
	broken := func(err error) bool { return err != nil && !late(err) }
	for name, test := range map[string]struct {
		weather  weather
		old, new func(error) bool // what becomes of a question in that weather
		waits    bool             // whether nothing comes back, neither an answer nor an end
		after    bool             // whether the old connection serves again
	}{
		"fair":      {fair, isNil, isNil, false, true},
		"slow":      {slow, isNil, isNil, false, true},
		"hole":      {hole, late, late, true, true},
		"half open": {halfOpen, late, late, true, false},
		"hail":      {hail, broken, broken, false, false},
		"closed":    {closed, broken, broken, false, false},
	} {
		p.set(fair)
		dial := func() (net.Conn, error) { return net.Dial("tcp", p.address) }
		old, err := dial()
		if err != nil {
			t.Fatal(err)
		}
		if err := ask(old, true); err != nil {
			t.Fatalf("%s: before: %v", name, err)
		}
		p.set(test.weather)
		if err := ask(old, !test.waits); !test.old(err) {
			t.Errorf("%s: an old connection: %v", name, err)
		}
		fresh, err := dial()
		if err == nil {
			err = ask(fresh, !test.waits)
			fresh.Close()
		}
		if !test.new(err) {
			t.Errorf("%s: a new connection: %v", name, err)
		}
		p.set(fair)
		if err := ask(old, test.after); (err == nil) != test.after {
			t.Errorf("%s: the old connection afterwards: %v", name, err)
		}
		old.Close()
	}
}

func isNil(err error) bool { return err == nil }
