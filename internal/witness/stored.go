package witness

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"
)

// State is all that is kept of one resource and can be read off its journal.
type State struct {
	Type       string
	Connection int64
	Visible    bool
	State      string
	Role       string // "" for the ordinary one
	Protected  bool
	PurgeAt    int64          // 0 for never
	LeftAt     int64          // when it was suspended or removed; 0 while it is active or held, and once it is purged
	Overrides  map[string]any // what a person set, by path; nil for nothing
	Version    int64
	Created    int64 // microseconds since 1970, as are all times here
	Modified   int64
	Document   map[string]any // as its owner asserts it
	Effective  map[string]any // what the host application sees; nil where it is the asserted one
	Names      [2]string      // asserted name and effective userName, folded, as they are looked up
	Open       int            // effective memberships of a group that last
	Members    []Membership   // those that ended as well, in the order of member and time
	Since      int64          // of a fold that begins at a baseline: its time; else 0
}

// Membership is one interval in which a resource was a member of a group, in one view at least.
type Membership struct {
	Member, Display    string
	Asserted           bool  // of the client, when it ended or now
	Effective          bool  // of the host application
	From, To           int64 // To is 0 while it lasts
	FromEntry, ToEntry string
}

// Database is a database of the product, opened for reading behind its back. It has all of sql.DB.
type Database struct {
	*sql.DB
	micros string // format of an expression: a time as microseconds since 1970
}

// Open opens the database of a URL as the product's configuration has it. No statement may write.
func Open(databaseURL string) (*Database, error) {
	driver, source, micros := "pgx", databaseURL, "(extract(epoch from %s) * 1000000)::bigint"
	if path, isFile := strings.CutPrefix(databaseURL, "sqlite:"); isFile {
		file := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath()}
		file.RawQuery = url.Values{"_pragma": {"query_only(1)", "busy_timeout(5000)"}}.Encode()
		driver, source, micros = "sqlite", file.String(), "%s"
	}
	db, err := sql.Open(driver, source)
	return &Database{db, micros}, err
}

// some is how many ids go into one statement.
const some = 500

// Stored reads what the database keeps of a tenant, by id: invisible resources and memberships that
// ended, too. With ids, of these alone.
func (d *Database) Stored(ctx context.Context, tenant string, ids ...string) (map[string]State, error) {
	all := map[string]State{}
	if len(ids) == 0 {
		return all, d.read(ctx, all, tenant, nil)
	}
	for part := range slices.Chunk(ids, some) {
		if err := d.read(ctx, all, tenant, part); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (d *Database) read(ctx context.Context, all map[string]State, tenant string, ids []string) error {
	args, among := []any{tenant}, func(string) string { return "" }
	if len(ids) > 0 {
		marks := make([]string, len(ids))
		for i, id := range ids {
			args = append(args, id)
			marks[i] = fmt.Sprintf("$%d", i+2)
		}
		among = func(column string) string { return " and " + column + " in (" + strings.Join(marks, ", ") + ")" }
	}
	err := d.each(ctx, `select id, type, connection, visible, state, role, protected, version, `+d.times("created, modified, purge_at, left_at")+`, member_count, asserted, effective, overrides,
		name, coalesce(effective_name, name) from resource where tenant = $1`+among("id"), args, func(rows *sql.Rows) error {
		var s State
		var id string
		var asserted, effective, overrides sql.NullString
		var purge, left sql.NullInt64
		err := rows.Scan(&id, &s.Type, &s.Connection, &s.Visible, &s.State, &s.Role, &s.Protected, &s.Version, &s.Created, &s.Modified, &purge, &left, &s.Open,
			&asserted, &effective, &overrides, &s.Names[0], &s.Names[1])
		if err != nil {
			return err
		}
		if s.Document, err = decodeObject(asserted.String); err == nil && effective.Valid {
			s.Effective, err = decodeObject(effective.String)
		}
		if err == nil && overrides.Valid {
			s.Overrides, err = decodeObject(overrides.String)
		}
		s.PurgeAt, s.LeftAt = purge.Int64, left.Int64
		all[id] = s
		return err
	})
	if err != nil {
		return err
	}
	return d.each(ctx, `select g.id, m.member, coalesce(m.display, ''), m.asserted, m.effective, `+d.times("m.valid_from, m.valid_to")+`, m.from_entry, coalesce(m.to_entry, '')
		from member m join resource g on g.id = m.grp where g.tenant = $1`+among("g.id")+` order by m.member, m.valid_from, m.from_entry`, args, func(rows *sql.Rows) error {
		var m Membership
		var group string
		var to sql.NullInt64
		err := rows.Scan(&group, &m.Member, &m.Display, &m.Asserted, &m.Effective, &m.From, &to, &m.FromEntry, &m.ToEntry)
		m.To = to.Int64
		s := all[group]
		s.Members = append(s.Members, m)
		all[group] = s
		return err
	})
}

// times makes each time of a column list one in microseconds.
func (d *Database) times(columns string) string {
	list := strings.Split(columns, ", ")
	for i, column := range list {
		list[i] = fmt.Sprintf(d.micros, column)
	}
	return strings.Join(list, ", ")
}

// each calls scan for each row that a statement finds.
func (d *Database) each(ctx context.Context, text string, args []any, scan func(*sql.Rows) error) error {
	rows, err := d.QueryContext(ctx, text, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// decodeObject reads a JSON object with its numbers as they are written.
func decodeObject(text string) (o map[string]any, err error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	err = decoder.Decode(&o)
	return o, err
}
