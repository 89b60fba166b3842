package provisioning

import (
	"context"

	"meibo/scim"
)

// Act does what a person, or a job, wants of the effective side of a resource. NotFound, and Invalid
// "mutability" for what a guard keeps: it must be unprotected first.
func (s *Service) Act(ctx context.Context, o Origin, t scim.ResourceType, id string, a Act) (Result, error) {
	owner, err := View(ctx, s.store, o.Tenant, func(r Reader) (Connection, error) {
		x, err := r.Account(t, id, References{})
		if err != nil {
			return Connection{}, err
		}
		return ownerOf(r, x)
	})
	if err != nil {
		return Result{}, err
	}
	o.Connection = owner
	in := Intent{Action: a.asks(), Type: t, ID: id}
	in.Want = func(r Reader, _ *Rules) (Facts, Desired, error) {
		f, err := account(r, t, id)
		if err == nil && f.Current.Connection != owner.ID {
			err = &Error{Kind: Precondition, Detail: "the resource has another owner by now; look at it again and repeat the request"}
		}
		return f, Desired{Act: &a}, err
	}
	return s.Apply(ctx, o, in)
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
