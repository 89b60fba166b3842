package scim

import (
	"encoding/json"
	"testing"
)

// ada is a user as a client is shown it.
func ada() Attributes {
	return Attributes{
		"schemas":  []any{UserSchema, EnterpriseUserSchema},
		"id":       "01890a5d-AAAA",
		"userName": "Ada@Example.com", "externalId": "X-1", "displayName": "Ada", "active": true,
		"title": "Straße ÄÖ", "profileUrl": "https://example.com/Ada", "nickName": "",
		"name": map[string]any{"familyName": "King", "givenName": "Ada", "middleName": ""},
		"emails": []any{
			map[string]any{"type": "work", "value": "ada@example.com", "primary": true},
			map[string]any{"type": "home", "value": "ada@home.example"},
		},
		"roles":            []any{map[string]any{"value": "{\"id\":\"1\"}", "primary": false}},
		"photos":           []any{map[string]any{"value": ""}},
		"x509Certificates": []any{map[string]any{"value": "AQID"}},
		"groups":           []any{map[string]any{"value": "g1", "display": "Engines"}},
		"meta": map[string]any{
			"resourceType": "User", "created": "2026-01-31T09:30:00.123456Z", "lastModified": "2026-02-01T00:00:00Z",
			"version": `W/"1"`, "location": "https://example.com/Users/1",
		},
		EnterpriseUserSchema: map[string]any{"department": "Sales", "manager": map[string]any{"value": "m1"}},
		wild: map[string]any{
			"text": "Some Text", "flag": true, "count": json.Number("7"), "object": map[string]any{"a": "x"},
			"list": []any{"one", map[string]any{"type": "A", "value": "two"}},
		},
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		want bool
	}{
		// Case and folding.
		{`userName eq "ADA@EXAMPLE.COM"`, true},
		{`userName eq "ada@example.co"`, false},
		{`externalId eq "X-1"`, true},
		{`externalId eq "x-1"`, false},
		{`id eq "01890A5D-AAAA"`, false},
		{`title eq "STRAßE ÄÖ"`, true},
		{`title eq "strasse äö"`, false},
		{`profileUrl eq "https://example.com/ada"`, false},
		{`x509Certificates.value eq "AQID"`, true},
		{`x509Certificates.value eq "aqid"`, false},

		// Operators on text, by bytes of the folded form.
		{`displayName co "D"`, true},
		{`displayName co "x"`, false},
		{`displayName sw "AD"`, true},
		{`displayName sw "da"`, false},
		{`displayName ew "DA"`, true},
		{`displayName ew "ad"`, false},
		{`displayName gt "Ad"`, true},
		{`displayName gt "ADA"`, false},
		{`displayName ge "ADA"`, true},
		{`displayName lt "Z"`, true},
		{`displayName lt "ADA"`, false},
		{`displayName le "ada"`, true},
		{`displayName gt ""`, true},
		{`displayName lt "é"`, true},
		{`displayName co "%"`, false},
		{`displayName co "_"`, false},

		// Two-valued logic on what is unassigned.
		{`userType eq "x"`, false},
		{`userType ne "x"`, true},
		{`not (userType eq "x")`, true},
		{`userType gt "x" or userType le "x"`, false},
		{`not (userType gt "x")`, true},
		{`nickName ge ""`, false},
		{`userType eq null`, true},
		{`userType ne null`, false},
		{`userType eq ""`, true},
		{`title eq ""`, false},
		{`title ne ""`, true},

		// Presence.
		{`title pr`, true},
		{`userType pr`, false},
		{`nickName pr`, false},
		{`name pr`, true},
		{`name.middleName pr`, false},
		{`emails pr`, true},
		{`photos pr`, false},
		{`photos eq null`, true},
		{`ims pr`, false},
		{`roles.primary pr`, true},
		{`active pr`, true},
		{`manager pr`, true},
		{`manager.displayName pr`, false},

		// Booleans.
		{`active eq true`, true},
		{`active eq "False"`, false},
		{`active ne false`, true},
		{`roles[primary eq "False"].value pr`, true},
		{`roles[primary eq "True"].value pr`, false},

		// Multi-valued attributes: one element suffices, also for the negation's counterpart.
		{`emails eq "ada@home.example"`, true},
		{`emails.value ew "example"`, true},
		{`emails.type eq "other"`, false},
		{`emails.type ne "work"`, false},
		{`emails[type ne "work"]`, true},
		{`emails[type eq "work" and value co "home"]`, false},
		{`emails.type eq "work" and emails.value co "home"`, true},
		{`emails[type eq "work"].value eq "ada@example.com"`, true},
		{`emails[type eq "work"].value eq "ada@home.example"`, false},
		{`emails[type eq "work"].value ne "ada@home.example"`, true},
		{`emails[type eq "other"].value ne "x"`, true},
		{`emails[type eq "home"].primary pr`, false},
		{`emails[not (primary pr)]`, true},
		{`emails[emails.value sw "ADA@HOME"]`, true},
		{`ims[not (value eq "x")]`, false},
		{`schemas eq "` + EnterpriseUserSchema + `"`, true},
		{`schemas eq "` + GroupSchema + `"`, false},
		{`groups eq "g1"`, true},
		{`groups.display eq "engines"`, true},
		{`groups[value eq "g1"]`, true},
		{`groups eq "G1"`, false},

		// Extensions.
		{`manager eq "m1"`, true},
		{`manager eq "M1"`, false},
		{enterprise + `:department eq "SALES"`, true},
		{enterprise + `:division pr`, false},
		{wild + `:text eq "some text"`, true},
		{wild + `:flag eq true`, true},
		{wild + `:flag eq "TRUE"`, true},
		{wild + `:count eq 7`, true},
		{wild + `:count gt "10"`, true}, // as text
		{wild + `:object.a eq "X"`, true},
		{wild + `:object eq "x"`, false},
		{wild + `:object pr`, true},
		{wild + `:list eq "one"`, true},
		{wild + `:list.value eq "two"`, true},
		{wild + `:list[type eq "a"].value eq "two"`, true},
		{wild + `:list[type eq "b"]`, false},
		{wild + `:Text pr`, false}, // nothing says that Text is text
		{`urn:example:params:other:attr pr`, false},
		{`urn:example:params:other:attr ne "x"`, true},

		// Instants.
		{`meta.created eq "2026-01-31T10:30:00.123456+01:00"`, true},
		{`meta.created eq "2026-01-31T09:30:00.1234569Z"`, true}, // microseconds
		{`meta.created gt "2026-01-31T09:30:00.123455Z"`, true},
		{`meta.created gt 2015-10-10T14:38:21.8617979-07:00`, true},
		{`meta.lastModified lt "2026-02-01T00:00:00Z"`, false},
		{`meta.lastModified ge "0001-01-03T00:00:00.0000000Z" and meta.lastModified le "2026-02-01T00:00:00"`, true},
		{`meta.resourceType eq "User"`, true},
		{`meta.version eq "W/\"1\""`, true},

		// Logic.
		{`displayName eq "x" and title pr or active eq true`, true},
		{`displayName eq "x" and (title pr or active eq true)`, false},
		{`active eq true or title pr and displayName eq "x"`, true},
		{`not (displayName eq "x" or title eq "y")`, true},
		{`not (displayName eq "ada" and title pr)`, false},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			f, err := ParseFilter(Standard(User), tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if got := Match(f, ada()); got != tt.want {
				t.Errorf("Match = %t, want %t", got, tt.want)
			}
		})
	}
}

func TestMatchOfOtherTypes(t *testing.T) {
	t.Parallel()
	d := numbers(t)
	r := Attributes{"urn:example:numbers:1.0:User": map[string]any{
		"level": json.Number("10"), "share": json.Number("1.50"), "hired": "2020-01-02T00:00:00Z", "tags": []any{"A", "b"},
	}}
	tests := map[string]bool{
		`level gt 9`:                           true,
		`level eq 1e1`:                         true,
		`level lt 10`:                          false,
		`share eq 1.5`:                         true,
		`share le -1`:                          false,
		`hired eq "2020-01-02T00:00:00Z"`:      true,
		`hired eq "2020-01-02T01:00:00+01:00"`: false, // text, not an instant
		`hired gt "2019"`:                      true,
		`tags eq "B"`:                          true,
		`tags ne "a"`:                          false,
		`tags pr`:                              true,
	}
	for text, want := range tests {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			f, err := ParseFilter(d, text)
			if err != nil {
				t.Fatal(err)
			}
			if got := Match(f, r); got != want {
				t.Errorf("Match = %t, want %t", got, want)
			}
		})
	}
}

// A stored value of another type satisfies no comparison, and harms nothing.
func TestMatchOfForeignValues(t *testing.T) {
	t.Parallel()
	foreign := []any{nil, "x", true, json.Number("1e999"), json.Number("x"), 7, map[string]any{}, []any{}, []any{nil, []any{}}, map[string]any{"value": nil}}
	filters := []string{
		`userName eq "1"`, `active eq false`, `emails eq "a"`, `emails[value eq "a"]`, `name.familyName sw "a"`, `meta.created gt "2026-01-01T00:00:00Z"`,
		`manager eq "a"`, `schemas eq "a"`, wild + `:a eq "a"`, wild + `:a.b eq "a"`, wild + `:a[b eq "a"].c eq "a"`,
	}
	for _, text := range filters {
		f, err := ParseFilter(Standard(User), text)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range foreign {
			r := Attributes{"userName": v, "active": v, "emails": v, "name": v, "meta": v, EnterpriseUserSchema: v, "schemas": v, wild: v}
			if Match(f, r) || Match(f, Attributes{"emails": []any{v}, wild: map[string]any{"a": v}}) {
				t.Errorf("%s matches %v", text, v)
			}
		}
	}
	if Match(nil, ada()) {
		t.Error("no filter matches")
	}
}

func BenchmarkMatch(b *testing.B) {
	f, err := ParseFilter(Standard(User), `emails[type eq "home"].value eq "ADA@home.example"`)
	if err != nil {
		b.Fatal(err)
	}
	r := ada()
	b.ReportAllocs()
	for b.Loop() {
		if !Match(f, r) {
			b.Fatal("no match")
		}
	}
}
