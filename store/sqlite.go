package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"meibo/provisioning"
)

// leastSQLite is the release that this package was tested with.
var leastSQLite = [3]int{3, 53, 4}

// errRehearsal takes a unit of work back that is to run again.
var errRehearsal = errors.New("store: rehearsal")

func (s *Store) openSQLite(ctx context.Context) error {
	path := strings.TrimPrefix(s.options.URL, "sqlite:")
	if path == "" || strings.HasPrefix(path, ":memory:") {
		return fmt.Errorf("database URL: sqlite: needs the path of a file, as in sqlite:meibo.db")
	}
	conns := s.options.MaxConns
	if conns <= 0 {
		conns = 4
	}
	synchronous := "synchronous(full)"
	if slices.Contains(s.options.AllowWeak, "synchronous") {
		synchronous = "synchronous(normal)"
	}
	var err error
	// The writer comes first: it creates the file and makes its journal a WAL, which lasts.
	if s.writes, err = openPool(sqliteDialector{sqliteDSN(path, "rwc", "immediate",
		"journal_mode(wal)", synchronous, "foreign_keys(1)", "secure_delete(1)", "cache_size(-4096)")}, 1); err != nil {
		return translate(ctx, err)
	}
	if s.reads, err = openPool(sqliteDialector{sqliteDSN(path, "rw", "deferred", "query_only(1)", "cache_size(-2048)")}, conns); err != nil {
		return firstError(translate(ctx, err), s.Close())
	}
	probe, err := openPool(sqliteDialector{sqliteDSN(path, "rw", "deferred", "query_only(1)", "cache_size(-64)")}, 1)
	if err == nil {
		s.probe, err = probe.DB()
	}
	if err != nil {
		return firstError(translate(ctx, err), s.Close())
	}
	if err := firstError(s.checkSQLite(ctx), s.checkSQLiteDurable(ctx)); err != nil {
		return firstError(err, s.Close())
	}
	if s.file, err = s.remember(ctx, path); err != nil {
		return firstError(err, s.Close())
	}
	s.writer = newWriter(s.writes, s.options.Committed, s.file.check)
	return nil
}

// sqliteDSN writes the data source of a pool. With mode "rwc" it makes a file that is not there, with
// "rw" it does not: one that a reader made anew would hide that the file was lost.
func sqliteDSN(path, mode, lock string, pragmas ...string) string {
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath()}
	u.RawQuery = url.Values{"mode": {mode}, "_txlock": {lock}, "_pragma": append(pragmas, "busy_timeout(5000)")}.Encode()
	return u.String()
}

// checkSQLite refuses a library older than the one tested with: it comes with the build.
func (s *Store) checkSQLite(ctx context.Context) error {
	var version string
	if err := s.writes.WithContext(ctx).Raw("select sqlite_version()").Row().Scan(&version); err != nil {
		return translate(ctx, err)
	}
	parts := strings.Split(version, ".")
	for i, least := range leastSQLite {
		n := 0
		if i < len(parts) {
			n, _ = strconv.Atoi(parts[i])
		}
		if n != least {
			if n < least {
				return fmt.Errorf("this build has SQLite %s, but needs %d.%d.%d or newer: build with the versions of go.mod",
					version, leastSQLite[0], leastSQLite[1], leastSQLite[2])
			}
			return nil
		}
	}
	return nil
}

// updateSQLite runs fn on the caller's goroutine when the writer lends it the transaction. Inside
// it nothing can be overtaken but what fn read before.
func (s *Store) updateSQLite(ctx context.Context, tenant string, fn func(provisioning.Tx) error) error {
	for range optimisticTries {
		var x *session
		err := s.writer.do(ctx, func(lent *lent) error {
			x = s.session(ctx, tenant, lent.db)
			x.transaction = true
			s.mark(ctx, "writer lent")
			if s.options.Rehearse {
				if err := lent.takeBack(func() { _ = x.run(fn) }); err != nil {
					return err
				}
				x = s.session(ctx, tenant, lent.db)
				x.transaction = true
			}
			err := x.run(fn)
			s.mark(ctx, "writer given back") // what follows is the wait for the commit
			return err
		})
		if x == nil || !x.overtaken {
			return err
		}
		s.rerun(ctx)
	}
	return errContended
}
