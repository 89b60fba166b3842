package store

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"meibo/provisioning"
	"meibo/scim"
)

// book writes a journal and keeps it, so that what the store finds can be compared with what a walk through all of it does.
type book struct {
	t           *testing.T
	s           *Store
	random      *rand.Rand
	connections []provisioning.Connection
	entries     []provisioning.Entry // of the tenant acme
	people      []provisioning.Resource
	groups      []provisioning.Resource
	seen        map[[2]string]sight // by group and member
	folded      map[string]string   // names, by name
}

// sight says which views have a membership.
type sight struct{ asserted, effective bool }

var bookNames = []string{"ann", "Anna", "ÄNNE", "änne", "bob", "a%", "a_b", "straße", "STRASSE", "",
	strings.Repeat("é", 99), strings.Repeat("é", 100), strings.Repeat("é", 101), strings.Repeat("é", 100) + "a", strings.Repeat("é", 100) + "B"}

func newBook(t *testing.T, s *Store, connection int64) *book {
	b := &book{t: t, s: s, random: rand.New(rand.NewPCG(7, 11)), seen: map[[2]string]sight{}, folded: map[string]string{}}
	b.connections = []provisioning.Connection{{ID: connection}}
	other := provisioning.Connection{Name: "other", Kind: "scim", Settings: provisioning.DefaultConnectionSettings(), Created: epoch}
	must(t, s.Update(context.Background(), "acme", func(tx provisioning.Tx) error {
		return tx.Commit(provisioning.Batch{Admin: []provisioning.AdminChange{{CreateConnection: &other}}})
	}))
	b.connections = append(b.connections, other)
	for i := range 12 {
		c := b.connections[i%2].ID
		u := testUser(c, fmt.Sprint("user", i))
		u.Index.ExternalID = fmt.Sprint("ext", i/2) // the same in both connections
		u.Index.Emails = []provisioning.Email{{Value: fmt.Sprint("mail", i%5), Type: "work"}, {Value: fmt.Sprint("mail", i%3), Type: "home"}}
		b.people = append(b.people, u)
		b.change(provisioning.Change{Action: provisioning.ChangeCreate, After: u})
		if i < 4 {
			g := testGroup(c, fmt.Sprint("group", i))
			b.groups = append(b.groups, g)
			b.change(provisioning.Change{Action: provisioning.ChangeCreate, After: g})
		}
	}
	for i := range b.people[:3] { // removed, given up, with another address
		before, after := b.people[i], b.people[i]
		after.Version++
		switch i {
		case 0:
			after.State, after.Visible = provisioning.Removed, false
		case 1:
			after.Connection, after.Visible = 0, false
		default:
			after.Index.Emails = []provisioning.Email{{Value: "new"}}
		}
		b.people[i] = after
		b.change(provisioning.Change{Action: provisioning.ChangeUpdate, Before: &before, After: after})
	}
	return b
}

func pick[T any](b *book, list []T) T { return list[b.random.IntN(len(list))] }

// entry is an entry about a resource or, for nil, about nobody that there is.
func (b *book) entry(about *provisioning.Resource) provisioning.Entry {
	e := provisioning.Entry{ID: newID(), Connection: pick(b, []int64{0, b.connections[0].ID, b.connections[1].ID}), Actor: "token",
		Correlation: pick(b, []string{"", "c1", "c2", "c3", "c4"}), Action: pick(b, bookActions), Outcome: pick(b, bookOutcomes),
		ResourceType: scim.User, ResourceName: pick(b, bookNames), Reason: provisioning.Reason{Code: pick(b, bookReasons)}}
	// Few hours have many entries, many have few, and some entries are of one moment.
	e.At = epoch.Add(time.Duration(b.random.IntN(6)) * time.Duration(b.random.IntN(40)) * 10 * time.Minute)
	if b.random.IntN(3) > 0 {
		e.At = e.At.Add(time.Duration(b.random.IntN(3600e6)) * time.Microsecond)
	}
	if b.random.IntN(4) == 0 { // ids are not always in the order of time
		e.ID = fmt.Sprint(b.random.IntN(10), e.ID)
	}
	if b.random.IntN(5) > 0 {
		e.Request = &provisioning.RequestInfo{Method: pick(b, bookMethods), Path: "/Users", Status: pick(b, bookStatuses),
			Duration: time.Duration(b.random.IntN(5)) * time.Second}
	}
	if about != nil {
		e.ResourceID, e.ResourceType, e.Version = about.ID, about.Type, about.Version
	}
	return e
}

var (
	bookActions  = []provisioning.JournalAction{"create", "update", "update", "update", "disable", "other"}
	bookOutcomes = []provisioning.Outcome{"success", "success", "success", "success", "failure", "skipped"}
	bookReasons  = []string{"created", "asserted", "asserted", "refused", "held", provisioning.ReasonBaseline}
	bookMethods  = []string{"POST", "PATCH", "PATCH", "DELETE"}
	bookStatuses = []int{200, 200, 201, 204, 400, 404, 409, 503}
)

func (b *book) change(c provisioning.Change) {
	e := b.entry(&c.After)
	e.Members = c.Members
	b.write(provisioning.Batch{Changes: []provisioning.Change{c}, Entries: []provisioning.Entry{e}})
}

func (b *book) write(batch provisioning.Batch) {
	b.t.Helper()
	must(b.t, b.s.Update(context.Background(), "acme", func(tx provisioning.Tx) error { return tx.Commit(batch) }))
	b.entries = append(b.entries, batch.Entries...)
}

// grow writes n entries more, with changes of groups among them.
func (b *book) grow(n int, oneView bool) {
	b.t.Helper()
	var batch provisioning.Batch
	for i := range n {
		var about *provisioning.Resource
		if i%3 > 0 {
			about = &b.people[b.random.IntN(len(b.people))]
		}
		batch.Entries = append(batch.Entries, b.entry(about))
	}
	b.write(batch)
	for _, e := range batch.Entries[:n/5] { // another tenant's look the same
		e.ID = newID()
		must(b.t, b.s.Update(context.Background(), "umbrella", func(tx provisioning.Tx) error {
			return tx.Commit(provisioning.Batch{Entries: []provisioning.Entry{e}})
		}))
	}
	for range n / 5 {
		b.regroup(oneView)
	}
}

// regroup changes some memberships of a group, as far as they can be.
func (b *book) regroup(oneView bool) {
	i := b.random.IntN(len(b.groups))
	before, after := b.groups[i], b.groups[i]
	after.Version++
	var d provisioning.MemberDelta
	for _, u := range b.people[:6] {
		if b.random.IntN(3) > 0 {
			continue
		}
		key, m := [2]string{after.ID, u.ID}, scim.Member{Value: u.ID, Display: b.people[7].ID} // a display that looks like another's id
		now := b.seen[key]
		both := !oneView || b.random.IntN(2) == 0
		switch {
		case now == sight{} && both:
			d.Add, now = append(d.Add, m), sight{true, true}
		case now == sight{true, true} && both:
			d.Remove, now = append(d.Remove, u.ID), sight{}
		case !oneView:
		case b.random.IntN(2) == 0 && now.asserted:
			d.AssertedRemove, now.asserted = append(d.AssertedRemove, u.ID), false
		case b.random.IntN(2) == 0 && now.effective:
			d.EffectiveRemove, now.effective = append(d.EffectiveRemove, u.ID), false
		case !now.asserted:
			d.AssertedAdd, now.asserted = append(d.AssertedAdd, m), true
		case !now.effective:
			d.EffectiveAdd, now.effective = append(d.EffectiveAdd, m), true
		}
		b.seen[key] = now
	}
	b.groups[i] = after
	b.change(provisioning.Change{Action: provisioning.ChangeUpdate, Before: &before, After: after, Members: d})
}

// selects reports what the query means, in plain words.
func (b *book) selects(q provisioning.EntryQuery, e provisioning.Entry) bool {
	var r provisioning.RequestInfo
	if e.Request != nil {
		r = *e.Request
	}
	return (q.ID == "" || e.ID == q.ID) &&
		(q.Connection == 0 || e.Connection == q.Connection) &&
		(q.Correlation == "" || e.Correlation == q.Correlation) &&
		(q.Action == "" || e.Action == q.Action) &&
		(q.Outcome == "" || e.Outcome == q.Outcome) &&
		(q.Reason == "" || e.Reason.Code == q.Reason) &&
		(q.Method == "" || r.Method == q.Method) &&
		(q.Status == 0 || r.Status == q.Status || r.Status/100 == q.Status) &&
		(q.Slower == 0 || e.Request != nil && r.Duration >= q.Slower) &&
		(q.Resource == "" || e.ResourceID == q.Resource) &&
		(q.Name == "" || b.fold(e.ResourceName) == b.fold(q.Name)) &&
		(q.Prefix == "" || strings.HasPrefix(b.fold(e.ResourceName), b.fold(q.Prefix))) &&
		(q.Mail == "" || slices.ContainsFunc(b.about(e).Index.Emails, func(m provisioning.Email) bool { return m.Value == b.fold(q.Mail) })) &&
		(q.ExternalID == "" || b.about(e).Index.ExternalID == q.ExternalID && b.about(e).Connection != 0) &&
		(q.Member == "" || slices.Contains(membersNamed(e.Members), q.Member)) &&
		!e.At.Before(q.Since) && (q.Until.IsZero() || e.At.Before(q.Until)) &&
		(q.Before.IsZero() || e.Place().Compare(q.Before) < 0)
}

// about is the resource that an entry is about, as it is now.
func (b *book) about(e provisioning.Entry) (found provisioning.Resource) {
	for _, all := range [][]provisioning.Resource{b.people, b.groups} {
		for i := range all {
			if all[i].ID == e.ResourceID {
				found = all[i]
			}
		}
	}
	return found
}

// fold folds a name, each once: there are few of them, and many entries.
func (b *book) fold(name string) string {
	folded, known := b.folded[name]
	if !known {
		folded = scim.FoldFull.Apply(name)
		b.folded[name] = folded
	}
	return folded
}

func membersNamed(d provisioning.MemberDelta) (ids []string) {
	for _, m := range slices.Concat(d.Add, d.AssertedAdd, d.EffectiveAdd) {
		ids = append(ids, m.Value)
	}
	return slices.Concat(ids, d.Remove, d.AssertedRemove, d.EffectiveRemove)
}

// want is what the query selects, newest first.
func (b *book) want(q provisioning.EntryQuery) (ids []string) {
	kept := []provisioning.Entry{}
	for _, e := range b.entries {
		if b.selects(q, e) {
			kept = append(kept, e)
		}
	}
	slices.SortFunc(kept, func(x, y provisioning.Entry) int { return cmp.Or(y.At.Compare(x.At), strings.Compare(y.ID, x.ID)) })
	for _, e := range kept {
		ids = append(ids, e.ID)
	}
	return ids
}

// paged reads what the query selects page by page; between is called between two pages.
func (b *book) paged(t testing.TB, q provisioning.EntryQuery, between func()) (ids []string) {
	t.Helper()
	for pages := 0; ; pages++ {
		page, err := provisioning.View(context.Background(), b.s, "acme", func(r provisioning.Reader) (provisioning.EntryPage, error) { return r.EntryPage(q) })
		must(t, err)
		if len(page.Entries) > q.Limit {
			t.Fatalf("%d entries on a page of %d", len(page.Entries), q.Limit)
		}
		for _, e := range page.Entries {
			ids = append(ids, e.ID)
		}
		if page.Next.IsZero() {
			return ids
		}
		if !q.Before.IsZero() && page.Next.Compare(q.Before) >= 0 || pages > 10_000 {
			t.Fatalf("%d pages, the last one from %v on to %v", pages, q.Before, page.Next)
		}
		q.Before = page.Next
		between()
	}
}

// singles are queries by each filter alone, and drawn from them are all others.
func (b *book) singles() []func(*provisioning.EntryQuery, func(n int) int) {
	type set = func(*provisioning.EntryQuery, func(n int) int)
	e := func(at func(n int) int) provisioning.Entry { return b.entries[at(len(b.entries))] }
	person := func(at func(n int) int) provisioning.Resource {
		return slices.Concat(b.people, b.groups)[at(len(b.people)+len(b.groups))]
	}
	return []set{
		func(q *provisioning.EntryQuery, at func(int) int) { q.Connection = b.connections[at(2)].ID },
		func(q *provisioning.EntryQuery, at func(int) int) { q.Correlation = fmt.Sprint("c", at(6)) },
		func(q *provisioning.EntryQuery, at func(int) int) { q.Action = bookActions[at(len(bookActions))] },
		func(q *provisioning.EntryQuery, at func(int) int) { q.Outcome = bookOutcomes[at(len(bookOutcomes))] },
		func(q *provisioning.EntryQuery, at func(int) int) { q.Reason = bookReasons[at(len(bookReasons))] },
		func(q *provisioning.EntryQuery, at func(int) int) { q.Method = bookMethods[at(len(bookMethods))] },
		func(q *provisioning.EntryQuery, at func(int) int) {
			q.Status = append(bookStatuses, 2, 4, 5)[at(len(bookStatuses)+3)]
		},
		func(q *provisioning.EntryQuery, at func(int) int) { q.Slower = time.Duration(at(6)) * time.Second },
		func(q *provisioning.EntryQuery, at func(int) int) { q.Resource = person(at).ID },
		func(q *provisioning.EntryQuery, at func(int) int) {
			q.Name = strings.ToUpper(bookNames[at(len(bookNames))])
		},
		func(q *provisioning.EntryQuery, at func(int) int) {
			name := []rune(bookNames[at(len(bookNames))])
			q.Prefix = string(name[:at(len(name)+1)])
		},
		func(q *provisioning.EntryQuery, at func(int) int) {
			q.Mail = append([]string{"New", "none"}, "mail0", "MAIL1", "mail4")[at(5)]
		},
		func(q *provisioning.EntryQuery, at func(int) int) { q.ExternalID = fmt.Sprint("ext", at(7)) },
		func(q *provisioning.EntryQuery, at func(int) int) { q.Member = b.people[at(8)].ID },
		func(q *provisioning.EntryQuery, at func(int) int) { q.Since = e(at).At },
		func(q *provisioning.EntryQuery, at func(int) int) { q.Until = e(at).At },
		func(q *provisioning.EntryQuery, at func(int) int) {
			q.Before = provisioning.Place{At: e(at).At, ID: e(at).ID}
		},
		func(q *provisioning.EntryQuery, at func(int) int) { q.ID = e(at).ID },
	}
}

// TestLog compares every filter, pairs and more of them with a walk through the whole journal: under the bounds there are and
// under tiny ones, while the follower is behind and when it is not.
func TestLog(t *testing.T) {
	t.Parallel()
	for name, bounds := range map[string]logBounds{
		"bounds": defaultLogBounds,
		"tiny":   {lookedAt: 7, named: 5, together: 4, activity: 6, uncounted: 1_000, bytes: 5_000},
		"behind": {lookedAt: 30, named: 1, together: 50, activity: 20, uncounted: 3, bytes: 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, s *Store, connection int64) {
				s.log = bounds
				b := newBook(t, s, connection)
				b.grow(200, true)
				followAll(t, s)
				b.grow(50, false)
				b.wantLog("while the follower is behind")
				b.grow(30, true)
				followAll(t, s)
				b.wantLog("afterwards")
				if name == "tiny" {
					b.purge(epoch.Add(2*time.Hour + 13*time.Minute))
					b.wantLog("after a purge")
				}
			})
		})
	}
}

func (b *book) wantLog(when string) {
	singles := b.singles()
	b.t.Run(when, func(t *testing.T) {
		rapid.Check(t, func(r *rapid.T) {
			q := provisioning.EntryQuery{Limit: rapid.IntRange(4, 40).Draw(r, "limit")}
			at := func(n int) int { return rapid.IntRange(0, n-1).Draw(r, "value") }
			for range rapid.IntRange(0, 3).Draw(r, "filters") {
				singles[rapid.IntRange(0, len(singles)-1).Draw(r, "filter")](&q, at)
			}
			want := b.want(q)
			if got := b.paged(t, q, func() {}); !slices.Equal(got, want) {
				r.Fatalf("%+v\n%s", q, gocmp.Diff(want, got))
			}
			q.Limit = 0
			var all []string
			must(t, b.s.View(context.Background(), "acme", func(r provisioning.Reader) error {
				return r.Entries(q, func(e provisioning.Entry) error { all = append(all, e.ID); return nil })
			}))
			if !slices.Equal(all, want) {
				r.Fatalf("all of %+v\n%s", q, gocmp.Diff(want, all))
			}
		})
	})
}

// TestOneEnd: a span names the earlier one of its ends alone, since SQLite would begin at either and read all between them. A page
// of a common filter far down the log would take longer the further down it is.
func TestOneEnd(t *testing.T) {
	t.Parallel()
	early, late := epoch, epoch.Add(time.Hour)
	for _, test := range []struct {
		in            span
		before, until bool
	}{
		{span{until: late, before: provisioning.Place{At: early, ID: "a"}}, true, false},
		{span{until: early, before: provisioning.Place{At: late, ID: "a"}}, false, true},
		{span{until: early, before: provisioning.Place{At: early, ID: "a"}}, false, true},
		{span{until: early}, false, true},
		{span{before: provisioning.Place{At: late, ID: "a"}}, true, false},
		{span{since: early}, false, false},
	} {
		s := statement{}
		text := test.in.within(&s, "e")
		if strings.Contains(text, "(e.at, e.id) <") != test.before || strings.Contains(text, "e.at < ") != test.until {
			t.Errorf("%+v: %s", test.in, text)
		}
		if hours := test.in.ofHours(&s); strings.Count(hours, "<") != 1 || strings.Count(hours, ">=") != 1 {
			t.Errorf("%+v: %s", test.in, hours)
		}
	}
}
