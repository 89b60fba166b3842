package settings_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"meibo/provisioning"
	"meibo/provisioning/settings"
)

// leaf is a place in the schema that has a value, with the way to it.
type leaf struct {
	path   string // as in a problem: mapping.users[0].target
	key    string // as in the table of keys
	schema map[string]any
	put    func(value any) any // a document that has the value there and no more
}

// leaves are all places of the published schema, sections and lists included.
func leaves(t *testing.T) []leaf {
	t.Helper()
	var root map[string]any
	if err := json.Unmarshal(settings.Schema(), &root); err != nil {
		t.Fatal(err)
	}
	var out []leaf
	var visit func(l leaf)
	visit = func(l leaf) {
		out = append(out, l)
		if items, ok := l.schema["items"].(map[string]any); ok {
			visit(leaf{l.path + "[0]", l.key + "[]", items, func(v any) any { return l.put([]any{v}) }})
		}
		properties, _ := l.schema["properties"].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(properties)) {
			dot := "."
			if l.path == "" {
				dot = ""
			}
			visit(leaf{l.path + dot + name, l.key + dot + name, properties[name].(map[string]any),
				func(v any) any { return l.put(map[string]any{name: v}) }})
		}
	}
	visit(leaf{schema: root, put: func(v any) any { return v }})
	return out
}

// said is what Parse says of the very place; "" for nothing.
func said(t *testing.T, l leaf, value any) string {
	t.Helper()
	document, err := json.Marshal(l.put(value))
	if err != nil {
		t.Fatal(err)
	}
	_, err = settings.Parse(document)
	problems, _ := errors.AsType[settings.Problems](err)
	for _, p := range problems {
		if p.Key == l.path {
			return p.What
		}
	}
	return ""
}

// TestSchemaHasTheKeys: what Parse knows is in the schema with a sentence, and what is in the schema Parse knows.
func TestSchemaHasTheKeys(t *testing.T) {
	t.Parallel()
	known := map[string]bool{"": true}
	for _, k := range provisioning.SettingsKeys() {
		known[k.Path] = true
	}
	for _, l := range leaves(t) {
		// An element of a list of sections is described by its list.
		if !known[l.key] && !strings.HasSuffix(l.key, "s[]") {
			t.Errorf("%s is in the schema alone", l.key)
		}
		if known[l.key] && l.schema["description"] == "" {
			t.Errorf("%s is not described", l.key)
		}
		if l.key != "" && strings.Contains(said(t, l, "x"), "is not a setting") {
			t.Errorf("%s is in the schema, and Parse does not know it", l.key)
		}
		delete(known, l.key)
	}
	for key := range known {
		t.Errorf("%s is not in the schema", key)
	}
}

// TestSchemaSaysWhatParseDoes tries at every place what the schema allows and forbids.
func TestSchemaSaysWhatParseDoes(t *testing.T) {
	t.Parallel()
	samples := map[string]any{"string": "7d", "integer": 7, "boolean": true, "array": []any{}, "object": map[string]any{}}
	for _, l := range leaves(t) {
		types := typesOf(l.schema)
		for name, value := range samples {
			allowed := slices.Contains(types, name) || name == "integer" && slices.Contains(types, "number")
			if what := said(t, l, value); !allowed && what == "" {
				t.Errorf("%s: the schema forbids %v, and Parse takes it", l.path, value)
			}
		}
		for _, choice := range enumOf(l.schema) {
			if what := said(t, l, choice); strings.Contains(what, "choice") {
				t.Errorf("%s: the schema allows %q, and Parse says that it %s", l.path, choice, what)
			}
		}
		if enumOf(l.schema) != nil && said(t, l, "none of them") == "" {
			t.Errorf("%s: Parse takes what the schema does not list", l.path)
		}
		if low, ok := l.schema["minimum"].(float64); ok && slices.Equal(types, []string{"integer"}) {
			high := l.schema["maximum"].(float64)
			if a, b := said(t, l, low), said(t, l, high); a+b != "" {
				t.Errorf("%s: the schema allows %v and %v, and Parse says %q%q", l.path, low, high, a, b)
			}
			if said(t, l, low-1) == "" || said(t, l, high+1) == "" {
				t.Errorf("%s: Parse takes what is out of the schema's bounds", l.path)
			}
		}
		if most, ok := l.schema["maxItems"].(float64); ok && !strings.Contains(said(t, l, make([]string, int(most)+1)), "elements") {
			t.Errorf("%s: Parse takes more than %v elements", l.path, most)
		}
		if l.schema["type"] == "object" {
			stranger := leaf{path: strings.TrimPrefix(l.path+".strange", "."), put: l.put}
			if l.schema["additionalProperties"] != false || said(t, stranger, map[string]any{"strange": 1}) == "" {
				t.Errorf("%s takes keys that nobody knows", l.path)
			}
		}
	}
}

func typesOf(schema map[string]any) []string {
	switch t := schema["type"].(type) {
	case string:
		return []string{t}
	case []any:
		out := make([]string, len(t))
		for i, one := range t {
			out[i] = fmt.Sprint(one)
		}
		return out
	default:
		return nil
	}
}

func enumOf(schema map[string]any) []string {
	all, _ := schema["enum"].([]any)
	var out []string
	for _, one := range all {
		out = append(out, fmt.Sprint(one))
	}
	return out
}
