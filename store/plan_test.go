package store

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"meibo/provisioning"
	"meibo/scim"
)

// hot is an operation whose statements must be served by indexes in every state of a database.
type hot struct {
	name    string
	run     func(*planner) error
	indexes []string // that its statements must use
}

// memberless reports whether none of the operation's statements may name the table of members.
func (h hot) memberless() bool { return strings.HasSuffix(h.name, "without members") }

// writes reports whether the operation changes a resource; on SQLite it ends where there is none.
func (h hot) writes() bool {
	for _, word := range []string{"patch", "hide", "suspend", "add ", "remove ", "rename "} {
		if strings.HasPrefix(h.name, word) {
			return true
		}
	}
	return false
}

func (p *planner) read(fn func(provisioning.Reader) error) error {
	return p.s.View(context.Background(), "acme", fn)
}

func (p *planner) scope(t scim.ResourceType) provisioning.Scope {
	return provisioning.Scope{Connection: p.connection, Type: t}
}

// list reads a page; the zero filter is none.
func list(kind scim.ResourceType, filter string, start int, refs provisioning.References) func(*planner) error {
	return func(p *planner) error {
		q := provisioning.ListQuery{Scope: p.scope(kind), StartIndex: start, Count: 100, References: refs}
		if filter != "" {
			var err error
			if q.Filter, err = scim.ParseFilter(scim.Standard(kind), filter); err != nil {
				return err
			}
		}
		return p.read(func(r provisioning.Reader) error { _, err := r.List(q); return err })
	}
}

func resource(kind scim.ResourceType, id string, q provisioning.ResourceQuery) func(*planner) error {
	return func(p *planner) error {
		q.Scope, q.ID = p.scope(kind), id
		err := p.read(func(r provisioning.Reader) error { _, err := r.Resource(q); return err })
		if provisioning.KindOf(err) == provisioning.NotFound {
			return nil
		}
		return err
	}
}

// write commits an update of a resource that may not be there: its statements are what counts.
func write1(kind scim.ResourceType, id string, edit func(*provisioning.Change)) func(*planner) error {
	return func(p *planner) error {
		before := provisioning.Resource{ID: id, Type: kind, Connection: p.connection, Visible: true, Version: 1, Created: epoch, Modified: epoch,
			Asserted: []byte("{}"), Index: provisioning.Index{Name: id}}
		c := provisioning.Change{Action: provisioning.ChangeUpdate, Before: &before, After: before}
		edit(&c)
		err := p.s.Update(context.Background(), "acme", commitOne(c))
		if provisioning.KindOf(err) == provisioning.Unavailable { // there was no such version
			return nil
		}
		return err
	}
}

func entries(q provisioning.EntryQuery) func(*planner) error {
	return func(p *planner) error {
		return p.read(func(r provisioning.Reader) error {
			_, err := r.EntryPage(q)
			return err
		})
	}
}

// fresh commits a new resource.
func fresh(build func(connection int64, name string) provisioning.Resource) func(*planner) error {
	return func(p *planner) error {
		return p.s.Update(context.Background(), "acme", commitOne(provisioning.Change{Action: provisioning.ChangeCreate, After: build(p.connection, newID())}))
	}
}

func many(n int) (all []scim.Member) {
	for range n {
		all = append(all, scim.Member{Value: newID()})
	}
	return all
}

// middle is the place of an entry in the midst of those of planRows.
var middle = provisioning.Place{At: epoch.Add(10_000 * time.Minute), ID: "e10000"}

var hots = []hot{
	{"by id", resource(scim.User, "u7", provisioning.ResourceQuery{}), []string{"resource_pkey"}},
	{"by id with references", resource(scim.User, "u7", provisioning.ResourceQuery{References: provisioning.References{Groups: true, Manager: true}}),
		[]string{"resource_pkey", "member_of"}},
	{"userName", list(scim.User, `userName eq "user7"`, 1, provisioning.References{}), []string{"resource_key"}},
	{"userName of nobody", list(scim.User, `userName eq "nobody"`, 1, provisioning.References{}), []string{"resource_key"}},
	{"prefix of userName", list(scim.User, `userName sw "user7"`, 1, provisioning.References{}), []string{"resource_key"}},
	{"externalId of nobody", list(scim.User, `externalId eq "nobody"`, 1, provisioning.References{}), []string{"resource_ext_key"}},
	{"externalId", list(scim.User, `externalId eq "ext7"`, 1, provisioning.References{}), []string{"resource_ext_key"}},
	{"id", list(scim.User, `id eq "u7"`, 1, provisioning.References{}), []string{"resource_pkey"}},
	{"work mail", list(scim.User, `emails[type eq "work"].value eq "user7@example.com"`, 1, provisioning.References{}), []string{"resource_value_key", "resource_pkey"}},
	{"work mail of nobody", list(scim.User, `emails[type eq "work"].value eq "nobody"`, 1, provisioning.References{}), []string{"resource_value_key", "resource_pkey"}},
	{"userName or externalId", list(scim.User, `userName eq "user7" or externalId eq "ext9"`, 1, provisioning.References{}),
		[]string{"resource_key", "resource_ext_key"}},
	{"displayName of a group", list(scim.Group, `displayName eq "group7"`, 1, provisioning.References{}), []string{"resource_key"}},
	{"prefix of a group's name", list(scim.Group, `displayName sw "group7"`, 1, provisioning.References{}), []string{"resource_key"}},
	{"member of a group", list(scim.Group, `id eq "g7" and members eq "u7"`, 1, provisioning.References{}), []string{"resource_pkey", "member_open"}},
	{"first page", list(scim.User, "", 1, provisioning.References{}), []string{"resource_lane"}},
	{"far page", list(scim.User, "", 15_000, provisioning.References{}), []string{"resource_lane", "tally_block_pkey"}},
	{"last page", list(scim.User, "", 19_901, provisioning.References{}), []string{"resource_lane", "tally_block_pkey"}},
	{"page at random", list(scim.User, "", 7_777, provisioning.References{}), []string{"resource_lane", "tally_block_pkey"}},
	{"page with references", list(scim.User, "", 1, provisioning.References{Groups: true, Manager: true}), []string{"resource_lane", "member_of", "resource_pkey"}},
	{"candidates", func(p *planner) error {
		return p.read(func(r provisioning.Reader) error {
			_, err := r.Candidates(provisioning.CandidateQuery{Scope: p.scope(scim.User), Name: "user7", ExternalID: "ext7"})
			return err
		})
	}, []string{"resource_key", "resource_eff_key", "resource_ext_key"}},
	{"candidates by a stable key that the settings name", func(p *planner) error {
		return p.read(func(r provisioning.Reader) error {
			_, err := r.Candidates(provisioning.CandidateQuery{Scope: p.scope(scim.User), Name: "user7", Stable: "0042"})
			return err
		})
	}, []string{"resource_key", "resource_eff_key", "resource_stable_key"}},
	{"group without members", resource(scim.Group, "g1", provisioning.ResourceQuery{}), []string{"resource_pkey"}},
	{"page of groups without members", list(scim.Group, "", 1, provisioning.References{}), []string{"resource_lane"}},
	{"group by name without members", list(scim.Group, `displayName eq "group7"`, 1, provisioning.References{}), []string{"resource_key"}},
	{"facts of a member", resource(scim.Group, "g1", provisioning.ResourceQuery{MemberFacts: []string{"u7"}}), []string{"resource_pkey", "member_open"}},
	{"facts of members", func(p *planner) error {
		return p.read(func(r provisioning.Reader) error {
			_, err := r.MemberFacts(p.connection, "g1", []string{"u7", "u8", "u9"})
			return err
		})
	}, []string{"resource_pkey", "member_open"}},
	{"members", func(p *planner) error {
		return p.read(func(r provisioning.Reader) error {
			return r.Members([]string{"g7", "g8"}, func(provisioning.GroupMember) error { return nil })
		})
	}, []string{"resource_pkey", "member_open"}},
	{"credential", func(p *planner) error {
		err := p.read(func(r provisioning.Reader) error { _, _, err := r.CredentialByHash([]byte("hash")); return err })
		if provisioning.KindOf(err) == provisioning.NotFound {
			return nil
		}
		return err
	}, []string{"credential_hash"}},
	{"log in order", entries(provisioning.EntryQuery{Limit: 50}), []string{"entry_at"}},
	{"log in order, of a resource", entries(provisioning.EntryQuery{Resource: "u7", Limit: 50}), []string{"entry_resource"}},
	{"log in order, of a request", entries(provisioning.EntryQuery{Correlation: "c7", Limit: 50}), []string{"entry_correlation"}},
	{"log in order, of a name", entries(provisioning.EntryQuery{Name: "USER7", Limit: 50}), []string{"entry_name"}},
	{"log in order, of a long name", entries(provisioning.EntryQuery{Name: strings.Repeat("user7", 50), Limit: 50}), []string{"entry_name"}},
	{"log in order, of a time", entries(provisioning.EntryQuery{Since: epoch, Until: epoch.AddDate(0, 0, 7), Limit: 50}), []string{"entry_at"}},
	{"log in order, next", entries(provisioning.EntryQuery{Before: middle, Limit: 50}), []string{"entry_at"}},
	{"log in order, next of a resource", entries(provisioning.EntryQuery{Resource: "u7", Before: middle, Limit: 50}), []string{"entry_resource"}},
	{"log in order, next of a request", entries(provisioning.EntryQuery{Correlation: "c7", Before: middle, Limit: 50}), []string{"entry_correlation"}},
	{"log in order, next of a name in a time", entries(provisioning.EntryQuery{Name: "user7", Since: epoch, Before: middle, Limit: 50}), []string{"entry_name"}},
	{"log in order, of a resource and an outcome", entries(provisioning.EntryQuery{Resource: "u7", Outcome: provisioning.Failure, Before: middle, Limit: 50}), []string{"entry_resource"}},
	{"log in order, of a name and a status", entries(provisioning.EntryQuery{Name: "user7", Status: 4, Limit: 50}), []string{"entry_name"}},
	{"log of a request and a member", entries(provisioning.EntryQuery{Correlation: "c7", Member: "u7", Limit: 50}),
		[]string{"entry_correlation", "member_of", "member_was", "mention_pkey"}},
	{"log of a common prefix", entries(provisioning.EntryQuery{Prefix: "user", Limit: 50}), []string{"entry_name"}},
	{"log of a prefix", entries(provisioning.EntryQuery{Prefix: "user77", Limit: 50}), []string{"entry_name"}},
	{"log of a prefix of nobody", entries(provisioning.EntryQuery{Prefix: "nobody", Outcome: provisioning.Failure, Before: middle, Limit: 50}), []string{"entry_name"}},
	{"log of a mail address", entries(provisioning.EntryQuery{Mail: "user7@example.com", Limit: 50}), []string{"resource_value_key"}},
	{"log of an externalId", entries(provisioning.EntryQuery{ExternalID: "ext7", Limit: 50}), []string{"resource_ext_key"}},
	{"log of a member", entries(provisioning.EntryQuery{Member: "u7", Limit: 50}), []string{"member_of", "member_was", "mention_pkey", "entry_pkey"}},
	{"log of a member, next of an action", entries(provisioning.EntryQuery{Member: "u7", Action: provisioning.ActionUpdate, Before: middle, Limit: 50}),
		[]string{"member_of", "member_was", "mention_pkey", "entry_pkey"}},
	{"log of few hours", func(p *planner) error {
		return entries(provisioning.EntryQuery{Connection: p.connection, Action: provisioning.ActionUpdate, Outcome: provisioning.Success, Reason: "why", Method: "PUT", Status: 200,
			Slower: 1, Limit: 50})(p)
	}, []string{"activity_pkey"}},
	{"log of few hours, next", entries(provisioning.EntryQuery{Outcome: provisioning.Success, Since: epoch, Until: middle.At, Before: middle, Limit: 50}), []string{"activity_pkey"}},
	{"log of hours", func(p *planner) error {
		return p.read(func(r provisioning.Reader) error {
			f := finder{session: r.(*session), limit: 50, rest: provisioning.EntryQuery{Status: 4}, span: span{since: epoch, before: middle}}
			return f.readHours([]hour{{begin: middle.At}, {begin: epoch}})
		})
	}, []string{"entry_at"}},
	{"activity", found(func(p *planner, r provisioning.Reader) error {
		return r.Activity(provisioning.ActivityQuery{Connection: p.connection, Since: epoch, Until: middle.At}, func(provisioning.Activity) error { return nil })
	}), []string{"activity_pkey"}},
	{"create a user", fresh(testUser), nil},
	{"create a group", fresh(testGroup), nil},
	{"patch", write1(scim.User, "u7", func(c *provisioning.Change) { c.After.Role = "admin" }), []string{"resource_pkey"}},
	{"patch of mail", write1(scim.User, "u7", func(c *provisioning.Change) {
		c.After.Index.Emails = []provisioning.Email{{Value: "new"}}
	}), []string{"resource_pkey", "resource_value_pkey"}},
	{"hide", write1(scim.User, "u7", func(c *provisioning.Change) { c.After.Visible = false }), []string{"resource_pkey"}},
	{"add a member", write1(scim.Group, "g1", func(c *provisioning.Change) { c.Members.Add = []scim.Member{{Value: "u7"}} }), []string{"resource_pkey"}},
	{"add members", write1(scim.Group, "g1", func(c *provisioning.Change) { c.Members.Add = many(50) }), []string{"resource_pkey"}},
	{"remove a member", write1(scim.Group, "g1", func(c *provisioning.Change) { c.Members.Remove = []string{"u7"} }), []string{"resource_pkey", "member_open"}},
	{"remove members", write1(scim.Group, "g1", func(c *provisioning.Change) { c.Members.Remove = []string{"u7", "u8"} }), []string{"resource_pkey", "member_open"}},
	{"add effective members", write1(scim.Group, "g1", func(c *provisioning.Change) { c.Members.EffectiveAdd = many(50) }), []string{"resource_pkey"}},
	{"remove an asserted member", write1(scim.Group, "g1", func(c *provisioning.Change) { c.Members.AssertedRemove = []string{"u7"} }), []string{"resource_pkey", "member_open"}},
	{"remove members of one view", write1(scim.Group, "g1", func(c *provisioning.Change) {
		c.Members.AssertedRemove, c.Members.EffectiveRemove = []string{"u7", "u8"}, []string{"u9", "u10"}
	}), []string{"resource_pkey", "member_open"}},
	{"entry", entries(provisioning.EntryQuery{ID: "e700", Limit: 1}), []string{"entry_pkey"}},
	{"rename a group", write1(scim.Group, "g1", func(c *provisioning.Change) { c.After.Index.Name = "other" }), []string{"resource_pkey"}},
	{"mail candidates", func(p *planner) error {
		return p.read(func(r provisioning.Reader) error {
			_, err := r.Candidates(provisioning.CandidateQuery{Scope: p.scope(scim.User), Name: "user7", Emails: []string{"user7@example.com", "user8@example.com"}})
			return err
		})
	}, []string{"resource_key", "resource_eff_key", "resource_value_key", "resource_pkey"}},
	{"presumed create", func(p *planner) error {
		u := testUser(p.connection, newID())
		return p.s.Update(context.Background(), "acme", func(tx provisioning.Tx) error {
			q := provisioning.CandidateQuery{Scope: p.scope(scim.User), Name: u.Index.Name, ExternalID: newID(), Emails: []string{newID()}, Presume: true}
			if _, err := tx.Candidates(q); err != nil {
				return err
			}
			return commitOne(provisioning.Change{Action: provisioning.ChangeCreate, After: u})(tx)
		})
	}, []string{"resource_ext_key", "resource_value_key"}},
	{"presumed create with locks", func(p *planner) error {
		return locked(p, func(tx provisioning.Tx) error {
			_, err := tx.Candidates(provisioning.CandidateQuery{Scope: p.scope(scim.User), Name: "user7", ExternalID: "ext7", Emails: []string{"user7@example.com"}})
			return err
		})
	}, []string{"resource_key", "resource_eff_key", "resource_ext_key", "resource_value_key", "resource_pkey"}},
	{"suspend", write1(scim.User, "u7", func(c *provisioning.Change) {
		c.After.State, c.After.LeftAt, c.After.PurgeAt, c.After.Overrides = provisioning.Suspended, epoch, epoch, []byte("{}")
	}), []string{"resource_pkey"}},
	{"departure", departure(provisioning.BudgetQuery{Kind: provisioning.BudgetUsers, Resource: "u7"}),
		[]string{"budget_pkey", "matter_resource", "tally_total_pkey"}},
	{"departure with a key", departure(provisioning.BudgetQuery{Resource: "u7", Key: "adoption:user7"}), []string{"matter_resource", "matter_key"}},
	{"departure with locks", func(p *planner) error {
		return locked(p, func(tx provisioning.Tx) error {
			_, err := tx.Departure(provisioning.BudgetQuery{Connection: p.connection, Kind: provisioning.BudgetUsers, Resource: "u7"})
			return err
		})
	}, []string{"budget_pkey", "matter_resource"}},
	{"claim", rules(func(p *planner) provisioning.Batch {
		return provisioning.Batch{Budgets: []provisioning.Budget{{Connection: p.connection, Kind: provisioning.BudgetUsers, Version: 7}}}
	}), []string{"budget_pkey"}},
	{"first claim", rules(func(p *planner) provisioning.Batch {
		return provisioning.Batch{Budgets: []provisioning.Budget{{Connection: p.connection, Kind: provisioning.BudgetUsers, Version: 1}}}
	}), nil},
	{"matter", rules(func(p *planner) provisioning.Batch {
		return provisioning.Batch{Matters: []provisioning.MatterChange{{Open: &provisioning.Matter{ID: newID(), Connection: p.connection, Key: newID(), Opened: epoch, Seen: epoch}}}}
	}), nil},
	{"decision of a matter", rules(func(p *planner) provisioning.Batch {
		return provisioning.Batch{Matters: []provisioning.MatterChange{{Update: &provisioning.Matter{ID: "m7", Version: 7}}}}
	}), []string{"matter_pkey"}},
	{"question about a matter", rules(func(p *planner) provisioning.Batch {
		return provisioning.Batch{Matters: []provisioning.MatterChange{{Ask: &provisioning.AskChange{ID: "m7", Impact: provisioning.Impact{AskedAt: epoch}}}}}
	}), []string{"matter_pkey"}},
	{"settlement of matters", rules(func(p *planner) provisioning.Batch {
		return provisioning.Batch{Matters: []provisioning.MatterChange{{Settle: &provisioning.MatterSettlement{Connection: p.connection, Resource: "u7",
			Kinds: []provisioning.MatterKind{provisioning.MatterHeld, provisioning.MatterKept}}}}}
	}), []string{"matter_resource"}},
	{"keyset of matters", matters(provisioning.MatterQuery{Limit: 100}), []string{"matter_listed"}},
	{"keyset of matters, next", matters(provisioning.MatterQuery{Before: "m7", Limit: 100}), []string{"matter_listed"}},
	{"keyset of open matters", matters(provisioning.MatterQuery{Status: provisioning.MatterOpen, Kind: provisioning.MatterHeld, Limit: 100}), []string{"matter_waiting"}},
	{"matter by id", matters(provisioning.MatterQuery{ID: "m7"}), []string{"matter_pkey"}},
	{"matters about", matters(provisioning.MatterQuery{Resource: "u7", Limit: 10}), []string{"matter_resource"}},
	{"settings", found(func(p *planner, r provisioning.Reader) error { _, err := r.Settings(p.connection, 7); return err }), []string{"settings_pkey"}},
	{"settings in force", found(func(p *planner, r provisioning.Reader) error { _, err := r.Settings(p.connection, 0); return err }), []string{"settings_pkey"}},
	{"all settings", found(func(p *planner, r provisioning.Reader) error { _, err := r.SettingsHistory(p.connection); return err }), []string{"settings_pkey"}},
	{"API key", found(func(p *planner, _ provisioning.Reader) error {
		_, _, err := p.s.APIKey(context.Background(), []byte("hash7"))
		return err
	}), []string{"api_key_hash"}},
	{"API keys", found(func(_ *planner, r provisioning.Reader) error { _, err := r.APIKeys(); return err }), []string{"api_key_tenant"}},
	{"account", found(func(_ *planner, r provisioning.Reader) error {
		_, err := r.Account(scim.User, "u7", provisioning.References{Groups: true, Manager: true})
		return err
	}), []string{"resource_pkey", "member_of"}},
	{"keyset of accounts", accounts(provisioning.AccountQuery{Type: scim.User, Connection: -1, Limit: 100, After: "u7",
		References: provisioning.References{Groups: true, Manager: true}}), []string{"resource_account", "member_of", "resource_pkey"}},
	{"keyset of suspended accounts", accounts(provisioning.AccountQuery{Type: scim.User, State: provisioning.Suspended, LeftBefore: epoch, Limit: 100}),
		[]string{"resource_account"}},
	{"keyset of suspended accounts that nobody was asked about", accounts(provisioning.AccountQuery{Type: scim.User, Connection: -1, State: provisioning.Suspended,
		LeftBefore: epoch, NotAsked: "held:ageing:", Limit: 100}), []string{"resource_account", "matter_key"}},
	{"accounts with locks", func(p *planner) error {
		return locked(p, func(tx provisioning.Tx) error {
			return tx.Accounts(provisioning.AccountQuery{Type: scim.User, Connection: -1, Limit: 100}, func(provisioning.Resource) error { return nil })
		})
	}, []string{"resource_account"}},
	{"account by effective name", accounts(provisioning.AccountQuery{Type: scim.User, Connection: -1, Effective: "user7", Limit: 100}), []string{"resource_eff_key"}},
	{"account by externalId", accounts(provisioning.AccountQuery{Type: scim.User, Connection: -1, ExternalID: "ext7", Limit: 100}), []string{"resource_ext_key"}},
	{"accounts to purge", accounts(provisioning.AccountQuery{Connection: -1, State: provisioning.Removed, PurgeDue: epoch, Limit: 100}), []string{"resource_purge"}},
	{"memberships", found(func(_ *planner, r provisioning.Reader) error {
		return r.Memberships("g7", func(provisioning.GroupMember) error { return nil })
	}), []string{"resource_pkey", "member_open"}},
	{"keyset of memberships", found(func(_ *planner, r provisioning.Reader) error {
		return r.MembershipsAfter("g1", "u7", 100, func(provisioning.GroupMember) error { return nil })
	}), []string{"resource_pkey", "member_open"}},
	{"open memberships", found(func(_ *planner, r provisioning.Reader) error {
		return r.OpenMemberships("u7", func(provisioning.Resource, provisioning.Membership) error { return nil })
	}), []string{"member_of", "resource_pkey"}},
	{"open memberships with locks", func(p *planner) error {
		return locked(p, func(tx provisioning.Tx) error {
			return tx.OpenMemberships("u7", func(provisioning.Resource, provisioning.Membership) error { return nil })
		})
	}, []string{"member_of", "resource_pkey"}},
	{"keyset of changes", found(func(_ *planner, r provisioning.Reader) error { _, _, err := r.Changes(7, 100); return err }), []string{"position_pkey", "entry_pkey"}},
	{"job", found(func(_ *planner, r provisioning.Reader) error { _, err := r.Job("j7"); return err }), []string{"job_pkey"}},
	{"keyset of jobs", found(func(_ *planner, r provisioning.Reader) error { _, err := r.Jobs("", "j7", 100); return err }), []string{"job_listed"}},
	{"keyset of jobs of a kind", found(func(_ *planner, r provisioning.Reader) error { _, err := r.Jobs("undo", "j7", 100); return err }), []string{"job_kind"}},
	{"cycles", found(func(_ *planner, r provisioning.Reader) error {
		_, err := r.Cycles(provisioning.CycleQuery{Before: "c7", Limit: 100})
		return err
	}), []string{"cycle_listed"}},
	{"cycles of a connection", found(func(_ *planner, r provisioning.Reader) error {
		_, err := r.Cycles(provisioning.CycleQuery{Connection: 7, Before: "c7", Limit: 100})
		return err
	}), []string{"cycle_connection"}},
	{"cycle", found(func(_ *planner, r provisioning.Reader) error {
		_, err := r.Cycles(provisioning.CycleQuery{ID: "c7"})
		return err
	}), []string{"cycle_pkey"}},
	{"entries of cycles", found(func(_ *planner, r provisioning.Reader) error {
		_, err := r.CycleEntries([]string{"c7", "c8"})
		return err
	}), []string{"cycle_entries_pkey"}},
	{"run", runs(provisioning.CycleQuery{ID: "j7"}), []string{"job_pkey"}},
	{"keyset of runs", runs(provisioning.CycleQuery{Before: "j7", Limit: 100}), []string{"job_kind"}},
	{"keyset of runs of a connection", runs(provisioning.CycleQuery{Connection: 7, Before: "j7", Limit: 100}), []string{"job_kind"}},
	{"entries of runs", found(func(_ *planner, r provisioning.Reader) error {
		_, err := r.RunEntries([]string{"c7", "c8"})
		return err
	}), []string{"entry_correlation"}},
	{"horizon", found(func(_ *planner, r provisioning.Reader) error { _, err := r.Horizon(); return err }), nil},
	{"horizon that moves", rules(func(*planner) provisioning.Batch {
		return provisioning.Batch{Journal: []provisioning.JournalChange{{Horizon: &provisioning.Horizon{Cut: epoch.AddDate(-1, 0, 0), Done: epoch.AddDate(-1, 0, 0)}}}}
	}), nil},
	{"purge, baseline", rules(func(*planner) provisioning.Batch {
		was := provisioning.Entry{ID: "e7", At: epoch, Members: provisioning.MemberDelta{AssertedAdd: []scim.Member{{Value: "u7"}}}}
		return provisioning.Batch{Journal: []provisioning.JournalChange{{Rewrite: &provisioning.EntryRewrite{Was: was, Is: was}}}}
	}), []string{"entry_pkey", "mention_pkey"}},
	{"purge of entries", rules(func(*planner) provisioning.Batch {
		return provisioning.Batch{Journal: []provisioning.JournalChange{{Drop: []string{"e7", "e8", "nothing"}}}}
	}), []string{"entry_pkey", "mention_pkey"}},
	{"purge of names in memberships", rules(func(*planner) provisioning.Batch {
		return provisioning.Batch{Journal: []provisioning.JournalChange{{Nameless: "u7"}}}
	}), []string{"member_of", "member_was"}},
	{"purge of positions", func(p *planner) error {
		_, err := p.s.DropPositions(context.Background(), "acme", 1_000_007, 5)
		return err
	}, []string{"position_pkey"}},
	{"purge of memberships", func(p *planner) error {
		_, err := p.s.DropMemberships(context.Background(), "acme", epoch.AddDate(50, 0, 0), 5)
		return err
	},
		[]string{"member_ended"}},
	{"purge of activity", func(p *planner) error {
		_, err := p.s.DropActivity(context.Background(), "acme", epoch.AddDate(0, 0, 7), 5)
		return err
	},
		[]string{"activity_pkey"}},
	{"capture", found(func(_ *planner, r provisioning.Reader) error { _, err := r.Capture("c7"); return err }), []string{"capture_pkey"}},
	{"captures", found(func(p *planner, r provisioning.Reader) error {
		_, err := r.Captures(provisioning.CaptureQuery{Connection: p.connection, Since: epoch, Until: middle.At, Before: "c7", Limit: 50})
		return err
	}), []string{"capture_pkey"}},
	{"captures by their ids", found(func(_ *planner, r provisioning.Reader) error {
		_, err := r.(*session).capturesOf([]string{"c7", "c8"})
		return err
	}), []string{"capture_pkey"}},
	{"old captures", func(p *planner) error { _, err := p.s.DropCaptures(context.Background(), epoch, 100); return err }, []string{"capture_pkey"}},
	{"traffic", rules(func(p *planner) provisioning.Batch {
		return provisioning.Batch{Admin: []provisioning.AdminChange{{Heard: &provisioning.HeardTraffic{Cycle: "h7", Traffic: provisioning.Traffic{
			Connection: p.connection, First: epoch, Last: epoch, Entries: map[provisioning.Activity]int{{Action: "create"}: 1}}}}}}
	}), nil},
	{"claim of a job", found(func(p *planner, _ provisioning.Reader) error {
		_, _, err := p.s.ClaimJob(context.Background(), []provisioning.JobKind{"recompute", "undo"}, epoch, epoch)
		return err
	}), []string{"job_due"}},
	{"progress of a job", rules(func(*planner) provisioning.Batch {
		return provisioning.Batch{Jobs: []provisioning.JobChange{{Progress: &provisioning.Job{ID: "j7", Fence: 7}}}}
	}), []string{"job_pkey"}},
	{"follow", func(p *planner) error { _, _, err := p.s.Follow(context.Background()); return err }, []string{"entry_pkey"}},
	{"how far the follower is behind", func(p *planner) error { _, err := p.s.FollowerLag(context.Background()); return err }, []string{"entry_pkey"}},
	{"seals", found(func(_ *planner, r provisioning.Reader) error { _, err := r.Chain(7, 16); return err }), []string{"seal_pkey"}},
	{"what seals cover", found(func(_ *planner, r provisioning.Reader) error {
		return r.Chained(1_000_007, 1_000_027, func(provisioning.ChainedEntry) error { return nil })
	}), []string{"position_pkey", "entry_pkey"}},
	{"seal of an entry", found(func(_ *planner, r provisioning.Reader) error {
		e := provisioning.ChainedEntry{PositionedEntry: provisioning.PositionedEntry{Entry: provisioning.Entry{ID: "e7", At: middle.At}}}
		_, err := sessionOf(r).sealOf(&e)
		return err
	}), []string{"seal_span"}},
	{"next seal", found(func(_ *planner, r provisioning.Reader) error { _, _, err := sessionOf(r).nextSeal(epoch); return err }), []string{"seal_pkey", "chain_pkey"}},
	{"keep a seal", func(p *planner) error {
		return locked(p, func(tx provisioning.Tx) error {
			_, err := sessionOf(tx).keepSeal(provisioning.NewSeal(1, 1, epoch, make([]byte, provisioning.SaltSize)), -1)
			return err
		})
	}, []string{"chain_pkey"}},
	{"keep traces", func(p *planner) error {
		return locked(p, func(tx provisioning.Tx) error {
			e := provisioning.ChainedEntry{PositionedEntry: provisioning.PositionedEntry{Entry: provisioning.Entry{ID: "e7"}}}
			return sessionOf(tx).keepTraces(provisioning.NewSeal(1, 1, epoch, make([]byte, provisioning.SaltSize)), &e, provisioning.Traces{})
		})
	}, []string{"seal_pkey"}},
	{"tenants to seal", func(p *planner) error { _, err := p.s.unsealed(context.Background()); return err }, []string{"seal_pkey"}},
	{"seals to forget", func(p *planner) error {
		return p.s.session(context.Background(), "", p.s.reads).query(forgettable, nil, func(*sql.Rows) error { return nil })
	},
		[]string{"seal_pkey"}},
	{"forget seals", func(p *planner) error { return p.s.forget(context.Background(), forgotten{"acme", 7}) }, []string{"seal_pkey", "trace_pkey"}},
	{"fold", func(p *planner) error { return p.s.Fold(context.Background()) }, nil},
}

func departure(q provisioning.BudgetQuery) func(*planner) error {
	return func(p *planner) error {
		q.Connection = p.connection
		return p.read(func(r provisioning.Reader) error { _, err := r.Departure(q); return err })
	}
}

// rules commits what may meet nothing to guard: its statements are what counts.
func rules(batch func(*planner) provisioning.Batch) func(*planner) error {
	return func(p *planner) error {
		err := p.s.Update(context.Background(), "acme", func(tx provisioning.Tx) error { return tx.Commit(batch(p)) })
		if kind := provisioning.KindOf(err); kind == provisioning.Unavailable || kind == provisioning.Conflict {
			return nil
		}
		return err
	}
}

func matters(q provisioning.MatterQuery) func(*planner) error {
	return func(p *planner) error {
		return p.read(func(r provisioning.Reader) error { return r.Matters(q, func(provisioning.Matter) error { return nil }) })
	}
}

func runs(q provisioning.CycleQuery) func(*planner) error {
	return found(func(_ *planner, r provisioning.Reader) error { _, err := r.Runs(provisioning.JobUndo, q); return err })
}

func accounts(q provisioning.AccountQuery) func(*planner) error {
	return func(p *planner) error {
		return p.read(func(r provisioning.Reader) error {
			return r.Accounts(q, func(provisioning.Resource) error { return nil })
		})
	}
}

// found reads what may not be there.
func found(read func(*planner, provisioning.Reader) error) func(*planner) error {
	return func(p *planner) error {
		err := p.read(func(r provisioning.Reader) error { return read(p, r) })
		if provisioning.KindOf(err) == provisioning.NotFound {
			return nil
		}
		return err
	}
}

// locked runs a unit of work in the form that takes locks, and takes it back.
func locked(p *planner, fn func(provisioning.Tx) error) error {
	x := p.s.session(context.Background(), "acme", p.s.writes)
	x.locking = p.s.dialect.postgres
	return x.inTransaction(func() error { return x.run(fn) })
}

func sessionOf(r provisioning.Reader) *session {
	if w, ok := r.(tx); ok {
		return w.session
	}
	return r.(*session)
}

// planner explains what operations send.
type planner struct {
	t          *testing.T
	s          *Store
	connection int64
}

// sent is a statement as it was sent.
type sent struct {
	text string
	args []any
}

// TestPlans holds that no statement of a hot operation reads a table through: on a new database,
// on one that has grown without statistics, on one of which a server has gathered some, and on an analysed one; and on PostgreSQL under plans
// for these arguments as under those for any.
func TestPlans(t *testing.T) {
	t.Parallel()
	for _, database := range databases {
		t.Run(database.name, func(t *testing.T) {
			t.Parallel()
			s := openTest(t, Options{URL: database.url(t), MaxConns: 1})
			p := &planner{t: t, s: s, connection: tenantOf(t, s).ID}
			p.exec(planSetup(s.dialect)...)
			p.check("empty", hots)
			p.exec(planRows(s.dialect, p.connection)...)
			p.check("grown", hots)
			for _, table := range growing {
				p.exec("analyze " + table)
			}
			p.check("served", hots)
			p.exec("analyze")
			p.check("analysed", hots)
		})
	}
}

// TestPlansOfFewMembers holds that somebody's groups are looked up, as well where all memberships fit into five pages: reading
// those through costs as much as the rest of the look-up.
func TestPlansOfFewMembers(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{URL: onPostgres(t), MaxConns: 1})
	p := &planner{t: t, s: s, connection: tenantOf(t, s).ID}
	rows := planRows(s.dialect, p.connection)
	p.exec(rows[1], rows[2], rows[5], "delete from member where member > 'u1200'", "vacuum full analyze member", "analyze resource") // which leaves 200
	p.check("few", slices.DeleteFunc(slices.Clone(hots), func(h hot) bool {
		return !slices.Contains(h.indexes, "member_of") || h.writes() || strings.HasPrefix(h.name, "log") || strings.HasPrefix(h.name, "purge") // none has ended here
	}))
}

func planSetup(d dialect) []string {
	if !d.postgres {
		return nil
	}
	var all []string
	for _, table := range growing { // no statistics before their time
		all = append(all, "alter table "+table+" set (autovacuum_enabled = off)")
	}
	return all
}

func (p *planner) exec(texts ...string) {
	p.t.Helper()
	for _, text := range texts {
		if err := p.s.writes.Exec(text).Error; err != nil {
			p.t.Fatalf("%s: %v", text, err)
		}
	}
}

// planRows fill a database: 20,000 users with a mail and an entry each, 200 groups, of which g1 has
// 10,000 members and each other one 20.
func planRows(d dialect, connection int64) []string {
	at, yes, no, doc, hash := "1", "1", "0", "'{}'", "cast('hash' || n as blob)"
	minute := fmt.Sprintf("%d + n * 60000000", epoch.UnixMicro())
	if d.postgres {
		minute = fmt.Sprintf("timestamptz '%s' + n * interval '1 minute'", epoch.Format(time.RFC3339))
		at, yes, no, doc, hash = "now()", "true", "false", "'{}'::json", "convert_to('hash' || n, 'UTF8')"
	}
	series := func(n int) string {
		return fmt.Sprintf("with recursive s(n) as (select 1 union all select n + 1 from s where n < %d)", n)
	}
	resources := func(n int, letter, kind, name string, lane int64) string {
		return fmt.Sprintf(`insert into resource (id, tenant, type, connection, visible, state, role, protected, version, created, modified, asserted,
			rule_version, name, display, manager, external_id, key, eff_key, ext_key, lane)
			%s select '%s' || n, 'acme', '%s', %d, %s, 'active', '', %s, 1, %s, %s, %s, 0, '%s' || n, '', '', 'ext' || n,
			'%d:%s:%s' || n, %s, '%d:%s:ext' || n, %d from s`, series(n), letter, kind, connection, yes, no, at, at, doc, name,
			connection, letter, name, map[string]string{"u": "'acme/user' || n", "g": "null"}[letter], connection, letter, lane)
	}
	members := "insert into member (grp, member, valid_from, from_entry) " + series(20_000) + " select %s, 'u' || n, " + at + ", '' from s where %s"
	return []string{
		"delete from tally_block",
		resources(20_000, "u", "User", "user", connection*8),
		resources(200, "g", "Group", "group", connection*8+1),
		fmt.Sprintf(`insert into resource_value (resource, attr, ord, key, value, type, display, is_primary) %s
			select 'u' || n, 'emails', 0, '%d:emails:user' || n || '@example.com', 'user' || n || '@example.com', 'work', '', %s from s`, series(20_000), connection, yes),
		fmt.Sprintf(members, "'g1'", "n <= 10000"),
		fmt.Sprintf(members, "'g' || (2 + n % 199)", "n <= 4000"),
		fmt.Sprintf(`insert into entry (id, tenant, at, connection, connection_name, actor, correlation, action, outcome, resource, resource_type,
			resource_name, version, matched_by, reason, request, duration) %s select 'e' || n, 'acme', %s, %d, '', '', 'c' || n, 'update', 'success', 'u' || (n %% 500), 'User',
			'user' || (n %% 5000), 1, '', %s, %s, 1000000 from s`, series(20_000), minute, connection,
			strings.Replace(doc, "{}", `{"code":"why"}`, 1), strings.Replace(doc, "{}", `{"method":"PUT","status":200}`, 1)),
		fmt.Sprintf(`insert into activity (tenant, hour, connection, action, outcome, reason, method, status, n, micros, slowest)
			%s select 'acme', %s, %d, 'update', 'success', 'why', 'PUT', 200, 60, 1000000, 1000000 from s`,
			series(20_000), strings.ReplaceAll(minute, "n *", "60 * n *"), connection),
		fmt.Sprintf("insert into mention (member, entry) %s select 'u' || (n %% 5000), 'e' || n from s", series(20_000)),
		fmt.Sprintf("insert into member (grp, member, valid_from, from_entry, valid_to, to_entry) %s select 'g' || n, 'u' || (n %% 5000), %s, 'e' || n, %s, 'e' || n from s", series(20_000), at, at),
		fmt.Sprintf(`insert into tally_block (lane, level, block, n) %s select %d + n %% 500, 10, n / 500, 1000 from s`, series(10_000), connection*8),
		fmt.Sprintf(`insert into credential (id, tenant, connection, hash, hint, created) %s select 'k' || n, 'acme', %d, %s, '', %s from s`,
			series(1000), connection, hash, at),
		fmt.Sprintf(`insert into matter (id, tenant, connection, kind, cause, resource, type, name, key, open_key, reason, then_policy, opened, entry, seen,
			times, status, closed_by, proposed, version) %s select 'm' || n, 'acme', %d, 'held', '', 'u' || (n %% 5000), '', '', 'k' || (n %% 5000), null, %s, '', %s, '', %s,
			1, 'allowed', '', '', 1 from s`, series(20_000), connection, doc, at, at),
		fmt.Sprintf(`insert into budget (connection, kind, tenant, version, spent, allowances) %s select %d + n, 'users', 'acme', 1, %s, %s from s`,
			series(5_000), connection+1, doc, doc),
		fmt.Sprintf(`insert into settings (tenant, connection, version, at, actor, comment, document, source) %s select 'acme', %d, n, %s, '', '', %s, '' from s`,
			series(2_000), connection, at, doc),
		fmt.Sprintf(`insert into tenant (name, created) %s select 'other' || n, %s from s`, series(1_000), at),
		fmt.Sprintf(`insert into api_key (id, tenant, holder, role, hash, hint, created) %s select 'k' || n, %s, '', '', %s, '', %s from s`,
			series(5_000), "case when n % 1000 = 0 then 'acme' else 'other' || (n % 1000) end", hash, at),
		fmt.Sprintf(`insert into job (id, tenant, kind, connection, actor, cursor, done, total, state, error, created, changed, fence)
			%s select 'j' || n, 'acme', 'undo', 0, '', '', 0, 0, 'done', '', %s, %s, 1 from s`, series(20_000), at, at),
		fmt.Sprintf(`insert into capture (correlation, tenant, connection, at, sealed) %s select '02' || n, 'acme', %d, %s, %s from s`, series(20_000), connection, at, hash),
		fmt.Sprintf(`insert into cycle (id, tenant, connection, began, last, reads, writes, throttled, refused, failed)
			%s select 'c' || n, 'acme', n %% 500, %s, %s, 0, 0, 0, 0, 0 from s`, series(20_000), at, at),
		fmt.Sprintf(`insert into cycle_entries (cycle, action, outcome, n) %s select 'c' || n, '', '', 1 from s`, series(20_000)),
		fmt.Sprintf(`insert into position (tenant, position, entry) %s select 'acme', 1000000 + n, 'e' || n from s`, series(20_000)),
		"insert into position_head (tenant, position, entry, counted) values ('acme', 1020000, 'e20000', 0) on conflict (tenant) do update set position = 1020000, entry = 'e20000'",
		fmt.Sprintf(`insert into seal (tenant, first, upto, at, oldest, newest, digest, leaves, salts)
			%s select 'acme', 980000 + n, 980000 + n, %s, %s, %s, %s, %s, %s from s`, series(20_000), at, minute, minute, hash, hash, hash),
		fmt.Sprintf(`insert into trace (tenant, position, parts, rest) %s select 'acme', n, %s, %s from s`, series(20_000), doc, hash),
		fmt.Sprintf(`insert into chain (tenant, erasures) %s select 'other' || n, 0 from s`, series(5_000)),
		fmt.Sprintf(`insert into horizon (tenant, cut, position) %s select 'other' || n, %s, n from s`, series(5_000), at),
		fmt.Sprintf(`insert into tally_total (lane, n) %s select 1000000 + n, 1 from s`, series(5_000)),
		fmt.Sprintf(`insert into tally_block (lane, level, block, n) values (%d, 16, 0, 20000)`, connection*8),
	}
}

// check explains what these operations send.
func (p *planner) check(state string, operations []hot) {
	for _, h := range operations {
		if state == "empty" && (h.writes() && !p.s.dialect.postgres || strings.HasPrefix(h.name, "remove members") || strings.HasSuffix(h.name, "with locks") ||
			strings.HasPrefix(h.name, "purge") && p.s.dialect.postgres) {
			continue // there is nothing to write; some row addresses or keys cost more than an empty table
		}
		p.t.Run(state+"/"+h.name, func(t *testing.T) {
			all := p.statements(t, h)
			for _, s := range all {
				if h.memberless() && memberTable.MatchString(s.text) {
					t.Errorf("names the table of members: %s", s.text)
				}
			}
			for mode, plan := range p.plans(t, all) {
				for _, index := range h.indexes {
					if !strings.Contains(plan, p.s.dialect.planned(index)) {
						t.Errorf("%s does not use %s:\n%s", mode, index, plan)
					}
				}
				if strings.Contains(h.name, "page") && sortedLane.MatchString(plan) {
					t.Errorf("%s sorts a lane that its index has in order:\n%s", mode, plan)
				}
				if strings.HasPrefix(h.name, "log in order") && sortedLog.MatchString(plan) {
					t.Errorf("%s sorts what an index has in order:\n%s", mode, plan)
				}
				if strings.HasPrefix(h.name, "keyset") && sortedKeyset.MatchString(plan) {
					t.Errorf("%s sorts what an index has in order:\n%s", mode, plan)
				}
				for _, line := range wholeTables(p.s.dialect, plan) {
					t.Errorf("%s reads a table through: %s\n%s", mode, line, plan)
				}
			}
		})
	}
	p.t.Run(state+"/loose entries", p.checkLoose)
}

// checkLoose holds that entries without a position are looked for in tables that are read once each, not once for each entry.
func (p *planner) checkLoose(t *testing.T) {
	for _, since := range []time.Time{{}, epoch} {
		for mode, plan := range p.plans(t, p.statements(t, hot{run: func(p *planner) error {
			return p.read(func(r provisioning.Reader) error {
				if !p.s.dialect.postgres {
					if _, err := sessionOf(r).hasLoose(since); err != nil {
						return err
					}
				}
				_, err := sessionOf(r).loose(since)
				return err
			})
		}})) {
			if again := readAgain(p.s.dialect, plan); again != "" {
				t.Errorf("%s reads a table again for each row of another, by %q:\n%s", mode, again, plan)
			}
		}
	}
}

// readAgain is what in a plan is read for each row of something else and along no index; "" for nothing.
func readAgain(d dialect, plan string) string {
	if d.postgres {
		return again.FindString(plan)
	}
	return correlated.FindString(plan)
}

var (
	again      = regexp.MustCompile(`\(SubPlan \d+\)|\(ANY |Nested Loop (Anti|Semi) Join`)
	correlated = regexp.MustCompile(`CORRELATED .*`)
)

// TestReadAgain has plans told apart that take for ever from those that do not.
func TestReadAgain(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		postgres, again bool
		plan            string
	}{
		{true, true, "Index Scan using entry_at on entry e\n  Filter: (NOT (SubPlan 1))\n  SubPlan 1\n    ->  Seq Scan on position p"},
		{true, true, "Nested Loop Anti Join\n  Join Filter: (p.entry = e.id)\n  ->  Seq Scan on entry e\n  ->  Seq Scan on position p"},
		{true, false, "Index Scan using entry_at on entry e\n  Filter: (NOT (hashed SubPlan 1))"},
		{true, false, "Hash Anti Join\n  Hash Cond: (e.id = p.entry)"},
		{false, true, "SEARCH e USING INDEX entry_at (tenant=?)\nCORRELATED SCALAR SUBQUERY 1\nSEARCH p USING PRIMARY KEY (tenant=?)"},
		{false, false, "SEARCH e USING INDEX entry_at (tenant=?)\nLIST SUBQUERY 1\nSEARCH p USING PRIMARY KEY (tenant=?)"},
	} {
		if again := readAgain(dialect{postgres: test.postgres}, test.plan); (again != "") != test.again {
			t.Errorf("%q in %s", again, test.plan)
		}
	}
}

// planned is how a plan names an index.
func (d dialect) planned(index string) string {
	table, primary := strings.CutSuffix(index, "_pkey")
	switch {
	case d.postgres, table == "resource":
	case index == "entry_pkey", index == "matter_pkey", index == "job_pkey", index == "seal_pkey": // tables whose rows have numbers
		return "sqlite_autoindex_" + table + "_1"
	case index == "connection_pkey", index == "tally_total_pkey": // which the key is
		return "USING INTEGER PRIMARY KEY"
	case index == "settings_pkey", index == "position_pkey", index == "cycle_pkey", index == "cycle_entries_pkey":
		return " " + table[:1] + " USING PRIMARY KEY"
	case primary:
		return table + " USING PRIMARY KEY"
	}
	return index
}

// statements runs an operation and returns what it sent.
func (p *planner) statements(t *testing.T, h hot) (all []sent) {
	t.Helper()
	p.s.observer = func(text string, args []any) { all = append(all, sent{text, args}) }
	defer func() { p.s.observer = nil }()
	must(t, h.run(p))
	return all
}

// plans explains statements together, by mode of planning.
func (p *planner) plans(t *testing.T, all []sent) map[string]string {
	t.Helper()
	out := map[string]string{}
	modes := []string{""}
	if p.s.dialect.postgres {
		modes = []string{"force_custom_plan", "force_generic_plan"}
	}
	for _, mode := range modes {
		for _, s := range all {
			if strings.HasPrefix(strings.TrimSpace(s.text), "insert into entry") || strings.HasPrefix(s.text, "insert into matter") {
				continue // it reads nothing
			}
			out[mode] += p.explain(t, mode, s) + "\n"
		}
	}
	return out
}

func (p *planner) explain(t *testing.T, mode string, s sent) string {
	t.Helper()
	if !p.s.dialect.postgres {
		return p.lines(t, 4, "explain query plan "+s.text, s.args...)
	}
	values := make([]string, len(s.args))
	for i, a := range s.args {
		values[i] = literal(t, a)
	}
	execute := "execute explained"
	if len(values) > 0 {
		execute += "(" + strings.Join(values, ", ") + ")"
	}
	p.exec("set plan_cache_mode = " + mode)
	p.exec("prepare explained as " + s.text)
	defer p.exec("deallocate explained")
	return p.lines(t, 1, "explain (costs off) "+execute)
}

// lines is the last of some columns of each row.
func (p *planner) lines(t *testing.T, columns int, text string, args ...any) string {
	t.Helper()
	rows, err := p.s.writes.Raw(text, args...).Rows()
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	defer rows.Close()
	var b strings.Builder
	for rows.Next() {
		var line string
		dest := make([]any, columns)
		for i := range dest {
			dest[i] = ignored{}
		}
		dest[columns-1] = &line
		must(t, rows.Scan(dest...))
		b.WriteString(line + "\n")
	}
	must(t, rows.Err())
	return b.String()
}

// literal writes an argument into the text of an EXECUTE.
func literal(t *testing.T, v any) string {
	t.Helper()
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return quote(v)
	case []byte:
		return fmt.Sprintf(`'\x%x'`, v)
	case time.Time:
		return quote(v.Format(time.RFC3339Nano))
	case []time.Time:
		parts := make([]string, len(v))
		for i, at := range v {
			parts[i] = quote(at.Format(time.RFC3339Nano))
		}
		return "array[" + strings.Join(parts, ", ") + "]::timestamptz[]"
	case []string:
		parts := make([]string, len(v))
		for i, s := range v {
			parts[i] = quote(s)
		}
		return "array[" + strings.Join(parts, ", ") + "]::text[]"
	case []int32:
		return quote("{" + strings.Trim(strings.ReplaceAll(fmt.Sprint(v), " ", ","), "[]") + "}")
	default:
		return fmt.Sprint(v)
	}
}

// sortedLane is a sort below the last one, which puts a page itself in order.
var sortedLane = regexp.MustCompile(`(?m)^ {4,}Sort Key: r\.seq|Bitmap Index Scan on resource_lane`)

// sortedKeyset is a sort by a keyset's own order.
var sortedKeyset = regexp.MustCompile(`(?m)Sort Key: .*(tenant|position|member)|TEMP B-TREE FOR ORDER BY$`)

// sortedLog is a sort of the log by its own order.
var sortedLog = regexp.MustCompile(`(?m)Sort Key: e\.at|TEMP B-TREE FOR .*ORDER BY$|Bitmap Index Scan on entry_(at|resource|correlation)`)

var memberTable = regexp.MustCompile(`\bmember\b`)

// scans finds where a plan reads one of the growing tables, or all of an index, from end to end.
var (
	scanPostgres = regexp.MustCompile(`Seq Scan on (resource|resource_value|member|entry|credential|tally_block|tally_total|matter|budget|settings|api_key|job|position|activity|mention|seal|trace|chain|capture)\b`)
	scanSQLite   = regexp.MustCompile(`^SCAN (resource|resource_value|member|entry|credential|tally_block|tally_total|matter|budget|settings|api_key|job|position|activity|mention|seal|trace|chain|capture|e|r|d|g|x|s|v\d*|m\d*|i\d*|o|om)\b`)
)

func wholeTables(d dialect, plan string) (lines []string) {
	scan := scanSQLite
	if d.postgres {
		scan = scanPostgres
	}
	for line := range strings.Lines(plan) {
		if scan.MatchString(line) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}
