package mapping

import (
	"errors"
	"fmt"
	"strings"

	"meibo/scim"
)

// underived are the attributes of a client's view that are no attributes of an assertion.
var underived = map[string]string{
	"schemas":  "it follows from the attributes",
	"id":       "meibo gives it",
	"meta":     "meibo keeps it",
	"groups":   "it follows from the groups' members",
	"members":  "members are kept apart from the attributes",
	"password": "passwords are not kept",
}

// parsePath reads a path of attributes of def. The detail says what is wrong with it; "" for nothing.
func parsePath(def *scim.Definition, text string) (path scim.Path, detail string) {
	if text == "" {
		return path, "it is missing"
	}
	path, err := scim.ParsePath(def, text)
	if fault, ok := errors.AsType[*scim.Error](err); ok && fault.Path == "" {
		return path, fault.Detail
	} else if err != nil {
		return path, fmt.Sprintf("there is no attribute %s", text)
	}
	if path.Attr == nil {
		return path, fmt.Sprintf("%s is a whole extension", text)
	}
	if path.URN == "" {
		if why, ok := underived[path.Attr.Name]; ok && def.Attribute(path.Attr.Name) == path.Attr {
			return path, fmt.Sprintf("%s is not among the attributes: %s", path.Attr.Name, why)
		}
	}
	return path, ""
}

// readable reads the path of an attribute that an assertion can have.
func readable(def *scim.Definition, text string) (path scim.Path, detail string) {
	path, detail = parsePath(def, text)
	if detail == "" && (path.Attr.Returned == scim.Never || path.Sub != nil && path.Sub.Returned == scim.Never) {
		detail = path.String() + " is never kept"
	}
	return path, detail
}

// isList reports whether the path selects any number of values.
func isList(p scim.Path) bool {
	if p.Sub == nil {
		return p.Attr.MultiValued && p.Filter == nil
	}
	return p.Sub.MultiValued || p.Attr.MultiValued && p.Filter == nil
}

func last(p scim.Path) *scim.Attribute {
	if p.Sub != nil {
		return p.Sub
	}
	return p.Attr
}

// mismatch says why what from selects cannot be assigned to a target; "" where it may.
func mismatch(from scim.Path, to target) string {
	source, attr := last(from), last(to.path)
	switch {
	case source.Type == scim.Untyped || attr.Type == scim.Untyped:
		return ""
	case isList(from) && !to.list:
		return fmt.Sprintf("%s has any number of values, and %s has one", from, to.text)
	case (source.Type == scim.Complex) != (attr.Type == scim.Complex):
		return fmt.Sprintf("%s is %s, and %s is %s", from, kind(source), to.text, kind(attr))
	}
	return ""
}

func kind(a *scim.Attribute) string {
	if a.Type == scim.Complex {
		return "complex"
	}
	return "a " + string(a.Type)
}

// Value is what a path selects of a document; nil where it is unassigned.
func Value(a scim.Attributes, p scim.Path) any { return read(a, p) }

// read returns the value that a path selects: nil where it is unassigned; the first element that
// satisfies the path's filter; a list where the path leads through several elements without one.
func read(a scim.Attributes, p scim.Path) any {
	scope := map[string]any(a)
	if p.URN != "" {
		scope, _ = a[p.URN].(map[string]any)
		if scope == nil && p.Attr.Type == scim.Untyped {
			return readUnregistered(a, p)
		}
	}
	return below(scope[p.Attr.Name], p)
}

// readUnregistered reads below a URN that no schema describes, which is spelled as the client did. Its
// last part may belong to it or be an attribute; no grammar tells, so that an attribute comes first.
func readUnregistered(a scim.Attributes, p scim.Path) any {
	if object, ok := underURN(a, p.URN).(map[string]any); ok {
		return below(object[p.Attr.Name], p)
	}
	if p.Sub == nil && p.Filter == nil {
		return underURN(a, p.URN+":"+p.Attr.Name)
	}
	return nil
}

func underURN(a scim.Attributes, urn string) any {
	for key, v := range a {
		if len(key) == len(urn) && strings.EqualFold(key, urn) {
			return v // the only one: no assertion has a URN in two spellings
		}
	}
	return nil
}

// below goes on from the value of the path's attribute.
func below(v any, p scim.Path) any {
	list, isList := v.([]any)
	if p.Filter != nil {
		if !isList {
			list = []any{v}
		}
		if v, isList = first(list, p.Filter), false; v == nil {
			return nil
		}
	}
	switch {
	case p.Sub == nil:
		return v
	case !isList:
		object, _ := v.(map[string]any)
		return object[p.Sub.Name]
	}
	var values []any
	for _, element := range list {
		if object, ok := element.(map[string]any); ok && object[p.Sub.Name] != nil {
			values = append(values, object[p.Sub.Name])
		}
	}
	if values == nil {
		return nil
	}
	return values
}

// first returns the first element that satisfies the filter, or nil.
func first(list []any, f scim.Filter) any {
	for _, element := range list {
		if object, ok := element.(map[string]any); ok && scim.Match(f, object) {
			return element
		}
	}
	return nil
}
