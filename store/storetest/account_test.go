package storetest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"meibo/provisioning"
	"meibo/scim"
	"meibo/store"
)

// account reads an account as the host application does.
func (w *world) account(t scim.ResourceType, id string) (r provisioning.Resource, err error) {
	err = w.s.View(context.Background(), w.tenant, func(x provisioning.Reader) error {
		r, err = x.Account(t, id, provisioning.References{Groups: true, Manager: true})
		return err
	})
	return r, err
}

// accounts are the names of the accounts that q selects.
func (w *world) accounts(q provisioning.AccountQuery) (names []string) {
	w.t.Helper()
	w.view(func(r provisioning.Reader) error {
		return r.Accounts(q, func(r provisioning.Resource) error {
			names = append(names, r.Index.Name)
			return nil
		})
	})
	return names
}

// TestAccount reads who is there whoever owns and sees it, with the groups and the manager that the host application sees.
func TestAccount(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w, stranger := newWorld(t, s, "acme"), newWorld(t, s, "umbrella")
		boss, u := w.user("boss"), w.user("ada")
		boss.Index.Display = "The Boss"
		u.Index.Manager, u.Index.Emails = boss.ID, []provisioning.Email{{Value: "ada@example.com"}}
		w.created(boss)
		w.created(u)
		staff, gone := w.created(w.group("Staff"), u.ID), w.created(w.group("Gone"), u.ID)
		hide := func(r provisioning.Resource, state provisioning.State) {
			w.changed(r, func(c *provisioning.Change) { c.After.Visible, c.After.State = false, state })
		}
		hide(u, provisioning.Active)
		hide(boss, provisioning.Suspended)
		hide(staff, provisioning.Active)
		hide(gone, provisioning.Removed)
		got, err := w.account(scim.User, u.ID)
		w.must(err)
		wantEqual(t, got.Groups, []provisioning.Reference{{ID: staff.ID, Display: "Staff"}})
		wantEqual(t, got.Manager, provisioning.Reference{ID: boss.ID, Display: "The Boss"})
		if got.Visible || got.Version != 2 || got.State != provisioning.Active {
			t.Errorf("read %+v", got)
		}
		w.must(w.update(func(tx provisioning.Tx) error {
			got, err := tx.Account(scim.User, u.ID, provisioning.References{})
			wantEqual(t, got.Index.Emails, u.Index.Emails)
			return err
		}))
		_, err = w.account(scim.Group, u.ID)
		wantKind(t, err, provisioning.NotFound, "")
		_, err = w.account(scim.User, "\x00")
		wantKind(t, err, provisioning.NotFound, "")
		_, err = stranger.account(scim.User, u.ID)
		wantKind(t, err, provisioning.NotFound, "")

		var members []provisioning.GroupMember
		for _, w := range []*world{stranger, w} {
			w.view(func(r provisioning.Reader) error {
				return r.Memberships(staff.ID, func(m provisioning.GroupMember) error {
					members = append(members, m)
					return nil
				})
			})
		}
		wantEqual(t, members, []provisioning.GroupMember{{Group: staff.ID, Value: u.ID, Type: scim.User}})
	})
}

// Memberships come by pages in the order of ids, none twice, of the tenant's own group alone.
func TestMembershipsAfter(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w, stranger := newWorld(t, s, "acme"), newWorld(t, s, "umbrella")
		ids := w.createMany("user", 5)
		staff := w.created(w.group("Staff"), ids...)
		var want []provisioning.GroupMember
		for _, id := range slices.Sorted(slices.Values(ids)) {
			want = append(want, provisioning.GroupMember{Group: staff.ID, Value: id, Type: scim.User})
		}
		var got []provisioning.GroupMember
		for after, n := "", 2; n == 2; {
			n = 0
			w.view(func(r provisioning.Reader) error {
				return r.MembershipsAfter(staff.ID, after, 2, func(m provisioning.GroupMember) error {
					got, after = append(got, m), m.Value
					n++
					return nil
				})
			})
		}
		wantEqual(t, got, want)
		stranger.view(func(r provisioning.Reader) error {
			return r.MembershipsAfter(staff.ID, "", 9, func(m provisioning.GroupMember) error {
				t.Errorf("another tenant is told of %s", m.Value)
				return nil
			})
		})
	})
}

// An id is taken in the whole database: Issued tells, and nobody gets it a second time.
func TestIssued(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w, stranger := newWorld(t, s, "acme"), newWorld(t, s, "umbrella")
		u := w.created(w.user("ada"))
		for _, w := range []*world{w, stranger} {
			for id, want := range map[string]bool{u.ID: true, "019aa000-0000-7000-8000-000000000000": false, "": false, "\x00": false} {
				w.view(func(r provisioning.Reader) error {
					got, err := r.Issued(id)
					if got != want {
						t.Errorf("tenant %s: id %q issued: %t", w.tenant, id, got)
					}
					return err
				})
			}
		}
		again := stranger.user("other")
		again.ID = u.ID
		wantKind(t, stranger.create(again), provisioning.Conflict, "id")
	})
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w, stranger := newWorld(t, s, "acme"), newWorld(t, s, "acme2") // whose keys begin alike
		stranger.created(stranger.user("stranger"))
		add := func(r provisioning.Resource, edit func(*provisioning.Resource)) provisioning.Resource {
			edit(&r)
			return w.created(r)
		}
		a := add(w.user("a"), func(r *provisioning.Resource) { r.Index.ExternalID, r.Index.EffectiveName = "e", "alpha" })
		b := add(w.user("b"), func(r *provisioning.Resource) { r.Connection, r.Index.ExternalID = w.other.ID, "e" })
		add(w.user("c"), func(r *provisioning.Resource) { r.Connection, r.Index.ExternalID = 0, "e" })
		d := add(w.user("d"), func(r *provisioning.Resource) {
			r.State, r.Visible, r.LeftAt = provisioning.Suspended, false, epoch.Add(time.Hour)
		})
		e := add(w.user("e"), func(r *provisioning.Resource) {
			r.State, r.Visible, r.LeftAt, r.PurgeAt = provisioning.Removed, false, epoch.Add(2*time.Hour), epoch.Add(3*time.Hour)
		})
		f := add(w.user("f"), func(r *provisioning.Resource) {
			r.State, r.Visible, r.LeftAt, r.PurgeAt = provisioning.Removed, false, epoch.Add(2*time.Hour), epoch.Add(4*time.Hour)
		})
		g := w.created(w.group("g"))
		for _, asked := range []struct {
			about  provisioning.Resource
			prefix string
			status provisioning.MatterStatus
		}{{a, "k:", provisioning.MatterOpen}, {b, "k:", provisioning.MatterRejected}, {d, "k:", provisioning.MatterAllowed}, {d, "l:", provisioning.MatterOpen}} {
			m := w.matter(provisioning.MatterHeld, asked.about.ID, asked.prefix+asked.about.ID)
			w.open(m)
			m.Status = asked.status
			w.must(w.commit(provisioning.Batch{Matters: []provisioning.MatterChange{{Update: &m}}}))
			stranger.open(stranger.matter(provisioning.MatterHeld, d.ID, "k:"+d.ID))
		}
		for name, test := range map[string]struct {
			q    provisioning.AccountQuery
			want []string
		}{
			"all users":          {provisioning.AccountQuery{Type: scim.User, Connection: -1}, []string{"a", "b", "c", "d"}},
			"removed ones too":   {provisioning.AccountQuery{Type: scim.User, Connection: -1, Removed: true}, []string{"a", "b", "c", "d", "e", "f"}},
			"groups":             {provisioning.AccountQuery{Type: scim.Group, Connection: -1}, []string{"g"}},
			"of any type":        {provisioning.AccountQuery{Connection: -1, After: d.ID}, []string{"g"}},
			"a page":             {provisioning.AccountQuery{Type: scim.User, Connection: -1, After: a.ID, Limit: 2}, []string{"b", "c"}},
			"after the last":     {provisioning.AccountQuery{Type: scim.User, Connection: -1, After: g.ID}, nil},
			"of nobody":          {provisioning.AccountQuery{Type: scim.User}, []string{"c"}},
			"of an owner":        {provisioning.AccountQuery{Type: scim.User, Connection: w.other.ID}, []string{"b"}},
			"suspended":          {provisioning.AccountQuery{Type: scim.User, Connection: -1, State: provisioning.Suspended}, []string{"d"}},
			"removed":            {provisioning.AccountQuery{Type: scim.User, Connection: -1, State: provisioning.Removed}, []string{"e", "f"}},
			"by effective name":  {provisioning.AccountQuery{Type: scim.User, Connection: -1, Effective: "alpha"}, []string{"a"}},
			"by asserted name":   {provisioning.AccountQuery{Type: scim.User, Connection: -1, Effective: "a"}, nil},
			"by name, another's": {provisioning.AccountQuery{Type: scim.User, Connection: w.other.ID, Effective: "alpha"}, nil},
			"by externalId":      {provisioning.AccountQuery{Type: scim.User, Connection: -1, ExternalID: "e"}, []string{"a", "b"}},
			"by externalId, one": {provisioning.AccountQuery{Type: scim.User, Connection: w.other.ID, ExternalID: "e"}, []string{"b"}},
			"by externalId, on":  {provisioning.AccountQuery{Type: scim.User, Connection: -1, ExternalID: "e", After: a.ID}, []string{"b"}},
			"of a group's id":    {provisioning.AccountQuery{Type: scim.Group, Connection: -1, ExternalID: "e"}, nil},
			"no text":            {provisioning.AccountQuery{Type: scim.User, Connection: -1, ExternalID: "e\x00"}, nil},
			"left before":        {provisioning.AccountQuery{Type: scim.User, Connection: -1, Removed: true, LeftBefore: epoch.Add(2 * time.Hour)}, []string{"d"}},
			"left at last":       {provisioning.AccountQuery{Type: scim.User, Connection: -1, Removed: true, LeftBefore: epoch.Add(9 * time.Hour)}, []string{"d", "e", "f"}},
			"due":                {provisioning.AccountQuery{Connection: -1, Removed: true, PurgeDue: e.PurgeAt}, []string{"e"}},
			"due later":          {provisioning.AccountQuery{Connection: -1, Removed: true, PurgeDue: f.PurgeAt}, []string{"e", "f"}},
			"due later, a page":  {provisioning.AccountQuery{Connection: -1, Removed: true, PurgeDue: f.PurgeAt, After: e.ID, Limit: 5}, []string{"f"}},
			"not asked about":    {provisioning.AccountQuery{Type: scim.User, Connection: -1, NotAsked: "k:"}, []string{"c", "d"}},
			"not otherwise":      {provisioning.AccountQuery{Type: scim.User, Connection: -1, NotAsked: "l:"}, []string{"a", "b", "c"}},
			"due to another":     {provisioning.AccountQuery{Connection: w.other.ID, Removed: true, PurgeDue: f.PurgeAt}, nil},
		} {
			if got := w.accounts(test.q); !slices.Equal(got, test.want) {
				t.Errorf("%s: %v, want %v", name, got, test.want)
			}
		}
		wantEqual(t, stranger.accounts(provisioning.AccountQuery{Connection: -1, Removed: true}), []string{"stranger"})
		wantEqual(t, stranger.accounts(provisioning.AccountQuery{Connection: -1, Removed: true, ExternalID: "e"}), []string(nil))
		wantEqual(t, stranger.accounts(provisioning.AccountQuery{Connection: -1, Removed: true, PurgeDue: f.PurgeAt}), []string(nil))
		// As a unit of work reads it, so that the change that follows knows what is there.
		w.must(w.update(func(tx provisioning.Tx) error {
			return tx.Accounts(provisioning.AccountQuery{Type: scim.User, Connection: w.other.ID}, func(r provisioning.Resource) error {
				wantEqual(t, r, b)
				return nil
			})
		}))
	})
}

// TestMailCandidates looks for accounts of other owners by their addresses.
func TestMailCandidates(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w, stranger := newWorld(t, s, "acme"), newWorld(t, s, "umbrella")
		add := func(w *world, name string, connection int64, edit func(*provisioning.Resource), addresses ...string) string {
			r := w.user(name)
			r.Connection = connection
			for _, a := range addresses {
				r.Index.Emails = append(r.Index.Emails, provisioning.Email{Value: a})
			}
			if edit != nil {
				edit(&r)
			}
			return w.created(r).ID
		}
		ownerless := add(w, "ownerless", 0, nil, "a@example.com", "b@example.com")
		suspended := add(w, "suspended", w.other.ID, func(r *provisioning.Resource) { r.State, r.Visible = provisioning.Suspended, false }, "a@example.com")
		add(w, "removed", w.other.ID, func(r *provisioning.Resource) { r.State, r.Visible = provisioning.Removed, false }, "a@example.com")
		add(w, "own", w.own.ID, nil, "a@example.com")
		add(stranger, "theirs", stranger.own.ID, nil, "a@example.com")
		var third string
		for i := range 4 {
			if id := add(w, fmt.Sprint("many", i), w.other.ID, nil, "c@example.com"); i == 2 {
				third = id
			}
		}
		for name, test := range map[string]struct {
			emails []string
			want   []string
		}{
			"one address":       {[]string{"a@example.com"}, []string{ownerless, suspended}},
			"two of one user":   {[]string{"b@example.com", "a@example.com"}, []string{ownerless, suspended}},
			"nobody's":          {[]string{"x@example.com", "y@example.com"}, nil},
			"none":              {nil, nil},
			"three at the most": {[]string{"c@example.com"}, []string{"", "", third}},
		} {
			q := provisioning.CandidateQuery{Scope: w.scope(scim.User), Name: "new", Emails: test.emails}
			check := func(c provisioning.Candidates, err error) {
				t.Helper()
				w.must(err)
				var ids []string
				for i, r := range c.Mail {
					if ids = append(ids, r.ID); test.want[i] == "" {
						ids[i] = ""
					}
				}
				if !slices.Equal(ids, test.want) || c.Visible != nil || c.Effective != nil || c.Stable != nil {
					t.Errorf("%s: %v and %+v, want %v", name, ids, c, test.want)
				}
			}
			w.view(func(r provisioning.Reader) error { check(r.Candidates(q)); return nil })
			w.must(w.update(func(tx provisioning.Tx) error { check(tx.Candidates(q)); return nil }))
		}
	})
}

// TestEffectiveCandidate looks for the effective userName that is not the asserted one.
func TestEffectiveCandidate(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w := newWorld(t, s, "acme")
		r := w.user("ada@other.example")
		r.Connection, r.Index.EffectiveName = w.other.ID, "ada"
		w.created(r)
		for name, found := range map[string]bool{"ada": true, "ada@example.com": false, "": false} {
			w.view(func(x provisioning.Reader) error {
				c, err := x.Candidates(provisioning.CandidateQuery{Scope: w.scope(scim.User), Name: "ada@example.com", Effective: name})
				if (c.Effective != nil) != found || c.Visible != nil {
					t.Errorf("%q: %+v", name, c)
				}
				return err
			})
		}
	})
}

// TestChanges reads the journal in the order of positions, page by page.
func TestChanges(t *testing.T) {
	t.Parallel()
	each(t, store.Options{}, func(t *testing.T, s *store.Store) {
		w, stranger := newWorld(t, s, "acme"), newWorld(t, s, "umbrella")
		stranger.createMany("u", 1)
		var want []string
		for i := range 7 {
			r := w.user(fmt.Sprint("u", i))
			e := entryAbout(r)
			e.SettingsVersion = int64(i)
			w.must(w.commit(provisioning.Batch{Changes: []provisioning.Change{{Action: provisioning.ChangeCreate, After: r}}, Entries: []provisioning.Entry{e}}))
			want = append(want, e.ID)
		}
		read := func(after int64, limit int) (entries []provisioning.PositionedEntry, head int64) {
			w.view(func(r provisioning.Reader) (err error) {
				entries, head, err = r.Changes(after, limit)
				return err
			})
			return entries, head
		}
		if entries, head := read(0, 10); len(entries) != 0 || head != 0 {
			t.Errorf("before any has a position: %d entries, %d", len(entries), head)
		}
		for more := true; more; {
			n, _, err := s.Follow(context.Background())
			w.must(err)
			more = n > 0
		}
		var got []string
		after := int64(1) // the entry of the tenant's making
		for {
			entries, head := read(after, 3)
			if head != 8 {
				t.Errorf("the last position is %d, want 8", head)
			}
			if len(entries) == 0 {
				break
			}
			for _, e := range entries {
				after++
				if e.Position != after || e.Entry.SettingsVersion != after-2 || e.Entry.Action == "" {
					t.Errorf("after %d comes %+v", after-1, e)
				}
				got = append(got, e.Entry.ID)
			}
		}
		wantEqual(t, got, want)
	})
}
