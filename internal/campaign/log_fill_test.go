package campaign

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"
)

// How a log of a million entries comes about: by SQL, behind the server's back, whose follower and seals then take it up.

// keepAll has a server purge nothing.
const keepAll = "MEIBO_LOG_RETENTION=0"

// spelled are expressions that the two databases spell differently.
type spelled struct{ series, at, hex, json, yes, later string }

func spellings(database string) spelled {
	if database == "SQLite" {
		return spelled{"(with recursive s(n) as (select 1 union all select n + 1 from s where n < %d) select n from s)",
			"(1704067200000000 + (%s) * 1000000 + %s)", "printf('%%012x', %s)", "%s", "1", "1704067200000000"}
	}
	return spelled{"generate_series(cast(1 as bigint), cast(%d as bigint)) as n", "(timestamptz '2024-01-01Z' + (%s) * interval '1 second' + %s * interval '1 microsecond')",
		"lpad(to_hex(%s), 12, '0')", "(%s)::json", "true", "timestamptz '2024-01-01Z'"}
}

// numbers is a table s of the numbers n from 1 on.
func (d spelled) numbers(n int) string {
	return "(select n from " + fmt.Sprintf(d.series, n) + ") as s"
}

// uuid is an expression for the id of number n of a kind.
func (d spelled) uuid(kind int, n string) string {
	return fmt.Sprintf("('%08x-0000-7000-8000-' || "+d.hex+")", kind, n)
}

// moment is an expression for a time so many microseconds after another.
func (d spelled) moment(first time.Time, micros string) string {
	if d.yes == "1" {
		return fmt.Sprintf("cast(%d + %s as integer)", first.UnixMicro(), micros)
	}
	return fmt.Sprintf("(timestamptz '%s' + %s * interval '1 microsecond')", first.UTC().Format(time.RFC3339Nano), micros)
}

// scattered is what follows from n without order.
func scattered(n string) string { return "((" + n + ") * 2654435761 % 4294967296)" }

const (
	userKind, groupKind, entryKind, requestKind, jobKind = 1, 2, 3, 4, 5
	logGroups                                            = 500
)

// copying copies rows of one user, with the ids and names of number n in the place of its own.
type copying struct{ text, json string }

func (d spelled) copying(id string) copying {
	return copying{"replace(replace(%s, '" + id + "', " + d.uuid(userKind, "n") + "), 'template@', 'user' || n || '@')", d.json}
}

// table is the statement that copies the rows r of a table; expressions has other values of columns, "" for one that is left out.
func (c copying) table(t *testing.T, db *sql.DB, table, from string, expressions map[string]string) string {
	t.Helper()
	rows, err := db.Query("select * from " + table + " limit 0")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.ColumnTypes()
	if err != nil {
		t.Fatal(err)
	}
	var names, values []string
	for _, column := range columns {
		value, given := expressions[column.Name()]
		switch kind := strings.ToUpper(column.DatabaseTypeName()); {
		case given && value == "":
			continue
		case given:
		case kind == "TEXT":
			value = fmt.Sprintf(c.text, "r."+column.Name())
		case kind == "JSON":
			value = fmt.Sprintf(c.json, fmt.Sprintf(c.text, "r."+column.Name()+"::text"))
		default:
			value = "r." + column.Name()
		}
		names, values = append(names, column.Name()), append(values, value)
	}
	return "insert into " + table + " (" + strings.Join(names, ", ") + ") select " + strings.Join(values, ", ") + " " + from
}

// fillBy executes statements. SQLite gets memory for the indexes: rows come in the order of none of them.
func fillBy(t *testing.T, db *sql.DB, texts []string) {
	t.Helper()
	db.SetMaxOpenConns(1)
	defer db.SetMaxOpenConns(0)
	if _, err := db.Exec("pragma cache_size = -2000000"); err == nil {
		defer func() { _, _ = db.Exec("pragma cache_size = -2000") }()
	}
	for _, text := range texts {
		if _, err := db.Exec(text); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
	}
}

// settle returns when every entry has its position, and every position its seal.
func settle(t *testing.T, db *sql.DB) {
	t.Helper()
	tick, end := time.NewTicker(100*time.Millisecond), time.Now().Add(20*patience)
	defer tick.Stop()
	for {
		var entries, positions, sealed int
		err := db.QueryRow("select (select count(*) from entry), (select max(position) from position_head), (select max(upto) from seal)").Scan(&entries, &positions, &sealed)
		if err == nil && positions >= entries && (sealed >= positions || !*full) {
			return
		}
		if <-tick.C; time.Now().After(end) {
			t.Fatalf("of %d entries %d have a position and %d a seal: %v", entries, positions, sealed, err)
		}
	}
}
