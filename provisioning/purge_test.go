package provisioning_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"meibo/provisioning"
	"meibo/scim"
)

// deletes has users removed at once and purged after a day.
func deletes(s *provisioning.Settings) {
	s.Deletion.Users = provisioning.UserDeletion{Deactivated: provisioning.DeletePolicy, Deleted: provisioning.DeletePolicy, Scope: provisioning.DeletePolicy}
	s.Deletion.Groups.Deleted = provisioning.DeletePolicy
	s.Deletion.Grace, s.Deletion.Purge = provisioning.Period(24*time.Hour), provisioning.PurgeAuto
}

// inGroup are the ids of who is in a group for its client, and for the host application, as it was at the present instant by
// what is stored, and by the journal.
func (d *directory) inGroup(id string) (listed, effective []string) {
	d.Helper()
	var open []provisioning.Membership
	err := d.store.View(d.Context(), "acme", func(r provisioning.Reader) error {
		x, err := r.Account(scim.Group, id, provisioning.References{})
		if err != nil {
			return err
		}
		own, err := r.Resource(provisioning.ResourceQuery{Scope: provisioning.Scope{Connection: x.Connection, Type: scim.Group}, ID: id, AllMembers: true})
		open = own.OpenMembers
		past, failed := d.At(d.Context(), "acme", provisioning.PastQuery{Type: scim.Group, ID: id, At: d.clock.Now(), Members: true})
		if failed != nil {
			return failed
		}
		folded := map[string]provisioning.Membership{}
		for _, m := range past.Members {
			folded[m.Value] = m.Membership
		}
		same := past.Version == x.Version && past.MemberCount == x.MemberCount && len(folded) == len(open) &&
			!slices.ContainsFunc(open, func(m provisioning.Membership) bool {
				f := folded[m.Value]
				return f.Asserted != m.Asserted || f.Effective != m.Effective
			})
		if !same {
			d.Errorf("the journal of %s comes to version %d, %d members %+v; stored are version %d, %d, %+v", x.Index.Name, past.Version, past.MemberCount, past.Members, x.Version, x.MemberCount, open)
		}
		return err
	})
	if err != nil {
		d.Fatal(err)
	}
	for _, m := range open {
		if m.Asserted {
			listed = append(listed, m.Value)
		}
		if m.Effective {
			effective = append(effective, m.Value)
		}
	}
	slices.Sort(listed)
	slices.Sort(effective)
	return listed, effective
}

// wantInGroup compares who is in a group.
func (d *directory) wantInGroup(id string, listed, effective []string) {
	d.Helper()
	slices.Sort(listed)
	slices.Sort(effective)
	l, e := d.inGroup(id)
	if !slices.Equal(l, listed) || !slices.Equal(e, effective) {
		d.Errorf("the client lists %v, want %v; the host application sees %v, want %v", l, listed, e, effective)
	}
}

// reasons are those of the entries about a resource, latest first.
func (d *directory) reasons(id string) (codes []string) {
	d.Helper()
	if err := d.Entries(d.Context(), "acme", provisioning.EntryQuery{Resource: id}, func(e provisioning.Entry) error {
		codes = append(codes, e.Reason.Code)
		return nil
	}); err != nil {
		d.Fatal(err)
	}
	return codes
}

// erased reports whether nothing is left of a user that the host application could know.
func (d *directory) erased(id string) bool {
	d.Helper()
	return d.effective(id, "userName") == nil
}

// TestPurgeLeavesGroups: who is purged is in no group any more, for whom the group knew the member; each group's journal says
// so. A client that still finds its tombstone goes on listing it.
func TestPurgeLeavesGroups(t *testing.T) {
	t.Parallel()
	eachDirectory(t, deletes, func(d *directory) {
		alone, ann, bo, cy := d.create(named("alone")), d.create(named("ann")), d.create(named("bo")), d.create(named("cy"))
		both, one := d.createGroup("Both", ann, bo, cy), d.createGroup("One", ann, cy)
		nest := d.createGroup("Nest", both, ann)
		d.remove(alone)
		d.remove(ann)
		if err := d.disable(bo); err != nil { // its client finds it
			d.Fatal(err)
		}
		d.wantInGroup(both, []string{ann, bo, cy}, []string{ann, bo, cy}) // they may come back
		d.clock.Advance(25 * time.Hour)
		d.sweep()
		for _, id := range []string{alone, ann, bo} {
			if !d.erased(id) {
				d.Errorf("%s is still %v", id, d.effective(id, "userName"))
			}
		}
		d.wantInGroup(both, []string{bo, cy}, []string{cy})
		d.wantInGroup(one, []string{cy}, []string{cy})
		d.wantInGroup(nest, []string{both}, []string{both})
		if got := d.reasons(both); !slices.Equal(got, []string{"memberPurged", "memberPurged", "created"}) {
			d.Errorf("the journal of the group says %v", got)
		}
		if got := d.reasons(alone); got[0] != provisioning.ReasonPurged {
			d.Errorf("the journal of who was in no group says %v", got)
		}
		if err := d.Delete(d.Context(), d.client("default"), scim.Group, both, nil); err != nil {
			d.Fatal(err)
		}
		d.clock.Advance(25 * time.Hour)
		d.sweep()
		d.wantInGroup(nest, nil, nil)
		d.whole(both, nest, one)
	})
}

// whole makes every decision about some resources again from the journal.
func (d *directory) whole(ids ...string) {
	d.Helper()
	for _, id := range ids {
		var entries []string
		if err := d.Entries(d.Context(), "acme", provisioning.EntryQuery{Resource: id}, func(e provisioning.Entry) error {
			entries = append(entries, e.ID)
			return nil
		}); err != nil {
			d.Fatal(err)
		}
		for _, e := range entries {
			c, err := d.Why(d.Context(), "acme", e)
			if err != nil {
				d.Fatal(err)
			}
			if again, err := c.Reevaluate(); err != nil || again.Lacks.Code != "" || len(again.Differences) > 0 {
				d.Errorf("%+v decided again: %+v, %v", c.Entry, again, err)
			}
		}
	}
}

// vanishing is a store whose units of work fail after some.
type vanishing struct {
	provisioning.Store
	left int
}

func (b *vanishing) Update(ctx context.Context, tenant string, fn func(provisioning.Tx) error) error {
	if b.left--; b.left < 0 {
		return &provisioning.Error{Kind: provisioning.Unavailable, Detail: "the database went away"}
	}
	return b.Store.Update(ctx, tenant, fn)
}

// TestPurgeOfManyGroups: of very many groups it is a stride in each unit of work, and the purge itself in the last. What is
// interrupted goes on where it was.
func TestPurgeOfManyGroups(t *testing.T) {
	t.Parallel()
	eachDirectory(t, deletes, func(d *directory) {
		ann, bo := d.create(named("ann")), d.create(named("bo"))
		groups := make([]string, 250)
		for i := range groups {
			groups[i] = d.createGroup(fmt.Sprintf("g%03d", i), ann, bo)
		}
		d.remove(ann)
		d.clock.Advance(25 * time.Hour)
		still := func() (n int) {
			d.Helper()
			err := d.store.View(d.Context(), "acme", func(r provisioning.Reader) error {
				n = 0
				return r.OpenMemberships(ann, func(provisioning.Resource, provisioning.Membership) error { n++; return nil })
			})
			if err != nil {
				d.Fatal(err)
			}
			return n
		}
		broken := provisioning.New(provisioning.Options{Store: &vanishing{d.store, 2}, Now: d.clock.Now})
		if _, err := broken.Sweep(d.Context()); provisioning.KindOf(err) != provisioning.Unavailable {
			d.Fatalf("interrupted: %v", err)
		}
		if n := still(); n != 50 || d.erased(ann) || d.account(ann).PurgeAt.IsZero() {
			d.Errorf("after an interruption in the third unit of work %d memberships are left, erased: %v", n, d.erased(ann))
		}
		d.wantInGroup(groups[0], []string{bo}, []string{bo})
		d.wantInGroup(groups[249], []string{ann, bo}, []string{ann, bo})
		d.sweep()
		if n := still(); n != 0 || !d.erased(ann) {
			d.Errorf("once it went on %d memberships are left, erased: %v", n, d.erased(ann))
		}
		for _, id := range []string{groups[0], groups[99], groups[100], groups[249]} {
			d.wantInGroup(id, []string{bo}, []string{bo})
			if got := d.reasons(id); !slices.Equal(got, []string{"memberPurged", "created"}) {
				d.Errorf("the journal of a group says %v", got)
			}
		}
	})
}

// TestPurgeEmptiesNoProtectedGroup: a purge that would leave nobody in a protected group waits for a person, who has to
// lift the protection, or to give the group another member, first.
func TestPurgeEmptiesNoProtectedGroup(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	for name, makesRoom := range map[string]func(d *directory, group string) error{
		"unprotected": func(d *directory, group string) error {
			_, err := d.Act(d.Context(), d.admin(), scim.Group, group, provisioning.Act{Protected: &no})
			return err
		},
		"another member": func(d *directory, group string) error {
			return d.patch(scim.Group, group, scim.Operation{Op: "add", Path: "members", Value: []any{map[string]any{"value": d.create(named("bo"))}}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachDirectory(t, deletes, func(d *directory) {
				ann := d.create(named("ann"))
				board, staff := d.createGroup("Board", ann), d.createGroup("Staff", ann)
				if _, err := d.Act(d.Context(), d.admin(), scim.Group, board, provisioning.Act{Protected: &yes}); err != nil {
					d.Fatal(err)
				}
				d.remove(ann)
				d.clock.Advance(25 * time.Hour)
				d.sweep()
				m := d.onlyMatter(provisioning.MatterPurge)
				if m.Reason.Code != provisioning.ReasonLastMember || m.Reason.Args["group"] != board || m.Resource != ann {
					d.Errorf("the matter is %+v", m)
				}
				d.wantInGroup(board, []string{ann}, []string{ann})
				d.wantInGroup(staff, []string{ann}, []string{ann})
				d.sweep() // it is not asked again
				_, err := d.Resolve(d.Context(), d.admin(), d.onlyMatter(provisioning.MatterPurge).ID, provisioning.Resolution{Status: provisioning.MatterAllowed})
				wantKind(d.T, err, provisioning.Invalid, board)
				_, err = d.Erase(d.Context(), d.admin(), ann, false)
				wantKind(d.T, err, provisioning.Invalid, "protected")
				if d.erased(ann) {
					d.Error("it was erased all the same")
				}
				if err := makesRoom(d, board); err != nil {
					d.Fatal(err)
				}
				d.resolve(d.onlyMatter(provisioning.MatterPurge), provisioning.MatterAllowed)
				if _, in := d.inGroup(board); slices.Contains(in, ann) || !d.erased(ann) {
					d.Errorf("after a person has spoken the group has %v, erased: %v", in, d.erased(ann))
				}
				d.wantInGroup(staff, nil, nil)
			})
		})
	}
}

// TestReturnAfterThePurge: a tombstone that its client makes active again is in the groups that this client lists it in, but
// for those from which somebody else took it.
func TestReturnAfterThePurge(t *testing.T) {
	t.Parallel()
	eachDirectory(t, deletes, func(d *directory) {
		ann, bo := d.create(named("ann")), d.create(named("bo"))
		staff, only, emptied, since := d.createGroup("Staff", ann, bo), d.createGroup("Only", ann), d.createGroup("Emptied", ann, bo), d.createGroup("Since", ann, bo)
		empty := func(id string) {
			if _, err := d.Act(d.Context(), d.admin(), scim.Group, id, provisioning.Act{Empty: true}); err != nil {
				d.Fatal(err)
			}
		}
		empty(emptied)
		if err := d.disable(ann); err != nil {
			d.Fatal(err)
		}
		d.clock.Advance(25 * time.Hour)
		d.sweep()
		empty(since)
		d.wantInGroup(only, []string{ann}, nil)
		if err := d.patch(scim.User, ann, scim.Operation{Op: "replace", Path: "active", Value: true}); err != nil {
			d.Fatal(err)
		}
		d.want(ann, provisioning.Active, provisioning.RoleOrdinary)
		d.wantInGroup(staff, []string{ann, bo}, []string{ann, bo})
		d.wantInGroup(only, []string{ann}, []string{ann})
		d.wantInGroup(emptied, []string{ann, bo}, nil)
		d.wantInGroup(since, []string{ann, bo}, nil)
		if got := d.reasons(staff); !slices.Equal(got, []string{"memberBack", "memberPurged", "created"}) {
			d.Errorf("the journal of the group says %v", got)
		}
		d.whole(staff, ann)
	})
}

// TestUndoDoesNotBringMembersBack who were purged, and says so.
func TestUndoDoesNotBringMembersBack(t *testing.T) {
	t.Parallel()
	p := newUndoOffice(t)
	ann, bo := p.user(p.a, scim.Attributes{"userName": "ann"}), p.user(p.a, scim.Attributes{"userName": "bo"})
	made, err := p.Create(t.Context(), p.by(p.a), scim.Group, provisioning.Body{Attributes: scim.Attributes{"displayName": "Staff"}, HasMembers: true,
		Members: []scim.Member{{Value: ann}, {Value: bo}}})
	p.must(err)
	staff := made.Resource.ID
	member := func(op, id string) string {
		return p.patch(p.a, scim.Group, staff, scim.Operation{Op: op, Path: "members", Value: []any{map[string]any{"value": id}}})
	}
	left := member("remove", bo)
	p.must(p.Delete(t.Context(), p.by(p.a), scim.User, ann, nil))
	p.must(p.Delete(t.Context(), p.by(p.a), scim.User, bo, nil))
	for _, id := range []string{ann, bo} {
		p.does(scim.User, id, provisioning.Act{State: provisioning.Removed})
		p.does(scim.User, id, provisioning.Act{Purge: true})
	}
	for name, entry := range map[string]string{"what the purge took": p.lastEntry(staff), "what was removed before": left} {
		plan, result := p.undoEntry(entry)
		if len(plan.Lost) != 1 || !strings.Contains(plan.Lost[0], "purged") || !plan.IsZero() || len(result.Left) != 1 || result.Undone != 0 {
			t.Errorf("%s: %+v came to %+v", name, plan, result)
		}
	}
	x, err := p.Account(t.Context(), p.tenant, scim.Group, staff)
	p.must(err)
	if x.MemberCount != 0 {
		t.Errorf("%d members", x.MemberCount)
	}
}

// TestFileDoesNotBringMembersBack who were purged, in either view.
func TestFileDoesNotBringMembersBack(t *testing.T) {
	t.Parallel()
	eachDirectory(t, deletes, func(d *directory) {
		ann, bo := d.create(named("ann")), d.create(named("bo"))
		staff := d.createGroup("Staff", ann, bo)
		d.remove(ann)
		d.clock.Advance(25 * time.Hour)
		d.sweep()
		for _, view := range []provisioning.Membership{{Asserted: true, Effective: true}, {Asserted: true}, {Effective: true}} {
			view.Value = ann
			members := []provisioning.Membership{view, {Member: scim.Member{Value: bo}, Asserted: true, Effective: true}}
			o := d.client("default")
			keep := func(before scim.Attributes) (scim.Attributes, error) { return before, nil }
			if _, err := d.Apply(d.Context(), o, d.Intent(o, provisioning.Wanted{Type: scim.Group, ID: staff, Assert: keep, Members: &members})); err != nil {
				d.Fatal(err)
			}
			d.wantInGroup(staff, []string{bo}, []string{bo})
		}
	})
}
