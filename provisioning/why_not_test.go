package provisioning_test

import (
	"slices"
	"testing"
	"time"

	"meibo/provisioning"
	"meibo/scim"
)

// whyNot asks why somebody is not there.
func (d *directory) whyNot(user string) provisioning.WhyNot {
	d.Helper()
	out, err := d.WhyNot(d.Context(), "acme", user)
	if err != nil {
		d.Fatalf("why not %s: %v", user, err)
	}
	return out
}

// TestWhyNotAfterAnErasure: a question whose document was erased keeps nobody from asking about others.
func TestWhyNotAfterAnErasure(t *testing.T) {
	t.Parallel()
	eachDirectory(t, nil, func(d *directory) {
		if _, err := d.CreateConnection(d.Context(), d.admin(), "other"); err != nil {
			d.Fatal(err)
		}
		const name = "kim@x.example"
		kim := d.createAs("other", named(name))
		_, err := d.Create(d.Context(), d.client("default"), scim.User, provisioning.Body{Attributes: named(name)})
		wantKind(d.T, err, provisioning.Conflict, "")
		d.clock.Advance(time.Minute)
		if _, err := d.Erase(d.Context(), d.admin(), kim, true); err != nil {
			d.Fatal(err)
		}
		if all := d.matters(provisioning.MatterQuery{Kind: provisioning.MatterAdoption}); len(all) != 1 || all[0].Asserted != nil {
			d.Fatalf("questions: %+v", all)
		}
		for _, user := range []string{"nobody@x.example", name} {
			if got := d.whyNot(user); got.Causes[0].Cause != provisioning.NotSent {
				d.Errorf("%s: %+v", user, got.Causes)
			}
		}
	})
}

// wantCauses compares what is wrong with somebody.
func (d *directory) wantCauses(user string, want ...provisioning.NotCause) provisioning.WhyNot {
	d.Helper()
	got := d.whyNot(user)
	var causes []provisioning.NotCause
	for _, c := range got.Causes {
		causes = append(causes, c.Cause)
	}
	if !slices.Equal(causes, want) {
		d.Errorf("%s: %v, want %v: %v", user, causes, want, got.Causes[0].Statement)
	}
	return got
}

// TestWhyNotOfAJob: what a job could not do is no refusal of the client, and is nothing any more once the settings changed.
func TestWhyNotOfAJob(t *testing.T) {
	t.Parallel()
	eachDirectory(t, nil, func(d *directory) {
		const name = "kim@x.example"
		d.create(named(name))
		d.clock.Advance(time.Minute)
		d.apply(func(s *provisioning.Settings) {
			s.Mapping.Users = []provisioning.MappingRow{{Target: "displayName", Source: "title", Required: true}}
		})
		d.work()
		got := d.wantCauses(name, provisioning.NotMapped)
		if said := got.Causes[0].Statement; said.Code != "verdict.mappingFailed" || said.Args["variant"] != "run" || said.Args["detail"] == "" || got.Causes[0].Rule == nil {
			d.Errorf("%+v", got.Causes[0])
		}
		d.clock.Advance(time.Minute)
		d.apply(func(s *provisioning.Settings) { s.Mapping.Users = nil })
		d.work()
		if got := d.wantCauses(name, provisioning.NothingWrong); !got.Healthy {
			d.Error("not healthy")
		}
	})
}

// TestWhyNotOfTheErased: by the id, which stays, somebody was erased.
func TestWhyNotOfTheErased(t *testing.T) {
	t.Parallel()
	eachDirectory(t, nil, func(d *directory) {
		id := d.create(named("kim@x.example"))
		d.clock.Advance(time.Minute)
		if _, err := d.Erase(d.Context(), d.admin(), id, true); err != nil {
			d.Fatal(err)
		}
		got := d.wantCauses(id, provisioning.NotErased)
		if got.Healthy || got.Causes[0].Entry == "" {
			d.Errorf("%+v", got.Causes[0])
		}
	})
}

// TestWhyNotOfAChosenName: under the client's name nobody is found in the application once a person chose another; that one is right.
func TestWhyNotOfAChosenName(t *testing.T) {
	t.Parallel()
	eachDirectory(t, nil, func(d *directory) {
		id := d.create(named("kim@x.example"))
		d.clock.Advance(time.Minute)
		act := provisioning.Act{Overrides: map[string]any{"userName": "kimba@x.example"}}
		if _, err := d.Act(d.Context(), d.admin(), scim.User, id, act); err != nil {
			d.Fatal(err)
		}
		got := d.wantCauses("Kim@x.example", provisioning.NotRenamed)
		if said := got.Causes[0].Statement.Args; said["variant"] != "person" || said["actor"] != "admin" || said["value"] != "kimba@x.example" || said["at"] == "" {
			d.Errorf("%+v", got.Causes[0])
		}
		d.wantCauses("kimba@x.example", provisioning.NothingWrong)
		d.wantCauses(id, provisioning.NothingWrong)
	})
}

// TestWhyNotByAnEarlierAddress: a userName of earlier finds somebody, a mail address and an externalId those of now alone.
func TestWhyNotByAnEarlierAddress(t *testing.T) {
	t.Parallel()
	eachDirectory(t, nil, func(d *directory) {
		kim := named("kim@x.example")
		kim["externalId"], kim["emails"] = "one", []any{map[string]any{"value": "m1@x.example"}}
		id := d.create(kim)
		d.clock.Advance(time.Minute)
		if err := d.patch(scim.User, id, scim.Operation{Op: "replace", Value: map[string]any{"userName": "kimba@x.example", "externalId": "two",
			"emails": []any{map[string]any{"value": "m2@x.example"}}}}); err != nil {
			d.Fatal(err)
		}
		d.wantCauses("kim@x.example", provisioning.NotRenamed)
		for _, now := range []string{"kimba@x.example", "m2@x.example", "two"} {
			d.wantCauses(now, provisioning.NothingWrong)
		}
		for _, earlier := range []string{"m1@x.example", "one"} {
			d.wantCauses(earlier, provisioning.NotSent)
		}
	})
}

// TestWhyNotByAnAddressThatWasTheName: a userName that somebody had before finds them renamed, although their mail address is that one still.
func TestWhyNotByAnAddressThatWasTheName(t *testing.T) {
	t.Parallel()
	eachDirectory(t, nil, func(d *directory) {
		kim := named("kim@x.example")
		kim["externalId"], kim["emails"] = "one", []any{map[string]any{"value": "Kim@x.example"}}
		id := d.create(kim)
		d.clock.Advance(time.Minute)
		if err := d.patch(scim.User, id, scim.Operation{Op: "replace", Path: "userName", Value: "kimba@x.example"}); err != nil {
			d.Fatal(err)
		}
		d.clock.Advance(time.Minute)
		got := d.wantCauses("KIM@x.example", provisioning.NotRenamed)
		if said := got.Causes[0].Statement.Args; said["value"] != "kimba@x.example" || said["who"] != "KIM@x.example" || got.Healthy {
			d.Errorf("%+v", got.Causes[0])
		}
		for _, now := range []string{"kimba@x.example", "one", id} {
			d.wantCauses(now, provisioning.NothingWrong)
		}
	})
}

// TestWhyNotOfTheRenamedWhoLeft: whoever was renamed, and left, is not said to be there under the other name.
func TestWhyNotOfTheRenamedWhoLeft(t *testing.T) {
	t.Parallel()
	eachDirectory(t, nil, func(d *directory) {
		id := d.create(named("kim@x.example"))
		d.clock.Advance(time.Minute)
		if err := d.patch(scim.User, id, scim.Operation{Op: "replace", Path: "userName", Value: "kimba@x.example"}); err != nil {
			d.Fatal(err)
		}
		d.clock.Advance(time.Minute)
		if err := d.patch(scim.User, id, scim.Operation{Op: "replace", Path: "active", Value: false}); err != nil {
			d.Fatal(err)
		}
		got := d.wantCauses("kim@x.example", provisioning.NotActive, provisioning.NotRenamed)
		if said := got.Causes[1].Statement.Args; said["variant"] != "gone" || said["value"] != "kimba@x.example" {
			d.Errorf("%v", said)
		}
	})
}

// TestWhyNotByTheCauseThatHolds: of several causes that came one after the other, the one that holds still counts, with its time.
func TestWhyNotByTheCauseThatHolds(t *testing.T) {
	t.Parallel()
	eachDirectory(t, func(s *provisioning.Settings) { s.Scope.Users.Filter = `not (userType eq "Guest")` }, func(d *directory) {
		asserts := func(id, attribute string, value any) {
			d.Helper()
			d.clock.Advance(time.Minute)
			if err := d.patch(scim.User, id, scim.Operation{Op: "replace", Path: attribute, Value: value}); err != nil {
				d.Fatal(err)
			}
		}
		const name = "kim@x.example"
		id := d.create(named(name))
		asserts(id, "userType", "Guest")
		d.wantCauses(name, provisioning.NotInScope)
		asserts(id, "active", false)
		asserts(id, "userType", "Member")
		d.wantCauses(name, provisioning.NotActive)
		d.clock.Advance(time.Minute)
		d.remove(id)
		got := d.wantCauses(name, provisioning.NotThere)
		if c := got.Causes[0]; !c.At.Equal(d.clock.Now()) || c.Rule == nil || c.Rule.Path != "deletion.users.deleted" {
			d.Errorf("%+v", c)
		}
	})
}
