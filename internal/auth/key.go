package auth

import (
	"context"
	"crypto/sha256"

	"meibo/provisioning"
)

// Holder is who stands behind a valid API key.
type Holder struct {
	Tenant string
	Key    provisioning.APIKey
}

// AuthenticateKey finds the holder behind the text of an API key, "" for none. A key names its tenant by
// itself. Errors are those of Authenticate.
func (a *Authenticator) AuthenticateKey(ctx context.Context, text string) (Holder, error) {
	if text == "" {
		return Holder{}, Missing
	}
	if !wellFormed(text, keyPrefix) {
		return Holder{}, Unknown
	}
	found, err := a.findKey(ctx, sha256.Sum256([]byte(text)))
	if err != nil {
		return Holder{}, err
	}
	if err := refusal(found.Key.Revoked, found.Key.Expires, a.now()); err != nil {
		return Holder{}, err
	}
	return found, nil
}

// findKey is find for API keys.
func (a *Authenticator) findKey(ctx context.Context, hash digest) (Holder, error) {
	asked := a.now()
	if found, ok := a.keys.get(hash, asked); ok {
		return found, nil
	}
	tenant, key, err := a.store.APIKey(ctx, hash[:])
	if err := checkFound(err, key.Hash, hash); err != nil {
		return Holder{}, err
	}
	found := Holder{Tenant: tenant, Key: key}
	if refusal(key.Revoked, key.Expires, asked) == nil {
		a.keys.keep(hash, found, asked)
		a.used.note(keyUse(found), asked)
	}
	return found, nil
}
