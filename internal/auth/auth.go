package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
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

// Options are what an Authenticator needs.
type Options struct {
	Store provisioning.Store
	Now   func() time.Time // nil: the system clock
	// Report is told when a last-used time could not be written, which fails no request; nil: nobody is.
	Report func(error)
}

// Authenticator checks tokens and API keys. It is safe for concurrent use; Close ends it.
type Authenticator struct {
	store  provisioning.Store
	now    func() time.Time
	used   *lastUsed
	tokens *cache[place, known]
	keys   *cache[digest, Holder]
}

// digest is the SHA-256 of a token or key.
type digest = [sha256.Size]byte

// place names a token within its tenant.
type place struct {
	tenant string
	hash   digest
}

// known is what the database said of a token.
type known struct {
	credential provisioning.Credential
	connection provisioning.Connection
}

// New returns an Authenticator on a store.
func New(o Options) *Authenticator {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Report == nil {
		o.Report = func(error) {}
	}
	return &Authenticator{store: o.Store, now: o.Now, used: newLastUsed(o.Store, o.Now, o.Report),
		tokens: newCache[place, known](), keys: newCache[digest, Holder]()}
}

// Authenticate finds the caller behind the text of a bearer token, "" for none. The error is a
// Refusal when the token does not count, and Unavailable when that cannot be said now.
func (a *Authenticator) Authenticate(ctx context.Context, tenant, token string) (Caller, error) {
	if token == "" {
		return Caller{}, Missing
	}
	if !wellFormed(token, tokenPrefix) {
		return Caller{}, Unknown
	}
	p := place{tenant, sha256.Sum256([]byte(token))}
	found, err := a.find(ctx, p)
	if err != nil {
		return Caller{}, err
	}
	if err := refusal(found.credential.Revoked, found.credential.Expires, a.now()); err != nil {
		return Caller{}, err
	}
	return Caller{Tenant: tenant, Connection: found.connection, Credential: found.credential.ID, Hint: found.credential.Hint}, nil
}

// Close writes the last-used times that are still waiting, as far as ctx allows.
func (a *Authenticator) Close(ctx context.Context) error { return a.used.close(ctx) }

// find takes what was read within the last half second, or else asks the database.
func (a *Authenticator) find(ctx context.Context, p place) (known, error) {
	// Taken before the question is put: the answer is as old as the question.
	asked := a.now()
	if found, ok := a.tokens.get(p, asked); ok {
		return found, nil
	}
	var found known
	err := a.store.View(ctx, p.tenant, func(r provisioning.Reader) (err error) {
		found.credential, found.connection, err = r.CredentialByHash(p.hash[:])
		return err
	})
	if err := checkFound(err, found.credential.Hash, p.hash); err != nil {
		return known{}, err
	}
	if refusal(found.credential.Revoked, found.credential.Expires, asked) == nil {
		a.tokens.keep(p, found, asked)
		a.used.note(tokenUse(p, found.credential), asked)
	}
	return found, nil
}

// checkFound judges what a look-up by a hash came to.
func checkFound(err error, stored []byte, hash digest) error {
	switch {
	case err != nil && provisioning.KindOf(err) == provisioning.NotFound:
		return Unknown
	case err != nil:
		return undecided(err)
	case subtle.ConstantTimeCompare(stored, hash[:]) != 1:
		return Unknown
	}
	return nil
}

// undecided makes every fault of the store one that passes: a client that were refused for it
// would take its token for a bad one and stop.
func undecided(err error) error {
	if provisioning.KindOf(err) == provisioning.Unavailable {
		return err
	}
	return &provisioning.Error{Kind: provisioning.Unavailable, Detail: "the credential cannot be checked now; repeat the request later", Err: err}
}

// refusal is nil for a credential that counts at an instant.
func refusal(revoked, expires, now time.Time) error {
	switch {
	case !revoked.IsZero():
		return Revoked
	case !expires.IsZero() && !now.Before(expires):
		return Expired
	}
	return nil
}
