package mapping

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"meibo/scim"
)

// evaluate compiles and runs one expression on the attributes.
func evaluate(t testing.TB, source string, asserted scim.Attributes, o Options) (any, error) {
	t.Helper()
	c := compiler{def: scim.Standard(scim.User), options: o}
	p := c.expression(source)
	if len(c.problems) > 0 {
		t.Fatalf("%s: %v", source, c.problems)
	}
	ev := newEvaluator(o).get(Input{Asserted: asserted, Now: testNow})
	return ev.run(p)
}

// testNow is the time of Microsoft's example of Now.
var testNow = time.Date(2021, 7, 2, 15, 33, 38, 0, time.UTC)

// testOptions have a reader that needs no dictionary.
var testOptions = Options{DefaultDomain: "example.jp", Reader: func(name string) string {
	return map[string]string{"山田太郎": "ヤマダタロウ"}[name]
}}

// TestFunctions has, for each function, the examples of Microsoft's reference with the attributes that
// they read as nickName and title; what is our own interpretation comes after.
func TestFunctions(t *testing.T) {
	t.Parallel()
	tests := []struct {
		expression string
		nickName   string // what it reads; title is Beta throughout
		want       any
	}{
		{`Append(nickName, ".test")`, "John.Doe@contoso.com", "John.Doe@contoso.com.test"},
		{`Append(nickName, ".test")`, "", nil},
		{`Append(Mid(nickName, 1, 3), Mid("Doe", 1, 5))`, "John", "JohDoe"},
		{`BitAnd(0xF, 0xF7)`, "", 7},
		{`BitAnd("6", 3)`, "", 2},
		{`CBool(nickName == title)`, "Beta", true},
		{`CBool(0)`, "", false},
		{`CBool("False")`, "", false},
		{`CBool(nickName)`, "", false},
		{`CDate(nickName)`, "2020-03-16-07:00", "3/16/2020 7:00:00 AM"},
		{`CDate(nickName)`, "2021-06-30+08:00", "6/29/2021 4:00:00 PM"},
		{`CDate(nickName)`, "2009-06-15T01:45:30-07:00", "6/15/2009 8:45:30 AM"},
		{`CDate(nickName)`, "", nil},
		{`Coalesce(nickName, userName)`, "", "John.Doe@contoso.com"},
		{`Coalesce(nickName, userName)`, "j", "j"},
		{`Coalesce(nickName, nil, "")`, "", ""},
		{`Coalesce(nickName)`, "", nil},
		{`Coalesce(title, CDate(title))`, "", "Beta"}, // what is not needed is not evaluated
		{`ConvertToBase64("Hello world!")`, "", "SABlAGwAbABvACAAdwBvAHIAbABkACEA"},
		{`ConvertToUTF8Hex("Hello world!")`, "", "48656C6C6F20776F726C6421"},
		{`Count(emails)`, "", 2},
		{`Count(nickName)`, "", 0},
		{`Count(title)`, "", 1},
		{`CStr(true)`, "", "True"},
		{`CStr(12)`, "", "12"},
		{`CStr(1.5)`, "", "1.5"},
		{`CStr(nickName)`, "", nil},
		{`DateAdd("d", 7, CDate(nickName))`, "2012-03-16-07:00", "3/23/2012 7:00:00 AM"},
		{`DateAdd("d", -10, CDate(nickName))`, "2012-03-16-07:00", "3/6/2012 7:00:00 AM"},
		{`DateAdd("ww", 2, CDate(nickName))`, "2012-03-16-07:00", "3/30/2012 7:00:00 AM"},
		{`DateAdd("m", 10, CDate(nickName))`, "2012-03-16-07:00", "1/16/2013 7:00:00 AM"},
		{`DateAdd("yyyy", 2, CDate(nickName))`, "2012-03-16-07:00", "3/16/2014 7:00:00 AM"},
		{`DateAdd("m", 1, "2024-01-31")`, "", "2/29/2024 12:00:00 AM"},
		{`DateAdd("yyyy", 1, "2024-02-29")`, "", "2/28/2025 12:00:00 AM"},
		{`DateAdd("h", 25, "2024-01-31")`, "", "2/1/2024 1:00:00 AM"},
		{`DateAdd("n", -1, "2024-01-01")`, "", "12/31/2023 11:59:00 PM"},
		{`DateAdd("s", 300000000000, "0001-01-01")`, "", "8/17/9507 5:20:00 AM"},
		{`DateDiff("d", "2021-08-18+08:00", "2021-08-31+08:00")`, "", 13},
		{`DateDiff("d", "8/25/2021 5:41:18 PM", "2012-03-16-07:00")`, "", -3449},
		{`DateDiff("ww", "8/25/2021 5:41:18 PM", "2012-03-16-07:00")`, "", -493},
		{`DateDiff("m", "8/25/2021 5:41:18 PM", "2012-03-16-07:00")`, "", -113},
		{`DateDiff("yyyy", "8/25/2021 5:41:18 PM", "2012-03-16-07:00")`, "", -9},
		{`DateDiff("d", "2021-08-31+08:00", "2021-08-31+08:00")`, "", 0},
		{`DateDiff("h", "2021-08-24", "2021-08-25")`, "", 24},
		{`DateDiff("n", "2021-08-24", "2021-08-25")`, "", 1440},
		{`DateDiff("s", "2021-08-24", "2021-08-25")`, "", 86400},
		{`DateFromNum(129699324000000000)`, "", "1/1/2012 11:00:00 PM"},
		{`DefaultDomain()`, "", "example.jp"},
		{`FormatDateTime(nickName, nil, "yyyyMMddHHmmss.fZ", "yyyy-MM-dd")`, "20150123105347.1Z", "2015-01-23"},
		{`FormatDateTime(nickName, nil, "yyyy-MM-ddzzz", "yyyy-MM-dd")`, "2020-12-31-08:00", "2020-12-31"},
		{`FormatDateTime(nickName, nil, "M/d/yyyy hh:mm:ss tt", "yyyy-MM-dd'T'HH:mm:ss")`, "1/5/2020 01:02:03 PM", "2020-01-05T13:02:03"},
		{`FormatDateTime(nickName, "AdjustToUniversal", "dd MMM yyyy HH:mm zzz", "yyyy年M月d日 H\\h ffK")`, "31 Jan 2020 08:00 +09:00", "2020年1月30日 23h 00Z"},
		{`FormatDateTime(nickName, "", "yy/M/d", "dddd, MMMM d")`, "49/12/31", "Friday, December 31"},
		{`IIF(nickName == "USA", title, userName)`, "USA", "Beta"},
		{`IIF(nickName == "USA", title, userName)`, "Japan", "John.Doe@contoso.com"},
		{`IIF(nickName == "USA", CDate(title), "x")`, "Japan", "x"}, // the other branch is not evaluated
		{`IIF("False", 1, 2)`, "", 2},
		{`InStr("The quick brown fox", "quick")`, "", 5},
		{`InStr("repEated", "e", 3, vbBinaryCompare)`, "", 7},
		{`InStr("repEated", "e", 3, vbTextCompare)`, "", 4},
		{`InStr("repEated", "x")`, "", 0},
		{`InStr("山田太郎", "太")`, "", 3},
		{`InStr("a", "a", 9)`, "", 0},
		{`IsNull(nickName)`, "", true},
		{`IsNull("")`, "", false},
		{`IsNullOrEmpty(nickName)`, "", true},
		{`IsNullOrEmpty("")`, "", true},
		{`IsPresent(nickName)`, "", false},
		{`IsPresent(title)`, "", true},
		{`IsString(title)`, "", true},
		{`IsString(emails)`, "", false},
		{`Item(attr("emails.value"), 1)`, "", "work@contoso.com"},
		{`Item(attr("emails.value"), 3)`, "", nil},
		{`Item(Split(nickName, "."), 2)`, "a.b", "b"},
		{`Join(", ", "", name.familyName, name.givenName)`, "", "Doe, John"},
		{`Join("@", NormalizeDiacritics(StripSpaces(Join(".", "Jo hn", "Smíth"))), "contoso.com")`, "", "John.Smith@contoso.com"},
		{`Join("; ", attr("emails.value"))`, "", "work@contoso.com; home@contoso.com"},
		{`Join("", 1000, Replace(ConvertToUTF8Hex("J1"), nil, "[a-zA-Z_]*", nil, "", nil, nil))`, "", "1000431"},
		{`Left("John Doe", 3)`, "", "Joh"},
		{`Left("John Doe", 0)`, "", ""},
		{`Left("John Doe", -1)`, "", "John Doe"},
		{`Left("John", 9)`, "", "John"},
		{`Left(nickName, 3)`, "", ""},
		{`Left("山田太郎", 2)`, "", "山田"},
		{`Len(nickName)`, "山田", 2},
		{`Len(nickName)`, "", 0},
		{`Mid("John Doe", 6, 2)`, "", "Do"},
		{`Mid("John Doe", 6, 99)`, "", "Doe"},
		{`Mid("John Doe", 99, 1)`, "", ""},
		{`NormalizeDiacritics(nickName)`, "Zoë", "Zoe"},
		{`NormalizeDiacritics(nickName)`, "ǣ ß ı Ł Ṻ Øǭ x̄", "ae ss i L U OEo x"},
		{`NormalizeDiacritics(nickName)`, "がぱ й", "がぱ й"},
		{`Not("True")`, "", false},
		{`Not("False")`, "", true},
		{`Not(nickName)`, "", true},
		{`Now()`, "", "7/2/2021 3:33:38 PM"},
		{`NumFromDate("2012-01-01T23:00:00Z")`, "", 129699324000000000},
		{`NumFromDate(Join("", FormatDateTime(nickName, nil, "yyyy-MM-ddzzz", "yyyy-MM-dd"), " 23:59:59-08:00"))`, "2020-12-31-08:00", 132539615990000000},
		{`PCase(nickName)`, "PABLO GONSALVES (SECOND)", "Pablo Gonsalves (Second)"},
		{`PCase(nickName, " '-")`, "PINTO-DE'SILVA", "Pinto-De'Silva"},
		{`PCase(Join(" ", "GREGORY", "JAMES"))`, "", "Gregory James"},
		{`PCase(nickName)`, "DE'SILVA", "De'silva"},
		{`Redact(nickName)`, "a", "a"},
		{`Join(",", RemoveDuplicates(Split(nickName, ",")))`, "a,b,a", "a,b"},
		{`Replace(nickName, "Product Developer", nil, nil, "Software Engineer", nil, nil)`, "Product Developer", "Software Engineer"},
		{`Replace(nickName, "<username>", nil, nil, nil, nil, "<username>@contoso.com")`, "jsmith", "jsmith@contoso.com"},
		{`Replace(nickName, nil, "\\+(?<isdCode>\\d* )(?<phoneNumber>\\d{10})", nil, "${phoneNumber}", nil, nil)`, "+91 9998887777", "9998887777"},
		{`Replace(nickName, nil, "[()\\s-]+", nil, "", nil, nil)`, "+1 (999) 888-7777", "+19998887777"},
		{`Replace(nickName, nil, "(?<streetNumber>^\\d*)", "streetNumber", "888", nil, nil)`, "545 Tremont Street", "888 Tremont Street"},
		{`Replace(nickName, nil, "(?<Suffix>@(.)*)", "Suffix", "", nil, nil)`, "jsmith@contoso.com", "jsmith"},
		{`Replace(nickName, nil, "\\+(?<isdCode>\\d* )(?<phoneNumber>\\d{10})", "phoneNumber", nil, "+91 8887779999", nil)`, "", "8887779999"},
		{`Replace(nickName, nil, "\\+(?<isdCode>\\d* )(?<phoneNumber>\\d{10})", "phoneNumber", nil, "+91 8887779999", nil)`, "7", "7"},
		{`Replace(nickName, nil, "[a-zA-Z_]*", nil, "")`, "john_doe72", "72"},
		{`Replace(nickName, "@contoso.com", nil, nil, "")`, "john.doe@contoso.com", "john.doe"},
		{`SingleAppRoleAssignment(roles)`, "", "Admin"},
		{`Join(",", Split(nickName, ","))`, "PermissionSetOne, PermissionSetTwo", "PermissionSetOne,PermissionSetTwo"},
		{`StripSpaces(nickName)`, " a b\tc", "ab\tc"},
		{`Switch(nickName, "Australia/Sydney", "NSW", "Australia/Sydney", "QLD", "Australia/Brisbane", "SA", "Australia/Adelaide")`, "QLD", "Australia/Brisbane"},
		{`Switch(nickName, "Default Value", "true", "1", "", "0")`, "", "0"},
		{`Switch(nickName, "Default Value", "true", "1", "", "0")`, "x", "Default Value"},
		{`Switch(IsPresent(nickName), "no", "True", "yes")`, "x", "yes"},
		{`ToLower(nickName)`, "John.Smith@contoso.com", "john.smith@contoso.com"},
		{`ToLower(nickName, "tr-TR")`, "I", "ı"},
		{`ToUpper(nickName)`, "straße", "STRAßE"},
		{`ToUpper(nickName, "tr")`, "i", "İ"},
		{`Word("The quick brown fox", 3, " ")`, "", "brown"},
		{`Word("This,string!has&many separators", 3, ",!&#")`, "", "has"},
		{`Word("one", 2, " ")`, "", ""},
		{`Word("one", 0, " ")`, "", ""},
		{`Word(nickName, 1, " ")`, "", ""},

		{`Kana("山田太郎")`, "", "ヤマダタロウ"},
		{`Kana("髙橋")`, "", nil},
		{`Romanize(Kana("山田太郎"))`, "", "Yamadataro"},
		{`attr("emails[type eq \"home\"].value")`, "", "home@contoso.com"},
		{`attr("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department")`, "", "Sales"},
		{`department`, "", "Sales"},
		{`attr("urn:example:badge:1.0:User:number")`, "", 7},
		{`emails[1].value`, "", "home@contoso.com"},
		{`emails[9].value`, "", nil},
		{`emails[0]["type"]`, "", "work"},
		{`"a" in ["b", "a"]`, "", true},
		{`"a" not in ["b", "a"]`, "", false},
		{`nickName contains "b" and title startsWith "Be" or not (title endsWith "a")`, "abc", true},
		{`nickName contains "b"`, "", false},
		{`nickName + "x"`, "", "x"},
		{`1 + 2 * 3 - 4 / 2`, "", 5.0},
		{`1 + "a" + 2`, "", "1a2"},
		{`7 % 4`, "", 3},
		{`let a = nickName; let b = a + a; b + a`, "x", "xxx"},
		{`nickName ?? "none"`, "", "none"},
		{`nickName == nil ? "none" : nickName`, "", "none"},
		{`if active { "on" } else { "off" }`, "", "on"},
		{`nickName | Append("b") | ToUpper()`, "a", "AB"},
	}
	for _, tt := range tests {
		t.Run(tt.expression, func(t *testing.T) {
			t.Parallel()
			asserted := scim.Attributes{
				"userName": "John.Doe@contoso.com", "title": "Beta", "active": true,
				"name": map[string]any{"givenName": "John", "familyName": "Doe"},
				"emails": []any{
					map[string]any{"type": "work", "value": "work@contoso.com"},
					map[string]any{"type": "home", "value": "home@contoso.com"},
				},
				"roles": []any{map[string]any{"primary": true, "value": `{"id":"18d1","value":"Admin","displayName":"Administrator"}`}},
				"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": map[string]any{"department": "Sales"},
				"urn:example:badge:1.0:User":                                 map[string]any{"number": json.Number("7")},
			}
			if tt.nickName != "" {
				asserted["nickName"] = tt.nickName
			}
			got, err := evaluate(t, tt.expression, asserted, testOptions)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
		})
	}
}

// TestFunctionErrors has what functions refuse when they are called. nickName is x.
func TestFunctionErrors(t *testing.T) {
	t.Parallel()
	tests := []struct{ expression, want string }{
		{`Append(emails, "x")`, "Append: source must be a text, and is a list"},
		{`Append("x", name)`, "Append: suffix must be a text, and is an object"},
		{`BitAnd(1.5, 1)`, "BitAnd: value1 must be a whole number, and is a number"},
		{`BitAnd(1, nickName)`, "BitAnd: value2 must be a whole number, and is a text"},
		{`CBool("maybe")`, "CBool: a condition must be true or false, and is a text"},
		{`IIF(emails, 1, 2)`, "a condition must be true or false, and is a list"},
		{`not emails`, "a condition must be true or false, and is a list"},
		{`CDate("31.01.2020")`, "CDate: the expression is no date in a form that is understood; use FormatDateTime to say which it has"},
		{`CDate("10000-01-01")`, "CDate: the expression is no date in a form that is understood; use FormatDateTime to say which it has"},
		{`DateAdd("w", 1, "2020-01-01")`, "DateAdd: the interval must be one of yyyy, m, d, ww, h, n and s"},
		{`DateAdd("yyyy", 9000, "2020-01-01")`, "DateAdd: the date is outside the years 1 to 9999"},
		{`DateAdd("s", 9223372036854775807, "2020-01-01")`, "DateAdd: value is out of all proportion"},
		{`DateAdd("yyyy", -300000000000, "2020-01-01")`, "DateAdd: the date is outside the years 1 to 9999"},
		{`DateDiff("q", "2020-01-01", "2020-01-01")`, "DateDiff: the interval must be one of yyyy, m, d, ww, h, n and s"},
		{`DateFromNum(-1)`, "DateFromNum: value is no date of Active Directory"},
		{`DateFromNum(9223372036854775807)`, "DateFromNum: value is no date of Active Directory"},
		{`NumFromDate("1600-12-31")`, "NumFromDate: the date is outside Active Directory's time, which begins in 1601"},
		{`FormatDateTime("2020", nil, "yyyy", "d")`, "FormatDateTime: a format must be a custom one such as yyyy-MM-dd"},
		{`FormatDateTime("2020", nil, "yyyy", "yyyy'x")`, "FormatDateTime: a format has a quote that does not end"},
		{`FormatDateTime("2020", nil, "yyyyy", "yyyy")`, "FormatDateTime: a format has yyyyy, which is not supported"},
		{`FormatDateTime("2020", nil, "yyyy", "yyyyy")`, "FormatDateTime: a format has yyyyy, which is not supported"},
		{`FormatDateTime("2020", nil, "yyyyFF", "yyyy")`, "FormatDateTime: a format has FF, which is not supported"},
		{`FormatDateTime("01", nil, "MMMMM", "yyyy")`, "FormatDateTime: a format has MMMMM, which is not supported"},
		{`FormatDateTime("01", nil, "HHH", "yyyy")`, "FormatDateTime: a format has HHH, which is not supported"},
		{`FormatDateTime("1 a", nil, "h t", "yyyy")`, "FormatDateTime: a format has t, which is not supported"},
		{`FormatDateTime("1", nil, "ffffffff", "yyyy")`, "FormatDateTime: a format has ffffffff, which is not supported"},
		{`FormatDateTime("1", nil, "zzzz", "yyyy")`, "FormatDateTime: a format has zzzz, which is not supported"},
		{`FormatDateTime("2020", "AssumeLocal", "yyyy", "yyyy")`, "FormatDateTime: dateTimeStyles may be AdjustToUniversal, AssumeUniversal, RoundtripKind or nil"},
		{`FormatDateTime("2020-02-30", nil, "yyyy-MM-dd", "yyyy")`, "FormatDateTime: the source is no date in its inputFormat"},
		{`FormatDateTime("2020-02-28x", nil, "yyyy-MM-dd", "yyyy")`, "FormatDateTime: the source is no date in its inputFormat"},
		{`FormatDateTime("2020/02/28", nil, "yyyy-MM-dd", "yyyy")`, "FormatDateTime: the source is no date in its inputFormat"},
		{`FormatDateTime("13:00 PM", nil, "hh:mm tt", "yyyy")`, "FormatDateTime: the source is no date in its inputFormat"},
		{`FormatDateTime("1:00 XM", nil, "h:mm tt", "yyyy")`, "FormatDateTime: the source is no date in its inputFormat"},
		{`FormatDateTime("1:00 ", nil, "h:mm tt", "yyyy")`, "FormatDateTime: the source is no date in its inputFormat"},
		{`FormatDateTime("31 Foo", nil, "dd MMM", "yyyy")`, "FormatDateTime: the source is no date in its inputFormat"},
		{`FormatDateTime("2020 +9", nil, "yyyy zzz", "yyyy")`, "FormatDateTime: the source is no date in its inputFormat"},
		{`FormatDateTime("20", nil, "yyyy", "yyyy")`, "FormatDateTime: the source is no date in its inputFormat"},
		{`InStr("a", "b", 0)`, "InStr: start must be 1 or more"},
		{`InStr("a", "b", "x")`, "InStr: start must be a whole number, and is a text"},
		{`Item(emails, 0)`, "Item: index must be 1 or more"},
		{`Item(emails, nil)`, "Item: index must be a whole number, and is empty"},
		{`Join(",", emails)`, "Join: each source must be a text, and is an object"},
		{`Kana(emails)`, "Kana: the name must be a text, and is a list"},
		{`Left("a", "b")`, "Left: numChars must be a whole number, and is a text"},
		{`Mid("a", 0, 1)`, "Mid: start must be 1 or more, and length 0 or more"},
		{`Mid("a", 1, -1)`, "Mid: start must be 1 or more, and length 0 or more"},
		{`Replace("a", "", nil, nil, "b")`, "Replace: oldValue is empty"},
		{`Replace("a", nil, "(?<g>a)", nickName, "b")`, "Replace: the regular expression has no group of that name"},
		{`Romanize(Join("", "` + strings.Repeat("ア", 201) + `"))`, "Romanize: the name is too long to be one"},
		{`SingleAppRoleAssignment(["a", "b"])`, "SingleAppRoleAssignment: there are several roles and none of them is primary; use AppRoleAssignmentsComplex"},
		{`AppRoleAssignmentsComplex([1])`, "AppRoleAssignmentsComplex: each role must be an object or a text"},
		{`Split("a", "")`, "Split: the delimiter is empty"},
		{`Switch("a", "b", "c")`, "Switch: after source and default come pairs of a key and a value"},
		{`Switch("a", "b", emails, "c")`, "Switch: key1 must be a text, and is a list"},
		{`ToLower("a", "no such culture")`, "ToLower: the culture is none; write one such as ja-JP"},
		{`Word("a", "x", " ")`, "Word: wordNumber must be a whole number, and is a text"},
		{`emails[nil]`, "what stands in brackets must be a name or a whole number, and is empty"},
		{`emails + "a"`, "+ joins texts and adds numbers, and one side is a list"},
		{`emails contains "a"`, "only texts can be compared so, not a list and a text"},
		{`1 in "abc"`, "what stands right of in must be a list, and is a text"},
		{`nickName < 1`, "invalid operation: string < int"},
		{`title < 1`, "invalid operation: <nil> < int"},
		{`-nickName`, "invalid operation: - string"},
		{`1 / 0`, "the result is no number"},
	}
	asserted := scim.Attributes{"nickName": "x", "name": map[string]any{"givenName": "y"}, "emails": []any{map[string]any{"value": "z"}}}
	for _, tt := range tests {
		t.Run(tt.expression, func(t *testing.T) {
			t.Parallel()
			got, err := evaluate(t, tt.expression, asserted, testOptions)
			if err == nil {
				t.Fatalf("it gives %v", got)
			}
			if !strings.HasSuffix(err.Error(), tt.want) {
				t.Errorf("the error is\n%v, not\n%s", err, tt.want)
			}
		})
	}
}
