package provisioning

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"meibo/scim"
)

// Why something takes a second person, where the settings demand one.
const (
	demandProtection = "protection" // it takes a protection away
	demandRole       = "role"       // it gives or takes a guarded role
	demandOwner      = "owner"      // it gives the account to another connection, or to none
	demandPurge      = "purge"      // it erases, or sooner than the grace time would
	demandTolerance  = "tolerance"  // with it as many would have left as reach the tolerance
)

// alone weighs what one person wants where the settings demand two. Decision.Demand says what takes the other one. What
// takes none is claimed from the tolerance as a client's departures are, so that many small steps are no way around it.
func (r *Rules) alone(f Facts, d Desired, out *Decision) error {
	c := &out.Changes[len(out.Changes)-1]
	if c.Action == ChangeSkip {
		return nil
	}
	var err error
	if out.Demand, err = r.demand(d, c); err != nil || out.Demand != "" {
		return err
	}
	return r.claimAlone(f, d, c, out)
}

// demand says which guard a change gets around; "" for none.
func (r *Rules) demand(d Desired, c *Change) (string, error) {
	before, after := &Resource{}, &c.After
	if c.Before != nil {
		before = c.Before
	}
	roles, err := r.changesPrivilege(before, after)
	switch {
	case err != nil:
		return "", err
	case c.Reason.Code == ReasonPurged, c.Reason.Code == ReasonMemberPurged, d.Restore != nil && sooner(before, after):
		return demandPurge, nil
	case before.Protected && !after.Protected, r.names(before) && !r.protects(after):
		return demandProtection, nil
	case roles:
		return demandRole, nil
	case c.Before != nil && before.Connection != after.Connection:
		return demandOwner, nil
	default:
		return "", nil
	}
}

// changesPrivilege reports whether somebody gets or loses a guarded role, at once or by a choice that the next
// assertion puts in force.
func (r *Rules) changesPrivilege(before, after *Resource) (bool, error) {
	if before.Role != after.Role && (r.guarded[before.Role] || r.guarded[after.Role]) {
		return true, nil
	}
	was, err := overridesOf(before)
	if err != nil {
		return false, err
	}
	is, err := overridesOf(after)
	chosen, _ := was[overrideRole].(string)
	chooses, _ := is[overrideRole].(string)
	return chosen != chooses && (r.guarded[chosen] || r.guarded[chooses]), err
}

// sooner reports whether what is removed already may be purged earlier than it could, or who is suspended ages earlier.
func sooner(before, after *Resource) bool {
	if before.State == Suspended && after.State == Suspended {
		return after.LeftAt.Before(before.LeftAt)
	}
	return before.State == Removed && after.State == Removed && !after.PurgeAt.IsZero() &&
		(before.PurgeAt.IsZero() || after.PurgeAt.Before(before.PurgeAt))
}

// claimAlone claims what leaves from the tolerance of its owner, or says that it would be reached.
func (r *Rules) claimAlone(f Facts, d Desired, c *Change, out *Decision) error {
	x := c.Before
	if x == nil || x.Connection == 0 || r.Settings.Tolerance.Mode == ToleranceOff {
		return nil // nobody's accounts have no tolerance
	}
	if n := c.Members.lost(); n > 0 {
		lost, weighed, err := r.lostLately(x, d.Now)
		if err != nil {
			return err
		}
		if weighed {
			removals, reached := r.claimMembers(x, lost, n, d.Now)
			if reached != nil {
				out.Demand = demandTolerance
				return nil
			}
			c.After.Removals = removals
		}
	}
	if !c.Leaves() {
		return nil
	}
	kind, t := BudgetUsers, r.Settings.Tolerance.Users
	if x.Type == scim.Group {
		kind, t = BudgetGroups, r.Settings.Tolerance.Groups
	}
	if f.Departure == nil {
		return &lacking{departure: &BudgetQuery{Connection: x.Connection, Kind: kind, Resource: x.ID}}
	}
	b := r.budget(f.Departure.Budget, x.Connection, kind, d.Now)
	spent := sum(b.Spent)
	switch i := slices.IndexFunc(b.Allowances, func(a Allowance) bool { return a.Cause == "" && !a.Reject }); {
	case i >= 0:
		if b.Allowances[i].Left > 0 {
			b.Allowances[i].Left--
		}
	case spent+1 >= t.limit(f.Departure.Present+spent):
		out.Demand = demandTolerance
		return nil
	default:
		b.Spent = spend(b.Spent, 1, r.Settings.Tolerance.Window, d.Now)
	}
	out.Budgets = append(out.Budgets, b)
	return nil
}

// demandsTwo reports whether the settings of one of the owners demand two persons; of nobody's, whether any
// connection's do. Rules are those of the origin's connection.
func (s *Service) demandsTwo(r Reader, rules *Rules, o Origin, owners ...int64) (bool, error) {
	for _, owner := range owners {
		if owner != 0 && owner == o.Connection.ID {
			if rules.Settings.Matters.SecondPerson {
				return true, nil
			}
			continue
		}
		if demands, err := s.anyDemandsTwo(r, owner); demands || err != nil {
			return demands, err
		}
	}
	return false, nil
}

// anyDemandsTwo reports whether the settings of an owner, or of any connection for nobody, demand two persons.
func (s *Service) anyDemandsTwo(r Reader, owner int64) (bool, error) {
	all, err := r.Connections()
	for _, c := range all {
		if owner != 0 && c.ID != owner {
			continue
		}
		rules, err := s.rules(r, c)
		if err != nil || rules.Settings.Matters.SecondPerson {
			return err == nil, err
		}
	}
	return false, err
}

// DemandsTwo reports whether the settings of a connection, or of any for "", demand a second person.
func (s *Service) DemandsTwo(ctx context.Context, tenant, connection string) (bool, error) {
	return View(ctx, s.store, tenant, func(r Reader) (bool, error) {
		var owner int64
		if connection != "" {
			c, err := connectionOf(r, tenant, connection)
			if err != nil {
				return false, err
			}
			owner = c.ID
		}
		return s.anyDemandsTwo(r, owner)
	})
}

// takesTwo refuses what one person cannot do alone, and says why.
func takesTwo(why string) *Error {
	return &Error{Kind: Forbidden, Attribute: "secondPerson", Reason: Reason{Code: ReasonSecondPerson, Args: map[string]string{"because": why}},
		Detail: fmt.Sprintf("the settings demand a second person for this (%s)", why)}
}

// isDemand is why something takes two, if that is what an error says.
func isDemand(err error) (why string, is bool) {
	own, ok := errors.AsType[*Error](err)
	if !ok || own.Reason.Code != ReasonSecondPerson {
		return "", false
	}
	return own.Reason.Args["because"], true
}
