package settings

import (
	"fmt"
	"slices"
	"strings"

	"meibo/provisioning"
)

// Problem is one thing that is wrong with a document.
type Problem struct {
	Line int // counted from 1
	provisioning.SettingsProblem
}

// String is the problem on one line.
func (p Problem) String() string {
	if p.Key == "" {
		return fmt.Sprintf("line %d: the document %s; %s", p.Line, p.What, p.Remedy)
	}
	return fmt.Sprintf("line %d: %s", p.Line, p.SettingsProblem)
}

// Problems are all that is wrong, by line, as one error.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = "\n  " + one.String()
	}
	if len(p) == 1 {
		return "the settings have a problem:" + lines[0]
	}
	return fmt.Sprintf("the settings have %d problems:%s", len(p), strings.Join(lines, ""))
}

func (p Problems) sorted() Problems {
	slices.SortStableFunc(p, func(a, b Problem) int { return a.Line - b.Line })
	return p
}

// maxProblems is how many anybody reads at a time.
const maxProblems = 100

// bounded ends a long list with the number of those left out.
func (p Problems) bounded() Problems {
	if len(p) <= maxProblems {
		return p
	}
	rest := p[maxProblems:]
	return append(p[:maxProblems:maxProblems], document(rest[0].Line, fmt.Sprintf("has %d more problems", len(rest)), "mend these first")...)
}
