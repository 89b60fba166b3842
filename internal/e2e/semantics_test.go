package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"meibo/internal/testkit"
	"meibo/internal/witness"
	"meibo/provisioning"
	"meibo/scim"
)

// row is one row of the rules of what a change means, as a play: what the client is answered, what it finds and
// reads afterwards and may create again, what the host application sees, and what the journal says.
type row struct {
	says     string // request; situation
	settings func(*provisioning.Settings)
	play     func(*stage)
}

// spellings are played one after the other: each row means the same however a client spells it.
var spellings = []spelling{entraDefault, entraFlag, put}

// TestSemantics plays every row in every spelling on both databases, and folds the journal of each. Beside the race
// detector each database hears a row in one spelling, and they take turns.
func TestSemantics(t *testing.T) {
	t.Parallel()
	rows := slices.Concat(createRows, departureRows, guardRows, toleranceRows, scopeRows, groupRows, personRows)
	each(t, func(t *testing.T, db database) {
		s := newServer(t, db, options{})
		for i, r := range rows {
			for j, sp := range spellings {
				if turn := i + len(db.name); hasty() && j != turn%len(spellings) {
					continue
				}
				t.Run(fmt.Sprint(r.says, "/", sp), func(t *testing.T) {
					t.Parallel()
					stage := newStage(t, s, fmt.Sprintf("row-%d-%s", i, strings.ToLower(string(sp))), sp, r.settings)
					r.play(stage)
					stage.folds()
				})
			}
		}
	})
}

// folds expects the tenant's journal to tell all that is stored.
func (s *stage) folds() {
	s.t.Helper()
	for _, difference := range witness.Disagreements(s.entries(), s.stored()) {
		s.t.Error(difference)
	}
}

func policies(deactivated, deleted provisioning.DeletionPolicy) func(*provisioning.Settings) {
	return func(s *provisioning.Settings) {
		s.Deletion.Users.Deactivated, s.Deletion.Users.Deleted = deactivated, deleted
	}
}

func adoption(mode provisioning.Adoption, by ...string) func(*provisioning.Settings) {
	return func(s *provisioning.Settings) {
		s.Matching.Adoption, s.Matching.VerifiedDomains = mode, []string{"contoso.com"}
		if by != nil {
			s.Matching.Attributes = by
		}
	}
}

// ownedByNobody makes a user whom the connection "hr" created and let go of.
func (s *stage) ownedByNobody(name string) string {
	s.t.Helper()
	hr := s.beside("hr", policies(provisioning.IgnorePolicy, provisioning.IgnorePolicy))
	hr.users(name)
	hr.remove(name)
	hr.want(http.StatusNoContent)
	hr.entry(provisioning.ActionDelete, provisioning.Skipped, "")
	if x := hr.host(name, provisioning.Active); x.Connection != 0 {
		s.t.Errorf("%s is owned by %d, want nobody", name, x.Connection)
	}
	return hr.ids[name]
}

var createRows = []row{
	{says: "POST; no match", play: func(s *stage) {
		s.users("ada")
		s.entry(provisioning.ActionCreate, provisioning.Success, provisioning.ReasonCreated)
		s.shows("ada", object{"active": true, "userName": nameOf("ada"), "externalId": keyOf("ada")})
		if x := s.host("ada", provisioning.Active); x.RoleName() != provisioning.RoleOrdinary {
			s.t.Errorf("the role is %q", x.RoleName())
		}
	}},
	{says: "POST; no match, active false", play: func(s *stage) {
		s.post("ada", object{"active": false})
		s.want(http.StatusCreated)
		s.entry(provisioning.ActionCreate, provisioning.Success, "")
		s.shows("ada", object{"active": false})
		s.host("ada", provisioning.Suspended)
	}},
	{says: "POST; no match, active false, under delete", settings: policies(provisioning.DeletePolicy, provisioning.DeletePolicy), play: func(s *stage) {
		s.post("ada", object{"active": false})
		s.want(http.StatusCreated)
		s.shows("ada", object{"active": false})
		s.host("ada", provisioning.Suspended)
	}},
	{says: "POST; userName equals an own visible one", play: func(s *stage) {
		s.users("ada")
		for _, name := range []string{nameOf("ada"), strings.ToUpper(nameOf("ada"))} {
			s.post("twin", object{"userName": name})
			s.refused(http.StatusConflict, "uniqueness")
			s.entry(provisioning.ActionCreate, provisioning.Failure, "")
		}
		s.disable("ada")
		s.post("twin", object{"userName": nameOf("ada")})
		s.refused(http.StatusConflict, "uniqueness")
		s.shows("ada", object{"active": false})
	}},
	returning("suspended", provisioning.SuspendPolicy, provisioning.Suspended),
	returning("held", provisioning.HoldPolicy, provisioning.Held),
	returning("removed in its grace time", provisioning.DeletePolicy, provisioning.Removed),
	{says: "POST; equal stable key; the attribute is one that the settings name", settings: func(s *provisioning.Settings) {
		s.Matching.StableKey = scim.EnterpriseUserSchema + ":employeeNumber"
	}, play: func(s *stage) {
		number := func(n, name string) object {
			return object{"externalId": "nick", "userName": nameOf(name), scim.EnterpriseUserSchema: object{"employeeNumber": n}}
		}
		s.post("ada", number("0042", "ada"))
		s.want(http.StatusCreated)
		s.post("bob", number("0043", "bob"))
		s.want(http.StatusCreated)
		id := s.ids["ada"]
		s.remove("ada")
		s.post("heir", number("0044", "ada")) // the same userName is not the same person
		s.want(http.StatusCreated)
		if s.ids["heir"] == id {
			s.t.Error("the new hire inherits the leaver's id")
		}
		s.post("ada", number("0042", "lovelace"))
		s.want(http.StatusCreated)
		if s.ids["ada"] != id {
			s.t.Errorf("the id is %s, want %s again", s.ids["ada"], id)
		}
		if e := s.entry(provisioning.ActionUpdate, provisioning.Success, provisioning.ReasonRestored); e.MatchedBy != scim.EnterpriseUserSchema+":employeeNumber" {
			s.t.Errorf("matched by %q", e.MatchedBy)
		}
		s.remove("bob")
		s.change(func(x *provisioning.Settings) { x.Matching.StableKey = "externalId" })
		s.post("bob", number("0043", "bob"))
		s.want(http.StatusCreated)
		if s.entry(provisioning.ActionCreate, provisioning.Success, provisioning.ReasonCreated); s.last.id() == "" {
			s.t.Error("no id")
		}
	}},
	{says: "POST; equal stable key; the settings name it when the leaver is there already", play: func(s *stage) {
		s.post("ada", object{"externalId": nil, "title": "E-42"})
		s.want(http.StatusCreated)
		id := s.ids["ada"]
		s.change(func(x *provisioning.Settings) { x.Matching.StableKey = "title" })
		s.remove("ada")
		s.post("ada", object{"externalId": nil, "title": "E-42", "userName": nameOf("lovelace"), "emails": nil})
		s.want(http.StatusCreated)
		if s.ids["ada"] != id {
			s.t.Errorf("the id is %s, want %s again", s.ids["ada"], id)
		}
	}},
	{says: "POST; externalId is no GUID: a mail nickname is no stable key", play: func(s *stage) {
		s.post("ada", object{"externalId": "ada"})
		s.want(http.StatusCreated)
		id := s.ids["ada"]
		s.remove("ada")
		s.post("ada", object{"externalId": "ada"})
		s.want(http.StatusCreated)
		if s.ids["ada"] == id {
			s.t.Error("a nickname brought an earlier account back")
		}
	}},
	{says: "POST; equal userName only, the other account is own and invisible", play: heir},
	{says: "POST; equal userName only, own, invisible and held", settings: policies(provisioning.HoldPolicy, provisioning.HoldPolicy), play: heir},
	{says: "POST; equal userName only, own, invisible and removed", settings: policies(provisioning.DeletePolicy, provisioning.DeletePolicy), play: heir},
	{says: "PATCH, PUT of a userName that equals an own visible one", play: func(s *stage) {
		s.users("ada", "bob")
		s.set("bob", object{"userName": strings.ToUpper(nameOf("ada"))})
		s.refused(http.StatusConflict, "uniqueness")
		s.entry(provisioning.ActionUpdate, provisioning.Failure, "")
		s.shows("bob", object{"userName": nameOf("bob")})
		s.set("ada", object{"userName": strings.ToUpper(nameOf("ada"))}) // itself in another case
		s.want(http.StatusOK)
	}},
	{says: "POST; several accounts may be meant: an error that names them", settings: adoption(provisioning.AdoptionAdopt, "emails"), play: func(s *stage) {
		hr := s.beside("hr", nil)
		shared := []object{{"type": "work", "value": "desk@contoso.com"}}
		for _, name := range []string{"ada", "bob"} {
			hr.post(name, object{"emails": shared})
			hr.want(http.StatusCreated)
		}
		s.post("cleo", object{"emails": shared})
		s.refused(http.StatusConflict, "uniqueness")
		question := s.open(provisioning.MatterAdoption, "")
		for _, name := range []string{"ada", "bob"} {
			if !slices.Contains(question.Candidates, hr.ids[name]) || !strings.Contains(s.last.body, hr.ids[name]) {
				s.t.Errorf("%s is not named: candidates %v, detail %s", name, question.Candidates, s.last.body)
			}
			hr.shows(name, nil)
		}
	}},
	{says: "POST; the first matching attribute that finds an account decides", settings: adoption(provisioning.AdoptionAdopt, "emails", "userName"), play: func(s *stage) {
		hr := s.beside("hr", nil)
		hr.users("ada", "bob")
		s.post("ada", object{"emails": []object{{"type": "work", "value": nameOf("bob")}}, "userName": nameOf("new")})
		s.want(http.StatusCreated)
		if s.ids["ada"] != hr.ids["bob"] {
			s.t.Errorf("the id is %s, want that of the account with the mail, %s", s.ids["ada"], hr.ids["bob"])
		}
		if e := s.entry(provisioning.ActionCreate, provisioning.Success, ""); e.MatchedBy != "emails" {
			s.t.Errorf("matched by %q", e.MatchedBy)
		}
	}},
	{says: "POST; the account is local; adopt, verified domain", settings: adoption(provisioning.AdoptionAdopt), play: func(s *stage) {
		id := s.ownedByNobody("ada")
		s.post("ada", object{"title": "Countess"})
		s.want(http.StatusCreated)
		if s.ids["ada"] != id {
			s.t.Errorf("the id is %s, want that of the local account %s", s.ids["ada"], id)
		}
		s.entry(provisioning.ActionCreate, provisioning.Success, "")
		s.shows("ada", object{"title": "Countess"})
		s.host("ada", provisioning.Active)
		s.none()
	}},
	{says: "POST; the account is another connection's, equal mail; adopt, verified domain", settings: adoption(provisioning.AdoptionAdopt), play: func(s *stage) {
		hr := s.beside("hr", nil)
		hr.users("ada")
		s.post("lovelace", object{"emails": []object{{"type": "work", "value": strings.ToUpper(nameOf("ada"))}}})
		s.want(http.StatusCreated)
		if s.ids["lovelace"] != hr.ids["ada"] {
			s.t.Errorf("the id is %s, want that of the account with the mail, %s", s.ids["lovelace"], hr.ids["ada"])
		}
		s.shows("lovelace", nil)
		hr.hides("ada")
		if got := s.sees("lovelace", "userName"); got != nameOf("lovelace") {
			s.t.Errorf("the host application sees the userName %v", got)
		}
	}},
	{says: "POST; adopt; active false, under ignore: adopted, and as it was", settings: func(s *provisioning.Settings) {
		adoption(provisioning.AdoptionAdopt)(s)
		s.Deletion.Users.Deactivated = provisioning.IgnorePolicy
	}, play: func(s *stage) {
		s.ownedByNobody("ada")
		s.post("ada", object{"active": false})
		s.want(http.StatusCreated)
		s.entry(provisioning.ActionCreate, provisioning.Success, provisioning.ReasonAdopted)
		s.shows("ada", object{"active": false})
		s.host("ada", provisioning.Active)
	}},
	{says: "POST; adopt, but the domain is not verified: asked", settings: func(s *provisioning.Settings) {
		s.Matching.Adoption, s.Matching.VerifiedDomains = provisioning.AdoptionAdopt, []string{"fabrikam.com"}
	}, play: asked},
	{says: "POST; adopt, but the account is privileged: asked", settings: adoption(provisioning.AdoptionAdopt, "emails", "userName"), play: func(s *stage) {
		id := s.ownedByNobody("ada")
		s.change(func(x *provisioning.Settings) { x.Guard.Users = []string{id} })
		s.post("ada", nil)
		s.refused(http.StatusConflict, "uniqueness")
		s.open(provisioning.MatterAdoption, "")
		if got := s.found("Users", "userName", nameOf("ada")); len(got) > 0 {
			s.t.Errorf("found %v", got)
		}
	}},
	{says: "POST; the account is local or another connection's; ask", play: asked},
	{says: "POST; the account is local or another connection's; refuse", settings: adoption(provisioning.AdoptionRefuse), play: func(s *stage) {
		s.ownedByNobody("ada")
		s.post("ada", nil)
		s.refused(http.StatusConflict, "uniqueness")
		s.entry(provisioning.ActionCreate, provisioning.Failure, "")
		if got := s.found("Users", "userName", nameOf("ada")); len(got) > 0 {
			s.t.Errorf("found %v", got)
		}
		s.none()
	}},
}

// returning is the row of an invisible account with an equal stable key.
func returning(situation string, policy provisioning.DeletionPolicy, state provisioning.State) row {
	return row{says: "POST; equal stable key with an own invisible account, " + situation, settings: policies(policy, policy), play: func(s *stage) {
		s.users("ada", "bob")
		s.team("staff", "ada", "bob")
		s.appoint("ada", "auditor")
		id := s.ids["ada"]
		s.remove("ada")
		s.want(http.StatusNoContent)
		s.hides("ada")
		s.host("ada", state)
		s.post("ada", object{"userName": nameOf("lovelace"), "title": "Countess"})
		s.want(http.StatusCreated)
		if s.ids["ada"] != id {
			s.t.Fatalf("the id is %s, want %s again", s.ids["ada"], id)
		}
		s.entry(provisioning.ActionUpdate, provisioning.Success, provisioning.ReasonRestored)
		res := s.shows("ada", object{"active": true, "title": "Countess", "userName": nameOf("lovelace")})
		if list, _ := res["groups"].([]any); len(list) != 1 {
			s.t.Errorf("groups are %v, want one", res["groups"])
		}
		x := s.host("ada", provisioning.Active)
		if !x.PurgeAt.IsZero() || !x.LeftAt.IsZero() {
			s.t.Errorf("left at %v, to be purged at %v: want neither", x.LeftAt, x.PurgeAt)
		}
		if x.RoleName() != "auditor" {
			s.t.Errorf("the role is %q", x.RoleName())
		}
		s.members("staff", "ada", "bob")
		s.none()
		s.post("ada", nil) // and again: it is there
		s.want(http.StatusCreated)
		if s.ids["ada"] == id {
			s.t.Error("a second account took over the first")
		}
	}}
}

// heir is the row of a recycled userName.
func heir(s *stage) {
	s.users("ada", "bob")
	s.team("staff", "ada", "bob")
	s.appoint("ada", "auditor")
	leaver := s.ids["ada"]
	s.remove("ada")
	s.want(http.StatusNoContent)
	s.ids["leaver"], s.bodies["leaver"] = leaver, s.bodies["ada"]
	before := s.host("leaver", "")
	s.post("ada", object{"externalId": keyOf("somebody else"), "title": "New hire"})
	s.want(http.StatusCreated)
	s.entry(provisioning.ActionCreate, provisioning.Success, provisioning.ReasonCreated)
	if s.ids["ada"] == leaver {
		s.t.Fatal("the new hire inherits the leaver's id")
	}
	res := s.shows("ada", object{"title": "New hire"})
	if res["groups"] != nil {
		s.t.Errorf("the new hire inherits groups: %v", res["groups"])
	}
	x := s.host("ada", provisioning.Active)
	if x.RoleName() != provisioning.RoleOrdinary {
		s.t.Errorf("the new hire has the role %q", x.RoleName())
	}
	if got := s.sees("ada", "userName"); got != nameOf("ada") {
		s.t.Errorf("the host application sees %v", got)
	}
	after := s.host("leaver", before.State)
	if string(after.Asserted) != string(before.Asserted) {
		s.t.Errorf("the leaver's data were %s, and are %s", before.Asserted, after.Asserted)
	}
	if after.State != provisioning.Removed {
		if got, want := s.sees("leaver", "userName"), nameOf("ada")+"."+leaver; got != want {
			s.t.Errorf("the leaver's effective userName is %v, want %s", got, want)
		}
	}
	if got := s.inHostGroup("staff"); !slices.Equal(got, []string{"bob", "leaver"}) {
		s.t.Errorf("the group has %v", got)
	}
}

// asked is the row of the adoption policy ask, before a person chooses.
func asked(s *stage) {
	id := s.ownedByNobody("ada")
	for range 2 {
		s.post("ada", nil)
		s.refused(http.StatusConflict, "uniqueness")
		s.entry(provisioning.ActionCreate, provisioning.Failure, "")
	}
	question := s.open(provisioning.MatterAdoption, "")
	if !slices.Equal(question.Candidates, []string{id}) || question.Times != 2 {
		s.t.Errorf("candidates %v, asked %d times; want %s, twice", question.Candidates, question.Times, id)
	}
	if !strings.Contains(s.last.body, question.Key) && !strings.Contains(s.last.body, question.ID) {
		s.t.Errorf("the detail does not name the open question %s: %s", question.Key, s.last.body)
	}
	if got := s.found("Users", "userName", nameOf("ada")); len(got) > 0 {
		s.t.Errorf("found %v before a person chose", got)
	}
	hr := s.beside("other", nil)
	hr.users("grace")
	s.post("grace", nil)
	s.refused(http.StatusConflict, "uniqueness")
	hr.shows("grace", object{"active": true})
}

var departureRows = []row{
	leaving("PATCH active false; suspend", provisioning.SuspendPolicy, provisioning.Suspended, provisioning.ActionDisable, provisioning.Success),
	leaving("PATCH active false; delete", provisioning.DeletePolicy, provisioning.Removed, provisioning.ActionStagedDelete, provisioning.Success),
	leaving("PATCH active false; hold", provisioning.HoldPolicy, provisioning.Held, provisioning.ActionDisable, provisioning.Warning),
	leaving("PATCH active false; ignore", provisioning.IgnorePolicy, provisioning.Active, provisioning.ActionDisable, provisioning.Skipped),
	deleting("DELETE; suspend", provisioning.SuspendPolicy, provisioning.Suspended, provisioning.Success),
	deleting("DELETE; delete", provisioning.DeletePolicy, provisioning.Removed, provisioning.Success),
	deleting("DELETE; hold", provisioning.HoldPolicy, provisioning.Held, provisioning.Warning),
	deleting("DELETE; ignore", provisioning.IgnorePolicy, provisioning.Active, provisioning.Skipped),
	{says: "DELETE; suspended already", settings: policies(provisioning.SuspendPolicy, provisioning.HoldPolicy), play: func(s *stage) {
		s.users("ada")
		s.disable("ada")
		s.want(http.StatusOK)
		s.remove("ada")
		s.want(http.StatusNoContent)
		s.hides("ada")
		s.host("ada", provisioning.Suspended) // held is for who works on
	}},
	{says: "DELETE, PATCH, PUT, GET; unknown or invisible", play: func(s *stage) {
		s.users("ada")
		s.team("staff")
		s.remove("ada")
		s.remove("staff")
		hr := s.beside("hr", nil)
		hr.users("hidden")
		s.ids["hidden"], s.bodies["hidden"] = hr.ids["hidden"], hr.bodies["hidden"]
		s.ids["nobody"], s.bodies["nobody"] = "00000000-0000-7000-8000-000000000001", user("nobody", nil)
		for _, name := range []string{"ada", "hidden", "nobody", "staff"} {
			s.remove(name)
			s.want(http.StatusNotFound)
			s.entry(provisioning.ActionDelete, provisioning.Skipped, "")
			s.set(name, object{"displayName": "Nobody"})
			s.want(http.StatusNotFound)
			s.entry(provisioning.ActionUpdate, provisioning.Failure, "")
			before := len(s.entries())
			s.hides(name)
			if after := len(s.entries()); after != before {
				s.t.Errorf("%d entries of reads", after-before)
			}
		}
		hr.shows("hidden", object{"displayName": "hidden"})
	}},
	{says: "tombstone rename together with a disable", play: tombstone(provisioning.Suspended)},
	{says: "tombstone rename together with a disable; delete", settings: policies(provisioning.DeletePolicy, provisioning.DeletePolicy), play: tombstone(provisioning.Removed)},
	{says: "tombstone rename together with a disable; hold", settings: policies(provisioning.HoldPolicy, provisioning.HoldPolicy), play: tombstone(provisioning.Held)},
}

// leaving is a row of active false, with the row of active true after it.
func leaving(says string, policy provisioning.DeletionPolicy, state provisioning.State, action provisioning.JournalAction, outcome provisioning.Outcome) row {
	return row{says: says, settings: policies(policy, provisioning.SuspendPolicy), play: func(s *stage) {
		s.users("ada", "bob")
		s.team("staff", "ada", "bob")
		s.disable("ada")
		s.want(http.StatusOK)
		e := s.entry(action, outcome, "")
		if outcome == provisioning.Success && e.Reason.Args["cause"] != provisioning.CauseDeactivated {
			s.t.Errorf("the reason is %v, want the cause %s", e.Reason, provisioning.CauseDeactivated)
		}
		s.shows("ada", object{"active": false})
		s.host("ada", state)
		s.members("staff", "ada", "bob")
		s.post("twin", object{"userName": nameOf("ada")})
		s.refused(http.StatusConflict, "uniqueness")
		if outcome == provisioning.Warning {
			s.open(provisioning.MatterHeld, "ada")
		} else {
			s.none()
		}
		s.disable("ada") // again
		s.want(http.StatusOK)
		s.entry(provisioning.ActionDisable, provisioning.Skipped, provisioning.ReasonUnchanged)
		s.set("ada", object{"title": "Countess"}) // other changes stay possible, and change nothing of it
		s.want(http.StatusOK)
		s.entry(provisioning.ActionUpdate, provisioning.Success, "")
		s.shows("ada", object{"active": false, "title": "Countess"})
		s.host("ada", state)

		s.enable("ada")
		s.want(http.StatusOK)
		s.entry(provisioning.ActionUpdate, provisioning.Success, "")
		s.shows("ada", object{"active": true})
		x := s.host("ada", provisioning.Active)
		if !x.PurgeAt.IsZero() || !x.LeftAt.IsZero() {
			s.t.Errorf("left at %v, to be purged at %v: want neither", x.LeftAt, x.PurgeAt)
		}
		s.members("staff", "ada", "bob")
		s.none()
	}}
}

// deleting is a row of DELETE.
func deleting(says string, policy provisioning.DeletionPolicy, state provisioning.State, outcome provisioning.Outcome) row {
	return row{says: says, settings: policies(provisioning.SuspendPolicy, policy), play: func(s *stage) {
		s.users("ada", "bob")
		s.team("staff", "ada", "bob")
		s.remove("ada")
		s.want(http.StatusNoContent)
		reason := ""
		if policy == provisioning.SuspendPolicy {
			reason = string(provisioning.Suspended)
		}
		s.entry(provisioning.ActionDelete, outcome, reason)
		s.hides("ada")
		if got := s.inGroup("staff"); !slices.Equal(got, []string{"bob"}) {
			s.t.Errorf("the client sees %v in the group", got)
		}
		x := s.host("ada", state)
		owned := policy != provisioning.IgnorePolicy
		if (x.Connection != 0) != owned {
			s.t.Errorf("the owner is %d", x.Connection)
		}
		if (policy == provisioning.DeletePolicy) == x.PurgeAt.IsZero() {
			s.t.Errorf("to be purged at %v", x.PurgeAt)
		}
		if outcome == provisioning.Warning {
			s.open(provisioning.MatterHeld, "ada")
		} else {
			s.none()
		}
		s.post("heir", object{"userName": nameOf("ada"), "emails": nil})
		if owned {
			s.want(http.StatusCreated) // the userName is free
			s.shows("heir", nil)
		} else {
			s.refused(http.StatusConflict, "uniqueness") // a local account has it: semantics of adoption
		}
	}}
}

// tombstone is Entra's soft delete: object id + former userName, together with a disable.
func tombstone(state provisioning.State) func(*stage) {
	return func(s *stage) {
		s.users("ada")
		name := strings.ReplaceAll(keyOf("ada"), "-", "") + nameOf("ada")
		s.set("ada", object{"userName": name, "active": false})
		s.want(http.StatusOK)
		s.shows("ada", object{"userName": name, "active": false})
		s.host("ada", state)
		if got := s.sees("ada", "userName"); got != nameOf("ada") {
			s.t.Errorf("the host application sees %v, want the former userName", got)
		}
		s.set("ada", object{"userName": nameOf("ada"), "active": true})
		s.want(http.StatusOK)
		s.shows("ada", object{"userName": nameOf("ada"), "active": true})
		s.host("ada", provisioning.Active)
	}
}

func protected(s *provisioning.Settings) {
	s.Guard.Users, s.Guard.Groups = []string{nameOf("ada")}, []string{"Board"}
}

func refusing(s *provisioning.Settings) {
	protected(s)
	s.Guard.Mode = provisioning.GuardRefuse
}

func withPolicies(edit func(*provisioning.Settings), deactivated, deleted provisioning.DeletionPolicy) func(*provisioning.Settings) {
	return func(s *provisioning.Settings) {
		edit(s)
		policies(deactivated, deleted)(s)
	}
}

var guardRows = []row{
	{says: "any; protected user, accept", settings: protected, play: kept},
	{says: "any; protected user, accept; delete", settings: withPolicies(protected, provisioning.DeletePolicy, provisioning.DeletePolicy), play: kept},
	{says: "any; protected user, accept; hold", settings: withPolicies(protected, provisioning.HoldPolicy, provisioning.HoldPolicy), play: kept},
	{says: "any; protected by a guarded role, accept", settings: func(s *provisioning.Settings) {
		s.Roles.AppRoles, s.Roles.GrantGuarded = []provisioning.RoleMapping{{When: "Boss", Role: provisioning.RoleAdmin}}, true
	}, play: func(s *stage) {
		s.post("ada", object{"roles": []object{{"value": "Boss", "primary": true}}})
		s.want(http.StatusCreated)
		if x := s.host("ada", provisioning.Active); x.RoleName() != provisioning.RoleAdmin {
			s.t.Fatalf("the role is %q", x.RoleName())
		}
		keptAs(s)
		if x := s.host("ada", provisioning.Active); x.RoleName() != provisioning.RoleAdmin {
			s.t.Errorf("the role is %q in the end", x.RoleName())
		}
	}},
	{says: "any; protected user, refuse", settings: refusing, play: refusedByGuard},
	{says: "any; protected user, refuse; delete", settings: withPolicies(refusing, provisioning.DeletePolicy, provisioning.DeletePolicy), play: refusedByGuard},
	{says: "any; protected group, accept", settings: protected, play: func(s *stage) {
		s.users("bob", "cleo")
		s.team("Board", "bob", "cleo")
		s.leave("Board", "bob")
		s.members("Board", "cleo") // it may shrink
		s.leave("Board", "cleo")
		if s.last.status >= 300 {
			s.t.Fatalf("answered %d: %s", s.last.status, s.last.body)
		}
		s.entry(provisioning.ActionUpdate, provisioning.Warning, "")
		s.parted("Board", nil, []string{"cleo"}) // as if done
		s.open(provisioning.MatterKept, "Board")
		s.join("Board", "cleo")
		s.members("Board", "cleo")
		s.replace("Board") // and again, with all there is
		s.parted("Board", nil, []string{"cleo"})
		s.join("Board", "bob")
		s.parted("Board", []string{"bob"}, []string{"bob", "cleo"})
		s.leave("Board", "bob") // who was kept is still there
		s.parted("Board", nil, []string{"cleo"})
		s.remove("Board")
		s.want(http.StatusNoContent)
		s.entry(provisioning.ActionDelete, provisioning.Warning, "")
		s.hides("Board")
		s.host("Board", provisioning.Active)
		if got := s.inHostGroup("Board"); !slices.Equal(got, []string{"cleo"}) {
			s.t.Errorf("the host application sees %v in the protected group", got)
		}
	}},
	{says: "any; protected group, accept; the request's other operations apply", settings: protected, play: func(s *stage) {
		s.users("bob")
		s.team("Board", "bob")
		body := object{"schemas": s.bodies["Board"]["schemas"], "displayName": "Board", "externalId": "b-1", "members": []object{}}
		s.do(http.MethodPut, s.path("Board"), body)
		s.entry(provisioning.ActionUpdate, provisioning.Warning, provisioning.ReasonKept)
		s.shows("Board", object{"externalId": "b-1"})
		s.parted("Board", nil, []string{"bob"})
		s.change(func(x *provisioning.Settings) { x.Guard.Groups = nil }) // a person lifts the protection, and allows it
		s.resolve(provisioning.MatterKept, provisioning.Resolution{Status: provisioning.MatterAllowed})
		s.members("Board")
		s.host("Board", provisioning.Active)
	}},
	{says: "any; protected group, refuse", settings: refusing, play: func(s *stage) {
		s.users("bob")
		s.team("Board", "bob")
		s.remove("Board")
		s.refused(http.StatusBadRequest, "mutability")
		s.entry(provisioning.ActionDelete, provisioning.Failure, "")
		s.leave("Board", "bob")
		s.refused(http.StatusBadRequest, "mutability")
		s.entry(provisioning.ActionUpdate, provisioning.Failure, "")
		s.shows("Board", nil)
		s.members("Board", "bob")
		s.host("Board", provisioning.Active)
	}},
}

// kept is the row of a protected user whose guard accepts.
func kept(s *stage) {
	s.users("ada")
	keptAs(s)
}

func keptAs(s *stage) {
	s.users("bob")
	s.team("staff", "ada", "bob")
	s.set("ada", object{"active": false, "title": "Countess"})
	s.want(http.StatusOK)
	s.entry(provisioning.ActionDisable, provisioning.Warning, provisioning.ReasonKept)
	s.shows("ada", object{"active": false, "title": "Countess"})
	s.host("ada", provisioning.Active)
	if got := s.sees("ada", "title"); got != "Countess" {
		s.t.Errorf("the request's other operations do not apply: the title is %v", got)
	}
	s.open(provisioning.MatterKept, "ada")
	s.enable("ada")
	s.want(http.StatusOK)
	s.shows("ada", object{"active": true})
	s.none()

	s.remove("ada")
	s.want(http.StatusNoContent)
	s.entry(provisioning.ActionDelete, provisioning.Warning, provisioning.ReasonKept)
	s.hides("ada")
	s.host("ada", provisioning.Active)
	if got := s.inHostGroup("staff"); !slices.Equal(got, []string{"ada", "bob"}) {
		s.t.Errorf("the host application sees %v in the group", got)
	}
	s.open(provisioning.MatterKept, "ada")
	id, body := s.ids["ada"], s.bodies["ada"]
	s.do(http.MethodPost, "/Users", body)
	s.want(http.StatusCreated)
	if s.last.id() != id {
		s.t.Errorf("the id is %s, want %s again", s.last.id(), id)
	}
	s.shows("ada", object{"active": true})
	s.members("staff", "ada", "bob")
	s.none()
}

// refusedByGuard is the row of a protected user whose guard refuses.
func refusedByGuard(s *stage) {
	s.users("ada")
	s.set("ada", object{"active": false, "title": "Countess"})
	s.refused(http.StatusBadRequest, "mutability")
	s.entry(provisioning.ActionDisable, provisioning.Failure, "")
	if !strings.Contains(s.last.body, "protected") {
		s.t.Errorf("the detail does not say why: %s", s.last.body)
	}
	s.remove("ada")
	s.refused(http.StatusBadRequest, "mutability")
	s.entry(provisioning.ActionDelete, provisioning.Failure, "")
	s.shows("ada", object{"active": true, "title": nil})
	s.host("ada", provisioning.Active)
	s.set("ada", object{"title": "Countess"})
	s.want(http.StatusOK)
}

// narrow is a tolerance that a company of ten reaches with the second departure.
func narrow(s *provisioning.Settings) {
	s.Tolerance.Users = provisioning.Tolerance{Share: 20, Count: 500, Floor: 2}
	s.Tolerance.Groups = provisioning.Tolerance{Share: 20, Count: 500, Floor: 2}
	s.Tolerance.Members = provisioning.Tolerance{Share: 50, From: 4}
}

func withholding(s *provisioning.Settings) {
	narrow(s)
	s.Tolerance.Mode = provisioning.ToleranceWithhold
}

var toleranceRows = []row{
	{says: "disable; tolerance reached, delay", settings: narrow, play: func(s *stage) {
		crowd := s.crowd(10)
		s.disable(crowd[0])
		s.want(http.StatusOK)
		for range 2 {
			s.set(crowd[1], object{"active": false, "title": "Leaver"})
			s.delayed()
			s.entry(provisioning.ActionStagedDelete, provisioning.Skipped, "")
		}
		s.bodies[crowd[1]] = user(crowd[1], nil)
		s.shows(crowd[1], object{"active": true, "title": nil})
		s.host(crowd[1], provisioning.Active)
		if m := s.open(provisioning.MatterDelayed, crowd[1]); m.Times != 2 || m.Cause != provisioning.CauseDeactivated {
			s.t.Errorf("asked %d times for the cause %q; want twice, for %q", m.Times, m.Cause, provisioning.CauseDeactivated)
		}
		s.post("new", nil) // for that object only; creates, updates and other kinds go on
		s.want(http.StatusCreated)
		s.set(crowd[1], object{"title": "Still here"})
		s.want(http.StatusOK)
		s.team("staff", crowd[1])
		s.leave("staff", crowd[1])
		s.members("staff")
		s.remove(crowd[2])
		s.delayed()
		s.entry(provisioning.ActionStagedDelete, provisioning.Skipped, "")
		s.shows(crowd[2], object{"active": true})
		s.host(crowd[2], provisioning.Active)
		s.enable(crowd[1]) // the client asks no longer
		s.want(http.StatusOK)
	}},
	{says: "DELETE; tolerance reached, delay; who is suspended does not count", settings: narrow, play: func(s *stage) {
		crowd := s.crowd(10)
		s.disable(crowd[0])
		s.want(http.StatusOK)
		s.disable(crowd[0])
		s.want(http.StatusOK)
		s.remove(crowd[0])
		s.want(http.StatusNoContent)
		s.remove(crowd[1])
		s.delayed()
	}},
	{says: "disable; tolerance reached, withhold", settings: withholding, play: func(s *stage) {
		crowd := s.crowd(10)
		s.disable(crowd[0])
		s.want(http.StatusOK)
		s.disable(crowd[1])
		s.want(http.StatusOK)
		s.entry(provisioning.ActionDisable, provisioning.Warning, "")
		s.shows(crowd[1], object{"active": false})
		s.host(crowd[1], provisioning.Held)
		s.open(provisioning.MatterHeld, crowd[1])
		s.enable(crowd[1])
		s.want(http.StatusOK)
		s.host(crowd[1], provisioning.Active)
		s.none()
		s.remove(crowd[2])
		s.want(http.StatusNoContent)
		s.entry(provisioning.ActionDelete, provisioning.Warning, "")
		s.hides(crowd[2])
		s.host(crowd[2], provisioning.Held)
	}},
	{says: "member removal; tolerance reached, withhold", settings: withholding, play: func(s *stage) {
		crowd := s.crowd(8)
		s.team("staff", crowd...)
		s.leave("staff", crowd[:4]...)
		if s.last.status >= 300 {
			s.t.Fatalf("answered %d: %s", s.last.status, s.last.body)
		}
		s.entry(provisioning.ActionUpdate, provisioning.Warning, provisioning.ReasonTolerance)
		s.parted("staff", crowd[4:], crowd)
		if m := s.open(provisioning.MatterHeld, "staff"); len(m.Members) != 4 || m.Cause != provisioning.CauseMembers {
			s.t.Errorf("the matter is %+v", m)
		}
		s.join("staff", crowd[0]) // back, so that allowing the rest leaves it
		s.resolve(provisioning.MatterHeld, provisioning.Resolution{Status: provisioning.MatterAllowed})
		s.members("staff", slices.Concat(crowd[:1], crowd[4:])...)
	}},
	{says: "disable; tolerance off", settings: func(s *provisioning.Settings) {
		narrow(s)
		s.Tolerance.Mode = provisioning.ToleranceOff
	}, play: func(s *stage) {
		for _, name := range s.crowd(10) {
			s.disable(name)
			s.want(http.StatusOK)
			s.host(name, provisioning.Suspended)
		}
	}},
	{says: "disable; never below a floor", settings: func(s *provisioning.Settings) {
		s.Tolerance.Users = provisioning.Tolerance{Share: 20, Floor: 5}
	}, play: func(s *stage) {
		crowd := s.crowd(10)
		for _, name := range crowd[:4] {
			s.disable(name)
			s.want(http.StatusOK)
		}
		s.disable(crowd[4])
		s.delayed()
	}},
	{says: "disable; at most a count", settings: func(s *provisioning.Settings) {
		s.Tolerance.Users = provisioning.Tolerance{Share: 90, Count: 3}
	}, play: func(s *stage) {
		crowd := s.crowd(10)
		for _, name := range crowd[:2] {
			s.disable(name)
			s.want(http.StatusOK)
		}
		s.disable(crowd[2])
		s.delayed()
	}},
	{says: "group DELETE; tolerance reached, delay", settings: func(s *provisioning.Settings) {
		narrow(s)
	}, play: func(s *stage) {
		s.users("ada")
		for i := range 10 {
			s.team(fmt.Sprintf("g%d", i), "ada")
		}
		s.remove("g0")
		s.want(http.StatusNoContent)
		s.remove("g1")
		s.delayed()
		s.entry(provisioning.ActionStagedDelete, provisioning.Skipped, "")
		s.shows("g1", nil)
		s.host("g1", provisioning.Active)
		s.members("g1", "ada")
		s.open(provisioning.MatterDelayed, "g1")
		s.disable("ada") // counted separately
		if s.last.status != http.StatusOK && s.last.status != http.StatusServiceUnavailable {
			s.t.Errorf("answered %d", s.last.status)
		}
	}},
	{says: "member removal; tolerance reached, delay", settings: narrow, play: func(s *stage) {
		crowd := s.crowd(8)
		s.team("staff", crowd...)
		s.leave("staff", crowd[0], crowd[1], crowd[2])
		if s.last.status >= 300 {
			s.t.Fatalf("answered %d: %s", s.last.status, s.last.body)
		}
		s.leave("staff", crowd[3]) // 4 of 8
		s.delayed()
		s.entry(provisioning.ActionStagedDelete, provisioning.Skipped, "")
		s.members("staff", crowd[3:]...)
		s.join("staff", crowd[0])
		if s.last.status >= 300 {
			s.t.Fatalf("adding was answered %d: %s", s.last.status, s.last.body)
		}
		s.team("few", crowd[0], crowd[1], crowd[2]) // smaller groups are not counted
		s.leave("few", crowd[0], crowd[1])
		if s.last.status >= 300 {
			s.t.Fatalf("a small group was answered %d: %s", s.last.status, s.last.body)
		}
		s.members("few", crowd[2])
	}},
	{says: "disable; a tolerance is a connection's own", settings: narrow, play: func(s *stage) {
		crowd := s.crowd(10)
		s.disable(crowd[0])
		s.want(http.StatusOK)
		s.disable(crowd[1])
		s.delayed()
		other := s.beside("other", narrow)
		for i := range 10 {
			other.users(fmt.Sprintf("o%d", i))
		}
		other.disable("o0")
		other.want(http.StatusOK)
	}},
}

var scopeRows = []row{
	{says: "PATCH out of scope; suspend", settings: inSales(provisioning.SuspendPolicy), play: outOfScope(provisioning.Suspended, provisioning.Success)},
	{says: "PATCH out of scope; delete", settings: inSales(provisioning.DeletePolicy), play: outOfScope(provisioning.Removed, provisioning.Success)},
	{says: "PATCH out of scope; hold", settings: inSales(provisioning.HoldPolicy), play: outOfScope(provisioning.Held, provisioning.Warning)},
	{says: "PATCH out of scope; ignore", settings: inSales(provisioning.IgnorePolicy), play: outOfScope(provisioning.Active, provisioning.Skipped)},
	{says: "POST out of scope: echoed and not effective", settings: inSales(provisioning.SuspendPolicy), play: func(s *stage) {
		s.post("ada", object{"title": "Legal"})
		s.want(http.StatusCreated)
		s.shows("ada", object{"active": true, "title": "Legal"})
		s.host("ada", provisioning.Suspended)
		s.set("ada", object{"title": "Sales"})
		s.want(http.StatusOK)
		s.host("ada", provisioning.Active)
	}},
	{says: "membership of a group is the scope: who leaves the group leaves the scope", settings: func(s *provisioning.Settings) {
		s.Scope.Users.Groups = []string{"Staff"}
	}, play: func(s *stage) {
		s.users("ada", "bob")
		s.host("ada", provisioning.Suspended)
		s.team("Staff", "ada", "bob")
		s.jobs()
		s.host("ada", provisioning.Active)
		s.host("bob", provisioning.Active)
		s.leave("Staff", "ada")
		s.jobs()
		s.host("ada", provisioning.Suspended)
		s.host("bob", provisioning.Active)
		s.shows("ada", object{"active": true})
		s.join("Staff", "ada")
		s.jobs()
		s.host("ada", provisioning.Active)
	}},
	{says: "a role by push: an app role gives one; a guarded role needs the setting", settings: func(s *provisioning.Settings) {
		s.Roles.Names = []string{"auditor"}
		s.Roles.AppRoles = []provisioning.RoleMapping{{When: "Boss", Role: provisioning.RoleAdmin}, {When: "Audit", Role: "auditor"}}
	}, play: func(s *stage) {
		s.users("ada", "bob")
		s.set("ada", object{"roles": []object{{"value": "Audit", "primary": true}}})
		s.want(http.StatusOK)
		if x := s.host("ada", provisioning.Active); x.RoleName() != "auditor" {
			s.t.Errorf("the role is %q", x.RoleName())
		}
		s.set("bob", object{"roles": []object{{"value": "Boss", "primary": true}}})
		s.want(http.StatusOK)
		s.entry(provisioning.ActionUpdate, provisioning.Warning, "")
		if x := s.host("bob", provisioning.Active); x.RoleName() != provisioning.RoleOrdinary {
			s.t.Errorf("a push made somebody %q", x.RoleName())
		}
		s.open(provisioning.MatterKept, "bob")
		s.set("ada", object{"roles": nil})
		s.want(http.StatusOK)
		if x := s.host("ada", provisioning.Active); x.RoleName() != provisioning.RoleOrdinary {
			s.t.Errorf("the role is %q without the app role", x.RoleName())
		}
	}},
	{says: "a move between domains of one tenant is an update", settings: func(s *provisioning.Settings) {
		s.Scope.Users.Domains = []string{"contoso.com", "fabrikam.com"}
	}, play: func(s *stage) {
		s.users("ada")
		s.set("ada", object{"userName": "ada@fabrikam.com"})
		s.want(http.StatusOK)
		s.entry(provisioning.ActionUpdate, provisioning.Success, "")
		s.host("ada", provisioning.Active)
		s.set("ada", object{"userName": "ada@elsewhere.com"})
		s.want(http.StatusOK)
		s.host("ada", provisioning.Suspended)
	}},
}

func inSales(policy provisioning.DeletionPolicy) func(*provisioning.Settings) {
	return func(s *provisioning.Settings) {
		s.Scope.Users.Filter = `title eq "Sales"`
		s.Deletion.Users.Scope = policy
	}
}

func outOfScope(state provisioning.State, outcome provisioning.Outcome) func(*stage) {
	return func(s *stage) {
		s.post("ada", object{"title": "Sales"})
		s.want(http.StatusCreated)
		s.team("staff", "ada")
		s.set("ada", object{"title": "Legal"})
		s.want(http.StatusOK)
		if e := s.entriesOf(s.last.correlation)[0]; e.Outcome != outcome || outcome == provisioning.Success && e.Reason.Args["cause"] != provisioning.CauseScope {
			s.t.Errorf("journalled as %s / %s, %v", e.Action, e.Outcome, e.Reason)
		}
		s.shows("ada", object{"active": true, "title": "Legal"})
		s.host("ada", state)
		s.set("ada", object{"title": "Sales"})
		s.want(http.StatusOK)
		s.shows("ada", object{"active": true, "title": "Sales"})
		s.host("ada", provisioning.Active)
		s.members("staff", "ada")
		s.none()
	}
}

// TestThrottledAndPausedAreNotJournalled is the row of too many requests.
func TestThrottledIsNotJournalled(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db database) {
		clock := testkit.NewClock(time.Now())
		s := newStage(t, newServer(t, db, options{rateLimit: 1, now: clock.Now}), "busy", entraDefault, nil)
		s.users("ada")
		throttled := 0
		for range 10 {
			before := len(s.entries())
			if a := s.set("ada", object{"title": fmt.Sprint(throttled)}); a.status == http.StatusTooManyRequests {
				throttled++
				if a.retryAfter == "" {
					t.Error("429 without Retry-After")
				}
				if after := len(s.entries()); after != before {
					t.Error("a throttled request is in the journal")
				}
			}
		}
		if throttled == 0 {
			t.Error("no request was throttled")
		}
	})
}

// TestPausedConnection: the row "connection paused" of semantics §2.
func TestPausedConnection(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db database) {
		c := newServer(t, db, options{}).newTenant("paused")
		paused := c.apply(provisioning.DefaultConnection, func(s *provisioning.Settings) { s.Protocol.Paused = true })
		before := len(c.entries())
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			a, err := paused.send(t.Context(), method, "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ann"}`)
			if err != nil {
				t.Fatal(err)
			}
			if a.status != http.StatusServiceUnavailable || a.retryAfter == "" {
				t.Errorf("%s was answered %d with Retry-After %q", method, a.status, a.retryAfter)
			}
		}
		if n := len(c.entries()) - before; n > 0 {
			t.Errorf("%d entries of a paused connection", n)
		}
		resumed := c.apply(provisioning.DefaultConnection, func(s *provisioning.Settings) { s.Protocol.Paused = false })
		if a, err := resumed.send(t.Context(), http.MethodGet, "/Users", ""); err != nil || a.status != http.StatusOK {
			t.Errorf("resumed: status %d, %v", a.status, err)
		}
	})
}
