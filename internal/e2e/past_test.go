package e2e

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"meibo/internal/witness"
	"meibo/provisioning"
	"meibo/scim"
)

var histories = flag.Int("histories", 30, "how many histories TestPastIsAsItWas makes up on SQLite, and a third of it on PostgreSQL; 300 are its full form")

// TestPastIsAsItWas makes up histories of everything that clients, persons, settings, files, undos and time do to a
// tenant, and reads the tables after each step. What the service says afterwards of each of those instants is what the
// tables were then: users, groups, members in both views, and the groups of a user.
func TestPastIsAsItWas(t *testing.T) {
	for _, db := range databases {
		t.Run(db.name, func(t *testing.T) {
			n := *histories
			if hasty() {
				n = min(n, 9)
			}
			if db.driver != "sqlite" {
				n = (n + 2) / 3
			}
			setChecks(t, n)
			d, noticed := directoryIn(t, db), map[string]int{}
			rapid.Check(t, func(t *rapid.T) {
				y, done := d.year(t)
				defer done()
				h := y.history(rapid.IntRange(10, 40).Draw(t, "steps"))
				for _, then := range h {
					y.wantPast(then)
				}
				y.wantDifference(h[0], h[len(h)-1])
				for view, forget := range oneView {
					if y.pastProblem(y.forgetful(forget), h[len(h)-1]) != "" {
						noticed[view]++
					}
				}
			})
			t.Logf("removals in one view alone that were forgotten, noticed in histories: %v", noticed)
			for view := range oneView {
				if n >= 30 && noticed[view] == 0 {
					t.Errorf("no history would notice that members who leave %s alone are forgotten", view)
				}
			}
		})
	}
}

// oneView forgets, of an entry, who left in one of the two views alone.
var oneView = map[string]func(*provisioning.MemberDelta){
	"the client's list":      func(d *provisioning.MemberDelta) { d.AssertedRemove = nil },
	"the application's view": func(d *provisioning.MemberDelta) { d.EffectiveRemove = nil },
}

// forgetful is a service that reads the journal as if something were not in it.
func (y *year) forgetful(forget func(*provisioning.MemberDelta)) *provisioning.Service {
	return provisioning.New(provisioning.Options{Store: forgetfulStore{y.store, forget}, Now: y.clock.Now})
}

type forgetfulStore struct {
	provisioning.Store
	forget func(*provisioning.MemberDelta)
}

func (s forgetfulStore) View(ctx context.Context, tenant string, fn func(provisioning.Reader) error) error {
	return s.Store.View(ctx, tenant, func(r provisioning.Reader) error { return fn(forgetfulReader{r, s.forget}) })
}

type forgetfulReader struct {
	provisioning.Reader
	forget func(*provisioning.MemberDelta)
}

func (r forgetfulReader) Entries(q provisioning.EntryQuery, fn func(provisioning.Entry) error) error {
	return r.Reader.Entries(q, func(e provisioning.Entry) error {
		r.forget(&e.Members)
		return fn(e)
	})
}

// TestPastAcrossPurges does the same while the journal is purged twice: what is after the cut is as it was, what is before it is
// not told, and what is left of the journal folds to what is stored.
func TestPastAcrossPurges(t *testing.T) {
	for _, db := range databases {
		t.Run(db.name, func(t *testing.T) {
			n := *histories
			if hasty() {
				n = min(n, 9)
			}
			if db.driver != "sqlite" {
				n = (n + 2) / 3
			}
			setChecks(t, n)
			d := directoryIn(t, db)
			rapid.Check(t, func(t *rapid.T) {
				y, done := d.year(t)
				defer done()
				var h []instant
				var cut time.Time
				for range 2 {
					h = append(h, y.history(rapid.IntRange(5, 25).Draw(t, "steps"))...)
					cut = h[rapid.IntRange(0, len(h)-1).Draw(t, "cut")].at
					y.purge(cut)
				}
				for _, then := range h {
					y.wantPast(then)
				}
			})
		})
	}
}

// purge cuts the journal, and looks whether the rest of it says the same.
func (y *year) purge(cut time.Time) {
	y.Helper()
	for more := true; more; {
		var err error
		_, more, err = y.store.Follow(y.ctx)
		y.must(err)
	}
	done, err := y.service.Retain(y.ctx, acme, cut)
	y.must(err)
	again, err := y.service.Retain(y.ctx, acme, cut)
	y.must(err)
	if again != (provisioning.Retained{}) {
		y.Fatalf("a purge did %+v, and the same once more %+v", done, again)
	}
	if cut.After(y.cut) {
		y.cut = cut
	}
	y.look()
	y.journal, y.entries, y.changes = witness.NewJournal(), 0, nil
	for _, problem := range y.fold(map[string]int{}) {
		y.Fatal(problem)
	}
	y.must(y.service.Entries(y.ctx, acme, provisioning.EntryQuery{Until: cut}, func(e provisioning.Entry) error {
		if e.Reason.Code != provisioning.ReasonBaseline && e.Reason.Code != provisioning.ReasonExpired {
			y.Fatalf("the entry of %v, %s, is there after a purge until %v", e.At, e.Reason.Code, cut)
		}
		return nil
	}))
}

// instant is a tenant as its tables were.
type instant struct {
	at     time.Time
	stored map[string]witness.State
}

// history makes up steps, and keeps what was stored after each.
func (y *year) history(steps int) (all []instant) {
	y.clock.Advance(time.Second)
	for range 4 {
		y.must(y.create(y.origin()))
	}
	seen := map[string]int{}
	for range steps {
		y.clock.Advance(time.Second) // else two instants could be one
		if y.number("views", 0, 11) == 7 {
			y.partViews()
		} else {
			y.step(seen)
		}
		all = append(all, instant{y.clock.Now(), maps.Clone(y.stored)})
	}
	return all
}

// partViews has members leave a group in one view alone: a person empties it, and then its client takes one off its list, whom the
// host application does not see any longer. Chance alone comes to that too seldom.
func (y *year) partViews() {
	y.Helper()
	o := y.origin()
	var members []scim.Member
	for i := range 2 {
		done, err := y.service.Create(y.ctx, o, scim.User, provisioning.Body{Attributes: scim.Attributes{"userName": fmt.Sprintf("crew%d.%d", len(y.users), i), "title": "staff"}})
		y.must(err)
		members = append(members, scim.Member{Value: done.Resource.ID})
	}
	done, err := y.service.Create(y.ctx, o, scim.Group, provisioning.Body{Attributes: scim.Attributes{"displayName": fmt.Sprint("crew", len(y.users))}, Members: members, HasMembers: true})
	y.must(err)
	crew := done.Resource.ID
	for _, m := range members {
		y.users = append(y.users, m.Value)
	}
	y.groups = append(y.groups, crew)
	_, err = y.service.Act(y.ctx, provisioning.Origin{Tenant: acme, Actor: "ann"}, scim.Group, crew, provisioning.Act{Empty: true})
	y.must(err)
	leaver := members[y.number("leaver", 0, len(members)-1)]
	_, err = y.service.Patch(y.ctx, o, scim.Group, crew, []scim.Operation{{Op: "remove", Path: "members", Value: values([]scim.Member{leaver})}}, scim.PatchOptions{}, nil, provisioning.References{})
	y.must(err)
	y.look()
	for _, problem := range y.fold(map[string]int{}) {
		y.Fatal(problem)
	}
}

// wantPast compares what the service says of an instant with what was stored then.
func (y *year) wantPast(was instant) {
	y.Helper()
	if problem := y.pastProblem(y.service, was); problem != "" {
		y.Fatal(problem)
	}
}

// pastProblem is in what a service says something else of an instant than what was stored then; "" for nothing.
func (y *year) pastProblem(s *provisioning.Service, was instant) string {
	y.Helper()
	for id, now := range y.stored {
		q := provisioning.PastQuery{Type: scim.ResourceType(now.Type), ID: id, At: was.at, Members: true, Groups: true}
		past, err := s.At(y.ctx, acme, q)
		then, there := was.stored[id]
		switch {
		case was.at.Before(y.cut):
			if kind := provisioning.KindOf(err); kind != provisioning.Gone && (there || kind != provisioning.NotFound) {
				return fmt.Sprintf("%s %s at %v, before the cut of %v: %+v, %v", now.Type, id, was.at, y.cut, past, err)
			}
			continue
		case then.IsGone() && provisioning.KindOf(err) == provisioning.Gone: // all of it went
			continue
		case !there && provisioning.KindOf(err) != provisioning.NotFound:
			return fmt.Sprintf("%s %s was not there at %v, but there is %+v, %v", now.Type, id, was.at, past, err)
		case !there:
			continue
		case err != nil:
			return fmt.Sprintf("%s %s at %v: %v", now.Type, id, was.at, err)
		}
		then.Members = lasting(then)
		said := y.pastState(past)
		for i := range said.Members {
			if said.Members[i].From == 0 && i < len(then.Members) && then.Members[i].From < y.cut.UnixMicro() {
				then.Members[i].From = 0
			}
		}
		if difference := cmp.Diff(then, said); difference != "" {
			return fmt.Sprintf("%s %s at %v (-stored +said):\n%s", now.Type, id, was.at, difference)
		}
		if difference := cmp.Diff(was.groupsOf(id), y.groupsSaid(past)); difference != "" {
			return fmt.Sprintf("groups of %s %s at %v (-stored +said):\n%s", now.Type, id, was.at, difference)
		}
	}
	return ""
}

// lasting are the memberships that were not over.
func lasting(s witness.State) (open []witness.Membership) {
	for _, m := range s.Members {
		if m.To == 0 {
			m.FromEntry = ""
			open = append(open, m)
		}
	}
	return open
}

// pastState is what the service says in the words of the witness.
func (y *year) pastState(p provisioning.Past) witness.State {
	micros := func(t time.Time) int64 {
		if t.IsZero() {
			return 0
		}
		return t.UnixMicro()
	}
	s := witness.State{Type: string(p.Type), Connection: p.Connection, Visible: p.Visible, State: string(p.State), Role: p.Role, Protected: p.Protected,
		PurgeAt: micros(p.PurgeAt), LeftAt: micros(p.LeftAt), Version: p.Version, Created: micros(p.Created), Modified: micros(p.Modified),
		Names: [2]string{p.Index.Name, p.Index.EffectiveName}, Open: p.MemberCount,
		Document: y.object(p.Asserted), Effective: y.object(p.Effective), Overrides: y.object(p.Overrides)}
	for _, m := range p.Members {
		s.Members = append(s.Members, witness.Membership{Member: m.Value, Display: m.Display, Asserted: m.Asserted, Effective: m.Effective, From: micros(m.Since)})
	}
	return s
}

func (y *year) object(data []byte) (o map[string]any) {
	y.Helper()
	if data == nil {
		return nil
	}
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	decoder.UseNumber()
	y.must(decoder.Decode(&o))
	return o
}

// groupsOf says in which groups a user was, and in whose eyes.
func (i instant) groupsOf(user string) []string {
	groups := []string{}
	for id, g := range i.stored {
		for _, m := range lasting(g) {
			asserted, effective := m.Asserted && g.Visible, m.Effective && g.State != "removed"
			if m.Member == user && (asserted || effective) {
				name := g.Document["displayName"]
				if called := g.Effective["displayName"]; called != nil { // what was purged has none
					name = called
				}
				groups = append(groups, fmt.Sprint(id, name, asserted, effective))
			}
		}
	}
	slices.Sort(groups)
	return groups
}

func (y *year) groupsSaid(p provisioning.Past) []string {
	groups := []string{}
	for _, g := range p.Groups {
		groups = append(groups, fmt.Sprint(g.ID, g.Display, g.Asserted, g.Effective))
	}
	slices.Sort(groups)
	return groups
}

// wantDifference has the witness follow what the service says has become of each resource since an instant, as if that
// were an entry of the journal.
func (y *year) wantDifference(from, to instant) {
	y.Helper()
	for id, is := range to.stored {
		d, err := y.service.Difference(y.ctx, acme, provisioning.PastQuery{Type: scim.ResourceType(is.Type), ID: id}, from.at, to.at)
		y.must(err)
		was, there := from.stored[id]
		if there != (d.From != nil) {
			y.Fatalf("%s was there: %t, but the difference says %+v", id, there, d.From)
		}
		if there {
			was.Members = lasting(was)
			if difference := cmp.Diff(was, y.pastState(*d.From)); difference != "" {
				y.Fatal(difference)
			}
			continue
		}
		e := provisioning.Entry{ID: "made up", Version: 1, Action: provisioning.ActionCreate, Outcome: provisioning.Success, Connection: is.Connection,
			ResourceID: id, ResourceType: scim.ResourceType(is.Type), Diff: d.Changes, Members: d.Members}
		folded, problems := witness.Fold([]provisioning.Entry{e})
		if len(problems) > 0 {
			y.Fatal(problems)
		}
		got := folded[id]
		if difference := cmp.Diff([]any{is.Document, is.Effective, is.State, is.Overrides, is.Open}, []any{got.Document, got.Effective, got.State, got.Overrides, got.Open}); difference != "" {
			y.Fatalf("%s (-stored +said):\n%s", id, difference)
		}
	}
}
