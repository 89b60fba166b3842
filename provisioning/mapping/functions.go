package mapping

import (
	"fmt"
	"maps"
	"strings"

	"github.com/expr-lang/expr/vm"

	"meibo/scim"
)

// function is one function of expressions.
type function struct {
	min, max int    // how many arguments; max < 0 for any number
	usage    string // as the manual writes it
	run      func(e *evaluation, args []any) (any, error)
}

// functions are named, and take their arguments, as in Microsoft's reference of expressions for
// attribute mappings; attr, Kana and Romanize are our own. Arguments that may be left out there between
// two commas are nil here.
var functions = merged(rewritten, textFunctions, valueFunctions, dateFunctions, roleFunctions, readingFunctions)

// rewritten are the functions that become something else when they are compiled.
var rewritten = map[string]function{
	"attr":     {1, 1, "attr(path)", nil},
	"Coalesce": {1, -1, "Coalesce(source1, source2, …, defaultValue)", nil},
	"IIF":      {3, 3, "IIF(condition, valueIfTrue, valueIfFalse)", nil},
}

func merged(tables ...map[string]function) map[string]function {
	out := map[string]function{}
	for _, t := range tables {
		maps.Copy(out, t)
	}
	return out
}

// refused are functions of Microsoft's that have no meaning here, and why.
var refused = map[string]string{
	"Guid":                    "the effective attributes are computed again and must come out the same; use externalId",
	"RandomString":            "the effective attributes are computed again and must come out the same; let the application draw its own secrets",
	"SelectUniqueValue":       "which values are taken changes with time; a taken userName is refused for a person to settle",
	"IgnoreFlowIfNullOrEmpty": "it stands around the whole expression, with one argument",
}

// arity says what is wrong with a number of arguments; "" for nothing.
func (f function) arity(n int) string {
	switch {
	case n < f.min:
		return fmt.Sprintf("has %d arguments and needs at least %d", n, f.min)
	case f.max >= 0 && n > f.max:
		return fmt.Sprintf("has %d arguments and takes at most %d", n, f.max)
	default:
		return ""
	}
}

// call is the function as the machine calls it: the evaluation comes first, and what goes in and comes
// out is counted. Errors begin with the function's name, if it has one.
func (f function) call(name string) vm.Function {
	prefix := ""
	if name != "" {
		prefix = name + ": "
	}
	return func(params ...any) (any, error) {
		e, args := params[0].(*evaluation), params[1:]
		for _, arg := range args {
			if err := e.charge(arg); err != nil {
				return nil, err
			}
		}
		out, err := f.run(e, args)
		if err == errTooMuch {
			return nil, err
		}
		if err != nil {
			return nil, fmt.Errorf("%s%w", prefix, err)
		}
		return out, e.charge(out)
	}
}

// The operators that are functions below. Their names are none that an expression can have.
const (
	opRead       = "·read"
	opMember     = "·member"
	opTruth      = "·truth"
	opAdd        = "·add"
	opContains   = "·contains"
	opStartsWith = "·startsWith"
	opEndsWith   = "·endsWith"
	opIn         = "·in"
	opList       = "·list"
	opObject     = "·object"
)

var operators = map[string]function{
	opRead: {run: func(e *evaluation, args []any) (any, error) {
		return scalar(read(e.asserted, *args[0].(*scim.Path))), nil
	}},
	opMember:     {run: member},
	opTruth:      {run: func(_ *evaluation, args []any) (any, error) { return truth(args[0]) }},
	opAdd:        {run: add},
	opContains:   {run: comparison(strings.Contains)},
	opStartsWith: {run: comparison(strings.HasPrefix)},
	opEndsWith:   {run: comparison(strings.HasSuffix)},
	opIn:         {run: in},
	opList:       {run: func(_ *evaluation, args []any) (any, error) { return append([]any{}, args...), nil }},
	opObject:     {run: object},
}

// member is value.name or value[index], from 0; nil where there is no such thing.
func member(_ *evaluation, args []any) (any, error) {
	switch key := args[1].(type) {
	case string:
		object, _ := args[0].(map[string]any)
		return scalar(object[key]), nil
	case int:
		if list, ok := args[0].([]any); ok && key >= 0 && key < len(list) {
			return scalar(list[key]), nil
		}
		return nil, nil
	default:
		return nil, fmt.Errorf("what stands in brackets must be a name or a whole number, and is %s", kindOf(key))
	}
}

// add joins two texts or adds two numbers. nil beside a text counts as an empty one.
func add(e *evaluation, args []any) (any, error) {
	left, right := args[0], args[1]
	switch {
	case left == nil && right == nil:
		return nil, nil
	case isNumber(left) && isNumber(right):
		return sum(left, right), nil
	}
	var pieces [2]string
	for i, v := range args {
		s, ok := text(v)
		if !ok && v != nil {
			return nil, fmt.Errorf("+ joins texts and adds numbers, and one side is %s", kindOf(v))
		}
		pieces[i] = s
	}
	return join(e, "", pieces[:])
}

func isNumber(v any) bool {
	switch v.(type) {
	case int, float64:
		return true
	}
	return false
}

func sum(a, b any) any {
	x, xInt := a.(int)
	y, yInt := b.(int)
	if xInt && yInt {
		return x + y
	}
	return float(a) + float(b)
}

func float(v any) float64 {
	if i, ok := v.(int); ok {
		return float64(i)
	}
	f, _ := v.(float64)
	return f
}

// join joins pieces, and looks at the length of what it makes before it makes it. What it spends comes on
// top of what a call spends for its result.
func join(e *evaluation, separator string, pieces []string) (any, error) {
	n := 0
	for _, s := range pieces {
		n += len(s) + len(separator)
	}
	if n > e.work {
		return nil, errTooMuch
	}
	return strings.Join(pieces, separator), nil
}

// comparison is an operator on two texts; false where one is empty.
func comparison(holds func(s, part string) bool) func(*evaluation, []any) (any, error) {
	return func(_ *evaluation, args []any) (any, error) {
		s, ok := text(args[0])
		part, ok2 := text(args[1])
		if args[0] == nil || args[1] == nil {
			return false, nil
		}
		if !ok || !ok2 {
			return nil, fmt.Errorf("only texts can be compared so, not %s and %s", kindOf(args[0]), kindOf(args[1]))
		}
		return holds(s, part), nil
	}
}

// in reports whether a list has the value.
func in(_ *evaluation, args []any) (any, error) {
	list, ok := args[1].([]any)
	if !ok && args[1] != nil {
		return nil, fmt.Errorf("what stands right of in must be a list, and is %s", kindOf(args[1]))
	}
	wanted := plain(args[0])
	for _, element := range list {
		if scim.Equal(plain(element), wanted) {
			return true, nil
		}
	}
	return false, nil
}

func object(_ *evaluation, args []any) (any, error) {
	out := make(map[string]any, len(args)/2)
	for i := 0; i+1 < len(args); i += 2 {
		key, _ := args[i].(string)
		out[key] = args[i+1]
	}
	return out, nil
}

// truth is a value as a condition: not nil, False, 0 or the empty text.
func truth(v any) (any, error) {
	switch v := v.(type) {
	case nil:
		return false, nil
	case bool:
		return v, nil
	case int:
		return v != 0, nil
	case float64:
		return v != 0, nil
	case string:
		switch strings.ToLower(v) {
		case "true", "1":
			return true, nil
		case "false", "0", "":
			return false, nil
		}
	}
	return nil, fmt.Errorf("a condition must be true or false, and is %s", kindOf(v))
}
