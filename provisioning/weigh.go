package provisioning

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"meibo/scim"
)

// WeighSettings counts who would leave once a draft of settings is in force and the job has decided on everybody anew, and
// weighs it against the draft's tolerance: all or nothing, since it is one run (semantics §3). It returns a verdict
// for each kind of which somebody would leave, none where the tolerance is off. Nothing is written. NotFound, Invalid
// for a draft that does not compile.
func (s *Service) WeighSettings(ctx context.Context, tenant, connection string, draft Settings) ([]Verdict, error) {
	c, err := s.Connection(ctx, tenant, connection)
	if err != nil {
		return nil, err
	}
	rules, err := NewRules(c.SettingsVersion+1, draft)
	if err != nil {
		return nil, &Error{Kind: Invalid, Detail: err.Error(), Err: err}
	}
	tolerance := draft.Tolerance
	if tolerance.Mode == ToleranceOff {
		return nil, nil
	}
	var out []Verdict
	for _, k := range []struct {
		kind BudgetKind
		t    scim.ResourceType
		tol  Tolerance
	}{{BudgetUsers, scim.User, tolerance.Users}, {BudgetGroups, scim.Group, tolerance.Groups}} {
		leaving := 0
		q := AccountQuery{Type: k.t, Connection: c.ID, References: References{Groups: k.t == scim.User && rules.readsGroups()}}
		err := s.eachAccount(ctx, tenant, q, func(x *Resource) error {
			goes, err := rules.lets(x)
			if goes {
				leaving++
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		if leaving == 0 {
			continue
		}
		facts, err := View(ctx, s.store, tenant, func(r Reader) (DepartureFacts, error) {
			return r.Departure(BudgetQuery{Connection: c.ID, Kind: k.kind})
		})
		if err != nil {
			return nil, err
		}
		spent := sum(current(facts.Budget.Spent, tolerance.Window, s.Now()))
		out = append(out, k.tol.verdict(k.kind, leaving, spent, facts.Present))
	}
	return out, nil
}

// lets reports whether a resource that the host application has would leave it, were it decided on anew.
func (r *Rules) lets(x *Resource) (bool, error) {
	if !x.Visible || !x.State.in() || r.protects(x) {
		return false, nil
	}
	asserted, err := decoded(x.Type, x.Asserted)
	if err != nil {
		return false, err
	}
	cause := r.cause(x.Type, asserted, x.Groups)
	return cause != "" && slices.Contains([]DeletionPolicy{SuspendPolicy, DeletePolicy, RemoveMembersPolicy}, r.policy(x.Type, cause)), nil
}

// Stops says of verdicts in a sentence that a run would be stopped; "" where it would not.
func Stops(verdicts []Verdict) string {
	var parts []string
	for _, v := range verdicts {
		if !v.Stopped {
			continue
		}
		text := fmt.Sprintf("%d of %d %s would leave", v.Leaving, v.Of, v.Kind)
		if v.Spent > 0 {
			text += fmt.Sprintf(", and %d have left already", v.Spent)
		}
		parts = append(parts, fmt.Sprintf("%s, and the tolerance of %d (%d %%) would be reached", text, v.Limit, v.Share))
	}
	if len(parts) == 0 {
		return ""
	}
	return "a real run would be stopped: " + strings.Join(parts, "; ")
}

// weigh refuses settings under which more would leave than the tolerance and the draft's Allow let go. It returns what is
// to be allowed with them.
func (s *Service) weigh(ctx context.Context, o Origin, connection string, d SettingsDraft) ([]Verdict, error) {
	before, err := s.Settings(ctx, o.Tenant, connection)
	if err == nil {
		err = expected(before, d.Expect)
	}
	if err != nil || !DecidesAnew(before.Settings.Diff(d.Settings)) {
		return nil, err
	}
	verdicts, err := s.WeighSettings(ctx, o.Tenant, connection, d.Settings)
	if err != nil {
		return nil, err
	}
	stopped := slices.DeleteFunc(slices.Clone(verdicts), func(v Verdict) bool { return !v.Stopped })
	leaving := 0
	for _, v := range stopped {
		leaving += v.Leaving
	}
	if leaving > d.Allow {
		return nil, &Error{Kind: Conflict, Attribute: "allow",
			Detail: fmt.Sprintf("%s. Nothing was applied; correct the settings, or allow %d to leave", Stops(stopped), leaving)}
	}
	return stopped, nil
}

// allowed are the steps that let go, for a day, what the verdicts stopped.
func allowed(r Reader, o Origin, c Connection, stopped []Verdict, now time.Time) ([]step, error) {
	var out []step
	for _, v := range stopped {
		st, err := allowanceStep(r, c, v.Kind, Allowance{Cause: CauseScope, Left: v.Leaving, Until: now.Add(allowWithin), By: o.Actor}, now)
		if err != nil {
			return nil, err
		}
		out = append(out, st)
	}
	return out, nil
}
