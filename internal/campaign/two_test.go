package campaign

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"meibo/internal/witness"
	"meibo/provisioning"
	"meibo/scim/endpoint"
)

// raceSchema is an extension that the server has never heard of.
const raceSchema = "urn:ietf:params:scim:schemas:extension:race:2.0:User"

// race is many clients, spread over two servers of one database, that do the same at the same time.
type race struct {
	t       *testing.T
	clients []*client
	users   []string // ids
	group   string

	mu    sync.Mutex
	acks  []ack          // of changes
	asked map[string]int // entries by correlation id of each answer: there is to be one
	told  map[int]int    // answers by status
}

// TestTwoServers has all clients create the same users and the same group, then write to the same users, then add and
// remove the same members, half of them at each of two server processes. No resource is there twice, no write is lost,
// none is answered with a server error, and the journal tells it all.
func TestTwoServers(t *testing.T) {
	concurrently(t)
	f := report(t, "two servers, one database", "PostgreSQL")
	first := start(t, freshPostgres(t))
	second := first.another()
	r := &race{t: t, users: make([]string, times(20, 500)), asked: map[string]int{}, told: map[int]int{}}
	for i := range times(8, 32) {
		r.clients = append(r.clients, []*server{first, second}[i%2].client())
	}
	f.done = fmt.Sprintf("%d clients at two processes: create the same %d users and a group, write to each user, add and remove the same members",
		len(r.clients), len(r.users))
	r.createSame()
	r.patchSame()
	r.changeSameMembers()

	v := newVerifier(first, newCrew(seed, 0))
	e := &evidence{acks: r.acks}
	var err error
	if e.entries, err = v.entriesSince(t.Context(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if e.stored, err = v.stored(t.Context()); err != nil {
		t.Fatal(err)
	}
	var problems []string
	e.folded, problems = witness.Fold(e.entries)
	problems = append(problems, e.judge()...)
	problems = append(problems, r.misjournalled(e.entries)...)
	problems = append(problems, r.missing(e.stored)...)
	problems = append(problems, v.listings(e.stored)...)
	if err := listed(problems); err != nil {
		t.Error(err)
	}
	f.times = len(r.asked)
	f.seen = fmt.Sprintf("0 duplicates, 0 server errors, 0 acknowledged writes lost, each of %d requests with its one entry; one 201 and %d 409 for each name",
		len(r.asked), len(r.clients)-1)
	if created, taken := r.told[http.StatusCreated], r.told[http.StatusConflict]; created != len(r.users)+1 || taken != (len(r.clients)-1)*created {
		t.Errorf("answers by status: %v, want %d created and %d conflicts", r.told, len(r.users)+1, (len(r.clients)-1)*(len(r.users)+1))
	}
}

// run has every client do its part; they start together.
func (r *race) run(part func(c *client, racer int) error) {
	r.t.Helper()
	start := make(chan struct{})
	failed := make(chan error, len(r.clients))
	for racer, c := range r.clients {
		go func() {
			<-start
			failed <- part(c, racer)
		}()
	}
	close(start)
	for range r.clients {
		if err := <-failed; err != nil {
			r.t.Error(err)
		}
	}
	if r.t.Failed() {
		r.t.FailNow()
	}
}

// note counts an answer, which must have one of the statuses. Where resource is not empty a 2xx has changed it.
func (r *race) note(a answer, resource string, statuses ...int) error {
	if a.Err != nil || !slices.Contains(statuses, a.Status) {
		return fmt.Errorf("want %v: %v", statuses, a)
	}
	correlation := a.Header.Get(endpoint.CorrelationHeader)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told[a.Status]++
	r.asked[correlation] = 0
	if a.outcome == acknowledged && resource != "" {
		r.acks = append(r.acks, ack{correlation, resource})
	}
	return nil
}

// misjournalled are the requests that do not have exactly one entry, and the entries that have no request.
func (r *race) misjournalled(entries []provisioning.Entry) (problems []string) {
	for _, e := range entries {
		if _, ok := r.asked[e.Correlation]; !ok && e.Request != nil {
			problems = append(problems, fmt.Sprintf("entry %s is of a request %s that nobody sent", e.ID, e.Correlation))
		}
		if e.Request != nil {
			r.asked[e.Correlation]++
		}
	}
	for correlation, n := range r.asked {
		if n != 1 {
			problems = append(problems, fmt.Sprintf("request %s has %d entries", correlation, n))
		}
	}
	return problems
}

// created notes the answer to a creation: one succeeds, the others are told that the name is taken.
func (r *race) created(a answer, id *string) error {
	if err := r.note(a, a.id(), http.StatusCreated, http.StatusConflict); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case a.Status == http.StatusConflict && !strings.Contains(string(a.Body), `"scimType":"uniqueness"`):
		return fmt.Errorf("409 without scimType uniqueness: %s", a.Body)
	case a.Status == http.StatusCreated && *id != "":
		return fmt.Errorf("answered 201 twice, with %s and %s", *id, a.id())
	case a.Status == http.StatusCreated:
		*id = a.id()
	}
	return nil
}

func (r *race) createSame() {
	r.t.Helper()
	r.run(func(c *client, racer int) error {
		if err := r.created(c.createGroup("Racers"), &r.group); err != nil {
			return err
		}
		for i := range r.users {
			name := fmt.Sprintf("racer%d@example.com", i)
			if racer%4 > 1 {
				name = strings.ToUpper(name) // names are compared without case
			}
			a := c.createUser(map[string]any{"userName": name, "active": true, "emails": []any{map[string]any{"type": "work", "value": name}}})
			if err := r.created(a, &r.users[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// patchSame has every client set an attribute of its own on all users.
func (r *race) patchSame() {
	r.t.Helper()
	r.run(func(c *client, racer int) error {
		for _, id := range r.users {
			a := c.patch("/Users/"+id, operation{"Add", fmt.Sprintf("%s:c%02d", raceSchema, racer), id})
			if err := r.note(a, id, http.StatusOK); err != nil {
				return err
			}
		}
		return nil
	})
}

// changeSameMembers has every client add and remove the same members, some at a time, and add all of them in the end.
// A request that changes nothing, since another client was faster, is answered alike.
func (r *race) changeSameMembers() {
	r.t.Helper()
	const some = 20
	r.run(func(c *client, _ int) error {
		for from := 0; from < len(r.users); from += some {
			ids := r.users[from:min(from+some, len(r.users))]
			for _, a := range []answer{c.addMembers(r.group, ids...), c.removeMembers(r.group, ids...)} {
				if err := r.note(a, "", http.StatusNoContent); err != nil {
					return err
				}
			}
		}
		return r.note(c.addMembers(r.group, r.users...), "", http.StatusNoContent)
	})
}

// missing are the values and members that were acknowledged and are not stored.
func (r *race) missing(stored map[string]witness.State) (problems []string) {
	groups := groupsOf(stored)
	for _, id := range r.users {
		own, _ := stored[id].Document[raceSchema].(map[string]any)
		for racer := range r.clients {
			if own[fmt.Sprintf("c%02d", racer)] != id {
				problems = append(problems, fmt.Sprintf("user %s has lost the value of client %d", id, racer))
			}
		}
		if of := groups[id]; len(of) != 1 {
			problems = append(problems, fmt.Sprintf("user %s is a member %d times", id, len(of)))
		}
	}
	if len(stored) != len(r.users)+1 {
		problems = append(problems, fmt.Sprintf("%d resources are stored, want %d users and a group", len(stored), len(r.users)))
	}
	return problems
}
