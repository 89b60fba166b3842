package provisioning

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"meibo/scim"
)

// The journal is kept for a limited time. What lies before the cut goes in three steps, so that each unit of work is short
// and an interruption harms nothing:
//
//  1. The horizon moves: from now on nobody is told anything of what lies before it.
//  2. Resource by resource, what the entries before the cut come to is written into the last of them, which becomes
//     the baseline, and the others are deleted. Of what was purged nothing is left to say, so all its entries go.
//  3. What was known by position, the memberships that ended and the counts of the hours go.

// Horizon is how far back a tenant's journal reaches.
type Horizon struct {
	Cut      time.Time // the earliest instant that can be told of
	Done     time.Time // the cut up to which everything was purged; equal to Cut once that is done
	Position int64     // of the last entry that is not told any more
}

// JournalChange changes what is kept of the journal, in its place in a unit of work; one field is set.
type JournalChange struct {
	Rewrite *EntryRewrite
	Drop    []string // ids of entries that go; the last of a tenant that has a position stays
	Horizon *Horizon // moved forwards, never back
	// Nameless is the id of a member whom no group lists by a display name any longer.
	Nameless string
}

// EntryRewrite puts an entry in the place of another with the same id. The unit of work runs again where that is not any
// more what Was has as its time and its name.
type EntryRewrite struct{ Was, Is Entry }

// ActorRetention is whom the journal names for baselines.
const ActorRetention = "retention"

// Arguments of ReasonBaseline: what a resource's differences do not tell.
const (
	argCreated  = "created"  // RFC 3339
	argModified = "modified" // RFC 3339
	argLeft     = "left"     // RFC 3339; absent while it is active or held
	argWhy      = "why"      // JSON of the reason of the last change of the state
)

const (
	// retainStride is how many entries of the walk become one unit of work. On SQLite it holds the writer for a few milliseconds,
	// which is what a write beside it may have to wait.
	retainStride = 4
	// baselineMembers bounds the members in one entry of a baseline, unless there are fewer entries to take than that needs.
	baselineMembers = 500
	// forgetStride bounds one deletion of what is small.
	forgetStride = 200
	// retainRest is how much longer than it took the purge rests after each unit of work, so that it takes a fraction of
	// the database at most.
	retainRest = 9
)

// Retained is what a purge came to.
type Retained struct {
	Baselines int // resources whose history begins anew
	Entries   int // that went
}

// Retain purges the tenant's journal before an instant, or goes on with a purge that was interrupted. Two at a time do
// no harm, and the work twice. Resources that others write to meanwhile may be left to the next call. Those whose entries do
// not come to anything keep them: the error names them, and all else is done.
func (s *Service) Retain(ctx context.Context, tenant string, cut time.Time) (done Retained, err error) {
	h, err := s.moveHorizon(ctx, tenant, cut)
	if err != nil || h.Done.Equal(h.Cut) {
		return done, err
	}
	w := retention{Service: s, tenant: tenant, horizon: h, seen: map[string]bool{}, done: &done}
	if err := w.walk(ctx); err != nil {
		return done, err
	}
	if err := w.emptyHead(ctx); err != nil {
		return done, err
	}
	for _, drop := range []func() (int, error){
		func() (int, error) { return s.store.DropPositions(ctx, tenant, h.Position, forgetStride) },
		func() (int, error) { return s.store.DropMemberships(ctx, tenant, h.Cut, forgetStride) },
		func() (int, error) { return s.store.DropActivity(ctx, tenant, h.Cut, forgetStride) },
	} {
		if err := w.forget(ctx, drop); err != nil {
			return done, err
		}
	}
	if w.left {
		return done, errors.Join(w.damaged...) // the next call goes on
	}
	h.Done = h.Cut
	err = s.store.Update(ctx, tenant, func(tx Tx) error { return tx.Commit(Batch{Journal: []JournalChange{{Horizon: &h}}}) })
	return done, errors.Join(append(w.damaged, err)...)
}

// moveHorizon moves the horizon to a later cut, once an earlier one is done with.
func (s *Service) moveHorizon(ctx context.Context, tenant string, cut time.Time) (Horizon, error) {
	return Update(ctx, s.store, tenant, func(tx Tx) (Horizon, error) {
		h, err := tx.Horizon()
		if err != nil || !h.Done.Equal(h.Cut) || !cut.After(h.Cut) {
			return h, err
		}
		h.Cut = cut
		if h.Position, err = lastBefore(tx, h.Position, cut.Add(2*writeTimeout)); err != nil {
			return h, err
		}
		return h, tx.Commit(Batch{Journal: []JournalChange{{Horizon: &h}}})
	})
}

// lastBefore is the position of about the last entry before an instant: positions are in the order of commits, and so in
// that of time but for as long as a unit of work takes.
func lastBefore(r Reader, low int64, at time.Time) (int64, error) {
	_, head, err := r.Changes(low, 1)
	for high := head; err == nil && low < high; {
		middle := low + (high-low+1)/2
		var found []PositionedEntry
		if found, _, err = r.Changes(middle-1, 1); err == nil && len(found) > 0 && found[0].Entry.At.Before(at) {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return low, err
}

// retention is one purge.
type retention struct {
	*Service
	tenant  string
	horizon Horizon
	seen    map[string]bool // resources that were looked at
	left    bool            // some are left to the next purge
	damaged []error         // of those that keep their entries
	done    *Retained
}

// walk goes through the entries before the cut that no earlier purge has seen.
func (w *retention) walk(ctx context.Context) error {
	q := EntryQuery{Since: w.horizon.Done, Until: w.horizon.Cut, Limit: retainStride}
	for {
		began := w.now()
		page, err := View(ctx, w.store, w.tenant, func(r Reader) (EntryPage, error) { return r.EntryPage(q) })
		if err != nil {
			return err
		}
		if err := w.purge(ctx, page.Entries); err != nil {
			return err
		}
		if q.Before = page.Next; q.Before.IsZero() {
			return nil
		}
		if err := rest(ctx, retainRest*w.now().Sub(began)); err != nil {
			return err
		}
	}
}

// forget deletes batch by batch, until one is not full.
func (w *retention) forget(ctx context.Context, drop func() (int, error)) error {
	for {
		began := w.now()
		n, err := drop()
		if err != nil || n < forgetStride {
			return err
		}
		if err := rest(ctx, retainRest*w.now().Sub(began)); err != nil {
			return err
		}
	}
}

// rest waits for a while.
func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// purge deals with some entries and the resources that they are about.
func (w *retention) purge(ctx context.Context, entries []Entry) error {
	var plan purgePlan
	err := w.store.View(ctx, w.tenant, func(r Reader) error {
		for _, e := range entries {
			if e.Version == 0 {
				plan.expire(e)
				continue
			}
			if w.seen[e.ResourceID] {
				continue
			}
			w.seen[e.ResourceID] = true
			if err := plan.resource(r, e, w.horizon.Cut); err != nil {
				return err
			}
		}
		return nil
	})
	w.damaged = append(w.damaged, plan.damaged...)
	if err != nil || len(plan.rewrites)+len(plan.drop) == 0 {
		return err
	}
	// The baselines come first: a resource whose older entries are still there is whole all the same.
	var changes []JournalChange
	for i := range plan.rewrites {
		changes = append(changes, JournalChange{Rewrite: &plan.rewrites[i]})
	}
	first := plan.drop[:min(len(plan.drop), forgetStride)]
	if len(first) > 0 {
		changes = append(changes, JournalChange{Drop: first})
	}
	if err := w.commit(ctx, changes); err != nil {
		var own *Error
		if errors.As(err, &own) && own.Kind == Unavailable && ctx.Err() == nil {
			w.left = true // an erasure was faster, or the database is busy
			return nil
		}
		return err
	}
	for ids := range slices.Chunk(plan.drop[len(first):], forgetStride) {
		if err := w.commit(ctx, []JournalChange{{Drop: ids}}); err != nil {
			return err
		}
	}
	w.done.Baselines += plan.baselines
	w.done.Entries += len(plan.drop)
	return nil
}

func (w *retention) commit(ctx context.Context, changes []JournalChange) error {
	return w.store.Update(ctx, w.tenant, func(tx Tx) error { return tx.Commit(Batch{Journal: changes}) })
}

// emptyHead takes all that it says from the entry with the last position, if that is before the cut: it stays for the
// position's sake.
func (w *retention) emptyHead(ctx context.Context) error {
	return w.store.Update(ctx, w.tenant, func(tx Tx) error {
		_, head, err := tx.Changes(0, 1)
		if err != nil || head == 0 {
			return err
		}
		last, _, err := tx.Changes(head-1, 1)
		if err != nil || len(last) == 0 {
			return err
		}
		e := last[0].Entry
		if !e.At.Before(w.horizon.Cut) || e.Reason.Code == ReasonBaseline || e.Reason.Code == ReasonExpired {
			return nil
		}
		empty := Entry{ID: e.ID, At: e.At, Actor: ActorRetention, Action: ActionOther, Outcome: Success, Reason: Reason{Code: ReasonExpired}}
		return tx.Commit(Batch{Journal: []JournalChange{{Rewrite: &EntryRewrite{Was: e, Is: empty}}}})
	})
}

// purgePlan is what one unit of work does.
type purgePlan struct {
	rewrites  []EntryRewrite
	drop      []string
	baselines int
	damaged   []error // of resources whose entries come to nothing: they keep them
}

// expire lets an entry go that changed nothing.
func (p *purgePlan) expire(e Entry) {
	p.drop = append(p.drop, e.ID)
}

// resource makes the baseline of the resource of an entry.
func (p *purgePlan) resource(r Reader, e Entry, cut time.Time) error {
	own, err := versionsOf(r, EntryQuery{Resource: e.ResourceID, Until: cut.Add(2 * writeTimeout)}, e.ResourceType)
	if err != nil {
		return err
	}
	for len(own) > 0 && !own[len(own)-1].At.Before(cut) {
		own = own[:len(own)-1]
	}
	if len(own) == 0 {
		return nil
	}
	begun := sinceBaseline(own)
	if begun[len(begun)-1].Reason.Code == ReasonBaseline { // what is left of a purge that was interrupted
		p.drop = append(p.drop, idsOf(own[:len(own)-len(begun)])...)
		return nil
	}
	f, err := foldOf(begun, "")
	if err != nil {
		p.damaged = append(p.damaged, err)
		return nil
	}
	x, err := r.Account(f.t, f.id, References{})
	if KindOf(err) == NotFound && err != nil {
		p.damaged = append(p.damaged, fmt.Errorf("the journal has entries of %s %s, which is not there", f.t, f.id))
		return nil
	}
	if err != nil {
		return err
	}
	if x.Version == f.version && isGone(&x) {
		p.drop = append(p.drop, idsOf(own)...)
		return nil
	}
	pieces, err := f.baseline(begun, cut)
	if err != nil {
		p.damaged = append(p.damaged, err)
		return nil
	}
	p.baselines++
	kept := own[len(own)-len(pieces):]
	for i := range pieces {
		p.rewrites = append(p.rewrites, EntryRewrite{Was: kept[i], Is: pieces[i]})
	}
	p.drop = append(p.drop, idsOf(own[:len(own)-len(pieces)])...)
	return nil
}

func idsOf(entries []Entry) []string {
	ids := make([]string, len(entries))
	for i := range entries {
		ids[i] = entries[i].ID
	}
	return ids
}

// isGone reports whether a resource was purged, for its client, too: nothing is left of it that could be told.
func isGone(x *Resource) bool {
	return x.State == Removed && !x.Visible && x.Index.Name == ""
}

// baseline is all that the fold has come to, in the last of its own entries, and as many before that as its members need:
// its whole state, as a difference from nothing.
func (f *fold) baseline(own []Entry, cut time.Time) ([]Entry, error) {
	x, err := f.resource()
	if err != nil {
		return nil, err
	}
	after := view{asserted: f.asserted}
	if f.departs() {
		after.effective = f.effective()
	}
	differences := append(diff(scim.Attributes{}, f.asserted), rowDiff(nil, &x)...)
	differences = append(differences, effectiveDiff(view{}, after)...)
	members := f.open()
	n := min(len(own), max(1, (len(members)+baselineMembers-1)/baselineMembers))
	size := max(1, (len(members)+n-1)/n)
	pieces := make([]Entry, n)
	for i := range pieces {
		was := own[len(own)-n+i]
		part := members[min(i*size, len(members)):min((i+1)*size, len(members))]
		pieces[i] = Entry{ID: was.ID, At: cut.Add(-time.Microsecond), Connection: x.Connection, Actor: ActorRetention, Action: ActionUpdate,
			Outcome: Success, ResourceID: x.ID, ResourceType: x.Type, ResourceName: nameOf(x.Type, f.asserted), Version: f.version,
			Members: deltaOf(nil, part), Reason: Reason{Code: ReasonBaseline}}
	}
	last := &pieces[n-1]
	last.Diff = differences
	last.Reason.Args, err = f.baselineArgs(own)
	return pieces, err
}

// baselineArgs are the arguments of ReasonBaseline.
func (f *fold) baselineArgs(own []Entry) (map[string]string, error) {
	args := map[string]string{argCreated: f.created.Format(time.RFC3339Nano), argModified: f.modified.Format(time.RFC3339Nano)}
	if !f.left.IsZero() {
		args[argLeft] = f.left.Format(time.RFC3339Nano)
	}
	for i := len(own) - 1; i >= 0; i-- {
		if !changesState(&own[i]) {
			continue
		}
		why, err := json.Marshal(own[i].why())
		args[argWhy] = string(why)
		return args, err
	}
	return args, nil
}

func changesState(e *Entry) bool {
	return slices.ContainsFunc(e.Diff, func(c AttributeChange) bool { return c.Path == PathState })
}

// why is the reason of an entry that changed the state; of a baseline, that of the last entry before it that did.
func (e *Entry) why() Reason {
	if e.Reason.Code != ReasonBaseline {
		return e.Reason
	}
	var reason Reason
	if json.Unmarshal([]byte(e.Reason.Args[argWhy]), &reason) != nil {
		return e.Reason
	}
	return reason
}

// restart makes a fold begin at a baseline.
func (f *fold) restart(e *Entry) {
	*f = fold{t: f.t, id: f.id, only: f.only, version: e.Version, asserted: scim.Attributes{}, members: map[string]*PastMember{},
		row: map[string]any{PathOwner: number(e.Connection)}, created: e.At, modified: e.At}
}

// resume follows one entry of a baseline.
func (f *fold) resume(e *Entry) {
	if f.version != e.Version {
		f.restart(e)
	}
	for _, c := range e.Diff {
		f.assign(c.Path, c.New)
	}
	at := func(name string, t *time.Time) {
		if told, err := time.Parse(time.RFC3339Nano, e.Reason.Args[name]); err == nil {
			*t = told
		}
	}
	at(argCreated, &f.created)
	at(argModified, &f.modified)
	at(argLeft, &f.left)
	f.entry = e.ID
	f.join(&e.Members, time.Time{})
}

// sinceBaseline are the entries, in the order of versions, from the latest baseline on.
func sinceBaseline(own []Entry) []Entry {
	for i := len(own) - 1; i >= 0; i-- {
		if own[i].Reason.Code != ReasonBaseline {
			continue
		}
		for i > 0 && own[i-1].Version == own[i].Version {
			i--
		}
		return own[i:]
	}
	return own
}

// pastHorizon is the answer to who asks for what was purged.
func pastHorizon(attribute string, h Horizon) *Error {
	return &Error{Kind: Gone, Attribute: attribute,
		Detail: "the journal does not reach back to that: it is kept from " + h.Cut.UTC().Format(time.RFC3339) + " on"}
}

// begin is the position to begin behind, which may be FromTheOldest.
func begin(r Reader, after int64) (int64, error) {
	if after != FromTheOldest {
		return after, nil
	}
	h, err := r.Horizon()
	return h.Position, err
}

// unbroken is Gone where some of the entries behind a position are kept no longer; advice says what to do then. It is asked once they
// were read: the horizon moves before any of them goes.
func unbroken(r Reader, after int64, advice func(Horizon) string) error {
	h, err := r.Horizon()
	if err == nil && after < h.Position {
		err = &Error{Kind: Gone, Attribute: "after", Detail: advice(h)}
	}
	return err
}

// goOn is the advice to who follows the journal.
func goOn(h Horizon) string {
	return fmt.Sprintf("the journal is kept from %s on, and what you have not seen before that is gone: go on behind position %d, where it begins",
		h.Cut.UTC().Format(time.RFC3339), h.Position)
}

// retainEvery is how often RunRetention looks; the cut moves once a day.
const retainEvery = 15 * time.Minute

// RunRetention purges the journals of all tenants of what is older than the retention, until ctx ends. It returns at once
// where all is kept. report hears of what failed.
func (s *Service) RunRetention(ctx context.Context, report func(error)) {
	if s.retention == 0 {
		return
	}
	tick := time.NewTicker(retainEvery)
	defer tick.Stop()
	for {
		if err := s.retainAll(ctx); err != nil && ctx.Err() == nil {
			report(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *Service) retainAll(ctx context.Context) error {
	tenants, err := s.store.Tenants(ctx)
	cut := s.Now().Add(-s.retention).Truncate(day.Duration())
	for _, tenant := range tenants {
		_, failed := s.Retain(ctx, tenant, cut)
		err = errors.Join(err, failed)
	}
	return err
}
