package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"

	"gorm.io/gorm"
	"gorm.io/gorm/callbacks"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"
	"gorm.io/gorm/schema"
	"modernc.org/sqlite"
)

// sqliteDialector is GORM's dialect for a pool of SQLite connections, as far as this package needs
// one: GORM opens the pool and lends its connections, and the statements are written here.
type sqliteDialector struct{ dsn string }

func (sqliteDialector) Name() string { return "sqlite" }

func (d sqliteDialector) Initialize(db *gorm.DB) error {
	connector, err := sqlite.NewConnector(d.dsn)
	if err != nil {
		return err
	}
	callbacks.RegisterDefaultCallbacks(db, &callbacks.Config{})
	db.ConnPool = sql.OpenDB(compilingOnce{connector})
	return nil
}

func (sqliteDialector) BindVarTo(w clause.Writer, _ *gorm.Statement, _ any) { _ = w.WriteByte('?') }

func (sqliteDialector) QuoteTo(w clause.Writer, name string) { _, _ = w.WriteString(`"` + name + `"`) }

func (sqliteDialector) Explain(text string, args ...any) string {
	return logger.ExplainSQL(text, nil, `'`, args...)
}

// Models and migrations are not GORM's here.

func (sqliteDialector) Migrator(*gorm.DB) gorm.Migrator { return nil }

func (sqliteDialector) DataTypeOf(*schema.Field) string { return "" }

func (sqliteDialector) DefaultValueOf(*schema.Field) clause.Expression { return clause.Expr{} }

// compilingOnce opens connections that keep the statements they compiled. To compile a look-up
// takes SQLite several times as long as to run it, and database/sql would do so each time.
type compilingOnce struct{ driver.Connector }

func (c compilingOnce) Connect(ctx context.Context) (driver.Conn, error) {
	opened, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	conn, ok := opened.(sqliteConn)
	if !ok {
		_ = opened.Close()
		return nil, fmt.Errorf("the SQLite driver's %T is not the connection that this build expects", opened)
	}
	return &keepingConn{sqliteConn: conn, kept: map[string]*keptStmt{}}, nil
}

// sqliteConn is what database/sql makes use of in the driver's connection.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// sqliteStmt is what it makes use of in the driver's statement.
type sqliteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// What a connection keeps is bounded, since a compiled statement takes thirty times its text: the hot
// ones are some thirty and below three kilobytes, while filters make texts of their own, and long ones.
const (
	maxKept = 40
	maxText = 4 << 10
)

// keepingConn is a connection with its statements by their texts. database/sql lends a connection
// to one goroutine at a time.
type keepingConn struct {
	sqliteConn
	kept  map[string]*keptStmt
	clock uint64 // of uses
}

// keptStmt is a compiled statement. While rows of it are open it cannot run again.
type keptStmt struct {
	sqliteStmt
	used uint64
	busy bool
}

func (c *keepingConn) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.statement(ctx, text)
	if err != nil {
		return nil, err
	}
	result, err := s.ExecContext(ctx, args)
	return result, firstError(err, c.done(s))
}

func (c *keepingConn) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.statement(ctx, text)
	if err != nil {
		return nil, err
	}
	rows, err := s.QueryContext(ctx, args)
	if err != nil {
		return nil, firstError(err, c.done(s))
	}
	return &keptRows{Rows: rows, conn: c, stmt: s}, nil
}

// statement is the compiled form of a text, for one use: done ends it.
func (c *keepingConn) statement(ctx context.Context, text string) (*keptStmt, error) {
	c.clock++
	s := c.kept[text]
	if s != nil && !s.busy {
		s.used, s.busy = c.clock, true
		return s, nil
	}
	compiled, err := c.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	own, ok := compiled.(sqliteStmt)
	if !ok {
		return nil, firstError(compiled.Close(), fmt.Errorf("the SQLite driver's %T is not the statement that this build expects", compiled))
	}
	fresh := &keptStmt{sqliteStmt: own, used: c.clock, busy: true}
	if s != nil || len(text) > maxText { // rows of s are open: the new one serves once
		fresh.used = 0
		return fresh, nil
	}
	if len(c.kept) >= maxKept {
		c.forget()
	}
	c.kept[text] = fresh
	return fresh, nil
}

// done ends a use of a statement.
func (c *keepingConn) done(s *keptStmt) error {
	s.busy = false
	if s.used == 0 {
		return s.Close()
	}
	return nil
}

// forget closes the statement that was not used for longest.
func (c *keepingConn) forget() {
	oldest := ""
	for text, s := range c.kept {
		if !s.busy && (oldest == "" || s.used < c.kept[oldest].used) {
			oldest = text
		}
	}
	if s := c.kept[oldest]; s != nil {
		delete(c.kept, oldest)
		_ = s.Close() // it would repeat the error of its last run
	}
}

// Close closes the statements with the connection.
func (c *keepingConn) Close() error {
	var errs []error
	for _, s := range c.kept {
		errs = append(errs, s.Close())
	}
	clear(c.kept)
	return firstError(append(errs, c.sqliteConn.Close())...)
}

// keptRows gives their statement back when they are closed.
type keptRows struct {
	driver.Rows
	conn *keepingConn
	stmt *keptStmt
}

func (r *keptRows) Close() error { return firstError(r.Rows.Close(), r.conn.done(r.stmt)) }
