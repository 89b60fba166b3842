package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"meibo/internal/witness"
	"meibo/provisioning"
	"meibo/scim"
)

// raceSize is how many clients race, and how many users there are for them to race for.
func raceSize() (racers, people int) { return size(12, 16, 32), size(30, 50, 500) }

// raceSchema is an extension that the server has never heard of.
const raceSchema = "urn:ietf:params:scim:schemas:extension:race:2.0:User"

// race is many clients of one tenant that do the same at the same time.
type race struct {
	*writer
	racers int
	users  []string // ids
	group  string   // id
}

// TestRacingCreatesAndMembers has all clients create the same users and the same group, then write
// to the same users, then add and remove the same members. No resource is there twice, no write is
// lost, none is answered with a server error, and the journal tells it all.
func TestRacingCreatesAndMembers(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db database) {
		racers, people := raceSize()
		c := newServer(t, db, options{}).newTenant("race").untroubled(provisioning.DefaultConnection) // many members leave
		r := &race{writer: c.newWriter(), racers: racers, users: make([]string, people)}
		r.createSame(t)
		r.patchSame(t)
		r.changeSameMembers(t)

		stored := c.stored()
		if len(stored) != people+1 {
			t.Errorf("%d resources are stored, want %d users and a group", len(stored), people)
		}
		r.wantValues(t, stored)
		r.wantMembers(t, stored)
		r.wantJournalled()
		for _, difference := range witness.Disagreements(c.entries(), stored) {
			t.Error(difference)
		}
	})
}

// run has every client do its part; they start together.
func (r *race) run(t *testing.T, part func(ctx context.Context, racer int) error) {
	t.Helper()
	group, ctx := errgroup.WithContext(t.Context())
	start := make(chan struct{})
	for racer := range r.racers {
		group.Go(func() error {
			<-start
			return part(ctx, racer)
		})
	}
	close(start)
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

// createSame has every client create the group and all users: one succeeds, the others are told
// that the name is taken.
func (r *race) createSame(t *testing.T) {
	t.Helper()
	var mu sync.Mutex
	create := func(ctx context.Context, target, body string, id *string) error {
		a, err := r.write(ctx, http.MethodPost, target, body, http.StatusCreated, http.StatusConflict)
		switch {
		case err != nil:
			return err
		case a.status == http.StatusConflict && !strings.Contains(a.body, `"scimType":"uniqueness"`):
			return fmt.Errorf("409 without scimType uniqueness: %s", a.body)
		case a.status == http.StatusConflict:
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		if *id != "" {
			return fmt.Errorf("POST %s was answered 201 twice, with %s and %s", target, *id, a.id())
		}
		*id = a.id()
		return nil
	}
	r.run(t, func(ctx context.Context, racer int) error {
		if err := create(ctx, "/Groups", fmt.Sprintf(`{"schemas":[%q],"displayName":"Racers"}`, scim.GroupSchema), &r.group); err != nil {
			return err
		}
		for i := range r.users {
			name := fmt.Sprintf("racer%d@example.com", i)
			if racer%2 == 1 {
				name = strings.ToUpper(name) // names are compared without case
			}
			body := fmt.Sprintf(`{"schemas":[%q],"userName":%q,"active":true,"emails":[{"type":"work","value":%q}]}`, scim.UserSchema, name, name)
			if err := create(ctx, "/Users", body, &r.users[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// patchSame has every client set an attribute of its own on all users.
func (r *race) patchSame(t *testing.T) {
	t.Helper()
	r.run(t, func(ctx context.Context, racer int) error {
		for i, id := range r.users {
			ops := fmt.Sprintf(`{"op":"add","path":"%s:%s","value":%q}`, raceSchema, attributeOf(racer), valueOf(racer, i))
			if _, err := r.write(ctx, http.MethodPatch, "/Users/"+id, patchBody(ops), http.StatusOK); err != nil {
				return err
			}
		}
		return nil
	})
}

func attributeOf(racer int) string { return fmt.Sprintf("c%02d", racer) }

func valueOf(racer, user int) string { return fmt.Sprintf("of %d for %d", racer, user) }

// patchBody is a PATCH of one operation.
func patchBody(op string) string {
	return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[%s]}`, op)
}

// changeSameMembers has every client add and remove the same members, some at a time, and add all
// of them in the end.
func (r *race) changeSameMembers(t *testing.T) {
	t.Helper()
	patch := func(ctx context.Context, op string, ids []string) error {
		values := make([]string, len(ids))
		for i, id := range ids {
			values[i] = fmt.Sprintf(`{"value":%q}`, id)
		}
		body := patchBody(fmt.Sprintf(`{"op":%q,"path":"members","value":[%s]}`, op, strings.Join(values, ",")))
		_, err := r.write(ctx, http.MethodPatch, "/Groups/"+r.group, body, http.StatusNoContent)
		return err
	}
	r.run(t, func(ctx context.Context, _ int) error {
		const some = 20
		for from := 0; from < len(r.users); from += some {
			ids := r.users[from:min(from+some, len(r.users))]
			for _, op := range []string{"add", "remove"} {
				if err := patch(ctx, op, ids); err != nil {
					return err
				}
			}
		}
		return patch(ctx, "add", r.users)
	})
}

// wantValues fails unless each client's value is on each user.
func (r *race) wantValues(t *testing.T, stored map[string]witness.State) {
	t.Helper()
	values := 0
	for i, id := range r.users {
		own, _ := stored[id].Document[raceSchema].(map[string]any)
		for racer := range r.racers {
			if own[attributeOf(racer)] == valueOf(racer, i) {
				values++
			}
		}
	}
	if want := r.racers * len(r.users); values != want {
		t.Errorf("%d values remain of %d", values, want)
	}
}

// wantMembers fails unless each user is a member once.
func (r *race) wantMembers(t *testing.T, stored map[string]witness.State) {
	t.Helper()
	open := map[string]int{}
	for _, m := range stored[r.group].Members {
		if m.To == 0 {
			open[m.Member]++
		}
	}
	for _, id := range r.users {
		if open[id] != 1 {
			t.Errorf("user %s is %d times a member", id, open[id])
		}
	}
	if len(open) != len(r.users) {
		t.Errorf("%d members, want %d", len(open), len(r.users))
	}
}

// disableAll has each client disable a user of its own, at once.
func (r *race) disableAll(t *testing.T, ids []string, answered func(status int)) {
	t.Helper()
	r.run(t, func(ctx context.Context, racer int) error {
		a, err := r.write(ctx, http.MethodPatch, "/Users/"+ids[racer], patchBody(`{"op":"replace","path":"active","value":false}`),
			http.StatusOK, http.StatusServiceUnavailable)
		if err == nil {
			answered(a.status)
		}
		return err
	})
}
