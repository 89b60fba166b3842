package mapping

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/expr-lang/expr"
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
			if n := after.TotalAlloc - before.TotalAlloc; n > 8<<20 && !raceDetector {
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
		if i := loop(p.code); i >= 0 {
			t.Errorf("%s: instruction %d jumps back", name, i)
		}
	}
	// What the library itself makes of a loop is seen as one.
	looping, err := expr.Compile(`filter([1, 2], # > 1)`)
	if err != nil {
		t.Fatal(err)
	}
	if loop(looping) < 0 {
		t.Error("a loop is taken for none")
	}
}

// loop is the first instruction of a program that jumps back, which one alone does; -1 where there is none.
func loop(code *vm.Program) int { return slices.Index(code.Bytecode, vm.OpJumpBackward) }

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
