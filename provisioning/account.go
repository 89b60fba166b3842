package provisioning

import (
	"context"
	"slices"

	"meibo/scim"
)

// Act does what a person wants of the effective side of a resource. NotFound, Invalid "mutability" for what a guard keeps:
// it must be unprotected first; and Forbidden where a second person has to ask for the same.
func (s *Service) Act(ctx context.Context, o Origin, t scim.ResourceType, id string, a Act) (Result, error) {
	done, err := s.act(ctx, o, t, id, a, true)
	why, two := isDemand(err)
	if !two {
		return done, err
	}
	x, owner, err := s.owned(ctx, o.Tenant, t, id)
	if err != nil {
		return Result{}, err
	}
	closes, err := s.agree(ctx, o, actProposal(owner, x, a, why))
	if err != nil {
		return Result{}, err
	}
	a.Matters = append(slices.Clone(a.Matters), *closes)
	return s.act(ctx, o, t, id, a, false)
}

// act is Act for one person alone, or for whoever has agreed with another one; a job is nobody whose wish takes two.
func (s *Service) act(ctx context.Context, o Origin, t scim.ResourceType, id string, a Act, alone bool) (Result, error) {
	_, owner, err := s.owned(ctx, o.Tenant, t, id)
	if err != nil {
		return Result{}, err
	}
	o.Connection = owner
	in := Intent{Action: a.asks(), Type: t, ID: id, Alone: alone}
	in.Want = func(r Reader, rules *Rules) (Facts, Desired, error) {
		// First of all: what somebody else chose meanwhile may be why this cannot be done any longer.
		if _, err := asTheyAre(r, a.Matters); err != nil {
			return Facts{}, Desired{}, err
		}
		f, err := account(r, t, id)
		if err == nil && f.Current.Connection != owner.ID {
			err = &Error{Kind: Precondition, Detail: "the resource has another owner by now; look at it again and repeat the request"}
		}
		if err == nil && a.Purge {
			f.Groups, err = s.groupsOf(r, rules, o, id)
		}
		d := Desired{Act: &a}
		if err == nil && alone {
			d.Alone, err = s.demandsTwo(r, rules, o, owner.ID)
		}
		return f, d, err
	}
	return s.Apply(ctx, o, in)
}

// owned reads a resource with its owner. NotFound.
func (s *Service) owned(ctx context.Context, tenant string, t scim.ResourceType, id string) (x Resource, owner Connection, err error) {
	err = s.store.View(ctx, tenant, func(r Reader) error {
		if x, err = r.Account(t, id, References{}); err != nil {
			return err
		}
		owner, err = ownerOf(r, x)
		return err
	})
	return x, owner, err
}

// asks is the journal's word for an Act, should nothing come of it.
func (a *Act) asks() JournalAction {
	switch {
	case a.Purge, a.Empty, a.State == Removed:
		return ActionDelete
	case a.State == Suspended:
		return ActionDisable
	default:
		return ActionUpdate
	}
}

// account are the facts of a resource of whatever owner.
func account(r Reader, t scim.ResourceType, id string) (Facts, error) {
	x, err := r.Account(t, id, References{Groups: t == scim.User})
	if err != nil {
		return Facts{}, err
	}
	asserted, err := decoded(t, x.Asserted)
	return Facts{Current: &x, Asserted: asserted, HasGroups: true}, err
}

// ownerOf is the connection that owns a resource; zero for none.
func ownerOf(r Reader, x Resource) (Connection, error) {
	if x.Connection == 0 {
		return Connection{Settings: DefaultConnectionSettings()}, nil
	}
	return connectionByID(r, x.Connection)
}

func connectionByID(r Reader, id int64) (Connection, error) {
	all, err := r.Connections()
	if err != nil {
		return Connection{}, err
	}
	for _, c := range all {
		if c.ID == id {
			return c, nil
		}
	}
	return Connection{}, &Error{Kind: NotFound, Attribute: "connection", Detail: "the connection does not exist"}
}
