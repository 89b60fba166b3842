package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"meibo/provisioning"
	"meibo/scim"
)

// world is a tenant with two connections in a store under test, and the short words to write in it.
type world struct {
	t      testing.TB
	s      provisioning.Store
	tenant string
	own    provisioning.Connection
	other  provisioning.Connection
}

// epoch is when everything in a world happens, unless a test says otherwise.
var epoch = time.Date(2026, 1, 31, 9, 30, 0, 123456000, time.UTC)

func newWorld(t testing.TB, s provisioning.Store, tenant string) *world {
	t.Helper()
	w := &world{t: t, s: s, tenant: tenant}
	own, other := connection("own"), connection("other")
	w.must(w.admin(provisioning.AdminChange{CreateTenant: &provisioning.Tenant{Name: tenant, Created: epoch}},
		provisioning.AdminChange{CreateConnection: &own}, provisioning.AdminChange{CreateConnection: &other}))
	w.own, w.other = own, other
	return w
}

func connection(name string) provisioning.Connection {
	return provisioning.Connection{Name: name, Kind: "scim", Settings: provisioning.DefaultConnectionSettings(), Created: epoch}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// admin commits administrative changes with an entry.
func (w *world) admin(changes ...provisioning.AdminChange) error {
	entry := provisioning.Entry{ID: newID(), At: epoch, Actor: "test", Action: provisioning.ActionOther, Outcome: provisioning.Success}
	return w.update(func(tx provisioning.Tx) error {
		return tx.Commit(provisioning.Batch{Admin: changes, Entries: []provisioning.Entry{entry}})
	})
}

func (w *world) update(fn func(provisioning.Tx) error) error {
	return w.s.Update(context.Background(), w.tenant, fn)
}

func (w *world) view(fn func(provisioning.Reader) error) {
	w.t.Helper()
	w.must(w.s.View(context.Background(), w.tenant, fn))
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

// scope is the scope of w.own's resources of a type.
func (w *world) scope(t scim.ResourceType) provisioning.Scope {
	return provisioning.Scope{Connection: w.own.ID, Type: t}
}

// user is a new user of w.own.
func (w *world) user(name string) provisioning.Resource {
	folded := scim.FoldFull.Apply(name)
	return provisioning.Resource{
		ID: newID(), Type: scim.User, Connection: w.own.ID, Visible: true, State: provisioning.Active, Version: 1,
		Created: epoch, Modified: epoch,
		Asserted: fmt.Appendf(nil, `{"schemas":["%s"],"userName":%s}`, scim.UserSchema, quoted(name)),
		Index:    provisioning.Index{Name: folded, EffectiveName: folded},
	}
}

// group is a new group of w.own.
func (w *world) group(name string) provisioning.Resource {
	return provisioning.Resource{
		ID: newID(), Type: scim.Group, Connection: w.own.ID, Visible: true, State: provisioning.Active, Version: 1,
		Created: epoch, Modified: epoch,
		Asserted: fmt.Appendf(nil, `{"schemas":["%s"],"displayName":%s}`, scim.GroupSchema, quoted(name)),
		Index:    provisioning.Index{Name: scim.FoldFull.Apply(name), Display: name},
	}
}

// create commits a new resource with its members and an entry.
func (w *world) create(r provisioning.Resource, members ...string) error {
	change := provisioning.Change{Action: provisioning.ChangeCreate, After: r}
	for _, id := range members {
		change.Members.Add = append(change.Members.Add, scim.Member{Value: id})
	}
	entry := entryAbout(r)
	return w.update(func(tx provisioning.Tx) error {
		return tx.Commit(provisioning.Batch{Changes: []provisioning.Change{change}, Entries: []provisioning.Entry{entry}})
	})
}

// created creates what must not fail, and returns it.
func (w *world) created(r provisioning.Resource, members ...string) provisioning.Resource {
	w.t.Helper()
	w.must(w.create(r, members...))
	return r
}

func entryAbout(r provisioning.Resource) provisioning.Entry {
	return provisioning.Entry{ID: newID(), At: epoch, Connection: r.Connection, Actor: "test", Action: provisioning.ActionUpdate,
		Outcome: provisioning.Success, ResourceID: r.ID, ResourceType: r.Type, ResourceName: r.Index.Name, Version: r.Version}
}

// change reads the resource, applies edit to it and its members, and commits it with an entry.
func (w *world) change(s provisioning.Scope, id string, edit func(*provisioning.Change)) error {
	entryID := newID()
	return w.update(func(tx provisioning.Tx) error {
		before, err := tx.Resource(provisioning.ResourceQuery{Scope: s, ID: id})
		if err != nil {
			return err
		}
		c := provisioning.Change{Action: provisioning.ChangeUpdate, Before: &before, After: before}
		c.After.Version++
		edit(&c)
		entry := entryAbout(c.After)
		entry.ID, entry.Members = entryID, c.Members
		return tx.Commit(provisioning.Batch{Changes: []provisioning.Change{c}, Entries: []provisioning.Entry{entry}})
	})
}

// changed makes a change that must not fail.
func (w *world) changed(r provisioning.Resource, edit func(*provisioning.Change)) {
	w.t.Helper()
	w.must(w.change(provisioning.Scope{Connection: r.Connection, Type: r.Type}, r.ID, edit))
}

// read reads a resource of w.own.
func (w *world) read(t scim.ResourceType, id string) (r provisioning.Resource, err error) {
	err = w.s.View(context.Background(), w.tenant, func(x provisioning.Reader) error {
		r, err = x.Resource(provisioning.ResourceQuery{Scope: w.scope(t), ID: id, References: provisioning.References{Groups: true, Manager: true}})
		return err
	})
	return r, err
}

// list reads a page of w.own's resources.
func (w *world) list(q provisioning.ListQuery) (page provisioning.Page) {
	w.t.Helper()
	w.view(func(r provisioning.Reader) (err error) {
		page, err = r.List(q)
		return err
	})
	return page
}

// members reads a group's member list.
func (w *world) members(groups ...string) (all []provisioning.GroupMember) {
	w.t.Helper()
	w.view(func(r provisioning.Reader) error {
		return r.Members(groups, func(m provisioning.GroupMember) error {
			all = append(all, m)
			return nil
		})
	})
	return all
}

// entries reads journal entries.
func (w *world) entries(q provisioning.EntryQuery) (all []provisioning.Entry) {
	w.t.Helper()
	w.view(func(r provisioning.Reader) error {
		return r.Entries(q, func(e provisioning.Entry) error {
			all = append(all, e)
			return nil
		})
	})
	return all
}

// quoted is s as a JSON string.
func quoted(s string) []byte {
	data, _ := json.Marshal(s) // strings always marshal
	return data
}
