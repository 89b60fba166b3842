package provisioning

import (
	"errors"
	"slices"
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
