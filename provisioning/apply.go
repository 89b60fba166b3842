package provisioning

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"meibo/scim"
)

// Intent is one write as its adapter understood it.
type Intent struct {
	Action JournalAction     // what is asked for, should nothing come of it
	Type   scim.ResourceType // of the resource
	ID     string            // of the resource as the client named it; "" for a create
	Name   string            // userName or displayName as far as it is known
	// Want says what is desired, given what is stored and the rules of the connection. It may run several times.
	Want func(Reader, *Rules) (Facts, Desired, error)
	// Settles are matters that close with it.
	Settles []MatterChange
	// Quiet leaves no entry where nothing changes: nobody asked for it.
	Quiet bool
	// Alone is Desired.Alone as far as Want says so: what then takes a second person is refused, and not journalled.
	Alone bool
}

// Result is what a write left behind.
type Result struct {
	Resource Resource
	Action   Action
}

// writeTimeout bounds a unit of work.
const writeTimeout = 30 * time.Second

// refusalTimeout bounds the second one, of a refusal, and unlikelyTimeout that of one that has the
// database's own failure as its reason.
const (
	refusalTimeout  = 5 * time.Second
	unlikelyTimeout = time.Second
)

// Apply executes an intent: it decides and commits in one unit of work, or in several where Decision.More says so, and
// journals what came of it. A refusal is journalled by a second unit of work, since the first was rolled back. There is
// no second way to change a resource. Errors are those of Want, decide and Store.Update.
func (s *Service) Apply(ctx context.Context, o Origin, in Intent) (Result, error) {
	for {
		done, err := s.applyOnce(ctx, o, in)
		if err != nil {
			if _, two := isDemand(err); two {
				return Result{}, err
			}
			return Result{}, s.Refuse(ctx, o, in, err)
		}
		s.decided(o.Tenant, done.entries...)
		if !done.more {
			return done.Result, nil
		}
	}
}

// applyOnce is Apply in one unit of work, which may do a part alone.
func (s *Service) applyOnce(ctx context.Context, o Origin, in Intent) (applied, error) {
	stamps := s.stamps()
	// A client that leaves does not take its request back: half the answers to "did it happen?" would
	// be wrong.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	return Update(ctx, s.store, o.Tenant, func(tx Tx) (applied, error) {
		decision, rules, err := s.decide(tx, o, in, stamps.now)
		if err != nil {
			return applied{}, err
		}
		if decision.Demand != "" {
			return applied{}, takesTwo(decision.Demand)
		}
		if !decision.More {
			if decision.Matters, err = asTheyAre(tx, slices.Concat(decision.Matters, in.Settles)); err != nil {
				return applied{}, err
			}
		}
		asked, b := decision.Changes[len(decision.Changes)-1], s.batch(o, in, decision, rules, stamps)
		if in.Quiet && asked.Action == ChangeSkip && len(b.Matters) == 0 {
			return applied{Result: Result{Resource: asked.After, Action: asked.Action}}, nil
		}
		return applied{Result{Resource: asked.After, Action: asked.Action}, b.Entries, decision.More}, tx.Commit(b)
	})
}

// applied is what the last run of a unit of work came to.
type applied struct {
	Result
	entries []Entry
	more    bool // there is to do yet
}

// decide reads what an intent needs and decides.
func (s *Service) decide(r Reader, o Origin, in Intent, now time.Time) (Decision, *Rules, error) {
	rules, err := s.rules(r, o.Connection)
	if err != nil {
		return Decision{}, nil, err
	}
	decision, err := decideUnder(r, rules, o, in, now)
	return decision, rules, err
}

// decideUnder decides under some rules, reading what it lacks.
func decideUnder(r Reader, rules *Rules, o Origin, in Intent, now time.Time) (Decision, error) {
	facts, desired, err := in.Want(r, rules)
	if err != nil {
		return Decision{}, err
	}
	desired.Type, desired.Connection, desired.Now = in.Type, o.Connection.ID, now
	desired.Alone = desired.Alone && in.Alone
	for {
		decision, err := decide(facts, desired, rules)
		var lack *lacking
		if !errors.As(err, &lack) {
			return decision, err
		}
		if err := lack.fetch(r, &facts); err != nil {
			return Decision{}, err
		}
	}
}

// fetch reads what decide lacked.
func (l *lacking) fetch(r Reader, f *Facts) error {
	switch {
	case l.departure != nil:
		facts, err := r.Departure(*l.departure)
		f.Departure = &facts
		return err
	case l.listed:
		x := f.Current
		group, err := r.Resource(ResourceQuery{Scope: Scope{Connection: x.Connection, Type: x.Type}, ID: x.ID, AllMembers: true})
		f.Open, f.HasOpen, f.HasListed = group.OpenMembers, true, true
		return err
	case l.members:
		var open []Membership
		err := r.Memberships(f.Current.ID, func(m GroupMember) error {
			open = append(open, Membership{Member: scim.Member{Value: m.Value, Display: m.Display}, Asserted: !m.Unlisted, Effective: true})
			return nil
		})
		f.Open, f.HasOpen = open, true
		return err
	case l.holder != "":
		f.HasHolder = true
		return r.Accounts(AccountQuery{Type: scim.User, Connection: -1, Effective: l.holder}, func(x Resource) error {
			f.Candidates.Effective = &x
			return nil
		})
	case l.waiting != nil:
		f.HasWaiting = true
		return r.Matters(MatterQuery{Resource: l.waiting.ID}, func(m Matter) error {
			if m.Status == MatterOpen || m.Status == MatterRejected && m.Kind == MatterDelayed {
				f.Waiting = append(f.Waiting, m)
			}
			return nil
		})
	case l.taken != nil:
		taken, err := takenByPurge(r, l.taken.ID)
		f.Groups, f.HasTaken = taken, true
		return err
	case l.left != nil:
		reason, err := lastState(r, l.left.ID)
		f.Left = &reason
		return err
	default:
		x, err := r.Account(l.resource.Type, l.resource.ID, References{Groups: true})
		l.resource.Groups, f.HasGroups = x.Groups, true
		return err
	}
}

// lastState is the reason of the last change of a resource's state.
func lastState(r Reader, id string) (reason Reason, err error) {
	found := errors.New("found")
	err = r.Entries(EntryQuery{Resource: id}, func(e Entry) error {
		if !changesState(&e) {
			return nil
		}
		reason = e.why()
		return found
	})
	if errors.Is(err, found) {
		err = nil
	}
	return reason, err
}

// batch is the unit of work of a decision: each change with its entry, the last one's with the request, and
// the matters with that one.
func (s *Service) batch(o Origin, in Intent, d Decision, rules *Rules, stamps *stamps) Batch {
	b := Batch{Budgets: d.Budgets}
	last := len(d.Changes) - 1
	for i, c := range d.Changes {
		c.RuleVersion = rules.Version
		e := changeEntry(o, in, c)
		stamps.put(&e, i)
		if i == last && !d.More {
			e.Request = s.request(o, nil)
		}
		if c.Action != ChangeSkip {
			b.Changes = append(b.Changes, c)
		}
		b.Entries = append(b.Entries, e)
	}
	for i, m := range d.Matters {
		b.Matters = append(b.Matters, m.stamped(o, stamps, last+1+i, b.Entries[last].ID))
	}
	next := len(d.Changes) + len(d.Matters)
	switch c := d.Changes[last]; {
	case c.Action == ChangeSkip || d.More || !rules.readsGroups():
	case rules.regroups(&c): // its members are many, and some may be gone from it when the job comes
		b.Jobs = []JobChange{regroupJob(o, stamps, next, nil)}
	default:
		b.Jobs = regroupJobs(o, stamps, next, c.Members.ids())
	}
	return b
}

// regroupJobs decide anew on users whose groups, and with them scope or role, changed: one after the other, each on as
// many as its row holds. The first has the id of that number.
func regroupJobs(o Origin, stamps *stamps, first int, ids []string) (jobs []JobChange) {
	slices.Sort(ids)
	for some := range slices.Chunk(ids, maxRegroup) {
		jobs = append(jobs, regroupJob(o, stamps, first+len(jobs), some))
	}
	return jobs
}

// regroupJob has the i-th id of a unit of work; without ids it is about all users of the connection.
func regroupJob(o Origin, stamps *stamps, i int, ids []string) JobChange {
	params, _ := json.Marshal(recomputed{Connection: o.Connection.ID, IDs: ids}) // strings and numbers always marshal
	return JobChange{Create: &Job{ID: stamps.id(i), Kind: JobRegroup, Connection: o.Connection.ID, Actor: o.Actor,
		Params: params, Total: len(ids), State: JobQueued, Created: stamps.now, Changed: stamps.now}}
}

// maxRegroup is on how many users one job decides that names them: each step reads and each listing shows the whole row.
const maxRegroup = 2000

// stamped is a matter's change with what only the unit of work knows; i is its place among the stamps.
func (m MatterChange) stamped(o Origin, stamps *stamps, i int, entry string) MatterChange {
	switch {
	case m.Open != nil:
		opened := *m.Open
		opened.ID, opened.Opened, opened.Seen, opened.Entry = stamps.id(i), stamps.now, stamps.now, entry
		opened.Times, opened.Status, opened.Version = 1, MatterOpen, 1
		return MatterChange{Open: &opened}
	case m.Settle != nil:
		settled := *m.Settle
		settled.At, settled.By = stamps.now, o.Actor
		return MatterChange{Settle: &settled}
	default:
		return m
	}
}

// Refuse journals a write that was not done, and returns the error to answer: err itself, or
// Unavailable where even the refusal could not be recorded. Adapters call it for requests of
// authenticated callers that they could not read; Apply calls it for all others.
func (s *Service) Refuse(ctx context.Context, o Origin, in Intent, err error) error {
	err = normalised(err)
	e := failureEntry(o, in, err)
	e.ID, e.At, e.Request = s.newID(), s.Now(), s.request(o, err)
	// The client may be gone; what it tried is journalled all the same.
	timeout := refusalTimeout
	if KindOf(err) == Unavailable {
		timeout = unlikelyTimeout
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	b := Batch{Entries: []Entry{e}}
	var own *Error
	if errors.As(err, &own) && own.Matter != nil {
		b.Matters = []MatterChange{MatterChange{Open: own.Matter}.stamped(o, s.stamps(), 0, e.ID)}
	}
	failed := s.store.Update(ctx, o.Tenant, func(tx Tx) error { return tx.Commit(b) })
	if failed == nil {
		s.decided(o.Tenant, e)
		return err
	}
	if KindOf(err) == Unavailable {
		return err
	}
	return errors.Join(&Error{Kind: Unavailable, Detail: "the journal cannot be written now; repeat the request later", Err: failed}, err)
}

func (s *Service) request(o Origin, err error) *RequestInfo {
	if o.Request.Method == "" {
		return nil
	}
	r := o.Request
	if !o.Started.IsZero() {
		r.Duration = max(0, s.now().Sub(o.Started))
	}
	if o.Status != nil {
		r.Status = o.Status(err)
	}
	return &r
}

// normalised gives the core's error for one of package scim and for a time-out; any other comes
// back as it is.
func normalised(err error) error {
	var e *scim.Error
	var own *Error
	switch {
	case errors.As(err, &own):
		return err
	case errors.As(err, &e):
		return &Error{Kind: Invalid, Type: string(e.Type), Attribute: e.Path, Detail: e.Message(), Err: err}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &Error{Kind: Unavailable, Detail: "the database took too long; repeat the request later", Err: err}
	default:
		return err
	}
}
