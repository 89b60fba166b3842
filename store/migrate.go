package store

import (
	"context"
	"embed"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations
var migrations embed.FS

// Migrate brings the schema up to date. Several processes may do so at once: one works, the others wait.
func (s *Store) Migrate(ctx context.Context) error {
	var err error
	for range migrateTries {
		var p *goose.Provider
		if p, err = s.migrator(); err != nil {
			return err
		}
		if _, err = p.Up(ctx); err == nil || s.dialect.postgres || ctx.Err() != nil {
			break
		}
		// SQLite has no lock to wait for: another process may have worked on the same migration, and
		// this one found it done.
	}
	return translate(ctx, err)
}

// migrateTries is how often a migration of an SQLite file that fails is looked at again.
const migrateTries = 5

// SchemaCurrent reports whether Migrate has nothing to do.
func (s *Store) SchemaCurrent(ctx context.Context) (bool, error) {
	p, err := s.migrator()
	if err != nil {
		return false, err
	}
	pending, err := p.HasPending(ctx)
	return err == nil && !pending, translate(ctx, err)
}

func (s *Store) migrator() (*goose.Provider, error) {
	folder, kind := "migrations/sqlite", goose.DialectSQLite3
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	if s.dialect.postgres {
		folder, kind = "migrations/postgres", goose.DialectPostgres
		// The wait is polled: each second, for five minutes.
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
		if err != nil {
			return nil, err
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	files, err := fs.Sub(migrations, folder)
	if err != nil {
		return nil, err
	}
	pool, err := s.writes.DB()
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(kind, pool, files, options...)
}
