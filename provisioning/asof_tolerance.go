package provisioning

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"meibo/scim"
)

// Departure implements Reader. What was spent, what was allowed beyond it, and how many there were follows from the journal.
func (x *pastReader) Departure(q BudgetQuery) (DepartureFacts, error) {
	now, err := x.Reader.Departure(q)
	if err != nil {
		return now, err
	}
	then := DepartureFacts{Budget: Budget{Connection: q.Connection, Kind: q.Kind}}
	if then.Matters, err = x.mattersThen(q, now.Matters); err != nil || q.Kind == "" {
		return then, err
	}
	if then.Present, err = x.presentThen(q, now.Present); err != nil {
		return then, err
	}
	then.Budget.Spent, then.Budget.Allowances, err = x.budgetThen(q)
	return then, err
}

// mattersThen are the matters that a departure was weighed by. Of a rejected removal of members those are told who may be asked for now.
func (x *pastReader) mattersThen(q BudgetQuery, now []Matter) (then []Matter, err error) {
	all := slices.Clone(now)
	seen := map[string]bool{}
	for _, m := range now {
		seen[m.ID] = true
	}
	if q.Resource != "" {
		err = x.Reader.Matters(MatterQuery{Connection: q.Connection, Resource: q.Resource}, func(m Matter) error {
			if !seen[m.ID] {
				all = append(all, m)
			}
			return nil
		})
	}
	for _, m := range all {
		if m = asOf(m, x.at); m.Status != MatterLinked && m.Status != MatterObsolete && x.order.has(&Entry{ID: m.Entry, At: m.Opened}) {
			then = append(then, m)
		}
	}
	return LatestMatters(then), err
}

// presentThen is how many there were: as many as there are, but for who came and left since.
func (x *pastReader) presentThen(q BudgetQuery, now int) (then int, err error) {
	then = now
	err = x.Reader.Entries(EntryQuery{Since: x.entry.At.Add(-writeTimeout)}, func(e Entry) error {
		if e.Version == 0 || e.ResourceType != q.Kind.counted() || e.Reason.Code == ReasonBaseline || x.order.has(&e) {
			return nil
		}
		was, is, err := x.sides(&e)
		if was.state.in() && was.owner == q.Connection {
			then++
		}
		if is.state.in() && is.owner == q.Connection {
			then--
		}
		return err
	})
	return then, err
}

// counted is the type of what a budget counts.
func (k BudgetKind) counted() scim.ResourceType {
	if k == BudgetGroups {
		return scim.Group
	}
	return scim.User
}

// held is whose a resource is, and in which state.
type held struct {
	owner int64
	state State
}

// sides are what an entry made of a resource: from what, and what. They are equal where it changed neither.
func (x *pastReader) sides(e *Entry) (was, is held, err error) {
	was, is = held{owner: e.Connection}, held{owner: e.Connection}
	moved, changed := false, false
	for _, c := range e.Diff {
		switch c.Path {
		case PathState:
			before, _ := c.Old.(string)
			after, _ := c.New.(string)
			was.state, is.state, changed = State(before), State(after), true
		case PathOwner:
			was.owner, is.owner, moved = ownerIn(c.Old), ownerIn(c.New), true
		}
	}
	if !moved || changed {
		return was, is, nil
	}
	was.state, err = x.stateAfter(e)
	is.state = was.state
	return was, is, err
}

// stateAfter is the state of a resource once an entry was written.
func (x *pastReader) stateAfter(e *Entry) (State, error) {
	p, err := pastOf(x.Reader, PastQuery{Type: e.ResourceType, ID: e.ResourceID, At: e.At, there: func(o *Entry) bool { return o.Version <= e.Version }})
	return p.State, err
}

// ownerIn is the connection that a difference of an owner names; 0 for none.
func ownerIn(v any) int64 {
	n, _ := v.(json.Number)
	id, _ := n.Int64()
	return id
}

// longestWindow is how far back departures are counted, at most.
const longestWindow = 31 * 24 * time.Hour

// budgetThen is what had been claimed from a budget: each departure since takes from what was allowed at that time, or else is spent.
func (x *pastReader) budgetThen(q BudgetQuery) ([]Spent, []Allowance, error) {
	rules, err := x.inForce()
	if err != nil {
		return nil, nil, err
	}
	since := x.entry.At.Add(-min(rules.Settings.Tolerance.Window.Duration(), longestWindow)).Add(-time.Hour) // a part of a window counts until its end
	events, since, err := x.allowances(q, since)
	if err != nil {
		return nil, nil, err
	}
	left, err := x.departures(q, since)
	if err != nil {
		return nil, nil, err
	}
	said, err := x.said(q.Connection, left)
	if err != nil {
		return nil, nil, err
	}
	events = append(events, left...)
	slices.SortFunc(events, func(a, b Entry) int { return cmp.Or(a.At.Compare(b.At), strings.Compare(a.ID, b.ID)) })
	var b Budget
	for i := range events {
		e := &events[i]
		if a, is := allowanceOf(e); is {
			b.Allowances = append(slices.DeleteFunc(b.Allowances, func(old Allowance) bool { return !old.Until.After(e.At) || old.Left == 0 }), a)
			continue
		}
		rules, err := x.rulesOf(q.Connection, e.SettingsVersion)
		if err != nil {
			return nil, nil, err
		}
		if rules.Settings.Tolerance.Mode != ToleranceOff {
			b = rules.claimed(b, e, q, said[e.ResourceID])
		}
	}
	return b.Spent, b.Allowances, nil
}

// claimed is a budget after a departure, as tolerate leaves it.
func (r *Rules) claimed(b Budget, e *Entry, q BudgetQuery, said []Matter) Budget {
	cause := causeIn(e)
	var then []Matter
	awaited := false
	for _, m := range said {
		before := asOf(m, e.At.Add(-time.Microsecond))
		awaited = awaited || m.Opened.Before(e.At) && awaitsImpact(before)
		then = append(then, before)
	}
	if spoken(then, cause, e.At) == MatterAllowed {
		return b
	}
	b = r.budget(b, q.Connection, q.Kind, e.At)
	i := slices.IndexFunc(b.Allowances, func(a Allowance) bool { return a.Cause == "" || a.Cause == cause })
	switch {
	case awaited && wasHeld(e):
	case i >= 0 && b.Allowances[i].Left > 0:
		b.Allowances[i].Left--
	case i < 0:
		b.Spent = spend(b.Spent, 1, r.Settings.Tolerance.Window, e.At)
	}
	return b
}

// causeIn is what a departure was for. The reason does not say it where there was more to say, as of an adoption.
func causeIn(e *Entry) string {
	if cause := e.Reason.Args["cause"]; cause != "" {
		return cause
	}
	if slices.ContainsFunc(e.Diff, func(c AttributeChange) bool { return c.Path == "active" && c.New == false }) {
		return CauseDeactivated
	}
	return CauseScope
}

func wasHeld(e *Entry) bool {
	return slices.ContainsFunc(e.Diff, func(c AttributeChange) bool { return c.Path == PathState && c.Old == string(Held) })
}

// allowances are the entries that allowed departures and may have counted since an instant, which moves back to when the oldest of
// them was made: how much of it was left depends on who left since then.
func (x *pastReader) allowances(q BudgetQuery, since time.Time) (made []Entry, _ time.Time, err error) {
	err = x.Entries(EntryQuery{Reason: reasonDeparturesAllowed, Connection: q.Connection}, func(e Entry) error {
		a, is := allowanceOf(&e)
		if !is || e.Reason.Args["kind"] != string(q.Kind) {
			return nil
		}
		if a.Until.After(since) {
			made = append(made, e)
			if e.At.Before(since) {
				since = e.At
			}
		}
		return nil
	})
	return made, since, err
}

// allowanceOf is what an entry allowed, if it did.
func allowanceOf(e *Entry) (Allowance, bool) {
	if e.Reason.Code != reasonDeparturesAllowed {
		return Allowance{}, false
	}
	args := e.Reason.Args
	a := Allowance{Cause: args["cause"], By: e.Actor, Reject: args["reject"] == "true"}
	a.Left, _ = strconv.Atoi(args["left"])
	var err error
	a.Until, err = time.Parse(time.RFC3339Nano, args["until"])
	return a, err == nil
}

// departures are the entries since an instant with which somebody left, or was let go, by no person's wish.
func (x *pastReader) departures(q BudgetQuery, since time.Time) (left []Entry, err error) {
	for _, of := range []EntryQuery{{Action: ActionDisable}, {Action: ActionDelete}, {Action: ActionStagedDelete},
		// adopted, and let go at once
		{Action: ActionCreate, Reason: ReasonAdopted}, {Action: ActionCreate, Reason: ReasonRoleKept}, {Action: ActionCreate, Reason: ReasonImpact}} {
		of.Connection, of.Since = q.Connection, since
		err := x.Entries(of, func(e Entry) error {
			if e.ResourceType != q.Kind.counted() {
				return nil
			}
			if err := x.tellState(&e); err != nil || !leaves(&e) {
				return err
			}
			claims, err := x.claims(&e)
			if claims {
				left = append(left, Entry{ID: e.ID, At: e.At, SettingsVersion: e.SettingsVersion, ResourceID: e.ResourceID, Reason: e.Reason, Diff: e.Diff})
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return left, nil
}

// tellState adds the state of who waits for the host application and had it before: it was held already, and is let go by this
// entry; or had left, and is not.
func (x *pastReader) tellState(e *Entry) error {
	if e.Reason.Code != ReasonImpact || e.Version == 0 || slices.ContainsFunc(e.Diff, func(c AttributeChange) bool { return c.Path == PathState }) {
		return nil
	}
	state, err := x.stateAfter(e)
	if err == nil {
		e.Diff = append(slices.Clip(e.Diff), AttributeChange{Path: PathState, Old: string(state), New: string(state)})
	}
	return unlessAbsent(err)
}

// leaves reports whether a tolerance counts what an entry did: somebody left, a group was emptied, or a departure was let go and
// waits for the host application.
func leaves(e *Entry) bool {
	if e.Reason.Args["policy"] == string(RemoveMembersPolicy) && (e.Reason.Code == string(Active) || e.Reason.Code == string(Held)) {
		return true
	}
	return slices.ContainsFunc(e.Diff, func(c AttributeChange) bool {
		was, _ := c.Old.(string)
		is, _ := c.New.(string)
		return c.Path == PathState && State(was).in() && (!State(is).in() || e.Reason.Code == ReasonImpact)
	})
}

// claims reports whether what an entry took was taken from a tolerance, if one was in force: a client wanted it, or a run.
func (x *pastReader) claims(e *Entry) (bool, error) {
	switch kind, _ := InitiatorOf(e.Actor); {
	case e.Version == 0, e.Reason.isPersonal(), e.Reason.Code == ReasonBaseline, e.Reason.Code == ReasonPurged, kind == InitiatorSystem:
		return false, nil
	case kind == InitiatorApplication, e.Request != nil:
		return kind == InitiatorApplication, nil
	}
	j, err := x.Reader.Job(e.Correlation)
	return err == nil && j.decidesAnew(), unlessAbsent(err)
}

// said are the matters of those who left that may have had a say in it.
func (x *pastReader) said(connection int64, left []Entry) (map[string][]Matter, error) {
	said := map[string][]Matter{}
	if len(left) == 0 {
		return said, nil
	}
	for i := range left {
		said[left[i].ResourceID] = nil
	}
	err := x.Reader.Matters(MatterQuery{Connection: connection}, func(m Matter) error {
		if _, one := said[m.Resource]; one && (m.Kind == MatterDelayed || m.Reason.Code == ReasonImpact) {
			m.Asserted, m.Members = nil, nil
			said[m.Resource] = append(said[m.Resource], m)
		}
		return nil
	})
	return said, err
}

// removals are what a group had lost lately, in the form of Resource.Removals; own are its entries.
func (x *pastReader) removals(own []Entry) (lost []byte, err error) {
	members := 0
	for i := range own {
		e := &own[i]
		n := e.Members.lost()
		if n > 0 && e.At.After(x.at.Add(-longestWindow)) && e.Reason.Args["policy"] != string(RemoveMembersPolicy) {
			if lost, err = x.lost(e, n, Resource{MemberCount: members, Removals: lost}); err != nil {
				return nil, err
			}
		}
		members += e.Members.Grown()
	}
	return lost, nil
}

// lost is what a group has lost lately after an entry that took n members.
func (x *pastReader) lost(e *Entry, n int, before Resource) ([]byte, error) {
	claims, err := x.claims(e)
	if err != nil || !claims {
		return before.Removals, err
	}
	rules, err := x.rulesOf(e.Connection, e.SettingsVersion)
	if err != nil || rules.Settings.Tolerance.Mode == ToleranceOff {
		return before.Removals, err
	}
	lost, weighed, err := rules.lostLately(&before, e.At)
	if err != nil || !weighed {
		return before.Removals, err
	}
	after, reached := rules.claimMembers(&before, lost, n, e.At)
	if reached != nil { // a person had allowed it
		return before.Removals, nil
	}
	return after, nil
}
