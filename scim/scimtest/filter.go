package scimtest

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"pgregory.net/rapid"

	"meibo/scim"
)

// Filter generates filters that scim.ParseFilter accepts for d, in every spelling that it takes:
// names in any case, quoted and unquoted values, escapes, superfluous blanks and parentheses.
func Filter(d *scim.Definition) *rapid.Generator[string] {
	w := writer{paths: searchable(d), lists: lists(d)}
	return rapid.Custom(func(t *rapid.T) string { return w.filter(t, 2) })
}

// writer writes filters over the attributes of a definition.
type writer struct {
	paths []*scim.Attribute // simple attributes and sub-attributes
	lists []*scim.Attribute // multi-valued complex attributes
}

// operand is a path as it stands in a filter, and the attribute that it leads to; nil for one
// that no schema describes.
type operand struct {
	path string
	attr *scim.Attribute
}

// filter writes a filter that is nested at most depth deep.
func (w writer) filter(t *rapid.T, depth int) string {
	if depth == 0 {
		return w.term(t)
	}
	switch rapid.IntRange(0, 5).Draw(t, "filter") {
	case 0:
		return w.joined(t, depth)
	case 1:
		return anyCase(t, "not") + blanks(t, 0) + "(" + w.filter(t, depth-1) + ")"
	case 2:
		return "(" + blanks(t, 0) + w.filter(t, depth-1) + blanks(t, 0) + ")"
	default:
		return w.term(t)
	}
}

// joined joins two or three filters; a reader without precedence would join them otherwise.
func (w writer) joined(t *rapid.T, depth int) string {
	text := w.filter(t, depth-1)
	for range rapid.IntRange(1, 2).Draw(t, "more terms") {
		word := draw(t, "conjunction", []string{"and", "or"})
		text += blanks(t, 1) + anyCase(t, word) + blanks(t, 1) + w.filter(t, depth-1)
	}
	return text
}

// term writes a comparison, with a value path or without, or a value path alone.
func (w writer) term(t *rapid.T) string {
	switch rapid.IntRange(0, 7).Draw(t, "term") {
	case 0:
		return w.valuePath(t, "")
	case 1:
		return w.valuePath(t, "sub-attribute")
	case 2:
		return comparison(t, operand{path: WildSchema + ":" + draw(t, "path", wildPaths)})
	case 3:
		a := draw(t, "list", w.lists)
		return anyCase(t, a.String()) + blanks(t, 1) + draw(t, "presence", []string{"pr", "eq null", "ne null"})
	default:
		a := draw(t, "attribute", w.paths)
		return comparison(t, operand{anyCase(t, a.String()), a})
	}
}

// valuePath writes attr[filter] and, if there is to be a sub-attribute, its comparison.
func (w writer) valuePath(t *rapid.T, sub string) string {
	a := draw(t, "list", w.lists)
	inner := writer{paths: a.SubAttributes, lists: nil}
	text := anyCase(t, a.String()) + "[" + inner.elementFilter(t) + "]"
	if sub == "" {
		return text
	}
	s := draw(t, sub, a.SubAttributes)
	return comparison(t, operand{text + "." + anyCase(t, s.Name), s})
}

// elementFilter writes a filter of one or two terms over sub-attributes.
func (w writer) elementFilter(t *rapid.T) string {
	term := func() string {
		a := draw(t, "sub-attribute", w.paths)
		return comparison(t, operand{anyCase(t, a.Name), a})
	}
	switch draw(t, "value filter", []string{"term", "not", "and", "or"}) {
	case "term":
		return term()
	case "not":
		return "not (" + term() + ")"
	case "and":
		return term() + " and " + term()
	default:
		return term() + " or " + term()
	}
}

// comparison writes "path op value" or "path pr".
func comparison(t *rapid.T, o operand) string {
	op := draw(t, "operator", operators(o.attr))
	text := o.path + blanks(t, 1) + anyCase(t, op)
	if op == "pr" {
		return text
	}
	return text + blanks(t, 1) + literal(t, o.attr, op)
}

// operators are those that fit the attribute, the frequent one more than once.
func operators(a *scim.Attribute) []string {
	all := []string{"eq", "eq", "eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "pr"}
	if a == nil {
		return all
	}
	switch a.Type {
	case scim.Boolean:
		return []string{"eq", "ne", "pr"}
	case scim.Integer, scim.Decimal, scim.DateTime:
		return []string{"eq", "ne", "gt", "ge", "lt", "le", "pr"}
	case scim.Binary:
		return []string{"eq", "ne", "co", "sw", "ew", "pr"}
	default:
		return all
	}
}

// literal writes a value of the attribute's type.
func literal(t *rapid.T, a *scim.Attribute, op string) string {
	if (op == "eq" || op == "ne") && oneIn(t, 12) {
		return draw(t, "nothing", []string{"null", `""`})
	}
	switch {
	case a == nil:
		return text(t, texts, op)
	case a.Type == scim.Boolean:
		return draw(t, "boolean", []string{"true", "false", "TRUE", `"True"`, `"false"`})
	case a.Type == scim.Integer, a.Type == scim.Decimal:
		return draw(t, "number", []string{"-2", "-1.5", "0", "1", "10e-1", "1e300"})
	case a.Type == scim.DateTime:
		return instant(t)
	default:
		return text(t, pool(a), op)
	}
}

// instant writes a moment in some zone, and sometimes finer than a microsecond.
func instant(t *rapid.T) string {
	v := draw(t, "instant", instants)
	if v.Year() == 9999 || oneIn(t, 2) {
		return `"` + v.Format(time.RFC3339Nano) + `"`
	}
	zone := time.FixedZone("", 3600*rapid.IntRange(-7, 9).Draw(t, "zone"))
	return v.Add(900 * time.Nanosecond).In(zone).Format(time.RFC3339Nano)
}

// text writes one of the texts or, for a substring operator, a part of one.
func text(t *rapid.T, texts []string, op string) string {
	s := draw(t, "text", texts)
	if op == "co" || op == "sw" || op == "ew" {
		s = part(t, s, op)
	}
	switch {
	case isWord(s) && oneIn(t, 4):
		return s
	case oneIn(t, 4):
		return escaped(s)
	default:
		return quoted(s)
	}
}

// part cuts a piece of at least one character out of s, where the operator looks for it.
func part(t *rapid.T, s, op string) string {
	r := []rune(s)
	from := rapid.IntRange(0, len(r)-1).Draw(t, "from")
	to := rapid.IntRange(from+1, len(r)).Draw(t, "to")
	switch op {
	case "sw":
		return string(r[:to])
	case "ew":
		return string(r[from:])
	default:
		return string(r[from:to])
	}
}

// isWord reports whether s can stand without quotes.
func isWord(s string) bool {
	return !strings.EqualFold(s, "null") && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || strings.ContainsRune(`()[]"`, r)
	})
}

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // no string fails to encode
	}
	return string(b)
}

// escaped writes s with every character as a \u escape, the higher ones as surrogate pairs.
func escaped(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		if r > 0xffff {
			fmt.Fprintf(&b, `\u%04x\u%04X`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		} else {
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func anyCase(t *rapid.T, s string) string {
	switch rapid.IntRange(0, 5).Draw(t, "case") {
	case 0:
		return strings.ToUpper(s)
	case 1:
		return strings.ToLower(s)
	default:
		return s
	}
}

// blanks writes at least n blanks.
func blanks(t *rapid.T, n int) string {
	if oneIn(t, 6) {
		n++
	}
	return strings.Repeat(" ", n)
}

// searchable lists the simple attributes and sub-attributes of d that a filter may name.
func searchable(d *scim.Definition) []*scim.Attribute {
	var list []*scim.Attribute
	for _, a := range all(d) {
		switch {
		case a.Returned == scim.Never || a.Mutability == scim.WriteOnly:
		case a.Type == scim.Complex:
			list = append(list, a.SubAttributes...)
		default:
			list = append(list, a)
		}
	}
	return list
}

// lists lists the multi-valued complex attributes of d.
func lists(d *scim.Definition) []*scim.Attribute {
	var list []*scim.Attribute
	for _, a := range all(d) {
		if a.MultiValued && a.Type == scim.Complex {
			list = append(list, a)
		}
	}
	return list
}

// all lists the top-level attributes of d.
func all(d *scim.Definition) []*scim.Attribute {
	list := []*scim.Attribute{d.Attribute("schemas"), d.Attribute("id"), d.Attribute("externalId"), d.Attribute("meta")}
	list = append(list, d.Core.Attributes...)
	for _, e := range d.Extensions {
		list = append(list, e.Attributes...)
	}
	return list
}
