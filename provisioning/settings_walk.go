package provisioning

import (
	"encoding/json"
	"iter"
	"reflect"
	"strconv"
	"strings"
)

// settingsField is one key of a settings document with its value.
type settingsField struct {
	path  string // as people read it: mapping.users[0].target
	key   string // as SettingsKey has it: mapping.users[].target
	value reflect.Value
}

// fields are all keys of settings that have values of their own, in the order of the document: what is no section,
// and each element of a list after the list.
func (s Settings) fields() iter.Seq[settingsField] {
	return func(yield func(settingsField) bool) {
		walkSettings(settingsField{value: reflect.ValueOf(s)}, true, yield)
	}
}

// settings are the keys of settings that a person sets as one: lists are not looked into.
func (s Settings) settings() iter.Seq[settingsField] {
	return func(yield func(settingsField) bool) {
		walkSettings(settingsField{value: reflect.ValueOf(s)}, false, yield)
	}
}

func walkSettings(f settingsField, elements bool, yield func(settingsField) bool) bool {
	switch f.value.Kind() {
	case reflect.Struct:
		for sf, v := range f.value.Fields() {
			if !walkSettings(f.sub(jsonName(sf), v), elements, yield) {
				return false
			}
		}
		return true
	case reflect.Slice:
		if !yield(f) {
			return false
		}
		for i := range f.value.Len() {
			if !elements {
				break
			}
			element := settingsField{path: f.path + "[" + strconv.Itoa(i) + "]", key: f.key + "[]", value: f.value.Index(i)}
			if !walkSettings(element, elements, yield) {
				return false
			}
		}
		return true
	default:
		return yield(f)
	}
}

func (f settingsField) sub(name string, v reflect.Value) settingsField {
	if f.path == "" {
		return settingsField{path: name, key: name, value: v}
	}
	return settingsField{path: f.path + "." + name, key: f.key + "." + name, value: v}
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

// plain is a value as it stands in a JSON document.
func (f settingsField) plain() any {
	if f.value.Kind() == reflect.Slice && f.value.Len() == 0 {
		return []any{}
	}
	var out any
	data, err := json.Marshal(f.value.Interface())
	if err == nil {
		err = json.Unmarshal(data, &out)
	}
	if err != nil { // a value that no document can hold: it is equal to nothing
		return f.value.Interface()
	}
	return out
}

// Diff names each key in which after differs, with both values as in a JSON document; a list is one value.
func (s Settings) Diff(after Settings) []AttributeChange {
	var out []AttributeChange
	before := map[string]any{}
	for f := range s.settings() {
		before[f.path] = f.plain()
	}
	for f := range after.settings() {
		if was, is := before[f.path], f.plain(); !reflect.DeepEqual(was, is) {
			out = append(out, AttributeChange{Path: f.path, Old: was, New: is})
		}
	}
	return out
}
