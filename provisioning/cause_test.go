package provisioning_test

import (
	"maps"
	"testing"

	"meibo/provisioning"
	"meibo/scim"
)

// as creates as the default connection, and returns what it was answered.
func (d *directory) as(a scim.Attributes) error {
	d.Helper()
	_, err := d.Create(d.Context(), d.client("default"), scim.User, provisioning.Body{Attributes: a})
	return err
}

// TestNameOfWhoIsHeld: who asks for the userName of somebody whose departure waits for a person is told of that matter.
func TestNameOfWhoIsHeld(t *testing.T) {
	t.Parallel()
	eachDirectory(t, func(s *provisioning.Settings) { s.Deletion.Users.Deactivated = provisioning.HoldPolicy }, func(d *directory) {
		leaver := d.create(named("ann@example.com"))
		rename := scim.Operation{Op: "replace", Value: map[string]any{"userName": "0123456789abcdef0123456789abcdefann@example.com", "active": false}}
		if err := d.patch(scim.User, leaver, rename); err != nil {
			d.Fatal(err)
		}
		m := d.onlyMatter(provisioning.MatterHeld)
		wantKind(d.T, d.as(named("ann@example.com")), provisioning.Conflict, "the open matter "+m.ID)
		other := d.create(named("bob@example.com"))
		err := d.patch(scim.User, other, scim.Operation{Op: "replace", Path: "userName", Value: "ann@example.com"})
		wantKind(d.T, err, provisioning.Conflict, "the open matter "+m.ID)
		d.resolve(m, provisioning.MatterAllowed)
		if err := d.as(named("ann@example.com")); err != nil {
			d.Errorf("once it was allowed: %v", err)
		}
	})
}

// TestFrozenNameOfWhoReturns: who cannot return because the userName of the creation is another's by now is told so.
func TestFrozenNameOfWhoReturns(t *testing.T) {
	t.Parallel()
	eachDirectory(t, func(s *provisioning.Settings) {
		s.Deletion.Users.Deleted, s.Mapping.UserName.Frozen = provisioning.DeletePolicy, true
	}, func(d *directory) {
		ann := named("ann")
		ann["externalId"] = "11111111-2222-3333-4444-555555555555"
		leaver := d.create(ann)
		if err := d.patch(scim.User, leaver, scim.Operation{Op: "replace", Path: "userName", Value: "anna"}); err != nil {
			d.Fatal(err)
		}
		d.remove(leaver)
		hired := d.create(named("ann"))
		ann["userName"] = "anna"
		err := d.as(ann)
		wantKind(d.T, err, provisioning.Conflict, "mapping.userName.frozen")
		wantKind(d.T, err, provisioning.Conflict, hired)
	})
}

// TestNameThatIsKept: who asks for a userName that nobody is asserted under is told which account has it, and why.
func TestNameThatIsKept(t *testing.T) {
	t.Parallel()
	const ann, otherwise = "ann@example.com", "though its client calls it otherwise"
	rename := func(name string, more map[string]any) func(d *directory) string {
		return func(d *directory) string {
			id := d.create(named(ann))
			value := map[string]any{"userName": name}
			maps.Copy(value, more)
			if err := d.patch(scim.User, id, scim.Operation{Op: "replace", Value: value}); err != nil {
				d.Fatal(err)
			}
			return id
		}
	}
	leave := rename("0123456789abcdef0123456789abcdef"+ann, map[string]any{"active": false})
	for name, tt := range map[string]struct {
		edit  func(*provisioning.Settings)
		holds func(d *directory) string // the account that has the name
		says  string
	}{
		"left, and ignored": {func(s *provisioning.Settings) { s.Deletion.Users.Deactivated = provisioning.IgnorePolicy }, leave, otherwise},
		"left, and a person keeps it": {func(s *provisioning.Settings) { s.Deletion.Users.Deactivated = provisioning.HoldPolicy }, func(d *directory) string {
			id := leave(d)
			d.resolve(d.onlyMatter(provisioning.MatterHeld), provisioning.MatterRejected)
			return id
		}, otherwise},
		"renamed, and frozen": {func(s *provisioning.Settings) { s.Mapping.UserName.Frozen = true }, rename("anna@example.com", nil), otherwise},
		"another owner's": {func(s *provisioning.Settings) { s.Matching.Attributes = []string{"emails"} }, func(d *directory) string {
			if _, err := d.CreateConnection(d.Context(), d.admin(), "other"); err != nil {
				d.Fatal(err)
			}
			return d.createAs("other", named(ann))
		}, "of another owner"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachDirectory(t, tt.edit, func(d *directory) {
				id := tt.holds(d)
				err := d.as(named(ann))
				wantKind(d.T, err, provisioning.Conflict, tt.says)
				wantKind(d.T, err, provisioning.Conflict, id)
			})
		})
	}
}

// TestWithdrawnDeparture: a client that says again that somebody is active no longer asks for the departure that a tolerance
// delayed, however it says so; what says nothing of it leaves the matter open.
func TestWithdrawnDeparture(t *testing.T) {
	t.Parallel()
	whole := named("ann")
	for name, c := range map[string]struct {
		say  func(d *directory, id string) error
		open int
	}{
		"PATCH": {func(d *directory, id string) error {
			return d.patch(scim.User, id, scim.Operation{Op: "replace", Path: "active", Value: true})
		}, 0},
		"PATCH without a path": {func(d *directory, id string) error {
			return d.patch(scim.User, id, scim.Operation{Op: "replace", Value: map[string]any{"active": true}})
		}, 0},
		"PUT": {func(d *directory, id string) error {
			_, err := d.Replace(d.Context(), d.client("default"), scim.User, id, provisioning.Body{Attributes: whole}, nil, provisioning.References{})
			return err
		}, 0},
		"of something else": {func(d *directory, id string) error {
			return d.patch(scim.User, id, scim.Operation{Op: "replace", Path: "userName", Value: "ann"})
		}, 1},
		"of somebody else": {func(d *directory, _ string) error {
			return d.patch(scim.User, d.create(named("bob")), scim.Operation{Op: "replace", Path: "active", Value: true})
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachDirectory(t, func(s *provisioning.Settings) { s.Tolerance.Users = provisioning.Tolerance{Share: 0, Count: 1} }, func(d *directory) {
				id := d.create(whole)
				wantKind(d.T, d.disable(id), provisioning.Unavailable, "waits")
				if err := c.say(d, id); err != nil {
					d.Fatal(err)
				}
				if open := d.matters(provisioning.MatterQuery{Status: provisioning.MatterOpen}); len(open) != c.open {
					d.Errorf("open: %+v", open)
				}
			})
		})
	}
}

// TestMattersOfAFormerOwner: an import that gives an account to another owner ends what the former one's client asked for.
func TestMattersOfAFormerOwner(t *testing.T) {
	t.Parallel()
	for name, state := range map[string]provisioning.State{"the owner alone": "", "its state, too": provisioning.Active, "and held": provisioning.Held} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachDirectory(t, func(s *provisioning.Settings) { s.Deletion.Users.Deactivated = provisioning.HoldPolicy }, func(d *directory) {
				id := d.create(named("ann"))
				if err := d.disable(id); err != nil {
					d.Fatal(err)
				}
				d.onlyMatter(provisioning.MatterHeld)
				if _, err := d.CreateConnection(d.Context(), d.admin(), "hr"); err != nil {
					d.Fatal(err)
				}
				o := d.client("hr")
				keep := func(before scim.Attributes) (scim.Attributes, error) { return before, nil }
				w := provisioning.Wanted{Type: scim.User, ID: id, Assert: keep, State: state}
				if _, err := d.Apply(d.Context(), o, d.Intent(o, w)); err != nil {
					d.Fatal(err)
				}
				if open := d.matters(provisioning.MatterQuery{Status: provisioning.MatterOpen, Connection: d.client("default").Connection.ID}); len(open) > 0 {
					d.Errorf("still open: %+v", open)
				}
			})
		})
	}
}
