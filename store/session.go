package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"unicode/utf8"

	"gorm.io/gorm"

	"meibo/provisioning"
)

// session is one closure's view of one tenant: the Reader of View and the Tx of Update.
type session struct {
	store  *Store
	ctx    context.Context
	tenant string
	db     *gorm.DB // a pool, or a transaction
	dialect

	transaction bool // db is a transaction that others end
	locking     bool // reads of resources take row locks (PostgreSQL)
	patient     bool // what is written may take long
	snapshot    *gorm.DB
	entrance    admission                    // of the snapshot
	presume     bool                         // CandidateQuery.Presume counts: this is the first run
	presumed    *provisioning.CandidateQuery // what was presumed to find nothing; Commit makes sure of it
	committed   bool                         // Commit was called
	failure     error                        // of Commit
	overtaken   bool                         // run the closure again
}

func (s *Store) session(ctx context.Context, tenant string, db *gorm.DB) *session {
	if !storable(tenant) {
		tenant = "" // nobody's name
	}
	return &session{store: s, ctx: ctx, tenant: tenant, db: db, dialect: s.dialect}
}

// storable reports whether a text can be in the database at all. One that cannot is found nowhere,
// rather than refused by PostgreSQL or cut short by SQLite.
func storable(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

// run runs a unit of work. A Commit that failed fails it, whatever fn returns.
func (x *session) run(fn func(provisioning.Tx) error) error {
	defer x.endSnapshot()
	err := fn(tx{x})
	switch {
	case x.overtaken:
		return errOvertaken
	case err == nil:
		return x.failure
	default:
		return err
	}
}

// fail translates the error of a statement and notes that the closure must run again.
func (x *session) fail(err error) error {
	err = translate(x.ctx, err)
	if errors.Is(err, errOvertaken) {
		x.overtaken = true
	}
	return err
}

// failIn is fail for a statement that had a context of its own.
func (x *session) failIn(ctx context.Context, err error) error {
	if err != nil && context.Cause(ctx) == errCrowded {
		return unavailable(errCrowded)
	}
	return x.fail(err)
}

// Snapshot implements provisioning.Reader. In a unit of work it changes nothing: on SQLite that sees
// one state anyway, and with locks what it read does not move.
func (x *session) Snapshot() error {
	if x.transaction || x.snapshot != nil {
		return nil
	}
	options := &sql.TxOptions{ReadOnly: true}
	if x.postgres {
		options.Isolation = sql.LevelRepeatableRead
	}
	ctx, a := x.admit(x.long())
	snapshot := x.db.WithContext(ctx).Begin(options)
	if snapshot.Error != nil {
		a.leave()
		return x.failIn(ctx, snapshot.Error)
	}
	x.snapshot, x.entrance = snapshot, a
	return nil
}

func (x *session) endSnapshot() {
	if x.snapshot != nil {
		x.snapshot.Rollback()
		x.entrance.leave()
		x.snapshot = nil
	}
}

// conn is what statements go through: GORM's connections, without the builder that would copy each
// text byte by byte, for as much time as all else that a look-up costs here.
func (x *session) conn() gorm.ConnPool {
	if x.snapshot != nil {
		return x.snapshot.Statement.ConnPool
	}
	return x.db.Statement.ConnPool
}

// bounded is the context of a statement that indexes bound: it runs to its end. The drivers pay for
// a context that can be cancelled, database/sql and SQLite's with a goroutine a statement, and a
// write that was cut off leaves its caller not knowing.
func (x *session) bounded() context.Context {
	if x.patient {
		return patiently
	}
	return promptly
}

// long is the context of a statement that takes as long as a client reads, or that reads through
// much. On SQLite the driver looks at it between rows only, as read does.
func (x *session) long() context.Context {
	if x.postgres {
		return within(x.ctx, longSilence)
	}
	return x.bounded()
}

// query calls scan for each row of a statement that indexes bound.
func (x *session) query(text string, args []any, scan func(*sql.Rows) error) error {
	return x.queryIn(x.bounded(), text, args, scan)
}

// queryIn is query in the context given.
func (x *session) queryIn(ctx context.Context, text string, args []any, scan func(*sql.Rows) error) error {
	if x.store.traces(x.ctx) {
		return x.traced(text, func() error { return x.read(ctx, text, args, scan) })
	}
	return x.read(ctx, text, args, scan)
}

func (x *session) read(ctx context.Context, text string, args []any, scan func(*sql.Rows) error) (err error) {
	if err := x.ctx.Err(); err != nil {
		return err
	}
	x.store.observe(text, args)
	ctx, a := x.admit(ctx)
	defer a.leave()
	rows, err := x.conn().QueryContext(ctx, text, args...)
	if err != nil {
		return x.failIn(ctx, err)
	}
	defer func() { err = firstError(err, x.failIn(ctx, rows.Close())) }()
	for rows.Next() {
		if err := x.ctx.Err(); err != nil {
			return err
		}
		if err := scan(rows); err != nil {
			return err
		}
	}
	return x.failIn(ctx, rows.Err())
}

// row scans the one row of a statement and reports whether there was one.
func (x *session) row(text string, args []any, dest ...any) (found bool, err error) {
	return x.rowIn(x.bounded(), text, args, dest...)
}

// rowIn is row in the context given.
func (x *session) rowIn(ctx context.Context, text string, args []any, dest ...any) (found bool, err error) {
	err = x.queryIn(ctx, text, args, func(rows *sql.Rows) error {
		found = true
		return x.fail(rows.Scan(dest...))
	})
	return found, err
}

// exec runs a statement that writes and returns how many rows it touched.
func (x *session) exec(name, text string, args ...any) (int64, error) {
	if hook := x.store.options.BeforeWrite; hook != nil {
		if err := hook(name); err != nil {
			return 0, err
		}
	}
	if !x.store.traces(x.ctx) {
		return x.write(text, args)
	}
	var n int64
	err := x.traced(text, func() (err error) {
		n, err = x.write(text, args)
		return err
	})
	return n, err
}

func (x *session) write(text string, args []any) (int64, error) {
	x.store.observe(text, args)
	ctx, a := x.admit(x.bounded())
	defer a.leave()
	done, err := x.conn().ExecContext(ctx, text, args...)
	if err != nil {
		return 0, x.failIn(ctx, err)
	}
	n, err := done.RowsAffected()
	return n, x.fail(err)
}

// observe tells the tests of plans what is sent.
func (s *Store) observe(text string, args []any) {
	if s.observer != nil {
		s.observer(text, args)
	}
}

// tx is a session that may write.
type tx struct{ *session }
