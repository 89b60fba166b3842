package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"meibo/provisioning"
	"meibo/scim"
	"meibo/store"
)

// TestSeldomColumns writes what few changes do, changes one after the other and takes all of it back.
func TestSeldomColumns(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w := newWorld(t, s, "acme")
		r := w.user("ada")
		r.Overrides, r.LeftAt, r.PurgeAt = []byte(`{"title": "Boss"}`), epoch.Add(time.Hour), epoch.Add(2*time.Hour)
		w.created(r)
		want := func(edit func(*provisioning.Resource)) {
			t.Helper()
			w.changed(r, func(c *provisioning.Change) { edit(&c.After) })
			edit(&r)
			r.Version++
			got, err := w.read(scim.User, r.ID)
			w.must(err)
			wantEqual(t, got, r)
		}
		want(func(*provisioning.Resource) {})
		want(func(r *provisioning.Resource) { r.PurgeAt = r.PurgeAt.Add(time.Hour) })
		want(func(r *provisioning.Resource) { r.Removals = []byte(`[]`) })
		want(func(r *provisioning.Resource) { r.Overrides = []byte(`{"title": "Worker"}`) })
		want(func(r *provisioning.Resource) {
			r.Overrides, r.Removals, r.LeftAt, r.PurgeAt = nil, nil, time.Time{}, time.Time{}
		})
	})
}

// TestMemberCount follows a group's members.
func TestMemberCount(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w := newWorld(t, s, "acme")
		ids := w.createMany("u", 4)
		g := w.created(w.group("Staff"), ids[:2]...)
		want := func(n int) {
			t.Helper()
			got, err := w.read(scim.Group, g.ID)
			w.must(err)
			if got.MemberCount != n {
				t.Errorf("%d members are counted, want %d", got.MemberCount, n)
			}
		}
		want(2)
		w.changed(g, func(c *provisioning.Change) { c.Members.Add = []scim.Member{{Value: ids[2]}, {Value: ids[3]}} })
		want(4)
		w.changed(g, func(c *provisioning.Change) { c.Members.Remove = []string{ids[0]} })
		want(3)
		w.changed(g, func(c *provisioning.Change) {
			c.Members = provisioning.MemberDelta{Add: []scim.Member{{Value: ids[0]}}, Remove: []string{ids[1], ids[2]}}
		})
		want(2)
		w.changed(g, func(c *provisioning.Change) { c.After.Index.Display = "Crew" })
		want(2)
	})
}

// settingsOf is the version of w.own's settings that says something of its own.
func (w *world) settingsOf(version int64) provisioning.SettingsVersion {
	v := provisioning.SettingsVersion{Connection: w.own.ID, Version: version, At: epoch.Add(time.Duration(version) * time.Hour), Actor: "ada",
		Comment: fmt.Sprint("number ", version), Settings: provisioning.DefaultSettings(), Source: fmt.Sprintf("# %d\n", version)}
	v.Settings.Mapping.Users = []provisioning.MappingRow{{Target: "title", Constant: json.Number("1.50")}}
	v.Settings.Deletion.Grace = provisioning.Period(time.Duration(version) * time.Hour)
	return v
}

func TestSettingsVersions(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w, stranger := newWorld(t, s, "acme"), newWorld(t, s, "umbrella")
		first, second := w.settingsOf(1), w.settingsOf(2)
		second.Settings.Protocol.UniqueGroupNames, second.Settings.Protocol.PatchResponse = false, provisioning.PatchNone
		save := func(v provisioning.SettingsVersion) error { return w.admin(provisioning.AdminChange{SaveSettings: &v}) }
		w.must(save(first))
		w.must(save(second))
		wantKind(t, save(second), provisioning.Unavailable, "") // overtaken, each time it runs
		wantKind(t, save(w.settingsOf(4)), provisioning.Unavailable, "")
		wantKind(t, stranger.admin(provisioning.AdminChange{SaveSettings: &first}), provisioning.NotFound, "")
		w.view(func(r provisioning.Reader) error {
			for version, want := range map[int64]provisioning.SettingsVersion{0: second, 1: first, 2: second} {
				got, err := r.Settings(w.own.ID, version)
				w.must(err)
				wantEqual(t, got, want)
			}
			_, err := r.Settings(w.own.ID, 3)
			wantKind(t, err, provisioning.NotFound, "")
			_, err = r.Settings(w.other.ID, 0)
			wantKind(t, err, provisioning.NotFound, "")
			all, err := r.SettingsHistory(w.own.ID)
			wantEqual(t, all, []provisioning.SettingsVersion{second, first})
			w.must(err)
			connections, err := r.Connections()
			own := connections[1]
			if own.SettingsVersion != 2 || own.Settings != second.Settings.Protocol {
				t.Errorf("the connection has version %d and %+v", own.SettingsVersion, own.Settings)
			}
			return err
		})
		stranger.view(func(r provisioning.Reader) error {
			_, err := r.Settings(w.own.ID, 1)
			wantKind(t, err, provisioning.NotFound, "")
			all, err := r.SettingsHistory(w.own.ID)
			wantEqual(t, all, []provisioning.SettingsVersion(nil))
			return err
		})
		w.created(w.group("Staff"))
		w.created(w.group("staff"))
		wantKind(t, save(w.settingsOf(3)), provisioning.Conflict, "displayName")
		w.view(func(r provisioning.Reader) error { // and nothing of it is left
			_, err := r.Settings(w.own.ID, 3)
			wantKind(t, err, provisioning.NotFound, "")
			return nil
		})
	})
}

// TestSettingsRace has many save the next version, each on what it read: none is lost.
func TestSettingsRace(t *testing.T) {
	t.Parallel()
	each(t, store.Options{}, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, "acme")
		const n = 12
		var wg sync.WaitGroup
		for range n {
			wg.Go(func() {
				err := w.update(func(tx provisioning.Tx) error {
					all, err := tx.SettingsHistory(w.own.ID)
					if err != nil {
						return err
					}
					v := w.settingsOf(int64(len(all) + 1))
					return tx.Commit(provisioning.Batch{Admin: []provisioning.AdminChange{{SaveSettings: &v}}})
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		w.view(func(r provisioning.Reader) error {
			all, err := r.SettingsHistory(w.own.ID)
			if len(all) != n || all[0].Version != n {
				t.Errorf("%d versions, the latest is %d", len(all), all[0].Version)
			}
			return err
		})
	})
}

func TestAPIKeys(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w, stranger := newWorld(t, s, "acme"), newWorld(t, s, "umbrella")
		hash := []byte("0123456789abcdef0123456789abcdef")
		k := provisioning.APIKey{ID: newID(), Holder: "Ada", Role: provisioning.KeyOperator, Hash: hash, Hint: "cdef", Created: epoch, Expires: epoch.AddDate(1, 0, 0)}
		next := provisioning.APIKey{ID: newID(), Holder: "app", Role: provisioning.KeyApplication, Hash: hash[1:], Hint: "cdef", Created: epoch.Add(time.Hour)}
		w.must(w.admin(provisioning.AdminChange{CreateKey: &next}, provisioning.AdminChange{CreateKey: &k}))
		nobody := &world{t: t, s: s, tenant: "nobody"}
		other := k
		other.ID, other.Hash = newID(), hash[2:]
		wantKind(t, nobody.admin(provisioning.AdminChange{CreateKey: &other}), provisioning.NotFound, "")
		wantKind(t, stranger.admin(provisioning.AdminChange{RevokeKey: &k}), provisioning.NotFound, "")
		wantKind(t, stranger.admin(provisioning.AdminChange{TouchKey: &k}), provisioning.NotFound, "")
		k.Revoked, k.LastUsed = epoch.AddDate(0, 1, 0), epoch.AddDate(0, 0, 1)
		later := k
		later.Revoked = epoch.AddDate(0, 2, 0)
		w.must(w.admin(provisioning.AdminChange{TouchKey: &k}, provisioning.AdminChange{RevokeKey: &k}, provisioning.AdminChange{RevokeKey: &later}))
		tenant, found, err := s.APIKey(context.Background(), hash)
		w.must(err)
		wantEqual(t, found, k)
		wantEqual(t, tenant, "acme")
		_, _, err = s.APIKey(context.Background(), hash[3:])
		wantKind(t, err, provisioning.NotFound, "")
		for at, want := range map[*world][]provisioning.APIKey{w: {k, next}, stranger: nil} {
			at.view(func(r provisioning.Reader) error {
				all, err := r.APIKeys()
				wantEqual(t, all, want)
				return err
			})
		}
		names, err := s.Tenants(context.Background())
		wantEqual(t, names, []string{"acme", "umbrella"})
		w.must(err)
	})
}

// matter is a new one of w.own.
func (w *world) matter(kind provisioning.MatterKind, resource, key string) provisioning.Matter {
	return provisioning.Matter{ID: newID(), Connection: w.own.ID, Kind: kind, Cause: "deleted", Resource: resource, Type: scim.User, Name: "ada", Key: key,
		Reason: provisioning.Reason{Code: "policy", Args: map[string]string{"policy": "hold"}}, Then: provisioning.SuspendPolicy,
		Opened: epoch, Entry: newID(), Seen: epoch, Times: 1, Status: provisioning.MatterOpen, Version: 1}
}

func (w *world) matters(q provisioning.MatterQuery) (all []provisioning.Matter) {
	w.t.Helper()
	w.view(func(r provisioning.Reader) error {
		return r.Matters(q, func(m provisioning.Matter) error {
			all = append(all, m)
			return nil
		})
	})
	return all
}

func (w *world) commit(b provisioning.Batch) error {
	return w.update(func(tx provisioning.Tx) error { return tx.Commit(b) })
}

func (w *world) open(m provisioning.Matter) {
	w.t.Helper()
	w.must(w.commit(provisioning.Batch{Matters: []provisioning.MatterChange{{Open: &m}}}))
}

func TestMatters(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w, stranger := newWorld(t, s, "acme"), newWorld(t, s, "acme2")
		held := w.matter(provisioning.MatterHeld, "r1", "held:r1")
		held.Members, held.Until = []string{"a", "b"}, epoch.Add(time.Hour)
		adoption := w.matter(provisioning.MatterAdoption, "", "adoption:ada")
		adoption.Cause, adoption.Then, adoption.Candidates, adoption.Asserted = "", "", []string{"x", "y"}, []byte(`{ "userName" : "ada"}`)
		kept := w.matter(provisioning.MatterKept, "r1", "kept:r1")
		kept.Connection = w.other.ID
		for _, m := range []provisioning.Matter{held, adoption, kept} {
			w.open(m)
		}
		again := held
		again.ID, again.Seen, again.Entry = newID(), epoch.Add(time.Minute), newID()
		w.open(again)
		w.open(again)
		held.Times, held.Seen = 3, again.Seen
		theirs := held
		theirs.ID, theirs.Times = newID(), 1
		stranger.open(theirs) // its key is its own

		for name, test := range map[string]struct {
			q    provisioning.MatterQuery
			want []provisioning.Matter
		}{
			"all":            {provisioning.MatterQuery{}, []provisioning.Matter{kept, adoption, held}},
			"two":            {provisioning.MatterQuery{Limit: 2}, []provisioning.Matter{kept, adoption}},
			"the rest":       {provisioning.MatterQuery{Before: adoption.ID}, []provisioning.Matter{held}},
			"open":           {provisioning.MatterQuery{Status: provisioning.MatterOpen, Before: kept.ID, Limit: 1}, []provisioning.Matter{adoption}},
			"closed":         {provisioning.MatterQuery{Status: provisioning.MatterAllowed}, nil},
			"by id":          {provisioning.MatterQuery{ID: held.ID}, []provisioning.Matter{held}},
			"another's id":   {provisioning.MatterQuery{ID: theirs.ID}, nil},
			"no id":          {provisioning.MatterQuery{ID: "\x00"}, nil},
			"about":          {provisioning.MatterQuery{Resource: "r1"}, []provisioning.Matter{kept, held}},
			"about, before":  {provisioning.MatterQuery{Resource: "r1", Before: kept.ID}, []provisioning.Matter{held}},
			"of a connecion": {provisioning.MatterQuery{Connection: w.other.ID}, []provisioning.Matter{kept}},
			"of a kind":      {provisioning.MatterQuery{Kind: provisioning.MatterAdoption}, []provisioning.Matter{adoption}},
		} {
			if got := w.matters(test.q); fmt.Sprint(idsOfMatters(got)) != fmt.Sprint(idsOfMatters(test.want)) {
				t.Errorf("%s: %v, want %v", name, idsOfMatters(got), idsOfMatters(test.want))
			}
		}
		wantEqual(t, w.matters(provisioning.MatterQuery{}), []provisioning.Matter{kept, adoption, held})

		change := func(m provisioning.Matter) error {
			return w.commit(provisioning.Batch{Matters: []provisioning.MatterChange{{Update: &m}}})
		}
		held.Proposed = "bob"
		w.must(change(held))
		held.Version++
		wantEqual(t, w.matters(provisioning.MatterQuery{Status: provisioning.MatterOpen, Resource: "r1", Connection: w.own.ID}), []provisioning.Matter{held})
		w.open(again) // it still is the open one
		held.Times++
		adoption.Status, adoption.ClosedAt, adoption.ClosedBy, adoption.Resource = provisioning.MatterLinked, epoch.Add(time.Hour), "bob", "r2"
		w.must(change(adoption))
		adoption.Version++
		stale := adoption
		stale.Version = 1
		wantKind(t, change(stale), provisioning.Unavailable, "")
		wantKind(t, stranger.commit(provisioning.Batch{Matters: []provisioning.MatterChange{{Update: &held}}}), provisioning.Unavailable, "")
		wantEqual(t, w.matters(provisioning.MatterQuery{}), []provisioning.Matter{kept, adoption, held})

		asked := provisioning.Impact{Asks: 1, AskedAt: epoch.Add(time.Minute), Failure: "no answer"}
		ask := func(was int, is provisioning.Impact) error {
			return w.commit(provisioning.Batch{Matters: []provisioning.MatterChange{{Ask: &provisioning.AskChange{ID: held.ID, Was: was, Impact: is}}}})
		}
		w.must(ask(0, asked))
		held.Impact = asked
		wantKind(t, ask(0, asked), provisioning.Unavailable, "") // somebody else asked
		wantEqual(t, w.matters(provisioning.MatterQuery{ID: held.ID})[0], held)
		asked.Failure, asked.Counts = "", map[string]int64{"visits": 1 << 53, "予約": 0}
		w.must(ask(1, asked))
		held.Impact = asked
		wantEqual(t, w.matters(provisioning.MatterQuery{ID: held.ID})[0], held)
		wantKind(t, stranger.commit(provisioning.Batch{Matters: []provisioning.MatterChange{{Ask: &provisioning.AskChange{ID: held.ID, Was: 1, Impact: asked}}}}), provisioning.Unavailable, "")
		closed := adoption.ID
		wantKind(t, w.commit(provisioning.Batch{Matters: []provisioning.MatterChange{{Ask: &provisioning.AskChange{ID: closed, Impact: asked}}}}), provisioning.Unavailable, "")

		settle := provisioning.MatterSettlement{Connection: w.own.ID, Resource: "r1", Kinds: []provisioning.MatterKind{provisioning.MatterHeld, provisioning.MatterKept},
			At: epoch.Add(2 * time.Hour), By: "client"}
		none := settle
		none.Kinds = []provisioning.MatterKind{provisioning.MatterDelayed}
		spared, another := settle, settle
		spared.Except, another.Only = held.Key, "held:another"
		w.must(w.commit(provisioning.Batch{Matters: []provisioning.MatterChange{{Settle: &spared}, {Settle: &another}}}))
		wantEqual(t, w.matters(provisioning.MatterQuery{ID: held.ID})[0], held)
		w.must(w.commit(provisioning.Batch{Matters: []provisioning.MatterChange{{Settle: &none}, {Settle: &settle}, {Settle: &provisioning.MatterSettlement{}}}}))
		held.Status, held.ClosedAt, held.ClosedBy = provisioning.MatterObsolete, settle.At, settle.By
		held.Version++
		wantEqual(t, w.matters(provisioning.MatterQuery{}), []provisioning.Matter{kept, adoption, held})
		w.open(again) // a new one
		again.Until, again.Times = held.Until, 1
		wantEqual(t, w.matters(provisioning.MatterQuery{ID: again.ID})[0].Status, provisioning.MatterOpen)
		wantEqual(t, stranger.matters(provisioning.MatterQuery{})[0].Status, provisioning.MatterOpen)
	})
}

func idsOfMatters(all []provisioning.Matter) (ids []string) {
	for _, m := range all {
		ids = append(ids, m.ID)
	}
	return ids
}

// departure reads what a departure is weighed by, in a unit of work as outside one.
func (w *world) departure(q provisioning.BudgetQuery) (facts provisioning.DepartureFacts) {
	w.t.Helper()
	w.view(func(r provisioning.Reader) (err error) {
		facts, err = r.Departure(q)
		return err
	})
	w.must(w.update(func(tx provisioning.Tx) error {
		got, err := tx.Departure(q)
		wantEqual(w.t, got, facts)
		return err
	}))
	return facts
}

// TestPresent counts who is there for the host application, whoever the client sees.
func TestPresent(t *testing.T) {
	t.Parallel()
	each(t, store.Options{Rehearse: true}, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, "acme")
		want := func(kind provisioning.BudgetKind, connection int64, n int) {
			t.Helper()
			for range 2 { // before and after the tallies are folded
				if got := w.departure(provisioning.BudgetQuery{Connection: connection, Kind: kind}).Present; got != n {
					t.Errorf("%s: %d are present, want %d", kind, got, n)
				}
				w.must(s.Fold(context.Background()))
			}
		}
		users := w.createMany("u", 5)
		g := w.created(w.group("Staff"))
		off := w.user("off")
		off.State = provisioning.Suspended
		w.created(off)
		edit := func(id string, fn func(*provisioning.Resource)) {
			t.Helper()
			w.must(w.moved(id, fn))
		}
		want(provisioning.BudgetUsers, w.own.ID, 5)
		want(provisioning.BudgetGroups, w.own.ID, 1)
		edit(users[0], func(r *provisioning.Resource) { r.State = provisioning.Suspended })
		want(provisioning.BudgetUsers, w.own.ID, 4)
		edit(users[0], func(r *provisioning.Resource) { r.Visible = false })
		want(provisioning.BudgetUsers, w.own.ID, 4)
		edit(users[1], func(r *provisioning.Resource) { r.State, r.Visible = provisioning.Held, false })
		want(provisioning.BudgetUsers, w.own.ID, 4) // it is there
		edit(users[2], func(r *provisioning.Resource) { r.State, r.Visible = provisioning.Removed, false })
		want(provisioning.BudgetUsers, w.own.ID, 3)
		edit(users[1], func(r *provisioning.Resource) { r.Connection = w.other.ID })
		want(provisioning.BudgetUsers, w.own.ID, 2)
		want(provisioning.BudgetUsers, w.other.ID, 1)
		edit(users[1], func(r *provisioning.Resource) { r.Connection = 0 })
		want(provisioning.BudgetUsers, w.other.ID, 0)
		edit(users[0], func(r *provisioning.Resource) { r.State, r.Visible = provisioning.Active, true })
		want(provisioning.BudgetUsers, w.own.ID, 3)
		edit(off.ID, func(r *provisioning.Resource) { r.State = provisioning.Active })
		want(provisioning.BudgetUsers, w.own.ID, 4)
		w.changed(g, func(c *provisioning.Change) { c.After.Visible = false })
		want(provisioning.BudgetGroups, w.own.ID, 1)
		stranger := newWorld(t, s, "umbrella")
		if got := stranger.departure(provisioning.BudgetQuery{Connection: w.own.ID, Kind: provisioning.BudgetUsers}).Present; got != 0 {
			t.Errorf("another tenant counts %d", got)
		}
	})
}

// TestPresentAtRandom moves accounts about, and counts them one by one after each move.
func TestPresentAtRandom(t *testing.T) {
	t.Parallel()
	each(t, store.Options{}, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, "acme")
		ids := w.createMany("u", 6)
		random := rand.New(rand.NewPCG(1, 2))
		owners := []int64{w.own.ID, w.other.ID, 0}
		states := []provisioning.State{provisioning.Active, provisioning.Suspended, provisioning.Held, provisioning.Removed}
		for range 60 {
			state, owner, visible := states[random.IntN(len(states))], owners[random.IntN(len(owners))], random.IntN(2) == 0
			w.must(w.moved(ids[random.IntN(len(ids))], func(r *provisioning.Resource) { r.State, r.Connection, r.Visible = state, owner, visible }))
			if random.IntN(8) == 0 {
				w.must(s.Fold(context.Background()))
			}
			for _, owner := range owners[:2] {
				want, listed := 0, 0
				w.view(func(r provisioning.Reader) error {
					return r.Accounts(provisioning.AccountQuery{Type: scim.User, Connection: owner, Removed: true}, func(r provisioning.Resource) error {
						if r.State == provisioning.Active || r.State == provisioning.Held {
							want++
						}
						if r.Visible {
							listed++
						}
						return nil
					})
				})
				if got := w.departure(provisioning.BudgetQuery{Connection: owner, Kind: provisioning.BudgetUsers}).Present; got != want {
					t.Fatalf("%d are present, want %d", got, want)
				}
				page := w.list(provisioning.ListQuery{Scope: provisioning.Scope{Connection: owner, Type: scim.User}, StartIndex: 1, Count: 10})
				if page.Total != listed || len(page.Resources) != listed {
					t.Fatalf("%d of %d are listed, want %d", len(page.Resources), page.Total, listed)
				}
			}
		}
	})
}

// moved changes a user whoever owns and sees it.
func (w *world) moved(id string, edit func(*provisioning.Resource)) error {
	return w.update(func(tx provisioning.Tx) error {
		before, err := tx.Account(scim.User, id, provisioning.References{})
		if err != nil {
			return err
		}
		c := provisioning.Change{Action: provisioning.ChangeUpdate, Before: &before, After: before}
		c.After.Version++
		edit(&c.After)
		return tx.Commit(provisioning.Batch{Changes: []provisioning.Change{c}})
	})
}

// TestDepartureMatters asks for the matters that weigh on a departure.
func TestDepartureMatters(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w := newWorld(t, s, "acme")
		var all []provisioning.Matter
		add := func(status provisioning.MatterStatus, m provisioning.Matter) {
			t.Helper()
			w.open(m)
			if status != provisioning.MatterOpen {
				m.Status, m.ClosedAt, m.ClosedBy = status, epoch.Add(time.Hour), "bob"
				w.must(w.commit(provisioning.Batch{Matters: []provisioning.MatterChange{{Update: &m}}}))
				m.Version++
			}
			all = append(all, m)
		}
		add(provisioning.MatterAllowed, w.matter(provisioning.MatterHeld, "r", "held:r"))
		add(provisioning.MatterRejected, w.matter(provisioning.MatterHeld, "r", "held:r"))
		add(provisioning.MatterObsolete, w.matter(provisioning.MatterKept, "r", "kept:r"))
		add(provisioning.MatterOpen, w.matter(provisioning.MatterDelayed, "r", "delayed:r"))
		add(provisioning.MatterOpen, w.matter(provisioning.MatterHeld, "other", "held:other"))
		add(provisioning.MatterLinked, w.matter(provisioning.MatterAdoption, "", "adoption:ada"))
		add(provisioning.MatterIgnored, w.matter(provisioning.MatterAdoption, "", "adoption:bob"))
		for name, test := range map[string]struct {
			q    provisioning.BudgetQuery
			want []provisioning.Matter
		}{
			"nobody's":        {provisioning.BudgetQuery{Connection: w.own.ID, Kind: provisioning.BudgetUsers}, nil},
			"of a resource":   {provisioning.BudgetQuery{Connection: w.own.ID, Kind: provisioning.BudgetUsers, Resource: "r"}, []provisioning.Matter{all[3], all[1]}},
			"alone":           {provisioning.BudgetQuery{Connection: w.own.ID, Resource: "other"}, []provisioning.Matter{all[4]}},
			"and of a key":    {provisioning.BudgetQuery{Connection: w.own.ID, Resource: "other", Key: "adoption:bob"}, []provisioning.Matter{all[6], all[4]}},
			"of a closed key": {provisioning.BudgetQuery{Connection: w.own.ID, Key: "adoption:ada"}, nil},
			"of another":      {provisioning.BudgetQuery{Connection: w.other.ID, Resource: "r", Key: "adoption:bob"}, nil},
		} {
			if got := w.departure(test.q).Matters; fmt.Sprint(idsOfMatters(got)) != fmt.Sprint(idsOfMatters(test.want)) {
				t.Errorf("%s: %v, want %v", name, idsOfMatters(got), idsOfMatters(test.want))
			}
		}
	})
}

// TestAnswerMatter: a word about members holds for those who are left, and then no longer; no other word is touched.
func TestAnswerMatter(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w, stranger := newWorld(t, s, "acme"), newWorld(t, s, "acme2")
		about := func(cause string, members ...string) provisioning.Matter {
			m := w.matter(provisioning.MatterDelayed, "g", newID())
			m.Cause, m.Members = cause, members
			w.open(m)
			m.Status, m.ClosedAt, m.ClosedBy = provisioning.MatterRejected, epoch.Add(time.Hour), "bob"
			w.must(w.commit(provisioning.Batch{Matters: []provisioning.MatterChange{{Update: &m}}}))
			m.Version++
			return m
		}
		earlier, later, whole := about(provisioning.CauseMembers, "a", "b"), about(provisioning.CauseMembers, "c"), about(provisioning.CauseDeleted)
		open := w.matter(provisioning.MatterDelayed, "g", newID())
		open.Cause, open.Members = provisioning.CauseMembers, []string{"d"}
		w.open(open)
		q := provisioning.BudgetQuery{Connection: w.own.ID, Resource: "g"}
		wantEqual(t, w.departure(q).Matters, []provisioning.Matter{open, whole, later, earlier})

		answer := func(w *world, m provisioning.Matter, left ...string) {
			w.must(w.commit(provisioning.Batch{Matters: []provisioning.MatterChange{{Answer: &provisioning.MatterAnswer{ID: m.ID, Left: left, At: epoch.Add(2 * time.Hour)}}}}))
		}
		answer(w, earlier, "b")
		answer(w, open)
		answer(stranger, later)
		earlier.Members, earlier.Version = []string{"b"}, earlier.Version+1
		wantEqual(t, w.departure(q).Matters, []provisioning.Matter{open, whole, later, earlier})
		answer(w, earlier)
		earlier.Until, earlier.Version = epoch.Add(2*time.Hour), earlier.Version+1
		wantEqual(t, w.departure(q).Matters, []provisioning.Matter{open, whole, later, earlier})
	})
}

// TestSettleRejected: who is wanted again is weighed anew, whatever a person said of an earlier departure; other words stay.
func TestSettleRejected(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w := newWorld(t, s, "acme")
		rejected := func(kind provisioning.MatterKind, resource, cause string) provisioning.Matter {
			m := w.matter(kind, resource, string(kind)+resource+cause)
			m.Cause = cause
			w.open(m)
			m.Status, m.ClosedAt, m.ClosedBy = provisioning.MatterRejected, epoch.Add(time.Hour), "bob"
			w.must(w.commit(provisioning.Batch{Matters: []provisioning.MatterChange{{Update: &m}}}))
			return m
		}
		over := rejected(provisioning.MatterDelayed, "r", provisioning.CauseDeactivated)
		rejected(provisioning.MatterDelayed, "r", provisioning.CauseMembers)
		rejected(provisioning.MatterHeld, "r", provisioning.CauseDeactivated)
		rejected(provisioning.MatterDelayed, "other", provisioning.CauseDeactivated)
		settle := provisioning.MatterSettlement{Connection: w.own.ID, Resource: "r", Kinds: []provisioning.MatterKind{provisioning.MatterDelayed}, At: epoch.Add(2 * time.Hour)}
		for _, settle.Rejected = range []bool{false, true} {
			w.must(w.commit(provisioning.Batch{Matters: []provisioning.MatterChange{{Settle: &settle}}}))
			for _, m := range w.matters(provisioning.MatterQuery{}) {
				if ended := m.Status == provisioning.MatterObsolete; ended != (settle.Rejected && m.ID == over.ID) {
					t.Errorf("rejected too %v: %s of %s because of %s is %s", settle.Rejected, m.Kind, m.Resource, m.Cause, m.Status)
				}
			}
		}
	})
}

// TestBudgetRace has 64 claim from one budget at once, of which it has room for some.
func TestBudgetRace(t *testing.T) {
	t.Parallel()
	each(t, store.Options{}, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, "acme")
		ids := w.createMany("u", 64)
		const room = 20
		full := errors.New("no room")
		q := provisioning.BudgetQuery{Connection: w.own.ID, Kind: provisioning.BudgetUsers}
		var mu sync.Mutex
		claims := map[error]int{}
		var wg sync.WaitGroup
		for _, id := range ids {
			wg.Go(func() {
				err := w.update(func(tx provisioning.Tx) error {
					before, err := tx.Resource(provisioning.ResourceQuery{Scope: w.scope(scim.User), ID: id})
					if err != nil {
						return err
					}
					q := q
					q.Resource = id
					facts, err := tx.Departure(q)
					if err != nil {
						return err
					}
					b := facts.Budget
					spent := 0
					for _, n := range b.Spent {
						spent += n.N
					}
					if facts.Present+spent != len(ids) {
						t.Errorf("%d present and %d spent, of %d", facts.Present, spent, len(ids))
					}
					if spent >= room {
						return full
					}
					b.Version++
					b.Spent = []provisioning.Spent{{Until: epoch, N: spent + 1}}
					c := provisioning.Change{Action: provisioning.ChangeSuspend, Before: &before, After: before}
					c.After.State = provisioning.Suspended
					c.After.Version++
					return tx.Commit(provisioning.Batch{Changes: []provisioning.Change{c}, Budgets: []provisioning.Budget{b}})
				})
				mu.Lock()
				defer mu.Unlock()
				claims[err]++
			})
		}
		wg.Wait()
		if claims[nil] != room || claims[full] != len(ids)-room {
			t.Errorf("%d claims were settled and %d refused, want %d and %d: %v", claims[nil], claims[full], room, len(ids)-room, claims)
		}
		facts := w.departure(q)
		if facts.Present != len(ids)-room || facts.Budget.Version != room || facts.Budget.Spent[0].N != room {
			t.Errorf("in the end there is %+v", facts)
		}
	})
}

func TestBudget(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w, stranger := newWorld(t, s, "acme"), newWorld(t, s, "umbrella")
		b := provisioning.Budget{Connection: w.own.ID, Kind: provisioning.BudgetGroups, Version: 1, Spent: []provisioning.Spent{{Until: epoch, N: 3}}}
		put := func(w *world, b provisioning.Budget) error {
			return w.commit(provisioning.Batch{Budgets: []provisioning.Budget{b}})
		}
		q := provisioning.BudgetQuery{Connection: w.own.ID, Kind: provisioning.BudgetGroups}
		wantEqual(t, w.departure(q).Budget, provisioning.Budget{Connection: w.own.ID, Kind: provisioning.BudgetGroups})
		wantKind(t, put(stranger, b), provisioning.Unavailable, "")
		w.must(put(w, b))
		wantEqual(t, w.departure(q).Budget, b)
		wantKind(t, put(w, b), provisioning.Unavailable, "") // one is there
		b.Version, b.Allowances = 2, []provisioning.Allowance{{Cause: "deleted", Left: -1, Until: epoch.Add(time.Hour), By: "ada", Reject: true}}
		w.must(put(w, b))
		wantEqual(t, w.departure(q).Budget, b)
		wantKind(t, put(w, b), provisioning.Unavailable, "")
		b.Version++
		wantKind(t, put(stranger, b), provisioning.Unavailable, "")
		wantEqual(t, w.departure(provisioning.BudgetQuery{Connection: w.own.ID, Kind: provisioning.BudgetUsers}).Budget.Version, int64(0))
	})
}

// job is a new one.
func job(kind provisioning.JobKind) provisioning.Job {
	return provisioning.Job{ID: newID(), Kind: kind, Actor: "ada", Params: []byte(`{"a": 1}`), State: provisioning.JobQueued, Created: epoch, Changed: epoch}
}

func (w *world) queue(j provisioning.Job) {
	w.t.Helper()
	w.must(w.commit(provisioning.Batch{Jobs: []provisioning.JobChange{{Create: &j}}}))
}

func TestJobs(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w, stranger := newWorld(t, s, "acme"), newWorld(t, s, "acme2")
		claim := func(at, until time.Time) (string, provisioning.Job, error) {
			return s.ClaimJob(context.Background(), []provisioning.JobKind{"undo", "purge"}, at, until)
		}
		_, _, err := claim(epoch, epoch)
		wantKind(t, err, provisioning.NotFound, "")
		w.queue(job("of a newer version")) // the oldest, and left alone
		first, second := job("undo"), job("purge")
		first.Connection = w.own.ID
		w.queue(first)
		stranger.queue(second)
		now, until := epoch.Add(time.Minute), epoch.Add(2*time.Minute)
		tenant, claimed, err := claim(now, until)
		w.must(err)
		first.State, first.Changed, first.LeaseUntil, first.Fence = provisioning.JobRunning, now, until, 1
		wantEqual(t, claimed, first)
		wantEqual(t, tenant, "acme")
		tenant, claimed, err = claim(now, until)
		w.must(err)
		if tenant != "acme2" || claimed.ID != second.ID {
			t.Errorf("claimed %s of %s", claimed.ID, tenant)
		}
		_, _, err = claim(until.Add(-time.Microsecond), until)
		wantKind(t, err, provisioning.NotFound, "")

		progress := func(w *world, j provisioning.Job) error {
			return w.commit(provisioning.Batch{Jobs: []provisioning.JobChange{{Progress: &j}}})
		}
		first.Cursor, first.Done, first.Total, first.Changed, first.LeaseUntil = "x", 3, 9, until, until.Add(time.Minute)
		w.must(progress(w, first))
		wantKind(t, progress(stranger, first), provisioning.Conflict, "fence")
		_, again, err := claim(until.Add(time.Minute), until.Add(time.Hour)) // the lease is over
		w.must(err)
		if again.ID != first.ID || again.Fence != 2 || again.Cursor != "x" {
			t.Errorf("claimed %+v", again)
		}
		wantKind(t, progress(w, first), provisioning.Conflict, "fence")
		again.State, again.Error, again.Result, again.LeaseUntil = provisioning.JobFailed, "boom", []byte(`[1]`), time.Time{}
		w.must(progress(w, again))
		_, next, err := claim(until.Add(time.Hour), until.Add(2*time.Hour))
		w.must(err)
		if next.ID != second.ID { // what has failed is over
			t.Errorf("claimed %+v", next)
		}
		other := job("import")
		w.queue(other)
		w.view(func(r provisioning.Reader) error {
			got, err := r.Job(first.ID)
			wantEqual(t, got, again)
			w.must(err)
			_, err = r.Job(second.ID)
			wantKind(t, err, provisioning.NotFound, "")
			for _, test := range []struct {
				kind  provisioning.JobKind
				limit int
				want  []string
			}{{"", 2, []string{other.ID, first.ID}}, {"undo", 0, []string{first.ID}}, {"", 1, []string{other.ID}}, {"none", 5, nil}} {
				all, err := r.Jobs(test.kind, "", test.limit)
				w.must(err)
				var ids []string
				for _, j := range all {
					ids = append(ids, j.ID)
				}
				wantEqual(t, ids, test.want)
			}
			return nil
		})
	})
}

// TestJobRace has 64 claim 40 jobs of two tenants: each job is claimed once.
func TestJobRace(t *testing.T) {
	t.Parallel()
	each(t, store.Options{}, func(t *testing.T, s *store.Store) {
		var queued []string
		for _, tenant := range []string{"acme", "umbrella"} {
			w := newWorld(t, s, tenant)
			for range 20 {
				j := job("undo")
				w.queue(j)
				queued = append(queued, j.ID)
			}
		}
		var mu sync.Mutex
		var claimed []string
		none := 0
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				_, j, err := s.ClaimJob(context.Background(), []provisioning.JobKind{"undo"}, epoch, epoch.Add(time.Hour))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					claimed = append(claimed, j.ID)
				case provisioning.KindOf(err) == provisioning.NotFound:
					none++
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		slices.Sort(claimed)
		slices.Sort(queued)
		wantEqual(t, claimed, queued)
		if none != 24 {
			t.Errorf("%d found nothing, want 24", none)
		}
	})
}
