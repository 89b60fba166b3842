package provisioning

import (
	"context"
	"slices"

	"meibo/scim"
)

// undoing is wants for one person alone.
func (s *Service) undoing(o Origin, u undo, p pick, out *ResourceUndo) func(Reader, *Rules) (Facts, Desired, error) {
	wants := u.wants(p, out)
	return func(r Reader, rules *Rules) (Facts, Desired, error) {
		f, d, err := wants(r, rules)
		if err == nil && !u.Agreed {
			d.Alone, err = s.demandsTwo(r, rules, o, f.Current.Connection)
		}
		return f, d, err
	}
}

// undoProposal is what an undo comes to if two have to want it: where it gets around a guard, or more would leave by it
// than the tolerance lets go. Nil where one may.
func (s *Service) undoProposal(ctx context.Context, tenant string, q UndoQuery) (*proposal, error) {
	two, err := s.DemandsTwo(ctx, tenant, "")
	if err != nil || !two {
		return nil, err
	}
	plan, err := s.PlanUndo(ctx, tenant, q)
	if err != nil {
		return nil, err
	}
	p := proposal{what: "undo", content: q, args: map[string]string{"entry": q.Entry, "correlation": q.Correlation}}
	leaving := map[int64]*[2]int{}
	for i := range plan.Resources {
		u := &plan.Resources[i]
		if p.args["because"] = u.demand; u.demand != "" {
			return &p, nil
		}
		if u.leaves() {
			n := leaving[u.owner]
			if n == nil {
				n = new([2]int)
				leaving[u.owner] = n
			}
			if u.Type == scim.User {
				n[0]++
			} else {
				n[1]++
			}
		}
	}
	owners, err := View(ctx, s.store, tenant, ownersOf)
	if err != nil {
		return nil, err
	}
	for id, n := range leaving {
		verdicts, err := s.Judge(ctx, tenant, owners[id], n[0], n[1])
		if err != nil {
			return nil, err
		}
		if Stops(verdicts) != "" {
			p.args["because"] = demandTolerance
			return &p, nil
		}
	}
	return nil, nil
}

// leaves reports whether the host application would lose the resource by it.
func (u *ResourceUndo) leaves() bool {
	return slices.ContainsFunc(u.Changes, func(c AttributeChange) bool {
		was, _ := c.Old.(string)
		is, _ := c.New.(string)
		return c.Path == PathState && State(was).in() && !State(is).in()
	})
}
