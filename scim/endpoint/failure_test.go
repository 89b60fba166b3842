package endpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"meibo/internal/auth"
	"meibo/internal/edge"
	"meibo/internal/testkit"
	"meibo/provisioning"
	"meibo/scim"
	"meibo/store/storetest"
)

// brokenStore is a store that does what a fault would make it do.
type brokenStore struct {
	provisioning.Store
	view   func(ctx context.Context, tenant string, fn func(provisioning.Reader) error) error
	update func(ctx context.Context, tenant string, fn func(provisioning.Tx) error) error
}

func (s *brokenStore) View(ctx context.Context, tenant string, fn func(provisioning.Reader) error) error {
	if s.view != nil {
		return s.view(ctx, tenant, fn)
	}
	return s.Store.View(ctx, tenant, fn)
}

func (s *brokenStore) Update(ctx context.Context, tenant string, fn func(provisioning.Tx) error) error {
	if s.update != nil {
		return s.update(ctx, tenant, fn)
	}
	return s.Store.Update(ctx, tenant, fn)
}

// breakStore makes the directory's endpoint run on a store with a fault; the directory's own
// service stays sound, to look from outside.
func (d *directory) breakStore(change ...func(*Options)) *brokenStore {
	broken := &brokenStore{Store: d.store}
	service := provisioning.New(provisioning.Options{Store: broken, Now: d.clock.Now})
	d.serve(append(change, func(o *Options) { o.Service = service })...)
	return broken
}

// everyKind has one request of each kind that reaches the store.
func everyKind(id string) []request {
	return []request{
		{method: http.MethodGet, target: "/Users"},
		{method: http.MethodGet, target: "/Users/" + id},
		{method: http.MethodPost, target: "/Users", body: `{"userName":"new@contoso.com"}`},
		{method: http.MethodPut, target: "/Users/" + id, body: `{"userName":"put@contoso.com"}`},
		{method: http.MethodPatch, target: "/Users/" + id, body: `{"Operations":[{"op":"replace","path":"title","value":"x"}]}`},
		{method: http.MethodDelete, target: "/Users/" + id},
	}
}

func TestDatabaseUnavailable(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, storetest.Open(t))
	id := d.create("/Users", user)
	broken := d.breakStore()
	gone := &provisioning.Error{Kind: provisioning.Unavailable, Detail: "the database does not answer; repeat the request later", Err: errors.New("dial tcp 10.0.0.7:5432: refused")}
	broken.view = func(context.Context, string, func(provisioning.Reader) error) error { return gone }
	broken.update = func(context.Context, string, func(provisioning.Tx) error) error { return gone }
	for _, r := range everyKind(id) {
		what := r.method + " " + r.target
		a := d.send(r)
		mustBeError(t, what, a, http.StatusServiceUnavailable, "")
		if a.header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", what)
		}
		if strings.Contains(string(a.body), "10.0.0.7") {
			t.Errorf("%s: the answer tells the cause: %s", what, a.body)
		}
		if entries := d.entries(a.correlation()); len(entries) > 0 {
			t.Errorf("%s: journalled", what)
		}
	}
}

// TestStatusOf is the one translation of errors, wrapped ones included.
func TestStatusOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		want int
	}{
		{&provisioning.Error{Kind: provisioning.Invalid}, 400},
		{&provisioning.Error{Kind: provisioning.NotFound}, 404},
		{&provisioning.Error{Kind: provisioning.Conflict}, 409},
		{&provisioning.Error{Kind: provisioning.Precondition}, 412},
		{&provisioning.Error{Kind: provisioning.Forbidden}, 403},
		{&provisioning.Error{Kind: provisioning.Unavailable}, 503},
		{&provisioning.Error{Kind: provisioning.Internal}, 500},
		{fmt.Errorf("while: %w", &scim.Error{Type: scim.InvalidFilter}), 400},
		{fmt.Errorf("while: %w", &edge.Throttled{Wait: time.Second}), 429},
		{fmt.Errorf("while: %w", context.Canceled), 503},
		{fmt.Errorf("while: %w", context.DeadlineExceeded), 503},
		{errors.New("anything"), 500},
	} {
		if got := statusOf(tt.err); got != tt.want {
			t.Errorf("%v: %d, want %d", tt.err, got, tt.want)
		}
	}
}

// TestCredentialCannotBeChecked: a 401 would make the client give up; the database will be back.
func TestCredentialCannotBeChecked(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, storetest.Open(t))
	d.serve(func(o *Options) {
		o.Authenticate = func(context.Context, string, string) (auth.Caller, error) {
			return auth.Caller{}, &provisioning.Error{Kind: provisioning.Unavailable, Detail: "later"}
		}
	})
	a := d.get("/Users")
	mustBeError(t, "GET", a, http.StatusServiceUnavailable, "")
	if a.header.Get("WWW-Authenticate") != "" || a.header.Get("Retry-After") == "" {
		t.Errorf("headers: %v", a.header)
	}
}

// TestRefusalCannotBeJournalled: where even the refusal finds no database, the client is told to
// come again.
func TestRefusalCannotBeJournalled(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, storetest.Open(t))
	broken := d.breakStore()
	broken.update = func(context.Context, string, func(provisioning.Tx) error) error { return errors.New("disk full") }
	mustBeError(t, "POST", d.post("/Users", `{`), http.StatusServiceUnavailable, "")
}

// TestFaultsStayInside: what an unknown error or a panic says goes to the log, and only there.
func TestFaultsStayInside(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func() error{
		"error": func() error { return errors.New("secret of the database") },
		"panic": func() error { panic("secret of the database") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDirectory(t, storetest.Open(t))
			id := d.create("/Users", user)
			core, logs := observer.New(zapcore.ErrorLevel)
			broken := d.breakStore(func(o *Options) { o.Log = zap.New(core) })
			broken.view = func(context.Context, string, func(provisioning.Reader) error) error { return fail() }
			a := d.get("/Users/" + id)
			mustBeError(t, "GET", a, http.StatusInternalServerError, "")
			if strings.Contains(string(a.body), "secret") || !strings.Contains(string(a.body), a.correlation()) {
				t.Errorf("the answer is %s", a.body)
			}
			found := slices.ContainsFunc(logs.All(), func(e observer.LoggedEntry) bool {
				m := e.ContextMap()
				return m["correlationId"] == a.correlation() && strings.Contains(fmt.Sprint(m), "secret of the database")
			})
			if !found {
				t.Errorf("the log does not tell the cause: %v", logs.All())
			}
			// The next request is served.
			broken.view = nil
			if a := d.get("/Users/" + id); a.status != http.StatusOK {
				t.Errorf("afterwards: %d", a.status)
			}
		})
	}
}

// TestInternalErrorOfAWriteIsJournalled: the journal says that it failed, and not with what.
func TestInternalErrorOfAWriteIsJournalled(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, storetest.Open(t))
	broken := d.breakStore()
	var once sync.Once
	broken.update = func(ctx context.Context, tenant string, fn func(provisioning.Tx) error) error {
		failed := false
		once.Do(func() { failed = true })
		if failed {
			return errors.New("secret of the database")
		}
		return d.store.Update(ctx, tenant, fn)
	}
	a := d.post("/Users", user)
	mustBeError(t, "POST", a, http.StatusInternalServerError, "")
	entries := d.entries(a.correlation())
	mustBeJournalled(t, "POST", entries, provisioning.Failure, http.StatusInternalServerError)
	if e := entries[0].Error; e == nil || e.Code != "internal" || strings.Contains(e.Detail, "secret") {
		t.Errorf("the entry's error is %+v", e)
	}
}

// faultyReader breaks off in the middle of a member list.
type faultyReader struct {
	provisioning.Reader
	after int
}

func (r faultyReader) Members(groups []string, fn func(provisioning.GroupMember) error) error {
	for i := range r.after {
		if err := fn(provisioning.GroupMember{Group: groups[0], Value: fmt.Sprintf("member-%d", i)}); err != nil {
			return err
		}
	}
	return errors.New("connection lost")
}

// TestHalfAnAnswer: once an answer is under way a failure must not make it look complete; before
// that it is an error like any other.
func TestHalfAnAnswer(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, storetest.Open(t))
	group := d.create("/Groups", `{"displayName":"G"}`)
	for _, tt := range []struct {
		name  string
		after int
		whole bool
	}{{"at the beginning", 3, true}, {"in the middle", 5000, false}} {
		for _, target := range []string{"/Groups/" + group, "/Groups"} {
			broken := d.breakStore()
			broken.view = func(ctx context.Context, tenant string, fn func(provisioning.Reader) error) error {
				return d.store.View(ctx, tenant, func(r provisioning.Reader) error { return fn(faultyReader{r, tt.after}) })
			}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.url+"/t/"+d.tenant+"/scim/v2"+target, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer default")
			res, err := d.client.Do(req)
			if err != nil {
				if tt.whole {
					t.Errorf("%s: %s: %v", tt.name, target, err)
				}
				continue
			}
			body, err := io.ReadAll(res.Body)
			res.Body.Close()
			if tt.whole {
				mustBeError(t, tt.name+": "+target, answer{res.StatusCode, res.Header, body}, http.StatusInternalServerError, "")
			} else if err == nil {
				t.Errorf("%s: %s: the client takes %d bytes for the whole answer", tt.name, target, len(body))
			}
		}
	}
}

// TestRefusalsInTheLog: a connection over its rate is named once a second, however much it asks.
func TestRefusalsInTheLog(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.InfoLevel)
	clock := testkit.NewClock(epoch) // the directory's own moves with each request
	d := newDirectory(t, storetest.Open(t), func(o *Options) { o.RateLimit, o.Log, o.Now = 0.01, zap.New(core), clock.Now })
	d.connect("other", nil)
	ask := func(n int, connection string) {
		for range n {
			d.send(request{method: http.MethodGet, target: "/Users", speaker: connection})
		}
	}
	ask(10, provisioning.DefaultConnection)
	ask(10, "other")
	clock.Advance(edge.TellEvery)
	ask(10, provisioning.DefaultConnection)
	statuses := map[string]map[int64]int{}
	for _, line := range logs.FilterMessage("request").All() {
		fields := line.ContextMap()
		name, status := fields["connection"].(string), fields["status"].(int64)
		if statuses[name] == nil {
			statuses[name] = map[int64]int{}
		}
		statuses[name][status]++
	}
	want := map[string]map[int64]int{provisioning.DefaultConnection: {200: 1, 429: 2}, "other": {200: 1, 429: 1}}
	if diff := cmp.Diff(want, statuses); diff != "" {
		t.Errorf("lines by connection and status (-want +got):\n%s", diff)
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var seen []Observation
	d := newDirectory(t, storetest.Open(t), func(o *Options) {
		o.RateLimit = 0.1
		o.Observe = func(ob Observation) {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, ob)
		}
	})
	d.connect("other", nil)
	if a := d.post("/Users", user); a.status != http.StatusCreated {
		t.Fatalf("the first request: %d", a.status)
	}
	a := d.post("/Users", `{"userName":"second@contoso.com"}`)
	mustBeError(t, "the second request", a, http.StatusTooManyRequests, "")
	if got := a.header.Get("Retry-After"); got != "9" {
		t.Errorf("Retry-After is %q, want 9", got)
	}
	if entries := d.entries(a.correlation()); len(entries) > 0 {
		t.Errorf("a throttled request was journalled: %+v", entries)
	}
	if a := d.send(request{method: http.MethodGet, target: "/Users", speaker: "other"}); a.status != http.StatusOK {
		t.Errorf("another connection: %d", a.status)
	}
	mustBeError(t, "no token", d.get("/Users", header{"Authorization", ""}), http.StatusUnauthorized, "")
	d.clock.Advance(7 * time.Second)
	if a := d.get("/Users"); a.status != http.StatusOK {
		t.Errorf("after the time of Retry-After: %d", a.status)
	}
	mu.Lock()
	defer mu.Unlock()
	var throttled []bool
	for _, ob := range seen {
		throttled = append(throttled, ob.Throttled)
	}
	if d := cmp.Diff([]bool{false, true, false, false, false}, throttled); d != "" {
		t.Errorf("throttled observations (-want +got):\n%s", d)
	}
	if want := (Observation{Route: "/t/:tenant/scim/v2/Users", Method: "POST", Status: 201}); seen[0].Route != want.Route || seen[0].Method != want.Method || seen[0].Status != want.Status {
		t.Errorf("the first observation is %+v", seen[0])
	}
}

// TestLogHasNoPersonalValues: neither tokens nor what a person is called get into the log.
func TestLogHasNoPersonalValues(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.DebugLevel)
	d := newDirectory(t, storetest.Open(t), func(o *Options) { o.Log = zap.New(core) })
	id := d.create("/Users", `{"userName":"secretname@contoso.com","displayName":"Secretname"}`)
	d.get("/Users?filter=userName+eq+%22secretname@contoso.com%22")
	d.get("/Users/secretname")
	d.post("/Users", `{"userName":"secretname@contoso.com"}`)
	d.post("/Users", `{"userName":"secretname@contoso.com",`)
	d.patch("/Users/"+id, `{"Operations":[{"op":"Replace","path":"active","value":"secretname"}]}`)
	d.get("/Users", header{"Authorization", "Bearer secretname"})
	if len(logs.All()) < 7 {
		t.Fatalf("%d lines for 7 requests", len(logs.All()))
	}
	for _, e := range logs.All() {
		line, err := json.Marshal(e.ContextMap())
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(strings.ToLower(e.Message+string(line)), "secretname") {
			t.Errorf("the log says %s %s", e.Message, line)
		}
	}
}

// TestLargeGroup reads 5,000 members back: by id, in a list among other groups, and projected.
func TestLargeGroup(t *testing.T) {
	t.Parallel()
	const n = 5000
	storetest.Each(t, func(t *testing.T, s provisioning.Store) {
		d := newDirectory(t, s)
		d.connect(provisioning.DefaultConnection, func(s *provisioning.ConnectionSettings) { s.UnknownMembers = provisioning.KeepUnknownMembers })
		d.create("/Groups", `{"displayName":"Before","members":[{"value":"before"}]}`)
		var sent []any
		list := make([]string, n)
		for i := range n {
			list[i] = fmt.Sprintf(`{"value":"member-%04d","display":"Member \"%d\""}`, i, i)
			sent = append(sent, map[string]any{"value": fmt.Sprintf("member-%04d", i), "display": fmt.Sprintf(`Member "%d"`, i)})
		}
		large := d.create("/Groups", `{"displayName":"Large"}`)
		d.create("/Groups", `{"displayName":"After","members":[{"value":"after"}]}`)
		add := `{"Operations":[{"op":"add","path":"members","value":[` + strings.Join(list, ",") + `]}]}`
		if a := d.patch("/Groups/"+large, add); a.status != http.StatusNoContent {
			t.Fatalf("add: %d %s", a.status, a.body)
		}
		one := d.get("/Groups/" + large).object(t)
		mustHaveMembers(t, "by id", one, sent)
		page := d.get("/Groups").object(t)["Resources"].([]any)
		for i, want := range [][]any{{map[string]any{"value": "before"}}, sent, {map[string]any{"value": "after"}}} {
			mustHaveMembers(t, fmt.Sprint("list ", i), page[i].(map[string]any), want)
		}
		if a := d.get("/Groups/" + large + "?excludedAttributes=members"); len(a.body) > 1000 {
			t.Errorf("without members: %d bytes", len(a.body))
		}
		if got := d.get("/Groups/" + large + "?attributes=members.value").object(t)["members"].([]any); len(got) != n {
			t.Errorf("projected: %d members", len(got))
		}
		// A PUT of all but one is a change of one.
		a := d.send(request{method: http.MethodPut, target: "/Groups/" + large, body: `{"displayName":"Large","members":[` + strings.Join(list[1:], ",") + `]}`})
		entries := d.entries(a.correlation())
		if len(entries) != 1 || !slices.Equal(entries[0].Members.Remove, []string{"member-0000"}) || len(entries[0].Members.Add) > 0 {
			t.Errorf("PUT: %d, %d entries", a.status, len(entries))
		}
		mustHaveMembers(t, "answer of PUT", a.object(t), sent[1:])
		// A thousand operations in one request, as the flagged dialect writes them.
		ops := make([]string, 1000)
		for i := range ops {
			ops[i] = fmt.Sprintf(`{"op":"remove","path":"members[value eq \"member-%04d\"]"}`, i+1)
		}
		if a := d.patch("/Groups/"+large, `{"Operations":[`+strings.Join(ops, ",")+`]}`); a.status != http.StatusNoContent {
			t.Errorf("remove: %d %s", a.status, a.body)
		}
		mustHaveMembers(t, "after a thousand removals", d.get("/Groups/"+large).object(t), sent[1001:])
	})
}

// mustHaveMembers compares as sets: among members who joined at once no order is promised.
func mustHaveMembers(t *testing.T, what string, group map[string]any, want []any) {
	t.Helper()
	byValue := func(list []any) map[any]any {
		out := make(map[any]any, len(list))
		for _, m := range list {
			out[m.(map[string]any)["value"]] = m
		}
		return out
	}
	got, _ := group["members"].([]any)
	if len(got) != len(want) {
		t.Errorf("%s: %d members, want %d", what, len(got), len(want))
		return
	}
	if d := cmp.Diff(byValue(want), byValue(got)); d != "" {
		t.Errorf("%s: members (-want +got):\n%.2000s", what, d)
	}
	if group["schemas"] == nil || group["schemas"].([]any)[0] != scim.GroupSchema {
		t.Errorf("%s: schemas are %v", what, group["schemas"])
	}
}
