package provisioning_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"meibo/internal/testkit"
	"meibo/provisioning"
	"meibo/scim"
	"meibo/store/storetest"
)

var purgeSeeds = flag.Int("purges", 10, "how many sequences TestPurgeModel makes up")

// What follows states a second time, and as plainly as it can be said, who is in a group once people come, go, are purged
// and come back, and compares that with what is stored after each of many steps.

// plainUser is somebody of whom the client knows, or knew.
type plainUser struct {
	id      string
	active  bool
	visible bool
	purgeAt time.Time // zero for never
	purged  bool      // nothing is left that the host application could know
}

// plainMember is what a group has of somebody.
type plainMember struct{ listed, seen, taken bool }

// plainGroup is a group as its two sides see it.
type plainGroup struct {
	id        string
	protected bool
	members   map[*plainUser]*plainMember
}

// seen is how many members the host application sees.
func (g *plainGroup) seen() (n int) {
	for _, m := range g.members {
		if m.seen {
			n++
		}
	}
	return n
}

// plainWorld is all there is.
type plainWorld struct {
	*directory
	*rand.Rand
	users  []*plainUser
	groups []*plainGroup
	done   map[string]int
}

// TestPurgeModel makes up sequences of people who come and go, and of groups that they are in.
func TestPurgeModel(t *testing.T) {
	t.Parallel()
	done := map[string]int{}
	clock := testkit.NewClock(time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC))
	s := storetest.Open(t)
	d := &directory{T: t, clock: clock, store: s, Service: provisioning.New(provisioning.Options{Store: s, Now: clock.Now})}
	if _, err := d.CreateTenant(t.Context(), d.admin()); err != nil {
		t.Fatal(err)
	}
	d.apply(func(s *provisioning.Settings) {
		deletes(s)
		s.Tolerance.Mode = provisioning.ToleranceOff
	})
	for seed := range *purgeSeeds {
		w := &plainWorld{directory: d, Rand: rand.New(rand.NewPCG(uint64(seed), 7)), done: done}
		for i := range 3 {
			w.users = append(w.users, &plainUser{id: d.create(named(fmt.Sprint("u", seed, "-", i))), active: true, visible: true})
		}
		for i := range 2 {
			w.groups = append(w.groups, &plainGroup{id: d.createGroup(fmt.Sprint("g", seed, "-", i)), members: map[*plainUser]*plainMember{}})
		}
		var steps []string
		for range 25 {
			steps = append(steps, w.step())
			if wrong := w.compare(); wrong != "" {
				t.Fatalf("seed %d, after %s: %s", seed, strings.Join(steps, ", "), wrong)
			}
		}
	}
	t.Log(done)
	for _, what := range []string{"purge", "tombstone purged", "waits", "back"} {
		if *purgeSeeds >= 10 && done[what] == 0 {
			t.Errorf("no sequence had a %s", what)
		}
	}
}

func (w *plainWorld) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// step does something to the directory, and says here what it should come to.
func (w *plainWorld) step() string {
	w.clock.Advance(time.Minute)
	i, j := w.IntN(len(w.users)), w.IntN(len(w.groups))
	u, g := w.users[i], w.groups[j]
	said := func(what string) string { return fmt.Sprintf("%s u%d g%d", what, i, j) }
	m := g.members[u]
	if m == nil {
		m = &plainMember{}
		g.members[u] = m
	}
	switch w.IntN(16) { // the rest is time
	case 0, 1, 2, 3:
		w.must(w.patch(scim.Group, g.id, scim.Operation{Op: "add", Path: "members", Value: []any{map[string]any{"value": u.id}}}))
		if u.visible && !m.listed {
			*m = plainMember{listed: true, seen: true}
		}
		return said("join")
	case 4:
		w.must(w.patch(scim.Group, g.id, scim.Operation{Op: "remove", Path: fmt.Sprintf("members[value eq %q]", u.id)}))
		if m.listed {
			keeps := m.seen && g.protected && g.seen() == 1
			*m = plainMember{seen: keeps}
		}
		return said("leave")
	case 5, 6:
		if u.visible {
			w.must(w.disable(u.id))
			if u.active {
				u.active, u.purgeAt = false, w.clock.Now().Add(24*time.Hour)
			}
		}
		return said("disable")
	case 7, 8:
		if u.visible {
			w.must(w.patch(scim.User, u.id, scim.Operation{Op: "replace", Path: "active", Value: true}))
			if u.purged {
				w.done["back"]++
				w.back(u)
			}
			u.active, u.purged, u.purgeAt = true, false, time.Time{}
		}
		return said("enable")
	case 9:
		if u.visible {
			w.remove(u.id)
			u.active, u.visible, u.purgeAt = false, false, w.clock.Now().Add(24*time.Hour)
		}
		return said("delete")
	case 10:
		protect := !g.protected
		_, err := w.Act(w.Context(), w.admin(), scim.Group, g.id, provisioning.Act{Protected: &protect})
		w.must(err)
		g.protected = protect
		return said("protect or not")
	case 11:
		_, err := w.Act(w.Context(), w.admin(), scim.Group, g.id, provisioning.Act{Empty: true})
		if (err != nil) != g.protected {
			w.Errorf("emptied, protected %v: %v", g.protected, err)
		}
		if !g.protected && g.seen() > 0 {
			for _, m := range g.members {
				m.seen, m.taken = false, false
			}
		}
		return said("empty")
	case 12:
		for _, u := range w.users {
			w.allow(u)
		}
		return "allow"
	default:
		w.clock.Advance(25 * time.Hour)
		w.sweep()
		for _, u := range w.users {
			if !u.purgeAt.IsZero() && !u.purgeAt.After(w.clock.Now()) {
				w.due(u)
			}
		}
		return "sweep"
	}
}

// last reports whether somebody is the last one in a protected group.
func (w *plainWorld) last(u *plainUser) bool {
	return slices.ContainsFunc(w.groups, func(g *plainGroup) bool {
		m := g.members[u]
		return g.protected && m != nil && m.seen && g.seen() == 1
	})
}

// due is somebody whose grace time is over.
func (w *plainWorld) due(u *plainUser) {
	u.purgeAt = time.Time{}
	if w.last(u) {
		w.done["waits"]++
		return
	}
	w.purge(u)
}

func (w *plainWorld) purge(u *plainUser) {
	u.purgeAt, u.purged = time.Time{}, true
	w.done["purge"]++
	for _, g := range w.groups {
		m := g.members[u]
		switch {
		case m == nil:
		case !u.visible:
			*m = plainMember{}
		case m.seen:
			w.done["tombstone purged"]++
			m.seen, m.taken = false, m.listed
		}
	}
}

// back is a tombstone that was purged and is active again.
func (w *plainWorld) back(u *plainUser) {
	for _, g := range w.groups {
		if m := g.members[u]; m != nil && m.taken {
			m.seen, m.taken = true, false
		}
	}
}

// allow has a person allow the purge of somebody about whom that is asked.
func (w *plainWorld) allow(u *plainUser) {
	for _, m := range w.matters(provisioning.MatterQuery{Resource: u.id, Kind: provisioning.MatterPurge, Status: provisioning.MatterOpen}) {
		if !u.purgeAt.IsZero() {
			return // its client asked for a later end meanwhile
		}
		last := w.last(u)
		_, err := w.Resolve(w.Context(), w.admin(), m.ID, provisioning.Resolution{Status: provisioning.MatterAllowed})
		if (err != nil) != last {
			w.Errorf("allowed, last %v: %v", last, err)
		}
		if !last {
			w.done["allowed"]++
			w.purge(u)
		}
	}
}

// compare says in what the directory differs from what was said here.
func (w *plainWorld) compare() string {
	for j, g := range w.groups {
		var listed, seen []string
		for _, u := range w.users {
			if m := g.members[u]; m != nil {
				if m.listed {
					listed = append(listed, u.id)
				}
				if m.seen {
					seen = append(seen, u.id)
				}
			}
		}
		l, s := w.inGroup(g.id)
		slices.Sort(listed)
		slices.Sort(seen)
		if !slices.Equal(l, listed) || !slices.Equal(s, seen) {
			return fmt.Sprintf("g%d: the client lists %v, want %v; the host application sees %v, want %v", j, l, listed, s, seen)
		}
	}
	for i, u := range w.users {
		if is := w.erased(u.id); is != u.purged {
			return fmt.Sprintf("u%d is erased: %v, want %v", i, is, u.purged)
		}
	}
	return ""
}
