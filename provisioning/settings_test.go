package provisioning_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"meibo/provisioning"
)

// TestSettingsProblems has what documents can hardly say, or only beside another mistake.
func TestSettingsProblems(t *testing.T) {
	t.Parallel()
	user := func(r provisioning.MappingRow) func(*provisioning.Settings) {
		return func(s *provisioning.Settings) { s.Mapping.Users = []provisioning.MappingRow{r} }
	}
	stable := func(path string) func(*provisioning.Settings) {
		return func(s *provisioning.Settings) { s.Matching.StableKey = path }
	}
	impactURL := func(url string) func(*provisioning.Settings) {
		return func(s *provisioning.Settings) { s.Matters.Impact.URL = url }
	}
	for name, tt := range map[string]struct {
		edit func(*provisioning.Settings)
		want []string // beginnings of the problems
	}{
		"the default":                   {func(*provisioning.Settings) {}, nil},
		"no preset":                     {func(s *provisioning.Settings) { s.Preset = "x" }, []string{`preset "x" is not a choice`}},
		"a key that documents have not": {func(s *provisioning.Settings) { s.Tolerance.Users.From = 1 }, []string{"tolerance.users.from is not a setting"}},
		"count below 0":                 {func(s *provisioning.Settings) { s.Tolerance.Groups.Count = -1 }, []string{`tolerance.groups.count "-1" is out of bounds; write something from 0 to 1000000`}},
		"grace below 0":                 {func(s *provisioning.Settings) { s.Deletion.Grace = -1 }, []string{"deletion.grace"}},
		"grace of a century":            {func(s *provisioning.Settings) { s.Deletion.Grace = 36500 * 24 * provisioning.Period(time.Hour) }, []string{`deletion.grace "36500d" is out of bounds; write something from 0 to 3650d`}},
		"ageing at once":                {func(s *provisioning.Settings) { s.Deletion.Ageing = provisioning.AgeingSettings{After: 1, Do: "hold"} }, []string{"deletion.ageing.after"}},
		"NUL":                           {func(s *provisioning.Settings) { s.Guard.Users = []string{"a\x00"} }, []string{"guard.users[0] holds a NUL"}},
		"no UTF-8": {func(s *provisioning.Settings) {
			s.Mapping.Users = []provisioning.MappingRow{{Target: "title", Expression: "\xff"}}
		}, []string{"mapping.users[0].expression holds a NUL character or is no UTF-8", "mapping.users[0].expression"}},
		"too many":                {func(s *provisioning.Settings) { s.Mapping.Groups = make([]provisioning.MappingRow, 201) }, []string{"mapping.groups has 201 elements; leave at most 200"}},
		"a question in the clear": {impactURL("http://app.example/impact"), []string{`matters.impact.url "http://app.example/impact" would send the question in the clear; write https://`}},
		"a question to here":      {impactURL("http://127.8.9.1:8080/impact"), nil},
		"a question to localhost": {impactURL("http://localhost/impact"), nil},
		"a question to [::1]":     {impactURL("http://[::1]:8080/impact"), nil},
		"a question by https":     {impactURL("https://app.example"), nil},
		"another scheme":          {impactURL("ftp://app.example/"), []string{"matters.impact.url"}},
		"no host":                 {impactURL("https:///impact"), []string{"matters.impact.url is no URL"}},
		"no scheme":               {impactURL("app.example/impact"), []string{"matters.impact.url is no URL"}},
		"a secret as a user":      {impactURL("https://s3cret@app.example/impact"), []string{"matters.impact.url has more than scheme, host and path"}},
		"a secret as a query":     {impactURL("https://app.example/impact?key=s3cret"), []string{"matters.impact.url has more than scheme, host and path"}},
		"a localhost of others":   {impactURL("http://localhost.example/"), []string{"matters.impact.url"}},
		"an address too long":     {impactURL("https://app.example/" + strings.Repeat("x", 2048)), []string{"matters.impact.url"}},
		"a question for too long": {func(s *provisioning.Settings) {
			s.Matters.Impact = provisioning.ImpactSettings{URL: "https://app.example/", Timeout: provisioning.Period(31 * time.Second)}
		}, []string{`matters.impact.timeout "31s" is out of bounds; write something from 1s to 30s`}},
		"a time for nobody":  {func(s *provisioning.Settings) { s.Matters.Impact.Timeout = provisioning.Period(time.Second) }, []string{"matters.impact.timeout"}},
		"an empty name":      {func(s *provisioning.Settings) { s.Guard.Groups = []string{" "} }, []string{"guard.groups[0] is empty"}},
		"an attribute twice": {func(s *provisioning.Settings) { s.Matching.Attributes = []string{"emails", "emails"} }, []string{"matching.attributes[1]"}},
		"a domain twice":     {func(s *provisioning.Settings) { s.Scope.Users.Domains = []string{"a.example", "A.example"} }, []string{`scope.users.domains[1] "A.example" is there twice`}},
		"a scope of members": {func(s *provisioning.Settings) { s.Scope.Groups.Filter = `not (members.value eq "x")` }, []string{`scope.groups.filter "not (members.value eq \"x\")" asks for members, `}},
		"a scope of the server's": {func(s *provisioning.Settings) {
			s.Scope.Users.Filter = `title pr or meta.created gt "2026-01-01T00:00:00Z"`
		}, []string{`scope.users.filter "title pr or meta.created gt \"2026-01-01T00:00:00Z\"" asks for meta, `}},
		"a scope of groups": {func(s *provisioning.Settings) { s.Scope.Users.Filter = `groups[display eq "x"]` }, []string{`scope.users.filter "groups[display eq \"x\"]" asks for groups, `}},
		"a scope of a manager's name": {func(s *provisioning.Settings) { s.Scope.Users.Filter = `manager.displayName eq "x"` },
			[]string{`scope.users.filter "manager.displayName eq \"x\"" asks for manager.displayName, `}},
		"a domain of one label": {func(s *provisioning.Settings) { s.Scope.Users.Domains = []string{"localhost"} }, []string{"scope.users.domains[0]"}},
		"a mapped role for nobody": {func(s *provisioning.Settings) {
			s.Roles.AppRoles = []provisioning.RoleMapping{{When: "", Role: "admin"}}
		}, []string{"roles.appRoles[0].when is empty"}},
		"two roles for one group": {func(s *provisioning.Settings) {
			s.Roles.Groups = []provisioning.RoleMapping{{When: "It", Role: "admin"}, {When: "IT", Role: "ordinary"}}
		}, []string{`roles.groups[1].when "IT" is there twice`}},
		"guarded twice":                   {func(s *provisioning.Settings) { s.Roles.Guarded = []string{"admin", "admin"} }, []string{"roles.guarded[1]"}},
		"a role of blanks":                {func(s *provisioning.Settings) { s.Roles.Names = []string{" a"} }, []string{"roles.names[0]"}},
		"a role that is long":             {func(s *provisioning.Settings) { s.Roles.Names = []string{strings.Repeat("x", 65)} }, []string{"roles.names[0]"}},
		"a role in other case":            {func(s *provisioning.Settings) { s.Roles.Names, s.Roles.Default = []string{"Desk"}, "desk" }, []string{`roles.default "desk" is not a role`}},
		"everybody privileged, and meant": {func(s *provisioning.Settings) { s.Roles.Default, s.Roles.GrantGuarded = "admin", true }, nil},

		"no stable key":           {stable(""), nil},
		"stable key of employees": {stable("employeeNumber"), nil},
		"stable key unknown":      {stable("objectId"), []string{`matching.stableKey "objectId" is no attribute`}},
		"stable key of a list":    {stable("emails"), []string{`matching.stableKey "emails" is not a single value`}},
		"stable key whole":        {stable("name"), []string{`matching.stableKey "name" changes`}},
		"stable key of a part":    {stable("name.familyName"), []string{`matching.stableKey "name.familyName" changes`}},
		"stable key of ours":      {stable("id"), []string{`matching.stableKey "id" tells nobody apart`}},
		"stable key elsewhere":    {stable("urn:example:hr:1.0:User:number"), nil},

		"a constant that JSON lacks": {user(provisioning.MappingRow{Target: "title", Constant: 7}), []string{"mapping.users[0].constant is no value of JSON"}},
		"a default with a NUL":       {user(provisioning.MappingRow{Target: "title", Source: "title", Default: "\x00"}), []string{"mapping.users[0].default is no value of JSON", "mapping.users[0].default is refused"}},
		"no target":                  {user(provisioning.MappingRow{Constant: "x"}), []string{"mapping.users[0].target"}},
		"members":                    {func(s *provisioning.Settings) { s.Mapping.Groups = []provisioning.MappingRow{{Target: "members"}} }, []string{`mapping.groups[0].target "members" is refused`}},
		"active":                     {user(provisioning.MappingRow{Target: "active", Constant: true}), []string{`mapping.users[0].target "active" is refused`}},
		"a domain that nobody named": {user(provisioning.MappingRow{Target: "title", Expression: "DefaultDomain()"}), []string{"mapping.users[0].expression"}},
		"a domain that somebody named": {func(s *provisioning.Settings) {
			user(provisioning.MappingRow{Target: "title", Expression: "DefaultDomain()"})(s)
			s.Matching.VerifiedDomains = []string{"a.example"}
		}, nil},
		"unique userName": {user(provisioning.MappingRow{Target: "userName", Source: "externalId", Unique: true}), nil},
		"adopted by a mirror that asks": {func(s *provisioning.Settings) {
			s.Preset, s.Matching.Adoption = provisioning.PresetMirror, provisioning.AdoptionAdopt
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := provisioning.DefaultSettings()
			tt.edit(&s)
			var got []string
			for i, p := range s.Problems() {
				if p.Remedy == "" || strings.Contains(p.String(), "s3cret") {
					t.Errorf("remedy missing, or a secret shown: %+v", p)
				}
				text := p.String()
				if i < len(tt.want) && strings.HasPrefix(text, tt.want[i]) {
					text = tt.want[i]
				}
				if name == "too many" && i > 0 { // each row lacks its target, too
					continue
				}
				got = append(got, text)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

// TestSettingsKeys: every field of the settings is a key, but for those that a document has not, and the other way round.
func TestSettingsKeys(t *testing.T) {
	t.Parallel()
	unsaid := []string{"scope.groups.domains", "scope.groups.domains[]", "scope.groups.groups", "scope.groups.groups[]",
		"tolerance.users.from", "tolerance.groups.from"}
	fields := map[string]bool{}
	var visit func(path string, typ reflect.Type)
	visit = func(path string, typ reflect.Type) {
		switch {
		case typ.Kind() == reflect.Slice:
			fields[path] = true
			visit(path+"[]", typ.Elem())
		case typ.Kind() == reflect.Struct:
			if path != "" && !strings.HasSuffix(path, "[]") {
				fields[path] = true
				path += "."
			} else if path != "" {
				path += "."
			}
			for i := range typ.NumField() {
				name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
				if name == "" {
					t.Errorf("%s%s has no name in documents", path, typ.Field(i).Name)
				}
				visit(path+name, typ.Field(i).Type)
			}
		default:
			fields[path] = true
		}
	}
	visit("", reflect.TypeFor[provisioning.Settings]())
	for _, k := range provisioning.SettingsKeys() {
		if !fields[k.Path] || k.Doc == "" {
			t.Errorf("%s is no field, is there twice, or is not described", k.Path)
		}
		delete(fields, k.Path)
	}
	for path := range fields {
		if !slices.Contains(unsaid, path) {
			t.Errorf("%s is no key", path)
		}
	}
}

// TestPresetsAreSound: each is what its documentation says in the points that matter most, and has no problems.
func TestPresetsAreSound(t *testing.T) {
	t.Parallel()
	for _, p := range provisioning.Presets() {
		s, ok := p.Settings()
		if !ok || s.Preset != p || len(s.Problems()) > 0 {
			t.Errorf("%q: %v", p, s.Problems())
		}
		// What no preset gives up.
		if s.Guard.Mode != provisioning.GuardAccept || s.Tolerance.Mode != provisioning.ToleranceDelay || s.Roles.GrantGuarded {
			t.Errorf("%q gives up a guard", p)
		}
		if s.Deletion.Purge == provisioning.PurgeAuto && s.Deletion.Grace == 0 && p != provisioning.PresetMirror {
			t.Errorf("%q erases at once", p)
		}
	}
	standard := provisioning.DefaultSettings()
	if policy := standard.Deletion.Users; policy.Deactivated != "suspend" || policy.Deleted != "suspend" || policy.Scope != "suspend" || standard.Deletion.Purge != provisioning.PurgeAsk {
		t.Errorf("the default: %+v", standard.Deletion)
	}
}

func TestCautions(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		preset provisioning.Preset
		edit   func(*provisioning.Settings)
		want   []string // keys
	}{
		"the default":       {"", func(*provisioning.Settings) {}, nil},
		"suspend-or-delete": {provisioning.PresetSuspendOrDelete, func(*provisioning.Settings) {}, nil},
		"guarded":           {provisioning.PresetGuarded, func(*provisioning.Settings) {}, nil},
		"hand-picked":       {provisioning.PresetHandPicked, func(*provisioning.Settings) {}, nil},
		"mirror":            {provisioning.PresetMirror, func(*provisioning.Settings) {}, []string{"deletion.grace", "matching.verifiedDomains"}},
		"mirror of a domain": {provisioning.PresetMirror, func(s *provisioning.Settings) { s.Matching.VerifiedDomains = []string{"a.example"} },
			[]string{"deletion.grace"}},
		"hand-picked without grace": {provisioning.PresetHandPicked, func(s *provisioning.Settings) { s.Deletion.Grace, s.Deletion.Purge = 0, provisioning.PurgeAuto }, nil},
		"no tolerance":              {"", func(s *provisioning.Settings) { s.Tolerance.Mode = provisioning.ToleranceOff }, []string{"tolerance.mode"}},
		"privileges that no push may give": {"", func(s *provisioning.Settings) {
			s.Roles.Names, s.Roles.Guarded = []string{"helpdesk", "officer"}, []string{"officer"}
			s.Roles.AppRoles = []provisioning.RoleMapping{{When: "Admins", Role: provisioning.RoleAdmin}}
			s.Roles.Groups = []provisioning.RoleMapping{{When: "Officers", Role: "officer"}, {When: "Help", Role: "helpdesk"}}
		}, []string{"roles.appRoles, roles.groups"}},
		"roles that any push may give": {"", func(s *provisioning.Settings) {
			s.Roles.Names, s.Roles.AppRoles = []string{"helpdesk"}, []provisioning.RoleMapping{{When: "Help", Role: "helpdesk"}}
		}, nil},
		"privileges by push": {"", func(s *provisioning.Settings) { s.Roles.GrantGuarded = true }, []string{"roles.grantGuarded"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := tt.preset.Settings()
			tt.edit(&s)
			got := s.Cautions()
			if len(got) != len(tt.want) {
				t.Fatalf("%q, want those of %q", got, tt.want)
			}
			for i := range got {
				if !strings.Contains(got[i], tt.want[i]) {
					t.Errorf("%q does not name %s", got[i], tt.want[i])
				}
			}
		})
	}
}
