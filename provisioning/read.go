package provisioning

import "context"

// MemberRows streams the members of the groups of a page, group by group in the page's order.
type MemberRows func(fn func(GroupMember) error) error

// Get reads one resource and hands it to emit; with members, rows gives a group's member list from
// the same snapshot. rows is valid only inside emit. NotFound if the connection does not see it.
func (s *Service) Get(ctx context.Context, tenant string, q ResourceQuery, members bool, emit func(Resource, MemberRows) error) error {
	return s.store.View(ctx, tenant, func(r Reader) error {
		if members {
			if err := r.Snapshot(); err != nil {
				return err
			}
		}
		res, err := r.Resource(q)
		if err != nil {
			return err
		}
		return emit(res, func(fn func(GroupMember) error) error { return r.Members([]string{res.ID}, fn) })
	})
}

// List reads one page and hands it to emit, as Get does.
func (s *Service) List(ctx context.Context, tenant string, q ListQuery, members bool, emit func(Page, MemberRows) error) error {
	return s.store.View(ctx, tenant, func(r Reader) error {
		if members {
			if err := r.Snapshot(); err != nil {
				return err
			}
		}
		page, err := r.List(q)
		if err != nil {
			return err
		}
		return emit(page, func(fn func(GroupMember) error) error {
			ids := make([]string, len(page.Resources))
			for i, res := range page.Resources {
				ids[i] = res.ID
			}
			return r.Members(ids, fn)
		})
	})
}

// Snapshot runs fn with read access to one state of a tenant, however many reads it makes. fn may take long; it
// opens nothing else of the tenant meanwhile. NotFound for the tenant.
func (s *Service) Snapshot(ctx context.Context, tenant string, fn func(Reader) error) error {
	return s.store.View(ctx, tenant, func(r Reader) error {
		if err := r.Snapshot(); err != nil {
			return err
		}
		if _, err := tenantOf(r, tenant); err != nil {
			return err
		}
		return fn(r)
	})
}
