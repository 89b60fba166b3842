package provisioning_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"meibo/internal/testkit"
	"meibo/provisioning"
	"meibo/store/storetest"
)

// office is a tenant under administration.
type office struct {
	*provisioning.Service
	clock  *testkit.Clock
	origin provisioning.Origin
}

func newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{
		clock:  testkit.NewClock(time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)),
		origin: provisioning.Origin{Tenant: "acme", Actor: "command line", Correlation: "c0ffee"},
	}
	o.Service = provisioning.New(provisioning.Options{Store: storetest.Open(t), Now: o.clock.Now})
	if _, err := o.CreateTenant(t.Context(), o.origin); err != nil {
		t.Fatal(err)
	}
	return o
}

// newest are the last entries, newest first.
func (o *office) newest(t *testing.T, n int) []provisioning.Entry {
	t.Helper()
	var out []provisioning.Entry
	err := o.Entries(t.Context(), o.origin.Tenant, provisioning.EntryQuery{Limit: n}, func(e provisioning.Entry) error {
		out = append(out, e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func wantKind(t *testing.T, err error, kind provisioning.Kind, says string) {
	t.Helper()
	if err == nil || provisioning.KindOf(err) != kind || !strings.Contains(err.Error(), says) {
		t.Errorf("error %v (%v), want %v that says %q", err, provisioning.KindOf(err), kind, says)
	}
}

var ignoreID = cmpopts.IgnoreFields(provisioning.Entry{}, "ID")

// TestSettingsOfTwoEditors: each changes one setting, over and over; neither takes back the other's.
func TestSettingsOfTwoEditors(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s provisioning.Store) {
		ctx, o := t.Context(), provisioning.Origin{Tenant: "acme", Actor: "command line"}
		service := provisioning.New(provisioning.Options{Store: s})
		if _, err := service.CreateTenant(ctx, o); err != nil {
			t.Fatal(err)
		}
		var editors sync.WaitGroup
		edit := func(change func(*provisioning.ConnectionSettings, int)) {
			editors.Go(func() {
				for i := range 21 {
					_, err := service.SetConnection(ctx, o, provisioning.DefaultConnection, func(c *provisioning.ConnectionSettings) { change(c, i) })
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		edit(func(c *provisioning.ConnectionSettings, i int) {
			c.PatchResponse = []provisioning.PatchResponse{provisioning.PatchNone, provisioning.PatchResource}[i%2]
		})
		edit(func(c *provisioning.ConnectionSettings, i int) {
			c.UnknownMembers = []provisioning.UnknownMembers{provisioning.KeepUnknownMembers, provisioning.RefuseUnknownMembers}[i%2]
		})
		editors.Wait()
		want := provisioning.DefaultConnectionSettings()
		want.PatchResponse, want.UnknownMembers = provisioning.PatchNone, provisioning.KeepUnknownMembers
		c, err := service.Connection(ctx, o.Tenant, provisioning.DefaultConnection)
		if err != nil || c.Settings != want {
			t.Errorf("settings %+v (%v), want %+v", c.Settings, err, want)
		}
	})
}

// founded makes o's tenant and returns its first connection.
func founded(t *testing.T, s *provisioning.Service, o provisioning.Origin) provisioning.Connection {
	t.Helper()
	if _, err := s.CreateTenant(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	c, err := s.Connection(t.Context(), o.Tenant, provisioning.DefaultConnection)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCreateTenant(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	tenant, err := o.Tenant(t.Context(), "acme")
	if err != nil || !tenant.Created.Equal(o.clock.Now()) {
		t.Errorf("Tenant: %+v, %v", tenant, err)
	}
	connections, err := o.Connections(t.Context(), "acme")
	if err != nil || len(connections) != 1 || connections[0].Name != provisioning.DefaultConnection ||
		connections[0].Settings != provisioning.DefaultConnectionSettings() || connections[0].ID == 0 {
		t.Errorf("Connections: %+v, %v", connections, err)
	}
	common := provisioning.Entry{At: o.clock.Now(), Actor: "command line", Correlation: "c0ffee",
		Action: provisioning.ActionOther, Outcome: provisioning.Success}
	made, joined := common, common
	made.Reason = provisioning.Reason{Code: provisioning.ReasonTenantCreated, Args: map[string]string{"tenant": "acme"}}
	joined.Reason = provisioning.Reason{Code: provisioning.ReasonConnectionCreated, Args: map[string]string{"connection": "default"}}
	joined.Diff = []provisioning.AttributeChange{{Path: "protocol.patchResponse", New: "default"},
		{Path: "protocol.unknownMembers", New: "refuse"}, {Path: "protocol.uniqueGroupNames", New: true}}
	if diff := cmp.Diff([]provisioning.Entry{joined, made}, o.newest(t, 0), ignoreID, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func TestNamesAreSlugs(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for name, ok := range map[string]bool{
		"a": true, "a-b-3": true, strings.Repeat("x", 40): true,
		"": false, "Acme": false, "a_b": false, "a b": false, "a/b": false, "ä": false, "a\n": false, strings.Repeat("x", 41): false,
	} {
		_, err := o.CreateConnection(t.Context(), o.origin, name)
		_, err2 := o.CreateTenant(t.Context(), provisioning.Origin{Tenant: name})
		for _, err := range []error{err, err2} {
			if ok && err != nil {
				t.Errorf("%q: %v", name, err)
			}
			if !ok {
				wantKind(t, err, provisioning.Invalid, "1 to 40 small letters")
			}
		}
	}
}

func TestNamesAreTakenOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	before := len(o.newest(t, 0))
	_, err := o.CreateTenant(t.Context(), o.origin)
	wantKind(t, err, provisioning.Conflict, `tenant "acme" exists already`)
	_, err = o.CreateConnection(t.Context(), o.origin, provisioning.DefaultConnection)
	wantKind(t, err, provisioning.Conflict, `connection "default" exists already`)
	if n := len(o.newest(t, 0)); n != before {
		t.Errorf("%d entries of what was not done", n-before)
	}
	// Another tenant may use the same name for a connection.
	if _, err := o.CreateTenant(t.Context(), provisioning.Origin{Tenant: "other"}); err != nil {
		t.Error(err)
	}
}

func TestNothingIsMadeInNoTenant(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	nobody := provisioning.Origin{Tenant: "nobody"}
	ctx := t.Context()
	for name, call := range map[string]func() error{
		"tenant":            func() error { _, err := o.Tenant(ctx, "nobody"); return err },
		"connections":       func() error { _, err := o.Connections(ctx, "nobody"); return err },
		"create connection": func() error { _, err := o.CreateConnection(ctx, nobody, "x"); return err },
		"set connection": func() error {
			_, err := o.SetConnection(ctx, nobody, "default", func(*provisioning.ConnectionSettings) {})
			return err
		},
		"create credential": func() error {
			_, err := o.CreateCredential(ctx, nobody, "", provisioning.NewCredential{Hash: []byte{1}})
			return err
		},
		"credentials":       func() error { _, err := o.Credentials(ctx, "nobody", ""); return err },
		"revoke credential": func() error { _, err := o.RevokeCredential(ctx, nobody, "x"); return err },
		"entries": func() error {
			return o.Entries(ctx, "nobody", provisioning.EntryQuery{}, func(provisioning.Entry) error { return nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantKind(t, call(), provisioning.NotFound, `tenant "nobody" does not exist`)
		})
	}
}

func TestSetConnection(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	after, err := o.SetConnection(t.Context(), o.origin, "default", func(s *provisioning.ConnectionSettings) {
		s.PatchResponse, s.UniqueGroupNames = provisioning.PatchNone, false
	})
	want := provisioning.ConnectionSettings{PatchResponse: provisioning.PatchNone, UnknownMembers: provisioning.RefuseUnknownMembers}
	if err != nil || after.Settings != want {
		t.Errorf("SetConnection: %+v, %v", after.Settings, err)
	}
	stored, err := o.Connection(t.Context(), "acme", "")
	if err != nil || stored.Settings != want {
		t.Errorf("stored: %+v, %v", stored.Settings, err)
	}
	entry := o.newest(t, 1)[0]
	if diff := cmp.Diff([]provisioning.AttributeChange{{Path: "protocol.patchResponse", Old: "default", New: "none"},
		{Path: "protocol.uniqueGroupNames", Old: true, New: false}}, entry.Diff); diff != "" {
		t.Errorf("differences (-want +got):\n%s", diff)
	}
	if entry.Connection != stored.ID || entry.ConnectionName != "default" || entry.Reason.Code != provisioning.ReasonConnectionSet {
		t.Errorf("entry %+v", entry)
	}
}

func TestSetConnectionToWhatItIs(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	if _, err := o.SetConnection(t.Context(), o.origin, "default", func(*provisioning.ConnectionSettings) {}); err != nil {
		t.Fatal(err)
	}
	if e := o.newest(t, 1)[0]; e.Outcome != provisioning.Skipped || e.Reason.Code != provisioning.ReasonUnchanged || len(e.Diff) != 0 {
		t.Errorf("entry %+v", e)
	}
}

func TestSetConnectionRefusesOtherChoices(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	_, err := o.SetConnection(t.Context(), o.origin, "default", func(s *provisioning.ConnectionSettings) { s.PatchResponse = "maybe" })
	wantKind(t, err, provisioning.Invalid, `patchResponse cannot be "maybe"; choose one of ["default" "resource" "none"]`)
	_, err = o.SetConnection(t.Context(), o.origin, "default", func(s *provisioning.ConnectionSettings) { s.UnknownMembers = "" })
	wantKind(t, err, provisioning.Invalid, `unknownMembers cannot be ""`)
	_, err = o.SetConnection(t.Context(), o.origin, "hr", func(*provisioning.ConnectionSettings) {})
	wantKind(t, err, provisioning.NotFound, `connection "hr" does not exist in tenant "acme"; it has: default`)
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	ctx := t.Context()
	made, err := o.CreateCredential(ctx, o.origin, "", provisioning.NewCredential{Hash: []byte("hash"), Hint: "7f3c", Expires: o.clock.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if e := o.newest(t, 1)[0]; e.Reason.Code != provisioning.ReasonCredentialCreated || e.Reason.Args["credential"] != made.ID ||
		e.Reason.Args["hint"] != "7f3c" || e.ConnectionName != "default" ||
		!cmp.Equal(e.Diff, []provisioning.AttributeChange{{Path: "expires", New: "2026-11-22T10:00:00Z"}}) {
		t.Errorf("entry of the creation: %+v", e)
	}
	all, err := o.Credentials(ctx, "acme", "default")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]provisioning.Credential{made}, all); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}

	at := o.clock.Advance(time.Minute)
	revoked, err := o.RevokeCredential(ctx, o.origin, made.ID)
	if err != nil || !revoked.Revoked.Equal(at) {
		t.Errorf("RevokeCredential: %+v, %v", revoked, err)
	}
	if e := o.newest(t, 1)[0]; e.Reason.Code != provisioning.ReasonCredentialRevoked || e.Outcome != provisioning.Success {
		t.Errorf("entry of the revocation: %+v", e)
	}
	o.clock.Advance(time.Minute)
	again, err := o.RevokeCredential(ctx, o.origin, made.ID)
	if err != nil || !again.Revoked.Equal(at) {
		t.Errorf("revoked again: %+v, %v; want the first time kept", again, err)
	}
	if e := o.newest(t, 1)[0]; e.Outcome != provisioning.Skipped {
		t.Errorf("entry of the second revocation: %+v", e)
	}
	_, err = o.RevokeCredential(ctx, o.origin, "0198c0de-0000-7000-8000-000000000000")
	wantKind(t, err, provisioning.NotFound, "has no token with the id")
}

func TestCredentialNeedsAConnection(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	if _, err := o.CreateConnection(t.Context(), o.origin, "hr"); err != nil {
		t.Fatal(err)
	}
	_, err := o.CreateCredential(t.Context(), o.origin, "", provisioning.NewCredential{Hash: []byte("a")})
	wantKind(t, err, provisioning.Invalid, `several connections; name one of: default, hr`)
	_, err = o.CreateCredential(t.Context(), o.origin, "it", provisioning.NewCredential{Hash: []byte("a")})
	wantKind(t, err, provisioning.NotFound, `it has: default, hr`)
	_, err = o.CreateCredential(t.Context(), o.origin, "hr", provisioning.NewCredential{Hash: []byte("a"), Expires: o.clock.Now()})
	wantKind(t, err, provisioning.Invalid, "passed already")
	if all, err := o.Credentials(t.Context(), "acme", "hr"); err != nil || len(all) != 0 {
		t.Errorf("left behind: %v, %v", all, err)
	}
}

// A token of one tenant cannot be ended from another.
func TestRevokeStaysInItsTenant(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	other := provisioning.Origin{Tenant: "other"}
	if _, err := o.CreateTenant(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	made, err := o.CreateCredential(t.Context(), o.origin, "", provisioning.NewCredential{Hash: []byte("a")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = o.RevokeCredential(t.Context(), other, made.ID)
	wantKind(t, err, provisioning.NotFound, "has no token")
}
