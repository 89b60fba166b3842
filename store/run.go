package store

import (
	"context"
	"sync"
	"time"
)

// analyseEvery is how often Run looks at the sizes of the tables.
const analyseEvery = 5 * time.Second

// analyseSilence bounds how long PostgreSQL may say nothing while it gathers statistics.
const analyseSilence = time.Minute

// Run does the store's background work until ctx ends: it folds the tallies, gives entries their
// positions and seals them, sweeps up behind both and, while a database is young, has it gather statistics. An
// error stops nothing: it is reported, and the work is tried again at its next turn.
func (s *Store) Run(ctx context.Context) {
	fold, follow, seal, analyse := time.NewTicker(foldEvery), time.NewTicker(followEvery), time.NewTicker(sealEvery), time.NewTicker(analyseEvery)
	defer fold.Stop()
	defer follow.Stop()
	defer seal.Stop()
	defer analyse.Stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { s.followOn(ctx, follow.C) })
	wg.Go(func() { s.sealOn(ctx, seal.C) })
	s.work(ctx, fold.C, analyse.C)
}

func (s *Store) work(ctx context.Context, fold, analyse <-chan time.Time) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-fold:
			s.report(ctx, s.Fold(ctx))
			s.report(ctx, s.sweep(ctx))
		case <-analyse:
			s.report(ctx, s.Analyse(ctx))
		}
	}
}

// passing are the tables that rows only pass through, written by each change and emptied by the
// background work. They are read whole, so what counts is how large they are on disk.
var passing = []string{"tally", "pending"}

// sweepFrom is the size in bytes from which on a table is swept.
const sweepFrom = 64 << 10

// sweep has PostgreSQL take the dead rows out of a table that has doubled since it was swept last.
// Autovacuum comes around once a minute, and in that time an initial cycle leaves a hundred thousand
// dead rows for each list page to read over. What does not get smaller, because an old snapshot still
// sees the rows, is left alone until it has doubled again. Not safe for concurrent use.
func (s *Store) sweep(ctx context.Context) error {
	if !s.dialect.postgres {
		return nil // SQLite gives the space of deleted rows to the next ones
	}
	defer s.occupy()()
	for _, table := range passing {
		size, err := s.bytesOf(ctx, table)
		if err != nil {
			return err
		}
		s.swept[table] = min(s.swept[table], size)
		if size < max(sweepFrom, 2*s.swept[table]) {
			continue
		}
		if err := s.reads.WithContext(within(ctx, longSilence)).Exec("vacuum (skip_locked) " + table).Error; err != nil {
			return translate(ctx, err)
		}
		if s.swept[table], err = s.bytesOf(ctx, table); err != nil {
			return err
		}
	}
	return nil
}

// bytesOf is how large a table is on disk.
func (s *Store) bytesOf(ctx context.Context, table string) (size int64, err error) {
	err = s.ask(ctx, s.reads.WithContext(within(ctx, silence)), "select pg_relation_size('"+table+"')", &size)
	return size, err
}

// report tells of an error of the background work, unless that is about to end.
func (s *Store) report(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil && s.options.Report != nil {
		s.options.Report(err)
	}
}

// milestones are the sizes at which a growing table is analysed: before the first, plans rest on
// guesses, and autovacuum comes around a minute late.
var milestones = []int64{1_000, 10_000, 100_000}

// growing are the tables that milestones are for.
var growing = []string{"resource", "resource_value", "member", "entry"}

// Analyse gathers statistics on each table that has passed a milestone since the last call. Not safe for concurrent use.
func (s *Store) Analyse(ctx context.Context) error {
	defer s.occupy()()
	for _, table := range growing {
		size, err := s.sizeOf(ctx, table)
		if err != nil {
			return err
		}
		if milestone(size) <= s.analysed[table] {
			continue
		}
		if err := s.analyse(ctx, table); err != nil {
			return err
		}
		s.analysed[table] = milestone(size)
	}
	return nil
}

// milestone is the greatest one that size has passed; 0 for none.
func milestone(size int64) (passed int64) {
	for _, m := range milestones {
		if size >= m {
			passed = m
		}
	}
	return passed
}

// sizeOf is about how many rows a table has, without counting them.
func (s *Store) sizeOf(ctx context.Context, table string) (size int64, err error) {
	query := "select n_live_tup from pg_stat_user_tables where relid = '" + table + "'::regclass"
	if !s.dialect.postgres {
		query = "select coalesce(max(rowid), 0) from " + table
		if table == "resource_value" { // it has no rowid; about one a resource
			query = "select coalesce(max(rowid), 0) from resource"
		}
	}
	err = s.reads.WithContext(within(ctx, longSilence)).Raw(query).Row().Scan(&size)
	return size, translate(ctx, err)
}

func (s *Store) analyse(ctx context.Context, table string) error {
	if s.dialect.postgres {
		return translate(ctx, s.reads.WithContext(within(ctx, analyseSilence)).Exec("analyze "+table).Error)
	}
	return s.writer.do(ctx, func(l *lent) error {
		// A sample of each index is enough, and short enough to do between two units of work.
		return translate(ctx, l.db.Exec("pragma analysis_limit = 400; analyze "+table).Error)
	})
}
