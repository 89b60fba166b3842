package store

import (
	"context"
	"fmt"
	"testing"

	"meibo/provisioning"
	"meibo/scim"
)

// The benchmarks run on a database with 2,000 users and one group, one caller at a time; with
// -cpu or b.RunParallel they would measure the queue. Allocations are the figures to hold.
const benchUsers = 2000

func bench(b *testing.B, run func(b *testing.B, s *Store, c provisioning.Connection, users []provisioning.Resource)) {
	for _, database := range databases {
		b.Run(database.name, func(b *testing.B) {
			s := openTest(b, Options{URL: database.url(b)})
			c := tenantOf(b, s)
			var batch provisioning.Batch
			var users []provisioning.Resource
			for i := range benchUsers {
				u := testUser(c.ID, fmt.Sprintf("user%05d", i))
				users = append(users, u)
				batch.Changes = append(batch.Changes, provisioning.Change{Action: provisioning.ChangeCreate, After: u})
			}
			must(b, s.Update(context.Background(), "acme", func(tx provisioning.Tx) error { return tx.Commit(batch) }))
			must(b, s.Fold(context.Background()))
			must(b, s.Analyse(context.Background()))
			b.ReportAllocs()
			b.ResetTimer()
			run(b, s, c, users)
		})
	}
}

func BenchmarkRead(b *testing.B) {
	bench(b, func(b *testing.B, s *Store, c provisioning.Connection, users []provisioning.Resource) {
		for i := 0; b.Loop(); i++ {
			q := provisioning.ResourceQuery{Scope: provisioning.Scope{Connection: c.ID, Type: scim.User}, ID: users[i%len(users)].ID,
				References: provisioning.References{Groups: true, Manager: true}}
			must(b, s.View(context.Background(), "acme", func(r provisioning.Reader) error { _, err := r.Resource(q); return err }))
		}
	})
}

func BenchmarkFilter(b *testing.B) {
	for name, value := range map[string]string{"hit": "user00007", "miss": "nobody"} {
		b.Run(name, func(b *testing.B) {
			bench(b, func(b *testing.B, s *Store, c provisioning.Connection, _ []provisioning.Resource) {
				f, err := scim.ParseFilter(scim.Standard(scim.User), `userName eq "`+value+`"`)
				must(b, err)
				q := provisioning.ListQuery{Scope: provisioning.Scope{Connection: c.ID, Type: scim.User}, Filter: f, StartIndex: 1, Count: 100,
					References: provisioning.References{Groups: true, Manager: true}}
				for b.Loop() {
					must(b, s.View(context.Background(), "acme", func(r provisioning.Reader) error { _, err := r.List(q); return err }))
				}
			})
		})
	}
}

func BenchmarkPage(b *testing.B) {
	// A page at random has a place of its own each time, as a client's that walks through all of them.
	for name, start := range map[string]func(i int) int{
		"first":  func(int) int { return 1 },
		"far":    func(int) int { return 1900 },
		"random": func(i int) int { return 2 + i*37%1800 },
	} {
		b.Run(name, func(b *testing.B) {
			bench(b, func(b *testing.B, s *Store, c provisioning.Connection, _ []provisioning.Resource) {
				q := provisioning.ListQuery{Scope: provisioning.Scope{Connection: c.ID, Type: scim.User}, Count: 100,
					References: provisioning.References{Groups: true, Manager: true}}
				for i := 0; b.Loop(); i++ {
					q.StartIndex = start(i)
					must(b, s.View(context.Background(), "acme", func(r provisioning.Reader) error { _, err := r.List(q); return err }))
				}
			})
		})
	}
}

// BenchmarkCreate tells what the entry of a create costs, which no create goes without.
func BenchmarkCreate(b *testing.B) {
	for _, journalled := range []bool{true, false} {
		b.Run(fmt.Sprintf("entry=%t", journalled), func(b *testing.B) {
			bench(b, func(b *testing.B, s *Store, c provisioning.Connection, _ []provisioning.Resource) {
				for i := 0; b.Loop(); i++ {
					u := testUser(c.ID, fmt.Sprint("new", i))
					batch := provisioning.Batch{Changes: []provisioning.Change{{Action: provisioning.ChangeCreate, After: u}}}
					if journalled {
						batch.Entries = []provisioning.Entry{entryAbout(&u)}
					}
					must(b, s.Update(context.Background(), "acme", func(tx provisioning.Tx) error { return tx.Commit(batch) }))
				}
			})
		})
	}
}

func BenchmarkPatch(b *testing.B) {
	bench(b, func(b *testing.B, s *Store, c provisioning.Connection, users []provisioning.Resource) {
		for i := 0; b.Loop(); i++ {
			must(b, s.Update(context.Background(), "acme", patch(c.ID, users[i%len(users)].ID)))
		}
	})
}

func patch(connection int64, id string) func(provisioning.Tx) error {
	return patchAs(connection, id, newID())
}

// patchAs changes a user with an entry of the given id.
func patchAs(connection int64, id, entry string) func(provisioning.Tx) error {
	return func(tx provisioning.Tx) error {
		before, err := tx.Resource(provisioning.ResourceQuery{Scope: provisioning.Scope{Connection: connection, Type: scim.User}, ID: id})
		if err != nil {
			return err
		}
		c := provisioning.Change{Action: provisioning.ChangeUpdate, Before: &before, After: before}
		c.After.Version++
		c.After.Role = "changed"
		e := entryAbout(&c.After)
		e.ID = entry
		return tx.Commit(provisioning.Batch{Changes: []provisioning.Change{c}, Entries: []provisioning.Entry{e}})
	}
}

func BenchmarkMember(b *testing.B) {
	bench(b, func(b *testing.B, s *Store, c provisioning.Connection, users []provisioning.Resource) {
		g := testGroup(c.ID, "staff")
		must(b, s.Update(context.Background(), "acme", commitOne(provisioning.Change{Action: provisioning.ChangeCreate, After: g})))
		scope := provisioning.Scope{Connection: c.ID, Type: scim.Group}
		b.ResetTimer()
		for i := 0; b.Loop(); i++ {
			id := users[i%len(users)].ID
			must(b, s.Update(context.Background(), "acme", func(tx provisioning.Tx) error {
				before, err := tx.Resource(provisioning.ResourceQuery{Scope: scope, ID: g.ID, MemberFacts: []string{id}})
				if err != nil {
					return err
				}
				ch := provisioning.Change{Action: provisioning.ChangeUpdate, Before: &before, After: before}
				ch.After.Version++
				if before.MemberFacts[0].Member {
					ch.Members.Remove = []string{id}
				} else {
					ch.Members.Add = []scim.Member{{Value: id}}
				}
				return commitOne(ch)(tx)
			}))
		}
	})
}
