package scim

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// Encode writes the stored document of a resource: a JSON object that begins with "schemas" (the
// core schema, then the extensions that are present) and goes on with the attributes in the order
// of their definitions, names that no definition knows sorted at the end. Equal attributes give
// equal bytes. Decode reads it back.
func (d *Definition) Encode(a Attributes) []byte {
	unknown := d.unknownKeys(a)
	b := d.appendSchemas(make([]byte, 0, 1024), a, unknown)
	for _, name := range commonNames {
		b = appendMember(b, d.attrs[name], name, a[name])
	}
	for _, attr := range d.Core.Attributes {
		b = appendMember(b, attr, attr.Name, a[attr.Name])
	}
	for _, s := range d.Extensions {
		if v, ok := a[s.ID]; ok {
			b = appendName(b, s.ID)
			b = appendValue(b, s.Attributes, v)
		}
	}
	for _, key := range unknown {
		b = appendMember(b, nil, key, a[key])
	}
	return append(b, '}')
}

// commonNames are the common attributes that a rendered resource can hold beside schemas.
var commonNames = [...]string{"id", "externalId", "meta"}

func (d *Definition) unknownKeys(a Attributes) []string {
	var unknown []string
	for key := range a {
		if _, known := d.order[key]; !known {
			unknown = append(unknown, key)
		}
	}
	slices.Sort(unknown)
	return unknown
}

func (d *Definition) appendSchemas(b []byte, a Attributes, unknown []string) []byte {
	b = append(b, `{"schemas":[`...)
	b = AppendString(b, d.Core.ID)
	for _, s := range d.Extensions {
		if _, ok := a[s.ID]; ok {
			b = append(b, ',')
			b = AppendString(b, s.ID)
		}
	}
	for _, key := range unknown {
		if hasURNPrefix(key) {
			b = append(b, ',')
			b = AppendString(b, key)
		}
	}
	return append(b, ']')
}

// appendMember writes one name and value of an object; an unassigned value leaves no trace.
func appendMember(b []byte, attr *Attribute, name string, v any) []byte {
	if v == nil {
		return b
	}
	b = appendName(b, name)
	if attr == nil {
		return appendValue(b, nil, v)
	}
	return appendValue(b, attr.SubAttributes, v)
}

func appendName(b []byte, name string) []byte {
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	return append(AppendString(b, name), ':')
}

// AppendValue appends an attribute value as JSON, the keys of its objects sorted.
func AppendValue(b []byte, v any) []byte { return appendValue(b, nil, v) }

// appendValue writes a value; order ranks the keys of the objects in it.
func appendValue(b []byte, order []*Attribute, v any) []byte {
	switch v := v.(type) {
	case string:
		return AppendString(b, v)
	case bool:
		return strconv.AppendBool(b, v)
	case json.Number:
		return append(b, v...)
	case []any:
		b = append(b, '[')
		for i, element := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendValue(b, order, element)
		}
		return append(b, ']')
	case map[string]any:
		return appendObject(b, order, v)
	default:
		return append(b, "null"...)
	}
}

func appendObject(b []byte, order []*Attribute, object map[string]any) []byte {
	b = append(b, '{')
	written := 0
	for _, attr := range order {
		if v, ok := object[attr.Name]; ok {
			b = appendMember(b, attr, attr.Name, v)
			written++
		}
	}
	if written < len(object) {
		b = appendUnordered(b, order, object)
	}
	return append(b, '}')
}

// appendUnordered writes the members of object that order lacks, sorted.
func appendUnordered(b []byte, order []*Attribute, object map[string]any) []byte {
	for _, key := range sortedKeys(object) {
		if !slices.ContainsFunc(order, func(a *Attribute) bool { return a.Name == key }) {
			b = appendMember(b, nil, key, object[key])
		}
	}
	return b
}

func sortedKeys(object map[string]any) []string {
	keys := make([]string, 0, len(object))
	for key := range object {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// AppendString appends s as a JSON string with no more escapes than JSON demands.
func AppendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				b = append(append(b, s[start:i]...), "\ufffd"...)
				start = i + 1
			}
			i += size
			continue
		}
		b = appendEscape(append(b, s[start:i]...), c)
		i++
		start = i
	}
	return append(append(b, s[start:]...), '"')
}

func appendEscape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	default:
		const hex = "0123456789abcdef"
		return append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xF])
	}
}

// maxStoredDepth is more than a PATCH can build from values of maxDepth. It keeps a damaged
// document from exhausting the stack.
const maxStoredDepth = 1000

// Decode reads a document that Encode wrote. The error of a damaged one is not an *Error: no
// request is to blame. Strings of the result may share one copy of doc.
func (d *Definition) Decode(doc []byte) (Attributes, error) {
	v, err := readJSON(string(doc), maxStoredDepth, math.MaxInt)
	if err != nil {
		return nil, fmt.Errorf("stored document: %v", err) // not %w: see above
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("stored document: not one JSON object")
	}
	delete(object, "schemas")
	return object, nil
}

// Equal reports whether two attribute values are the same. The elements of a multi-valued
// attribute compare in order, as they are echoed in order; numbers compare by their text.
func Equal(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		return equalObjects(a, b)
	case Attributes:
		return equalObjects(a, b)
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, Equal)
	case string:
		b, ok := b.(string)
		return ok && a == b
	case bool:
		b, ok := b.(bool)
		return ok && a == b
	case json.Number:
		b, ok := b.(json.Number)
		return ok && a == b
	default:
		return a == nil && b == nil
	}
}

func equalObjects(a map[string]any, other any) bool {
	var b map[string]any
	switch other := other.(type) {
	case map[string]any:
		b = other
	case Attributes:
		b = other
	default:
		return false
	}
	if len(a) != len(b) {
		return false
	}
	for key, v := range a {
		if w, ok := b[key]; !ok || !Equal(v, w) {
			return false
		}
	}
	return true
}
