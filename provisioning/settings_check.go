package provisioning

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"meibo/provisioning/mapping"
	"meibo/scim"
)

// SettingsProblem is one thing that is wrong with settings.
type SettingsProblem struct {
	Key    string // the key at fault, as mapping.users[0].target
	Value  string // its value, as far as that helps; "" for none
	What   string // what is wrong, following key and value in a sentence
	Remedy string // what to do, as an imperative
}

// String is the problem on one line.
func (p SettingsProblem) String() string {
	if p.Value == "" {
		return fmt.Sprintf("%s %s; %s", shorten(p.Key), p.What, p.Remedy)
	}
	return fmt.Sprintf("%s %q %s; %s", shorten(p.Key), shorten(p.Value), p.What, p.Remedy)
}

// shorten keeps a value that should have been short from filling the screen.
func shorten(s string) string {
	const most = 80
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}

// Problems are all that is wrong with settings: values that are no choice or out of bounds, what cannot be
// read, and choices that contradict each other. Settings without problems can be put in force.
func (s Settings) Problems() []SettingsProblem {
	var c settingsCheck
	c.keys(s)
	c.matching(s)
	c.scope(s.Scope)
	c.mapping(s)
	c.ageing(s.Deletion.Ageing)
	c.roles(s.Roles)
	c.guard(s.Guard)
	c.impact(s.Matters.Impact)
	return c.problems
}

// settingsCheck collects problems.
type settingsCheck struct{ problems []SettingsProblem }

func (c *settingsCheck) refuse(key, value, what, remedy string) {
	c.problems = append(c.problems, SettingsProblem{Key: key, Value: value, What: what, Remedy: remedy})
}

// keys holds every value against what the table of keys says of it.
func (c *settingsCheck) keys(s Settings) {
	known := make(map[string]SettingsKey, len(settingsKeys))
	for _, k := range settingsKeys {
		known[k.Path] = k
	}
	for f := range s.fields() {
		k, ok := known[f.key]
		switch v := f.value; {
		case !ok && !v.IsZero():
			c.refuse(f.path, "", "is not a setting", "remove it")
		case v.Kind() == reflect.String && !storable(v.String()):
			c.refuse(f.path, "", "holds a NUL character or is no UTF-8", "remove what is no text")
		case !ok || k.Optional && v.IsZero():
		case k.Choices != nil && !slices.Contains(k.Choices, v.String()):
			c.refuse(f.path, v.String(), "is not a choice here"+elsewhere(f.key, v.String()), "choose one of "+strings.Join(k.Choices, ", "))
		case v.Kind() == reflect.Slice && int64(v.Len()) > k.Max:
			c.refuse(f.path, "", fmt.Sprintf("has %d elements", v.Len()), fmt.Sprintf("leave at most %d of them", k.Max))
		case v.CanInt():
			c.bounds(f, k)
		}
	}
}

// storable reports whether both databases keep a text.
func storable(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// elsewhere says why a policy that others may have is not one of these.
func elsewhere(key, value string) string {
	switch {
	case !strings.HasPrefix(key, "deletion."):
		return ""
	case value == string(SuspendPolicy) && strings.HasPrefix(key, "deletion.groups."):
		return ": nobody signs in as a group, so that it cannot be suspended"
	case value == string(RemoveMembersPolicy) && !strings.HasPrefix(key, "deletion.groups."):
		return ": only a group has members"
	default:
		return ""
	}
}

func (c *settingsCheck) bounds(f settingsField, k SettingsKey) {
	n, low, high := f.value.Int(), k.Min, k.Max
	show := func(n int64) string { return strconv.FormatInt(n, 10) }
	if _, period := f.value.Interface().(Period); period {
		show = func(n int64) string { return Period(n).String() }
		if high == 0 {
			high = int64(maxPeriod)
		}
	}
	if n < low || n > high {
		c.refuse(f.path, show(n), "is out of bounds", fmt.Sprintf("write something from %s to %s", show(low), show(high)))
	}
}

func (c *settingsCheck) matching(s Settings) {
	m := s.Matching
	if m.StableKey != "" {
		c.stableKey(m.StableKey)
	}
	c.twice("matching.attributes", m.Attributes)
	c.domains("matching.verifiedDomains", m.VerifiedDomains)
	// The preset is one word, which cannot hold a tenant's domains: as long as there are none, it asks.
	if m.Adoption == AdoptionAdopt && len(m.VerifiedDomains) == 0 && s.Preset != PresetMirror {
		c.refuse("matching.adoption", string(m.Adoption), "takes over nobody as long as no domain is verified",
			"name the domains in matching.verifiedDomains, or choose ask")
	}
}

// stableKey refuses what does not survive a rename or is no single value.
func (c *settingsCheck) stableKey(text string) {
	const key, remedy = "matching.stableKey", "write externalId, or an extension's attribute that holds an immutable id"
	path, err := scim.ParsePath(scim.Standard(scim.User), text)
	switch name := path.String(); {
	case err != nil:
		c.refuse(key, text, "is no attribute of users: "+faultText(err), remedy)
	case name == "userName", name == "nickName", name == "displayName", path.Attr != nil && path.Attr.Name == "name":
		c.refuse(key, text, "changes when somebody is renamed", remedy)
	case path.Attr == nil, path.Attr.MultiValued, path.Attr.Type == scim.Complex && path.Sub == nil:
		c.refuse(key, text, "is not a single value", remedy)
	case path.Attr.Mutability == scim.ReadOnly, path.Attr.Returned == scim.Never, path.Attr.Type == scim.Boolean:
		c.refuse(key, text, "tells nobody apart by what the client sends", remedy)
	}
}

// faultText is an error of scim in a sentence.
func faultText(err error) string {
	if fault, ok := errors.AsType[*scim.Error](err); ok {
		return fault.Message()
	}
	return err.Error()
}

func (c *settingsCheck) scope(s ScopeSettings) {
	c.filter("scope.users.filter", scim.User, s.Users.Filter)
	c.filter("scope.groups.filter", scim.Group, s.Groups.Filter)
	c.domains("scope.users.domains", s.Users.Domains)
	c.names("scope.users.groups", s.Users.Groups)
}

func (c *settingsCheck) filter(key string, t scim.ResourceType, text string) {
	if text == "" {
		return
	}
	filter, err := scim.ParseFilter(scim.Standard(t), text)
	if err != nil {
		c.refuse(key, text, "is no filter: "+faultText(err), `write a SCIM filter, such as department eq "Sales" and not (title co "Trainee")`)
		return
	}
	if name := unasserted(filter); name != "" {
		c.refuse(key, text, "asks for "+name+", by which scope is not decided: it would hold for nobody",
			"name attributes that the client sends; for the groups of users there is scope.users.groups")
	}
}

// unasserted is the first attribute of a filter that no asserted document has: what the server makes, and members, which are
// kept apart; "" for none.
func unasserted(f scim.Filter) string {
	var path scim.Path
	switch f := f.(type) {
	case *scim.Logical:
		for _, term := range f.Terms {
			if name := unasserted(term); name != "" {
				return name
			}
		}
		return ""
	case *scim.Not:
		return unasserted(f.Term)
	case *scim.Present:
		path = f.Path
	case *scim.ValuePath:
		path = f.Path
	case *scim.Compare:
		path = f.Path
	}
	if a := path.Attr; a.Mutability == scim.ReadOnly || a.Name == "members" {
		return a.Name
	}
	if path.Sub != nil && path.Sub.Mutability == scim.ReadOnly {
		return path.Attr.Name + "." + path.Sub.Name
	}
	return ""
}

// domainName is the name of a domain in its ASCII form.
var domainName = regexp.MustCompile(`^(?i:[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+(?i:[a-z]([a-z0-9-]{0,61}[a-z0-9])?)$`)

func (c *settingsCheck) domains(key string, list []string) {
	for i, d := range list {
		if len(d) > maxDomainLen || !domainName.MatchString(d) {
			c.refuse(elementKey(key, i), d, "is not a domain", "write its name alone in ASCII, such as example.com")
		}
	}
	c.twice(key, list)
}

// names checks what people call something by: ids, userNames, displayNames.
func (c *settingsCheck) names(key string, list []string) {
	for i, name := range list {
		if strings.TrimSpace(name) == "" {
			c.refuse(elementKey(key, i), "", "is empty", "write an id or a name, or remove the line")
		}
	}
	c.twice(key, list)
}

// twice refuses what a list has already under another case.
func (c *settingsCheck) twice(key string, list []string) {
	seen := map[string]int{}
	for i, name := range list {
		folded := scim.FoldFull.Apply(name)
		if first, again := seen[folded]; again {
			c.refuse(elementKey(key, i), name, "is there twice", "remove it; it equals "+elementKey(key, first))
			continue
		}
		seen[folded] = i
	}
}

func elementKey(key string, i int) string { return key + "[" + strconv.Itoa(i) + "]" }

func (c *settingsCheck) mapping(s Settings) {
	c.rows("mapping.users", scim.User, s)
	c.rows("mapping.groups", scim.Group, s)
	if s.Mapping.UserName.Mode != LocalUserName {
		return
	}
	for i, row := range s.Mapping.Users {
		if strings.EqualFold(row.Target, "userName") {
			c.refuse(elementKey("mapping.users", i)+".target", row.Target, "is assigned by mapping.userName.mode: local already",
				"remove the row, or choose the mode full")
		}
	}
}

func (c *settingsCheck) rows(list string, t scim.ResourceType, s Settings) {
	rows := s.mappingRows(t)
	for i, row := range rows {
		key := elementKey(list, i)
		c.constant(key+".constant", row.Constant)
		c.constant(key+".default", row.Default)
		if strings.EqualFold(row.Target, "externalId") {
			c.refuse(key+".target", row.Target, "is not assigned by mapping: it ties the account to the client", "remove the row")
		}
		if row.Unique && !strings.EqualFold(row.Target, "userName") {
			c.refuse(key+".unique", "", "is possible for userName alone", "remove it")
		}
	}
	_, err := s.compileMapping(t)
	problems, _ := errors.AsType[mapping.Problems](err)
	for _, p := range problems {
		row := rows[p.Row]
		value := map[string]string{"target": row.Target, "source": row.Source, "expression": row.Expression, "characters": row.Characters}[p.Key]
		c.refuse(elementKey(list, p.Row)+"."+p.Key, value, "is refused: "+p.Detail, p.Remedy)
	}
}

// constant refuses what a JSON document would not give back.
func (c *settingsCheck) constant(key string, v any) {
	var back any
	data, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(data, &back)
	}
	if err != nil || !reflect.DeepEqual(v, back) || bytes.Contains(data, []byte(`\u0000`)) {
		c.refuse(key, "", "is no value of JSON", "write a string, a number, true or false, or a list or mapping of these")
	}
}

func (c *settingsCheck) ageing(a AgeingSettings) {
	switch {
	case a.Do != "" && a.After == 0:
		c.refuse("deletion.ageing.do", string(a.Do), "has no time after which", "write deletion.ageing.after, such as 180d")
	case a.After != 0 && a.Do == "":
		c.refuse("deletion.ageing.after", a.After.String(), "says when, and nothing says what", "write deletion.ageing.do: delete or hold")
	}
}

func (c *settingsCheck) roles(r RoleSettings) {
	all := append([]string{RoleOrdinary, RoleAdmin}, r.Names...)
	first := map[string]int{} // place in all, by folded name
	for i, name := range all {
		key := elementKey("roles.names", i-2)
		was, again := first[scim.FoldFull.Apply(name)]
		switch {
		case !roleName(name):
			c.refuse(key, name, "cannot name a role", fmt.Sprintf("write 1 to %d visible characters", maxRoleName))
		case again && was < 2:
			c.refuse(key, name, "clashes with a role that every tenant has", "choose another name, or remove it")
		case again:
			c.refuse(key, name, "is there twice", "remove it; it equals "+elementKey("roles.names", was-2))
		default:
			first[scim.FoldFull.Apply(name)] = i
		}
	}
	named := func(key, role string) {
		if i, ok := first[scim.FoldFull.Apply(role)]; !ok || all[i] != role {
			c.refuse(key, role, "is not a role", "write it as in roles.names, or choose ordinary or admin")
		}
	}
	named("roles.default", r.Default)
	for i, role := range r.Guarded {
		named(elementKey("roles.guarded", i), role)
	}
	c.twice("roles.guarded", r.Guarded)
	if !r.GrantGuarded && (r.Default == RoleAdmin || slices.Contains(r.Guarded, r.Default)) {
		c.refuse("roles.default", r.Default, "would make everybody who is pushed privileged", "choose another role, or write roles.grantGuarded: true")
	}
	c.roleMappings("roles.appRoles", r.AppRoles, named)
	c.roleMappings("roles.groups", r.Groups, named)
}

func (c *settingsCheck) roleMappings(key string, rows []RoleMapping, named func(key, role string)) {
	seen := map[string]int{}
	for i, row := range rows {
		at := elementKey(key, i)
		folded := scim.FoldFull.Apply(row.When)
		first, again := seen[folded]
		switch {
		case strings.TrimSpace(row.When) == "":
			c.refuse(at+".when", "", "is empty", "write what gives the role")
		case again:
			c.refuse(at+".when", row.When, "is there twice, and the first row decides", "remove one of it and "+elementKey(key, first))
		default:
			seen[folded] = i
		}
		named(at+".role", row.Role)
	}
}

func roleName(name string) bool {
	n := utf8.RuneCountInString(name)
	return n >= 1 && n <= maxRoleName && strings.TrimSpace(name) == name && utf8.ValidString(name) &&
		!strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
}

func (c *settingsCheck) guard(g GuardSettings) {
	c.names("guard.users", g.Users)
	c.names("guard.groups", g.Groups)
}

func (c *settingsCheck) impact(i ImpactSettings) {
	const key, remedy = "matters.impact.url", "write https://, a host and a path alone, such as https://app.example.com/meibo/impact"
	u, err := url.Parse(i.URL)
	switch {
	case i.URL == "" && i.Timeout != 0:
		c.refuse("matters.impact.timeout", i.Timeout.String(), "says how long, and nothing says whom to ask", "write matters.impact.url, or remove it")
	case i.URL == "":
	case len(i.URL) > maxURL:
		c.refuse(key, i.URL, fmt.Sprintf("has more than %d bytes", maxURL), remedy)
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		c.refuse(key, "", "is no URL", remedy)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		// Everybody who may read settings sees it; the question is signed instead.
		c.refuse(key, "", "has more than scheme, host and path", remedy)
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
	default:
		c.refuse(key, i.URL, "would send the question in the clear", remedy)
	}
}

// isLoopback reports whether a host is this machine, by its name alone: nothing is looked up.
func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
