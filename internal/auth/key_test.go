package auth_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"meibo/internal/auth"
	"meibo/provisioning"
)

// key makes an API key that ends after a span, or never.
func (b *bench) key(t *testing.T, tenant string, ends time.Duration) (string, provisioning.APIKey) {
	t.Helper()
	text, hash, hint := auth.NewKey()
	n := provisioning.NewAPIKey{Holder: "intranet", Role: provisioning.KeyApplication, Hash: hash, Hint: hint}
	if ends > 0 {
		n.Expires = b.clock.Now().Add(ends)
	}
	k, err := b.service.CreateKey(t.Context(), origin(tenant), n)
	if err != nil {
		t.Fatal(err)
	}
	return text, k
}

func TestNewKey(t *testing.T) {
	t.Parallel()
	text, hash, hint := auth.NewKey()
	if !regexp.MustCompile(`^meibokey_[A-Za-z0-9_-]{43}$`).MatchString(text) {
		t.Errorf("key %q", text)
	}
	if sum := sha256.Sum256([]byte(text)); !slices.Equal(hash, sum[:]) || !strings.HasSuffix(text, hint) || len(hint) != 4 {
		t.Errorf("hash or hint %q of the key", hint)
	}
	if again, _, _ := auth.NewKey(); again == text {
		t.Error("two keys are equal")
	}
}

func TestAuthenticateKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if _, err := b.service.CreateTenant(t.Context(), origin("other")); err != nil {
		t.Fatal(err)
	}
	live, stored := b.key(t, tenant, 0)
	others, _ := b.key(t, "other", 0)
	short, _ := b.key(t, tenant, time.Hour)
	gone, revoked := b.key(t, tenant, 0)
	if _, err := b.service.RevokeKey(t.Context(), origin(tenant), revoked.ID); err != nil {
		t.Fatal(err)
	}
	token, _ := b.token(t, 0)
	stranger, _, _ := auth.NewKey()
	b.clock.Advance(time.Hour)

	for name, tc := range map[string]struct {
		text   string
		tenant string // whose; "" where it is refused
		want   error
	}{
		"live":               {live, tenant, nil},
		"another tenant's":   {others, "other", nil},
		"none":               {"", "", auth.Missing},
		"never issued":       {stranger, "", auth.Unknown},
		"a token":            {token, "", auth.Unknown},
		"one character more": {live + "A", "", auth.Unknown},
		"one character less": {live[:len(live)-1], "", auth.Unknown},
		"other prefix":       {"Meibokey_" + live[len("meibokey_"):], "", auth.Unknown},
		"expired":            {short, "", auth.Expired},
		"revoked":            {gone, "", auth.Revoked},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, err := b.auth.AuthenticateKey(t.Context(), tc.text)
			if !errors.Is(err, tc.want) || (err == nil) != (tc.want == nil) || h.Tenant != tc.tenant {
				t.Fatalf("%+v, error %v; want %v", h, err, tc.want)
			}
			if tc.text == live && (h.Key.ID != stored.ID || h.Key.Role != provisioning.KeyApplication || h.Key.Holder != "intranet") {
				t.Errorf("holder %+v", h)
			}
		})
	}
	if _, err := b.auth.Authenticate(t.Context(), tenant, live); !errors.Is(err, auth.Unknown) {
		t.Errorf("a key as a token: %v", err)
	}
}

func TestKeyRevocationCountsWithinASecond(t *testing.T) {
	t.Parallel()
	b := setup(t)
	text, k := b.key(t, tenant, 0)
	if _, err := b.auth.AuthenticateKey(t.Context(), text); err != nil {
		t.Fatal(err)
	}
	if _, err := b.service.RevokeKey(t.Context(), origin(tenant), k.ID); err != nil {
		t.Fatal(err)
	}
	b.clock.Advance(time.Second)
	if _, err := b.auth.AuthenticateKey(t.Context(), text); !errors.Is(err, auth.Revoked) {
		t.Errorf("a second after the revocation: %v", err)
	}
}

func TestKeyLastUsed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	text, k := b.key(t, tenant, 0)
	use := func() time.Time {
		t.Helper()
		a := b.authenticator(t)
		if _, err := a.AuthenticateKey(t.Context(), text); err != nil {
			t.Fatal(err)
		}
		b.flush(t, a)
		keys, err := b.service.Keys(t.Context(), tenant)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(keys, func(x provisioning.APIKey) bool { return x.ID == k.ID })
		return keys[i].LastUsed
	}
	first := b.clock.Now()
	if got := use(); !got.Equal(first) {
		t.Errorf("after the first use: %v, want %v", got, first)
	}
	b.clock.Advance(time.Minute - time.Microsecond)
	if got := use(); !got.Equal(first) {
		t.Errorf("within a minute: %v, want still %v", got, first)
	}
	second := b.clock.Advance(time.Microsecond)
	if got := use(); !got.Equal(second) {
		t.Errorf("after a minute: %v, want %v", got, second)
	}
}

func TestFaultsOfTheStoreAreNoRefusalsOfKeys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	text, _ := b.key(t, tenant, 0)
	b.store.keyFault = errors.New("disk on fire")
	_, err := b.auth.AuthenticateKey(t.Context(), text)
	if provisioning.KindOf(err) != provisioning.Unavailable || !errors.Is(err, b.store.keyFault) {
		t.Errorf("error %v, want Unavailable", err)
	}
}

func (g *gate) APIKey(ctx context.Context, hash []byte) (string, provisioning.APIKey, error) {
	if g.keyFault != nil {
		return "", provisioning.APIKey{}, g.keyFault
	}
	return g.Store.APIKey(ctx, hash)
}
