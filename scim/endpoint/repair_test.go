package endpoint

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"meibo/scim"
	"meibo/scim/scimtest"
)

// TestRepairKeepsConformingResources: what the RFC allows comes out unchanged and notes no quirk.
func TestRepairKeepsConformingResources(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		def, raw := conformingResource(t)
		sent := cloned(t, raw)
		var r repair
		r.resource(def, raw)
		mustKeep(t, r, sent, raw)
	})
}

// TestRepairKeepsConformingPatches is the same for a PATCH.
func TestRepairKeepsConformingPatches(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		def, raw := conformingPatch(t)
		sent := cloned(t, raw)
		var r repair
		r.patch(def, raw)
		mustKeep(t, r, sent, raw)
		if _, err := scim.DecodePatch(raw); err != nil {
			t.Fatalf("the generated PATCH does not conform: %v", err)
		}
	})
}

// TestRepairUndoesDeviations: a conforming message that was bent the way identity providers do
// comes out straight, and what comes out needs no second repair.
func TestRepairUndoesDeviations(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		def, raw := conformingPatch(t)
		want := cloned(t, raw)
		b := bender{t: t, def: def}
		b.patch(raw)
		bent := cloned(t, raw)
		var r, again repair
		r.patch(def, raw)
		if d := cmp.Diff(want, raw); d != "" {
			t.Fatalf("%v was not repaired (-want +got):\n%s", bent, d)
		}
		if (b.bent > 0) != (len(r.used) > 0) {
			t.Fatalf("%d deviations in %v, and the quirks are %q", b.bent, bent, r.used)
		}
		again.patch(def, raw)
		mustKeep(t, again, want, raw)
	})
}

func mustKeep(t *rapid.T, r repair, sent, got map[string]any) {
	t.Helper()
	if d := cmp.Diff(sent, got); d != "" {
		t.Errorf("repair changed a conforming body (-sent +got):\n%s", d)
	}
	if len(r.used) > 0 {
		t.Errorf("repair noted %q in %v", r.used, sent)
	}
}

// cloned is a deep copy, in the form in which a body is parsed.
func cloned(t *rapid.T, raw map[string]any) map[string]any {
	t.Helper()
	data, err := json.Marshal(raw)
	if err != nil {
		t.Fatal(err)
	}
	v, err := scim.ParseJSON(data)
	if err != nil {
		t.Fatal(err)
	}
	return v.(map[string]any)
}

// conformingResource draws the body of a POST or PUT.
func conformingResource(t *rapid.T) (*scim.Definition, map[string]any) {
	def, generator := scim.Standard(scim.User), scimtest.User()
	if rapid.Bool().Draw(t, "group") {
		def, generator = scim.Standard(scim.Group), scimtest.Group()
	}
	raw := map[string]any(generator.Draw(t, "resource"))
	schemas := []any{def.Core.ID}
	for key := range raw {
		if strings.HasPrefix(key, "urn:") {
			schemas = append(schemas, key)
		}
	}
	raw["schemas"] = schemas
	if def.Type == scim.Group && rapid.Bool().Draw(t, "with members") {
		raw["members"] = members(t)
	}
	return def, cloned(t, raw)
}

func members(t *rapid.T) []any {
	list := []any{}
	for _, id := range rapid.SliceOfDistinct(rapid.SampledFrom(scimtest.IDs()), rapid.ID).Draw(t, "members") {
		m := map[string]any{"value": id}
		if rapid.Bool().Draw(t, "with display") {
			m["display"] = rapid.SampledFrom([]string{"A", "True", "{x"}).Draw(t, "display")
		}
		list = append(list, m)
	}
	return list
}

// conformingPatch draws a PATCH from the attributes of a resource: by path, by sub-attribute, by
// value path, without path, and removals.
func conformingPatch(t *rapid.T) (*scim.Definition, map[string]any) {
	def, raw := conformingResource(t)
	delete(raw, "schemas")
	var ops []any
	add := func(op, path string, value any) {
		o := map[string]any{"op": op}
		if path != "" {
			o["path"] = path
		}
		if op != "remove" {
			o["value"] = value
		}
		ops = append(ops, o)
	}
	pathless := map[string]any{}
	for _, target := range targets(def, raw) {
		op := rapid.SampledFrom([]string{"add", "replace", "remove"}).Draw(t, "op")
		form := rapid.SampledFrom([]string{"whole", "sub-attribute", "value path", "pathless"}).Draw(t, "form")
		object, isObject := target.value.(map[string]any)
		list, isList := target.value.([]any)
		switch {
		case form == "pathless" && target.urn == "":
			pathless[target.attr.Name] = target.value
		case form == "sub-attribute" && isObject:
			for _, name := range sortedKeys(object) {
				add(op, target.path()+"."+name, object[name])
			}
		case form == "value path" && isList && len(list) > 0 && target.attr.Sub("type") != nil:
			element, _ := list[0].(map[string]any)
			add(op, target.path()+`[type eq "work"]`, element)
			for _, name := range sortedKeys(element) {
				add(op, target.path()+`[type eq "work"].`+name, element[name])
			}
		default:
			add(op, target.path(), target.value)
		}
	}
	if len(pathless) > 0 {
		add(rapid.SampledFrom([]string{"add", "replace"}).Draw(t, "op"), "", pathless)
	}
	if len(ops) == 0 {
		add("remove", def.Core.Attributes[0].Name, nil)
	}
	return def, cloned(t, map[string]any{"schemas": []any{scim.PatchOpSchema}, "Operations": ops})
}

// target is an attribute with a value for it.
type target struct {
	urn   string
	attr  *scim.Attribute
	value any
}

func (t target) path() string {
	if t.urn != "" {
		return t.urn + ":" + t.attr.Name
	}
	return t.attr.Name
}

func targets(def *scim.Definition, raw map[string]any) []target {
	var out []target
	for _, key := range sortedKeys(raw) {
		if a := def.Attribute(key); a != nil {
			out = append(out, target{"", a, raw[key]})
			continue
		}
		object, _ := raw[key].(map[string]any)
		for _, name := range sortedKeys(object) {
			if a := def.ExtensionAttribute(key, name); a != nil {
				out = append(out, target{key, a, object[name]})
			}
		}
	}
	return out
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// bender bends a conforming message the way identity providers do, and counts how often.
type bender struct {
	t    *rapid.T
	def  *scim.Definition
	bent int
}

func (b *bender) maybe(what string) bool {
	if !rapid.Bool().Draw(b.t, what) {
		return false
	}
	b.bent++
	return true
}

func (b *bender) patch(raw map[string]any) {
	for _, v := range raw["Operations"].([]any) {
		op := v.(map[string]any)
		if b.maybe("pascal case") {
			name := op["op"].(string)
			op["op"] = strings.ToUpper(name[:1]) + name[1:]
		}
		path, _ := op["path"].(string)
		value, given := op["value"]
		switch {
		case !given:
		case path == "":
			object := value.(map[string]any)
			for _, key := range sortedKeys(object) {
				object[key] = b.value(b.def.Attribute(key), object[key])
			}
		default:
			op["value"] = b.operand(path, value)
		}
	}
}

func (b *bender) operand(path string, v any) any {
	p, err := scim.ParsePath(b.def, path)
	if err != nil {
		b.t.Fatalf("generated path %s: %v", path, err)
	}
	switch {
	case p.Sub != nil:
		return b.value(p.Sub, v)
	case p.Filter != nil:
		if b.maybe("array for single") {
			return []any{b.inner(p.Attr, v)}
		}
		return b.inner(p.Attr, v)
	default:
		return b.value(p.Attr, v)
	}
}

// value bends the value of an attribute.
func (b *bender) value(a *scim.Attribute, v any) any {
	list, isList := v.([]any)
	switch {
	case isList && len(list) == 1 && b.maybe("single for array"):
		return b.inner(a, list[0])
	case isList:
		for i := range list {
			list[i] = b.inner(a, list[i])
		}
		return list
	case b.maybe("array for single"):
		return []any{b.inner(a, v)}
	default:
		return b.inner(a, v)
	}
}

// inner bends one value.
func (b *bender) inner(a *scim.Attribute, v any) any {
	switch v := v.(type) {
	case bool:
		if b.maybe("boolean string") {
			return map[bool]string{true: "True", false: "FALSE"}[v]
		}
	case map[string]any:
		if s, ok := v["value"].(string); ok && len(v) == 1 && s != "" && b.maybe("bare value") {
			return s
		}
		for _, key := range sortedKeys(v) {
			v[key] = b.value(a.Sub(key), v[key])
		}
	}
	return v
}
