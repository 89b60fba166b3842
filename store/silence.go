package store

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Behind a broken network nothing fails: a read waits for ever. So what is asked of PostgreSQL for a
// request ends when the database is silent for too long. Silence is bounded and not duration, since
// a large list may be streamed to a slow client for minutes, and it is bounded by a deadline of each
// read from the network, since a context that can be cancelled costs a statement two goroutines.
const (
	silence     = 4 * time.Second
	longSilence = 8 * time.Second // where much is written at once, or read through without an index

	// much is the number of members in one change from which on it may take long.
	much = 5_000
	// connectTimeout bounds a connection's coming about, where the URL has no connect_timeout.
	connectTimeout = 3 * time.Second
	// settleTimeout bounds its first statement.
	settleTimeout = time.Second
	// lockTimeout bounds a wait for a lock. It is shorter than silence, which would take a database that waits for a
	// dead one: its connection would be closed, while the server's end of it waits on, and writes in the end.
	lockTimeout = 3 * time.Second
)

var (
	errSilent  = errors.New("the database has not answered for seconds")
	errCrowded = errors.New("no connection to the database came free for seconds")
)

// silenceKey is what a context has the bound of its statement's silence under. A statement without
// one, such as a migration, may take as long as it likes.
type silenceKey struct{}

// within is ctx for statements during which PostgreSQL may be silent for so long.
func within(ctx context.Context, limit time.Duration) context.Context {
	return context.WithValue(ctx, silenceKey{}, limit)
}

// promptly and patiently are contexts of statements that are not cancelled.
var (
	promptly  = within(context.Background(), silence)
	patiently = within(context.Background(), longSilence)
)

// impatientConn is a network connection that is closed when it is read from for too long in vain.
type impatientConn struct {
	net.Conn
	limit  atomic.Int64 // of a read, as time.Duration; 0 for none
	silent func()       // hears of it

	mu      sync.Mutex
	outer   time.Time // the deadline that pgx has set, which goes before ours; zero for none
	armed   bool      // our deadline is set
	reading int       // reads under way
}

// dialer wraps what dial opens. It begins with a bound: what is said first, by pgx itself, is short.
func (s *Store) dialer(dial pgconn.DialFunc) pgconn.DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		c := &impatientConn{Conn: conn, silent: s.suspect}
		c.limit.Store(int64(connectTimeout))
		return c, nil
	}
}

func (c *impatientConn) Read(b []byte) (int, error) {
	if err := c.begin(); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(b)
	c.end()
	if errors.Is(err, os.ErrDeadlineExceeded) && c.ours() {
		// A write may hang as well. And pgx must not take this for a deadline of its own, after which
		// it goes on with the connection.
		_ = c.Conn.Close()
		c.silent()
		return n, errSilent
	}
	return n, err
}

func (c *impatientConn) begin() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reading++
	return c.arm()
}

func (c *impatientConn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reading--
}

// bound sets the limit for what comes next. A read may be under way all the same: where a write took long, pgx reads in the
// background, and that read goes on when the answer has come. It waits for the next statement's, and has its limit.
func (c *impatientConn) bound(limit time.Duration) {
	c.limit.Store(int64(limit))
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reading > 0 {
		_ = c.arm() // a connection that takes no deadline is closed
	}
}

// arm sets the deadline of the next read, or of one under way, unless pgx has set one. It is called with mu held.
func (c *impatientConn) arm() error {
	limit := time.Duration(c.limit.Load())
	switch {
	case !c.outer.IsZero(), limit == 0 && !c.armed:
		return nil
	case limit == 0:
		c.armed = false
		return c.Conn.SetReadDeadline(time.Time{})
	default:
		c.armed = true
		return c.Conn.SetReadDeadline(time.Now().Add(limit))
	}
}

func (c *impatientConn) ours() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.armed && c.outer.IsZero()
}

// SetDeadline is how pgx ends a statement whose context is done, and takes that back.
func (c *impatientConn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.outer, c.armed = t, false
	return c.Conn.SetDeadline(t)
}

// limitSilence sets the bound for what comes next on a connection.
func limitSilence(conn *pgx.Conn, limit time.Duration) {
	network := conn.PgConn().Conn()
	if wrapped, ok := network.(interface{ NetConn() net.Conn }); ok { // TLS
		network = wrapped.NetConn()
	}
	if c, ok := network.(*impatientConn); ok {
		c.bound(limit)
	}
}

// silenceTracer hands the bound of a statement's context to its connection until the statement ends, and ends the wait for that: pgx
// calls it with both.
type silenceTracer struct{}

func (silenceTracer) TraceQueryStart(ctx context.Context, conn *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	limit, _ := ctx.Value(silenceKey{}).(time.Duration)
	limitSilence(conn, limit)
	if wait, ok := ctx.Value(waitKey{}).(*time.Timer); ok {
		wait.Stop()
	}
	return ctx
}

// TraceQueryEnd: a connection that nobody asks anything may be silent.
func (silenceTracer) TraceQueryEnd(_ context.Context, conn *pgx.Conn, _ pgx.TraceQueryEndData) {
	limitSilence(conn, 0)
}

// admission is a statement's use of a connection of PostgreSQL's pool. When all are in use it waits
// for no longer than for the database itself: when that is silent, so are all of them, one after the other.
type admission struct {
	store  *Store
	wait   *time.Timer // nil where there is none
	cancel context.CancelCauseFunc
}

// waitKey is what a context has the timer of its statement's wait under.
type waitKey struct{}

// occupy counts a connection that is used without admission, by the background's work, so that requests find the pool
// crowded in time. Call leave when it is given back.
func (s *Store) occupy() (leave func()) {
	s.using.Add(1)
	return func() { s.using.Add(-1) }
}

// admit begins the way to a connection, which ends with the first statement in the context returned;
// call leave when the connection is given back.
func (x *session) admit(ctx context.Context) (context.Context, admission) {
	if !x.postgres || x.transaction || x.snapshot != nil { // it has its connection
		return ctx, admission{}
	}
	a := admission{store: x.store}
	if a.store.using.Add(1) > a.store.places {
		crowded, cancel := context.WithCancelCause(ctx)
		a.wait, a.cancel = time.AfterFunc(silence, func() { cancel(errCrowded) }), cancel
		ctx = context.WithValue(crowded, waitKey{}, a.wait)
	}
	return ctx, a
}

func (a admission) leave() {
	if a.store == nil {
		return
	}
	a.store.using.Add(-1)
	if a.wait != nil {
		a.wait.Stop()
		a.cancel(nil)
	}
}
