package provisioning

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"meibo/scim"
)

// claimed is a create that may mean somebody who is there: whom, and what the settings and a person say.
type claimed struct {
	attributes string // what accounts of other owners are looked for by
	mode       Adoption
	named      string // who has the userName: "", "local", "foreign"
	mailed     int    // how many accounts have the address
	privileged string // of all of them: "", "admin", "listed", "kept" by the rules of their owner
	verified   string // domains: "", "name", "both"
	said       MatterStatus
}

// plain says what comes of it (semantics §2): who is found by the first attribute that finds anybody is meant; whoever
// is not surely the same person is asked for.
func (c claimed) plain() string {
	taken := "new"
	if c.named != "" {
		taken = "409 userName" // an account of the tenant has it, and is not meant
	}
	by := ""
	for _, attribute := range strings.Fields(c.attributes) {
		if by == "" && (attribute == "userName" && c.named != "" || attribute == "emails" && c.mailed > 0) {
			by = attribute
		}
	}
	if by == "" {
		return taken
	}
	sure := c.privileged == "" && (c.verified == "both" || by == "userName" && c.verified == "name") && (by == "userName" || c.mailed == 1)
	switch {
	case c.mode == AdoptionRefuse:
		return "409 " + by
	case c.mode == AdoptionAdopt && sure && by == "emails" && c.named != "":
		return "409 userName" // the account would get a name that another has
	case c.mode == AdoptionAdopt && sure:
		return "adopted by " + by
	case c.said == MatterCreated && by == "emails":
		return taken
	case c.said != "":
		return "409 " + by
	case by == "userName":
		return "409 userName asks named"
	default:
		return "409 emails asks " + strings.Join([]string{"mailed0", "mailed1"}[:c.mailed], " ")
	}
}

func (c claimed) decided(t *testing.T) string {
	mods := func(r *Resource, _ scim.Attributes) {
		r.Connection = foreign
		if c.privileged == "admin" {
			r.Role = RoleAdmin
		}
	}
	f := Facts{Departure: &DepartureFacts{}, Kept: map[string]bool{}}
	if c.named != "" {
		f.Candidates.Effective = user("named", "ann@name.example", mods)
		if c.named == "local" {
			f.Candidates.Effective.Connection = 0
		}
	}
	for i := range c.mailed {
		f.Candidates.Mail = append(f.Candidates.Mail, *user(fmt.Sprint("mailed", i), fmt.Sprintf("a%d@x.example", i), mods))
	}
	s := DefaultSettings()
	s.Matching.Attributes, s.Matching.Adoption = strings.Fields(c.attributes), c.mode
	switch c.verified {
	case "name":
		s.Matching.VerifiedDomains = []string{"Name.Example"}
	case "both":
		s.Matching.VerifiedDomains = []string{"name.example", "MAIL.example"}
	}
	for _, id := range []string{"named", "mailed0", "mailed1"} {
		switch c.privileged {
		case "listed":
			s.Guard.Users = append(s.Guard.Users, id)
		case "kept":
			f.Kept[id] = true
		}
	}
	if c.said != "" {
		f.Departure.Matters = []Matter{{Kind: MatterAdoption, Key: "adoption:ann@name.example", Status: c.said}}
	}
	r, err := NewRules(1, s)
	if err != nil {
		t.Fatal(err)
	}
	decision, err := decide(f, Desired{ID: "new", Type: scim.User, Connection: own, Now: now, Asserted: scim.Attributes{
		"userName": "Ann@name.example", "emails": []any{map[string]any{"value": "ann@mail.example"}}}}, r)
	var refusal *Error
	if errors.As(err, &refusal) {
		got := "409 " + refusal.Attribute
		if refusal.Kind != Conflict || refusal.Type != string(scim.Uniqueness) {
			t.Errorf("%+v: refused with %v %s", c, refusal.Kind, refusal.Type)
		}
		if m := refusal.Matter; m != nil {
			got += " asks " + strings.Join(m.Candidates, " ")
			if m.Kind != MatterAdoption || m.Key != "adoption:ann@name.example" || m.Connection != own || m.Asserted == nil || !strings.Contains(refusal.Detail, m.Key) {
				t.Errorf("%+v asks %+v; the client reads %q", c, m, refusal.Detail)
			}
		}
		return got
	}
	if err != nil {
		return err.Error()
	}
	last := decision.Changes[len(decision.Changes)-1]
	x := last.After
	switch {
	case last.Action == ChangeCreate && x.ID == "new":
		return "new"
	case last.Action == ChangeLink && x.Connection == own && x.Visible && x.Version == 4 && journalAction(&last, ActionCreate) == ActionCreate:
		return "adopted by " + last.MatchedBy
	default:
		return fmt.Sprintf("%s %+v", last.Action, x)
	}
}

func TestAdoption(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, attributes := range []string{"", "userName", "emails", "userName emails", "emails userName"} {
		for _, mode := range []Adoption{AdoptionAdopt, AdoptionAsk, AdoptionRefuse} {
			for _, named := range []string{"", "local", "foreign"} {
				for mailed := range 3 {
					for _, privileged := range []string{"", "admin", "listed", "kept"} {
						for _, verified := range []string{"", "name", "both"} {
							for _, said := range []MatterStatus{"", MatterCreated, MatterIgnored} {
								c := claimed{attributes, mode, named, mailed, privileged, verified, said}
								want := c.plain()
								seen[want] = true
								if got := c.decided(t); got != want {
									t.Errorf("%+v: %s, want %s", c, got, want)
								}
							}
						}
					}
				}
			}
		}
	}
	for _, want := range []string{"new", "adopted by userName", "adopted by emails", "409 userName asks named", "409 emails asks mailed0", "409 emails asks mailed0 mailed1"} {
		if !seen[want] {
			t.Errorf("nothing came to %q", want)
		}
	}
}

// TestStableKeyRestores: who comes back under an equal stable key is the same person, whatever else is there.
func TestStableKeyRestores(t *testing.T) {
	t.Parallel()
	for _, state := range []State{Active, Suspended, Held, Removed} {
		old := user("old", "ann", withKey, gone)
		old.State, old.Role, old.PurgeAt, old.LeftAt = state, RoleAdmin, now, now
		f := Facts{Candidates: Candidates{Stable: []Resource{*old}, Mail: []Resource{*user("other", "x", ofForeign)}}}
		decision, err := decide(f, Desired{ID: "new", Type: scim.User, Connection: own, Now: now,
			Asserted: scim.Attributes{"userName": "ann.berg", "externalId": key}}, defaultRules)
		if err != nil {
			t.Fatalf("%s: %v", state, err)
		}
		c := decision.Changes[0]
		if x := c.After; x.ID != "old" || x.State != Active || !x.Visible || x.Role != RoleAdmin || !x.PurgeAt.IsZero() || !x.LeftAt.IsZero() ||
			c.MatchedBy != "externalId" || c.Reason.Code != ReasonRestored || !c.Members.IsZero() {
			t.Errorf("%s: %+v", state, c)
		}
	}
}

// TestLinkByPerson: a person's link needs no verified domain and takes the privileged; the userName must be free.
func TestLinkByPerson(t *testing.T) {
	t.Parallel()
	boss := user("boss", "ann", ofForeign)
	boss.Role = RoleAdmin
	f := addressed(boss)
	d := Desired{Type: scim.User, Connection: own, Now: now, Link: true, ByPerson: true, Asserted: scim.Attributes{"userName": "ann", "active": false}}
	decision, err := decide(f, d, defaultRules)
	if err != nil {
		t.Fatal(err)
	}
	c := decision.Changes[0]
	if c.Action != ChangeLink || c.After.Connection != own || c.After.State != Active || c.After.Role != RoleAdmin || c.MatchedBy != "person" || c.Warning.Code != ReasonKept {
		t.Errorf("%+v", c)
	}
	if m := decision.Matters[0].Open; m == nil || m.Connection != own || m.Kind != MatterKept {
		t.Errorf("the matter of what was kept is %+v", decision.Matters)
	}
	f.Candidates.Visible = user("mine", "ann")
	if _, err := decide(f, d, defaultRules); KindOf(err) != Conflict {
		t.Errorf("a link to a name that is taken: %v", err)
	}
}

// TestLinkCountsForTheNewOwner: a departure that comes with an adoption is claimed from the adopting connection.
func TestLinkCountsForTheNewOwner(t *testing.T) {
	t.Parallel()
	s := DefaultSettings()
	s.Matching.Adoption, s.Matching.VerifiedDomains = AdoptionAdopt, []string{"a.example"}
	r, err := NewRules(1, s)
	if err != nil {
		t.Fatal(err)
	}
	f := Facts{Candidates: Candidates{Effective: user("old", "ann@a.example", ofForeign)}}
	d := Desired{ID: "new", Type: scim.User, Connection: own, Now: now, Asserted: scim.Attributes{"userName": "ann@a.example", "active": false}}
	_, err = decide(f, d, r)
	var lack *lacking
	if !errors.As(err, &lack) || lack.departure == nil || lack.departure.Connection != own || lack.departure.Kind != BudgetUsers {
		t.Fatalf("decide lacks %+v (%v)", lack, err)
	}
	f.Departure = &DepartureFacts{Present: 1000, Budget: Budget{Connection: own, Kind: BudgetUsers}}
	decision, err := decide(f, d, r)
	if err != nil || len(decision.Budgets) != 1 || decision.Budgets[0].Connection != own || decision.Changes[0].After.State != Suspended {
		t.Errorf("%+v, %v", decision, err)
	}
}

// TestTombstoneNames: Entra's names of the softly deleted are echoed and never effective.
func TestTombstoneNames(t *testing.T) {
	t.Parallel()
	for name, kept := range map[string]bool{
		"0123456789abcdef0123456789abcdefann":             true,
		"01234567-89ab-cdef-0123-456789abcdefann":         true,
		"0123456789ABCDEF0123456789ABCDEFAnn":             true,
		"0123456789abcdef0123456789abcdefbob":             false,
		"123456789abcdef0123456789abcdefann":              false,
		"0123456789abcdef0123456789abcdef.ann":            false,
		"ann":                                             true,
		"ann.berg":                                        false,
		"g123456789abcdef0123456789abcdefann":             false,
		"x0123456789abcdef0123456789abcdefann":            false,
		"0123456789abcdef0123456789abcdef":                false,
		strings.Repeat("0123456789abcdef", 2) + "ann.old": false,
	} {
		f := addressed(user("u", "ann", active))
		decision, err := decide(withDeparture(f), Desired{Type: scim.User, Connection: own, Now: now,
			Asserted: scim.Attributes{"userName": name, "active": false}}, defaultRules)
		if err != nil {
			t.Fatal(err)
		}
		x := decision.Changes[0].After
		if x.Index.Name != scim.FoldFull.Apply(name) || (x.Index.EffectiveName == "ann") != kept {
			t.Errorf("%s: asserted %s, effective %s; want ann kept: %v", name, x.Index.Name, x.Index.EffectiveName, kept)
		}
	}
}

func withDeparture(f Facts) Facts {
	f.Departure = &DepartureFacts{Present: 1000}
	return f
}

// TestRenameDoesNotUnprotect: who is protected by a name stays so under every other.
func TestRenameDoesNotUnprotect(t *testing.T) {
	t.Parallel()
	s := DefaultSettings()
	s.Guard.Users, s.Guard.Groups = []string{"ANN"}, []string{"Board"}
	r, err := NewRules(1, s)
	if err != nil {
		t.Fatal(err)
	}
	renames := []struct {
		x        *Resource
		asserted scim.Attributes
	}{
		{user("u", "ann"), scim.Attributes{"userName": "bob"}},
		{user("u", "ann"), scim.Attributes{"userName": "bob", "active": false}},
		{group("g", "Board"), scim.Attributes{"displayName": "Crew"}},
	}
	for _, rename := range renames {
		decision, err := decide(withDeparture(addressed(rename.x)), Desired{Type: rename.x.Type, Connection: own, Now: now, Asserted: rename.asserted}, r)
		if err != nil {
			t.Fatal(err)
		}
		c := decision.Changes[0]
		if !c.After.Protected || c.After.State != Active || !slices.ContainsFunc(c.Diff, func(d AttributeChange) bool { return d.Path == PathProtected && d.New == true }) {
			t.Errorf("%v: %+v", rename.asserted, c)
		}
	}
	// The recycled name frees a protected leaver's effective one, and he stays protected.
	old := user("old", "ann", gone)
	decision, err := decide(Facts{Candidates: Candidates{Effective: old}}, Desired{ID: "new", Type: scim.User, Connection: own, Now: now,
		Asserted: scim.Attributes{"userName": "ann"}}, r)
	if err != nil || len(decision.Changes) != 2 || !r.protects(&decision.Changes[0].After) {
		t.Errorf("%+v, %v", decision.Changes, err)
	}
}

// TestOrphansStayProtected: a DELETE that is ignored leaves no owner whose settings protect.
func TestOrphansStayProtected(t *testing.T) {
	t.Parallel()
	s := DefaultSettings()
	s.Deletion.Users.Deleted = IgnorePolicy
	s.Guard.Users, s.Roles.Names, s.Roles.Guarded = []string{"ann"}, []string{"auditor"}, []string{"auditor"}
	r, err := NewRules(1, s)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"ann": true, "bob": false, "auditor": true} {
		x := user("u", name)
		if name == "auditor" {
			x.Role = "auditor"
		}
		decision, err := decide(addressed(x), Desired{Type: scim.User, Connection: own, Now: now, Presence: Absent}, r)
		if err != nil {
			t.Fatal(err)
		}
		if after := decision.Changes[0].After; after.Connection != 0 || after.Protected != want {
			t.Errorf("%s: %+v", name, after)
		}
	}
}
