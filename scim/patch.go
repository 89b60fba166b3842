package scim

import (
	"errors"
	"maps"
	"slices"
)

// PatchOptions are what a client may expect beyond the RFC where that depends on the stored
// resource. The zero value is the RFC.
type PatchOptions struct {
	// CreateElements lets add and replace create the element that a value path does not find, with
	// what its filter asks to be equal as sub-attributes. An element that replace writes through a
	// value path gets those, too, where its value lacks them.
	CreateElements bool
	// PruneElements drops an element when an operation through a value path leaves it with nothing
	// but type and primary.
	PruneElements bool
	// PrimaryWhenOnly makes an e-mail address so created primary when it is the only one.
	PrimaryWhenOnly bool

	// Members is the group's stored list, given with MembersKnown set after ErrMembersNeeded.
	Members      []Member
	MembersKnown bool
}

// Patched is the outcome of a PATCH: the resource's attributes after it, and the change of a
// group's members.
type Patched struct {
	Attributes Attributes
	Members    MemberChange
}

// ErrMembersNeeded is returned by Patch when an operation depends on which members the group has.
// The caller reads the list, sets PatchOptions.Members and MembersKnown and calls again.
var ErrMembersNeeded = errors.New("scim: an operation depends on the stored members of the group")

// Patch applies the operations in their order to a resource, all or none (RFC 7644 §3.5.2). It
// changes none of its input; the outcome shares the unchanged parts of current.
//
// Beyond the RFC's text it holds: null, "" and [] unassign an optional attribute, as in Validate.
// "schemas" and passwords are accepted and dropped. What a value without path says about read-only
// and unknown attributes is ignored. A remove that carries a value takes just the elements of that
// value and type from a multi-valued attribute; one that finds nothing succeeds. New primary
// elements make the others not primary.
//
// The error is ErrMembersNeeded or an *Error: NoTarget for a remove without path and a value path
// that selects nothing to write to; InvalidPath for a path that cannot be read or names no
// attribute; Mutable for a path to a read-only attribute, a new value of an immutable one, and a
// required attribute removed; InvalidValue and InvalidSyntax as in Validate.
func (d *Definition) Patch(current Attributes, ops []Operation, o PatchOptions) (Patched, error) {
	p := patcher{d: d, o: o, out: maps.Clone(current)}
	if p.out == nil {
		p.out = Attributes{}
	}
	for i, op := range ops {
		if err := p.apply(op); err != nil {
			return Patched{}, inOperation(err, i)
		}
	}
	if err := p.check(current); err != nil {
		return Patched{}, err
	}
	return Patched{Attributes: p.out, Members: p.members.change()}, nil
}

// patcher is a PATCH under way. The maps and slices below out may be shared with the resource it
// began with, so a changed one is always a new one.
type patcher struct {
	d       *Definition
	o       PatchOptions
	out     Attributes
	members memberEdit
	removed []string // required attributes that a remove unassigned
	work    int
}

func (p *patcher) apply(op Operation) error {
	if err := checkOp(op.Op); err != nil {
		return err
	}
	if op.Path == "" {
		return p.applyObject(op)
	}
	path, err := ParsePath(p.d, op.Path)
	if err != nil {
		return err
	}
	if path.Attr == nil {
		return p.applyExtension(op, path.URN)
	}
	if path.Attr.Type == Untyped {
		return p.applyUntyped(op, path)
	}
	if p.isIgnored(path.Attr) {
		return nil
	}
	if path.Attr.Mutability == ReadOnly || path.Sub != nil && path.Sub.Mutability == ReadOnly {
		return &Error{Type: Mutable, Path: path.target().String(), Detail: "the attribute is read-only; leave it out"}
	}
	return p.applyPath(op, path)
}

// isIgnored reports whether writes to the attribute are accepted and dropped.
func (p *patcher) isIgnored(a *Attribute) bool {
	return p.d.isSchemas(a) || a.Returned == Never && a.Mutability != ReadOnly
}

// applyPath applies an operation to a writable attribute that a schema describes.
func (p *patcher) applyPath(op Operation, path Path) error {
	if p.d.isMembers(path.Attr) {
		return p.applyMembers(op, path)
	}
	old := p.value(path.URN, path.Attr.Name)
	v, err := p.operate(op, path, old)
	if err != nil {
		return err
	}
	p.assign(path.URN, path.Attr.Name, v)
	return nil
}

// operate computes the new value of path.Attr from its old one; nil unassigns it.
func (p *patcher) operate(op Operation, path Path, old any) (any, error) {
	switch {
	case path.Filter != nil, path.Sub != nil && path.Attr.MultiValued:
		return p.operateElements(op, path, old)
	case path.Sub != nil:
		object, _ := old.(map[string]any)
		return p.operateSub(op, path.Sub, object)
	default:
		return p.operateWhole(op, path.Attr, old)
	}
}

// operateWhole is an operation on all of an attribute.
func (p *patcher) operateWhole(op Operation, a *Attribute, old any) (any, error) {
	switch {
	case a.Type == Untyped && !a.MultiValued:
		return p.operateUntyped(op, old)
	case op.Op == opRemove:
		return p.remove(op, a, old)
	case a.MultiValued:
		v, err := a.coerce(op.Value)
		if err != nil || op.Op == opReplace {
			return v, err
		}
		list, _ := old.([]any)
		more, _ := v.([]any)
		return p.appendElements(list, more)
	case a.Type == Complex && !isUnassignedSingle(op.Value):
		object, ok := op.Value.(map[string]any)
		if !ok {
			return nil, a.wrongType("an object", op.Value)
		}
		return p.merge(op, a, old, object)
	default:
		return a.coerce(op.Value)
	}
}

// isUnassignedSingle is isUnassigned for a complex value, of which {} says nothing.
func isUnassignedSingle(v any) bool {
	_, isObject := v.(map[string]any)
	return !isObject && IsUnassigned(v)
}

func (p *patcher) remove(op Operation, a *Attribute, old any) (any, error) {
	if a.MultiValued && op.Value != nil && op.Value != "" {
		list, _ := old.([]any)
		return p.removeElements(a, list, op.Value)
	}
	if a.Required {
		p.removed = append(p.removed, a.String())
	}
	return nil, nil
}

// merge writes the sub-attributes that object lists and leaves the others (RFC 7644 §3.5.2.3).
func (p *patcher) merge(op Operation, a *Attribute, old any, object map[string]any) (any, error) {
	if a.Type == Untyped {
		return p.mergeUntyped(op, old, object)
	}
	out, _ := old.(map[string]any)
	out = maps.Clone(out)
	if out == nil {
		out = make(map[string]any, len(object))
	}
	err := eachAttribute(object, a.sub, a, func(sub *Attribute, v any) error {
		next, err := p.operateWhole(Operation{Op: op.Op, Value: v}, sub, out[sub.Name])
		put(out, sub.Name, next)
		return err
	})
	if err != nil {
		return nil, err
	}
	return orNil(out), nil
}

// operateSub writes or removes one sub-attribute of a complex value and returns the new value.
func (p *patcher) operateSub(op Operation, sub *Attribute, object map[string]any) (any, error) {
	v, err := p.operateWhole(op, sub, object[sub.Name])
	if err != nil {
		return nil, err
	}
	out := maps.Clone(object)
	if out == nil {
		out = make(map[string]any, 1)
	}
	put(out, sub.Name, v)
	return orNil(out), nil
}

// put assigns v, or unassigns the name if v is nil.
func put(object map[string]any, name string, v any) {
	if v == nil {
		delete(object, name)
	} else {
		object[name] = v
	}
}

func orNil(object map[string]any) any {
	if len(object) == 0 {
		return nil
	}
	return object
}

// value returns an attribute of the resource under way; urn is "" for the core schema.
func (p *patcher) value(urn, name string) any {
	if urn == "" {
		return p.out[name]
	}
	object, _ := p.out[urn].(map[string]any)
	return object[name]
}

// assign sets an attribute of the resource under way, or unassigns it if v is nil.
func (p *patcher) assign(urn, name string, v any) {
	if urn == "" {
		put(p.out, name, v)
		return
	}
	object, _ := p.out[urn].(map[string]any)
	if object = maps.Clone(object); object == nil {
		object = map[string]any{}
	}
	put(object, name, v)
	put(p.out, urn, orNil(object))
}

// applyObject applies an operation without path: its value lists the attributes.
func (p *patcher) applyObject(op Operation) error {
	if op.Op == opRemove {
		return &Error{Type: NoTarget, Detail: "a remove needs a path; name the attribute to remove"}
	}
	object, ok := op.Value.(map[string]any)
	if !ok {
		return &Error{Type: InvalidValue, Detail: "without a path the value must be an object of attributes, not " + kindOf(op.Value)}
	}
	return p.applyKeys(op, object)
}

func (p *patcher) applyKeys(op Operation, object map[string]any) error {
	var seen []name
	for _, key := range sortedKeys(object) {
		name, ok := p.d.lookup(key)
		switch {
		case !ok || name.attr != nil && (discarded(name.attr) || p.d.isSchemas(name.attr)):
			continue
		case slices.Contains(seen, name):
			return twice(key)
		case name.isRegistered():
			seen = append(seen, name)
		}
		if err := p.applyKey(Operation{Op: op.Op, Value: object[key]}, key, name); err != nil {
			return err
		}
	}
	return nil
}

func (p *patcher) applyKey(op Operation, key string, name name) error {
	switch {
	case name.attr != nil && p.d.isMembers(name.attr) && op.Value == nil:
		return nil // as in PUT, null says nothing about the members
	case name.attr != nil:
		return p.applyPath(op, Path{URN: name.urn, Attr: name.attr})
	case name.core:
		object, err := extensionObject(key, op.Value)
		if err != nil {
			return err
		}
		return p.applyKeys(op, object)
	default:
		return p.applyExtension(op, name.urn)
	}
}

// applyExtension applies an operation to the attributes of a whole extension, which merges like a
// complex attribute.
func (p *patcher) applyExtension(op Operation, urn string) error {
	s := p.d.Extension(urn)
	if s == nil {
		return p.applyUnregistered(op, urn)
	}
	if op.Op == opRemove || isUnassignedSingle(op.Value) {
		delete(p.out, s.ID)
		return nil
	}
	object, err := extensionObject(s.ID, op.Value)
	if err != nil {
		return err
	}
	return eachAttribute(object, p.d.ext[foldName(s.ID)].attrs, nil, func(a *Attribute, v any) error {
		return p.applyPath(Operation{Op: op.Op, Value: v}, Path{URN: s.ID, Attr: a})
	})
}

// check holds the outcome to the rules of the whole resource.
func (p *patcher) check(current Attributes) error {
	if err := p.d.check(p.out); err != nil {
		return p.removedError(err)
	}
	return p.d.checkImmutable(current, p.out)
}

// removedError reports a missing attribute that a remove took away as RFC 7644 §3.5.2.2 asks.
func (p *patcher) removedError(err error) error {
	fault, ok := errors.AsType[*Error](err)
	if !ok || !slices.Contains(p.removed, fault.Path) {
		return err
	}
	return &Error{Type: Mutable, Path: fault.Path, Detail: "the attribute is required and cannot be removed"}
}
