package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"meibo/provisioning"
	"meibo/scim"
	"meibo/store"
	"meibo/store/storetest"
)

// must sends a request that must be answered with a status, and reads the answer.
func (b *bench) must(status int, key, method, target, body string) map[string]any {
	b.t.Helper()
	a := b.do(key, method, target, body)
	if a.status != status {
		b.t.Fatalf("%s %s: %d, want %d: %s", method, target, a.status, status, a.body)
	}
	out := map[string]any{}
	if a.body != "" {
		a.read(b.t, &out)
	}
	return out
}

func TestKeysOverHTTP(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	made := b.must(201, "owner", "POST", "/keys", `{"holder":"payroll","role":"application","expires":"2099-01-01T00:00:00Z"}`)
	if text, _ := made["key"].(string); !strings.HasPrefix(text, "meibokey_") || !strings.HasSuffix(text, made["hint"].(string)) || made["state"] != "live" {
		t.Errorf("made %v", made)
	}
	id := made["id"].(string)
	delete(made, "key")
	list := b.must(200, "owner", "GET", "/keys", "")["items"].([]any)
	if diff := cmp.Diff([]any{made}, list); diff != "" {
		t.Errorf("keys (-made +listed):\n%s", diff)
	}
	for range 2 {
		b.must(204, "owner", "DELETE", "/keys/"+id, "")
	}
	if state := b.must(200, "owner", "GET", "/keys", "")["items"].([]any)[0].(map[string]any)["state"]; state != "revoked" {
		t.Errorf("state %v", state)
	}
	wantProblem(t, "an id never issued", b.do("owner", "DELETE", "/keys/019aa000-0000-7000-8000-000000000000", ""), 404)
	wantProblem(t, "an expiry that has passed", b.do("owner", "POST", "/keys", `{"holder":"x","role":"owner","expires":"2020-01-01T00:00:00Z"}`), 409)

	var entries []provisioning.Entry
	if err := b.service.Entries(t.Context(), tenant, provisioning.EntryQuery{}, func(e provisioning.Entry) error {
		entries = append(entries, e)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if e := entries[1]; e.Actor != "key of the owner" || e.Reason.Code != provisioning.ReasonKeyRevoked || e.Correlation == "" {
		t.Errorf("entry %+v", e)
	}
}

func TestTokensOverHTTP(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if _, err := b.service.CreateConnection(t.Context(), provisioning.Origin{Tenant: tenant, Actor: "test"}, "hr"); err != nil {
		t.Fatal(err)
	}
	made := b.must(201, "owner", "POST", "/connections/hr/tokens", `{}`)
	if text, _ := made["token"].(string); !strings.HasPrefix(text, "meibo_") {
		t.Errorf("made %v", made)
	}
	id := made["id"].(string)
	delete(made, "token")
	if diff := cmp.Diff([]any{made}, b.must(200, "owner", "GET", "/connections/hr/tokens", "")["items"]); diff != "" {
		t.Errorf("tokens (-made +listed):\n%s", diff)
	}
	wantProblem(t, "another connection's token", b.do("owner", "DELETE", "/connections/default/tokens/"+id, ""), 404)
	wantProblem(t, "no such connection", b.do("owner", "GET", "/connections/nobody/tokens", ""), 404)
	b.must(204, "owner", "DELETE", "/connections/hr/tokens/"+id, "")
	if list := b.must(200, "owner", "GET", "/connections/hr/tokens", "")["items"].([]any); list[0].(map[string]any)["state"] != "revoked" {
		t.Errorf("tokens %v", list)
	}
	if names := b.must(200, "operator", "GET", "/connections", "")["items"].([]any); len(names) != 2 {
		t.Errorf("connections %v", names)
	}
}

func TestMappingTestOverHTTP(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.client("default").user("Ann@a.example")
	const path = "/connections/default/mapping-test"
	got := b.must(200, "operator", "POST", path, `{"mapping":{"userName":{"mode":"local"},"users":[{"target":"title","constant":"x"}]}}`)
	rows, first := got["rows"].([]any), got["first"].([]any)
	if got["users"] != 1.0 || got["changed"] != 1.0 || got["partial"] != false || len(rows) != 2 || len(first) != 1 {
		t.Fatalf("%v", got)
	}
	if f := first[0].(map[string]any)["findings"].([]any); len(f) != 2 || f[1].(map[string]any)["new"] != "Ann" {
		t.Errorf("findings %v", f)
	}
	wantProblem(t, "an expression that is none", b.do("operator", "POST", path, `{"mapping":{"users":[{"target":"title","expression":"No("}]}}`), 422)
	wantProblem(t, "no such connection", b.do("operator", "POST", "/connections/none/mapping-test", `{}`), 404)
}

func TestSettingsOverHTTP(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const path = "/connections/default/settings"
	first := b.do("operator", "GET", path, "")
	if first.status != 200 || first.header.Get("ETag") != `"0"` {
		t.Fatalf("%d, ETag %q: %s", first.status, first.header.Get("ETag"), first.body)
	}
	plan := b.must(200, "operator", "POST", path+"/plan", `{"guard":{"mode":"refuse"}}`)
	if keys := plan["keys"].([]any); len(keys) != 1 || keys[0].(map[string]any)["key"] != "guard.mode" || plan["version"] != 0.0 {
		t.Errorf("plan %v", plan)
	}
	applied := b.must(200, "operator", "PUT", path+"?comment=stricter", `{"guard":{"mode":"refuse"}}`)
	if applied["version"] != 1.0 || applied["comment"] != "stricter" || applied["actor"] != "key of the operator" ||
		applied["settings"].(map[string]any)["guard"].(map[string]any)["mode"] != "refuse" {
		t.Errorf("applied %v", applied)
	}
	conditional := func(tag, method, target, body string) answer {
		t.Helper()
		return b.sendWith("operator", method, target, body, http.Header{"If-Match": {tag}, "Content-Type": {"application/json"}})
	}
	wantProblem(t, "another version in force", conditional(`"0"`, "PUT", path, `{}`), 412)
	wantProblem(t, "a tag that is none", conditional(`one`, "PUT", path, `{}`), 412)
	if a := conditional(`"1"`, "PUT", path, `{"guard":{"mode":"refuse"},"matching":{"adoption":"refuse"}}`); a.status != 200 || a.header.Get("ETag") != `"2"` {
		t.Errorf("%d, ETag %q: %s", a.status, a.header.Get("ETag"), a.body)
	}
	wantProblem(t, "another version in force", conditional(`"1"`, "POST", path+"/rollback", `{"to":0}`), 412)
	if a := conditional(`"2"`, "POST", path+"/rollback", `{"to":0}`); a.status != 200 || a.header.Get("ETag") != `"3"` {
		t.Errorf("rollback: %d %s", a.status, a.body)
	}
	wantProblem(t, "a version never made", b.do("operator", "POST", path+"/rollback", `{"to":99}`), 404)
	wantProblem(t, "a version never made", b.do("operator", "GET", path+"/versions/99", ""), 404)
	if list := b.must(200, "operator", "GET", path+"/versions", "")["items"].([]any); len(list) != 4 {
		t.Errorf("%d versions: %v", len(list), list)
	}
	if v := b.must(200, "operator", "GET", path+"/versions/1", ""); v["version"] != 1.0 {
		t.Errorf("version %v", v)
	}

	p := wantProblem(t, "settings with problems", b.do("operator", "PUT", path, `{"guard":{"mode":"s3cret-mark"},"s3cret key":1,"tolerance":{"users":{"share":900}}}`), 422)
	if len(p.Errors) != 3 {
		t.Errorf("errors %+v", p.Errors)
	}
	for _, e := range p.Errors {
		if strings.Contains(e.Location+e.Message, "s3cret") || e.Location == "" || e.Message == "" {
			t.Errorf("error %+v", e)
		}
	}
}

func TestActsOverHTTP(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s provisioning.Store) {
		b := newBenchOn(t, s)
		c := b.client("default")
		ken := c.user("ken@example.com")
		staff := c.create(scim.Group, scim.Attributes{"displayName": "staff"}, ken)

		u := b.must(200, "operator", "PATCH", "/users/"+ken, `{"role":"admin","protected":true,"overrides":{"displayName":"The Boss"}}`)
		if u["role"] != "admin" || u["protected"] != true || u["attributes"].(map[string]any)["displayName"] != "The Boss" || u["version"] != 2.0 {
			t.Errorf("changed %v", u)
		}
		p := wantProblem(t, "who is protected leaves", b.do("operator", "PATCH", "/users/"+ken, `{"state":"suspended"}`), 422)
		if p.Code != "mutability" {
			t.Errorf("code %q", p.Code)
		}
		u = b.must(200, "operator", "PATCH", "/users/"+ken, `{"role":"","protected":false,"overrides":{"displayName":null}}`)
		if _, still := u["attributes"].(map[string]any)["displayName"]; still || u["protected"] != false || u["overrides"] != nil || u["role"] != "ordinary" {
			t.Errorf("taken back %v", u)
		}
		if u = b.must(200, "operator", "PATCH", "/users/"+ken, `{"state":"removed"}`); u["state"] != "removed" || u["purgeAt"] == nil || u["leftAt"] == nil {
			t.Errorf("removed %v", u)
		}
		if page, _ := b.page("application", "/users"); len(page.Items) != 0 {
			t.Errorf("still listed: %v", page.Items)
		}
		if page, _ := b.page("application", "/users?state=removed"); len(page.Items) != 1 {
			t.Errorf("the removed: %v", page.Items)
		}
		if u = b.must(200, "operator", "PATCH", "/users/"+ken, `{"state":"active"}`); u["state"] != "active" {
			t.Errorf("restored %v", u)
		}
		if g := b.must(200, "operator", "PATCH", "/groups/"+staff, `{"empty":true}`); g["memberCount"] != 0.0 || g["state"] != "active" {
			t.Errorf("emptied %v", g)
		}
		if page, _ := b.page("application", "/groups/"+staff+"/members"); len(page.Items) != 0 {
			t.Errorf("members of the emptied group: %v", page.Items)
		}
		follow(t, s.(*store.Store))
		all := b.changes("limit=1000").Items
		if last := all[len(all)-1]; !slices.Equal(last.Members.Remove, []string{ken}) {
			t.Errorf("told of the emptied group: %+v", last)
		}
		if g := b.must(200, "operator", "PATCH", "/groups/"+staff, `{"state":"removed"}`); g["state"] != "removed" {
			t.Errorf("removed %v", g)
		}
		if same := b.must(200, "operator", "PATCH", "/users/"+ken, `{"role":null}`); !cmp.Equal(same, u) {
			t.Errorf("nothing to change, and yet %v is not %v", same, u)
		}
		wantProblem(t, "an id never issued", b.do("operator", "PATCH", "/users/"+staff, `{"protected":true}`), 404)
	})
}

func TestMattersOverHTTP(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s provisioning.Store) {
		b := newBenchOn(t, s)
		b.must(200, "operator", "PUT", "/connections/default/settings", `{"deletion":{"users":{"deactivated":"hold"}}}`)
		c := b.client("default")
		ken, rie := c.user("ken"), c.user("rie")
		c.patch(scim.User, ken, "replace", "active", false)
		c.patch(scim.User, rie, "replace", "active", false)

		page, _ := b.page("operator", "/matters?limit=1")
		if len(page.Items) != 1 || page.Items[0]["name"] != "rie" || page.Next == "" {
			t.Fatalf("the latest: %+v", page)
		}
		page, _ = b.page("operator", "/matters?limit=1&next="+page.Next)
		if len(page.Items) != 1 || page.Items[0]["name"] != "ken" || page.Next != "" {
			t.Fatalf("the one before: %+v", page)
		}
		m := page.Items[0]
		if m["kind"] != "held" || m["cause"] != "deactivated" || m["status"] != "open" || m["resource"] != ken || m["connection"] != "default" {
			t.Errorf("matter %v", m)
		}
		id := m["id"].(string)
		wantProblem(t, "a choice that it does not have", b.do("operator", "POST", "/matters/"+id+"/resolution", `{"status":"linked"}`), 422)
		done := b.must(200, "operator", "POST", "/matters/"+id+"/resolution", `{"status":"allowed"}`)
		if done["status"] != "allowed" || done["closedBy"] != "key of the operator" {
			t.Errorf("resolved %v", done)
		}
		wantProblem(t, "a second time", b.do("operator", "POST", "/matters/"+id+"/resolution", `{"status":"rejected"}`), 409)
		if got := b.must(200, "operator", "GET", "/matters/"+id, ""); !cmp.Equal(got["status"], any("allowed")) {
			t.Errorf("read again: %v", got)
		}
		if page, _ := b.page("operator", "/matters?status=any&resource="+ken); len(page.Items) != 1 {
			t.Errorf("about ken: %v", page.Items)
		}
		if page, _ := b.page("operator", "/matters"); len(page.Items) != 1 || page.Items[0]["resource"] != rie {
			t.Errorf("open: %v", page.Items)
		}
		wantProblem(t, "an id never issued", b.do("operator", "GET", "/matters/"+ken, ""), 404)

		b.must(204, "operator", "POST", "/connections/default/allowances", `{"kind":"users","left":10,"until":"`+time.Now().Add(time.Hour).UTC().Format(time.RFC3339)+`"}`)
		wantProblem(t, "that allows nothing", b.do("operator", "POST", "/connections/default/allowances", `{"kind":"users","left":0,"until":"2099-01-01T00:00:00Z"}`), 422)
		wantProblem(t, "that is over", b.do("operator", "POST", "/connections/default/allowances", `{"kind":"users","left":1,"until":"2020-01-01T00:00:00Z"}`), 409)
	})
}

func TestJobsOverHTTP(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t)
	b := newBenchOn(t, s)
	at, connection := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC), b.client("default").origin.Connection.ID
	err := s.Update(t.Context(), tenant, func(tx provisioning.Tx) error {
		return tx.Commit(provisioning.Batch{Jobs: []provisioning.JobChange{{Create: &provisioning.Job{ID: "019aa000-0000-7000-8000-000000000001",
			Kind: provisioning.JobRecompute, Connection: connection, Actor: "key of the operator", Params: []byte("{}"), State: provisioning.JobQueued, Created: at, Changed: at}}}})
	})
	if err != nil {
		t.Fatal(err)
	}
	list := b.must(200, "operator", "GET", "/jobs", "")["items"].([]any)
	if len(list) != 1 {
		t.Fatalf("jobs %v", list)
	}
	job := list[0].(map[string]any)
	if job["kind"] != "recompute" || job["state"] != "queued" || job["connection"] != "default" || job["actor"] != "key of the operator" {
		t.Errorf("job %v", job)
	}
	if diff := cmp.Diff(job, b.must(200, "operator", "GET", "/jobs/"+job["id"].(string), "")); diff != "" {
		t.Error(diff)
	}
	wantProblem(t, "an id never issued", b.do("operator", "GET", "/jobs/019aa000-0000-7000-8000-000000000000", ""), 404)
}

func TestUndoOverHTTP(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := b.client("default")
	ken := c.user("ken")
	b.must(200, "operator", "PATCH", "/users/"+ken, `{"overrides":{"title":"Boss"}}`)
	page, _ := b.page("operator", "/log?limit=1&resource="+ken)
	query := `{"entry":"` + page.Items[0]["id"].(string) + `"}`
	plan := b.must(200, "operator", "POST", "/undos/plan", query)
	if list := plan["resources"].([]any); plan["entries"] != 1.0 || len(list) != 1 || list[0].(map[string]any)["id"] != ken {
		t.Errorf("plan %v", plan)
	}
	job := b.must(201, "operator", "POST", "/undos", query)
	if job["kind"] != "undo" || job["state"] != "queued" {
		t.Errorf("job %v", job)
	}
	if _, err := b.service.RunJob(t.Context()); err != nil {
		t.Fatal(err)
	}
	if job := b.must(200, "operator", "GET", "/jobs/"+job["id"].(string), ""); job["state"] != "done" {
		t.Errorf("job %v", job)
	}
	if u := b.must(200, "operator", "GET", "/users/"+ken, ""); u["overrides"] != nil {
		t.Errorf("undone %v", u)
	}
	wantProblem(t, "an undo of nothing", b.do("operator", "POST", "/undos", `{}`), 422)
	wantProblem(t, "an undo of what is to come", b.do("operator", "POST", "/undos", `{"connection":"default","from":"2099-01-01T00:00:00Z"}`), 422)
	wantProblem(t, "an entry never written", b.do("operator", "POST", "/undos", `{"entry":"019aa000-0000-7000-8000-000000000000"}`), 404)
}
