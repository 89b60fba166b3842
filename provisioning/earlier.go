package provisioning

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"meibo/scim"
)

// Earlier is what of a resource returns to what it was to the host application. The zero value leaves all as it is.
type Earlier struct {
	Entry   string // id of the newest entry that is undone
	Entries int    // how many of the resource's are
	PurgeAt time.Time
	Role    *string
	// Protected is whether a person protected it.
	Protected *bool
	// Overrides are those that a person had set, by path; nil for none.
	Overrides map[string]any
	// Attributes are effective ones by their paths; nil for unassigned.
	Attributes map[string]any
	// Members has EffectiveAdd and EffectiveRemove.
	Members MemberDelta
	Owner   *Ownership
}

// Ownership is whose a resource was, with what that owner asserted of it and whether it found it.
type Ownership struct {
	Connection int64
	Visible    bool
	Asserted   scim.Attributes
}

// prefixUndone marks the overrides that an undo left. They have the path of an attribute, or "role", and outlive what
// the owner asserts until that comes to the same value: then the rules count again.
const prefixUndone = "undone."

// unassigned stands in documents of overrides for an attribute that is not to be there.
func unassigned() map[string]any { return map[string]any{} }

// attributePaths are the attributes of a document by the paths under which they are undone: top-level ones, and those of
// the registered extension one by one; any other extension as a whole. State says whether a user is active.
func attributePaths(t scim.ResourceType, a scim.Attributes) map[string]any {
	out := make(map[string]any, len(a))
	for name, v := range a {
		extension, _ := v.(map[string]any)
		switch {
		case name == "active" && t == scim.User:
		case !isURN(name):
			out[name] = v
		case scim.Standard(t).Extension(name) == nil || extension == nil:
			out[name+":"] = v
		default:
			for sub, v := range extension {
				out[name+":"+sub] = v
			}
		}
	}
	return out
}

// withPath assigns one of those paths in a copy; nil or an empty object unassigns it.
func withPath(a scim.Attributes, path string, v any) scim.Attributes {
	if object, ok := v.(map[string]any); ok && len(object) == 0 {
		v = nil
	}
	return withValue(a, path, v)
}

// withValue assigns one of those paths in a copy; nil unassigns it, and an empty object is one.
func withValue(a scim.Attributes, path string, v any) scim.Attributes {
	a = maps.Clone(a)
	assign := func(object map[string]any, name string) {
		if object[name] = v; v == nil {
			delete(object, name)
		}
	}
	i := strings.LastIndexByte(path, ':')
	switch urn := path[:max(i, 0)]; {
	case i < 0:
		assign(a, path)
	case i == len(path)-1:
		assign(a, urn)
	default:
		extension, _ := a[urn].(map[string]any)
		extension = maps.Clone(extension)
		if extension == nil {
			extension = map[string]any{}
		}
		if assign(extension, path[i+1:]); len(extension) == 0 {
			delete(a, urn)
		} else {
			a[urn] = extension
		}
	}
	return a
}

// splitOverrides splits overrides into what a person chose of attributes, and what an undo left of them.
func splitOverrides(overrides map[string]any) (chosen, undone map[string]any) {
	for path, v := range overrides {
		left, isUndone := strings.CutPrefix(path, prefixUndone)
		switch {
		case left == overrideRole:
		case isUndone && undone == nil:
			undone = map[string]any{left: v}
		case isUndone:
			undone[left] = v
		case chosen == nil:
			chosen = map[string]any{path: v}
		default:
			chosen[path] = v
		}
	}
	return chosen, undone
}

// underUndone lays what an undo left over a document that the rules made. What the rules have come to by themselves is
// settled: it is not to be laid over any longer.
func underUndone(t scim.ResourceType, a scim.Attributes, undone map[string]any) (out scim.Attributes, settled []string) {
	have := attributePaths(t, a)
	for path, v := range undone {
		if object, ok := v.(map[string]any); ok && len(object) == 0 {
			v = nil
		}
		if scim.Equal(have[path], v) {
			settled = append(settled, prefixUndone+path)
			continue
		}
		a = withPath(a, path, v)
	}
	return a, settled
}

// setOverrides gives a resource its overrides; without any it has none.
func (x *Resource) setOverrides(overrides map[string]any) (err error) {
	x.Overrides = nil
	if len(overrides) > 0 {
		if x.Overrides, err = json.Marshal(overrides); err != nil {
			err = fmt.Errorf("overrides: %w", err)
		}
	}
	return err
}

// dropOverrides takes overrides back.
func (x *Resource) dropOverrides(paths ...string) error {
	if len(paths) == 0 || len(x.Overrides) == 0 {
		return nil
	}
	overrides, err := overridesOf(x)
	if err != nil {
		return err
	}
	n := len(overrides)
	for _, path := range paths {
		delete(overrides, path)
	}
	if len(overrides) == n {
		return nil
	}
	return x.setOverrides(overrides)
}

// choose writes into the row what returns beside the documents.
func (e *Earlier) choose(x *Resource, r *Rules) error {
	overrides, err := overridesOf(x)
	if err != nil {
		return err
	}
	overrides = maps.Clone(overrides)
	if overrides == nil {
		overrides = map[string]any{}
	}
	for path, v := range e.Overrides {
		if overrides[path] = v; v == nil {
			delete(overrides, path)
		}
	}
	for path := range e.Attributes {
		delete(overrides, prefixUndone+path)
	}
	if e.Protected != nil {
		x.Protected = *e.Protected
	}
	if e.Role != nil {
		x.Role = roleKey(*e.Role)
		delete(overrides, prefixUndone+overrideRole)
		if _, chosen := overrides[overrideRole]; !chosen && r.mapsRoles() {
			overrides[prefixUndone+overrideRole] = orOrdinary(x.Role)
		}
	}
	return x.setOverrides(overrides)
}

// documents gives the row the effective attributes that return, on top of what the rules make of what is asserted.
func (e *Earlier) documents(f Facts, x *Resource, d Desired, r *Rules) (asserted, was scim.Attributes, err error) {
	if was, err = effectiveOf(f.Current); err != nil {
		return nil, nil, err
	}
	if e.Owner == nil && len(e.Attributes)+len(e.Overrides) == 0 {
		return f.Asserted, was, nil
	}
	asserted = f.Asserted
	var ruled scim.Attributes
	if o := e.Owner; o != nil { // its own rules have their say at its next word
		asserted = o.Asserted
		x.Connection, x.Visible = o.Connection, o.Visible
		x.Asserted, x.Manager = scim.Standard(x.Type).Encode(asserted), Reference{}
	} else {
		d.Asserted = asserted
		if ruled, err = r.effective(meant{current: x, asserted: asserted}, d, was); err != nil {
			return nil, nil, err
		}
	}
	if ruled == nil {
		ruled = asserted
	}
	effective, err := e.overlay(x, ruled)
	if err != nil {
		return nil, nil, err
	}
	kept := x.Index
	x.Index = indexOf(x.Type, asserted)
	if e.Owner == nil {
		x.Index.Emails, x.Index.Stable = kept.Emails, kept.Stable
	}
	x.Manager.ID = x.Index.Manager
	if sameAttributes(effective, asserted) {
		effective = nil
	}
	x.setEffective(effective, r.Version)
	return asserted, was, nil
}

// overlay lays the attributes that return over what the rules make, and keeps those that differ as overrides.
func (e *Earlier) overlay(x *Resource, ruled scim.Attributes) (scim.Attributes, error) {
	overrides, err := overridesOf(x)
	if err != nil || len(e.Attributes) == 0 {
		return ruled, err
	}
	overrides = maps.Clone(overrides)
	if overrides == nil {
		overrides = map[string]any{}
	}
	have, effective := attributePaths(x.Type, ruled), ruled
	for path, v := range e.Attributes {
		if scim.Equal(have[path], v) {
			continue
		}
		effective = withPath(effective, path, v)
		if v == nil {
			v = unassigned()
		}
		overrides[prefixUndone+path] = v
	}
	return effective, x.setOverrides(overrides)
}
