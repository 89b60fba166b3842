package provisioning

import (
	"errors"
	"fmt"
	"time"

	"meibo/scim"
)

// Kind classes an error by what the caller can do about it. Each adapter translates kinds into
// its own words once; nothing below an adapter knows a status code.
type Kind uint8

const (
	Internal     Kind = iota // a fault of ours; its text is for the log only
	Invalid                  // the request breaks a rule; Type says which (RFC 7644 §3.12)
	NotFound                 // no such resource, connection or tenant in the caller's sight
	Conflict                 // a value that must be unique is taken; Attribute names it
	Precondition             // If-Match or If-None-Match did not hold
	Forbidden                // the caller may not do this
	Gone                     // it was there, and is kept no longer
	Unavailable              // the database cannot serve now; the same request may succeed later
)

// Error is the one error type of the core. Detail names what is wrong and what to do, for the
// caller's eyes; Err is the cause, for the log.
type Error struct {
	Kind      Kind
	Type      string // a scimType where RFC 7644 has one
	Attribute string // the attribute or path at fault; "" where none is
	Detail    string
	Err       error

	// RetryAfter, of Unavailable, is when the same request may succeed; 0 for soon.
	RetryAfter time.Duration
	// Staged says that what was asked for waits for a person, who finds it as Matter; Reason says why.
	// Of a Conflict, Matter is the question that it raises.
	Staged bool
	Reason Reason
	Matter *Matter
}

func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %v", e.Detail, e.Err)
	}
	return e.Detail
}

func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the first Error in err's chain; Internal for any other error.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Taken is the Conflict of a unique attribute whose value is held by another resource.
func Taken(attribute string) *Error {
	return &Error{Kind: Conflict, Type: string(scim.Uniqueness), Attribute: attribute,
		Detail: fmt.Sprintf("another resource already has this %s; choose another value or match the existing resource", attribute)}
}

var kindNames = map[Kind]string{Internal: "internal", Invalid: "invalid", NotFound: "notFound", Conflict: "conflict",
	Precondition: "precondition", Forbidden: "forbidden", Gone: "gone", Unavailable: "unavailable"}

func (k Kind) String() string { return kindNames[k] }
