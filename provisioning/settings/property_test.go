package settings_test

import (
	"testing"

	"pgregory.net/rapid"

	"meibo/provisioning"
	"meibo/provisioning/settings"
)

// anySettings draws settings that depart from a preset in whatever a person may choose. They may contradict
// themselves.
func anySettings() *rapid.Generator[provisioning.Settings] {
	return rapid.Custom(func(t *rapid.T) provisioning.Settings {
		s, _ := rapid.SampledFrom(provisioning.Presets()).Draw(t, "preset").Settings()
		draw := drawer{t}
		if draw.departs("protocol") {
			s.Protocol = provisioning.ConnectionSettings{PatchResponse: provisioning.PatchNone, UnknownMembers: provisioning.KeepUnknownMembers,
				UniqueGroupNames: draw.bool()}
		}
		if draw.departs("matching") {
			s.Matching = provisioning.MatchingSettings{StableKey: draw.text("", "externalId"), Attributes: draw.list("userName", "emails"),
				Adoption: provisioning.Adoption(draw.text("adopt", "ask", "refuse")), VerifiedDomains: draw.list("example.com", "example.org")}
		}
		if draw.departs("scope") {
			s.Scope.Users = provisioning.ScopeFilter{Filter: draw.text("", `title eq "x: #"`), Domains: draw.list("example.com"), Groups: draw.names()}
			s.Scope.Groups.Filter = draw.text("", `displayName sw "'"`)
		}
		if draw.departs("mapping") {
			s.Mapping.UserName = provisioning.UserNameSettings{Mode: provisioning.UserNameMode(draw.text("full", "local")), Frozen: draw.bool()}
			for range rapid.IntRange(0, 3).Draw(t, "rows") {
				s.Mapping.Users = append(s.Mapping.Users, draw.row())
			}
		}
		if draw.departs("deletion") {
			policies := []string{"suspend", "delete", "hold", "ignore", "removeMembers"}
			s.Deletion.Users.Deleted = provisioning.DeletionPolicy(draw.text(policies...))
			s.Deletion.Groups.Scope = provisioning.DeletionPolicy(draw.text(policies...))
			s.Deletion.Grace = provisioning.Period(rapid.IntRange(0, 4000*86400).Draw(t, "seconds")) * 1e9
			s.Deletion.Ageing = provisioning.AgeingSettings{After: draw.period(), Do: provisioning.DeletionPolicy(draw.text("", "delete", "hold"))}
		}
		if draw.departs("roles") {
			s.Roles.Names, s.Roles.Guarded = draw.names(), draw.names()
			s.Roles.Default, s.Roles.GrantGuarded = draw.text("ordinary", "admin", "a", "yes"), draw.bool()
			s.Roles.Groups = []provisioning.RoleMapping{{When: draw.text("null", "~", "1e3"), Role: draw.text("admin", "a")}}
		}
		if draw.departs("guard") {
			s.Guard = provisioning.GuardSettings{Mode: provisioning.GuardRefuse, Users: draw.names(), Groups: draw.names()}
		}
		if draw.departs("tolerance") {
			s.Tolerance.Window = draw.period()
			s.Tolerance.Members = provisioning.Tolerance{Share: rapid.IntRange(-1, 101).Draw(t, "share"), Count: rapid.IntRange(0, 9).Draw(t, "count")}
		}
		if draw.departs("matters") {
			s.Matters = provisioning.MatterSettings{OverdueAfter: draw.period(), SecondPerson: draw.bool()}
			if s.Matters.Impact.URL = draw.text("", "https://app.example/impact", "http://[::1]:80"); s.Matters.Impact.URL != "" {
				s.Matters.Impact.Timeout = provisioning.Period(rapid.IntRange(0, 31).Draw(t, "timeout")) * 1e9
			}
		}
		return s
	})
}

// oddNames are texts that YAML takes for something else.
var oddNames = []string{"true", "null", "~", "1", "0x1f", "- a", "a: b", "#", "'", "\"", "|", "line\nbreak", " a ", "é", "\u2028", "名簿", "<<", "=", "!a", "&a", "*a",
	"2026-11-22", ".inf", "---", "%a", "@", "`", "yes", "y", "1_000", "0b1", "1:30", "\t", "\ufeff", "\u0085"}

// TestOddNames: each survives being written and read.
func TestOddNames(t *testing.T) {
	t.Parallel()
	for _, name := range oddNames {
		s := provisioning.DefaultSettings()
		s.Guard.Groups = []string{"x" + name}
		roundTrip(t, s)
		if s.Guard.Groups[0] = name; len(s.Problems()) == 0 {
			roundTrip(t, s)
		}
	}
}

type drawer struct{ t *rapid.T }

func (d drawer) departs(section string) bool { return rapid.Bool().Draw(d.t, section) }
func (d drawer) bool() bool                  { return rapid.Bool().Draw(d.t, "flag") }
func (d drawer) text(all ...string) string   { return rapid.SampledFrom(all).Draw(d.t, "word") }
func (d drawer) period() provisioning.Period {
	return provisioning.Period(rapid.SampledFrom([]int64{0, 1, 600, 7200, 5 * 86400}).Draw(d.t, "period")) * 1e9
}

func (d drawer) list(all ...string) (out []string) {
	for _, one := range all {
		if d.bool() {
			out = append(out, one)
		}
	}
	return out
}

// names are texts of any letters, among them what YAML takes for something else.
func (d drawer) names() (out []string) {
	odd := rapid.SampledFrom(oddNames)
	for range rapid.IntRange(0, 3).Draw(d.t, "names") {
		if d.bool() {
			out = append(out, odd.Draw(d.t, "odd"))
		} else {
			out = append(out, rapid.String().Draw(d.t, "name"))
		}
	}
	return out
}

func (d drawer) row() provisioning.MappingRow {
	r := provisioning.MappingRow{Target: d.text("title", "nickName", "userName", "name.givenName", `emails[type eq "work"].value`),
		Required: d.bool(), MaxLength: rapid.IntRange(0, 9).Draw(d.t, "length"), Characters: d.text("", "[^#: ]+", "\\d")}
	switch d.text("source", "constant", "expression", "") {
	case "source":
		r.Source, r.Apply = "displayName", provisioning.MappingApply(d.text("", "creation"))
		r.Default = rapid.SampledFrom([]any{nil, "", "x", 1.5, false}).Draw(d.t, "default")
	case "constant":
		r.Constant = rapid.SampledFrom([]any{"", "1", "true", "null", true, 4711.0, -0.25, 1e15, []any{"a", 1.0}, map[string]any{"value": "a", "primary": true}}).Draw(d.t, "constant")
	case "expression":
		r.Expression = rapid.String().Draw(d.t, "expression")
	}
	return r
}

// Settings without problems survive being written and read; those with problems are refused when they are read.
func TestFormatAndParse(t *testing.T) {
	t.Parallel()
	sound := 0
	rapid.Check(t, func(t *rapid.T) {
		s := anySettings().Draw(t, "settings")
		if problems := s.Problems(); len(problems) > 0 {
			if _, err := settings.Parse(settings.Format(s)); err == nil {
				t.Fatalf("Parse takes what has problems: %v", problems)
			}
			return
		}
		sound++
		roundTrip(t, s)
	})
	if sound == 0 {
		t.Error("no settings without problems were drawn")
	}
}

// Diff is empty for equal settings alone.
func TestDiff(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := anySettings().Draw(t, "a"), anySettings().Draw(t, "b")
		if same := string(settings.Format(a)) == string(settings.Format(b)); same != (len(a.Diff(b)) == 0) {
			t.Fatalf("equal documents: %v, differences %v", same, a.Diff(b))
		}
	})
}

// FuzzParse: whatever is read can be written and read again, and whatever is not says where and what to do.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "preset: guarded\n", "a: &a [*a]\n", "{\"guard\": {\"users\": [\"\\ud83d\\ude00\"]}}", "deletion: {grace: 0x1f}\n",
		"mapping: {users: [{target: title, constant: {a: [1, .inf, 2026-11-22]}}]}\n", "? a\n: b\n", "!!binary aGk=: 1\n", "roles: {names: [\"\\0\"]}", "\ufeffpreset: mirror\n", "%YAML 1.1\n---\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		s, err := settings.Parse(source)
		if err == nil {
			roundTrip(t, s)
			return
		}
		problems, ok := err.(settings.Problems)
		if !ok || len(problems) == 0 {
			t.Fatalf("no problems: %v", err)
		}
		for _, p := range problems {
			if p.Line < 1 || p.What == "" || p.Remedy == "" {
				t.Fatalf("line, fault or remedy is missing: %+v", p)
			}
		}
	})
}
