package store

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"meibo/internal/testkit"
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

// chainTables are the tables that the chain is made of.
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
			{"seal", "tenant = 'acme' and first = 1"}, // which forgot a salt
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

// TestVerifyFindsAnIDInTheFile changes bytes of an id in the row of an entry, as a disk does, and not in the indexes, by which the row is still found.
func TestVerifyFindsAnIDInTheFile(t *testing.T) {
	t.Parallel()
	url := testkit.SQLiteCopy(t, migrateTest)
	path := strings.TrimPrefix(url, "sqlite:")
	open := func(run func(s *Store)) {
		s, err := Open(t.Context(), Options{URL: url})
		must(t, err)
		run(s)
		must(t, s.Close())
	}
	var id string
	open(func(s *Store) {
		tenantOf(t, s)
		id = sealedWorld(t, s)[3]
		wantSound(t, s)
	})
	file, err := os.ReadFile(path)
	must(t, err)
	at := bytes.Index(file, []byte(id+"acme")) // the row has the tenant behind the id
	if at < 0 {
		t.Fatal("no row of the entry is in the file")
	}
	for i := 0; i < len(id); i += 7 {
		altered := bytes.Clone(file)
		altered[at+i] ^= 1
		must(t, os.WriteFile(path, altered, 0o600))
		open(func(s *Store) {
			if v := verify(t, s, ""); v.Fault == nil || v.Fault.Position != 4 {
				t.Errorf("byte %d of the id became %q: %+v", i, altered[at+i], v.Fault)
			}
		})
	}
}

// TestVerifyFindsSpelling changes what means the same to who reads JSON: of an entry, of one that a part was erased of, and of what
// the erasure left.
func TestVerifyFindsSpelling(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Store, _ int64) {
		ids := sealedWorld(t, s)
		must(t, s.Update(context.Background(), "acme", func(tx provisioning.Tx) error {
			return tx.Commit(provisioning.Batch{Erase: []provisioning.Erasure{{Entry: ids[1], Of: []string{sealedEntry("", 1).ResourceID}}}})
		}))
		restore := keep(t, s)
		whole, erased, trace := "id = '"+ids[3]+"'", "id = '"+ids[1]+"'", "tenant = 'acme' and position = 2"
		for _, test := range []struct{ table, where, column, old, new string }{
			{"entry", erased, "error", `"detail"`, `"detajl"`}, // its value is empty
			{"entry", erased, "error", `"code"`, `"Code"`},
			{"entry", erased, "error", `,`, `, `},
			{"entry", erased, "request", `{`, `{"x":1,`},
			{"entry", erased, "diff", `:`, `: `},
			{"entry", erased, "members", `"add"`, `"Add"`},
			{"entry", erased, "reason", `"adoption"`, `"adop\u0074ion"`},
			{"entry", whole, "error", `"code"`, `"Code"`},
			{"entry", whole, "diff", `:`, `: `},
			{"trace", trace, "parts", `"digest"`, `"Digest"`},
			{"trace", trace, "parts", `:`, `: `},
		} {
			to := ""
			if s.dialect.postgres {
				to = "::json"
			}
			done := s.writes.Exec("update "+test.table+" set "+test.column+" = replace(cast("+test.column+" as text), $1, $2)"+to+" where "+test.where, test.old, test.new)
			must(t, done.Error)
			if v := verify(t, s, ""); done.RowsAffected != 1 || v.Fault == nil {
				t.Errorf("%s of %s: %s became %s, and nobody noticed", test.column, test.table, test.old, test.new)
			}
			restore()
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

// TestEraseKeepsTheChain erases one after the other whom entries tell of: each time their values are gone, and the chain agrees.
func TestEraseKeepsTheChain(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Store, _ int64) {
		ids := sealedWorld(t, s)
		head := wantSound(t, s).Head.Digest.String()
		erase := func(n int, of ...string) provisioning.Entry {
			t.Helper()
			must(t, s.Update(context.Background(), "acme", func(tx provisioning.Tx) error {
				return tx.Commit(provisioning.Batch{Erase: []provisioning.Erasure{{Entry: ids[n], Of: of}, {Entry: "none", Of: of}}})
			}))
			if v := verify(t, s, head); v.Fault != nil || v.Kept == nil {
				t.Fatalf("after %s was erased from entry %d: %+v", of, n, v.Fault)
			}
			return entryWith(t, s, ids[n])
		}
		group, other := sealedEntry("", 3).ResourceID, sealedEntry("", 3).Members.Add[0].Value
		whole := entryWith(t, s, ids[3])
		if e := erase(3, other, "nobody"); e.Members.Add[0].Display != "" || e.ResourceName != whole.ResourceName || e.Diff[0].New != "Ära" {
			t.Errorf("of a member too much or too little went: %+v", e)
		}
		if e := erase(3, group); e.ResourceName != "" || e.Diff[0].New != nil || e.Error.Detail != "" || e.ResourceID != group || e.Reason.Code != whole.Reason.Code {
			t.Errorf("of the group too much or too little went: %+v", e)
		}
		erase(3, group, other)
		erase(6, group, sealedEntry("", 6).ResourceID) // which is not sealed
		sealAll(t, s)
		if v := verify(t, s, head); v.Fault != nil || v.Head.Position != 7 || v.Unsealed != 0 {
			t.Errorf("at the end: %+v", v)
		}
		var salt []byte
		must(t, s.reads.Raw("select salts from seal where tenant = 'acme' and first = 3").Row().Scan(&salt))
		if string(salt[16:32]) != string(make([]byte, 16)) || string(salt[:16]) == string(make([]byte, 16)) {
			t.Errorf("the salts are %x", salt)
		}
		// Whoever knows what was erased cannot tell by the database that it was that.
		must(t, s.Update(context.Background(), "acme", func(tx provisioning.Tx) error { return nil }))
		must(t, s.writes.Exec("update entry set resource_name = 'Sekretär <3>' where id = $1", ids[3]).Error)
		if v := verify(t, s, ""); v.Fault == nil || v.Fault.Position != 4 {
			t.Errorf("a value was put where it was erased: %+v", v.Fault)
		}
	})
}

func entryWith(t testing.TB, s *Store, id string) (found provisioning.Entry) {
	t.Helper()
	must(t, s.View(context.Background(), "acme", func(r provisioning.Reader) error {
		return r.Entries(provisioning.EntryQuery{ID: id}, func(e provisioning.Entry) error {
			found = e
			return nil
		})
	}))
	return found
}

// TestSealersRace has several seal and erase at once, some of which are stopped between two statements: the chain agrees.
func TestSealersRace(t *testing.T) {
	t.Parallel()
	for _, database := range databases {
		t.Run(database.name, func(t *testing.T) {
			t.Parallel()
			var armed, writes atomic.Int32
			stopped := errors.New("stopped")
			s := openTest(t, Options{URL: database.url(t), BeforeWrite: func(name string) error {
				if armed.Load() > 0 && (name == "seal" || name == "chain" || name == "trace") && writes.Add(1)%3 == 0 {
					return stopped
				}
				return nil
			}})
			tenantOf(t, s)
			const n = 60
			ids := make([]string, n)
			for i := range ids {
				ids[i] = newID()
				must(t, s.Update(context.Background(), "acme", func(tx provisioning.Tx) error {
					return tx.Commit(provisioning.Batch{Entries: []provisioning.Entry{sealedEntry(ids[i], i)}})
				}))
			}
			armed.Store(1)
			var wg sync.WaitGroup
			done := make(chan struct{})
			for range 3 {
				wg.Go(func() {
					for {
						if _, _, err := s.Seal(context.Background(), epoch); err != nil && !errors.Is(err, stopped) {
							t.Error(err)
							return
						}
						select {
						case <-done:
							return
						default:
						}
					}
				})
			}
			wg.Go(func() {
				defer close(done)
				for i, id := range ids {
					if i%10 == 0 { // some positions at a time, so that there are several seals
						if _, _, err := s.Follow(context.Background()); err != nil {
							t.Error(err)
						}
					}
					err := s.Update(context.Background(), "acme", func(tx provisioning.Tx) error {
						return tx.Commit(provisioning.Batch{Entries: []provisioning.Entry{sealedEntry(newID(), n+i)},
							Erase: []provisioning.Erasure{{Entry: id, Of: []string{sealedEntry("", i).ResourceID}}}})
					})
					if err != nil && !errors.Is(err, stopped) {
						t.Error(err)
					}
				}
			})
			wg.Wait()
			armed.Store(0)
			followAll(t, s)
			sealAll(t, s)
			if v := wantSound(t, s); v.Entries < n || v.Unsealed != 0 {
				t.Errorf("it says %+v", v)
			}
		})
	}
}

// TestPurgedChain purges step by step what is sealed: the chain agrees after each, and begins where the rest does.
func TestPurgedChain(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Store, _ int64) {
		ids := sealedWorld(t, s) // under seals of 1–2, 3–5, 6; 7 has none
		head := wantSound(t, s).Head
		commit := func(changes ...provisioning.JournalChange) provisioning.Verification {
			t.Helper()
			must(t, s.Update(context.Background(), "acme", func(tx provisioning.Tx) error { return tx.Commit(provisioning.Batch{Journal: changes}) }))
			sealAll(t, s)
			v := verify(t, s, head.Digest.String())
			if v.Fault != nil || v.Kept == nil {
				t.Fatalf("after %+v: %+v", changes, v.Fault)
			}
			return v
		}
		cut := epoch.Add(3500 * time.Millisecond) // between the entries of positions 4 and 5
		commit(provisioning.JournalChange{Horizon: &provisioning.Horizon{Cut: cut, Position: 4}})
		was := entryWith(t, s, ids[3])
		is := was
		is.Reason.Code, is.At = provisioning.ReasonBaseline, cut.Add(-time.Microsecond)
		commit(provisioning.JournalChange{Rewrite: &provisioning.EntryRewrite{Was: was, Is: is}})
		commit(provisioning.JournalChange{Drop: ids[:3]})
		if n, err := s.DropPositions(context.Background(), "acme", 4, 100); n != 4 || err != nil {
			t.Fatal(n, err)
		}
		if v := commit(provisioning.JournalChange{Drop: []string{"none"}}); v.From != 3 || v.Since.IsZero() || v.Purged != 2 || v.Entries != 3 || v.Head.Position != 7 {
			t.Errorf("it says %+v", v)
		}
		must(t, s.writes.Exec("update entry set actor = 'x' where id = $1", ids[4]).Error)
		if v := verify(t, s, ""); v.Fault == nil || v.Fault.Position != 5 {
			t.Errorf("what is kept was altered: %+v", v.Fault)
		}
		must(t, s.writes.Exec("update entry set actor = 'token …7f3c' where id = $1", ids[4]).Error)
		wantSound(t, s)
		if v := commit(provisioning.JournalChange{Horizon: &provisioning.Horizon{Cut: cut.Add(time.Second), Position: 5}}); v.From != 6 || v.Purged != 0 {
			t.Errorf("it says %+v", v)
		}
		var seals int
		must(t, s.reads.Raw("select count(*) from seal where tenant = 'acme'").Row().Scan(&seals))
		if seals != 3 { // 3–5, 6 and 7
			t.Errorf("there are %d seals", seals)
		}
	})
}

// TestSealMany seals more than fits into one seal, and has another process find nothing to do.
func TestSealMany(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Store, _ int64) {
		var b provisioning.Batch
		for i := range 2*provisioning.MaxSealed + 3 {
			b.Entries = append(b.Entries, sealedEntry(newID(), i))
		}
		must(t, s.Update(context.Background(), "acme", func(tx provisioning.Tx) error { return tx.Commit(b) }))
		want := followAll(t, s)
		if n := sealAll(t, s); n != want {
			t.Errorf("%d positions of %d are sealed", n, want)
		}
		if n, more, err := s.Seal(context.Background(), epoch); n != 0 || more || err != nil {
			t.Errorf("sealed %d again, more %v, %v", n, more, err)
		}
		if v := wantSound(t, s); v.Entries != want || v.Head.Position != want {
			t.Errorf("it says %+v", v)
		}
	})
}

// BenchmarkSeal reports what a seal and its verification cost by the entry.
func BenchmarkSeal(b *testing.B) {
	for _, database := range databases {
		b.Run(database.name, func(b *testing.B) {
			s := openTest(b, Options{URL: database.url(b)})
			tenantOf(b, s)
			var batch provisioning.Batch
			const n = 2000
			for i := range n {
				batch.Entries = append(batch.Entries, sealedEntry(newID(), i))
			}
			must(b, s.Update(context.Background(), "acme", func(tx provisioning.Tx) error { return tx.Commit(batch) }))
			followAll(b, s)
			var sealing, verifying time.Duration
			for b.Loop() {
				must(b, s.writes.Exec("delete from seal").Error)
				began := cpu(b)
				sealAll(b, s)
				sealed := cpu(b)
				wantSound(b, s)
				sealing, verifying = sealing+sealed-began, verifying+cpu(b)-sealed
			}
			b.ReportMetric(float64(sealing.Microseconds())/float64(b.N*n), "µs-cpu/sealed")
			b.ReportMetric(float64(verifying.Microseconds())/float64(b.N*n), "µs-cpu/verified")
		})
	}
}

// cpu is what the process has used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
