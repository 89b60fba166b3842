package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"meibo/internal/testkit"
	"meibo/provisioning"
	"meibo/scim"
	"meibo/store"
)

// TestPurgeBesideWrites writes one after the other while half of the journal is purged, and as often without: at full size, those
// beside the purge take half as long again at most.
func TestPurgeBesideWrites(t *testing.T) {
	for _, db := range databases {
		t.Run(db.name, func(t *testing.T) {
			users, edits := 60, 4
			if *full {
				users, edits = 2000, 10
			}
			clock := testkit.NewClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
			st, err := store.Open(t.Context(), store.Options{URL: db.fresh(t)})
			must(t, err)
			defer func() { must(t, st.Close()) }()
			service := provisioning.New(provisioning.Options{Store: st, Now: clock.Now})
			// What purges has the time of the day, so that it rests as it would.
			purger := provisioning.New(provisioning.Options{Store: st})
			_, err = service.CreateTenant(t.Context(), provisioning.Origin{Tenant: acme, Actor: "ann"})
			must(t, err)
			c, err := service.Connection(t.Context(), acme, provisioning.DefaultConnection)
			must(t, err)
			o := provisioning.Origin{Tenant: acme, Connection: c, Actor: "token"}
			var ids []string
			for i := range users {
				done, err := service.Create(t.Context(), o, scim.User, provisioning.Body{Attributes: scim.Attributes{"userName": fmt.Sprint("user", i)}})
				must(t, err)
				ids = append(ids, done.Resource.ID)
			}
			n := 0
			write := func() time.Duration {
				n++
				began := time.Now()
				_, err := service.Patch(t.Context(), o, scim.User, ids[n%len(ids)], []scim.Operation{{Op: "replace", Path: "title", Value: fmt.Sprint("title ", n)}},
					scim.PatchOptions{}, nil, provisioning.References{})
				must(t, err)
				return time.Since(began)
			}
			var cut time.Time
			for edit := range edits {
				for range users {
					write()
				}
				if clock.Advance(time.Hour); edit == edits/2-1 {
					cut = clock.Now()
				}
			}
			for more := true; more; {
				_, more, err = st.Follow(t.Context())
				must(t, err)
			}
			var beside, alone []time.Duration
			purged, result := make(chan error, 1), provisioning.Retained{}
			go func() {
				var err error
				result, err = purger.Retain(t.Context(), acme, cut)
				purged <- err
			}()
			for during := true; during; {
				beside = append(beside, write())
				select {
				case err := <-purged:
					must(t, err)
					during = false
				default:
				}
			}
			for range max(len(beside), 500) {
				alone = append(alone, write())
			}
			a, b := p99(alone), p99(beside)
			t.Logf("purged %+v while %d writes; p99 %v beside it, %v alone, %.2f times", result, len(beside), b, a, float64(b)/float64(a))
			if result.Baselines != users {
				t.Errorf("%d baselines, want %d", result.Baselines, users)
			}
			if *full && float64(b) > 1.5*float64(a) {
				t.Errorf("the purge makes p99 %.2f times as long, 1.5 is allowed", float64(b)/float64(a))
			}
		})
	}
}

func p99(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[len(took)*99/100]
}
