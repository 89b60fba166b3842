package provisioning

import (
	"fmt"
	"testing"

	"meibo/scim"
)

const assignment = `{"id":"8f0c2a6e-0000-4000-8000-000000000025","value":"25","displayName":"Role1234"}`

// TestAppRoleShapes: a role is mapped from every shape in which clients send app roles.
func TestAppRoleShapes(t *testing.T) {
	t.Parallel()
	body := func(roles ...any) func(*testing.T) scim.Attributes {
		return func(t *testing.T) scim.Attributes {
			a, err := scim.Standard(scim.User).Validate(map[string]any{"schemas": []any{scim.UserSchema}, "userName": "ann", "roles": roles})
			if err != nil {
				t.Fatal(err)
			}
			return a
		}
	}
	patch := func(before scim.Attributes, op, path string, value any) func(*testing.T) scim.Attributes {
		return func(t *testing.T) scim.Attributes {
			out, err := scim.Standard(scim.User).Patch(before, []scim.Operation{{Op: op, Path: path, Value: value}}, scim.PatchOptions{CreateElements: true})
			if err != nil {
				t.Fatal(err)
			}
			return out.Attributes
		}
	}
	nobody := scim.Attributes{"userName": "ann"}
	object := func(pairs ...any) map[string]any {
		o := map[string]any{}
		for i := 0; i < len(pairs); i += 2 {
			o[pairs[i].(string)] = pairs[i+1]
		}
		return o
	}
	clerk := scim.Attributes{"userName": "ann", "roles": []any{object("value", "Clerk", "primary", true)}}
	for name, tt := range map[string]struct {
		asserted func(*testing.T) scim.Attributes
		role     string
	}{
		"none":                         {body(), "guest"},
		"single, POST":                 {body(object("primary", true, "type", "WindowsAzureActiveDirectoryRole", "value", "Clerk")), "clerk"},
		"single, PATCH with JSON text": {patch(nobody, "add", "roles", []any{object("value", assignment)}), "porter"},
		"single, PATCH of the primary": {patch(nobody, "replace", `roles[primary eq "True"].value`, "Clerk"), "clerk"},
		"single, PATCH of another one": {patch(clerk, "replace", `roles[primary eq "True"].value`, "25"), "porter"},
		"single, by display":           {body(object("primary", true, "display", "Clerk")), "clerk"},
		"complex, POST":                {body(object("primary", false, "value", "x", "display", "Nobody"), object("primary", false, "value", "25", "display", "Role1234")), "porter"},
		"complex, by display":          {body(object("primary", false, "type", "t", "value", "x", "display", "Clerk")), "clerk"},
		"complex, PATCH with JSON":     {patch(clerk, "add", "roles", []any{object("value", assignment)}), "clerk"},
		"complex, JSON in display":     {body(object("display", assignment)), "porter"},
		"assertive, PATCH":             {patch(clerk, "replace", "roles", []any{object("primary", false, "type", "t", "display", "Role", "value", "25")}), "porter"},
		"assertive, none left":         {patch(clerk, "replace", "roles", []any{}), "guest"},
		"removed":                      {patch(clerk, "remove", "roles", nil), "guest"},
		"first row that holds":         {body(object("value", "25"), object("value", "Clerk")), "clerk"},
		"id of the assignment":         {body(object("value", `{"id":"by-id","value":"x","displayName":"y"}`)), "porter"},
		"text that looks like JSON":    {body(object("value", `{"Clerk"`)), "guest"},
		"JSON of something else":       {body(object("value", `{"value":["Clerk"]}`)), "guest"},
		"another case":                 {body(object("value", "CLERK")), "guest"},
		"unnamed":                      {body(object("type", "t", "primary", true)), "guest"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := DefaultSettings()
			s.Roles = RoleSettings{Default: "guest", Names: []string{"guest", "clerk", "porter"}, AppRoles: []RoleMapping{
				{When: "Clerk", Role: "clerk"}, {When: "25", Role: "porter"}, {When: "Role1234", Role: "porter"}, {When: "by-id", Role: "porter"}}}
			r, err := NewRules(1, s)
			if err != nil {
				t.Fatal(err)
			}
			decision, err := decide(Facts{}, Desired{ID: "new", Type: scim.User, Connection: own, Now: now, Asserted: tt.asserted(t)}, r)
			if err != nil {
				t.Fatal(err)
			}
			if got := decision.Changes[0].After.Role; got != tt.role {
				t.Errorf("role %q of %v, want %q", got, decision.Changes[0].Diff, tt.role)
			}
		})
	}
}

// TestRolesOfPushes: a push gives and takes the roles that the settings map, but none of the guarded ones without leave.
func TestRolesOfPushes(t *testing.T) {
	t.Parallel()
	const withheld = " withheld"
	for _, tt := range []struct {
		have, asks string // asks: what the client's app role is mapped to; "" for none
		chosen     bool   // a person chose the present role
		grant      bool
		want       string
	}{
		{"", "clerk", false, false, "clerk"},
		{"clerk", "", false, false, ""},
		{"clerk", "porter", false, false, "porter"},
		{"clerk", "porter", true, false, "clerk"},
		{"", "admin", false, false, "" + withheld},
		{"clerk", "admin", false, false, "clerk" + withheld},
		{"", "auditor", false, false, "" + withheld},
		{"", "admin", false, true, "admin"},
		{"admin", "", false, false, "admin" + withheld},
		{"admin", "clerk", false, false, "admin" + withheld},
		{"admin", "auditor", false, false, "admin" + withheld},
		{"admin", "admin", false, false, "admin"},
		{"admin", "", false, true, ""},
		{"admin", "", true, true, "admin"},
		{"auditor", "", false, false, "auditor" + withheld},
	} {
		for _, isNew := range []bool{false, true} {
			if isNew && (tt.have != "" || tt.chosen) {
				continue
			}
			t.Run(fmt.Sprintf("%+v new %v", tt, isNew), func(t *testing.T) {
				t.Parallel()
				s := DefaultSettings()
				s.Roles = RoleSettings{Default: RoleOrdinary, Names: []string{"clerk", "porter", "auditor"}, Guarded: []string{"auditor"}, GrantGuarded: tt.grant}
				for _, role := range []string{"clerk", "porter", "auditor", "admin"} {
					s.Roles.AppRoles = append(s.Roles.AppRoles, RoleMapping{When: role, Role: role})
				}
				r, err := NewRules(1, s)
				if err != nil {
					t.Fatal(err)
				}
				d := Desired{ID: "new", Type: scim.User, Connection: own, Now: now, Asserted: scim.Attributes{"userName": "ann", "title": "x"}}
				if tt.asks != "" {
					d.Asserted["roles"] = []any{map[string]any{"value": tt.asks}}
				}
				var f Facts
				if !isNew {
					x := user("u", "ann")
					x.Role = tt.have
					if tt.chosen {
						x.Overrides = []byte(`{"role":"` + tt.have + `"}`)
					}
					f = addressed(x)
				}
				decision, err := decide(f, d, r)
				if err != nil {
					t.Fatal(err)
				}
				c := decision.Changes[0]
				got := c.After.Role
				if c.Warning.Code == ReasonRoleKept {
					got += withheld
					if m := decision.Matters; len(m) != 1 || m[0].Open == nil || m[0].Open.Cause != CauseRole || m[0].Open.Resource != c.After.ID {
						t.Errorf("withheld without a matter: %+v", m)
					}
					if asked := c.Warning.Args["asked"]; asked != orOrdinary(tt.asks) {
						t.Errorf("the reason says that %q was asked for", asked)
					}
				} else if len(decision.Matters) > 0 {
					t.Errorf("matters %+v", decision.Matters)
				}
				if got != tt.want {
					t.Errorf("role %q, want %q", got, tt.want)
				}
			})
		}
	}
}

// TestRolesOfGroups: a group gives a role by its id or its name, whatever its case.
func TestRolesOfGroups(t *testing.T) {
	t.Parallel()
	s := DefaultSettings()
	s.Roles.Names = []string{"clerk", "porter"}
	s.Roles.Groups = []RoleMapping{{When: "Sales", Role: "clerk"}, {When: "g-2", Role: "porter"}}
	r, err := NewRules(1, s)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		groups []Reference
		want   string
	}{
		{nil, ""},
		{[]Reference{{ID: "g-1", Display: "SALES"}}, "clerk"},
		{[]Reference{{ID: "g-2", Display: "x"}}, "porter"},
		{[]Reference{{ID: "g-2", Display: "x"}, {ID: "g-1", Display: "sales"}}, "clerk"},
		{[]Reference{{ID: "Sales", Display: "x"}}, "clerk"},
		{[]Reference{{ID: "g-3", Display: "g-2"}}, "porter"},
	} {
		x := user("u", "ann")
		x.Role, x.Groups = "clerk", tt.groups
		f := addressed(x)
		f.HasGroups = true
		decision, err := decide(f, Desired{Type: scim.User, Connection: own, Now: now, Asserted: f.Asserted, Anew: true}, r)
		if err != nil {
			t.Fatal(err)
		}
		if got := decision.Changes[0].After.Role; got != tt.want {
			t.Errorf("%v: role %q, want %q", tt.groups, got, tt.want)
		}
	}
	if _, err := decide(addressed(user("u", "ann")), Desired{Type: scim.User, Connection: own, Now: now, Asserted: scim.Attributes{"userName": "ann"}}, r); err == nil {
		t.Error("decide did not ask for the groups")
	}
}
