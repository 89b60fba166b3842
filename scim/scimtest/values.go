package scimtest

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"pgregory.net/rapid"

	"meibo/scim"
)

// WildSchema is the URN of an extension that no schema describes.
const WildSchema = "urn:example:params:scim:schemas:extension:wild:2.0:User"

// IDs are the ids that filters ask for, in ascending order. A resource that is to be found by its
// id, or through a reference, has one of them.
func IDs() []string { return slices.Clone(ids) }

// Instants are the moments that filters compare meta.created and meta.lastModified with, in
// ascending order. Two of them are one microsecond apart.
func Instants() []time.Time { return slices.Clone(instants) }

var (
	ids = []string{
		"01890a5d-ac96-774b-bcce-b302099a8057",
		"01890a5d-ac96-774b-bcce-b302099a8058",
		"01890a5d-ac97-7000-8000-000000000000",
		"0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
		"F0F0F0F0-8d2a-4f8e-bf98-7363c4aed4ef",
	}
	instants = []time.Time{
		time.Date(1969, 12, 31, 23, 59, 59, 999_999_000, time.UTC),
		time.Date(2026, 1, 31, 9, 30, 0, 0, time.UTC),
		time.Date(2026, 1, 31, 9, 30, 0, 1_000, time.UTC),
		time.Date(2026, 3, 29, 1, 0, 0, 123_456_000, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC),
	}
	texts = []string{
		"alice@example.com", "Alice@Example.COM", "alice", "alice.b@example.com", "bob@example.org",
		"a", "A", "z", "Z", "[", "`", "~", "\u007f",
		"straße", "STRASSE", "Straße", "\u1e9e", "ﬁn", "fin",
		"é", "e\u0301", "É", "\u212a", "k", "İ", "i\u0307", "ı", "ΟΔΟΣ", "οδος", "οδοσ",
		"\ud7ff", "\ue000", "\uffff", "\U0001f600", "\U0010ffff", "\U0010ffff\U0010ffff", "山田太郎", "ﾔﾏﾀﾞ",
		"%", "_", "a%", "a_c", "abc", `\`, `a\c`, `"`, `a"b`, "'", "O'Malley", "*", "a+b c", "a&b=c#d;", "<b>",
		" ", " a", "a ", "a  b", "a\tb", "a\nb", "null", "true", "True", "0", "007", "-1", "1e2",
		"and", `x" or title pr or "`, "$.a", "[0]", "a.b", "2026-01-31T09:30:00Z", strings.Repeat("ab", 100),
	}
	kinds = []string{"work", "Work", "home", "other"}
	urls  = []string{"https://example.com/a.png", "https://example.com/A.png", "https://example.com/?q=%20_"}
	bytes = []string{"AQID", "aqid", "TUlJQ2F0="}
	urns  = []string{scim.UserSchema, scim.GroupSchema, scim.EnterpriseUserSchema, WildSchema}
)

// pool returns the texts that an attribute's values are drawn from.
func pool(a *scim.Attribute) []string {
	switch a.String() {
	case "id", "groups.value", "members.value", scim.EnterpriseUserSchema + ":manager.value":
		return ids
	case "schemas":
		return urns
	case "externalId":
		return slices.Concat(ids[:2], texts)
	case "meta.resourceType":
		return []string{string(scim.User), string(scim.Group)}
	}
	switch {
	case a.Type == scim.Reference:
		return urls
	case a.Type == scim.Binary:
		return bytes
	case a.Name == "type":
		return kinds
	default:
		return texts
	}
}

// draw picks one of the choices.
func draw[E any](t *rapid.T, label string, choices []E) E {
	return rapid.SampledFrom(choices).Draw(t, label)
}

// oneIn is true once in about n times.
func oneIn(t *rapid.T, n int) bool {
	return rapid.IntRange(1, n).Draw(t, "one in "+strconv.Itoa(n)) == n
}

// value draws a value of a simple attribute as a resource holds it.
func value(t *rapid.T, a *scim.Attribute) any {
	switch a.Type {
	case scim.Boolean:
		return rapid.Bool().Draw(t, a.Name)
	case scim.Integer, scim.Decimal:
		return json.Number(strconv.Itoa(rapid.IntRange(-2, 2).Draw(t, a.Name)))
	case scim.DateTime:
		return draw(t, a.Name, instants).Format(time.RFC3339Nano)
	default:
		texts := pool(a)
		if isRequired(a) { // blanks are no value of such a one
			texts = slices.DeleteFunc(slices.Clone(texts), func(s string) bool { return strings.TrimSpace(s) == "" })
		}
		return draw(t, a.Name, texts)
	}
}
