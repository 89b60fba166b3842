package provisioning

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"meibo/scim"
)

// WhyNot is why somebody is not there, or not as expected.
type WhyNot struct {
	Asked   string
	Healthy bool     // there is nothing wrong with the person
	User    *Subject // who was found; nil for nobody
	Since   time.Time
	Causes  []Diagnosis
}

// Subject is a user whom a text means.
type Subject struct {
	ID         string
	Name       string
	State      State
	Connection string // owner; "" for none
}

// Diagnosis is one cause, with what shows it.
type Diagnosis struct {
	Cause     NotCause
	Statement Statement
	Entry     string // id of the entry that shows it; "" for none
	Matter    string // id of the open matter; "" for none
	At        time.Time
	Times     int // how often it was asked for
	Rule      *Rule
}

// NotCause is why somebody is not there, or not as expected.
type NotCause string

const (
	NotSent      NotCause = "neverSent"         // no request named them
	NotAccepted  NotCause = "refused"           // a request was refused
	NotMapped    NotCause = "mappingFailed"     // the attribute mapping has no value
	NotAsked     NotCause = "asked"             // a person has to say whose account it is
	NotIgnored   NotCause = "ignored"           // a policy, or a person, has the client's word ignored
	NotInScope   NotCause = "outOfScope"        // the connection does not manage them
	NotHeld      NotCause = "held"              // it waits for a person
	NotWithheld  NotCause = "withheld"          // a guard keeps them
	NotYet       NotCause = "delayed"           // a tolerance has it wait
	NotActive    NotCause = "deactivated"       // the client said that they are not active
	NotThere     NotCause = "deleted"           // the client deleted them
	NotByPerson  NotCause = "byPerson"          // a person suspended or removed them
	NotAged      NotCause = "aged"              // they were suspended for long
	NotErased    NotCause = "erased"            // they were purged
	NotRenamed   NotCause = "renamed"           // they have another userName now
	NotOurs      NotCause = "anotherConnection" // another connection has the account
	NotFollowing NotCause = "userNameFrozen"    // the userName of the creation stays
	NotReachable NotCause = "paused"            // the connection is paused
	NotHeard     NotCause = "silent"            // nothing was heard of the connection
	NothingWrong NotCause = "healthy"
)

// WhyNot says why somebody is not there, or not as expected: the most likely cause first. user is an id, a userName of now or
// earlier, or a mail address or an externalId of now: earlier ones are in no index. NotFound for the tenant.
func (s *Service) WhyNot(ctx context.Context, tenant, user string) (WhyNot, error) {
	return View(ctx, s.store, tenant, func(r Reader) (WhyNot, error) {
		if err := r.Snapshot(); err != nil {
			return WhyNot{}, err
		}
		owner, err := tenantOf(r, tenant)
		if err != nil {
			return WhyNot{}, err
		}
		d := doctor{Service: s, r: r, tenant: tenant, out: WhyNot{Asked: user, Since: owner.Created}}
		if err := d.examine(); err != nil {
			return WhyNot{}, err
		}
		return d.out, nil
	})
}

// doctor finds out what is wrong with somebody.
type doctor struct {
	*Service
	r           Reader
	tenant      string
	out         WhyNot
	connections map[int64]Connection
	failures    []Entry // of requests that name them, newest first
	runs        []Entry // that name them, and failed, newest first
	who         *person // nil for nobody
	why         *Entry  // that made the state what it is
}

func (d *doctor) examine() error {
	h, err := d.r.Horizon()
	if err != nil {
		return err
	}
	if h.Cut.After(d.out.Since) {
		d.out.Since = h.Cut
	}
	all, err := d.r.Connections()
	if err != nil {
		return err
	}
	d.connections = map[int64]Connection{}
	for _, c := range all {
		d.connections[c.ID] = c
	}
	found, err := persons(d.r, d.out.Asked)
	if err != nil {
		return err
	}
	if len(found) > 0 {
		d.who = &found[0]
		d.out.User = &Subject{ID: d.who.ID, Name: d.who.called(), State: d.who.State, Connection: d.connections[d.who.Connection].Name}
	}
	if err := d.readFailures(); err != nil {
		return err
	}
	steps := []func() error{d.absence, d.connection}
	if d.who != nil {
		steps = []func() error{d.state, d.waiting, d.name, d.refusals, d.undecided, d.connection}
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	if len(d.out.Causes) == 0 {
		d.out.Healthy = true
		d.find(NothingWrong, nil)
	}
	return nil
}

// readFailures reads what was refused of them, and which runs failed.
func (d *doctor) readFailures() error {
	queries := []EntryQuery{{Name: d.out.Asked, Outcome: Failure}}
	if d.who != nil {
		queries = append(queries, EntryQuery{Resource: d.who.ID, Outcome: Failure})
	}
	seen := map[string]bool{}
	for _, q := range queries {
		q.Limit = maxNamed
		page, err := d.r.EntryPage(q)
		if err != nil {
			return err
		}
		for _, e := range page.Entries {
			if e.ResourceType != scim.User || seen[e.ID] {
				continue
			}
			seen[e.ID] = true
			if err := d.noteFailure(e); err != nil {
				return err
			}
		}
	}
	newest := func(a, b Entry) int { return b.At.Compare(a.At) }
	slices.SortFunc(d.failures, newest)
	slices.SortFunc(d.runs, newest)
	return nil
}

// noteFailure tells what a client was refused from what no client asked for.
func (d *doctor) noteFailure(e Entry) error {
	by, err := sourceOf(d.r, &e)
	switch {
	case err != nil:
		return err
	case by == sourceRun:
		d.runs = append(d.runs, e)
	case by != sourceUndo && by != sourceSchedule:
		d.failures = append(d.failures, e)
	}
	return nil
}

// find notes a cause that an entry shows; e may be nil.
func (d *doctor) find(cause NotCause, e *Entry, pairs ...string) *Diagnosis {
	args := map[string]string{"who": d.out.Asked, "since": minute(d.out.Since)}
	if d.who != nil {
		args["who"] = d.who.called()
		args["connection"] = d.connections[d.who.Connection].Name
	}
	v := Diagnosis{Cause: cause}
	if e != nil {
		v.Entry, v.At, v.Times = e.ID, e.At, 1
		args["at"] = minute(e.At)
		if e.ConnectionName != "" {
			args["connection"] = e.ConnectionName
		}
		_, args["actor"] = InitiatorOf(e.Actor)
		if e.SettingsVersion > 0 {
			args["version"] = strconv.FormatInt(e.SettingsVersion, 10)
		}
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		args[pairs[i]] = pairs[i+1]
	}
	for name, text := range args {
		if text == "" {
			delete(args, name)
		}
	}
	v.Statement = Statement{"verdict." + string(cause), args}
	d.out.Causes = append(d.out.Causes, v)
	return &d.out.Causes[len(d.out.Causes)-1]
}

// minute is an instant as sentences have it.
func minute(at time.Time) string { return at.UTC().Format("2006-01-02 15:04 MST") }

// absence is why nobody is there at all.
func (d *doctor) absence() error {
	if asked, err := d.question(); err != nil || asked {
		return err
	}
	if len(d.failures) > 0 {
		return d.refusal(d.failures)
	}
	err := d.unheard()
	d.find(NotSent, nil)
	return err
}

// question is whether somebody has to say whose account they mean, or has.
func (d *doctor) question() (bool, error) {
	folded := scim.FoldFull.Apply(d.out.Asked)
	var open, ignored *Matter
	err := d.r.Matters(MatterQuery{Kind: MatterAdoption}, func(m Matter) error {
		if len(m.Asserted) == 0 {
			return nil // whom it was about was erased
		}
		a, err := decoded(m.Type, m.Asserted)
		if err != nil {
			return err
		}
		if scim.FoldFull.Apply(m.Name) != folded && !calledSo(view{a, a}, folded, d.out.Asked) {
			return nil
		}
		switch {
		case m.Status == MatterOpen && open == nil:
			open = &m
		case (m.Status == MatterIgnored || m.Status == MatterCreated) && ignored == nil:
			ignored = &m
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	switch {
	case open != nil:
		v := d.find(NotAsked, d.lastFailure(), "connection", d.connections[open.Connection].Name, "by", open.Reason.Args["by"], "candidates", strings.Join(open.Candidates, ", "))
		v.Matter, v.At, v.Times = open.ID, open.Seen, open.Times
	case ignored != nil && len(d.failures) > 0:
		v := d.find(NotIgnored, d.lastFailure(), "actor", actorName(ignored.ClosedBy), "variant", "adoption", "connection", d.connections[ignored.Connection].Name)
		v.Matter = ignored.ID
	default:
		return false, nil
	}
	return true, nil
}

func actorName(actor string) string {
	_, name := InitiatorOf(actor)
	return name
}

func (d *doctor) lastFailure() *Entry {
	if len(d.failures) == 0 {
		return nil
	}
	return &d.failures[0]
}

// refusal says why the newest of some failures happened.
func (d *doctor) refusal(failures []Entry) error {
	e := &failures[0]
	times := 0
	for i := range failures {
		if codeOf(failures[i].Error) == codeOf(e.Error) {
			times++
		}
	}
	number := strconv.Itoa(times)
	var v *Diagnosis
	switch {
	case e.Error != nil && strings.HasPrefix(e.Error.Detail, unmappedDetail):
		v = d.find(NotMapped, e, "times", number, "detail", e.Error.Detail)
		v.Rule = &Rule{Connection: e.ConnectionName, Version: e.SettingsVersion, Path: "mapping.users"}
	case codeOf(e.Error) == string(scim.Uniqueness) && d.who != nil && d.who.Connection != e.Connection:
		v = d.find(NotOurs, e, "times", number, "name", d.connections[d.who.Connection].Name)
		v.Rule = &Rule{Connection: e.ConnectionName, Version: e.SettingsVersion, Path: "matching.adoption"}
	default:
		detail := ""
		if e.Error != nil {
			detail = e.Error.Detail
		}
		v = d.find(NotAccepted, e, "times", number, "error", codeOf(e.Error), "detail", detail)
	}
	v.Times = times
	return nil
}

// refusals are failures since the account changed last.
func (d *doctor) refusals() error {
	newer := slices.DeleteFunc(slices.Clone(d.failures), func(e Entry) bool {
		return e.At.Before(d.who.Modified) && e.Connection == d.who.Connection || e.Connection == 0
	})
	if len(newer) == 0 {
		return nil
	}
	if newer[0].Connection != d.who.Connection {
		if asked, err := d.question(); err != nil || asked {
			return err
		}
	}
	return d.refusal(newer)
}

// undecided is why the settings cannot be applied to the account. What a run could not do counts for as long as it still cannot
// be done: the settings may have changed since, or the account.
func (d *doctor) undecided() error {
	c, ok := d.connections[d.who.Connection]
	if len(d.runs) == 0 || !ok || d.runs[0].Connection != c.ID {
		return nil
	}
	rules, err := d.rules(d.r, c)
	if err != nil {
		return err
	}
	o := Origin{Tenant: d.tenant, Connection: c}
	_, err = decideUnder(d.r, rules, o, Intent{Type: scim.User, Want: d.anew(o, scim.User, d.who.ID)}, d.Now())
	var own *Error
	switch {
	case err == nil, KindOf(err) == NotFound:
		return nil
	case !errors.As(err, &own):
		return err
	}
	v := d.find(NotAccepted, &d.runs[0], "variant", "run", "detail", own.Detail, "version", strconv.FormatInt(rules.Version, 10))
	if strings.HasPrefix(own.Detail, unmappedDetail) {
		v.Cause, v.Statement.Code = NotMapped, "verdict."+string(NotMapped)
		v.Rule = &Rule{Connection: c.Name, Version: rules.Version, Path: "mapping.users"}
	}
	return nil
}

// state is why the account is not active.
func (d *doctor) state() error {
	x := &d.who.Resource
	if x.State == Active {
		return nil
	}
	e, err := d.stateEntry()
	if err != nil {
		return err
	}
	d.why = e
	if gone, err := d.erasure(); err != nil || gone != nil {
		if err == nil {
			d.find(NotErased, gone, "state", string(x.State))
		}
		return err
	}
	if e == nil {
		e = &Entry{At: x.LeftAt, Reason: Reason{Code: ReasonBaseline}}
	}
	reason := e.why()
	args := []string{"state", string(x.State), "policy", reason.Args["policy"]}
	if x.State == Held {
		return nil // a matter says why
	}
	cause := reason.Args["cause"]
	var path string
	switch {
	case reason.Code == ReasonPurged:
		d.find(NotErased, e, args...)
	case cause == CauseAgeing:
		d.find(NotAged, e, args...)
		path = "deletion.ageing"
	case reason.isPersonal():
		d.find(NotByPerson, e, args...)
	case cause == CauseScope, cause == "" && d.isOut(e):
		d.find(NotInScope, e, args...)
		path = "scope.users"
	case cause == CauseDeleted, cause == "" && !x.Visible:
		d.find(NotThere, e, args...)
		path = policyPath(x.Type, CauseDeleted)
	default:
		d.find(NotActive, e, args...)
		path = policyPath(x.Type, CauseDeactivated)
	}
	v := &d.out.Causes[len(d.out.Causes)-1]
	if path != "" {
		v.Rule = &Rule{Connection: e.ConnectionName, Version: e.SettingsVersion, Path: path}
	}
	return nil
}

// erasure is the entry with which the values of who was removed were purged or erased; nil for none.
func (d *doctor) erasure() (*Entry, error) {
	if d.who.State != Removed || nameOf(scim.User, d.who.doc.asserted) != "" {
		return nil, nil
	}
	for _, code := range []string{ReasonErased, ReasonPurged} {
		page, err := d.r.EntryPage(EntryQuery{Resource: d.who.ID, Reason: code, Limit: 1})
		if err != nil {
			return nil, err
		}
		if len(page.Entries) > 0 {
			return &page.Entries[0], nil
		}
	}
	return nil, nil
}

// isOut reports whether what was new was out of scope.
func (d *doctor) isOut(e *Entry) bool {
	rules, err := d.rulesThen(d.r, e.Connection, e.SettingsVersion)
	return err == nil && isActive(d.who.doc.asserted) && rules.cause(scim.User, d.who.doc.asserted, nil) == CauseScope
}

// stateEntry is the entry that made the state what it is, or with which another cause of the client's took the first one's
// place, as a DELETE does of who was deactivated before; nil for none that is known.
func (d *doctor) stateEntry() (*Entry, error) {
	var first, later *Entry
	stop := &Error{}
	err := d.r.Entries(EntryQuery{Resource: d.who.ID}, func(e Entry) error {
		switch {
		case changesState(&e):
			first = &e
			return stop
		case later == nil && d.lasts(e.Reason):
			later = &e
		}
		return nil
	})
	if err == error(stop) {
		err = nil
	}
	if first != nil && (first.why().isPersonal() || first.why().Args["cause"] == CauseAgeing) {
		return first, err
	}
	return cmp.Or(later, first), err
}

// lasts reports whether the reason of a departure holds still for who has left.
func (d *doctor) lasts(reason Reason) bool {
	if reason.Code != string(d.who.State) {
		return false
	}
	active := isActive(d.who.doc.asserted)
	switch reason.Args["cause"] {
	case CauseDeleted:
		return !d.who.Visible
	case CauseDeactivated:
		return d.who.Visible && !active
	case CauseScope:
		return d.who.Visible && active
	default:
		return false
	}
}

// waiting is what waits for a person about the account, and what is not as its client has it.
func (d *doctor) waiting() error {
	x := &d.who.Resource
	var open []Matter
	err := d.r.Matters(MatterQuery{Resource: x.ID, Status: MatterOpen}, func(m Matter) error {
		open = append(open, m)
		return nil
	})
	if err != nil {
		return err
	}
	for _, m := range open {
		cause, of := NotHeld, []string{"cause", m.Cause, "times", strconv.Itoa(m.Times)}
		switch m.Kind {
		case MatterKept:
			code, role := (&teller{}).because(m.Reason.Args["because"])
			cause, of = NotWithheld, append(of, "because", code, "role", role)
			if m.Cause == CauseRole {
				of = append(of, "variant", CauseRole, "asked", m.Reason.Args["asked"], "role", m.Reason.Args["role"])
			}
		case MatterDelayed:
			cause = NotYet
		case MatterPurge:
			continue // the state says why
		}
		e, err := fullEntry(d.r, m.Entry)
		if err != nil {
			return err
		}
		v := d.find(cause, &e, of...)
		v.Matter, v.Times, v.At = m.ID, m.Times, m.Seen
	}
	wanted := x.Visible && isActive(d.who.doc.asserted)
	if len(open) == 0 && x.State.in() && !wanted {
		e, err := d.ignored()
		if err != nil {
			return err
		}
		d.find(NotIgnored, e)
	}
	return nil
}

// ignored is the entry with which the client's word was ignored.
func (d *doctor) ignored() (*Entry, error) {
	page, err := d.r.EntryPage(EntryQuery{Resource: d.who.ID, Reason: ReasonIgnored, Limit: 1})
	if err != nil || len(page.Entries) == 0 {
		return nil, err
	}
	return &page.Entries[0], nil
}

// name is why somebody is called otherwise.
func (d *doctor) name() error {
	x := &d.who.Resource
	asserted, effective := nameOf(scim.User, d.who.doc.asserted), nameOf(scim.User, d.who.doc.seen())
	folded := scim.FoldFull.Apply(d.out.Asked)
	if folded != scim.FoldFull.Apply(asserted) && folded != scim.FoldFull.Apply(effective) && folded != x.ID {
		if renamed, err := d.renamed(effective, folded); err != nil || renamed || !d.who.now {
			return err
		}
	}
	if asserted == effective || !x.Visible {
		return nil
	}
	overrides, err := overridesOf(x)
	if err != nil {
		return err
	}
	if _, chosen := overrides["userName"]; chosen {
		return d.renamedByPerson(asserted, effective)
	}
	rules, err := d.rulesOf(x.Connection)
	if err != nil || !rules.Settings.Mapping.UserName.Frozen {
		return err
	}
	v := d.find(NotFollowing, nil, "value", effective, "was", asserted)
	v.Rule = &Rule{Connection: d.connections[x.Connection].Name, Version: rules.Version, Path: "mapping.userName.frozen", Value: true}
	return nil
}

// renamed notes, and reports, that somebody has another userName than before. A mail address or externalId that counts now may have been the userName, too:
// then it is that one which they have no more.
func (d *doctor) renamed(effective, folded string) (bool, error) {
	page, err := d.r.EntryPage(EntryQuery{Resource: d.who.ID, Limit: maxNamed})
	if err != nil {
		return false, err
	}
	i := slices.IndexFunc(page.Entries, func(e Entry) bool {
		return slices.ContainsFunc(e.Diff, func(c AttributeChange) bool {
			return namesUser(c.Path) && c.Old != nil && (!d.who.now || foldedText(c.Old) == folded)
		})
	})
	if i < 0 {
		return false, nil
	}
	variant := "" // is there
	if !d.who.State.in() {
		variant = "gone"
	}
	d.find(NotRenamed, &page.Entries[i], "variant", variant, "value", effective, "who", d.out.Asked)
	return true, nil
}

// renamedByPerson notes that a person chose another userName than the one that was asked for.
func (d *doctor) renamedByPerson(asserted, effective string) error {
	if folded := scim.FoldFull.Apply(d.out.Asked); folded != scim.FoldFull.Apply(asserted) || folded == scim.FoldFull.Apply(effective) {
		return nil
	}
	page, err := d.r.EntryPage(EntryQuery{Resource: d.who.ID, Limit: maxNamed})
	if err != nil {
		return err
	}
	var chosen *Entry
	if i := slices.IndexFunc(page.Entries, func(e Entry) bool {
		return slices.ContainsFunc(e.Diff, func(c AttributeChange) bool { return c.Path == PathOverride+"userName" })
	}); i >= 0 {
		chosen = &page.Entries[i]
	}
	d.find(NotRenamed, chosen, "variant", "person", "value", effective, "who", d.out.Asked)
	return nil
}

// rulesOf are the rules in force of a connection.
func (d *doctor) rulesOf(connection int64) (*Rules, error) {
	c, ok := d.connections[connection]
	if !ok {
		return defaultRules, nil
	}
	return d.rules(d.r, c)
}

// connection is whether the client of the account's connection is heard.
func (d *doctor) connection() error {
	if d.who == nil {
		return nil // absence looked
	}
	return d.unheard()
}

// unheard notes connections that are paused, or were silent: of the account, or of nobody all.
func (d *doctor) unheard() error {
	hearings, err := d.r.Hearings()
	if err != nil {
		return err
	}
	last := map[int64]Hearing{}
	for _, h := range hearings {
		last[h.Connection] = h
	}
	for _, id := range slices.Sorted(maps.Keys(d.connections)) {
		c := d.connections[id]
		if d.who != nil && c.ID != d.who.Connection {
			continue
		}
		switch h := last[id]; {
		case c.Settings.Paused:
			v := d.find(NotReachable, nil, "connection", c.Name)
			v.Rule = &Rule{Connection: c.Name, Version: c.SettingsVersion, Path: "protocol.paused", Value: true}
		case !h.Silent.IsZero():
			v := d.find(NotHeard, nil, "connection", c.Name, "at", minute(h.Last))
			v.At = h.Last
		}
	}
	return nil
}
