package mapping

import (
	"slices"

	"meibo/scim"
)

// Explained is how one target came to its effective value.
type Explained struct {
	Row    int // its index, from 0; -1 for an override without a row
	Target string
	How    How
	Value  any  // what is effective; nil for nothing
	Guess  bool // the value is a proposal of Kana or Romanize
	Reads  []Read
	Fault  *Fault // of HowFailed
}

// Read is an asserted attribute that a row reads, with what it had.
type Read struct {
	Path  string
	Value any
}

// How is what decided on the value of a target.
type How string

const (
	HowSource     How = "source"     // the asserted attribute that the row names
	HowExpression How = "expression" // what the row's expression comes to
	HowConstant   How = "constant"   // what the row has for all
	HowDefault    How = "default"    // the row's default, since the rest came out empty
	HowUnset      How = "unset"      // the row leaves it without a value
	HowKept       How = "kept"       // the row applies at the creation alone, so it stays as it is
	HowPassed     How = "passed"     // the expression came out empty and leaves it as it is
	HowOverride   How = "override"   // a person chose it
	HowFailed     How = "failed"     // there is no value that may be effective
)

// Explain says how each row, and each override without one, comes to what Map makes of the same input.
func (t *Table) Explain(in Input) []Explained {
	m := mapper{Table: t, in: in, writer: writer{def: t.def, out: in.Asserted}, assigned: budget{maxAssigned}}
	overrides := m.parseOverrides()
	ev := t.evaluator.get(in)
	defer t.evaluator.put(ev)
	var out []Explained
	for i := range t.rows {
		if o := slices.IndexFunc(overrides, func(o override) bool { return o.row == i }); o < 0 {
			out = append(out, m.explain(ev, i))
		} else {
			out = append(out, Explained{Row: i, Target: t.rows[i].target.text, How: HowOverride, Value: overrides[o].value, Reads: t.reads(i, in.Asserted)})
		}
	}
	for _, o := range overrides {
		if o.row < 0 {
			out = append(out, Explained{Row: -1, Target: o.target.text, How: HowOverride, Value: o.value})
		}
	}
	return out
}

// reads are what a row reads.
func (t *Table) reads(i int, a scim.Attributes) []Read {
	r := &t.rows[i]
	var out []Read
	if r.source != nil {
		out = append(out, Read{r.source.String(), read(a, *r.source)})
	}
	if r.program != nil {
		for _, p := range r.program.reads {
			out = append(out, Read{p.String(), read(a, *p)})
		}
	}
	return out
}

// explain says how one row without an override comes to its value, as mapRow does it.
func (m *mapper) explain(ev *evaluation, i int) Explained {
	r := &m.rows[i]
	e := Explained{Row: i, Target: r.target.text, Reads: m.reads(i, m.in.Asserted)}
	var kept any
	if r.keepsCurrent() && !m.in.Created {
		kept = read(m.in.Current, r.target.path)
	}
	value, apply, err := m.value(ev, r)
	guessed := r.program != nil && ev.guessed
	switch {
	case kept != nil && r.atCreation:
		e.How, e.Value = HowKept, kept
	case !apply:
		if e.How, e.Value = HowPassed, kept; kept == nil {
			e.Value = read(m.in.Asserted, r.target.path)
		}
	case err != nil:
		e.How, e.Fault = HowFailed, &Fault{Row: i, Target: r.target.text, Kind: err.kind, Detail: err.detail, Remedy: err.remedy}
		return e
	default:
		e.How, e.Value = m.produced(ev, r, value), value
	}
	if !m.holds(i, r, r.target, e.Value) {
		e.How, e.Value, e.Fault = HowFailed, nil, &m.faults[len(m.faults)-1]
		return e
	}
	e.Guess = guessed && !scim.IsUnassigned(e.Value) && scim.Equal(value, e.Value)
	return e
}

// produced says what of a row made a value.
func (m *mapper) produced(ev *evaluation, r *row, value any) How {
	bare := *r
	bare.fallback = nil
	if r.fallback != nil {
		if without, _, err := m.value(ev, &bare); err == nil && without == nil {
			return HowDefault
		}
	}
	switch {
	case value == nil:
		return HowUnset
	case r.program != nil:
		return HowExpression
	case r.source != nil:
		return HowSource
	default:
		return HowConstant
	}
}
