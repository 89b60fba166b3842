package storetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"meibo/provisioning"
	"meibo/scim"
	"meibo/store"
)

// TestListWalk holds every page of a list, of any size, against the order of creation: before and
// after the tallies are folded, and with gaps where resources went.
func TestListWalk(t *testing.T) {
	t.Parallel()
	each(t, store.Options{}, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, "acme")
		var want []string
		for i := range 6 { // of 500, so that blocks of 1,024 fill up
			want = append(want, w.createMany(fmt.Sprint("u", i, "-"), 500)...)
			if i == 3 {
				w.must(s.Fold(context.Background()))
			}
		}
		for i := 0; i < len(want); i += 7 {
			w.hide(want[i])
		}
		want = slices.DeleteFunc(want, func(id string) bool { return slices.Index(want, id)%7 == 0 })
		w.walk(want)
		w.must(s.Fold(context.Background()))
		w.walk(want)
	})
}

// createMany creates users in one unit of work and returns their ids.
func (w *world) createMany(prefix string, n int) (ids []string) {
	w.t.Helper()
	var b provisioning.Batch
	for i := range n {
		r := w.user(fmt.Sprint(prefix, i))
		b.Changes = append(b.Changes, provisioning.Change{Action: provisioning.ChangeCreate, After: r})
		ids = append(ids, r.ID)
	}
	w.must(w.update(func(tx provisioning.Tx) error { return tx.Commit(b) }))
	return ids
}

func (w *world) hide(id string) {
	w.t.Helper()
	w.must(w.change(w.scope(scim.User), id, func(c *provisioning.Change) { c.After.Visible = false }))
}

func (w *world) walk(want []string) {
	w.t.Helper()
	for _, q := range []provisioning.ListQuery{
		{StartIndex: 1, Count: 100}, {StartIndex: 2, Count: 1}, {StartIndex: 1, Count: 0}, {StartIndex: 0, Count: 3},
		{StartIndex: len(want) / 2, Count: 37}, {StartIndex: len(want), Count: 10}, {StartIndex: len(want) + 1, Count: 10},
		{StartIndex: 1 << 40, Count: 5}, {StartIndex: 1000, Count: 1000}, {StartIndex: 1500, Count: 2}, {StartIndex: 2222, Count: 300},
	} {
		q.Scope = w.scope(scim.User)
		page := w.list(q)
		from := min(max(q.StartIndex, 1)-1, len(want))
		if ids := want[from:min(from+q.Count, len(want))]; !slices.Equal(idsOf(page), ids) || page.Total != len(want) {
			w.t.Errorf("startIndex %d, count %d: %d resources of %d, want %d of %d", q.StartIndex, q.Count,
				len(page.Resources), page.Total, len(ids), len(want))
		}
	}
}

// TestFilteredPages holds totals and pages of a filter to what it selects, where the page tells
// the total and where it does not.
func TestFilteredPages(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w := newWorld(t, s, "acme")
		ids := w.createMany("u", 9)
		for _, text := range []string{`userName sw "u"`, `id pr`} {
			f, err := scim.ParseFilter(scim.Standard(scim.User), text)
			w.must(err)
			for start := 1; start <= 12; start++ {
				for count := range 11 {
					page := w.list(provisioning.ListQuery{Scope: w.scope(scim.User), Filter: f, StartIndex: start, Count: count})
					from := min(start-1, len(ids))
					if want := ids[from:min(from+count, len(ids))]; page.Total != 9 || !slices.Equal(idsOf(page), want) {
						t.Errorf("%s, startIndex %d, count %d: %v of %d, want %v of 9", text, start, count, idsOf(page), page.Total, want)
					}
				}
			}
		}
	})
}

// TestTotalsUnderLoad creates and hides from many goroutines while the tallies are folded, and
// counts at the end.
func TestTotalsUnderLoad(t *testing.T) {
	t.Parallel()
	each(t, store.Options{}, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, "acme")
		const workers, each = 8, 25
		var wg sync.WaitGroup
		for i := range workers {
			wg.Go(func() {
				for j := range each {
					r := w.user(fmt.Sprint("u", i, "-", j))
					if err := w.create(r); err != nil {
						t.Error(err)
					}
					if j%3 == 0 {
						if err := w.change(w.scope(scim.User), r.ID, func(c *provisioning.Change) { c.After.Visible = false }); err != nil {
							t.Error(err)
						}
					}
					if j%5 == 0 {
						if err := s.Fold(context.Background()); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		wg.Wait()
		hidden := workers * ((each + 2) / 3)
		page := w.list(provisioning.ListQuery{Scope: w.scope(scim.User), StartIndex: 1, Count: 1000})
		if want := workers*each - hidden; page.Total != want || len(page.Resources) != want {
			t.Errorf("the list has %d resources and a total of %d, want %d", len(page.Resources), page.Total, want)
		}
	})
}
