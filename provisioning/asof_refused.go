package provisioning

import (
	"context"
	"errors"
	"time"
)

// What has no place in a request that is evaluated again is refused: it is not told as it was, and told as it is it would mislead.

var errNotThen = errors.New("provisioning: that is not told as it was")

// Tenants implements Store.
func (a *AsOf) Tenants(context.Context) ([]string, error) { return nil, errNotThen }

// APIKey implements Store.
func (a *AsOf) APIKey(context.Context, []byte) (string, APIKey, error) {
	return "", APIKey{}, errNotThen
}

// ClaimJob implements Store.
func (a *AsOf) ClaimJob(context.Context, []JobKind, time.Time, time.Time) (string, Job, error) {
	return "", Job{}, errNotThen
}

// DropCaptures implements Store.
func (a *AsOf) DropCaptures(context.Context, time.Time, int) (int, error) { return 0, errNotThen }

// DropMemberships implements Store.
func (a *AsOf) DropMemberships(context.Context, string, time.Time, int) (int, error) {
	return 0, errNotThen
}

// DropPositions implements Store.
func (a *AsOf) DropPositions(context.Context, string, int64, int) (int, error) { return 0, errNotThen }

// DropActivity implements Store.
func (a *AsOf) DropActivity(context.Context, string, time.Time, int) (int, error) {
	return 0, errNotThen
}

// Wipe implements Store.
func (a *AsOf) Wipe(context.Context) error { return errNotThen }

// APIKeys implements Reader.
func (x *pastReader) APIKeys() ([]APIKey, error) { return nil, errNotThen }

// Credentials implements Reader.
func (x *pastReader) Credentials(int64) ([]Credential, error) { return nil, errNotThen }

// CycleEntries implements Reader.
func (x *pastReader) CycleEntries([]string) (map[string][]CycleEntries, error) {
	return nil, errNotThen
}

// Chain implements Reader.
func (x *pastReader) Chain(int64, int) (ChainPage, error) { return ChainPage{}, errNotThen }

// Chained implements Reader.
func (x *pastReader) Chained(int64, int64, func(ChainedEntry) error) error { return errNotThen }

// List implements Reader.
func (x *pastReader) List(ListQuery) (Page, error) { return Page{}, errNotThen }

// EntryPage implements Reader.
func (x *pastReader) EntryPage(EntryQuery) (EntryPage, error) { return EntryPage{}, errNotThen }

// Activity implements Reader.
func (x *pastReader) Activity(ActivityQuery, func(Activity) error) error { return errNotThen }

// Issued implements Reader.
func (x *pastReader) Issued(string) (bool, error) { return false, errNotThen }

// MembershipsAfter implements Reader.
func (x *pastReader) MembershipsAfter(string, string, int, func(GroupMember) error) error {
	return errNotThen
}

// GroupsOf implements Reader.
func (x *pastReader) GroupsOf(string, time.Time, time.Time, func(string) error) error {
	return errNotThen
}

// Changes implements Reader.
func (x *pastReader) Changes(int64, int) ([]PositionedEntry, int64, error) { return nil, 0, errNotThen }

// Acts implements Reader.
func (x *pastReader) Acts(int64, int64) ([]PositionedEntry, int64, error) { return nil, 0, errNotThen }

// Capture implements Reader.
func (x *pastReader) Capture(string) (Capture, error) { return Capture{}, errNotThen }

// Jobs implements Reader.
func (x *pastReader) Jobs(JobKind, string, int) ([]Job, error) { return nil, errNotThen }

// Cycles implements Reader.
func (x *pastReader) Cycles(CycleQuery) ([]Cycle, error) { return nil, errNotThen }

// EntryCounts implements Reader.
func (x *pastReader) EntryCounts(string) ([]CycleEntries, error) { return nil, errNotThen }

// Hearings implements Reader.
func (x *pastReader) Hearings() ([]Hearing, error) { return nil, errNotThen }
