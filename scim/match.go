package scim

import (
	"cmp"
	"encoding/json"
	"strings"
)

// Match reports whether f selects the resource r, as a client would be shown it: besides its
// attributes r has the keys schemas, id, meta, groups and members. It is the measure for the
// databases, which must select the same.
//
// Strings compare folded by their attribute's Folding, and in the order of their bytes. The
// instants of meta compare as such, truncated to microseconds; any other dateTime is text.
// Integers and decimals compare as float64. Below a URN that no schema describes numbers and
// booleans compare as the text that JSON has for them. A value that is not of its attribute's
// type satisfies no comparison.
func Match(f Filter, r Attributes) bool { return match(f, r) }

// match evaluates f on a resource or, inside a value path, on one element.
func match(f Filter, scope map[string]any) bool {
	switch f := f.(type) {
	case *Logical:
		return matchLogical(f, scope)
	case *Not:
		return !match(f.Term, scope)
	case *Present:
		return f.Path.anyValue(scope, isAssigned)
	case *ValuePath:
		path := f.Path
		path.Filter = f.Term
		return path.anyValue(scope, func(any) bool { return true })
	case *Compare:
		return f.Path.anyValue(scope, f.holds)
	default:
		return false
	}
}

func matchLogical(f *Logical, scope map[string]any) bool {
	for _, t := range f.Terms {
		if match(t, scope) == f.Or {
			return f.Or
		}
	}
	return !f.Or
}

// anyValue reports whether one of the values that the path selects satisfies holds.
func (p Path) anyValue(scope map[string]any, holds func(any) bool) bool {
	if p.URN != "" {
		scope, _ = scope[p.URN].(map[string]any)
	}
	return anyElement(scope[p.Attr.Name], func(v any) bool {
		element, isComplex := v.(map[string]any)
		switch {
		case p.Filter != nil && (!isComplex || !match(p.Filter, element)):
			return false
		case p.Sub != nil:
			return anyElement(element[p.Sub.Name], holds)
		default:
			return holds(v)
		}
	})
}

// anyElement calls holds with each element of a multi-valued attribute, or with the value of a
// single-valued one, until it is true.
func anyElement(v any, holds func(any) bool) bool {
	list, isList := v.([]any)
	if !isList {
		return v != nil && holds(v)
	}
	for _, e := range list {
		if holds(e) {
			return true
		}
	}
	return false
}

// isAssigned reports whether v is a value, or a complex one with at least one value in it.
func isAssigned(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case string:
		return v != ""
	case []any:
		return anyElement(v, isAssigned)
	case map[string]any:
		for _, sub := range v {
			if isAssigned(sub) {
				return true
			}
		}
		return false
	default:
		return true
	}
}

// holds compares one value with the right side of the comparison.
func (c *Compare) holds(v any) bool {
	switch c.Value.Kind {
	case Boolean:
		b, ok := v.(bool)
		return ok && b == c.Value.Bool
	case Decimal:
		n, ok := v.(json.Number)
		f, err := n.Float64()
		return ok && err == nil && c.Op.holds(cmp.Compare(f, c.Value.Number))
	case DateTime:
		s, _ := v.(string)
		micros, ok := parseMicros(s)
		return ok && c.Op.holds(cmp.Compare(micros, c.Value.Micros))
	default:
		a := c.Path.target()
		s, ok := comparedText(a, v)
		return ok && c.Op.holdsText(a.Folding.Apply(s), c.Value.Text)
	}
}

// comparedText is the text that a value compares as.
func comparedText(a *Attribute, v any) (string, bool) {
	if s, ok := v.(string); ok {
		return s, s != "" // an empty string is no value
	}
	if a.Type != Untyped {
		return "", false
	}
	switch v := v.(type) {
	case json.Number:
		return v.String(), true
	case bool:
		if v {
			return "true", true
		}
		return "false", true
	default:
		return "", false
	}
}

func (op Op) holdsText(left, right string) bool {
	switch op {
	case Co:
		return strings.Contains(left, right)
	case Sw:
		return strings.HasPrefix(left, right)
	case Ew:
		return strings.HasSuffix(left, right)
	default:
		return op.holds(strings.Compare(left, right))
	}
}

// holds reports whether the operator accepts the outcome of a three-way comparison.
func (op Op) holds(order int) bool {
	switch op {
	case Eq:
		return order == 0
	case Gt:
		return order > 0
	case Ge:
		return order >= 0
	case Lt:
		return order < 0
	case Le:
		return order <= 0
	default:
		return false
	}
}
