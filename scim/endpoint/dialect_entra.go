package endpoint

import (
	"encoding/json"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"

	"meibo/scim"
)

// The quirks of Microsoft Entra ID and of the suites that Microsoft judges servers with. Each has
// a recorded exchange of its name in testdata/entra.
const (
	quirkBooleanString   = "boolean-string"    // "True" and "False" for a boolean
	quirkBareValue       = "bare-value"        // a string for a complex value: its value sub-attribute (manager, members)
	quirkEmptyReference  = "empty-reference"   // "" or {"value":""} for a complex value: to be unassigned (manager)
	quirkSingleForArray  = "single-for-array"  // one value where an array belongs
	quirkArrayForSingle  = "array-for-single"  // an array of one where a single value belongs
	quirkRoleJSON        = "role-json"         // JSON text inside the value of a role
	quirkDisplayName     = "display-name"      // displayName in a member or a role for display
	quirkForeignSchema   = "foreign-schema"    // a schema URI that no registry knows
	quirkOpCase          = "op-case"           // "Add", "Replace", "Remove"
	quirkFlattenedKeys   = "flattened-keys"    // paths as the keys of a path-less value: name.givenName, urn:…:User:department
	quirkRemoveWithValue = "remove-with-value" // the members to remove in value instead of in the path
	quirkNoOperations    = "no-operations"     // an empty list of operations
	quirkOpenPath        = "open-path"         // members.value eq "…" for members[value eq "…"]
	quirkUnknownPath     = "unknown-path"      // a path to an attribute that no schema has
)

// quirkDialect says which dialect a quirk gives away: Entra's default, or that of its
// aadOptscim062020 flag. Other quirks occur in several.
var quirkDialect = map[string]string{
	quirkBooleanString:   "entra",
	quirkOpCase:          "entra",
	quirkRemoveWithValue: "entra",
	quirkRoleJSON:        "entra",
	quirkForeignSchema:   "entra",
	quirkBareValue:       "entra",
	quirkEmptyReference:  "entra",
	quirkFlattenedKeys:   "entra-flag",
}

// resource repairs the body of a POST or PUT in place.
func (r *repair) resource(def *scim.Definition, raw map[string]any) {
	r.schemas(def, raw)
	r.attributes(def, raw)
}

// schemas notes URIs that are neither registered nor URNs of an extension, such as the second one
// of Entra's groups. They do no harm: what a resource holds says which schemas it has.
func (r *repair) schemas(def *scim.Definition, raw map[string]any) {
	list, _ := valueOf(raw, "schemas").([]any)
	keys := make(map[string]bool, len(raw))
	for key := range raw {
		keys[strings.ToLower(key)] = true
	}
	for _, v := range list {
		urn, ok := v.(string)
		if ok && !def.IsCore(urn) && def.Extension(urn) == nil && !keys[strings.ToLower(urn)] {
			r.note(quirkForeignSchema)
		}
	}
}

// attributes repairs the values of a resource, or of a path-less operation, in place.
func (r *repair) attributes(def *scim.Definition, raw map[string]any) {
	for key, v := range raw {
		if a := def.Attribute(key); a != nil {
			raw[key] = r.value(a, v)
			continue
		}
		inner, ok := v.(map[string]any)
		switch s := def.Extension(key); {
		case ok && def.IsCore(key):
			r.attributes(def, inner)
		case ok && s != nil:
			r.extension(def, s.ID, inner)
		}
	}
}

// extension repairs the attributes of a registered extension in place.
func (r *repair) extension(def *scim.Definition, urn string, raw map[string]any) {
	for name, v := range raw {
		if a := def.ExtensionAttribute(urn, name); a != nil {
			raw[name] = r.value(a, v)
		}
	}
}

// value repairs the value of an attribute.
func (r *repair) value(a *scim.Attribute, v any) any {
	list, isList := v.([]any)
	switch {
	case v == nil || a.Mutability == scim.ReadOnly:
		return v
	case a.MultiValued && !isList:
		if v == "" {
			return v
		}
		r.note(quirkSingleForArray)
		return []any{r.element(a, v)}
	case a.MultiValued:
		for i, e := range list {
			list[i] = r.element(a, e)
		}
		return list
	case isList && len(list) == 1:
		r.note(quirkArrayForSingle)
		return r.element(a, unwrapped(a, list[0]))
	default:
		return r.element(a, v)
	}
}

// unwrapped gives the value of {"value": x}, beside which nothing but nulls may stand, where a simple
// attribute takes x: the old Microsoft library sends every value so.
func unwrapped(a *scim.Attribute, v any) any {
	o, ok := v.(map[string]any)
	if !ok || a.Type == scim.Complex {
		return v
	}
	for key, other := range o {
		if other != nil && key != "value" {
			return v
		}
	}
	if inner := o["value"]; inner != nil {
		return inner
	}
	return v
}

// element repairs one value: of a single-valued attribute, or one element of an array.
func (r *repair) element(a *scim.Attribute, v any) any {
	switch v := v.(type) {
	case string:
		return r.text(a, v)
	case map[string]any:
		return r.object(a, v)
	default:
		return v
	}
}

func (r *repair) text(a *scim.Attribute, s string) any {
	switch {
	case a.Type == scim.Boolean && strings.EqualFold(s, "true"):
		r.note(quirkBooleanString)
		return true
	case a.Type == scim.Boolean && strings.EqualFold(s, "false"):
		r.note(quirkBooleanString)
		return false
	case a.Type != scim.Complex || a.Sub("value") == nil:
		return s
	case s == "" && !a.MultiValued:
		r.note(quirkEmptyReference)
		return nil
	default:
		r.note(quirkBareValue)
		return r.object(a, map[string]any{"value": s})
	}
}

// object repairs a complex value in place.
func (r *repair) object(a *scim.Attribute, o map[string]any) any {
	if a.Name == "members" || a.Name == "roles" {
		r.display(o)
	}
	if a.Name == "roles" {
		r.role(o)
	}
	if a.Name == "manager" && valueOf(o, "value") == "" {
		r.note(quirkEmptyReference)
		return nil
	}
	for key, v := range o {
		if sub := a.Sub(key); sub != nil {
			o[key] = r.value(sub, v)
		}
	}
	return o
}

// display gives an element's name the name that the schema has for it.
func (r *repair) display(o map[string]any) {
	if hasKey(o, "display") || !hasKey(o, "displayName") {
		return
	}
	r.note(quirkDisplayName)
	o["display"] = valueOf(o, "displayName")
	maps.DeleteFunc(o, func(k string, _ any) bool { return strings.EqualFold(k, "displayName") })
}

// role unpacks the JSON text that Entra puts into the value of a role in PATCH (AppRoleAssignments):
// {"id":…,"value":…,"displayName":…}. The id is the assignment's own, not the role's.
func (r *repair) role(o map[string]any) {
	text, ok := valueOf(o, "value").(string)
	if !ok || !strings.HasPrefix(text, "{") {
		return
	}
	var packed struct{ ID, Value, DisplayName *string }
	if json.Unmarshal([]byte(text), &packed) != nil || packed.Value == nil {
		return
	}
	r.note(quirkRoleJSON)
	maps.DeleteFunc(o, func(k string, _ any) bool { return strings.EqualFold(k, "value") })
	o["value"] = *packed.Value
	if packed.DisplayName != nil && !hasKey(o, "display") {
		o["display"] = *packed.DisplayName
	}
}

// patch repairs the body of a PATCH in place.
func (r *repair) patch(def *scim.Definition, raw map[string]any) {
	key, list, ok := listOfOperations(raw)
	if !ok {
		return
	}
	if len(list) == 0 {
		r.note(quirkNoOperations)
	}
	out := make([]any, 0, len(list))
	for _, v := range list {
		if op, ok := v.(map[string]any); ok {
			out = r.operation(def, op, out)
		} else {
			out = append(out, v)
		}
	}
	raw[key] = out
}

func listOfOperations(raw map[string]any) (key string, list []any, ok bool) {
	for k, v := range raw {
		if strings.EqualFold(k, "Operations") {
			list, ok = v.([]any)
			return k, list, ok
		}
	}
	return "", nil, false
}

// operation appends the repaired form of one operation, which may be several or none.
func (r *repair) operation(def *scim.Definition, op map[string]any, out []any) []any {
	name, _ := valueOf(op, "op").(string)
	lower := strings.ToLower(name)
	if lower != name {
		r.note(quirkOpCase)
		setKey(op, "op", lower)
	}
	path, _ := valueOf(op, "path").(string)
	if strings.TrimSpace(path) == "" {
		return r.flattened(def, op, out)
	}
	target, err := scim.ParsePath(def, path)
	if err != nil {
		if meant, ok := bracketed(path); ok {
			if t, failed := scim.ParsePath(def, meant); failed == nil {
				r.note(quirkOpenPath)
				setKey(op, "path", meant)
				target, err = t, nil
			}
		}
	}
	switch {
	case unknown(err) && (lower == "add" || lower == "remove" || lower == "replace"):
		r.note(quirkUnknownPath)
		return out
	case err == nil && target.Attr == nil:
		r.attributes(def, map[string]any{target.URN: valueOf(op, "value")})
	case err == nil && hasKey(op, "value"):
		r.operand(lower, target, op)
	}
	return append(out, op)
}

var openPath = regexp.MustCompile(`^\s*([A-Za-z]\w*)\.(\w+ +eq +.+)$`)

// bracketed is the value path that an open path means.
func bracketed(path string) (string, bool) {
	m := openPath.FindStringSubmatch(path)
	if m == nil {
		return "", false
	}
	return m[1] + "[" + m[2] + "]", true
}

// operand repairs the value of an operation with a path.
func (r *repair) operand(name string, target scim.Path, op map[string]any) {
	v := valueOf(op, "value")
	if name == "remove" && target.Attr.Name == "members" && v != nil {
		r.note(quirkRemoveWithValue)
	}
	switch {
	case target.Sub != nil:
		v = r.value(target.Sub, v)
	case target.Filter != nil:
		v = r.elementOf(target.Attr, v)
	default:
		v = r.value(target.Attr, v)
	}
	setKey(op, "value", v)
}

// elementOf repairs the value for one element that a value path selects.
func (r *repair) elementOf(a *scim.Attribute, v any) any {
	if list, ok := v.([]any); ok && len(list) == 1 {
		r.note(quirkArrayForSingle)
		v = list[0]
	}
	return r.element(a, v)
}

// flattened takes the keys of a path-less value that are really paths out of it, and gives an
// operation for each: "name.givenName", "urn:…:User:department", "emails[type eq \"work\"].value".
func (r *repair) flattened(def *scim.Definition, op map[string]any, out []any) []any {
	value, ok := valueOf(op, "value").(map[string]any)
	if !ok {
		return append(out, op)
	}
	var paths []string
	for _, key := range slices.Sorted(maps.Keys(value)) {
		if isPath(def, key, value[key]) {
			paths = append(paths, key)
		}
	}
	if len(paths) < len(value) || len(value) == 0 {
		out = append(out, op)
	}
	for _, key := range paths {
		r.note(quirkFlattenedKeys)
		out = r.operation(def, map[string]any{"op": valueOf(op, "op"), "path": key, "value": value[key]}, out)
		delete(value, key)
	}
	r.attributes(def, value)
	return out
}

// isPath reports whether a key is a path and no name: of an attribute, or of an extension with
// its object.
func isPath(def *scim.Definition, key string, v any) bool {
	if def.Attribute(key) != nil || def.Extension(key) != nil || def.IsCore(key) {
		return false
	}
	if _, object := v.(map[string]any); object && strings.HasPrefix(strings.ToLower(key), "urn:") {
		_, err := scim.ParsePath(def, key)
		return err == nil && registered(def, key)
	}
	return strings.ContainsAny(key, ".[:")
}

// registered reports whether a URN-qualified name begins with a schema that is known.
func registered(def *scim.Definition, key string) bool {
	for i := strings.LastIndexByte(key, ':'); i > 0; i = strings.LastIndexByte(key[:i], ':') {
		if def.Extension(key[:i]) != nil || def.IsCore(key[:i]) {
			return true
		}
	}
	return false
}

// unknown reports whether a path is well formed but names an attribute that no schema has. Such
// attributes are dropped wherever they come (semantics §1).
func unknown(err error) bool {
	var e *scim.Error
	return errors.As(err, &e) && e.Path != ""
}

func hasKey(o map[string]any, name string) bool {
	for k := range o {
		if strings.EqualFold(k, name) {
			return true
		}
	}
	return false
}

// setKey sets a value under whatever spelling its key has.
func setKey(o map[string]any, name string, v any) {
	for k := range o {
		if strings.EqualFold(k, name) {
			o[k] = v
			return
		}
	}
	o[name] = v
}
