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
	snapshot    *gorm.DB
	committed   bool  // Commit was called
	failure     error // of Commit
	overtaken   bool  // run the closure again
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
	snapshot := x.db.WithContext(x.ctx).Begin(options)
	if snapshot.Error != nil {
		return x.fail(snapshot.Error)
	}
	x.snapshot = snapshot
	return nil
}

func (x *session) endSnapshot() {
	if x.snapshot != nil {
		x.snapshot.Rollback()
		x.snapshot = nil
	}
}

// conn is what statements go through, with the context they have: GORM's connections, without the
// builder that it would copy each text with.
//
// On SQLite statements are not cancelled: the driver pays for it with a goroutine a statement and
// looks at the context between rows only, as read does.
func (x *session) conn() (gorm.ConnPool, context.Context) {
	db := x.db
	if x.snapshot != nil {
		db = x.snapshot
	}
	if x.postgres {
		return db.Statement.ConnPool, x.ctx
	}
	return db.Statement.ConnPool, context.Background()
}

// query calls scan for each row.
func (x *session) query(text string, args []any, scan func(*sql.Rows) error) error {
	if x.store.options.Tracer != nil {
		return x.traced(text, func() error { return x.read(text, args, scan) })
	}
	return x.read(text, args, scan)
}

func (x *session) read(text string, args []any, scan func(*sql.Rows) error) (err error) {
	if err := x.ctx.Err(); err != nil {
		return err
	}
	x.store.observe(text, args)
	conn, ctx := x.conn()
	rows, err := conn.QueryContext(ctx, text, args...)
	if err != nil {
		return x.fail(err)
	}
	defer func() { err = firstError(err, x.fail(rows.Close())) }()
	for rows.Next() {
		if err := firstError(x.ctx.Err(), scan(rows)); err != nil {
			return err
		}
	}
	return x.fail(rows.Err())
}

// row scans the one row of a statement and reports whether there was one.
func (x *session) row(text string, args []any, dest ...any) (found bool, err error) {
	err = x.query(text, args, func(rows *sql.Rows) error {
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
	if x.store.options.Tracer == nil {
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
	conn, ctx := x.conn()
	done, err := conn.ExecContext(ctx, text, args...)
	if err != nil {
		return 0, x.fail(err)
	}
	return done.RowsAffected()
}

// observe tells the tests of plans what is sent.
func (s *Store) observe(text string, args []any) {
	if s.observer != nil {
		s.observer(text, args)
	}
}

// tx is a session that may write.
type tx struct{ *session }
