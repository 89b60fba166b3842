package store

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// dialect writes what the two databases spell differently.
type dialect struct{ postgres bool }

// time is t as an argument; the zero time is null.
func (d dialect) time(t time.Time) any {
	switch {
	case t.IsZero():
		return nil
	case d.postgres:
		return t.UTC().Truncate(time.Microsecond)
	default:
		return t.UnixMicro()
	}
}

// list is a list of strings as one argument; see elements.
func (d dialect) list(values []string) any {
	if d.postgres {
		return values
	}
	data, _ := json.Marshal(values) // strings always marshal
	return string(data)
}

// times is a list of times as one argument.
func (d dialect) times(values []time.Time) any {
	if d.postgres {
		return values
	}
	micros := make([]int64, len(values))
	for i, t := range values {
		micros[i] = t.UnixMicro()
	}
	data, _ := json.Marshal(micros) // numbers always marshal
	return string(data)
}

// elements is a table with the columns id and ord of the list in a placeholder.
func (d dialect) elements(placeholder, alias string) string {
	if d.postgres {
		return "unnest(" + placeholder + "::text[]) with ordinality as " + alias + "(id, ord)"
	}
	return "(select value as id, key as ord from json_each(" + placeholder + ")) as " + alias
}

// tuples is an aggregate: a JSON array with one array of columns a row.
func (d dialect) tuples(columns, order string) string {
	if d.postgres {
		return "json_agg(json_build_array(" + columns + ") order by " + order + ")::text"
	}
	return "json_group_array(json_array(" + columns + ") order by " + order + ")"
}

// quoted is a text as a JSON string.
func (d dialect) quoted(text string) string {
	if d.postgres {
		return "to_json(" + text + ")::text"
	}
	return "json_quote(" + text + ")"
}

// bit is a condition as 0 or 1.
func (d dialect) bit(condition string) string {
	return "case when " + condition + " then 1 else 0 end"
}

// probe joins one row of a subselect, or none, looked up anew for each row on its left: under a
// generic plan PostgreSQL would rather read the whole inner table than look up an unknown number of
// keys, and limit 1 forbids it.
func (d dialect) probe(columns, table, inner, condition, alias string) string {
	sub := "(select " + columns + " from " + table + " as " + inner + " where " + condition + " limit 1) as " + alias
	if d.postgres {
		return "left join lateral " + sub + " on true"
	}
	// SQLite knows no lateral, looks rows up one by one anyway, and finds one at most by these keys.
	return "left join " + table + " as " + alias + " on " + strings.ReplaceAll(condition, inner+".", alias+".")
}

// statement is SQL in the making with its arguments. It holds no strings.Builder, since statements
// are copied: a builder's copy keeps the address of the original, even after that is gone.
type statement struct {
	dialect
	sql  []byte
	args []any
}

// String is the text so far.
func (s *statement) String() string { return string(s.sql) }

// arg adds an argument and returns its placeholder.
func (s *statement) arg(v any) string { return s.place(v, "") }

// typed adds an argument with the type it has for PostgreSQL, which infers none in a select list.
func (s *statement) typed(v any, pgType string) string {
	if s.postgres {
		return s.place(v, pgType)
	}
	return s.arg(v)
}

// place adds an argument and returns its placeholder, cast to pgType unless that is "".
func (s *statement) place(v any, pgType string) string {
	if s.args == nil {
		s.args = make([]any, 0, 32)
	}
	s.args = append(s.args, v)
	n := len(s.args)
	if ready := placeholders[pgType]; n < len(ready) {
		return ready[n]
	}
	return placeholder(n, pgType)
}

// placeholders are ready for the first arguments of a statement, by type: a create has forty.
var placeholders = func() map[string][]string {
	ready := map[string][]string{}
	for _, pgType := range []string{"", "text", "text::json", "bigint", "boolean", "timestamptz"} {
		for n := range 64 {
			ready[pgType] = append(ready[pgType], placeholder(n, pgType))
		}
	}
	return ready
}()

func placeholder(n int, pgType string) string {
	if pgType == "" {
		return "$" + strconv.Itoa(n)
	}
	return "$" + strconv.Itoa(n) + "::" + pgType
}

// json adds a JSON document as an argument. It travels as text: pgx would decode and encode it else.
func (s *statement) json(document []byte) string {
	var v any
	if document != nil {
		v = string(document)
	}
	if s.postgres {
		return s.place(v, "text::json")
	}
	return s.arg(v)
}

// contains is a condition: a JSON column has the text somewhere.
func (s *statement) contains(column, text string) string {
	if s.postgres {
		return "strpos(" + column + "::text, " + s.place(text, "text") + ") > 0"
	}
	return "instr(" + column + ", " + s.arg(text) + ") > 0"
}

// number adds a number of rows to take. SQLite plans by its value, and compiles a
// statement a second time once it learns the value of an argument; so it gets to see the digits.
func (s *statement) number(n int) string {
	if s.postgres {
		return s.arg(n) + "::bigint"
	}
	return strconv.Itoa(n)
}

func (s *statement) add(parts ...string) {
	if s.sql == nil {
		s.sql = make([]byte, 0, 1024)
	}
	for _, p := range parts {
		s.sql = append(s.sql, p...)
	}
}

// instant scans a time of either database; null is the zero time.
type instant struct{ time.Time }

func (i *instant) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		i.Time = time.Time{}
	case time.Time:
		i.Time = v.UTC()
	case int64:
		i.Time = time.UnixMicro(v).UTC()
	default:
		return fmt.Errorf("a time came as %T", v)
	}
	return nil
}

// document scans JSON or text into bytes of its own; null is nil.
type document []byte

func (d *document) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*d = nil
	case string:
		*d = []byte(v)
	case []byte:
		*d = append(document{}, v...)
	default:
		return fmt.Errorf("a document came as %T", v)
	}
	return nil
}

// text scans a nullable string; null is "".
type text struct{ s *string }

func (t text) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*t.s = ""
	case string:
		*t.s = v
	case []byte:
		*t.s = string(v)
	default:
		return fmt.Errorf("a text came as %T", v)
	}
	return nil
}

// cast gives a placeholder the type that PostgreSQL infers nowhere else.
func (d dialect) cast(placeholder, pgType string) string {
	if d.postgres {
		return placeholder + "::" + pgType
	}
	return placeholder
}

func (d dialect) true() string {
	if d.postgres {
		return "true"
	}
	return "1"
}

func (d dialect) false() string {
	if d.postgres {
		return "false"
	}
	return "0"
}
