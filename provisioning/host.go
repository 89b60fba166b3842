package provisioning

import (
	"context"
	"fmt"

	"meibo/scim"
)

// Account reads a user or group as the host application sees it, whoever owns it. NotFound.
func (s *Service) Account(ctx context.Context, tenant string, t scim.ResourceType, id string) (Resource, error) {
	return View(ctx, s.store, tenant, func(r Reader) (Resource, error) { return accountOf(r, t, id) })
}

// Accounts calls fn with the users or groups that q selects, by id.
func (s *Service) Accounts(ctx context.Context, tenant string, q AccountQuery, fn func(Resource) error) error {
	return s.store.View(ctx, tenant, func(r Reader) error { return r.Accounts(q, fn) })
}

// Memberships calls fn with the open memberships of a group, oldest first, whoever sees them; with none where there
// is no such group.
func (s *Service) Memberships(ctx context.Context, tenant, group string, fn func(GroupMember) error) error {
	return s.store.View(ctx, tenant, func(r Reader) error { return r.Memberships(group, fn) })
}

// MembershipsAfter calls fn with a page of them, by the id of the member: see Reader.
func (s *Service) MembershipsAfter(ctx context.Context, tenant, group, after string, limit int, fn func(GroupMember) error) error {
	return s.store.View(ctx, tenant, func(r Reader) error { return r.MembershipsAfter(group, after, limit, fn) })
}

// Changes is a piece of a tenant's journal in the gapless order of its positions.
type Changes struct {
	Entries []PositionedEntry
	After   int64               // the position that they come after
	Head    int64               // the last position given
	Now     map[string]Resource // by id: those that the entries changed, as they are now
}

// FromTheOldest is before the oldest entry that is kept, in the place of a position.
const FromTheOldest = -1

// Changes reads the entries after a position, at most limit, with the resources that they changed. Gone where some of those
// that follow it are kept no longer.
func (s *Service) Changes(ctx context.Context, tenant string, after int64, limit int) (Changes, error) {
	return View(ctx, s.store, tenant, func(r Reader) (Changes, error) {
		after, err := begin(r, after)
		if err != nil {
			return Changes{}, err
		}
		entries, head, err := r.Changes(after, limit)
		if err != nil {
			return Changes{}, err
		}
		if err := unbroken(r, after, mirrorAgain); err != nil {
			return Changes{}, err
		}
		c := Changes{Entries: entries, After: after, Head: head, Now: map[string]Resource{}}
		for _, e := range entries {
			if _, read := c.Now[e.Entry.ResourceID]; read || e.Entry.Version == 0 { // 0: it changed nothing
				continue
			}
			// Read after the entries, so it is at least as new as each of them.
			now, err := r.Account(e.Entry.ResourceType, e.Entry.ResourceID, References{})
			if KindOf(err) == NotFound {
				err = &Error{Kind: Internal, Detail: fmt.Sprintf("the entry at position %d changed a resource that is not there", e.Position), Err: err}
			}
			if err != nil {
				return Changes{}, err
			}
			c.Now[now.ID] = now
		}
		return c, nil
	})
}

// mirrorAgain is the advice to who mirrors the directory.
func mirrorAgain(Horizon) string {
	return "changes after that position are kept no longer: read everything again, as for a new mirror, and go on from head"
}

func accountOf(r Reader, t scim.ResourceType, id string) (Resource, error) {
	res, err := r.Account(t, id, References{})
	if KindOf(err) == NotFound {
		return res, &Error{Kind: NotFound, Detail: fmt.Sprintf("there is no %s with that id", t), Err: err}
	}
	return res, err
}
