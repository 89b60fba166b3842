package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"meibo/provisioning"
)

// captureAt is a capture of a request that came at an instant.
func captureAt(at time.Time, i int) provisioning.Capture {
	id := uuid.Must(uuid.NewV7()).String()
	ms := fmt.Sprintf("%012x", at.UnixMilli())
	return provisioning.Capture{Correlation: ms[:8] + "-" + ms[8:] + id[13:], Connection: 1, At: at, Sealed: []byte{0, byte(i), 255}}
}

func (w *world) keep(b provisioning.Batch) {
	w.t.Helper()
	w.must(w.update(func(tx provisioning.Tx) error { return tx.Commit(b) }))
}

func (w *world) capture(correlation string) (c provisioning.Capture, err error) {
	err = w.s.View(context.Background(), w.tenant, func(r provisioning.Reader) error {
		c, err = r.Capture(correlation)
		return err
	})
	return c, err
}

// TestCaptures keeps captures, some of them twice, and lets go of those that are named and of the oldest ones.
func TestCaptures(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w, stranger := newWorld(t, s, "acme"), newWorld(t, s, "umbrella")
		start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
		var all []provisioning.Capture
		for i := range 40 {
			all = append(all, captureAt(start.Add(time.Duration(i)*time.Hour), i))
		}
		w.keep(provisioning.Batch{Captures: all[:30]})
		w.keep(provisioning.Batch{Captures: all[20:]})
		for _, want := range all {
			got, err := w.capture(want.Correlation)
			w.must(err)
			wantEqual(t, got, want)
			_, err = stranger.capture(want.Correlation)
			wantKind(t, err, provisioning.NotFound, "")
		}
		stranger.keep(provisioning.Batch{DropCaptures: []string{all[39].Correlation}})
		w.keep(provisioning.Batch{DropCaptures: []string{all[38].Correlation, "none"}})
		there := func(c provisioning.Capture) bool {
			_, err := w.capture(c.Correlation)
			return err == nil
		}
		if there(all[38]) || !there(all[39]) || !there(all[37]) {
			t.Error("other captures than those named are gone")
		}
		cut := start.Add(10 * time.Hour)
		for _, want := range []int{4, 4, 2, 0} {
			n, err := s.DropCaptures(context.Background(), cut, 4)
			w.must(err)
			if n != want {
				t.Errorf("%d went, want %d", n, want)
			}
		}
		for i, c := range all {
			if there(c) != (i >= 10 && i != 38) {
				t.Errorf("capture %d is there: %t", i, there(c))
			}
		}
	})
}

// TestCapturesFrom: what was to be kept of requests before an instant is not any more, whenever it comes; that of other tenants is,
// and the instant does not go back.
func TestCapturesFrom(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w, stranger := newWorld(t, s, "acme"), newWorld(t, s, "umbrella")
		from := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
		there := captureAt(from.Add(-time.Hour), 1)
		w.keep(provisioning.Batch{Captures: []provisioning.Capture{there}})
		w.keep(provisioning.Batch{CapturesFrom: from})
		w.keep(provisioning.Batch{CapturesFrom: from.Add(-24 * time.Hour)})
		late, next := captureAt(from.Add(-time.Millisecond), 2), captureAt(from, 3)
		for _, o := range []*world{w, stranger} {
			late.Correlation, next.Correlation = newID(), newID()
			o.keep(provisioning.Batch{Captures: []provisioning.Capture{late, next}})
			if _, err := o.capture(late.Correlation); (err == nil) != (o == stranger) {
				t.Errorf("%s: a request before the instant: %v", o.tenant, err)
			}
			if _, err := o.capture(next.Correlation); err != nil {
				t.Errorf("%s: a request from the instant on: %v", o.tenant, err)
			}
		}
		if _, err := w.capture(there.Correlation); err != nil {
			t.Errorf("what was there: %v", err)
		}
	})
}

// TestCapturePages reads captures, latest first, by connection and time, in pages that hold each once.
func TestCapturePages(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w, stranger := newWorld(t, s, "acme"), newWorld(t, s, "umbrella")
		start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
		var all []provisioning.Capture
		for i := range 12 {
			c := captureAt(start.Add(time.Duration(i)*time.Hour), i)
			c.Connection = int64(1 + i%2)
			all = append([]provisioning.Capture{c}, all...)
			stranger.keep(provisioning.Batch{Captures: []provisioning.Capture{captureAt(c.At, 99)}})
		}
		w.keep(provisioning.Batch{Captures: all})
		for name, tc := range map[string]struct {
			q    provisioning.CaptureQuery
			want func(provisioning.Capture) bool
		}{
			"all":           {provisioning.CaptureQuery{}, func(provisioning.Capture) bool { return true }},
			"of connection": {provisioning.CaptureQuery{Connection: 2}, func(c provisioning.Capture) bool { return c.Connection == 2 }},
			"of a time": {provisioning.CaptureQuery{Since: start.Add(3 * time.Hour), Until: start.Add(7 * time.Hour)}, func(c provisioning.Capture) bool {
				return !c.At.Before(start.Add(3*time.Hour)) && c.At.Before(start.Add(7*time.Hour))
			}},
			"of nobody": {provisioning.CaptureQuery{Connection: 3}, func(provisioning.Capture) bool { return false }},
		} {
			var want, got []provisioning.Capture
			for _, c := range all {
				if tc.want(c) {
					want = append(want, c)
				}
			}
			for tc.q.Limit = 3; ; {
				w.view(func(r provisioning.Reader) error {
					page, err := r.Captures(tc.q)
					if len(page.Captures) > 3 {
						t.Errorf("%s: a page of %d", name, len(page.Captures))
					}
					got, tc.q.Before = append(got, page.Captures...), page.Next
					return err
				})
				if tc.q.Before == "" {
					break
				}
			}
			if len(got) != len(want) {
				t.Fatalf("%s: %d captures, want %d", name, len(got), len(want))
			}
			for i := range got {
				wantEqual(t, got[i], want[i])
			}
		}
	})
}
