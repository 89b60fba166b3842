package scim

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseJSON(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		want       any
	}{
		{"scalars", `[null,true,false,"a",""]`, []any{nil, true, false, "a", ""}},
		{"numbers keep their text", `[1,1.50,-0,0e5,1e3,12345678901234567890]`,
			[]any{json.Number("1"), json.Number("1.50"), json.Number("-0"), json.Number("0e5"), json.Number("1e3"), json.Number("12345678901234567890")}},
		{"escapes", `"\"\\\/\b\f\n\r\t\u0041\u00e9"`, "\"\\/\b\f\n\r\tA\u00e9"},
		{"surrogate pair", `"\ud83d\uDE00"`, "\U0001F600"},
		{"an escaped backslash before u", `"\\u0000\\ud800"`, `\u0000\ud800`},
		{"brackets in strings do not nest", `"` + strings.Repeat("[", 100) + `"`, strings.Repeat("[", 100)},
		{"32 levels", strings.Repeat("[", 32) + strings.Repeat("]", 32), nested(32)},
		{"blanks around", " \r\n\t{\"a\" : 1 } \n", map[string]any{"a": json.Number("1")}},
		{"replacement character", "\"\ufffd\"", "\ufffd"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseJSON([]byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			if !Equal(c.want, got) { // not cmp.Diff, which doubles its time with each level
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// TestParseJSONManyMembers reads the longest lists of members that a body of 16 MiB holds.
func TestParseJSONManyMembers(t *testing.T) {
	t.Parallel()
	const n = 250_000
	v, err := ParseJSON(membersBody(n))
	if err != nil {
		t.Fatal(err)
	}
	if list, _ := v.([]any); len(list) != n || !Equal(list[0], list[n-1]) {
		t.Errorf("%d members, want %d that are equal", len(list), n)
	}
}

// membersBody is a list of members as Entra ID sends them.
func membersBody(n int) []byte {
	member := []byte(`{"$ref":null,"value":"7f3c1f5e-0b7a-4c39-9d53-0f1e2d3c4b5a"},`)
	body := append([]byte{'['}, bytes.Repeat(member, n)...)
	body[len(body)-1] = ']'
	return body
}

// BenchmarkParseJSON tells what a member takes.
func BenchmarkParseJSON(b *testing.B) {
	const n = 1000
	body := membersBody(n)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseJSON(body); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/member")
}

func nested(levels int) any {
	list := []any{}
	for range levels - 1 {
		list = []any{list}
	}
	return list
}

func TestParseJSONRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		want       ErrorType
		detail     string
	}{
		{"nothing", "", InvalidSyntax, "the body is empty"},
		{"blanks", " \n", InvalidSyntax, "the body is empty"},
		{"end missing", `{"a":1`, InvalidSyntax, "byte 7: the JSON value ends too early"},
		{"end of a string missing", `{"a":"x`, InvalidSyntax, "byte 8: the JSON value ends too early"},
		{"end of an escape missing", `"\u00`, InvalidSyntax, "ends too early"},
		{"no JSON", `{"a":x}`, InvalidSyntax, "byte 6: this is not valid JSON"},
		{"bad escape", `"\u12G4"`, InvalidSyntax, "not valid JSON"},
		{"raw control character", "\"a\x01\"", InvalidSyntax, "byte 3: this is not valid JSON"},
		{"raw NUL", "\"a\x00\"", InvalidSyntax, "byte 3: this is not valid JSON"},
		{"second value", `{} {}`, InvalidSyntax, "byte 3: there is text after"},
		{"invalid UTF-8", "{\"a\":\"x\xff\"}", InvalidSyntax, "byte 8: the text is not valid UTF-8"},
		{"encoded surrogate", "\"\xed\xa0\x80\"", InvalidSyntax, "byte 2: the text is not valid UTF-8"},
		{"byte order mark", "\ufeff{}", InvalidSyntax, "byte 1: this is not valid JSON"},
		{"NUL", `{"a":"x\u0000"}`, InvalidValue, "byte 8: a string holds the NUL character"},
		{"NUL in a name", `{"\u0000":1}`, InvalidValue, "byte 3: a string holds the NUL character"},
		{"lone high surrogate", `"\ud83dx"`, InvalidSyntax, "byte 2: a \\u escape is half"},
		{"two high surrogates", `"\ud83d\ud83d"`, InvalidSyntax, "byte 2: a \\u escape is half"},
		{"lone low surrogate", `"ab\ude00"`, InvalidSyntax, "byte 4: a \\u escape is half"},
		{"high surrogate at the end", `"\ud83d"`, InvalidSyntax, "byte 2: a \\u escape is half"},
		{"33 levels", strings.Repeat(`{"a":`, 33), InvalidSyntax, "byte 161: the value is nested more than 32"},
		{"large number", `[1e999]`, InvalidValue, "byte 2: a number is too large"},
		{"small number", `[1e-999]`, InvalidValue, "byte 2: a number is too large or too small"},
		{"long number", `[` + strings.Repeat("1", 65) + `]`, InvalidValue, "byte 2: a number is longer than 64"},
		{"no number", `[1-2]`, InvalidSyntax, "byte 3: this is not valid JSON: expected \",\" or \"]\", found '-'"},
		{"a leading zero", `[01]`, InvalidSyntax, "byte 3: this is not valid JSON"},
		{"a name without quotes", `{a:1}`, InvalidSyntax, "byte 2: this is not valid JSON: expected a name"},
		{"a comma at the end", `{"a":1,}`, InvalidSyntax, "byte 8: this is not valid JSON"},
		{"a word cut short", `[tru]`, InvalidSyntax, "byte 5: this is not valid JSON: expected true"},
		{"a name twice", `{"a":[{"b":1,"c":2,"\u0062":3}]}`, InvalidSyntax, "byte 20: the name is given twice in one object"},
		{"too many values", "[" + strings.Repeat("0,", maxValues) + "0]", InvalidValue, "byte 2000000: the body holds too many values"},
		{"too many objects", "[" + strings.Repeat(`{"":0},`, maxValues/2) + "0]", InvalidValue, "in several requests"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v, err := ParseJSON([]byte(c.text))
			checkFault(t, err, c.want, "", c.detail)
			if v != nil {
				t.Errorf("value %v beside an error", v)
			}
		})
	}
}

// checkFault compares an error with the fault that is wanted; detail is a part of its Detail.
func checkFault(t *testing.T, err error, want ErrorType, path, detail string) {
	t.Helper()
	fault, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("error %v, want an *Error of type %s", err, want)
	}
	if fault.Type != want || fault.Path != path || !strings.Contains(fault.Detail, detail) {
		t.Errorf("error %#v, want type %s, path %q and %q in the detail", *fault, want, path, detail)
	}
}

func TestEncode(t *testing.T) {
	t.Parallel()
	d := Standard(User)
	a := Attributes{
		"urn:z:ext":  map[string]any{"b": []any{"x", json.Number("1.0"), true}, "a": map[string]any{}},
		"urn:a:ext":  map[string]any{"k": "v"},
		"active":     false,
		"externalId": "1",
		"userName":   "<&>\"\\\n\r\t\b\x7f\u2028\U0001F600",
		"emails":     []any{map[string]any{"primary": true, "type": "work", "value": "v"}},
		"name":       map[string]any{"givenName": "g", "familyName": "f"},
		EnterpriseUserSchema: map[string]any{
			"manager": map[string]any{"$ref": "r", "value": "m"}, "employeeNumber": "7",
		},
	}
	want := `{"schemas":["` + UserSchema + `","` + EnterpriseUserSchema + `","urn:a:ext","urn:z:ext"],` +
		`"externalId":"1","userName":"<&>\"\\\n\r\t\u0008` + "\x7f\u2028\U0001F600" + `","name":{"familyName":"f","givenName":"g"},"active":false,` +
		`"emails":[{"value":"v","type":"work","primary":true}],"` + EnterpriseUserSchema + `":{"employeeNumber":"7","manager":{"value":"m","$ref":"r"}},` +
		`"urn:a:ext":{"k":"v"},"urn:z:ext":{"a":{},"b":["x",1.0,true]}}`
	got := d.Encode(a)
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	back, err := d.Decode(got)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a, back); diff != "" {
		t.Errorf("decoded (-want +got):\n%s", diff)
	}
}

func TestEncodeOfNothing(t *testing.T) {
	t.Parallel()
	if got, want := string(Standard(Group).Encode(nil)), `{"schemas":["`+GroupSchema+`"]}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestEncodeReplacesInvalidText(t *testing.T) {
	t.Parallel()
	got := string(AppendString(nil, "a\xff\u00e9\xc3"))
	if want := "\"a\ufffd\u00e9\ufffd\""; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestEncodeAllocates(t *testing.T) {
	d, a := Standard(User), exampleUser(t)
	if n := testing.AllocsPerRun(100, func() { d.Encode(a) }); n > 2 {
		t.Errorf("%v allocations, want at most 2", n)
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{"", "null", "[]", `{"a":1`, `{} {}`} {
		a, err := Standard(User).Decode([]byte(doc))
		if _, isRequest := errors.AsType[*Error](err); err == nil || isRequest || a != nil {
			t.Errorf("%q: %v, %v; want an error that blames no request", doc, a, err)
		}
	}
}

func TestEqual(t *testing.T) {
	t.Parallel()
	object := func(v any) map[string]any { return map[string]any{"a": v} }
	for _, c := range []struct {
		name string
		a, b any
		want bool
	}{
		{"nothing", nil, nil, true},
		{"nothing and an empty string", nil, "", false},
		{"strings", "a", "a", true},
		{"case", "a", "A", false},
		{"types", "true", true, false},
		{"a number and its text", json.Number("1"), "1", false},
		{"numbers by text", json.Number("1"), json.Number("1.0"), false},
		{"booleans", true, true, true},
		{"lists", []any{"a", "b"}, []any{"a", "b"}, true},
		{"order", []any{"a", "b"}, []any{"b", "a"}, false},
		{"length", []any{"a"}, []any{"a", "a"}, false},
		{"objects", object("x"), object("x"), true},
		{"other value", object("x"), object("y"), false},
		{"other name", object("x"), map[string]any{"b": "x"}, false},
		{"more names", object("x"), map[string]any{"a": "x", "b": "x"}, false},
		{"attributes and an object", Attributes(object("x")), object("x"), true},
		{"deep", object([]any{object("x")}), object([]any{object("y")}), false},
		{"object and list", object("x"), []any{"x"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if Equal(c.a, c.b) != c.want || Equal(c.b, c.a) != c.want {
				t.Errorf("Equal(%v, %v) is not %v both ways", c.a, c.b, c.want)
			}
		})
	}
}

func exampleUser(t testing.TB) Attributes {
	t.Helper()
	a, err := Standard(User).Validate(parseObject(t, []byte(`{
		"schemas": ["`+UserSchema+`", "`+EnterpriseUserSchema+`"],
		"userName": "hanako@example.com", "externalId": "0a21", "active": true, "displayName": "Yamada Hanako",
		"name": {"familyName": "Yamada", "givenName": "Hanako"},
		"emails": [{"value": "hanako@example.com", "type": "work", "primary": true}, {"value": "h@home.example", "type": "home"}],
		"phoneNumbers": [{"value": "+81 90 0000 0000", "type": "mobile"}],
		"`+EnterpriseUserSchema+`": {"employeeNumber": "7", "department": "Sales", "manager": {"value": "m-1"}}
	}`)))
	if err != nil {
		t.Fatal(err)
	}
	return a
}
