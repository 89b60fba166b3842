package store

import (
	"context"
	"slices"
	"testing"
)

// TestSweep lets many rows pass through the tables that are read whole. Afterwards they are small
// again, but for as long as a snapshot still sees the rows.
func TestSweep(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{URL: onPostgres(t)})
	ctx := context.Background()
	size := func(table string) int64 {
		t.Helper()
		n, err := s.bytesOf(ctx, table)
		must(t, err)
		return n
	}
	for _, table := range passing { // autovacuum's ANALYZE is a snapshot as well
		must(t, s.reads.Exec("alter table "+table+" set (autovacuum_enabled = off)").Error)
	}
	pass := func() {
		t.Helper()
		must(t, s.reads.Exec("insert into tally select 8, i, 1 from generate_series(1, 20000) i").Error)
		must(t, s.reads.Exec("insert into pending (entry) select 'x' from generate_series(1, 20000)").Error)
		must(t, s.reads.Exec("delete from tally").Error)
		must(t, s.reads.Exec("delete from pending").Error)
	}

	old := s.reads.Begin()
	must(t, old.Exec("set transaction isolation level repeatable read").Error)
	must(t, old.Exec("select 1 from tenant").Error)
	pass()
	must(t, s.sweep(ctx))
	for _, table := range passing {
		if n := size(table); n < sweepFrom || s.swept[table] != n {
			t.Errorf("%s: %d bytes while a snapshot sees the rows, noted as %d", table, n, s.swept[table])
		}
	}
	must(t, old.Rollback().Error)

	// PostgreSQL leaves out a page that somebody else looks at in that moment, such as its own checkpointer, and what is before
	// it in the file. The next sweep takes it.
	for range 10 {
		pass()
		pass()
		must(t, s.sweep(ctx))
		if !slices.ContainsFunc(passing, func(table string) bool { return size(table) >= sweepFrom }) {
			return
		}
	}
	for _, table := range passing {
		t.Errorf("%s: %d bytes after the sweep", table, size(table))
	}
}
