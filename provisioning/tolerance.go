package provisioning

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"meibo/scim"
)

// windowParts is how finely a window slides: what was spent counts until the part that it fell in is over.
const windowParts = 96

// limit is how many departures reach the tolerance, of what there was when the window began.
func (t Tolerance) limit(base int) int {
	n := base * t.Share / 100
	if t.Count > 0 {
		n = min(n, t.Count)
	}
	return max(n, t.Floor)
}

// current are the intervals of a window that still count.
func current(spent []Spent, window Period, now time.Time) []Spent {
	return slices.DeleteFunc(slices.Clone(spent), func(s Spent) bool { return !s.Until.Add(window.Duration()).After(now) })
}

func sum(spent []Spent) (n int) {
	for _, s := range spent {
		n += s.N
	}
	return n
}

// spend adds to the interval of now.
func spend(spent []Spent, n int, window Period, now time.Time) []Spent {
	part := max(window.Duration()/windowParts, time.Second)
	until := now.Truncate(part).Add(part)
	if last := len(spent) - 1; last >= 0 && spent[last].Until.Equal(until) {
		spent[last].N += n
		return spent
	}
	return append(spent, Spent{Until: until, N: n})
}

// tolerate claims a departure from the connection's tolerance, or stops it where that would be reached. A
// person's word comes first: what was allowed goes, what was rejected is ignored.
func (r *Rules) tolerate(f Facts, d Desired, x *Resource, e effect, policy DeletionPolicy) (effect, error) {
	kind, t := BudgetUsers, r.Settings.Tolerance.Users
	if x.Type == scim.Group {
		kind, t = BudgetGroups, r.Settings.Tolerance.Groups
	}
	if f.Departure == nil {
		return e, &lacking{departure: &BudgetQuery{Connection: x.Connection, Kind: kind, Resource: x.ID}}
	}
	if slices.ContainsFunc(f.Departure.Matters, func(m Matter) bool { return m.Status == MatterOpen && m.Kind == MatterDelayed }) {
		e.settle(x, d.Now, MatterDelayed)
	}
	switch word := spoken(f.Departure.Matters, e.cause, d.Now); word {
	case MatterAllowed:
		return e, nil
	case MatterRejected:
		kept := stays(x)
		kept.cause, kept.matters = e.cause, e.matters
		kept.ignore(e.cause)
		return kept, nil
	}
	b := r.budget(f.Departure.Budget, x.Connection, kind, d.Now)
	i := slices.IndexFunc(b.Allowances, func(a Allowance) bool { return a.Cause == "" || a.Cause == e.cause })
	switch {
	case i >= 0 && b.Allowances[i].Reject:
		kept := stays(x)
		kept.cause, kept.matters = e.cause, e.matters
		kept.ignore(e.cause)
		return kept, nil
	case x.State == Held && slices.ContainsFunc(f.Departure.Matters, awaitsImpact):
		return e, nil // it was let go when it was asked for first
	case i >= 0:
		if b.Allowances[i].Left > 0 {
			b.Allowances[i].Left--
		}
		e.budgets = []Budget{b}
		return e, nil
	}
	spent := sum(b.Spent)
	base := f.Departure.Present + spent
	if limit := t.limit(base); spent+1 >= limit {
		return r.stop(d, x, e, policy, stopped{what: string(kind), spent: spent, base: base, limit: limit, oldest: oldest(b.Spent)})
	}
	b.Spent = spend(b.Spent, 1, r.Settings.Tolerance.Window, d.Now)
	e.budgets = []Budget{b}
	return e, nil
}

// budget is what a connection has spent of a tolerance by now, and may beyond it, ready to be claimed from.
func (r *Rules) budget(b Budget, connection int64, kind BudgetKind, now time.Time) Budget {
	b.Connection, b.Kind = connection, kind
	b.Version++
	b.Spent = current(b.Spent, r.Settings.Tolerance.Window, now)
	b.Allowances = slices.DeleteFunc(slices.Clone(b.Allowances), func(a Allowance) bool { return a.Left == 0 || !a.Until.After(now) })
	return b
}

// spoken is what a person said of a resource's departure: the latest word that still holds; "" for nothing.
func spoken(matters []Matter, cause string, now time.Time) MatterStatus {
	for _, m := range matters {
		if m.Cause == cause && m.Kind == MatterDelayed && (m.Until.IsZero() || m.Until.After(now)) &&
			(m.Status == MatterAllowed || m.Status == MatterRejected) {
			return m.Status
		}
	}
	return ""
}

func oldest(spent []Spent) time.Time {
	if len(spent) == 0 {
		return time.Time{}
	}
	return spent[0].Until
}

// stopped is what a tolerance was reached with.
type stopped struct {
	what               string
	spent, base, limit int
	oldest             time.Time
}

// reason says what reached the limit.
func (s stopped) reason(cause string, policy DeletionPolicy) Reason {
	return Reason{Code: ReasonTolerance, Args: map[string]string{"cause": cause, "policy": string(policy), "counted": s.what,
		"spent": fmt.Sprint(s.spent), "of": fmt.Sprint(s.base), "limit": fmt.Sprint(s.limit)}}
}

// stop is what becomes of a departure that would reach the limit.
func (r *Rules) stop(d Desired, x *Resource, e effect, policy DeletionPolicy, s stopped) (effect, error) {
	if r.Settings.Tolerance.Mode != ToleranceWithhold {
		return effect{}, r.delay(d, x, e.cause, policy, s)
	}
	held := e.keptBack(x, s.reason(e.cause, policy), d.Now)
	held.open(r.matter(x, MatterHeld, e.cause, held.warning, d.Now))
	return held, nil
}

// delay answers that a change has to wait for an administrator.
func (r *Rules) delay(d Desired, x *Resource, cause string, policy DeletionPolicy, s stopped) *Error {
	reason := s.reason(cause, policy)
	return &Error{Kind: Unavailable, Staged: true, Reason: reason, RetryAfter: r.retryAfter(s.oldest, d.Now),
		Matter: r.matter(x, MatterDelayed, cause, reason, d.Now),
		Detail: fmt.Sprintf("%d of %d %s left within %s; one more change like this would reach the tolerance of %d. It waits for an administrator to allow it; repeat it later",
			s.spent, s.base, s.what, r.Settings.Tolerance.Window, s.limit)}
}

// Bounds of Retry-After: clients come back in time to see what a person allowed, and not all the time.
const (
	leastRetry = time.Minute
	mostRetry  = 30 * time.Minute
)

func (r *Rules) retryAfter(oldest, now time.Time) time.Duration {
	if oldest.IsZero() {
		return mostRetry
	}
	return min(max(oldest.Add(r.Settings.Tolerance.Window.Duration()).Sub(now), leastRetry), mostRetry)
}

// membership guards what a change takes from a group's members: a protected group is not emptied, and no group of some
// size loses most of its members at once. Who is kept goes on being an effective member alone.
func (r *Rules) membership(f Facts, x *Resource, d Desired, c *Change, e *effect) error {
	before := c.Before
	if before == nil {
		return nil
	}
	if left := before.MemberCount + c.Members.Grown(); c.Members.lost() > 0 && left <= 0 && (f.Kept[before.ID] || r.protects(before)) {
		because := r.because(before)
		if r.Settings.Guard.Mode == GuardRefuse {
			return keptByGuard(before, because)
		}
		c.Warning = Reason{Code: ReasonKept, Args: map[string]string{"cause": CauseMembers, "because": because}}
		r.keepMembers(before, MatterKept, c, e, d.Now)
		return nil
	}
	if d.ByPerson || r.Settings.Tolerance.Mode == ToleranceOff {
		return nil
	}
	return r.weighMembers(f, x, d, c, e)
}

// weighMembers weighs a removal of members. A person's word comes first: of whom a removal was rejected, that one removal is
// ignored, and the rest is weighed as if they had not been named.
func (r *Rules) weighMembers(f Facts, x *Resource, d Desired, c *Change, e *effect) error {
	before := c.Before
	lost, weighed, err := r.lostLately(before, d.Now)
	if err != nil || !weighed {
		return err
	}
	again := namedAgain(f, d.Members)
	if c.Members.lost() == 0 && len(again) == 0 {
		return nil
	}
	if f.Departure == nil {
		return &lacking{departure: &BudgetQuery{Connection: before.Connection, Resource: before.ID}}
	}
	leaving := c.Members.Remove
	ignored := c.Members.keep(rejectedMembers(f.Departure.Matters, d.Now))
	e.answer(f.Departure.Matters, slices.Concat(again, ignored), d.Now)
	n := c.Members.lost()
	switch {
	case n == 0:
		if len(ignored) > 0 {
			c.Ignored, c.Cause = true, CauseMembers
		}
		return nil
	case len(ignored) > 0:
		c.Warning = Reason{Code: ReasonIgnored, Args: map[string]string{"cause": CauseMembers}}
	}
	removals, reached := r.claimMembers(before, lost, n, d.Now)
	if reached != nil && spoken(f.Departure.Matters, CauseMembers, d.Now) != MatterAllowed {
		return r.stopRemoval(d, before, c, e, *reached)
	}
	if reached == nil {
		x.Removals = removals
	}
	e.done(before, f.Departure.Matters, leaving, d.Now)
	return nil
}

// lostLately is what a group has lost within the window, and whether it is of a size at which that is weighed.
func (r *Rules) lostLately(x *Resource, now time.Time) (lost []Spent, weighed bool, err error) {
	t := r.Settings.Tolerance
	if x.Removals != nil {
		if err := json.Unmarshal(x.Removals, &lost); err != nil {
			return nil, false, fmt.Errorf("stored removals are damaged: %w", err)
		}
		lost = current(lost, t.Window, now)
	}
	return lost, x.MemberCount+sum(lost) >= max(t.Members.From, 1), nil
}

// claimMembers is what a group has lost lately once n members more are removed, or what reaches the tolerance.
func (r *Rules) claimMembers(x *Resource, lost []Spent, n int, now time.Time) (removals []byte, reached *stopped) {
	t := r.Settings.Tolerance
	spent := sum(lost)
	base := x.MemberCount + spent
	if limit := t.Members.limit(base); spent+n >= limit {
		return nil, &stopped{what: "members", spent: spent, base: base, limit: limit, oldest: oldest(lost)}
	}
	removals, _ = json.Marshal(spend(lost, n, t.Window, now)) // times and numbers always marshal
	return removals, nil
}

// stopRemoval stops a removal of members.
func (r *Rules) stopRemoval(d Desired, x *Resource, c *Change, e *effect, s stopped) error {
	if r.Settings.Tolerance.Mode == ToleranceWithhold {
		c.Warning = s.reason(CauseMembers, "")
		r.keepMembers(x, MatterHeld, c, e, d.Now)
		return nil
	}
	refusal := r.delay(d, x, CauseMembers, "", s)
	refusal.Matter.Members = c.Members.Remove
	return refusal
}

// rejects reports whether a matter is a person's word that members stay.
func (m *Matter) rejects(now time.Time) bool {
	return m.Kind == MatterDelayed && m.Cause == CauseMembers && m.Status == MatterRejected && (m.Until.IsZero() || m.Until.After(now))
}

// rejectedMembers are those whose removal a person rejected.
func rejectedMembers(matters []Matter, now time.Time) map[string]bool {
	var stay []string
	for i := range matters {
		if matters[i].rejects(now) {
			stay = append(stay, matters[i].Members...)
		}
	}
	return setOf(stay)
}

func setOf(ids []string) map[string]bool {
	set := make(map[string]bool, len(ids))
	for _, id := range ids {
		set[id] = true
	}
	return set
}

// answer ends what a person's rejection says of members: it answered the removal that was asked for, once. Who is to leave
// after that, or after the client has named them as members again, is a new question.
func (e *effect) answer(matters []Matter, ids []string, now time.Time) {
	over := setOf(ids)
	for i := range matters {
		m := &matters[i]
		if len(over) == 0 || !m.rejects(now) {
			continue
		}
		left := slices.DeleteFunc(slices.Clone(m.Members), func(id string) bool { return over[id] })
		if len(left) < len(m.Members) {
			e.matters = append(e.matters, MatterChange{Answer: &MatterAnswer{ID: m.ID, Left: left, At: now}})
		}
	}
}

// done closes the question about a removal that went through by itself.
func (e *effect) done(x *Resource, matters []Matter, leaving []string, now time.Time) {
	for _, m := range matters {
		if m.Kind != MatterDelayed || m.Cause != CauseMembers || m.Status != MatterOpen {
			continue
		}
		if left := setOf(leaving); !slices.ContainsFunc(m.Members, func(id string) bool { return !left[id] }) {
			e.settle(x, now, MatterDelayed)
			e.matters[len(e.matters)-1].Settle.Only = m.Key
		}
	}
}

// keepMembers withholds a removal of members, and opens the matter of it.
func (r *Rules) keepMembers(x *Resource, kind MatterKind, c *Change, e *effect, now time.Time) {
	m := r.matter(x, kind, CauseMembers, c.Warning, now)
	m.Members = slices.Concat(c.Members.Remove, c.Members.EffectiveRemove)
	c.Members.withhold()
	e.open(m)
}
