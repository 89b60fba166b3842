package provisioning

import (
	"cmp"
	"context"
	"slices"

	"meibo/scim"
)

// History reads what happened to a user or group: the entries about it, and those of groups whose change of members names
// it. q narrows it; pages are as of EntryPage. NotFound where the tenant never had it.
func (s *Service) History(ctx context.Context, tenant string, t scim.ResourceType, id string, q EntryQuery) (EntryPage, error) {
	if q.Limit == 0 {
		q.Limit = 100
	}
	return View(ctx, s.store, tenant, func(r Reader) (EntryPage, error) {
		if _, err := tenantOf(r, tenant); err != nil {
			return EntryPage{}, err
		}
		if _, err := accountOf(r, t, id); err != nil {
			return EntryPage{}, err
		}
		about, named := q, q
		about.Resource, named.Member = id, id
		own, err := r.EntryPage(about)
		if err != nil {
			return EntryPage{}, err
		}
		others, err := r.EntryPage(named)
		if err != nil {
			return EntryPage{}, err
		}
		return merged(own, others, q.Limit), nil
	})
}

// merged is the page of the entries of two, each once. It ends where one of the two does not know what follows.
func merged(a, b EntryPage, limit int) EntryPage {
	out := EntryPage{Entries: slices.Concat(a.Entries, b.Entries)}
	slices.SortFunc(out.Entries, func(x, y Entry) int { return y.Place().Compare(x.Place()) })
	out.Entries = slices.CompactFunc(out.Entries, func(x, y Entry) bool { return x.ID == y.ID })
	for _, p := range []EntryPage{a, b} {
		if !p.Next.IsZero() && (out.Next.IsZero() || p.Next.Compare(out.Next) > 0) {
			out.Next = p.Next
		}
	}
	if !out.Next.IsZero() {
		out.Entries = slices.DeleteFunc(out.Entries, func(e Entry) bool { return e.Place().Compare(out.Next) < 0 })
	}
	if len(out.Entries) > limit {
		out.Entries = out.Entries[:limit]
		out.Next = out.Entries[limit-1].Place()
	}
	return out
}

// Compare is negative for a place further down the log, so of an older entry.
func (p Place) Compare(q Place) int {
	if c := p.At.Compare(q.At); c != 0 {
		return c
	}
	return cmp.Compare(p.ID, q.ID)
}
