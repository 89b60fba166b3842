package mapping

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"runtime"
	"strings"
	"testing"

	"github.com/expr-lang/expr/vm"

	"meibo/scim"
)

// greedy are expressions that would take much more than maxWork if each step were not counted.
func greedy() map[string]string {
	doubled := func(begin, step string, n int) string {
		var out strings.Builder
		fmt.Fprintf(&out, "let v0 = %s; ", begin)
		for i := range n {
			fmt.Fprintf(&out, "let v%d = %s; ", i+1, strings.ReplaceAll(step, "§", fmt.Sprintf("v%d", i)))
		}
		return out.String() + fmt.Sprintf("v%d", n)
	}
	return map[string]string{
		"+":                 doubled(`userName`, `§ + §`, 60),
		"+ of a long chain": doubled(`userName`, strings.TrimSuffix(strings.Repeat("§ + ", 20), "+ "), 20),
		"Append":            doubled(`userName`, `Append(§, §)`, 60),
		"Join":              doubled(`userName`, `Join(§, §, §, §, §)`, 30),
		"list":              doubled(`[userName]`, `[§, §]`, 60),
		"object":            doubled(`{value: userName}`, `{a: §, b: §}`, 60),
		"Replace":           doubled(`userName`, `Replace(§, "a", nil, nil, §)`, 30),
		"template":          doubled(`userName`, `Replace(§, "a", nil, nil, nil, nil, §)`, 30),
		"pattern":           doubled(`userName`, `Replace(§, nil, ".", nil, "$0$0$0$0$0$0$0$0")`, 30),
		"pattern of groups": `Replace(` + strings.Repeat("(userName + ", 100) + `""` + strings.Repeat(")", 100) + `, nil, "` + strings.Repeat("(.?)", 20) + `", nil, "$1")`,
		"pattern's value":   doubled(`userName`, `Replace(§, nil, "(?<all>.*)", nil, "`+strings.Repeat("${all}", 150)+`")`, 10),
		"group":             doubled(`userName`, `Replace(§, nil, "(?<c>.)", "c", §)`, 30),
		"base 64":           doubled(`userName`, `ConvertToBase64(§)`, 60),
		"hexadecimal":       doubled(`userName`, `ConvertToUTF8Hex(§)`, 60),
		"Split":             doubled(`userName`, `§ + § + Item(Split(§, "a"), 1)`, 60),
		"reads":             strings.TrimSuffix(strings.Repeat(`Len(displayName) + `, 100), "+ "),
		"comparisons":       strings.TrimSuffix(strings.Repeat(`(displayName != title) or `, 200), "or "),
		"delimiters":        doubled(`userName`, `§ + § + Word(§, 9999, §)`, 60),
	}
}

// TestBudget shows that memory is bounded by counting bytes: what the evaluation spent, what its result
// has, and what was allocated on the way. It is not parallel, so that the last is its own.
func TestBudget(t *testing.T) {
	long := strings.Repeat("a", 100_000)
	asserted := scim.Attributes{"userName": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "title": long, "displayName": long}
	for name, source := range greedy() {
		t.Run(name, func(t *testing.T) {
			c := compiler{def: scim.Standard(scim.User)}
			p := c.expression(source)
			if len(c.problems) > 0 {
				t.Fatal(c.problems)
			}
			ev := newEvaluator(testOptions).get(Input{Asserted: asserted})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			out, err := ev.run(p)
			runtime.ReadMemStats(&after)
			if !errors.Is(err, errTooMuch) {
				t.Errorf("it came to an end with %T and %v, and spent %d bytes", out, err, maxWork-ev.work)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 8<<20 {
				t.Errorf("%d bytes were allocated", n)
			}
		})
	}
}

// TestNoLoops holds the machine's programs to one pass: none of them jumps back, so that an evaluation
// takes no more steps than its program has.
func TestNoLoops(t *testing.T) {
	t.Parallel()
	for name, source := range greedy() {
		c := compiler{def: scim.Standard(scim.User)}
		p := c.expression(source)
		if len(c.problems) > 0 {
			t.Fatal(name, c.problems)
		}
		checkOnePass(t, p.code)
	}
}

func checkOnePass(t *testing.T, code *vm.Program) {
	t.Helper()
	for i, op := range code.Bytecode {
		switch op {
		case vm.OpJumpBackward, vm.OpBegin, vm.OpRange:
			t.Errorf("instruction %d jumps back or loops: %v", i, op)
		case vm.OpJump, vm.OpJumpIfTrue, vm.OpJumpIfFalse, vm.OpJumpIfNil, vm.OpJumpIfNotNil, vm.OpJumpIfEnd:
			if code.Arguments[i] < 0 {
				t.Errorf("instruction %d jumps back by %d", i, code.Arguments[i])
			}
		}
	}
}

// TestPatternCost holds the estimate of a regular expression's size to what it compiles to.
func TestPatternCost(t *testing.T) {
	t.Parallel()
	for _, source := range []string{`a`, `[a-z]{1,50}@example\.jp`, `(a|b|c){30}(d{5}){6}`, `(?:(?:a{3}){4}b?){5,}`, `山田{2,}`} {
		p, err := compilePattern(source)
		if err != nil {
			t.Fatal(err)
		}
		if n := instructions(t, source); p.size < n/3 {
			t.Errorf("%s has %d instructions and is taken for %d", source, n, p.size)
		}
	}
}

func instructions(t *testing.T, source string) int {
	t.Helper()
	tree, err := syntax.Parse(source, syntax.Perl)
	if err != nil {
		t.Fatal(err)
	}
	prog, err := syntax.Compile(tree.Simplify())
	if err != nil {
		t.Fatal(err)
	}
	return len(prog.Inst)
}
