package store

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"modernc.org/sqlite"
)

// oneConn is a pool of one connection on a fresh file, and that connection.
func oneConn(t *testing.T) (*sql.DB, *keepingConn) {
	t.Helper()
	connector, err := sqlite.NewConnector(sqliteDSN(filepath.Join(t.TempDir(), "x.db"), "rwc", "immediate"))
	must(t, err)
	pool := sql.OpenDB(compilingOnce{connector})
	pool.SetMaxOpenConns(1)
	t.Cleanup(func() { must(t, pool.Close()) })
	conn, err := pool.Conn(context.Background())
	must(t, err)
	var keeping *keepingConn
	must(t, conn.Raw(func(c any) error { keeping = c.(*keepingConn); return nil }))
	must(t, conn.Close())
	return pool, keeping
}

// TestStatementsAreKept runs one text over and over, with other arguments, and after errors.
func TestStatementsAreKept(t *testing.T) {
	t.Parallel()
	pool, conn := oneConn(t)
	exec := func(text string, args ...any) error { _, err := pool.Exec(text, args...); return err }
	must(t, exec("create table t (n integer primary key)"))
	const insert = "insert into t values ($1)"
	must(t, exec(insert, 1))
	compiled := conn.kept[insert]
	if compiled == nil {
		t.Fatal("the statement was not kept")
	}
	if exec(insert, 1) == nil {
		t.Fatal("a number was inserted twice")
	}
	must(t, exec(insert, 2))
	must(t, exec("alter table t add column m integer")) // a statement compiled before must see it
	if exec(insert, 3) == nil {
		t.Error("a statement wrote one value to a table that has two columns by now")
	}
	if conn.kept[insert] != compiled {
		t.Error("the statement was compiled again")
	}
	var n int
	must(t, pool.QueryRow("select count(*) from t").Scan(&n))
	if n != 2 {
		t.Errorf("%d rows, want 2", n)
	}
}

// TestStatementWithOpenRows runs a text while rows of the same one are read.
func TestStatementWithOpenRows(t *testing.T) {
	t.Parallel()
	pool, _ := oneConn(t)
	tx, err := pool.Begin()
	must(t, err)
	const series = "select value from json_each('[1, 2, 3]')"
	var seen string
	read := func(then func()) {
		rows, err := tx.Query(series)
		must(t, err)
		for rows.Next() {
			var n int
			must(t, rows.Scan(&n))
			seen += fmt.Sprint(n)
			then()
		}
		must(t, rows.Close())
	}
	read(func() { read(func() {}) })
	read(func() {})
	must(t, tx.Rollback())
	if want := "112321233123123"; seen != want {
		t.Errorf("read %s, want %s", seen, want)
	}
}

// TestStatementsAreForgotten sends more texts than are kept, and one that is too long.
func TestStatementsAreForgotten(t *testing.T) {
	t.Parallel()
	pool, conn := oneConn(t)
	const hot = "select 'hot'"
	for i := range 3 * maxKept {
		for _, text := range []string{hot, fmt.Sprint("select ", i)} {
			var s string
			must(t, pool.QueryRow(text).Scan(&s))
		}
	}
	long := "select '" + strings.Repeat("x", maxText) + "'"
	for range 2 {
		var s string
		must(t, pool.QueryRow(long).Scan(&s))
	}
	if conn.kept[long] != nil {
		t.Error("a long statement was kept")
	}
	if len(conn.kept) != maxKept || conn.kept[hot] == nil || conn.kept["select 1"] != nil {
		t.Errorf("%d statements kept, want %d; the hot one: %v; an old one: %v",
			len(conn.kept), maxKept, conn.kept[hot] != nil, conn.kept["select 1"] != nil)
	}
}
