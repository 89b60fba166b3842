package provisioning

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"meibo/scim"
)

// recorded are the inputs of one decision, as the journal has them: decide comes to the same change from them as it came
// to when the entry was written.
type recorded struct {
	entry  *Entry
	source source
	rules  *Rules // of the version of the settings that decided

	before, after *Past   // before is nil for what was made by it; equal where nothing changed
	own           []Entry // that changed the resource before it, in the order of versions

	facts   Facts
	desired Desired
	makes   *recorded // the decision that this one makes room for; nil for one of its own

	lacks string // why it cannot be decided again, as a code; "" where it can
}

// source is who, or what, wanted a change.
type source string

const (
	sourceClient   source = "client"   // a request of a connection's client
	sourcePerson   source = "person"   // the console, the API or the command line, in somebody's name
	sourceFile     source = "file"     // a row of an import
	sourceRun      source = "run"      // a job that decides anew
	sourceUndo     source = "undo"     // a job that takes changes back
	sourceSchedule source = "schedule" // time
	sourceSide     source = "side"     // it makes room for another change
	sourceMember   source = "member"   // it follows from what becomes of a member
)

// Why a decision cannot be made again from the journal alone.
const (
	lacksDecision = "decision" // none was made: what was asked for does not exist, or could not be read
	lacksRequest  = "request"  // the journal does not say what the refused request wanted
	lacksHistory  = "history"  // older entries were purged
	lacksValues   = "values"   // they were erased
)

// record reads what the journal has of an entry's decision.
func (s *Service) record(r Reader, e *Entry) (*recorded, error) {
	c := &recorded{entry: e}
	var err error
	if c.rules, err = s.rulesThen(r, e.Connection, e.SettingsVersion); err != nil {
		return nil, err
	}
	if c.source, err = sourceOf(r, e); err != nil || e.ResourceType == "" {
		c.lacks = lacksDecision
		return c, err
	}
	if e.ResourceID != "" {
		err := erased(r, PastQuery{Type: e.ResourceType, ID: e.ResourceID})
		if KindOf(err) == Gone && err != nil {
			c.lacks = lacksValues
			return c, nil
		}
		if err == nil {
			err = c.fold(r)
		}
		if err != nil {
			return nil, err
		}
	}
	if c.lacks = c.lack(); c.lacks != "" {
		return c, nil
	}
	if c.source == sourceSide {
		return c, s.sideOf(r, c)
	}
	if c.source == sourceMember {
		return c, c.memberOf(r)
	}
	return c, s.inputs(r, c)
}

// rulesThen are the rules of one version of a connection's settings.
func (s *Service) rulesThen(r Reader, connection, version int64) (*Rules, error) {
	if connection == 0 {
		return defaultRules, nil
	}
	return s.rules(r, Connection{ID: connection, SettingsVersion: version, Settings: DefaultConnectionSettings()})
}

// sourceOf tells whose wish an entry's change was.
func sourceOf(r Reader, e *Entry) (source, error) {
	kind, _ := InitiatorOf(e.Actor)
	if e.Request == nil {
		j, err := r.Job(e.Correlation)
		switch {
		case e.Reason.Code == ReasonNameRecycled:
			return sourceSide, nil
		case e.Reason.Code == ReasonMemberPurged, e.Reason.Code == ReasonMemberBack:
			return sourceMember, nil
		case err != nil && KindOf(err) != NotFound:
			return "", err
		case err == nil && j.Kind == JobUndo, e.Reason.Code == ReasonUndone:
			return sourceUndo, nil
		case err == nil && j.decidesAnew(), kind == InitiatorApplication:
			return sourceRun, nil
		case kind == InitiatorSystem:
			return sourceSchedule, nil
		}
	}
	switch {
	case kind == InitiatorApplication:
		return sourceClient, nil
	case e.isAct():
		return sourcePerson, nil
	case e.ResourceType == "":
		return sourcePerson, nil
	case e.MatchedBy != matchedByPerson:
		return sourceFile, nil
	}
	linked := sourceFile
	err := r.Matters(MatterQuery{Resource: e.ResourceID, Kind: MatterAdoption}, func(m Matter) error {
		if m.Status == MatterLinked && m.ClosedAt.Equal(e.At) {
			linked = sourcePerson
		}
		return nil
	})
	return linked, err
}

// isAct reports whether an entry tells of a choice about the effective side of a resource, and nothing else.
func (e *Entry) isAct() bool {
	switch e.Reason.Code {
	case ReasonPurged, ReasonUndone, ReasonAnswered:
		return true
	case ReasonUnchanged:
		return len(e.Reason.Args) > 0
	case ReasonByPerson:
		if e.Reason.Args["cause"] == CauseImport {
			return false
		}
	default:
		return e.Error != nil
	}
	_, role := e.Reason.Args["role"]
	return !slices.ContainsFunc(e.Diff, func(c AttributeChange) bool {
		return !strings.HasPrefix(c.Path, "meibo.") || c.Path == PathVisible || c.Path == PathOwner || c.Path == PathRole && !role
	})
}

// fold reads what the resource was before the entry, and what it was after.
func (c *recorded) fold(r Reader) error {
	e := c.entry
	all, err := versionsOf(r, EntryQuery{Resource: e.ResourceID, Until: e.At.Add(2 * writeTimeout)}, e.ResourceType)
	if err != nil || len(all) == 0 || all[0].Version > 1 && all[0].Reason.Code != ReasonBaseline {
		return err
	}
	reached := slices.IndexFunc(all, func(own Entry) bool {
		return e.Version > 0 && own.Version >= e.Version || e.Version == 0 && !earlier(&own, e)
	})
	if reached < 0 {
		reached = len(all)
	}
	c.own = all[:reached]
	if c.before, err = pastAfter(c.own); err != nil {
		return err
	}
	if c.after = c.before; e.Version > 0 && reached < len(all) {
		c.after, err = pastAfter(all[:reached+1])
	}
	return err
}

// pastAfter is what some entries of a resource come to; nil for none.
func pastAfter(own []Entry) (*Past, error) {
	if len(own) == 0 {
		return nil, nil
	}
	f, err := foldOf(sinceBaseline(own), "")
	if err != nil {
		return nil, err
	}
	x, err := f.resource()
	return &Past{Resource: x, Entry: f.entry, Members: f.open()}, err
}

// earlier reports whether one entry was written before another.
func earlier(a, b *Entry) bool {
	return a.At.Before(b.At) || a.At.Equal(b.At) && a.ID < b.ID
}

// lack says why a decision cannot be made again; "" where it can.
func (c *recorded) lack() string {
	e := c.entry
	switch {
	case e.Reason.Code == ReasonBaseline:
		return lacksDecision
	case c.before == nil && e.Version > 1:
		return lacksHistory
	case e.Version > 0:
		return ""
	case e.Reason.Code == ReasonNotFound, c.before == nil && e.Error == nil:
		return lacksDecision
	case e.Error == nil:
		return ""
	case c.before == nil:
		return lacksRequest
	}
	switch cause := e.Reason.Args["cause"]; {
	case e.Outcome == Skipped && e.Reason.Code == ReasonTolerance && (cause == CauseDeactivated || cause == CauseDeleted):
		return ""
	default:
		return lacksRequest
	}
}

// sideOf has a change that makes room decide with the one that it makes room for.
func (s *Service) sideOf(r Reader, c *recorded) error {
	var main *Entry
	err := r.Entries(EntryQuery{Resource: c.entry.Reason.Args["by"], Since: c.entry.At, Until: c.entry.At.Add(time.Microsecond)}, func(e Entry) error {
		if e.Correlation == c.entry.Correlation && e.Version > 0 {
			main = &e
		}
		return nil
	})
	if err != nil {
		return err
	}
	if main == nil {
		c.lacks = lacksHistory
		return nil
	}
	if c.makes, err = s.record(r, main); err != nil {
		return err
	}
	c.lacks = c.makes.lacks
	c.makes.facts.Candidates.Effective = &c.before.Resource
	return nil
}

// memberOf has a change that follows from what became of a member go by that one and the group.
func (c *recorded) memberOf(r Reader) error {
	by := c.entry.Reason.Args["by"]
	member, err := pastOf(r, PastQuery{Type: scim.User, ID: by, At: c.entry.At})
	if KindOf(err) == NotFound && err != nil {
		member, err = pastOf(r, PastQuery{Type: scim.Group, ID: by, At: c.entry.At})
	}
	switch {
	case err == nil:
	case KindOf(err) == Gone, KindOf(err) == NotFound:
		c.lacks = lacksHistory
		return nil
	default:
		return err
	}
	c.facts.Current = &member.Resource
	g := GroupFact{Group: c.before.Resource}
	for _, m := range c.before.Members {
		if m.Value == by {
			g.Membership = m.Membership
		}
	}
	c.facts.Groups = []GroupFact{g}
	return nil
}

// followed is the change of a group that followed from what became of a member.
func (c *recorded) followed() (Change, error) {
	x, now := c.facts.Current, c.entry.At.UTC()
	changes, _, err := partings(c.facts.Groups, x.ID, x.Visible, now)
	if c.entry.Reason.Code == ReasonMemberBack {
		changes, err = rejoins(c.facts.Groups, now)
	}
	if err == nil && len(changes) == 0 {
		err = errors.New("nothing follows")
	}
	if err != nil {
		return Change{}, err
	}
	changes[0].RuleVersion = c.rules.Version
	return changes[0], nil
}

// inputs are the facts and what was desired.
func (s *Service) inputs(r Reader, c *recorded) error {
	if c.before != nil {
		if err := c.readGroups(r); err != nil {
			return err
		}
	}
	if err := c.wants(); err != nil || c.desired.Act != nil {
		return err
	}
	return s.keptThen(r, c)
}

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

// seen is what the host application sees.
func (v view) seen() scim.Attributes {
	if v.effective == nil {
		return v.asserted
	}
	return v.effective
}

// decide makes the decision again, and returns the entry that it would write.
func (c *recorded) decide() (Entry, error) {
	main := c
	if c.makes != nil {
		main = c.makes
	}
	o := Origin{Connection: Connection{ID: c.entry.Connection, Name: c.entry.ConnectionName}, Actor: c.entry.Actor, Correlation: c.entry.Correlation}
	in := Intent{Action: c.entry.Action, Type: c.entry.ResourceType, ID: c.entry.ResourceID, Name: c.entry.ResourceName}
	if c.source == sourceMember {
		change, err := c.followed()
		return changeEntry(o, in, change), err
	}
	d, err := decide(main.facts, main.desired, main.rules)
	var own *Error
	switch {
	case errors.As(err, &own):
		return failureEntry(o, in, own), nil
	case err != nil:
		return Entry{}, err
	case c.makes != nil && len(d.Changes) < 2:
		return Entry{}, errors.New("nothing makes room")
	}
	change := d.Changes[len(d.Changes)-1]
	if c.makes != nil {
		change = d.Changes[0]
	}
	change.RuleVersion = main.rules.Version
	return changeEntry(o, in, change), nil
}
