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
	waiting map[string]use // by credential id
	idle    chan struct{}  // closed when the goroutine ends; nil while there is none
	rest    time.Time      // after a failure nothing is taken until then
	closed  bool
}

// use is a credential that was used.
type use struct {
	tenant, id string
	last, at   time.Time                                    // the time written last, and the one to be written
	stored     func(provisioning.Reader) (time.Time, error) // reads the time written last
	touch      func(at time.Time) provisioning.AdminChange  // writes another
}

func tokenUse(p place, c provisioning.Credential) use {
	return use{tenant: p.tenant, id: c.ID, last: c.LastUsed,
		stored: func(r provisioning.Reader) (time.Time, error) {
			stored, _, err := r.CredentialByHash(p.hash[:])
			return stored.LastUsed, err
		},
		touch: func(at time.Time) provisioning.AdminChange {
			c.LastUsed = at
			return provisioning.AdminChange{TouchCredential: &c}
		}}
}

func keyUse(h Holder) use {
	return use{tenant: h.Tenant, id: h.Key.ID, last: h.Key.LastUsed,
		stored: func(r provisioning.Reader) (time.Time, error) {
			keys, err := r.APIKeys()
			for _, k := range keys {
				if k.ID == h.Key.ID {
					return k.LastUsed, err
				}
			}
			return time.Time{}, err
		},
		touch: func(at time.Time) provisioning.AdminChange {
			h.Key.LastUsed = at
			return provisioning.AdminChange{TouchKey: &h.Key}
		}}
}

func newLastUsed(store provisioning.Store, now func() time.Time, report func(error)) *lastUsed {
	return &lastUsed{store: store, now: now, report: report, waiting: map[string]use{}}
}

// note has a use written down, unless the last one written is recent enough.
func (l *lastUsed) note(u use, at time.Time) {
	if at.Sub(u.last) < touchEvery {
		return
	}
	u.at = at.UTC().Truncate(time.Microsecond)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || at.Before(l.rest) || len(l.waiting) >= maxWaiting {
		return
	}
	l.waiting[u.id] = u
	if l.idle == nil {
		l.idle = make(chan struct{})
		go l.drain()
	}
}

// drain writes until nothing waits.
func (l *lastUsed) drain() {
	for {
		u, ok := l.next()
		if !ok {
			return
		}
		if err := l.write(u); err != nil {
			l.mu.Lock()
			l.rest = l.now().Add(touchEvery)
			l.mu.Unlock()
			l.report(err)
		}
	}
}

func (l *lastUsed) next() (use, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, u := range l.waiting {
		delete(l.waiting, id)
		return u, true
	}
	close(l.idle)
	l.idle = nil
	return use{}, false
}

// write stores one time. It looks again first, since another replica may have been quicker.
func (l *lastUsed) write(u use) error {
	ctx, cancel := context.WithTimeout(context.Background(), touchTimeout)
	defer cancel()
	return l.store.Update(ctx, u.tenant, func(tx provisioning.Tx) error {
		stored, err := u.stored(tx)
		if err != nil || u.at.Sub(stored) < touchEvery {
			return err
		}
		return tx.Commit(provisioning.Batch{Admin: []provisioning.AdminChange{u.touch(u.at)}})
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
