package mapping

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"meibo/scim"
)

func TestMap(t *testing.T) {
	t.Parallel()
	asserted := func() scim.Attributes {
		return scim.Attributes{
			"userName": "Taro@example.jp", "displayName": "山田太郎", "active": true,
			"name": map[string]any{"familyName": "山田", "givenName": "太郎"},
			"emails": []any{
				map[string]any{"type": "home", "value": "taro@example.net", "primary": true},
				map[string]any{"type": "work", "value": "taro@example.jp"},
			},
			"urn:example:hr:1.0:User": map[string]any{"code": json.Number("7"), "yomi": "やまだ"},
		}
	}
	merge := func(change scim.Attributes) scim.Attributes {
		out := asserted()
		for k, v := range change {
			if v == nil {
				delete(out, k)
			} else {
				out[k] = v
			}
		}
		return out
	}
	const enterprise = scim.EnterpriseUserSchema
	tests := []struct {
		name    string
		rows    []Row
		in      Input // Asserted is that of above
		want    scim.Attributes
		guesses []string
	}{
		{"no rows", nil, Input{}, asserted(), nil},
		{"source", []Row{{Target: "nickName", Source: "displayName"}}, Input{}, merge(scim.Attributes{"nickName": "山田太郎"}), nil},
		{"source of an element", []Row{{Target: "nickName", Source: `emails[type eq "work"].value`}}, Input{}, merge(scim.Attributes{"nickName": "taro@example.jp"}), nil},
		{"source that no schema describes", []Row{{Target: "employeeNumber", Source: "urn:example:hr:1.0:User:code"}}, Input{},
			merge(scim.Attributes{enterprise: map[string]any{"employeeNumber": "7"}}), nil},
		{"its URN in another case", []Row{{Target: "nickName", Source: "URN:EXAMPLE:HR:1.0:USER:yomi"}}, Input{}, merge(scim.Attributes{"nickName": "やまだ"}), nil},
		{"sources see what is asserted", []Row{{Target: "displayName", Constant: "x"}, {Target: "nickName", Source: "displayName"}}, Input{},
			merge(scim.Attributes{"displayName": "x", "nickName": "山田太郎"}), nil},
		{"constant", []Row{{Target: "preferredLanguage", Constant: "ja"}}, Input{}, merge(scim.Attributes{"preferredLanguage": "ja"}), nil},
		{"unassigned", []Row{{Target: "displayName"}, {Target: "name.givenName"}, {Target: "title"}, {Target: "department"}, {Target: `emails[type eq "home"]`}, {Target: "urn:example:hr:1.0:User:code"}}, Input{},
			merge(scim.Attributes{
				"displayName": nil, "name": map[string]any{"familyName": "山田"}, "emails": []any{map[string]any{"type": "work", "value": "taro@example.jp"}},
				"urn:example:hr:1.0:User": map[string]any{"yomi": "やまだ"},
			}), nil},
		{"nothing left of an object", []Row{{Target: "name.givenName"}, {Target: "name.familyName"}}, Input{}, merge(scim.Attributes{"name": nil}), nil},
		{"a new object", []Row{{Target: "manager.value", Constant: "m1"}, {Target: "department", Constant: "d"}, {Target: "costCenter", Constant: "x"}}, Input{},
			merge(scim.Attributes{enterprise: map[string]any{"manager": map[string]any{"value": "m1"}, "department": "d", "costCenter": "x"}}), nil},
		{"a whole object", []Row{{Target: "name", Constant: map[string]any{"FORMATTED": "x"}}}, Input{}, merge(scim.Attributes{"name": map[string]any{"formatted": "x"}}), nil},
		{"element that is there", []Row{{Target: `emails[type eq "work"].value`, Expression: "ToUpper(userName)"}}, Input{}, merge(scim.Attributes{"emails": []any{
			map[string]any{"type": "home", "value": "taro@example.net", "primary": true}, map[string]any{"type": "work", "value": "TARO@EXAMPLE.JP"},
		}}), nil},
		{"element that is made", []Row{{Target: `phoneNumbers[type eq "mobile"].value`, Constant: "090"}}, Input{}, merge(scim.Attributes{"phoneNumbers": []any{map[string]any{"type": "mobile", "value": "090"}}}), nil},
		{"primary moves", []Row{{Target: `emails[type eq "work"].primary`, Expression: `"True"`}}, Input{}, merge(scim.Attributes{"emails": []any{
			map[string]any{"type": "home", "value": "taro@example.net", "primary": false}, map[string]any{"type": "work", "value": "taro@example.jp", "primary": true},
		}}), nil},
		{"list of texts", []Row{{Target: "roles", Expression: `Split("a, b", ",")`}}, Input{}, merge(scim.Attributes{"roles": []any{map[string]any{"value": "a"}, map[string]any{"value": "b"}}}), nil},
		{"list of objects", []Row{{Target: "emails", Expression: `[{value: userName, type: "work", primary: "True"}]`}}, Input{},
			merge(scim.Attributes{"emails": []any{map[string]any{"value": "Taro@example.jp", "type": "work", "primary": true}}}), nil},
		{"whole, then part", []Row{{Target: "emails", Expression: "[emails[1]]"}, {Target: `emails[type eq "work"].display`, Constant: "W"}}, Input{},
			merge(scim.Attributes{"emails": []any{map[string]any{"type": "work", "value": "taro@example.jp", "display": "W"}}}), nil},
		{"date", []Row{{Target: "urn:example:hr:1.0:User:since", Expression: "Now()"}}, Input{},
			merge(scim.Attributes{"urn:example:hr:1.0:User": map[string]any{"code": json.Number("7"), "yomi": "やまだ", "since": "7/2/2021 3:33:38 PM"}}), nil},
		{"number", []Row{{Target: "urn:example:hr:1.0:User:code", Expression: `attr("urn:example:hr:1.0:User:code") * 1.5`}}, Input{},
			merge(scim.Attributes{"urn:example:hr:1.0:User": map[string]any{"code": json.Number("10.5"), "yomi": "やまだ"}}), nil},
		{"default", []Row{{Target: "title", Source: "nickName", Default: "none", Required: true}}, Input{}, merge(scim.Attributes{"title": "none"}), nil},
		{"default without a source", []Row{{Target: "title", Default: "none"}}, Input{}, merge(scim.Attributes{"title": "none"}), nil},
		{"rules that hold", []Row{{Target: "title", Constant: "山田", MaxLength: 2, Characters: `\p{Han}*`}, {Target: "nickName", MaxLength: 1, Characters: "x"}}, Input{}, merge(scim.Attributes{"title": "山田"}), nil},

		{"at creation", []Row{{Target: "title", Constant: "new", AtCreation: true}}, Input{Created: true}, merge(scim.Attributes{"title": "new"}), nil},
		{"after the creation", []Row{{Target: "title", Constant: "new", AtCreation: true}}, Input{Current: scim.Attributes{"title": "old"}}, merge(scim.Attributes{"title": "old"}), nil},
		{"after the creation, without a value", []Row{{Target: "title", Constant: "new", AtCreation: true}}, Input{Current: scim.Attributes{}}, merge(scim.Attributes{"title": "new"}), nil},
		{"after the creation, an element", []Row{{Target: `emails[type eq "work"].value`, Constant: "new", AtCreation: true}},
			Input{Current: scim.Attributes{"emails": []any{map[string]any{"type": "work", "value": "old"}}}},
			merge(scim.Attributes{"emails": []any{map[string]any{"type": "home", "value": "taro@example.net", "primary": true}, map[string]any{"type": "work", "value": "old"}}}), nil},
		{"flow ignored", []Row{{Target: "displayName", Expression: "IgnoreFlowIfNullOrEmpty(title)"}}, Input{Current: scim.Attributes{"displayName": "old"}}, merge(scim.Attributes{"displayName": "old"}), nil},
		{"flow ignored at the creation", []Row{{Target: "displayName", Expression: "IgnoreFlowIfNullOrEmpty(title)"}}, Input{Created: true}, asserted(), nil},
		{"flow not ignored", []Row{{Target: "displayName", Expression: "IgnoreFlowIfNullOrEmpty(userName)"}}, Input{Current: scim.Attributes{"displayName": "old"}}, merge(scim.Attributes{"displayName": "Taro@example.jp"}), nil},

		{"reading", []Row{{Target: "nickName", Expression: "Kana(displayName)"}}, Input{}, merge(scim.Attributes{"nickName": "ヤマダタロウ"}), []string{"nickName"}},
		{"reading not asked for", []Row{{Target: "nickName", Expression: `Coalesce(attr("urn:example:hr:1.0:User:yomi"), Kana(displayName))`}}, Input{}, merge(scim.Attributes{"nickName": "やまだ"}), nil},
		{"reading not known", []Row{{Target: "nickName", Expression: "Kana(userName)"}}, Input{}, asserted(), nil},
		{"reading kept", []Row{{Target: "nickName", Expression: "Kana(displayName)", AtCreation: true}}, Input{Current: scim.Attributes{"nickName": "ヤマダタロウ"}}, merge(scim.Attributes{"nickName": "ヤマダタロウ"}), []string{"nickName"}},
		{"reading kept that was another", []Row{{Target: "nickName", Expression: "Kana(displayName)", AtCreation: true}}, Input{Current: scim.Attributes{"nickName": "ヤマタ"}}, merge(scim.Attributes{"nickName": "ヤマタ"}), nil},
		{"reading corrected", []Row{{Target: "nickName", Expression: "Kana(displayName)"}}, Input{Overrides: map[string]any{"nickname": "ヤマタ"}}, merge(scim.Attributes{"nickName": "ヤマタ"}), nil},

		{"override", nil, Input{Overrides: map[string]any{"displayName": "T", "name.givenName": nil, `emails[type eq "work"].value`: "w", "department": "d"}}, merge(scim.Attributes{
			"displayName": "T", "name": map[string]any{"familyName": "山田"}, enterprise: map[string]any{"department": "d"},
			"emails": []any{map[string]any{"type": "home", "value": "taro@example.net", "primary": true}, map[string]any{"type": "work", "value": "w"}},
		}), nil},
		{"override of a row that fails", []Row{{Target: "title", Expression: "1 < userName"}}, Input{Overrides: map[string]any{"title": "T"}}, merge(scim.Attributes{"title": "T"}), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.in.Asserted, tt.in.Now = asserted(), testNow
			result, err := compileUser(t, tt.rows...).Map(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, result.Effective); diff != "" {
				t.Errorf("effective (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.guesses, result.Guesses); diff != "" {
				t.Errorf("guesses (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(asserted(), tt.in.Asserted); diff != "" {
				t.Errorf("the input changed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		rows []Row
		in   Input
		want []string // kind and message
	}{
		{"empty", []Row{{Target: "title", Source: "nickName", Required: true}, {Target: "userName", Expression: `Left(userName, 0)`}}, Input{}, []string{
			"empty title: it is required and comes out empty; fill what it comes from, or give the row a default",
			"empty userName: it is required and comes out empty; fill what it comes from, or give the row a default",
		}},
		{"blanks, with other rows and without", []Row{{Target: "userName", Constant: " \t"}, {Target: `emails[type eq "work"].value`, Constant: "x"}}, Input{}, []string{
			"empty userName: it is required and comes out empty; fill what it comes from, or give the row a default",
		}},
		{"blanks as an override", nil, Input{Overrides: map[string]any{"userName": " "}}, []string{
			"empty userName: it is required and comes out empty; fill what it comes from, or give the row a default",
		}},
		{"too long", []Row{{Target: "title", Source: "userName", MaxLength: 3}}, Input{}, []string{"length title: it has 6 characters and may have 3; shorten it, for example with Left"}},
		{"characters", []Row{{Target: "title", Source: "userName", Characters: "[a-z]"}}, Input{}, []string{"characters title: it has characters, or an order of them, that the row does not allow; change the expression or the rule"}},
		{"characters of each element", []Row{{Target: "roles", Expression: `["a", "b"]`}, {Target: "urn:x:y:z", Expression: `["a", "1"]`, Characters: "[a-z]"}}, Input{},
			[]string{"characters urn:x:y:z: it has characters, or an order of them, that the row does not allow; change the expression or the rule"}},
		{"type", []Row{{Target: `emails[type eq "work"].primary`, Source: "userName"}}, Input{},
			[]string{`type emails[type eq "work"].primary: emails.primary is true or false, and the value is a text; convert it in an expression, or choose another source`}},
		{"two primary elements", []Row{{Target: "emails", Expression: `[{value: "a", primary: true}, {value: "b", primary: true}]`}}, Input{},
			[]string{"type emails: more than one element is primary; mark one of them; correct the rows or overrides of this attribute"}},
		{"longer than the index", []Row{{Target: "externalId", Expression: `let a = "0123456789012345678901234567890123456789"; let b = a+a+a+a+a; b+b+b+b+b+b`}}, Input{},
			[]string{"type externalId: the value is longer than 1024 characters; correct the rows or overrides of this attribute"}},
		{"flow ignored, and nothing asserted", []Row{{Target: "title", Expression: "IgnoreFlowIfNullOrEmpty(nickName)", Required: true}}, Input{},
			[]string{"empty title: it is required and comes out empty; fill what it comes from, or give the row a default"}},
		{"a division by zero", []Row{{Target: "title", Expression: "1 / 0"}}, Input{}, []string{"expression title: the result is no number; correct the expression, or what it reads"}},
		{"expression", []Row{{Target: "title", Expression: "userName < 1"}, {Target: "nickName", Expression: `"a" + CDate(userName)`}, {Target: "userType", Expression: "1 % (Len(userName) - 6)"}}, Input{}, []string{
			"expression title: line 1, column 10: invalid operation: string < int; correct the expression, or what it reads",
			"expression nickName: line 1, column 7: CDate: the expression is no date in a form that is understood; use FormatDateTime to say which it has; correct the expression, or what it reads",
			"expression userType: line 1, column 3: runtime error: integer divide by zero; correct the expression, or what it reads",
		}},
		{"override", []Row{{Target: "title", Source: "userName", MaxLength: 2}}, Input{Overrides: map[string]any{"title": "abc", "id": "1", "userName": nil, "name.givenName": []any{1}}}, []string{
			"type id: id is not among the attributes: meibo gives it; name an attribute that can be written",
			"type name.givenName: name.givenName is a text, and the value is a list; choose a value of the attribute's type",
			"length title: it has 3 characters and may have 2; shorten it, for example with Left",
			"empty userName: it is required and comes out empty; fill what it comes from, or give the row a default",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.in.Asserted = scim.Attributes{"userName": "Secret"}
			_, err := compileUser(t, tt.rows...).Map(tt.in)
			var got []string
			if faults, ok := errors.AsType[Faults](err); ok {
				for _, f := range faults {
					got = append(got, string(f.Kind)+" "+f.Error())
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

// TestFaultsHoldNoValues calls every function with texts and lists that it has no use for.
func TestFaultsHoldNoValues(t *testing.T) {
	t.Parallel()
	in := Input{Asserted: scim.Attributes{"userName": "SecretName", "emails": []any{map[string]any{"value": "SecretMail"}}}, Now: testNow}
	failed := 0
	for name, f := range functions {
		for _, argument := range []string{"userName", "emails", `"x"`, "1"} {
			arguments := strings.TrimSuffix(strings.Repeat(argument+", ", max(f.min, 1)), ", ")
			if f.max == 0 {
				arguments = ""
			}
			table, err := Compile(scim.Standard(scim.User), []Row{{Target: "title", Expression: name + "(" + arguments + ")"}}, testOptions)
			if err != nil {
				continue
			}
			if _, err = table.Map(in); err != nil {
				failed++
				if strings.Contains(err.Error(), "Secret") {
					t.Errorf("%s(%s): %v", name, arguments, err)
				}
			}
		}
	}
	if failed < 20 {
		t.Errorf("only %d calls failed: the test has no force", failed)
	}
}

// TestWholeResource bounds what the rows of one resource do together.
func TestWholeResource(t *testing.T) {
	t.Parallel()
	in := Input{Asserted: scim.Attributes{"userName": "a", "displayName": strings.Repeat("x", 100_000)}}
	many := func(n int, row Row) []Row {
		rows := make([]Row, n)
		for i := range rows {
			rows[i] = row
			rows[i].Target = "urn:example:" + strconv.Itoa(i) + ":x"
		}
		return rows
	}
	for name, tt := range map[string]struct {
		rows []Row
		want string
	}{
		"expressions":          {many(50, Row{Expression: "Len(displayName)"}), "all of the resource more than 4 MiB"},
		"sources":              {many(20, Row{Source: "displayName"}), "the rows assign more than 1 MiB together"},
		"as many as there may": {many(9, Row{Source: "displayName"}), ""},
		"small ones":           {many(maxRows, Row{Expression: "Len(userName)"}), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := compileUser(t, tt.rows...).Map(in)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the error is %.300v", err)
			}
		})
	}
	_, err := Compile(scim.Standard(scim.User), many(maxRows+1, Row{Constant: 1}), Options{})
	if err == nil || !strings.Contains(err.Error(), "more than 500 rows") {
		t.Errorf("the error is %v", err)
	}
}

// TestConcurrent maps different users with one table at once.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	table := compileUser(t, benchRows...)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for j := range 100 {
				user, name := benchUser(), strconv.Itoa(100*i+j)
				user["userName"] = "U" + name
				result, err := table.Map(Input{Asserted: user, Created: true, Now: testNow})
				if err != nil || result.Effective["userName"] != "u"+name || result.Effective["profileUrl"] != "https://people.example.jp/U"+name {
					t.Errorf("user %s became %v (%v)", name, result.Effective, err)
				}
			}
		})
	}
	group.Wait()
}

func TestMapAllocatesNothingWithoutRows(t *testing.T) {
	table := compileUser(t)
	in := Input{Asserted: benchUser()}
	if n := testing.AllocsPerRun(100, func() { _, _ = table.Map(in) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
