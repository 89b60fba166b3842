// Package store keeps meibo's state on PostgreSQL or SQLite. It implements provisioning.Store and
// is the only package that knows SQL.
//
// What the two databases share is one text of SQL; where they differ, dialect has both forms.
// Statements are sent through the connections and transactions that GORM holds, with $1, $2, … in
// the text, which both drivers number alike.
//
// A unit of work runs, on SQLite, inside the transaction of the one writer (writer.go), which
// commits for all that were waiting. On PostgreSQL it runs optimistically: it reads without a
// transaction and writes one statement that is guarded by the version it read (postgres.go).
package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"meibo/provisioning"
)

var _ provisioning.Store = (*Store)(nil)

// Options configure a Store.
type Options struct {
	URL      string      // sqlite:PATH or postgres://…
	MaxConns int         // connections, on SQLite those that read; 0 for 16 and 4
	Report   func(error) // hears of errors of the background work; nil for nobody

	// Committed hears of each commit of SQLite's one writer: how many units of work it made durable
	// and how long that took. It holds up the writer. PostgreSQL commits each unit by itself. Nil for nobody.
	Committed func(units int, took time.Duration)
	// Overtaken hears of each unit of work that runs again because another writer was faster; nil for nobody.
	Overtaken func()
	// Tracer makes a span of each unit of work and of each statement in it; nil for none.
	Tracer trace.Tracer

	// AllowWeak names settings that may let a crash take acknowledged writes, of
	// DurabilitySettings. PostgreSQL's may then have any value; with "synchronous" SQLite does not
	// flush at each commit.
	AllowWeak []string

	// Rehearse runs each unit of work, takes it back and runs it again. For tests: it finds
	// closures that touch what is outside their transaction.
	Rehearse bool
	// BeforeWrite, if set, is called before each statement of a unit of work that writes, with the
	// name of what it writes; its error takes the statement's place. For tests of failures.
	BeforeWrite func(name string) error
}

// Store is a provisioning.Store on one database. It is safe for concurrent use.
type Store struct {
	options  Options
	dialect  dialect
	reads    *gorm.DB
	writes   *gorm.DB                      // the same as reads on PostgreSQL
	writer   *writer                       // nil on PostgreSQL
	observer func(text string, args []any) // of tests
	analysed map[string]int64              // milestone of each table; Run's own
	swept    map[string]int64              // size of each passing table when it was swept last; Run's own
	weak     atomic.Pointer[[]string]      // see Weak
	probe    *sql.DB                       // Ping's own connection
	file     *databaseFile                 // SQLite: what the path names
	suspects atomic.Uint64                 // see suspect
	places   int64                         // PostgreSQL: connections of the pool
	using    atomic.Int64                  // how many use one or wait for one
	log      logBounds                     // of tests, else the default ones
}

// Open connects to the database that options.URL names. An SQLite file is created if there is
// none; the schema is Migrate's affair. Unavailable if the database does not answer; an error that
// names the setting if one of those that durability rests on is weak and not allowed to be.
func Open(ctx context.Context, options Options) (*Store, error) {
	if options.Overtaken == nil {
		options.Overtaken = func() {}
	}
	s := &Store{options: options, analysed: map[string]int64{}, swept: map[string]int64{}, log: defaultLogBounds}
	err := s.checkAllowed()
	if err != nil {
		return nil, err
	}
	switch scheme, _, _ := strings.Cut(options.URL, ":"); scheme {
	case "sqlite":
		err = s.openSQLite(ctx)
	case "postgres", "postgresql":
		err = s.openPostgres(ctx)
	default:
		return nil, fmt.Errorf("database URL: unknown scheme %q; write sqlite:PATH or postgres://USER@HOST/DATABASE", scheme)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Close ends all connections. Units of work that wait for their turn are Unavailable.
func (s *Store) Close() error {
	if s.writer != nil {
		s.writer.close()
	}
	err := closePool(s.reads)
	if s.writes != s.reads {
		err = firstError(err, closePool(s.writes))
	}
	if s.probe != nil {
		err = firstError(err, s.probe.Close())
	}
	return err
}

// View implements provisioning.Store.
func (s *Store) View(ctx context.Context, tenant string, fn func(provisioning.Reader) error) error {
	if s.traces(ctx) {
		return s.tracedUnit(ctx, "view", tenant, func(ctx context.Context) error { return s.view(ctx, tenant, fn) })
	}
	return s.view(ctx, tenant, fn)
}

func (s *Store) view(ctx context.Context, tenant string, fn func(provisioning.Reader) error) error {
	x := s.session(ctx, tenant, s.reads)
	defer x.endSnapshot()
	return fn(x)
}

// Update implements provisioning.Store.
func (s *Store) Update(ctx context.Context, tenant string, fn func(provisioning.Tx) error) error {
	if s.traces(ctx) {
		return s.tracedUnit(ctx, "update", tenant, func(ctx context.Context) error { return s.update(ctx, tenant, fn) })
	}
	return s.update(ctx, tenant, fn)
}

func (s *Store) update(ctx context.Context, tenant string, fn func(provisioning.Tx) error) error {
	if s.dialect.postgres {
		return s.updatePostgres(ctx, tenant, fn)
	}
	return s.updateSQLite(ctx, tenant, fn)
}

// Pools are the figures of the pools of database connections, by name: "read" and "write" on SQLite,
// which has one connection that writes; "shared" on PostgreSQL.
func (s *Store) Pools() map[string]sql.DBStats {
	named := map[string]*gorm.DB{"read": s.reads, "write": s.writes}
	if s.dialect.postgres {
		named = map[string]*gorm.DB{"shared": s.reads}
	}
	figures := make(map[string]sql.DBStats, len(named))
	for name, db := range named {
		if pool, err := db.DB(); err == nil {
			figures[name] = pool.Stats()
		}
	}
	return figures
}

// openPool opens GORM so that it adds nothing of its own: no transaction around single
// statements, no prepared statements, no log, errors as the driver made them.
func openPool(d gorm.Dialector, conns int) (*gorm.DB, error) {
	db, err := gorm.Open(d, &gorm.Config{
		SkipDefaultTransaction: true,
		DisableAutomaticPing:   true,
		Logger:                 logger.Discard,
	})
	if err != nil {
		return nil, err
	}
	pool, err := db.DB()
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	return db, nil
}

func closePool(db *gorm.DB) error {
	if db == nil {
		return nil
	}
	pool, err := db.DB()
	if err != nil {
		return err
	}
	return pool.Close()
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
