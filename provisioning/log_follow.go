package provisioning

import (
	"context"
	"slices"

	"meibo/scim"
)

// Told is a piece of a tenant's journal in the order of positions.
type Told struct {
	Entries []PositionedEntry // those that were asked for
	Reached int64             // the last position that was looked at: where to go on
	Head    int64             // the last position given
}

// EntriesAfter reads what q selects of the entries after a position, which may be FromTheOldest. It looks at so many of them
// at most: where few are selected a piece may be empty and still have reached a later position. Before and Limit of q do not
// count. Gone where some of the entries that follow are kept no longer; NotFound for the tenant.
func (s *Service) EntriesAfter(ctx context.Context, tenant string, q EntryQuery, after int64, looks int) (Told, error) {
	return View(ctx, s.store, tenant, func(r Reader) (Told, error) {
		if _, err := tenantOf(r, tenant); err != nil {
			return Told{}, err
		}
		after, err := begin(r, after)
		if err != nil {
			return Told{}, err
		}
		entries, head, err := r.Changes(after, looks)
		if err != nil {
			return Told{}, err
		}
		if err := unbroken(r, after, goOn); err != nil {
			return Told{}, err
		}
		t := Told{Reached: after, Head: head}
		if len(entries) > 0 {
			t.Reached = entries[len(entries)-1].Position
		}
		c := newChoice(r, q)
		for _, e := range entries {
			selected, err := c.selects(&e.Entry)
			if err != nil {
				return Told{}, err
			}
			if selected {
				t.Entries = append(t.Entries, e)
			}
		}
		return t, nil
	})
}

// choice is an EntryQuery that is put to entries one by one. It selects what the store would.
type choice struct {
	EntryQuery
	name, prefix string // folded
	reader       Reader
	known        map[string]bool // whether Mail and ExternalID mean a resource
}

func newChoice(r Reader, q EntryQuery) choice {
	return choice{EntryQuery: q, name: scim.FoldFull.Apply(q.Name), prefix: scim.FoldFull.Apply(q.Prefix), reader: r, known: map[string]bool{}}
}

func (c choice) selects(e *Entry) (bool, error) {
	if !c.fits(e) || !c.fitsRequest(e.Request) || !c.names(e) {
		return false, nil
	}
	return c.means(e)
}

// fits judges by what every entry has.
func (c choice) fits(e *Entry) bool {
	return is(c.ID, e.ID) && (c.Connection == 0 || c.Connection == e.Connection) && is(c.Correlation, e.Correlation) &&
		is(c.Action, e.Action) && is(c.Outcome, e.Outcome) && is(c.Reason, e.Reason.Code) &&
		(c.Since.IsZero() || !e.At.Before(c.Since)) && (c.Until.IsZero() || e.At.Before(c.Until))
}

// is reports whether a condition that is given holds.
func is[T ~string](want, got T) bool { return want == "" || want == got }

func (c choice) fitsRequest(r *RequestInfo) bool {
	if r == nil {
		return c.Method == "" && c.Status == 0 && c.Slower <= 0
	}
	return is(c.Method, r.Method) && (c.Status == 0 || c.Status == r.Status || c.Status == r.Status/100) && r.Duration >= c.Slower
}

// names judges by whom the entry names.
func (c choice) names(e *Entry) bool {
	if !is(c.Resource, e.ResourceID) {
		return false
	}
	if c.name != "" || c.prefix != "" {
		folded := scim.FoldFull.Apply(e.ResourceName)
		if !is(c.name, folded) || len(folded) < len(c.prefix) || folded[:len(c.prefix)] != c.prefix {
			return false
		}
	}
	return c.Member == "" || e.Members.names(c.Member)
}

// names reports whether a change of members names somebody.
func (d *MemberDelta) names(id string) bool {
	is := func(m scim.Member) bool { return m.Value == id }
	return slices.ContainsFunc(d.Add, is) || slices.ContainsFunc(d.AssertedAdd, is) || slices.ContainsFunc(d.EffectiveAdd, is) ||
		slices.Contains(d.Remove, id) || slices.Contains(d.AssertedRemove, id) || slices.Contains(d.EffectiveRemove, id)
}

// means judges by what the resource has now, which the store alone knows.
func (c choice) means(e *Entry) (bool, error) {
	if c.Mail == "" && c.ExternalID == "" {
		return true, nil
	}
	meant, known := c.known[e.ResourceID]
	if !known && e.ResourceID != "" {
		err := c.reader.Entries(EntryQuery{Resource: e.ResourceID, Mail: c.Mail, ExternalID: c.ExternalID, Limit: 1}, func(Entry) error {
			meant = true
			return nil
		})
		if err != nil {
			return false, err
		}
		c.known[e.ResourceID] = meant
	}
	return meant, nil
}
