package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// Ping reports whether the database answers and would take a write: nil, Unavailable or the
// context's error. It writes nothing into the database, so that it may be asked often, but lets it
// use some of its disk, which is all that shows a full one before a client's write fails.
//
// It does not wait for those who use the database: it has a connection of its own.
func (s *Store) Ping(ctx context.Context) error {
	if !s.dialect.postgres {
		return s.pingSQLite(ctx)
	}
	err := s.pingPostgres(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		s.suspect()
	}
	return err
}

// probePostgres asks whether transactions may write — a standby's may not — and has the result of
// generate_series spilled into a temporary file of some 200 KiB, on the disk of the database. Both
// settings end with the statement; the lateral reference has them made before the file is.
const probePostgres = `select current_setting('transaction_read_only') = 'on', count(*)
	from (select set_config('work_mem', '64kB', true) || set_config('temp_tablespaces', '', true) as done) s
	cross join lateral generate_series(1, 8000 + length(s.done) * 0)`

func (s *Store) pingPostgres(ctx context.Context) error {
	var readOnly bool
	var n int
	err := s.probe.QueryRowContext(ctx, probePostgres, pgx.QueryExecModeSimpleProtocol).Scan(&readOnly, &n)
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &pg) && pg.Code == "53400": // temp_file_limit forbids the file, which says nothing of the disk
		return nil
	case err != nil:
		return firstError(ctx.Err(), unavailable(err))
	case readOnly:
		return unavailable(errReadOnly)
	}
	return nil
}

var errReadOnly = errors.New("transactions are read-only: it is a standby, or default_transaction_read_only is on")

// connectable opens one connection and says why none can be.
func (s *Store) connectable(ctx context.Context) error {
	pool, err := s.reads.DB()
	if err != nil {
		return err
	}
	if err := pool.PingContext(ctx); err != nil {
		return firstError(ctx.Err(), unavailable(err))
	}
	return nil
}

// A connection that somebody else's silence has made doubtful is not asked whether it is well, for
// that would be another wait: it is closed, and another one opened.

// generation is where a connection keeps the number of suspicions before it.
const generation = "meibo generation"

// suspect makes all open connections doubtful that are not in use, since one was silent: after a
// broken network they may all be dead, without knowing.
func (s *Store) suspect() { s.suspects.Add(1) }

func (s *Store) doubtful(conn *pgx.Conn) bool {
	return conn.PgConn().CustomData()[generation] != s.suspects.Load()
}

// shouldPing has a connection asked that was not used for a second.
func (s *Store) shouldPing(_ context.Context, p stdlib.ShouldPingParams) bool {
	if p.IdleDuration <= time.Second || s.doubtful(p.Conn) {
		return false
	}
	limitSilence(p.Conn, settleTimeout)
	return true
}

// trust gives a connection out that is not doubtful. Any other is cut off, so that closing it does
// not wait for the database.
func (s *Store) trust(_ context.Context, conn *pgx.Conn) error {
	if s.doubtful(conn) {
		_ = conn.PgConn().Conn().Close()
		return driver.ErrBadConn
	}
	return nil
}

// databaseFile is an SQLite file as it was opened. A process keeps a file open that was removed or
// replaced, and what it writes there is gone at its end: so the path is looked at again.
type databaseFile struct {
	path      string
	main, wal os.FileInfo
}

// remember notes what the path and that of the WAL name now. The writer's connection is kept open
// from here on, since SQLite removes the WAL with the last one.
func (s *Store) remember(ctx context.Context, path string) (*databaseFile, error) {
	pool, err := s.writes.DB()
	if err != nil {
		return nil, err
	}
	pool.SetConnMaxIdleTime(0)
	var tables int // asking for anything makes the WAL
	if err := pool.QueryRowContext(ctx, "select count(*) from sqlite_schema").Scan(&tables); err != nil {
		return nil, translate(ctx, err)
	}
	f := &databaseFile{}
	if f.path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	if f.main, err = os.Stat(f.path); err == nil {
		f.wal, err = os.Stat(f.path + "-wal")
	}
	if err != nil {
		return nil, unavailable(err)
	}
	return f, nil
}

// check is Unavailable if the paths do not name the files that are open.
func (f *databaseFile) check() error {
	return firstError(same(f.path, f.main), same(f.path+"-wal", f.wal))
}

func same(path string, opened os.FileInfo) error {
	info, err := os.Stat(path)
	if err == nil && !os.SameFile(info, opened) {
		err = errors.New(path + " was replaced while it was open; put the old one back, or restart meibo with the new one")
	}
	if err != nil {
		return unavailable(err)
	}
	return nil
}

// room is how much must fit on the disk of an SQLite file.
const room = 256 << 10

// spare writes room bytes next to the file and removes them; they hardly ever reach the disk. The
// name goes first where the system allows it, so that a killed process leaves nothing.
func (f *databaseFile) spare() error {
	scratch, err := os.CreateTemp(filepath.Dir(f.path), ".meibo-probe-*")
	if err != nil {
		return unavailable(err)
	}
	removed := os.Remove(scratch.Name())
	_, err = scratch.Write(make([]byte, room))
	err = errors.Join(err, scratch.Close())
	if removed != nil {
		err = errors.Join(err, os.Remove(scratch.Name()))
	}
	if err != nil {
		return unavailable(err)
	}
	return nil
}

func (s *Store) pingSQLite(ctx context.Context) error {
	if err := s.file.check(); err != nil { // first: a new connection may be opened for the question
		return err
	}
	var tables int
	if err := s.probe.QueryRowContext(ctx, "select count(*) from sqlite_schema").Scan(&tables); err != nil {
		return firstError(ctx.Err(), unavailable(err))
	}
	return s.file.spare()
}
