package campaign

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
)

// mutation spoils one thing in a well-formed request.
type mutation struct {
	family string
	name   string // unique within the family; what it does
	fits   func(*shot) bool
	spoil  func(*rand.Rand, *shot)
	status int    // what the answer must be, for the mutations that are not in the table of tolerated ones
	typ    string // the answer's scimType; "" where the status says all
	by     author
	rare   bool // costs much: a small part of the shots
}

// author is who answers: it decides what a body must look like.
type author int

const (
	byEndpoint author = iota // a SCIM error with a correlation id
	byFront                  // a problem document: the address is none of SCIM's
	byLibrary                // what Go's HTTP server says before any handler runs: text
	bySilence                // the connection ends without an answer
)

func (m mutation) String() string { return m.family + "/" + m.name }

// mutations are all of them.
func mutations() []mutation {
	return slices.Concat(jsonMutations(), typeMutations(), valueMutations(), patchMutations(), filterMutations(), pathMutations(),
		queryMutations(), addressMutations(), methodMutations(), headerMutations(), authMutations(), conditionMutations(),
		framingMutations(), lineMutations(), garbageMutations(), sizeMutations())
}

func badRequest(family, name, typ string, fits func(*shot) bool, spoil func(*rand.Rand, *shot)) mutation {
	return mutation{family: family, name: name, fits: fits, spoil: spoil, status: http.StatusBadRequest, typ: typ}
}

func anyShot(*shot) bool         { return true }
func writing(s *shot) bool       { return s.writes() }
func sendsResource(s *shot) bool { return s.resource() }
func isPatching(s *shot) bool    { return s.shape == patching }
func isListing(s *shot) bool     { return s.shape == listing }
func plantable(s *shot) bool     { return s.writes() && s.plantable() }
func hasDefinition(s *shot) bool { return s.def != nil }
func namesResource(s *shot) bool {
	return s.shape == putting || s.shape == patching || s.shape == deleting || s.shape == getting
}
func changesResource(s *shot) bool {
	return s.shape == putting || s.shape == patching || s.shape == deleting
}
func readsOnly(s *shot) bool {
	return s.shape == getting || s.shape == listing || s.shape == discovering
}
func keeps(s *shot) bool { return s.shape != deleting }
func both(f, g func(*shot) bool) func(*shot) bool {
	return func(s *shot) bool { return f(s) && g(s) }
}

// jsonMutations break the text of a body, which no grammar then covers.
func jsonMutations() []mutation {
	const family = "json"
	text := func(name, typ string, change func(rng *rand.Rand, body string) string) mutation {
		return badRequest(family, name, typ, writing, func(rng *rand.Rand, s *shot) { s.text = change(rng, s.body()) })
	}
	fixed := func(name, body string) mutation {
		return text(name, "invalidSyntax", func(*rand.Rand, string) string { return body })
	}
	swapped := func(name, old, new string) mutation {
		return text(name, "invalidSyntax", func(rng *rand.Rand, body string) string { return swapSome(rng, body, old, new) })
	}
	planted := func(name, typ, fragment string) mutation {
		return badRequest(family, name, typ, plantable, func(rng *rand.Rand, s *shot) { s.plant(rng, fragment) })
	}
	added := func(name, typ, member string) mutation {
		return text(name, typ, func(_ *rand.Rand, body string) string { return strings.Replace(body, "{", "{"+member+",", 1) })
	}
	return []mutation{
		text("cut off", "invalidSyntax", func(rng *rand.Rand, body string) string { return body[:1+rng.IntN(len(body)-1)] }),
		text("text after", "invalidSyntax", func(rng *rand.Rand, body string) string {
			return body + []string{"}", "]", ",", "{}", "null", " x", "\n{}", "\x00", "//"}[rng.IntN(9)]
		}),
		text("text before", "invalidSyntax", func(rng *rand.Rand, body string) string {
			return []string{"}", ",", "{", "[", "x", "\x00", "<?xml?>", ")]}',\n", "\u00a0", "\f", "\ufeff"}[rng.IntN(11)] + body
		}),
		text("UTF-16", "invalidSyntax", func(_ *rand.Rand, body string) string { return "\xff\xfe" + wide(body) }),
		text("UTF-16 without mark", "invalidSyntax", func(_ *rand.Rand, body string) string { return wide(body) }),
		text("in an array", "invalidSyntax", func(_ *rand.Rand, body string) string { return "[" + body + "]" }),
		text("in a string", "invalidSyntax", func(_ *rand.Rand, body string) string { return fmt.Sprintf("%q", body) }),
		text("twice", "invalidSyntax", func(_ *rand.Rand, body string) string { return body + body }),
		fixed("null", "null"), fixed("number", "7"), fixed("word", "true"), fixed("empty array", "[]"), fixed("blank", " \r\n\t"),
		fixed("form", "userName=kim&active=true"), fixed("XML", "<user><userName>kim</userName></user>"), fixed("YAML", "userName: kim"),
		fixed("binary", "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x01"), fixed("brackets", strings.Repeat("[", 100_000)),
		fixed("braces", strings.Repeat(`{"a":`, 20_000)), fixed("brackets in pairs", strings.Repeat("[", 50_000)+strings.Repeat("]", 50_000)),
		swapped("single quotes", `"`, `'`), swapped("no quote", `"`, ``), swapped("two commas", `,`, `,,`), swapped("no comma", `,"`, `"`),
		swapped("no colon", `":`, `" `), swapped("equals sign", `":`, `"=`), swapped("two colons", `":`, `"::`), swapped("semicolon", `,`, `;`),
		text("comma at the end", "invalidSyntax", func(_ *rand.Rand, body string) string { return body[:len(body)-1] + ",}" }),
		text("comment", "invalidSyntax", func(_ *rand.Rand, body string) string { return strings.Replace(body, "{", "{/* all of it */", 1) }),
		added("name without quotes", "invalidSyntax", `nickName:"x"`), added("number for a name", "invalidSyntax", `7:"x"`),
		added("null for a name", "invalidSyntax", `null:"x"`), added("NaN", "invalidSyntax", `"x":NaN`), added("Infinity", "invalidSyntax", `"x":Infinity`),
		added("minus Infinity", "invalidSyntax", `"x":-Infinity`), added("undefined", "invalidSyntax", `"x":undefined`),
		added("True", "invalidSyntax", `"x":True`),
		added("NULL", "invalidSyntax", `"x":NULL`), added("tru", "invalidSyntax", `"x":tru`), added("hexadecimal", "invalidSyntax", `"x":0x10`),
		added("leading zero", "invalidSyntax", `"x":007`), added("plus sign", "invalidSyntax", `"x":+1`),
		added("no digit before the point", "invalidSyntax", `"x":.5`),
		added("no digit after the point", "invalidSyntax", `"x":1.`), added("no exponent", "invalidSyntax", `"x":1e`),
		added("minus alone", "invalidSyntax", `"x":-`),
		added("two points", "invalidSyntax", `"x":1.2.3`), added("underscore in a number", "invalidSyntax", `"x":1_000`),
		added("thousands", "invalidSyntax", `"x":1,000`),
		added("too large a number", "invalidValue", `"x":1e999`), added("too small a number", "invalidValue", `"x":1e-999`),
		added("too long a number", "invalidValue", `"x":`+strings.Repeat("9", 10_000)),
		added("long fraction", "invalidValue", `"x":0.`+strings.Repeat("1", 100)),
		added("name twice", "invalidSyntax", `"x":1,"x":2`), added("name twice by escape", "invalidSyntax", `"x":1,"\u0078":2`),
		added("name twice below", "invalidSyntax", `"x":{"y":1,"y":1}`),
		added("NUL in a name", "invalidValue", `"a\u0000b":1`),
		added("depth of arrays", "invalidSyntax", `"x":`+strings.Repeat("[", 33)+strings.Repeat("]", 33)),
		added("depth of objects", "invalidSyntax", `"x":`+strings.Repeat(`{"x":`, 40)+"1"+strings.Repeat("}", 40)),
		planted("NUL escaped", "invalidValue", `"a\u0000b"`), planted("NUL", "invalidSyntax", "\"a\x00b\""), planted("line feed", "invalidSyntax", "\"a\nb\""),
		planted("tab", "invalidSyntax", "\"a\tb\""), planted("control character", "invalidSyntax", "\"a\x1bb\""),
		planted("high surrogate", "invalidSyntax", `"a\ud83d"`),
		planted("low surrogate", "invalidSyntax", `"\ude00a"`), planted("surrogates swapped", "invalidSyntax", `"\ude00\ud83d"`),
		planted("surrogate and letter", "invalidSyntax", `"\ud83dA"`),
		planted("two high surrogates", "invalidSyntax", `"\ud83d\ud83d"`), planted("unknown escape", "invalidSyntax", `"a\x41"`),
		planted("short escape", "invalidSyntax", `"\u12"`),
		planted("escape of no digits", "invalidSyntax", `"\uZZZZ"`), planted("octal escape", "invalidSyntax", `"\101"`),
		planted("backslash at the end", "invalidSyntax", `"a\"`),
		planted("byte alone", "invalidSyntax", "\"a\xff\""), planted("half a character", "invalidSyntax", "\"a\xe6\x9d\""),
		planted("overlong", "invalidSyntax", "\"\xc0\xaf\""),
		planted("surrogate in UTF-8", "invalidSyntax", "\"\xed\xa0\x80\""), planted("beyond Unicode", "invalidSyntax", "\"\xf4\x90\x80\x80\""),
		planted("Latin-1", "invalidSyntax", "\"M\xfcller\""),
		planted("Shift JIS", "invalidSyntax", "\"\x8e\x52\x93\x63\""), planted("word for text", "invalidSyntax", `Kim`),
		planted("nothing", "invalidSyntax", ``),
		badRequest(family, "no body", "invalidSyntax", writing, func(_ *rand.Rand, s *shot) { s.tree = nil; s.setHeader("Content-Length", "0") }),
		added("unknown attribute", "", `"favouriteColour":"blue"`), added("unknown object", "", `"x":{"y":[{"z":1}]}`), added("empty name", "", `"":1`),
		added("large number", "", `"x":123456789012345678901234567890`), added("long name", "", `"`+strings.Repeat("x", 50_000)+`":1`),
		added("white space", "", strings.Repeat(" \n\t\r", 5000)+`"x":1`), added("prototype", "", `"__proto__":{"admin":true},"constructor":1`),
		text("white space around", "", func(_ *rand.Rand, body string) string { return "\r\n\t " + body + " \n" }),
		badRequest(family, "characters beyond the first plane", "", both(writing, aUser), func(rng *rand.Rand, s *shot) {
			assign(rng, s, "", "nickName", "x")
			s.text = strings.Replace(s.body(), `"x"`, `"\ud83d\ude00 😀 𠮷野家"`, 1)
		}),
	}
}

// swapSome replaces one occurrence of old, any of those that no backslash makes a part of a string: what
// is left of \"f is a form feed, and a sound body.
func swapSome(rng *rand.Rand, text, old, new string) string {
	var all []int
	for at := range len(text) {
		if strings.HasPrefix(text[at:], old) && (at == 0 || text[at-1] != '\\') {
			all = append(all, at)
		}
	}
	at := all[rng.IntN(len(all))]
	return text[:at] + new + text[at+len(old):]
}

// wide is ASCII text in UTF-16, little endian.
func wide(text string) string {
	var b strings.Builder
	for i := range len(text) {
		b.WriteByte(text[i])
		b.WriteByte(0)
	}
	return b.String()
}
