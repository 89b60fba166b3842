package scim

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Limits of a filter, and of a path with one. They bound the work that one request can ask for.
const (
	maxFilterBytes = 8 << 10
	maxFilterDepth = 32 // of parentheses and brackets
	maxFilterTerms = 64 // attribute expressions and value paths
)

// parser reads one filter or path from left to right, resolving names as it goes. It makes no
// list of tokens, and a value without escapes is a part of the text: so a simple filter costs no
// more than its result.
type parser struct {
	d       *Definition
	text    string
	pos     int // in bytes
	depth   int
	terms   int
	kind    ErrorType  // of the errors: InvalidFilter or InvalidPath
	element *Attribute // inside brackets the attribute before them, otherwise nil
}

// checkText refuses a text that is too long, or holds what no database would store.
func (p *parser) checkText() error {
	switch {
	case len(p.text) > maxFilterBytes:
		return &Error{Type: p.kind, Detail: fmt.Sprintf("longer than %d bytes", maxFilterBytes)}
	case !utf8.ValidString(p.text):
		return &Error{Type: p.kind, Detail: "not valid UTF-8"}
	default:
		return nil
	}
}

func (p *parser) atEnd() bool { return p.pos == len(p.text) }

// peek is the next byte, or 0 at the end: NUL itself is an error wherever it stands.
func (p *parser) peek() byte {
	if p.atEnd() {
		return 0
	}
	return p.text[p.pos]
}

func (p *parser) skipBlanks() {
	for !p.atEnd() && isBlank(p.text[p.pos]) {
		p.pos++
	}
}

// token reads up to the next blank, bracket, quote or end; "" if one of these comes first.
func (p *parser) token() string {
	start := p.pos
	for !p.atEnd() && !isDelimiter(p.text[p.pos]) {
		p.pos++
	}
	return p.text[start:p.pos]
}

// keyword skips blanks and reads the word, in any case, if it comes next.
func (p *parser) keyword(word string) bool {
	p.skipBlanks()
	start := p.pos
	if equalName(p.token(), word) {
		return true
	}
	p.pos = start
	return false
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

func isDelimiter(c byte) bool { return isBlank(c) || strings.IndexByte(`()[]"`, c) >= 0 }

// quoted reads a string as JSON writes it (RFC 8259 §7); the next byte is its opening quote.
func (p *parser) quoted() (string, error) {
	p.pos++
	start := p.pos
	for !p.atEnd() {
		switch c := p.text[p.pos]; {
		case c == '"':
			p.pos++
			return p.text[start : p.pos-1], nil
		case c == '\\':
			return p.escaped(p.text[start:p.pos])
		case c < ' ':
			return "", p.fail(p.pos, "control characters in a string are written as \\u and four digits")
		default:
			p.pos++
		}
	}
	return "", p.fail(start-1, "the string has no closing quote")
}

// escaped reads the rest of a string from its first backslash on.
func (p *parser) escaped(head string) (string, error) {
	b := []byte(head)
	for !p.atEnd() {
		switch c := p.text[p.pos]; {
		case c == '"':
			p.pos++
			return string(b), nil
		case c < ' ':
			return "", p.fail(p.pos, "control characters in a string are written as \\u and four digits")
		case c == '\\':
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			b = utf8.AppendRune(b, r)
		default:
			b = append(b, c)
			p.pos++
		}
	}
	return "", p.fail(p.pos, "the string has no closing quote")
}

// escape reads one escape sequence; the next byte is its backslash.
func (p *parser) escape() (rune, error) {
	start := p.pos
	p.pos += 2
	if p.pos > len(p.text) {
		p.pos = len(p.text)
		return 0, p.fail(start, "the string ends within an escape sequence")
	}
	switch c := p.text[p.pos-1]; c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		return p.codePoint(start)
	default:
		return 0, p.fail(start, `unknown escape sequence; expected one of \" \\ \/ \b \f \n \r \t \u`)
	}
}

// codePoint reads the digits after \u, and the other half of a surrogate pair.
func (p *parser) codePoint(start int) (rune, error) {
	r, ok := p.fourDigits()
	switch {
	case !ok:
		return 0, p.fail(start, "expected four hexadecimal digits after \\u")
	case r == 0:
		return 0, p.fail(start, "the NUL character cannot be part of a value")
	case !utf16Surrogate(r):
		return r, nil
	}
	if r < 0xdc00 && strings.HasPrefix(p.text[p.pos:], `\u`) {
		p.pos += len(`\u`)
		if low, ok := p.fourDigits(); ok && low >= 0xdc00 && utf16Surrogate(low) {
			return (r-0xd800)<<10 + (low - 0xdc00) + 0x10000, nil
		}
	}
	return 0, p.fail(start, "half of a surrogate pair without the other one")
}

func (p *parser) fourDigits() (rune, bool) {
	if p.pos+4 > len(p.text) {
		return 0, false
	}
	var r rune
	for _, c := range []byte(p.text[p.pos : p.pos+4]) {
		digit := strings.IndexByte("0123456789abcdef", lowerByte(c))
		if digit < 0 {
			return 0, false
		}
		r = r<<4 + rune(digit)
	}
	p.pos += 4
	return r, true
}

func utf16Surrogate(r rune) bool { return 0xd800 <= r && r < 0xe000 }

// fail makes an error that points at a byte of the text; people count characters, from one.
func (p *parser) fail(pos int, format string, args ...any) error {
	at := utf8.RuneCountInString(p.text[:pos]) + 1
	return &Error{Type: p.kind, Detail: fmt.Sprintf("position %d: ", at) + fmt.Sprintf(format, args...)}
}

// unknown reports a name that owner lacks, or that is no name at all.
func (p *parser) unknown(pos int, name, owner string) error {
	if !isAttributeName(name) {
		return p.fail(pos, `expected an attribute name: letters, digits, "-" and "_", the first a letter`)
	}
	at := utf8.RuneCountInString(p.text[:pos]) + 1
	return &Error{Type: p.kind, Path: name[:min(len(name), maxShownName)], Detail: fmt.Sprintf("position %d: %s has no such attribute", at, owner)}
}

// maxShownName is how much of a name an error repeats, in bytes. Real ones are shorter.
const maxShownName = 100

// expected reports what should come next. Of what comes instead it shows one character only:
// the rest may be somebody's personal data.
func (p *parser) expected(what string) error {
	if p.atEnd() {
		return p.fail(p.pos, "expected %s, found the end", what)
	}
	found, _ := utf8.DecodeRuneInString(p.text[p.pos:])
	return p.fail(p.pos, "expected %s, found %q", what, found)
}
