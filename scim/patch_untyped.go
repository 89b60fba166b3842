package scim

import (
	"cmp"
	"maps"
)

// applyUntyped applies an operation to an attribute below a URN that no schema describes.
func (p *patcher) applyUntyped(op Operation, path Path) error {
	if urn := path.URN + ":" + path.Attr.Name; path.Sub == nil && path.Filter == nil && p.isWholeExtension(op, path, urn) {
		return p.applyUnregistered(op, urn)
	}
	urn := spelledKey(p.out, path.URN)
	object, _ := p.out[urn].(map[string]any)
	if err := p.spend(len(p.out) + len(object)); err != nil {
		return err
	}
	attr := spelledKey(object, path.Attr.Name)
	old := object[attr]
	if inner, ok := old.(map[string]any); ok && path.Sub != nil {
		if err := p.spend(len(inner)); err != nil {
			return err
		}
		path.Sub = untyped(urn, spelledKey(inner, path.Sub.Name), path.Attr)
	}
	path.Attr = p.untypedLike(path, old)
	v, err := p.operate(op, path, old)
	if err != nil {
		return err
	}
	p.assign(urn, attr, v)
	return nil
}

// untypedLike is path.Attr, multi-valued where a sub-attribute of a stored list is meant.
func (p *patcher) untypedLike(path Path, old any) *Attribute {
	if _, isList := old.([]any); !isList || path.Sub == nil {
		return path.Attr
	}
	a := *path.Attr
	a.MultiValued = true
	return &a
}

// isWholeExtension tells "urn:…:2.0:User", a schema, from "urn:…:2.0:User:badge", an attribute,
// which no grammar can. It is a schema if the resource has it, if it ends as the names of schemas
// do, with the resource type, or if attributes are written to it and nothing above it is known.
func (p *patcher) isWholeExtension(op Operation, path Path, urn string) bool {
	if _, stored := p.out[spelledKey(p.out, urn)]; stored || equalName(path.Attr.Name, string(p.d.Type)) {
		return true
	}
	_, isObject := op.Value.(map[string]any)
	_, stored := p.out[spelledKey(p.out, path.URN)]
	return isObject && !stored
}

// applyUnregistered applies an operation to all of an extension that no schema describes.
func (p *patcher) applyUnregistered(op Operation, urn string) error {
	if err := p.spend(len(p.out)); err != nil {
		return err
	}
	key := spelledKey(p.out, urn)
	v, err := p.operateUntyped(op, p.out[key])
	if err != nil {
		return err
	}
	put(p.out, key, v)
	return nil
}

// operateUntyped is operateWhole where only the values themselves tell what they are: objects
// merge, and an add to a list appends.
func (p *patcher) operateUntyped(op Operation, old any) (any, error) {
	list, isList := old.([]any)
	if op.Op == opRemove {
		if isList && !IsUnassigned(op.Value) {
			return p.removeElements(untypedElement, list, op.Value)
		}
		return nil, nil
	}
	if object, ok := op.Value.(map[string]any); ok {
		return p.mergeUntyped(op, old, object)
	}
	v := withoutNulls(op.Value)
	if IsUnassigned(v) {
		return nil, nil
	}
	if more, ok := v.([]any); ok && isList && op.Op == opAdd {
		return p.appendElements(list, more)
	}
	return v, nil
}

var untypedElement = untyped("", "", nil)

func (p *patcher) mergeUntyped(op Operation, old any, object map[string]any) (any, error) {
	stored, _ := old.(map[string]any)
	if err := p.spend(weighNames(stored)); err != nil {
		return nil, err
	}
	out := maps.Clone(stored)
	if out == nil {
		out = make(map[string]any, len(object))
	}
	spelled := make(map[string]string, len(out))
	for key := range out {
		spelled[lowerASCII(key)] = key
	}
	for _, key := range sortedKeys(object) {
		name := cmp.Or(spelled[lowerASCII(key)], key)
		v, err := p.operateUntyped(Operation{Op: op.Op, Value: object[key]}, out[name])
		if err != nil {
			return nil, err
		}
		put(out, name, v)
	}
	return orNil(out), nil
}

// spelledKey finds a key of object that equals name without ASCII case; name itself if there is none.
func spelledKey[V any, M ~map[string]V](object M, name string) string {
	if _, ok := object[name]; ok {
		return name
	}
	for key := range object {
		if equalName(key, name) {
			return key
		}
	}
	return name
}
