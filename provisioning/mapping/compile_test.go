package mapping

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"meibo/scim"
)

func TestProblems(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		rows []Row
		want []string // "row key: detail"; the remedy is never empty
	}{
		{"nothing wrong", []Row{{Target: "USERNAME", Source: "externalid"}, {Target: "nickName"}}, nil},
		{"target", []Row{{}, {Target: "foo"}, {Target: "name."}, {Target: "emails.value", Source: "userName"}, {Target: `name[x eq "1"]`}}, []string{
			"1 target: it is missing",
			"2 target: there is no attribute foo",
			`3 target: position 6: expected the name of one sub-attribute of name`,
			"4 target: emails.value is part of any number of elements",
			"5 target: position 1: only a multi-valued complex attribute takes a filter in brackets, and name is none",
		}},
		{"targets that are not mapped", []Row{
			{Target: "id", Source: "userName"}, {Target: "meta.created", Source: "userName"}, {Target: "groups", Source: "userName"}, {Target: "password", Source: "userName"},
			{Target: "schemas", Source: "userName"}, {Target: "active", Constant: true}, {Target: "manager.displayName", Source: "userName"},
			{Target: scim.EnterpriseUserSchema, Source: "userName"},
		}, []string{
			"1 target: id is not among the attributes: meibo gives it",
			"2 target: meta is not among the attributes: meibo keeps it",
			"3 target: groups is not among the attributes: it follows from the groups' members",
			"4 target: password is not among the attributes: passwords are not kept",
			"5 target: schemas is not among the attributes: it follows from the attributes",
			"6 target: whether an account works is not mapped",
			"7 target: " + scim.EnterpriseUserSchema + ":manager.displayName is read-only",
			"8 target: " + scim.EnterpriseUserSchema + " is a whole extension",
		}},
		{"several sources", []Row{{Target: "title", Source: "userName", Constant: "x"}, {Target: "nickName", Source: "userName", Constant: "x", Expression: "title"}}, []string{
			"1 constant: the row has source and constant",
			"2 constant: the row has source and constant and expression",
		}},
		{"mandatory", []Row{{Target: "userName"}, {Target: "title", Required: true}}, []string{
			"1 target: userName is mandatory and cannot be unassigned",
			"2 required: the row unassigns what it requires",
		}},
		{"twice", []Row{{Target: "department", Source: "title"}, {Target: "title", Source: "nickName"}, {Target: scim.EnterpriseUserSchema + ":DEPARTMENT", Source: "title"}}, []string{
			"3 target: an earlier row has the same target",
		}},
		{"whole after part", []Row{{Target: "name.formatted", Source: "title"}, {Target: "name", Source: "name"}, {Target: `emails[type eq "work"].value`, Source: "title"}, {Target: "emails", Source: "emails"}}, []string{
			"2 target: an earlier row assigns a part of name, which this row would overwrite",
			"4 target: an earlier row assigns a part of emails, which this row would overwrite",
		}},
		{"part after whole", []Row{{Target: "emails", Source: "emails"}, {Target: `emails[type eq "work"].value`, Source: "title"}}, nil},
		{"source", []Row{{Target: "title", Source: "id"}, {Target: "title", Source: "password"}, {Target: "nickName", Source: "emails.value"}, {Target: "userType", Source: "name"}}, []string{
			"1 source: id is not among the attributes: meibo gives it",
			"2 source: password is not among the attributes: passwords are not kept",
			"3 source: emails.value has any number of values, and nickName has one",
			"4 source: name is complex, and userType is a string",
			"2 target: an earlier row has the same target",
		}},
		{"constants", []Row{
			{Target: "title", Constant: []any{"a"}}, {Target: `emails[type eq "work"].primary`, Constant: "yes"}, {Target: "name", Constant: map[string]any{"nick": "x"}},
			{Target: "nickName", Source: "title", Default: map[string]any{"a": 1}}, {Target: "userType", Constant: ""}, {Target: "locale", Constant: "a\x00"},
		}, []string{
			"1 constant: title is a text, and the value is a list",
			"2 constant: emails.primary is true or false, and the value is a text",
			`3 constant: name has no sub-attribute "nick"`,
			"4 default: nickName is a text, and the value is an object",
			"5 constant: it is empty, which is the same as no value",
			"6 constant: locale gets text that no attribute can have: it has a NUL character or is not UTF-8",
		}},
		{"constants of the right type", []Row{
			{Target: "title", Constant: 5}, {Target: `emails[type eq "work"].primary`, Constant: "True"}, {Target: "roles", Constant: "Admin"}, {Target: "name", Constant: map[string]any{"givenName": "x"}},
			{Target: "urn:a:b:c", Constant: map[string]any{"x": []any{1.5, nil}}},
		}, nil},
		{"rules", []Row{{Target: "title", Source: "title", MaxLength: -1, Characters: "("}, {Target: "nickName", Source: "title", Characters: "(a{900}){2}"}, {Target: "userType", Source: "title", Characters: "a)|(b"}}, []string{
			"1 maxLength: it is negative",
			`1 characters: the regular expression cannot be read: missing closing ): (`,
			"2 characters: the regular expression cannot be read: invalid repeat count: {2}",
			"3 characters: the regular expression cannot be read: unexpected ): a)|(b",
		}},
		{"expression", []Row{{Target: "title", Expression: "Left(userName,\n 3"}, {Target: "nickName", Expression: "ToLower(foo) + tolower(userName) + id"}}, []string{
			"1 expression: line 2, column 2: unexpected token EOF",
			"2 expression: line 1, column 9: there is no attribute foo",
			"2 expression: line 1, column 16: there is no function tolower; names have their case: write ToLower",
			"2 expression: line 1, column 36: id is not among the attributes: meibo gives it",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Compile(scim.Standard(scim.User), tt.rows, testOptions)
			if diff := cmp.Diff(tt.want, problemLines(t, err)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

// problemLines is what is wrong, without the remedies, of which there must be one each.
func problemLines(t *testing.T, err error) (lines []string) {
	t.Helper()
	if err == nil {
		return nil
	}
	problems, ok := errors.AsType[Problems](err)
	if !ok {
		t.Fatalf("the error is %T, not Problems", err)
	}
	for _, p := range problems {
		if p.Remedy == "" {
			t.Errorf("no remedy for %s", p.Detail)
		}
		lines = append(lines, string(rune('1'+p.Row))+" "+p.Key+": "+p.Detail)
	}
	if strings.Count(err.Error(), "\n") < len(problems)-1 {
		t.Errorf("not every problem has a line: %v", err)
	}
	return lines
}

func TestGroupTargets(t *testing.T) {
	t.Parallel()
	_, err := Compile(scim.Standard(scim.Group), []Row{{Target: "members", Constant: "x"}, {Target: "displayName"}, {Target: "displayName", Expression: "userName"}}, Options{})
	want := []string{
		"1 target: members is not among the attributes: members are kept apart from the attributes",
		"2 target: displayName is mandatory and cannot be unassigned",
		"3 expression: line 1, column 1: there is no attribute userName",
		"3 target: an earlier row has the same target",
	}
	if diff := cmp.Diff(want, problemLines(t, err)); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

// TestRefusedSyntax has what the library would run and mappings do not: what loops, what grows without
// being counted, what is not the same every time, and what reaches beyond the attributes.
func TestRefusedSyntax(t *testing.T) {
	t.Parallel()
	tests := []struct{ expression, want string }{
		{`filter(emails, .primary)`, "there is no function filter"},
		{`let a = [1]; count(a, count(a, # > 3) == 8)`, "there is no function count"},
		{`reduce([1], #acc + #)`, "there is no function reduce"},
		{`1..9000`, "the operator .."},
		{`repeat("a", 5)`, "there is no function repeat"},
		{`2 ** 3`, "the operator **"},
		{`2 ^ 3`, "the operator ^"},
		{`userName matches "(a+)+$"`, "matches is not part"},
		{`userName[1:2]`, "a range in brackets"},
		{`now()`, "write Now"},
		{`len(userName)`, "write Len"},
		{`trim(userName)`, "there is no function trim"},
		{`$env`, "there is no attribute $env"},
		{`$env["options"]`, "there is no attribute $env"},
		{`$env.options`, "there is no attribute"},
		{`userName.ToLower()`, "only functions can be called"},
		{`(1)()`, "unexpected token"},
		{`"a"; "b"`, "more than one expression"},
		{`{(userName): 1}`, "must be a constant"},
		{`attr(userName)`, "attr needs a constant text"},
		{`attr("foo")`, "there is no attribute foo"},
		{`#`, "unexpected token"},
		{`let ToLower = 1; ToLower`, "cannot redeclare"},
		{`let a = 1; let a = 2; a`, "cannot redeclare"},
		{`Guid()`, "Guid is not available"},
		{`RandomString(6,3,0,0,3)`, "RandomString is not available"},
		{`SelectUniqueValue(userName, title)`, "SelectUniqueValue is not available"},
		{`Append(IgnoreFlowIfNullOrEmpty(title), "x")`, "around the whole expression"},
		{`Left(userName)`, "at least 2: Left(string, numChars)"},
		{`Len(userName, 2)`, "at most 1"},
		{`Replace(userName, "a")`, "combination of arguments"},
		{`Replace(userName, nil, title, nil, "")`, "constant text"},
		{`Replace(userName, nil, "(", nil, "")`, "cannot be read"},
		{`Replace(userName, nil, "(a{30}b{30}){30}", nil, "")`, "repeats too much"},
		{`Replace(userName, nil, "` + strings.Repeat("(a)", 21) + `", nil, "")`, "more than 20 groups"},
		{`Replace(userName, nil, "` + strings.Repeat("a", 1001) + `", nil, "")`, "longer than 1000"},
		{`Replace(userName, nil, "(?<a>x)", "b", "")`, `no group named "b"`},
		{strings.Repeat("a", maxSource+1), "longer than 10000 characters"},
		{strings.Repeat("(", 100_000), "longer than 10000 characters"},
		{strings.Repeat("(", maxSource), "unexpected token EOF"},
		{strings.Repeat("[", maxSource/2) + strings.Repeat("]", maxSource/2), "exceeds maximum allowed nodes"},
		{strings.Repeat("-", maxSource-1) + "1", "exceeds maximum allowed nodes"},
		{"1" + strings.Repeat("+1", maxNodes), "exceeds maximum allowed nodes"},
	}
	for _, tt := range tests {
		t.Run(tt.expression[:min(60, len(tt.expression))], func(t *testing.T) {
			t.Parallel()
			_, err := Compile(scim.Standard(scim.User), []Row{{Target: "title", Expression: tt.expression}}, Options{})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the error is %v, which lacks %q", err, tt.want)
			}
		})
	}
	t.Run("default domain", func(t *testing.T) {
		t.Parallel()
		_, err := Compile(scim.Standard(scim.User), []Row{{Target: "title", Expression: "DefaultDomain()"}}, Options{})
		if err == nil || !strings.Contains(err.Error(), "no default domain is set") {
			t.Errorf("the error is %v", err)
		}
	})
}
