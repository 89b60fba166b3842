package provisioning

import (
	"context"
	"fmt"
	"slices"

	"meibo/scim"
)

// Told is a piece of a tenant's journal in the order of positions.
type Told struct {
	Entries []PositionedEntry // those that were asked for
	Reached int64             // the last position that was looked at: where to go on
	Head    int64             // the last position given
}

// Follower reads what a query selects of a tenant's journal, piece by piece, in the order of positions. It is for one
// goroutine at a time.
type Follower struct {
	service *Service
	tenant  string
	wanted  selection
}

// Follower returns one for q, of which Before and Limit do not count. Whom Mail and ExternalID mean is looked up for the
// first piece, and again for each that has entries from after that: so where an address changes hands meanwhile, what follows
// is told of who has it then, and of who had it no longer.
func (s *Service) Follower(tenant string, q EntryQuery) *Follower {
	return &Follower{s, tenant, newSelection(q)}
}

// After reads what is selected of the entries after a position, which may be FromTheOldest. It looks at so many of them at
// most: where few are selected a piece may be empty and still have reached a later position. Gone where some of the entries
// that follow are kept no longer; Invalid where Mail or ExternalID means too many to be followed; NotFound for the tenant.
func (f *Follower) After(ctx context.Context, after int64, looks int) (Told, error) {
	return View(ctx, f.service.store, f.tenant, func(r Reader) (Told, error) {
		if _, err := tenantOf(r, f.tenant); err != nil {
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
		if err := f.wanted.lookUp(r, entries, head); err != nil {
			return Told{}, err
		}
		t := Told{Reached: after, Head: head}
		if len(entries) > 0 {
			t.Reached = entries[len(entries)-1].Position
		}
		t.Entries = slices.DeleteFunc(entries, func(e PositionedEntry) bool { return !f.wanted.selects(&e.Entry) })
		return t, nil
	})
}

// selection is an EntryQuery that is put to entries one by one. It selects what the store would.
type selection struct {
	EntryQuery
	name, prefix string   // folded
	meant        []string // ids of those whom Mail and ExternalID mean, sorted
	lookedUp     int64    // the last position given when that was looked up; -1 before
}

func newSelection(q EntryQuery) selection {
	return selection{EntryQuery: q, name: scim.FoldFull.Apply(q.Name), prefix: scim.FoldFull.Apply(q.Prefix), lookedUp: -1}
}

// maxMeant bounds how many one follows by an address or an externalId.
const maxMeant = 1_000

// lookUp finds out whom Mail and ExternalID mean, where that may be otherwise than when it was looked up last: where there are
// entries that were written since. Head is the last position given when the entries were read.
func (c *selection) lookUp(r Reader, entries []PositionedEntry, head int64) (err error) {
	if c.Mail == "" && c.ExternalID == "" || len(entries) == 0 || entries[len(entries)-1].Position <= c.lookedUp {
		return nil
	}
	if c.meant, err = r.Meant(c.Mail, c.ExternalID); err != nil {
		return err
	}
	if len(c.meant) > maxMeant {
		return &Error{Kind: Invalid, Detail: fmt.Sprintf("more than %d users or groups have that: follow one of them by its id", maxMeant)}
	}
	slices.Sort(c.meant)
	c.lookedUp = head
	return nil
}

func (c *selection) selects(e *Entry) bool {
	return c.fits(e) && c.fitsRequest(e.Request) && c.names(e) && c.means(e)
}

// fits judges by what every entry has.
func (c *selection) fits(e *Entry) bool {
	return is(c.ID, e.ID) && (c.Connection == 0 || c.Connection == e.Connection) && is(c.Correlation, e.Correlation) &&
		is(c.Action, e.Action) && is(c.Outcome, e.Outcome) && is(c.Reason, e.Reason.Code) &&
		(c.Since.IsZero() || !e.At.Before(c.Since)) && (c.Until.IsZero() || e.At.Before(c.Until))
}

// is reports whether a condition that is given holds.
func is[T ~string](want, got T) bool { return want == "" || want == got }

func (c *selection) fitsRequest(r *RequestInfo) bool {
	if r == nil {
		return c.Method == "" && c.Status == 0 && c.Slower <= 0
	}
	return is(c.Method, r.Method) && (c.Status == 0 || c.Status == r.Status || c.Status == r.Status/100) && r.Duration >= c.Slower
}

// names judges by whom the entry names.
func (c *selection) names(e *Entry) bool {
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

// means judges by what the resource has now.
func (c *selection) means(e *Entry) bool {
	if c.Mail == "" && c.ExternalID == "" {
		return true
	}
	_, meant := slices.BinarySearch(c.meant, e.ResourceID)
	return meant
}
