package scim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds the nesting of a request body. A resource needs four levels.
const maxDepth = 32

// maxNumber is the length of a number in a request body, in bytes.
const maxNumber = 64

// ParseJSON reads one JSON value from a request body. Objects become map[string]any, arrays
// []any and numbers json.Number. It is stricter than encoding/json where that would change or
// guess at text, or where a database could not keep it. What it refuses is an *Error that names
// the byte, counted from 1: InvalidSyntax for anything that is not JSON in valid UTF-8, for a
// surrogate escape without its other half, for nesting beyond 32 levels and for text after the
// value; InvalidValue for a NUL character and for a number that no double can hold.
func ParseJSON(data []byte) (any, error) {
	if err := scanJSON(data); err != nil {
		return nil, err
	}
	v, rest, err := decodeJSON(data)
	if err != nil {
		return nil, syntaxError(err, len(data))
	}
	if len(bytes.TrimLeft(rest, " \t\r\n")) > 0 {
		return nil, faultAt(InvalidSyntax, len(data)-len(rest), "there is text after the JSON value")
	}
	return v, nil
}

func decodeJSON(data []byte) (v any, rest []byte, err error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return nil, nil, err
	}
	return v, data[dec.InputOffset():], nil
}

func syntaxError(err error, length int) *Error {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return faultAt(InvalidSyntax, int(syntax.Offset)-1, "this is not valid JSON: "+syntax.Error())
	}
	if errors.Is(err, io.EOF) {
		return &Error{Type: InvalidSyntax, Detail: "the body is empty; send a JSON object"}
	}
	return faultAt(InvalidSyntax, length, "the JSON value ends too early")
}

// faultAt reports a fault at a byte offset counted from 0.
func faultAt(t ErrorType, offset int, detail string) *Error {
	return &Error{Type: t, Detail: fmt.Sprintf("byte %d: %s", offset+1, detail)}
}

// scanJSON refuses what encoding/json lets pass. It follows strings, brackets and numbers only
// and leaves the grammar to encoding/json.
func scanJSON(data []byte) error {
	if i := firstInvalidUTF8(data); i >= 0 {
		return faultAt(InvalidSyntax, i, "the text is not valid UTF-8")
	}
	depth := 0
	for i := 0; i < len(data); {
		switch c := data[i]; {
		case c == '"':
			end, err := scanString(data, i+1)
			if err != nil {
				return err
			}
			i = end
		case c == '-' || '0' <= c && c <= '9':
			end, err := scanNumber(data, i)
			if err != nil {
				return err
			}
			i = end
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return faultAt(InvalidSyntax, i, fmt.Sprintf("the value is nested more than %d levels deep", maxDepth))
			}
			i++
		case c == '}' || c == ']':
			depth--
			i++
		default:
			i++
		}
	}
	return nil
}

func firstInvalidUTF8(data []byte) int {
	if utf8.Valid(data) {
		return -1
	}
	for i := 0; ; {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size <= 1 {
			return i
		}
		i += size
	}
}

// scanString checks the escapes of a string whose text begins at i and returns the offset after
// its closing quote, or the end of data where that is missing.
func scanString(data []byte, i int) (int, error) {
	for i < len(data) {
		switch data[i] {
		case '"':
			return i + 1, nil
		case '\\':
			end, err := scanEscape(data, i)
			if err != nil {
				return 0, err
			}
			i = end
		default:
			i++
		}
	}
	return len(data), nil
}

func scanEscape(data []byte, i int) (int, error) {
	r, ok := unicodeEscape(data[i:])
	switch {
	case !ok:
		return i + 2, nil
	case r == 0:
		return 0, faultAt(InvalidValue, i, "a string holds the NUL character; remove it")
	case r < 0xD800 || r > 0xDFFF:
		return i + 6, nil
	}
	low, ok := unicodeEscape(data[i+6:])
	if r > 0xDBFF || !ok || low < 0xDC00 || low > 0xDFFF {
		return 0, faultAt(InvalidSyntax, i, "a \\u escape is half of a surrogate pair; send both halves")
	}
	return i + 12, nil
}

// unicodeEscape reads \uXXXX at the start of data.
func unicodeEscape(data []byte) (rune, bool) {
	if len(data) < 6 || data[0] != '\\' || data[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range data[2:6] {
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// scanNumber keeps numbers within what Go, SQLite and PostgreSQL all compare.
func scanNumber(data []byte, i int) (int, error) {
	end := i
	for end < len(data) && strings.IndexByte("+-.eE0123456789", data[end]) >= 0 {
		end++
	}
	if end-i <= 15 && !bytes.ContainsAny(data[i:end], "eE") {
		return end, nil // within range whatever it is
	}
	if end-i > maxNumber {
		return 0, faultAt(InvalidValue, i, fmt.Sprintf("a number is longer than %d characters", maxNumber))
	}
	text := string(data[i:end])
	f, err := strconv.ParseFloat(text, 64)
	if errors.Is(err, strconv.ErrRange) || err == nil && f == 0 && hasDigit(text) || math.IsInf(f, 0) {
		return 0, faultAt(InvalidValue, i, "a number is too large or too small")
	}
	return end, nil
}

// hasDigit reports whether the mantissa of a number is other than zero.
func hasDigit(number string) bool {
	if i := strings.IndexAny(number, "eE"); i >= 0 {
		number = number[:i]
	}
	return strings.ContainsAny(number, "123456789")
}

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
	b = appendString(b, d.Core.ID)
	for _, s := range d.Extensions {
		if _, ok := a[s.ID]; ok {
			b = append(b, ',')
			b = appendString(b, s.ID)
		}
	}
	for _, key := range unknown {
		if hasURNPrefix(key) {
			b = append(b, ',')
			b = appendString(b, key)
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
	return append(appendString(b, name), ':')
}

// appendValue writes a value; order ranks the keys of the objects in it.
func appendValue(b []byte, order []*Attribute, v any) []byte {
	switch v := v.(type) {
	case string:
		return appendString(b, v)
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

// appendString writes s as a JSON string with no more escapes than JSON demands.
func appendString(b []byte, s string) []byte {
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

// Decode reads a document that Encode wrote. The error of a damaged one is not an *Error: no
// request is to blame.
func (d *Definition) Decode(doc []byte) (Attributes, error) {
	v, rest, err := decodeJSON(doc)
	if err != nil {
		return nil, fmt.Errorf("stored document: %w", err)
	}
	object, ok := v.(map[string]any)
	if !ok || len(bytes.TrimSpace(rest)) > 0 {
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
