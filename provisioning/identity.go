package provisioning

import (
	"context"

	"meibo/scim"
)

// IdentityFilter selects matters by whom they are about: the document that a client asserted.
type IdentityFilter struct {
	of map[scim.ResourceType]scim.Filter // nil for all
}

// ParseIdentityFilter reads a SCIM filter (RFC 7644 §3.4.2.2) over users, groups or both. What only one of them has
// selects none of the others.
func ParseIdentityFilter(text string) (IdentityFilter, error) {
	if text == "" {
		return IdentityFilter{}, nil
	}
	f := IdentityFilter{of: map[scim.ResourceType]scim.Filter{}}
	var fault error
	for _, t := range []scim.ResourceType{scim.Group, scim.User} {
		parsed, err := scim.ParseFilter(scim.Standard(t), text)
		if err == nil {
			f.of[t] = parsed
		}
		fault = err // of a user's, if neither has it
	}
	if len(f.of) == 0 {
		return IdentityFilter{}, normalised(fault)
	}
	return f, nil
}

// IsZero reports whether everything is selected.
func (f IdentityFilter) IsZero() bool { return f.of == nil }

func (f IdentityFilter) selects(t scim.ResourceType, a scim.Attributes) bool {
	if f.of == nil {
		return true
	}
	filter := f.of[t]
	return filter != nil && a != nil && scim.Match(filter, a)
}

// Identity is the document that a client asserted of whom a matter is about: of an adoption what it sent, of anything else what is
// stored of the resource. Nil of a proposal that is about nobody, and of what was purged.
func (s *Service) Identity(ctx context.Context, tenant string, m Matter) (scim.Attributes, error) {
	if len(m.Asserted) > 0 {
		return decoded(m.Type, m.Asserted)
	}
	if m.Resource == "" {
		return nil, nil
	}
	x, err := s.Account(ctx, tenant, m.Type, m.Resource)
	if KindOf(err) == NotFound && err != nil || err == nil && len(x.Asserted) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return decoded(m.Type, x.Asserted)
}

// matterPage is how many matters are read at a time.
const matterPage = 500

// FindMatters calls fn with the matters that q and a filter select, latest first, each with whether it is selected, until fn
// is told enough. Limit of q bounds how many are looked at; 0 for all.
func (s *Service) FindMatters(ctx context.Context, tenant string, q MatterQuery, f IdentityFilter, fn func(m Matter, selected bool) error) error {
	left := q.Limit
	for {
		if q.Limit = matterPage; left > 0 {
			q.Limit = min(left, matterPage)
		}
		var page []Matter
		err := s.Matters(ctx, tenant, q, func(m Matter) error {
			page = append(page, m)
			return nil
		})
		if err != nil {
			return err
		}
		for _, m := range page {
			var a scim.Attributes
			if !f.IsZero() {
				if a, err = s.Identity(ctx, tenant, m); err != nil {
					return err
				}
			}
			if err := fn(m, f.selects(m.Type, a)); err != nil {
				return err
			}
		}
		if left -= len(page); len(page) < q.Limit || left == 0 {
			return nil
		}
		q.Before = page[len(page)-1].ID
	}
}
