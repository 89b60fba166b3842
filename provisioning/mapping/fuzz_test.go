package mapping

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"meibo/scim"
	"meibo/scim/scimtest"
)

// FuzzExpression holds for any expression on any text: what cannot be compiled is a problem with a place, what
// can runs in one pass within the budget, twice the same, and leaves its input alone.
func FuzzExpression(f *testing.F) {
	for _, source := range greedy() {
		f.Add(source, "山田太郎")
	}
	for _, r := range benchRows {
		f.Add(r.Expression, "Taro.Yamada@example.jp")
	}
	f.Fuzz(func(t *testing.T, source, text string) {
		c := compiler{def: scim.Standard(scim.User), options: testOptions}
		p := c.expression(source)
		if p == nil {
			if len(c.problems) == 0 {
				t.Fatal("neither a program nor a problem")
			}
			return
		}
		if i := loop(p.code); i >= 0 {
			t.Errorf("instruction %d jumps back", i)
		}
		asserted := func() scim.Attributes {
			a := benchUser()
			a["displayName"], a["nickName"] = text, json.Number("12")
			return a
		}
		in := Input{Asserted: asserted(), Now: testNow}
		ev := newEvaluator(testOptions).get(in)
		first, err := ev.run(p)
		if ev.work < 0 {
			t.Errorf("it spent %d bytes too many", -ev.work)
		}
		second, err2 := ev.run(p)
		if (err == nil) != (err2 == nil) || err == nil && !scim.Equal(plain(first), plain(second)) {
			t.Errorf("it comes to %v, %v and then to %v, %v", first, err, second, err2)
		}
		if diff := cmp.Diff(asserted(), in.Asserted); diff != "" {
			t.Errorf("the input changed (-want +got):\n%s", diff)
		}
	})
}

// FuzzTable holds for any row and override: Compile and Map have errors of their types alone, and what is
// effective is a valid resource that survives being stored.
func FuzzTable(f *testing.F) {
	f.Add("title", "userName", "", "", "name.givenName", "x")
	f.Add(`emails[type eq "work"].value`, "", `ToLower(userName)`, `[a-z@.]+`, `phoneNumbers[type eq "mobile"]`, "090")
	f.Add("emails", "", `[{value: userName, primary: "True"}]`, "", scim.EnterpriseUserSchema+":manager", "m1")
	f.Add(scimtest.WildSchema+":a", "emails", "", "", "urn:x:y:User:z.w", "")
	f.Add("flag", "active", "", "", "whole", "12")
	f.Add("moment", "", `Now()`, "", "words", "a")
	f.Add("parts", "", `[{code: "7", words: Split("a,b", ",")}]`, "", "fraction", "1.5")
	f.Add("roles", "", `Split(displayName, ",")`, `.{1,9}`, "name", "x")
	definitions := []*scim.Definition{scim.Standard(scim.User), typedUser(f)}
	f.Fuzz(func(t *testing.T, target, source, expression, characters, path, text string) {
		for _, def := range definitions {
			fuzzTable(t, def, Row{Target: target, Source: source, Expression: expression, Characters: characters, MaxLength: len(path)}, path, text)
		}
	})
}

func fuzzTable(t *testing.T, def *scim.Definition, row Row, path, text string) {
	table, err := Compile(def, []Row{row}, testOptions)
	if err != nil {
		if _, ok := errors.AsType[Problems](err); !ok {
			t.Errorf("the error of Compile is %T", err)
		}
		return
	}
	in := Input{Asserted: benchUser(), Overrides: map[string]any{path: text, "title": nil}, Now: testNow}
	result, err := table.Map(in)
	if err != nil {
		if _, ok := errors.AsType[Faults](err); !ok || strings.Contains(err.Error(), "Taro") && !strings.Contains(row.Expression+row.Target+path, "Taro") {
			t.Errorf("the error of Map is %T %v", err, err)
		}
		return
	}
	if diff := cmp.Diff(benchUser(), in.Asserted); diff != "" {
		t.Errorf("the input changed (-want +got):\n%s", diff)
	}
	valid, err := def.Validate(result.Effective)
	if err != nil || !scim.Equal(map[string]any(valid), map[string]any(result.Effective)) {
		t.Errorf("%v is not valid: %v, %v", result.Effective, valid, err)
	}
	stored, err := def.Decode(def.Encode(result.Effective))
	if err != nil || !scim.Equal(map[string]any(stored), map[string]any(result.Effective)) {
		t.Errorf("%v is stored as %v, %v", result.Effective, stored, err)
	}
}

// typedUser is a user with an extension that has an attribute of each type.
func typedUser(t testing.TB) *scim.Definition {
	t.Helper()
	schema, err := scim.ParseSchema([]byte(`{"id": "urn:example:typed:1.0:User", "name": "Typed", "attributes": [
		{"name": "flag", "type": "boolean"}, {"name": "whole", "type": "integer"}, {"name": "fraction", "type": "decimal"}, {"name": "moment", "type": "dateTime"},
		{"name": "bytes", "type": "binary"}, {"name": "link", "type": "reference"}, {"name": "words", "type": "string", "multiValued": true},
		{"name": "numbers", "type": "integer", "multiValued": true},
		{"name": "parts", "type": "complex", "multiValued": true, "subAttributes": [
			{"name": "code", "type": "integer", "required": true}, {"name": "words", "type": "string", "multiValued": true}, {"name": "primary", "type": "boolean"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	// A schema belongs to one definition, so the standard one is read anew.
	standard, err := json.Marshal(scim.Standard(scim.User).Core)
	if err != nil {
		t.Fatal(err)
	}
	core, err := scim.ParseSchema(standard)
	if err != nil {
		t.Fatal(err)
	}
	def, err := scim.Compile(scim.User, core, schema)
	if err != nil {
		t.Fatal(err)
	}
	return def
}
