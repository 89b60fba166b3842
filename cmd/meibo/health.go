package main

import (
	"context"
	"sync"
	"time"
)

// readinessTimeout is how long a probe waits for the database, and readinessAge for how long what
// it found is told to others: a probe makes the database work, and needs no token.
const (
	readinessTimeout = time.Second
	readinessAge     = 500 * time.Millisecond
)

// health is what the database was last found to be, by one probe at a time.
type health struct {
	probe func(context.Context) error
	tell  func(error) // hears of each change for the worse or the better

	mu    sync.Mutex
	asked time.Time
	err   error
}

// ask is why the database does not serve, nil when it does. Who asks while a probe is under way
// has its answer.
func (h *health) ask(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.asked) < readinessAge {
		return h.err
	}
	// The answer is for others too, whoever leaves.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readinessTimeout)
	defer cancel()
	before := h.err
	h.err, h.asked = h.probe(ctx), time.Now()
	if (before == nil) != (h.err == nil) {
		h.tell(h.err)
	}
	return h.err
}
