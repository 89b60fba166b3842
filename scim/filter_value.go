package scim

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// The two operators that a parsed filter does not hold.
const (
	opNe Op = "ne"
	opPr Op = "pr"
)

var operators = []Op{Eq, opNe, Co, Sw, Ew, Gt, Ge, Lt, Le, opPr}

// fitting lists the operators of the types that lack some (RFC 7644 §3.4.2.2, table 3).
var fitting = map[Type][]Op{
	Boolean:  {Eq, opNe, opPr},
	Integer:  {Eq, opNe, Gt, Ge, Lt, Le, opPr},
	Decimal:  {Eq, opNe, Gt, Ge, Lt, Le, opPr},
	DateTime: {Eq, opNe, Gt, Ge, Lt, Le, opPr},
	Binary:   {Eq, opNe, Co, Sw, Ew, opPr},
	Complex:  {opPr},
}

// operator reads a comparison operator in any case.
func (p *parser) operator() (Op, error) {
	p.skipBlanks()
	start := p.pos
	token := p.token()
	for _, op := range operators {
		if equalName(token, string(op)) {
			return op, nil
		}
	}
	p.pos = start
	return "", p.expected("an operator (" + joinOps(operators) + ")")
}

func joinOps(ops []Op) string {
	names := make([]string, len(ops))
	for i, op := range ops {
		names[i] = string(op)
	}
	return strings.Join(names, ", ")
}

// literal is the right side of a comparison before it meets the attribute's type.
type literal struct {
	text   string
	quoted bool
	pos    int
}

func (l literal) isNull() bool { return !l.quoted && equalName(l.text, "null") }

// literal reads a string, or a word up to the next blank or bracket.
func (p *parser) literal() (literal, error) {
	p.skipBlanks()
	start := p.pos
	if p.peek() == '"' {
		text, err := p.quoted()
		return literal{text, true, start}, err
	}
	text := p.token()
	if text == "" {
		return literal{}, p.expected("a value")
	}
	if i := strings.IndexFunc(text, isControl); i >= 0 {
		return literal{}, p.fail(start+i, "a value with control characters must be a quoted string")
	}
	return literal{text, false, start}, nil
}

func isControl(r rune) bool { return r < ' ' }

// compare makes the comparison of a path with a value in the type of the path's attribute.
func (p *parser) compare(start int, path Path, op Op, v literal) (Filter, error) {
	if v.isNull() {
		return p.unassigned(path, op, v)
	}
	path = withValue(path)
	if err := p.checkSearchable(start, path); err != nil {
		return nil, err
	}
	a := path.target()
	if ops := fitting[a.Type]; ops != nil && !slices.Contains(ops, op) {
		return nil, p.fail(start, "%s does not fit %s, which is of type %s; use one of %s", op, a, a.Type, joinOps(ops))
	}
	if v.text == "" && op == Eq {
		return p.unassigned(path, op, v)
	}
	value, err := p.value(a, op, v)
	if err != nil {
		return nil, err
	}
	return &Compare{Path: path, Op: op, Value: value}, nil
}

// unassigned is the comparison with null, or with the empty string, which is no value either.
func (p *parser) unassigned(path Path, op Op, v literal) (Filter, error) {
	if op != Eq {
		return nil, p.fail(v.pos, "only eq and ne compare with null")
	}
	return &Not{Term: &Present{Path: path}}, nil
}

// withValue adds the "value" that a complex attribute without sub-attribute stands for.
func withValue(path Path) Path {
	if path.Sub == nil && path.Attr.Type == Complex {
		path.Sub = path.Attr.Sub("value")
	}
	return path
}

// value converts a literal to the type of the attribute.
func (p *parser) value(a *Attribute, op Op, v literal) (Value, error) {
	switch {
	case a.Type == Boolean:
		return p.boolean(a, v)
	case a.Type == Integer, a.Type == Decimal:
		return p.number(a, v)
	case isInstant(a):
		return p.instant(a, v)
	case v.text == "" && (op == Co || op == Sw || op == Ew):
		return Value{}, p.fail(v.pos, "%s needs a value that is not empty", op)
	default:
		return Value{Kind: String, Text: a.Folding.Apply(v.text)}, nil
	}
}

func (p *parser) boolean(a *Attribute, v literal) (Value, error) {
	switch {
	case equalName(v.text, "true"):
		return Value{Kind: Boolean, Bool: true}, nil
	case equalName(v.text, "false"):
		return Value{Kind: Boolean}, nil
	default:
		return Value{}, p.fail(v.pos, "expected true or false, as %s is a boolean", a)
	}
}

func (p *parser) number(a *Attribute, v literal) (Value, error) {
	n, err := strconv.ParseFloat(v.text, 64)
	if err != nil || !isNumber(v.text) {
		return Value{}, p.fail(v.pos, "expected a number, as %s is of type %s", a, a.Type)
	}
	return Value{Kind: Decimal, Number: n}, nil
}

// isNumber tells the numbers of JSON from what ParseFloat reads beyond them: names, hexadecimal
// digits and underscores.
func isNumber(s string) bool { return strings.Trim(s, "0123456789+-.eE") == "" }

// isInstant reports whether the values of a are instants that the server made itself, those of
// meta. Any other dateTime stays the text that the client sent, and compares as text.
func isInstant(a *Attribute) bool {
	return a.Type == DateTime && a.urn == "" && a.parent != nil && a.parent.Name == "meta" && a.parent.parent == nil
}

func (p *parser) instant(a *Attribute, v literal) (Value, error) {
	micros, ok := parseMicros(v.text)
	if !ok {
		return Value{}, p.fail(v.pos, "expected a dateTime such as 2026-01-31T09:30:00Z, as %s is one", a)
	}
	return Value{Kind: DateTime, Micros: micros}, nil
}

// instantFormat is how an instant prints: in UTC, with all of its microseconds.
const instantFormat = "2006-01-02T15:04:05.000000Z"

// parseMicros reads a dateTime (RFC 7643 §2.3.5), without a zone as UTC, as microseconds since
// 1970. What is finer is cut off. ok is false also where UTC leaves the years 0 to 9999.
func parseMicros(s string) (micros int64, ok bool) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t, err = time.Parse("2006-01-02T15:04:05", s)
	}
	if t = t.UTC(); err != nil || t.Year() < 0 || t.Year() > 9999 {
		return 0, false
	}
	return t.UnixMicro(), true
}
