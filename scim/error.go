package scim

import "strings"

// ErrorType is a scimType of RFC 7644 §3.12, table 9.
type ErrorType string

// The scimTypes that this package reports.
const (
	InvalidFilter ErrorType = "invalidFilter"
	Uniqueness    ErrorType = "uniqueness"
	Mutable       ErrorType = "mutability"
	InvalidSyntax ErrorType = "invalidSyntax"
	InvalidPath   ErrorType = "invalidPath"
	NoTarget      ErrorType = "noTarget"
	InvalidValue  ErrorType = "invalidValue"
)

// Error is a fault of a request under the rules of SCIM. Detail names what is wrong and what to
// do, for the person who reads it in the client's log; it may name attributes and positions but
// holds no other user's data.
type Error struct {
	Type   ErrorType
	Path   string // the attribute or path at fault; "" where none is
	Detail string
}

// Message is the detail with the attribute or path that it speaks of, for a person who reads
// nothing else.
func (e *Error) Message() string {
	if e.Path == "" || strings.Contains(e.Detail, e.Path) {
		return e.Detail
	}
	return e.Path + ": " + e.Detail
}

func (e *Error) Error() string {
	if e.Path == "" {
		return string(e.Type) + ": " + e.Detail
	}
	return string(e.Type) + ": " + e.Path + ": " + e.Detail
}
