package scimtest

import (
	"encoding/json"

	"pgregory.net/rapid"

	"meibo/scim"
)

// User generates the attributes of a user of the standard definition: core, EnterpriseUser and,
// below WildSchema, some that nothing describes. They are as an owner asserts them, without
// schemas, id, meta and groups, every one holds a userName, and Definition.Validate has nothing against them.
func User() *rapid.Generator[scim.Attributes] {
	return rapid.Custom(func(t *rapid.T) scim.Attributes {
		r := attributes(t, scim.Standard(scim.User))
		if oneIn(t, 3) {
			r[WildSchema] = untyped(t)
		}
		return r
	})
}

// Group generates the attributes of a group of the standard definition. They are as an owner
// asserts them, without schemas, id, meta and members, and every one holds a displayName.
func Group() *rapid.Generator[scim.Attributes] {
	return rapid.Custom(func(t *rapid.T) scim.Attributes {
		return attributes(t, scim.Standard(scim.Group))
	})
}

// attributes draws values for some of the attributes that a client may write.
func attributes(t *rapid.T, d *scim.Definition) scim.Attributes {
	r := scim.Attributes{}
	fill(t, r, append([]*scim.Attribute{d.Attribute("externalId")}, d.Core.Attributes...))
	for _, e := range d.Extensions {
		if m := map[string]any{}; fill(t, m, e.Attributes) {
			r[e.ID] = m
		}
	}
	return r
}

// fill draws values for some of attrs, and for all that must be there; it reports whether there
// is any.
func fill(t *rapid.T, m map[string]any, attrs []*scim.Attribute) bool {
	for _, a := range attrs {
		if a.Mutability == scim.ReadOnly || a.Returned == scim.Never || a.Name == "members" {
			continue
		}
		if !isRequired(a) && rapid.Bool().Draw(t, "without "+a.Name) {
			continue
		}
		if v := anyValue(t, a); v != nil {
			m[a.Name] = v
		}
	}
	return len(m) > 0
}

// isRequired knows the attributes that no resource is stored without. The definition of Group
// leaves displayName optional, against the text of RFC 7643 §4.2.
func isRequired(a *scim.Attribute) bool {
	return a.Required || a.String() == "displayName"
}

// anyValue draws a value of any attribute; nil for a complex one that came out empty.
func anyValue(t *rapid.T, a *scim.Attribute) any {
	if !a.MultiValued {
		return single(t, a)
	}
	var list []any
	for range rapid.IntRange(1, 3).Draw(t, "elements of "+a.Name) {
		if v := single(t, a); v != nil {
			list = append(list, v)
		}
	}
	onePrimary(list)
	if list == nil {
		return nil
	}
	return list
}

func single(t *rapid.T, a *scim.Attribute) any {
	if a.Type != scim.Complex {
		return value(t, a)
	}
	if m := map[string]any{}; fill(t, m, a.SubAttributes) {
		return m
	}
	return nil
}

// onePrimary keeps the first primary element only (RFC 7643 §2.4).
func onePrimary(list []any) {
	found := false
	for _, e := range list {
		m, _ := e.(map[string]any)
		if m["primary"] != true {
			continue
		}
		if found {
			m["primary"] = false
		}
		found = true
	}
}

// untyped draws what an extension without a schema may hold; see wildPaths.
func untyped(t *rapid.T) map[string]any {
	element := func() any {
		return map[string]any{"type": draw(t, "type", kinds), "value": draw(t, "value", texts)}
	}
	return map[string]any{
		"text":   draw(t, "text", texts),
		"flag":   rapid.Bool().Draw(t, "flag"),
		"count":  json.Number(draw(t, "count", []string{"-1", "0", "7"})),
		"nested": map[string]any{"inner": draw(t, "inner", texts)},
		"words":  []any{draw(t, "word", texts), draw(t, "word", texts)},
		"list":   []any{element(), element()},
	}
}

// wildPaths are paths below WildSchema, among them some that lead nowhere.
var wildPaths = []string{"text", "flag", "count", "nested.inner", "words", "list.value", "absent", "nested.absent", "nested"}
