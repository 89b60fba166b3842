package provisioning

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"meibo/scim"
)

// wants is what the entry, the resource before it and the resource after it say was wanted.
func (c *recorded) wants() error {
	e := c.entry
	c.desired = Desired{Type: e.ResourceType, Connection: e.Connection, ID: e.ResourceID, Now: e.At.UTC()}
	c.facts = Facts{HasOpen: true, HasListed: true, HasGroups: true, HasHolder: true, HasWaiting: true, HasTaken: true, Left: c.left()}
	if c.before != nil {
		for _, m := range c.before.Members {
			c.facts.Open = append(c.facts.Open, m.Membership)
		}
		c.before.Removals = c.removals()
	}
	c.facts.Departure = c.departure()
	if c.source == sourcePerson && e.MatchedBy != matchedByPerson || c.source == sourceSchedule || c.source == sourceUndo {
		return c.choice()
	}
	return c.assertion()
}

// readGroups adds in which groups a user was, where the rules ask for that.
func (c *recorded) readGroups(r Reader) error {
	if c.entry.ResourceType != scim.User || !c.rules.readsGroups() {
		return nil
	}
	h, err := r.Horizon()
	if err != nil {
		return err
	}
	groups, err := groupsAt(r, PastQuery{Type: scim.User, ID: c.entry.ResourceID, At: c.entry.At}, h)
	if KindOf(err) == Gone {
		c.lacks, err = lacksHistory, nil
	}
	for _, g := range groups {
		if g.Asserted {
			c.before.Resource.Groups = append(c.before.Resource.Groups, g.Reference)
		}
	}
	return err
}

// left is why the resource came into its state.
func (c *recorded) left() *Reason {
	reason := Reason{}
	for i := len(c.own) - 1; i >= 0; i-- {
		if e := &c.own[i]; changesState(e) {
			reason = e.why()
			break
		}
	}
	return &reason
}

// removals are what a group had lost when a tolerance stopped another removal.
func (c *recorded) removals() []byte {
	n, err := strconv.Atoi(c.entry.Reason.Args["spent"])
	if err != nil || c.entry.Reason.Code != ReasonTolerance || c.entry.Reason.Args["cause"] != CauseMembers || n == 0 {
		return nil
	}
	lost, _ := json.Marshal([]Spent{{Until: c.entry.At, N: n}}) // times and numbers always marshal
	return lost
}

// departure is what a departure was weighed by: the counts in the reason, or the word that the outcome tells of.
func (c *recorded) departure() *DepartureFacts {
	e, now := c.entry, c.entry.At
	cause := e.Reason.Args["cause"]
	number := func(name string) int {
		n, _ := strconv.Atoi(e.Reason.Args[name])
		return n
	}
	word, causes := MatterAllowed, []string{CauseMembers} // nothing stopped it
	switch {
	case e.Reason.Code == ReasonTolerance:
		f := &DepartureFacts{Present: number("of") - number("spent")}
		if n := number("spent"); n > 0 {
			f.Budget.Spent = []Spent{{Until: now, N: n}}
		}
		return f
	case e.Reason.Code == ReasonIgnored && (cause == CauseMembers || c.rules.policy(e.ResourceType, cause) != IgnorePolicy):
		word, causes = MatterRejected, []string{cause}
	case e.Reason.Code == ReasonRoleKept && e.Action == ActionDisable && !changesState(e): // it was ignored, too
		word, causes = MatterRejected, []string{CauseDeactivated, CauseScope}
	}
	f := &DepartureFacts{Budget: Budget{Allowances: []Allowance{{Left: -1, Until: now.Add(time.Hour)}}}}
	for _, cause := range causes {
		f.Matters = append(f.Matters, Matter{Kind: MatterDelayed, Cause: cause, Status: word, Members: e.Members.AssertedRemove})
	}
	if word == MatterRejected && cause == CauseMembers { // of some; the others left
		f.Matters = slices.Insert(f.Matters, 0, Matter{Kind: MatterDelayed, Cause: cause, Status: MatterAllowed})
	}
	return f
}

// assertion is what a client, a file or a run wanted.
func (c *recorded) assertion() (err error) {
	e, f, d := c.entry, &c.facts, &c.desired
	stood := c.after
	if c.before != nil {
		if f.Asserted, err = decoded(e.ResourceType, c.before.Asserted); err != nil {
			return err
		}
	}
	if d.Asserted, err = decoded(e.ResourceType, stood.Asserted); err != nil {
		return err
	}
	switch cause := e.Reason.Args["cause"]; {
	case c.source == sourceRun:
		d.Anew = true
	case e.Error != nil && cause == CauseDeactivated: // it was delayed
		d.Asserted = withAttribute(d.Asserted, "active", false)
	case e.Error != nil && cause == CauseDeleted,
		c.before != nil && c.before.Visible && !stood.Visible && (c.source != sourceFile || cause == CauseDeleted):
		d.Presence = Absent
	}
	c.members()
	d.ByPerson = c.source == sourceFile || c.source == sourcePerson
	if c.before == nil {
		for _, id := range unfew(e.Reason.Args["alike"]) {
			f.Candidates.Stable = append(f.Candidates.Stable, Resource{ID: id, Visible: true})
		}
		if c.source == sourceFile {
			c.restore()
		}
		return nil
	}
	x := &c.before.Resource
	switch {
	case c.source == sourceFile && d.Presence == Present:
		f.Current, d.Link = x, x.Connection != d.Connection
		c.restore()
	case e.MatchedBy == matchedByPerson:
		f.Current, d.Link = x, true
	case e.MatchedBy == matchedByID, e.MatchedBy == "":
		f.Current = x
	case x.Connection == d.Connection:
		f.Candidates.Stable = []Resource{*x}
	case e.MatchedBy == matchedByEmails:
		f.Candidates.Mail = []Resource{*x}
	default:
		f.Candidates.Effective = x
	}
	return nil
}

// members is what was wanted of a group's members, with what was known of them.
func (c *recorded) members() {
	e, d := c.entry, &c.desired
	if e.ResourceType != scim.Group {
		return
	}
	delta := e.Members
	d.Members.Add = slices.Concat(delta.Add, delta.AssertedAdd)
	d.Members.Remove = slices.Concat(delta.Remove, delta.AssertedRemove)
	was := map[string]Membership{}
	for _, m := range c.facts.Open {
		was[m.Value] = m
	}
	for _, id := range namedMembers(d.Members) {
		m := was[id]
		c.facts.Members = append(c.facts.Members, MemberFact{ID: id, Issued: true, Visible: true, Member: m.Asserted, Effective: m.Effective, Display: m.Display})
	}
	if e.Reason.Code == ReasonMemberGone {
		for _, id := range unfew(e.Reason.Args["members"]) {
			d.Members.Add = append(d.Members.Add, scim.Member{Value: id})
			c.facts.Members = append(c.facts.Members, MemberFact{ID: id, Issued: true})
		}
	}
}

// unfew are ids of which few says what it was given.
func unfew(text string) (ids []string) {
	text, more, _ := strings.Cut(text, " and ")
	for _, quoted := range strings.Split(text, ", ") {
		if id, err := strconv.Unquote(quoted); err == nil {
			ids = append(ids, id)
		}
	}
	more, _ = strings.CutSuffix(more, " more")
	n, _ := strconv.Atoi(more)
	for i := range n {
		ids = append(ids, fmt.Sprint("one more ", i))
	}
	return ids
}

// restore is what a file wanted of the rest of the row.
func (c *recorded) restore() {
	e, after := c.entry, c.after
	overrides, _ := overridesOf(&after.Resource) // they were read before
	if overrides == nil {
		overrides = map[string]any{}
	}
	role := after.RoleName()
	w := &Wanted{Type: e.ResourceType, Visible: &after.Visible, Role: &role, Protected: &after.Protected, Overrides: &overrides}
	if after.State == Removed {
		w.PurgeAt = &after.PurgeAt
	}
	if at := leftSince(e); !at.IsZero() {
		w.LeftAt = &at
	}
	stayed := e.Reason.Code == ReasonRestored && c.before != nil && c.before.State == after.State // where the rules might have brought it back
	if stayed || slices.Contains([]string{ReasonCreated, ReasonAsserted, ReasonUnchanged, ReasonByPerson, ReasonAdopted, ReasonMemberGone}, e.Reason.Code) {
		w.State = after.State
	}
	switch kept := e.Reason.Code == ReasonKept; {
	case kept && e.Reason.Args["cause"] == CauseImport:
		w.State = Removed // or suspended: to be kept comes to the same
	case kept && e.Reason.Args["cause"] == CauseMembers:
		w.State = after.State // or what the rules say, which comes to the same
	}
	w.Effective = func(scim.Attributes) scim.Attributes {
		a, _ := effectiveOf(&after.Resource)
		return a
	}
	if e.ResourceType == scim.Group {
		var list []Membership
		kept := e.Reason.Code == ReasonKept && e.Reason.Args["cause"] == CauseMembers // whom the file left out
		for _, m := range after.Members {
			if m.Asserted || !kept {
				list = append(list, m.Membership)
			}
		}
		w.Members = &list
		c.wholeMembers(list)
	}
	c.desired.Restore = &Restore{Wanted: w}
	if c.before != nil {
		c.desired.Restore.stored = c.facts.Current
		next := *c.facts.Current
		next.Overrides = after.Overrides
		c.facts.Current = &next
	}
}

// wholeMembers is a file's list of a group's members.
func (c *recorded) wholeMembers(list []Membership) {
	f, d := &c.facts, &c.desired
	d.Members = scim.MemberChange{Replace: c.before != nil}
	f.Members = nil
	was := map[string]Membership{}
	for _, m := range f.Open {
		was[m.Value] = m
	}
	for _, m := range list {
		d.Members.Add = append(d.Members.Add, m.Member)
		old := was[m.Value]
		f.Members = append(f.Members, MemberFact{ID: m.Value, Issued: true, Visible: true, Member: old.Asserted, Effective: old.Effective})
	}
}

// keptThen says whom the settings of another owner protected at that time.
func (s *Service) keptThen(r Reader, c *recorded) error {
	if c.before == nil || c.before.Connection == 0 || c.before.Connection == c.entry.Connection {
		return nil
	}
	all, err := r.SettingsHistory(c.before.Connection)
	if err != nil {
		return err
	}
	var version int64
	for _, v := range all {
		if !v.At.After(c.entry.At) {
			version = max(version, v.Version)
		}
	}
	rules, err := s.rulesThen(r, c.before.Connection, version)
	if err == nil && rules.protects(&c.before.Resource) {
		c.facts.Kept = map[string]bool{c.before.ID: true}
		if c.desired.Restore != nil {
			c.desired.Restore.kept = true
		}
	}
	return err
}

// choice is what a person, the clock or an undo chose.
func (c *recorded) choice() (err error) {
	e, a := c.entry, &Act{Cause: c.entry.Reason.Args["cause"], State: State(c.entry.Reason.Args["state"]), Purge: c.entry.Reason.Code == ReasonPurged}
	c.facts.Current = &c.before.Resource
	if c.facts.Asserted, err = decoded(e.ResourceType, c.before.Asserted); err != nil {
		return err
	}
	c.desired.Act = a
	if e.Reason.Code == ReasonAnswered {
		a.Counts = uncounted(e.Reason.Args["counts"])
	}
	if role, chosen := e.Reason.Args["role"]; chosen {
		a.Role = &role
	}
	derived := false
	for _, d := range e.Diff {
		path, isOverride := strings.CutPrefix(d.Path, PathOverride)
		switch {
		case d.Path == PathProtected:
			on := d.New == true
			a.Protected = &on
		case d.Path == PathPurgeAt && d.New == nil:
			a.Wait = a.State == "" && !a.Purge && c.after.State == Removed
		case d.Path == PathPurgeAt:
			a.Grace = Period(c.after.PurgeAt.Sub(e.At))
		case d.Path == PathState:
			a.Release = a.State == "" && d.Old == string(Held)
		case strings.HasPrefix(d.Path, PathEffective):
			derived = true
		case isOverride && path != overrideRole && !strings.HasPrefix(path, prefixUndone):
			if a.Overrides == nil {
				a.Overrides = map[string]any{}
			}
			a.Overrides[path] = d.New
		}
	}
	switch m := e.Members; {
	case m.IsZero():
	case a.Cause == CauseMembers:
		a.Leave = slices.Concat(m.Remove, m.EffectiveRemove)
	default:
		a.Empty = true
	}
	if c.source == sourceUndo {
		return c.undoing(a)
	}
	if derived && a.Overrides == nil && !a.Purge { // what was chosen before was chosen again, under other rules
		a.Overrides, err = c.chosen()
	}
	return err
}

// uncounted are the counts that CountsText says.
func uncounted(text string) map[string]int64 {
	counts := map[string]int64{}
	for _, part := range strings.Split(text, ", ") {
		i := strings.LastIndexByte(part, ' ')
		if n, err := strconv.ParseInt(part[i+1:], 10, 64); err == nil && i > 0 {
			counts[part[:i]] = n
		}
	}
	return counts
}

// chosen are the overrides that were there.
func (c *recorded) chosen() (map[string]any, error) {
	all, err := overridesOf(&c.before.Resource)
	chosen, _ := splitOverrides(all)
	return chosen, err
}

// undoing is what an undo brought back.
func (c *recorded) undoing(a *Act) error {
	e := c.entry
	b := &Earlier{Entry: e.Reason.Args["entry"], PurgeAt: c.after.PurgeAt, Protected: a.Protected, Overrides: a.Overrides, Members: e.Members}
	b.Entries, _ = strconv.Atoi(e.Reason.Args["entries"])
	*a = Act{Earlier: b, Grace: a.Grace}
	before, err := viewOf(&c.before.Resource)
	if err != nil {
		return err
	}
	after, err := viewOf(&c.after.Resource)
	if err != nil {
		return err
	}
	was, is := attributePaths(e.ResourceType, before.seen()), attributePaths(e.ResourceType, after.seen())
	returns := map[string]any{}
	for _, path := range unionKeys(was, is) {
		if !scim.Equal(was[path], is[path]) {
			returns[path] = is[path]
		}
	}
	for _, d := range e.Diff {
		path, undone := strings.CutPrefix(d.Path, PathOverride+prefixUndone)
		switch {
		case d.Path == PathOverride+overrideRole:
			if b.Overrides == nil {
				b.Overrides = map[string]any{}
			}
			b.Overrides[overrideRole] = d.New
		case d.Path == PathState:
			a.State = c.after.State
		case d.Path == PathRole:
			b.Role = &c.after.Role
		case d.Path == PathOwner:
			b.Owner = &Ownership{Connection: c.after.Connection, Visible: c.after.Visible, Asserted: after.asserted}
			kept := attributePaths(e.ResourceType, after.asserted) // over which all that the host application saw was laid
			for _, path := range unionKeys(kept, is) {
				if !scim.Equal(kept[path], is[path]) {
					returns[path] = is[path]
				}
			}
		case undone && path != overrideRole:
			returns[path] = is[path]
		case undone && b.Role == nil:
			b.Role = &c.after.Role
		}
	}
	if len(returns) > 0 {
		b.Attributes = maps.Clone(returns)
	}
	return nil
}
