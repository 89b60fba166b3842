package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"meibo/provisioning"
)

// TestFileGone removes, replaces and moves an SQLite file under the server: what goes to a file that
// nobody will find again is not acknowledged.
func TestFileGone(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		harm, mend func(path string) error // without mend it is for good
	}{
		"folder moved": {
			func(path string) error { return os.Rename(filepath.Dir(path), filepath.Dir(path)+".away") },
			func(path string) error { return os.Rename(filepath.Dir(path)+".away", filepath.Dir(path)) }},
		"file moved": {
			func(path string) error { return os.Rename(path, path+".away") },
			func(path string) error { return os.Rename(path+".away", path) }},
		"file replaced": {func(path string) error {
			return errors.Join(os.Rename(path, path+".away"), os.WriteFile(path, nil, 0o600))
		}, nil},
		"file removed": {os.Remove, nil},
		"WAL removed":  {func(path string) error { return os.Remove(path + "-wal") }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "data", "meibo.db")
			must(t, os.Mkdir(filepath.Dir(path), 0o700))
			s := openTest(t, Options{URL: "sqlite:" + path})
			connection := tenantOf(t, s).ID
			try := func() [2]error {
				return [2]error{s.Ping(context.Background()), s.Update(context.Background(), "acme", create(connection, "ada"))}
			}
			must(t, test.harm(path))
			for _, err := range try() {
				if provisioning.KindOf(err) != provisioning.Unavailable {
					t.Errorf("%v, want Unavailable", err)
				}
			}
			if test.mend == nil {
				return
			}
			must(t, test.mend(path))
			must(t, s.Ping(context.Background()))
			// What was not acknowledged may have been done, and then whole.
			if err := s.Update(context.Background(), "acme", create(connection, "ada")); err != nil && provisioning.KindOf(err) != provisioning.Conflict {
				t.Error(err)
			}
			wantNames(t, s, connection, "ada")
		})
	}
}

// TestPingInACrowd: that all connections of the pool are busy is no failure of the database.
func TestPingInACrowd(t *testing.T) {
	t.Parallel()
	for _, database := range databases {
		t.Run(database.name, func(t *testing.T) {
			t.Parallel()
			s := openTest(t, Options{URL: database.url(t), MaxConns: 1})
			must(t, s.View(context.Background(), "acme", func(r provisioning.Reader) error {
				must(t, r.Snapshot())
				ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second) // of one that waits for the crowd
				defer cancel()
				if err := s.Ping(ctx); err != nil {
					t.Error(err)
				}
				return nil
			}))
		})
	}
}

func TestPingLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openTest(t, Options{URL: "sqlite:" + filepath.Join(dir, "meibo.db")})
	for range 3 {
		must(t, s.Ping(context.Background()))
	}
	files, err := os.ReadDir(dir)
	must(t, err)
	for _, f := range files {
		if !strings.HasPrefix(f.Name(), "meibo.db") {
			t.Errorf("%s is left", f.Name())
		}
	}
}

// TestPingOnPostgres finds a database that answers but takes no writes, and uses its disk.
func TestPingOnPostgres(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{URL: onPostgres(t)})
	must(t, s.Ping(context.Background()))
	var spilled int64
	for range 1000 { // the figures follow, at the latest when the connection ends
		must(t, s.probe.QueryRow("select pg_stat_force_next_flush()").Scan(new(any)))
		must(t, s.probe.QueryRow("select temp_bytes from pg_stat_database where datname = current_database()").Scan(&spilled))
		if spilled > 0 {
			break
		}
	}
	if spilled < 100<<10 {
		t.Errorf("the probe has used %d bytes of the disk", spilled)
	}
	for name, value := range map[string]string{"work_mem": "4MB", "temp_tablespaces": ""} {
		var now string
		must(t, s.probe.QueryRow("select current_setting($1)", name).Scan(&now))
		if now != value {
			t.Errorf("%s stays %q", name, now)
		}
	}
	var name string
	must(t, s.reads.Raw("select current_database()").Row().Scan(&name))
	must(t, s.reads.Exec("alter database "+name+" set default_transaction_read_only = on").Error)
	s.probe.SetMaxIdleConns(-1)
	if err := s.Ping(context.Background()); provisioning.KindOf(err) != provisioning.Unavailable || !errors.Is(err, errReadOnly) {
		t.Errorf("read-only: %v", err)
	}
}

// TestDoubtfulConnectionsAreReplaced: after a silence no connection from before is used again.
func TestDoubtfulConnectionsAreReplaced(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{URL: onPostgres(t)})
	pid := func() (pid int) {
		t.Helper()
		must(t, s.reads.Raw("select pg_backend_pid()").Row().Scan(&pid))
		return pid
	}
	before := pid()
	if pid() != before {
		t.Fatal("the connection was replaced without a reason")
	}
	s.suspect()
	after := pid()
	if after == before {
		t.Error("the connection was used again")
	}
	if pid() != after {
		t.Error("the new connection is doubtful as well")
	}
}
