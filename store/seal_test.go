package store

import (
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"meibo/provisioning"
	"meibo/scim"
)

// sealedEntry has something in each column. Names are such that folding changes them.
func sealedEntry(id string, n int) provisioning.Entry {
	user, other := fmt.Sprintf("00000000-0000-7000-8000-%012d", n), fmt.Sprintf("00000000-0000-7000-9000-%012d", n)
	return provisioning.Entry{
		ID: id, At: epoch.Add(time.Duration(n) * time.Second), Connection: 1, ConnectionName: "entra", Actor: "token …7f3c", Correlation: "c" + id,
		Request: &provisioning.RequestInfo{Method: "PATCH", Path: "/Users/" + user, Dialect: "entra", Quirks: []string{"flags"}, Status: 200, Duration: 12 * time.Millisecond},
		Action:  provisioning.ActionUpdate, Outcome: provisioning.Warning, ResourceID: user, ResourceType: scim.Group, ResourceName: fmt.Sprintf("Sekretär <%d>", n),
		Version: 2, MatchedBy: "userName", SettingsVersion: 4,
		Diff: []provisioning.AttributeChange{{Path: "displayName", Old: "a", New: "Ära"}, {Path: "emails", New: []any{map[string]any{"value": "a@b", "primary": true, "n": 1.5}}}},
		Members: provisioning.MemberDelta{Add: []scim.Member{{Value: other, Display: "Other"}, {Value: "kept"}}, Remove: []string{"gone"},
			AssertedAdd: []scim.Member{{Value: user, Display: "Self"}}, EffectiveRemove: []string{"left"}},
		Reason: provisioning.Reason{Code: "adoption", Args: map[string]string{"by": "userName", "cause": "deleted"}},
		Error:  &provisioning.EntryError{Code: "uniqueness", Detail: "taken", RecommendedAction: "Rename."},
	}
}

// sealedWorld has entries of acme under some seals, the newest without one, and entries of another tenant.
func sealedWorld(t testing.TB, s *Store) (ids []string) {
	t.Helper()
	must(t, s.Update(context.Background(), "other", func(tx provisioning.Tx) error {
		return tx.Commit(provisioning.Batch{Entries: []provisioning.Entry{sealedEntry(newID(), 99)}})
	}))
	for n := range 7 {
		ids = append(ids, newID())
		must(t, s.Update(context.Background(), "acme", func(tx provisioning.Tx) error {
			return tx.Commit(provisioning.Batch{Entries: []provisioning.Entry{sealedEntry(ids[n], n)}})
		}))
		followAll(t, s)
		if n == 1 || n == 4 || n == 5 {
			sealAll(t, s)
		}
	}
	return ids
}

// sealAll seals until nothing waits.
func sealAll(t testing.TB, s *Store) (sealed int64) {
	t.Helper()
	for more := true; more; {
		var n int64
		var err error
		n, more, err = s.Seal(context.Background(), epoch)
		must(t, err)
		sealed += n
	}
	return sealed
}

func verify(t testing.TB, s *Store, head string) provisioning.Verification {
	t.Helper()
	v, err := provisioning.New(provisioning.Options{Store: s}).VerifyChain(context.Background(), "acme", head)
	must(t, err)
	return v
}

func wantSound(t testing.TB, s *Store) provisioning.Verification {
	t.Helper()
	v := verify(t, s, "")
	if v.Fault != nil {
		t.Fatalf("the chain is broken: %s", v.Fault.Detail)
	}
	return v
}

// chained are the tables that the chain is made of.
var chainTables = []string{"entry", "position", "seal", "trace"}

// keep copies them, and returns what puts them back.
func keep(t testing.TB, s *Store) (restore func()) {
	t.Helper()
	for _, table := range chainTables {
		must(t, s.writes.Exec("create table kept_"+table+" as select * from "+table).Error)
	}
	return func() {
		t.Helper()
		for _, table := range chainTables {
			must(t, s.writes.Exec("delete from "+table).Error)
			must(t, s.writes.Exec("insert into "+table+" select * from kept_"+table).Error)
		}
	}
}

// TestVerify has a chain that nobody touched agree, and each one that was altered not.
func TestVerify(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Store, _ int64) {
		sealedWorld(t, s)
		v := wantSound(t, s)
		if v.Entries != 6 || v.Unsealed != 1 || v.Head.Position != 6 || v.From != 1 || v.Head.Digest.IsZero() {
			t.Errorf("it says %+v", v)
		}
		kept := v.Head
		sealAll(t, s)
		if v = verify(t, s, kept.Digest.String()); v.Fault != nil || v.Kept == nil || v.Kept.Position != 6 || v.Head.Position != 7 {
			t.Errorf("with the head that was kept: %+v", v)
		}
		if v = verify(t, s, strings.Repeat("ab", 32)); v.Fault == nil || !strings.Contains(v.Fault.Detail, "head") {
			t.Errorf("with another head: %+v", v)
		}
		columns := strings.Join(columnsOfTable(t, s, "entry")[1:], ", ")
		restore := keep(t, s)
		for _, test := range []struct {
			what     string
			position int64
			plant    []string
		}{
			{"an entry is deleted", 4, []string{"delete from entry where id = (select entry from position where tenant = 'acme' and position = 4)"}},
			{"a position is deleted", 4, []string{"delete from position where tenant = 'acme' and position = 4"}},
			{"two are swapped", 4, []string{"update position set position = 40 where tenant = 'acme' and position = 4",
				"update position set position = 4 where tenant = 'acme' and position = 5", "update position set position = 5 where tenant = 'acme' and position = 40"}},
			{"one is put in", 0, []string{"insert into entry (id, " + columns + ") select '0', " + columns + " from entry where id = (select entry from position where tenant = 'acme' and position = 4)",
				"update position set entry = entry where tenant = 'acme'"}},
			{"a seal is deleted", 3, []string{"delete from seal where tenant = 'acme' and first = 3"}},
			{"the last seal covers others", 6, []string{"update seal set first = 4, upto = 4 where tenant = 'acme' and first = 7"}},
			{"the end is cut off", 7, []string{"delete from position where tenant = 'acme' and position = 7", "update position_head set position = 6 where tenant = 'acme'"}},
		} {
			for _, text := range test.plant {
				must(t, s.writes.Exec(text).Error)
			}
			if test.what == "one is put in" && !s.dialect.postgres { // before the last row, or the follower would take it for a new one
				must(t, s.writes.Exec("update entry set rowid = -1 where id = '0'").Error)
			}
			if v := verify(t, s, ""); v.Fault == nil || v.Fault.Position != test.position {
				t.Errorf("%s: %+v", test.what, v.Fault)
			}
			restore()
			must(t, s.writes.Exec("update position_head set position = 7 where tenant = 'acme'").Error)
			wantSound(t, s)
		}
	})
}

func columnsOfTable(t testing.TB, s *Store, table string) []string {
	t.Helper()
	rows, err := s.reads.Raw("select * from " + table + " limit 0").Rows()
	must(t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	must(t, err)
	return columns
}

// TestVerifyFindsEachByte changes one byte of each column of an entry, of a seal and of what an erasure left.
func TestVerifyFindsEachByte(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Store, _ int64) {
		ids := sealedWorld(t, s)
		must(t, s.Update(context.Background(), "acme", func(tx provisioning.Tx) error {
			return tx.Commit(provisioning.Batch{Erase: []provisioning.Erasure{{Entry: ids[1], Of: []string{sealedEntry("", 1).ResourceID}}}})
		}))
		wantSound(t, s)
		restore := keep(t, s)
		for _, row := range []struct {
			table, where string
		}{
			{"entry", "id = '" + ids[3] + "'"},
			{"entry", "id = '" + ids[1] + "'"}, // a part of which is erased
			{"seal", "tenant = 'acme' and first = 3"},
			{"trace", "tenant = 'acme' and position = 2"},
			{"position", "tenant = 'acme' and position = 4"},
		} {
			for _, column := range columnsOfTable(t, s, row.table) {
				for range 3 {
					what := alter(t, s, row.table, column, row.where)
					if v := verify(t, s, ""); v.Fault == nil {
						t.Errorf("%s where %s: %s, and nobody noticed", row.table, row.where, what)
					}
					restore()
				}
			}
		}
		wantSound(t, s)
	})
}

// alter changes one byte of a value at random, in such a way that the database takes it.
func alter(t testing.TB, s *Store, table, column, where string) (what string) {
	t.Helper()
	var kind, text string
	var present bool
	kindOf, bytesOf := "typeof("+column+")", "hex(cast("+column+" as blob))"
	if s.dialect.postgres {
		if kindOf, bytesOf = "pg_typeof("+column+")::text", "encode(convert_to("+column+"::text, 'UTF8'), 'hex')"; slices.Contains([]string{"digest", "leaves", "salts"}, column) {
			bytesOf = "encode(" + column + ", 'hex')"
		}
	}
	must(t, s.reads.Raw("select "+column+" is not null, "+kindOf+", coalesce("+bytesOf+", '') from "+table+" where "+where).Row().Scan(&present, &kind, &text))
	set := func(expression string, args ...any) error {
		what = fmt.Sprintf("%s := %s %v", column, expression, args)
		return s.writes.Exec("update "+table+" set "+column+" = "+expression+" where "+where, args...).Error
	}
	switch {
	case kind == "integer", kind == "bigint":
		if !present {
			must(t, set("1"))
		}
		if set(column+" + 1") != nil { // somebody else has it
			must(t, set(column+" + 1000"))
		}
	case strings.HasPrefix(kind, "timestamp"):
		must(t, set(column+" + interval '1 microsecond'"))
	case !present && kind == "json":
		must(t, set("'null'"))
	case !present || text == "":
		must(t, set("'x'"))
	default:
		for try := 0; ; try++ {
			data, err := hex.DecodeString(text)
			must(t, err)
			at := rand.IntN(len(data))
			if kind != "blob" && kind != "bytea" {
				data[at] = "abcdefghijklmnopqrstuvwxyz0123456789\"{}[]:,"[rand.IntN(43)]
			} else {
				data[at] ^= byte(1 + rand.IntN(255))
			}
			if hex.EncodeToString(data) == strings.ToLower(text) {
				continue
			}
			switch kind {
			case "blob":
				err = set("cast($1 as blob)", data)
			case "bytea":
				err = set("$1", data)
			case "json":
				err = set("$1::text::json", string(data))
			default:
				err = set("$1", string(data))
			}
			if err == nil {
				return what
			}
			if try == 1000 {
				t.Fatal(err)
			}
		}
	}
	return what
}
