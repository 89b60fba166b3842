package e2e

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"meibo/provisioning"
	"meibo/provisioning/words"
	"meibo/scim"
)

var chains = flag.Int("chains", 60, "how many decisions TestChainsDecideAgain explains at least; 1000 are its full form")

// TestChainsDecideAgain makes up what clients, persons, settings, files, undos and time do to a tenant, and explains all of
// it. Each chain has words for all that it says; its last link is what is stored; and whatever was decided comes, from
// what the chain has recorded, to the very same entry again.
func TestChainsDecideAgain(t *testing.T) {
	setChecks(t, max(15, *chains/4)) // twice what it takes on the average, so that no seed makes up too few
	d := newDirectory(t)
	again, lacking := map[string]int{}, map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		y, done := d.year(t)
		defer done()
		for range 4 {
			y.must(y.create(y.origin()))
		}
		for range rapid.IntRange(10, 60).Draw(t, "steps") {
			y.step(map[string]int{})
		}
		for _, chain := range y.chains() {
			same, err := sameAgain(chain)
			switch e := chain.Entry; {
			case err != nil:
				t.Errorf("entry %s by %s, %s %s of %s, matched by %q, for %v: %v\n%v", e.ID, e.Actor, e.Action, e.Outcome, e.ResourceType, e.MatchedBy, e.Reason, err, e.Diff)
			case same:
				again[e.Reason.Code]++
			default:
				lacking[e.Reason.Code]++
			}
		}
	})
	n := 0
	for _, of := range again {
		n += of
	}
	t.Logf("%d were decided again: %v; of these the log does not have it all: %v", n, again, lacking)
	if n < *chains {
		t.Errorf("%d were decided again, want %d", n, *chains)
	}
	for code := range lacking {
		if !slices.Contains([]string{provisioning.ReasonNotFound, provisioning.ReasonRefused, provisioning.ReasonTolerance, provisioning.ReasonAdoption}, code) {
			t.Errorf("%d with the reason %s could not be decided again", lacking[code], code)
		}
	}
}

// chains explains every entry about a user or group, and holds each against the catalogue and against what is stored.
func (y *year) chains() (all []provisioning.Chain) {
	var entries []provisioning.Entry
	y.must(y.service.Entries(y.ctx, acme, provisioning.EntryQuery{}, func(e provisioning.Entry) error {
		entries = append(entries, e)
		return nil
	}))
	latest := map[string]int64{}
	for _, e := range entries {
		latest[e.ResourceID] = max(latest[e.ResourceID], e.Version)
	}
	for _, e := range entries {
		chain, err := y.service.Why(y.ctx, acme, e.ID)
		y.must(err)
		for _, s := range statements(chain) {
			if err := words.English.Check(s); err != nil {
				y.Errorf("entry %s (%v): %v", e.ID, e.Reason, err)
			}
		}
		if e.ResourceType == "" {
			continue
		}
		if e.Version > 0 && e.Version == latest[e.ResourceID] {
			y.must(y.endsAsStored(chain))
		}
		all = append(all, chain)
	}
	return all
}

func statements(c provisioning.Chain) []provisioning.Statement {
	out := []provisioning.Statement{c.Statement}
	for _, l := range c.Links {
		out = append(out, l.Statement)
	}
	return out
}

// endsAsStored holds the last link of a resource's last chain against its row.
func (y *year) endsAsStored(c provisioning.Chain) error {
	e := c.Entry
	x, err := y.service.Account(y.ctx, acme, e.ResourceType, e.ResourceID)
	if err != nil {
		return err
	}
	doc := x.Effective
	if doc == nil {
		doc = x.Asserted
	}
	attributes, err := scim.Standard(x.Type).Decode(doc)
	if err != nil {
		return err
	}
	want := map[string]any{"state": string(x.State), "attributes": map[string]any(attributes)}
	if x.Type == scim.User {
		want["role"] = x.RoleName()
	} else {
		want["members"] = x.MemberCount
	}
	last := c.Links[len(c.Links)-1]
	got := map[string]any{}
	for _, in := range last.Inputs {
		got[in.Name] = in.Value
	}
	delete(got, "before")
	if last.Kind != provisioning.LinkSeen || !maps.EqualFunc(got, want, reflect.DeepEqual) {
		return fmt.Errorf("entry %s: the last link says %s %v; stored is %v", e.ID, last.Kind, got, want)
	}
	return nil
}

// sameAgain decides on a chain again. It is false where that cannot be done.
func sameAgain(c provisioning.Chain) (bool, error) {
	again, err := c.Reevaluate()
	switch {
	case err != nil:
		return false, err
	case again.Lacks.Code != "":
		return false, words.English.Check(again.Lacks)
	case len(again.Differences) > 0:
		return false, fmt.Errorf("decided again: %v; %s %s for %v: %v", again.Differences, again.Again.Action, again.Again.Outcome, again.Again.Reason, again.Again.Diff)
	default:
		return true, nil
	}
}

// TestOtherDecisionIsNoticed: what the rules of then would not have decided is not taken for theirs.
func TestOtherDecisionIsNoticed(t *testing.T) {
	t.Parallel()
	falsified := map[string]func(*provisioning.Entry){
		"another action":   func(e *provisioning.Entry) { e.Action = provisioning.ActionCreate },
		"another outcome":  func(e *provisioning.Entry) { e.Outcome = provisioning.Warning },
		"another reason":   func(e *provisioning.Entry) { e.Reason.Code = provisioning.ReasonHeld },
		"another argument": func(e *provisioning.Entry) { e.Reason.Args = map[string]string{"cause": provisioning.CauseDeleted} },
		"another version":  func(e *provisioning.Entry) { e.Version++ },
		"another value": func(e *provisioning.Entry) {
			e.Diff = slices.Clone(e.Diff)
			e.Diff[0].New = "falsified"
		},
		"a difference is missing": func(e *provisioning.Entry) { e.Diff = e.Diff[1:] },
	}
	each(t, func(t *testing.T, db database) {
		s := newStage(t, newServer(t, db, options{}), "again", entraDefault, nil)
		s.users("kim")
		s.set("kim", object{"active": false})
		e := s.entry(provisioning.ActionDisable, provisioning.Success, "suspended")
		chain, err := s.service.Why(t.Context(), s.name, e.ID)
		if err != nil {
			t.Fatal(err)
		}
		if same, err := sameAgain(chain); !same {
			t.Fatalf("decided again: %v", err)
		}
		for name, falsify := range falsified {
			other := chain
			falsify(&other.Entry)
			if _, err := sameAgain(other); err == nil {
				t.Errorf("%s goes unnoticed", name)
			}
		}
		// Other rules than those of then come to something else.
		for name, edit := range map[string]func(*provisioning.Settings){
			"another policy": func(s *provisioning.Settings) { s.Deletion.Users.Deactivated = provisioning.HoldPolicy },
			"a guard":        func(s *provisioning.Settings) { s.Guard.Users = []string{nameOf("kim")} },
			"a mapping": func(s *provisioning.Settings) {
				s.Mapping.Users = []provisioning.MappingRow{{Target: "title", Constant: "Dr."}}
			},
		} {
			other := provisioning.New(provisioning.Options{Store: otherRules{s.store, edit}})
			chain, err := other.Why(t.Context(), s.name, e.ID)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := sameAgain(chain); err == nil {
				t.Errorf("%s goes unnoticed", name)
			}
		}
		if _, err := s.service.Why(t.Context(), s.name, "019aa000-0000-7000-8000-000000000000"); provisioning.KindOf(err) != provisioning.NotFound {
			t.Errorf("no entry: %v", err)
		}
	})
}

// otherRules is a store whose settings are not those that decided.
type otherRules struct {
	provisioning.Store
	edit func(*provisioning.Settings)
}

func (s otherRules) View(ctx context.Context, tenant string, fn func(provisioning.Reader) error) error {
	return s.Store.View(ctx, tenant, func(r provisioning.Reader) error { return fn(otherReader{r, s.edit}) })
}

type otherReader struct {
	provisioning.Reader
	edit func(*provisioning.Settings)
}

func (r otherReader) Settings(connection, version int64) (provisioning.SettingsVersion, error) {
	v, err := r.Reader.Settings(connection, version)
	r.edit(&v.Settings)
	return v, err
}
