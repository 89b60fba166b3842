package scim

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

// ReadMembers reads the members of a group from a request's resource (POST, PUT), whatever case
// their name came in; raw is the value of that name. present is false for null. An element is an
// object with the id of the member as "value" and, if the client likes, a "display"; null elements
// and other names are ignored, an id given twice counts once. The error is an *Error of type
// InvalidValue that names the element, counted from 1.
func ReadMembers(raw any) (list []Member, present bool, err error) {
	if raw == nil {
		return nil, false, nil
	}
	elements, ok := raw.([]any)
	if !ok {
		return nil, false, invalidMember("expected an array of objects, got " + kindOf(raw))
	}
	list = make([]Member, 0, len(elements))
	at := make(map[string]int, len(elements))
	for i, element := range elements {
		if element == nil {
			continue
		}
		m, err := readMember(element)
		if err != nil {
			return nil, false, inElement(err, i)
		}
		if j, given := at[m.Value]; given {
			list[j] = later(list[j], m)
			continue
		}
		at[m.Value] = len(list)
		list = append(list, m)
	}
	return list, true, nil
}

// later is a member given again: a display name sent last counts.
func later(old, next Member) Member {
	if next.Display == "" {
		next.Display = old.Display
	}
	return next
}

func readMember(element any) (Member, error) {
	object, ok := element.(map[string]any)
	if !ok {
		return Member{}, invalidMember(`expected an object with the member's id as "value", got ` + kindOf(element))
	}
	value, err := textOf(object, "value")
	if err != nil {
		return Member{}, err
	}
	if err := checkMemberID(value); err != nil {
		return Member{}, err
	}
	display, err := textOf(object, "display")
	return Member{Value: value, Display: display}, err
}

// textOf returns the string of that name, in whatever case, or "" where it is missing or null.
func textOf(object map[string]any, name string) (string, error) {
	v, exact := object[name]
	for key, other := range object {
		switch {
		case key == name || !equalName(key, name):
		case exact:
			return "", twice("members." + name)
		default:
			v, exact = other, true
		}
	}
	s, ok := v.(string)
	if !ok && v != nil {
		return "", &Error{Type: InvalidValue, Path: "members." + name, Detail: "expected a string, got " + kindOf(v)}
	}
	return s, nil
}

func checkMemberID(id string) error {
	switch {
	case id == "":
		return &Error{Type: InvalidValue, Path: "members.value", Detail: "the member has no value; send its id"}
	case len(id) > maxIndexed && utf8.RuneCountInString(id) > maxIndexed:
		return &Error{Type: InvalidValue, Path: "members.value", Detail: fmt.Sprintf("the value is longer than %d characters", maxIndexed)}
	}
	return nil
}

func invalidMember(detail string) *Error {
	return &Error{Type: InvalidValue, Path: "members", Detail: detail}
}

// readMemberIDs reads the value of a remove: an array of members, one member, or bare ids.
func readMemberIDs(v any) ([]string, error) {
	elements, ok := v.([]any)
	if !ok {
		elements = []any{v}
	}
	ids := make([]string, 0, len(elements))
	for i, element := range elements {
		if element == nil {
			continue
		}
		if id, ok := element.(string); ok {
			element = map[string]any{"value": id}
		}
		m, err := readMember(element)
		if err != nil {
			return nil, inElement(err, i)
		}
		ids = append(ids, m.Value)
	}
	return ids, nil
}

// applyMembers folds an operation on a group's members into the change under way.
func (p *patcher) applyMembers(op Operation, path Path) error {
	switch {
	case path.Sub != nil:
		return &Error{Type: Mutable, Path: path.Sub.String(), Detail: "a member cannot be changed; remove it and add another one"}
	case path.Filter != nil:
		return p.applySelected(op, path.Filter)
	case op.Op == opRemove && op.Value != nil:
		ids, err := readMemberIDs(op.Value)
		if err != nil {
			return err
		}
		for _, id := range ids {
			p.members.remove(id)
		}
		return nil
	case op.Op != opAdd:
		p.members.clear()
	}
	if op.Op == opRemove || IsUnassigned(op.Value) {
		return nil
	}
	list, _, err := ReadMembers(op.Value)
	if err != nil {
		return err
	}
	for _, m := range list {
		p.members.add(m)
	}
	return nil
}

// applySelected is an operation on the members that a filter selects.
func (p *patcher) applySelected(op Operation, f Filter) error {
	if ids, ok := idsOf(nil, f); ok && op.Op == opRemove {
		for _, id := range ids {
			p.members.remove(id)
		}
		return nil
	}
	selected, err := p.selected(f)
	if err != nil {
		return err
	}
	if op.Op == opRemove {
		for _, m := range selected {
			p.members.remove(m.Value)
		}
		return nil
	}
	return p.replaceSelected(op, selected)
}

func (p *patcher) replaceSelected(op Operation, selected []Member) error {
	if len(selected) == 0 {
		return &Error{Type: NoTarget, Path: "members", Detail: "no member fits the path; add the member without a filter"}
	}
	if op.Op == opAdd {
		return &Error{Type: Mutable, Path: "members", Detail: "a member cannot be changed; remove it and add another one"}
	}
	m, err := readMember(op.Value)
	if err != nil {
		return err
	}
	for _, old := range selected {
		p.members.remove(old.Value)
	}
	p.members.add(m)
	return nil
}

// idsOf appends the ids that a filter names if it asks for nothing but "value eq", joined by or.
func idsOf(ids []string, f Filter) ([]string, bool) {
	switch f := f.(type) {
	case *Compare:
		if f.Op != Eq || f.Path.Sub != nil || f.Path.Attr.Name != "value" {
			return nil, false
		}
		return append(ids, f.Value.Text), true
	case *Logical:
		ok := f.Or
		for _, term := range f.Terms {
			if ok {
				ids, ok = idsOf(ids, term)
			}
		}
		return ids, ok
	default:
		return nil, false
	}
}

// selected returns the members that fit a filter, as they are after the operations so far. Where a
// member is only its reader knows.
func (p *patcher) selected(f Filter) ([]Member, error) {
	if asksFor(f, "$ref") {
		return nil, &Error{Type: InvalidPath, Path: "members.$ref", Detail: "members are chosen by value, display or type; name the id"}
	}
	byType := asksFor(f, "type")
	if !p.o.MembersKnown && (byType || !p.members.replaced) {
		return nil, ErrMembersNeeded
	}
	if err := p.spend(p.members.weigh(p.o.Members) * termsOf(f)); err != nil {
		return nil, err
	}
	list := p.members.applyTo(p.o.Members)
	if byType && !p.typesKnown(list) {
		return nil, &Error{Type: InvalidPath, Path: "members.type",
			Detail: "of members that the same request adds the type is not known yet; choose them by value, or in a request of its own"}
	}
	return slices.DeleteFunc(list, func(m Member) bool {
		element := map[string]any{"value": m.Value}
		if m.Display != "" {
			element["display"] = m.Display
		}
		if m.Type != "" {
			element["type"] = string(m.Type)
		}
		return !match(f, element)
	}), nil
}

// typesKnown gives the members of a list the types that the stored list tells, and reports whether
// it told of all.
func (p *patcher) typesKnown(list []Member) bool {
	stored := make(map[string]ResourceType, len(p.o.Members))
	for _, m := range p.o.Members {
		stored[m.Value] = m.Type
	}
	for i := range list {
		t, ok := stored[list[i].Value]
		if !ok {
			return false
		}
		list[i].Type = t
	}
	return true
}

// asksFor reports whether a filter over the elements of an attribute looks at a sub-attribute.
func asksFor(f Filter, sub string) bool {
	switch f := f.(type) {
	case *Logical:
		return slices.ContainsFunc(f.Terms, func(t Filter) bool { return asksFor(t, sub) })
	case *Not:
		return asksFor(f.Term, sub)
	case *Compare:
		return f.Path.Attr.Name == sub
	case *Present:
		return f.Path.Attr.Name == sub
	default:
		return false
	}
}

// memberEdit is a MemberChange under way. Its lists keep the order of the request; an empty string
// marks a place that a later operation cleared.
type memberEdit struct {
	replaced bool
	added    []Member
	addedAt  map[string]int
	gone     []string
	goneAt   map[string]int
}

// clear empties the group.
func (e *memberEdit) clear() { *e = memberEdit{replaced: true} }

func (e *memberEdit) add(m Member) {
	if i, ok := e.goneAt[m.Value]; ok {
		e.gone[i] = ""
		delete(e.goneAt, m.Value)
	}
	if i, ok := e.addedAt[m.Value]; ok {
		e.added[i] = later(e.added[i], m)
		return
	}
	if e.addedAt == nil {
		e.addedAt = map[string]int{}
	}
	e.addedAt[m.Value] = len(e.added)
	e.added = append(e.added, m)
}

func (e *memberEdit) remove(id string) {
	if i, ok := e.addedAt[id]; ok {
		e.added[i] = Member{}
		delete(e.addedAt, id)
	}
	if _, ok := e.goneAt[id]; ok || e.replaced {
		return
	}
	if e.goneAt == nil {
		e.goneAt = map[string]int{}
	}
	e.goneAt[id] = len(e.gone)
	e.gone = append(e.gone, id)
}

// weigh is the work of applyTo, and of holding its list against one term of a filter.
func (e *memberEdit) weigh(stored []Member) int {
	return weighMembers(stored) + weighMembers(e.added) + len(e.gone)
}

// applyTo returns a new list: stored after the change so far.
func (e *memberEdit) applyTo(stored []Member) []Member {
	list := make([]Member, 0, len(stored)+len(e.added))
	for _, m := range stored {
		_, gone := e.goneAt[m.Value]
		_, added := e.addedAt[m.Value]
		if !gone && !added && !e.replaced {
			list = append(list, m)
		}
	}
	return append(list, e.change().Add...)
}

func (e *memberEdit) change() MemberChange {
	return MemberChange{
		Replace: e.replaced,
		Add:     slices.DeleteFunc(slices.Clone(e.added), func(m Member) bool { return m.Value == "" }),
		Remove:  slices.DeleteFunc(slices.Clone(e.gone), func(id string) bool { return id == "" }),
	}
}
