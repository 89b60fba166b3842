package provisioning

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"meibo/scim"
)

// UndoQuery names the changes to undo: one entry; what a connection did in a time; or all that has one correlation,
// such as a request or an import.
type UndoQuery struct {
	Entry       string    `json:"entry,omitempty"`
	Connection  string    `json:"connection,omitempty"` // its name
	From        time.Time `json:"from,omitzero"`
	To          time.Time `json:"to,omitzero"` // exclusive; zero for now
	Correlation string    `json:"correlation,omitempty"`
	// Agreed says, of what a job is to undo, that two persons ordered it.
	Agreed bool `json:"agreed,omitempty"`
}

// UndoPlan is what an undo would do.
type UndoPlan struct {
	Entries int // selected entries that changed a user or group
	// Other is how many entries about settings, tokens, connections or matters are among the changes: they are not undone.
	Other     int
	Resources []ResourceUndo // the latest change first, in the order in which they are undone
}

// ResourceUndo is what an undo does to one resource.
type ResourceUndo struct {
	ID      string
	Type    scim.ResourceType
	Name    string
	Entry   string // the newest entry that is undone
	Entries int
	// Lost is what does not come back, and why.
	Lost []string
	// Changes are by the path of an effective attribute, or by a path constant of the journal.
	Changes   []AttributeChange
	Members   MemberDelta
	Conflicts []UndoConflict
	Refused   string // why the rest is not done: a guard keeps it, or its name is taken; "" where nothing is refused

	owner  int64  // connection; 0 for none
	demand string // why it takes a second person
	latest Entry  // of those that are undone, in the order in which entries are listed
	done   bool   // this undo has changed it before it was interrupted
}

// refuse leaves the resource as it is.
func (u *ResourceUndo) refuse(why *Error) {
	u.Refused, u.Changes, u.Members = why.Detail, nil, MemberDelta{}
}

// IsZero reports whether nothing would change.
func (u ResourceUndo) IsZero() bool { return len(u.Changes) == 0 && u.Members.IsZero() }

// UndoConflict is something that somebody else changed since: it stays as it is.
type UndoConflict struct {
	Path  string    `json:"path"`  // as in ResourceUndo.Changes; PathMember and an id for a membership
	Entry string    `json:"entry"` // the last that changed it
	At    time.Time `json:"at"`
	By    string    `json:"by"` // actor
}

// PathMember is followed by the id of a group's member.
const PathMember = "meibo.member."

// What does not come back.
const (
	lostToPurge   = "it was purged: what was erased does not come back"
	lostToCut     = "the journal does not reach back to the change"
	lostQuestion  = "it was held for a person to decide; it becomes active, and is not asked about again"
	lostDisplays  = "memberships come back without the name that the client had given to the member in the group"
	lostOwnership = "what its present owner asserts of it: the earlier owner's document comes back"
)

// check refuses a query that names no changes, or in several ways.
func (q UndoQuery) check() error {
	ways := 0
	for _, named := range []bool{q.Entry != "", q.Correlation != "", q.Connection != "" || !q.From.IsZero() || !q.To.IsZero()} {
		if named {
			ways++
		}
	}
	if ways != 1 {
		return &Error{Kind: Invalid, Detail: "name what to undo in one way: an entry, a correlation, or a connection with the time from which on"}
	}
	if q.Entry == "" && q.Correlation == "" && (q.Connection == "" || q.From.IsZero()) {
		return &Error{Kind: Invalid, Attribute: "from", Detail: "to undo what a connection did, name the connection and the time from which on"}
	}
	if !q.To.IsZero() && !q.From.Before(q.To) {
		return &Error{Kind: Invalid, Attribute: "to", Detail: "the time ends before it begins; swap from and to"}
	}
	return nil
}

// undo is a query, resolved, as it is executed by one job.
type undo struct {
	UndoQuery
	connection int64
	own        string // correlation of what the undo itself does; "" for a plan
}

// resolve checks the query and ends its time at now at the latest.
func (q UndoQuery) resolve(r Reader, tenant string, now time.Time) (undo, error) {
	u := undo{UndoQuery: q}
	if err := q.check(); err != nil {
		return u, err
	}
	if q.Connection != "" {
		c, err := connectionOf(r, tenant, q.Connection)
		if err != nil {
			return u, err
		}
		u.connection = c.ID
		if u.To.IsZero() || u.To.After(now) {
			u.To = now
		}
	} else if _, err := tenantOf(r, tenant); err != nil {
		return u, err
	}
	return u, nil
}

// entries asks for the selected entries, newest first.
func (u undo) entries() EntryQuery {
	return EntryQuery{ID: u.Entry, Correlation: u.Correlation, Connection: u.connection, Since: u.From, Until: u.To}
}

// selects reports whether an entry is one of the changes to undo. What a person chose, and what an undo did, is
// none that the connection made.
func (u undo) selects(e *Entry) bool {
	switch {
	case e.Version == 0:
		return false
	case u.Entry != "":
		return e.ID == u.Entry
	case u.Correlation != "":
		return e.Correlation == u.Correlation
	default:
		byPerson := e.Reason.Code == ReasonByPerson || e.Reason.Code == ReasonUndone || e.Reason.Code == ReasonPurged
		return !byPerson && e.Connection == u.connection && !e.At.Before(u.From) && e.At.Before(u.To)
	}
}

// PlanUndo says what an undo would do, without doing it. Invalid for a query that names nothing, NotFound for an
// entry, correlation or connection that does not exist.
func (s *Service) PlanUndo(ctx context.Context, tenant string, q UndoQuery) (UndoPlan, error) {
	var plan UndoPlan
	err := s.store.View(ctx, tenant, func(r Reader) error {
		now := s.Now()
		u, err := q.resolve(r, tenant, now.Add(time.Microsecond))
		if err != nil {
			return err
		}
		plan = UndoPlan{}
		var picks []pick
		if picks, plan.Entries, plan.Other, err = u.picks(r, u.entries()); err != nil {
			return err
		}
		owners, err := ownersOf(r)
		if err != nil {
			return err
		}
		for _, p := range picks {
			done, err := s.planUndo(r, u, p, tenant, owners, now)
			if err != nil {
				return err
			}
			plan.Resources = append(plan.Resources, done)
		}
		return plan.explainNames(r)
	})
	return plan, err
}

// pick is a resource that selected entries changed.
type pick struct {
	Type   scim.ResourceType `json:"type"`
	ID     string            `json:"id"`
	Newest string            `json:"newest"` // the newest of those entries
	Name   string            `json:"name"`
}

// picks reads selected entries and names their resources, the latest changed first.
func (u undo) picks(r Reader, q EntryQuery) (picks []pick, entries, other int, err error) {
	seen, found := map[string]bool{}, false
	err = r.Entries(q, func(e Entry) error {
		found = true
		switch {
		case e.Action == ActionOther:
			other++
		case u.selects(&e):
			entries++
			if !seen[e.ResourceID] {
				seen[e.ResourceID] = true
				picks = append(picks, pick{Type: e.ResourceType, ID: e.ResourceID, Newest: e.ID})
			}
		}
		return nil
	})
	switch {
	case err != nil:
	case !found && u.Connection == "":
		err = &Error{Kind: NotFound, Detail: "the journal has no such entry; look it up in the journal"}
	case entries == 0 && u.Entry != "":
		err = &Error{Kind: Invalid, Attribute: "entry", Detail: "that entry changed no user or group; there is nothing to undo"}
	}
	return picks, entries, other, err
}

// ownersOf are the connections of the tenant by id, and one that stands for none.
func ownersOf(r Reader) (map[int64]Connection, error) {
	all, err := r.Connections()
	owners := map[int64]Connection{0: {Settings: DefaultConnectionSettings()}}
	for _, c := range all {
		owners[c.ID] = c
	}
	return owners, err
}

// planUndo decides on one resource and writes nothing.
func (s *Service) planUndo(r Reader, u undo, p pick, tenant string, owners map[int64]Connection, now time.Time) (ResourceUndo, error) {
	x, err := r.Account(p.Type, p.ID, References{})
	if err != nil {
		return ResourceUndo{}, err
	}
	var out ResourceUndo
	o := Origin{Tenant: tenant, Connection: owners[x.Connection]}
	in := Intent{Type: p.Type, ID: p.ID, Want: s.undoing(o, u, p, &out), Alone: true}
	decision, _, err := s.decide(r, o, in, now)
	out.owner, out.demand = x.Connection, decision.Demand
	if own := new(Error); errors.As(err, &own) && own.Kind != Unavailable {
		out.refuse(own)
		err = nil
	}
	return out, err
}

// undoing is wants for one person alone.
func (s *Service) undoing(o Origin, u undo, p pick, out *ResourceUndo) func(Reader, *Rules) (Facts, Desired, error) {
	wants := u.wants(p, out)
	return func(r Reader, rules *Rules) (Facts, Desired, error) {
		f, d, err := wants(r, rules)
		if err == nil && !u.Agreed {
			d.Alone, err = s.demandsTwo(r, rules, o, f.Current.Connection)
		}
		return f, d, err
	}
}

// wants is the Want of an undo of one resource; out is told what it comes to.
func (u undo) wants(p pick, out *ResourceUndo) func(Reader, *Rules) (Facts, Desired, error) {
	return func(r Reader, rules *Rules) (Facts, Desired, error) {
		f, err := account(r, p.Type, p.ID)
		if err != nil {
			return f, Desired{}, err
		}
		b, err := u.back(r, f)
		if err != nil {
			return f, Desired{}, err
		}
		a := b.act(f, rules)
		*out = b.out
		return f, Desired{Act: a, ByPerson: true}, nil
	}
}

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
		case was == true:
			d.EffectiveAdd = append(d.EffectiveAdd, scim.Member{Value: m.ID})
			if !m.Member && !slices.Contains(b.out.Lost, lostDisplays) {
				b.out.Lost = append(b.out.Lost, lostDisplays)
			}
		default:
			d.EffectiveRemove = append(d.EffectiveRemove, m.ID)
		}
	}
	b.out.Members = *d
}

// explainNames says of which resources the effective userName is somebody else's by now.
func (p *UndoPlan) explainNames(r Reader) error {
	planned := map[string]*ResourceUndo{}
	for i := range p.Resources {
		planned[p.Resources[i].ID] = &p.Resources[i]
	}
	for i := range p.Resources {
		u := &p.Resources[i]
		taken, err := u.nameIsTaken(r, func(holder Resource) bool { return planned[holder.ID] != nil && planned[holder.ID].yields() })
		if err != nil {
			return err
		}
		if taken {
			u.refuse(Taken("userName"))
		}
	}
	return nil
}

// nameIsTaken reports whether the effective userName that a user takes again is that of somebody who does not yield it.
func (u *ResourceUndo) nameIsTaken(r Reader, yields func(Resource) bool) (taken bool, err error) {
	name, wanted, err := u.returningName(r)
	if err != nil || !wanted {
		return false, err
	}
	err = r.Accounts(AccountQuery{Type: scim.User, Connection: -1, Effective: name}, func(holder Resource) error {
		taken = holder.ID != u.ID && !yields(holder)
		return nil
	})
	return taken, err
}

// returningName is the folded effective userName that a user takes again; false where it takes none.
func (u *ResourceUndo) returningName(r Reader) (string, bool, error) {
	var back, named bool
	var name, state string
	for _, c := range u.Changes {
		switch c.Path {
		case PathState:
			state, _ = c.New.(string)
			back = c.Old == string(Removed)
		case "userName":
			name, named = c.New.(string)
		}
	}
	if u.Type != scim.User || !back && !named || state == string(Removed) {
		return "", false, nil
	}
	x, err := r.Account(u.Type, u.ID, References{})
	if !named {
		name = x.Index.EffectiveName
	}
	return scim.FoldFull.Apply(name), err == nil && (state != "" || x.State != Removed), err
}

// yields reports whether the resource gives its effective userName up.
func (u *ResourceUndo) yields() bool {
	return slices.ContainsFunc(u.Changes, func(c AttributeChange) bool {
		return c.Path == PathState && c.New == string(Removed) || c.Path == "userName"
	})
}

// UndoResult is what a job of JobUndo came to.
type UndoResult struct {
	Undone  int `json:"undone"`  // resources that changed
	Nothing int `json:"nothing"` // those that were as before already
	// Left are resources of which something was not undone, the first of them.
	Left []UndoLeft `json:"left,omitempty"`
	More int        `json:"more,omitempty"` // how many there are beside them
	// Waiting are users whose earlier effective userName was somebody else's when it was their turn: that one may give
	// it up yet.
	Waiting []pick `json:"waiting,omitempty"`
}

// UndoLeft is a resource of which something was not undone.
type UndoLeft struct {
	ID        string         `json:"id"`
	Type      string         `json:"type"`
	Name      string         `json:"name"`
	Lost      []string       `json:"lost,omitempty"`
	Conflicts []UndoConflict `json:"conflicts,omitempty"`
	Refused   string         `json:"refused,omitempty"`
}

// mostLeft bounds what a job tells.
const mostLeft = 100

// ReasonUndoStarted is of the entry that says who ordered an undo, and what of.
const ReasonUndoStarted = "undoStarted"

// Undo orders a job that undoes what a query names: see PlanUndo, whose errors it has. What it changes has its job's id
// as the correlation.
func (s *Service) Undo(ctx context.Context, o Origin, q UndoQuery) (Job, error) {
	var j Job
	started := s.Now()
	end := started.Add(time.Microsecond) // what was done at this very instant, too
	id := s.newID()
	q.Agreed = false
	proposed, err := s.undoProposal(ctx, o.Tenant, q)
	if err != nil {
		return j, err
	}
	var refusal *Error
	err = s.administer(ctx, o, func(tx Tx) ([]step, error) {
		refusal = nil
		u, err := q.resolve(tx, o.Tenant, end)
		if err != nil {
			return nil, err
		}
		var closes *MatterChange
		if proposed != nil {
			if closes, _, refusal, err = s.second(tx, o, *proposed); err != nil {
				return nil, err
			}
			if refusal != nil {
				return []step{proposalStep(*proposed, closes)}, nil
			}
			u.Agreed = true
		}
		_, entries, _, err := u.picks(tx, u.entries())
		if err != nil {
			return nil, err
		}
		if j, err = s.newJob(o, JobUndo, u.UndoQuery); err != nil {
			return nil, err
		}
		j.ID, j.Created, j.Changed, j.Connection, j.Total = id, started, started, u.connection, entries
		return []step{{job: &j, matter: closes, reason: ReasonUndoStarted, connection: Connection{ID: u.connection, Name: q.Connection},
			args: map[string]string{"job": id, "entry": q.Entry, "correlation": q.Correlation}}}, nil
	})
	if err == nil && refusal != nil {
		return Job{}, refusal
	}
	return j, err
}

// undoProposal is what an undo comes to if two have to want it: where it gets around a guard, or more would leave by it
// than the tolerance lets go. Nil where one may.
func (s *Service) undoProposal(ctx context.Context, tenant string, q UndoQuery) (*proposal, error) {
	two, err := s.DemandsTwo(ctx, tenant, "")
	if err != nil || !two {
		return nil, err
	}
	plan, err := s.PlanUndo(ctx, tenant, q)
	if err != nil {
		return nil, err
	}
	p := proposal{what: "undo", content: q, args: map[string]string{"entry": q.Entry, "correlation": q.Correlation}}
	leaving := map[int64]*[2]int{}
	for i := range plan.Resources {
		u := &plan.Resources[i]
		if p.args["because"] = u.demand; u.demand != "" {
			return &p, nil
		}
		if u.leaves() {
			n := leaving[u.owner]
			if n == nil {
				n = new([2]int)
				leaving[u.owner] = n
			}
			if u.Type == scim.User {
				n[0]++
			} else {
				n[1]++
			}
		}
	}
	owners, err := View(ctx, s.store, tenant, ownersOf)
	if err != nil {
		return nil, err
	}
	for id, n := range leaving {
		verdicts, err := s.Judge(ctx, tenant, owners[id], n[0], n[1])
		if err != nil {
			return nil, err
		}
		if Stops(verdicts) != "" {
			p.args["because"] = demandTolerance
			return &p, nil
		}
	}
	return nil, nil
}

// leaves reports whether the host application would lose the resource by it.
func (u *ResourceUndo) leaves() bool {
	return slices.ContainsFunc(u.Changes, func(c AttributeChange) bool {
		was, _ := c.Old.(string)
		is, _ := c.New.(string)
		return c.Path == PathState && State(was).in() && !State(is).in()
	})
}

// undoStride undoes the resources of the next selected entries. Its cursor is the last of those entries; each resource is
// undone at its newest one. What was undone already comes to nothing, so a stride may be done again.
func undoStride(ctx context.Context, s *Service, tenant string, j *Job) error {
	var q UndoQuery
	var result UndoResult
	if err := json.Unmarshal(j.Params, &q); err != nil {
		return err
	}
	if j.Result != nil {
		if err := json.Unmarshal(j.Result, &result); err != nil {
			return err
		}
	}
	next, err := s.nextUndo(ctx, tenant, q, j, result.Waiting)
	if err != nil {
		return err
	}
	if j.Cursor == cursorWaiting {
		result.Waiting = nil
	}
	for _, p := range next.picks {
		if err := s.undoOne(ctx, tenant, next.undo, p, next.owners, j, &result); err != nil {
			return err
		}
	}
	switch {
	case j.Cursor == cursorWaiting:
		if len(result.Waiting) == len(next.picks) { // no name became free
			for _, p := range result.Waiting {
				result.note(ResourceUndo{ID: p.ID, Type: p.Type, Name: p.Name, Refused: Taken("userName").Detail}, false)
			}
			result.Waiting = nil
		}
	case next.read < jobStride || q.Entry != "":
		j.Cursor = cursorWaiting
		j.Done += next.entries
	default:
		j.Cursor = next.last.String()
		j.Done += next.entries
	}
	if j.Cursor == cursorWaiting && len(result.Waiting) == 0 {
		j.State = JobDone
	}
	j.Result, err = json.Marshal(result)
	return err
}

// cursorWaiting is the cursor when all is done but for those who wait for a name.
const cursorWaiting = "waiting"

// undoPart is what a stride of an undo has to do.
type undoPart struct {
	undo
	picks         []pick
	owners        map[int64]Connection
	entries, read int
	last          Place
}

func (s *Service) nextUndo(ctx context.Context, tenant string, q UndoQuery, j *Job, waiting []pick) (undoPart, error) {
	return View(ctx, s.store, tenant, func(r Reader) (next undoPart, err error) {
		if next.undo, err = q.resolve(r, tenant, j.Created.Add(time.Microsecond)); err != nil {
			return next, err
		}
		next.own = j.ID
		if j.Cursor == cursorWaiting {
			next.picks = waiting
			next.owners, err = ownersOf(r)
			return next, err
		}
		if next.owners, err = ownersOf(r); err != nil {
			return next, err
		}
		eq := next.undo.entries()
		if eq.Limit = jobStride; j.Cursor != "" {
			if eq.Before, err = ParsePlace(j.Cursor); err != nil {
				return next, err
			}
		}
		seen := map[string]bool{}
		return next, r.Entries(eq, func(e Entry) error {
			next.read++
			next.last = e.Place()
			if next.selects(&e) {
				next.entries++
				if !seen[e.ResourceID] {
					seen[e.ResourceID] = true
					next.picks = append(next.picks, pick{Type: e.ResourceType, ID: e.ResourceID, Newest: e.ID})
				}
			}
			return nil
		})
	})
}

// undoOne undoes one resource and notes what came of it. Its error is one that ends the job, or has it wait.
func (s *Service) undoOne(ctx context.Context, tenant string, u undo, p pick, owners map[int64]Connection, j *Job, result *UndoResult) error {
	var out ResourceUndo
	var o Origin
	taken := false
	err := s.store.View(ctx, tenant, func(r Reader) error {
		x, err := r.Account(p.Type, p.ID, References{})
		if err != nil {
			return err
		}
		o = Origin{Tenant: tenant, Connection: owners[x.Connection], Actor: j.Actor, Correlation: u.own}
		if out, err = s.planUndo(r, u, p, tenant, owners, s.Now()); err == nil {
			taken, err = out.nameIsTaken(r, func(Resource) bool { return false })
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case out.latest.ID != p.Newest: // it was undone when that entry's turn was
		return nil
	case out.IsZero():
		result.note(out, out.done)
		return nil
	case taken:
		p.Name = out.Name
		result.Waiting = append(result.Waiting, p)
		return nil
	}
	in := Intent{Action: ActionUpdate, Type: p.Type, ID: p.ID, Name: out.Name, Quiet: true, Alone: true}
	wants := s.undoing(o, u, p, &out)
	in.Want = func(r Reader, rules *Rules) (Facts, Desired, error) {
		f, d, err := wants(r, rules)
		if err == nil && f.Current.Connection != o.Connection.ID {
			err = &Error{Kind: Precondition, Detail: "the resource got another owner meanwhile; undo it again"}
		}
		return f, d, err
	}
	done, err := s.Apply(ctx, o, in)
	own := new(Error)
	switch refused := errors.As(err, &own); {
	case err == nil:
	case !refused || own.Kind == Unavailable || own.Kind == Internal:
		return err
	default:
		out.refuse(own)
	}
	result.note(out, out.done || err == nil && done.Action != ChangeSkip)
	return nil
}

// note counts what came of a resource. One that is noted again was done before an interruption.
func (r *UndoResult) note(u ResourceUndo, changed bool) {
	if changed {
		r.Undone++
	} else {
		r.Nothing++
	}
	left := UndoLeft{ID: u.ID, Type: string(u.Type), Name: u.Name, Lost: u.Lost, Conflicts: u.Conflicts, Refused: u.Refused}
	switch {
	case len(u.Lost)+len(u.Conflicts) == 0 && u.Refused == "":
	case len(r.Left) < mostLeft:
		r.Left = append(r.Left, left)
	default:
		r.More++
	}
}

// UndoResult reads what an undo's job came to.
func (j Job) UndoResult() (r UndoResult, err error) {
	if len(j.Result) > 0 {
		if err = json.Unmarshal(j.Result, &r); err != nil {
			err = fmt.Errorf("result of the job: %w", err)
		}
	}
	return r, err
}
