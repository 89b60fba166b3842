package provisioning_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"meibo/provisioning"
	"meibo/scim"
)

// A resource whose entries come to nothing keeps them and is named; the journal is purged of all others, and the same purge is
// not tried again.
func TestPurgePassesByDamage(t *testing.T) {
	t.Parallel()
	eachDirectory(t, nil, func(d *directory) {
		var ids []string
		for i := range 3 {
			id := d.create(named(fmt.Sprintf("user%d@here.example", i)))
			ids = append(ids, id)
			if err := d.patch(scim.User, id, scim.Operation{Op: "replace", Path: "title", Value: "Engineer"}); err != nil {
				d.Fatal(err)
			}
		}
		var was provisioning.Entry
		must := func(err error) {
			d.Helper()
			if err != nil {
				d.Fatal(err)
			}
		}
		must(d.Entries(d.Context(), "acme", provisioning.EntryQuery{Resource: ids[1], Limit: 1}, func(e provisioning.Entry) error { was = e; return nil }))
		is := was
		is.Version = 7
		must(d.store.Update(d.Context(), "acme", func(tx provisioning.Tx) error {
			return tx.Commit(provisioning.Batch{Journal: []provisioning.JournalChange{{Rewrite: &provisioning.EntryRewrite{Was: was, Is: is}}}})
		}))
		d.clock.Advance(48 * time.Hour)
		cut := d.clock.Now()
		done, err := d.Retain(d.Context(), "acme", cut)
		if done.Baselines != 2 || err == nil || !strings.Contains(err.Error(), ids[1]) || strings.Contains(err.Error(), ids[0]) {
			d.Errorf("purged %+v, %v", done, err)
		}
		kept := 0
		must(d.Entries(d.Context(), "acme", provisioning.EntryQuery{Until: cut}, func(e provisioning.Entry) error {
			if e.Reason.Code != provisioning.ReasonBaseline && e.Reason.Code != provisioning.ReasonExpired {
				kept++
			}
			return nil
		}))
		if kept != 2 {
			d.Errorf("%d entries are as they were, want the two of the damaged one", kept)
		}
		if again, err := d.Retain(d.Context(), "acme", cut); again != (provisioning.Retained{}) || err != nil {
			d.Errorf("the same purge again: %+v, %v", again, err)
		}
	})
}

// TestPastBesideAPurgedGroup: where a group was purged in the moment that the journal now begins with, a user who had been in it is as then.
func TestPastBesideAPurgedGroup(t *testing.T) {
	t.Parallel()
	eachDirectory(t, deletes, func(d *directory) {
		ann := d.create(named("ann"))
		group := d.createGroup("Both", ann)
		if err := d.Delete(d.Context(), d.client("default"), scim.Group, group, nil); err != nil {
			d.Fatal(err)
		}
		d.clock.Advance(25 * time.Hour)
		d.sweep()
		purged := d.clock.Now()
		for past := range 8 { // its entries are some microseconds apart
			cut := purged.Add(time.Duration(past) * time.Microsecond)
			if _, err := d.Retain(d.Context(), "acme", cut); err != nil {
				d.Fatal(err)
			}
			d.clock.Advance(time.Microsecond)
			was, err := d.At(d.Context(), "acme", provisioning.PastQuery{Type: scim.User, ID: ann, At: cut, Groups: true})
			if err != nil || was.Index.Name != "ann" {
				d.Errorf("%d µs after the purge: %+v, %v", past, was, err)
			}
		}
	})
}
