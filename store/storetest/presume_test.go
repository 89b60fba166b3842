package storetest

import (
	"testing"

	"meibo/provisioning"
	"meibo/scim"
)

// TestPresumedCandidates creates resources as if nothing stood in their way. Where something does,
// the closure runs again and sees it, and nothing of the presumption is left.
func TestPresumedCandidates(t *testing.T) {
	t.Parallel()
	const external = "6f1e0c2a-5b7d-4e1b-9c3f-0a1b2c3d4e5f"
	for _, test := range []struct {
		name       string
		stored     func(*world) // what is there before
		visible    bool         // the closure must find the visible resource of that name
		effective  bool
		stable     int
		mail       int
		candidates bool
	}{
		{name: "nothing", stored: func(*world) {}},
		{name: "the name", stored: func(w *world) { w.created(w.user("ada@example.com")) }, visible: true, effective: true, candidates: true},
		{name: "the name on another connection", stored: func(w *world) {
			r := w.user("ada@example.com")
			r.Connection = w.other.ID
			w.created(r)
		}, effective: true, candidates: true},
		{name: "the externalId of a visible user", stored: func(w *world) {
			r := w.user("other@example.com")
			r.Index.ExternalID = external
			w.created(r)
		}, stable: 1, candidates: true},
		{name: "the externalId of an invisible user", stored: func(w *world) {
			r := w.user("other@example.com")
			r.Index.ExternalID = external
			w.hide(w.created(r).ID)
		}, stable: 1, candidates: true},
		{name: "an address of another owner's", stored: func(w *world) {
			r := w.user("other@example.com")
			r.Connection, r.Index.Emails = w.other.ID, []provisioning.Email{{Value: "x@example.com"}, {Value: "second@example.com"}}
			w.created(r)
		}, mail: 1, candidates: true},
		{name: "an address of its own connection", stored: func(w *world) {
			r := w.user("other@example.com")
			r.Index.Emails = []provisioning.Email{{Value: "first@example.com"}}
			w.created(r)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			Each(t, func(t *testing.T, s provisioning.Store) {
				w := newWorld(t, s, "acme")
				test.stored(w)
				r := w.user("ada@example.com")
				r.Index.ExternalID = external
				var seen provisioning.Candidates
				err := w.update(func(tx provisioning.Tx) (err error) {
					q := provisioning.CandidateQuery{Scope: w.scope(scim.User), Name: r.Index.Name, ExternalID: external, Presume: true,
						Emails: []string{"first@example.com", "second@example.com"}}
					if seen, err = tx.Candidates(q); err != nil {
						return err
					}
					if seen.Visible != nil || seen.Effective != nil || len(seen.Stable)+len(seen.Mail) > 0 {
						return provisioning.Taken("userName")
					}
					return tx.Commit(provisioning.Batch{
						Changes: []provisioning.Change{{Action: provisioning.ChangeCreate, After: r}}, Entries: []provisioning.Entry{entryAbout(r)}})
				})
				if got := provisioning.KindOf(err) == provisioning.Conflict; got != test.candidates {
					t.Fatalf("the create ended with %v, candidates are there: %t", err, test.candidates)
				}
				if (seen.Visible != nil) != test.visible || (seen.Effective != nil) != test.effective || len(seen.Stable) != test.stable || len(seen.Mail) != test.mail {
					t.Errorf("the last run saw %+v", seen)
				}
				if _, err := w.read(scim.User, r.ID); (err == nil) == test.candidates {
					t.Errorf("afterwards the new user is read with error %v", err)
				}
				if n := len(w.entries(provisioning.EntryQuery{Resource: r.ID})); n != 1 && !test.candidates || n != 0 && test.candidates {
					t.Errorf("%d entries about the new user", n)
				}
			})
		})
	}
}
