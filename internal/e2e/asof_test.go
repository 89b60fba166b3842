package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"meibo/provisioning"
	"meibo/scim"
)

// TestTolerancesAsOf makes up histories, and reads before each step what a departure would be weighed by. As of the first
// entry that the step wrote, the same follows from the journal afterwards: how many there were, what was spent, what was
// allowed beyond it, and what each group had lost.
func TestTolerancesAsOf(t *testing.T) {
	setChecks(t, size(3, 6, 300))
	d, compared := newDirectory(t), map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		y, done := d.year(t)
		defer done()
		weighed := map[string]map[string]provisioning.DepartureFacts{} // by entry
		for range rapid.IntRange(10, 60).Draw(t, "steps") {
			before, n := y.weighed(y.store), y.entries
			y.step(map[string]int{})
			if first := y.first(n); first != "" {
				weighed[first] = before
			}
		}
		for more := rapid.Bool().Draw(t, "with positions"); more; {
			var err error
			_, more, err = y.store.Follow(y.ctx)
			y.must(err)
		}
		for id, want := range weighed {
			e := y.entry(id)
			was, is := counting(want, e.At), counting(y.weighed(provisioning.NewAsOf(y.store, e, nil)), e.At)
			if difference := cmp.Diff(was, is); difference != "" {
				y.Fatalf("as of entry %s at %v, %s by %s (-then +said):\n%s", id, e.At, e.Reason.Code, e.Actor, difference)
			}
			for _, f := range want {
				compared["spent"] += len(f.Budget.Spent)
				compared["allowed"] += len(f.Budget.Allowances)
			}
		}
	})
	t.Logf("compared: %v", compared)
}

// first is the id of the entry after so many; "" for none.
func (y *year) first(n int) (id string) {
	var all []string
	y.must(y.service.Entries(y.ctx, acme, provisioning.EntryQuery{}, func(e provisioning.Entry) error {
		all = append(all, e.ID)
		return nil
	}))
	if len(all) > n {
		id = all[len(all)-1-n]
	}
	return id
}

func (y *year) entry(id string) (e provisioning.Entry) {
	y.must(y.service.Entries(y.ctx, acme, provisioning.EntryQuery{ID: id}, func(found provisioning.Entry) error {
		e = found
		return nil
	}))
	return e
}

// weighed is what a store has that departures of users, groups and members are weighed by, as far as it counts at the time.
func (y *year) weighed(s provisioning.Store) map[string]provisioning.DepartureFacts {
	y.Helper()
	out := map[string]provisioning.DepartureFacts{}
	y.must(s.View(y.ctx, acme, func(r provisioning.Reader) error {
		for connection := range y.rules {
			for _, kind := range []provisioning.BudgetKind{provisioning.BudgetUsers, provisioning.BudgetGroups} {
				f, err := r.Departure(provisioning.BudgetQuery{Connection: connection, Kind: kind})
				y.must(err)
				out[fmt.Sprintf("%s of connection %d", kind, connection)] = f
			}
		}
		for _, id := range y.groups {
			x, err := r.Account(scim.Group, id, provisioning.References{})
			if kind := provisioning.KindOf(err); err != nil && kind == provisioning.NotFound {
				continue // it is made later
			}
			y.must(err)
			f := provisioning.DepartureFacts{Present: x.MemberCount}
			if x.Removals != nil {
				y.must(json.Unmarshal(x.Removals, &f.Budget.Spent))
			}
			out["members of "+id] = f
		}
		return nil
	}))
	return out
}

// counting is what of that counts at an instant, for people.
func counting(all map[string]provisioning.DepartureFacts, at time.Time) map[string]string {
	out := map[string]string{}
	for what, f := range all {
		parts := []string{fmt.Sprint(f.Present)}
		for _, s := range f.Budget.Spent {
			if s.Until.Add(provisioning.DefaultSettings().Tolerance.Window.Duration()).After(at) {
				parts = append(parts, fmt.Sprintf("spent %d until %v", s.N, s.Until.UTC()))
			}
		}
		for _, a := range f.Budget.Allowances {
			if a.Until.After(at) && a.Left != 0 {
				parts = append(parts, fmt.Sprintf("allowed %d %q until %v by %s: %t", a.Left, a.Cause, a.Until.UTC(), a.By, !a.Reject))
			}
		}
		out[what] = strings.Join(parts, "; ")
	}
	return out
}
