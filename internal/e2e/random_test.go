package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"meibo/internal/witness"
	"meibo/provisioning"
	"meibo/scim"
	"meibo/store"
)

// TestJournalFoldsOfRandomWrites has two connections of one tenant write what a seed makes up, both
// at once. Names, stable keys and members come from small pools, so that they meet: taken names,
// recycled ones, people who come back, members who are gone. Whatever the answers, none is a
// server's error, each has its entry, and the journal folds to what is stored.
func TestJournalFoldsOfRandomWrites(t *testing.T) {
	t.Parallel()
	writes := size(60, 250, 1000)
	each(t, func(t *testing.T, db database) {
		s := newServer(t, db, options{store: store.Options{Rehearse: true}})
		for seed := range uint64(2) {
			c := s.newTenant(fmt.Sprintf("random-%d", seed)).untroubled(provisioning.DefaultConnection)
			other := c.connect("other", func(o *provisioning.ConnectionSettings) {
				o.UnknownMembers, o.UniqueGroupNames = provisioning.KeepUnknownMembers, false
			}).untroubled("other")
			var group errgroup.Group
			players := []*player{newPlayer(c, seed, 0), newPlayer(other, seed, 1)}
			for _, p := range players {
				group.Go(func() error { return p.play(t.Context(), writes) })
			}
			if err := group.Wait(); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			maps.Copy(players[0].writes, players[1].writes)
			players[0].wantJournalled()
			entries := c.entries()
			for _, difference := range witness.Disagreements(entries, c.stored()) {
				t.Errorf("seed %d: %s", seed, difference)
			}
			wantReasons(t, entries)
		}
	})
}

// wantReasons fails where chance has not brought about what the test is for.
func wantReasons(t *testing.T, entries []provisioning.Entry) {
	t.Helper()
	if hasty() {
		return // too few writes to count on it
	}
	seen := map[string]int{}
	for _, e := range entries {
		seen[e.Reason.Code]++
	}
	for _, reason := range []string{provisioning.ReasonCreated, provisioning.ReasonAsserted, provisioning.ReasonUnchanged, provisioning.ReasonRestored,
		provisioning.ReasonNameRecycled, provisioning.ReasonMemberGone, provisioning.ReasonNotFound, provisioning.ReasonRefused} {
		if seen[reason] == 0 {
			t.Errorf("no entry has the reason %s; there are %v", reason, seen)
		}
	}
}

// player is a client that writes at random.
type player struct {
	*writer
	*rand.Rand
	users, groups []string // ids that it was ever given
}

func newPlayer(c *tenant, seed, stream uint64) *player {
	return &player{writer: c.newWriter(), Rand: rand.New(rand.NewPCG(seed, stream)),
		users: []string{"00000000-0000-7000-8000-000000000001"}, groups: []string{"00000000-0000-7000-8000-000000000002"}}
}

// play sends a number of writes. An error is one of the server or the network.
func (p *player) play(ctx context.Context, writes int) error {
	for range writes {
		a, err := p.one(ctx)
		if err != nil {
			return err
		}
		if a.status >= 500 {
			return fmt.Errorf("answered %d: %s", a.status, a.body)
		}
	}
	return nil
}

// forget drops an id that is gone, now and then: some are asked for again, and named as members. One id always stays.
func (p *player) forget(target string) {
	gone := func(id string) bool { return strings.HasSuffix(target, id) && p.IntN(3) == 0 }
	for _, ids := range []*[]string{&p.users, &p.groups} {
		if left := slices.DeleteFunc(slices.Clone(*ids), gone); len(left) > 0 {
			*ids = left
		}
	}
}

func (p *player) one(ctx context.Context) (answer, error) {
	user, group := "/Users/"+pick(p, p.users), "/Groups/"+pick(p, p.groups)
	switch p.IntN(20) {
	case 0, 1, 2, 3:
		return p.create(ctx, "/Users", p.user(), &p.users)
	case 4:
		return p.create(ctx, "/Groups", p.aGroup(), &p.groups)
	case 5, 6:
		return p.send(ctx, http.MethodPut, user, p.user())
	case 7:
		return p.send(ctx, http.MethodPut, group, p.aGroup())
	case 8, 9:
		return p.send(ctx, http.MethodDelete, user, nil)
	case 10:
		if p.IntN(3) > 0 { // groups are few
			return p.send(ctx, http.MethodPatch, group, p.patch(p.groupOperation))
		}
		return p.send(ctx, http.MethodDelete, group, nil)
	case 11, 12, 13:
		return p.send(ctx, http.MethodPatch, group, p.patch(p.groupOperation))
	default:
		return p.send(ctx, http.MethodPatch, user, p.patch(p.userOperation))
	}
}

func (p *player) create(ctx context.Context, target string, body object, ids *[]string) (answer, error) {
	a, err := p.send(ctx, http.MethodPost, target, body)
	if a.status == http.StatusCreated {
		*ids = append(*ids, a.id())
	}
	return a, err
}

// send sends a write and takes any answer.
func (p *player) send(ctx context.Context, method, target string, body object) (answer, error) {
	text := ""
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return answer{}, err
		}
		text = string(data)
	}
	a, err := p.write(ctx, method, target, text)
	if a.status == http.StatusNotFound {
		p.forget(target)
	}
	return a, err
}

type object map[string]any

// pick is one of some values.
func pick[T any](p *player, from []T) T { return from[p.IntN(len(from))] }

// maybe is true as often as not.
func (p *player) maybe() bool { return p.IntN(2) == 0 }

func (p *player) name() string {
	name := pick(p, []string{"ada", "bob", "cleo", "dan", "Straße", "ＡＤＡ", "ADA", "eve"}) + "@example.com"
	if p.IntN(8) == 0 { // as Entra renames the softly deleted
		name = strings.ReplaceAll(p.key(), "-", "") + name
	}
	return name
}

// key is a stable one.
func (p *player) key() string { return fmt.Sprintf("6f1e0c2a-5b7d-4e1b-9c3f-00000000000%d", p.IntN(6)) }

func (p *player) title() any {
	return pick(p, []any{"Dr.", "Countess", " ", "日本", "dr.", nil, ""})
}

func (p *player) email() object {
	e := object{"type": pick(p, []string{"work", "home"}), "value": p.name()}
	if p.maybe() {
		e["primary"] = true
	}
	return e
}

func (p *player) manager() object { return object{"value": pick(p, p.users)} }

// strange is a value for an extension that the server does not know.
func (p *player) strange() any {
	return pick(p, []any{1, 2.5, 1e20, true, false, "x", nil, object{"a": object{"b": []any{1, "2", nil}}}, []any{}, []any{object{"x": 1}}, object{}})
}

func (p *player) user() object {
	u := object{"schemas": []string{scim.UserSchema}, "userName": p.name()}
	if p.IntN(3) > 0 {
		u["externalId"] = p.key()
	}
	if p.maybe() {
		u["active"] = p.IntN(3) > 0
	}
	if p.maybe() {
		u["title"], u["name"] = p.title(), object{"givenName": p.title(), "familyName": "Byron"}
	}
	if p.maybe() {
		u["emails"] = []any{p.email()}
	}
	if p.maybe() {
		u[scim.EnterpriseUserSchema] = object{"department": p.title(), "manager": p.manager()}
	}
	if p.maybe() {
		u[raceSchema] = object{"c00": p.strange(), "c01": p.strange()}
	}
	if p.IntN(4) == 0 {
		u["urn:example:odd"] = pick(p, []any{"x", 1, []any{"y"}, object{"a:b": "z", "c": 1}, object{"c": 2}, object{"": 3}, nil})
	}
	return u
}

func (p *player) aGroup() object {
	g := object{"schemas": []string{scim.GroupSchema}, "displayName": pick(p, []string{"Staff", "STAFF", "Crew"})}
	if p.maybe() {
		g["members"] = p.members()
	}
	return g
}

// members are some users, and at times a group.
func (p *player) members() []object {
	list := []object{}
	for range p.IntN(4) {
		list = append(list, object{"value": pick(p, p.users)})
	}
	if len(list) > 0 && p.maybe() {
		list[0]["display"] = p.name()
	}
	if p.IntN(6) == 0 {
		list = append(list, object{"value": pick(p, p.groups)})
	}
	return list
}

// patch is a PATCH of one to three operations.
func (p *player) patch(operation func() object) object {
	ops := []object{operation()}
	for range p.IntN(3) {
		ops = append(ops, operation())
	}
	return object{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"}, "Operations": ops}
}

func (p *player) userOperation() object {
	op := pick(p, []string{"add", "replace", "Replace"})
	switch p.IntN(10) {
	case 0, 1:
		return object{"op": op, "path": "active", "value": pick(p, []any{true, false, "False", "True"})}
	case 2:
		return object{"op": op, "path": "userName", "value": p.name()}
	case 3:
		return object{"op": op, "path": "title", "value": p.title()}
	case 4:
		return object{"op": op, "path": "emails", "value": []any{p.email()}}
	case 5:
		return object{"op": op, "path": `emails[type eq "work"].value`, "value": p.name()}
	case 6:
		return object{"op": op, "path": scim.EnterpriseUserSchema + ":manager", "value": p.manager()}
	case 7:
		return object{"op": op, "path": pick(p, []string{raceSchema + ":c02", "urn:example:odd", "urn:example:odd:c"}), "value": p.strange()}
	case 8:
		return object{"op": "remove", "path": pick(p, []string{"title", "emails", "name", "externalId", "name.givenName",
			scim.EnterpriseUserSchema, raceSchema + ":c00", raceSchema, `emails[type eq "home"]`})}
	default:
		return object{"op": op, "value": p.user()}
	}
}

func (p *player) groupOperation() object {
	switch p.IntN(7) {
	case 0, 1:
		return object{"op": "add", "path": "members", "value": p.members()}
	case 2:
		return object{"op": "remove", "path": "members", "value": p.members()}
	case 3:
		return object{"op": "remove", "path": fmt.Sprintf("members[value eq %q]", pick(p, p.users))}
	case 4:
		return object{"op": "replace", "path": "members", "value": p.members()}
	case 5:
		return object{"op": "replace", "path": "displayName", "value": pick(p, []string{"Staff", "Crew", "Board"})}
	default:
		return object{"op": "remove", "path": "members"}
	}
}
