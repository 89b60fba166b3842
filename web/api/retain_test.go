package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"meibo/provisioning"
	"meibo/scim"
)

// TestBeforeTheCut: who asks for what was purged is told so, and what to do; positions go on without a gap.
func TestBeforeTheCut(t *testing.T) {
	t.Parallel()
	b, st, clock, o := newClockedBench(t)
	service := b.service
	create := func(name string) string {
		done, err := service.Create(t.Context(), o, scim.User, provisioning.Body{Attributes: scim.Attributes{"userName": name}})
		if err != nil {
			t.Fatal(err)
		}
		return done.Resource.ID
	}
	ada := create("ada")
	var old provisioning.Entry
	if err := service.Entries(t.Context(), tenant, provisioning.EntryQuery{Resource: ada}, func(e provisioning.Entry) error {
		old = e
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := service.Refuse(t.Context(), o, provisioning.Intent{Action: provisioning.ActionCreate, Type: scim.User, Name: "nobody"}, provisioning.Taken("userName")); err == nil {
		t.Fatal("a refusal is an error")
	}
	clock.Advance(48 * time.Hour)
	cut := clock.Now()
	clock.Advance(48 * time.Hour)
	create("bob")
	follow := func() {
		if _, _, err := st.Follow(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	follow()
	type feed struct {
		Items []struct{ Position int64 }
		Head  int64
	}
	var before, after feed
	b.do("application", http.MethodGet, "/changes", "").read(t, &before)
	if _, err := service.Retain(t.Context(), tenant, cut); err != nil {
		t.Fatal(err)
	}
	create("cleo")
	follow()
	b.do("application", http.MethodGet, "/changes", "").read(t, &after)
	if after.Head != before.Head+1 || len(after.Items) != 2 || after.Items[0].Position != before.Head || after.Items[1].Position != after.Head {
		t.Errorf("before %+v, after %+v", before, after)
	}
	wantProblem(t, "changes from before the cut", b.do("application", http.MethodGet, "/changes?after=0", ""), http.StatusGone)
	if a := b.do("application", http.MethodGet, fmt.Sprint("/changes?after=", before.Head-1), ""); a.status != http.StatusOK {
		t.Errorf("changes from the cut on: %d %s", a.status, a.body)
	}
	for _, target := range []string{"/audit?after=0", "/log/stream?after=0"} {
		for _, media := range []string{"application/json", "application/x-ndjson"} {
			a := b.sendWith("owner", http.MethodGet, target, "", http.Header{"Accept": {media}})
			if p := wantProblem(t, target, a, http.StatusGone); !strings.Contains(p.Detail, fmt.Sprint("behind position ", before.Head-1)) {
				t.Errorf("%s: %s", target, p.Detail)
			}
		}
	}
	var acts struct{ Reached, Head int64 }
	if b.do("owner", http.MethodGet, "/audit", "").read(t, &acts); acts.Head != after.Head || acts.Reached != after.Head {
		t.Errorf("acts from the oldest on: %+v", acts)
	}
	if a := b.do("owner", http.MethodGet, fmt.Sprint("/audit?after=", before.Head-1), ""); a.status != http.StatusOK {
		t.Errorf("acts from the cut on: %d %s", a.status, a.body)
	}
	wantProblem(t, "the user before the cut", b.do("owner", http.MethodGet, "/users/"+ada+"?at=2026-03-01T10:00:00Z", ""), http.StatusGone)
	if a := b.do("owner", http.MethodGet, "/users/"+ada+"?at="+cut.Format(time.RFC3339), ""); a.status != http.StatusOK {
		t.Errorf("the user at the cut: %d %s", a.status, a.body)
	}
	for _, body := range []string{`{"entry": "` + old.ID + `"}`, `{"connection": "default", "from": "2026-03-01T08:00:00Z"}`} {
		wantProblem(t, "undo "+body, b.do("owner", http.MethodPost, "/undos/plan", body), http.StatusGone)
	}
	if err := st.View(t.Context(), tenant, func(r provisioning.Reader) error {
		return r.Entries(provisioning.EntryQuery{Until: cut}, func(e provisioning.Entry) error {
			if e.ResourceName == "nobody" {
				t.Error("the refusal is there after its time")
			}
			return nil
		})
	}); err != nil {
		t.Fatal(err)
	}
}
