package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"meibo/provisioning"
	"meibo/scim"
	"meibo/store/storetest"
)

// questions is a bench whose default connection asked for accounts of another one: an open adoption for each name.
func questions(t *testing.T, s provisioning.Store, names ...string) (b *bench, accounts map[string]string) {
	t.Helper()
	b, accounts = newBenchOn(t, s), map[string]string{}
	if _, err := b.service.CreateConnection(t.Context(), provisioning.Origin{Tenant: tenant, Actor: "test"}, "hr"); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		accounts[name] = b.client("hr").user(name)
		b.asks(name)
	}
	return b, accounts
}

// asks has the default connection's client create a user whose userName is another's.
func (b *bench) asks(name string) {
	b.t.Helper()
	c := b.client("default")
	a := scim.Attributes{"userName": name, "externalId": "e-" + name, "title": "Boss", "active": true}
	_, err := c.service.Create(b.t.Context(), c.origin, scim.User, provisioning.Body{Attributes: a})
	if provisioning.KindOf(err) != provisioning.Conflict {
		b.t.Fatalf("%s: %v", name, err)
	}
}

// matters are the ids of those that a target lists, by name.
func (b *bench) matters(target string) map[string]string {
	b.t.Helper()
	ids := map[string]string{}
	for next := ""; ; {
		page, _ := b.page("operator", target+next)
		for _, m := range page.Items {
			ids[m["name"].(string)] = m["id"].(string)
		}
		if page.Next == "" {
			return ids
		}
		next = "&next=" + page.Next
	}
}

func (b *bench) named(target string) []string {
	b.t.Helper()
	return slices.Sorted(maps.Keys(b.matters(target)))
}

// TestMattersByFilter: a person finds and chooses of those whom a filter over the identity selects.
func TestMattersByFilter(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s provisioning.Store) {
		b, accounts := questions(t, s, "ann@a.example", "bob@b.example", "cy@a.example")
		b.must(200, "operator", "PUT", "/connections/hr/settings", `{"deletion":{"users":{"deactivated":"hold"}}}`)
		b.client("hr").patch(scim.User, accounts["bob@b.example"], "replace", "active", false)
		b.client("hr").create(scim.Group, scim.Attributes{"displayName": "staff"})

		const ofA = "filter=userName+ew+%22%40a.example%22"
		if diff := cmp.Diff([]string{"ann@a.example", "cy@a.example"}, b.named("/matters?limit=1&"+ofA)); diff != "" {
			t.Errorf("of a.example (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"bob@b.example"}, b.named("/matters?kind=held&filter=externalId+eq+%22x-bob%40b.example%22+and+active+eq+false")); diff != "" {
			t.Errorf("held (-want +got):\n%s", diff)
		}
		if got := b.named("/matters?filter=title+eq+%22Clerk%22"); len(got) > 0 {
			t.Errorf("clerks: %v", got)
		}
		wantProblem(t, "a filter that is none", b.do("operator", "GET", "/matters?filter=nonsense", ""), 422)

		const order = `{"kind":"adoption","status":"ignored","filter":"userName ew \"@a.example\""%s}`
		plan := b.must(200, "operator", "POST", "/matters/resolutions", fmt.Sprintf(order, `,"dryRun":true`))
		if diff := cmp.Diff(map[string]any{"planned": 2.0}, plan["count"]); diff != "" || len(b.named("/matters?kind=adoption")) != 3 {
			t.Errorf("plan %v", plan)
		}
		done := b.must(200, "operator", "POST", "/matters/resolutions", fmt.Sprintf(order, ""))
		if diff := cmp.Diff(map[string]any{"done": 2.0}, done["count"]); diff != "" {
			t.Errorf("done %v", done)
		}
		if diff := cmp.Diff([]string{"bob@b.example"}, b.named("/matters?kind=adoption")); diff != "" {
			t.Errorf("still open (-want +got):\n%s", diff)
		}
		wantProblem(t, "a choice that they do not have", b.do("operator", "POST", "/matters/resolutions", `{"kind":"adoption","status":"allowed"}`), 422)
		wantProblem(t, "no choice", b.do("operator", "POST", "/matters/resolutions", `{"kind":"adoption"}`), 422)
		wantProblem(t, "both ways", b.do("operator", "POST", "/matters/resolutions", `{"kind":"adoption","status":"ignored","csv":"matter,choice\n"}`), 422)
	})
}

func csvOrder(dryRun bool, lines ...string) string {
	body, err := json.Marshal(map[string]any{"csv": strings.Join(lines, "\n") + "\n", "dryRun": dryRun})
	if err != nil {
		panic(err)
	}
	return string(body)
}

// TestMattersByCSV: a file is looked at as a whole, each row is done by itself, and a file that was done changes nothing.
func TestMattersByCSV(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s provisioning.Store) {
		b, accounts := questions(t, s, "ann", "bob", "cy", "dan")
		ids := b.matters("/matters?kind=adoption")
		p := wantProblem(t, "a file of mistakes", b.do("operator", "POST", "/matters/resolutions", csvOrder(false,
			"matter,userName,externalId,choice,candidate",
			",ann,,link,",
			",bob,,maybe,",
			",nobody-asked,,ignore,",
			",,,ignore,",
			",cy,,link,"+accounts["dan"],
			",dan,,allow,",
			ids["ann"]+",,,ignore,",
			ids["bob"]+",cy,,ignore,",
			"too,few")), 422)
		var lines []string
		for _, e := range p.Errors {
			line, _, _ := strings.Cut(e.Message, ":")
			lines = append(lines, line)
			if strings.Contains(e.Message, "nobody-asked") || strings.Contains(e.Message, "maybe") {
				t.Errorf("the message repeats what was sent: %s", e.Message)
			}
		}
		if diff := cmp.Diff([]string{"line 3", "line 5", "line 10"}, lines); diff != "" {
			t.Errorf("what the file shows by itself (-want +got):\n%s", diff)
		}
		p = wantProblem(t, "mistakes that the directory shows", b.do("operator", "POST", "/matters/resolutions", csvOrder(false,
			"matter,userName,externalId,choice,candidate", ",ann,,link,", ",nobody-asked,,ignore,", ",cy,,link,"+accounts["dan"], ",dan,,allow,",
			ids["ann"]+",,,ignore,", ids["bob"]+",cy,,ignore,")), 422)
		if len(p.Errors) != 5 || len(b.matters("/matters?kind=adoption")) != 4 {
			t.Errorf("errors %+v", p.Errors)
		}

		file := []string{"\ufeffuserName,externalId,choice,candidate,matter", "ANN,,link,,", ",e-bob,create,,", "cy,e-cy,Linked," + accounts["cy"] + ",", ",,ignored,," + ids["dan"]}
		outcomes := func(dryRun bool) map[string]any {
			t.Helper()
			return b.must(200, "operator", "POST", "/matters/resolutions", csvOrder(dryRun, file...))["count"].(map[string]any)
		}
		for _, c := range []struct {
			dryRun bool
			want   string
		}{{true, "planned"}, {false, "done"}, {false, "already"}, {true, "already"}} {
			if diff := cmp.Diff(map[string]any{c.want: 4.0}, outcomes(c.dryRun)); diff != "" {
				t.Errorf("dry %v (-want +got):\n%s", c.dryRun, diff)
			}
		}
		for name, status := range map[string]string{"ann": "linked", "bob": "created", "cy": "linked", "dan": "ignored"} {
			if m := b.must(200, "operator", "GET", "/matters/"+ids[name], ""); m["status"] != status {
				t.Errorf("%s: %v", name, m)
			}
		}
		if u := b.must(200, "operator", "GET", "/users/"+accounts["ann"], ""); u["connection"] != "default" {
			t.Errorf("ann %v", u)
		}
		wantProblem(t, "another choice than was made", b.do("operator", "POST", "/matters/resolutions", csvOrder(false, "matter,choice", ids["dan"]+",link")), 422)
	})
}

// TestMattersByCSVWithTwo: the first person's rows wait, however often they are sent, and the second one's count.
func TestMattersByCSVWithTwo(t *testing.T) {
	t.Parallel()
	b, _ := questions(t, storetest.Open(t), "ann", "bob")
	b.must(200, "operator", "PUT", "/connections/default/settings", `{"matters":{"secondPerson":true}}`)
	send := func(key string) map[string]any {
		t.Helper()
		return b.must(200, key, "POST", "/matters/resolutions", csvOrder(false, "userName,choice", "ann,link", "bob,ignore"))["count"].(map[string]any)
	}
	for i, want := range []map[string]any{{"waits": 1.0, "done": 1.0}, {"waits": 1.0, "already": 1.0}} {
		if diff := cmp.Diff(want, send("operator")); diff != "" {
			t.Errorf("time %d (-want +got):\n%s", i, diff)
		}
	}
	if diff := cmp.Diff(map[string]any{"done": 1.0, "already": 1.0}, send("owner")); diff != "" {
		t.Errorf("the second person (-want +got):\n%s", diff)
	}
}

// TestIgnoredMatters: what is ignored can be listed and asked about again.
func TestIgnoredMatters(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s provisioning.Store) {
		b, accounts := questions(t, s, "ann")
		id := b.matters("/matters")["ann"]
		if m := b.must(200, "operator", "GET", "/matters/"+id, ""); m["overdue"] != false || m["asserted"].(map[string]any)["title"] != "Boss" {
			t.Errorf("matter %v", m)
		}
		wantProblem(t, "what is open", b.do("operator", "DELETE", "/matters/"+id+"/resolution", ""), 409)
		b.must(200, "operator", "POST", "/matters/"+id+"/resolution", `{"status":"ignored"}`)
		b.asks("ann")
		if diff := cmp.Diff([]string{"ann"}, b.named("/matters?status=ignored&kind=adoption")); diff != "" || len(b.matters("/matters")) != 0 {
			t.Errorf("ignored (-want +got):\n%s", diff)
		}
		if m := b.must(200, "operator", "DELETE", "/matters/"+id+"/resolution", ""); m["status"] != "open" || m["closedBy"] != nil {
			t.Errorf("asked again: %v", m)
		}
		b.asks("ann")
		if m := b.must(200, "operator", "GET", "/matters/"+id, ""); m["times"] != 2.0 {
			t.Errorf("asked again by the client: %v", m)
		}
		b.must(200, "operator", "POST", "/matters/"+id+"/resolution", `{"status":"linked"}`)
		if u := b.must(200, "operator", "GET", "/users/"+accounts["ann"], ""); u["connection"] != "default" {
			t.Errorf("ann %v", u)
		}
		wantProblem(t, "what was linked", b.do("operator", "DELETE", "/matters/"+id+"/resolution", ""), 422)
	})
}
