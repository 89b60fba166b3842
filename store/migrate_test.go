package store

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"meibo/provisioning"
	"meibo/scim"
)

// TestRulesMigration brings a database with resources from the schema before rules up to date: who is there is counted, who
// left has a time, addresses are found in the whole tenant.
func TestRulesMigration(t *testing.T) {
	t.Parallel()
	for _, database := range databases {
		t.Run(database.name, func(t *testing.T) {
			t.Parallel()
			s, err := Open(context.Background(), Options{URL: database.empty(t)})
			must(t, err)
			defer func() { must(t, s.Close()) }()
			p, err := s.migrator()
			must(t, err)
			_, err = p.UpTo(context.Background(), 2)
			must(t, err)
			for _, text := range beforeRules(s.dialect) {
				if err := s.writes.Exec(text).Error; err != nil {
					t.Fatalf("%s: %v", text, err)
				}
			}
			must(t, s.Migrate(context.Background()))
			must(t, s.View(context.Background(), "acme", func(r provisioning.Reader) error {
				wantMigrated(t, r)
				return nil
			}))
			must(t, s.Update(context.Background(), "acme", patch(1, "active"))) // and goes on from there
		})
	}
}

// beforeRules are two connections of a tenant with users in each state, a group, and a stranger with the same address.
func beforeRules(d dialect) (all []string) {
	at, yes, no := "1000000", "1", "0"
	if d.postgres {
		at, yes, no = "'1970-01-01 00:00:01Z'", "true", "false"
	}
	for _, tenant := range []string{"acme", "umbrella"} {
		all = append(all, fmt.Sprintf("insert into tenant (name, created) values ('%s', %s)", tenant, at))
	}
	for i, tenant := range []string{"acme", "acme", "umbrella"} {
		all = append(all, fmt.Sprintf("insert into connection (tenant, name, kind, patch_response, unknown_members, unique_group_names, created) "+
			"values ('%s', 'c%d', 'scim', 'default', 'refuse', %s, %s)", tenant, i, yes, at))
	}
	for _, r := range []struct {
		id, tenant, kind, state string
		connection              int64
		visible                 bool
	}{
		{"active", "acme", "User", "active", 1, true}, {"disabled", "acme", "User", "suspended", 1, true}, {"deleted", "acme", "User", "suspended", 1, false},
		{"kept", "acme", "User", "active", 1, false}, {"spared", "acme", "User", "active", 1, false}, {"elsewhere", "acme", "User", "active", 2, true},
		{"group", "acme", "Group", "active", 1, true}, {"gone", "acme", "Group", "removed", 1, false}, {"ownerless", "acme", "User", "active", 0, false},
		{"stranger", "umbrella", "User", "active", 3, true},
	} {
		scope := provisioning.Scope{Connection: r.connection, Type: scim.ResourceType(r.kind)}
		visible, key, lane := no, "null", "null"
		if r.visible {
			visible, key, lane = yes, "'"+scopedKey(scope, r.id)+"'", fmt.Sprint(laneOf(scope))
			all = append(all, fmt.Sprintf("insert into tally (lane, block, delta) values (%s, 0, 1)", lane))
		}
		all = append(all, fmt.Sprintf(`insert into resource (id, tenant, type, connection, visible, state, role, protected, version, created, modified, asserted, rule_version,
			name, display, manager, external_id, key, lane) values ('%s', '%s', '%s', %d, %s, '%s', '', %s, 1, %s, %s, '{}', 0, '%s', '', '', '', %s, %s)`,
			r.id, r.tenant, r.kind, r.connection, visible, r.state, no, at, at, r.id, key, lane),
			fmt.Sprintf("insert into resource_value (resource, attr, ord, key, value, type, display, is_primary) values ('%s', 'emails', 0, '%d:emails:a:b', 'a:b', '', '', %s)",
				r.id, r.connection, no))
	}
	for i, m := range []struct{ group, to string }{{"group", "null"}, {"group", "null"}, {"group", at}, {"gone", "null"}} {
		all = append(all, fmt.Sprintf("insert into member (grp, member, valid_from, valid_to, from_entry) values ('%s', 'm%d', %s, %s, '')", m.group, i, at, m.to))
	}
	return all
}

func wantMigrated(t *testing.T, r provisioning.Reader) {
	t.Helper()
	got := map[string]string{}
	must(t, r.Accounts(provisioning.AccountQuery{Connection: -1, Removed: true}, func(r provisioning.Resource) error {
		got[r.ID] = fmt.Sprintf("%d members", r.MemberCount)
		if !r.LeftAt.IsZero() {
			got[r.ID] += fmt.Sprintf(", left at %d", r.LeftAt.Unix())
		}
		return nil
	}))
	want := map[string]string{"active": "0 members", "disabled": "0 members, left at 1", "deleted": "0 members, left at 1", "kept": "0 members", "spared": "0 members",
		"elsewhere": "0 members", "group": "2 members", "gone": "1 members, left at 1", "ownerless": "0 members"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("want -, got +\n%s", d)
	}
	for q, want := range map[provisioning.BudgetQuery]int{
		{Connection: 1, Kind: provisioning.BudgetUsers}: 3, {Connection: 2, Kind: provisioning.BudgetUsers}: 1,
		{Connection: 1, Kind: provisioning.BudgetGroups}: 1, {Connection: 3, Kind: provisioning.BudgetUsers}: 0,
	} {
		facts, err := r.Departure(q)
		must(t, err)
		if facts.Present != want {
			t.Errorf("%+v: %d are present, want %d", q, facts.Present, want)
		}
	}
	c, err := r.Candidates(provisioning.CandidateQuery{Scope: provisioning.Scope{Connection: 1, Type: scim.User}, Emails: []string{"a:b"}})
	must(t, err)
	var found []string
	for _, m := range c.Mail {
		found = append(found, m.ID)
	}
	if d := cmp.Diff([]string{"elsewhere", "ownerless"}, found); d != "" {
		t.Errorf("by address: want -, got +\n%s", d)
	}
	f, err := scim.ParseFilter(scim.Standard(scim.User), `emails.value eq "a:b"`)
	must(t, err)
	page, err := r.List(provisioning.ListQuery{Scope: provisioning.Scope{Connection: 1, Type: scim.User}, Filter: f, StartIndex: 1, Count: 10})
	must(t, err)
	if page.Total != 2 {
		t.Errorf("a client finds %d by address, want 2", page.Total)
	}
}
