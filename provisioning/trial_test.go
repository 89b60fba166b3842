package provisioning_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"meibo/provisioning"
	"meibo/scim"
	"meibo/store/storetest"
)

// document is the whole of what the host application sees of a user.
func (d *directory) document(id string) scim.Attributes {
	d.Helper()
	x := d.account(id)
	doc := x.Effective
	if doc == nil {
		doc = x.Asserted
	}
	a, err := scim.Standard(scim.User).Decode(doc)
	if err != nil {
		d.Fatal(err)
	}
	return a
}

// try runs a trial of the settings in force with an edit.
func (d *directory) try(edit func(*provisioning.Settings)) (provisioning.MappingTrial, map[string]provisioning.MappedUser) {
	d.Helper()
	v, err := d.Settings(d.Context(), "acme", "default")
	if err != nil {
		d.Fatal(err)
	}
	edit(&v.Settings)
	users := map[string]provisioning.MappedUser{}
	trial, err := d.TryMapping(d.Context(), "acme", "default", v.Settings, func(u provisioning.MappedUser) error {
		if before, known := users[u.ID]; known {
			u.Effective, u.Findings = before.Effective, append(before.Findings, u.Findings...)
		}
		users[u.ID] = u
		return nil
	})
	if err != nil {
		d.Fatal(err)
	}
	return trial, users
}

// kinds are the findings of a user: "target kind".
func kinds(u provisioning.MappedUser) (out []string) {
	for _, f := range u.Findings {
		out = append(out, f.Target+" "+string(f.Kind))
	}
	return out
}

func TestTryMapping(t *testing.T) {
	t.Parallel()
	eachDirectory(t, nil, func(d *directory) {
		if _, err := d.CreateConnection(d.Context(), d.admin(), "other"); err != nil {
			d.Fatal(err)
		}
		theirs := d.createAs("other", named("root"))
		user := func(name, title, display string) string {
			a := named(name)
			if title != "" {
				a["title"] = title
			}
			a["displayName"] = display
			return d.create(a)
		}
		ann := user("ann@here.example", "Staff", "山田 太郎")
		twin := user("ann@there.example", "Staff", "Ann")
		root := user("root@here.example", "Staff", "Root")
		none := user("none@here.example", "", "x")
		long := user("long@here.example", "Staff member", "x")
		odd := user("odd@here.example", "Staff!", "x")
		left := user("left@here.example", "", "x")
		d.remove(left)

		trial, users := d.try(func(s *provisioning.Settings) {
			s.Mapping.UserName.Mode = provisioning.LocalUserName
			s.Mapping.Users = []provisioning.MappingRow{
				{Target: "title", Source: "title", Required: true, MaxLength: 6, Characters: "[A-Za-z ]*"},
				{Target: "nickName", Source: "nickName"},
				{Target: "displayName", Expression: "Kana(displayName)", Default: "-"},
			}
		})
		want := map[string][]string{
			ann:  {"nickName unset", "displayName change", "userName change", "displayName guess"},
			twin: {"userName collision"}, root: {"userName collision"},
			none: {"title empty"}, long: {"title length"}, odd: {"title characters"},
		}
		got := map[string][]string{}
		for id, u := range users {
			got[id] = kinds(u)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			d.Errorf("findings (-want +got):\n%s", diff)
		}
		for id, with := range map[string]string{twin: ann, root: theirs} {
			if f := users[id].Findings; len(f) != 1 || f[0].With != with {
				d.Errorf("%+v, want a collision with %s", f, with)
			}
		}
		wantTrial := provisioning.MappingTrial{Users: 6, Changed: 1, Refused: 5, Rows: []provisioning.RowTrial{
			{Target: "title", Required: 1, TooLong: 1, Characters: 1},
			{Target: "nickName", Empty: 1},
			{Target: "displayName", Changes: 1, Guesses: 1},
			{Target: "userName", Changes: 1, Collisions: 2},
		}}
		if diff := cmp.Diff(wantTrial, trial); diff != "" {
			d.Errorf("trial (-want +got):\n%s", diff)
		}
		if got := d.effective(ann, "displayName"); got != "山田 太郎" {
			d.Errorf("the trial wrote %v", got)
		}
		_, err := d.TryMapping(d.Context(), "acme", "none", provisioning.DefaultSettings(), nil)
		wantKind(d.T, err, provisioning.NotFound, "none")
		broken := provisioning.DefaultSettings()
		broken.Mapping.Users = []provisioning.MappingRow{{Target: "title", Expression: "Nothing("}}
		_, err = d.TryMapping(d.Context(), "acme", "", broken, nil)
		wantKind(d.T, err, provisioning.Invalid, "connection")
		_, err = d.TryMapping(d.Context(), "acme", "default", broken, nil)
		wantKind(d.T, err, provisioning.Invalid, "row 1")
	})
}

// TestTrialsComeTrue: what a trial says is what the job does that follows the same settings, user by user.
func TestTrialsComeTrue(t *testing.T) {
	t.Parallel()
	drafts := []func(*provisioning.Settings){
		func(s *provisioning.Settings) {
			s.Mapping.UserName.Mode = provisioning.LocalUserName
			s.Mapping.Users = []provisioning.MappingRow{{Target: "title", Expression: "ToUpper(title)", Required: true, MaxLength: 5}}
		},
		func(s *provisioning.Settings) {
			s.Mapping.UserName.Mode = provisioning.FullUserName
			s.Mapping.Users = []provisioning.MappingRow{
				{Target: "userName", Expression: `Coalesce(nickName, userName)`, Characters: "[a-z0-9@.]+"},
				{Target: "title", Constant: "Staff", Apply: provisioning.ApplyAtCreation},
				{Target: "name.formatted", Expression: `Romanize(displayName)`},
			}
		},
		func(s *provisioning.Settings) { s.Mapping.UserName.Frozen = true },
		func(s *provisioning.Settings) {
			s.Mapping.UserName = provisioning.UserNameSettings{Mode: provisioning.FullUserName}
			s.Mapping.Users = nil
		},
	}
	eachDirectory(t, func(s *provisioning.Settings) { s.Tolerance.Mode = provisioning.ToleranceOff }, func(d *directory) {
		if _, err := d.CreateConnection(d.Context(), d.admin(), "other"); err != nil {
			d.Fatal(err)
		}
		r := rand.New(rand.NewPCG(1, 2))
		ids := d.populate(r)
		refused, changed, rooms := 0, 0, 0
		for i, edit := range drafts {
			trial, users := d.try(edit)
			want := map[string]scim.Attributes{}
			for _, id := range ids {
				if want[id] = d.document(id); users[id].Effective != nil {
					want[id] = users[id].Effective
				}
				for _, f := range users[id].Findings {
					if f.Kind == provisioning.FindingRoom {
						want[id]["userName"] = f.New
						rooms++
					}
				}
			}
			d.apply(edit)
			d.work()
			for _, id := range ids {
				if diff := cmp.Diff(want[id], d.document(id)); diff != "" {
					d.Errorf("draft %d, %s (-trial +job):\n%s\n%+v", i, id, diff, users[id].Findings)
				}
			}
			refused, changed = refused+trial.Refused, changed+trial.Changed
		}
		if refused < 10 || changed < 10 || rooms == 0 {
			d.Errorf("%d were refused, %d changed and %d made room: this shows little", refused, changed, rooms)
		}
	})
}

// populate makes users whose names and nicknames collide, of two connections, some of whom left.
func (d *directory) populate(r *rand.Rand) (ids []string) {
	for i := range 130 { // more than a stride
		a := named(fmt.Sprintf("u%d@%s.example", r.IntN(60), []string{"a", "b", "c"}[r.IntN(3)]))
		a["displayName"] = []string{"ヤマダ タロウ", "Ann", "スズキ"}[r.IntN(3)]
		if r.IntN(3) > 0 {
			a["title"] = strings.Repeat("x", r.IntN(8)+1)
		}
		if r.IntN(4) == 0 {
			a["nickName"] = []string{"nick", "Nick", "u1@a.example", fmt.Sprintf("n%d", i), "no good"}[r.IntN(5)]
		}
		done, err := d.Create(d.Context(), d.client([]string{"default", "default", "other"}[r.IntN(3)]), scim.User, provisioning.Body{Attributes: a})
		if err != nil {
			continue // that name is taken, which others will be
		}
		id := done.Resource.ID
		ids = append(ids, id)
		if done.Resource.Connection != d.client("default").Connection.ID {
			continue
		}
		switch r.IntN(6) {
		case 0:
			d.remove(id)
		case 1:
			if err := d.disable(id); err != nil {
				d.Fatal(err)
			}
		case 2:
			if err := d.override(id, "title", "Chief"); err != nil {
				d.Fatal(err)
			}
		}
	}
	return ids
}

func (d *directory) override(id, path string, v any) error {
	_, err := d.Act(d.Context(), d.admin(), scim.User, id, provisioning.Act{Overrides: map[string]any{path: v}})
	return err
}

// BenchmarkTryMapping weighs a trial of ten expressions against a loop over the same rows that reads, decodes and looks
// at each: the trial is to take no more than ten times as long.
func BenchmarkTryMapping(b *testing.B) {
	ctx := b.Context()
	s := provisioning.New(provisioning.Options{Store: storetest.Open(b)})
	o := provisioning.Origin{Tenant: "acme", Actor: "bench"}
	if _, err := s.CreateTenant(ctx, o); err != nil {
		b.Fatal(err)
	}
	c, err := s.Connection(ctx, "acme", "")
	if err != nil {
		b.Fatal(err)
	}
	o.Connection = c
	const users = 2000
	for i := range users {
		a := scim.Attributes{"userName": fmt.Sprintf("Taro.Yamada.%d@example.jp", i), "externalId": fmt.Sprint(i), "displayName": "山田 太郎",
			"active": true, "title": "課長", "name": map[string]any{"familyName": "山田", "givenName": "太郎"},
			"emails":                  []any{map[string]any{"type": "work", "value": fmt.Sprintf("Taro.Yamada.%d@example.jp", i), "primary": true}},
			scim.EnterpriseUserSchema: map[string]any{"employeeNumber": "10023", "department": "本社営業部"}}
		if _, err := s.Create(ctx, o, scim.User, provisioning.Body{Attributes: a}); err != nil {
			b.Fatal(err)
		}
	}
	draft := provisioning.DefaultSettings()
	draft.Mapping.Users = tenExpressions
	b.Run("trial", func(b *testing.B) {
		for b.Loop() {
			trial, err := s.TryMapping(ctx, "acme", "", draft, func(provisioning.MappedUser) error { return nil })
			if err != nil || trial.Users != users || trial.Refused > 0 {
				b.Fatal(trial, err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*users), "µs/user")
	})
	b.Run("loop", func(b *testing.B) {
		for b.Loop() {
			n := 0
			err := s.Accounts(ctx, "acme", provisioning.AccountQuery{Type: scim.User, Connection: c.ID}, func(x provisioning.Resource) error {
				a, err := scim.Standard(scim.User).Decode(x.Asserted)
				if err == nil && a["userName"] != strings.ToLower(a["userName"].(string)) {
					n++
				}
				return err
			})
			if err != nil || n != users {
				b.Fatal(n, err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*users), "µs/user")
	})
}

// tenExpressions are of the kind that people write.
var tenExpressions = []provisioning.MappingRow{
	{Target: "userName", Expression: `ToLower(userName)`, Required: true, MaxLength: 100},
	{Target: "displayName", Expression: `Join(" ", name.familyName, name.givenName)`, Required: true},
	{Target: "nickName", Expression: `Left(name.givenName, 3)`},
	{Target: "title", Expression: `Switch(title, "Staff", "課長", "Manager", "部長", "Director")`},
	{Target: "userType", Expression: `IIF(IsPresent(attr("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber")), "Employee", "Guest")`},
	{Target: "preferredLanguage", Expression: `Coalesce(preferredLanguage, locale, "ja-JP")`},
	{Target: "name.formatted", Expression: `name.familyName + "　" + name.givenName`},
	{Target: "profileUrl", Expression: `"https://people.example.jp/" + Word(userName, 1, "@")`},
	{Target: "department", Expression: `Replace(department, "本社", nil, nil, "")`},
	{Target: "externalId", Expression: `ToUpper(externalId)`},
}
