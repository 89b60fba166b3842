package provisioning

import (
	"context"
	"errors"
	"slices"
	"time"

	"meibo/scim"
)

// UndoPlan is what an undo would do.
type UndoPlan struct {
	Entries int // selected entries that changed a user or group
	// Other is how many entries about settings, tokens, connections or matters are among the changes: they are not undone.
	Other     int
	Resources []ResourceUndo // the latest change first, in the order in which they are undone
}

// ResourceUndo is what an undo does to one resource.
type ResourceUndo struct {
	ID      string
	Type    scim.ResourceType
	Name    string
	Entry   string // the newest entry that is undone
	Entries int
	// Lost is what does not come back, and why.
	Lost []string
	// Changes are by the path of an effective attribute, or by a path constant of the journal.
	Changes   []AttributeChange
	Members   MemberDelta
	Conflicts []UndoConflict
	Refused   string // why the rest is not done: a guard keeps it, or its name is taken; "" where nothing is refused

	owner  int64  // connection; 0 for none
	demand string // why it takes a second person
	latest Entry  // of those that are undone, in the order in which entries are listed
	done   bool   // this undo has changed it before it was interrupted
}

// refuse leaves the resource as it is.
func (u *ResourceUndo) refuse(why *Error) {
	u.Refused, u.Changes, u.Members = why.Detail, nil, MemberDelta{}
}

// IsZero reports whether nothing would change.
func (u ResourceUndo) IsZero() bool { return len(u.Changes) == 0 && u.Members.IsZero() }

// UndoConflict is something that somebody else changed since: it stays as it is.
type UndoConflict struct {
	Path  string    `json:"path"`  // as in ResourceUndo.Changes; PathMember and an id for a membership
	Entry string    `json:"entry"` // the last that changed it
	At    time.Time `json:"at"`
	By    string    `json:"by"` // actor
}

// PathMember is followed by the id of a group's member.
const PathMember = "meibo.member."

// PlanUndo says what an undo would do, without doing it. Invalid for a query that names nothing, NotFound for an
// entry, correlation or connection that does not exist.
func (s *Service) PlanUndo(ctx context.Context, tenant string, q UndoQuery) (UndoPlan, error) {
	var plan UndoPlan
	err := s.store.View(ctx, tenant, func(r Reader) error {
		now := s.Now()
		u, err := q.resolve(r, tenant, now.Add(time.Microsecond))
		if err != nil {
			return err
		}
		plan = UndoPlan{}
		var picks []pick
		if picks, plan.Entries, plan.Other, err = u.picks(r, u.entries()); err != nil {
			return err
		}
		for _, p := range picks {
			done, err := s.planUndo(r, u, p, now)
			if err != nil {
				return err
			}
			plan.Resources = append(plan.Resources, done)
		}
		return plan.explainNames(r)
	})
	return plan, err
}

// planUndo decides on one resource and writes nothing.
func (s *Service) planUndo(r Reader, u undo, p pick, now time.Time) (ResourceUndo, error) {
	x, err := r.Account(p.Type, p.ID, References{})
	if err != nil {
		return ResourceUndo{}, err
	}
	var out ResourceUndo
	o := Origin{Tenant: u.tenant, Connection: u.owners[x.Connection]}
	in := Intent{Type: p.Type, ID: p.ID, Want: s.undoing(o, u, p, &out), Alone: true}
	decision, _, err := s.decide(r, o, in, now)
	out.owner, out.demand = x.Connection, decision.Demand
	if own := new(Error); errors.As(err, &own) && own.Kind != Unavailable {
		out.refuse(own)
		err = nil
	}
	return out, err
}

// wants is the Want of an undo of one resource; out is told what it comes to.
func (u undo) wants(p pick, out *ResourceUndo) func(Reader, *Rules) (Facts, Desired, error) {
	return func(r Reader, rules *Rules) (Facts, Desired, error) {
		f, err := account(r, p.Type, p.ID)
		if err != nil {
			return f, Desired{}, err
		}
		b, err := u.back(r, f)
		if err != nil {
			return f, Desired{}, err
		}
		a := b.act(f, rules)
		*out = b.out
		return f, Desired{Act: a, ByPerson: true}, nil
	}
}

// explainNames says of which resources the effective userName is somebody else's by now.
func (p *UndoPlan) explainNames(r Reader) error {
	planned := map[string]*ResourceUndo{}
	for i := range p.Resources {
		planned[p.Resources[i].ID] = &p.Resources[i]
	}
	for i := range p.Resources {
		u := &p.Resources[i]
		taken, err := u.nameIsTaken(r, func(holder Resource) bool { return planned[holder.ID] != nil && planned[holder.ID].yields() })
		if err != nil {
			return err
		}
		if taken {
			u.refuse(Taken("userName"))
		}
	}
	return nil
}

// nameIsTaken reports whether the effective userName that a user takes again is that of somebody who does not yield it.
func (u *ResourceUndo) nameIsTaken(r Reader, yields func(Resource) bool) (taken bool, err error) {
	name, wanted, err := u.returningName(r)
	if err != nil || !wanted {
		return false, err
	}
	err = r.Accounts(AccountQuery{Type: scim.User, Connection: -1, Effective: name}, func(holder Resource) error {
		taken = holder.ID != u.ID && !yields(holder)
		return nil
	})
	return taken, err
}

// returningName is the folded effective userName that a user takes again; false where it takes none.
func (u *ResourceUndo) returningName(r Reader) (string, bool, error) {
	var back, named bool
	var name, state string
	for _, c := range u.Changes {
		switch c.Path {
		case PathState:
			state, _ = c.New.(string)
			back = c.Old == string(Removed)
		case "userName":
			name, named = c.New.(string)
		}
	}
	if u.Type != scim.User || !back && !named || state == string(Removed) {
		return "", false, nil
	}
	x, err := r.Account(u.Type, u.ID, References{})
	if !named {
		name = x.Index.EffectiveName
	}
	return scim.FoldFull.Apply(name), err == nil && (state != "" || x.State != Removed), err
}

// yields reports whether the resource gives its effective userName up.
func (u *ResourceUndo) yields() bool {
	return slices.ContainsFunc(u.Changes, func(c AttributeChange) bool {
		return c.Path == PathState && c.New == string(Removed) || c.Path == "userName"
	})
}
