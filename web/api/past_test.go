package api_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"meibo/provisioning"
	"meibo/scim"
)

// TestThePast asks for a user and a group before and after a change, and before they were there.
func TestThePast(t *testing.T) {
	t.Parallel()
	b, _, clock, o := newClockedBench(t)
	made := func(kind scim.ResourceType, body provisioning.Body) string {
		done, err := b.service.Create(t.Context(), o, kind, body)
		if err != nil {
			t.Fatal(err)
		}
		return done.Resource.ID
	}
	patched := func(kind scim.ResourceType, id string, op scim.Operation) {
		if _, err := b.service.Patch(t.Context(), o, kind, id, []scim.Operation{op}, scim.PatchOptions{}, nil, provisioning.References{}); err != nil {
			t.Fatal(err)
		}
	}
	ada := made(scim.User, provisioning.Body{Attributes: scim.Attributes{"userName": "ada", "title": "Countess"}})
	bob := made(scim.User, provisioning.Body{Attributes: scim.Attributes{"userName": "bob"}})
	clock.Advance(time.Hour)
	crew := made(scim.Group, provisioning.Body{Attributes: scim.Attributes{"displayName": "Crew"}, Members: []scim.Member{{Value: ada, Display: "Ada"}, {Value: bob}}, HasMembers: true})
	before := clock.Now()
	clock.Advance(time.Hour)
	patched(scim.User, ada, scim.Operation{Op: "replace", Path: "title", Value: "Dr."})
	patched(scim.Group, crew, scim.Operation{Op: "remove", Path: "members", Value: []any{map[string]any{"value": ada}}})
	after := clock.Now()

	at := func(target string, t time.Time) string { return target + "?at=" + t.Format(time.RFC3339) }
	var user struct {
		Attributes map[string]any
		Past       struct {
			Asserted map[string]any
			Groups   []struct {
				ID, DisplayName     string
				Asserted, Effective bool
			}
		}
	}
	a := b.do("operator", http.MethodGet, at("/users/"+ada, before), "")
	a.read(t, &user)
	if a.status != http.StatusOK || user.Attributes["title"] != "Countess" || user.Past.Asserted["title"] != "Countess" || len(user.Past.Groups) != 1 ||
		user.Past.Groups[0].ID != crew || user.Past.Groups[0].DisplayName != "Crew" || !user.Past.Groups[0].Asserted || !user.Past.Groups[0].Effective {
		t.Errorf("the user as it was: %d %s", a.status, a.body)
	}
	var group struct{ MemberCount int }
	b.do("owner", http.MethodGet, at("/groups/"+crew, before), "").read(t, &group)
	if group.MemberCount != 2 {
		t.Errorf("%d members were counted, want 2", group.MemberCount)
	}
	var names []string
	for next := ""; ; {
		var page struct {
			Items []struct {
				ID, Display         string
				Asserted, Effective bool
			}
			Next string
		}
		b.do("owner", http.MethodGet, at("/groups/"+crew+"/members", before)+"&limit=1"+next, "").read(t, &page)
		for _, m := range page.Items {
			names = append(names, fmt.Sprintf("%s%s%t%t", m.ID, m.Display, m.Asserted, m.Effective))
		}
		if page.Next == "" {
			break
		}
		next = "&next=" + page.Next
	}
	if got, want := fmt.Sprint(names), fmt.Sprint([]string{ada + "Adatruetrue", bob + "truetrue"}); got != want {
		t.Errorf("members %s, want %s", got, want)
	}

	between := "/difference?from=" + before.Format(time.RFC3339) + "&to=" + after.Format(time.RFC3339)
	var difference struct {
		New     bool
		Changes []struct {
			Path     string
			Old, New any
		}
		Left    []struct{ ID string }
		Members struct{ AssertedRemove, EffectiveRemove []string }
	}
	b.do("operator", http.MethodGet, "/users/"+ada+between, "").read(t, &difference)
	if c := difference.Changes; difference.New || len(c) != 1 || c[0].Path != "title" || c[0].Old != "Countess" || c[0].New != "Dr." || len(difference.Left) != 1 {
		t.Errorf("what became of the user: %+v", difference)
	}
	b.do("operator", http.MethodGet, "/groups/"+crew+between, "").read(t, &difference)
	if m := difference.Members; fmt.Sprint(m.AssertedRemove, m.EffectiveRemove) != fmt.Sprint([]string{ada}, []string{ada}) {
		t.Errorf("what became of the group: %+v", difference)
	}

	early := before.Add(-3 * time.Hour)
	for target, status := range map[string]int{
		at("/users/"+ada, early): http.StatusNotFound, at("/groups/"+crew, early): http.StatusNotFound, at("/groups/"+crew+"/members", early): http.StatusNotFound,
		at("/users/"+ada, after.Add(100*365*24*time.Hour)):                                http.StatusUnprocessableEntity,
		"/users/" + ada + "/difference?from=2026-03-01T12:00:00Z&to=2026-03-01T11:00:00Z": http.StatusUnprocessableEntity,
		"/users/" + ada + "/difference":                                                   http.StatusUnprocessableEntity,
	} {
		wantProblem(t, target, b.do("owner", http.MethodGet, target, ""), status)
	}
	wantProblem(t, "an application", b.do("application", http.MethodGet, at("/users/"+ada, before), ""), http.StatusForbidden)
}
