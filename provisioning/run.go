package provisioning

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"meibo/scim"
)

// Kinds of jobs.
const (
	JobRecompute JobKind = "recompute" // a connection's rules changed: decide again on what is asserted
	JobRegroup   JobKind = "regroup"   // the groups of users changed, by which the rules decide
	JobUndo      JobKind = "undo"
)

// decidesAnew reports whether the job decides on what is asserted already.
func (j *Job) decidesAnew() bool { return j.Kind == JobRecompute || j.Kind == JobRegroup }

const (
	jobLease   = time.Minute // how long a server that died keeps a job to itself
	jobStride  = 100         // resources a step
	sweepEvery = time.Minute
	// staleAfter is when a delayed departure counts as no longer asked for: its client comes back within the hour.
	staleAfter = 3 * day
)

// jobStep does a part of a job and moves its cursor; it sets State when nothing is left.
type jobStep func(ctx context.Context, s *Service, tenant string, j *Job) error

// jobSteps are what the kinds do.
var jobSteps = map[JobKind]jobStep{
	JobRecompute: recompute,
	JobRegroup:   recompute,
	JobUndo:      undoStride,
}

// jobKinds are those that this version knows. A job of another kind is left to the newer servers beside this one.
var jobKinds = slices.Sorted(maps.Keys(jobSteps))

// RunJob takes one job that waits and does it to its end, or until ctx ends: then another server, or this
// one when it comes back, goes on where it was. It reports whether there was one. A job that failed for good is
// noted as failed; the error says why where the job may not.
func (s *Service) RunJob(ctx context.Context) (bool, error) {
	now := s.Now()
	tenant, j, err := s.store.ClaimJob(ctx, jobKinds, now, now.Add(jobLease))
	if KindOf(err) == NotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	step := jobSteps[j.Kind]
	var fault error // ended the job, and the job does not say so
	for j.State = JobRunning; j.State == JobRunning; {
		if err := ctx.Err(); err != nil {
			return true, err
		}
		err := step(ctx, s, tenant, &j)
		switch {
		case KindOf(err) == Unavailable, errors.Is(err, context.Canceled):
			return true, err // its lease ends, and it goes on
		case err != nil:
			j.State, j.Error = JobFailed, reported(err)
			if KindOf(err) == Internal {
				fault = fmt.Errorf("job %s (%s) of tenant %s: %w", j.ID, j.Kind, tenant, err)
			}
		}
		j.Changed = s.Now()
		j.LeaseUntil = j.Changed.Add(jobLease)
		if err := s.store.Update(ctx, tenant, func(tx Tx) error { return tx.Commit(Batch{Jobs: []JobChange{{Progress: &j}}}) }); err != nil {
			return true, errors.Join(err, fault)
		}
	}
	return true, fault
}

// reported is an error as a job shows it: our own words, or none.
func reported(err error) string {
	var own *Error
	if errors.As(err, &own) {
		return own.Detail
	}
	return "internal error; the server's log has it"
}

// Job reads a job. NotFound.
func (s *Service) Job(ctx context.Context, tenant, id string) (Job, error) {
	return View(ctx, s.store, tenant, func(r Reader) (Job, error) { return r.Job(id) })
}

// Jobs reads the latest jobs of a kind, "" for all.
func (s *Service) Jobs(ctx context.Context, tenant string, kind JobKind, limit int) ([]Job, error) {
	return View(ctx, s.store, tenant, func(r Reader) ([]Job, error) { return r.Jobs(kind, "", limit) })
}

// newJob is a job that waits to be taken.
func (s *Service) newJob(o Origin, kind JobKind, params any) (Job, error) {
	data, err := json.Marshal(params)
	now := s.Now()
	return Job{ID: s.newID(), Kind: kind, Connection: o.Connection.ID, Actor: o.Actor, Params: data, State: JobQueued, Created: now, Changed: now}, err
}

// recomputed are the parameters of JobRecompute.
type recomputed struct {
	Connection int64    `json:"connection"`
	IDs        []string `json:"ids,omitempty"` // of these users alone; empty for all users and groups
}

// recompute decides again on what is asserted of a connection's resources, a stride at a time: users first, then
// groups. Its cursor is the type and the last id.
func recompute(ctx context.Context, s *Service, tenant string, j *Job) error {
	var p recomputed
	if err := json.Unmarshal(j.Params, &p); err != nil {
		return err
	}
	t, after := scim.User, j.Cursor
	if len(after) > 0 && after[0] == 'g' {
		t = scim.Group
	}
	if len(after) > 0 {
		after = after[1:]
	}
	o, ids, err := s.strideOf(ctx, tenant, p, t, after)
	if err != nil {
		return err
	}
	o.Actor, o.Correlation = j.Actor, j.ID
	for _, id := range ids {
		if err := s.Anew(ctx, o, t, id); err != nil && KindOf(err) != NotFound {
			if KindOf(err) == Internal {
				return err
			}
			j.Error = fmt.Sprintf("%s %s: %s", t, id, reported(err)) // journalled as a failure of that one
			if own := new(Error); KindOf(err) == Unavailable && !(errors.As(err, &own) && own.Staged) {
				return err
			}
		}
		j.Done++
	}
	switch {
	case len(ids) == jobStride:
		j.Cursor = map[scim.ResourceType]string{scim.User: "u", scim.Group: "g"}[t] + ids[len(ids)-1]
	case t == scim.User && len(p.IDs) == 0:
		j.Cursor = "g"
	default:
		j.State = JobDone
	}
	return nil
}

// strideOf reads the next ids, with the connection as it is now.
func (s *Service) strideOf(ctx context.Context, tenant string, p recomputed, t scim.ResourceType, after string) (o Origin, ids []string, err error) {
	o.Tenant = tenant
	err = s.store.View(ctx, tenant, func(r Reader) error {
		if o.Connection, err = connectionByID(r, p.Connection); err != nil {
			return err
		}
		if len(p.IDs) > 0 {
			for _, id := range p.IDs {
				if id > after && len(ids) < jobStride {
					ids = append(ids, id)
				}
			}
			return nil
		}
		return r.Accounts(AccountQuery{Type: t, Connection: p.Connection, Removed: true, After: after, Limit: jobStride}, func(x Resource) error {
			ids = append(ids, x.ID)
			return nil
		})
	})
	return o, ids, err
}

// Anew decides again on what is asserted of a resource of the origin's connection.
func (s *Service) Anew(ctx context.Context, o Origin, t scim.ResourceType, id string) error {
	in := Intent{Action: ActionUpdate, Type: t, ID: id, Quiet: true}
	in.Want = s.anew(o, t, id)
	_, err := s.Apply(ctx, o, in)
	return err
}

func (s *Service) anew(o Origin, t scim.ResourceType, id string) func(Reader, *Rules) (Facts, Desired, error) {
	return func(r Reader, rules *Rules) (Facts, Desired, error) {
		f, err := account(r, t, id)
		if err != nil {
			return f, Desired{}, err
		}
		if f.Current.Connection != o.Connection.ID || !f.Current.Visible {
			return f, Desired{}, &Error{Kind: NotFound, Detail: "the resource is not the connection's any more"}
		}
		return s.renamed(r, o, rules, f, Desired{Asserted: f.Asserted, Anew: true})
	}
}

// AccountChange is what a draft of settings would do to one resource.
type AccountChange struct {
	Resource Resource // as it is
	Decision Decision // empty where Err is not nil
	Err      error    // why it would be refused
}

// PlanSettings calls fn with each visible resource of a connection on which a draft of its settings would
// decide otherwise. Nothing is written. NotFound, Invalid for a draft that does not compile.
func (s *Service) PlanSettings(ctx context.Context, tenant, connection string, draft Settings, fn func(AccountChange) error) error {
	c, err := s.Connection(ctx, tenant, connection)
	if err != nil {
		return err
	}
	rules, err := NewRules(c.SettingsVersion+1, draft)
	if err != nil {
		return &Error{Kind: Invalid, Detail: err.Error(), Err: err}
	}
	c.Settings = draft.Protocol
	o := Origin{Tenant: tenant, Connection: c}
	for _, t := range []scim.ResourceType{scim.User, scim.Group} {
		for after := ""; ; {
			_, ids, err := s.strideOf(ctx, tenant, recomputed{Connection: c.ID}, t, after)
			if err != nil {
				return err
			}
			for _, id := range ids {
				if err := s.planOne(ctx, o, t, id, rules, fn); err != nil {
					return err
				}
			}
			if len(ids) < jobStride {
				break
			}
			after = ids[len(ids)-1]
		}
	}
	return nil
}

// planOne decides on one resource under rules and tells of a difference.
func (s *Service) planOne(ctx context.Context, o Origin, t scim.ResourceType, id string, rules *Rules, fn func(AccountChange) error) error {
	var change AccountChange
	err := s.store.View(ctx, o.Tenant, func(r Reader) error {
		var f Facts
		in := Intent{Type: t, Want: func(r Reader, rules *Rules) (Facts, Desired, error) {
			facts, d, err := s.anew(o, t, id)(r, rules)
			f = facts
			return facts, d, err
		}}
		decision, err := decideUnder(r, rules, o, in, s.Now())
		if f.Current == nil {
			return err
		}
		change = AccountChange{Resource: *f.Current, Decision: decision, Err: err}
		return nil
	})
	if KindOf(err) == NotFound || KindOf(change.Err) == NotFound && change.Err != nil {
		return nil
	}
	if err != nil {
		return err
	}
	if change.Err == nil {
		last := change.Decision.Changes[len(change.Decision.Changes)-1]
		if last.Action == ChangeSkip {
			return nil
		}
	}
	return fn(change)
}

// Sweep does what time brings, in every tenant: it purges what is over its grace time, or asks; ages who is suspended for
// long; closes delayed departures that nobody asks for any more; flags what is overdue, and clients that
// have fallen silent; and forgets old captures. It reports how many resources changed.
func (s *Service) Sweep(ctx context.Context) (changed int, err error) {
	tenants, err := s.store.Tenants(ctx)
	if err != nil {
		return 0, err
	}
	err = s.forgetCaptures(ctx)
	w := Waiting{Open: map[MatterKind]int{}, Connections: map[HealthLevel]int{}}
	for _, tenant := range tenants {
		n, failed := s.sweep(ctx, tenant, &w)
		changed += n
		err = errors.Join(err, failed)
	}
	if err == nil {
		s.swept(w)
	}
	return changed, err
}

func (s *Service) sweep(ctx context.Context, tenant string, w *Waiting) (changed int, err error) {
	var all []Connection
	rules := map[int64]*Rules{}
	err = s.store.View(ctx, tenant, func(r Reader) error {
		if all, err = r.Connections(); err != nil {
			return err
		}
		for _, c := range all {
			if rules[c.ID], err = s.rules(r, c); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	n, err := s.purgeDue(ctx, tenant, all, rules)
	for _, c := range all {
		aged, failed := s.age(ctx, tenant, c, rules[c.ID])
		n, err = n+aged, errors.Join(err, failed, s.expireDelayed(ctx, tenant, c))
	}
	return n, errors.Join(err, s.flagOverdue(ctx, tenant, all, w), s.watch(ctx, tenant, all, w))
}

// due does to the resources that a query finds what time brings them, until it did something to a stride of them: the
// next sweep goes on. Those to whom there is nothing to do hold up nobody who comes after them.
func (s *Service) due(ctx context.Context, tenant string, q AccountQuery, do func(Resource) (done bool, err error)) (n int, err error) {
	q.Limit = jobStride
	for n < jobStride && ctx.Err() == nil {
		page, failed := View(ctx, s.store, tenant, func(r Reader) (out []Resource, err error) {
			err = r.Accounts(q, func(x Resource) error {
				out = append(out, x)
				return nil
			})
			return out, err
		})
		if failed != nil {
			return n, errors.Join(err, failed)
		}
		for _, x := range page {
			done, failed := do(x)
			if err = errors.Join(err, failed); done {
				n++
			}
		}
		if len(page) < jobStride {
			return n, err
		}
		q.After = page[len(page)-1].ID
	}
	return n, err
}

// purgeDue erases what is over its grace time, or opens a matter where a person shall say so, or where a protected group
// would have no member left. Who is protected stays.
func (s *Service) purgeDue(ctx context.Context, tenant string, all []Connection, rules map[int64]*Rules) (n int, err error) {
	byID := map[int64]Connection{}
	for _, c := range all {
		byID[c.ID] = c
	}
	for _, t := range []scim.ResourceType{scim.User, scim.Group} {
		q := AccountQuery{Type: t, Connection: -1, State: Removed, Removed: true, PurgeDue: s.Now()}
		purged, failed := s.due(ctx, tenant, q, func(x Resource) (bool, error) {
			r := rules[x.Connection]
			if r == nil {
				r = defaultRules
			}
			if r.protects(&x) {
				return false, nil
			}
			o := Origin{Tenant: tenant, Connection: byID[x.Connection], Actor: Schedule, Correlation: s.newID()}
			m := r.matter(&x, MatterPurge, CauseDeleted, Reason{Code: ReasonHeld, Args: map[string]string{"cause": CauseGrace}}, s.Now())
			a := Act{Purge: true, Cause: CauseDeleted, Instead: m}
			if r.Settings.Deletion.Purge == PurgeAsk {
				a = Act{Wait: true, Cause: CauseDeleted, Matters: []MatterChange{{Open: m}}}
			}
			_, err := s.act(ctx, o, t, x.ID, a, false)
			return err == nil, err
		})
		n, err = n+purged, errors.Join(err, failed)
	}
	return n, err
}

// age does to those who are suspended for long what the settings say. Who is protected stays.
func (s *Service) age(ctx context.Context, tenant string, c Connection, r *Rules) (n int, err error) {
	ageing := r.Settings.Deletion.Ageing
	if ageing.After == 0 {
		return 0, nil
	}
	asks := ageing.Do == HoldPolicy || r.asks()
	q := AccountQuery{Type: scim.User, Connection: c.ID, State: Suspended, LeftBefore: s.Now().Add(-ageing.After.Duration())}
	if asks { // else each minute would look at everybody who was asked about in all the years
		q.NotAsked = keyOfMatters(MatterHeld, CauseAgeing)
	}
	return s.due(ctx, tenant, q, func(x Resource) (bool, error) {
		if r.protects(&x) {
			return false, nil
		}
		o := Origin{Tenant: tenant, Connection: c, Actor: Schedule, Correlation: s.newID()}
		if asks {
			reason := Reason{Code: ReasonHeld, Args: map[string]string{"cause": CauseAgeing}}
			if ageing.Do != HoldPolicy {
				reason = awaitedImpact(CauseAgeing, ageing.Do)
			}
			m := r.matter(&x, MatterHeld, CauseAgeing, reason, s.Now())
			m.Then = DeletePolicy
			return s.openOnce(ctx, o, m)
		}
		_, err := s.act(ctx, o, scim.User, x.ID, Act{State: Removed, Grace: r.Settings.Deletion.Grace, Cause: CauseAgeing}, false)
		return err == nil, err
	})
}

// openOnce opens a matter that was never opened before, and tells whether it did: who said no once is not asked again.
func (s *Service) openOnce(ctx context.Context, o Origin, m *Matter) (opened bool, err error) {
	known := false
	err = s.Matters(ctx, o.Tenant, MatterQuery{Resource: m.Resource, Kind: m.Kind}, func(old Matter) error {
		known = known || old.Key == m.Key && (old.Status == MatterOpen || old.Status == MatterRejected)
		return nil
	})
	if err != nil || known {
		return false, err
	}
	err = s.administer(ctx, o, func(Tx) ([]step, error) {
		return []step{{matter: &MatterChange{Open: m}, reason: m.Reason.Code, connection: o.Connection,
			args: map[string]string{"kind": string(m.Kind), "resource": m.Resource, "cause": m.Cause}}}, nil
	})
	return err == nil, err
}

// expireDelayed closes delayed departures that their client no longer asks for.
func (s *Service) expireDelayed(ctx context.Context, tenant string, c Connection) error {
	before := s.Now().Add(-staleAfter.Duration())
	var stale []Matter
	err := s.Matters(ctx, tenant, MatterQuery{Connection: c.ID, Kind: MatterDelayed, Status: MatterOpen}, func(m Matter) error {
		if m.Seen.Before(before) {
			stale = append(stale, m)
		}
		return nil
	})
	for _, m := range stale {
		m.Status, m.ClosedAt, m.ClosedBy = MatterObsolete, s.Now(), Schedule
		failed := s.note(ctx, Origin{Tenant: tenant, Connection: c, Actor: Schedule, Correlation: s.newID()}, m, reasonMatterExpired)
		if failed != nil && KindOf(failed) != Conflict { // a person was faster
			err = errors.Join(err, failed)
		}
	}
	return err
}

// Run does jobs, sweeps and asks host applications until ctx ends. report hears of what failed; it may be called from
// several goroutines.
func (s *Service) Run(ctx context.Context, report func(error)) {
	var asking sync.WaitGroup
	asking.Go(func() { s.askRegularly(ctx, report) }) // on its own: whoever is slow to answer holds up nobody else
	defer asking.Wait()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var swept time.Time
	for {
		for {
			had, err := s.RunJob(ctx)
			if err != nil && ctx.Err() == nil {
				report(err)
			}
			if !had || err != nil {
				break
			}
		}
		if now := s.Now(); ctx.Err() == nil && now.Sub(swept) >= sweepEvery {
			swept = now
			if _, err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
				report(err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
