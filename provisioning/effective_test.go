package provisioning

import (
	"strings"
	"testing"
	"time"

	"meibo/scim"
)

// TestEffectiveNames: which userName the host application sees, by mode, frozen or not, overridden or not.
func TestEffectiveNames(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		mode     UserNameMode
		frozen   bool
		now      string // asserted before, "" for a new user
		seen     string // effective before, "" for as asserted
		override string
		asserted string
		want     string
	}{
		"new":                         {FullUserName, false, "", "", "", "Ann@a.example", "Ann@a.example"},
		"new, local part":             {LocalUserName, false, "", "", "", "Ann@a.example", "Ann"},
		"new, local part of none":     {LocalUserName, false, "", "", "", "Ann", "Ann"},
		"new, frozen":                 {FullUserName, true, "", "", "", "ann@a.example", "ann@a.example"},
		"renamed":                     {FullUserName, false, "ann@a.example", "", "", "bob@a.example", "bob@a.example"},
		"renamed, local part":         {LocalUserName, false, "ann@a.example", "ann", "", "bob@b.example", "bob"},
		"another domain, local part":  {LocalUserName, false, "ann@a.example", "ann", "", "ann@b.example", "ann"},
		"renamed, frozen":             {FullUserName, true, "ann@a.example", "", "", "bob@a.example", "ann@a.example"},
		"renamed back, frozen":        {FullUserName, true, "bob@a.example", "ann@a.example", "", "ann@a.example", "ann@a.example"},
		"renamed again, frozen":       {FullUserName, true, "bob@a.example", "ann@a.example", "", "cleo@a.example", "ann@a.example"},
		"renamed, frozen, local part": {LocalUserName, true, "ann@a.example", "ann", "", "bob@a.example", "ann"},
		"overridden":                  {FullUserName, false, "ann@a.example", "boss", "boss", "bob@a.example", "boss"},
		"overridden, frozen, local":   {LocalUserName, true, "ann@a.example", "the@boss", "the@boss", "bob@a.example", "the@boss"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := DefaultSettings()
			s.Mapping.UserName = UserNameSettings{Mode: tt.mode, Frozen: tt.frozen}
			r, err := NewRules(1, s)
			if err != nil {
				t.Fatal(err)
			}
			var f Facts
			if tt.now != "" {
				x := user("u", tt.now)
				if tt.seen != "" {
					x.setEffective(scim.Attributes{"userName": tt.seen}, 1)
				}
				if tt.override != "" {
					x.Overrides = []byte(`{"userName":"` + tt.override + `"}`)
				}
				f = addressed(x)
			}
			decision, err := decide(f, Desired{ID: "u", Type: scim.User, Connection: own, Now: now, Asserted: scim.Attributes{"userName": tt.asserted}}, r)
			if err != nil {
				t.Fatal(err)
			}
			x := decision.Changes[0].After
			seen := tt.asserted
			if x.Effective != nil {
				a, err := decoded(scim.User, x.Effective)
				if err != nil {
					t.Fatal(err)
				}
				seen = nameOf(scim.User, a)
			}
			if seen != tt.want || x.Index.EffectiveName != strings.ToLower(tt.want) || x.Index.Name != strings.ToLower(tt.asserted) {
				t.Errorf("effective %q, index %+v, want %q", seen, x.Index, tt.want)
			}
			if f.Current == nil {
				return
			}
			// The client reads back what it asserted, and the same again changes nothing.
			x.Version, f.Asserted = 9, scim.Attributes{"userName": tt.asserted}
			f.Current = &x
			again, err := decide(f, Desired{Type: scim.User, Connection: own, Now: now, Asserted: f.Asserted}, r)
			if err != nil || again.Changes[0].Action != ChangeSkip {
				t.Errorf("again: %+v, %v", again, err)
			}
		})
	}
}

// TestFrozenNamesCollide: a name that another keeps cannot be had, although nobody is asserted under it.
func TestFrozenNamesCollide(t *testing.T) {
	t.Parallel()
	s := DefaultSettings()
	s.Mapping.UserName.Frozen = true
	r, err := NewRules(1, s)
	if err != nil {
		t.Fatal(err)
	}
	holder := user("old", "bob@a.example")
	holder.setEffective(scim.Attributes{"userName": "ann@a.example"}, 1)
	_, err = decide(Facts{Candidates: Candidates{Effective: holder}, HasWaiting: true}, Desired{ID: "new", Type: scim.User, Connection: own, Now: now,
		Asserted: scim.Attributes{"userName": "ann@a.example"}}, r)
	if KindOf(err) != Conflict {
		t.Errorf("%v, want a conflict", err)
	}
}

// TestOverrides: what a person set survives every assertion until it is taken back.
func TestOverrides(t *testing.T) {
	t.Parallel()
	x := user("u", "ann", func(_ *Resource, a scim.Attributes) { a["title"] = "asserted" })
	f := addressed(x)
	settings := DefaultSettings()
	settings.Roles.Names = []string{"clerk"}
	rules, err := NewRules(1, settings)
	if err != nil {
		t.Fatal(err)
	}
	step := func(d Desired) Change {
		t.Helper()
		d.Type, d.Connection, d.Now = scim.User, own, now
		decision, err := decide(f, d, rules)
		if err != nil {
			t.Fatal(err)
		}
		c := decision.Changes[0]
		after := c.After
		f = addressed(&after)
		return c
	}
	title := func() any {
		t.Helper()
		a, err := effectiveOf(f.Current)
		if err != nil {
			t.Fatal(err)
		}
		if a == nil {
			a = f.Asserted
		}
		return a["title"]
	}
	c := step(Desired{Act: &Act{Overrides: map[string]any{"title": "chosen"}}})
	if title() != "chosen" || f.Asserted["title"] != "asserted" || string(f.Current.Overrides) != `{"title":"chosen"}` || c.Reason.Code != ReasonByPerson {
		t.Errorf("set: %+v", c)
	}
	step(Desired{Asserted: scim.Attributes{"userName": "ann", "title": "later"}})
	if title() != "chosen" || f.Asserted["title"] != "later" {
		t.Errorf("after an assertion: %v", title())
	}
	step(Desired{Asserted: scim.Attributes{"userName": "ann"}, Anew: true})
	if title() != "chosen" {
		t.Errorf("decided anew: %v", title())
	}
	step(Desired{Act: &Act{Overrides: map[string]any{"title": nil}}})
	if title() != nil || f.Current.Overrides != nil || f.Current.Effective != nil {
		t.Errorf("taken back: %v %s", title(), f.Current.Overrides)
	}
	if c := step(Desired{Act: &Act{Overrides: map[string]any{"title": nil}}}); c.Action != ChangeSkip {
		t.Errorf("taken back twice: %+v", c)
	}
	clerk, none := "clerk", ""
	step(Desired{Act: &Act{Role: &clerk}})
	step(Desired{Asserted: scim.Attributes{"userName": "ann", "roles": []any{map[string]any{"value": "x"}}}})
	if f.Current.Role != "clerk" {
		t.Errorf("role %q", f.Current.Role)
	}
	if step(Desired{Act: &Act{Role: &none}}); f.Current.Overrides != nil {
		t.Errorf("the role's choice is kept: %s", f.Current.Overrides)
	}
}

// TestPurge erases everything but what the client still sees.
func TestPurge(t *testing.T) {
	t.Parallel()
	for _, visible := range []bool{true, false} {
		x := user("u", "ann", func(r *Resource, a scim.Attributes) {
			a["title"], a["active"] = "x", false
			r.State, r.Visible, r.Role, r.PurgeAt, r.LeftAt, r.Overrides = Removed, visible, "clerk", now, born, []byte(`{"title":"y"}`)
		})
		x.setEffective(scim.Attributes{"userName": "ann", "title": "y"}, 1)
		decision, err := decide(addressed(x), Desired{Type: scim.User, Now: now, Act: &Act{Purge: true}}, defaultRules)
		if err != nil {
			t.Fatal(err)
		}
		c := decision.Changes[0]
		after := c.After
		effective, err := effectiveOf(&after)
		if err != nil {
			t.Fatal(err)
		}
		if len(effective) > 0 || after.Role != "" || after.Overrides != nil || !after.PurgeAt.IsZero() || after.State != Removed || c.Reason.Code != ReasonPurged || after.Version != 4 {
			t.Errorf("visible %v: %+v", visible, after)
		}
		if asserted, _ := decoded(scim.User, after.Asserted); (nameOf(scim.User, asserted) == "ann") != visible {
			t.Errorf("visible %v: the document is %v", visible, asserted)
		}
	}
}

// TestActsSpareTheProtected: a person lifts a protection first, and then acts.
func TestActsSpareTheProtected(t *testing.T) {
	t.Parallel()
	no := false
	for name, a := range map[string]Act{
		"suspend": {State: Suspended}, "remove": {State: Removed, Grace: day}, "purge": {Purge: true}, "empty": {Empty: true},
		"suspend, unprotected in the same breath": {State: Suspended, Protected: &no},
	} {
		for _, protect := range []func(*Resource, scim.Attributes){
			func(r *Resource, _ scim.Attributes) { r.Protected = true },
			func(r *Resource, _ scim.Attributes) { r.Role = RoleAdmin },
		} {
			_, err := decide(addressed(user("u", "ann", protect)), Desired{Type: scim.User, Connection: own, Now: now, Act: &a}, defaultRules)
			if KindOf(err) != Invalid || err.(*Error).Type != string(scim.Mutable) {
				t.Errorf("%s: %v, want a refusal", name, err)
			}
		}
	}
	x := user("u", "ann", func(r *Resource, _ scim.Attributes) { r.Protected = true })
	decision, err := decide(addressed(x), Desired{Type: scim.User, Connection: own, Now: now, Act: &Act{Protected: &no}}, defaultRules)
	if err != nil || decision.Changes[0].After.Protected {
		t.Errorf("%+v, %v", decision, err)
	}
}

// TestActs: what a person does to the state.
func TestActs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		from   State
		act    Act
		to     State
		action Action
		purge  time.Duration // from now; 0 for never
	}{
		{Active, Act{State: Suspended}, Suspended, ChangeSuspend, 0},
		{Held, Act{State: Suspended}, Suspended, ChangeSuspend, 0},
		{Suspended, Act{State: Suspended}, Suspended, ChangeSkip, 0},
		{Active, Act{State: Removed, Grace: day}, Removed, ChangeDelete, 24 * time.Hour},
		{Suspended, Act{State: Active}, Active, ChangeRestore, 0},
		{Removed, Act{State: Active}, Active, ChangeRestore, 0},
		{Removed, Act{State: Suspended}, Suspended, ChangeSuspend, 0},
		{Removed, Act{Wait: true}, Removed, ChangeUpdate, 0},
		{Held, Act{Release: true}, Active, ChangeRestore, 0},
		{Suspended, Act{Release: true}, Suspended, ChangeSkip, 0},
		{Removed, Act{Release: true}, Removed, ChangeSkip, time.Hour},
		{Active, Act{Release: true}, Active, ChangeSkip, 0},
	} {
		x := user("u", "ann")
		x.State = tt.from
		if !tt.from.in() {
			x.LeftAt = born
		}
		if tt.from == Removed {
			x.PurgeAt = now.Add(time.Hour)
		}
		decision, err := decide(addressed(x), Desired{Type: scim.User, Connection: own, Now: now, Act: &tt.act}, defaultRules)
		if err != nil {
			t.Fatal(err)
		}
		c := decision.Changes[0]
		var purge time.Duration
		if !c.After.PurgeAt.IsZero() {
			purge = c.After.PurgeAt.Sub(now)
		}
		if c.Action != tt.action || c.After.State != tt.to || purge != tt.purge || c.After.LeftAt.IsZero() != tt.to.in() {
			t.Errorf("%s %+v: %s to %s, purged in %s, left %s", tt.from, tt.act, c.Action, c.After.State, purge, c.After.LeftAt)
		}
	}
}

// TestAnewLetsNobodyIn: to decide anew brings back whom a rule kept out, and nobody whom a person took away.
func TestAnewLetsNobodyIn(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		state State
		left  Reason
		back  bool
	}{
		{Suspended, Reason{Code: "suspended", Args: map[string]string{"cause": CauseScope}}, true},
		{Removed, Reason{Code: ReasonCreated}, true}, // out of scope from the beginning
		{Suspended, Reason{Code: ReasonByPerson}, false},
		{Suspended, Reason{Code: ReasonByPerson, Args: map[string]string{"cause": CauseScope}}, true}, // a hold that was allowed
		{Removed, Reason{Code: ReasonByPerson, Args: map[string]string{"cause": CauseAgeing}}, false},
	} {
		f := addressed(user("u", "ann", func(r *Resource, _ scim.Attributes) { r.State = tt.state }))
		d := Desired{Type: scim.User, Connection: own, Now: now, Asserted: f.Asserted, Anew: true}
		if _, err := decide(f, d, defaultRules); err == nil {
			t.Fatal("decide did not ask why")
		}
		f.Left = &tt.left
		decision, err := decide(f, d, defaultRules)
		if err != nil {
			t.Fatal(err)
		}
		if got := decision.Changes[0].After.State; (got == Active) != tt.back {
			t.Errorf("%s %+v: %s", tt.state, tt.left, got)
		}
	}
}
