package provisioning

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Codes of the reasons of entries about API keys; their arguments name key, holder and role.
const (
	ReasonKeyCreated = "keyCreated"
	ReasonKeyRevoked = "keyRevoked"
)

// KeyRoles are all roles of API keys.
func KeyRoles() []KeyRole { return []KeyRole{KeyOwner, KeyOperator, KeySupport, KeyApplication} }

// maxHolder bounds the name of a key's holder, in characters.
const maxHolder = 100

// NewAPIKey is an API key about to be stored. Its text never gets here.
type NewAPIKey struct {
	Holder  string // the person or system it is for
	Role    KeyRole
	Hash    []byte // SHA-256 of the key
	Hint    string // the key's last characters
	Expires time.Time
}

// CreateKey stores an API key of the tenant that the origin names. Invalid for a role that is none, a holder
// without a name and an expiry that has passed; NotFound for the tenant.
func (s *Service) CreateKey(ctx context.Context, o Origin, n NewAPIKey) (APIKey, error) {
	k := APIKey{ID: s.newID(), Holder: strings.TrimSpace(n.Holder), Role: n.Role, Hash: n.Hash, Hint: n.Hint, Created: s.Now()}
	if err := checkHolder(k.Holder); err != nil {
		return APIKey{}, err
	}
	if err := checkChoice("role", k.Role, KeyRoles()...); err != nil {
		return APIKey{}, err
	}
	var err error
	if k.Expires, err = expiry(n.Expires, k.Created); err != nil {
		return APIKey{}, err
	}
	err = s.administer(ctx, o, func(tx Tx) ([]step, error) {
		_, err := tenantOf(tx, o.Tenant)
		return []step{{change: AdminChange{CreateKey: &k}, reason: ReasonKeyCreated, args: keyArgs(k),
			diff: []AttributeChange{instant("expires", k.Expires)}}}, err
	})
	return k, err
}

// Keys reads the API keys of a tenant, oldest first, those that count no more included. NotFound.
func (s *Service) Keys(ctx context.Context, tenant string) ([]APIKey, error) {
	return View(ctx, s.store, tenant, func(r Reader) ([]APIKey, error) {
		if _, err := tenantOf(r, tenant); err != nil {
			return nil, err
		}
		return r.APIKeys()
	})
}

// RevokeKey ends an API key for good; to revoke it again changes nothing. NotFound.
func (s *Service) RevokeKey(ctx context.Context, o Origin, id string) (APIKey, error) {
	now := s.Now()
	var k APIKey
	err := s.administer(ctx, o, func(tx Tx) (_ []step, err error) {
		if k, err = keyOf(tx, o.Tenant, id); err != nil {
			return nil, err
		}
		revoke := step{reason: ReasonKeyRevoked, args: keyArgs(k)}
		if k.Revoked.IsZero() {
			k.Revoked = now
			revoke.change.RevokeKey = &k
			revoke.diff = []AttributeChange{instant("revoked", now)}
		}
		return []step{revoke}, nil
	})
	return k, err
}

func keyOf(r Reader, tenant, id string) (APIKey, error) {
	if _, err := tenantOf(r, tenant); err != nil {
		return APIKey{}, err
	}
	keys, err := r.APIKeys()
	if err != nil {
		return APIKey{}, err
	}
	if i := slices.IndexFunc(keys, func(k APIKey) bool { return k.ID == id }); i >= 0 {
		return keys[i], nil
	}
	return APIKey{}, &Error{Kind: NotFound, Attribute: "id",
		Detail: fmt.Sprintf("tenant %q has no API key with that id; list the keys to see their ids", tenant)}
}

func keyArgs(k APIKey) map[string]string {
	return map[string]string{"key": k.ID, "hint": k.Hint, "holder": k.Holder, "role": string(k.Role)}
}

func checkHolder(name string) error {
	if n := utf8.RuneCountInString(name); n > maxHolder || !isVisible(name) || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return &Error{Kind: Invalid, Attribute: "holder",
			Detail: fmt.Sprintf("an API key belongs to somebody: name the person or system, in 1 to %d characters and on one line", maxHolder)}
	}
	return nil
}

// expiry is an end as it is stored; zero for none.
func expiry(ends, created time.Time) (time.Time, error) {
	if ends.IsZero() {
		return time.Time{}, nil
	}
	ends = ends.UTC().Truncate(time.Microsecond)
	if !ends.After(created) {
		return time.Time{}, &Error{Kind: Invalid, Attribute: "expires", Detail: "the expiry has passed already; name an instant in the future"}
	}
	return ends, nil
}
