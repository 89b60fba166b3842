package provisioning

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"meibo/scim"
)

// fold is a resource on its way through its entries: forwards from nothing or from a baseline, or backwards from what is
// stored. It is the only reader of differences.
type fold struct {
	t        scim.ResourceType
	asserted scim.Attributes
	row      map[string]any // by the path constants of the journal, what is no part of the asserted document

	// These are followed forwards alone.
	id       string
	entry    string // the last that was followed
	version  int64
	created  time.Time
	modified time.Time
	left     time.Time
	members  map[string]*PastMember
	only     string // the one member to follow; "" for all
}

// assign follows one difference: v is its new value on the way forwards, the old one on the way back.
func (f *fold) assign(path string, v any) {
	if !strings.HasPrefix(path, "meibo.") {
		f.asserted = withValue(f.asserted, path, v)
		return
	}
	if f.row[path] = v; v == nil {
		delete(f.row, path)
	}
}

// effective is what the host application sees; the asserted document where it departs in nothing.
func (f *fold) effective() scim.Attributes {
	a := f.asserted
	for key, v := range f.row {
		if path, ok := strings.CutPrefix(key, PathEffective); ok {
			a = withPath(a, path, v)
		}
	}
	return a
}

// departs reports whether what is effective is not what is asserted.
func (f *fold) departs() bool {
	for key := range f.row {
		if strings.HasPrefix(key, PathEffective) {
			return true
		}
	}
	return false
}

func (f *fold) state() State {
	state, _ := f.row[PathState].(string)
	return State(state)
}

func (f *fold) owner() int64 {
	return ownerIn(f.row[PathOwner])
}

// newFold begins with the first entry of a resource, which is not followed yet.
func newFold(first *Entry) *fold {
	return &fold{t: first.ResourceType, id: first.ResourceID, asserted: scim.Attributes{}, created: first.At,
		row: map[string]any{PathOwner: number(first.Connection)}, members: map[string]*PastMember{}}
}

// follow goes on with the next entry that has a version.
func (f *fold) follow(e *Entry) error {
	if e.Reason.Code == ReasonBaseline {
		f.resume(e)
		return nil
	}
	if f.only == "" && e.Version != f.version+1 && f.version > 0 {
		return fmt.Errorf("the journal of %s %s is damaged: version %d follows %d", f.t, f.id, e.Version, f.version)
	}
	wasIn := f.state().in()
	moved := false
	for _, c := range e.Diff {
		if c.Path != PathLeftAt {
			f.assign(c.Path, c.New)
		}
		moved = moved || c.Path == PathState || c.Path == PathPurgeAt
	}
	f.version, f.modified, f.entry = e.Version, e.At, e.ID
	switch {
	case f.state().in(), e.Reason.Code == ReasonPurged:
		f.left = time.Time{}
	case moved && (wasIn || f.left.IsZero()):
		f.left = e.At
	}
	if said := leftSince(e); !said.IsZero() {
		f.left = said
	}
	f.leave(&e.Members)
	f.join(&e.Members, e.At)
	return nil
}

// leftSince is what an entry says of Resource.LeftAt; zero for nothing.
func leftSince(e *Entry) (at time.Time) {
	for _, c := range e.Diff {
		if text, ok := c.New.(string); ok && c.Path == PathLeftAt {
			at, _ = time.Parse(time.RFC3339Nano, text)
		}
	}
	return at
}

// leave ends memberships, or one view of them.
func (f *fold) leave(d *MemberDelta) {
	for _, id := range d.Remove {
		delete(f.members, id)
	}
	for _, id := range d.AssertedRemove {
		if m := f.members[id]; m != nil {
			m.Asserted = false
		}
		f.end(id)
	}
	for _, id := range d.EffectiveRemove {
		if m := f.members[id]; m != nil {
			m.Effective = false
		}
		f.end(id)
	}
}

// end forgets a membership that no view has any longer.
func (f *fold) end(id string) {
	if m := f.members[id]; m != nil && !m.Asserted && !m.Effective {
		delete(f.members, id)
	}
}

// join begins memberships, or one view of them. A display name is the client's.
func (f *fold) join(d *MemberDelta, at time.Time) {
	each := func(list []scim.Member, do func(*PastMember, scim.Member)) {
		for _, m := range list {
			if f.only != "" && m.Value != f.only {
				continue
			}
			now := f.members[m.Value]
			if now == nil {
				now = &PastMember{Membership: Membership{Member: m}, Since: at}
				f.members[m.Value] = now
			}
			do(now, m)
		}
	}
	each(d.Add, func(now *PastMember, _ scim.Member) { now.Asserted, now.Effective = true, true })
	each(d.AssertedAdd, func(now *PastMember, m scim.Member) { now.Asserted, now.Display = true, m.Display })
	each(d.EffectiveAdd, func(now *PastMember, _ scim.Member) { now.Effective = true })
}

// open are the memberships that last, by member.
func (f *fold) open() []PastMember {
	out := make([]PastMember, 0, len(f.members))
	for _, m := range f.members {
		out = append(out, *m)
	}
	slices.SortFunc(out, func(a, b PastMember) int { return strings.Compare(a.Value, b.Value) })
	return out
}

// resource is what the resource has come to, as it was stored, without what its entries do not tell: the version of the
// rules, the stable key of the settings, and what a group lost lately.
func (f *fold) resource() (Resource, error) {
	x := Resource{ID: f.id, Type: f.t, Connection: f.owner(), State: f.state(), Version: f.version,
		Created: f.created, Modified: f.modified, LeftAt: f.left}
	x.Visible, _ = f.row[PathVisible].(bool)
	x.Role, _ = f.row[PathRole].(string)
	x.Protected, _ = f.row[PathProtected].(bool)
	if at, ok := f.row[PathPurgeAt].(string); ok {
		x.PurgeAt, _ = time.Parse(time.RFC3339Nano, at)
	}
	overrides := map[string]any{}
	for key, v := range f.row {
		if path, ok := strings.CutPrefix(key, PathOverride); ok {
			overrides[path] = v
		}
	}
	x.Asserted = scim.Standard(f.t).Encode(f.asserted)
	x.Index = indexOf(f.t, f.asserted)
	x.Manager.ID = x.Index.Manager
	if f.departs() {
		x.setEffective(f.effective(), 0)
	}
	for _, m := range f.members {
		if m.Effective {
			x.MemberCount++
		}
	}
	return x, x.setOverrides(overrides)
}
