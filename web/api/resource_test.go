package api_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"meibo/provisioning"
	"meibo/scim"
	"meibo/store/storetest"
	"meibo/web/api"
)

// client writes as a SCIM client of one connection would.
type client struct {
	*bench
	origin provisioning.Origin
}

func (b *bench) client(connection string) *client {
	b.t.Helper()
	c, err := b.service.Connection(b.t.Context(), tenant, connection)
	if err != nil {
		b.t.Fatal(err)
	}
	return &client{b, provisioning.Origin{Tenant: tenant, Connection: c, Actor: "token …test"}}
}

// create makes a resource, which must succeed, and returns its id.
func (c *client) create(t scim.ResourceType, a scim.Attributes, members ...string) string {
	c.t.Helper()
	body := provisioning.Body{Attributes: a, HasMembers: len(members) > 0}
	for _, m := range members {
		body.Members = append(body.Members, scim.Member{Value: m})
	}
	r, err := c.service.Create(c.t.Context(), c.origin, t, body)
	if err != nil {
		c.t.Fatal(err)
	}
	return r.Resource.ID
}

func (c *client) user(name string) string {
	c.t.Helper()
	return c.create(scim.User, scim.Attributes{"userName": name, "externalId": "x-" + name, "active": true})
}

func (c *client) patch(t scim.ResourceType, id, op, path string, value any) {
	c.t.Helper()
	_, err := c.service.Patch(c.t.Context(), c.origin, t, id, []scim.Operation{{Op: op, Path: path, Value: value}}, scim.PatchOptions{}, nil, provisioning.References{})
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) delete(t scim.ResourceType, id string) {
	c.t.Helper()
	if err := c.service.Delete(c.t.Context(), c.origin, t, id, nil); err != nil {
		c.t.Fatal(err)
	}
}

// listed is a page of users or groups.
type listed struct {
	Items []map[string]any
	Next  string
}

func (l listed) names(attribute string) []string {
	out := []string{}
	for _, item := range l.Items {
		out = append(out, fmt.Sprint(item[attribute]))
	}
	return out
}

// page reads one page, which must be answered.
func (b *bench) page(key, target string) (listed, http.Header) {
	b.t.Helper()
	a := b.do(key, http.MethodGet, target, "")
	if a.status != http.StatusOK {
		b.t.Fatalf("GET %s: %d %s", target, a.status, a.body)
	}
	var l listed
	a.read(b.t, &l)
	return l, a.header
}

func TestUsers(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s provisioning.Store) {
		b := newBenchOn(t, s)
		if _, err := b.service.CreateConnection(t.Context(), provisioning.Origin{Tenant: tenant, Actor: "test"}, "hr"); err != nil {
			t.Fatal(err)
		}
		entra, hr := b.client("default"), b.client("hr")
		ken, rie, tom := entra.user("ken@example.com"), hr.user("Rie@example.com"), entra.user("tom@example.com")
		entra.patch(scim.User, tom, "replace", "active", false)

		list, header := b.page("application", "/users")
		if got := list.names("userName"); !slices.Equal(got, []string{"ken@example.com", "Rie@example.com", "tom@example.com"}) || list.Next != "" || header.Get("Link") != "" {
			t.Errorf("users %v, next %q, Link %q", got, list.Next, header.Get("Link"))
		}
		var one map[string]any
		b.do("application", http.MethodGet, "/users/"+tom, "").read(t, &one)
		for key, want := range map[string]any{"id": tom, "externalId": "x-tom@example.com", "userName": "tom@example.com", "state": "suspended",
			"role": list.Items[2]["role"], "protected": false, "connection": "default", "version": 2.0} {
			if !cmp.Equal(one[key], want) {
				t.Errorf("%s is %v, want %v", key, one[key], want)
			}
		}
		if attributes := one["attributes"].(map[string]any); attributes["active"] != false || attributes["userName"] != "tom@example.com" {
			t.Errorf("attributes %v", attributes)
		}
		for filter, want := range map[string][]string{
			`userName eq "RIE@EXAMPLE.COM"`:                         {rie},
			`externalId eq "x-ken@example.com"`:                     {ken},
			`externalId eq "X-KEN@example.com"`:                     {},
			`id eq "` + tom + `"`:                                   {tom},
			`id eq "nobody"`:                                        {},
			`userName sw "ken" or active eq false`:                  {ken, tom},
			`userName eq "tom@example.com" and active eq true`:      {},
			`id eq "` + tom + `" and active eq false`:               {tom},
			`not (active eq false) and meta.resourceType eq "User"`: {ken, rie},
			`userName eq "ken@example.com" and id eq "` + tom + `"`: {},
		} {
			if got, _ := b.page("application", "/users?filter="+url.QueryEscape(filter)); !slices.Equal(got.names("id"), want) {
				t.Errorf("filter %s: %v, want %v", filter, got.names("id"), want)
			}
		}
		for query, want := range map[string][]string{"state=suspended": {tom}, "state=active": {ken, rie}, "state=removed": {}, "state=held": {}, "includeRemoved=true": {ken, rie, tom}} {
			if got, _ := b.page("application", "/users?"+query); !slices.Equal(got.names("id"), want) {
				t.Errorf("%s: %v, want %v", query, got.names("id"), want)
			}
		}
		wantProblem(t, "a group's id", b.do("owner", http.MethodGet, "/groups/"+ken, ""), http.StatusNotFound)
		wantProblem(t, "an id never issued", b.do("owner", http.MethodGet, "/users/019aa000-0000-7000-8000-000000000000", ""), http.StatusNotFound)
	})
}

func TestGroupsAndMembers(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s provisioning.Store) {
		b := newBenchOn(t, s)
		c := b.client("default")
		var users []string
		for i := range 5 {
			users = append(users, c.user(fmt.Sprintf("user%d", i)))
		}
		inner := c.create(scim.Group, scim.Attributes{"displayName": "inner"})
		staff := c.create(scim.Group, scim.Attributes{"displayName": "staff"}, append(slices.Clone(users), inner)...)

		list, _ := b.page("application", "/groups")
		if diff := cmp.Diff([]string{"inner", "staff"}, list.names("displayName")); diff != "" {
			t.Error(diff)
		}
		if n := list.Items[1]["memberCount"]; n != 6.0 {
			t.Errorf("memberCount %v", n)
		}
		var got []string
		target := "/groups/" + staff + "/members?limit=4"
		for next := ""; ; {
			page, header := b.page("application", target+next)
			got = append(got, page.names("id")...)
			if page.Next == "" {
				break
			}
			if len(page.Items) != 4 || header.Get("Link") != "<"+publicURL+api.Base+target+"&next="+page.Next+`>; rel="next"` {
				t.Errorf("%d members, Link %q", len(page.Items), header.Get("Link"))
			}
			next = "&next=" + page.Next
		}
		if want := append(slices.Clone(users), inner); !slices.Equal(got, want) {
			t.Errorf("members %v, want %v", got, want)
		}
		page, _ := b.page("application", "/groups/"+staff+"/members")
		if page.Items[0]["type"] != "User" || page.Items[5]["type"] != "Group" {
			t.Errorf("members %v", page.Items)
		}
		wantProblem(t, "members of nothing", b.do("owner", http.MethodGet, "/groups/"+users[0]+"/members", ""), http.StatusNotFound)
	})
}

// TestPaging: whatever the size of the pages, they hold everybody once, with a filter that walks as well.
func TestPaging(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := b.client("default")
	var want []string
	for i := range 25 {
		want = append(want, c.user(fmt.Sprintf("user%02d", i)))
	}
	slices.Sort(want)
	for _, query := range []string{"limit=1", "limit=7", "limit=24", "limit=25", "limit=26", "limit=1000",
		"limit=7&filter=" + url.QueryEscape("userName sw \"user\""), "limit=25&filter=" + url.QueryEscape("active eq true")} {
		var got []string
		for target := "/users?" + query; target != ""; {
			page, header := b.page("application", target)
			got = append(got, page.names("id")...)
			target = ""
			if link, ok := strings.CutPrefix(header.Get("Link"), "<"+publicURL+api.Base); ok {
				target, _, _ = strings.Cut(link, ">")
			}
			if (page.Next != "") != (target != "") {
				t.Fatalf("next %q, Link %q", page.Next, header.Get("Link"))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %d users, want %d in the order of their ids", query, len(got), len(want))
		}
	}
}

// TestFiltersAreBounded: one request looks at so many and no more, and says where to go on.
func TestFiltersAreBounded(t *testing.T) {
	t.Parallel()
	counted := &counting{Store: storetest.Open(t)}
	b := newBenchOn(t, counted)
	for i := range 4500 {
		counted.extra = append(counted.extra, provisioning.Resource{ID: fmt.Sprintf("%08d-0000-7000-8000-000000000000", i), Type: scim.User,
			State: provisioning.Active, Version: 1, Asserted: []byte(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"u` + fmt.Sprint(i) + `"}`)})
	}
	var sizes []int
	target := "/users?limit=1000&filter=" + url.QueryEscape(`userName eq "u4444" or userName ew "u77"`)
	var found []string
	for next := ""; ; {
		counted.read = 0
		page, _ := b.page("application", target+next)
		sizes = append(sizes, counted.read)
		found = append(found, page.names("userName")...)
		if page.Next == "" {
			break
		}
		next = "&next=" + page.Next
	}
	if !slices.Equal(found, []string{"u77", "u4444"}) {
		t.Errorf("found %v", found)
	}
	if len(sizes) != 3 || slices.Max(sizes) > 2500 {
		t.Errorf("rows read by request: %v", sizes)
	}
}

// counting is a store with made-up accounts that counts how many are read.
type counting struct {
	provisioning.Store
	extra []provisioning.Resource
	read  int
}

type countingReader struct {
	provisioning.Reader
	c *counting
}

func (c *counting) View(ctx context.Context, tenant string, fn func(provisioning.Reader) error) error {
	return c.Store.View(ctx, tenant, func(r provisioning.Reader) error { return fn(countingReader{r, c}) })
}

func (r countingReader) Accounts(q provisioning.AccountQuery, fn func(provisioning.Resource) error) error {
	n := 0
	for _, x := range r.c.extra {
		if x.ID > q.After && n < q.Limit {
			n++
			r.c.read++
			if err := fn(x); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestOverridesAreForPeople: an application sees what is effective, not who made it so.
func TestOverridesAreForPeople(t *testing.T) {
	t.Parallel()
	counted := &counting{Store: storetest.Open(t), extra: []provisioning.Resource{{ID: "019aa000-0000-7000-8000-000000000000", Type: scim.User,
		State: provisioning.Held, Role: "admin", Protected: true, Version: 3, Overrides: []byte(`{"title":"Boss","role":"admin"}`),
		Asserted:  []byte(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"Ken@Example.com","active":false,"title":"Clerk"}`),
		Effective: []byte(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ken","active":false,"title":"Boss"}`)}}}
	b := newBenchOn(t, counted)
	for role, want := range map[string]any{"application": nil,
		"operator": map[string]any{"title": "Boss", "role": "admin"}, "owner": map[string]any{"title": "Boss", "role": "admin"}} {
		page, _ := b.page(role, "/users")
		user := page.Items[0]
		if !cmp.Equal(user["overrides"], want) {
			t.Errorf("%s sees overrides %v, want %v", role, user["overrides"], want)
		}
		attributes := user["attributes"].(map[string]any)
		if user["userName"] != "ken" || attributes["title"] != "Boss" || attributes["active"] != true || user["state"] != "held" || user["protected"] != true || user["role"] != "admin" {
			t.Errorf("%s sees %v", role, maps.Clone(user))
		}
		if _, owned := user["connection"]; owned {
			t.Errorf("%s sees an owner: %v", role, user["connection"])
		}
	}
}

// TestPurgedIsGone: of what was purged a skeleton is stored, and nobody sees it.
func TestPurgedIsGone(t *testing.T) {
	t.Parallel()
	skeleton := provisioning.Resource{ID: "019aa000-0000-7000-8000-000000000000", Type: scim.User, State: provisioning.Removed, Version: 9}
	for name, doc := range map[string]string{"no document": "", "an empty one": "{}"} {
		x := skeleton
		x.Asserted = []byte(doc)
		b := newBenchOn(t, &counting{Store: storetest.Open(t), extra: []provisioning.Resource{x}})
		if page, _ := b.page("owner", "/users?includeRemoved=true"); len(page.Items) != 0 {
			t.Errorf("%s: %v is listed", name, page.Items)
		}
	}
	tombstone := skeleton // whose client still sees what it asserted
	tombstone.Asserted, tombstone.Effective = []byte(`{"userName":"ken"}`), []byte(`{}`)
	b := newBenchOn(t, &counting{Store: storetest.Open(t), extra: []provisioning.Resource{tombstone}})
	if page, _ := b.page("owner", "/users?includeRemoved=true"); len(page.Items) != 0 {
		t.Errorf("a tombstone: %v is listed", page.Items)
	}
}
