package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"meibo/internal/auth"
	"meibo/internal/testkit"
	"meibo/provisioning"
	"meibo/provisioning/summary"
	"meibo/scim"
)

// asker asks the API in the name of support staff.
type asker struct {
	*stage
	key string
}

func (s *stage) asker() asker {
	s.t.Helper()
	text, hash, hint := auth.NewKey()
	_, err := s.service.CreateKey(s.t.Context(), provisioning.Origin{Tenant: s.name, Actor: "test"},
		provisioning.NewAPIKey{Holder: "Rie Sato", Role: provisioning.KeyOperator, Hash: hash, Hint: hint})
	if err != nil {
		s.t.Fatal(err)
	}
	return asker{s, text}
}

// ask reads what an address below /api/v1 answers.
func (a asker) ask(target string, into any) {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), http.MethodGet, a.http.URL+"/api/v1"+target, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+a.key)
	res, err := a.client.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode == http.StatusOK {
		err = json.Unmarshal(text, into)
	}
	if err != nil || res.StatusCode != http.StatusOK {
		a.t.Fatalf("%s: %d, %v: %s", target, res.StatusCode, err, text)
	}
}

func (a asker) whyNot(user string) (out summary.WhyNot) {
	a.t.Helper()
	a.ask("/why-not?user="+url.QueryEscape(user), &out)
	return out
}

// plantedCauses are the causes why somebody is not there, or not as expected: each is brought about, and named first.
var plantedCauses = []struct {
	cause provisioning.NotCause
	user  string // who is asked about; "" for kim's userName
	says  string // part of the sentence
	edit  func(*provisioning.Settings)
	plant func(*stage, *testkit.Clock)
}{
	{provisioning.NotSent, "", "no request named kim@contoso.com", nil, func(s *stage, _ *testkit.Clock) { s.users("ann") }},
	{provisioning.NotAccepted, "", "refused twice", nil, func(s *stage, _ *testkit.Clock) {
		for range 2 {
			s.post("kim", object{"emails": []object{{"value": strings.Repeat("x", 2000)}}})
			s.want(http.StatusBadRequest)
		}
	}},
	{provisioning.NotMapped, "", "displayName", func(s *provisioning.Settings) {
		s.Mapping.Users = []provisioning.MappingRow{{Target: "displayName", Source: "title", Required: true}}
	}, func(s *stage, _ *testkit.Clock) {
		s.post("kim", nil)
		s.want(http.StatusBadRequest)
	}},
	{provisioning.NotIgnored, "", "although", func(s *provisioning.Settings) { s.Deletion.Users.Deactivated = provisioning.IgnorePolicy }, func(s *stage, _ *testkit.Clock) {
		s.users("kim")
		s.disable("kim")
	}},
	{provisioning.NotInScope, "", "outside the scope", func(s *provisioning.Settings) { s.Scope.Users.Filter = `title eq "staff"` }, func(s *stage, _ *testkit.Clock) {
		s.post("kim", object{"title": "staff"})
		s.set("kim", object{"title": "guest"})
	}},
	{provisioning.NotHeld, "", "waits for a person", func(s *provisioning.Settings) { s.Deletion.Users.Deleted = provisioning.HoldPolicy }, func(s *stage, _ *testkit.Clock) {
		s.users("kim")
		s.remove("kim")
	}},
	{provisioning.NotWithheld, "", "the settings name it", func(s *provisioning.Settings) { s.Guard.Users = []string{nameOf("kim")} }, func(s *stage, _ *testkit.Clock) {
		s.users("kim")
		s.disable("kim")
	}},
	{provisioning.NotYet, "", "tolerance", func(s *provisioning.Settings) {
		s.Tolerance.Users = provisioning.Tolerance{Share: 50, Floor: 1}
	}, func(s *stage, _ *testkit.Clock) {
		s.users("kim", "ann")
		s.disable("kim")
		s.delayed()
	}},
	{provisioning.NotAsked, "", "whose account", nil, func(s *stage, _ *testkit.Clock) {
		s.beside("other", nil).users("kim")
		s.post("kim", nil)
		s.refused(http.StatusConflict, "uniqueness")
	}},
	{provisioning.NotActive, "", "not active", nil, func(s *stage, _ *testkit.Clock) {
		s.users("kim")
		s.disable("kim")
	}},
	{provisioning.NotThere, "", "deleted the account", func(s *provisioning.Settings) { s.Deletion.Users.Deleted = provisioning.DeletePolicy }, func(s *stage, _ *testkit.Clock) {
		s.users("kim")
		s.remove("kim")
	}},
	{provisioning.NotByPerson, "", "Rie Sato", nil, func(s *stage, _ *testkit.Clock) {
		s.users("kim")
		o := provisioning.Origin{Tenant: s.name, Actor: provisioning.KeyActor("Rie Sato")}
		if _, err := s.service.Act(s.t.Context(), o, scim.User, s.ids["kim"], provisioning.Act{State: provisioning.Suspended}); err != nil {
			s.t.Fatal(err)
		}
	}},
	{provisioning.NotRenamed, "", "kim.berg@contoso.com", nil, func(s *stage, _ *testkit.Clock) {
		s.users("kim")
		s.set("kim", object{"userName": "kim.berg@contoso.com", "emails": []object{{"type": "work", "value": "kim.berg@contoso.com"}}})
	}},
	{provisioning.NotOurs, "", "not its own but that of connection", func(s *provisioning.Settings) { s.Matching.Adoption = provisioning.AdoptionRefuse }, func(s *stage, _ *testkit.Clock) {
		s.beside("other", nil).users("kim")
		s.post("kim", nil)
		s.refused(http.StatusConflict, "uniqueness")
	}},
	{provisioning.NotFollowing, "kim.berg@contoso.com", "was created with", func(s *provisioning.Settings) { s.Mapping.UserName.Frozen = true }, func(s *stage, _ *testkit.Clock) {
		s.users("kim")
		s.set("kim", object{"userName": "kim.berg@contoso.com"})
	}},
	{provisioning.NotReachable, "", "paused", nil, func(s *stage, _ *testkit.Clock) {
		s.change(func(settings *provisioning.Settings) { settings.Protocol.Paused = true })
		s.post("kim", nil)
		s.want(http.StatusServiceUnavailable)
	}},
	{provisioning.NotHeard, "", "nothing was heard", nil, func(s *stage, clock *testkit.Clock) {
		c, err := s.service.Connection(s.t.Context(), s.name, "")
		for range 8 {
			clock.Advance(40 * time.Minute)
			s.service.Heard(s.name, c.ID, clock.Now(), true, http.StatusOK)
			if err == nil {
				err = s.service.FlushTraffic(s.t.Context())
			}
		}
		clock.Advance(24 * time.Hour)
		if err == nil {
			_, err = s.service.Sweep(s.t.Context())
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}},
	{provisioning.NotAged, "", "as long as the settings say", func(s *provisioning.Settings) {
		s.Deletion.Ageing = provisioning.AgeingSettings{After: period(24 * time.Hour), Do: provisioning.DeletePolicy}
	}, func(s *stage, clock *testkit.Clock) {
		s.users("kim")
		s.disable("kim")
		clock.Advance(25 * time.Hour)
		if _, err := s.service.Sweep(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
	}},
	{provisioning.NothingWrong, "", "nothing wrong", nil, func(s *stage, _ *testkit.Clock) {
		s.users("kim")
		s.set("kim", object{"title": "Dr."})
	}},
}

// TestWhyNotNamesTheCause plants each cause in a tenant of its own, and asks over HTTP.
func TestWhyNotNamesTheCause(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db database) {
		clock := testkit.NewClock(time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC))
		server := newServer(t, db, options{now: clock.Now})
		for _, p := range plantedCauses {
			clock.Advance(time.Minute)
			s := newStage(t, server, strings.ToLower(string(p.cause)), entraDefault, p.edit)
			p.plant(s, clock)
			user := p.user
			if user == "" {
				user = nameOf("kim")
			}
			got := s.asker().whyNot(user)
			switch first := got.Causes[0]; {
			case first.Cause != string(p.cause):
				t.Errorf("%s: named %+v first", p.cause, got.Causes)
			case !strings.Contains(strings.ToLower(got.Sentence), strings.ToLower(p.says)) || strings.Contains(got.Sentence, "…"):
				t.Errorf("%s: %q does not say %q", p.cause, got.Sentence, p.says)
			case got.Healthy != (p.cause == provisioning.NothingWrong):
				t.Errorf("%s: healthy %v", p.cause, got.Healthy)
			default:
				t.Log(got.Sentence)
			}
		}
	})
}

// TestWhyOfAPerson asks for the state and for attributes of a user: mapped, guessed by nobody, chosen by a person, kept from
// the creation, and frozen.
func TestWhyOfAPerson(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db database) {
		s := newStage(t, newServer(t, db, options{}), "person", entraDefault, func(s *provisioning.Settings) {
			s.Mapping.UserName.Frozen = true
			s.Mapping.Users = []provisioning.MappingRow{
				{Target: "displayName", Expression: `ToUpper(Join(" ", name.givenName, name.familyName))`},
				{Target: "nickName", Source: "title", Apply: provisioning.ApplyAtCreation},
				{Target: "preferredLanguage", Source: "locale", Default: "ja"},
			}
		})
		s.post("kim", object{"name": object{"givenName": "Kim", "familyName": "Berg"}, "title": "intern", "userType": "staff"})
		s.set("kim", object{"title": "chief", "userName": "kim.berg@contoso.com"})
		o := provisioning.Origin{Tenant: s.name, Actor: provisioning.KeyActor("Rie Sato")}
		if _, err := s.service.Act(t.Context(), o, scim.User, s.ids["kim"], provisioning.Act{Overrides: map[string]any{"userType": "guest"}}); err != nil {
			t.Fatal(err)
		}
		s.set("kim", object{"name.familyName": "Dahl"})
		a := s.asker()
		for _, tt := range []struct {
			attribute string
			value     any
			outcome   string // of the link
			decided   string // reason of the entry that decided
			says      string
		}{
			{"", "active", "", provisioning.ReasonCreated, "is active, since"},
			{"displayName", "KIM DAHL", "expression", provisioning.ReasonAsserted, `name.givenName = "Kim", name.familyName = "Dahl"`},
			{"nickName", "intern", "kept", provisioning.ReasonCreated, "applies when an account is created, and never again"},
			{"preferredLanguage", "ja", "default", provisioning.ReasonCreated, "the default of row 3"},
			{"title", "chief", "asserted", provisioning.ReasonAsserted, "the client asserts so"},
			{"userName", nameOf("kim"), "frozen", provisioning.ReasonCreated, "keep the one that an account was created with"},
			{"userType", "guest", "override", provisioning.ReasonByPerson, "a person chose so"},
			{"role", "ordinary", "", provisioning.ReasonCreated, "has the role ordinary"},
		} {
			var got summary.PersonWhy
			target := "/users/" + s.ids["kim"] + "/why"
			if tt.attribute != "" {
				target += "?attribute=" + tt.attribute
			}
			a.ask(target, &got)
			said := got.Sentence
			if got.Link != nil {
				said += " " + got.Link.Sentence
			}
			switch {
			case got.Value != tt.value, got.Chain.Entry.Meibo.Reason.Code != tt.decided, (got.Link == nil) != (tt.outcome == ""):
				t.Errorf("%s: %v, decided by %s: %s", tt.attribute, got.Value, got.Chain.Entry.Meibo.Reason.Code, said)
			case got.Link != nil && got.Link.Outcome != tt.outcome, !strings.Contains(said, tt.says), strings.Contains(said, "…"):
				t.Errorf("%s: %s; want %s, %q", tt.attribute, said, tt.outcome, tt.says)
			case !got.Chain.Reevaluation.Same:
				t.Errorf("%s: decided again: %+v", tt.attribute, got.Chain.Reevaluation)
			}
		}
	})
}
