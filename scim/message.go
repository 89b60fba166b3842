package scim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// URNs of the messages of RFC 7644 §8.2.
const (
	ListResponseSchema = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	PatchOpSchema      = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
	ErrorSchema        = "urn:ietf:params:scim:api:messages:2.0:Error"
)

// Operation is one operation of a PATCH request (RFC 7644 §3.5.2).
type Operation struct {
	Op    string // "add", "remove" or "replace", in lower case
	Path  string // "" where the operation has none
	Value any    // as ParseJSON returns it; nil where it is absent or null
}

// The operations of RFC 7644 §3.5.2.
const (
	opAdd     = "add"
	opRemove  = "remove"
	opReplace = "replace"
)

// DecodePatch reads the body of a PATCH request, as ParseJSON returned it. Names of the message
// compare without case, names that it does not define are ignored, and an empty list of operations
// is allowed. The error is an *Error of type InvalidSyntax that names the operation, counted from
// 1.
func DecodePatch(raw map[string]any) ([]Operation, error) {
	body, err := messageMembers(raw, "schemas", "operations")
	if err != nil {
		return nil, err
	}
	if err := checkPatchSchemas(body["schemas"]); err != nil {
		return nil, err
	}
	list, ok := body["operations"].([]any)
	if !ok {
		return nil, &Error{Type: InvalidSyntax, Path: "Operations", Detail: "expected an array of operations, got " + kindOf(body["operations"])}
	}
	ops := make([]Operation, len(list))
	for i, v := range list {
		if ops[i], err = decodeOperation(v); err != nil {
			return nil, inOperation(err, i)
		}
	}
	return ops, nil
}

// messageMembers picks the members of the given lower-case names out of a message.
func messageMembers(raw map[string]any, names ...string) (map[string]any, error) {
	out := make(map[string]any, len(names))
	for _, key := range sortedKeys(raw) {
		name := foldName(key)
		if !slices.Contains(names, name) {
			continue
		}
		if _, given := out[name]; given {
			return nil, twice(key)
		}
		out[name] = raw[key]
	}
	return out, nil
}

func checkPatchSchemas(v any) error {
	if v == nil {
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		return &Error{Type: InvalidSyntax, Path: "schemas", Detail: "expected an array of URNs, got " + kindOf(v)}
	}
	for _, urn := range list {
		if s, _ := urn.(string); equalName(s, PatchOpSchema) {
			return nil
		}
	}
	return &Error{Type: InvalidSyntax, Path: "schemas", Detail: "a PATCH body must name " + PatchOpSchema}
}

func decodeOperation(v any) (Operation, error) {
	object, ok := v.(map[string]any)
	if !ok {
		return Operation{}, &Error{Type: InvalidSyntax, Detail: "expected an object, got " + kindOf(v)}
	}
	members, err := messageMembers(object, "op", "path", "value")
	if err != nil {
		return Operation{}, err
	}
	op, _ := members["op"].(string)
	op = strings.ToLower(op)
	if err := checkOp(op); err != nil {
		return Operation{}, err
	}
	path, ok := members["path"].(string)
	if !ok && members["path"] != nil {
		return Operation{}, &Error{Type: InvalidSyntax, Detail: "path must be a string, not " + kindOf(members["path"])}
	}
	return Operation{Op: op, Path: path, Value: members["value"]}, nil
}

func checkOp(op string) error {
	if op != opAdd && op != opRemove && op != opReplace {
		return &Error{Type: InvalidSyntax, Detail: `op must be "add", "remove" or "replace"`}
	}
	return nil
}

// inOperation adds to an error which operation, counted from 0, it speaks of.
func inOperation(err error, i int) error {
	fault, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	return &Error{Type: fault.Type, Path: fault.Path, Detail: fmt.Sprintf("operation %d: %s", i+1, fault.Detail)}
}
