package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"meibo/provisioning"
	"meibo/scim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func each(t *testing.T, run func(t *testing.T, s *Store, connection int64)) {
	for _, database := range databases {
		t.Run(database.name, func(t *testing.T) {
			t.Parallel()
			s := openTest(t, Options{URL: database.url(t)})
			run(t, s, tenantOf(t, s).ID)
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ url, want string }{
		{"", "unknown scheme"}, {"mysql://x", "unknown scheme"}, {"sqlite:", "needs the path"}, {"sqlite::memory:", "needs the path"},
		{"postgres://u:secret@h:port/d", "not a valid postgres:// URL"},
	} {
		_, err := Open(context.Background(), Options{URL: test.url})
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v, want %q", test.url, err, test.want)
		}
	}
}

// TestOddPaths opens files whose names mean something in URLs.
func TestOddPaths(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a b?c#d%e&f=1.db")
	s := openTest(t, Options{URL: "sqlite:" + path})
	tenantOf(t, s)
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

func TestUnreachableIsUnavailable(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	address := l.Addr().String()
	must(t, l.Close())
	for _, url := range []string{"postgres://u:secret@" + address + "/d", "sqlite:" + filepath.Join(t.TempDir(), "none", "meibo.db")} {
		_, err := Open(context.Background(), Options{URL: url})
		if provisioning.KindOf(err) != provisioning.Unavailable {
			t.Errorf("%v, want Unavailable", err)
		}
		var e *provisioning.Error
		if errors.As(err, &e) && strings.Contains(e.Detail, "secret") {
			t.Error("the detail tells the password")
		}
	}
}

// TestFullDisk fills an SQLite file up: creates are Unavailable, reads go on, and so do writes once
// there is room.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{URL: databases[0].url(t)})
	connection := tenantOf(t, s).ID
	var pages int
	must(t, s.writes.Raw("pragma page_count").Row().Scan(&pages))
	must(t, s.writes.Exec(fmt.Sprintf("pragma max_page_count = %d", pages+8)).Error)
	names, err := []string(nil), error(nil)
	for i := 0; err == nil && i < 1000; i++ {
		name := fmt.Sprintf("user%03d", i)
		if err = s.Update(context.Background(), "acme", create(connection, name)); err == nil {
			names = append(names, name)
		}
	}
	if provisioning.KindOf(err) != provisioning.Unavailable {
		t.Fatalf("a full disk is %v", err)
	}
	wantNames(t, s, connection, names...)
	must(t, s.writes.Exec("pragma max_page_count = 100000").Error)
	must(t, s.Update(context.Background(), "acme", create(connection, "user999")))
	wantNames(t, s, connection, append(names, "user999")...)
}

func TestMigrateIsIdempotent(t *testing.T) {
	t.Parallel()
	for _, database := range databases {
		t.Run(database.name, func(t *testing.T) {
			t.Parallel()
			s, err := Open(context.Background(), Options{URL: database.empty(t)})
			must(t, err)
			defer func() { must(t, s.Close()) }()
			for _, want := range []bool{false, true, true} {
				current, err := s.SchemaCurrent(context.Background())
				must(t, err)
				if current != want {
					t.Errorf("the schema is current: %v, want %v", current, want)
				}
				must(t, s.Migrate(context.Background()))
			}
		})
	}
}

// TestMigrateAtOnce brings one new file up to date from many connections, as replicas do that start
// together.
func TestMigrateAtOnce(t *testing.T) {
	t.Parallel()
	url := "sqlite:" + filepath.Join(t.TempDir(), "meibo.db")
	var group errgroup.Group
	for range 8 {
		group.Go(func() error {
			s, err := Open(t.Context(), Options{URL: url})
			if err != nil {
				return err
			}
			return errors.Join(s.Migrate(t.Context()), s.Close())
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

// TestSchemasAreTheSame compares tables, columns with their nullability, and indexes.
func TestSchemasAreTheSame(t *testing.T) {
	t.Parallel()
	lite := openTest(t, Options{URL: databases[0].url(t)})
	full := openTest(t, Options{URL: databases[1].url(t)})
	columns := func(s *Store, query string) (all []string) {
		rows, err := s.reads.Raw(query).Rows()
		must(t, err)
		defer rows.Close()
		for rows.Next() {
			var table, column string
			var required bool
			must(t, rows.Scan(&table, &column, &required))
			all = append(all, fmt.Sprintf("%s.%s required=%v", table, column, required))
		}
		must(t, rows.Err())
		slices.Sort(all)
		return all
	}
	want := columns(full, `select table_name, column_name, is_nullable = 'NO' from information_schema.columns
		where table_schema = 'public' and table_name not like 'goose%' and table_name <> 'pending'`) // which SQLite needs not
	got := columns(lite, `select t.name, c.name, c."notnull" from sqlite_schema t, pragma_table_info(t.name) c
		where t.type = 'table' and t.name not like 'goose%' and t.name not like 'sqlite%'`)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("columns: PostgreSQL -, SQLite +\n%s", d)
	}
	indexes := func(s *Store, query string) (all []string) {
		rows, err := s.reads.Raw(query).Rows()
		must(t, err)
		defer rows.Close()
		for rows.Next() {
			var table, columns string
			var unique bool
			must(t, rows.Scan(&table, &columns, &unique))
			all = append(all, fmt.Sprintf("%s (%s) unique=%v", table, columns, unique))
		}
		must(t, rows.Err())
		slices.Sort(all)
		return all
	}
	want = indexes(full, `select t.relname, string_agg(coalesce(a.attname, 'expression'), ', ' order by k.ord), i.indisunique
		from pg_index i join pg_class t on t.oid = i.indrelid cross join lateral unnest(i.indkey::int[]) with ordinality k(n, ord)
		left join pg_attribute a on a.attrelid = t.oid and a.attnum = k.n and k.n > 0
		where t.relnamespace = 'public'::regnamespace and t.relname not like 'goose%'
		group by t.relname, i.indexrelid, i.indisunique`)
	got = indexes(lite, `select t.name, group_concat(coalesce(c.name, 'expression'), ', ' order by c.seqno), i."unique"
		from sqlite_schema t, pragma_index_list(t.name) i, pragma_index_info(i.name) c
		where t.type = 'table' and t.name not like 'goose%' and t.name not like 'sqlite%' group by t.name, i.name`)
	// Keys that are SQLite's row numbers have no index of their own there.
	want = slices.DeleteFunc(want, func(s string) bool {
		return s == "connection (id) unique=true" || s == "tally_total (lane) unique=true" || s == "hearing (connection) unique=true"
	})
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("indexes: PostgreSQL -, SQLite +\n%s", d)
	}
}

// TestErrorsKeepValuesBack holds that no attribute value gets into an error, its cause included.
func TestErrorsKeepValuesBack(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Store, connection int64) {
		must(t, s.Update(context.Background(), "acme", create(connection, "needle")))
		err := s.Update(context.Background(), "acme", create(connection, "needle"))
		if err == nil || strings.Contains(fmt.Sprintf("%+v %v", err, errors.Unwrap(err)), "needle") {
			t.Errorf("%v", err)
		}
	})
	err := translate(context.Background(), &pgconn.PgError{Code: "22P02", Message: `invalid input: "needle"`, Detail: "needle"})
	if strings.Contains(err.Error(), "needle") {
		t.Error(err)
	}
}

func TestTranslate(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]provisioning.Kind{
		"53100": provisioning.Unavailable, "57P01": provisioning.Unavailable, "08006": provisioning.Unavailable,
		"25P03": provisioning.Unavailable, "25P04": provisioning.Unavailable,
		"25006": provisioning.Unavailable, "55P03": provisioning.Unavailable, "42601": provisioning.Internal, "22P02": provisioning.Internal,
	} {
		if got := provisioning.KindOf(translate(context.Background(), &pgconn.PgError{Code: code})); got != want {
			t.Errorf("SQLSTATE %s is of kind %d, want %d", code, got, want)
		}
	}
	for _, code := range []string{"40001", "40P01"} {
		if err := translate(context.Background(), &pgconn.PgError{Code: code}); err != errOvertaken {
			t.Errorf("SQLSTATE %s is %v", code, err)
		}
	}
}

func TestSuccessor(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		prefix, next string
		ok           bool
	}{
		{"a", "b", true}, {"az", "a{", true}, {"", "", false}, {"\U0010ffff", "", false}, {"a\U0010ffff", "b", true},
		{"\ud7ff", "\ue000", true}, {"é", "ê", true}, {"\x7f", "\u0080", true},
	} {
		if next, ok := successor(test.prefix); next != test.next || ok != test.ok {
			t.Errorf("successor(%q) = %q, %v, want %q, %v", test.prefix, next, ok, test.next, test.ok)
		}
	}
}

// TestJumps walks a list whose resources lie 3,000 seq apart, so that it has hundreds of blocks of
// both sizes, folded and not.
func TestJumps(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Store, connection int64) {
		const n = 400
		var b provisioning.Batch
		for i := range n {
			b.Changes = append(b.Changes, provisioning.Change{Action: provisioning.ChangeCreate, After: testUser(connection, fmt.Sprintf("u%03d", i))})
		}
		must(t, s.Update(context.Background(), "acme", func(tx provisioning.Tx) error { return tx.Commit(b) }))
		stretch := "update resource set seq = seq * 3000"
		if s.dialect.postgres {
			must(t, s.writes.Exec("alter table resource alter column seq drop identity").Error)
		} else { // whose rows move as they are renumbered
			stretch = "update resource set seq = seq * 3000 where seq < 3000"
		}
		must(t, s.writes.Exec(stretch).Error)
		must(t, s.writes.Exec("delete from tally").Error)
		must(t, s.writes.Exec("insert into tally (lane, block, delta) select lane, seq >> 10, 1 from resource").Error)
		for _, state := range []string{"fresh", "folded"} {
			for start := 1; start <= n+1; start += 13 {
				must(t, s.View(context.Background(), "acme", func(r provisioning.Reader) error {
					page, err := r.List(provisioning.ListQuery{Scope: provisioning.Scope{Connection: connection, Type: scim.User}, StartIndex: start, Count: 2})
					var got, want []string
					for _, r := range page.Resources {
						got = append(got, r.Index.Name)
					}
					for i := start - 1; i < min(start+1, n); i++ {
						want = append(want, fmt.Sprintf("u%03d", i))
					}
					if page.Total != n || !slices.Equal(got, want) {
						t.Errorf("%s, startIndex %d: %v of %d, want %v of %d", state, start, got, page.Total, want, n)
					}
					return err
				}))
			}
			must(t, s.Fold(context.Background()))
		}
	})
}

// TestRunFoldsAndEnds runs the background work until a delta is folded.
func TestRunFoldsAndEnds(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Store, connection int64) {
		must(t, s.Update(context.Background(), "acme", create(connection, "ada")))
		folded := make(chan time.Time, 1)
		analysed := make(chan time.Time, 1)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			s.work(ctx, folded, analysed)
		}()
		folded <- epoch
		folded <- epoch // taken up when the first fold is done
		analysed <- epoch
		analysed <- epoch
		cancel()
		<-ended
		var deltas, total int
		must(t, s.reads.Raw("select (select count(*) from tally), (select sum(n) from tally_total)").Row().Scan(&deltas, &total))
		if deltas != 0 || total != 1 {
			t.Errorf("%d deltas are left and the total is %d", deltas, total)
		}
	})
}

func TestAnalyseAtMilestones(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Store, connection int64) {
		var b provisioning.Batch
		for i := range 1001 {
			b.Changes = append(b.Changes, provisioning.Change{Action: provisioning.ChangeCreate, After: testUser(connection, fmt.Sprint("u", i))})
		}
		must(t, s.Update(context.Background(), "acme", func(tx provisioning.Tx) error { return tx.Commit(b) }))
		if s.dialect.postgres { // its counts of rows come late
			must(t, s.writes.Exec("analyze").Error)
		}
		must(t, s.Analyse(context.Background()))
		if s.analysed["resource"] != 1000 || s.analysed["entry"] != 0 {
			t.Errorf("analysed at %v", s.analysed)
		}
	})
}

// TestPatchStaysHot holds what lets PostgreSQL update a row without touching an index: no index, its
// predicate included, holds a column that any update writes.
func TestPatchStaysHot(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{URL: onPostgres(t)})
	var definitions string
	must(t, s.reads.Raw("select string_agg(pg_get_indexdef(indexrelid), ' ') from pg_index where indrelid = 'resource'::regclass").Row().Scan(&definitions))
	_, definitions, _ = strings.Cut(strings.ReplaceAll(definitions, "resource", ""), "(")
	words := strings.FieldsFunc(definitions, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') })
	w := write{dialect: s.dialect, tenant: "acme", change: &provisioning.Change{}}
	for _, c := range w.ordinary() {
		if slices.Contains(words, c.name) {
			t.Errorf("an index holds %s: %s", c.name, definitions)
		}
	}
}

// TestLockedForm overtakes a unit of work each time it runs without locks: the last run takes them
// and is not overtaken, however it read what it changes.
func TestLockedForm(t *testing.T) {
	t.Parallel()
	for name, read := range map[string]func(x provisioning.Tx, connection int64, id string) (provisioning.Resource, error){
		"by id": func(x provisioning.Tx, connection int64, id string) (provisioning.Resource, error) {
			return x.Resource(provisioning.ResourceQuery{Scope: provisioning.Scope{Connection: connection, Type: scim.User}, ID: id})
		},
		"as an account": func(x provisioning.Tx, _ int64, id string) (provisioning.Resource, error) {
			return x.Account(scim.User, id, provisioning.References{})
		},
		"among accounts": func(x provisioning.Tx, connection int64, _ string) (one provisioning.Resource, err error) {
			err = x.Accounts(provisioning.AccountQuery{Connection: connection}, func(r provisioning.Resource) error {
				one = r
				return nil
			})
			return one, err
		},
		"by an address": func(x provisioning.Tx, connection int64, _ string) (one provisioning.Resource, err error) {
			c, err := x.Candidates(provisioning.CandidateQuery{Scope: provisioning.Scope{Connection: connection + 1, Type: scim.User}, Emails: []string{"ada@example.com"}})
			if err != nil {
				return one, err
			}
			return c.Mail[0], nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testLockedForm(t, read)
		})
	}
}

func testLockedForm(t *testing.T, read func(x provisioning.Tx, connection int64, id string) (provisioning.Resource, error)) {
	s := openTest(t, Options{URL: onPostgres(t)})
	connection := tenantOf(t, s).ID
	u := testUser(connection, "ada")
	must(t, s.Update(context.Background(), "acme", commitOne(provisioning.Change{Action: provisioning.ChangeCreate, After: u})))
	var runs atomic.Int32
	blocked := make(chan error, 1)
	err := s.Update(context.Background(), "acme", func(x provisioning.Tx) error {
		before, err := read(x, connection, u.ID)
		if err != nil {
			return err
		}
		if runs.Add(1) <= 1+optimisticTries {
			if err := s.Update(context.Background(), "acme", patch(connection, u.ID)); err != nil {
				return err
			}
		} else { // now the other waits, and comes after us
			if free := unlocked(t, s, "resource where id = '"+u.ID+"'"); free {
				t.Error("what was read is not locked")
			}
			go func() { blocked <- s.Update(context.Background(), "acme", patch(connection, u.ID)) }()
		}
		c := provisioning.Change{Action: provisioning.ChangeUpdate, Before: &before, After: before}
		c.After.Version++
		c.After.Role = "ours"
		return commitOne(c)(x)
	})
	must(t, err)
	must(t, <-blocked)
	if got := runs.Load(); got != 2+optimisticTries {
		t.Errorf("the unit of work ran %d times, want %d", got, 2+optimisticTries)
	}
}

// unlocked reports whether another connection could lock what a clause finds.
func unlocked(t *testing.T, s *Store, from string) (free bool) {
	t.Helper()
	must(t, s.reads.Raw("select exists (select 1 from "+from+" for update skip locked)").Row().Scan(&free))
	return free
}

// TestClaimsWait holds that whoever reads a budget in the form that takes locks is alone with it.
func TestClaimsWait(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{URL: onPostgres(t)})
	connection := tenantOf(t, s).ID
	budget := provisioning.Budget{Connection: connection, Kind: provisioning.BudgetUsers, Version: 1}
	must(t, s.Update(context.Background(), "acme", func(tx provisioning.Tx) error {
		return tx.Commit(provisioning.Batch{Budgets: []provisioning.Budget{budget}})
	}))
	x := s.session(context.Background(), "acme", s.writes)
	for _, locking := range []bool{false, true} {
		x.locking = locking
		must(t, x.inTransaction(func() error {
			return x.run(func(tx provisioning.Tx) error {
				_, err := tx.Departure(provisioning.BudgetQuery{Connection: connection, Kind: provisioning.BudgetUsers})
				if free := unlocked(t, s, "budget"); free == locking {
					t.Errorf("with locks %t, the budget is free: %t", locking, free)
				}
				return err
			})
		}))
	}
}

// TestStatementsOfAWrite counts what ordinary writes send.
func TestStatementsOfAWrite(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{URL: onPostgres(t)})
	connection := tenantOf(t, s).ID
	sent := 0
	s.observer = func(string, []any) { sent++ }
	count := func(name string, want int, fn func(provisioning.Tx) error) {
		t.Helper()
		sent = 0
		must(t, s.Update(context.Background(), "acme", fn))
		if sent != want {
			t.Errorf("%s: %d statements, want %d", name, sent, want)
		}
	}
	scope := provisioning.Scope{Connection: connection, Type: scim.User}
	u := testUser(connection, "ada")
	u.LeftAt, u.Overrides, u.State = epoch, []byte("{}"), provisioning.Suspended
	count("a presumed create", 1, func(tx provisioning.Tx) error {
		q := provisioning.CandidateQuery{Scope: scope, Name: "ada", ExternalID: "ext-ada", Emails: []string{"a@example.com", "b@example.com"}, Presume: true}
		if _, err := tx.Candidates(q); err != nil {
			return err
		}
		return commitOne(provisioning.Change{Action: provisioning.ChangeCreate, After: u})(tx)
	})
	count("a PATCH", 2, patch(connection, u.ID))
	count("the return of an account, with its place in the tallies", 2, func(tx provisioning.Tx) error {
		before, err := tx.Resource(provisioning.ResourceQuery{Scope: scope, ID: u.ID})
		if err != nil {
			return err
		}
		c := provisioning.Change{Action: provisioning.ChangeRestore, Before: &before, After: before}
		c.After.Version++
		c.After.State, c.After.LeftAt = provisioning.Active, time.Time{}
		return commitOne(c)(tx)
	})
	count("what a departure is weighed by", 1, func(tx provisioning.Tx) error {
		_, err := tx.Departure(provisioning.BudgetQuery{Connection: connection, Kind: provisioning.BudgetUsers, Resource: u.ID, Key: "k"})
		return err
	})
}

// TestPresumptionEndsWithTheDatabase: what the database could not tell is not asked again.
func TestPresumptionEndsWithTheDatabase(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{URL: onPostgres(t)})
	scope := provisioning.Scope{Connection: tenantOf(t, s).ID, Type: scim.User}
	for _, test := range []struct {
		err  error
		runs int
	}{{unavailable(errSilent), 1}, {provisioning.Taken("userName"), 2}} {
		runs := 0
		err := s.Update(context.Background(), "acme", func(tx provisioning.Tx) error {
			runs++
			if _, err := tx.Candidates(provisioning.CandidateQuery{Scope: scope, Name: "ada", Presume: true}); err != nil {
				return err
			}
			return test.err
		})
		if err != test.err || runs != test.runs {
			t.Errorf("%v: ended with %v after %d runs, want %d", test.err, err, runs, test.runs)
		}
	}
}
