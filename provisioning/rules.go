package provisioning

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"meibo/provisioning/mapping"
	"meibo/scim"
)

// Rules are a connection's settings, compiled: what decide goes by. They never change.
type Rules struct {
	Version  int64 // of the settings
	Settings Settings

	scope   map[scim.ResourceType]scope
	mapping map[scim.ResourceType]*mapping.Table // nil where everything is as asserted
	guarded map[string]bool                      // roles
	safe    map[scim.ResourceType]map[string]bool
	domains map[string]bool // verified
	stable  *scim.Path      // of the stable key; nil for externalId, or none
}

// NewRules compiles settings. Its error names what does not compile.
func NewRules(version int64, s Settings) (*Rules, error) {
	r := &Rules{Version: version, Settings: s, scope: map[scim.ResourceType]scope{}, mapping: map[scim.ResourceType]*mapping.Table{},
		guarded: map[string]bool{RoleAdmin: true}, domains: folded(s.Matching.VerifiedDomains),
		safe: map[scim.ResourceType]map[string]bool{scim.User: folded(s.Guard.Users), scim.Group: folded(s.Guard.Groups)}}
	if key := s.Matching.StableKey; key != "" && key != matchedByExternalID {
		path, err := scim.ParsePath(scim.Standard(scim.User), key)
		if err != nil {
			return nil, fmt.Errorf("stable key: %w", err)
		}
		r.stable = &path
	}
	for _, role := range s.Roles.Guarded {
		r.guarded[role] = true
	}
	for t, filter := range map[scim.ResourceType]ScopeFilter{scim.User: s.Scope.Users, scim.Group: s.Scope.Groups} {
		compiled, err := newScope(t, filter)
		if err != nil {
			return nil, err
		}
		r.scope[t] = compiled
	}
	for _, t := range []scim.ResourceType{scim.User, scim.Group} {
		if len(s.mappingRows(t)) == 0 {
			continue
		}
		table, err := s.compileMapping(t)
		if err != nil {
			return nil, fmt.Errorf("mapping of %ss: %w", strings.ToLower(string(t)), err)
		}
		r.mapping[t] = table
	}
	return r, nil
}

// defaultRules are those of a connection that nobody set anything for.
var defaultRules = func() *Rules {
	r, err := NewRules(0, DefaultSettings())
	if err != nil {
		panic(err) // they are ours
	}
	return r
}()

// keptRules is how many versions of a connection's settings are kept: what is stored was made by older ones, too.
const keptRules = 16

// known are the rules of one version of a connection's settings, if they are kept. Versions never change, so what was compiled
// stays good.
func (s *Service) known(connection, version int64) *Rules {
	kept, _ := s.compiled.Load(connection)
	list, _ := kept.([]*Rules)
	for _, r := range list {
		if r.Version == version {
			return r
		}
	}
	return nil
}

// keepRules keeps compiled rules, the latest versions of each connection. Of two at once one may be forgotten, and is
// compiled again.
func (s *Service) keepRules(connection int64, r *Rules) {
	kept, _ := s.compiled.Load(connection)
	list, _ := kept.([]*Rules)
	list = append(slices.Clone(list), r)
	slices.SortStableFunc(list, func(a, b *Rules) int { return cmp.Compare(b.Version, a.Version) })
	list = slices.CompactFunc(list, func(a, b *Rules) bool { return a.Version == b.Version })
	s.compiled.Store(connection, list[:min(len(list), keptRules)])
}

// rules are those in force when the connection was read. They are compiled once.
func (s *Service) rules(r Reader, c Connection) (*Rules, error) {
	if c.SettingsVersion == 0 && c.Settings == defaultRules.Settings.Protocol {
		return defaultRules, nil
	}
	if c.SettingsVersion > 0 {
		if r := s.known(c.ID, c.SettingsVersion); r != nil {
			return r, nil
		}
	}
	settings := DefaultSettings()
	settings.Protocol = c.Settings
	if c.SettingsVersion > 0 {
		v, err := r.Settings(c.ID, c.SettingsVersion)
		if err != nil {
			return nil, err
		}
		settings = v.Settings
	}
	rules, err := NewRules(c.SettingsVersion, settings)
	if err == nil && c.SettingsVersion > 0 {
		s.keepRules(c.ID, rules)
	}
	return rules, err
}

func folded(list []string) map[string]bool {
	out := make(map[string]bool, len(list))
	for _, s := range list {
		out[scim.FoldFull.Apply(s)] = true
	}
	return out
}

// protects reports whether no connection may suspend, remove, empty or purge a resource.
func (r *Rules) protects(x *Resource) bool {
	return x.Protected || r.guarded[x.Role] || r.names(x)
}

// names reports whether the list of protected resources has one.
func (r *Rules) names(x *Resource) bool {
	safe := r.safe[x.Type]
	return len(safe) > 0 && (safe[x.ID] || safe[x.Index.Name] || safe[x.Index.EffectiveName])
}

// policy is what a cause does to a resource of a type.
func (r *Rules) policy(t scim.ResourceType, cause string) DeletionPolicy {
	d := r.Settings.Deletion
	if t == scim.Group {
		return map[string]DeletionPolicy{CauseDeleted: d.Groups.Deleted, CauseScope: d.Groups.Scope}[cause]
	}
	return map[string]DeletionPolicy{CauseDeactivated: d.Users.Deactivated, CauseDeleted: d.Users.Deleted, CauseScope: d.Users.Scope}[cause]
}

// cause is why what is asserted is not to be effective: CauseDeactivated, CauseScope, or "" where it is to be.
func (r *Rules) cause(t scim.ResourceType, a scim.Attributes, groups []Reference) string {
	switch {
	case t == scim.User && !isActive(a):
		return CauseDeactivated
	case !r.scope[t].includes(a, groups):
		return CauseScope
	default:
		return ""
	}
}

// mapsNothing reports whether the effective attributes of a new resource are the asserted ones.
func (r *Rules) mapsNothing(t scim.ResourceType) bool {
	u := r.Settings.Mapping.UserName
	return r.mapping[t] == nil && (t != scim.User || u.Mode != LocalUserName && !u.Frozen)
}

// readsGroups reports whether a user's groups have a say in what becomes of the user.
func (r *Rules) readsGroups() bool {
	return len(r.Settings.Scope.Users.Groups) > 0 || len(r.Settings.Roles.Groups) > 0
}

// regroups reports whether a change gives or takes a group the name by which the rules know it, or shows or hides it: then
// the say of all its members changes, though none joins or leaves.
func (r *Rules) regroups(c *Change) bool {
	if c.Before == nil || c.After.Type != scim.Group ||
		c.Before.Visible == c.After.Visible && c.Before.Connection == c.After.Connection && c.Before.Index.Display == c.After.Index.Display {
		return false
	}
	known := func(when string) bool {
		name := scim.FoldFull.Apply(when)
		return when == c.After.ID || name == scim.FoldFull.Apply(c.Before.Index.Display) || name == scim.FoldFull.Apply(c.After.Index.Display)
	}
	return slices.ContainsFunc(r.Settings.Scope.Users.Groups, known) ||
		slices.ContainsFunc(r.Settings.Roles.Groups, func(m RoleMapping) bool { return known(m.When) })
}

// scope is a compiled ScopeFilter; the zero value includes everything.
type scope struct {
	filter          scim.Filter
	domains, groups map[string]bool
}

func newScope(t scim.ResourceType, f ScopeFilter) (s scope, err error) {
	s.domains, s.groups = folded(f.Domains), folded(f.Groups)
	if f.Filter != "" {
		if s.filter, err = scim.ParseFilter(scim.Standard(t), f.Filter); err != nil {
			return s, fmt.Errorf("scope of %ss: %w", strings.ToLower(string(t)), err)
		}
	}
	return s, nil
}

func (s scope) includes(a scim.Attributes, groups []Reference) bool {
	if s.filter != nil && !scim.Match(s.filter, a) {
		return false
	}
	if len(s.domains) > 0 && !s.domains[domainOf(nameOf(scim.User, a))] {
		return false
	}
	return len(s.groups) == 0 || slices.ContainsFunc(groups, func(g Reference) bool {
		return s.groups[g.ID] || s.groups[scim.FoldFull.Apply(g.Display)]
	})
}

// domainOf is the folded domain of a name or address, "" for none.
func domainOf(name string) string {
	_, domain, _ := strings.Cut(scim.FoldFull.Apply(name), "@")
	return domain
}

// unmappedDetail begins the detail of what a mapping row refuses.
const unmappedDetail = "the attribute mapping gives no value"

// unmappable refuses what a mapping row has no effective value for. Its detail names rows, never values.
func unmappable(err error) error {
	return &Error{Kind: Invalid, Type: string(scim.InvalidValue), Detail: unmappedDetail + ": " + err.Error(), Err: err}
}

var guid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// externalKey is the stable key that is an externalId in the form of a GUID, as Entra sends with objectId mapped to
// it; "" where there is none. A mail nickname is no key.
func (r *Rules) externalKey(a scim.Attributes) string {
	external, _ := a["externalId"].(string)
	if r.Settings.Matching.StableKey != matchedByExternalID || !guid.MatchString(external) {
		return ""
	}
	return external
}

// namedKey is the stable key where the settings name another attribute, in any form; "" where there is none.
func (r *Rules) namedKey(a scim.Attributes) string {
	if r.stable == nil {
		return ""
	}
	var key string
	switch v := mapping.Value(a, *r.stable).(type) {
	case string:
		key = v
	case json.Number:
		key = v.String()
	}
	if len(key) > maxKeyBytes {
		return ""
	}
	return key
}

// keep notes the stable key of a user in the row: who is gone is found by it.
func (r *Rules) keep(x *Resource, a scim.Attributes) {
	if x.Type == scim.User && r.stable != nil {
		x.Index.Stable = r.namedKey(a)
	}
}
