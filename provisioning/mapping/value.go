package mapping

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"meibo/scim"
)

// plain turns what expressions and settings have, numbers of Go, into what attributes have,
// json.Number. A number that is none (NaN, infinity) becomes nil.
func plain(v any) any {
	switch v := v.(type) {
	case int:
		return json.Number(strconv.Itoa(v))
	case int64:
		return json.Number(strconv.FormatInt(v, 10))
	case uint64:
		return json.Number(strconv.FormatUint(v, 10))
	case float64:
		return plainFloat(v)
	case []any:
		out := make([]any, len(v))
		for i, element := range v {
			out[i] = plain(element)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, element := range v {
			out[key] = plain(element)
		}
		return out
	default:
		return v
	}
}

func plainFloat(f float64) any {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil
	}
	return json.Number(formatFloat(f))
}

// formatFloat writes a number as people do, and a very large or small one with an exponent.
func formatFloat(f float64) string {
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// scalar turns the number of an attribute into one that expressions reckon with: an int where it is
// one, else a float64.
func scalar(v any) any {
	number, ok := v.(json.Number)
	if !ok {
		return v
	}
	if i, err := strconv.Atoi(string(number)); err == nil {
		return i
	}
	f, _ := number.Float64()
	return f
}

// text is a value as CStr writes it: booleans as True and False. It is false for lists and objects.
func text(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		if v {
			return "True", true
		}
		return "False", true
	case int:
		return strconv.Itoa(v), true
	case float64:
		return formatFloat(v), true
	case json.Number:
		return string(v), true
	default:
		return "", false
	}
}

// convert turns a value in the form of attributes into one that a may have, nil where it is empty:
// texts become booleans and numbers and the other way round, one value a list of one. Dates in the
// form of the date functions become dateTimes. Its errors never hold the value.
func convert(a *scim.Attribute, v any) (any, error) {
	if !a.MultiValued {
		return convertOne(a, v)
	}
	if scim.IsUnassigned(v) {
		return nil, nil
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	out := make([]any, 0, len(list))
	for i, element := range list {
		value, err := convertOne(a, element)
		if err != nil {
			return nil, fmt.Errorf("element %d: %w", i+1, err)
		}
		if value != nil {
			out = append(out, value)
		}
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}

// convertOne is convert for one element of a list, or the only value.
func convertOne(a *scim.Attribute, v any) (any, error) {
	if scim.IsUnassigned(v) {
		return nil, nil
	}
	switch a.Type {
	case scim.Untyped:
		return convertUntyped(a, v)
	case scim.Complex:
		return convertObject(a, v)
	}
	s, ok := text(v)
	if !ok {
		return nil, wrongType(a, v)
	}
	switch a.Type {
	case scim.Boolean:
		switch {
		case strings.EqualFold(s, "true"):
			return true, nil
		case strings.EqualFold(s, "false"):
			return false, nil
		}
		return nil, wrongType(a, v)
	case scim.Integer, scim.Decimal:
		return convertNumber(a, s, v)
	case scim.DateTime:
		return convertDate(a, s, v)
	}
	if !isText(s) {
		return nil, noText(a)
	}
	return s, nil
}

// isText reports whether a database can keep s, and a client read it.
func isText(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

func noText(a *scim.Attribute) error {
	return fmt.Errorf("%s gets text that no attribute can have: it has a NUL character or is not UTF-8", a)
}

// convertUntyped copies a value of any form and leaves its nulls out.
func convertUntyped(a *scim.Attribute, v any) (any, error) {
	switch v := v.(type) {
	case string:
		if !isText(v) {
			return nil, noText(a)
		}
	case []any:
		out := make([]any, 0, len(v))
		for _, element := range v {
			value, err := convertUntyped(a, element)
			if err != nil {
				return nil, err
			}
			if value != nil {
				out = append(out, value)
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, element := range v {
			value, err := convertUntyped(a, element)
			if err == nil && !isText(key) {
				err = noText(a)
			}
			if err != nil {
				return nil, err
			}
			if value != nil {
				out[key] = value
			}
		}
		return out, nil
	}
	return v, nil
}

func convertNumber(a *scim.Attribute, s string, v any) (any, error) {
	if a.Type == scim.Integer {
		i, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return nil, wrongType(a, v)
		}
		return json.Number(strconv.FormatInt(i, 10)), nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if number := plainFloat(f); err == nil && number != nil {
		return number, nil
	}
	return nil, wrongType(a, v)
}

func convertDate(a *scim.Attribute, s string, v any) (any, error) {
	at, ok := parseDate(s)
	if !ok {
		return nil, wrongType(a, v)
	}
	if _, err := time.Parse(time.RFC3339, s); err == nil {
		return s, nil
	}
	return at.Format(time.RFC3339Nano), nil
}

// convertObject takes a text for the value of a complex attribute that has one.
func convertObject(a *scim.Attribute, v any) (any, error) {
	object, ok := v.(map[string]any)
	if !ok {
		if _, isText := text(v); !isText || a.Sub("value") == nil {
			return nil, wrongType(a, v)
		}
		object = map[string]any{"value": v}
	}
	out := make(map[string]any, len(object))
	for _, key := range slices.Sorted(maps.Keys(object)) {
		sub := a.Sub(key)
		if sub == nil {
			return nil, fmt.Errorf("%s has no sub-attribute %q", a, key)
		}
		if out[sub.Name] != nil {
			return nil, fmt.Errorf("%s is given twice", sub)
		}
		value, err := convert(sub, object[key])
		if err != nil {
			return nil, err
		}
		if value != nil {
			out[sub.Name] = value
		}
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}

func wrongType(a *scim.Attribute, v any) error {
	return fmt.Errorf("%s is %s, and the value is %s", a, typeName(a), kindOf(v))
}

func typeName(a *scim.Attribute) string {
	switch a.Type {
	case scim.Boolean:
		return "true or false"
	case scim.Integer:
		return "a whole number"
	case scim.Decimal:
		return "a number"
	case scim.DateTime:
		return "a date and time such as 2030-01-31T09:30:00Z"
	case scim.Complex:
		return "an object of sub-attributes"
	default:
		return "a text"
	}
}

// kindOf names the kind of a value, never the value.
func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "empty"
	case string:
		return "a text"
	case bool:
		return "a boolean"
	case int, float64, json.Number:
		return "a number"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	default:
		return "of an unknown kind"
	}
}
