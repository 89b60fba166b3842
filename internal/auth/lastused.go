package auth

import (
	"context"
	"sync"
	"time"

	"meibo/provisioning"
)

const (
	// touchEvery is how exact a last-used time is.
	touchEvery = time.Minute
	// maxWaiting bounds the credentials whose time waits to be written. What finds no room is
	// noted again at the credential's next look-up.
	maxWaiting = 1_000
	// touchTimeout bounds one write.
	touchTimeout = 5 * time.Second
)

// lastUsed writes when credentials were last used, away from the requests that use them. It has a
// goroutine only while something waits.
type lastUsed struct {
	store  provisioning.Store
	now    func() time.Time
	report func(error)

	mu      sync.Mutex
	waiting map[string]touch // by credential id
	idle    chan struct{}    // closed when the goroutine ends; nil while there is none
	rest    time.Time        // after a failure nothing is taken until then
	closed  bool
}

// touch is one last-used time to be written.
type touch struct {
	key        key
	credential provisioning.Credential // with the new LastUsed
}

func newLastUsed(store provisioning.Store, now func() time.Time, report func(error)) *lastUsed {
	return &lastUsed{store: store, now: now, report: report, waiting: map[string]touch{}}
}

// note has a use written down, unless the last one written is recent enough.
func (l *lastUsed) note(k key, c provisioning.Credential, at time.Time) {
	if at.Sub(c.LastUsed) < touchEvery {
		return
	}
	c.LastUsed = at.UTC().Truncate(time.Microsecond)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || at.Before(l.rest) || len(l.waiting) >= maxWaiting {
		return
	}
	l.waiting[c.ID] = touch{k, c}
	if l.idle == nil {
		l.idle = make(chan struct{})
		go l.drain()
	}
}

// drain writes until nothing waits.
func (l *lastUsed) drain() {
	for {
		t, ok := l.next()
		if !ok {
			return
		}
		if err := l.write(t); err != nil {
			l.mu.Lock()
			l.rest = l.now().Add(touchEvery)
			l.mu.Unlock()
			l.report(err)
		}
	}
}

func (l *lastUsed) next() (touch, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, t := range l.waiting {
		delete(l.waiting, id)
		return t, true
	}
	close(l.idle)
	l.idle = nil
	return touch{}, false
}

// write stores one time. It looks again first, since another replica may have been quicker.
func (l *lastUsed) write(t touch) error {
	ctx, cancel := context.WithTimeout(context.Background(), touchTimeout)
	defer cancel()
	return l.store.Update(ctx, t.key.tenant, func(tx provisioning.Tx) error {
		stored, _, err := tx.CredentialByHash(t.key.hash[:])
		if err != nil || t.credential.LastUsed.Sub(stored.LastUsed) < touchEvery {
			return err
		}
		return tx.Commit(provisioning.Batch{Admin: []provisioning.AdminChange{{TouchCredential: &t.credential}}})
	})
}

// close takes nothing more and waits until what waits is written.
func (l *lastUsed) close(ctx context.Context) error {
	l.mu.Lock()
	l.closed = true
	idle := l.idle
	l.mu.Unlock()
	if idle == nil {
		return nil
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
