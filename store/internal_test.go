package store

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"meibo/internal/testkit"
	"meibo/provisioning"
	"meibo/scim"
)

// databases are the two, with the URL of one each that has the schema, and of an empty one.
var databases = []struct {
	name       string
	url, empty func(testing.TB) string
}{
	{"SQLite", func(t testing.TB) string { return testkit.SQLiteCopy(t, migrateTest) },
		func(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "meibo.db") }},
	{"PostgreSQL", onPostgres, testkit.Postgres},
}

// onPostgres is the URL of a PostgreSQL that has the schema.
func onPostgres(t testing.TB) string {
	t.Helper()
	return testkit.PostgresCopy(t, migrateTest)
}

// migrateTest brings an empty database to the schema.
func migrateTest(url string) error {
	s, err := Open(context.Background(), Options{URL: url})
	if err != nil {
		return err
	}
	return errors.Join(s.Migrate(context.Background()), s.Close())
}

// openTest opens a store, and brings an empty database to the schema.
func openTest(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(context.Background(), o)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	must(t, s.Migrate(context.Background()))
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var epoch = time.Date(2026, 1, 31, 9, 30, 0, 0, time.UTC)

// tenantOf makes the tenant acme with one connection, and returns that.
func tenantOf(t testing.TB, s *Store) provisioning.Connection {
	t.Helper()
	c := provisioning.Connection{Name: "default", Kind: "scim", Settings: provisioning.DefaultConnectionSettings(), Created: epoch}
	must(t, s.Update(context.Background(), "acme", func(tx provisioning.Tx) error {
		return tx.Commit(provisioning.Batch{Admin: []provisioning.AdminChange{
			{CreateTenant: &provisioning.Tenant{Name: "acme", Created: epoch}}, {CreateConnection: &c}}})
	}))
	return c
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

// testUser is a user as a client would make it, with some 1,000 bytes of attributes.
func testUser(connection int64, name string) provisioning.Resource {
	r := provisioning.Resource{ID: newID(), Type: scim.User, Connection: connection, Visible: true, State: provisioning.Active, Version: 1,
		Created: epoch, Modified: epoch,
		Index: provisioning.Index{Name: name, EffectiveName: name, ExternalID: "ext-" + name, Display: "Display " + name,
			Emails: []provisioning.Email{{Value: name + "@example.com", Type: "work", Primary: true}}}}
	r.Asserted = scim.Standard(scim.User).Encode(scim.Attributes{
		"userName": name, "externalId": "ext-" + name, "displayName": "Display " + name, "active": true, "title": "Engineer",
		"name":         map[string]any{"givenName": "Given", "familyName": "Family", "formatted": "Given Family"},
		"emails":       []any{map[string]any{"value": name + "@example.com", "type": "work", "primary": true}},
		"phoneNumbers": []any{map[string]any{"value": "+81 3 1234 5678", "type": "work"}, map[string]any{"value": "+81 90 1234 5678", "type": "mobile"}},
		"addresses": []any{map[string]any{"type": "work", "streetAddress": "1-1-1 Marunouchi", "locality": "Chiyoda-ku", "region": "Tokyo",
			"postalCode": "100-0005", "country": "JP", "formatted": "1-1-1 Marunouchi, Chiyoda-ku, Tokyo 100-0005"}},
		scim.EnterpriseUserSchema: map[string]any{"employeeNumber": "12345", "department": "Research", "costCenter": "CC-1", "organization": "Example"},
	})
	return r
}

func testGroup(connection int64, name string) provisioning.Resource {
	return provisioning.Resource{ID: newID(), Type: scim.Group, Connection: connection, Visible: true, State: provisioning.Active, Version: 1,
		Created: epoch, Modified: epoch, Index: provisioning.Index{Name: name, Display: name},
		Asserted: scim.Standard(scim.Group).Encode(scim.Attributes{"displayName": name})}
}

func entryAbout(r *provisioning.Resource) provisioning.Entry {
	return provisioning.Entry{ID: newID(), At: epoch, Connection: r.Connection, ConnectionName: "default", Actor: "token", Correlation: newID(),
		Request: &provisioning.RequestInfo{Method: "PATCH", Path: "/t/acme/scim/v2/Users/" + r.ID, Status: 200, Duration: time.Millisecond},
		Action:  provisioning.ActionUpdate, Outcome: provisioning.Success, ResourceID: r.ID, ResourceType: r.Type,
		ResourceName: r.Index.Name, Version: r.Version, MatchedBy: "id",
		Diff:   []provisioning.AttributeChange{{Path: "title", Old: "Engineer", New: "Manager"}},
		Reason: provisioning.Reason{Code: "requested"}}
}

func commitOne(c provisioning.Change) func(provisioning.Tx) error {
	return func(tx provisioning.Tx) error {
		return tx.Commit(provisioning.Batch{Changes: []provisioning.Change{c}, Entries: []provisioning.Entry{entryAbout(&c.After)}})
	}
}
