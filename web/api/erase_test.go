package api_test

import (
	"net/http"
	"strings"
	"testing"

	"meibo/provisioning"
	"meibo/scim"
)

// TestEraseOverTheAPI asks for everything held about a user, and erases it: only who is named twice, and is removed.
func TestEraseOverTheAPI(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	connection, err := b.service.Connection(t.Context(), tenant, provisioning.DefaultConnection)
	if err != nil {
		t.Fatal(err)
	}
	o := provisioning.Origin{Tenant: tenant, Connection: connection, Actor: "test"}
	done, err := b.service.Create(t.Context(), o, scim.User, provisioning.Body{Attributes: scim.Attributes{"userName": "ada", "title": "Countess"}})
	if err != nil {
		t.Fatal(err)
	}
	at := "/users/" + done.Resource.ID
	var held struct {
		User    struct{ Asserted map[string]any }
		Entries []struct{ Changes []struct{ New any } }
	}
	b.do("owner", http.MethodGet, at+"/subject-export", "").read(t, &held)
	if held.User.Asserted["title"] != "Countess" || len(held.Entries) != 2 {
		t.Errorf("held about the user: %+v", held)
	}
	wantProblem(t, "another name", b.do("owner", http.MethodPost, at+"/erase", `{"userName": "bob", "remove": true}`), http.StatusUnprocessableEntity)
	wantProblem(t, "not removed", b.do("owner", http.MethodPost, at+"/erase", `{"userName": "ada"}`), http.StatusPreconditionFailed)
	if a := b.do("owner", http.MethodPost, at+"/erase", `{"userName": "ada", "remove": true}`); a.status != http.StatusOK {
		t.Fatalf("erase: %d %s", a.status, a.body)
	}
	if a := b.do("owner", http.MethodPost, at+"/erase", `{"userName": "`+done.Resource.ID+`"}`); a.status != http.StatusOK || !strings.Contains(a.body, `"entries":0`) {
		t.Errorf("once more: %d %s", a.status, a.body)
	}
	wantProblem(t, "the user", b.do("owner", http.MethodGet, at, ""), http.StatusNotFound)
	wantProblem(t, "what is held of the user", b.do("owner", http.MethodGet, at+"/subject-export", ""), http.StatusNotFound)
	if err := b.service.Entries(t.Context(), tenant, provisioning.EntryQuery{}, func(e provisioning.Entry) error {
		if e.ResourceID == done.Resource.ID && (e.ResourceName != "" || len(e.Diff) > 0 && e.Diff[0].New != nil) {
			t.Errorf("an entry keeps %+v", e)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
