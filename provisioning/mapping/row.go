package mapping

import (
	"fmt"
	"strings"

	"meibo/scim"
)

// Row assigns one effective attribute. One of Source, Constant and Expression says what; none of them
// unassigns it.
type Row struct {
	Target     string // path as in a filter: userName, name.formatted, emails[type eq "work"].value, urn:…:User:department
	Source     string // path of an asserted attribute, in the same form
	Constant   any    // a string, a boolean, a number of any kind, or lists and objects of them
	Expression string
	AtCreation bool   // later changes leave the effective attribute as it is
	Default    any    // as Constant; what counts where the rest comes out empty
	Required   bool   // it is a fault if that is empty, too
	MaxLength  int    // in characters; 0 for no limit but that of any attribute
	Characters string // regular expression (RE2) that each whole value satisfies; "" for none
}

// Options are what expressions may refer to beside the asserted attributes.
type Options struct {
	// DefaultDomain is what DefaultDomain() stands for; without it that function is refused.
	DefaultDomain string
	// Reader gives the reading of a Japanese name in katakana, "" where it has none. nil is kagome with
	// the IPA dictionary, which takes about 170 MB from the first name on. It is called by several goroutines at once.
	Reader func(string) string
}

// Problem is one mistake in a row.
type Problem struct {
	Row    int    // its index, from 0
	Key    string // target, source, constant, expression, default, required, maxLength or characters
	Detail string // what is wrong; for an expression with line and column
	Remedy string
}

// Problems are all mistakes of a table at once.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = fmt.Sprintf("row %d, %s: %s; %s", problem.Row+1, problem.Key, problem.Detail, problem.Remedy)
	}
	return strings.Join(lines, "\n")
}

// Table is a compiled table of rows. It is immutable and may be used by several goroutines at once.
type Table struct {
	def       *scim.Definition
	rows      []row
	evaluator *evaluator
}

// row is a Row that was compiled.
type row struct {
	target     target
	source     *scim.Path
	constant   any // in the form that attributes have
	program    *program
	fallback   any // Row.Default
	atCreation bool
	required   bool
	maxLength  int
	characters *pattern
}

// Compile reads the rows against the definition of what they are for. Any error is of type Problems
// and has all that is wrong.
func Compile(def *scim.Definition, rows []Row, o Options) (*Table, error) {
	c := compiler{def: def, options: o}
	if len(rows) > maxRows {
		c.row = maxRows
		c.problem("target", "remove rows: an attribute needs one", "there are more than %d rows", maxRows)
		return nil, c.problems
	}
	table := &Table{def: def, rows: make([]row, len(rows)), evaluator: newEvaluator(o)}
	for i, r := range rows {
		c.row = i
		table.rows[i] = c.compile(r)
	}
	c.checkTargets(table.rows)
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	return table, nil
}

// maxRows is more than a resource has attributes, of its own and of a few extensions.
const maxRows = 500

// compiler gathers the problems of a table.
type compiler struct {
	def      *scim.Definition
	options  Options
	row      int // the one at hand
	problems Problems
}

func (c *compiler) problem(key, remedy, format string, args ...any) {
	c.problems = append(c.problems, Problem{Row: c.row, Key: key, Detail: fmt.Sprintf(format, args...), Remedy: remedy})
}

func (c *compiler) compile(r Row) row {
	out := row{atCreation: r.AtCreation, required: r.Required, maxLength: r.MaxLength}
	known := c.target(r.Target, &out.target)
	c.checkSources(r, known && out.target.isMandatory())
	if r.Source != "" {
		out.source = c.source(r.Source, known, out.target)
	}
	if r.Expression != "" {
		out.program = c.expression(r.Expression)
	}
	if known {
		out.constant = c.constant("constant", r.Constant, out.target)
		out.fallback = c.constant("default", r.Default, out.target)
	}
	if r.MaxLength < 0 {
		c.problem("maxLength", "write the number of characters, or leave it out", "it is negative")
	}
	if r.Characters != "" {
		out.characters = c.characters(r.Characters)
	}
	return out
}

// characters compiles a rule for whole values; nil if there is a problem.
func (c *compiler) characters(source string) *pattern {
	// By itself first, so that nothing it says can reach beyond the brackets that come around it: a)|(b.
	_, err := compilePattern(source)
	if err == nil {
		var whole *pattern
		if whole, err = compilePattern(`\A(?:` + source + `)\z`); err == nil {
			return whole
		}
	}
	c.problem("characters", `write a regular expression in RE2 syntax such as [a-z0-9.]+`, "%v", err)
	return nil
}

// checkSources holds a row to one way to say what it assigns.
func (c *compiler) checkSources(r Row, mandatory bool) {
	var given []string
	for _, s := range []struct {
		key string
		is  bool
	}{{"source", r.Source != ""}, {"constant", r.Constant != nil}, {"expression", r.Expression != ""}} {
		if s.is {
			given = append(given, s.key)
		}
	}
	switch {
	case len(given) > 1:
		c.problem(given[1], "keep one of them", "the row has %s", strings.Join(given, " and "))
	case len(given) == 0 && mandatory:
		c.problem("target", "give it a source, a constant or an expression, or remove the row",
			"%s is mandatory and cannot be unassigned", r.Target)
	case len(given) == 0 && r.Required && r.Default == nil:
		c.problem("required", "give the row a source, or do not require it", "the row unassigns what it requires")
	}
}

// source reads the path of an asserted attribute and compares it with what it is assigned to.
func (c *compiler) source(text string, known bool, to target) *scim.Path {
	path, detail := readable(c.def, text)
	if detail != "" {
		c.problem("source", "name an attribute that the connection asserts", "%s", detail)
		return nil
	}
	if known {
		if detail := mismatch(path, to); detail != "" {
			c.problem("source", "name a sub-attribute of one element, or write an expression", "%s", detail)
		}
	}
	return &path
}

func (c *compiler) constant(key string, v any, to target) any {
	if v == nil {
		return nil
	}
	value, err := to.convert(plain(v))
	switch {
	case err != nil:
		c.problem(key, "write a value of the target's type", "%v", err)
	case value == nil:
		c.problem(key, "write a value, or leave it out", "it is empty, which is the same as no value")
	}
	return value
}

// checkTargets refuses two rows for one attribute, and one that would undo an earlier one.
func (c *compiler) checkTargets(rows []row) {
	for i, r := range rows {
		c.row = i
		for _, earlier := range rows[:i] {
			if r.target.text == "" || earlier.target.text == "" {
				continue
			}
			switch {
			case r.target.text == earlier.target.text:
				c.problem("target", "keep one row for each target", "an earlier row has the same target")
			case strings.HasPrefix(earlier.target.text, r.target.text+".") || strings.HasPrefix(earlier.target.text, r.target.text+"["):
				c.problem("target", "put the whole attribute before its parts", "an earlier row assigns a part of %s, which this row would overwrite", r.target.text)
			}
		}
	}
}
