package provisioning

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"meibo/scim"
)

var (
	born = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	now  = born.Add(time.Hour)
)

const (
	own     = int64(7) // the connection that asks
	foreign = int64(8)
	key     = "11111111-2222-3333-4444-555555555555"
)

// user is a stored user of the asking connection, changed by mods.
func user(id, name string, mods ...func(*Resource, scim.Attributes)) *Resource {
	return stored(scim.User, id, scim.Attributes{"userName": name}, mods...)
}

func group(id, name string, mods ...func(*Resource, scim.Attributes)) *Resource {
	return stored(scim.Group, id, scim.Attributes{"displayName": name}, mods...)
}

func stored(t scim.ResourceType, id string, a scim.Attributes, mods ...func(*Resource, scim.Attributes)) *Resource {
	r := &Resource{ID: id, Type: t, Connection: own, Visible: true, State: Active, Version: 3, Created: born, Modified: born}
	for _, mod := range mods {
		mod(r, a)
	}
	r.Asserted, r.Index = scim.Standard(t).Encode(a), indexOf(t, a)
	return r
}

func gone(r *Resource, _ scim.Attributes)      { r.Visible, r.State = false, Suspended }
func inactive(r *Resource, a scim.Attributes)  { r.State = Suspended; a["active"] = false }
func active(_ *Resource, a scim.Attributes)    { a["active"] = true }
func ofForeign(r *Resource, _ scim.Attributes) { r.Connection = foreign }
func withKey(_ *Resource, a scim.Attributes)   { a["externalId"] = key }

const tombstone = "0123456789abcdef0123456789abcdefann"

// entombed is what a tombstone rename leaves of a user called ann.
func entombed(r *Resource, a scim.Attributes) {
	r.Effective = scim.Standard(scim.User).Encode(withAttribute(a, "userName", "ann"))
}

func entombedUser() *Resource {
	u := user("old", tombstone, inactive, entombed)
	u.Index.EffectiveName = "ann"
	return u
}

// addressed are the facts of a resource addressed by id.
func addressed(r *Resource) Facts {
	a, err := decoded(r.Type, r.Asserted)
	if err != nil {
		panic(err)
	}
	return Facts{Current: r, Asserted: a}
}

// TestDecide holds the rows of semantics §2 and §4 that a connection without rules of its own has.
func TestDecide(t *testing.T) {
	t.Parallel()
	settings := DefaultConnectionSettings()
	keep := settings
	keep.UnknownMembers = KeepUnknownMembers

	type want struct {
		action  Action
		id      string
		state   State
		visible bool
		version int64
		reason  string
		warning string
		paths   []string // of the differences
		delta   MemberDelta
		room    string // id of the resource that makes room
		err     Kind
		attr    string
	}
	tests := []struct {
		name     string
		facts    Facts
		desired  Desired
		settings ConnectionSettings
		want     want
	}{
		{
			name:    "POST without a match creates",
			desired: Desired{ID: "new", Type: scim.User, Asserted: scim.Attributes{"userName": "Ann"}},
			want: want{action: ChangeCreate, id: "new", state: Active, visible: true, version: 1, reason: ReasonCreated,
				paths: []string{"userName", PathState, PathVisible}},
		},
		{
			name:    "POST with active false creates a suspended account",
			desired: Desired{ID: "new", Type: scim.User, Asserted: scim.Attributes{"userName": "Ann", "active": false}},
			want: want{action: ChangeCreate, id: "new", state: Suspended, visible: true, version: 1, reason: ReasonCreated,
				paths: []string{"active", "userName", PathState, PathVisible}},
		},
		{
			name:    "POST of a userName that an own visible user has",
			facts:   Facts{Candidates: Candidates{Visible: user("old", "ann")}},
			desired: Desired{ID: "new", Type: scim.User, Asserted: scim.Attributes{"userName": "ANN"}},
			want:    want{err: Conflict, attr: "userName"},
		},
		{
			name:    "POST of a userName that a disabled user has",
			facts:   Facts{Candidates: Candidates{Visible: user("old", "ann", inactive)}},
			desired: Desired{ID: "new", Type: scim.User, Asserted: scim.Attributes{"userName": "ann"}},
			want:    want{err: Conflict, attr: "userName"},
		},
		{
			name:    "POST of a userName that another connection's account has",
			facts:   Facts{Candidates: Candidates{Effective: user("old", "ann", ofForeign)}},
			desired: Desired{ID: "new", Type: scim.User, Asserted: scim.Attributes{"userName": "ann"}},
			want:    want{err: Conflict, attr: "userName"},
		},
		{
			name:    "POST of a userName that another connection's invisible account has",
			facts:   Facts{Candidates: Candidates{Effective: user("old", "ann", ofForeign, gone)}},
			desired: Desired{ID: "new", Type: scim.User, Asserted: scim.Attributes{"userName": "ann"}},
			want:    want{err: Conflict, attr: "userName"},
		},
		{
			name:    "POST with an equal stable key restores the same id",
			facts:   Facts{Candidates: Candidates{Stable: []Resource{*user("old", "ann", withKey, gone)}}},
			desired: Desired{ID: "new", Type: scim.User, Asserted: scim.Attributes{"userName": "ann.new", "externalId": key}},
			want: want{action: ChangeRestore, id: "old", state: Active, visible: true, version: 4, reason: ReasonRestored,
				paths: []string{"userName", PathState, PathVisible}},
		},
		{
			name: "POST that restores the holder of its own effective userName",
			facts: Facts{Candidates: Candidates{Stable: []Resource{*user("old", "ann", withKey, gone)},
				Effective: user("old", "ann", withKey, gone)}},
			desired: Desired{ID: "new", Type: scim.User, Asserted: scim.Attributes{"userName": "ann", "externalId": key}},
			want: want{action: ChangeRestore, id: "old", state: Active, visible: true, version: 4, reason: ReasonRestored,
				paths: []string{PathState, PathVisible}},
		},
		{
			name:    "POST with a key that two resources have restores neither",
			facts:   Facts{Candidates: Candidates{Stable: []Resource{*user("a", "ann", withKey, gone), *user("b", "bob", withKey, gone)}}},
			desired: Desired{ID: "new", Type: scim.User, Asserted: scim.Attributes{"userName": "cat", "externalId": key}},
			want: want{action: ChangeCreate, id: "new", state: Active, visible: true, version: 1, reason: ReasonCreated,
				paths: []string{"externalId", "userName", PathState, PathVisible}},
		},
		{
			name:    "POST with the key of a visible user is another user",
			facts:   Facts{Candidates: Candidates{Stable: []Resource{*user("old", "ann", withKey)}}},
			desired: Desired{ID: "new", Type: scim.User, Asserted: scim.Attributes{"userName": "bob", "externalId": key}},
			want: want{action: ChangeCreate, id: "new", state: Active, visible: true, version: 1, reason: ReasonCreated,
				paths: []string{"externalId", "userName", PathState, PathVisible}},
		},
		{
			name:    "POST of a leaver's userName makes a new account and frees the old name",
			facts:   Facts{Candidates: Candidates{Effective: user("old", "ann", gone)}},
			desired: Desired{ID: "new", Type: scim.User, Asserted: scim.Attributes{"userName": "ann"}},
			want: want{action: ChangeCreate, id: "new", state: Active, visible: true, version: 1, reason: ReasonCreated,
				paths: []string{"userName", PathState, PathVisible}, room: "old"},
		},
		{
			name:    "PATCH active false suspends and stays visible",
			facts:   addressed(user("u", "ann", active)),
			desired: Desired{Type: scim.User, Asserted: scim.Attributes{"userName": "ann", "active": false}},
			want: want{action: ChangeSuspend, id: "u", state: Suspended, visible: true, version: 4, reason: "suspended",
				paths: []string{"active", PathState}},
		},
		{
			name:    "PATCH active true activates again",
			facts:   addressed(user("u", "ann", inactive)),
			desired: Desired{Type: scim.User, Asserted: scim.Attributes{"userName": "ann", "active": true}},
			want: want{action: ChangeRestore, id: "u", state: Active, visible: true, version: 4, reason: ReasonRestored,
				paths: []string{"active", PathState}},
		},
		{
			name:    "a write that changes nothing",
			facts:   addressed(user("u", "ann")),
			desired: Desired{Type: scim.User, Asserted: scim.Attributes{"userName": "ann"}},
			want:    want{action: ChangeSkip, id: "u", state: Active, visible: true, version: 3, reason: ReasonUnchanged},
		},
		{
			name:    "a changed extension attribute is named with its URN",
			facts:   addressed(user("u", "ann")),
			desired: Desired{Type: scim.User, Asserted: scim.Attributes{"userName": "ann", scim.EnterpriseUserSchema: map[string]any{"department": "IT"}}},
			want: want{action: ChangeUpdate, id: "u", state: Active, visible: true, version: 4, reason: ReasonAsserted,
				paths: []string{scim.EnterpriseUserSchema + ":department"}},
		},
		{
			name: "a rename to a name that is taken",
			facts: func() Facts {
				f := addressed(user("u", "ann"))
				f.Candidates.Visible = user("other", "bob")
				return f
			}(),
			desired: Desired{Type: scim.User, Asserted: scim.Attributes{"userName": "bob"}},
			want:    want{err: Conflict, attr: "userName"},
		},
		{
			name: "a rename in case alone meets itself",
			facts: func() Facts {
				f := addressed(user("u", "ann"))
				f.Candidates.Visible, f.Candidates.Effective = f.Current, f.Current
				return f
			}(),
			desired: Desired{Type: scim.User, Asserted: scim.Attributes{"userName": "Ann"}},
			want: want{action: ChangeUpdate, id: "u", state: Active, visible: true, version: 4, reason: ReasonAsserted,
				paths: []string{"userName"}},
		},
		{
			name:    "a tombstone rename is echoed and keeps the effective userName",
			facts:   addressed(user("u", "ann")),
			desired: Desired{Type: scim.User, Asserted: scim.Attributes{"userName": tombstone, "active": false}},
			want: want{action: ChangeSuspend, id: "u", state: Suspended, visible: true, version: 4, reason: "suspended",
				paths: []string{"active", "userName", PathState, PathEffective + "userName"}},
		},
		{
			name:    "a rename back from a tombstone",
			facts:   addressed(user("u", tombstone, inactive, entombed)),
			desired: Desired{Type: scim.User, Asserted: scim.Attributes{"userName": "ann", "active": true}},
			want: want{action: ChangeRestore, id: "u", state: Active, visible: true, version: 4, reason: ReasonRestored,
				paths: []string{"active", "userName", PathState, PathEffective + "userName"}},
		},
		{
			name:    "to unassign active lets nobody in",
			facts:   addressed(user("u", "ann", inactive)),
			desired: Desired{Type: scim.User, Asserted: scim.Attributes{"userName": "ann"}},
			want: want{action: ChangeUpdate, id: "u", state: Suspended, visible: true, version: 4, reason: ReasonAsserted,
				paths: []string{"active"}},
		},
		{
			name:    "to unassign active throws nobody out",
			facts:   addressed(user("u", "ann", active)),
			desired: Desired{Type: scim.User, Asserted: scim.Attributes{"userName": "ann"}},
			want: want{action: ChangeUpdate, id: "u", state: Active, visible: true, version: 4, reason: ReasonAsserted,
				paths: []string{"active"}},
		},
		{
			name: "a tombstone that made room keeps the name it got",
			facts: func() Facts {
				u := user("u", tombstone, inactive)
				u.Effective = scim.Standard(scim.User).Encode(scim.Attributes{"userName": "ann.u", "active": false})
				u.Index.EffectiveName = "ann.u"
				return addressed(u)
			}(),
			desired: Desired{Type: scim.User, Asserted: scim.Attributes{"userName": tombstone, "active": false}},
			want:    want{action: ChangeSkip, id: "u", state: Suspended, visible: true, version: 3, reason: ReasonUnchanged},
		},
		{
			name: "who keeps another effective name displaces nobody",
			facts: func() Facts {
				u := user("u", tombstone, inactive)
				u.Effective = scim.Standard(scim.User).Encode(scim.Attributes{"userName": "ann.u", "active": false})
				u.Index.EffectiveName = "ann.u"
				f := addressed(u)
				f.Candidates.Effective = user("other", tombstone, gone)
				return f
			}(),
			desired: Desired{Type: scim.User, Asserted: scim.Attributes{"userName": tombstone, "active": false, "title": "x"}},
			want: want{action: ChangeUpdate, id: "u", state: Suspended, visible: true, version: 4, reason: ReasonAsserted,
				paths: []string{"title"}},
		},
		{
			name:    "a document beyond bounds",
			desired: Desired{ID: "new", Type: scim.User, Asserted: scim.Attributes{"userName": "ann", "title": strings.Repeat("x", 300<<10)}},
			want:    want{err: Invalid},
		},
		{
			name:    "a tombstone makes room for a new hire",
			facts:   Facts{Candidates: Candidates{Effective: entombedUser()}},
			desired: Desired{ID: "new", Type: scim.User, Asserted: scim.Attributes{"userName": "ann"}},
			want: want{action: ChangeCreate, id: "new", state: Active, visible: true, version: 1, reason: ReasonCreated,
				paths: []string{"userName", PathState, PathVisible}, room: "old"},
		},
		{
			name:    "a userName too long for an index, once folded",
			desired: Desired{ID: "new", Type: scim.User, Asserted: scim.Attributes{"userName": strings.Repeat("𝒜𠮷", 512)}},
			want:    want{err: Invalid, attr: "userName"},
		},
		{
			name:     "a kept member id too long for an index",
			facts:    members(addressed(group("g", "Sales"))),
			settings: keep,
			desired: Desired{Type: scim.Group, Asserted: scim.Attributes{"displayName": "Sales"},
				Members: scim.MemberChange{Add: []scim.Member{{Value: strings.Repeat("𠮷", 1000)}}}},
			want: want{err: Invalid, attr: "members.value"},
		},
		{
			name:    "DELETE hides and suspends",
			facts:   addressed(user("u", "ann")),
			desired: Desired{Type: scim.User, Presence: Absent},
			want: want{action: ChangeDelete, id: "u", state: Suspended, version: 4, reason: "suspended",
				paths: []string{PathState, PathVisible}},
		},
		{
			name:    "DELETE of a group removes it",
			facts:   addressed(group("g", "Sales")),
			desired: Desired{Type: scim.Group, Presence: Absent},
			want: want{action: ChangeDelete, id: "g", state: Removed, version: 4, reason: "removed",
				paths: []string{PathState, PathVisible, PathPurgeAt}},
		},
		{
			name:    "a group name is unique",
			facts:   Facts{Candidates: Candidates{Visible: group("g", "Sales")}},
			desired: Desired{ID: "new", Type: scim.Group, Asserted: scim.Attributes{"displayName": "SALES"}},
			want:    want{err: Conflict, attr: "displayName"},
		},
		{
			name:  "members join and leave as sets, and only what changes counts",
			facts: members(addressed(group("g", "Sales")), MemberFact{ID: "in", Issued: true, Visible: true, Member: true, Effective: true}, MemberFact{ID: "out", Issued: true, Visible: true}),
			desired: Desired{Type: scim.Group, Asserted: scim.Attributes{"displayName": "Sales"},
				Members: scim.MemberChange{Add: []scim.Member{{Value: "in"}, {Value: "out"}}}},
			want: want{action: ChangeUpdate, id: "g", state: Active, visible: true, version: 4, reason: ReasonAsserted,
				delta: MemberDelta{Add: []scim.Member{{Value: "out"}}}},
		},
		{
			name:  "adding a present and removing an absent member changes nothing",
			facts: members(addressed(group("g", "Sales")), MemberFact{ID: "in", Issued: true, Visible: true, Member: true, Effective: true}, MemberFact{ID: "out"}),
			desired: Desired{Type: scim.Group, Asserted: scim.Attributes{"displayName": "Sales"},
				Members: scim.MemberChange{Add: []scim.Member{{Value: "in"}}, Remove: []string{"out"}}},
			want: want{action: ChangeSkip, id: "g", state: Active, visible: true, version: 3, reason: ReasonUnchanged},
		},
		{
			name:  "a member that is gone is left out with a warning",
			facts: members(addressed(group("g", "Sales")), MemberFact{ID: "gone", Issued: true}),
			desired: Desired{Type: scim.Group, Asserted: scim.Attributes{"displayName": "Sales"},
				Members: scim.MemberChange{Add: []scim.Member{{Value: "gone"}}}},
			want: want{action: ChangeSkip, id: "g", state: Active, visible: true, version: 3, reason: ReasonUnchanged, warning: ReasonMemberGone},
		},
		{
			name:  "a member id that was never issued is refused",
			facts: members(addressed(group("g", "Sales")), MemberFact{ID: "never"}),
			desired: Desired{Type: scim.Group, Asserted: scim.Attributes{"displayName": "Sales"},
				Members: scim.MemberChange{Add: []scim.Member{{Value: "never"}}}},
			want: want{err: Invalid, attr: "members"},
		},
		{
			name:  "a member whom the client lists stays, though the account is another owner's by now",
			facts: members(addressed(group("g", "Sales")), MemberFact{ID: "lost", Member: true, Effective: true}),
			desired: Desired{Type: scim.Group, Asserted: scim.Attributes{"displayName": "Sales"},
				Members: scim.MemberChange{Add: []scim.Member{{Value: "lost"}}}},
			want: want{action: ChangeSkip, id: "g", state: Active, visible: true, version: 3, reason: ReasonUnchanged},
		},
		{
			name:     "a member id that was never issued is kept where the connection says so",
			facts:    members(addressed(group("g", "Sales")), MemberFact{ID: "never"}),
			settings: keep,
			desired: Desired{Type: scim.Group, Asserted: scim.Attributes{"displayName": "Sales"},
				Members: scim.MemberChange{Add: []scim.Member{{Value: "never"}}}},
			want: want{action: ChangeUpdate, id: "g", state: Active, visible: true, version: 4, reason: ReasonAsserted,
				delta: MemberDelta{Add: []scim.Member{{Value: "never"}}}},
		},
		{
			name: "replacing members compares sets",
			facts: func() Facts {
				f := members(addressed(group("g", "Sales")), MemberFact{ID: "stays", Issued: true, Visible: true, Member: true, Effective: true}, MemberFact{ID: "joins", Issued: true, Visible: true})
				f.Open = []Membership{{Member: scim.Member{Value: "leaves"}, Asserted: true, Effective: true}, {Member: scim.Member{Value: "stays"}, Asserted: true, Effective: true}}
				return f
			}(),
			desired: Desired{Type: scim.Group, Asserted: scim.Attributes{"displayName": "Sales"},
				Members: scim.MemberChange{Replace: true, Add: []scim.Member{{Value: "stays"}, {Value: "joins"}}}},
			want: want{action: ChangeUpdate, id: "g", state: Active, visible: true, version: 4, reason: ReasonAsserted,
				delta: MemberDelta{Add: []scim.Member{{Value: "joins"}}, Remove: []string{"leaves"}}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := Connection{ID: own, Settings: settings}
			if tt.settings != (ConnectionSettings{}) {
				c.Settings = tt.settings
			}
			tt.desired.Connection, tt.desired.Now = own, now
			if tt.facts.Departure == nil {
				tt.facts.Departure = &DepartureFacts{Present: 1000}
			}
			decision, err := decide(tt.facts, tt.desired, rulesFor(t, c.Settings))
			changes := decision.Changes
			var got want
			if err != nil {
				got.err, got.attr = KindOf(err), err.(*Error).Attribute
			} else {
				last := changes[len(changes)-1]
				got = want{action: last.Action, id: last.After.ID, state: last.After.State, visible: last.After.Visible,
					version: last.After.Version, reason: last.Reason.Code, warning: last.Warning.Code, delta: last.Members}
				for _, d := range last.Diff {
					got.paths = append(got.paths, d.Path)
				}
				if len(changes) == 2 {
					got.room = changes[0].After.ID
				}
			}
			if d := cmp.Diff(tt.want, got, cmp.AllowUnexported(want{})); d != "" {
				t.Errorf("decision differs (-want +got):\n%s", d)
			}
		})
	}
}

// rulesFor are the default rules of a connection with these choices.
func rulesFor(t *testing.T, c ConnectionSettings) *Rules {
	t.Helper()
	s := DefaultSettings()
	s.Protocol = c
	r, err := NewRules(0, s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func members(f Facts, facts ...MemberFact) Facts {
	f.Members = facts
	return f
}

func TestMakeRoomAppendsTheID(t *testing.T) {
	t.Parallel()
	f := Facts{Candidates: Candidates{Effective: user("old", "Ann", gone)}}
	decision, err := decide(f, Desired{ID: "new", Type: scim.User, Connection: own, Now: now,
		Asserted: scim.Attributes{"userName": "ann"}}, defaultRules)
	if err != nil {
		t.Fatal(err)
	}
	room := decision.Changes[0]
	if got, want := room.After.Index.EffectiveName, "ann.old"; got != want {
		t.Errorf("effective userName %q, want %q", got, want)
	}
	if got, want := string(room.After.Asserted), string(user("old", "Ann").Asserted); got != want {
		t.Errorf("asserted document %s, want %s as it was", got, want)
	}
	want := []AttributeChange{{Path: PathEffective + "userName", New: "Ann.old"}}
	if d := cmp.Diff(want, room.Diff); d != "" {
		t.Errorf("difference (-want +got):\n%s", d)
	}
}
