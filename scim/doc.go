// Package scim is SCIM 2.0 as a library: the words and rules of RFC 7643 and RFC 7644 without HTTP
// and without a database.
//
// # The parts
//
//	Definition   everything known about one resource type, compiled once from schema definitions
//	ParseJSON    a request body, read strictly
//	Validate     a body as Attributes: canonical names, right types, nothing unassigned
//	ParsePath, ParseFilter   text resolved against a Definition into typed trees
//	Match        whether a resource satisfies a filter: the oracle that SQL is held against
//	Patch        a PATCH as a pure function of a resource and operations
//	Projection   attributes and excludedAttributes
//	Encode, Decode   the document that is stored and answered
//
// The standard definitions come from github.com/elimity-com/scim/schema; an extension is data in
// the JSON form of RFC 7643 §7 (ParseSchema). All errors are *Error with a scimType, and name what
// is wrong and what to do.
//
// Everything here is a pure function of its arguments; no input is changed, and values may be
// shared between goroutines.
package scim
