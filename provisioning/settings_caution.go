package provisioning

import (
	"fmt"
	"slices"
	"strings"
)

// Cautions are what a person should have read before settings are put in force: choices that cannot be taken back or
// give up a guard, and those that do less than they seem to. Each is a sentence with its keys.
func (s Settings) Cautions() []string {
	var out []string
	d := s.Deletion
	deletes := slices.Contains([]DeletionPolicy{d.Users.Deactivated, d.Users.Deleted, d.Users.Scope, d.Groups.Deleted, d.Groups.Scope, d.Ageing.Do}, DeletePolicy)
	if deletes && d.Grace == 0 && d.Purge == PurgeAuto {
		out = append(out, "whoever is deleted is purged at once and cannot be brought back (deletion.grace, deletion.purge)")
	}
	if s.Tolerance.Mode == ToleranceOff {
		out = append(out, "any number may leave at once (tolerance.mode)")
	}
	if s.Roles.GrantGuarded {
		out = append(out, "a push may make somebody privileged, whom no connection removes then (roles.grantGuarded)")
	}
	if keys := s.emptyGrants(); len(keys) > 0 {
		out = append(out, fmt.Sprintf("nobody gets a guarded role by %s as long as no push may give one (roles.grantGuarded): it waits for a person", strings.Join(keys, ", ")))
	}
	if s.Matching.Adoption == AdoptionAdopt && len(s.Matching.VerifiedDomains) == 0 {
		out = append(out, "nobody is adopted without a person as long as no domain is named (matching.verifiedDomains)")
	}
	return out
}

// emptyGrants are the keys that give guarded roles where no push may.
func (s Settings) emptyGrants() (keys []string) {
	guarded := func(role string) bool { return role == RoleAdmin || slices.Contains(s.Roles.Guarded, role) }
	maps := func(all []RoleMapping) bool {
		return slices.ContainsFunc(all, func(m RoleMapping) bool { return guarded(m.Role) })
	}
	for _, k := range []struct {
		key   string
		gives bool
	}{{"roles.default", guarded(s.Roles.Default)}, {"roles.appRoles", maps(s.Roles.AppRoles)}, {"roles.groups", maps(s.Roles.Groups)}} {
		if k.gives && !s.Roles.GrantGuarded {
			keys = append(keys, k.key)
		}
	}
	return keys
}
