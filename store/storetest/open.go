// Package storetest opens stores for tests and holds the suite that every one of them must pass.
package storetest

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"meibo/internal/testkit"
	"meibo/provisioning"
	"meibo/store"
)

// Open returns a migrated store on an SQLite file of its own. It runs each unit of work, takes it
// back and runs it again, so that a closure with side effects fails its test.
func Open(t testing.TB) *store.Store {
	t.Helper()
	return open(t, store.Options{URL: sqliteURL(t), Rehearse: true})
}

// Each runs a test on both databases, in stores such as Open's. Without PostgreSQL on the machine
// its half is skipped, as testkit.Postgres says.
func Each(t *testing.T, run func(t *testing.T, s provisioning.Store)) {
	t.Helper()
	each(t, store.Options{Rehearse: true}, func(t *testing.T, s *store.Store) { run(t, s) })
}

// databases are the two, with the URL of a fresh one each.
var databases = []struct {
	name string
	url  func(testing.TB) string
}{{"SQLite", sqliteURL}, {"PostgreSQL", func(t testing.TB) string { return testkit.PostgresCopy(t, migrate) }}}

// migrate brings an empty database to the schema.
func migrate(url string) error {
	ctx := context.Background()
	s, err := store.Open(ctx, store.Options{URL: url})
	if err != nil {
		return err
	}
	return errors.Join(s.Migrate(ctx), s.Close())
}

func each(t *testing.T, options store.Options, run func(t *testing.T, s *store.Store)) {
	t.Helper()
	for _, database := range databases {
		t.Run(database.name, func(t *testing.T) {
			t.Parallel()
			o := options
			o.URL = database.url(t)
			run(t, open(t, o))
		})
	}
}

func sqliteURL(t testing.TB) string {
	return "sqlite:" + filepath.Join(t.TempDir(), "meibo.db")
}

func open(t testing.TB, o store.Options) *store.Store {
	t.Helper()
	ctx := context.Background()
	s, err := store.Open(ctx, o)
	if err != nil {
		t.Fatalf("open the store: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	if err := s.Migrate(ctx); err != nil {
		t.Fatalf("migrate: %v", err)
	}
	return s
}
