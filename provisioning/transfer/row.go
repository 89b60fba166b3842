package transfer

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"meibo/provisioning"
	"meibo/scim"
)

// Row is what a file says of one resource. An export says everything; a file that somebody wrote may leave out
// whatever it has no opinion on: Has tells.
type Row struct {
	Line int // of the file, counted from 1; 0 for a row that comes from a directory
	Has  Field

	Type       scim.ResourceType
	ID         string
	Connection string // name of the owner; "" for none
	State      provisioning.State
	Visible    bool // the owner's clients find it
	Role       string
	Protected  bool
	PurgeAt    time.Time
	LeftAt     time.Time // of who is suspended; zero for any other
	// Attributes are the asserted ones that the row assigns. Over says what follows for a resource that has some.
	Attributes scim.Attributes
	// Effective are the top-level attributes whose effective value is not the asserted one; nil for one that is
	// effectively unassigned.
	Effective map[string]any
	Overrides map[string]any            // by path: what a person set
	Members   []provisioning.Membership // of a group, by id in an export
	Guessed   []string                  // of an export: targets of the mapping whose value is a proposal

	// Faults are the mistakes of the row; with one, the rest of the row is not to be relied on.
	Faults []*Fault

	edits []edit // of a CSV row that does not state its attributes as a whole
}

// Field is a set of the columns of a row that are no attributes.
type Field uint16

// The fields of a Row. HasAttributes means all attributes: without it Over keeps those that the row does not name.
const (
	HasID Field = 1 << iota
	HasConnection
	HasState
	HasVisible
	HasRole
	HasProtected
	HasPurgeAt
	HasLeftAt
	HasAttributes
	HasEffective
	HasOverrides
	HasMembers

	hasAll = HasMembers<<1 - 1
)

// Says reports whether the row states the field.
func (r *Row) Says(f Field) bool { return r.Has&f != 0 }

// Name is the attribute that the resource is called by; "" where the row does not say it.
func (r *Row) Name() string {
	attribute := "userName"
	if r.Type == scim.Group {
		attribute = "displayName"
	}
	name, _ := r.Attributes[attribute].(string)
	return name
}

// Over is the asserted document that the row asks for, given the one that there is; nil for a new resource. before is
// not changed. The error is a *Fault.
func (r *Row) Over(before scim.Attributes) (scim.Attributes, error) {
	if r.Says(HasAttributes) {
		return r.Attributes, nil
	}
	after := maps.Clone(before)
	if after == nil {
		after = scim.Attributes{}
	}
	for _, e := range r.edits {
		if fault := e.apply(after); fault != nil {
			return nil, r.fault(fault.Column, fault.Detail)
		}
	}
	return after, nil
}

// EffectiveOf is the effective document of a row with these asserted attributes; nil where both are the same.
func (r *Row) EffectiveOf(asserted scim.Attributes) scim.Attributes {
	if len(r.Effective) == 0 {
		return nil
	}
	out := maps.Clone(asserted)
	for name, v := range r.Effective {
		if v == nil {
			delete(out, name)
		} else {
			out[name] = v
		}
	}
	return out
}

// overlay is the inverse of EffectiveOf.
func overlay(asserted, effective scim.Attributes) map[string]any {
	out := map[string]any{}
	for name := range asserted {
		if _, stays := effective[name]; !stays {
			out[name] = nil
		}
	}
	for name, v := range effective {
		if !scim.Equal(asserted[name], v) {
			out[name] = v
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// Fault is a mistake in a file: where it is, and what to do about it. It never quotes a value.
type Fault struct {
	Line   int    // counted from 1
	Column string // title of a column or name of a key; "" for the line as a whole
	Detail string
	Fatal  bool // what follows cannot be read
}

func (f *Fault) Error() string {
	if f.Column == "" {
		return fmt.Sprintf("line %d: %s", f.Line, f.Detail)
	}
	return fmt.Sprintf("line %d, column %s: %s", f.Line, f.Column, f.Detail)
}

// views are the names of those who see a membership, where not both the owner's client and the host application do.
var views = map[string]provisioning.Membership{"": {Asserted: true, Effective: true}, "asserted": {Asserted: true}, "effective": {Effective: true}}

func viewOf(m provisioning.Membership) string {
	switch {
	case !m.Effective:
		return "asserted"
	case !m.Asserted:
		return "effective"
	default:
		return ""
	}
}

// membership is one in the view of that name; an error for no such view.
func membership(id, display, view string) (provisioning.Membership, error) {
	m, known := views[view]
	if !known {
		return m, fmt.Errorf("there is no such view; write asserted or effective, or nothing for both")
	}
	m.Member = scim.Member{Value: id, Display: display}
	return m, nil
}

func (r *Row) fault(column, detail string) *Fault {
	return &Fault{Line: r.Line, Column: strings.Clone(column), Detail: detail} // it may be part of a line
}

// states are those that a file may name.
var states = []provisioning.State{provisioning.Active, provisioning.Suspended, provisioning.Held, provisioning.Removed}

func parseState(text string) (provisioning.State, error) {
	if s := provisioning.State(text); slices.Contains(states, s) {
		return s, nil
	}
	return "", fmt.Errorf("there is no such state; write active, suspended, held or removed")
}

func parseTime(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("this is no instant; write it as 2030-01-31T09:30:00Z")
	}
	return t.UTC().Truncate(time.Microsecond), nil
}

func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
