// Package scimtest generates filters and resources for property tests: that a filter selects the
// same in Go and in every database, and that it survives printing. Only test files import it.
//
// Filters and resources draw on the same few values, so that a filter often finds something, and
// the values are chosen to part what looks alike: case and folding beyond ASCII, composed and
// decomposed characters, code points on both sides of the surrogates, the wildcards and escapes
// of LIKE, JSON and URLs.
package scimtest
