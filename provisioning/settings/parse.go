package settings

import (
	"encoding"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"meibo/internal/spelling"
	"meibo/provisioning"
)

// Parse reads a document in YAML or JSON. Its error is Problems: all that is wrong with it. An empty document is
// the default.
func Parse(source []byte) (provisioning.Settings, error) {
	root, problems := read(source)
	if len(problems) > 0 {
		return provisioning.Settings{}, problems
	}
	r := reader{known: map[string]provisioning.SettingsKey{}, lines: map[string]int{"": root.Line}, broken: map[string]bool{}}
	for _, k := range provisioning.SettingsKeys() {
		r.known[k.Path] = k
	}
	s := base(root)
	r.object("", "", root, reflect.ValueOf(&s).Elem())
	for _, p := range s.Problems() {
		if !r.broken[p.Key] {
			r.problems = append(r.problems, Problem{Line: r.line(p.Key), SettingsProblem: p})
		}
	}
	if len(r.problems) > 0 {
		return provisioning.Settings{}, r.problems.sorted().bounded()
	}
	return s, nil
}

// base is what the document departs from. A preset that is none is reported with the other values.
func base(root *yaml.Node) provisioning.Settings {
	for i := 0; i < len(root.Content); i += 2 {
		if root.Content[i].Value == "preset" {
			if s, ok := provisioning.Preset(root.Content[i+1].Value).Settings(); ok {
				return s
			}
		}
	}
	return provisioning.DefaultSettings()
}

// reader fills settings from a tree.
type reader struct {
	known    map[string]provisioning.SettingsKey
	lines    map[string]int  // of each key that the document has
	broken   map[string]bool // keys whose value could not be read, so that nothing more is said of them
	problems Problems
}

// line is where a key stands, or else the section that it would stand in, or else what chose the preset.
func (r *reader) line(key string) int {
	for key != "" {
		if n, ok := r.lines[key]; ok {
			return n
		}
		key = key[:max(strings.LastIndexAny(key, ".["), 0)]
	}
	if n, ok := r.lines["preset"]; ok {
		return n
	}
	return r.lines[""]
}

func (r *reader) refuse(n *yaml.Node, path, value, what, remedy string) {
	r.broken[path] = true
	r.problems = append(r.problems, Problem{Line: n.Line,
		SettingsProblem: provisioning.SettingsProblem{Key: path, Value: value, What: what, Remedy: remedy}})
}

// value reads one node into v. path is the key as people read it, key as the table of keys has it.
func (r *reader) value(path, key string, n *yaml.Node, v reflect.Value) {
	r.lines[path] = n.Line
	switch kind := v.Kind(); {
	case n.ShortTag() == nullTag:
		r.refuse(n, path, "", "has no value", "write one, or remove the line")
	case v.Type() == applyType:
		if r.scalar(path, n, v); v.String() == always {
			v.SetString(string(provisioning.ApplyAlways))
		}
	case reflect.PointerTo(v.Type()).Implements(textType):
		r.text(path, n, v)
	case kind == reflect.Struct:
		r.object(path, key, n, v)
	case kind == reflect.Slice:
		r.list(path, key, n, v)
	case kind == reflect.Interface:
		if plain, ok := r.plain(path, n, maxPlainDepth); ok {
			v.Set(reflect.ValueOf(plain))
		}
	default:
		r.scalar(path, n, v)
	}
}

const (
	always  = "always" // how a document spells provisioning.ApplyAlways
	nullTag = "!!null"
	strTag  = "!!str"
	intTag  = "!!int"
)

var (
	textType  = reflect.TypeFor[encoding.TextUnmarshaler]()
	applyType = reflect.TypeFor[provisioning.MappingApply]()
)

// object reads a mapping into a struct whose keys the table of keys knows.
func (r *reader) object(path, key string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		r.refuse(n, path, "", "is "+kindOf(n)+" where a mapping belongs", "write its keys below it, each with a value")
		return
	}
	fields := map[string]reflect.Value{}
	for sf, value := range v.Fields() {
		// A filter of groups, for one, has no domains, though its type does.
		name := nameOf(sf)
		if _, ok := r.known[join(key, name)]; ok {
			fields[name] = value
		}
	}
	all := slices.Sorted(maps.Keys(fields))
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, child := n.Content[i], n.Content[i+1]
		at := join(path, name.Value)
		field, ok := fields[name.Value]
		first, again := seen[name.Value]
		switch {
		case name.Kind != yaml.ScalarNode || name.ShortTag() != strTag:
			r.refuse(name, path, "", "has a key that is no word", "write one of "+strings.Join(all, ", "))
		case again:
			r.refuse(name, at, "", "is there twice", fmt.Sprintf("remove it, or the one in line %d", first))
		case !ok:
			r.unknown(name, at, key, all)
		default:
			seen[name.Value] = name.Line
			r.value(at, join(key, name.Value), child, field)
			r.lines[at] = name.Line
		}
	}
}

// nameOf is what documents call a field.
func nameOf(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// foreignCauses are causes of a departure that a SCIM connection cannot have, each with what has it.
var foreignCauses = map[string]string{
	"disabledUpstream": "a pull", "deletedUpstream": "a pull", "linkCleared": "an outbound target",
}

// unknown says what a key that is no setting may have been meant to be.
func (r *reader) unknown(n *yaml.Node, path, section string, known []string) {
	owner, foreign := foreignCauses[n.Value]
	all := strings.Join(known, ", ")
	near := spelling.Nearest(n.Value, "", known)
	switch causes := "remove it; the causes here are " + all; {
	case foreign && strings.HasPrefix(section, "deletion."):
		r.refuse(n, path, "", "is a cause that only "+owner+" can have, and this is a SCIM connection", causes)
	case section == "deletion.groups" && n.Value == "deactivated":
		r.refuse(n, path, "", "is a cause that only users can have: a group is never deactivated", causes)
	case near != "":
		r.refuse(n, path, "", "is not a setting", "did you mean "+near+"? Otherwise remove it")
	default:
		r.refuse(n, path, "", "is not a setting", "remove it; the keys here are "+all)
	}
}

func (r *reader) list(path, key string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		r.refuse(n, path, "", "is "+kindOf(n)+" where a list belongs", "write [one, two]")
		return
	}
	if most := r.known[key].Max; int64(len(n.Content)) > most {
		r.refuse(n, path, "", fmt.Sprintf("has %d elements", len(n.Content)), fmt.Sprintf("leave at most %d of them", most))
		return
	}
	v.SetZero() // what a list says replaces what the preset says
	if len(n.Content) == 0 {
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, child := range n.Content {
		r.value(path+"["+strconv.Itoa(i)+"]", key+"[]", child, v.Index(i))
	}
}

// text reads a value that reads itself, such as a period.
func (r *reader) text(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.ScalarNode {
		r.refuse(n, path, "", "is "+kindOf(n)+" where a period belongs", "write one such as 30d, 24h or 90m")
		return
	}
	if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.Value)); err != nil {
		r.refuse(n, path, n.Value, "is no period", "write a whole number of days, hours, minutes or seconds up to ten years: 30d, 24h, 90m, 10s")
	}
}

// scalar reads a string, a boolean or a whole number.
func (r *reader) scalar(path string, n *yaml.Node, v reflect.Value) {
	tag := n.ShortTag()
	switch v.Kind() {
	case reflect.String:
		if n.Kind == yaml.ScalarNode && tag == strTag {
			v.SetString(n.Value)
			return
		}
		remedy := "write one word or text"
		if n.Kind == yaml.ScalarNode {
			remedy = "put it in quotes if it is meant"
		}
		r.refuse(n, path, n.Value, "is "+kindOf(n)+" where a text belongs", remedy)
	case reflect.Bool:
		if b, err := strconv.ParseBool(n.Value); err == nil && tag == "!!bool" {
			v.SetBool(b)
			return
		}
		r.refuse(n, path, n.Value, "is "+kindOf(n)+" where true or false belongs", "write true or false")
	default:
		var i int
		if tag == intTag && n.Decode(&i) == nil {
			v.SetInt(int64(i))
			return
		}
		r.refuse(n, path, n.Value, "is "+kindOf(n)+" where a whole number belongs", "write digits alone, without quotes")
	}
}

// maxPlainDepth is how deep the value of a mapping row may be: an attribute with sub-attributes in a list is three.
const maxPlainDepth = 4

// plain reads a value of any shape as encoding/json would.
func (r *reader) plain(path string, n *yaml.Node, depth int) (any, bool) {
	if depth == 0 {
		r.refuse(n, path, "", "is nested too deep", "write a value, a list or a mapping as the attribute has it")
		return nil, false
	}
	switch n.Kind {
	case yaml.SequenceNode:
		out := make([]any, len(n.Content))
		for i, child := range n.Content {
			v, ok := r.plain(path, child, depth-1)
			if !ok {
				return nil, false
			}
			out[i] = v
		}
		return out, true
	case yaml.MappingNode:
		out := make(map[string]any, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			name := n.Content[i]
			if _, again := out[name.Value]; again || name.Kind != yaml.ScalarNode || name.ShortTag() != strTag {
				r.refuse(name, path, name.Value, "is no key, or is there twice", "write each sub-attribute once")
				return nil, false
			}
			v, ok := r.plain(path, n.Content[i+1], depth-1)
			if !ok {
				return nil, false
			}
			out[name.Value] = v
		}
		return out, true
	default:
		return r.plainScalar(path, n)
	}
}

// exactInt is the largest whole number that every double up to it can hold.
const exactInt = 1 << 53

func (r *reader) plainScalar(path string, n *yaml.Node) (any, bool) {
	switch n.ShortTag() {
	case strTag:
		return n.Value, true
	case "!!bool":
		if b, err := strconv.ParseBool(n.Value); err == nil {
			return b, true
		}
	case intTag, "!!float":
		var f float64
		if n.Decode(&f) == nil && math.Abs(f) <= exactInt {
			return f, true
		}
	}
	r.refuse(n, path, n.Value, "is no text, number, true or false that is kept as it is", "put it in quotes")
	return nil, false
}

// kindOf names what a node is.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case strTag:
		return "a text"
	case "!!bool":
		return "true or false"
	case intTag, "!!float":
		return "a number"
	case "!!timestamp":
		return "a date"
	default:
		return "something else"
	}
}
