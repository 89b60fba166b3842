package provisioning

import (
	"context"
	"strconv"
	"strings"
	"time"
)

// The log is the journal as people read it: newest first, in the order of places.

// Place is where an entry stands in the log: by time, then by id. It stays where it is when the entry is purged. One
// without an id is before all entries of its moment.
type Place struct {
	At time.Time
	ID string
}

// IsZero reports whether it is no place.
func (p Place) IsZero() bool { return p.ID == "" && p.At.IsZero() }

// String is the place as ParsePlace reads it: microseconds since 1970, a dot, the id.
func (p Place) String() string { return strconv.FormatInt(p.At.UnixMicro(), 10) + "." + p.ID }

// ParsePlace reads what String wrote. Invalid "next" for anything else.
func ParsePlace(s string) (Place, error) {
	micros, id, found := strings.Cut(s, ".")
	at, err := strconv.ParseInt(micros, 10, 64)
	if err != nil || !found {
		return Place{}, &Error{Kind: Invalid, Attribute: "next", Detail: "that is no place in the log; give the next of an answer as it came"}
	}
	return Place{time.UnixMicro(at).UTC(), id}, nil
}

// Place is where the entry stands in the log.
func (e *Entry) Place() Place { return Place{e.At, e.ID} }

// EntryQuery selects journal entries: those that satisfy all fields that are not zero.
type EntryQuery struct {
	ID          string
	Connection  int64
	Correlation string
	Action      JournalAction
	Outcome     Outcome
	Reason      string        // its code
	Method      string        // of the request, as it was written
	Status      int           // that the request was answered; 1 to 5 for all of 1xx to 5xx
	Slower      time.Duration // the request took as long, or longer

	Resource string // id
	Name     string // userName or displayName at the time, compared under full folding
	Prefix   string // that such a name begins with
	// Mail and ExternalID select by what a client asserts now, or asserted last of what is removed, and not by what it was
	// at the time: users with that address, of whatever type and case; users and groups of any connection with that externalId.
	Mail, ExternalID string
	Member           string // id that the change of a group's members names
	// About, with Resource a group's, leaves out what only changed memberships of others than this id.
	About string

	Since  time.Time
	Until  time.Time // exclusive
	Before Place     // only what comes after it in the log, so older ones; for paging
	Limit  int       // 0 for no limit
}

// EntryPage is a piece of the log.
type EntryPage struct {
	Entries []Entry
	Next    Place // Before of the query for what follows; zero at the end
}

// EntryPage reads what q selects, at most Limit entries (0 for 100), newest first. A page may be short, or empty, and still
// have a Next. NotFound for the tenant.
func (s *Service) EntryPage(ctx context.Context, tenant string, q EntryQuery) (EntryPage, error) {
	if q.Limit == 0 {
		q.Limit = 100
	}
	return View(ctx, s.store, tenant, func(r Reader) (EntryPage, error) {
		if _, err := tenantOf(r, tenant); err != nil {
			return EntryPage{}, err
		}
		return r.EntryPage(q)
	})
}

// pieceEntries bounds one of the reads that Entries makes.
const pieceEntries = 500

// Entries calls fn with all journal entries that q selects, or the first Limit of them, newest first. It reads in short
// pieces, each of a state of its own: what is written meanwhile comes at the top of the log, so that nothing is missed and
// nothing comes twice. fn may take as long as it wants. NotFound for the tenant.
func (s *Service) Entries(ctx context.Context, tenant string, q EntryQuery, fn func(Entry) error) error {
	limit := q.Limit
	for n := 0; ; {
		q.Limit = pieceEntries
		if limit > 0 {
			q.Limit = min(q.Limit, limit-n)
		}
		page, err := s.EntryPage(ctx, tenant, q)
		if err != nil {
			return err
		}
		for _, e := range page.Entries {
			if err := fn(e); err != nil {
				return err
			}
		}
		if n += len(page.Entries); page.Next.IsZero() || limit > 0 && n == limit {
			return nil
		}
		q.Before = page.Next
	}
}

// ActivityQuery selects hours of a tenant's activity; zero fields select all.
type ActivityQuery struct {
	Connection int64
	Since      time.Time // the hour begins then or later
	Until      time.Time // and before then
}

// Activity is what happened in an hour: how many entries of one action and outcome.
type Activity struct {
	Hour     time.Time // its beginning, in UTC
	Action   JournalAction
	Outcome  Outcome
	Entries  int64
	Duration time.Duration // of their requests together
}

// Activity calls fn with the activity that q selects, latest hour first, then by action and outcome. It costs by the hour, not
// by the entry, and is behind the log by as much as Reader.Changes. NotFound for the tenant.
func (s *Service) Activity(ctx context.Context, tenant string, q ActivityQuery, fn func(Activity) error) error {
	return s.store.View(ctx, tenant, func(r Reader) error {
		if _, err := tenantOf(r, tenant); err != nil {
			return err
		}
		return r.Activity(q, fn)
	})
}
