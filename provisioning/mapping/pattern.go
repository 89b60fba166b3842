package mapping

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
)

// The bounds of a regular expression. Matching takes steps in proportion to the length of the text
// times the size of the expression, and repetitions can make a short one large.
const (
	maxPattern = 1000 // characters
	maxSteps   = 1000 // instructions that it compiles to, about
	maxGroups  = 20
)

// pattern is a regular expression of known cost.
type pattern struct {
	re   *regexp.Regexp
	size int // instructions, about
}

// compilePattern reads a regular expression in RE2 syntax. It looks at its size before it builds it.
func compilePattern(source string) (*pattern, error) {
	if len(source) > maxPattern {
		return nil, fmt.Errorf("the regular expression is longer than %d characters", maxPattern)
	}
	tree, err := syntax.Parse(source, syntax.Perl)
	if err != nil {
		if fault, ok := errors.AsType[*syntax.Error](err); ok {
			return nil, fmt.Errorf("the regular expression cannot be read: %s: %s", fault.Code, fault.Expr)
		}
		return nil, err
	}
	size := steps(tree)
	if size > maxSteps {
		return nil, fmt.Errorf("the regular expression repeats too much: it comes to more than %d steps", maxSteps)
	}
	if tree.MaxCap() > maxGroups {
		return nil, fmt.Errorf("the regular expression has more than %d groups", maxGroups)
	}
	re, err := regexp.Compile(source)
	if err != nil {
		return nil, err
	}
	return &pattern{re, size}, nil
}

// steps estimates how many instructions an expression compiles to, and stops to count where that is too many.
func steps(re *syntax.Regexp) int {
	n := 1
	if re.Op == syntax.OpLiteral {
		n = len(re.Rune)
	}
	for _, sub := range re.Sub {
		n += 1 + steps(sub)
	}
	if re.Op == syntax.OpRepeat {
		n *= max(re.Min, re.Max, 1)
	}
	return min(n, maxSteps+1)
}

// cost is what matching a text of n bytes counts.
func (p *pattern) cost(n int) int { return n * (1 + p.size/4) }
