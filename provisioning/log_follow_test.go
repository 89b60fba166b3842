package provisioning_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"meibo/internal/testkit"
	"meibo/provisioning"
	"meibo/scim"
	"meibo/store"
	"meibo/store/storetest"
)

// TestFollowingSelectsWhatTheStoreDoes: entries that are looked at one by one, as they come, are selected as the store would
// select them, by each condition and by pairs of them.
func TestFollowingSelectsWhatTheStoreDoes(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, st provisioning.Store) {
		s := provisioning.New(provisioning.Options{Store: st})
		ctx, o := t.Context(), provisioning.Origin{Tenant: "acme", Actor: "test", Correlation: "made"}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		o.Connection = founded(t, s, o)
		asked := func(method string, status int) provisioning.Origin {
			x := o
			x.Correlation, x.Request = method, provisioning.RequestInfo{Method: method, Path: "/x"}
			x.Started = time.Now().Add(-time.Duration(status) * time.Millisecond)
			x.Status = func(error) int { return status }
			return x
		}
		ken, err := s.Create(ctx, asked("POST", 201), scim.User, provisioning.Body{Attributes: scim.Attributes{"userName": "Kén@x.example", "externalId": "4711",
			"emails": []any{map[string]any{"value": "k@x.example", "type": "work"}}}})
		must(err)
		staff, err := s.Create(ctx, o, scim.Group, provisioning.Body{Attributes: scim.Attributes{"displayName": "Staff", "externalId": "4711"}, HasMembers: true,
			Members: []scim.Member{{Value: ken.Resource.ID}}})
		must(err)
		for _, name := range []string{"Ken", "Ken", "K"} {
			_, err = s.Patch(ctx, asked("PATCH", 200), scim.User, ken.Resource.ID, []scim.Operation{{Op: "replace", Path: "displayName", Value: name}}, scim.PatchOptions{}, nil, provisioning.References{})
			must(err)
		}
		_, err = s.Create(ctx, asked("POST", 409), scim.Group, provisioning.Body{Attributes: scim.Attributes{"displayName": "staff"}})
		if provisioning.KindOf(err) != provisioning.Conflict {
			t.Fatal(err)
		}
		_, err = s.Patch(ctx, asked("PATCH", 204), scim.Group, staff.Resource.ID, []scim.Operation{{Op: "remove", Path: "members"}}, scim.PatchOptions{}, nil, provisioning.References{})
		must(err)
		must(s.Delete(ctx, asked("DELETE", 204), scim.User, ken.Resource.ID, nil))
		for more := true; more; {
			_, more, err = st.(*store.Store).Follow(ctx)
			must(err)
		}
		all, err := s.Follower("acme", provisioning.EntryQuery{}).After(ctx, 0, 1000)
		must(err)
		middle := all.Entries[len(all.Entries)/2].Entry

		conditions := []func(*provisioning.EntryQuery){
			func(q *provisioning.EntryQuery) { q.ID = middle.ID },
			func(q *provisioning.EntryQuery) { q.Connection = o.Connection.ID },
			func(q *provisioning.EntryQuery) { q.Correlation = "PATCH" },
			func(q *provisioning.EntryQuery) { q.Action = provisioning.ActionUpdate },
			func(q *provisioning.EntryQuery) { q.Outcome = provisioning.Skipped },
			func(q *provisioning.EntryQuery) { q.Reason = provisioning.ReasonAsserted },
			func(q *provisioning.EntryQuery) { q.Method = "PATCH" },
			func(q *provisioning.EntryQuery) { q.Status = 204 },
			func(q *provisioning.EntryQuery) { q.Status = 2 },
			func(q *provisioning.EntryQuery) { q.Slower = 203 * time.Millisecond },
			func(q *provisioning.EntryQuery) { q.Resource = ken.Resource.ID },
			func(q *provisioning.EntryQuery) { q.Name = "STAFF" },
			func(q *provisioning.EntryQuery) { q.Prefix = "KÉ" },
			func(q *provisioning.EntryQuery) { q.Mail = "K@X.example" },
			func(q *provisioning.EntryQuery) { q.ExternalID = "4711" },
			func(q *provisioning.EntryQuery) { q.Member = ken.Resource.ID },
			func(q *provisioning.EntryQuery) { q.Since = middle.At },
			func(q *provisioning.EntryQuery) { q.Until = middle.At },
		}
		for i, one := range conditions {
			for j, other := range conditions[:i+1] {
				var q provisioning.EntryQuery
				other(&q)
				one(&q)
				var want, got []string
				must(s.Entries(ctx, "acme", q, func(e provisioning.Entry) error { want = append(want, e.ID); return nil }))
				told, err := s.Follower("acme", q).After(ctx, 0, 1000)
				must(err)
				for _, e := range told.Entries {
					got = append(got, e.Entry.ID)
				}
				slices.Sort(want)
				slices.Sort(got)
				if !slices.Equal(want, got) || told.Reached != told.Head || i == j && len(got) == 0 {
					t.Errorf("conditions %d and %d: %d selected, the store selects %d", i, j, len(got), len(want))
				}
			}
		}
	})
}

// TestBehindTheHorizon: whoever goes on behind a position of which entries are kept no longer is told so, and from the oldest
// that are kept on misses nothing.
func TestBehindTheHorizon(t *testing.T) {
	t.Parallel()
	clock := testkit.NewClock(time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC))
	st := storetest.Open(t)
	s, ctx := provisioning.New(provisioning.Options{Store: st, Now: clock.Now}), t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	o := provisioning.Origin{Tenant: "acme", Actor: "admin"}
	_, err := s.CreateTenant(ctx, o) // two entries
	must(err)
	for range 3 {
		clock.Advance(24 * time.Hour)
		_, err := s.SetConnection(ctx, o, provisioning.DefaultConnection, func(c *provisioning.ConnectionSettings) { c.Paused = !c.Paused })
		must(err)
	}
	_, _, err = st.Follow(ctx)
	must(err)
	_, err = s.Retain(ctx, "acme", clock.Now().Add(-12*time.Hour))
	must(err)
	reads := map[string]func(after int64) (provisioning.Told, error){
		"the log": func(after int64) (provisioning.Told, error) {
			return s.Follower("acme", provisioning.EntryQuery{}).After(ctx, after, 10)
		},
		"acts": func(after int64) (provisioning.Told, error) {
			return s.Audit(ctx, "acme", provisioning.EntryQuery{}, after, 10)
		},
	}
	for name, read := range reads {
		for after := range int64(4) {
			if _, err := read(after); provisioning.KindOf(err) != provisioning.Gone || !strings.Contains(err.Error(), "behind position 4") {
				t.Errorf("%s behind %d: %v", name, after, err)
			}
		}
		for _, after := range []int64{provisioning.FromTheOldest, 4} {
			told, err := read(after)
			if err != nil || len(told.Entries) != 1 || told.Entries[0].Position != 5 || told.Reached != 5 || told.Head != 5 {
				t.Errorf("%s behind %d: %+v, %v", name, after, told, err)
			}
		}
		if told, err := read(5); err != nil || told.Reached != 5 {
			t.Errorf("%s at the head: %+v, %v", name, told, err)
		}
	}
}

// counting is a store that counts who is looked up, one resource or all that are meant.
type counting struct {
	provisioning.Store
	lookups *int
}

func (s counting) View(ctx context.Context, tenant string, fn func(provisioning.Reader) error) error {
	return s.Store.View(ctx, tenant, func(r provisioning.Reader) error { return fn(countingReader{r, s.lookups}) })
}

type countingReader struct {
	provisioning.Reader
	lookups *int
}

func (r countingReader) Entries(q provisioning.EntryQuery, fn func(provisioning.Entry) error) error {
	*r.lookups++
	return r.Reader.Entries(q, fn)
}

func (r countingReader) Meant(mail, externalID string) ([]string, error) {
	*r.lookups++
	return r.Reader.Meant(mail, externalID)
}

// TestFollowingWhoIsMeant: whom an address means is looked up once for all that was written before, however many pieces and people that is,
// and again for what is written later: so the stream goes on with who has the address by then.
func TestFollowingWhoIsMeant(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, st provisioning.Store) {
		lookups, ctx := 0, t.Context()
		s := provisioning.New(provisioning.Options{Store: counting{st, &lookups}})
		o := provisioning.Origin{Tenant: "acme", Actor: "admin"}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		o.Connection = founded(t, s, o)
		create := func(name, mail string) string {
			a := scim.Attributes{"userName": name}
			if mail != "" {
				a["emails"] = []any{map[string]any{"value": mail, "type": "work"}}
			}
			done, err := s.Create(ctx, o, scim.User, provisioning.Body{Attributes: a})
			must(err)
			return done.Resource.ID
		}
		patch := func(id string, op scim.Operation) {
			_, err := s.Patch(ctx, o, scim.User, id, []scim.Operation{op}, scim.PatchOptions{}, nil, provisioning.References{})
			must(err)
		}
		const desk = "desk@x.example"
		ken := create("ken", desk)
		for i := range 10 {
			create(fmt.Sprintf("other%d", i), "")
		}
		f, at := s.Follower("acme", provisioning.EntryQuery{Mail: desk}), int64(0)
		told := func() (names []string) {
			for more := true; more; {
				_, waiting, err := st.(*store.Store).Follow(ctx)
				must(err)
				more = waiting
			}
			for more := true; more; {
				piece, err := f.After(ctx, at, 3)
				must(err)
				for _, e := range piece.Entries {
					names = append(names, e.Entry.ResourceName)
				}
				at, more = piece.Reached, piece.Reached < piece.Head
			}
			return names
		}
		wantNames := func(when string, most int, want ...string) {
			t.Helper()
			lookups = 0
			if got := told(); !slices.Equal(got, want) || lookups > most {
				t.Errorf("%s: told of %q by %d look-ups, want %q by %d at most", when, got, lookups, want, most)
			}
		}
		wantNames("caught up", 1, "ken")
		wantNames("nothing new", 0)
		patch(ken, scim.Operation{Op: "replace", Path: "title", Value: "Clerk"})
		wantNames("of the holder", 1, "ken")
		patch(ken, scim.Operation{Op: "remove", Path: "emails"})
		rie := create("rie", desk)
		patch(ken, scim.Operation{Op: "replace", Path: "title", Value: "Head"})
		patch(rie, scim.Operation{Op: "replace", Path: "title", Value: "Clerk"})
		wantNames("it has changed hands", 2, "rie", "rie")
		patch(ken, scim.Operation{Op: "replace", Path: "title", Value: "Chief"})
		wantNames("of who had it", 1)

		lookups, at = 0, 0
		acts, err := s.Audit(ctx, "acme", provisioning.EntryQuery{Mail: desk}, 0, 100)
		if err != nil || len(acts.Entries) != 2 || lookups != 1 {
			t.Errorf("%d acts, %d look-ups, %v", len(acts.Entries), lookups, err)
		}
	})
}
