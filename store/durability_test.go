package store

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"meibo/provisioning"
)

func TestWeakDurabilityIsRefused(t *testing.T) {
	t.Parallel()
	postgres := map[string]string{"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
	for _, test := range []struct {
		name, value string
		refused     bool
	}{
		{"synchronous", "off", true}, {"synchronous", "normal", true}, {"synchronous", "full", false}, {"synchronous", "extra", false},
		{"fsync", "off", true}, {"full_page_writes", "off", true}, {"synchronous_commit", "off", true},
		{"synchronous_commit", "local", false}, {"synchronous_commit", "remote_write", false}, {"synchronous_commit", "remote_apply", false},
	} {
		values := map[string]string{}
		if test.name != "synchronous" {
			for name, value := range postgres {
				values[name] = value
			}
		}
		values[test.name] = test.value
		for _, allowed := range DurabilitySettings() {
			s := &Store{options: Options{AllowWeak: []string{allowed}}}
			err := s.checkDurable(values)
			switch {
			case (err != nil) != (test.refused && allowed != test.name):
				t.Errorf("%s=%s with %s allowed: %v", test.name, test.value, allowed, err)
			case err != nil && !(strings.Contains(err.Error(), test.name+" is "+test.value) && strings.Contains(err.Error(), "allow_weak_durability")):
				t.Errorf("the error does not say what and what to do: %v", err)
			case err == nil && test.refused && !cmp.Equal(s.Weak(), []string{test.name + "=" + test.value}):
				t.Errorf("%s=%s is noted as %q", test.name, test.value, s.Weak())
			}
		}
	}
}

func TestOpenAllowsWeaknessByItsNameOnly(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "all", "Synchronous", "fsync "} {
		_, err := Open(context.Background(), Options{URL: databases[0].url(t), AllowWeak: []string{name}})
		if err == nil || !strings.Contains(err.Error(), "is no durability setting") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestSQLiteDurability(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{URL: databases[0].url(t)})
	if weak := s.Weak(); len(weak) > 0 {
		t.Errorf("weak: %q", weak)
	}
	for _, pragma := range []string{"synchronous = normal", "synchronous = off"} {
		must(t, s.writes.Exec("pragma "+pragma).Error)
		if err := s.checkSQLiteDurable(context.Background()); err == nil || !strings.Contains(err.Error(), "synchronous is") {
			t.Errorf("%s: %v", pragma, err)
		}
	}
	must(t, s.writes.Exec("pragma synchronous = extra").Error)
	must(t, s.checkSQLiteDurable(context.Background()))

	weak := openTest(t, Options{URL: databases[0].url(t), AllowWeak: []string{"synchronous"}})
	if diff := cmp.Diff([]string{"synchronous=normal"}, weak.Weak()); diff != "" {
		t.Error(diff)
	}
}

func TestSQLiteWithoutWALIsRefused(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{URL: databases[0].url(t)})
	must(t, closePool(s.reads)) // a reader would keep the WAL
	must(t, s.writes.Exec("pragma journal_mode = delete").Error)
	if err := s.checkSQLiteDurable(context.Background()); err == nil || !strings.Contains(err.Error(), "journal_mode is delete") {
		t.Errorf("%v", err)
	}
}

// TestPostgresDurability turns synchronous_commit off where an operator may: the session's own
// value counts, not the server's.
func TestPostgresDurability(t *testing.T) {
	t.Parallel()
	database := onPostgres(t)
	off := with(t, database, "synchronous_commit", "off")
	_, err := Open(context.Background(), Options{URL: off})
	if err == nil || !strings.Contains(err.Error(), "synchronous_commit is off") || provisioning.KindOf(err) == provisioning.Unavailable {
		t.Errorf("in the URL: %v", err)
	}
	weak := openTest(t, Options{URL: off, AllowWeak: []string{"synchronous_commit"}})
	if diff := cmp.Diff([]string{"synchronous_commit=off"}, weak.Weak()); diff != "" {
		t.Error(diff)
	}

	s := openTest(t, Options{URL: with(t, with(t, database, "synchronous_commit", "local"), "default_transaction_isolation", "serializable")})
	var value, source, plans, isolation, jit string
	must(t, s.reads.Raw("select setting, source from pg_settings where name = 'synchronous_commit'").Row().Scan(&value, &source))
	must(t, s.reads.Raw("show plan_cache_mode").Row().Scan(&plans))
	must(t, s.reads.Raw("show transaction_isolation").Row().Scan(&isolation))
	must(t, s.reads.Raw("show jit").Row().Scan(&jit))
	if isolation != "read committed" || jit != "off" {
		t.Errorf("statements are %s, jit is %s", isolation, jit)
	}
	if value != "local" || source != "session" || plans != "force_generic_plan" {
		t.Errorf("synchronous_commit is %s by %s, plan_cache_mode %s", value, source, plans)
	}

	// A connection that is opened later is checked as well. What it is refused for may be mended.
	var name string
	must(t, s.reads.Raw("select current_database()").Row().Scan(&name))
	must(t, s.reads.Exec("alter database "+name+" set synchronous_commit = off").Error)
	plain, err := Open(context.Background(), Options{URL: database})
	if err == nil || !strings.Contains(err.Error(), "synchronous_commit is off") {
		t.Errorf("of the database: %v, %v", plain, err)
	}
}

// TestLaterWeakConnection opens a store, weakens the database and has the pool open a connection.
func TestLaterWeakConnection(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{URL: onPostgres(t)})
	tenantOf(t, s)
	var name string
	must(t, s.reads.Raw("select current_database()").Row().Scan(&name))
	must(t, s.reads.Exec("alter database "+name+" set synchronous_commit = off").Error)
	pool, err := s.reads.DB()
	must(t, err)
	pool.SetMaxIdleConns(-1) // the next one is new
	if err := askTenant(s); provisioning.KindOf(err) != provisioning.Unavailable {
		t.Errorf("%v, want Unavailable", err)
	}
	for range 50 { // none of those refused may be left open
		_ = askTenant(s)
	}
	admin := openTest(t, Options{URL: with(t, s.options.URL, "synchronous_commit", "on")})
	must(t, admin.reads.Exec("alter database "+name+" reset synchronous_commit").Error)
	var open int
	must(t, admin.reads.Raw("select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()").Row().Scan(&open))
	if open > 5 {
		t.Errorf("%d connections are open", open)
	}
	if err := askTenant(s); err != nil {
		t.Errorf("it does not serve again: %v", err)
	}
}

// askTenant reads something.
func askTenant(s *Store) error {
	return s.View(context.Background(), "acme", func(r provisioning.Reader) error {
		_, err := r.Tenant()
		return err
	})
}

func with(t *testing.T, database, name, value string) string {
	t.Helper()
	u, err := url.Parse(database)
	must(t, err)
	q := u.Query()
	q.Set(name, value)
	u.RawQuery = q.Encode()
	return u.String()
}
