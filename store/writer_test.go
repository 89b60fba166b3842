package store

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"meibo/provisioning"
	"meibo/scim"
)

// blocked opens an SQLite store whose writer is held by a unit of work until release is called;
// what is queued meanwhile comes to be one batch.
func blocked(t *testing.T) (s *Store, connection int64, release func()) {
	t.Helper()
	s = openTest(t, Options{URL: databases[0].url(t)})
	connection = tenantOf(t, s).ID
	held, free, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- s.Update(context.Background(), "acme", func(provisioning.Tx) error {
			close(held)
			<-free
			return nil
		})
	}()
	<-held
	return s, connection, func() {
		close(free)
		must(t, <-done)
	}
}

// queued waits until n units of work wait for the writer.
func queued(s *Store, n int) {
	for len(s.writer.queue) < n {
		runtime.Gosched()
	}
}

func create(connection int64, name string) func(provisioning.Tx) error {
	return commitOne(provisioning.Change{Action: provisioning.ChangeCreate, After: testUser(connection, name)})
}

// TestNeighboursAreSpared has units of work fail in every way inside one batch: exactly the others
// are there afterwards.
func TestNeighboursAreSpared(t *testing.T) {
	t.Parallel()
	s, connection, release := blocked(t)
	mine := errors.New("mine")
	after := func(then func()) func(provisioning.Tx) error { // writes first, then does not return
		return func(tx provisioning.Tx) error {
			if err := create(connection, "lost")(tx); err != nil {
				return err
			}
			then()
			return mine
		}
	}
	units := []struct {
		fn    func(provisioning.Tx) error
		check func(error) bool
	}{
		{create(connection, "a"), func(err error) bool { return err == nil }},
		{after(func() {}), func(err error) bool { return err == mine }},
		{create(connection, "b"), func(err error) bool { return err == nil }},
		{after(func() { panic("mine") }), func(err error) bool { return err != nil && err.Error() == "panic: mine" }},
		{create(connection, "b"), func(err error) bool { return provisioning.KindOf(err) == provisioning.Conflict }},
		{after(runtime.Goexit), func(err error) bool { return err == errGone }},
		{create(connection, "c"), func(err error) bool { return err == nil }},
	}
	var wg sync.WaitGroup
	for i, u := range units {
		wg.Go(func() {
			if err := survive(func() error { return s.Update(context.Background(), "acme", u.fn) }); !u.check(err) {
				t.Errorf("unit %d ended with %v", i, err)
			}
		})
		queued(s, i+1)
	}
	release()
	wg.Wait()
	wantNames(t, s, connection, "a", "b", "c")
}

var errGone = errors.New("the goroutine is gone")

// survive runs fn on a goroutine of its own and reports how that ended.
func survive(fn func() error) error {
	ended := make(chan error, 1)
	go func() {
		err := errGone
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panic: %v", p)
			}
			ended <- err
		}()
		err = fn()
	}()
	return <-ended
}

func wantNames(t *testing.T, s *Store, connection int64, want ...string) {
	t.Helper()
	var got []string
	must(t, s.View(context.Background(), "acme", func(r provisioning.Reader) error {
		page, err := r.List(provisioning.ListQuery{Scope: provisioning.Scope{Connection: connection, Type: scim.User}, StartIndex: 1, Count: 100})
		for _, r := range page.Resources {
			got = append(got, r.Index.Name)
		}
		return err
	}))
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the store has %v, want %v", got, want)
	}
}

// TestCallersLeaveTheQueue has callers go before their turn; their work is not done.
func TestCallersLeaveTheQueue(t *testing.T) {
	t.Parallel()
	s, connection, release := blocked(t)
	ctx, cancel := context.WithCancel(context.Background())
	left := make(chan error, 1)
	go func() { left <- s.Update(ctx, "acme", create(connection, "left")) }()
	queued(s, 1)
	var wg sync.WaitGroup
	wg.Go(func() { must(t, s.Update(context.Background(), "acme", create(connection, "stayed"))) })
	queued(s, 2)
	cancel()
	if err := <-left; err != context.Canceled {
		t.Errorf("the caller left with %v", err)
	}
	release()
	wg.Wait()
	wantNames(t, s, connection, "stayed")
}

func TestUpdateAfterClose(t *testing.T) {
	t.Parallel()
	s, err := Open(context.Background(), Options{URL: databases[0].url(t)})
	must(t, err)
	must(t, s.Close())
	err = s.Update(context.Background(), "acme", func(provisioning.Tx) error { return nil })
	if provisioning.KindOf(err) != provisioning.Unavailable {
		t.Errorf("got %v, want Unavailable", err)
	}
}

// TestLostTransaction has SQLite roll everything back under a unit of work, which notices or does not: no
// neighbour may hear that its own is durable, and none that comes later may be done.
func TestLostTransaction(t *testing.T) {
	t.Parallel()
	for name, noticed := range map[string]error{"noticed": errors.New("disk full"), "unnoticed": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, connection, release := blocked(t)
			var wg sync.WaitGroup
			errs := make([]error, 3)
			for i := range errs {
				wg.Go(func() {
					errs[i] = s.Update(context.Background(), "acme", func(tx provisioning.Tx) error {
						if err := create(connection, fmt.Sprint("user", i))(tx); err != nil {
							return err
						}
						if i == 1 { // as SQLite itself does after a full disk or an I/O error
							must(t, unwrap(tx).db.Exec("rollback").Error)
							return noticed
						}
						return nil
					})
				})
				queued(s, i+1)
			}
			release()
			wg.Wait()
			for i, err := range errs {
				if provisioning.KindOf(err) != provisioning.Unavailable && (i != 1 || noticed == nil || err != noticed) {
					t.Errorf("unit %d ended with %v, and none can be durable", i, err)
				}
			}
			wantNames(t, s, connection)
			must(t, s.Update(context.Background(), "acme", create(connection, "later")))
			wantNames(t, s, connection, "later")
		})
	}
}

func unwrap(t provisioning.Tx) *session { return t.(tx).session }
