package api_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"meibo/internal/auth"
	"meibo/provisioning"
	"meibo/web/api"
)

// TestProblemsNeverEcho sends a marker in every place that a request has, and wants it in no answer that refuses it.
func TestProblemsNeverEcho(t *testing.T) {
	t.Parallel()
	const mark = "s3cret-mark"
	core, logs := observer.New(zap.DebugLevel)
	b := newBench(t, func(o *api.Options) { o.Log = zap.New(core) })
	esc := url.QueryEscape
	for name, r := range map[string]struct {
		method, target, body, media string
		status                      int
	}{
		"path":              {method: "GET", target: "/users/" + mark, status: 422},
		"path of a delete":  {method: "DELETE", target: "/keys/" + mark, status: 422},
		"connection":        {method: "GET", target: "/connections/" + strings.ToUpper(mark) + mark + "/tokens", status: 422},
		"limit":             {method: "GET", target: "/users?limit=" + mark, status: 422},
		"state":             {method: "GET", target: "/users?state=" + mark, status: 422},
		"boolean":           {method: "GET", target: "/users?includeRemoved=" + mark, status: 422},
		"next":              {method: "GET", target: "/users?next=" + mark, status: 422},
		"next of members":   {method: "GET", target: "/groups/019aa000-0000-7000-8000-000000000000/members?next=" + esc("!"+mark), status: 422},
		"unknown parameter": {method: "GET", target: "/users?" + esc("a "+mark) + "=1", status: 422},
		"filter value":      {method: "GET", target: "/users?filter=" + esc(`userName eq "`+mark), status: 422},
		"filter operator":   {method: "GET", target: "/users?filter=" + esc(`active gt "`+mark+`"`), status: 422},
		"filter number":     {method: "GET", target: "/users?filter=" + esc(`active eq "`+mark+`"`), status: 422},
		"nothing given":     {method: "GET", target: "/users?filter=", status: 422},
		"given twice":       {method: "GET", target: "/users?state=active&state=" + mark, status: 422},
		"no URL encoding":   {method: "GET", target: "/users?filter=%zz" + mark, status: 422},
		"position":          {method: "GET", target: "/changes?after=" + mark, status: 422},
		"broken JSON":       {method: "POST", target: "/keys", body: `{"holder":"` + mark, status: 400},
		"JSON of no object": {method: "POST", target: "/keys", body: `"` + mark + `"`, status: 422},
		"no choice":         {method: "POST", target: "/keys", body: `{"holder":"x","role":"` + mark + `"}`, status: 422},
		"no time":           {method: "POST", target: "/keys", body: `{"holder":"x","role":"owner","expires":"` + mark + `"}`, status: 422},
		"wrong type":        {method: "POST", target: "/keys", body: `{"holder":["` + mark + `"],"role":"owner"}`, status: 422},
		"unknown property":  {method: "POST", target: "/keys", body: `{"holder":"x","role":"owner","a ` + mark + `":"` + mark + `"}`, status: 422},
		"too long":          {method: "POST", target: "/keys", body: `{"holder":"` + strings.Repeat(mark, 20) + `","role":"owner"}`, status: 422},
		"control character": {method: "POST", target: "/keys", body: `{"holder":"` + mark + `\u0007","role":"owner"}`, status: 422},
		"too large":         {method: "POST", target: "/keys", body: `{"holder":"` + strings.Repeat(mark, 10_000) + `"}`, status: 413},
		"media type":        {method: "POST", target: "/keys", body: mark, media: "text/" + mark, status: 415},
		"no body":           {method: "POST", target: "/keys", status: 400},
	} {
		t.Run(name, func(t *testing.T) {
			if r.media == "" {
				r.media = "application/json"
			}
			a := b.send("owner", r.method, r.target, r.body, r.media)
			p := wantProblem(t, name, a, r.status)
			if strings.Contains(strings.ToLower(a.body), mark) {
				t.Errorf("%s %s is answered with what was sent: %s", r.method, r.target, a.body)
			}
			if r.status == 422 && len(p.Errors) == 0 && p.Code == "invalid" && !strings.HasPrefix(name, "control") {
				t.Errorf("%s: nothing says where: %s", name, a.body)
			}
		})
	}
	for _, line := range logs.All() {
		for _, f := range line.Context {
			if strings.Contains(f.String, mark) {
				t.Errorf("the log has %s in %s", f.String, f.Key)
			}
		}
	}
}

// A fault of ours tells the client where to look, and the log what it was.
func TestFaultsOfOurs(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.DebugLevel)
	fault := errors.New("the disk is on fire")
	b := newBench(t, func(o *api.Options) {
		o.Log = zap.New(core)
		o.Authenticate = func(_ context.Context, key string) (auth.Holder, error) {
			if key == "unavailable" {
				return auth.Holder{}, &provisioning.Error{Kind: provisioning.Unavailable, Detail: "later", Err: fault}
			}
			return holder(context.Background(), "owner")
		}
	})
	a := b.do("unavailable", http.MethodGet, "/users", "")
	wantProblem(t, "a database that is away", a, http.StatusServiceUnavailable)
	if a.header.Get("Retry-After") != "5" || strings.Contains(a.body, "fire") {
		t.Errorf("headers %v, body %s", a.header, a.body)
	}
	if logs.FilterMessage("request not served").Len() != 1 {
		t.Error("the log does not tell of it")
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	var seen []api.Observation
	b := newBench(t, func(o *api.Options) {
		o.RateLimit, o.Now = 2, func() time.Time { return now }
		o.Observe = func(x api.Observation) { seen = append(seen, x) }
	})
	statuses := func(key string) (out []int) {
		for range 3 {
			out = append(out, b.do(key, http.MethodGet, "/openapi.json", "").status)
		}
		return out
	}
	for _, key := range []string{"owner", "support"} { // each has a rate of its own
		if got := statuses(key); got[0] != 200 || got[1] != 200 || got[2] != 429 {
			t.Errorf("%s: %v", key, got)
		}
	}
	a := b.do("owner", http.MethodGet, "/openapi.json", "")
	wantProblem(t, "over the rate", a, http.StatusTooManyRequests)
	if a.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
	}
	now = now.Add(time.Second)
	if a := b.do("owner", http.MethodGet, "/openapi.json", ""); a.status != 200 {
		t.Errorf("a second later: %d", a.status)
	}
	throttled := 0
	for _, o := range seen {
		if o.Route != api.Base+"/openapi.json" || o.Method != http.MethodGet {
			t.Errorf("observed %+v", o)
		}
		if o.Throttled {
			throttled++
		}
	}
	if throttled != 3 {
		t.Errorf("%d observed as throttled", throttled)
	}
}
