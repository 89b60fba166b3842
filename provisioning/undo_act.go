package provisioning

import (
	"maps"
	"slices"
	"strings"
	"time"

	"meibo/scim"
)

// What does not come back.
const (
	lostToPurge   = "it was purged: what was erased does not come back"
	lostMember    = "a member was purged: it does not come back into the group"
	lostToCut     = "the journal does not reach back to the change"
	lostQuestion  = "it was held for a person to decide; it becomes active, and is not asked about again"
	lostDisplays  = "memberships come back without the name that the client had given to the member in the group"
	lostOwnership = "what its present owner asserts of it: the earlier owner's document comes back"
)

// act is what brings back what can be.
func (b *backwards) act(f Facts, rules *Rules) *Act {
	a := &Act{Earlier: &Earlier{Entry: b.out.Entry, Entries: b.out.Entries}, Grace: rules.Settings.Deletion.Grace}
	x := f.Current
	if b.lost {
		b.out.Conflicts = nil
		return a
	}
	if b.created {
		b.uncreate(a, x)
		b.guard(a, x, rules)
		return a
	}
	b.chooseMembers(a)
	b.differ()
	b.chooseState(a, x)
	e := a.Earlier
	for path, v := range b.target {
		override, isOverride := strings.CutPrefix(path, PathOverride)
		switch {
		case path == PathState, path == PathOwner:
		case path == PathRole:
			role, _ := v.(string)
			e.Role = &role
		case path == PathProtected:
			protected := v == true
			e.Protected = &protected
		case isOverride:
			e.Overrides = with(e.Overrides, override, v)
		default:
			e.Attributes = with(e.Attributes, path, v)
		}
	}
	if _, changes := b.target[PathOwner]; changes {
		b.disown(e)
	}
	b.guard(a, x, rules)
	return a
}

// guard leaves out what a guard keeps, so that the rest is undone.
func (b *backwards) guard(a *Act, x *Resource, r *Rules) {
	if !r.protects(x) {
		return
	}
	if a.State == Suspended || a.State == Removed {
		b.out.Refused = keptByGuard(x, r.because(x)).Detail
		b.out.Changes = slices.DeleteFunc(b.out.Changes, func(c AttributeChange) bool { return c.Path == PathState })
		a.State, a.Matters = "", nil
	}
	if d := &a.Earlier.Members; len(d.EffectiveRemove) > 0 && x.MemberCount+d.Grown() <= 0 {
		b.out.Refused = keptByGuard(x, r.because(x)).Detail
		*d = MemberDelta{}
		b.out.Members = *d
	}
}

func with(m map[string]any, key string, v any) map[string]any {
	if m == nil {
		m = map[string]any{}
	}
	m[key] = v
	return m
}

// differ keeps the targets that are not so already, and tells of them.
func (b *backwards) differ() {
	maps.DeleteFunc(b.target, func(path string, v any) bool { return scim.Equal(v, b.now[path]) })
	for _, path := range slices.Sorted(maps.Keys(b.target)) {
		b.out.Changes = append(b.out.Changes, AttributeChange{Path: path, Old: b.now[path], New: b.target[path]})
	}
}

// uncreate removes what the selected changes made, unless somebody else has worked on it since.
func (b *backwards) uncreate(a *Act, x *Resource) {
	for path, other := range b.others {
		if _, undone := b.target[path]; !undone && b.now[path] != nil && b.now[path] != false {
			b.conflict(path, other)
		}
	}
	slices.SortFunc(b.out.Conflicts, func(x, y UndoConflict) int { return strings.Compare(x.Path, y.Path) })
	if len(b.out.Conflicts) > 0 || x.State == Removed {
		return
	}
	a.State = Removed
	b.out.Changes = []AttributeChange{{Path: PathState, Old: string(x.State), New: string(Removed)}}
	a.Matters = settled(x)
}

// settled closes what is open about a departure that is undone.
func settled(x *Resource) []MatterChange {
	return []MatterChange{{Settle: &MatterSettlement{Connection: x.Connection, Resource: x.ID, Kinds: []MatterKind{MatterHeld, MatterPurge}}}}
}

// chooseState brings the state back.
func (b *backwards) chooseState(a *Act, x *Resource) {
	text, ok := b.target[PathState].(string)
	if !ok {
		return
	}
	a.State = State(text)
	if a.State == Held {
		b.out.Lost = append(b.out.Lost, lostQuestion)
		a.State = Active
		b.restate(string(Active))
	}
	if a.State != x.State {
		a.Matters = settled(x)
	}
	if at, ok := b.purgeAt.(string); ok {
		a.Earlier.PurgeAt, _ = time.Parse(time.RFC3339Nano, at)
	}
}

// restate corrects what is told of the state.
func (b *backwards) restate(state string) {
	for i := range b.out.Changes {
		if b.out.Changes[i].Path == PathState {
			b.out.Changes[i].New = state
		}
	}
	if b.now[PathState] == state {
		b.out.Changes = slices.DeleteFunc(b.out.Changes, func(c AttributeChange) bool { return c.Path == PathState })
	}
}

// disown gives the resource back to its earlier owner, as that one asserted it: what is asserted belongs to who
// asserts it. What the host application saw then is all laid over it.
func (b *backwards) disown(e *Earlier) {
	e.Owner = b.owner
	if b.now[PathOwner] != number(0) {
		b.out.Lost = append(b.out.Lost, lostOwnership)
	}
	kept := attributePaths(b.t, b.owner.Asserted)
	for path, v := range b.now {
		_, changes := e.Attributes[path]
		if !changes && !strings.HasPrefix(path, "meibo.") && !scim.Equal(kept[path], v) {
			e.Attributes = with(e.Attributes, path, v)
		}
	}
	for path := range kept {
		if _, has := b.now[path]; !has {
			if _, changes := e.Attributes[path]; !changes {
				e.Attributes = with(e.Attributes, path, nil)
			}
		}
	}
}

// chooseMembers brings effective memberships back, and ends those that were not.
func (b *backwards) chooseMembers(a *Act) {
	d := &a.Earlier.Members
	for _, m := range b.facts {
		was, touched := b.target[PathMember+m.ID]
		delete(b.target, PathMember+m.ID)
		switch {
		case !touched || was == m.Effective:
		case was == true && m.Gone:
			b.without(lostMember)
		case was == true:
			d.EffectiveAdd = append(d.EffectiveAdd, scim.Member{Value: m.ID})
			if !m.Member {
				b.without(lostDisplays)
			}
		default:
			d.EffectiveRemove = append(d.EffectiveRemove, m.ID)
		}
	}
	b.out.Members = *d
}
