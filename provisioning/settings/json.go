package settings

import (
	"bytes"
	"encoding"
	"encoding/json"
	"reflect"

	"meibo/provisioning"
)

// FormatJSON writes all keys of settings as JSON that Parse reads back as the same settings, whatever the preset.
func FormatJSON(s provisioning.Settings) []byte {
	keys := map[string]provisioning.SettingsKey{}
	for _, k := range provisioning.SettingsKeys() {
		keys[k.Path] = k
	}
	return compact(whole(keys, "", reflect.ValueOf(s)))
}

// whole is a section with every key, but for those with which nothing was chosen.
func whole(keys map[string]provisioning.SettingsKey, key string, v reflect.Value) object {
	var out object
	for sf, value := range v.Fields() {
		name := nameOf(sf)
		k, known := keys[join(key, name)]
		switch {
		case !known || k.Optional && value.IsZero():
		case value.Kind() == reflect.Struct:
			out = append(out, member{name, whole(keys, k.Path, value)})
		default:
			out = append(out, member{name, element(value)})
		}
	}
	return out
}

// element is a value or a list; of a row in a list, what it has.
func element(v reflect.Value) any {
	_, text := v.Interface().(encoding.TextMarshaler)
	switch {
	case text:
		return v.Interface()
	case v.Kind() == reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = element(v.Index(i))
		}
		return list
	case v.Kind() == reflect.Struct:
		var row object
		for sf, value := range v.Fields() {
			if !value.IsZero() {
				row = append(row, member{nameOf(sf), element(value)})
			}
		}
		return row
	default:
		return v.Interface()
	}
}

// object is a JSON object that keeps the order of its members.
type object []member

type member struct {
	name  string
	value any
}

// MarshalJSON implements json.Marshaler.
func (o object) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, m := range o {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, compact(m.name)...), ':')
		b = append(b, compact(m.value)...)
	}
	return append(b, '}'), nil
}

// compact encodes plain data, which does not fail, without escapes for HTML.
func compact(v any) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(v)
	return bytes.TrimRight(b.Bytes(), "\n")
}
