package settings

import (
	"bytes"
	"cmp"
	"encoding"
	"reflect"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"

	"meibo/provisioning"
)

// Format writes the shortest YAML that Parse reads back as the same settings: the preset and what departs from it.
// The default itself is empty. It takes settings that have no problems.
func Format(s provisioning.Settings) []byte {
	base, _ := s.Preset.Settings()
	base.Preset = provisioning.PresetDefault // so that the word itself departs
	root := departures(reflect.ValueOf(base), reflect.ValueOf(s))
	if len(root.Content) == 0 {
		return nil
	}
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	// A tree of plain nodes in memory: there is nothing that fails.
	_ = encoder.Encode(root)
	_ = encoder.Close()
	return b.Bytes()
}

// departures are the keys of a section that differ.
func departures(base, v reflect.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for sf, value := range v.Fields() {
		from := base.FieldByIndex(sf.Index)
		child := node(value)
		switch {
		case value.Kind() == reflect.Struct:
			if child = departures(from, value); len(child.Content) == 0 {
				continue
			}
		case equal(from, value):
			continue
		}
		n.Content = append(n.Content, word(nameOf(sf)), child)
	}
	return n
}

// equal takes a list that is not there for an empty one.
func equal(a, b reflect.Value) bool {
	if a.Kind() == reflect.Slice && a.Len() == 0 && b.Len() == 0 {
		return true
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

// node is a value as documents write it.
func node(v reflect.Value) *yaml.Node {
	if text, ok := v.Interface().(encoding.TextMarshaler); ok {
		written, _ := text.MarshalText() // of a period, which has no error
		return &yaml.Node{Kind: yaml.ScalarNode, Value: string(written)}
	}
	switch v.Kind() {
	case reflect.Struct: // an element of a list: what it has
		n := &yaml.Node{Kind: yaml.MappingNode}
		for sf, value := range v.Fields() {
			if !value.IsZero() {
				n.Content = append(n.Content, word(nameOf(sf)), node(value))
			}
		}
		return n
	case reflect.Slice:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		if v.Len() == 0 || v.Type().Elem().Kind() == reflect.String {
			n.Style = yaml.FlowStyle
		}
		for i := range v.Len() {
			n.Content = append(n.Content, node(v.Index(i)))
		}
		return n
	case reflect.Bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: strconv.FormatBool(v.Bool())}
	case reflect.Int:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: strconv.FormatInt(v.Int(), 10)}
	case reflect.String:
		return word(v.String())
	case reflect.Interface:
		return node(v.Elem())
	case reflect.Map: // as all of the following, part of a value of any shape, which came from JSON
		n := &yaml.Node{Kind: yaml.MappingNode}
		for _, name := range slices.SortedFunc(slices.Values(v.MapKeys()), func(a, b reflect.Value) int { return cmp.Compare(a.String(), b.String()) }) {
			n.Content = append(n.Content, word(name.String()), node(v.MapIndex(name)))
		}
		return n
	default:
		var n yaml.Node
		_ = n.Encode(v.Interface()) // a number
		return &n
	}
}

// word is a text, in quotes where it would be read as anything else.
func word(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Value: s}
	if n.ShortTag() != strTag || s == "<<" { // the sign of a merge is a text to the library until it reads it
		n.Style = yaml.DoubleQuotedStyle
	}
	n.Tag = strTag
	return n
}
