package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"meibo/internal/testkit"
	"meibo/provisioning"
	"meibo/scim"
)

// origin is that of a person's acts.
func (c *tenant) origin() provisioning.Origin {
	return provisioning.Origin{Tenant: c.name, Actor: "operator"}
}

// resolve has a person choose what becomes of the one open matter of a kind.
func (s *stage) resolve(kind provisioning.MatterKind, choice provisioning.Resolution) {
	s.t.Helper()
	m := s.open(kind, "")
	if _, err := s.service.Resolve(s.t.Context(), s.origin(), m.ID, choice); err != nil {
		s.t.Fatalf("resolve the matter: %v", err)
	}
}

// allow has a person let departures go, or reject them.
func (s *stage) allow(kind provisioning.BudgetKind, a provisioning.Allowance) {
	s.t.Helper()
	if a.Until.IsZero() {
		a.Until = s.service.Now().Add(time.Hour)
	}
	if _, err := s.service.Allow(s.t.Context(), s.origin(), provisioning.DefaultConnection, kind, a); err != nil {
		s.t.Fatalf("allow departures: %v", err)
	}
}

// appoint has a person give a user a role.
func (s *stage) appoint(name, role string) {
	s.t.Helper()
	if err := s.act(name, provisioning.Act{Role: &role}); err != nil {
		s.t.Fatalf("give the role %s: %v", role, err)
	}
}

// jobs does what waits for the schedule, and returns when none of the tenant's own is left: another test of the server may be
// doing it.
func (s *stage) jobs() {
	s.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		if _, err := s.service.RunJob(s.t.Context()); err != nil {
			s.t.Fatalf("run a job: %v", err)
		}
		all, err := s.service.Jobs(s.t.Context(), s.name, "", 100)
		if err != nil {
			s.t.Fatal(err)
		}
		if !slices.ContainsFunc(all, func(j provisioning.Job) bool {
			return j.State == provisioning.JobQueued || j.State == provisioning.JobRunning
		}) {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("jobs do not end: %+v", all)
		}
	}
}

// act has a person change the effective side of a user.
func (s *stage) act(name string, a provisioning.Act) error {
	s.t.Helper()
	_, err := s.service.Act(s.t.Context(), s.origin(), scim.User, s.ids[name], a)
	return err
}

// asks has a create wait for a person, and returns the id of the account that may be meant.
func (s *stage) asks(name string) string {
	s.t.Helper()
	id := s.ownedByNobody(name)
	s.post(name, object{"title": "Countess"})
	s.refused(http.StatusConflict, "uniqueness")
	s.open(provisioning.MatterAdoption, "")
	return id
}

var personRows = []row{
	{says: "POST; ask; a person chooses link", play: func(s *stage) {
		id := s.asks("ada")
		s.resolve(provisioning.MatterAdoption, provisioning.Resolution{Status: provisioning.MatterLinked})
		if got := s.found("Users", "userName", nameOf("ada")); !slices.Equal(got, []string{id}) {
			s.t.Fatalf("the next filter finds %v, want %s", got, id)
		}
		s.ids["ada"], s.bodies["ada"] = id, user("ada", object{"title": "Countess"})
		s.shows("ada", object{"title": "Countess", "externalId": keyOf("ada")})
		s.host("ada", provisioning.Active)
		s.none()
		s.set("ada", object{"title": "Lady"})
		s.want(http.StatusOK)
	}},
	{says: "POST; ask; a person chooses link; another connection's account", play: func(s *stage) {
		hr := s.beside("hr", nil)
		hr.users("ada")
		hr.team("staff", "ada")
		s.post("ada", nil)
		s.refused(http.StatusConflict, "uniqueness")
		hr.shows("ada", nil)
		s.resolve(provisioning.MatterAdoption, provisioning.Resolution{Status: provisioning.MatterLinked})
		s.ids["ada"], s.bodies["ada"] = hr.ids["ada"], user("ada", nil)
		s.shows("ada", nil)
		hr.hides("ada")
		hr.disable("ada") // it is not its any more
		hr.want(http.StatusNotFound)
		s.host("ada", provisioning.Active)
	}},
	{says: "POST; ask; a person chooses create: another userName is needed", play: func(s *stage) {
		id := s.asks("ada")
		s.resolve(provisioning.MatterAdoption, provisioning.Resolution{Status: provisioning.MatterCreated})
		s.post("ada", nil)
		s.refused(http.StatusConflict, "uniqueness")
		s.none()
		s.post("ada", object{"userName": nameOf("ada.2"), "emails": nil})
		s.want(http.StatusCreated)
		if s.ids["ada"] == id {
			s.t.Error("the account was linked after all")
		}
	}},
	{says: "POST; ask; a person chooses ignore: 409 stays and raises no alarm", play: func(s *stage) {
		s.asks("ada")
		s.resolve(provisioning.MatterAdoption, provisioning.Resolution{Status: provisioning.MatterIgnored})
		for range 2 {
			s.post("ada", nil)
			s.refused(http.StatusConflict, "uniqueness")
			s.entry(provisioning.ActionCreate, provisioning.Failure, "")
			s.none()
		}
	}},
	{says: "PATCH active false; hold; a person allows", settings: policies(provisioning.HoldPolicy, provisioning.HoldPolicy), play: func(s *stage) {
		s.users("ada")
		s.disable("ada")
		s.resolve(provisioning.MatterHeld, provisioning.Resolution{Status: provisioning.MatterAllowed})
		s.shows("ada", object{"active": false})
		s.host("ada", provisioning.Suspended)
		s.none()
		s.enable("ada")
		s.host("ada", provisioning.Active)
	}},
	{says: "DELETE; hold; a person allows", settings: policies(provisioning.HoldPolicy, provisioning.HoldPolicy), play: func(s *stage) {
		s.users("ada")
		s.remove("ada")
		s.resolve(provisioning.MatterHeld, provisioning.Resolution{Status: provisioning.MatterAllowed})
		s.hides("ada")
		if x := s.host("ada", provisioning.Removed); x.PurgeAt.IsZero() {
			s.t.Error("no grace time")
		}
		s.none()
		s.users("ada")
		s.host("ada", provisioning.Active)
	}},
	{says: "PATCH active false; hold; a person rejects", settings: policies(provisioning.HoldPolicy, provisioning.HoldPolicy), play: func(s *stage) {
		s.users("ada")
		s.disable("ada")
		s.resolve(provisioning.MatterHeld, provisioning.Resolution{Status: provisioning.MatterRejected})
		s.shows("ada", object{"active": false})
		s.host("ada", provisioning.Active)
		s.none()
		s.disable("ada")
		s.want(http.StatusOK)
		s.host("ada", provisioning.Active)
		s.none()
	}},
	{says: "disable; after a person allowed a cause, up to N", settings: narrow, play: func(s *stage) {
		crowd := s.crowd(10)
		s.disable(crowd[0])
		s.disable(crowd[1])
		s.delayed()
		s.allow(provisioning.BudgetUsers, provisioning.Allowance{Cause: provisioning.CauseDeactivated, Left: 2})
		for _, name := range crowd[1:3] {
			s.disable(name)
			s.want(http.StatusOK)
			s.entry(provisioning.ActionDisable, provisioning.Success, "")
			s.shows(name, object{"active": false})
			s.host(name, provisioning.Suspended)
		}
		s.none()
		s.disable(crowd[3])
		s.delayed()
	}},
	{says: "DELETE; a person allowed another cause", settings: narrow, play: func(s *stage) {
		crowd := s.crowd(10)
		s.disable(crowd[0])
		s.allow(provisioning.BudgetUsers, provisioning.Allowance{Cause: provisioning.CauseDeactivated, Left: -1})
		s.remove(crowd[1])
		s.delayed()
		s.disable(crowd[1])
		s.want(http.StatusOK)
		s.remove(crowd[1])
		s.want(http.StatusNoContent)
	}},
	{says: "disable; after a person allowed this one", settings: narrow, play: func(s *stage) {
		crowd := s.crowd(10)
		s.disable(crowd[0])
		s.disable(crowd[1])
		s.delayed()
		s.resolve(provisioning.MatterDelayed, provisioning.Resolution{Status: provisioning.MatterAllowed})
		s.disable(crowd[2])
		s.delayed()
		s.disable(crowd[1])
		s.want(http.StatusOK)
		s.host(crowd[1], provisioning.Suspended)
	}},
	{says: "disable; after a person rejected this one", settings: narrow, play: func(s *stage) {
		crowd := s.crowd(10)
		s.disable(crowd[0])
		s.disable(crowd[1])
		s.delayed()
		s.resolve(provisioning.MatterDelayed, provisioning.Resolution{Status: provisioning.MatterRejected})
		s.disable(crowd[1])
		s.want(http.StatusOK)
		s.entry(provisioning.ActionDisable, provisioning.Skipped, "")
		s.shows(crowd[1], object{"active": false})
		s.host(crowd[1], provisioning.Active)
		s.none()
		s.enable(crowd[1])
		s.want(http.StatusOK)
		s.host(crowd[1], provisioning.Active)
		s.disable(crowd[1]) // another departure, which nobody has said anything about
		s.delayed()
	}},
	{says: "disable; after a person rejected this one, and the client withdrew it before it came again", settings: narrow, play: func(s *stage) {
		crowd := s.crowd(10)
		s.disable(crowd[0])
		s.disable(crowd[1])
		s.delayed()
		s.resolve(provisioning.MatterDelayed, provisioning.Resolution{Status: provisioning.MatterRejected})
		s.enable(crowd[1])
		s.want(http.StatusOK)
		s.disable(crowd[1])
		s.delayed()
	}},
	{says: "DELETE; after a person rejected all", settings: narrow, play: func(s *stage) {
		crowd := s.crowd(10)
		s.remove(crowd[0])
		s.remove(crowd[1])
		s.delayed()
		s.allow(provisioning.BudgetUsers, provisioning.Allowance{Left: -1, Reject: true})
		s.remove(crowd[1])
		s.want(http.StatusNoContent)
		s.entry(provisioning.ActionDelete, provisioning.Skipped, "")
		s.hides(crowd[1])
		if x := s.host(crowd[1], provisioning.Active); x.Connection != 0 {
			s.t.Errorf("the owner is %d", x.Connection)
		}
	}},
	{says: "member removal; after a person allowed, after a person rejected", settings: narrow, play: func(s *stage) {
		crowd := s.crowd(6)
		s.team("staff", crowd...)
		s.leave("staff", crowd[0], crowd[1], crowd[2])
		s.delayed()
		s.resolve(provisioning.MatterDelayed, provisioning.Resolution{Status: provisioning.MatterAllowed})
		s.leave("staff", crowd[0], crowd[1], crowd[2])
		if s.last.status >= 300 {
			s.t.Fatalf("answered %d: %s", s.last.status, s.last.body)
		}
		s.members("staff", crowd[3:]...)

		s.team("crew", crowd...)
		s.leave("crew", crowd[0], crowd[1], crowd[2])
		s.delayed()
		s.resolve(provisioning.MatterDelayed, provisioning.Resolution{Status: provisioning.MatterRejected})
		s.leave("crew", crowd[0], crowd[1], crowd[2])
		if s.last.status >= 300 {
			s.t.Fatalf("answered %d: %s", s.last.status, s.last.body)
		}
		s.entry(provisioning.ActionUpdate, provisioning.Skipped, "")
		if got := s.inHostGroup("crew"); !slices.Equal(got, crowd) {
			s.t.Errorf("the host application sees %v", got)
		}
		s.join("crew", crowd[0], crowd[1], crowd[2])
		s.leave("crew", crowd[0], crowd[1], crowd[2]) // another removal, which nobody has said anything about
		s.delayed()
	}},
	{says: "member removal; after a person rejected it, and the client asks for it with another one", settings: narrow, play: func(s *stage) {
		crowd := s.crowd(8)
		s.team("staff", crowd...)
		s.leave("staff", crowd[:4]...)
		s.delayed()
		s.resolve(provisioning.MatterDelayed, provisioning.Resolution{Status: provisioning.MatterRejected})
		s.leave("staff", append(crowd[:4:4], crowd[7])...)
		s.entry(provisioning.ActionUpdate, provisioning.Warning, provisioning.ReasonIgnored)
		s.parted("staff", crowd[4:7], crowd[:7])
		s.join("staff", crowd[0], crowd[1])
		s.leave("staff", crowd[0], crowd[1], crowd[4], crowd[5])
		s.delayed()
	}},
	{says: "member removal; after a person rejected it, and the client withdrew it before it came again", settings: narrow, play: func(s *stage) {
		crowd := s.crowd(6)
		s.team("staff", crowd...)
		s.leave("staff", crowd[:3]...)
		s.delayed()
		s.resolve(provisioning.MatterDelayed, provisioning.Resolution{Status: provisioning.MatterRejected})
		s.join("staff", crowd[:3]...)
		s.leave("staff", crowd[:3]...)
		s.delayed()
	}},
	{says: "group DELETE; hold; a person allows", settings: groupPolicy(provisioning.HoldPolicy), play: func(s *stage) {
		s.users("ada")
		s.team("staff", "ada")
		s.remove("staff")
		s.resolve(provisioning.MatterHeld, provisioning.Resolution{Status: provisioning.MatterAllowed})
		s.host("staff", provisioning.Removed)
		s.none()
	}},
	{says: "an override of a person survives what the client writes", play: func(s *stage) {
		s.users("ada")
		if err := s.act("ada", provisioning.Act{Overrides: map[string]any{"title": "Countess"}}); err != nil {
			s.t.Fatal(err)
		}
		s.set("ada", object{"title": "Programmer"})
		s.want(http.StatusOK)
		s.shows("ada", object{"title": "Programmer"})
		if got := s.sees("ada", "title"); got != "Countess" {
			s.t.Errorf("the host application sees %v", got)
		}
		if err := s.act("ada", provisioning.Act{Overrides: map[string]any{"title": nil}}); err != nil {
			s.t.Fatal(err)
		}
		if got := s.sees("ada", "title"); got != "Programmer" {
			s.t.Errorf("the host application sees %v once it is taken back", got)
		}
	}},
	{says: "any; protected by a person's word: a role, or a protection", settings: policies(provisioning.DeletePolicy, provisioning.DeletePolicy), play: func(s *stage) {
		s.users("ada", "bob")
		admin, yes := provisioning.RoleAdmin, true
		if err := s.act("ada", provisioning.Act{Role: &admin}); err != nil {
			s.t.Fatal(err)
		}
		if err := s.act("bob", provisioning.Act{Protected: &yes}); err != nil {
			s.t.Fatal(err)
		}
		for _, name := range []string{"ada", "bob"} {
			s.disable(name)
			s.want(http.StatusOK)
			s.entry(provisioning.ActionDisable, provisioning.Warning, provisioning.ReasonKept)
			s.remove(name)
			s.want(http.StatusNoContent)
			s.entry(provisioning.ActionDelete, provisioning.Warning, provisioning.ReasonKept)
			s.hides(name)
			s.host(name, provisioning.Active)
			for _, a := range []provisioning.Act{{State: provisioning.Suspended}, {State: provisioning.Removed}, {Purge: true}} {
				if err := s.act(name, a); provisioning.KindOf(err) != provisioning.Invalid {
					s.t.Errorf("%s: a person's act %+v came to %v", name, a, err)
				}
			}
			s.host(name, provisioning.Active)
		}
	}},
}

// TestToleranceWindowSlides: what was spent counts for a day, and an allowance no longer than was said.
func TestToleranceWindowSlides(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db database) {
		clock := testkit.NewClock(time.Now())
		s := newStage(t, newServer(t, db, options{now: clock.Now}), "window", entraDefault, narrow)
		crowd := s.crowd(10)
		s.disable(crowd[0])
		s.want(http.StatusOK)
		clock.Advance(23 * time.Hour)
		s.disable(crowd[1])
		s.delayed()
		s.allow(provisioning.BudgetUsers, provisioning.Allowance{Left: -1, Until: clock.Now().Add(10 * time.Minute)})
		clock.Advance(11 * time.Minute)
		s.disable(crowd[1])
		s.delayed()
		clock.Advance(2 * time.Hour)
		s.disable(crowd[1])
		s.want(http.StatusOK)
		s.host(crowd[1], provisioning.Suspended)
		s.disable(crowd[2])
		s.delayed()
		s.folds()
	})
}

// TestGraceTime: what was removed can come back for thirty days. Then a person is asked, or the sweep erases it, as the settings
// say; afterwards the same stable key is somebody new.
func TestGraceTime(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db database) {
		for _, mode := range []provisioning.PurgeMode{provisioning.PurgeAsk, provisioning.PurgeAuto} {
			clock := testkit.NewClock(time.Now())
			s := newStage(t, newServer(t, db, options{now: clock.Now}), "grace", entraDefault, func(s *provisioning.Settings) {
				policies(provisioning.DeletePolicy, provisioning.DeletePolicy)(s)
				s.Deletion.Purge = mode
			})
			s.users("ada", "bob", "cleo")
			s.team("staff", "ada", "bob", "cleo")
			s.remove("ada")
			s.disable("cleo")
			s.want(http.StatusOK)
			clock.Advance(29 * 24 * time.Hour)
			s.sweep()
			s.host("ada", provisioning.Removed)
			s.users("ada") // back in time
			s.host("ada", provisioning.Active)
			s.members("staff", "ada", "bob", "cleo")
			s.remove("ada")
			s.want(http.StatusNoContent)
			clock.Advance(31 * 24 * time.Hour)
			s.sweep()
			if mode == provisioning.PurgeAsk {
				for _, m := range s.matters(provisioning.MatterPurge, provisioning.MatterOpen) {
					if _, err := s.service.Resolve(t.Context(), s.origin(), m.ID, provisioning.Resolution{Status: provisioning.MatterAllowed}); err != nil {
						t.Fatal(err)
					}
				}
			}
			s.none()
			x := s.host("ada", provisioning.Removed)
			if !x.PurgeAt.IsZero() || x.Index.Name != "" || strings.Contains(string(x.Asserted), "ada") {
				t.Errorf("%s: left over of ada: %s, %+v", mode, x.Asserted, x.Index)
			}
			s.host("cleo", provisioning.Removed)
			s.shows("cleo", object{"active": false}) // the client's tombstone stays
			s.parted("staff", []string{"bob", "cleo"}, []string{"bob"})
			former := s.ids["ada"]
			s.users("ada")
			if got := s.inHostGroup("staff"); slices.Contains(got, "ada") {
				t.Errorf("%s: who is new is a member: %v", mode, got)
			}
			if s.ids["ada"] == former {
				t.Errorf("%s: the stable key brought back what was purged", mode)
			}
			s.host("ada", provisioning.Active)
			s.enable("cleo")
			s.want(http.StatusOK)
			s.host("cleo", provisioning.Active)
			s.members("staff", "bob", "cleo") // as the client has listed her all along
			s.folds()
		}
	})
}

// sweep does what time has brought.
func (s *stage) sweep() {
	s.t.Helper()
	if _, err := s.service.Sweep(s.t.Context()); err != nil {
		s.t.Fatalf("sweep: %v", err)
	}
}

// TestConcurrentDisables: 64 clients disable at the limit, at once. Exactly as many users leave as the budget says were spent, and
// these are one less than the limit.
func TestConcurrentDisables(t *testing.T) {
	t.Parallel()
	const people, racers = 200, 64 // 20 % of 200 are 40
	each(t, func(t *testing.T, db database) {
		s := newStage(t, newServer(t, db, options{}), "stampede", entraFlag, nil)
		ids := make([]string, people)
		for i := range ids {
			s.post(fmt.Sprint("u", i), nil)
			s.want(http.StatusCreated)
			ids[i] = s.last.id()
		}
		r := &race{writer: s.writer, racers: racers}
		var mu sync.Mutex
		answered := map[int]int{}
		r.disableAll(t, ids, func(status int) {
			mu.Lock()
			defer mu.Unlock()
			answered[status]++
		})
		left := 0
		for _, x := range s.stored() {
			if x.State == string(provisioning.Suspended) {
				left++
			}
		}
		var budget provisioning.DepartureFacts
		err := s.store.View(t.Context(), s.name, func(r provisioning.Reader) error {
			all, err := r.Connections()
			if err == nil {
				budget, err = r.Departure(provisioning.BudgetQuery{Connection: all[0].ID, Kind: provisioning.BudgetUsers})
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		spent := 0
		for _, part := range budget.Budget.Spent {
			spent += part.N
		}
		if left != 39 || spent != left || answered[http.StatusOK] != left || budget.Present != people-left {
			t.Errorf("%d left, the budget says %d, %d are still there, answered %v: want 39 to leave", left, spent, budget.Present, answered)
		}
		if answered[http.StatusServiceUnavailable]+left != racers {
			t.Errorf("answered %v: want each of %d requests done or put off", answered, racers)
		}
		s.folds()
	})
}
