package api_test

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"meibo/provisioning"
)

// TestHealthOverHTTP hears a client, and asks how its connection does and what its cycles were.
func TestHealthOverHTTP(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	conn, err := b.service.Connection(t.Context(), tenant, "")
	if err != nil {
		t.Fatal(err)
	}
	hear := func(at time.Time, write bool, status int) {
		b.service.Heard(tenant, conn.ID, at, write, status)
		if err := b.service.FlushTraffic(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	hear(now.Add(-40*time.Minute), true, 201)
	hear(now.Add(-39*time.Minute), false, 200)
	hear(now, true, 500)
	health := b.must(200, "operator", "GET", "/connections/default/health", "")
	if health["level"] != "bad" || fmt.Sprint(health["lastDay"]) != "map[failed:1 reads:1 refused:0 throttled:0 writes:2]" {
		t.Errorf("health %v", health)
	}
	if text := health["findings"].([]any)[0].(map[string]any)["text"]; text != "It has no token that counts, so its client is answered 401: create one and enter it there." {
		t.Errorf("finding %v", text)
	}
	b.must(404, "operator", "GET", "/connections/other/health", "")

	list := b.must(200, "operator", "GET", "/cycles?limit=1&connection=default", "")
	latest := list["items"].([]any)[0].(map[string]any)
	if latest["kind"] != "scim" || latest["ended"] != false || latest["connection"] != "default" || list["next"] != latest["id"] {
		t.Errorf("cycles %v", list)
	}
	rest := b.must(200, "operator", "GET", "/cycles?next="+latest["id"].(string), "")
	earlier := rest["items"].([]any)[0].(map[string]any)
	if earlier["ended"] != true || earlier["durationInSeconds"] != 60.0 || rest["next"] != nil {
		t.Errorf("the rest %v", rest)
	}
	both := b.must(200, "operator", "GET", "/cycles/"+latest["id"].(string), "")
	if before, _ := both["before"].(map[string]any); before["id"] != earlier["id"] {
		t.Errorf("compared %v", both)
	}
	b.must(404, "operator", "GET", "/cycles/019aa000-0000-7000-8000-000000000000", "")
	b.must(404, "operator", "GET", "/cycles?connection=other", "")

	b.client("default").user("ken")
	for query, want := range map[string]any{"": nil, "&cycle=" + latest["id"].(string): latest["id"]} {
		entries := b.must(200, "operator", "GET", "/log?connection=default&action=create"+query, "")["items"].([]any)
		if len(entries) != 1 || entries[0].(map[string]any)["cycleId"] != want {
			t.Errorf("%q: %v, want cycle %v", query, entries, want)
		}
		rows, err := csv.NewReader(strings.NewReader(b.accepting("text/csv", "/log?connection=default&action=create"+query).body)).ReadAll()
		if cell := rows[1][slices.Index(rows[0], "cycleId")]; err != nil || want == nil && cell != "" || want != nil && cell != want {
			t.Errorf("%q: %q, %v", query, rows, err)
		}
	}

	debugged := b.must(200, "operator", "POST", "/connections/default/debug", `{"minutes": 30}`)
	if debugged["debugUntil"] == nil {
		t.Errorf("debugged %v", debugged)
	}
	if ended := b.must(200, "operator", "POST", "/connections/default/debug", `{"minutes": 0}`); ended["debugUntil"] != nil {
		t.Errorf("ended %v", ended)
	}
	wantProblem(t, "for more than a day", b.do("operator", "POST", "/connections/default/debug", `{"minutes": 1441}`), 422)
	wantProblem(t, "by support", b.do("support", "POST", "/connections/default/debug", `{"minutes": 1}`), 403)
}

// A run of a job is a cycle.
func TestRunsAreCycles(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.must(200, "operator", "PUT", "/connections/default/settings", `{"mapping":{"userName":{"mode":"local"}}}`)
	jobs, err := b.service.Jobs(t.Context(), tenant, provisioning.JobRecompute, 0)
	if err != nil || len(jobs) != 1 {
		t.Fatalf("jobs %v, %v", jobs, err)
	}
	c := b.must(200, "operator", "GET", "/cycles/"+jobs[0].ID, "")
	if c["kind"] != "recompute" || c["ended"] != false || c["connection"] != "default" {
		t.Errorf("cycle %v", c)
	}
}
