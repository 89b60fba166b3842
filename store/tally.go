package store

import (
	"context"
	"time"
)

// foldEvery is how old a delta gets at most while Run runs: pages sum the ones not folded yet.
const foldEvery = 500 * time.Millisecond

// foldLock is the PostgreSQL advisory lock of whoever folds.
const foldLock = 0x6d656962 // "meib"

// Fold moves the deltas of the tallies into their totals and blocks. Where several processes share
// a database, one does it and the others return.
func (s *Store) Fold(ctx context.Context) error {
	defer s.occupy()()
	if s.dialect.postgres {
		s.observe(foldPostgres, []any{foldLock})
		return translate(ctx, s.reads.WithContext(within(ctx, longSilence)).Exec(foldPostgres, foldLock).Error)
	}
	var waits bool
	if err := s.reads.WithContext(context.WithoutCancel(ctx)).Raw("select exists (select 1 from tally)").Row().Scan(&waits); err != nil || !waits {
		return translate(ctx, err)
	}
	return s.writer.do(ctx, func(l *lent) error {
		for _, text := range foldSQLite {
			s.observe(text, nil)
			if err := l.db.Exec(text).Error; err != nil {
				return translate(ctx, err)
			}
		}
		return nil
	})
}

const foldPostgres = `
with l as materialized (select pg_try_advisory_xact_lock($1) as mine),
d as (delete from tally using l where l.mine returning lane, block, delta),
b as (insert into tally_block (lane, level, block, n)
	select lane, 10, block, sum(delta) from d group by lane, block
	union all
	select lane, 16, block >> 6, sum(delta) from d group by lane, block >> 6
	on conflict (lane, level, block) do update set n = tally_block.n + excluded.n)
insert into tally_total (lane, n) select lane, sum(delta) from d group by lane
on conflict (lane) do update set n = tally_total.n + excluded.n`

var foldSQLite = []string{
	`insert into tally_block (lane, level, block, n)
		select lane, 10, block, sum(delta) from tally where true group by lane, block
		on conflict (lane, level, block) do update set n = n + excluded.n`,
	`insert into tally_block (lane, level, block, n)
		select lane, 16, block >> 6, sum(delta) from tally where true group by lane, block >> 6
		on conflict (lane, level, block) do update set n = n + excluded.n`,
	`insert into tally_total (lane, n)
		select lane, sum(delta) from tally where true group by lane
		on conflict (lane) do update set n = n + excluded.n`,
	`delete from tally`,
}
