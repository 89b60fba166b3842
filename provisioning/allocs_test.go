package provisioning

import (
	"context"
	"testing"
	"time"

	"meibo/scim"
)

// still is a store that answers with one resource and keeps nothing: what is left of a request is the
// core's own work.
type still struct {
	Tx // both for what is not asked
	Store
	resource Resource
	commits  int
}

func (s *still) View(_ context.Context, _ string, fn func(Reader) error) error { return fn(s) }
func (s *still) Update(_ context.Context, _ string, fn func(Tx) error) error   { return fn(s) }
func (s *still) Resource(ResourceQuery) (Resource, error)                      { return s.resource, nil }
func (s *still) Commit(Batch) error                                            { s.commits++; return nil }

// TestPatchAllocates holds how much a PATCH of one attribute allocates on the core's side: the operation's run on
// the decoded resource, the decision, and the encoded result with its entry. Decoding what is stored counts apart.
func TestPatchAllocates(t *testing.T) {
	def := scim.Standard(scim.User)
	document := def.Encode(scim.Attributes{"userName": "ada@example.com", "displayName": "Ada", "active": true, "title": "Engineer",
		"name":   map[string]any{"givenName": "Ada", "familyName": "Lovelace"},
		"emails": []any{map[string]any{"value": "ada@example.com", "type": "work", "primary": true}}})
	at := time.Date(2026, 1, 31, 9, 30, 0, 0, time.UTC)
	s := &still{resource: Resource{ID: "u", Type: scim.User, Connection: 1, Visible: true, State: Active, Version: 1, Created: at, Modified: at,
		Asserted: document, Index: Index{Name: "ada@example.com", EffectiveName: "ada@example.com", Display: "ada",
			Emails: []Email{{Value: "ada@example.com", Type: "work", Primary: true}}}}}
	service := New(Options{Store: s, Now: func() time.Time { return at }, NewID: func() string { return "e" }})
	origin := Origin{Tenant: "acme", Connection: Connection{ID: 1, Settings: DefaultConnectionSettings()}}
	ops := []scim.Operation{{Op: "replace", Path: "title", Value: "Countess"}}
	runs := 0
	all := testing.AllocsPerRun(200, func() {
		runs++
		if _, err := service.Patch(context.Background(), origin, scim.User, "u", ops, scim.PatchOptions{}, nil, References{}); err != nil {
			t.Fatal(err)
		}
	})
	if s.commits != runs {
		t.Fatalf("%d commits of %d", s.commits, runs)
	}
	decoding := testing.AllocsPerRun(200, func() {
		if _, err := def.Decode(document); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("%v allocations, %v of them to decode", all, decoding)
	if all-decoding > 40 {
		t.Errorf("%v allocations beyond decoding, want at most 40", all-decoding)
	}
}
