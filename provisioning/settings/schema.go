package settings

import (
	"bytes"
	"encoding"
	"encoding/json"
	"reflect"

	"meibo/provisioning"
)

// Schema is the JSON Schema (2020-12) of a document, for editors. Parse knows more: what contradicts what.
func Schema() []byte {
	keys := map[string]provisioning.SettingsKey{}
	for _, k := range provisioning.SettingsKeys() {
		keys[k.Path] = k
	}
	root := schemaOf(keys, "", reflect.TypeFor[provisioning.Settings]())
	root.Schema = "https://json-schema.org/draft/2020-12/schema"
	root.Title, root.Description = "Settings of a meibo connection", "Rules of one connection; what is left out is as the preset has it."
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(root) // plain data
	return b.Bytes()
}

// schema is the part of JSON Schema that documents need.
type schema struct {
	Schema      string   `json:"$schema,omitempty"`
	Title       string   `json:"title,omitempty"`
	Description string   `json:"description,omitempty"`
	Type        any      `json:"type,omitempty"` // a word or several
	Enum        []string `json:"enum,omitempty"`
	Pattern     string   `json:"pattern,omitempty"`
	Minimum     *int64   `json:"minimum,omitempty"`
	Maximum     *int64   `json:"maximum,omitempty"`
	Properties  object   `json:"properties,omitempty"`
	Required    []string `json:"required,omitempty"`
	Additional  *bool    `json:"additionalProperties,omitempty"`
	Items       *schema  `json:"items,omitempty"`
	MaxItems    int64    `json:"maxItems,omitempty"`
}

// requiredKeys are those that every element of a list has.
var requiredKeys = map[string]bool{"target": true, "when": true, "role": true}

// periods are what provisioning.Period reads; the bare 0 may be a number.
const periods = `^(0|[0-9]+[dhms])$`

func schemaOf(keys map[string]provisioning.SettingsKey, key string, t reflect.Type) *schema {
	k := keys[key]
	s := &schema{Description: k.Doc, Enum: k.Choices}
	switch {
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		var zero int64
		s.Type, s.Pattern, s.Minimum, s.Maximum = []string{"string", "integer"}, periods, &zero, &zero
	case t.Kind() == reflect.Struct:
		s.object(keys, key, t)
	case t.Kind() == reflect.Slice:
		s.Type, s.Items, s.MaxItems = "array", schemaOf(keys, key+"[]", t.Elem()), k.Max
	case t.Kind() == reflect.Bool:
		s.Type = "boolean"
	case t.Kind() == reflect.Int:
		s.Type, s.Minimum, s.Maximum = "integer", &k.Min, &k.Max
	case t.Kind() == reflect.String:
		s.Type = "string"
	default: // a value of any shape
		s.Type = []string{"string", "number", "boolean", "array", "object"}
	}
	return s
}

func (s *schema) object(keys map[string]provisioning.SettingsKey, key string, t reflect.Type) {
	closed := false
	s.Type, s.Additional = "object", &closed
	for i := range t.NumField() {
		name := nameOf(t.Field(i))
		at := join(key, name)
		if _, ok := keys[at]; !ok {
			continue
		}
		s.Properties = append(s.Properties, member{name, schemaOf(keys, at, t.Field(i).Type)})
		if requiredKeys[name] {
			s.Required = append(s.Required, name)
		}
	}
}
