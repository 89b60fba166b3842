package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"meibo/provisioning"
)

// listen adds traffic between two minutes after the epoch, of one read and one write that failed.
func (w *world) listen(cycle string, first, last int) {
	w.t.Helper()
	h := provisioning.HeardTraffic{Cycle: cycle, Gap: 5 * time.Minute, Traffic: provisioning.Traffic{Connection: w.own.ID,
		First: epoch.Add(time.Duration(first) * time.Minute), Last: epoch.Add(time.Duration(last) * time.Minute), Succeeded: epoch.Add(time.Duration(first) * time.Minute),
		Requests: provisioning.CycleRequests{Reads: 1, Writes: 1, Failed: 1},
		Entries:  map[provisioning.Activity]int{{Action: "create", Outcome: "failure"}: 1, {Action: "update", Outcome: "success"}: 2}}}
	w.keep(provisioning.Batch{Admin: []provisioning.AdminChange{{Heard: &h}}})
}

func (w *world) cycles(q provisioning.CycleQuery) (all []provisioning.Cycle) {
	w.t.Helper()
	w.view(func(r provisioning.Reader) (err error) {
		all, err = r.Cycles(q)
		return err
	})
	return all
}

// TestCycles hears a client in several pieces: what comes within the gap is one cycle, whatever order it is written in.
func TestCycles(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w, stranger := newWorld(t, s, "acme"), newWorld(t, s, "umbrella")
		id := func(i int) string { return fmt.Sprintf("019aa000-0000-7000-8000-%012d", i) }
		w.listen(id(1), 0, 2)
		w.listen(id(2), 7, 9) // goes on
		w.listen(id(3), 3, 4) // late
		w.listen(id(4), 15, 16)
		want := []provisioning.Cycle{
			{ID: id(4), Connection: w.own.ID, Kind: "scim", Began: epoch.Add(15 * time.Minute), Last: epoch.Add(16 * time.Minute),
				Requests: provisioning.CycleRequests{Reads: 1, Writes: 1, Failed: 1}},
			{ID: id(1), Connection: w.own.ID, Kind: "scim", Began: epoch, Last: epoch.Add(9 * time.Minute),
				Requests: provisioning.CycleRequests{Reads: 3, Writes: 3, Failed: 3}},
		}
		wantEqual(t, w.cycles(provisioning.CycleQuery{}), want)
		wantEqual(t, w.cycles(provisioning.CycleQuery{Connection: w.own.ID, Limit: 1}), want[:1])
		wantEqual(t, w.cycles(provisioning.CycleQuery{ID: id(1)}), want[1:])
		wantEqual(t, w.cycles(provisioning.CycleQuery{Before: id(4)}), want[1:])
		wantEqual(t, w.cycles(provisioning.CycleQuery{Connection: w.other.ID}), []provisioning.Cycle(nil))
		wantEqual(t, stranger.cycles(provisioning.CycleQuery{ID: id(1)}), []provisioning.Cycle(nil))
		wantEqual(t, stranger.cycles(provisioning.CycleQuery{}), []provisioning.Cycle(nil))
		w.view(func(r provisioning.Reader) error {
			of, err := r.CycleEntries([]string{id(1), id(9)})
			wantEqual(t, of, map[string][]provisioning.CycleEntries{id(1): {{Action: "create", Outcome: "failure", Entries: 3}, {Action: "update", Outcome: "success", Entries: 6}}})
			return err
		})
		heard := func(silent time.Time) {
			t.Helper()
			w.view(func(r provisioning.Reader) error {
				all, err := r.Hearings()
				wantEqual(t, all, []provisioning.Hearing{{Connection: w.own.ID, Cycle: id(4), Last: epoch.Add(16 * time.Minute), Succeeded: epoch.Add(15 * time.Minute), Silent: silent}})
				return err
			})
		}
		heard(time.Time{})
		w.keep(provisioning.Batch{Admin: []provisioning.AdminChange{{Silence: &provisioning.Hearing{Connection: w.own.ID, Silent: epoch}}}})
		heard(epoch)
		w.keep(provisioning.Batch{Admin: []provisioning.AdminChange{{Silence: &provisioning.Hearing{Connection: w.own.ID}}}})
		heard(time.Time{})
	})
}

// Servers that hear of a connection at once do not begin a cycle each.
func TestCyclesAtOnce(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w := newWorld(t, s, "acme")
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() { w.listen(fmt.Sprintf("019aa000-0000-7000-8000-%012d", i), i%3, i%3+1) })
		}
		wg.Wait()
		all := w.cycles(provisioning.CycleQuery{})
		if len(all) != 1 || all[0].Requests.Reads != 8 || !all[0].Began.Equal(epoch) || !all[0].Last.Equal(epoch.Add(3*time.Minute)) {
			t.Errorf("cycles %+v", all)
		}
	})
}
