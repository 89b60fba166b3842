package scim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxIndexed is the length of a string that is looked up through an index, in characters.
const maxIndexed = 1024

// Validate turns a request's resource (POST, PUT), as ParseJSON returned it, into attributes.
//
// Names become canonical whatever case they came in. Dropped are: read-only attributes, "schemas",
// a group's members (see ReadMembers), passwords and other attributes that are never returned,
// core attributes that no schema knows, and whatever is unassigned: null, "", [] and {} (RFC 7643
// §2.5). An extension that no schema describes is kept as it was sent, without its nulls. Values
// are kept byte for byte.
//
// The error is an *Error of type InvalidSyntax for a name given twice in different case, and of
// type InvalidValue, naming the attribute, for a required attribute that is unassigned, a value
// of the wrong type, a second primary element in one attribute, and an indexed string of more
// than 1,024 characters. Input is not changed.
func (d *Definition) Validate(raw map[string]any) (Attributes, error) {
	out := make(Attributes, len(raw))
	if err := d.readInto(out, raw); err != nil {
		return nil, err
	}
	if err := d.checkUnregistered(out); err != nil {
		return nil, err
	}
	if err := d.check(out); err != nil {
		return nil, err
	}
	return out, nil
}

func (d *Definition) readInto(out Attributes, raw map[string]any) error {
	var seen []name // the registered ones, so that its length is bounded
	for _, key := range sortedKeys(raw) {
		name, ok := d.lookup(key)
		switch {
		case !ok || name.attr != nil && d.discards(name.attr):
			continue
		case slices.Contains(seen, name):
			return twice(key)
		case name.isRegistered():
			seen = append(seen, name)
		}
		if err := d.readMember(out, key, name, raw[key]); err != nil {
			return err
		}
	}
	return nil
}

// readMember reads the value of one top-level key.
func (d *Definition) readMember(out Attributes, key string, name name, v any) error {
	switch {
	case name.attr != nil:
		return readAttribute(out, name, v)
	case name.core:
		object, err := extensionObject(key, v)
		if err != nil {
			return err
		}
		return d.readInto(out, object)
	case name.schema != nil:
		return readExtension(out, name.schema, v, d.ext[foldName(name.urn)].attrs)
	default:
		if value := withoutNulls(v); !IsUnassigned(value) {
			out[key] = value
		}
		return nil
	}
}

func readAttribute(out Attributes, name name, v any) error {
	value, err := name.attr.coerce(v)
	if err != nil || value == nil {
		return err
	}
	object := map[string]any(out)
	if name.urn != "" {
		object, _ = out[name.urn].(map[string]any)
		if object == nil {
			object = map[string]any{}
			out[name.urn] = object
		}
	}
	if _, given := object[name.attr.Name]; given {
		return twice(name.attr.String())
	}
	object[name.attr.Name] = value
	return nil
}

func readExtension(out Attributes, s *Schema, v any, attrs map[string]*Attribute) error {
	object, err := extensionObject(s.ID, v)
	if err != nil {
		return err
	}
	return eachAttribute(object, attrs, nil, func(a *Attribute, v any) error {
		return readAttribute(out, name{urn: s.ID, attr: a}, v)
	})
}

// eachAttribute calls do with the attributes that an object of a client names, and their values;
// those that are unknown or discarded are passed over. The names are looked up in attrs, which are
// the sub-attributes of parent or, where that is nil, an extension's.
func eachAttribute(object map[string]any, attrs map[string]*Attribute, parent *Attribute, do func(*Attribute, any) error) error {
	var seen []*Attribute
	for _, key := range sortedKeys(object) {
		a := attrs[foldName(key)]
		switch {
		case a == nil || discarded(a):
			continue
		case slices.Contains(seen, a) && parent != nil:
			return twice(parent.String() + "." + key)
		case slices.Contains(seen, a):
			return twice(key)
		}
		seen = append(seen, a)
		if err := do(a, object[key]); err != nil {
			return err
		}
	}
	return nil
}

// extensionObject is the value of an extension's URN; nil where that is unassigned.
func extensionObject(urn string, v any) (map[string]any, error) {
	object, ok := v.(map[string]any)
	if !ok && !IsUnassigned(v) {
		return nil, &Error{Type: InvalidValue, Path: urn, Detail: "expected an object with the extension's attributes, got " + kindOf(v)}
	}
	return object, nil
}

// checkUnregistered refuses two spellings of the URN of one extension.
func (d *Definition) checkUnregistered(a Attributes) error {
	unknown := d.unknownKeys(a)
	folded := make(map[string]bool, len(unknown))
	for _, key := range unknown {
		if folded[lowerASCII(key)] {
			return twice(key)
		}
		folded[lowerASCII(key)] = true
	}
	return nil
}

func twice(name string) *Error {
	return &Error{Type: InvalidSyntax, Path: name, Detail: "the name is given twice; send it once"}
}

// name is what a top-level key of a resource means.
type name struct {
	core   bool       // the core schema's URN
	urn    string     // of an extension in its registered spelling; "" for the core schema
	schema *Schema    // of a registered extension
	attr   *Attribute // nil where the key names a whole schema
}

func (n name) isRegistered() bool { return n.core || n.schema != nil || n.attr != nil }

// lookup resolves a top-level key: an attribute, a schema's URN, an attribute qualified by one,
// or the URN of an extension that no schema describes. It is false for an unknown attribute.
func (d *Definition) lookup(key string) (name, bool) {
	if attr := d.Attribute(key); attr != nil {
		return name{attr: attr}, true
	}
	if !hasURNPrefix(key) {
		return name{}, false
	}
	if d.IsCore(key) {
		return name{core: true}, true
	}
	if s := d.Extension(key); s != nil {
		return name{urn: s.ID, schema: s}, true
	}
	if colon := strings.LastIndexByte(key, ':'); d.IsCore(key[:colon]) {
		attr := d.Attribute(key[colon+1:])
		return name{attr: attr}, attr != nil
	} else if s := d.Extension(key[:colon]); s != nil {
		if attr := d.ExtensionAttribute(s.ID, key[colon+1:]); attr != nil {
			return name{urn: s.ID, schema: s, attr: attr}, true
		}
	}
	return name{urn: key}, true
}

func hasURNPrefix(key string) bool {
	return len(key) > len("urn:") && equalName(key[:len("urn:")], "urn:")
}

// discards reports whether a client's value of the attribute is never part of Attributes.
func (d *Definition) discards(a *Attribute) bool {
	return discarded(a) || d.isSchemas(a) || d.isMembers(a)
}

// discarded is the part of discards that the attribute's definition tells. What is never returned
// is not kept at all: it would be a secret in a document that is made to be shown.
func discarded(a *Attribute) bool { return a.Mutability == ReadOnly || a.Returned == Never }

func (d *Definition) isSchemas(a *Attribute) bool { return a == d.attrs["schemas"] }

func (d *Definition) isMembers(a *Attribute) bool {
	return d.Type == Group && a == d.attrs["members"]
}

// IsUnassigned reports whether v stands for no value (RFC 7643 §2.5): null, "", [] or {}.
func IsUnassigned(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	default:
		return false
	}
}

// coerce checks v against the attribute's type and returns it with canonical names and without
// unassigned parts; nil if nothing is left.
func (a *Attribute) coerce(v any) (any, error) {
	if IsUnassigned(v) {
		return nil, nil
	}
	if !a.MultiValued {
		return a.coerceOne(v)
	}
	list, ok := v.([]any)
	if !ok {
		return nil, a.wrongType("an array", v)
	}
	out := make([]any, 0, len(list))
	for i, element := range list {
		value, err := a.coerceOne(element)
		if err != nil {
			return nil, inElement(err, i)
		}
		if value != nil {
			out = append(out, value)
		}
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}

// inElement adds to an error which element, counted from 0, it speaks of.
func inElement(err error, i int) error {
	fault, ok := err.(*Error)
	if !ok {
		return err
	}
	return &Error{Type: fault.Type, Path: fault.Path, Detail: fmt.Sprintf("element %d: %s", i+1, fault.Detail)}
}

// coerceOne is coerce for one value of a multi-valued attribute, or the only one of another.
func (a *Attribute) coerceOne(v any) (any, error) {
	if IsUnassigned(v) {
		return nil, nil
	}
	ok, expected := true, ""
	switch a.Type {
	case Complex:
		if object, ok := v.(map[string]any); ok {
			return a.coerceObject(object)
		}
		ok, expected = false, "an object"
	case Boolean:
		_, ok = v.(bool)
		expected = "true or false"
	case Integer, Decimal:
		ok, expected = a.isNumber(v)
	case DateTime:
		ok, expected = isDateTime(v), "a date and time such as 2030-01-31T09:30:00Z"
	case Untyped:
		v = withoutNulls(v)
	default:
		_, ok = v.(string)
		expected = "a string"
	}
	if !ok {
		return nil, a.wrongType(expected, v)
	}
	return v, nil
}

func (a *Attribute) coerceObject(object map[string]any) (any, error) {
	out := make(map[string]any, len(object))
	err := eachAttribute(object, a.sub, a, func(sub *Attribute, v any) error {
		value, err := sub.coerce(v)
		put(out, sub.Name, value)
		return err
	})
	if err != nil {
		return nil, err
	}
	return orNil(out), nil
}

func (a *Attribute) isNumber(v any) (ok bool, expected string) {
	number, isNumber := v.(json.Number)
	if a.Type == Decimal {
		return isNumber, "a number"
	}
	if isNumber {
		_, err := strconv.ParseInt(string(number), 10, 64)
		isNumber = err == nil
	}
	return isNumber, "a whole number"
}

// isDateTime accepts the xsd:dateTime forms of RFC 7643 §2.3.5; the time zone may be missing.
func isDateTime(v any) bool {
	s, ok := v.(string)
	if !ok {
		return false
	}
	_, ok = parseMicros(s)
	return ok && !strings.Contains(s, ",") // which ISO 8601 and Go allow
}

func (a *Attribute) wrongType(expected string, got any) *Error {
	kind := kindOf(got)
	if a.Type == Integer && kind == "a number" {
		kind = "a number with a fraction, or one too large"
	}
	if a.Type == DateTime && kind == "a string" {
		kind = "another string"
	}
	return a.invalid("expected " + expected + ", got " + kind)
}

func (a *Attribute) invalid(detail string) *Error {
	return &Error{Type: InvalidValue, Path: a.String(), Detail: detail}
}

// kindOf names the JSON type of a value, never the value.
func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case json.Number:
		return "a number"
	case []any:
		return "an array"
	default:
		return "an object"
	}
}

// withoutNulls copies an untyped value and leaves its nulls out.
func withoutNulls(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, element := range v {
			if element != nil {
				out[key] = withoutNulls(element)
			}
		}
		return out
	case []any:
		out := make([]any, 0, len(v))
		for _, element := range v {
			if element != nil {
				out = append(out, withoutNulls(element))
			}
		}
		return out
	default:
		return v
	}
}

// check holds a whole resource to the rules that no single value shows: required attributes, one
// primary element, the length of indexed strings. Types are right already.
func (d *Definition) check(a Attributes) error {
	if err := checkAttribute(d.attrs["externalid"], a["externalId"]); err != nil {
		return err
	}
	for _, attr := range d.Core.Attributes {
		if d.discards(attr) {
			continue
		}
		if err := checkAttribute(attr, a[attr.Name]); err != nil {
			return err
		}
	}
	for _, s := range d.Extensions {
		object, ok := a[s.ID].(map[string]any)
		if !ok {
			continue
		}
		if err := checkObject(s.Attributes, object); err != nil {
			return err
		}
	}
	return nil
}

func checkObject(attrs []*Attribute, object map[string]any) error {
	for _, attr := range attrs {
		if discarded(attr) {
			continue
		}
		if err := checkAttribute(attr, object[attr.Name]); err != nil {
			return err
		}
	}
	return nil
}

func checkAttribute(a *Attribute, v any) error {
	switch v := v.(type) {
	case nil:
		if a.Required {
			return a.invalid("the attribute is required; send a value")
		}
		return nil
	case []any:
		return checkElements(a, v)
	case string:
		// RFC 7643 §4.1.1 demands a userName that is not empty; blanks name nobody.
		if a.Required && strings.TrimSpace(v) == "" {
			return a.invalid("the attribute is required, and blanks are no value; send one")
		}
		return checkOne(a, v)
	default:
		return checkOne(a, v)
	}
}

func checkElements(a *Attribute, list []any) error {
	primaries := 0
	for i, element := range list {
		if isPrimary(element) {
			primaries++
		}
		if err := checkOne(a, element); err != nil {
			return inElement(err, i)
		}
	}
	if primaries > 1 && a.Sub("primary") != nil {
		return a.invalid("more than one element is primary; mark one of them")
	}
	return nil
}

func checkOne(a *Attribute, v any) error {
	switch v := v.(type) {
	case map[string]any:
		return checkObject(a.SubAttributes, v)
	case string:
		if len(v) > maxIndexed && a.isIndexed() && utf8.RuneCountInString(v) > maxIndexed {
			return a.invalid(fmt.Sprintf("the value is longer than %d characters", maxIndexed))
		}
	}
	return nil
}

// isIndexed reports whether strings of the attribute are keys of a look-up: userName, a group's
// displayName, emails.value and externalId.
func (a *Attribute) isIndexed() bool {
	return a.Folding == FoldFull || a.Name == "externalId" && a.urn == "" && a.parent == nil
}

func isPrimary(element any) bool {
	object, _ := element.(map[string]any)
	primary, _ := object["primary"].(bool)
	return primary
}

// checkImmutable refuses another value for an immutable attribute that has one. Elements of
// multi-valued attributes come and go; operateElements guards what is immutable inside them.
func (d *Definition) checkImmutable(old, next Attributes) error {
	for _, a := range d.Core.Attributes {
		if err := checkUnchanged(a, old[a.Name], next[a.Name]); err != nil {
			return err
		}
	}
	for _, s := range d.Extensions {
		before, _ := old[s.ID].(map[string]any)
		after, _ := next[s.ID].(map[string]any)
		for _, a := range s.Attributes {
			if err := checkUnchanged(a, before[a.Name], after[a.Name]); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkUnchanged(a *Attribute, old, next any) error {
	if old == nil {
		return nil
	}
	if a.Mutability == Immutable && !Equal(old, next) {
		return immutable(a)
	}
	before, ok := old.(map[string]any)
	if !ok {
		return nil
	}
	after, _ := next.(map[string]any)
	for _, sub := range a.SubAttributes {
		if err := checkUnchanged(sub, before[sub.Name], after[sub.Name]); err != nil {
			return err
		}
	}
	return nil
}

func immutable(a *Attribute) *Error {
	return &Error{Type: Mutable, Path: a.String(), Detail: "the attribute is immutable once it has a value"}
}
