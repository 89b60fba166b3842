package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"sync"
	"time"

	"meibo/provisioning"
)

// Caller is who stands behind a valid token.
type Caller struct {
	Tenant     string
	Connection provisioning.Connection
	Credential string // id
	Hint       string // the token's last four characters
}

// Refusal is why a token does not count. The reason is for metrics; its text, which may reach the
// client, is the same for all so that nobody learns which tokens once existed.
type Refusal string

const (
	Missing Refusal = "missing"
	Unknown Refusal = "unknown" // also a token of another tenant, and any token of a tenant that does not exist
	Expired Refusal = "expired"
	Revoked Refusal = "revoked"
)

func (r Refusal) Error() string {
	return "a valid bearer token is required; create one with `meibo token create`"
}

// cacheFor is half of the second in which a revocation has to take effect.
const cacheFor = 500 * time.Millisecond

// maxCached bounds the memory of a server with very many live tokens; beyond it the cache starts over.
const maxCached = 10_000

// Options are what an Authenticator needs.
type Options struct {
	Store provisioning.Store
	Now   func() time.Time // nil: the system clock
	// Report is told when a last-used time could not be written, which fails no request; nil: nobody is.
	Report func(error)
}

// Authenticator checks tokens. It is safe for concurrent use; Close ends it.
type Authenticator struct {
	store provisioning.Store
	now   func() time.Time
	used  *lastUsed

	mu    sync.Mutex
	cache map[key]known
}

// key names a token within its tenant. That map access takes no constant time tells nothing: an
// attacker cannot choose a hash.
type key struct {
	tenant string
	hash   [sha256.Size]byte
}

// known is what the database said of a token.
type known struct {
	credential provisioning.Credential
	connection provisioning.Connection
	asked      time.Time
}

// New returns an Authenticator on a store.
func New(o Options) *Authenticator {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Report == nil {
		o.Report = func(error) {}
	}
	return &Authenticator{store: o.Store, now: o.Now, used: newLastUsed(o.Store, o.Now, o.Report), cache: map[key]known{}}
}

// Authenticate finds the caller behind the text of a bearer token, "" for none. The error is a
// Refusal when the token does not count, and Unavailable when that cannot be said now.
func (a *Authenticator) Authenticate(ctx context.Context, tenant, token string) (Caller, error) {
	if token == "" {
		return Caller{}, Missing
	}
	if !wellFormed(token) {
		return Caller{}, Unknown
	}
	k := key{tenant, sha256.Sum256([]byte(token))}
	found, err := a.find(ctx, k)
	if err != nil {
		return Caller{}, err
	}
	if err := found.refusal(a.now()); err != nil {
		return Caller{}, err
	}
	return Caller{Tenant: tenant, Connection: found.connection, Credential: found.credential.ID, Hint: found.credential.Hint}, nil
}

// Close writes the last-used times that are still waiting, as far as ctx allows.
func (a *Authenticator) Close(ctx context.Context) error { return a.used.close(ctx) }

// find takes what was read within the last half second, or else asks the database.
func (a *Authenticator) find(ctx context.Context, k key) (known, error) {
	// Taken before the question is put: the answer is as old as the question.
	asked := a.now()
	if found, ok := a.cached(k, asked); ok {
		return found, nil
	}
	found := known{asked: asked}
	err := a.store.View(ctx, k.tenant, func(r provisioning.Reader) (err error) {
		found.credential, found.connection, err = r.CredentialByHash(k.hash[:])
		return err
	})
	switch {
	case err != nil && provisioning.KindOf(err) == provisioning.NotFound:
		return known{}, Unknown
	case err != nil:
		return known{}, undecided(err)
	case subtle.ConstantTimeCompare(found.credential.Hash, k.hash[:]) != 1:
		return known{}, Unknown
	}
	if found.refusal(asked) == nil {
		a.keep(k, found)
		a.used.note(k, found.credential, asked)
	}
	return found, nil
}

// undecided makes every fault of the store one that passes: a client that were refused for it
// would take its token for a bad one and stop.
func undecided(err error) error {
	if provisioning.KindOf(err) == provisioning.Unavailable {
		return err
	}
	return &provisioning.Error{Kind: provisioning.Unavailable, Detail: "the credential cannot be checked now; repeat the request later", Err: err}
}

func (a *Authenticator) cached(k key, now time.Time) (known, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	found, ok := a.cache[k]
	age := now.Sub(found.asked)
	return found, ok && age >= 0 && age < cacheFor
}

func (a *Authenticator) keep(k key, found known) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.cache) >= maxCached {
		clear(a.cache)
	}
	a.cache[k] = found
}

// refusal is nil for a credential that counts at an instant.
func (k known) refusal(now time.Time) error {
	switch c := k.credential; {
	case !c.Revoked.IsZero():
		return Revoked
	case !c.Expires.IsZero() && !now.Before(c.Expires):
		return Expired
	}
	return nil
}
