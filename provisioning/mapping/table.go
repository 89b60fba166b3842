package mapping

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"meibo/scim"
)

// Input is what the effective attributes are derived from. Nothing of it is changed.
type Input struct {
	Asserted scim.Attributes
	Current  scim.Attributes // what is effective now; nil at the creation
	Created  bool            // the resource comes into being: rows that apply at creation do
	// Overrides are a person's choices by path; nil unassigns. They replace what the rows say.
	Overrides map[string]any
	Now       time.Time // what Now() stands for
}

// Result is what is effective.
type Result struct {
	Effective scim.Attributes
	// Guesses are the targets whose value is a proposal of Kana or Romanize, in the order of the rows.
	Guesses []string
}

// Fault is why one row has no value that may be effective.
type Fault struct {
	Row    int // its index, from 0; -1 for an override without a row
	Target string
	Kind   FaultKind
	Detail string // names rules, never a value
	Remedy string
}

// FaultKind is which rule a value breaks.
type FaultKind string

const (
	Empty      FaultKind = "empty"      // a required or mandatory one
	TooLong    FaultKind = "length"     // more characters than maxLength
	Characters FaultKind = "characters" // not as the row's regular expression demands
	WrongType  FaultKind = "type"       // none that the target may have
	Failed     FaultKind = "expression" // it could not be evaluated
)

func (f Fault) Error() string { return f.Target + ": " + f.Detail + "; " + f.Remedy }

// Faults are all faults of one resource.
type Faults []Fault

func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "\n")
}

// Targets are the paths that the rows assign, in their order and in canonical spelling.
func (t *Table) Targets() []string {
	out := make([]string, len(t.rows))
	for i := range t.rows {
		out[i] = t.rows[i].target.text
	}
	return out
}

// Value is what attributes have at one of the targets; nil for nothing.
func (t *Table) Value(target string, a scim.Attributes) any {
	for i := range t.rows {
		if t.rows[i].target.text == target {
			return read(a, t.rows[i].target.path)
		}
	}
	return nil
}

// Guesses are the targets that have a proposal of Kana or Romanize now: what is effective there, in.Current, is what the
// row proposes, and neither is it asserted nor did a person choose it.
func (t *Table) Guesses(in Input) []string {
	ev := t.evaluator.get(in)
	defer t.evaluator.put(ev)
	m := mapper{Table: t, in: in}
	for i := range t.rows {
		r := &t.rows[i]
		if _, chosen := in.Overrides[r.target.text]; chosen || !r.proposes() {
			continue
		}
		is := read(in.Current, r.target.path)
		if scim.Equal(is, read(in.Asserted, r.target.path)) {
			continue
		}
		proposed, apply, fault := m.value(ev, r)
		m.noteGuess(ev, r, is, apply && fault == nil && scim.Equal(proposed, is))
	}
	return m.guesses
}

// Proposes reports whether there may be guesses at all.
func (t *Table) Proposes() bool {
	for i := range t.rows {
		if t.rows[i].proposes() {
			return true
		}
	}
	return false
}

// proposes reports whether the value of a row may be a guess.
func (r *row) proposes() bool { return r.program != nil && r.program.guesses }

// Map derives the effective attributes. Any error is of type Faults.
func (t *Table) Map(in Input) (Result, error) {
	if len(t.rows) == 0 && len(in.Overrides) == 0 {
		return Result{Effective: in.Asserted}, nil
	}
	m := mapper{Table: t, in: in, writer: writer{def: t.def, out: in.Asserted}, assigned: budget{maxAssigned}}
	overrides := m.parseOverrides()
	ev := t.evaluator.get(in)
	defer t.evaluator.put(ev)
	for i := range t.rows {
		if !slices.ContainsFunc(overrides, func(o override) bool { return o.target.text == t.rows[i].target.text }) {
			m.mapRow(ev, i)
		}
	}
	for _, o := range overrides {
		m.override(o)
	}
	effective, err := m.writer.finish()
	if err != nil && len(m.faults) == 0 {
		m.faults = append(m.faults, wholeFault(err))
	}
	if len(m.faults) > 0 {
		return Result{}, m.faults
	}
	return Result{Effective: effective, Guesses: m.guesses}, nil
}

// wholeFault is a rule of the definition that rows break together, or that no single value shows.
func wholeFault(err error) Fault {
	f := Fault{Row: -1, Kind: WrongType, Detail: err.Error(), Remedy: "correct the rows or overrides of this attribute"}
	if fault, ok := errors.AsType[*scim.Error](err); ok {
		f.Target, f.Detail = fault.Path, fault.Detail
	}
	return f
}

// mapper is one Map under way.
type mapper struct {
	*Table
	in       Input
	writer   writer
	assigned budget // counts what is assigned, and nothing else
	guesses  []string
	faults   Faults
}

func (m *mapper) fault(row int, t target, kind FaultKind, remedy, format string, args ...any) {
	m.faults = append(m.faults, Fault{Row: row, Target: t.text, Kind: kind, Detail: fmt.Sprintf(format, args...), Remedy: remedy})
}

// mapRow assigns the target of one row.
func (m *mapper) mapRow(ev *evaluation, i int) {
	r := &m.rows[i]
	var kept any
	if r.keepsCurrent() && !m.in.Created {
		kept = read(m.in.Current, r.target.path)
	}
	if kept != nil && r.atCreation && !r.proposes() {
		m.assign(i, r.target, kept)
		return
	}
	value, apply, err := m.value(ev, r)
	switch {
	case kept != nil && (r.atCreation || !apply):
		m.noteGuess(ev, r, kept, err == nil && scim.Equal(value, kept))
		m.assign(i, r.target, kept)
	case !apply: // as if there were no row, but for its rules
		m.holds(i, r, r.target, read(m.in.Asserted, r.target.path))
	case err != nil:
		m.fault(i, r.target, err.kind, err.remedy, "%s", err.detail)
	case m.holds(i, r, r.target, value):
		m.noteGuess(ev, r, value, true)
		m.assign(i, r.target, value)
	}
}

// keepsCurrent reports whether the row may leave what is effective as it is.
func (r *row) keepsCurrent() bool {
	return r.atCreation || r.program != nil && r.program.ignoreEmpty
}

func (m *mapper) noteGuess(ev *evaluation, r *row, v any, same bool) {
	if r.program != nil && ev.guessed && same && !scim.IsUnassigned(v) {
		m.guesses = append(m.guesses, r.target.text)
	}
}

// rowError is why a row has no value.
type rowError struct {
	kind           FaultKind
	detail, remedy string
}

// value computes the value of a row in the form of attributes. apply is false where it is to be left as it is.
func (m *mapper) value(ev *evaluation, r *row) (v any, apply bool, fault *rowError) {
	switch {
	case r.program != nil:
		out, err := ev.run(r.program)
		if err != nil {
			return nil, true, &rowError{Failed, err.Error(), "correct the expression, or what it reads"}
		}
		if r.program.ignoreEmpty && scim.IsUnassigned(out) && r.fallback == nil {
			return nil, false, nil
		}
		v = plain(out)
	case r.source != nil:
		v = read(m.in.Asserted, *r.source)
	default:
		v = r.constant
	}
	v, err := r.target.convert(v)
	if err != nil {
		return nil, true, &rowError{WrongType, err.Error(), "convert it in an expression, or choose another source"}
	}
	if v == nil {
		v = r.fallback
	}
	return v, true, nil
}

// holds reports whether the value keeps to the rules of the row, and notes what it breaks.
func (m *mapper) holds(i int, r *row, t target, v any) bool {
	if v == nil || t.isMandatory() && isBlank(v) {
		if r.required || t.isMandatory() {
			m.fault(i, t, Empty, "fill what it comes from, or give the row a default", "it is required and comes out empty")
			return false
		}
		return true
	}
	if list, ok := v.([]any); ok {
		for _, element := range list {
			if !m.holdsOne(i, r, t, element) {
				return false
			}
		}
		return true
	}
	return m.holdsOne(i, r, t, v)
}

// isBlank reports whether v is a text of blanks, which Definition.Validate takes for no value of a mandatory attribute.
func isBlank(v any) bool {
	s, ok := v.(string)
	return ok && strings.TrimSpace(s) == ""
}

// maxMatched is how many steps a rule of characters may take for one value.
const maxMatched = 1 << 24

func (m *mapper) holdsOne(i int, r *row, t target, v any) bool {
	s, ok := text(v)
	if !ok {
		return true
	}
	if n := utf8.RuneCountInString(s); r.maxLength > 0 && n > r.maxLength {
		m.fault(i, t, TooLong, "shorten it, for example with Left", "it has %d characters and may have %d", n, r.maxLength)
		return false
	}
	switch {
	case r.characters == nil:
	case r.characters.cost(len(s)) > maxMatched:
		m.fault(i, t, TooLong, "give the row a maxLength", "it is too long to compare with the row's characters")
		return false
	case !r.characters.re.MatchString(s):
		m.fault(i, t, Characters, "change the expression or the rule", "it has characters, or an order of them, that the row does not allow")
		return false
	}
	return true
}

// maxAssigned is how many bytes the rows of one resource may assign in all, as each may copy the
// largest attribute there is.
const maxAssigned = 1 << 20

func (m *mapper) assign(i int, t target, v any) {
	if m.assigned.charge(v) != nil {
		m.fault(i, t, TooLong, "assign less", "the rows assign more than %d MiB together", maxAssigned>>20)
		return
	}
	if err := m.writer.assign(t, v); err != nil {
		m.fault(i, t, WrongType, "correct the row", "%v", err)
	}
}

// override is one of a person's choices.
type override struct {
	target target
	value  any
	row    int // of the same target; -1 where there is none
}

// parseOverrides reads the overrides, in the order of their paths.
func (m *mapper) parseOverrides() []override {
	if len(m.in.Overrides) == 0 {
		return nil
	}
	out := make([]override, 0, len(m.in.Overrides))
	for _, path := range slices.Sorted(maps.Keys(m.in.Overrides)) {
		t, detail, remedy := parseTarget(m.def, path)
		if detail != "" {
			m.fault(-1, target{text: path}, WrongType, remedy, "%s", detail)
			continue
		}
		row := slices.IndexFunc(m.rows, func(r row) bool { return r.target.text == t.text })
		out = append(out, override{t, m.in.Overrides[path], row})
	}
	return out
}

// override assigns what a person chose. The rules of the target's row hold for people, too.
func (m *mapper) override(o override) {
	v, err := o.target.convert(plain(o.value))
	if err != nil {
		m.fault(o.row, o.target, WrongType, "choose a value of the attribute's type", "%v", err)
		return
	}
	r := &row{}
	if o.row >= 0 {
		r = &m.rows[o.row]
	}
	if m.holds(o.row, r, o.target, v) {
		m.assign(o.row, o.target, v)
	}
}
