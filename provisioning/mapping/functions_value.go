package mapping

import (
	"errors"
	"fmt"

	"meibo/scim"
)

var valueFunctions = map[string]function{
	"BitAnd":                  {2, 2, "BitAnd(value1, value2)", bitAnd},
	"CBool":                   {1, 1, "CBool(value)", func(_ *evaluation, args []any) (any, error) { return truth(args[0]) }},
	"Count":                   {1, 1, "Count(attribute)", count},
	"CStr":                    {1, 1, "CStr(value)", cStr},
	"DefaultDomain":           {0, 0, "DefaultDomain()", func(e *evaluation, _ []any) (any, error) { return e.options.DefaultDomain, nil }},
	"IgnoreFlowIfNullOrEmpty": {1, 1, "IgnoreFlowIfNullOrEmpty(expression)", nil},
	"IsNull":                  {1, 1, "IsNull(value)", func(_ *evaluation, args []any) (any, error) { return args[0] == nil, nil }},
	"IsNullOrEmpty":           {1, 1, "IsNullOrEmpty(value)", func(_ *evaluation, args []any) (any, error) { return scim.IsUnassigned(args[0]), nil }},
	"IsPresent":               {1, 1, "IsPresent(value)", func(_ *evaluation, args []any) (any, error) { return !scim.IsUnassigned(args[0]), nil }},
	"IsString":                {1, 1, "IsString(value)", isString},
	"Item":                    {2, 2, "Item(attribute, index)", item},
	"Not":                     {1, 1, "Not(source)", not},
	"RemoveDuplicates":        {1, 1, "RemoveDuplicates(attribute)", removeDuplicates},
	"Switch":                  {2, -1, "Switch(source, defaultValue, key1, value1, key2, value2, …)", choose},
}

func bitAnd(_ *evaluation, args []any) (any, error) {
	a, err := intArgument(args, 0, "value1")
	if err != nil {
		return nil, err
	}
	b, err := intArgument(args, 1, "value2")
	return a & b, err
}

// count counts nil as no element and anything that is no list as one.
func count(_ *evaluation, args []any) (any, error) {
	switch v := args[0].(type) {
	case nil:
		return 0, nil
	case []any:
		return len(v), nil
	default:
		return 1, nil
	}
}

func cStr(_ *evaluation, args []any) (any, error) {
	s, ok, err := textArgument(args, 0, "value")
	if !ok {
		return nil, err
	}
	return s, nil
}

func isString(_ *evaluation, args []any) (any, error) {
	_, ok := args[0].(string)
	return ok, nil
}

// item counts from 1; nil where there is no such element.
func item(_ *evaluation, args []any) (any, error) {
	i, err := intArgument(args, 1, "index")
	if err != nil {
		return nil, err
	}
	if i < 1 {
		return nil, errors.New("index must be 1 or more")
	}
	list, ok := args[0].([]any)
	if !ok && args[0] != nil {
		list = args[:1]
	}
	if i > len(list) {
		return nil, nil
	}
	return scalar(list[i-1]), nil
}

func not(_ *evaluation, args []any) (any, error) {
	v, err := truth(args[0])
	return v != true, err
}

// removeDuplicates keeps the first of equal elements.
func removeDuplicates(_ *evaluation, args []any) (any, error) {
	list, ok := args[0].([]any)
	if !ok {
		return args[0], nil
	}
	seen := make(map[string]bool, len(list))
	out := make([]any, 0, len(list))
	for _, v := range list {
		key := string(scim.AppendValue(nil, plain(v)))
		if !seen[key] {
			seen[key] = true
			out = append(out, v)
		}
	}
	return out, nil
}

// choose is Switch; nil counts as the empty text.
func choose(_ *evaluation, args []any) (any, error) {
	if len(args)%2 != 0 {
		return nil, errors.New("after source and default come pairs of a key and a value")
	}
	source, _, err := textArgument(args, 0, "source")
	if err != nil {
		return nil, err
	}
	for i := 2; i < len(args); i += 2 {
		key, _, err := textArgument(args, i, fmt.Sprintf("key%d", i/2))
		if err != nil {
			return nil, err
		}
		if key == source {
			return args[i+1], nil
		}
	}
	return args[1], nil
}
