package storetest

import (
	"fmt"
	"testing"

	"meibo/provisioning"
	"meibo/scim"
)

// TestPagesOfAUniqueName asks for every page of a filter that one resource satisfies, or none.
func TestPagesOfAUniqueName(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w := newWorld(t, s, "acme")
		ada := w.created(w.user("ada"))
		w.created(w.user("bob"))
		for _, test := range []struct {
			filter       string
			start, count int
			total, rows  int
		}{
			{`userName eq "ADA"`, 1, 1, 1, 1}, {`userName eq "ada"`, 1, 100, 1, 1}, {`userName eq "ada"`, 1, 0, 1, 0},
			{`userName eq "ada"`, 2, 1, 1, 0}, {`userName eq "ada"`, 2, 0, 1, 0}, {`userName eq "nobody"`, 1, 1, 0, 0},
			{`userName eq "nobody"`, 3, 1, 0, 0}, {`id eq "` + ada.ID + `"`, 1, 1, 1, 1}, {`id eq "` + ada.ID + `"`, 2, 5, 1, 0},
			{`userName eq "ada" and displayName eq "other"`, 1, 1, 0, 0}, {`userName eq "ada" or userName eq "bob"`, 1, 1, 2, 1},
			{`userName eq "ada" or userName eq "bob"`, 2, 1, 2, 1},
		} {
			f, err := scim.ParseFilter(scim.Standard(scim.User), test.filter)
			w.must(err)
			page := w.list(provisioning.ListQuery{Scope: w.scope(scim.User), Filter: f, StartIndex: test.start, Count: test.count})
			if got, want := fmt.Sprint(page.Total, len(page.Resources)), fmt.Sprint(test.total, test.rows); got != want {
				t.Errorf("%s from %d, %d at most: total and rows are %s, want %s", test.filter, test.start, test.count, got, want)
			}
		}
	})
}
