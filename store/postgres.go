package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"

	"meibo/provisioning"
)

const (
	optimisticTries = 3  // after the first, without a transaction, guarded by the versions read
	lockedTries     = 10 // in a transaction with row locks; only deadlocks and races of inserts repeat it
)

func (s *Store) openPostgres(ctx context.Context) error {
	config, err := pgx.ParseConfig(s.options.URL)
	if err != nil {
		// The error quotes the URL, password and all.
		return fmt.Errorf("database URL: not a valid postgres:// URL")
	}
	config.RuntimeParams["timezone"] = "UTC"
	config.RuntimeParams["client_encoding"] = "UTF8" // what we send, whatever the database or the role prefers
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "meibo"
	}
	conns := s.options.MaxConns
	if conns <= 0 {
		conns = 16
	}
	s.dialect = dialect{postgres: true}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	config.DialFunc = s.dialer(config.DialFunc)
	config.Tracer = silenceTracer{}
	s.places = int64(conns)
	s.probe = stdlib.OpenDB(*config, stdlib.OptionAfterConnect(s.afterConnect))
	s.probe.SetMaxOpenConns(1)
	pool := stdlib.OpenDB(*config, stdlib.OptionAfterConnect(s.afterConnect),
		stdlib.OptionShouldPing(s.shouldPing), stdlib.OptionResetSession(s.trust))
	s.reads, err = openPool(postgres.New(postgres.Config{Conn: pool}), conns)
	if err != nil {
		return err
	}
	s.writes = s.reads
	if err := s.connectable(ctx); err != nil {
		// Some will not get better by waiting.
		if weak, ok := errors.AsType[weakError](err); ok {
			err = weak
		} else if encoding, ok := errors.AsType[encodingError](err); ok {
			err = encoding
		}
		return firstError(err, s.Close())
	}
	return nil
}

// encodingError refuses a database whose encoding, which it names, cannot hold every text.
type encodingError string

func (e encodingError) Error() string {
	return "the database's encoding is " + string(e) + ", which cannot hold every name; create one with " +
		"CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
}

// afterConnect settles a new connection. What it refuses it closes: nobody else knows of it.
func (s *Store) afterConnect(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	conn.PgConn().CustomData()[generation] = s.suspects.Load()
	err := s.settle(ctx, conn)
	if err != nil {
		_ = conn.Close(ctx)
	}
	return err
}

// updatePostgres runs fn optimistically, and with locks once it was overtaken too often. The first run
// presumes that nothing stands in the way of a create (see tx.Candidates); unless its commit finds
// that true, it counts for nothing.
func (s *Store) updatePostgres(ctx context.Context, tenant string, fn func(provisioning.Tx) error) error {
	if s.options.Rehearse {
		s.session(ctx, tenant, s.reads).rehearse(fn)
	}
	x := s.session(ctx, tenant, s.reads)
	x.presume = true
	err := x.run(fn)
	switch {
	case x.overtaken && x.presumed == nil:
		s.rerun(ctx)
	case x.overtaken:
	case x.presumed == nil, x.committed, provisioning.KindOf(err) == provisioning.Unavailable: // which better facts would not change
		return err
	}
	for range optimisticTries {
		x := s.session(ctx, tenant, s.reads)
		if err := x.run(fn); !x.overtaken {
			return err
		}
		s.rerun(ctx)
	}
	for range lockedTries {
		x := s.session(ctx, tenant, s.reads)
		x.locking = true
		if err := x.inTransaction(func() error { return x.run(fn) }); !x.overtaken {
			return err
		}
		s.rerun(ctx)
	}
	return errContended
}

// rehearse runs fn in a transaction and rolls it back. How it ends does not matter: it is about to
// run again.
func (x *session) rehearse(fn func(provisioning.Tx) error) {
	_ = x.inTransaction(func() error {
		return firstError(x.run(fn), errRehearsal)
	})
}

// inTransaction runs fn with all statements of x in one transaction.
func (x *session) inTransaction(fn func() error) (err error) {
	pool := x.db
	ctx, a := x.admit(within(x.ctx, silence))
	defer a.leave()
	tx := pool.WithContext(ctx).Begin()
	if tx.Error != nil {
		return x.failIn(ctx, tx.Error)
	}
	x.db, x.transaction = tx, true
	done := false
	defer func() {
		x.db, x.transaction = pool, false
		if !done { // fn failed or panicked
			tx.Rollback()
		}
	}()
	if err := fn(); err != nil {
		return err
	}
	done = true
	return x.fail(tx.Commit().Error)
}
