package api_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"meibo/provisioning"
	"meibo/provisioning/summary"
	"meibo/scim"
	"meibo/store"
	"meibo/store/storetest"
	"meibo/web/api"
)

// logPage reads one page of the log, which must be answered.
func (b *bench) logPage(target string) (page api.LogPage, link string) {
	b.t.Helper()
	a := b.do("operator", http.MethodGet, target, "")
	if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/json" {
		b.t.Fatalf("GET %s: %d %s %s", target, a.status, a.header.Get("Content-Type"), a.body)
	}
	a.read(b.t, &page)
	return page, a.header.Get("Link")
}

// said is an entry in a few words.
func said(e summary.Entry) string {
	name := "-"
	if e.TargetIdentity != nil {
		name = e.TargetIdentity.DisplayName
	}
	return fmt.Sprintf("%s %s %s", e.Action, e.StatusInfo.Status, name)
}

func saidAll(list []summary.Entry) []string {
	out := []string{}
	for _, e := range list {
		out = append(out, said(e))
	}
	return out
}

// world is a log with something of everything: it returns ken and the group staff.
func (b *bench) world() (ken, staff string) {
	b.t.Helper()
	c := b.client("default")
	ken = c.create(scim.User, scim.Attributes{"userName": "Ken@example.com", "externalId": "4711", "active": true,
		"emails": []any{map[string]any{"value": "ken.tanaka@example.com", "type": "work"}}})
	staff = c.create(scim.Group, scim.Attributes{"displayName": "staff"}, ken)
	c.patch(scim.User, ken, "replace", "displayName", "Ken")
	c.patch(scim.User, ken, "replace", "displayName", "Ken")
	c.patch(scim.Group, staff, "remove", "members", nil)
	if _, err := b.service.Create(b.t.Context(), c.origin, scim.Group, provisioning.Body{Attributes: scim.Attributes{"displayName": "Staff"}}); provisioning.KindOf(err) != provisioning.Conflict {
		b.t.Fatalf("a second group of that name: %v", err)
	}
	b.must(200, "operator", "PATCH", "/users/"+ken, `{"role":"admin"}`)
	c.delete(scim.User, ken)
	return ken, staff
}

func TestLogFilters(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s provisioning.Store) {
		b := newBenchOn(t, s)
		ken, staff := b.world()
		const soon, ago = "2099-01-01T00:00:00Z", "2020-01-01T00:00:00Z"
		all, _ := b.logPage("/log")
		var deleted summary.Entry
		for _, e := range all.Items {
			if e.Action == "delete" {
				deleted = e
			}
		}
		whole := saidAll(all.Items)
		if len(whole) != 10 {
			t.Fatalf("%q", whole)
		}
		aboutKen := []string{"delete warning Ken@example.com", "update success Ken@example.com", "update skipped Ken@example.com", "update success Ken@example.com", "create success Ken@example.com"}
		for query, want := range map[string][]string{
			"since=" + ago + "&until=" + soon:          whole,
			"since=" + soon:                            {},
			"until=" + ago:                             {},
			"action=create":                            {"create failure Staff", "create success staff", "create success Ken@example.com"},
			"outcome=skipped":                          {"update skipped Ken@example.com"},
			"reason=byPerson":                          {"update success Ken@example.com"},
			"resource=" + ken:                          aboutKen,
			"name=KEN@EXAMPLE.com":                     aboutKen,
			"prefix=kEn":                               aboutKen,
			"mail=KEN.tanaka@example.com":              aboutKen,
			"externalId=4711":                          aboutKen,
			"member=" + ken:                            {"update success staff", "create success staff"},
			"method=PATCH":                             {"update success Ken@example.com"},
			"status=200":                               {"update success Ken@example.com"},
			"status=2xx":                               {"update success Ken@example.com"},
			"status=5xx":                               {},
			"slower=1000000":                           {},
			"correlationId=nobody":                     {},
			"connection=default&action=delete":         {"delete warning Ken@example.com"},
			"prefix=ken&action=update&outcome=success": {"update success Ken@example.com", "update success Ken@example.com"},
			"resource=" + staff + "&member=" + ken + "&limit=1": {"update success staff"},
		} {
			page, _ := b.logPage("/log?" + query)
			if diff := cmp.Diff(want, saidAll(page.Items)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", query, diff)
			}
		}
		got := b.must(200, "operator", "GET", "/log/"+deleted.ID, "")
		var one map[string]any
		text, err := json.Marshal(deleted)
		if err != nil || json.Unmarshal(text, &one) != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(one, got); diff != "" {
			t.Errorf("an entry of a page and by its id (-page +id):\n%s", diff)
		}
		wantProblem(t, "no such entry", b.do("operator", "GET", "/log/"+ken, ""), http.StatusNotFound)
		wantProblem(t, "no such connection", b.do("operator", "GET", "/log?connection=nobody", ""), http.StatusNotFound)
		for _, query := range []string{"status=600", "status=6xx", "action=rename", "next=1", "reason=a%20b", "slower=0", "since=yesterday", "who=ken", "limit=0"} {
			wantProblem(t, query, b.do("operator", "GET", "/log?"+query, ""), http.StatusUnprocessableEntity)
		}
	})
}

// TestLogWithout: an empty log says what to leave out, where one parameter is what empties it.
func TestLogWithout(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.world()
	for query, want := range map[string][]string{
		"prefix=ken&action=update&status=409": {"status"},
		"prefix=ken&reason=nobody":            {"reason"},
		"reason=nobody":                       nil, // all there is left would be everything
		"reason=nobody&status=409":            nil,
		"reason=byPerson&action=delete":       {"action", "reason"},
	} {
		page, _ := b.logPage("/log?" + query)
		if len(page.Items) != 0 || !slices.Equal(page.Without, want) {
			t.Errorf("%s: %d items, without %q, want %q", query, len(page.Items), page.Without, want)
		}
	}
}

// TestLogPages: pages of any size are the whole, and so are NDJSON and CSV.
func TestLogPages(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s provisioning.Store) {
		b := newBenchOn(t, s)
		ken, staff := b.world()
		for _, path := range []string{"/log?", "/log?prefix=ken&", "/users/" + ken + "/history?", "/groups/" + staff + "/history?"} {
			whole, _ := b.logPage(path + "limit=1000")
			for size := 1; size < 5; size++ {
				var items []summary.Entry
				for target := fmt.Sprintf("%slimit=%d", path, size); ; {
					page, link := b.logPage(target)
					items = append(items, page.Items...)
					if page.Next == "" {
						break
					}
					target = strings.TrimPrefix(strings.TrimSuffix(link, `>; rel="next"`), "<"+publicURL+api.Base)
				}
				if diff := cmp.Diff(whole.Items, items); diff != "" {
					t.Errorf("%s in pages of %d (-whole +pages):\n%s", path, size, diff)
				}
			}
			var lines []summary.Entry
			a := b.accepting("application/x-ndjson", path+"limit=1")
			for line := range strings.Lines(a.body) {
				var e summary.Entry
				if err := json.Unmarshal([]byte(line), &e); err != nil {
					t.Fatal(err)
				}
				lines = append(lines, e)
			}
			if diff := cmp.Diff(whole.Items, lines); diff != "" {
				t.Errorf("%s as NDJSON (-pages +lines):\n%s", path, diff)
			}
			a = b.accepting("text/csv", path+"limit=1")
			rows, err := csv.NewReader(strings.NewReader(a.body)).ReadAll()
			if err != nil || !strings.HasPrefix(a.body, "\ufeffid,") || len(rows) != len(whole.Items)+1 || rows[1][0] != whole.Items[0].ID {
				t.Errorf("%s as CSV: %v, %q", path, err, rows)
			}
		}
		history, _ := b.logPage("/users/" + ken + "/history")
		want := []string{"delete warning Ken@example.com", "update success Ken@example.com", "update success staff", "update skipped Ken@example.com",
			"update success Ken@example.com", "create success staff", "create success Ken@example.com"}
		if diff := cmp.Diff(want, saidAll(history.Items)); diff != "" {
			t.Errorf("history (-want +got):\n%s", diff)
		}
		wantProblem(t, "the history of nobody", b.do("operator", "GET", "/users/"+staff+"/history", ""), http.StatusNotFound)
	})
}

// accepting asks for a medium, which must be answered.
func (b *bench) accepting(media, target string) answer {
	b.t.Helper()
	a := b.sendWith("operator", http.MethodGet, target, "", http.Header{"Accept": {media}})
	if a.status != http.StatusOK || a.header.Get("Content-Type") != media+"; charset=utf-8" {
		b.t.Fatalf("GET %s: %d %s %s", target, a.status, a.header.Get("Content-Type"), a.body)
	}
	return a
}

func TestLogAccepts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for accept, want := range map[string]string{
		"":                                   "application/json",
		"*/*":                                "application/json",
		"text/html, application/xhtml+xml":   "application/json",
		"text/csv":                           "text/csv; charset=utf-8",
		"TEXT/CSV;header=present":            "text/csv; charset=utf-8",
		"application/x-ndjson, */*;q=0.1":    "application/x-ndjson; charset=utf-8",
		"text/csv;q=0.5, application/json":   "application/json",
		"text/csv;q=0, application/json;q=0": "application/json",
		"text/csv;q=high, ;;":                "application/json",
	} {
		a := b.sendWith("operator", http.MethodGet, "/log", "", http.Header{"Accept": {accept}})
		if got := a.header.Get("Content-Type"); a.status != http.StatusOK || got != want {
			t.Errorf("Accept %q: %d %s, want %s", accept, a.status, got, want)
		}
	}
}

func TestSummaryOverHTTP(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s provisioning.Store) {
		b := newBenchOn(t, s)
		b.world()
		follow(t, s.(*store.Store))
		count := map[string]int64{}
		var got api.Summary
		b.do("operator", http.MethodGet, "/summary", "").read(t, &got)
		for _, hour := range got.Items {
			var total int64
			for _, c := range hour.Counts {
				total += c.Count
				count[c.Action+" "+c.Status] += c.Count
			}
			if total != hour.Total || !hour.Hour.Equal(hour.Hour.Truncate(time.Hour)) {
				t.Errorf("%+v", hour)
			}
		}
		want := map[string]int64{"other success": 2, "create success": 2, "update success": 3, "update skipped": 1, "create failure": 1, "delete warning": 1}
		if diff := cmp.Diff(want, count); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
		b.do("operator", http.MethodGet, "/summary?until=2020-01-01T00:00:00Z", "").read(t, &got)
		if len(got.Items) != 0 {
			t.Errorf("of another time: %+v", got)
		}
		b.do("operator", http.MethodGet, "/summary?connection=default", "").read(t, &got)
		if len(got.Items) == 0 {
			t.Error("nothing of the connection")
		}
		wantProblem(t, "a year", b.do("operator", "GET", "/summary?since=2020-01-01T00:00:00Z", ""), http.StatusUnprocessableEntity)
		wantProblem(t, "no such connection", b.do("operator", "GET", "/summary?connection=nobody", ""), http.StatusNotFound)
	})
}
