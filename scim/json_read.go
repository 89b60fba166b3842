package scim

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	maxDepth  = 32        // levels of a request body; a resource needs four
	maxNumber = 64        // bytes of a number in a request body
	maxValues = 1_000_000 // values in a request body; a member of a group is one with two or three in it
)

// ParseJSON reads one JSON value from a request body. Objects become map[string]any, arrays
// []any and numbers json.Number. It is stricter than encoding/json where that would change, hide
// or guess at text, or where a database could not keep it. What it refuses is an *Error that names
// the byte, counted from 1: InvalidSyntax for anything that is not JSON in valid UTF-8, for a
// surrogate escape without its other half, for a name given twice in one object, for nesting
// beyond 32 levels and for text after the value; InvalidValue for a NUL character, for a number
// that no double can hold, and for more than 1,000,000 values.
//
// Strings of the result may share one copy of data.
func ParseJSON(data []byte) (any, error) { return readJSON(string(data), maxDepth, maxValues) }

// ParseStored is ParseJSON for what an administrator hands in: it takes whatever Encode may have written, however deep
// and however much.
func ParseStored(data []byte) (any, error) {
	return readJSON(string(data), maxStoredDepth, math.MaxInt)
}

// readJSON is ParseJSON within other bounds. Its error is an *Error.
func readJSON(text string, levels, values int) (any, error) {
	if i := firstInvalidUTF8(text); i >= 0 {
		return nil, faultAt(InvalidSyntax, i, "the text is not valid UTF-8")
	}
	r := jsonReader{text: text, levels: levels, values: values}
	r.peek()
	if r.pos == len(text) {
		return nil, &Error{Type: InvalidSyntax, Detail: "the body is empty; send a JSON object"}
	}
	v, err := r.value()
	if err != nil {
		return nil, err
	}
	end := r.pos
	r.peek()
	if r.pos < len(text) {
		return nil, faultAt(InvalidSyntax, end, "there is text after the JSON value")
	}
	return v, nil
}

// faultAt reports a fault at a byte offset counted from 0.
func faultAt(t ErrorType, offset int, detail string) *Error {
	return &Error{Type: t, Detail: fmt.Sprintf("byte %d: %s", offset+1, detail)}
}

func firstInvalidUTF8(text string) int {
	if utf8.ValidString(text) {
		return -1
	}
	for i := 0; ; {
		r, size := utf8.DecodeRuneInString(text[i:])
		if r == utf8.RuneError && size <= 1 {
			return i
		}
		i += size
	}
}

// jsonReader reads the grammar of RFC 8259. It exists beside encoding/json to be strict in one pass,
// and because every request reads stored documents: strings that are parts of the text take a
// third of the time and half the allocations.
type jsonReader struct {
	text   string
	pos    int
	depth  int // levels that are open
	levels int // that may be
	values int // values that may still come
}

// peek passes over white space and returns the next byte; 0 at the end.
func (r *jsonReader) peek() byte {
	for ; r.pos < len(r.text); r.pos++ {
		switch c := r.text[r.pos]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

// expected reports what should come next. Of what comes instead it shows one character only: the
// rest may be somebody's personal data.
func (r *jsonReader) expected(what string) *Error {
	if r.pos >= len(r.text) {
		return faultAt(InvalidSyntax, len(r.text), "the JSON value ends too early")
	}
	found, _ := utf8.DecodeRuneInString(r.text[r.pos:])
	return faultAt(InvalidSyntax, r.pos, fmt.Sprintf("this is not valid JSON: expected %s, found %q", what, found))
}

func (r *jsonReader) value() (any, error) {
	c := r.peek()
	if r.values--; r.values < 0 {
		return nil, faultAt(InvalidValue, r.pos, "the body holds too many values; send the members of a group in several requests")
	}
	switch {
	case c == '{':
		return r.object()
	case c == '[':
		return r.array()
	case c == '"':
		return boxed(r.str())
	case c == '-' || isDigit(c):
		return boxed(r.number())
	case c == 't':
		return true, r.word("true")
	case c == 'f':
		return false, r.word("false")
	case c == 'n':
		return nil, r.word("null")
	default:
		return nil, r.expected("a value")
	}
}

// boxed makes no value of a failed read.
func boxed[T any](v T, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return v, nil
}

// word reads true, false or null.
func (r *jsonReader) word(word string) error {
	for i := range len(word) {
		if r.pos >= len(r.text) || r.text[r.pos] != word[i] {
			return r.expected(word)
		}
		r.pos++
	}
	return nil
}

// open enters an object or array and reports whether there is anything in it.
func (r *jsonReader) open(closing byte) (more bool, err error) {
	if r.depth++; r.depth > r.levels {
		return false, faultAt(InvalidSyntax, r.pos, fmt.Sprintf("the value is nested more than %d levels deep", r.levels))
	}
	r.pos++
	if r.peek() != closing {
		return true, nil
	}
	r.close()
	return false, nil
}

// next reads what follows an element: a comma, or the end of the object or array.
func (r *jsonReader) next(closing byte) (more bool, err error) {
	switch r.peek() {
	case ',':
		r.pos++
		return true, nil
	case closing:
		r.close()
		return false, nil
	default:
		return false, r.expected(fmt.Sprintf(`"," or "%c"`, closing))
	}
}

func (r *jsonReader) close() {
	r.pos++
	r.depth--
}

func (r *jsonReader) array() (any, error) {
	list := []any{}
	more, err := r.open(']')
	for more && err == nil {
		var v any
		if v, err = r.value(); err == nil {
			list = append(list, v)
			more, err = r.next(']')
		}
	}
	return boxed(list, err)
}

func (r *jsonReader) object() (any, error) {
	object := map[string]any{}
	more, err := r.open('}')
	for more && err == nil {
		if err = r.member(object); err == nil {
			more, err = r.next('}')
		}
	}
	return boxed(object, err)
}

// member reads a name and its value into object.
func (r *jsonReader) member(object map[string]any) error {
	if r.peek() != '"' {
		return r.expected("a name in quotes")
	}
	start, known := r.pos, len(object)
	name, err := r.str()
	if err != nil {
		return err
	}
	if r.peek() != ':' {
		return r.expected(`":"`)
	}
	r.pos++
	v, err := r.value()
	if err != nil {
		return err
	}
	if object[name] = v; len(object) == known {
		return faultAt(InvalidSyntax, start, "the name is given twice in one object; send it once")
	}
	return nil
}

// str reads a string; the next byte is its quote.
func (r *jsonReader) str() (string, error) {
	r.pos++
	start := r.pos
	for ; r.pos < len(r.text); r.pos++ {
		switch c := r.text[r.pos]; {
		case c == '"':
			r.pos++
			return r.text[start : r.pos-1], nil
		case c == '\\':
			return r.escaped([]byte(r.text[start:r.pos]))
		case c < ' ':
			return "", r.expected("no control character in a string")
		}
	}
	return "", r.expected("a quote")
}

// escaped reads the rest of a string from its first escape on; b holds what was before it.
func (r *jsonReader) escaped(b []byte) (string, error) {
	for r.pos < len(r.text) {
		switch c := r.text[r.pos]; {
		case c == '"':
			r.pos++
			return string(b), nil
		case c == '\\':
			var err error
			if b, err = r.escape(b); err != nil {
				return "", err
			}
		case c < ' ':
			return "", r.expected("no control character in a string")
		default:
			b = append(b, c)
			r.pos++
		}
	}
	return "", r.expected("a quote")
}

// escape appends the character that an escape stands for; the next byte is its backslash.
func (r *jsonReader) escape(b []byte) ([]byte, error) {
	const letters, characters = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	start := r.pos
	if r.pos++; r.pos >= len(r.text) {
		return nil, r.expected("an escape")
	}
	if i := strings.IndexByte(letters, r.text[r.pos]); i >= 0 {
		r.pos++
		return append(b, characters[i]), nil
	}
	c, err := r.codeUnit()
	switch {
	case err != nil:
		return nil, err
	case c == 0:
		return nil, faultAt(InvalidValue, start, "a string holds the NUL character; remove it")
	case !utf16.IsSurrogate(c):
		return utf8.AppendRune(b, c), nil
	}
	if low := r.pos; strings.HasPrefix(r.text[low:], `\u`) {
		r.pos++
		second, err := r.codeUnit()
		if err != nil {
			return nil, err
		}
		if pair := utf16.DecodeRune(c, second); pair != utf8.RuneError {
			return utf8.AppendRune(b, pair), nil
		}
	}
	return nil, faultAt(InvalidSyntax, start, "a \\u escape is half of a surrogate pair; send both halves")
}

// codeUnit reads u and four digits.
func (r *jsonReader) codeUnit() (rune, error) {
	if r.text[r.pos] != 'u' {
		return 0, r.expected("an escape")
	}
	r.pos++
	var c rune
	for range 4 {
		if r.pos >= len(r.text) {
			return 0, r.expected("four hexadecimal digits")
		}
		digit := strings.IndexByte("0123456789abcdef", lowerByte(r.text[r.pos]))
		if digit < 0 {
			return 0, r.expected("four hexadecimal digits")
		}
		c = c<<4 | rune(digit)
		r.pos++
	}
	return c, nil
}

// number reads a number and keeps it within what Go, SQLite and PostgreSQL all compare.
func (r *jsonReader) number() (json.Number, error) {
	start := r.pos
	if err := r.numeral(); err != nil {
		return "", err
	}
	text := r.text[start:r.pos]
	if len(text) <= 15 && !strings.ContainsAny(text, "eE") {
		return json.Number(text), nil // within range whatever it is
	}
	if len(text) > maxNumber {
		return "", faultAt(InvalidValue, start, fmt.Sprintf("a number is longer than %d characters", maxNumber))
	}
	f, err := strconv.ParseFloat(text, 64)
	if errors.Is(err, strconv.ErrRange) || f == 0 && !isZero(text) || math.IsInf(f, 0) {
		return "", faultAt(InvalidValue, start, "a number is too large or too small")
	}
	return json.Number(text), nil
}

// numeral passes over a number: sign, integer, fraction and exponent.
func (r *jsonReader) numeral() error {
	r.skip("-")
	if !r.skip("0") {
		if err := r.digits(); err != nil {
			return err
		}
	}
	if r.skip(".") {
		if err := r.digits(); err != nil {
			return err
		}
	}
	if !r.skip("eE") {
		return nil
	}
	r.skip("+-")
	return r.digits()
}

// skip passes over one byte if it is among those given.
func (r *jsonReader) skip(any string) bool {
	if r.pos >= len(r.text) || strings.IndexByte(any, r.text[r.pos]) < 0 {
		return false
	}
	r.pos++
	return true
}

// digits passes over one digit or more.
func (r *jsonReader) digits() error {
	start := r.pos
	for r.pos < len(r.text) && isDigit(r.text[r.pos]) {
		r.pos++
	}
	if r.pos == start {
		return r.expected("a digit")
	}
	return nil
}

// isZero reports whether the mantissa of a number has no digit but zero.
func isZero(number string) bool {
	if i := strings.IndexAny(number, "eE"); i >= 0 {
		number = number[:i]
	}
	return !strings.ContainsAny(number, "123456789")
}
