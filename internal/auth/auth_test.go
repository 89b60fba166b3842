package auth_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"meibo/internal/auth"
	"meibo/internal/testkit"
	"meibo/provisioning"
	"meibo/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const tenant = "acme"

// bench is a tenant with one connection and an authenticator on it.
type bench struct {
	store   *gate
	service *provisioning.Service
	auth    *auth.Authenticator
	clock   *testkit.Clock
	reports chan error
}

func setup(t *testing.T) *bench {
	t.Helper()
	b := &bench{
		store:   &gate{Store: storetest.Open(t)},
		clock:   testkit.NewClock(time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)),
		reports: make(chan error, 10),
	}
	b.service = provisioning.New(provisioning.Options{Store: b.store, Now: b.clock.Now})
	b.auth = b.authenticator(t)
	if _, err := b.service.CreateTenant(t.Context(), origin(tenant)); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) authenticator(t *testing.T) *auth.Authenticator {
	a := auth.New(auth.Options{Store: b.store, Now: b.clock.Now, Report: func(err error) { b.reports <- err }})
	t.Cleanup(func() { b.flush(t, a) })
	return a
}

func (b *bench) flush(t *testing.T, a *auth.Authenticator) {
	t.Helper()
	if err := a.Close(context.Background()); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// token makes a token that ends after a span, or never.
func (b *bench) token(t *testing.T, ends time.Duration) (string, provisioning.Credential) {
	t.Helper()
	text, hash, hint := auth.NewToken()
	n := provisioning.NewCredential{Hash: hash, Hint: hint}
	if ends > 0 {
		n.Expires = b.clock.Now().Add(ends)
	}
	c, err := b.service.CreateCredential(t.Context(), origin(tenant), "", n)
	if err != nil {
		t.Fatal(err)
	}
	return text, c
}

func (b *bench) lastUsed(t *testing.T, id string) time.Time {
	t.Helper()
	all, err := b.service.Credentials(t.Context(), tenant, "")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(c provisioning.Credential) bool { return c.ID == id })
	return all[i].LastUsed
}

func origin(tenant string) provisioning.Origin {
	return provisioning.Origin{Tenant: tenant, Actor: "test"}
}

// gate is the real store behind a gate that counts and can be shut.
type gate struct {
	provisioning.Store
	views       atomic.Int64
	viewFault   error                 // answers View if set
	keyFault    error                 // answers APIKey if set
	updateFault atomic.Pointer[error] // answers Update while set
}

func (g *gate) View(ctx context.Context, tenant string, fn func(provisioning.Reader) error) error {
	g.views.Add(1)
	if g.viewFault != nil {
		return g.viewFault
	}
	return g.Store.View(ctx, tenant, fn)
}

func (g *gate) Update(ctx context.Context, tenant string, fn func(provisioning.Tx) error) error {
	if err := g.updateFault.Load(); err != nil {
		return *err
	}
	return g.Store.Update(ctx, tenant, fn)
}

func TestNewToken(t *testing.T) {
	t.Parallel()
	text, hash, hint := auth.NewToken()
	if !regexp.MustCompile(`^meibo_[A-Za-z0-9_-]{43}$`).MatchString(text) {
		t.Errorf("token %q", text)
	}
	if sum := sha256.Sum256([]byte(text)); !slices.Equal(hash, sum[:]) {
		t.Error("the hash is not the text's SHA-256")
	}
	if hint != text[len(text)-4:] {
		t.Errorf("hint %q of %q", hint, text)
	}
	if again, _, _ := auth.NewToken(); again == text {
		t.Error("two tokens are equal")
	}
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if _, err := b.service.CreateTenant(t.Context(), origin("other")); err != nil {
		t.Fatal(err)
	}
	live, credential := b.token(t, 0)
	short, _ := b.token(t, time.Hour)
	gone, revoked := b.token(t, 0)
	if _, err := b.service.RevokeCredential(t.Context(), origin(tenant), revoked.ID); err != nil {
		t.Fatal(err)
	}
	stranger, _, _ := auth.NewToken()
	b.clock.Advance(time.Hour)

	for name, tc := range map[string]struct {
		tenant, token string
		want          error
	}{
		"live":               {tenant, live, nil},
		"none":               {tenant, "", auth.Missing},
		"never issued":       {tenant, stranger, auth.Unknown},
		"no token of ours":   {tenant, "Zm9v", auth.Unknown},
		"one character more": {tenant, live + "A", auth.Unknown},
		"one character less": {tenant, live[:len(live)-1], auth.Unknown},
		"other prefix":       {tenant, "mEibo_" + live[6:], auth.Unknown},
		"another tenant's":   {"other", live, auth.Unknown},
		"no such tenant":     {"nobody", live, auth.Unknown},
		"empty tenant":       {"", live, auth.Unknown},
		"expired":            {tenant, short, auth.Expired},
		"revoked":            {tenant, gone, auth.Revoked},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			caller, err := b.auth.Authenticate(t.Context(), tc.tenant, tc.token)
			if !errors.Is(err, tc.want) || (err == nil) != (tc.want == nil) {
				t.Fatalf("error %v, want %v", err, tc.want)
			}
			if tc.want != nil {
				if caller.Tenant != "" {
					t.Errorf("refused, but caller %+v", caller)
				}
				return
			}
			if caller.Tenant != tenant || caller.Credential != credential.ID || caller.Hint != live[len(live)-4:] ||
				caller.Connection.Name != provisioning.DefaultConnection || caller.Connection.ID != credential.Connection {
				t.Errorf("caller %+v", caller)
			}
		})
	}
}

// All refusals read the same, so that nobody learns which tokens once existed.
func TestRefusalsAreAlike(t *testing.T) {
	t.Parallel()
	for _, r := range []auth.Refusal{auth.Unknown, auth.Expired, auth.Revoked} {
		if r.Error() != auth.Missing.Error() {
			t.Errorf("%q reads %q", string(r), r.Error())
		}
	}
}

func TestChangesCountWithinASecond(t *testing.T) {
	t.Parallel()
	b := setup(t)
	token, credential := b.token(t, 10*time.Second)
	must := func(a *auth.Authenticator) auth.Caller {
		t.Helper()
		c, err := a.Authenticate(t.Context(), tenant, token)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	replica := b.authenticator(t)
	must(b.auth)
	must(replica)
	before := b.store.views.Load()
	must(b.auth)
	if n := b.store.views.Load() - before; n != 0 {
		t.Errorf("%d look-ups right after the first, want none", n)
	}

	if _, err := b.service.SetConnection(t.Context(), origin(tenant), provisioning.DefaultConnection,
		func(s *provisioning.ConnectionSettings) { s.PatchResponse = provisioning.PatchNone }); err != nil {
		t.Fatal(err)
	}
	b.clock.Advance(time.Second)
	for _, a := range []*auth.Authenticator{b.auth, replica} {
		if c := must(a); c.Connection.Settings.PatchResponse != provisioning.PatchNone {
			t.Errorf("a second after a setting: %+v", c.Connection.Settings)
		}
	}

	if _, err := b.service.RevokeCredential(t.Context(), origin(tenant), credential.ID); err != nil {
		t.Fatal(err)
	}
	b.clock.Advance(time.Second)
	for _, a := range []*auth.Authenticator{b.auth, replica} {
		if _, err := a.Authenticate(t.Context(), tenant, token); !errors.Is(err, auth.Revoked) {
			t.Errorf("a second after the revocation: %v", err)
		}
	}
}

// The end of a token is known beforehand, so nothing that was read before delays it.
func TestExpiryCountsAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	token, _ := b.token(t, 10*time.Second)
	b.clock.Advance(10*time.Second - 100*time.Millisecond)
	if _, err := b.auth.Authenticate(t.Context(), tenant, token); err != nil {
		t.Fatal(err)
	}
	b.clock.Advance(100 * time.Millisecond)
	if _, err := b.auth.Authenticate(t.Context(), tenant, token); !errors.Is(err, auth.Expired) {
		t.Errorf("at the expiry: %v", err)
	}
}

// A client that is refused for our fault would stop, and its administrator would hunt for a bad token.
func TestFaultsOfTheStoreAreNoRefusals(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]error{
		"unavailable": &provisioning.Error{Kind: provisioning.Unavailable, Detail: "down"},
		"unexpected":  errors.New("disk on fire"),
		"cancelled":   context.Canceled,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			token, _ := b.token(t, 0)
			b.store.viewFault = fault
			_, err := b.auth.Authenticate(t.Context(), tenant, token)
			if provisioning.KindOf(err) != provisioning.Unavailable || !errors.Is(err, fault) {
				t.Errorf("error %v, want Unavailable because of %v", err, fault)
			}
		})
	}
}

func TestLastUsed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	token, credential := b.token(t, 0)
	// use authenticates on a replica of its own and waits until what that noted is written.
	use := func() {
		t.Helper()
		a := b.authenticator(t)
		if _, err := a.Authenticate(t.Context(), tenant, token); err != nil {
			t.Fatal(err)
		}
		b.flush(t, a)
	}
	first := b.clock.Now()
	use()
	if got := b.lastUsed(t, credential.ID); !got.Equal(first) {
		t.Errorf("after the first use: %v, want %v", got, first)
	}
	b.clock.Advance(time.Minute - time.Microsecond)
	use()
	if got := b.lastUsed(t, credential.ID); !got.Equal(first) {
		t.Errorf("within a minute: %v, want still %v", got, first)
	}
	second := b.clock.Advance(time.Microsecond)
	use()
	if got := b.lastUsed(t, credential.ID); !got.Equal(second) {
		t.Errorf("after a minute: %v, want %v", got, second)
	}
}

func TestLastUsedFailsNoRequest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	token, credential := b.token(t, 0)
	var full error = &provisioning.Error{Kind: provisioning.Unavailable, Detail: "disk full"}
	b.store.updateFault.Store(&full)
	use := func() {
		t.Helper()
		if _, err := b.auth.Authenticate(t.Context(), tenant, token); err != nil {
			t.Fatalf("Authenticate: %v", err)
		}
	}
	use()
	if err := <-b.reports; !errors.Is(err, full) {
		t.Errorf("reported %v, want %v", err, full)
	}
	b.clock.Advance(time.Second)
	use() // looks the token up again, and rests

	b.store.updateFault.Store(nil)
	again := b.clock.Advance(time.Minute)
	use()
	b.flush(t, b.auth)
	if got := b.lastUsed(t, credential.ID); !got.Equal(again) {
		t.Errorf("once the database takes writes again: %v, want %v", got, again)
	}
	if n := len(b.reports); n != 0 {
		t.Errorf("%d more reports, want none within a minute", n)
	}
}

func TestConcurrentCallers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	tokens := make([]string, 8)
	for i := range tokens {
		tokens[i], _ = b.token(t, 0)
	}
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			token := tokens[i%len(tokens)]
			for range 20 {
				caller, err := b.auth.Authenticate(t.Context(), tenant, token)
				if err != nil || caller.Hint != token[len(token)-4:] {
					t.Errorf("caller %+v, error %v", caller, err)
					return
				}
				b.clock.Advance(50 * time.Millisecond)
			}
		})
	}
	wg.Wait()
}

func BenchmarkAuthenticate(b *testing.B) {
	st := storetest.Open(b)
	s := provisioning.New(provisioning.Options{Store: st})
	a := auth.New(auth.Options{Store: st})
	b.Cleanup(func() { _ = a.Close(context.Background()) })
	if _, err := s.CreateTenant(b.Context(), origin(tenant)); err != nil {
		b.Fatal(err)
	}
	token, hash, hint := auth.NewToken()
	if _, err := s.CreateCredential(b.Context(), origin(tenant), "", provisioning.NewCredential{Hash: hash, Hint: hint}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := a.Authenticate(b.Context(), tenant, token); err != nil {
			b.Fatal(err)
		}
	}
}
