package campaign

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// populace is a server with users that are known by number: user i is found by names that follow from i. What else is
// created there counts as extra.
type populace struct {
	t      testing.TB
	s      *server
	c      *client
	ids    []string
	extra  int
	random *rand.Rand
}

func populate(t testing.TB, s *server) *populace {
	return &populace{t: t, s: s, c: s.client(), random: newRandom(1)}
}

func newRandom(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 2)) }

// local is the left half of user i's names. Neighbours in number are none in an index, as in life.
func local(i int) string { return fmt.Sprintf("%08x", uint32(i)*2654435761) }

// userBody is a user with about what Entra sends.
func userBody(name string) string {
	return fmt.Sprintf(`{"schemas":["%s","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],"externalId":"x-%[2]s",`+
		`"userName":"%[2]s@example.com","active":true,"displayName":"Given %[2]s","title":"Engineer","preferredLanguage":"en",`+
		`"name":{"formatted":"Given Family %[2]s","familyName":"Family","givenName":"Given"},`+
		`"emails":[{"primary":true,"type":"work","value":"%[2]s@mail.example.com"}],`+
		`"phoneNumbers":[{"type":"work","value":"+81 3 1234 5678"},{"type":"mobile","value":"+81 90 1234 5678"}],`+
		`"addresses":[{"type":"work","streetAddress":"1-1-1 Marunouchi","locality":"Chiyoda-ku","region":"Tokyo","postalCode":"100-0005","country":"JP"}],`+
		`"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"employeeNumber":"12345","department":"Research","costCenter":"CC-1"}}`,
		userSchema, name)
}

// fill creates users by many workers at once until there are n, and returns how many a second came about.
func (p *populace) fill(n, workers int) float64 {
	p.t.Helper()
	from, began := len(p.ids), time.Now()
	if n <= from {
		return 0
	}
	p.ids = append(p.ids, make([]string, n-from)...)
	var next atomic.Int64
	var failed atomic.Pointer[answer]
	next.Store(int64(from))
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for failed.Load() == nil {
				i := int(next.Add(1) - 1)
				if i >= n {
					return
				}
				a := p.c.do("POST", "/Users", userBody(local(i)))
				if p.ids[i] = idIn(a.Body); a.Status != 201 || p.ids[i] == "" {
					failed.CompareAndSwap(nil, &a)
				}
			}
		})
	}
	wg.Wait()
	if a := failed.Load(); a != nil {
		p.t.Fatalf("create a user: %v", a)
	}
	return float64(n-from) / time.Since(began).Seconds()
}

// idIn finds the first "id" of an answer to a create, which is the resource's own: decoding all of a million costs more
// than the server.
func idIn(body []byte) string {
	_, rest, _ := strings.Cut(string(body), `"id":"`)
	id, _, _ := strings.Cut(rest, `"`)
	return id
}

// ask sends a request and returns how long the answer took, which must have the status.
func (p *populace) ask(method, target, body string, status int) (answer, time.Duration) {
	p.t.Helper()
	a := p.c.do(method, target, body)
	if a.Status != status {
		p.t.Errorf("%s %s: %v", method, target, a)
	}
	return a, a.Took
}

// someone is the number of an existing user.
func (p *populace) someone() int { return p.random.IntN(len(p.ids)) }

// question is a kind of request with what its time at most may be, as a multiple of what a small store takes.
type question struct {
	name string
	bar  float64
	ask  func(*populace) time.Duration
}

const (
	flatBar = 1.3
	listBar = 1.5
)

var questions = []question{
	{"read", flatBar, func(p *populace) time.Duration {
		id := p.ids[p.someone()]
		a, took := p.ask("GET", "/Users/"+id, "", 200)
		if a.id() != id {
			p.t.Errorf("GET of %s: %v", id, a)
		}
		return took
	}},
	{"userName, hit", flatBar, found(`userName eq "%s@example.com"`)},
	{"userName, miss", flatBar, nobody(`userName eq "%s@example.org"`)},
	{"externalId, hit", flatBar, found(`externalId eq "x-%s"`)},
	{"externalId, miss", flatBar, nobody(`externalId eq "y-%s"`)},
	{"work mail, hit", flatBar, found(`emails[type eq "work"].value eq "%s@mail.example.com"`)},
	{"work mail, miss", flatBar, nobody(`emails[type eq "work"].value eq "%s@example.org"`)},
	{"create", flatBar, func(p *populace) time.Duration {
		p.extra++
		_, took := p.ask("POST", "/Users", userBody(fmt.Sprintf("extra-%08x", uint32(p.extra)*2654435761)), 201)
		return took
	}},
	{"PATCH", flatBar, func(p *populace) time.Duration {
		title := fmt.Sprint("title ", p.random.Uint64())
		body := text(map[string]any{"schemas": []string{patchSchema}, "Operations": []operation{
			{"Replace", "title", title}, {"Replace", "displayName", title}, {"Replace", "name.givenName", title}}})
		id := p.ids[p.someone()]
		a := p.c.do("PATCH", "/Users/"+id, body)
		if a.outcome != acknowledged {
			p.t.Errorf("PATCH: %v", a)
		}
		return a.Took
	}},
	{"first page of 100", listBar, page(func(p *populace, total int) int { return 1 })},
	{"last page of 100", listBar, page(func(p *populace, total int) int { return total - 99 })},
	{"page of 100 at random", listBar, page(func(p *populace, total int) int { return 1 + p.random.IntN(total-99) })},
}

// found asks for a user that is there.
func found(filter string) func(*populace) time.Duration {
	return func(p *populace) time.Duration {
		i := p.someone()
		a, took := p.ask("GET", "/Users?filter="+url.QueryEscape(fmt.Sprintf(filter, local(i))), "", 200)
		if total, ids, _ := a.list(); total != 1 || len(ids) != 1 || ids[0] != p.ids[i] {
			p.t.Errorf("filter %s for user %d: %v", filter, i, a)
		}
		return took
	}
}

// nobody asks for a user that is not.
func nobody(filter string) func(*populace) time.Duration {
	return func(p *populace) time.Duration {
		a, took := p.ask("GET", "/Users?filter="+url.QueryEscape(fmt.Sprintf(filter, local(p.someone()))), "", 200)
		if total, ids, _ := a.list(); total != 0 || len(ids) != 0 {
			p.t.Errorf("filter %s for nobody: %v", filter, a)
		}
		return took
	}
}

// page asks for a full page that begins at start of the total.
func page(start func(p *populace, total int) int) func(*populace) time.Duration {
	return func(p *populace) time.Duration {
		want := len(p.ids) + p.extra
		a, took := p.ask("GET", fmt.Sprintf("/Users?startIndex=%d&count=100", start(p, want)), "", 200)
		if total, ids, _ := a.list(); total != want || len(ids) != 100 || len(slices.Compact(slices.Sorted(slices.Values(ids)))) != 100 {
			p.t.Errorf("a page has %d resources of %d, want 100 of %d", len(ids), total, want)
		}
		return took
	}
}

// group creates a group with the first n users as members, added a thousand at a time.
func (p *populace) group(name string, n int) (id string) {
	p.t.Helper()
	id = p.c.createGroup(name).id()
	for from := 0; from < n; from += 1000 {
		if a := p.c.addMembers(id, p.ids[from:min(from+1000, n)]...); a.outcome != acknowledged {
			p.t.Fatalf("add members: %v", a)
		}
	}
	return id
}

// leave removes the first n users from a group, so that their answers are again as short as those of others.
func (p *populace) leave(group string, n int) {
	p.t.Helper()
	for from := 0; from < n; from += 1000 {
		p.acknowledged(p.c.removeMembers(group, p.ids[from:min(from+1000, n)]...))
	}
	p.wantMembers(group, 0)
}

// add and remove change one membership.
func (p *populace) add(group, id string) time.Duration {
	p.t.Helper()
	return p.acknowledged(p.c.addMembers(group, id))
}

func (p *populace) remove(group, id string) time.Duration {
	p.t.Helper()
	return p.acknowledged(p.c.removeMembers(group, id))
}

func (p *populace) acknowledged(a answer) time.Duration {
	p.t.Helper()
	if a.outcome != acknowledged {
		p.t.Fatalf("change a group: %v", a)
	}
	return a.Took
}

// wantMembers reads a group from end to end and fails unless it has n members.
func (p *populace) wantMembers(group string, n int) {
	p.t.Helper()
	var body struct{ Members []json.RawMessage }
	if err := json.Unmarshal(p.c.get("/Groups/"+group).Body, &body); err != nil || len(body.Members) != n {
		p.t.Errorf("the group has %d members, want %d: %v", len(body.Members), n, err)
	}
}

// median is the middle of some durations, or ratios; it sorts them.
func median[T ~int64 | ~float64](all []T) T {
	slices.Sort(all)
	return all[len(all)/2]
}
