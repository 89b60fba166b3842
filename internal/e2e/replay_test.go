package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"meibo/internal/auth"
	"meibo/internal/capture"
	"meibo/internal/replay"
	"meibo/internal/testkit"
	"meibo/internal/witness"
	"meibo/provisioning"
	"meibo/scim/endpoint"
	"meibo/store"
)

// captured are exchanges by their correlation.
type captured struct {
	sync.Mutex
	all map[string]capture.Exchange
}

func (c *captured) keep(x capture.Exchange) {
	c.Lock()
	defer c.Unlock()
	if c.all == nil {
		c.all = map[string]capture.Exchange{}
	}
	c.all[x.Correlation] = x
}

func (c *captured) exchange(_ context.Context, _, correlation string) (capture.Exchange, error) {
	c.Lock()
	defer c.Unlock()
	x, ok := c.all[correlation]
	if !ok {
		return x, &provisioning.Error{Kind: provisioning.NotFound}
	}
	return x, nil
}

func (s *server) replayer(c *captured) *replay.Replayer {
	return replay.New(replay.Options{Store: s.store, Service: s.service, Exchange: c.exchange, Endpoint: func(service *provisioning.Service, caller auth.Caller, _ string) http.Handler {
		return endpoint.New(endpoint.Options{Service: service, Log: zap.NewNop(), PublicURL: s.http.URL,
			Authenticate: func(context.Context, string, string) (auth.Caller, error) { return caller, nil }})
	}})
}

// TestReplay makes up what a client writes, and replays each request afterwards: under the settings of then every one is
// decided and answered as it was, byte for byte, and nothing is written.
func TestReplay(t *testing.T) {
	t.Parallel()
	writes := size(60, 200, 1000)
	each(t, func(t *testing.T, db database) {
		var kept captured
		s := newServer(t, db, options{store: store.Options{Rehearse: true}, capture: kept.keep})
		c := s.newTenant("replayed").untroubled(provisioning.DefaultConnection) // many leave
		p := newPlayer(c, 7, 0)
		if err := p.play(t.Context(), writes); err != nil {
			t.Fatal(err)
		}
		if replayed := c.replayAll(&kept); replayed < writes {
			t.Errorf("%d of %d requests were replayed", replayed, writes)
		}
	})
}

// replayAll replays each request of the tenant under the settings of then, and tells how many those were: each comes out as it
// was, and nothing is written.
func (c *tenant) replayAll(kept *captured) (replayed int) {
	c.t.Helper()
	before, entries := c.stored(), c.entries()
	for _, e := range entries {
		if e.Request == nil || e.Request.Dialect == "" {
			continue
		}
		got, err := c.replayer(kept).Replay(c.t.Context(), c.name, e.ID, replay.Under{})
		if err != nil {
			c.t.Fatalf("%s %s: %v", e.Request.Method, e.Request.Path, err)
		}
		if replayed++; !got.Same() {
			c.t.Errorf("%s %s (%s): status %+v, answers differ in %s, entries in %+v\nrequest %s", e.Request.Method, e.Request.Path, e.ID, got.Status, got.Answer, got.Entries,
				kept.all[e.Correlation].Request.Text)
		}
	}
	if differences := witness.Differences(c.stored(), before); len(differences) > 0 || len(c.entries()) != len(entries) {
		c.t.Errorf("the replays wrote: %d entries more, %v", len(c.entries())-len(entries), differences)
	}
	return replayed
}

// TestReplayOfTurns replays what random writes seldom bring about: returns by a stable key, names that change hands, groups that
// come with members, and all kinds of refusals. Each comes out as it was, long after.
func TestReplayOfTurns(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db database) {
		var kept captured
		c := newServer(t, db, options{capture: kept.keep}).newTenant("turns")
		c.turns()
		if replayed := c.replayAll(&kept); replayed < 24 {
			t.Errorf("%d requests were replayed", replayed)
		}
	})
}

// TestReplayOfOneMoment does the same where the clock stands still: which entry was there before which is told by positions alone.
func TestReplayOfOneMoment(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db database) {
		var kept captured
		c := newServer(t, db, options{capture: kept.keep, now: testkit.NewClock(time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)).Now}).newTenant("turns")
		c.turns()
		for more := true; more; {
			var err error
			if _, more, err = c.store.Follow(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if replayed := c.replayAll(&kept); replayed < 24 {
			t.Errorf("%d requests were replayed", replayed)
		}
	})
}

// turns sends what random writes seldom bring about.
func (c *tenant) turns() {
	t := c.t
	t.Helper()
	w := c.newWriter()
	send := func(method, path, body string) string {
		t.Helper()
		a, err := w.send(t.Context(), method, path, body)
		if err != nil {
			t.Fatal(err)
		}
		return a.id()
	}
	const stable = `"externalId": "7e57ab1e-1234-4abc-8def-0123456789ab"`
	kim := send("POST", "/Users", `{"userName": "kim@contoso.com", `+stable+`, "active": true, "password": "not kept"}`)
	send("DELETE", "/Users/"+kim, "")
	if back := send("POST", "/Users", `{"userName": "kim.return@contoso.com", `+stable+`, "active": true}`); back != kim {
		t.Fatalf("%s came back as %s", kim, back)
	}
	lee := send("POST", "/Users", `{"userName": "lee@contoso.com", "active": "True"}`)
	send("PATCH", "/Users/"+kim, `{"Operations": [{"op": "Replace", "path": "userName", "value": "kim.new@contoso.com"}]}`)
	send("PATCH", "/Users/"+lee, `{"Operations": [{"op": "replace", "path": "userName", "value": "kim.return@contoso.com"}]}`)
	send("PATCH", "/Users/"+lee, `{"Operations": [{"op": "replace", "path": "userName", "value": "KIM.new@contoso.com"}]}`)
	group := send("POST", "/Groups", `{"displayName": "Sales", "members": [{"value": "`+kim+`"}, {"value": "`+lee+`"}]}`)
	send("POST", "/Groups", `{"displayName": "sales"}`)
	send("PUT", "/Groups/"+group, `{"displayName": "Sales EMEA", "members": [{"value": "`+lee+`"}]}`)
	send("PATCH", "/Groups/"+group, `{"Operations": [{"op": "add", "path": "members", "value": [{"value": "019aa000-0000-7000-8000-000000000000"}]}]}`)
	send("PATCH", "/Users/"+kim, `{"Operations": [{"op": "replace", "path": "active", "value": "False"}]}`)
	send("POST", "/Users", `{"userName": ""}`)
	send("POST", "/Users", `{"userName":`)
	send("PUT", "/Users/none", `{"userName": "nobody@contoso.com"}`)
	send("DELETE", "/Users/none", "")
	send("DELETE", "/Groups/"+group, "")
	send("DELETE", "/Users/"+kim, "")
	send("DELETE", "/Users/"+kim, "")
	// Keys that are no longer whose they were: one taken back by it, and one that another had too, so that nobody was.
	const moved, other = `"externalId": "7e57ab1e-2222-4abc-8def-0123456789ab"`, `"externalId": "7e57ab1e-3333-4abc-8def-0123456789ab"`
	sam := send("POST", "/Users", `{"userName": "sam@contoso.com", `+moved+`}`)
	send("DELETE", "/Users/"+sam, "")
	send("POST", "/Users", `{"userName": "sam@contoso.com", `+moved+`}`)
	if max := send("POST", "/Users", `{"userName": "max@contoso.com", `+moved+`}`); max == sam {
		t.Fatalf("%s is two people", max)
	}
	send("PUT", "/Users/"+sam, `{"userName": "sam@contoso.com", `+other+`}`)
}

// TestReplayOfManyMembers replays what happens to a group of more members than one request can name: answers that list them are the
// same byte for byte, and who was a member then is one, whoever left since.
func TestReplayOfManyMembers(t *testing.T) {
	t.Parallel()
	var kept captured
	c := newServer(t, databases[0], options{capture: kept.keep}).newTenant("many").connect("other", func(o *provisioning.ConnectionSettings) {
		o.UnknownMembers, o.PatchResponse = provisioning.KeepUnknownMembers, provisioning.PatchResource
	})
	send := func(method, path string, body object) string {
		t.Helper()
		data, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		a, err := c.send(t.Context(), method, path, string(data))
		if err != nil || a.status >= 300 {
			t.Fatalf("%d %s, %v", a.status, a.body, err)
		}
		kept.Lock()
		defer kept.Unlock()
		x := kept.all[a.correlation] // whose answer may have been cut off
		x.Answer = capture.Body{Text: []byte(a.body), Size: len(a.body)}
		kept.all[a.correlation] = x
		return a.id()
	}
	members := []object{{"value": send("POST", "/Users", object{"userName": "kim@contoso.com"}), "display": "Kim"}, {"value": send("POST", "/Users", object{"userName": "lee@contoso.com"})}}
	group := "/Groups/" + send("POST", "/Groups", object{"displayName": "Everybody", "members": members})
	patch := func(op string, members []object) {
		send("PATCH", group, object{"Operations": []object{{"op": op, "path": "members", "value": members}}})
	}
	const some = 900
	for i := range 3 {
		var more []object
		for j := range some {
			more = append(more, object{"value": fmt.Sprintf("0198c0de-0000-7000-8000-%012d", i*some+j)})
		}
		patch("add", more)
	}
	patch("remove", []object{members[0], {"value": "0198c0de-0000-7000-8000-000000000000"}})
	send("DELETE", fmt.Sprint("/Users/", members[1]["value"]), nil)
	patch("add", members[:1])
	if replayed := c.replayAll(&kept); replayed < 9 {
		t.Errorf("%d requests were replayed", replayed)
	}
}

// TestReplayUnderOtherSettings shows exactly what an edit of the settings would have changed, and what is no request is refused.
func TestReplayUnderOtherSettings(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db database) {
		var kept captured
		s := newServer(t, db, options{capture: kept.keep})
		c := s.newTenant("replayed")
		w := c.newWriter()
		made, err := w.send(t.Context(), http.MethodPost, "/Users", `{"userName": "kim@contoso.com", "title": "Clerk"}`)
		if err != nil || made.status != http.StatusCreated {
			t.Fatalf("%+v, %v", made, err)
		}
		entry := c.entries()[0]
		for _, e := range c.entries() {
			if e.Action == provisioning.ActionCreate {
				entry = e
			}
		}
		draft := provisioning.DefaultSettings()
		draft.Mapping.UserName.Mode = provisioning.LocalUserName
		got, err := s.replayer(&kept).Replay(t.Context(), c.name, entry.ID, replay.Under{Draft: &draft})
		if err != nil {
			t.Fatal(err)
		}
		var paths []string
		for _, d := range got.Entries {
			paths = append(paths, fmt.Sprint(d.Path, " ", d.Recorded, " ", d.Replayed))
		}
		if want := []string{"diff.meibo.effective.userName <nil> map[new:kim old:<nil>]"}; !slices.Equal(paths, want) || len(got.Answer) != 0 || got.Settings != "draft" {
			t.Errorf("under a draft: %q, answers %s; want %q", paths, got.Answer, want)
		}
		if _, _, err := s.service.ApplySettings(t.Context(), provisioning.Origin{Tenant: c.name, Actor: "test"}, "", provisioning.SettingsDraft{Settings: draft}); err != nil {
			t.Fatal(err)
		}
		for under, same := range map[replay.Under]bool{{}: true, {Now: true}: false} {
			if got, err := s.replayer(&kept).Replay(t.Context(), c.name, entry.ID, under); err != nil || got.Same() != same {
				t.Errorf("%+v: %+v, %v; the same: %t", under, got, err, same)
			}
		}
		kept.all = nil
		for what, id := range map[string]string{"not captured": entry.ID, "no entry": "019aa000-0000-7000-8000-000000000000"} {
			if _, err := s.replayer(&kept).Replay(t.Context(), c.name, id, replay.Under{}); provisioning.KindOf(err) != provisioning.NotFound {
				t.Errorf("%s: %v", what, err)
			}
		}
		for _, e := range c.entries() {
			if e.Action != provisioning.ActionOther {
				continue
			}
			if _, err := s.replayer(&kept).Replay(t.Context(), c.name, e.ID, replay.Under{}); provisioning.KindOf(err) != provisioning.Invalid {
				t.Errorf("an administrator's act: %v", err)
			}
		}
	})
}
