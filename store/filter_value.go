package store

import (
	"strings"
	"time"

	"meibo/scim"
)

// operand is an SQL expression with a text to compare.
type operand struct {
	text     string
	nullable bool // it can be null
	folded   bool // it holds folded text
}

// constant is a text that the filter itself knows.
func (x *filter) constant(s string) string { return x.typed(s, "text") }

// text tests a text of attribute a.
func (x *filter) text(o operand, a *scim.Attribute, t test) string {
	if t.Compare == nil {
		return x.definite(o.text+" <> ''", o)
	}
	e := o.text
	if a.Folding == scim.FoldASCII && !o.folded {
		e = "lower(" + x.binary(e) + ")"
	}
	value := t.Value.Text
	switch t.Op {
	case scim.Eq:
		return x.definite(e+" = "+x.constant(value), o)
	case scim.Co:
		return x.definite(x.find(e, x.constant(value)), o)
	case scim.Sw:
		return x.definite(x.prefixed(x.binary(e), value), o)
	case scim.Ew:
		return x.definite(x.suffixed(e, x.constant(value)), o)
	default: // the empty string is no value, so it is neither less nor greater
		return x.definite("("+x.binary(e)+" "+comparison[t.Op]+" "+x.constant(value)+" and "+e+" <> '')", o)
	}
}

var comparison = map[scim.Op]string{scim.Eq: "=", scim.Gt: ">", scim.Ge: ">=", scim.Lt: "<", scim.Le: "<="}

// definite makes the null of a comparison with no value false.
func (x *filter) definite(condition string, o operand) string {
	if !o.nullable {
		return condition
	}
	return "coalesce(" + condition + ", " + x.false() + ")"
}

// binary orders by bytes, whatever the database's own order is.
func (x *filter) binary(e string) string {
	if x.postgres {
		return "(" + e + `) collate "C"`
	}
	return e
}

func (x *filter) find(e, part string) string {
	if x.postgres {
		return "strpos(" + e + ", " + part + ") > 0"
	}
	return "instr(" + e + ", " + part + ") > 0"
}

func (x *filter) suffixed(e, suffix string) string {
	if x.postgres {
		return "right(" + e + ", length(" + suffix + ")) = " + suffix
	}
	return "substr(" + e + ", -length(" + suffix + ")) = " + suffix
}

// prefixed is a range, which an index can serve and no wildcard can spoil.
func (x *filter) prefixed(e, prefix string) string {
	text := e + " >= " + x.constant(prefix)
	if next, ok := successor(prefix); ok {
		text += " and " + e + " < " + x.constant(next)
	}
	return "(" + text + ")"
}

// instant tests a column with a time, which is never null.
func (x *filter) instant(column string, t test) string {
	if t.Compare == nil {
		return always
	}
	return column + " " + comparison[t.Op] + " " + x.typed(x.time(time.UnixMicro(t.Value.Micros)), "timestamptz")
}

// simple tests a value of the document that is neither complex nor multi-valued.
func (x *filter) simple(n node, a *scim.Attribute, t test) string {
	if t.Compare == nil {
		return "coalesce(" + n.text() + " <> '', " + x.false() + ")"
	}
	switch t.Value.Kind {
	case scim.Boolean:
		return "coalesce(" + n.isBool(t.Value.Bool) + ", " + x.false() + ")"
	case scim.Decimal:
		return "coalesce(" + n.number() + " " + comparison[t.Op] + " " + x.typed(t.Value.Number, "float8") + ", " + x.false() + ")"
	default:
		return x.text(operand{text: n.text(), nullable: true}, a, t)
	}
}

// node is a place in a JSON document: what path leads to from an expression with JSON.
type node struct {
	f       *filter
	from    string
	path    []string
	element string // SQLite: the alias of json_each, where the node is an element itself
}

// json is a document.
func (x *filter) json(expression string) node { return node{f: x, from: expression} }

// document is a place in the asserted document of r.
func (x *filter) document(path ...string) node { return node{f: x, from: "r.asserted", path: path} }

func (n node) field(name string) node {
	from := n.from
	if n.element != "" {
		// Of an element that is no object there is no JSON to look into.
		from = "case when " + n.element + ".type = 'object' then " + n.element + ".value end"
	}
	return node{f: n.f, from: from, path: append(n.path[:len(n.path):len(n.path)], name)}
}

// elementAt is the element of a list at an index that an expression gives.
func (n node) elementAt(list, index string) node {
	if n.f.postgres {
		return node{f: n.f, from: "(" + n.from + " -> '" + list + "' -> " + index + ")"}
	}
	return node{f: n.f, from: "(" + n.from + " -> ('$." + list + "[' || " + index + " || ']'))"}
}

// keys is the path as an argument: an array for PostgreSQL, a JSON path for SQLite. Names in
// documents hold no quote where a filter can name them.
func (n node) keys() string {
	if n.f.postgres {
		return n.f.arg(n.path) + "::text[]"
	}
	var b strings.Builder
	b.WriteByte('$')
	for _, key := range n.path {
		b.WriteString(`."` + key + `"`)
	}
	return n.f.arg(b.String())
}

// value is the JSON at the node.
func (n node) value() string {
	switch {
	case n.element != "":
		return "(" + n.element + ".json -> " + n.element + ".fullkey)"
	case len(n.path) == 0:
		return n.from
	case n.f.postgres:
		return "(" + n.from + " #> " + n.keys() + ")"
	default:
		return "(" + n.from + " -> " + n.keys() + ")"
	}
}

// text is the text of a string or number at the node.
func (n node) text() string {
	switch {
	case n.element != "":
		return n.element + ".atom"
	case n.f.postgres && len(n.path) == 0:
		return "(" + n.from + " #>> '{}')"
	case n.f.postgres:
		return "(" + n.from + " #>> " + n.keys() + ")"
	case len(n.path) == 0:
		return "(" + n.from + " ->> '$')"
	default:
		return "(" + n.from + " ->> " + n.keys() + ")"
	}
}

// kind is the JSON type of the value at the node.
func (n node) kind() string {
	switch {
	case n.element != "":
		return n.element + ".type"
	case n.f.postgres:
		return "json_typeof(" + n.value() + ")"
	case len(n.path) == 0:
		return "json_type(" + n.from + ")"
	default:
		return "json_type(" + n.from + ", " + n.keys() + ")"
	}
}

func (n node) isObject() string { return "coalesce(" + n.kind() + " = 'object', " + n.f.false() + ")" }

func (n node) isBool(v bool) string {
	literal := "'false'"
	if v {
		literal = "'true'"
	}
	if n.f.postgres {
		return n.text() + " = " + literal
	}
	return n.kind() + " = " + literal
}

// number is the number at the node as a double, or null. PostgreSQL refuses to convert what is out
// of a double's range, so what comes near to its ends counts as no number.
func (n node) number() string {
	if n.f.postgres {
		return "case when " + n.text() + ` ~ '^-{0,1}[0-9]{1,200}(\.[0-9]{1,200}){0,1}([eE][+-]{0,1}[0-9]{1,2}){0,1}$' then ` + n.text() + "::float8 end"
	}
	return "case when " + n.kind() + " in ('integer', 'real') then cast(" + n.text() + " as real) end"
}

// scalar is the text that a value of no known type compares as: a string, or a number or boolean
// as JSON writes it; null for anything else and for the empty string.
func (n node) scalar() string {
	if n.f.postgres {
		return "case when " + n.kind() + " in ('string', 'number', 'boolean') then nullif(" + n.text() + ", '') end"
	}
	return "case " + n.kind() + " when 'text' then nullif(" + n.text() + ", '') when 'true' then 'true' when 'false' then 'false' " +
		"when 'integer' then " + n.value() + " when 'real' then " + n.value() + " end"
}

// assigned is the condition that there is a value in it somewhere that is not the empty string.
func (n node) assigned() string {
	if n.f.postgres {
		// The path travels as an argument, since GORM would read its @ and its question mark.
		path := n.f.arg(`strict $.** ? (@.type() == "number" || @.type() == "boolean" || @.type() == "string" && @ != "")`)
		return "coalesce(jsonb_path_exists((" + n.value() + ")::text::jsonb, " + path + "::text::jsonpath), false)"
	}
	alias := n.f.alias("t")
	return "exists (select 1 from json_tree(" + n.value() + ") as " + alias + " where " + alias + ".type in ('true', 'false', 'integer', 'real') or " +
		alias + ".type = 'text' and " + alias + ".value <> '')"
}

// each is the table of the elements of a list, and an element of it.
func (n node) each(alias string) (from string, element node) {
	return n.table("case when "+n.kind()+" = 'array' then "+n.value()+" end", alias)
}

// eachOrOnly is each, but a value that is no list is an element of its own.
func (n node) eachOrOnly(alias string) (from string, element node) {
	list, only := n.value(), "json_build_array("+n.value()+")"
	if !n.f.postgres {
		only = "'[' || " + n.value() + " || ']'"
	}
	return n.table("case when "+n.kind()+" = 'array' then "+list+" else "+only+" end", alias)
}

func (n node) table(list, alias string) (from string, element node) {
	if n.f.postgres {
		return "json_array_elements(" + list + ") as " + alias + "(v)", node{f: n.f, from: alias + ".v"}
	}
	return "json_each(" + list + ") as " + alias, node{f: n.f, element: alias}
}
