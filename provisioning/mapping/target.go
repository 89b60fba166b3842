package mapping

import (
	"errors"
	"maps"
	"slices"
	"unicode/utf8"

	"meibo/scim"
)

// target is what a row or an override assigns.
type target struct {
	path scim.Path
	text string // the path in its canonical spelling
	list bool   // it has any number of values
}

// target reads the path of a row's target.
func (c *compiler) target(text string, t *target) bool {
	out, detail, remedy := parseTarget(c.def, text)
	if detail != "" {
		c.problem("target", remedy, "%s", detail)
		return false
	}
	*t = out
	return true
}

// parseTarget reads the path of a target. The detail says why it is none; "" where it is one.
func parseTarget(def *scim.Definition, text string) (t target, detail, remedy string) {
	path, detail := parsePath(def, text)
	remedy = "name an attribute that can be written"
	switch {
	case detail != "":
	case def.Type == scim.User && path.URN == "" && path.Attr.Name == "active":
		detail, remedy = "whether an account works is not mapped", "use scope and deletion policies"
	case path.Attr.Mutability == scim.ReadOnly || path.Sub != nil && path.Sub.Mutability == scim.ReadOnly:
		detail = path.String() + " is read-only"
	case path.Attr.Returned == scim.Never || path.Sub != nil && path.Sub.Returned == scim.Never:
		detail = path.String() + " is never kept"
	case path.Filter == nil && path.Sub != nil && path.Attr.MultiValued:
		detail = path.String() + " is part of any number of elements"
		remedy = `say which element is meant: ` + path.Attr.String() + `[type eq "work"].` + path.Sub.Name
	case path.Filter != nil && !path.Attr.MultiValued:
		detail = path.Attr.String() + " has one value and nothing to select from"
		remedy = "leave the brackets out"
	}
	if detail != "" {
		return target{}, detail, remedy
	}
	return target{path: path, text: path.String(), list: isList(path)}, "", ""
}

// isMandatory reports whether every resource has the attribute.
func (t target) isMandatory() bool {
	return t.path.Sub == nil && t.path.Filter == nil && t.path.Attr.Required
}

// convert turns a value into one that the target may have; nil where it is empty.
func (t target) convert(v any) (any, error) {
	attr := last(t.path)
	if t.list {
		return convert(attr, v)
	}
	if list, ok := v.([]any); ok && attr.Type != scim.Untyped && len(list) > 0 {
		return nil, wrongType(attr, v)
	}
	return convertOne(attr, v)
}

// writer makes the effective attributes. What it has not copied it shares with the asserted ones.
type writer struct {
	def    *scim.Definition
	out    scim.Attributes
	owned  []string // keys of out whose object is a copy already; out itself where it is not nil
	check  bool     // something was written that only a look at the whole can judge
	copied bool
}

// longText is the length from which the whole is looked at: some attributes are limited to it.
const longText = 1024

// assign writes a converted value; nil unassigns the target.
func (w *writer) assign(t target, v any) error {
	if s, ok := v.(string); !ok && v != nil || len(s) > longText && utf8.RuneCountInString(s) > longText {
		w.check = true
	}
	if t.path.Filter != nil || last(t.path).Type == scim.Untyped {
		return w.patch(t, v)
	}
	object := w.own()
	if t.path.URN != "" {
		object = w.object(object, t.path.URN, v != nil)
	}
	name := t.path.Attr.Name
	if t.path.Sub != nil {
		object, name = w.sub(object, t, v != nil), t.path.Sub.Name
	}
	switch {
	case object == nil: // nothing there to unassign
	case v == nil:
		delete(object, name)
		w.prune(t)
	default:
		object[name] = v
	}
	return nil
}

// own returns the attributes to write to.
func (w *writer) own() map[string]any {
	if !w.copied {
		if w.out = maps.Clone(w.out); w.out == nil {
			w.out = scim.Attributes{}
		}
		w.copied = true
	}
	return w.out
}

// sub returns the complex value to write a sub-attribute to; nil if there is none and none is to be made.
func (w *writer) sub(object map[string]any, t target, create bool) map[string]any {
	if object == nil {
		return nil
	}
	key := t.path.Attr.Name
	if t.path.URN != "" {
		key = t.path.URN + ":" + key
	}
	return w.inner(object, t.path.Attr.Name, key, create)
}

func (w *writer) object(object map[string]any, name string, create bool) map[string]any {
	return w.inner(object, name, name, create)
}

// inner returns the object under a name, copied once.
func (w *writer) inner(object map[string]any, name, key string, create bool) map[string]any {
	inner, ok := object[name].(map[string]any)
	switch {
	case !ok && !create:
		return nil
	case !ok:
		inner = map[string]any{}
	case slices.Contains(w.owned, key):
		return inner
	default:
		inner = maps.Clone(inner)
	}
	object[name] = inner
	w.owned = append(w.owned, key)
	return inner
}

// prune removes the objects on the way to an unassigned target that have nothing left.
func (w *writer) prune(t target) {
	object := map[string]any(w.out)
	if t.path.URN != "" {
		object, _ = w.out[t.path.URN].(map[string]any)
	}
	if inner, ok := object[t.path.Attr.Name].(map[string]any); ok && len(inner) == 0 {
		delete(object, t.path.Attr.Name)
	}
	if t.path.URN != "" && len(object) == 0 {
		delete(w.out, t.path.URN)
	}
}

// patch leaves the writing of elements and of what no schema describes to scim.
func (w *writer) patch(t target, v any) error {
	op := scim.Operation{Op: "replace", Path: t.text, Value: v}
	if v == nil {
		op.Op = "remove"
	}
	patched, err := w.def.Patch(w.out, []scim.Operation{op}, scim.PatchOptions{CreateElements: true, PruneElements: true})
	if err != nil {
		return withoutPath(err)
	}
	w.out, w.owned, w.copied = patched.Attributes, nil, true
	return nil
}

// finish returns the effective attributes.
func (w *writer) finish() (scim.Attributes, error) {
	if !w.check {
		return w.out, nil
	}
	return w.def.Validate(w.out)
}

func withoutPath(err error) error {
	if fault, ok := errors.AsType[*scim.Error](err); ok {
		return errors.New(fault.Detail)
	}
	return err
}
