package provisioning_test

import (
	"testing"
	"time"

	"meibo/internal/testkit"
	"meibo/provisioning"
	"meibo/store/storetest"
)

// TestJobsThatCannotBeDone: one that fails says so to whoever runs jobs, and one that only a newer version knows waits
// for it, as while servers are replaced one by one.
func TestJobsThatCannotBeDone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s provisioning.Store) {
		clock := testkit.NewClock(time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC))
		service := provisioning.New(provisioning.Options{Store: s, Now: clock.Now})
		if _, err := service.CreateTenant(t.Context(), provisioning.Origin{Tenant: "acme", Actor: "admin", Correlation: "c0ffee"}); err != nil {
			t.Fatal(err)
		}
		job := func(id string, kind provisioning.JobKind) *provisioning.Job {
			return &provisioning.Job{ID: id, Kind: kind, Actor: "admin", Params: []byte(`"no parameters"`), State: provisioning.JobQueued, Created: clock.Now(), Changed: clock.Now()}
		}
		err := s.Update(t.Context(), "acme", func(tx provisioning.Tx) error {
			return tx.Commit(provisioning.Batch{Jobs: []provisioning.JobChange{{Create: job("a", "of a newer version")}, {Create: job("b", provisioning.JobUndo)}}})
		})
		if err != nil {
			t.Fatal(err)
		}
		if had, err := service.RunJob(t.Context()); !had || err == nil || provisioning.KindOf(err) != provisioning.Internal {
			t.Errorf("a job with damaged parameters: %t, %v", had, err)
		}
		if had, err := service.RunJob(t.Context()); had || err != nil {
			t.Errorf("there is another job to do: %t, %v", had, err)
		}
		for id, want := range map[string]provisioning.JobState{"a": provisioning.JobQueued, "b": provisioning.JobFailed} {
			if j, err := service.Job(t.Context(), "acme", id); err != nil || j.State != want {
				t.Errorf("job %s is %q, want %q (%v)", id, j.State, want, err)
			}
		}
	})
}
