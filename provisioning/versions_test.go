package provisioning_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"meibo/provisioning"
	"meibo/scim"
	"meibo/store/storetest"
)

// preset is a draft of a preset, whatever is in force.
func preset(t *testing.T, p provisioning.Preset) provisioning.SettingsDraft {
	t.Helper()
	s, ok := p.Settings()
	if !ok {
		t.Fatalf("no preset %q", p)
	}
	return provisioning.SettingsDraft{Settings: s, Source: "preset: " + string(p) + "\n", Comment: "as agreed", Expect: provisioning.AnyVersion}
}

func TestSettingsStartAsTheDefault(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v, err := o.Settings(t.Context(), "acme", "")
	want := provisioning.SettingsVersion{Connection: v.Connection, At: o.clock.Now(), Settings: provisioning.DefaultSettings()}
	if diff := cmp.Diff(want, v); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	history, err := o.SettingsHistory(t.Context(), "acme", "default")
	if diff := cmp.Diff([]provisioning.SettingsVersion{want}, history); diff != "" || err != nil {
		t.Errorf("history %v (-want +got):\n%s", err, diff)
	}
}

// TestApplySettings: versions are kept as written, in force at once, and in the journal with each key that changed.
func TestApplySettings(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s provisioning.Store) {
		ctx, o := t.Context(), provisioning.Origin{Tenant: "acme", Actor: "command line"}
		service := provisioning.New(provisioning.Options{Store: s})
		if _, err := service.CreateTenant(ctx, o); err != nil {
			t.Fatal(err)
		}
		draft := preset(t, provisioning.PresetSuspendOrDelete)
		draft.Settings.Roles.Names = []string{"helpdesk"}
		draft.Settings.Mapping.Users = []provisioning.MappingRow{{Target: "title", Constant: "Engineer"}}
		made, isNew, err := service.ApplySettings(ctx, o, "", draft)
		if err != nil || !isNew {
			t.Fatalf("ApplySettings: new %v, %v", isNew, err)
		}
		want := provisioning.SettingsVersion{Connection: made.Connection, Version: 1, At: made.At, Actor: "command line", Comment: "as agreed",
			Settings: draft.Settings, Source: draft.Source}
		if diff := cmp.Diff(want, made); diff != "" {
			t.Errorf("made (-want +got):\n%s", diff)
		}
		inForce, err := service.Settings(ctx, "acme", "")
		if diff := cmp.Diff(want, inForce); diff != "" || err != nil {
			t.Errorf("in force %v (-want +got):\n%s", err, diff)
		}
		c, err := service.Connection(ctx, "acme", "")
		if err != nil || c.SettingsVersion != 1 {
			t.Errorf("the connection has version %d, %v", c.SettingsVersion, err)
		}
		entry := newestOf(t, service)
		if entry.Reason.Code != provisioning.ReasonSettingsApplied || entry.Reason.Args["version"] != "1" || entry.Outcome != provisioning.Success || entry.Connection != c.ID {
			t.Errorf("entry %+v", entry)
		}
		diff := provisioning.DefaultSettings().Diff(draft.Settings)
		if d := cmp.Diff(diff, entry.Diff, cmpopts.SortSlices(func(a, b provisioning.AttributeChange) bool { return a.Path < b.Path })); d != "" {
			t.Errorf("differences (-want +got):\n%s", d)
		}
		if !slices.ContainsFunc(diff, func(c provisioning.AttributeChange) bool {
			return c.Path == "deletion.users.deleted" && c.Old == "suspend" && c.New == "delete"
		}) {
			t.Errorf("no such difference: %v", diff)
		}
	})
}

func newestOf(t *testing.T, s *provisioning.Service) (e provisioning.Entry) {
	t.Helper()
	if err := s.Entries(t.Context(), "acme", provisioning.EntryQuery{Limit: 1}, func(one provisioning.Entry) error { e = one; return nil }); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestUnchangedSettingsMakeNoVersion(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for range 2 {
		if _, _, err := o.ApplySettings(t.Context(), o.origin, "", preset(t, provisioning.PresetGuarded)); err != nil {
			t.Fatal(err)
		}
	}
	again := preset(t, provisioning.PresetGuarded)
	again.Source = "# The same in other words.\npreset: guarded\n"
	v, isNew, err := o.ApplySettings(t.Context(), o.origin, "", again)
	if err != nil || isNew || v.Version != 1 || v.Source != "preset: guarded\n" {
		t.Errorf("version %d, new %v, source %q, %v", v.Version, isNew, v.Source, err)
	}
	if e := o.newest(t, 1)[0]; e.Outcome != provisioning.Skipped || e.Reason.Code != provisioning.ReasonUnchanged {
		t.Errorf("entry %+v", e)
	}
}

func TestApplySettingsOverANewerVersion(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	late := preset(t, provisioning.PresetMirror)
	late.Expect = 0
	if _, _, err := o.ApplySettings(t.Context(), o.origin, "", preset(t, provisioning.PresetGuarded)); err != nil {
		t.Fatal(err)
	}
	before := len(o.newest(t, 0))
	_, _, err := o.ApplySettings(t.Context(), o.origin, "", late)
	wantKind(t, err, provisioning.Conflict, "version 1 of the settings is in force, not 0")
	_, _, err = o.RollbackSettings(t.Context(), o.origin, "", 0, "", 7)
	wantKind(t, err, provisioning.Conflict, "version 1 of the settings is in force, not 7")
	if n := len(o.newest(t, 0)); n != before {
		t.Errorf("%d entries of what was not done", n-before)
	}
	late.Expect = 1
	if v, isNew, err := o.ApplySettings(t.Context(), o.origin, "", late); err != nil || !isNew || v.Version != 2 {
		t.Errorf("version %d, new %v, %v", v.Version, isNew, err)
	}
}

func TestApplySettingsRefusesProblems(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	draft := preset(t, provisioning.PresetDefault)
	draft.Settings.Tolerance.Users.Share = 101
	draft.Settings.Scope.Groups.Domains = []string{"example.com"}
	draft.Settings.Roles.Default = "boss"
	draft.Comment = strings.Repeat("x", 1025)
	_, _, err := o.ApplySettings(t.Context(), o.origin, "", draft)
	for _, says := range []string{"tolerance.users.share", "scope.groups.domains", "roles.default", "comment"} {
		wantKind(t, err, provisioning.Invalid, says)
	}
	_, _, err = o.ApplySettings(t.Context(), o.origin, "hr", preset(t, provisioning.PresetGuarded))
	wantKind(t, err, provisioning.NotFound, `connection "hr" does not exist`)
	_, err = o.SettingsVersion(t.Context(), "acme", "", 3)
	wantKind(t, err, provisioning.NotFound, `have no version 3`)
	_, _, err = o.RollbackSettings(t.Context(), o.origin, "", 3, "", provisioning.AnyVersion)
	wantKind(t, err, provisioning.NotFound, `have no version 3`)
}

// TestRollbackSettings: the earlier document is in force again, as a version of its own; the history keeps all.
func TestRollbackSettings(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for _, p := range []provisioning.Preset{provisioning.PresetGuarded, provisioning.PresetMirror} {
		if _, _, err := o.ApplySettings(t.Context(), o.origin, "", preset(t, p)); err != nil {
			t.Fatal(err)
		}
	}
	v, isNew, err := o.RollbackSettings(t.Context(), o.origin, "", 1, "", 2)
	if err != nil || !isNew || v.Version != 3 || v.Settings.Preset != provisioning.PresetGuarded || v.Source != "preset: guarded\n" || v.Comment != "back to version 1" {
		t.Errorf("%+v, new %v, %v", v, isNew, err)
	}
	if v, _, err = o.RollbackSettings(t.Context(), o.origin, "", 0, "start over", provisioning.AnyVersion); err != nil || v.Version != 4 {
		t.Errorf("version %d, %v", v.Version, err)
	}
	if diff := cmp.Diff(provisioning.DefaultSettings(), v.Settings); diff != "" {
		t.Errorf("version 0 again (-want +got):\n%s", diff)
	}
	history, err := o.SettingsHistory(t.Context(), "acme", "")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, h := range history {
		if h.Version != int64(len(history)-1-i) {
			t.Errorf("place %d has version %d", i, h.Version)
		}
		got = append(got, string(h.Settings.Preset)+"/"+h.Comment)
	}
	want := []string{"/start over", "guarded/back to version 1", "mirror/as agreed", "guarded/as agreed", "/"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	one, err := o.SettingsVersion(t.Context(), "acme", "", 2)
	if err != nil || one.Settings.Preset != provisioning.PresetMirror {
		t.Errorf("version 2: %+v, %v", one, err)
	}
}

// TestConnectionSetIsAVersion: there is one truth about how a client is answered, whoever says it.
func TestConnectionSetIsAVersion(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	if _, _, err := o.ApplySettings(t.Context(), o.origin, "", preset(t, provisioning.PresetGuarded)); err != nil {
		t.Fatal(err)
	}
	c, err := o.SetConnection(t.Context(), o.origin, "default", func(c *provisioning.ConnectionSettings) { c.PatchResponse = provisioning.PatchNone })
	if err != nil || c.SettingsVersion != 2 || c.Settings.PatchResponse != provisioning.PatchNone {
		t.Fatalf("%+v, %v", c, err)
	}
	v, err := o.Settings(t.Context(), "acme", "")
	if err != nil || v.Version != 2 || v.Settings.Preset != provisioning.PresetGuarded || v.Settings.Protocol.PatchResponse != provisioning.PatchNone || v.Source != "" {
		t.Errorf("%+v, %v", v, err)
	}
	draft := preset(t, provisioning.PresetGuarded)
	draft.Settings.Protocol.UnknownMembers = provisioning.KeepUnknownMembers
	if _, _, err := o.ApplySettings(t.Context(), o.origin, "", draft); err != nil {
		t.Fatal(err)
	}
	c, err = o.Connection(t.Context(), "acme", "")
	if err != nil || c.Settings != draft.Settings.Protocol {
		t.Errorf("the client is answered by %+v, %v; want %+v", c.Settings, err, draft.Settings.Protocol)
	}
}

// TestUniqueNamesThatAreNot: the whole version is refused, and says which setting it was.
func TestUniqueNamesThatAreNot(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	c, err := o.SetConnection(t.Context(), o.origin, "default", func(c *provisioning.ConnectionSettings) { c.UniqueGroupNames = false })
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err := o.Create(t.Context(), provisioning.Origin{Tenant: "acme", Connection: c, Actor: "token"}, scim.Group, provisioning.Body{Attributes: scim.Attributes{"displayName": "Staff"}})
		if err != nil {
			t.Fatal(err)
		}
	}
	_, _, err = o.ApplySettings(t.Context(), o.origin, "", preset(t, provisioning.PresetMirror))
	wantKind(t, err, provisioning.Conflict, "share a displayName")
	if e, ok := errors.AsType[*provisioning.Error](err); !ok || e.Attribute != "displayName" {
		t.Errorf("attribute of %v", err)
	}
	if v, err := o.Settings(t.Context(), "acme", ""); err != nil || v.Version != 1 {
		t.Errorf("version %d, %v", v.Version, err)
	}
}

// TestSettingsOfManyAdministrators: each expects the version that it read; every version has one maker, and none is lost.
func TestSettingsOfManyAdministrators(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s provisioning.Store) {
		ctx, o := t.Context(), provisioning.Origin{Tenant: "acme", Actor: "command line"}
		service := provisioning.New(provisioning.Options{Store: s})
		if _, err := service.CreateTenant(ctx, o); err != nil {
			t.Fatal(err)
		}
		const people, times = 4, 5
		var all sync.WaitGroup
		for range people {
			all.Go(func() {
				for done := 0; done < times; {
					v, err := service.Settings(ctx, "acme", "")
					if err != nil {
						t.Error(err)
						return
					}
					draft := provisioning.SettingsDraft{Settings: v.Settings, Expect: v.Version}
					draft.Settings.Tolerance.Users.Count++
					switch _, _, err := service.ApplySettings(ctx, o, "", draft); provisioning.KindOf(err) {
					case provisioning.Conflict:
					default:
						if done++; err != nil {
							t.Error(err)
							return
						}
					}
				}
			})
		}
		all.Wait()
		v, err := service.Settings(ctx, "acme", "")
		if want := provisioning.DefaultSettings().Tolerance.Users.Count + people*times; err != nil || v.Version != people*times || v.Settings.Tolerance.Users.Count != want {
			t.Errorf("version %d, count %d, %v; want %d and %d", v.Version, v.Settings.Tolerance.Users.Count, err, people*times, want)
		}
	})
}

// TestVersionZeroIsHowTheClientIsAnswered: a connection of before there were versions keeps its choices, and the first
// version departs from them.
func TestVersionZeroIsHowTheClientIsAnswered(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t)
	service, o := provisioning.New(provisioning.Options{Store: s}), provisioning.Origin{Tenant: "acme", Actor: "command line"}
	if _, err := service.CreateTenant(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	old := provisioning.Connection{Name: "old", Kind: "scim", Created: service.Now(),
		Settings: provisioning.ConnectionSettings{PatchResponse: provisioning.PatchNone, UnknownMembers: provisioning.KeepUnknownMembers}}
	err := s.Update(t.Context(), "acme", func(tx provisioning.Tx) error {
		return tx.Commit(provisioning.Batch{Admin: []provisioning.AdminChange{{CreateConnection: &old}}})
	})
	if err != nil {
		t.Fatal(err)
	}
	v, err := service.Settings(t.Context(), "acme", "old")
	if err != nil || v.Version != 0 || v.Settings.Protocol != old.Settings {
		t.Errorf("%+v, %v", v, err)
	}
	c, err := service.SetConnection(t.Context(), o, "old", func(c *provisioning.ConnectionSettings) { c.UniqueGroupNames = true })
	want := old.Settings
	want.UniqueGroupNames = true
	if err != nil || c.Settings != want || c.SettingsVersion != 1 {
		t.Errorf("%+v, %v; want %+v", c, err, want)
	}
}
