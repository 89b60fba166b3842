package provisioning

import (
	"testing"

	"meibo/scim"
)

// TestOverrideDoesNotUnprotect: who is protected by the name that the host application sees stays so when a person gives
// another one, or takes the one that protects back. Who says in the same breath that the protection ends is heard, and where
// the settings demand two, takes the second.
func TestOverrideDoesNotUnprotect(t *testing.T) {
	t.Parallel()
	s := DefaultSettings()
	s.Guard.Users = []string{"chief"}
	r, err := NewRules(1, s)
	if err != nil {
		t.Fatal(err)
	}
	chief := func() *Resource {
		x := user("u", "ann")
		x.Overrides = []byte(`{"userName":"chief"}`)
		x.setEffective(scim.Attributes{"userName": "chief"}, 1)
		return x
	}
	renamed := map[string]any{"userName": "somebody"}
	back := map[string]any{"userName": nil}
	no, yes := false, true
	for name, c := range map[string]struct {
		act       Act
		protected bool
		demand    string
	}{
		"another name":                  {Act{Overrides: renamed}, true, ""},
		"the asserted name":             {Act{Overrides: back}, true, ""},
		"an undo":                       {Act{Earlier: &Earlier{Overrides: back}}, true, ""},
		"another attribute":             {Act{Overrides: map[string]any{"title": "boss"}}, false, ""},
		"another name, and unprotected": {Act{Overrides: renamed, Protected: &no}, false, demandProtection},
		"another name, and protected":   {Act{Overrides: renamed, Protected: &yes}, true, ""},
		"an undo of the protection":     {Act{Earlier: &Earlier{Overrides: back, Protected: &no}}, false, demandProtection},
	} {
		for _, alone := range []bool{false, true} {
			decision, err := decide(addressed(chief()), Desired{Type: scim.User, Now: now, Act: &c.act, Alone: alone}, r)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			demand := c.demand
			if !alone {
				demand = ""
			}
			after := decision.Changes[0].After
			if after.Protected != c.protected || decision.Demand != demand {
				t.Errorf("%s, alone %t: protected %t, want %t; demand %q, want %q", name, alone, after.Protected, c.protected, decision.Demand, demand)
			}
			if (name == "another attribute") != (after.Index.EffectiveName == "chief") {
				t.Errorf("%s: effective name %q", name, after.Index.EffectiveName)
			}
		}
	}
}
