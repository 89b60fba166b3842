package provisioning_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"meibo/provisioning"
	"meibo/scim"
)

// TestGuessesAreMarked: a proposal is marked where it is seen and in the entry that wrote it, until somebody says otherwise.
func TestGuessesAreMarked(t *testing.T) {
	t.Parallel()
	kana := func(s *provisioning.Settings) {
		s.Mapping.Users = []provisioning.MappingRow{
			{Target: "nickName", Expression: "Kana(displayName)"},
			{Target: "title", Expression: "Romanize(nickName)", Apply: provisioning.ApplyAtCreation},
			{Target: "userType", Constant: "Staff"},
		}
	}
	eachDirectory(t, kana, func(d *directory) {
		want := func(when, id string, targets ...string) {
			d.Helper()
			x := d.account(id)
			// A service that has compiled nothing comes to the same.
			for _, s := range []*provisioning.Service{d.Service, d.fresh()} {
				got, err := s.Guesses(d.Context(), "acme", &x)
				if diff := cmp.Diff(targets, got); diff != "" || err != nil {
					d.Errorf("%s: %v (-want +got):\n%s", when, err, diff)
				}
			}
		}
		wrote := func(when, id, targets string) {
			d.Helper()
			var e provisioning.Entry
			if err := d.Entries(d.Context(), "acme", provisioning.EntryQuery{Resource: id, Limit: 1}, func(one provisioning.Entry) error { e = one; return nil }); err != nil {
				d.Fatal(err)
			}
			if e.Reason.Args["guessed"] != targets {
				d.Errorf("%s: the entry names %q, want %q", when, e.Reason.Args["guessed"], targets)
			}
		}
		a := named("taro")
		a["displayName"], a["nickName"] = "山田 太郎", "たろう"
		taro := d.create(a)
		want("at creation", taro, "nickName", "title")
		wrote("at creation", taro, "nickName title")
		plain := d.create(named("plain"))
		want("without a name", plain)
		wrote("without a name", plain, "")

		if err := d.patch(scim.User, taro, scim.Operation{Op: "replace", Path: "locale", Value: "ja-JP"}); err != nil {
			d.Fatal(err)
		}
		want("another attribute", taro, "nickName", "title")
		wrote("another attribute", taro, "")
		if err := d.override(taro, "nickName", "タロー"); err != nil {
			d.Fatal(err)
		}
		want("a person's word", taro, "title")
		if err := d.override(taro, "nickName", nil); err != nil {
			d.Fatal(err)
		}
		want("taken back", taro, "nickName", "title")
		if err := d.patch(scim.User, taro, scim.Operation{Op: "replace", Path: "nickName", Value: "ヤマダ タロウ"}); err != nil {
			d.Fatal(err)
		}
		if got := d.effective(taro, "nickName"); got != "ヤマダ タロウ" {
			d.Fatalf("nickName %v", got)
		}
		want("asserted by now", taro)

		d.apply(func(s *provisioning.Settings) { s.Mapping.Users = nil })
		d.work()
		want("without the rows", taro)
	})
}

// fresh is another service on the same database.
func (d *directory) fresh() *provisioning.Service {
	return provisioning.New(provisioning.Options{Store: d.store, Now: d.clock.Now})
}
