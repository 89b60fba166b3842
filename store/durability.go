package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// An acknowledged write outlives a crash only if the database flushes it to the disk before it says
// that it is committed. These are the settings on which that rests, and their values that are as
// good as needed on this node: whether a standby has the write as well is the operator's choice.
var durable = []struct {
	name   string
	values []string
	remedy string
}{
	{"synchronous", []string{"full", "extra"}, "meibo sets it"},
	{"fsync", []string{"on"}, "set fsync = on in postgresql.conf and reload it"},
	{"full_page_writes", []string{"on"}, "set full_page_writes = on in postgresql.conf and reload it"},
	{"synchronous_commit", []string{"on", "local", "remote_write", "remote_apply"},
		"set synchronous_commit = on, and look for ALTER ROLE, ALTER DATABASE and options in the URL that turn it off"},
}

// DurabilitySettings are the names that Options.AllowWeak may hold.
func DurabilitySettings() []string {
	var names []string
	for _, d := range durable {
		names = append(names, d.name)
	}
	return names
}

// Weak are the settings, as name=value, by which this database may lose acknowledged writes in a
// crash. Open accepted them because Options.AllowWeak names them.
func (s *Store) Weak() []string {
	if weak := s.weak.Load(); weak != nil {
		return *weak
	}
	return nil
}

// weakError refuses a database that may lose acknowledged writes.
type weakError []string

func (e weakError) Error() string {
	return "acknowledged writes could be lost in a crash: " + strings.Join(e, "; ") +
		"; where that may be, name the setting in allow_weak_durability"
}

// checkAllowed refuses names that are none: somebody believes that they allow something.
func (s *Store) checkAllowed() error {
	known := DurabilitySettings()
	for _, name := range s.options.AllowWeak {
		if !slices.Contains(known, name) {
			return fmt.Errorf("%q is no durability setting; they are %s", name, strings.Join(known, ", "))
		}
	}
	return nil
}

// checkDurable judges the values in effect, by name: a weakError, or nil with the weak ones noted.
func (s *Store) checkDurable(values map[string]string) error {
	var refused weakError
	var weak []string
	for _, d := range durable {
		value, ok := values[d.name]
		switch {
		case !ok || slices.Contains(d.values, value):
		case slices.Contains(s.options.AllowWeak, d.name):
			weak = append(weak, d.name+"="+value)
		default:
			refused = append(refused, fmt.Sprintf("%s is %s (%s)", d.name, value, d.remedy))
		}
	}
	if len(refused) > 0 {
		return refused
	}
	s.weak.Store(&weak)
	return nil
}

// settle prepares a new connection to PostgreSQL, in one round trip.
//
// It has the connection plan each statement once: every statement here has one good plan whatever
// its arguments are, and planning a look-up costs more than doing it. That is no startup parameter
// because connection poolers refuse those that they do not know. For a lock it waits shorter than
// for an answer: see lockTimeout. And each statement sees what it waited for, which is not everybody's default.
//
// It compiles none: planned without their arguments, statements look dearer than they are, and once a list was
// long enough for its cost to be believed, compiling took a page half a second.
//
// A page at random costs it hardly more than the next one, as it does in memory and on what disks are today. By its default of four
// times, PostgreSQL reads a table of five pages whole rather than two pages of an index, for each look-up
// of a directory whose few groups fit there: half of what reading a user cost it.
//
// An encoding other than UTF8 is refused, since it has no place for most names.
//
// It reads the durability settings, since role, database and URL may each have their own, and then
// sets synchronous_commit for the session to what it found: a session's own value is not changed by
// a reload or ALTER ROLE, so what was checked stays in effect for as long as the connection lives.
// A weak value is refused rather than replaced: who turned it off should learn that it is needed,
// and fsync cannot be replaced from here at all.
func (s *Store) settle(ctx context.Context, conn *pgx.Conn) error {
	var encoding, fsync, fullPageWrites, synchronousCommit string
	err := conn.QueryRow(ctx, `select current_setting('server_encoding'), current_setting('fsync'), current_setting('full_page_writes'),
		set_config('synchronous_commit', current_setting('synchronous_commit'), false)
		from set_config('plan_cache_mode', 'force_generic_plan', false) as plans, set_config('lock_timeout', $1, false) as locks,
			set_config('default_transaction_isolation', 'read committed', false) as isolation, set_config('jit', 'off', false) as jit,
			set_config('random_page_cost', '1.1', false) as pages`, pgx.QueryExecModeSimpleProtocol, lockTimeout.String()).
		Scan(&encoding, &fsync, &fullPageWrites, &synchronousCommit)
	if err != nil {
		return err
	}
	if encoding != "UTF8" {
		return encodingError(encoding)
	}
	return s.checkDurable(map[string]string{"fsync": fsync, "full_page_writes": fullPageWrites, "synchronous_commit": synchronousCommit})
}

// checkSQLiteDurable judges what is in effect on the writer's connection. Without a WAL a reader
// would hold the writer up, so the one is demanded whatever is allowed.
func (s *Store) checkSQLiteDurable(ctx context.Context) error {
	var journal string
	var level int
	db := s.writes.WithContext(ctx)
	if err := firstError(db.Raw("pragma journal_mode").Row().Scan(&journal), db.Raw("pragma synchronous").Row().Scan(&level)); err != nil {
		return translate(ctx, err)
	}
	if journal != "wal" {
		return fmt.Errorf("SQLite's journal_mode is %s where it must be wal; put the database on a local file system, which can share memory", journal)
	}
	levels := []string{"off", "normal", "full", "extra"} // sqlite.org/pragma.html#pragma_synchronous
	return s.checkDurable(map[string]string{"synchronous": levels[min(max(level, 0), len(levels)-1)]})
}
