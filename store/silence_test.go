package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"meibo/provisioning"
)

func TestImpatientConn(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		limit time.Duration
		outer time.Duration // deadline that pgx sets, from the beginning; 0 for none
		says  time.Duration // when the database speaks; 0 for never
		after time.Duration // when the read ends
		want  error
	}{
		"silent":                    {4 * time.Second, 0, 0, 4 * time.Second, errSilent},
		"answers in time":           {4 * time.Second, 0, 3 * time.Second, 3 * time.Second, nil},
		"unbounded":                 {0, 0, time.Hour, time.Hour, nil},
		"cancelled by its context":  {4 * time.Second, time.Second, 0, time.Second, os.ErrDeadlineExceeded},
		"a deadline that is longer": {4 * time.Second, 6 * time.Second, 5 * time.Second, 5 * time.Second, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				defer far.Close()
				told := 0
				c := &impatientConn{Conn: near, silent: func() { told++ }}
				c.limit.Store(int64(time.Nanosecond)) // of an earlier statement
				must(t, c.begin())
				c.end()
				c.limit.Store(int64(test.limit))
				if test.outer > 0 {
					must(t, c.SetDeadline(time.Now().Add(test.outer)))
				}
				if test.says > 0 {
					time.AfterFunc(test.says, func() { _, _ = far.Write([]byte("x")) })
				}
				began := time.Now()
				_, err := c.Read(make([]byte, 1))
				if !errors.Is(err, test.want) || time.Since(began) != test.after {
					t.Errorf("%v after %v, want %v after %v", err, time.Since(began), test.want, test.after)
				}
				silent := errors.Is(test.want, errSilent)
				if (told == 1) != silent {
					t.Errorf("told %d times", told)
				}
				if err := near.SetDeadline(time.Time{}); (err != nil) != silent {
					t.Errorf("the connection is closed: %v", err)
				}
				_ = near.Close()
			})
		})
	}
}

// A cancellation that comes while a read is under way ends it, whatever bound it has.
func TestImpatientConnIsCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		c := &impatientConn{Conn: near, silent: func() { t.Error("told of a silence") }}
		defer c.Close()
		c.limit.Store(int64(time.Hour))
		time.AfterFunc(time.Second, func() { _ = c.SetDeadline(time.Now()) })
		began := time.Now()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		must(t, c.SetDeadline(time.Time{})) // as pgx does when it goes on
		time.AfterFunc(time.Second, func() { _, _ = far.Write([]byte("x")) })
		_, err := c.Read(make([]byte, 1))
		must(t, err)
	})
}

// TestReadLeftOver: a read that goes on when its statement has ended, as pgx leaves one behind after a slow write, says nothing of
// the database until something is asked again, and then from that moment on.
func TestReadLeftOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		told := 0
		c := &impatientConn{Conn: near, silent: func() { told++ }}
		defer c.Close()
		c.bound(silence)
		ended := make(chan error, 1)
		read := func() { _, err := c.Read(make([]byte, 1)); ended <- err }
		go read()
		synctest.Wait()
		c.bound(0) // its statement has ended
		<-time.After(time.Hour)
		synctest.Wait()
		if told > 0 || len(ended) > 0 {
			t.Fatalf("told %d times of a connection at rest", told)
		}
		c.bound(silence)
		time.AfterFunc(silence-time.Second, func() { _, _ = far.Write([]byte("x")) })
		must(t, <-ended)

		go read()
		synctest.Wait()
		<-time.After(silence - time.Second)
		began := time.Now()
		c.bound(silence) // the next statement
		if err := <-ended; !errors.Is(err, errSilent) || time.Since(began) != silence || told != 1 {
			t.Errorf("%v after %v, told %d times", err, time.Since(began), told)
		}
	})
}

// TestSilentStatement has PostgreSQL take its time: the statement of a request ends, one without a
// bound does not, and the store goes on.
func TestSilentStatement(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{URL: onPostgres(t)})
	tenantOf(t, s)
	before := s.suspects.Load()
	began := time.Now()
	err := s.View(context.Background(), "acme", func(r provisioning.Reader) error {
		_, err := r.(*session).row("select pg_sleep(60)::text", nil, new(string))
		return err
	})
	if took := time.Since(began); provisioning.KindOf(err) != provisioning.Unavailable || took < silence || took > 2*silence {
		t.Errorf("%v after %v", err, took)
	}
	if s.suspects.Load() == before {
		t.Error("the other connections are not doubted")
	}
	must(t, askTenant(s))
	must(t, s.reads.WithContext(context.Background()).Exec("select pg_sleep("+(silence + time.Second/2).String()[:3]+")").Error)
}

// TestCrowdedPool holds the only connection: who waits for it is Unavailable in time.
func TestCrowdedPool(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{URL: onPostgres(t), MaxConns: 1})
	connection := tenantOf(t, s).ID
	must(t, s.View(context.Background(), "acme", func(r provisioning.Reader) error {
		must(t, r.Snapshot())
		for name, ask := range map[string]func() error{
			"read":  func() error { return askTenant(s) },
			"write": func() error { return s.Update(context.Background(), "acme", create(connection, "ada")) },
			"snapshot": func() error {
				return s.View(context.Background(), "acme", func(r provisioning.Reader) error { return r.Snapshot() })
			},
		} {
			began := time.Now()
			err := ask()
			if took := time.Since(began); provisioning.KindOf(err) != provisioning.Unavailable || took < silence || took > 2*silence {
				t.Errorf("%s: %v after %v", name, err, took)
			}
		}
		return nil
	}))
	must(t, askTenant(s))
	if n := s.using.Load(); n != 0 {
		t.Errorf("%d connections are counted as in use", n)
	}
}

// TestWaitIsNotWork: in a crowded pool the wait for a connection is bounded, and not with it what the
// statement takes once it has one.
func TestWaitIsNotWork(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{URL: onPostgres(t)})
	tenantOf(t, s)
	s.using.Store(s.places) // everybody comes into a crowd
	slow := "select pg_sleep(" + (silence + time.Second/2).String()[:3] + ")::text"
	for name, work := range map[string]func(*session) error{
		"read":  func(x *session) error { return x.queryIn(x.long(), slow, nil, func(*sql.Rows) error { return nil }) },
		"write": func(x *session) error { x.patient = true; _, err := x.exec("resource", slow); return err },
		"transaction": func(x *session) error {
			x.patient = true
			return x.inTransaction(func() error { _, err := x.exec("resource", slow); return err })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := work(s.session(context.Background(), "acme", s.reads)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestLockIsNoSilence: who waits for a lock in vain is told so by PostgreSQL, and the connection stays.
func TestLockIsNoSilence(t *testing.T) {
	t.Parallel()
	url := onPostgres(t)
	s, other := openTest(t, Options{URL: url}), openTest(t, Options{URL: url})
	connection := tenantOf(t, s).ID
	before := s.suspects.Load()
	x := other.session(context.Background(), "acme", other.reads)
	must(t, x.inTransaction(func() error {
		if _, err := x.exec("lock", "lock table resource in access exclusive mode"); err != nil {
			return err
		}
		began := time.Now()
		err := s.Update(context.Background(), "acme", create(connection, "ada"))
		if took := time.Since(began); provisioning.KindOf(err) != provisioning.Unavailable || took < lockTimeout || !strings.Contains(fmt.Sprint(errors.Unwrap(err)), "SQLSTATE 55P03") {
			t.Errorf("%v after %v", err, took)
		}
		return nil
	}))
	if s.suspects.Load() != before {
		t.Error("the connections are doubted")
	}
	wantNames(t, s, connection)
	must(t, s.Update(context.Background(), "acme", create(connection, "ada")))
}

// TestBackgroundIsCounted: a connection that the background's work has is not counted as free.
func TestBackgroundIsCounted(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{URL: onPostgres(t)})
	var using []int64
	s.observer = func(string, []any) { using = append(using, s.using.Load()) }
	must(t, s.Fold(context.Background()))
	_, _, err := s.Follow(context.Background())
	must(t, err)
	_, err = s.FollowerLag(context.Background())
	must(t, err)
	if !slices.Equal(using, []int64{1, 1, 1}) || s.using.Load() != 0 {
		t.Errorf("counted %v, and %d at the end", using, s.using.Load())
	}
}
