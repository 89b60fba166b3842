package provisioning_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"meibo/internal/testkit"
	"meibo/provisioning"
	"meibo/store/storetest"
)

// captured is a capture of a request that came at an instant.
func captured(at time.Time, sealed string) provisioning.Capture {
	id := uuid.Must(uuid.NewV7())
	for i, ms := 5, at.UnixMilli(); i >= 0; i, ms = i-1, ms>>8 {
		id[i] = byte(ms)
	}
	return provisioning.Capture{Correlation: id.String(), Connection: 1, At: at, Sealed: []byte(sealed)}
}

// TestCapturesAreForgotten: a sweep leaves those that are younger than they may get, and none where none are kept.
func TestCapturesAreForgotten(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	for retention, want := range map[time.Duration]int{0: 0, time.Hour: 1, 14 * 24 * time.Hour: 3} {
		st := storetest.Open(t)
		s := provisioning.New(provisioning.Options{Store: st, Now: testkit.NewClock(now).Now, CaptureRetention: retention})
		if _, err := s.CreateTenant(t.Context(), provisioning.Origin{Tenant: "acme", Actor: "test"}); err != nil {
			t.Fatal(err)
		}
		all := []provisioning.Capture{captured(now.Add(-48*time.Hour), "a"), captured(now.Add(-2*time.Hour), "b"), captured(now.Add(-time.Second), "c")}
		if err := st.Update(t.Context(), "acme", func(tx provisioning.Tx) error { return tx.Commit(provisioning.Batch{Captures: all}) }); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		left := slices.DeleteFunc(all, func(c provisioning.Capture) bool {
			err := st.View(t.Context(), "acme", func(r provisioning.Reader) error { _, err := r.Capture(c.Correlation); return err })
			return provisioning.KindOf(err) == provisioning.NotFound
		})
		if len(left) != want {
			t.Errorf("kept for %v: %d captures are left, want %d", retention, len(left), want)
		}
	}
}
