// Package storetest opens stores for tests and holds the suite that every one of them must pass.
package storetest

import (
	"context"
	"errors"
	"testing"

	"meibo/internal/testkit"
	"meibo/provisioning"
	"meibo/store"
)

// SQLite returns the URL of a file of t's own that has the schema and nothing else.
func SQLite(t testing.TB) string {
	t.Helper()
	return testkit.SQLiteCopy(t, migrate)
}

// PostgreSQL returns the URL of a database of t's own that has the schema and nothing else. Without PostgreSQL on the machine
// t is skipped, as testkit.Postgres says.
func PostgreSQL(t testing.TB) string {
	t.Helper()
	return testkit.PostgresCopy(t, migrate)
}

// Open returns a migrated store on an SQLite file of its own. It runs each unit of work, takes it
// back and runs it again, so that a closure with side effects fails its test.
func Open(t testing.TB) *store.Store {
	t.Helper()
	return open(t, store.Options{URL: SQLite(t), Rehearse: true})
}

// Each runs a test on both databases, in stores such as Open's. Without PostgreSQL on the machine
// its half is skipped, as testkit.Postgres says.
func Each(t *testing.T, run func(t *testing.T, s provisioning.Store)) {
	t.Helper()
	each(t, store.Options{Rehearse: true}, func(t *testing.T, s *store.Store) { run(t, s) })
}

// databases are the two, with the URL of one each that has the schema.
var databases = []struct {
	name string
	url  func(testing.TB) string
}{{"SQLite", SQLite}, {"PostgreSQL", PostgreSQL}}

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

// open opens a store on a database that has the schema.
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
	return s
}
