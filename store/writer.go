package store

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"gorm.io/gorm"
)

// maxBatch bounds how many units of work one commit acknowledges.
const maxBatch = 64

// writer is the one connection that writes to an SQLite file. It takes what is waiting, lends its
// transaction to one caller after the other, commits once and then acknowledges all: a commit is a
// disk flush, and this shares it. Each caller works under a savepoint of its own, so one that fails
// or panics takes only its own work back.
//
// Callers keep their goroutine: a panic or runtime.Goexit in a unit of work is theirs.
type writer struct {
	db        *gorm.DB
	committed func(units int, took time.Duration)
	sound     func() error // why a commit may not count after all

	queue chan *turn
	quit  chan struct{}
	once  sync.Once
	ended chan struct{}
}

// turn is one caller's place in the queue.
type turn struct {
	ctx    context.Context
	state  atomic.Int32
	start  chan *lent // the writer lends its transaction
	worked chan error // the caller gives it back with its result
	ack    chan error // the result is durable, or the reason why it is not
}

// The states of a turn: it is taken by the writer or dropped by the caller, whoever is first.
const (
	waiting int32 = iota
	taken
	dropped
)

// lent is the writer's transaction in the hands of a caller.
type lent struct {
	db   *gorm.DB
	lost error // the transaction is gone
}

var (
	// errTakenBack makes the writer undo a unit of work that panicked.
	errTakenBack = errors.New("store: unit of work did not return")
	// errTransactionLost says that SQLite rolled the whole transaction back, as after a full disk.
	errTransactionLost = errors.New("store: the transaction was rolled back by the database")
)

func newWriter(db *gorm.DB, committed func(int, time.Duration), sound func() error) *writer {
	if committed == nil {
		committed = func(int, time.Duration) {}
	}
	w := &writer{
		// Without cancellation, since the driver starts a goroutine a statement for a context that can be cancelled.
		db:        db.WithContext(context.Background()),
		committed: committed,
		sound:     sound,
		queue:     make(chan *turn, maxBatch),
		quit:      make(chan struct{}),
		ended:     make(chan struct{}),
	}
	go w.loop()
	return w
}

// do runs fn in the writer's transaction and returns once it is durable. A caller whose context is
// done before its turn leaves with the context's error.
func (w *writer) do(ctx context.Context, fn func(*lent) error) error {
	t := &turn{ctx: ctx, start: make(chan *lent, 1), worked: make(chan error, 1), ack: make(chan error, 1)}
	select {
	case w.queue <- t:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.quit:
		return errClosed
	}
	select {
	case l := <-t.start:
		t.work(l, fn)
		return <-t.ack
	case err := <-t.ack: // no transaction could begin
		return err
	case <-ctx.Done():
		if t.state.CompareAndSwap(waiting, dropped) {
			return ctx.Err()
		}
	case <-w.ended:
		if t.state.CompareAndSwap(waiting, dropped) {
			return errClosed
		}
	}
	select { // it was taken while we were about to leave
	case l := <-t.start:
		t.work(l, fn)
		return <-t.ack
	case err := <-t.ack:
		return err
	}
}

// work runs fn and gives the transaction back, come what may.
func (t *turn) work(l *lent, fn func(*lent) error) {
	err := errTakenBack
	defer func() { t.worked <- err }()
	err = fn(l)
}

func (w *writer) close() {
	w.once.Do(func() { close(w.quit) })
	<-w.ended
}

func (w *writer) loop() {
	defer close(w.ended)
	for {
		select {
		case <-w.quit:
			return
		case t := <-w.queue:
			w.serve(w.batch(t))
		}
	}
}

// batch adds to first whoever is waiting by now.
func (w *writer) batch(first *turn) []*turn {
	turns := []*turn{first}
	for len(turns) < maxBatch {
		select {
		case t := <-w.queue:
			turns = append(turns, t)
		default:
			return turns
		}
	}
	return turns
}

// serve runs the turns in one transaction and acknowledges them.
func (w *writer) serve(turns []*turn) {
	turns = take(turns)
	if len(turns) == 0 {
		return
	}
	// Not through sql.Tx: that starts a goroutine, and one more for each query in it, to watch contexts.
	err := w.db.Connection(func(db *gorm.DB) (err error) {
		// A session of its own for each statement: GORM's connection keeps the first error for all that follow.
		turns, err = w.transaction(&lent{db: db.Session(&gorm.Session{NewDB: true})}, turns)
		return err
	})
	acknowledge(turns, translate(context.Background(), err))
}

// transaction runs the turns and commits. It returns those that have no answer yet, and theirs.
func (w *writer) transaction(l *lent, turns []*turn) (done []*turn, err error) {
	if err := l.exec("begin immediate"); err != nil {
		l.end() // of a transaction that could not be ended before
		return turns, err
	}
	done = l.lendAll(turns)
	if l.lost != nil || len(done) == 0 {
		l.end()
		return done, l.lost
	}
	begun := time.Now()
	if err := l.exec("commit"); err != nil {
		l.end()
		return done, err
	}
	w.committed(len(done), time.Since(begun))
	return done, w.sound()
}

// end rolls back what may be left of the transaction.
func (l *lent) end() { _ = l.exec("rollback") }

// exec runs a statement that begins or ends a transaction or a savepoint.
func (l *lent) exec(text string) error {
	_, err := l.db.Statement.ConnPool.ExecContext(context.Background(), text)
	return err
}

// take keeps the turns whose callers still wait.
func take(turns []*turn) []*turn {
	kept := turns[:0]
	for _, t := range turns {
		if t.state.CompareAndSwap(waiting, taken) {
			kept = append(kept, t)
		}
	}
	return kept
}

// lendAll gives each turn the transaction and returns those whose work is in it. The others have their answer.
func (l *lent) lendAll(turns []*turn) (done []*turn) {
	alone := len(turns) == 1
	for _, t := range turns {
		err := l.lost
		if err == nil {
			err = t.ctx.Err() // done while others were served
		}
		if err != nil {
			t.ack <- err
			continue
		}
		if err := l.lend(t, alone); err != nil {
			t.ack <- err
			continue
		}
		done = append(done, t)
	}
	return done
}

// lend runs one turn; with neighbours, under a savepoint.
func (l *lent) lend(t *turn, alone bool) error {
	work := func() error {
		t.start <- l
		return <-t.worked
	}
	if alone {
		return work()
	}
	return l.save(work)
}

// takeBack runs fn and takes back what it wrote.
func (l *lent) takeBack(fn func()) error {
	err := l.save(func() error {
		fn()
		return errRehearsal
	})
	if errors.Is(err, errRehearsal) {
		return nil
	}
	return err
}

// save runs fn under a savepoint and rolls back to it if fn fails.
func (l *lent) save(fn func() error) error {
	if err := l.exec("savepoint unit"); err != nil {
		return translate(context.Background(), err)
	}
	finished := false
	defer func() {
		if !finished { // fn panicked on the caller's goroutine
			l.rollback()
		}
	}()
	err := fn()
	finished = true
	if err != nil {
		l.rollback()
		return err
	}
	return l.close("release unit")
}

// rollback goes back to the savepoint. What is rolled back to stays open until it is released.
func (l *lent) rollback() { _ = l.close("rollback to unit", "release unit") }

// close ends the savepoint by the statements given. Where there is none any more, SQLite has rolled back the whole
// transaction: then nobody's work in it may be acknowledged, and nobody may go on outside it.
func (l *lent) close(texts ...string) error {
	for _, text := range texts {
		if l.exec(text) != nil {
			l.lost = unavailable(errTransactionLost)
		}
	}
	return l.lost
}

func acknowledge(turns []*turn, err error) {
	for _, t := range turns {
		t.ack <- err
	}
}
