package api_test

import (
	"fmt"
	"strings"
	"testing"

	"meibo/provisioning"
	"meibo/scim"
	"meibo/store/storetest"
)

// demanding is a bench whose settings demand two persons, with a few users: ann is protected, bob an administrator. More
// is what the settings have beside.
func demanding(t *testing.T, s provisioning.Store, users int, more string) (b *bench, ids map[string]string) {
	t.Helper()
	b, ids = newBenchOn(t, s), map[string]string{}
	c := b.client("default")
	for i := range users {
		name := fmt.Sprint("user", i)
		ids[name] = c.user(name)
	}
	ids["ann"], ids["bob"] = c.user("ann"), c.user("bob")
	b.must(200, "operator", "PATCH", "/users/"+ids["ann"], `{"protected":true}`)
	b.must(200, "operator", "PATCH", "/users/"+ids["bob"], `{"role":"admin"}`)
	b.must(200, "operator", "PUT", "/connections/default/settings", `{"matters":{"secondPerson":true},"tolerance":{"users":{"share":100,"count":3,"floor":0}}`+more+`}`)
	return b, ids
}

// refused wants a request to be answered 403 to the first person as often as they ask, and noted once.
func (b *bench) refused(method, target, body string) {
	b.t.Helper()
	for range 2 {
		if p := wantProblem(b.t, method+" "+target+" by one person", b.do("operator", method, target, body), 403); !strings.Contains(p.Detail, "second person") {
			b.t.Errorf("detail %q", p.Detail)
		}
	}
	page, _ := b.page("operator", "/matters?kind=proposal")
	if len(page.Items) != 1 || page.Items[0]["proposedBy"] != "key of the operator" {
		b.t.Errorf("proposals %v", page.Items)
	}
}

// TestSecondPersonForActs: what would get around a guard or the tolerance takes two persons who want the same.
func TestSecondPersonForActs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ user, act, key, want string }{
		"protection taken away":     {"ann", `{"protected":false}`, "protected", "false"},
		"guarded role granted":      {"user0", `{"role":"admin"}`, "role", "admin"},
		"guarded role taken":        {"bob", `{"role":"ordinary"}`, "role", "ordinary"},
		"guarded role taken back":   {"bob", `{"role":""}`, "role", "ordinary"},
		"protection and more":       {"ann", `{"protected":false,"overrides":{"title":"x"}}`, "protected", "false"},
		"a role among others' keys": {"user0", `{"role":"admin","protected":true}`, "protected", "true"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, s provisioning.Store) {
				b, ids := demanding(t, s, 2, "")
				target := "/users/" + ids[c.user]
				before := b.must(200, "operator", "GET", target, "")
				b.refused("PATCH", target, c.act)
				if after := b.must(200, "operator", "GET", target, ""); after["version"] != before["version"] {
					t.Errorf("one person's word was enough: %v", after)
				}
				if after := b.must(200, "owner", "PATCH", target, c.act); fmt.Sprint(after[c.key]) != c.want {
					t.Errorf("after the second person's word: %v", after)
				}
				if page, _ := b.page("operator", "/matters?kind=proposal"); len(page.Items) != 0 {
					t.Errorf("still proposed: %v", page.Items)
				}
			})
		})
	}
}

// TestOnePersonForActs: what gets around nothing is done at one person's word.
func TestOnePersonForActs(t *testing.T) {
	t.Parallel()
	b, ids := demanding(t, storetest.Open(t), 2, "")
	for _, act := range []string{`{"overrides":{"title":"x"}}`, `{"protected":true}`, `{"state":"suspended"}`, `{"state":"active"}`} {
		user := ids["user0"]
		if strings.Contains(act, "protected") {
			user = ids["user1"]
		}
		b.must(200, "operator", "PATCH", "/users/"+user, act)
	}
}

// TestSecondPersonForMany: small steps do not add up to more than the tolerance.
func TestSecondPersonForMany(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s provisioning.Store) {
		b, ids := demanding(t, s, 4, "")
		b.must(200, "operator", "PATCH", "/users/"+ids["user0"], `{"state":"suspended"}`)
		b.must(200, "operator", "PATCH", "/users/"+ids["user1"], `{"state":"removed"}`)
		b.refused("PATCH", "/users/"+ids["user2"], `{"state":"suspended"}`)
		b.must(200, "owner", "PATCH", "/users/"+ids["user2"], `{"state":"suspended"}`)
		page, _ := b.page("operator", "/matters?status=allowed")
		if len(page.Items) != 1 || page.Items[0]["closedBy"] != "key of the owner" || page.Items[0]["resource"] != ids["user2"] {
			t.Errorf("closed: %v", page.Items)
		}
	})
}

// TestSecondPersonForGroups: a group of some size is emptied by two.
func TestSecondPersonForGroups(t *testing.T) {
	t.Parallel()
	b, ids := demanding(t, storetest.Open(t), 4, "")
	staff := b.client("default").create(scim.Group, scim.Attributes{"displayName": "staff"}, ids["user0"], ids["user1"], ids["user2"], ids["user3"])
	b.must(200, "operator", "PATCH", "/groups/"+staff, `{"protected":true}`)
	b.refused("PATCH", "/groups/"+staff, `{"protected":false}`)
	b.must(200, "owner", "PATCH", "/groups/"+staff, `{"protected":false}`)
	b.must(200, "owner", "PATCH", "/groups/"+staff, `{"empty":true}`) // of four, and the tolerance begins at fifty

	b, ids = demanding(t, storetest.Open(t), 4, "")
	b.must(403, "operator", "PUT", "/connections/default/settings", `{"matters":{"secondPerson":true},"tolerance":{"members":{"from":2}}}`)
	b.must(200, "owner", "PUT", "/connections/default/settings", `{"matters":{"secondPerson":true},"tolerance":{"members":{"from":2}}}`)
	staff = b.client("default").create(scim.Group, scim.Attributes{"displayName": "staff"}, ids["user0"], ids["user1"], ids["user2"], ids["user3"])
	b.refused("PATCH", "/groups/"+staff, `{"empty":true}`)
	if g := b.must(200, "owner", "PATCH", "/groups/"+staff, `{"empty":true}`); g["memberCount"] != 0.0 {
		t.Errorf("group %v", g)
	}
}

// TestSecondPersonForImports: a file is another way to what takes two.
func TestSecondPersonForImports(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file, why string
		allow     int
		more      map[string]any
	}{
		"protection": {"type,id,protected\nUser,$ann,false\n", "protection", 0, nil},
		"role":       {"type,id,role\nUser,$user0,admin\n", "role", 0, nil},
		"a new one":  {"type,userName,role\nUser,eve,admin\n", "role", 0, map[string]any{"connection": "default"}},
		"overrides":  {"type,id,overrides\nUser,$user0,\"{\"\"role\"\":\"\"admin\"\"}\"\n", "role", 0, nil},
		"nobody's":   {"type,id\nUser,$user0\n", "owner", 0, map[string]any{"nobody": true}},
		"too many":   {"type,id,state\nUser,$user0,suspended\nUser,$user1,removed\nUser,$user2,suspended\n", "tolerance", 3, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, s provisioning.Store) {
				b, ids := demanding(t, s, 4, "")
				file := c.file
				for user, id := range ids {
					file = strings.ReplaceAll(file, "$"+user, id)
				}
				more := map[string]any{}
				for k, v := range c.more {
					more[k] = v
				}
				plan := b.must(200, "operator", "POST", "/import/plan", order(file, more))
				if plan["takesTwo"] != c.why {
					t.Fatalf("plan %v", plan)
				}
				more["plan"], more["allow"] = plan["plan"], c.allow
				b.refused("POST", "/import", order(file, more))
				if again := b.must(200, "operator", "POST", "/import/plan", order(file, c.more)); again["plan"] != plan["plan"] {
					t.Errorf("one person's word was enough: %v", again)
				}
				if got := b.must(200, "owner", "POST", "/import", order(file, more)); got["changes"] == 0.0 {
					t.Errorf("imported %v", got)
				}
			})
		})
	}
}

// TestOnePersonForImports: a file that gets around nothing takes one person, and what leaves by it is counted.
func TestOnePersonForImports(t *testing.T) {
	t.Parallel()
	b, ids := demanding(t, storetest.Open(t), 4, "")
	leave := func(user string) string { return "type,id,state\nUser," + ids[user] + ",suspended\n" }
	for _, user := range []string{"user0", "user1"} {
		plan := b.must(200, "operator", "POST", "/import/plan", order(leave(user), nil))
		if plan["takesTwo"] != nil {
			t.Fatalf("plan %v", plan)
		}
		b.must(200, "operator", "POST", "/import", order(leave(user), map[string]any{"plan": plan["plan"]}))
	}
	if plan := b.must(200, "operator", "POST", "/import/plan", order(leave("user2"), nil)); plan["takesTwo"] != "tolerance" {
		t.Errorf("the third: %v", plan)
	}
}

// TestSecondPersonForUndo: to undo is another way to what takes two.
func TestSecondPersonForUndo(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s provisioning.Store) {
		b, ids := demanding(t, s, 4, "")
		latest := func(id string) string {
			page, _ := b.page("operator", "/log?limit=1&resource="+id)
			return page.Items[0]["id"].(string)
		}
		work := func() {
			if _, err := b.service.RunJob(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		protection := `{"entry":"` + latest(ids["ann"]) + `"}`
		b.refused("POST", "/undos", protection)
		work()
		if u := b.must(200, "operator", "GET", "/users/"+ids["ann"], ""); u["protected"] != true {
			t.Errorf("ann %v", u)
		}
		b.must(201, "owner", "POST", "/undos", protection)
		work()
		if u := b.must(200, "operator", "GET", "/users/"+ids["ann"], ""); u["protected"] != false {
			t.Errorf("ann %v", u)
		}
		b.refused("POST", "/undos", `{"connection":"default","from":"2020-01-01T00:00:00Z"}`) // all of them would leave
		for _, user := range []string{"user0", "user1"} {
			b.must(201, "operator", "POST", "/undos", `{"entry":"`+latest(ids[user])+`"}`)
			work()
		}
		if p := wantProblem(t, "the third", b.do("operator", "POST", "/undos", `{"entry":"`+latest(ids["user2"])+`"}`), 403); !strings.Contains(p.Detail, "second person") {
			t.Errorf("detail %q", p.Detail)
		}
	})
}

// TestSecondPersonForPurges: what is over its grace time is erased by two.
func TestSecondPersonForPurges(t *testing.T) {
	t.Parallel()
	b, ids := demanding(t, storetest.Open(t), 4, `,"deletion":{"users":{"deleted":"delete"},"grace":"0"}`)
	b.client("default").delete(scim.User, ids["user0"])
	if _, err := b.service.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	page, _ := b.page("operator", "/matters?kind=purge")
	if len(page.Items) != 1 {
		t.Fatalf("matters %v", page.Items)
	}
	target := "/matters/" + page.Items[0]["id"].(string) + "/resolution"
	if m := b.must(200, "operator", "POST", target, `{"status":"allowed"}`); m["status"] != "open" || m["proposedBy"] != "key of the operator" {
		t.Errorf("after one person's word: %v", m)
	}
	wantProblem(t, "the same person again", b.do("operator", "POST", target, `{"status":"allowed"}`), 403)
	b.must(200, "operator", "GET", "/users/"+ids["user0"], "")
	b.must(200, "owner", "POST", target, `{"status":"allowed"}`)
	wantProblem(t, "who was purged", b.do("operator", "GET", "/users/"+ids["user0"], ""), 404)
}
