package provisioning

import (
	"encoding/json"
	"time"

	"meibo/scim"
)

// roleOf is the role of a user whose owner asserts a: the one that a person set, or that the settings give to
// an app role or group, or the one there is. A push makes nobody privileged and takes no privilege, unless
// the settings say so: that is withheld.
func (r *Rules) roleOf(m meant, x *Resource, a scim.Attributes, e *effect, now time.Time) (string, error) {
	overrides, err := overridesOf(x)
	if err != nil {
		return "", err
	}
	if role, set := overrides[overrideRole].(string); set {
		return roleKey(role), nil
	}
	was := ""
	if m.current != nil {
		was = m.current.Role
	}
	role, mapped := r.mappedRole(a, x.Groups)
	if kept, undone := overrides[prefixUndone+overrideRole].(string); undone && mapped {
		if roleKey(kept) != roleKey(role) {
			return roleKey(kept), nil
		}
		if err := x.dropOverrides(prefixUndone + overrideRole); err != nil {
			return "", err
		}
	}
	switch {
	case !mapped && m.current != nil:
		return was, nil
	case !mapped:
		role = r.Settings.Roles.Default
	}
	role = roleKey(role)
	if role == was || r.Settings.Roles.GrantGuarded || !r.guarded[role] && !r.guarded[was] {
		return role, nil
	}
	reason := Reason{Code: ReasonRoleKept, Args: map[string]string{"asked": orOrdinary(role), "role": orOrdinary(was)}}
	if e.warning.Code == "" {
		e.warning = reason
	}
	e.open(r.matter(x, MatterKept, CauseRole, reason, now))
	return was, nil
}

// roleKey is a role as it is kept: "" for the ordinary one.
func roleKey(role string) string {
	if role == RoleOrdinary {
		return ""
	}
	return role
}

// orOrdinary is a kept role by its name.
func orOrdinary(role string) string {
	if role == "" {
		return RoleOrdinary
	}
	return role
}

// RoleName is the user's role by its name.
func (x *Resource) RoleName() string { return orOrdinary(x.Role) }

// mapsRoles reports whether what the client sends has a say in roles.
func (r *Rules) mapsRoles() bool {
	return len(r.Settings.Roles.AppRoles)+len(r.Settings.Roles.Groups) > 0
}

// mappedRole is the role that the settings give, and whether they map roles at all.
func (r *Rules) mappedRole(a scim.Attributes, groups []Reference) (role string, mapped bool) {
	s := r.Settings.Roles
	if !r.mapsRoles() {
		return "", false
	}
	have := appRoles(a)
	for _, m := range s.AppRoles {
		if have[m.When] {
			return m.Role, true
		}
	}
	for _, m := range s.Groups {
		name := scim.FoldFull.Apply(m.When)
		for _, g := range groups {
			if g.ID == m.When || scim.FoldFull.Apply(g.Display) == name {
				return m.Role, true
			}
		}
	}
	return s.Default, true
}

// appRoles are the app roles that a client asserts, in each of the shapes that Entra's expressions
// give them: the value as it is, or JSON text of an assignment with its value and name.
func appRoles(a scim.Attributes) map[string]bool {
	out := map[string]bool{}
	list, _ := a["roles"].([]any)
	for _, element := range list {
		object, _ := element.(map[string]any)
		for _, name := range []string{"value", "display"} {
			text, _ := object[name].(string)
			if text == "" {
				continue
			}
			out[text] = true
			var assignment struct{ ID, Value, DisplayName string }
			if text[0] == '{' && json.Unmarshal([]byte(text), &assignment) == nil {
				out[assignment.ID], out[assignment.Value], out[assignment.DisplayName] = true, true, true
			}
		}
	}
	delete(out, "")
	return out
}
