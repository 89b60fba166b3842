package store

import (
	"context"
	"fmt"
	"testing"

	"meibo/provisioning"
)

// TestManyEmails writes as many addresses as a resource has room for: more than SQLite takes arguments for.
func TestManyEmails(t *testing.T) {
	t.Parallel()
	emails := make([]provisioning.Email, 6_000)
	for i := range emails {
		emails[i] = provisioning.Email{Value: fmt.Sprintf("%d@example.com", i), Type: "work"}
	}
	each(t, func(t *testing.T, s *Store, connection int64) {
		r := testUser(connection, "many")
		change := provisioning.Change{Action: provisioning.ChangeCreate}
		for _, n := range []int{valuesAtOnce, len(emails), len(emails) - 1, valuesAtOnce + 1, 0} {
			r.Index.Emails = emails[:n]
			change.After = r
			must(t, s.Update(context.Background(), "acme", commitOne(change)))
			var rows, intact int
			must(t, s.reads.Raw("select count(*), count(case when value = ord || '@example.com' then 1 end) from resource_value where resource = ?",
				r.ID).Row().Scan(&rows, &intact))
			if rows != n || intact != n {
				t.Errorf("%d rows are stored, %d of them in their place, want %d", rows, intact, n)
			}
			before := r
			r.Version++
			change = provisioning.Change{Action: provisioning.ChangeUpdate, Before: &before}
		}
	})
}
