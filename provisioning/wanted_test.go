package provisioning

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"meibo/scim"
)

func ptr[T any](v T) *T { return &v }

func suspendedAt(at time.Time) func(*Resource, scim.Attributes) {
	return func(r *Resource, _ scim.Attributes) { r.State, r.LeftAt = Suspended, at }
}

// TestSoonerAgeing: who is said to be suspended for longer ages sooner, which takes two where the settings demand it.
func TestSoonerAgeing(t *testing.T) {
	t.Parallel()
	before, after := user("u", "ann", suspendedAt(now)), user("u", "ann", suspendedAt(born))
	if !sooner(before, after) || sooner(after, before) || sooner(before, before) {
		t.Error("an earlier leftAt ages sooner")
	}
	w := Restore{Wanted: &Wanted{LeftAt: ptr(now.Add(time.Second))}}
	if err := w.setLeft(before, now); KindOf(err) != Invalid || err == nil {
		t.Errorf("an instant to come: %v", err)
	}
}

// TestDecideWanted holds what a person wants of a row beside its attributes against every state that it may meet.
func TestDecideWanted(t *testing.T) {
	t.Parallel()
	grace := DefaultSettings().Deletion.Grace.Duration()
	due := born.Add(time.Hour * 24 * 365)
	removed := func(r *Resource, _ scim.Attributes) { r.State, r.LeftAt, r.PurgeAt = Removed, born, due }
	protected := func(r *Resource, _ scim.Attributes) { r.Protected = true }
	type want struct {
		action  Action
		asked   JournalAction
		state   State
		visible bool
		left    time.Time
		purge   time.Time
		role    string
		over    string // overrides
		seen    string // effective title
		reason  string
		warning string
		paths   []string
	}
	tests := []struct {
		name   string
		stored *Resource
		wanted Wanted
		want   want
	}{
		{name: "a new one as its rules have it", wanted: Wanted{},
			want: want{action: ChangeCreate, asked: ActionCreate, state: Active, visible: true, reason: ReasonCreated, paths: []string{"userName", PathState, PathVisible}}},
		{name: "a new one that left long ago", wanted: Wanted{State: Removed, Visible: ptr(false), PurgeAt: &due, Role: ptr("admin"), Protected: ptr(true)},
			want: want{action: ChangeCreate, asked: ActionCreate, state: Removed, left: now, purge: due, role: "admin", over: `{"role":"admin"}`, reason: ReasonCreated,
				paths: []string{"userName", PathState, PathVisible, PathRole, PathProtected, PathPurgeAt, PathOverride + "role"}}},
		{name: "a new one with what the host application sees", wanted: Wanted{
			Effective: func(a scim.Attributes) scim.Attributes { return withAttribute(a, "title", "Seen") }, Overrides: &map[string]any{"title": "Seen"}},
			want: want{action: ChangeCreate, asked: ActionCreate, state: Active, visible: true, seen: "Seen", over: `{"title":"Seen"}`, reason: ReasonCreated,
				paths: []string{"userName", PathState, PathVisible, PathOverride + "title", PathEffective + "title"}}},
		{name: "nothing", stored: user("u", "ann"), wanted: Wanted{State: Active, Visible: ptr(true), Role: ptr("ordinary"), Overrides: &map[string]any{}, PurgeAt: &time.Time{}},
			want: want{action: ChangeSkip, asked: ActionUpdate, state: Active, visible: true, reason: ReasonUnchanged}},
		{name: "nothing of one that left", stored: user("u", "ann", gone, removed), wanted: Wanted{State: Removed, Visible: ptr(false), PurgeAt: &due},
			want: want{action: ChangeSkip, asked: ActionUpdate, state: Removed, left: born, purge: due, reason: ReasonUnchanged}},
		{name: "suspended by a person", stored: user("u", "ann"), wanted: Wanted{State: Suspended},
			want: want{action: ChangeSuspend, asked: ActionDisable, state: Suspended, visible: true, left: now, reason: ReasonByPerson, paths: []string{PathState}}},
		{name: "suspended since long ago", stored: user("u", "ann"), wanted: Wanted{State: Suspended, LeftAt: ptr(born)},
			want: want{action: ChangeSuspend, asked: ActionDisable, state: Suspended, visible: true, left: born, reason: ReasonByPerson, paths: []string{PathState, PathLeftAt}}},
		{name: "suspended, and for longer than was known", stored: user("u", "ann", suspendedAt(now)), wanted: Wanted{State: Suspended, LeftAt: ptr(born)},
			want: want{action: ChangeUpdate, asked: ActionUpdate, state: Suspended, visible: true, left: born, reason: ReasonAsserted, paths: []string{PathLeftAt}}},
		{name: "suspended, as was known", stored: user("u", "ann", suspendedAt(born)), wanted: Wanted{State: Suspended, LeftAt: ptr(born)},
			want: want{action: ChangeSkip, asked: ActionUpdate, state: Suspended, visible: true, left: born, reason: ReasonUnchanged}},
		{name: "suspended, and no word of since when", stored: user("u", "ann", suspendedAt(born)), wanted: Wanted{State: Suspended, LeftAt: &time.Time{}},
			want: want{action: ChangeSkip, asked: ActionUpdate, state: Suspended, visible: true, left: born, reason: ReasonUnchanged}},
		{name: "in, and since when it was out", stored: user("u", "ann"), wanted: Wanted{State: Active, LeftAt: ptr(born)},
			want: want{action: ChangeSkip, asked: ActionUpdate, state: Active, visible: true, reason: ReasonUnchanged}},
		{name: "removed by a person, for the grace time", stored: user("u", "ann"), wanted: Wanted{State: Removed},
			want: want{action: ChangeDelete, asked: ActionStagedDelete, state: Removed, visible: true, left: now, purge: now.Add(grace), reason: ReasonByPerson, paths: []string{PathState, PathPurgeAt}}},
		{name: "back from the removed", stored: user("u", "ann", removed), wanted: Wanted{State: Active, Visible: ptr(true), PurgeAt: &time.Time{}},
			want: want{action: ChangeRestore, asked: ActionUpdate, state: Active, visible: true, reason: ReasonByPerson, paths: []string{PathState, PathPurgeAt}}},
		{name: "back from where nobody saw it", stored: user("u", "ann", gone), wanted: Wanted{},
			want: want{action: ChangeRestore, asked: ActionUpdate, state: Active, visible: true, reason: ReasonRestored, paths: []string{PathState, PathVisible}}},
		{name: "out of the owner's sight alone", stored: user("u", "ann"), wanted: Wanted{State: Active, Visible: ptr(false)},
			want: want{action: ChangeUpdate, asked: ActionUpdate, state: Active, reason: ReasonAsserted, paths: []string{PathVisible}}},
		{name: "the protected stay", stored: user("u", "ann", protected), wanted: Wanted{State: Removed, Visible: ptr(false)},
			want: want{action: ChangeUpdate, asked: ActionUpdate, state: Active, reason: ReasonAsserted, warning: ReasonKept, paths: []string{PathVisible}}},
		{name: "who loses protection in the same row still stays", stored: user("u", "ann", protected), wanted: Wanted{State: Suspended, Protected: ptr(false)},
			want: want{action: ChangeUpdate, asked: ActionUpdate, state: Active, visible: true, reason: ReasonAsserted, warning: ReasonKept, paths: []string{PathProtected}}},
		{name: "a role is a choice that stays", stored: user("u", "ann"), wanted: Wanted{Role: ptr("admin")},
			want: want{action: ChangeUpdate, asked: ActionUpdate, state: Active, visible: true, role: "admin", over: `{"role":"admin"}`, reason: ReasonAsserted, paths: []string{PathRole, PathOverride + "role"}}},
		{name: "what a person set", stored: user("u", "ann"), wanted: Wanted{Overrides: &map[string]any{"title": "Chosen"}},
			want: want{action: ChangeUpdate, asked: ActionUpdate, state: Active, visible: true, over: `{"title":"Chosen"}`, seen: "Chosen", reason: ReasonAsserted,
				paths: []string{PathOverride + "title", PathEffective + "title"}}},
		{name: "what a person set is taken back", stored: user("u", "ann", func(r *Resource, a scim.Attributes) {
			r.Overrides = []byte(`{"title":"Chosen"}`)
			r.Effective = scim.Standard(scim.User).Encode(withAttribute(a, "title", "Chosen"))
		}), wanted: Wanted{Overrides: &map[string]any{}},
			want: want{action: ChangeUpdate, asked: ActionUpdate, state: Active, visible: true, reason: ReasonAsserted, paths: []string{PathOverride + "title", PathEffective + "title"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := tt.wanted
			w.Type = scim.User
			d := Desired{ID: "new", Type: scim.User, Connection: own, Asserted: scim.Attributes{"userName": "ann"}, Now: now, ByPerson: true, Restore: &Restore{Wanted: &w}}
			f := Facts{}
			if tt.stored != nil {
				f = addressed(tt.stored)
			}
			if err := d.Restore.setOverrides(&f); err != nil {
				t.Fatal(err)
			}
			decision, err := decide(f, d, defaultRules)
			if err != nil {
				t.Fatal(err)
			}
			c := &decision.Changes[0]
			got := want{action: c.Action, asked: journalAction(c, ActionUpdate), state: c.After.State, visible: c.After.Visible, left: c.After.LeftAt, purge: c.After.PurgeAt,
				role: c.After.Role, over: string(c.After.Overrides), reason: c.Reason.Code, warning: c.Warning.Code}
			for _, diff := range c.Diff {
				got.paths = append(got.paths, diff.Path)
			}
			if effective, err := effectiveOf(&c.After); err != nil {
				t.Fatal(err)
			} else if effective != nil {
				got.seen, _ = effective["title"].(string)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(want{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if c.Before != tt.stored || tt.stored != nil && c.Action != ChangeSkip && c.After.Version != tt.stored.Version+1 {
				t.Errorf("before %p, stored %p, version %d", c.Before, tt.stored, c.After.Version)
			}
			wantAgain(t, sourceFile, c, defaultRules)
		})
	}
}
