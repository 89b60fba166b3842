package provisioning

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"time"

	"meibo/scim"
)

// Wanted is a resource as a person wants it to be: a row of an import. What is nil, or empty where there is no pointer,
// is not spoken of and stays as it is, or as the rules have it of a new resource.
type Wanted struct {
	Type scim.ResourceType
	ID   string // "" for one that is found by its name. A new resource gets it where there is none of that name
	Name string // userName or displayName, by which it is found where ID finds nothing; "" for ID alone

	// Assert is the whole asserted document, given the one that there is; that is nil of a new resource.
	Assert    func(before scim.Attributes) (scim.Attributes, error)
	Members   *[]Membership // all of a group
	State     State
	Visible   *bool
	Role      *string
	Protected *bool
	PurgeAt   *time.Time      // of what is removed
	LeftAt    *time.Time      // of who is suspended; zero leaves it
	Overrides *map[string]any // all of them, by path
	// Effective is what the host application sees of a new resource, nil for as asserted; nil leaves it to the rules,
	// as does any resource that there is.
	Effective func(asserted scim.Attributes) scim.Attributes

	// Gone says that the resource is to be deleted as its owner would; the rest but Type and ID then does not count.
	Gone bool
	// Promised are ids that will be there when this is applied: a preview takes them for granted. May be nil.
	Promised func(id string) bool
	// Check refuses what is stored, nil for nothing, before anything is decided. May be nil.
	Check func(current *Resource) error
}

// Previewed is what an intent would come to.
type Previewed struct {
	Change Change
	Also   []Change // what makes room for it
	// Removal is set where the change takes so many members from a group that its connection would be stopped.
	Removal *Verdict
	// Demand is why the change takes a second person; "" where one may make it.
	Demand string
}

// Preview decides as Apply does and writes nothing, not even a refusal. Errors are those of Want and decide, in the
// core's words.
func (s *Service) Preview(ctx context.Context, o Origin, in Intent) (Previewed, error) {
	in.Alone = true
	p, err := View(ctx, s.store, o.Tenant, func(r Reader) (Previewed, error) {
		decision, rules, err := s.decide(r, o, in, s.Now())
		if err != nil {
			return Previewed{}, err
		}
		last := len(decision.Changes) - 1
		p := Previewed{Change: decision.Changes[last], Also: decision.Changes[:last]}
		p.Removal, p.Demand = rules.removal(&p.Change), decision.Demand
		return p, nil
	})
	return p, normalised(err)
}

// Verdict is what a tolerance says of a whole run (semantics §3).
type Verdict struct {
	Kind    BudgetKind
	Leaving int  // how many the run would take
	Spent   int  // how many left within the window already
	Of      int  // of how many
	Limit   int  // what stops it, together with Spent
	Share   int  // of the settings, per cent
	Stopped bool // a connection would be stopped
}

func (t Tolerance) verdict(kind BudgetKind, leaving, spent, present int) Verdict {
	v := Verdict{Kind: kind, Leaving: leaving, Spent: spent, Of: present + spent, Share: t.Share}
	v.Limit = t.limit(v.Of)
	v.Stopped = leaving > 0 && spent+leaving >= v.Limit
	return v
}

// Judge weighs what a run would take from a connection against its tolerance: all or nothing.
func (s *Service) Judge(ctx context.Context, tenant string, c Connection, users, groups int) ([]Verdict, error) {
	return View(ctx, s.store, tenant, func(r Reader) ([]Verdict, error) {
		rules, err := s.rules(r, c)
		if err != nil || rules.Settings.Tolerance.Mode == ToleranceOff {
			return nil, err
		}
		var out []Verdict
		for _, k := range []struct {
			kind    BudgetKind
			t       Tolerance
			leaving int
		}{{BudgetUsers, rules.Settings.Tolerance.Users, users}, {BudgetGroups, rules.Settings.Tolerance.Groups, groups}} {
			facts, err := r.Departure(BudgetQuery{Connection: c.ID, Kind: k.kind})
			if err != nil {
				return nil, err
			}
			spent := sum(current(facts.Budget.Spent, rules.Settings.Tolerance.Window, s.Now()))
			out = append(out, k.t.verdict(k.kind, k.leaving, spent, facts.Present))
		}
		return out, nil
	})
}

// removal is the verdict on what a change takes from a group; nil where a connection might do it.
func (r *Rules) removal(c *Change) *Verdict {
	t := r.Settings.Tolerance
	if c.Before == nil || len(c.Members.Remove) == 0 || t.Mode == ToleranceOff || c.Before.MemberCount < max(t.Members.From, 1) {
		return nil
	}
	v := t.Members.verdict(BudgetMembers, len(c.Members.Remove), 0, c.Before.MemberCount)
	if !v.Stopped {
		return nil
	}
	return &v
}

// Intent is what Apply and Preview take for a resource that a person wants so. The origin's connection becomes its
// owner; zero makes it nobody's. It is found by id, else by name; else it is made.
func (s *Service) Intent(o Origin, w Wanted) Intent {
	in := Intent{Action: ActionUpdate, Type: w.Type, ID: w.ID, Name: w.Name}
	if w.Gone {
		in.Action = ActionDelete
		in.Want = func(r Reader, rules *Rules) (Facts, Desired, error) { return s.unwanted(r, o, rules, &w) }
		return in
	}
	id := w.ID
	if id == "" {
		id = s.newID()
	}
	in.Want = func(r Reader, rules *Rules) (Facts, Desired, error) { return s.wanted(r, o, rules, &w, id) }
	return in
}

// unwanted are the facts of a deletion. Nobody's resource is removed by the person; another one leaves as its owner's
// policy for deletions has it.
func (s *Service) unwanted(r Reader, o Origin, rules *Rules, w *Wanted) (Facts, Desired, error) {
	f, err := account(r, w.Type, w.ID)
	if err != nil {
		return f, Desired{}, err
	}
	if w.Check != nil {
		if err := w.Check(f.Current); err != nil {
			return f, Desired{}, err
		}
	}
	d := Desired{Presence: Absent, ByPerson: true}
	if f.Current.Connection == 0 || !f.Current.Visible {
		d = Desired{Act: &Act{State: Removed, Grace: rules.Settings.Deletion.Grace}}
	}
	d.Alone, err = s.demandsTwo(r, rules, o, f.Current.Connection)
	return f, d, err
}

// wanted are the facts of a Wanted, and the same as a Desired. id is that of a new resource.
func (s *Service) wanted(r Reader, o Origin, rules *Rules, w *Wanted, id string) (Facts, Desired, error) {
	f, err := s.meantBy(r, o, w)
	if err != nil {
		return f, Desired{}, err
	}
	if w.Check != nil {
		if err := w.Check(f.Current); err != nil {
			return f, Desired{}, err
		}
	}
	if f.Current == nil && w.ID != "" {
		if err := mayBeIssued(r, w.ID); err != nil {
			return f, Desired{}, err
		}
	}
	d := Desired{Type: w.Type, Connection: o.Connection.ID, ID: id, ByPerson: true, Now: s.Now(), Restore: &Restore{Wanted: w}}
	owners := []int64{o.Connection.ID}
	if f.Current != nil {
		owners = append(owners, f.Current.Connection)
	}
	if d.Alone, err = s.demandsTwo(r, rules, o, owners...); err != nil {
		return f, d, err
	}
	var before scim.Attributes
	if f.Current != nil {
		before = f.Asserted
		d.Link = f.Current.Connection != o.Connection.ID
		if f.Kept, err = s.kept(r, o, *f.Current); err != nil {
			return f, d, err
		}
		d.Restore.kept = f.Kept[f.Current.ID]
	}
	if d.Asserted, err = w.Assert(before); err != nil {
		return f, d, err
	}
	if d.Asserted, err = checkedDocument(w.Type, before, d.Asserted); err != nil {
		return f, d, err
	}
	if err := d.Restore.setOverrides(&f); err != nil {
		return f, d, err
	}
	if f.Candidates, err = s.wantedCandidates(r, o, rules, f, d); err != nil {
		return f, d, err
	}
	if w.Members != nil {
		err = s.wantedMembers(r, o, w, &f, &d)
	}
	return f, d, err
}

var uuidForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// mayBeIssued refuses an id that a new resource cannot have.
func mayBeIssued(r Reader, id string) error {
	if !uuidForm.MatchString(id) {
		return &Error{Kind: Invalid, Type: string(scim.InvalidValue), Attribute: "id",
			Detail: "id: a new resource can have a UUID in small letters alone; leave it out, and put a foreign id into externalId"}
	}
	taken, err := r.Issued(id)
	if err == nil && taken {
		err = &Error{Kind: Conflict, Type: string(scim.Uniqueness), Attribute: "id",
			Detail: "id: another resource in this database has it, of another type or tenant; give what is imported ids of its own"}
	}
	return err
}

// checkedDocument holds a document that somebody wrote to the rules of requests. One that is stored already is right as it is.
func checkedDocument(t scim.ResourceType, before, after scim.Attributes) (scim.Attributes, error) {
	if before != nil && scim.Equal(before, after) {
		return after, nil
	}
	if t == scim.Group && nameOf(t, after) == "" {
		return nil, &Error{Kind: Invalid, Type: string(scim.InvalidValue), Attribute: "displayName", Detail: "displayName: the attribute is required; give it a value"}
	}
	valid, err := scim.Standard(t).Validate(after)
	if err != nil {
		return nil, err
	}
	for _, c := range diff(valid, after) {
		if c.Old == nil && !scim.IsUnassigned(c.New) {
			return nil, &Error{Kind: Invalid, Type: string(scim.InvalidValue), Attribute: c.Path,
				Detail: c.Path + ": no resource can hold that attribute; remove it"}
		}
	}
	return valid, nil
}

// meantBy finds the resource that a Wanted speaks of; Facts.Current is nil where it is to be made.
func (s *Service) meantBy(r Reader, o Origin, w *Wanted) (Facts, error) {
	if w.ID != "" {
		f, err := account(r, w.Type, w.ID)
		if KindOf(err) != NotFound || err == nil {
			return f, err
		}
	}
	if w.Name == "" || w.Visible != nil && !*w.Visible {
		return Facts{}, nil // a name tells who is meant only among those that have it
	}
	q := CandidateQuery{Scope: o.scope(w.Type), Name: scim.FoldFull.Apply(w.Name)}
	c, err := r.Candidates(q)
	if err != nil || c.Visible == nil {
		return Facts{}, err
	}
	return account(r, w.Type, c.Visible.ID)
}

// wantedCandidates are what stands in the way of a Desired. What its owner is not to see needs no name of its own there.
func (s *Service) wantedCandidates(r Reader, o Origin, rules *Rules, f Facts, d Desired) (Candidates, error) {
	w := d.Restore.Wanted
	q := s.candidateQuery(o, d.Type, scim.FoldFull.Apply(nameOf(d.Type, d.Asserted)), "")
	if d.Type == scim.User {
		var err error
		m := meant{current: f.Current, asserted: f.Asserted, linked: d.Link}
		if q.Effective, err = rules.effectiveName(m, d); err != nil {
			return Candidates{}, err
		}
		if f.Current == nil {
			q.ExternalID, q.Stable = rules.externalKey(d.Asserted), rules.namedKey(d.Asserted)
		}
	}
	c, err := r.Candidates(q)
	if w.Visible != nil && !*w.Visible {
		c.Visible = nil
	}
	if w.ID != "" {
		c.Stable = nil // who has an id of its own is nobody else
	}
	return c, err
}

// wantedMembers adds the facts of a member list. Whoever a person lists is a member, whether or not the owner sees them.
func (s *Service) wantedMembers(r Reader, o Origin, w *Wanted, f *Facts, d *Desired) (err error) {
	d.Members = scim.MemberChange{Replace: f.Current != nil}
	for _, m := range *w.Members {
		d.Members.Add = append(d.Members.Add, m.Member)
	}
	group := ""
	if x := f.Current; x != nil {
		group = x.ID
		seen := x.Visible && x.Connection != 0
		lack := &lacking{members: !seen, listed: seen}
		if err := lack.fetch(r, f); err != nil {
			return err
		}
	}
	if f.Members, err = memberFacts(r, o, group, d.Members); err != nil {
		return err
	}
	for i := range f.Members {
		m := &f.Members[i]
		if !m.Issued && o.Connection.ID == 0 {
			if m.Issued, m.Gone, err = anyOf(r, m.ID); err != nil {
				return err
			}
		}
		if w.Promised != nil && w.Promised(m.ID) {
			m.Issued, m.Gone = true, false
		}
		m.Visible = m.Visible || m.Issued && !m.Gone
	}
	return nil
}

// anyOf reports whether any owner, or none, has a resource of that id, and whether nothing is left of it.
func anyOf(r Reader, id string) (issued, gone bool, err error) {
	for _, t := range []scim.ResourceType{scim.User, scim.Group} {
		x, err := r.Account(t, id, References{})
		if err == nil || KindOf(err) != NotFound {
			return err == nil, err == nil && isGone(&x), err
		}
	}
	return false, false, nil
}

// Restore is the part of a Desired that a person wants of a resource beside what its owner asserts.
type Restore struct {
	*Wanted
	stored *Resource // as it is, where Facts.Current has the overrides that are wanted
	kept   bool      // by the rules of the owner that it has
	since  bool      // LeftAt departs from what follows from the rest
}

// setOverrides has everything that is derived go by the overrides that are wanted.
func (w *Restore) setOverrides(f *Facts) error {
	if f.Current == nil {
		return nil
	}
	w.stored = f.Current
	if w.Overrides == nil {
		return nil
	}
	next := *f.Current
	var err error
	if next.Overrides, err = overridesDocument(*w.Overrides); err != nil {
		return err
	}
	f.Current = &next
	return nil
}

func overridesDocument(overrides map[string]any) ([]byte, error) {
	if len(overrides) == 0 {
		return nil, nil
	}
	doc, err := json.Marshal(overrides)
	if err != nil {
		return nil, fmt.Errorf("overrides: %w", err)
	}
	return doc, nil
}

// effective is what the host application sees where that does not follow from the rules: of a new resource, or a purged
// one, what is wanted, and of one whose documents stay as they are what it sees.
func (w *Restore) effective(m meant, d Desired, was scim.Attributes) (scim.Attributes, bool) {
	switch {
	case m.current == nil, len(m.asserted) == 0:
		if w.Effective == nil {
			return nil, false
		}
		return w.Effective(d.Asserted), true
	case m.linked, !bytes.Equal(m.current.Overrides, w.stored.Overrides), !scim.Equal(m.asserted, d.Asserted):
		return nil, false
	default:
		appears := !w.stored.Visible && (w.Visible == nil || *w.Visible)
		return was, !appears
	}
}

// inViews has those be members in one view alone who are wanted so. Who is a member in the other one alone becomes one
// in both first: an id is in one list of a change at most.
func (w *Restore) inViews(f Facts, change scim.MemberChange, delta *MemberDelta) {
	if w.Members == nil {
		return
	}
	stands := standings(f, change)
	gone := map[string]bool{}
	for _, m := range f.Members {
		gone[m.ID] = m.Gone
	}
	for _, m := range *w.Members {
		stand := stands[m.Value]
		if gone[m.Value] || m.Asserted == m.Effective || stand.asserted != stand.effective && stand.asserted != m.Asserted {
			continue
		}
		is := func(other scim.Member) bool { return other.Value == m.Value }
		delta.Add, delta.AssertedAdd, delta.EffectiveAdd = slices.DeleteFunc(delta.Add, is), slices.DeleteFunc(delta.AssertedAdd, is), slices.DeleteFunc(delta.EffectiveAdd, is)
		switch {
		case stand.asserted && stand.effective && m.Asserted:
			delta.EffectiveRemove = append(delta.EffectiveRemove, m.Value)
		case stand.asserted && stand.effective:
			delta.AssertedRemove = append(delta.AssertedRemove, m.Value)
		case stand.asserted || stand.effective: // it is so
		case m.Asserted:
			delta.AssertedAdd = append(delta.AssertedAdd, m.Member)
		default:
			delta.EffectiveAdd = append(delta.EffectiveAdd, m.Member)
		}
	}
}

// over makes the rest of a row what is wanted. What a guard keeps stays in, with a warning.
func (w *Restore) over(after *Resource, e *effect, r *Rules, now time.Time) error {
	if w.Visible != nil {
		after.Visible = *w.Visible
	}
	if w.Protected != nil {
		after.Protected = *w.Protected
	}
	if w.Overrides != nil {
		var err error
		if after.Overrides, err = overridesDocument(*w.Overrides); err != nil {
			return err
		}
	}
	if err := w.setRole(after); err != nil {
		return err
	}
	w.setState(after, e, r, now)
	if w.PurgeAt != nil && after.State == Removed && !w.PurgeAt.Equal(after.PurgeAt) && !w.keeps(r) {
		if after.PurgeAt = *w.PurgeAt; after.LeftAt.IsZero() {
			after.LeftAt = now // what was purged is there again, and out since now
		}
	}
	return w.setLeft(after, now)
}

// setLeft gives since when somebody is suspended: ageing counts from it.
func (w *Restore) setLeft(after *Resource, now time.Time) error {
	switch {
	case w.LeftAt == nil, w.LeftAt.IsZero(), after.State != Suspended, w.LeftAt.Equal(after.LeftAt):
		return nil
	case w.LeftAt.After(now):
		return &Error{Kind: Invalid, Attribute: "leftAt", Detail: "leftAt: that instant is yet to come; name one that has been"}
	}
	after.LeftAt, w.since = *w.LeftAt, true
	return nil
}

// leftDiff is what the journal is to tell of it.
func (w *Restore) leftDiff(after *Resource) []AttributeChange {
	if w == nil || !w.since {
		return nil
	}
	var was Resource
	if w.stored != nil {
		was = *w.stored
	}
	return []AttributeChange{{Path: PathLeftAt, Old: instant("", was.LeftAt).New, New: instant("", after.LeftAt).New}}
}

// keeps reports whether a guard keeps what is stored: a file that lifts a protection takes nothing away at once.
func (w *Restore) keeps(r *Rules) bool {
	return w.stored != nil && (w.kept || r.protects(w.stored))
}

// setRole gives the role. One that departs from what the rules give is a person's choice, and kept as such unless the
// overrides were spoken of, too.
func (w *Restore) setRole(after *Resource) error {
	if w.Role == nil || after.Type != scim.User || after.Role == roleKey(*w.Role) {
		return nil
	}
	if misspells(*w.Role) { // others may be of settings that are yet to come
		return &Error{Kind: Invalid, Attribute: "role", Detail: fmt.Sprintf("role: there is no such role; write one of %q as it is here", commonRoles)}
	}
	after.Role = roleKey(*w.Role)
	if w.Overrides != nil {
		return nil
	}
	overrides, err := overridesOf(after)
	if err != nil {
		return err
	}
	if overrides == nil {
		overrides = map[string]any{}
	}
	overrides[overrideRole] = *w.Role
	after.Overrides, err = overridesDocument(overrides)
	return err
}

// setState gives the state. Whoever says one says it against every policy, so nothing is left to wait for; but what a
// guard keeps stays in.
func (w *Restore) setState(after *Resource, e *effect, r *Rules, now time.Time) {
	if w.State == "" {
		return
	}
	// Of what the rules made of the row, what a guard keeps among a group's members is all that stands.
	*e = effect{matters: slices.DeleteFunc(e.matters, func(m MatterChange) bool { return m.Open == nil || m.Open.Cause != CauseMembers })}
	x := w.stored
	if x != nil && x.Connection != after.Connection { // what the earlier owner's client asked for is nobody's wish any more
		e.settle(x, now, MatterHeld, MatterKept, MatterDelayed, MatterPurge)
	}
	switch {
	case x == nil:
	case w.keeps(r) && (x.State.in() && !w.State.in() || x.State != Removed && w.State == Removed):
		e.warning = Reason{Code: ReasonKept, Args: map[string]string{"cause": CauseImport, "because": r.because(x)}}
		stays(x).apply(after)
		return
	case x.State == w.State:
		stays(x).apply(after)
		return
	default:
		e.settle(x, now, MatterHeld, MatterKept, MatterDelayed, MatterPurge)
		e.cause, e.reason = CauseImport, Reason{Code: ReasonByPerson, Args: map[string]string{"state": string(w.State), "cause": CauseImport}}
		e.action = map[State]Action{Suspended: ChangeSuspend, Removed: ChangeDelete, Active: ChangeRestore, Held: ChangeUpdate}[w.State]
	}
	to := effect{state: after.State, left: after.LeftAt, purgeAt: after.PurgeAt}
	if x != nil {
		to = stays(x)
	}
	to.goes(w.State, now)
	if w.State == Removed && w.PurgeAt == nil {
		to.purgeAt = now.Add(r.Settings.Deletion.Grace.Duration())
	}
	to.apply(after)
}
