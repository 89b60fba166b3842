package api_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"meibo/internal/capture"
	"meibo/internal/replay"
	"meibo/provisioning"
	"meibo/scim"
	"meibo/store/storetest"
	"meibo/web/api"
)

// planted is a tenant with fifty personal values, in every place that holds any.
type planted struct {
	*bench
	values []string
	ids    []string
	asks   atomic.Int32
}

const plantedURN = "urn:example:params:scim:schemas:extension:qz:2.0:User"

// value makes a personal value that is found nowhere else.
func (p *planted) value(format string) string {
	v := fmt.Sprintf(format, len(p.values))
	p.values = append(p.values, v)
	return v
}

// person is a user whose every attribute is a planted value.
func (p *planted) person() scim.Attributes {
	v := p.value
	return scim.Attributes{
		"userName": v("qzuser%d@person.example"), "externalId": v("qzext%d"), "displayName": v("田中 qzdisplay%d"), "nickName": v("qznick%d"), "title": v("qztitle%d"),
		"profileUrl": v("https://qz%d.example/"), "locale": v("qz-L%d"), "timezone": v("Qz/City%d"), "preferredLanguage": v("qz%d"), "userType": v("qztype%d"), "active": true,
		"name":         map[string]any{"familyName": v("タナカqz%d"), "givenName": v("Qzken%d"), "middleName": v("Qzmiddle%d"), "formatted": v("Qz%d Tanaka"), "honorificPrefix": v("Qzdr%d")},
		"emails":       []any{map[string]any{"value": v("qz.mail%d@person.example"), "type": "work", "primary": true}, map[string]any{"value": v("qz.home%d@person.example"), "display": v("qzat home%d"), "type": "home"}},
		"phoneNumbers": []any{map[string]any{"value": v("+81-90-7777-%04d"), "type": "mobile"}},
		"entitlements": []any{map[string]any{"value": v("qzlicence%d"), "display": v("Qz licence %d")}},
		"ims":          []any{map[string]any{"value": v("qzim%d"), "type": "skype"}},
		"photos":       []any{map[string]any{"value": v("https://photo.example/qz%d.png"), "type": "photo"}},
		"addresses":    []any{map[string]any{"formatted": v("1-1 Qzstreet %d"), "streetAddress": v("qzroad %d"), "locality": v("Qzcity%d"), "region": v("Qzken-region%d"), "postalCode": v("100-%04d"), "country": "JP", "type": "work"}},
		"roles":        []any{map[string]any{"value": v("qzrole%d"), "display": v("Qz role %d")}},
		"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": map[string]any{"employeeNumber": v("E77%04d"), "costCenter": v("qzcc%d"), "organization": v("Qzorg%d"), "division": v("qzdiv%d"), "department": v("qzdept%d")},
		plantedURN: map[string]any{"hobby": v("qzhobby%d"), "badge": v("qzbadge%d"), "birthday": v("qz-%d-05-17"), "family": []any{map[string]any{"name": v("Qzchild%d"), "type": v("qzkin%d")}}, "salary": json.Number(v("7777%04d")), "state": v("Qzstate%d"), "code": v("qzcode%d"), "reason": v("qzreason%d"), "id": v("qzid%d")},
	}
}

func newPlanted(t *testing.T) *planted {
	t.Helper()
	p := &planted{}
	var correlation string
	s := storetest.Open(t)
	p.bench = newBenchOn(t, s, func(o *api.Options) {
		o.Leaving = func() bool { return p.asks.Add(1) > 1 } // a stream ends when it has told what there is
		o.Exchanges = func(ctx context.Context, tenant string, _ provisioning.CaptureQuery) (capture.Page, error) {
			x, err := o.Exchange(ctx, tenant, correlation)
			return capture.Page{Exchanges: []capture.Exchange{x}}, err
		}
		o.Exchange = func(context.Context, string, string) (capture.Exchange, error) {
			return capture.Exchange{Correlation: correlation, Method: "POST", Target: "/t/acme/scim/v2/Users?filter=userName+eq+%22" + p.values[0] + "%22", Headers: map[string]string{"User-Agent": "x"},
				Request: capture.NewBody([]byte(`{"userName":"` + p.values[0] + `"}`)), Status: 409, Answer: capture.NewBody([]byte("not json, " + p.values[1]))}, nil
		}
		o.Replay = p.replay
	})
	c := p.client("default")
	c.origin.Correlation = "019aa000-0000-7000-8000-00000000ffff"
	user := c.create(scim.User, p.person())
	c.patch(scim.User, user, "replace", "displayName", p.value("Qzlater%d"))
	group := c.create(scim.Group, scim.Attributes{"displayName": p.value("Qz group %d"), "externalId": p.value("qzgroupext%d")})
	_, err := c.service.Patch(t.Context(), c.origin, scim.Group, group, []scim.Operation{{Op: "add", Path: "members", Value: []any{map[string]any{"value": user, "display": p.value("Qz member %d")}}}},
		scim.PatchOptions{}, nil, provisioning.References{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.service.Create(t.Context(), c.origin, scim.User, provisioning.Body{Attributes: scim.Attributes{"userName": p.values[0], "active": true}}); err == nil {
		t.Fatal("a userName was taken twice")
	}
	if _, err := c.service.Patch(t.Context(), c.origin, scim.User, p.value("qznobody%d@person.example"), []scim.Operation{{Op: "replace", Path: "active", Value: false}}, scim.PatchOptions{}, nil, provisioning.References{}); err == nil {
		t.Fatal("somebody was patched whom nobody knows")
	}
	p.must(200, "owner", http.MethodPut, "/connections/default/settings?comment="+p.value("qzcomment%d"), `{"deletion":{"users":{"deactivated":"hold"}}}`)
	c = p.client("default")
	leaver := c.create(scim.User, scim.Attributes{"userName": p.value("qzleaver%d"), "active": true})
	c.patch(scim.User, leaver, "replace", "active", false)
	p.must(200, "operator", http.MethodPatch, "/users/"+user, `{"overrides":{"title":"`+p.value("qzoverride%d")+`"}}`)
	p.must(201, "owner", http.MethodPost, "/undos", `{"connection":"default","from":"2020-01-01T00:00:00Z"}`)
	follow(t, s)
	p.ids = []string{user, group}
	for _, target := range []string{"/log?limit=1000", "/matters?status=any", "/jobs"} {
		for _, item := range p.must(200, "owner", http.MethodGet, target, "")["items"].([]any) {
			p.ids = append(p.ids, item.(map[string]any)["id"].(string))
		}
	}
	return p
}

// replay is a replay that has values wherever one may.
func (p *planted) replay(_ context.Context, _, entry string, under replay.Under) (replay.Result, error) {
	if under.Draft != nil {
		return replay.Result{}, &provisioning.Error{Kind: provisioning.Invalid, Detail: fmt.Sprintf("the userName %q, or \\%q\\, is %q", p.values[0], p.values[1]+`" or "`+p.values[2], p.values[3])}
	}
	text := func(v any) json.RawMessage {
		data, _ := json.Marshal(v)
		return data
	}
	pair := replay.Pair[any]{Recorded: p.values[4], Replayed: []any{map[string]any{"value": p.values[5], "type": "work"}}}
	r := replay.Result{Entry: provisioning.Entry{ID: entry, ResourceName: p.values[0]}, Settings: "now", Status: replay.Pair[int]{Recorded: 409, Replayed: 201},
		Answer: []replay.Line{{Path: "userName", Pair: replay.Pair[json.RawMessage]{Recorded: text(p.values[0]), Replayed: text(p.values[1])}},
			{Pair: replay.Pair[json.RawMessage]{Replayed: text(map[string]any{"detail": `"` + p.values[2] + `" is taken`, "status": p.values[3]})}}}}
	for _, path := range []string{"diff.displayName", "resourceName", "error.detail", "reason.args", "members"} {
		r.Entries = append(r.Entries, replay.Difference{Path: path, Pair: pair})
	}
	return r, nil
}

// seen are the planted values that an answer has, in whatever form.
func (p *planted) seen(a answer) (seen []string) {
	text := a.body
	for name, values := range a.header {
		text += "\n" + name + ": " + strings.Join(values, " ")
	}
	for _, v := range p.values {
		quoted, _ := json.Marshal(v)
		if strings.Contains(text, v) || strings.Contains(text, string(quoted[1:len(quoted)-1])) || strings.Contains(text, hex.EncodeToString([]byte(v))) {
			seen = append(seen, v)
		}
	}
	return seen
}

// read reads one address in one medium, whatever way it ends.
func (p *planted) read(role, target, media string) answer {
	p.asks.Store(0)
	r := httptest.NewRequest(http.MethodGet, api.Base+target, nil)
	r.Header.Set("Authorization", "Bearer "+role)
	r.Header.Set("Accept", media)
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, r)
	return answer{w.Code, w.Header(), w.Body.String()}
}

// TestSupportSeesMasks walks every address of the document that people read, in each of its media: a support key sees none of the planted
// values; with a reason it sees what an owner sees, and the trail has that.
func TestSupportSeesMasks(t *testing.T) {
	t.Parallel()
	p := newPlanted(t)
	if len(p.values) < 50 {
		t.Fatalf("%d values are planted", len(p.values))
	}
	then := time.Now().UTC().Format(time.RFC3339Nano)
	bare, everything := map[string]bool{}, map[string]bool{}
	for path, item := range document(t).Paths.Map() {
		o := item.Get
		if o == nil || !slices.Contains(rolesOf(o), "support") {
			continue
		}
		ids := p.ids
		if !strings.Contains(path, "{id}") {
			ids = ids[:1]
		}
		query := map[string]string{"differenceUser": "from=" + then, "differenceGroup": "from=" + then, "followLog": "after=0", "listLog": "limit=1000", "exportDirectory": "format=ndjson", "listMatters": "status=any", "whyNot": "user=" + url.QueryEscape(p.values[0])}[o.OperationID]
		answered := false
		for _, id := range ids {
			target := strings.NewReplacer("{id}", id, "{name}", "default", "{version}", "1").Replace(path) + "?" + query
			for media := range o.Responses.Status(200).Value.Content {
				if o.OperationID == "exportDirectory" && media == "text/csv" {
					target = strings.Replace(target, "ndjson", "csv", 1)
				}
				a := p.read("support", target, media)
				if seen := p.seen(a); seen != nil {
					t.Errorf("%s as %s tells %q: %s", target, media, seen, a.body)
				}
				if a.status != http.StatusOK {
					continue
				}
				answered = true
				if media == "application/json" && !json.Valid([]byte(a.body)) {
					t.Errorf("%s is no JSON any more: %s", target, a.body)
				}
				said := p.seen(p.read("owner", target, media))
				unmasked := p.seen(p.read("support", target+"&unmask=case+4711%3A+cannot+sign+in", media))
				if path != "/audit" && !slices.Equal(said, unmasked) {
					t.Errorf("%s as %s: an owner sees %q, and support with a reason %q", target, media, said, unmasked)
				}
				for _, v := range said {
					everything[v] = true
				}
			}
		}
		if !answered {
			t.Errorf("%s was never answered: plant something for it", path)
		}
		bare[path] = true
	}
	for _, v := range p.values {
		if !everything[v] {
			t.Errorf("%q was seen nowhere, by nobody: it is not planted", v)
		}
	}
	acts := p.must(200, "owner", http.MethodGet, "/log?limit=1000&reason=unmasked", "")["items"].([]any)
	if len(acts) < len(bare) {
		t.Errorf("%d addresses were seen unmasked, and the trail has %d", len(bare), len(acts))
	}
	act, _ := json.Marshal(acts[0])
	for _, part := range []string{`"key of the support"`, `"case 4711: cannot sign in"`, `"GET /api/v1/`} {
		if !strings.Contains(string(act), part) {
			t.Errorf("an act does not say %s: %s", part, act)
		}
	}
}

// TestSupportReplaysMasked: whoever replays a request and may not see values is shown masks, and so with all that support may send.
func TestSupportReplaysMasked(t *testing.T) {
	t.Parallel()
	p := newPlanted(t)
	for path, item := range document(t).Paths.Map() {
		for method, o := range item.Operations() {
			if method != http.MethodGet && slices.Contains(rolesOf(o), "support") && path != "/log/{id}/replay" {
				t.Errorf("support may %s %s: say here that it sees masks", method, path)
			}
		}
	}
	for _, under := range []string{`{"under":"now"}`, `{"under":"then"}`, `{"under":"draft","settings":{}}`} {
		target := "/log/" + p.ids[0] + "/replay"
		seen := p.seen(p.do("owner", http.MethodPost, target, under))
		if len(seen) < 4 {
			t.Fatalf("%s: an owner sees %q: plant more", under, seen)
		}
		a := p.do("support", http.MethodPost, target, under)
		if hidden := p.seen(a); hidden != nil || a.status == http.StatusOK && !strings.Contains(a.body, "k•••") {
			t.Errorf("%s tells support %q: %d %s", under, hidden, a.status, a.body)
		}
	}
}

// TestSupportReplaysNoDraft: scope and mapping of a draft look at parts of values, and what differs tells what they saw. A reason lets a support
// key do so, and is in the trail.
func TestSupportReplaysNoDraft(t *testing.T) {
	t.Parallel()
	p := newPlanted(t)
	target := "/log/" + p.ids[0] + "/replay"
	for _, draft := range []string{`{"under":"draft","settings":{}}`, `{"under":"draft","settings":{"scope":{"users":{"filter":"displayName sw \"Zo\""}}}}`} {
		wantProblem(t, draft, p.do("support", http.MethodPost, target, draft), http.StatusForbidden)
		reason, empty := target+"?unmask=case+4711", target+"?unmask="+strings.Repeat("%E2%80%8B", 8)
		wantProblem(t, "for an invisible reason", p.do("support", http.MethodPost, empty, draft), http.StatusUnprocessableEntity)
		for role, target := range map[string]string{"support": reason, "operator": target} { // the replay itself quotes values in a fault
			if a := p.do(role, http.MethodPost, target, draft); a.status != http.StatusUnprocessableEntity || p.seen(a) == nil {
				t.Errorf("%s: %d %s", role, a.status, a.body)
			}
		}
	}
	for _, under := range []string{"now", "then"} {
		p.must(200, "support", http.MethodPost, target, `{"under":"`+under+`"}`)
	}
	if acts := p.must(200, "owner", "GET", "/log?limit=1000&reason=unmasked", "")["items"].([]any); len(acts) != 2 {
		t.Errorf("the trail has %v", acts)
	}
}

// TestSupportFindsByWholeValues: a value that is masked cannot be read letter by letter, by whatever address; what somebody
// knows whole finds people, and a reason lets parts do so, and is in the trail.
func TestSupportFindsByWholeValues(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := b.client("default")
	id := c.create(scim.User, scim.Attributes{"userName": "ken@example.com", "externalId": "4711", "active": true, "emails": []any{map[string]any{"value": "ken@example.com"}}, "phoneNumbers": []any{map[string]any{"value": "+81-90-1234", "type": "work"}},
		plantedURN: map[string]any{"id": "secret"}})
	ask := func(role, address, filter string) answer {
		return b.do(role, "GET", address+url.QueryEscape(filter), "")
	}
	whole := []string{`id eq "` + id + `" and phoneNumbers.value eq "+81-90-1234"`, `userName eq "ken@example.com"`, `not (userName eq "rie")`, `phoneNumbers pr`,
		`phoneNumbers[type eq "work" and value eq "+81-90-1234"]`, `meta.created gt "2020-01-01T00:00:00Z" and active eq true`, `id sw "0"`, `meta.lastModified le "2999-01-01T00:00:00Z"`}
	parts := []string{`id eq "` + id + `" and phoneNumbers.value sw "+8"`, `userName sw "k"`, `userName co "e"`, `userName ew "m"`, `userName gt "k"`, `userName le "z"`, `not (userName sw "k")`,
		`phoneNumbers[type eq "work" and value sw "+8"]`, `phoneNumbers[value ew "4"].type eq "work"`, `phoneNumbers[value ew "4"].type pr`, `externalId pr or displayName co "k"`,
		plantedURN + `:id sw "s"`, `meta.created gt "2020-01-01T00:00:00Z" and title ge "a"`}
	addresses := []string{"/users?filter=", "/export?type=users&filter=", "/matters?kind=adoption&filter="}
	for _, address := range addresses {
		for _, filter := range whole {
			if a := ask("support", address, filter); a.status != http.StatusOK {
				t.Errorf("support, %s%s: %d %s", address, filter, a.status, a.body)
			}
		}
		for _, filter := range parts {
			wantProblem(t, "support, "+address+filter, ask("support", address, filter), http.StatusForbidden)
			for _, allowed := range []answer{ask("operator", address, filter), ask("support", address[:len(address)-len("filter=")]+"unmask=case+4711&filter=", filter)} {
				if allowed.status != http.StatusOK {
					t.Errorf("%s%s: %d %s", address, filter, allowed.status, allowed.body)
				}
			}
		}
	}
	wantProblem(t, "groups", ask("support", "/groups?filter=", `displayName sw "k"`), http.StatusForbidden)
	for _, address := range []string{"/log?prefix=k", "/log/stream?prefix=k", "/audit?prefix=k"} {
		wantProblem(t, address, b.do("support", "GET", address, ""), http.StatusForbidden)
	}
	b.must(200, "support", "GET", "/log?prefix=k&unmask=case+4711", "")
	for path, status := range map[string]int{`phoneNumbers[value sw "+8"].type`: http.StatusForbidden, "userName": http.StatusOK} {
		if a := ask("support", "/users/"+id+"/why?attribute=", path); a.status != status {
			t.Errorf("support asks why %s: %d %s", path, a.status, a.body)
		}
	}
	acts := b.must(200, "owner", "GET", "/log?limit=1000&reason=unmasked", "")["items"].([]any)
	if want := len(addresses)*len(parts) + 1; len(acts) != want {
		t.Errorf("%d searches by parts are in the trail, want %d", len(acts), want)
	}
}

// TestMasks says what support sees, and how it asks for more.
func TestMasks(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ken := b.client("default").user("ken@example.com")
	b.client("default").user("rie@example.com")
	first, again := b.must(200, "support", "GET", "/users/"+ken, ""), b.must(200, "support", "GET", "/users/"+ken, "")
	name, _ := first["userName"].(string)
	if len(name) != len("k•••")+12 || again["userName"] != name || first["attributes"].(map[string]any)["userName"] != name || first["id"] != ken || first["state"] != "active" ||
		first["attributes"].(map[string]any)["active"] != true {
		t.Errorf("support sees %v", first)
	}
	// Who knows the name finds the person by it.
	page, _ := b.page("support", "/users?filter=userName%20eq%20%22ken@example.com%22")
	if len(page.Items) != 1 || page.Items[0]["userName"] != name {
		t.Errorf("by name: %v", page.Items)
	}
	for _, short := range []string{"unmask=because", "unmask=%20%20%20%20%20a%20%20%20", "unmask=" + strings.Repeat("%E2%80%8B", 8), "unmask=" + strings.Repeat("%E3%85%A4", 8)} {
		a := b.do("support", "GET", "/users/"+ken+"?"+short, "")
		wantProblem(t, short, a, http.StatusUnprocessableEntity)
		if !strings.Contains(a.body, "query.unmask") {
			t.Errorf("%s: %s", short, a.body)
		}
	}
	if list := b.must(200, "owner", "GET", "/log?reason=unmasked", "")["items"].([]any); len(list) != 0 {
		t.Errorf("nothing was unmasked, and the log has %v", list)
	}
	if u := b.must(200, "support", "GET", "/users/"+ken+"?unmask=case%204711", ""); u["userName"] != "ken@example.com" {
		t.Errorf("with a reason: %v", u)
	}
	page, header := b.page("support", "/users?limit=1&unmask=case%204711")
	if len(page.Items) != 1 || !strings.Contains(header.Get("Link"), "unmask=case+4711") {
		t.Errorf("the next page would be masked: %s", header.Get("Link"))
	}
	wantProblem(t, "an owner without a reason", b.do("owner", "GET", "/users/"+ken+"?unmask=no", ""), http.StatusUnprocessableEntity)
	b.must(200, "owner", "GET", "/users/"+ken+"?unmask=because%20I%20can", "") // who sees values anyway says nothing by it
	if list := b.must(200, "owner", "GET", "/log?reason=unmasked", "")["items"].([]any); len(list) != 2 {
		t.Errorf("two answers were unmasked, and the log has %v", list)
	}
}

// coarse is a store whose pages of the log end at hours: each search that has gone on from an entry, or from nothing, has looked at as much as
// it may before it found anything, so that where it goes on has no id.
type coarse struct{ provisioning.Store }

func (s coarse) View(ctx context.Context, tenant string, fn func(provisioning.Reader) error) error {
	return s.Store.View(ctx, tenant, func(r provisioning.Reader) error { return fn(coarseReader{r}) })
}

type coarseReader struct{ provisioning.Reader }

func (r coarseReader) EntryPage(q provisioning.EntryQuery) (provisioning.EntryPage, error) {
	page, err := r.Reader.EntryPage(q)
	if err == nil && len(page.Entries) > 0 && (q.Before.IsZero() || q.Before.ID != "") {
		page = provisioning.EntryPage{Next: provisioning.Place{At: page.Entries[0].At.Add(time.Microsecond)}}
	}
	return page, err
}

// TestSupportPagesByBody: a support key, which sees masks, goes from page to page by what the body says, wherever a search ended.
func TestSupportPagesByBody(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t)
	b := newBenchOn(t, s, func(o *api.Options) { o.Service = provisioning.New(provisioning.Options{Store: coarse{s}}) })
	b.world()
	var want, got []string
	whole := b.must(200, "owner", http.MethodGet, "/log?method=PATCH&limit=1000", "")
	if whole["next"] == nil {
		t.Fatalf("the search has found all at once: %v", whole)
	}
	if err := b.service.Entries(t.Context(), tenant, provisioning.EntryQuery{Connection: b.client("default").origin.Connection.ID}, func(e provisioning.Entry) error {
		want = append(want, e.ID)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	pages := 0
	for next := ""; pages == 0 || next != ""; pages++ {
		var page api.LogPage
		a := b.do("support", http.MethodGet, "/log?connection=default&limit=1"+next, "")
		a.read(t, &page)
		if a.status != http.StatusOK || pages > 100 {
			t.Fatalf("page %d, %s: %d %s", pages, next, a.status, a.body)
		}
		if link := a.header.Get("Link"); page.Next != "" && !strings.Contains(link, "next="+page.Next) {
			t.Fatalf("the body says %q, the header %q", page.Next, link)
		}
		for _, e := range page.Items {
			got = append(got, e.ID)
		}
		if next = ""; page.Next != "" {
			next = "&next=" + page.Next
		}
	}
	if !slices.Equal(got, want) || pages < 2*len(want)-1 {
		t.Errorf("%d pages have %q, want %q", pages, got, want)
	}
}

// TestSupportPagesMembers: whoever lists members by pages, and may not see values, is not told of an id that a client made up, neither in the
// body nor in the header, and goes on all the same.
func TestSupportPagesMembers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if _, err := b.service.SetConnection(t.Context(), provisioning.Origin{Tenant: tenant, Actor: "test"}, provisioning.DefaultConnection, func(c *provisioning.ConnectionSettings) {
		c.UnknownMembers = provisioning.KeepUnknownMembers
	}); err != nil {
		t.Fatal(err)
	}
	c := b.client("default")
	names := []string{"ada@person.example", "bea@person.example", "chloé@person.example"}
	staff := c.create(scim.Group, scim.Attributes{"displayName": "staff"}, append(names, c.user("ken"))...)
	walk := func(role, then string) (ids []string) {
		for next := ""; ; {
			a := b.do(role, http.MethodGet, "/groups/"+staff+"/members?limit=1"+then+next, "")
			var page struct {
				Items []struct{ ID string }
				Next  string
			}
			if a.read(t, &page); a.status != http.StatusOK || len(page.Items) != 1 || len(ids) > len(names) {
				t.Fatalf("%s after %q: %d %s", role, ids, a.status, a.body)
			}
			for _, name := range names {
				for _, form := range []string{name, hex.EncodeToString([]byte(name)), url.QueryEscape(name)} {
					if role == "support" && strings.Contains(a.body+a.header.Get("Link"), form) {
						t.Errorf("%s is told: %s, Link %s", form, a.body, a.header.Get("Link"))
					}
				}
			}
			ids = append(ids, page.Items[0].ID)
			if page.Next == "" {
				return ids
			}
			if !strings.Contains(a.header.Get("Link"), "next="+page.Next) {
				t.Errorf("the body says %q, the header %q", page.Next, a.header.Get("Link"))
			}
			next = "&next=" + page.Next
		}
	}
	for _, then := range []string{"", "&at=" + time.Now().UTC().Format(time.RFC3339Nano)} {
		if seen, masks := walk("owner", then), walk("support", then); len(seen) != len(names)+1 || len(masks) != len(seen) {
			t.Errorf("an owner sees %q, support %q", seen, masks)
		}
	}
	for _, next := range []string{"00", "0011223344", hex.EncodeToString([]byte("b")), hex.EncodeToString([]byte("04711000-0000-7000-8000-000000000000"))} {
		wantProblem(t, next, b.do("support", http.MethodGet, "/groups/"+staff+"/members?next="+next, ""), http.StatusUnprocessableEntity)
	}
}
