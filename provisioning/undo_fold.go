package provisioning

import (
	"encoding/json"
	"slices"
	"strings"

	"meibo/scim"
)

// back goes a resource's journal backwards, from the present row to before the first selected change.
func (u undo) back(r Reader, f Facts) (*backwards, error) {
	own, err := u.historyOf(r, f.Current)
	if err != nil {
		return nil, err
	}
	b, err := newBackwards(f)
	if err != nil {
		return nil, err
	}
	if err := b.readMembers(r, f.Current, own); err != nil {
		return nil, err
	}
	for i := range own {
		b.step(u, &own[i])
	}
	return b, nil
}

// historyOf are the entries of a resource that changed it, from the latest back to the first selected one.
func (u undo) historyOf(r Reader, x *Resource) ([]Entry, error) {
	var own []Entry
	err := r.Entries(EntryQuery{Resource: x.ID}, func(e Entry) error {
		if e.Version > 0 && e.Version <= x.Version {
			own = append(own, e)
		}
		return nil
	})
	slices.SortStableFunc(own, func(a, b Entry) int { return int(b.Version - a.Version) })
	for len(own) > 0 && !u.selects(&own[len(own)-1]) {
		own = own[:len(own)-1]
	}
	return own, err
}

// backwards is a resource on its way back through its entries.
type backwards struct {
	out     ResourceUndo
	t       scim.ResourceType
	now     map[string]any // what it is to the host application, by path
	was     map[string]any // the same, before the entry that was gone back over last
	target  map[string]any // what is to return; nil for unassigned
	others  map[string]*Entry
	version int64

	asserted scim.Attributes
	row      map[string]any // by the path constants of the journal

	facts   []MemberFact // of whom the entries name
	created bool         // it was made by a selected change
	owner   *Ownership
	purgeAt any
	lost    bool
}

func newBackwards(f Facts) (*backwards, error) {
	x := f.Current
	effective, err := effectiveOf(x)
	if err != nil {
		return nil, err
	}
	b := &backwards{t: x.Type, version: x.Version, asserted: f.Asserted, row: overlay(f.Asserted, effective),
		target: map[string]any{}, others: map[string]*Entry{},
		out: ResourceUndo{ID: x.ID, Type: x.Type, Name: nameOf(x.Type, f.Asserted)}}
	if b.row == nil {
		b.row = map[string]any{}
	}
	for _, c := range rowDiff(nil, x) {
		b.row[c.Path] = c.New
	}
	b.row[PathOwner] = number(x.Connection)
	b.now, b.was = b.view(), b.view()
	return b, nil
}

// rowPaths are those of the row that an undo brings back.
var rowPaths = []string{PathState, PathRole, PathProtected, PathOwner}

// view is what the resource is at this point to the host application, by path.
func (b *backwards) view() map[string]any {
	effective := b.asserted
	for key, v := range b.row {
		if path, ok := strings.CutPrefix(key, PathEffective); ok {
			effective = withPath(effective, path, v)
		}
	}
	view := attributePaths(b.t, effective)
	for key, v := range b.row {
		if slices.Contains(rowPaths, key) || strings.HasPrefix(key, PathOverride) && !strings.HasPrefix(key, PathOverride+prefixUndone) {
			view[key] = v
		}
	}
	return view
}

// readMembers finds out who of those whom entries name is an effective member now.
func (b *backwards) readMembers(r Reader, x *Resource, own []Entry) error {
	var ids []string
	for i := range own {
		ids = append(ids, own[i].Members.ids()...)
	}
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(ids) == 0 {
		return nil
	}
	facts, err := r.MemberFacts(x.Connection, x.ID, ids)
	b.facts = facts
	for _, m := range facts {
		b.now[PathMember+m.ID] = m.Effective
	}
	return err
}

// step goes back over one entry.
func (b *backwards) step(u undo, e *Entry) {
	if e.Version != b.version {
		b.lose(lostToCut)
	}
	b.version--
	if e.Reason.Code == ReasonPurged {
		b.lose(lostToPurge)
	}
	selected := u.selects(e)
	if selected {
		b.select1(e)
	}
	if b.lost {
		return
	}
	if e.Reason.Code == ReasonMemberPurged { // it says nothing else
		b.part(e, selected)
		return
	}
	after := b.was
	for _, c := range e.Diff {
		b.reverse(c)
	}
	b.was = b.view()
	if b.created = selected && e.Version == 1; b.created {
		b.was = map[string]any{}
	}
	ours := u.own != "" && e.Correlation == u.own
	b.out.done = b.out.done || ours
	if ours {
		return
	}
	for _, path := range unionKeys(b.was, after) {
		if !scim.Equal(b.was[path], after[path]) {
			b.touch(e, selected, path, after[path], b.was[path])
		}
	}
	for _, m := range slices.Concat(e.Members.Add, e.Members.EffectiveAdd) {
		b.touch(e, selected, PathMember+m.Value, true, false)
	}
	for _, id := range slices.Concat(e.Members.Remove, e.Members.EffectiveRemove) {
		b.touch(e, selected, PathMember+id, false, true)
	}
}

// part goes back over what the purge of a member took from a group: who is gone does not come back.
func (b *backwards) part(e *Entry, selected bool) {
	for _, id := range slices.Concat(e.Members.Remove, e.Members.EffectiveRemove, e.Members.AssertedRemove) {
		if selected && b.now[PathMember+id] != true {
			b.without(lostMember)
		}
	}
}

// without notes once that something does not come back.
func (b *backwards) without(why string) {
	if !slices.Contains(b.out.Lost, why) {
		b.out.Lost = append(b.out.Lost, why)
	}
}

// select1 notes that an entry is to be undone.
func (b *backwards) select1(e *Entry) {
	if b.out.Entries++; b.out.Entry == "" {
		b.out.Entry = e.ID
	}
	if l := &b.out.latest; e.At.After(l.At) || e.At.Equal(l.At) && e.ID > l.ID {
		*l = Entry{ID: e.ID, At: e.At}
	}
}

// lose gives the resource up: nothing of it returns.
func (b *backwards) lose(why string) {
	if !b.lost {
		b.lost = true
		b.out.Lost = append(b.out.Lost, why)
	}
}

// reverse takes one difference of an entry back.
func (b *backwards) reverse(c AttributeChange) {
	if !strings.HasPrefix(c.Path, "meibo.") {
		b.asserted = withPath(b.asserted, c.Path, c.Old)
		return
	}
	if b.row[c.Path] = c.Old; c.Old == nil {
		delete(b.row, c.Path)
	}
}

// expected is what a path comes to by what is known so far.
func (b *backwards) expected(path string) any {
	if v, ok := b.target[path]; ok {
		return v
	}
	return b.now[path]
}

// touch notes that an entry changed a path. What a selected one made of it must still be so, but for what is undone
// before it: else somebody else has changed it since.
func (b *backwards) touch(e *Entry, selected bool, path string, after, was any) {
	if !selected {
		if b.others[path] == nil {
			b.others[path] = e
		}
		return
	}
	expected := b.expected(path)
	if !scim.Equal(after, expected) {
		if other := b.others[path]; other != nil && (b.created || !scim.Equal(was, expected)) {
			b.conflict(path, other)
		}
		return
	}
	if b.target[path] = was; path == PathState {
		b.purgeAt = b.row[PathPurgeAt]
	}
	if path == PathOwner && !b.created {
		visible, _ := b.row[PathVisible].(bool)
		owner, _ := was.(json.Number)
		id, _ := owner.Int64()
		gaveUp := id != 0 && e.Connection == id // its client deleted it, and does not find it again
		b.owner = &Ownership{Connection: id, Visible: visible && !gaveUp, Asserted: b.asserted}
	}
}

func (b *backwards) conflict(path string, other *Entry) {
	if slices.ContainsFunc(b.out.Conflicts, func(c UndoConflict) bool { return c.Path == path }) {
		return
	}
	b.out.Conflicts = append(b.out.Conflicts, UndoConflict{Path: path, Entry: other.ID, At: other.At, By: other.Actor})
}
