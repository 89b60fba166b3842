package provisioning

import (
	"context"
	"time"

	"meibo/scim"
)

// Store keeps tenants, connections, resources and the journal. It is implemented once, by package
// store, on PostgreSQL and on SQLite.
//
// Errors are *Error: NotFound where a method says so, Conflict from a unique constraint,
// Unavailable when the database cannot be reached, is read-only or full. Any other error is a
// fault of the store. Errors that fn returns come back unchanged.
type Store interface {
	// View runs fn with read access to one tenant. Each Reader call is one statement; a fn that
	// makes several and needs them to agree calls Snapshot first. fn may hold rows open (Members,
	// Entries) while it writes to its caller.
	View(ctx context.Context, tenant string, fn func(Reader) error) error

	// Update runs fn as one unit of work: what it gave to Commit is durable when Update returns
	// nil, and nothing of it is there when Update returns an error. fn may run several times and
	// touches nothing outside tx; ids and times are fixed before. fn returns the error of Commit
	// as it came.
	Update(ctx context.Context, tenant string, fn func(Tx) error) error

	// Tenants reads the names of all tenants.
	Tenants(ctx context.Context) ([]string, error)
	// APIKey finds a key by the SHA-256 of its text, live or not, with its tenant. NotFound.
	APIKey(ctx context.Context, hash []byte) (tenant string, k APIKey, err error)
	// ClaimJob takes the oldest job of these kinds, of any tenant, that is queued or whose lease is over, and leases it
	// until then with a fence of its own. NotFound for none.
	ClaimJob(ctx context.Context, kinds []JobKind, now, until time.Time) (tenant string, j Job, err error)
	// DropCaptures deletes the oldest captures of requests that came before an instant, of all tenants, so many at most, and
	// tells how many those were.
	DropCaptures(ctx context.Context, before time.Time, limit int) (int, error)
	// DropMemberships deletes a tenant's memberships that ended before an instant, at most limit, and tells how many those were.
	DropMemberships(ctx context.Context, tenant string, before time.Time, limit int) (int, error)
	// Wipe takes what was deleted out of the files, as far as the database does that at once: see docs/privacy.md.
	Wipe(ctx context.Context) error
	// DropPositions deletes a tenant's positions up to one, at most limit, and tells how many those were.
	DropPositions(ctx context.Context, tenant string, upTo int64, limit int) (int, error)
	// DropActivity deletes what activity counts of a tenant's hours that were over at an instant, at most limit rows, and tells how
	// many those were.
	DropActivity(ctx context.Context, tenant string, before time.Time, limit int) (int, error)
}

// Reader reads one tenant.
type Reader interface {
	// Snapshot makes all reads that follow see one state. It comes before the first read.
	Snapshot() error

	Tenant() (Tenant, error)                            // NotFound
	Connections() ([]Connection, error)                 // by name
	Credentials(connection int64) ([]Credential, error) // oldest first, revoked ones too
	// CredentialByHash finds a token by the SHA-256 of its text, live or not, with its connection. NotFound.
	CredentialByHash(hash []byte) (Credential, Connection, error)

	// Resource reads one visible resource of a scope. NotFound if the scope has none of that id.
	Resource(q ResourceQuery) (Resource, error)
	// Candidates reads whatever a write of these keys could meet.
	Candidates(q CandidateQuery) (Candidates, error)
	// MemberFacts reads what is known of ids that a request names as members of a group of the
	// connection, in their order; group is "" for one that is yet to be made.
	MemberFacts(connection int64, group string, ids []string) ([]MemberFact, error)
	// List reads a page in the order of creation. Filters never see other scopes.
	List(q ListQuery) (Page, error)
	// Members calls fn for each member that the groups' owner sees, grouped in the order of
	// groups, oldest membership first. Visible members and kept ids never issued are listed.
	Members(groups []string, fn func(GroupMember) error) error
	// Entries calls fn with all journal entries that q selects, or the first Limit of them, in the order of the log, however
	// many it has to look at.
	Entries(q EntryQuery, fn func(Entry) error) error
	// EntryPage reads what q selects, at most Limit entries, which is above zero. It looks at a bounded number of entries: where
	// few of many match, or entries are large, a page may be short, or empty, and still have a Next.
	EntryPage(q EntryQuery) (EntryPage, error)

	// Meant reads the ids of the resources that Mail and ExternalID of an EntryQuery mean, both where both are given.
	Meant(mail, externalID string) ([]string, error)

	// Activity calls fn with the activity that q selects, latest hour first, then by action and outcome.
	Activity(q ActivityQuery, fn func(Activity) error) error

	// Departure reads what a departure is weighed by.
	Departure(q BudgetQuery) (DepartureFacts, error)
	// Settings reads one version of a connection's settings; version 0 asks for the latest. NotFound.
	Settings(connection, version int64) (SettingsVersion, error)
	// SettingsHistory reads all versions, latest first.
	SettingsHistory(connection int64) ([]SettingsVersion, error)
	// Matters calls fn with the matters that q selects, latest first.
	Matters(q MatterQuery, fn func(Matter) error) error

	// Account reads a resource by id, whoever owns it and whether or not its owner sees it. NotFound.
	Account(t scim.ResourceType, id string, refs References) (Resource, error)
	// Issued reports whether a resource of any tenant has an id: it is taken everywhere.
	Issued(id string) (bool, error)
	// Accounts calls fn with the resources that q selects, by id.
	Accounts(q AccountQuery, fn func(Resource) error) error
	// Memberships calls fn with the effective memberships of a group, oldest first, whoever else sees them.
	Memberships(group string, fn func(GroupMember) error) error
	// MembershipsAfter calls fn with at most limit of them, by the id of the member and beginning after one; "" for the
	// first. What it costs does not grow with the group.
	MembershipsAfter(group, after string, limit int, fn func(GroupMember) error) error
	// GroupsOf calls fn with each group of the tenant in which an id had a membership at some time between two instants,
	// both included, in one view at least; with one as often as it had. A zero to is for ever.
	GroupsOf(member string, from, to time.Time, fn func(group string) error) error
	// OpenMemberships calls fn with each group of the tenant in which an id has a membership that lasts, in one view at least,
	// and with that membership, by the group's id.
	OpenMemberships(member string, fn func(group Resource, m Membership) error) error

	// Horizon is how far back the journal reaches; zero while nothing of it was purged.
	Horizon() (Horizon, error)
	// Changes reads the entries after a position in the tenant's journal, at most limit, in the order of positions,
	// each with its own; head is the last position given.
	Changes(after int64, limit int) (entries []PositionedEntry, head int64, err error)

	// Acts reads the entries after a position and up to another but for what clients did with their tokens, unless its action
	// is other; head is the last position given.
	Acts(after, upto int64) (acts []PositionedEntry, head int64, err error)
	// Chain reads the seals that begin behind a position, whatever they say they cover, at most limit.
	Chain(after int64, limit int) (ChainPage, error)
	// Chained calls fn with the entries of some positions, in their order; those that are not there are left out.
	Chained(first, upto int64, fn func(ChainedEntry) error) error
	// LooseEntry finds an entry of some time or later that has no position and waits for none; "" for none. It may take long.
	LooseEntry(since time.Time) (id string, err error)

	APIKeys() ([]APIKey, error)                  // oldest first, revoked ones too
	Job(id string) (Job, error)                  // NotFound
	Capture(correlation string) (Capture, error) // NotFound
	// Captures reads what q selects, at most Limit captures, which is above zero. It looks at a bounded number of them: a page may
	// be short, or empty, and still have a Next.
	Captures(q CaptureQuery) (CapturePage, error)
	// Jobs reads jobs, latest first: those of a kind, "" for all, that are older than the one with the id before, "" for all.
	Jobs(kind JobKind, before string, limit int) ([]Job, error)

	// Cycles reads the cycles of clients that q selects, latest first, without their Entries.
	Cycles(q CycleQuery) ([]Cycle, error)
	// CycleEntries reads what the journal has of clients' cycles, by their ids.
	CycleEntries(cycles []string) (map[string][]CycleEntries, error)
	// Runs reads jobs of a kind as the cycles that q selects, latest first, without their Entries.
	Runs(kind JobKind, q CycleQuery) ([]Cycle, error)
	// RunEntries counts the entries of runs, by their ids.
	RunEntries(runs []string) (map[string][]CycleEntries, error)
	// Hearings reads when the clients of connections were heard last; one that never was has none.
	Hearings() ([]Hearing, error)
}

// AccountQuery selects resources of a tenant by what they are to the host application.
type AccountQuery struct {
	Type       scim.ResourceType
	Connection int64     // of the owner; -1 for any, 0 for none
	State      State     // "" for any but Removed
	Removed    bool      // removed ones too
	Effective  string    // folded effective userName; "" for any
	ExternalID string    // "" for any
	LeftBefore time.Time // LeftAt is before it
	PurgeDue   time.Time // PurgeAt is not after it
	// NotAsked leaves out those about whom a matter is open, or was rejected, whose key begins with it and ends with their id.
	NotAsked   string
	After      string // id: only later ones, for paging
	Limit      int    // 0 for no limit
	References References
}

// PositionedEntry is an entry with its place in the gapless order of a tenant's journal.
type PositionedEntry struct {
	Position int64
	Entry    Entry
}

// Tx is a Reader that can write.
type Tx interface {
	Reader
	// Commit is called at most once in a unit of work; after it fn only returns. Changes are guarded by
	// the version of Change.Before; if one was overtaken, fn runs again on newer facts.
	// Conflict names userName or displayName.
	Commit(Batch) error
}

// Batch is everything one unit of work writes. Changes are executed in their order: one that gives
// up a name comes before the one that takes it.
type Batch struct {
	Changes []Change
	Admin   []AdminChange
	Entries []Entry
	Matters []MatterChange
	Budgets []Budget // as they are afterwards, guarded by the version before: Version is one more
	Jobs    []JobChange
	// Erase has what is left of entries stand for what they were in the audit chain. Entries that are not there are left out.
	Erase []Erasure

	Captures     []Capture // those that are there already stay as they are
	DropCaptures []string  // correlations of captures that go; those that are not there are none
	// CapturesFrom has no capture of a request that came before it be kept any more, whoever writes it when; zero changes nothing.
	// It does not go back, and what is there stays.
	CapturesFrom time.Time
	Journal      []JournalChange
}

// View runs fn against one tenant and returns its result.
func View[T any](ctx context.Context, s Store, tenant string, fn func(Reader) (T, error)) (T, error) {
	var out T
	err := s.View(ctx, tenant, func(r Reader) (err error) {
		out, err = fn(r)
		return err
	})
	return out, err
}

// Update runs fn as one unit of work and returns the result of its last run.
func Update[T any](ctx context.Context, s Store, tenant string, fn func(Tx) (T, error)) (T, error) {
	var out T
	err := s.Update(ctx, tenant, func(tx Tx) (err error) {
		out, err = fn(tx)
		return err
	})
	return out, err
}

// Scope is what one connection sees: its own resources of one type.
type Scope struct {
	Connection int64
	Type       scim.ResourceType
}

// References says which derived attributes of the resources read are wanted. What is not wanted
// costs nothing.
type References struct {
	Groups  bool // Resource.Groups: the visible groups that list it, by id
	Manager bool // Resource.Manager.Display, where the manager is a visible user of the same connection
}

// ResourceQuery asks for one resource by id.
type ResourceQuery struct {
	Scope      Scope
	ID         string
	References References
	// Brief asks for what an answer shows and no more: ID, Type, Version, Created, Modified,
	// Asserted, Manager.ID and References.
	Brief bool
	// MemberFacts asks, of a group, for the facts of these member ids; see Resource.MemberFacts.
	MemberFacts []string
	// AllMembers asks, of a group, for every membership that lasts, seen or not: see Resource.OpenMembers.
	AllMembers bool
}

// CandidateQuery names the keys of a resource about to be written.
type CandidateQuery struct {
	Scope      Scope
	Name       string   // folded userName or group displayName; "" asks for none
	Effective  string   // folded effective userName that is to be taken; "" for Name
	Emails     []string // folded addresses by which accounts of other owners are looked for
	ExternalID string   // of a stable key; "" asks for none
	Stable     string   // the same of an attribute that the settings name instead: Index.Stable
	// Presume lets a unit of work that makes a resource of these keys go on as if there were no
	// candidates: Commit then writes only if there are none, or fn runs again and sees them. Most
	// creates meet none, and it spares them a round trip.
	Presume bool
}

// Candidates are the resources that stand in the way of a write or are what it means.
type Candidates struct {
	Visible   *Resource // the scope's visible resource of that name (unique names only)
	Effective *Resource // the tenant's user whose effective userName it is, whoever owns it; nil for groups
	// Mail are users of the tenant that other owners assert with one of Emails, or nobody does; three at most.
	Mail []Resource
	// Stable are the scope's resources with that externalId, or that Stable, visible or not, two at most: with
	// two it is no key.
	Stable []Resource
}

// ListQuery asks for one page.
type ListQuery struct {
	Scope      Scope
	Filter     scim.Filter // nil for all
	StartIndex int         // 1 for the first
	Count      int         // 0 asks for the total alone
	References References
	Brief      bool // as in ResourceQuery
}

// Page is one page of a list with the number of resources on all pages.
type Page struct {
	Total     int
	Resources []Resource
}

// GroupMember is one row of a group's member list.
type GroupMember struct {
	Group   string
	Value   string
	Display string
	Type    scim.ResourceType // "" for a kept id that was never issued
	// Unlisted says, of an effective member, that the client does not list it.
	Unlisted bool
}

// MemberFact is what is known of an id that a request names as a member.
type MemberFact struct {
	ID      string
	Issued  bool // a resource of the same connection has or had this id
	Visible bool
	Member  bool // it has an open membership in the group, as the client asserts
	// Effective says that the host application sees it as a member.
	Effective bool
	Gone      bool   // it was purged, and its client does not find it either: it is nobody's member again
	Display   string // of the open membership
}
