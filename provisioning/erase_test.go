package provisioning_test

import (
	"context"
	"errors"
	"testing"

	"meibo/provisioning"
	"meibo/scim"
	"meibo/store/storetest"
)

// breaking is a store that breaks down after some updates.
type breaking struct {
	provisioning.Store
	updates int // that it still does; negative for all
}

var errBroken = errors.New("broken down")

func (b *breaking) Update(ctx context.Context, tenant string, fn func(provisioning.Tx) error) error {
	if b.updates == 0 {
		return errBroken
	}
	b.updates--
	return b.Store.Update(ctx, tenant, fn)
}

// TestEraseGoesOn: wherever an erasure is interrupted, the next one finds what is left: of requests that were refused under
// the user's name, too, which nothing but that name ties to the user.
func TestEraseGoesOn(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, st provisioning.Store) {
		b := &breaking{Store: st, updates: -1}
		s := provisioning.New(provisioning.Options{Store: b})
		ctx, o := t.Context(), provisioning.Origin{Tenant: "acme", Actor: "test", Correlation: "made"}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		_, err := s.CreateTenant(ctx, o)
		must(err)
		o.Connection, err = s.Connection(ctx, "acme", provisioning.DefaultConnection)
		must(err)
		for round := 0; ; round++ {
			body := provisioning.Body{Attributes: scim.Attributes{"userName": "kim@x.example", "active": true}}
			kim, err := s.Create(ctx, o, scim.User, body)
			must(err)
			if _, err = s.Create(ctx, o, scim.User, body); provisioning.KindOf(err) != provisioning.Conflict {
				t.Fatal(err)
			}
			b.updates = round
			_, err = s.Erase(ctx, o, kim.Resource.ID, true)
			b.updates = -1
			whole := err == nil
			if !whole {
				_, err = s.Erase(ctx, o, kim.Resource.ID, true)
			}
			must(err)
			must(s.Entries(ctx, "acme", provisioning.EntryQuery{}, func(e provisioning.Entry) error {
				if e.ResourceName != "" {
					t.Errorf("broken down after %d updates: entry %s (%s) still says %q", round, e.ID, e.Reason.Code, e.ResourceName)
				}
				return nil
			}))
			if whole || t.Failed() {
				return
			}
		}
	})
}
