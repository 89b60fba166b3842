package mapping

import (
	"maps"
	"strings"
	"testing"

	"meibo/scim"
)

// benchRows are ten expressions of the kind that people write.
var benchRows = []Row{
	{Target: "userName", Expression: `ToLower(userName)`, Required: true, MaxLength: 100},
	{Target: "displayName", Expression: `Join(" ", name.familyName, name.givenName)`, Required: true},
	{Target: "nickName", Expression: `Left(name.givenName, 3)`},
	{Target: "title", Expression: `Switch(title, "Staff", "課長", "Manager", "部長", "Director")`},
	{Target: "userType", Expression: `IIF(IsPresent(attr("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber")), "Employee", "Guest")`},
	{Target: "preferredLanguage", Expression: `Coalesce(preferredLanguage, locale, "ja-JP")`},
	{Target: "name.formatted", Expression: `name.familyName + "　" + name.givenName`},
	{Target: "profileUrl", Expression: `"https://people.example.jp/" + Word(userName, 1, "@")`},
	{Target: "department", Expression: `Replace(department, "本社", nil, nil, "")`},
	{Target: "externalId", Expression: `ToUpper(externalId)`},
}

// byHand does in Go what benchRows do.
func byHand(a scim.Attributes) (scim.Attributes, string) {
	out := maps.Clone(a)
	text := func(object map[string]any, name string) string {
		s, _ := object[name].(string)
		return s
	}
	put := func(object map[string]any, name, s string) {
		if s == "" {
			delete(object, name)
		} else {
			object[name] = s
		}
	}
	name, _ := a["name"].(map[string]any)
	enterprise, _ := a[scim.EnterpriseUserSchema].(map[string]any)
	name, enterprise = maps.Clone(name), maps.Clone(enterprise)
	given, family := text(name, "givenName"), text(name, "familyName")
	put(out, "userName", strings.ToLower(text(a, "userName")))
	if n := len([]rune(text(out, "userName"))); n == 0 || n > 100 {
		return nil, "userName"
	}
	put(out, "displayName", strings.TrimSpace(family+" "+given))
	if text(out, "displayName") == "" {
		return nil, "displayName"
	}
	runes := []rune(given)
	put(out, "nickName", string(runes[:min(3, len(runes))]))
	title := "Staff"
	switch text(a, "title") {
	case "課長":
		title = "Manager"
	case "部長":
		title = "Director"
	}
	put(out, "title", title)
	userType := "Guest"
	if text(enterprise, "employeeNumber") != "" {
		userType = "Employee"
	}
	put(out, "userType", userType)
	language := text(a, "preferredLanguage")
	if language == "" {
		language = text(a, "locale")
	}
	if language == "" {
		language = "ja-JP"
	}
	put(out, "preferredLanguage", language)
	put(name, "formatted", family+"　"+given)
	out["name"] = name
	local, _, _ := strings.Cut(text(a, "userName"), "@")
	put(out, "profileUrl", "https://people.example.jp/"+local)
	put(enterprise, "department", strings.ReplaceAll(text(enterprise, "department"), "本社", ""))
	out[scim.EnterpriseUserSchema] = enterprise
	put(out, "externalId", strings.ToUpper(text(a, "externalId")))
	return out, ""
}

func benchUser() scim.Attributes {
	return scim.Attributes{
		"userName": "Taro.Yamada@example.jp", "externalId": "5f2a8c1e-7d3b-4c0a-9e61-2b8f4d7a1c33", "displayName": "山田 太郎", "active": true, "title": "課長",
		"name": map[string]any{"familyName": "山田", "givenName": "太郎"},
		"emails": []any{
			map[string]any{"type": "work", "value": "Taro.Yamada@example.jp", "primary": true},
			map[string]any{"type": "home", "value": "taro@example.net"},
		},
		scim.EnterpriseUserSchema: map[string]any{"employeeNumber": "10023", "department": "本社営業部"},
	}
}

// TestBenchmarksAgree keeps the two benchmarks to the same work.
func TestBenchmarksAgree(t *testing.T) {
	t.Parallel()
	result, err := compileUser(t, benchRows...).Map(Input{Asserted: benchUser(), Created: true})
	if err != nil {
		t.Fatal(err)
	}
	want, _ := byHand(benchUser())
	if !scim.Equal(map[string]any(result.Effective), map[string]any(want)) {
		t.Errorf("the table makes\n%v\nand the loop\n%v", result.Effective, want)
	}
}

func BenchmarkTenExpressions(b *testing.B) {
	table := compileUser(b, benchRows...)
	in := Input{Asserted: benchUser(), Created: true}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := table.Map(in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTenByHand(b *testing.B) {
	user := benchUser()
	b.ReportAllocs()
	for b.Loop() {
		if _, fault := byHand(user); fault != "" {
			b.Fatal(fault)
		}
	}
}

func BenchmarkElement(b *testing.B) {
	table := compileUser(b, Row{Target: `emails[type eq "work"].value`, Expression: `ToLower(userName)`})
	in := Input{Asserted: benchUser(), Created: true}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := table.Map(in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEmptyTable(b *testing.B) {
	table := compileUser(b)
	in := Input{Asserted: benchUser(), Created: true}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := table.Map(in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		compileUser(b, benchRows...)
	}
}

func compileUser(t testing.TB, rows ...Row) *Table {
	t.Helper()
	table, err := Compile(scim.Standard(scim.User), rows, testOptions)
	if err != nil {
		t.Fatal(err)
	}
	return table
}
