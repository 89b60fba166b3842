package scim

import (
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Folding is how two strings of an attribute compare. There is one rule, held alike by
// Filter.Match, SQLite and PostgreSQL.
type Folding uint8

const (
	FoldNone  Folding = iota // caseExact=true: byte for byte
	FoldASCII                // caseExact=false: without ASCII case
	FoldFull                 // key attributes: NFKC and full Unicode case folding
)

// Apply folds s; two strings are equal under f when their folded forms are the same bytes.
func (f Folding) Apply(s string) string {
	switch f {
	case FoldASCII:
		return lowerASCII(s)
	case FoldFull:
		return foldFull(s)
	default:
		return s
	}
}

func foldFull(s string) string {
	if isASCII(s) {
		return lowerASCII(s)
	}
	// Folding can undo normal form and the other way round; two rounds reach the fixed point
	// (Unicode chapter 3, definition D146).
	fold := cases.Fold()
	return norm.NFKC.String(fold.String(norm.NFKC.String(fold.String(norm.NFD.String(s)))))
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// lowerASCII lowers A–Z and nothing else, as lower() does in SQLite and under COLLATE "C". It
// returns s itself where there is nothing to lower.
func lowerASCII(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			return lowerASCIIFrom(s, i)
		}
	}
	return s
}

func lowerASCIIFrom(s string, first int) string {
	b := []byte(s)
	for i := first; i < len(b); i++ {
		if 'A' <= b[i] && b[i] <= 'Z' {
			b[i] += 'a' - 'A'
		}
	}
	return string(b)
}
