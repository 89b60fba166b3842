package e2e

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"meibo/internal/testkit"
	"meibo/internal/witness"
	"meibo/provisioning"
	"meibo/scim"
	"meibo/store"
)

// TestJournalFoldsUnderChangingRules has two connections write what a seed makes up while an administrator changes their settings, acts on
// accounts, answers open matters and lets time pass. After each round the journal folds to what is stored. Some users and a
// group are protected, and named by everybody: nothing ever suspends, removes, empties or purges them.
func TestJournalFoldsUnderChangingRules(t *testing.T) {
	t.Parallel()
	rounds, writes := size(5, 10, 40), size(12, 25, 25)
	each(t, func(t *testing.T, db database) {
		clock := testkit.NewClock(time.Now())
		s := newServer(t, db, options{store: store.Options{Rehearse: true}, now: clock.Now})
		seen := map[string]bool{} // reasons and paths
		for seed := range uint64(2) {
			c := s.newTenant(fmt.Sprintf("rules-%d", seed))
			other := c.connect("other", func(*provisioning.ConnectionSettings) {})
			a := &administrator{Rand: rand.New(rand.NewPCG(seed, 99)), tenant: c, clock: clock,
				players: map[string]*player{provisioning.DefaultConnection: newPlayer(c, seed, 0), "other": newPlayer(other, seed, 1)}}
			a.protect(t)
			for round := range rounds {
				for _, name := range slices.Sorted(maps.Keys(a.players)) {
					if err := a.players[name].playOn(t.Context(), writes); err != nil {
						t.Fatalf("seed %d, round %d, connection %s: %v", seed, round, name, err)
					}
				}
				a.administer(t)
				if problems := witness.Disagreements(c.entries(), c.stored()); len(problems) > 0 {
					t.Fatalf("seed %d, round %d: %d differences:\n%s", seed, round, len(problems), strings.Join(problems, "\n"))
				}
				a.wantProtected(t)
			}
			if seed == 0 && db.driver == "sqlite" {
				wantEachAlterationNoticed(t, c.entries(), c.stored())
			}
			for _, e := range c.entries() {
				seen[e.Reason.Code] = true
				for _, d := range e.Diff {
					seen[d.Path] = true
				}
			}
		}
		wantBreadth(t, seen)
	})
}

// playOn sends writes and takes every answer but a server's error: what is put off says when to come back.
func (p *player) playOn(ctx context.Context, writes int) error {
	for range writes {
		a, err := p.one(ctx)
		if err != nil {
			return err
		}
		if a.status >= 500 && (a.status != http.StatusServiceUnavailable || a.retryAfter == "") {
			return fmt.Errorf("answered %d: %s", a.status, a.body)
		}
	}
	return nil
}

// administrator does at random what people and the schedule do.
type administrator struct {
	*rand.Rand
	*tenant
	clock   *testkit.Clock
	players map[string]*player
	safe    []string // ids of protected users
	group   string   // id of the protected group
}

// protect makes users and a group that a person protects; the players know their ids.
func (a *administrator) protect(t *testing.T) {
	t.Helper()
	p := a.players[provisioning.DefaultConnection]
	yes, admin := true, provisioning.RoleAdmin
	for i, act := range []provisioning.Act{{Protected: &yes}, {Role: &admin}, {Protected: &yes, Role: &admin}} {
		made, err := p.create(t.Context(), "/Users", object{"schemas": []string{scim.UserSchema}, "userName": fmt.Sprintf("safe%d@example.com", i),
			"externalId": fmt.Sprintf("6f1e0c2a-5b7d-4e1b-9c3f-aaaaaaaaaaa%d", i), "active": true}, &p.users)
		if err != nil || made.status != http.StatusCreated {
			t.Fatalf("answered %d %s, %v", made.status, made.body, err)
		}
		a.safe = append(a.safe, made.id())
		a.do(t, scim.User, made.id(), act)
	}
	made, err := p.create(t.Context(), "/Groups", object{"schemas": []string{scim.GroupSchema}, "displayName": "Safe",
		"members": []object{{"value": a.safe[0]}}}, &p.groups)
	if err != nil || made.status != http.StatusCreated {
		t.Fatalf("answered %d %s, %v", made.status, made.body, err)
	}
	a.group = made.id()
	a.do(t, scim.Group, a.group, provisioning.Act{Protected: &yes})
}

// do acts. What the rules refuse is an answer as well.
func (a *administrator) do(t *testing.T, kind scim.ResourceType, id string, act provisioning.Act) {
	t.Helper()
	if _, err := a.service.Act(t.Context(), a.origin(), kind, id, act); err != nil && provisioning.KindOf(err) == provisioning.Internal {
		t.Fatalf("act on %s %s: %v", kind, id, err)
	}
}

// administer is one round of an administrator's day.
func (a *administrator) administer(t *testing.T) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(a.players)) {
		if a.IntN(2) == 0 {
			a.players[name].tenant = a.apply(name, a.rules)
		}
	}
	for range 4 {
		kind, id := a.anybody(t)
		if id != "" {
			a.do(t, kind, id, a.act(kind))
		}
	}
	a.answer(t)
	if a.IntN(3) == 0 {
		_, err := a.service.Allow(t.Context(), a.origin(), provisioning.DefaultConnection, provisioning.BudgetUsers,
			provisioning.Allowance{Left: 1 + a.IntN(5), Until: a.clock.Now().Add(time.Hour), Reject: a.IntN(3) == 0})
		if err != nil {
			t.Fatal(err)
		}
	}
	a.clock.Advance(time.Duration(a.IntN(20*24)) * time.Hour)
	if _, err := a.service.Sweep(t.Context()); err != nil && provisioning.KindOf(err) == provisioning.Internal {
		t.Fatalf("sweep: %v", err)
	}
	for {
		had, err := a.service.RunJob(t.Context())
		if err != nil {
			t.Fatalf("run a job: %v", err)
		}
		if !had {
			return
		}
	}
}

// one of some values.
func one[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// rules makes up settings.
func (a *administrator) rules(s *provisioning.Settings) {
	preset := one(a.Rand, provisioning.Presets()...)
	*s, _ = preset.Settings()
	s.Matching.VerifiedDomains = []string{"example.com"}
	s.Matching.Adoption = one(a.Rand, provisioning.AdoptionAdopt, provisioning.AdoptionAsk, provisioning.AdoptionRefuse)
	s.Protocol.UnknownMembers = provisioning.KeepUnknownMembers
	s.Guard.Mode = one(a.Rand, provisioning.GuardAccept, provisioning.GuardRefuse)
	s.Tolerance.Mode = one(a.Rand, provisioning.ToleranceDelay, provisioning.ToleranceWithhold, provisioning.ToleranceOff)
	s.Tolerance.Users = provisioning.Tolerance{Share: 30, Floor: 3}
	s.Tolerance.Members = provisioning.Tolerance{Share: 50, From: 3}
	s.Deletion.Groups.Deleted = one(a.Rand, provisioning.DeletePolicy, provisioning.RemoveMembersPolicy, provisioning.HoldPolicy, provisioning.IgnorePolicy)
	s.Deletion.Users.Deactivated = one(a.Rand, s.Deletion.Users.Deactivated, provisioning.IgnorePolicy, provisioning.DeletePolicy)
	s.Deletion.Grace = one(a.Rand, 0, period(10*24*time.Hour))
	s.Deletion.Purge = one(a.Rand, provisioning.PurgeAsk, provisioning.PurgeAuto)
	if a.IntN(3) == 0 {
		s.Scope.Users.Filter = one(a.Rand, `title pr`, `not (title eq "Countess")`, `userName ew "example.com"`)
	}
	s.Roles.Names = []string{"auditor"}
	if a.IntN(3) == 0 {
		s.Roles.Groups, s.Roles.GrantGuarded = []provisioning.RoleMapping{{When: "Staff", Role: "auditor"}, {When: "Board", Role: provisioning.RoleAdmin}}, a.IntN(2) == 0
	}
	s.Mapping.UserName = provisioning.UserNameSettings{Mode: one(a.Rand, provisioning.FullUserName, provisioning.LocalUserName), Frozen: a.IntN(3) == 0}
	s.Mapping.Users = one(a.Rand, nil, []provisioning.MappingRow{{Target: "displayName", Source: "userName"}},
		[]provisioning.MappingRow{{Target: "title", Constant: "Dr."}, {Target: "nickName", Source: "title", Default: "none", Apply: provisioning.ApplyAtCreation}},
		[]provisioning.MappingRow{{Target: "title"}})
	s.Deletion.Ageing = one(a.Rand, provisioning.AgeingSettings{}, provisioning.AgeingSettings{After: period(15 * 24 * time.Hour), Do: provisioning.DeletePolicy})
}

// act makes up what a person wants of an account.
func (a *administrator) act(kind scim.ResourceType) provisioning.Act {
	if kind == scim.Group {
		return one(a.Rand, provisioning.Act{Empty: true}, provisioning.Act{State: provisioning.Removed}, provisioning.Act{State: provisioning.Active})
	}
	auditor, none := "auditor", ""
	return one(a.Rand, provisioning.Act{State: provisioning.Suspended}, provisioning.Act{State: provisioning.Removed, Grace: period(24 * time.Hour)},
		provisioning.Act{State: provisioning.Active}, provisioning.Act{Role: &auditor}, provisioning.Act{Role: &none}, provisioning.Act{Purge: true},
		provisioning.Act{Overrides: map[string]any{"title": "Chosen"}}, provisioning.Act{Overrides: map[string]any{"title": nil, "nickName": "Nick"}})
}

// anybody draws one of the tenant's resources, but does not ask for the ends of what is safe: the word of a person may take a role away.
func (a *administrator) anybody(t *testing.T) (scim.ResourceType, string) {
	t.Helper()
	kind := one(a.Rand, scim.User, scim.User, scim.Group)
	var ids []string
	err := a.service.Accounts(t.Context(), a.name, provisioning.AccountQuery{Type: kind, Connection: -1, Removed: true}, func(x provisioning.Resource) error {
		if !a.isSafe(x.ID) {
			ids = append(ids, x.ID)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(ids) == 0 {
		return kind, ""
	}
	return kind, one(a.Rand, ids...)
}

func (a *administrator) isSafe(id string) bool {
	return id == a.group || id == a.safe[0] || id == a.safe[1] || id == a.safe[2]
}

// answer chooses something for half of the open matters, those about what is safe included.
func (a *administrator) answer(t *testing.T) {
	t.Helper()
	var open []provisioning.Matter
	err := a.service.Matters(t.Context(), a.name, provisioning.MatterQuery{Status: provisioning.MatterOpen}, func(m provisioning.Matter) error {
		open = append(open, m)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range open {
		choice := one(a.Rand, provisioning.MatterAllowed, provisioning.MatterRejected)
		if m.Kind == provisioning.MatterAdoption {
			choice = one(a.Rand, provisioning.MatterLinked, provisioning.MatterCreated, provisioning.MatterIgnored)
		}
		if a.IntN(2) == 0 {
			continue
		}
		if _, err := a.service.Resolve(t.Context(), a.origin(), m.ID, provisioning.Resolution{Status: choice}); err != nil &&
			provisioning.KindOf(err) == provisioning.Internal {
			t.Fatalf("resolve %s as %s: %v", m.Kind, choice, err)
		}
	}
}

// wantProtected expects what is protected to be as it was, all along.
func (a *administrator) wantProtected(t *testing.T) {
	t.Helper()
	for _, e := range a.entries() {
		if !a.isSafe(e.ResourceID) || e.Version < 2 {
			continue
		}
		for _, c := range e.Diff {
			if c.Path == provisioning.PathState && c.New != string(provisioning.Active) || c.Path == provisioning.PathPurgeAt && c.New != nil {
				t.Errorf("%s %s: %s became %v: %+v", e.ResourceType, e.ResourceID, c.Path, c.New, e.Reason)
			}
		}
	}
	members := 0
	err := a.service.Memberships(t.Context(), a.name, a.group, func(provisioning.GroupMember) error {
		members++
		return nil
	})
	if err != nil || members == 0 {
		t.Errorf("the protected group has %d members, %v", members, err)
	}
}

// wantBreadth fails where chance has not brought about what the test is for.
func wantBreadth(t *testing.T, seen map[string]bool) {
	t.Helper()
	if hasty() {
		return // too few writes to count on it
	}
	for _, want := range []string{provisioning.PathState, provisioning.PathVisible, provisioning.PathOwner, provisioning.PathRole, provisioning.PathProtected,
		provisioning.PathPurgeAt, provisioning.PathOverride + "title", provisioning.PathEffective + "title", provisioning.PathEffective + "userName",
		provisioning.ReasonHeld, provisioning.ReasonKept, provisioning.ReasonIgnored, provisioning.ReasonTolerance,
		provisioning.ReasonByPerson, provisioning.ReasonPurged} {
		if !seen[want] {
			t.Errorf("no entry has %s", want)
		}
	}
}
