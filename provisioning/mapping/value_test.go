package mapping

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestConvert assigns values of each kind to attributes of each type. What is converted is written here
// as expressions and constants have it.
func TestConvert(t *testing.T) {
	t.Parallel()
	def := typedUser(t)
	tests := []struct {
		target string
		value  any
		want   any    // nil where the value is refused, or empty
		fault  string // "" where it is not refused
	}{
		{"flag", true, true, ""},
		{"flag", "TRUE", true, ""},
		{"flag", "False", false, ""},
		{"flag", 1, nil, "urn:example:typed:1.0:User:flag is true or false, and the value is a number"},
		{"flag", "", nil, ""},
		{"whole", 7, json.Number("7"), ""},
		{"whole", " 7", nil, "urn:example:typed:1.0:User:whole is a whole number, and the value is a text"},
		{"whole", "-07", json.Number("-7"), ""},
		{"whole", 7.5, nil, "urn:example:typed:1.0:User:whole is a whole number, and the value is a number"},
		{"whole", uint64(math.MaxUint64), nil, "urn:example:typed:1.0:User:whole is a whole number, and the value is a number"},
		{"whole", int64(math.MaxInt64), json.Number("9223372036854775807"), ""},
		{"fraction", 0.1, json.Number("0.1"), ""},
		{"fraction", 1e21, json.Number("1e+21"), ""},
		{"fraction", 1e20, json.Number("100000000000000000000"), ""},
		{"fraction", 1e-7, json.Number("1e-07"), ""},
		{"fraction", "1e400", nil, "urn:example:typed:1.0:User:fraction is a number, and the value is a text"},
		{"fraction", "NaN", nil, "urn:example:typed:1.0:User:fraction is a number, and the value is a text"},
		{"fraction", math.Inf(1), nil, ""},
		{"moment", "2020-01-31T09:30:00+09:00", "2020-01-31T09:30:00+09:00", ""},
		{"moment", "7/2/2021 3:33:38 PM", "2021-07-02T15:33:38Z", ""},
		{"moment", "2020-01-31", "2020-01-31T00:00:00Z", ""},
		{"moment", "soon", nil, "urn:example:typed:1.0:User:moment is a date and time such as 2030-01-31T09:30:00Z, and the value is a text"},
		{"bytes", "YQ==", "YQ==", ""},
		{"link", "https://example.jp", "https://example.jp", ""},
		{"link", 5.5, "5.5", ""},
		{"link", false, "False", ""},
		{"words", "a", []any{"a"}, ""},
		{"words", []any{"a", "", nil, 1, true}, []any{"a", "1", "True"}, ""},
		{"words", []any{""}, nil, ""},
		{"words", []any{"a", []any{}}, []any{"a"}, ""},
		{"words", []any{"a", []any{"b"}}, nil, "element 2: urn:example:typed:1.0:User:words is a text, and the value is a list"},
		{"numbers", []any{"1", 2}, []any{json.Number("1"), json.Number("2")}, ""},
		{"parts", []any{map[string]any{"CODE": "7", "words": "a"}}, []any{map[string]any{"code": json.Number("7"), "words": []any{"a"}}}, ""},
		{"parts", map[string]any{"code": 7}, []any{map[string]any{"code": json.Number("7")}}, ""},
		{"parts", map[string]any{"code": 7, "Code": 8}, nil, "element 1: urn:example:typed:1.0:User:parts.code is given twice"},
		{"parts", map[string]any{"code": nil}, nil, ""},
		{"parts", "x", nil, "element 1: urn:example:typed:1.0:User:parts is an object of sub-attributes, and the value is a text"},
		{"name", "x", nil, "name is an object of sub-attributes, and the value is a text"},
		{"title", "\xff", nil, "title gets text that no attribute can have: it has a NUL character or is not UTF-8"},
		{"urn:x:y:z", map[string]any{"a": []any{nil, "b"}, "c": nil}, map[string]any{"a": []any{"b"}}, ""},
		{"urn:x:y:z", []any{"\x00"}, nil, "urn:x:y:z gets text that no attribute can have: it has a NUL character or is not UTF-8"},
		{"urn:x:y:z", map[string]any{"\xff": 1}, nil, "urn:x:y:z gets text that no attribute can have: it has a NUL character or is not UTF-8"},
	}
	for _, tt := range tests {
		text := tt.target
		if def.ExtensionAttribute("urn:example:typed:1.0:User", text) != nil {
			text = "urn:example:typed:1.0:User:" + text
		}
		target, detail, _ := parseTarget(def, text)
		if detail != "" {
			t.Fatal(detail)
		}
		got, err := target.convert(plain(tt.value))
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s of %v (-want +got):\n%s", tt.target, tt.value, diff)
		}
		if fault := errorText(err); fault != tt.fault {
			t.Errorf("%s of %v: the error is %q, not %q", tt.target, tt.value, fault, tt.fault)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
