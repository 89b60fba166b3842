package provisioning

import (
	"testing"

	"meibo/scim"
)

// wantAgain decides once more on what the entry of a change says of it, and wants the same.
func wantAgain(t *testing.T, from source, c *Change, r *Rules) {
	t.Helper()
	e := changeEntry(Origin{Connection: Connection{ID: own}, Actor: "ann"}, Intent{Action: ActionUpdate}, *c)
	e.At = now
	again := recorded{entry: &e, source: from, rules: r, after: &Past{Resource: c.After}}
	if c.Before != nil {
		again.before = &Past{Resource: *c.Before}
	}
	if err := again.wants(); err != nil {
		t.Fatal(err)
	}
	is, err := again.decide()
	if err != nil {
		t.Fatal(err)
	}
	e.SettingsVersion = is.SettingsVersion
	if parts := differing(&e, &is); len(parts) > 0 {
		t.Errorf("decided again: %v; %s %s for %v: %v, want %v", parts, is.Action, is.Outcome, is.Reason, is.Diff, e.Diff)
	}
}

// TestUndoneOwnershipAgain: an undo gives an account back to its earlier owner, and lays over it what the host application saw, of
// which the entry's differences say nothing where that was laid over it before.
func TestUndoneOwnershipAgain(t *testing.T) {
	t.Parallel()
	x := user("u", "ann", ofForeign, func(x *Resource, a scim.Attributes) {
		a["title"] = "guest"
		x.Overrides = []byte(`{"undone.title":"staff"}`)
		x.Effective = scim.Standard(scim.User).Encode(withAttribute(a, "title", "staff"))
	})
	f := addressed(x)
	act := &Act{Earlier: &Earlier{Entry: "e", Entries: 1, Attributes: map[string]any{"title": "staff"},
		Owner: &Ownership{Connection: own, Visible: true, Asserted: f.Asserted}}}
	decision, err := decide(f, Desired{Type: scim.User, Connection: own, Now: now, Act: act}, defaultRules)
	if err != nil {
		t.Fatal(err)
	}
	c := &decision.Changes[0]
	if len(c.Diff) != 1 || c.Diff[0].Path != PathOwner {
		t.Fatalf("differences %v", c.Diff)
	}
	wantAgain(t, sourceUndo, c, defaultRules)
}
