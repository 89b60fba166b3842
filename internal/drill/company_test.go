package drill

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func companyOf(seed uint64, users, groups, members int) *company {
	return newCompany(rand.New(rand.NewPCG(seed, 1)), users, groups, members, 5)
}

func TestCompanyIsDecidedBySeed(t *testing.T) {
	t.Parallel()
	bodies := func(seed uint64) (all []any) {
		c := companyOf(seed, 300, 20, 2000)
		for _, p := range slices.Concat(c.people, c.hires) {
			manager := ""
			if p.manager != nil {
				manager = p.manager.objectID
			}
			all = append(all, createUser(p), manager)
		}
		for _, tm := range c.teams {
			var members []string
			for p := range tm.members {
				members = append(members, p.objectID)
			}
			slices.Sort(members)
			all = append(all, createGroup(tm), members)
		}
		return all
	}
	if !reflect.DeepEqual(bodies(4), bodies(4)) {
		t.Error("the same seed gave two companies")
	}
	if reflect.DeepEqual(bodies(4), bodies(5)) {
		t.Error("two seeds gave the same company")
	}
}

func TestCompanyMemberships(t *testing.T) {
	t.Parallel()
	for _, size := range [][3]int{{2000, 50, 20000}, {10, 3, 30}, {10, 4, 0}, {5, 7, 6}, {100, 1, 100}, {1, 0, 0}, {7, 9, 62}} {
		sum := 0
		for _, tm := range companyOf(1, size[0], size[1], size[2]).teams {
			sum += len(tm.members)
			if len(tm.members) > size[0] {
				t.Errorf("%v: a group of %d members", size, len(tm.members))
			}
		}
		if sum != size[2] {
			t.Errorf("%v: %d memberships", size, sum)
		}
	}
}

func TestCompanyIsHardToStore(t *testing.T) {
	t.Parallel()
	c := companyOf(3, 500, 40, 0)
	names := map[string]bool{}
	var all strings.Builder
	withoutMail, disabled, roots := 0, 0, 0
	for _, p := range c.people {
		names[strings.ToLower(p.attrs["userName"])] = true
		for _, v := range p.attrs {
			all.WriteString(v + "|")
		}
		withoutMail += btoi(p.attrs[workMail] == "")
		disabled += btoi(!p.active)
		roots += btoi(p.manager == nil)
		for m, depth := p.manager, 0; m != nil; m, depth = m.manager, depth+1 {
			if depth > len(c.people) {
				t.Fatal("the managers form a ring")
			}
		}
	}
	for _, tm := range c.teams {
		names[strings.ToLower(tm.name)] = true
		all.WriteString(tm.name + "|")
	}
	if len(names) != len(c.people)+len(c.teams) {
		t.Errorf("%d names for %d people and groups", len(names), len(c.people)+len(c.teams))
	}
	if min(withoutMail, disabled, roots) == 0 || withoutMail+disabled+roots > 150 {
		t.Errorf("%d without mail, %d disabled, %d without a manager", withoutMail, disabled, roots)
	}
	for _, want := range []string{`"`, `'`, `\`, "+", "&", "#", "%", "<", "太", "\u00e9", "e\u0301", "| ", " |", "  ", "\n", "ß", "#EXT#"} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("nobody's data holds %q", want)
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
