package provisioning

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"meibo/scim"
)

// Resolution is what a person chose of an open matter.
type Resolution struct {
	Status    MatterStatus // MatterAllowed, MatterRejected, MatterLinked, MatterCreated or MatterIgnored
	Until     time.Time    // how long a word about a delayed departure holds; zero: allowWithin from now, or until the client wants it back, or a removal of members came again, if rejected
	Candidate string       // of MatterLinked: the account that is meant; "" for the only one
}

// allowWithin is how long the client has to repeat what was allowed: it comes back within the hour.
const allowWithin = 24 * time.Hour

// resolutions are what may be chosen of each kind.
var resolutions = map[MatterKind][]MatterStatus{
	MatterHeld:     {MatterAllowed, MatterRejected},
	MatterDelayed:  {MatterAllowed, MatterRejected},
	MatterKept:     {MatterAllowed, MatterRejected},
	MatterPurge:    {MatterAllowed, MatterRejected},
	MatterProposal: {MatterRejected},
	MatterAdoption: {MatterLinked, MatterCreated, MatterIgnored},
}

// Matters calls fn with the matters of a tenant that q selects, latest first. NotFound for the tenant.
func (s *Service) Matters(ctx context.Context, tenant string, q MatterQuery, fn func(Matter) error) error {
	return s.store.View(ctx, tenant, func(r Reader) error {
		if _, err := tenantOf(r, tenant); err != nil {
			return err
		}
		return r.Matters(q, fn)
	})
}

// Matter reads one matter. NotFound.
func (s *Service) Matter(ctx context.Context, tenant, id string) (Matter, error) {
	return View(ctx, s.store, tenant, func(r Reader) (Matter, error) { return matterOf(r, id) })
}

func matterOf(r Reader, id string) (Matter, error) {
	var found *Matter
	err := r.Matters(MatterQuery{ID: id, Limit: 1}, func(m Matter) error {
		found = &m
		return nil
	})
	if err == nil && found == nil {
		err = &Error{Kind: NotFound, Attribute: "id", Detail: fmt.Sprintf("there is no open matter with the id %q; list them to see their ids", id)}
	}
	if err != nil {
		return Matter{}, err
	}
	return *found, nil
}

// Resolve closes an open matter as a person chose and does what follows, in one unit of work. Where the settings
// demand a second person, the first one's choice is noted and the matter stays open. NotFound; Invalid for a choice
// that the matter does not have, or for what a guard still keeps; Conflict for one that is closed already, or by somebody faster.
func (s *Service) Resolve(ctx context.Context, o Origin, id string, choice Resolution) (Matter, error) {
	m, connection, rules, err := s.openMatter(ctx, o.Tenant, id)
	if err != nil {
		return Matter{}, err
	}
	if !slices.Contains(resolutions[m.Kind], choice.Status) {
		return Matter{}, noSuchChoice(m, choice.Status)
	}
	now := s.Now()
	closed := m
	closed.Status, closed.ClosedAt, closed.ClosedBy, closed.Until = choice.Status, now, o.Actor, choice.Until
	if m.Kind == MatterDelayed && choice.Status == MatterAllowed && choice.Until.IsZero() {
		closed.Until = now.Add(allowWithin)
	}
	o.Connection = connection
	if choice.Status == MatterLinked {
		if closed.Resource, err = m.candidate(choice.Candidate); err != nil {
			return m, err
		}
	}
	if rules.Settings.Matters.SecondPerson && grave(choice.Status) {
		switch {
		case m.Proposed == "":
			proposed := m
			proposed.Proposed, proposed.Resource = o.Actor, closed.Resource
			return proposed, s.note(ctx, o, proposed, reasonMatterProposed)
		case samePerson(m.Proposed, o.Actor):
			return m, &Error{Kind: Forbidden, Detail: "this choice needs a second person: somebody else has to confirm it"}
		case m.Resource != closed.Resource:
			return m, &Error{Kind: Conflict, Attribute: "candidate",
				Detail: fmt.Sprintf("the first person chose the account %s; confirm that one, or have the matter ignored", m.Resource)}
		}
	}
	switch {
	case choice.Status == MatterLinked:
		err = s.Link(ctx, o, closed.Resource, m.Asserted, MatterChange{Update: &closed})
	case choice.Status == MatterAllowed && m.Kind != MatterDelayed:
		_, err = s.act(ctx, o, m.Type, m.Resource, allowedAct(closed, rules), false)
	case choice.Status == MatterRejected && m.Kind == MatterHeld:
		_, err = s.act(ctx, o, m.Type, m.Resource, Act{Release: true, Cause: m.Cause, Matters: []MatterChange{{Update: &closed}}}, false)
	default:
		err = s.note(ctx, o, closed, reasonMatterResolved)
	}
	return closed, err
}

// asTheyAre are changes of matters on what is stored by now: what was asked for again meanwhile has another version.
// Conflict names who was faster.
func asTheyAre(r Reader, changes []MatterChange) ([]MatterChange, error) {
	changes = slices.Clone(changes)
	for i, c := range changes {
		if c.Update == nil {
			continue
		}
		now, err := matterOf(r, c.Update.ID)
		switch {
		case err != nil:
			return nil, err
		case now.Status != MatterOpen:
			return nil, isClosed(now)
		case now.Proposed != "" && now.Proposed != c.Update.Proposed:
			return nil, &Error{Kind: Conflict, Attribute: "status", Detail: now.Proposed + " has chosen meanwhile; look at the matter again"}
		}
		next := *c.Update
		next.Version = now.Version
		changes[i].Update = &next
	}
	return changes, nil
}

// isClosed is the Conflict of a choice that comes too late.
func isClosed(m Matter) *Error {
	return &Error{Kind: Conflict, Attribute: "status", Detail: fmt.Sprintf("the matter is closed: it was %s by %s", m.Status, m.ClosedBy)}
}

// choiceVerbs are the commands of `meibo matter` for the choices.
var choiceVerbs = map[MatterStatus]string{MatterAllowed: "allow", MatterRejected: "reject", MatterLinked: "link", MatterCreated: "create", MatterIgnored: "ignore"}

// noSuchChoice refuses a choice that a matter does not have.
func noSuchChoice(m Matter, status MatterStatus) *Error {
	verbs := make([]string, len(resolutions[m.Kind]))
	for i, has := range resolutions[m.Kind] {
		verbs[i] = choiceVerbs[has]
	}
	return &Error{Kind: Invalid, Attribute: "status",
		Detail: fmt.Sprintf("a matter of kind %q cannot be %q; choose one of %q (meibo matter %s)", m.Kind, status, resolutions[m.Kind], strings.Join(verbs, "|"))}
}

// grave are the choices that may take something away for good.
func grave(status MatterStatus) bool { return status == MatterAllowed || status == MatterLinked }

func (s *Service) openMatter(ctx context.Context, tenant, id string) (m Matter, c Connection, rules *Rules, err error) {
	err = s.store.View(ctx, tenant, func(r Reader) error {
		if m, err = matterOf(r, id); err != nil {
			return err
		}
		if m.Status != MatterOpen {
			return isClosed(m)
		}
		if c, err = ownerOf(r, Resource{Connection: m.Connection}); err != nil { // a proposal may be about nobody's
			return err
		}
		rules, err = s.rules(r, c)
		return err
	})
	return m, c, rules, err
}

// allowedAct is what allowing a matter does.
func allowedAct(m Matter, r *Rules) Act {
	a := Act{Cause: m.Cause, Grace: r.Settings.Deletion.Grace, Matters: []MatterChange{{Update: &m}}}
	switch {
	case m.Cause == CauseRole:
		role := m.Reason.Args["asked"]
		a.Role = &role
	case m.Cause == CauseMembers:
		a.Leave = m.Members
	case m.Kind == MatterPurge:
		a.Purge = true
	case m.Then == SuspendPolicy:
		a.State = Suspended
	case m.Then == RemoveMembersPolicy:
		a.Empty = true
	default:
		a.State = Removed
	}
	return a
}

// note commits a matter that changes nothing else, with its entry.
func (s *Service) note(ctx context.Context, o Origin, m Matter, reason string) error {
	return s.administer(ctx, o, func(tx Tx) ([]step, error) {
		changes, err := asTheyAre(tx, []MatterChange{{Update: &m}})
		if err != nil {
			return nil, err
		}
		return []step{{matter: &changes[0], reason: reason, connection: o.Connection,
			args: map[string]string{"matter": m.ID, "kind": string(m.Kind), "status": string(m.Status), "resource": m.Resource}}}, nil
	})
}

// candidate is the account that a person means by one of the question's candidates; "" stands for the only one, or for
// the one that a first person chose.
func (m *Matter) candidate(chosen string) (string, error) {
	switch {
	case chosen == "" && m.Resource != "":
		chosen = m.Resource
	case chosen == "" && len(m.Candidates) == 1:
		chosen = m.Candidates[0]
	}
	if !slices.Contains(m.Candidates, chosen) {
		return "", &Error{Kind: Invalid, Attribute: "candidate", Detail: fmt.Sprintf("the account is not among those that may be meant; choose one of %q", m.Candidates)}
	}
	return chosen, nil
}

// Link makes the origin's connection the owner of a user of another owner, or of none; asserted is the document
// that its client then finds, nil for the one there is. NotFound, or Conflict where the connection has its userName already.
func (s *Service) Link(ctx context.Context, o Origin, id string, asserted []byte, settles ...MatterChange) error {
	_, err := s.Apply(ctx, o, Intent{Action: ActionCreate, Type: scim.User, ID: id, Settles: settles, Want: func(r Reader, rules *Rules) (Facts, Desired, error) {
		f, err := account(r, scim.User, id)
		if err != nil {
			return f, Desired{}, err
		}
		open, err := asTheyAre(r, settles)
		if err != nil {
			return f, Desired{}, err
		}
		for _, c := range open {
			if err := linkable(r, o, f.Current, c.Update); err != nil {
				return f, Desired{}, err
			}
		}
		d := Desired{Type: scim.User, Asserted: f.Asserted, Link: true, ByPerson: true}
		if asserted != nil {
			if d.Asserted, err = decoded(scim.User, asserted); err != nil {
				return f, d, err
			}
		}
		q := s.candidateQuery(o, scim.User, scim.FoldFull.Apply(nameOf(scim.User, d.Asserted)), "")
		if q.Effective, err = rules.effectiveName(meant{current: f.Current, asserted: f.Asserted, linked: true}, d); err != nil {
			return f, d, err
		}
		if f.Candidates, err = r.Candidates(q); err != nil {
			return f, d, err
		}
		f.Kept, err = s.kept(r, o, *f.Current)
		return f, d, err
	}})
	return err
}

// linkable refuses to answer a question with an account that became somebody's by the answer to another one: it is the
// connection's already, or was made another connection's after the question was asked last, so that whoever answers
// cannot know. Conflict names what linked it.
func linkable(r Reader, o Origin, x *Resource, question *Matter) error {
	if x.Connection == 0 {
		return nil // nobody's any longer, whoever linked it once
	}
	var link *Matter
	err := r.Matters(MatterQuery{Resource: x.ID, Connection: x.Connection, Kind: MatterAdoption, Status: MatterLinked}, func(m Matter) error {
		if link == nil || m.ClosedAt.After(link.ClosedAt) {
			link = &m
		}
		return nil
	})
	own := x.Connection == o.Connection.ID
	if err != nil || !own && (link == nil || link.ClosedAt.Before(question.Seen)) {
		return err
	}
	how := ""
	if link != nil {
		how = fmt.Sprintf(": %s linked it by the matter %s", link.ClosedBy, link.ID)
	}
	if own {
		return &Error{Kind: Conflict, Attribute: "candidate", Detail: fmt.Sprintf("the account %s is this connection's already%s; choose another account, "+
			"or create or ignore if this is somebody else", x.ID, how)}
	}
	return &Error{Kind: Conflict, Attribute: "candidate", Detail: fmt.Sprintf("the account %s became another connection's since this was asked%s; choose another account, "+
		"or wait until the client asks again", x.ID, how)}
}

// Allow lets departures of a cause go beyond the tolerance of a connection, or with Reject has them ignored; an
// empty cause stands for any. Where the settings demand a second person, the first one gets Forbidden and the wish is noted; from the
// second one's word on the allowance holds, to the earlier of both ends. Invalid for an instant that has passed or a number that allows nothing.
func (s *Service) Allow(ctx context.Context, o Origin, connection string, kind BudgetKind, a Allowance) (Budget, error) {
	now := s.Now()
	switch {
	case !a.Until.After(now):
		return Budget{}, &Error{Kind: Invalid, Attribute: "until", Detail: "until has passed already; name an instant in the future"}
	case a.Left == 0 || a.Left < -1:
		return Budget{}, &Error{Kind: Invalid, Attribute: "left", Detail: "left must be how many may go, or -1 for any number"}
	case kind != BudgetUsers && kind != BudgetGroups:
		return Budget{}, checkChoice("kind", kind, BudgetUsers, BudgetGroups)
	case a.Cause == "":
	case kind == BudgetGroups:
		if err := checkChoice("cause", a.Cause, CauseDeleted, CauseScope); err != nil {
			return Budget{}, err
		}
	default:
		if err := checkChoice("cause", a.Cause, CauseDeactivated, CauseDeleted, CauseScope); err != nil {
			return Budget{}, err
		}
	}
	a.By = o.Actor
	var b Budget
	var refusal *Error
	err := s.administer(ctx, o, func(tx Tx) ([]step, error) {
		refusal = nil
		owner, err := connectionOf(tx, o.Tenant, connection)
		if err != nil {
			return nil, err
		}
		before, err := settingsInForce(tx, owner)
		if err != nil {
			return nil, err
		}
		agreed, settled := a, (*MatterChange)(nil)
		if before.Settings.Matters.SecondPerson && !a.Reject {
			p := allowanceProposal(owner, kind, a)
			var confirmed *Matter
			if settled, confirmed, refusal, err = s.second(tx, o, p); err != nil {
				return nil, err
			}
			if refusal != nil {
				return []step{proposalStep(p, settled)}, nil
			}
			if confirmed.Until.Before(a.Until) {
				agreed.Until = confirmed.Until
			}
		}
		st, err := allowanceStep(tx, owner, kind, agreed, now)
		if err != nil {
			return nil, err
		}
		b, st.matter = *st.budget, settled
		return []step{st}, nil
	})
	if err == nil && refusal != nil {
		return Budget{}, refusal
	}
	return b, err
}

// allowanceStep adds an allowance to those that still count.
func allowanceStep(r Reader, c Connection, kind BudgetKind, a Allowance, now time.Time) (step, error) {
	facts, err := r.Departure(BudgetQuery{Connection: c.ID, Kind: kind})
	if err != nil {
		return step{}, err
	}
	b := facts.Budget
	b.Connection, b.Kind = c.ID, kind
	b.Version++
	b.Allowances = append(slices.DeleteFunc(slices.Clone(b.Allowances), func(old Allowance) bool { return !old.Until.After(now) || old.Left == 0 }), a)
	return step{budget: &b, reason: reasonDeparturesAllowed, connection: c, args: map[string]string{"kind": string(kind), "cause": a.Cause,
		"left": fmt.Sprint(a.Left), "until": a.Until.Format(time.RFC3339Nano), "reject": fmt.Sprint(a.Reject)}}, nil
}
