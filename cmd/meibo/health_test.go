package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A probe is bounded, shared by those who ask at the same time or soon after, and its changes are
// told, not its repetitions.
func TestHealth(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gone := errors.New("gone")
		var probes atomic.Int32
		var fault error
		var told []error
		h := &health{tell: func(err error) { told = append(told, err) }, probe: func(ctx context.Context) error {
			probes.Add(1)
			if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > readinessTimeout || ctx.Err() != nil {
				t.Error("a probe may wait for longer than the bound, or ends with who asked for it")
			}
			return fault
		}}
		left, leave := context.WithCancel(t.Context())
		leave()
		for _, fault = range []error{nil, gone, gone, nil, nil} {
			before := probes.Load()
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					if err := h.ask(left); err != fault {
						t.Errorf("%v, want %v", err, fault)
					}
				})
			}
			all.Wait()
			if n := probes.Load() - before; n != 1 {
				t.Errorf("%d probes for those who asked at the same time", n)
			}
			<-time.After(readinessAge)
		}
		if diff := cmp.Diff([]error{gone, nil}, told, cmp.Comparer(func(a, b error) bool { return a == b })); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
	})
}
