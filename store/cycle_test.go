package store

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"meibo/provisioning"
)

// TestRunsByPage: runs are read page by page in their order, of a kind, with a bounded number of statements however many there
// are, and a regrouping is none.
func TestRunsByPage(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Store, connection int64) {
		var b provisioning.Batch
		var want []string
		for i := range 40 {
			kind := []provisioning.JobKind{provisioning.JobRecompute, provisioning.JobUndo, provisioning.JobRegroup, provisioning.JobRecompute}[i%4]
			j := provisioning.Job{ID: fmt.Sprintf("%08x-0000-7000-8000-000000000000", i), Kind: kind, Connection: connection, State: provisioning.JobDone, Created: epoch, Changed: epoch}
			b.Jobs = append(b.Jobs, provisioning.JobChange{Create: &j})
			if kind != provisioning.JobRegroup {
				want = append([]string{j.ID}, want...)
			}
			for range i % 3 {
				b.Entries = append(b.Entries, provisioning.Entry{ID: newID(), At: epoch, Action: provisioning.ActionUpdate, Outcome: provisioning.Success, Correlation: j.ID})
			}
		}
		must(t, s.Update(context.Background(), "acme", func(tx provisioning.Tx) error { return tx.Commit(b) }))
		service := provisioning.New(provisioning.Options{Store: s, Now: func() time.Time { return epoch }})
		statements := 0
		s.observer = func(string, []any) { statements++ }
		var got []string
		q := provisioning.CycleQuery{Limit: 7}
		for {
			page, err := service.Cycles(context.Background(), "acme", q)
			must(t, err)
			for _, c := range page {
				got = append(got, c.ID)
				var i, n int
				_, err := fmt.Sscanf(c.ID, "%08x", &i)
				must(t, err)
				for _, e := range c.Entries {
					n += e.Entries
				}
				if n != i%3 {
					t.Errorf("%d entries of run %d, want %d", n, i, i%3)
				}
			}
			if statements > 5 { // the tenant, three lists and their entries
				t.Errorf("%d statements for a page", statements)
			}
			if len(page) < q.Limit {
				break
			}
			q.Before, statements = page[len(page)-1].ID, 0
		}
		s.observer = nil
		if !slices.Equal(got, want) {
			t.Errorf("runs %v, want %v", got, want)
		}
		cycle := func(i int) (provisioning.Cycle, *provisioning.Cycle, error) {
			return service.Cycle(context.Background(), "acme", fmt.Sprintf("%08x-0000-7000-8000-000000000000", i))
		}
		if _, _, err := cycle(2); provisioning.KindOf(err) != provisioning.NotFound {
			t.Errorf("a regrouping as a cycle: %v", err)
		}
		if c, before, err := cycle(7); err != nil || c.Kind != "recompute" || before == nil || before.ID[:8] != "00000004" {
			t.Errorf("%+v, before it %+v, %v", c, before, err)
		}
		if c, before, err := cycle(5); err != nil || c.Kind != "undo" || before == nil || before.ID[:8] != "00000001" {
			t.Errorf("%+v, before it %+v, %v", c, before, err)
		}
	})
}
