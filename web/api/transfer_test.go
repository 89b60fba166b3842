package api_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"meibo/provisioning"
	"meibo/store/storetest"
)

// order is a body about a file.
func order(file string, more map[string]any) string {
	body := map[string]any{"file": file}
	for k, v := range more {
		body[k] = v
	}
	text, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// A file is looked at, applied as it was looked at, and comes back as it is.
func TestFilesOverHTTP(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s provisioning.Store) {
		b := newBenchOn(t, s)
		const file = "type,userName,title,displayName,group,id\nUser,ann,'=Boss,,,\nUser,bob,,,,\nGroup,,,staff,,\n"
		mine := map[string]any{"connection": "default"}
		plan := b.must(200, "operator", "POST", "/import/plan", order(file, mine))
		if diff := cmp.Diff(map[string]any{"Add": 3.0}, plan["count"]); diff != "" || plan["stopped"] != false || len(plan["planned"].([]any)) != 3 {
			t.Fatalf("plan %v", plan)
		}
		if n := len(b.must(200, "support", "GET", "/users", "")["items"].([]any)); n != 0 {
			t.Errorf("a plan made %d users", n)
		}
		mine["plan"] = plan["plan"]
		if got := b.must(200, "operator", "POST", "/import", order(file, mine)); got["changes"] != 3.0 {
			t.Errorf("imported %v", got)
		}
		p := wantProblem(t, "the plan again", b.do("operator", "POST", "/import", order(file, mine)), 412)
		if !strings.Contains(p.Detail, "has changed since plan") {
			t.Errorf("detail %q", p.Detail)
		}

		out := b.do("operator", "GET", "/export?type=all", "") // support is given masks
		if out.status != 200 || out.header.Get("Content-Type") != "text/csv; charset=utf-8" ||
			out.header.Get("Content-Disposition") != `attachment; filename="acme.csv"` || strings.Count(out.body, "\r\n") != 4 || strings.Contains(out.body, ",=") {
			t.Errorf("export: %d %v\n%s", out.status, out.header, out.body)
		}
		again := b.must(200, "operator", "POST", "/import/plan", order(out.body, nil))
		if diff := cmp.Diff(map[string]any{"Skip": 3.0}, again["count"]); diff != "" || len(again["planned"].([]any)) != 0 {
			t.Errorf("the export imported again: %v", again)
		}
		if lines := b.do("operator", "GET", "/export?format=ndjson&type=users&filter=userName+eq+%22bob%22", ""); strings.Count(lines.body, "\n") != 1 ||
			lines.header.Get("Content-Type") != "application/x-ndjson; charset=utf-8" {
			t.Errorf("a user: %s", lines.body)
		}

		var made []provisioning.Entry
		if err := b.service.Entries(t.Context(), tenant, provisioning.EntryQuery{Name: "ann"}, func(e provisioning.Entry) error {
			made = append(made, e)
			return nil
		}); err != nil || len(made) != 1 || made[0].Actor != "key of the operator" || made[0].Request == nil || made[0].Request.Status != 200 {
			t.Errorf("entries %+v, %v", made, err)
		}
	})
}

func TestFilesThatCannotBe(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	wantProblem(t, "a filter that is none", b.do("support", "GET", "/export?filter=x", ""), 422)
	wantProblem(t, "a connection that is none", b.do("operator", "POST", "/import/plan", order("userName\na\n", map[string]any{"connection": "nope"})), 404)
	wantProblem(t, "two owners", b.do("operator", "POST", "/import/plan", order("userName\na\n", map[string]any{"connection": "default", "nobody": true})), 422)
	wantProblem(t, "deletions of nobody knows whose", b.do("operator", "POST", "/import/plan", order("userName\na\n", map[string]any{"deleteMissing": true})), 422)

	plan := b.must(200, "operator", "POST", "/import/plan", order("userName;title\n", nil))
	if planned, _ := json.Marshal(plan["planned"]); plan["plan"] != "" || !strings.Contains(string(planned), "separated by semicolons") {
		t.Errorf("a file that cannot be read: %v", plan)
	}
	mistakes := order("userName,active\na,perhaps\nb,true\n", map[string]any{"connection": "default"})
	plan = b.must(200, "operator", "POST", "/import/plan", mistakes)
	if diff := cmp.Diff(map[string]any{"Invalid": 1.0, "Add": 1.0}, plan["count"]); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	whole := map[string]any{"connection": "default", "plan": plan["plan"]}
	wantProblem(t, "a file with mistakes", b.do("operator", "POST", "/import", order("userName,active\na,perhaps\nb,true\n", whole)), 422)
	whole["skipInvalid"] = true
	whole["deleteMissing"] = true
	wantProblem(t, "deletions beside mistakes", b.do("operator", "POST", "/import", order("userName,active\na,perhaps\nb,true\n", whole)), 422)
	delete(whole, "deleteMissing")
	if got := b.must(200, "operator", "POST", "/import", order("userName,active\na,perhaps\nb,true\n", whole)); got["changes"] != 1.0 {
		t.Errorf("imported %v", got)
	}

	names := "userName,active\n"
	for _, c := range "abcdefghijklmnopqrstuvwxyz" {
		names += "user-" + string(c) + ",true\n"
	}
	everybody := map[string]any{"connection": "default"}
	everybody["plan"] = b.must(200, "operator", "POST", "/import/plan", order(names, everybody))["plan"]
	b.must(200, "operator", "POST", "/import", order(names, everybody))
	leaving := strings.ReplaceAll(names, ",true", ",false")
	delete(everybody, "plan")
	plan = b.must(200, "operator", "POST", "/import/plan", order(leaving, everybody))
	if verdicts := plan["verdicts"].([]any); plan["stopped"] != true || len(verdicts) != 1 || verdicts[0] != "26 of 27 users of connection default would leave; a real run would be stopped: 26 >= 25" {
		t.Errorf("verdicts %v", plan["verdicts"])
	}
	everybody["plan"] = plan["plan"]
	wantProblem(t, "more than the tolerance allows", b.do("operator", "POST", "/import", order(leaving, everybody)), 409)
	everybody["allow"] = 26
	if got := b.must(200, "operator", "POST", "/import", order(leaving, everybody)); got["changes"] != 26.0 {
		t.Errorf("imported %v", got)
	}
}
