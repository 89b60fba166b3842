package campaign

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"meibo/scim/endpoint"
)

// This file has the load of the kill campaigns: writers that do what Entra does to people and groups, and keep a ledger
// of what they were told. Nobody else writes to a writer's people, so the ledger says exactly what must be stored.

// possible is a value of which a client knows what was acknowledged last, and what it has sent since without learning
// what came of it.
type possible[T comparable] struct {
	sure  T
	maybe []T
}

func (p *possible[T]) acknowledge(v T) { p.sure, p.maybe = v, nil }
func (p *possible[T]) suspect(v T)     { p.maybe = append(p.maybe, v) }
func (p *possible[T]) allows(v T) bool { return v == p.sure || slices.Contains(p.maybe, v) }
func (p *possible[T]) String() string {
	return fmt.Sprintf("%v, or unacknowledged %v", p.sure, p.maybe)
}
func settledOn[T comparable](v T) possible[T] { return possible[T]{sure: v} }

// person is a user in the ledger.
type person struct {
	name string
	id   string // "" until a creation was acknowledged

	exists possible[bool]
	title  possible[string]
	active possible[bool]
	group  possible[string] // id of the one group of which it is a member, or ""
}

// ack is an acknowledged change.
type ack struct{ correlation, resource string }

// crew is the writers of a campaign and all that they have written.
type crew struct {
	writers []*writer
	groups  []string // for new members
}

func newCrew(seed uint64, size int) *crew {
	c := &crew{}
	for i := range size {
		c.writers = append(c.writers, &writer{number: i, random: rand.New(rand.NewPCG(seed, uint64(i)))})
	}
	return c
}

// regroup makes new groups for the members to come, so that none grows without end. The server must be well.
func (c *crew) regroup(to *client, round int) error {
	c.groups = nil
	for i := range 4 {
		a := to.createGroup(fmt.Sprintf("Group %d of round %d", i, round))
		if a.outcome != acknowledged {
			return fmt.Errorf("create a group: %v", a)
		}
		c.groups = append(c.groups, a.id())
	}
	return nil
}

// load has all writers write until stop is closed or the server is gone. They take turns in choosing from the clients,
// of which there is one at least. The channel is closed when they are done.
func (c *crew) load(stop <-chan struct{}, to ...*client) (done <-chan struct{}) {
	ended := make(chan struct{})
	var working sync.WaitGroup
	for i, w := range c.writers {
		working.Go(func() { w.write(to[i%len(to)], c.groups, stop) })
	}
	go func() {
		working.Wait()
		for _, one := range to {
			one.close()
		}
		close(ended)
	}()
	return ended
}

// resume resolves the creations that were not answered as Entra does, by creating again.
func (c *crew) resume(to *client) {
	defer to.close()
	var working sync.WaitGroup
	for _, w := range c.writers {
		working.Go(func() { w.createAgain(to) })
	}
	working.Wait()
}

// writer writes to people of its own. Its fields are read between loads only.
type writer struct {
	number int
	random *rand.Rand
	serial int

	staff   []*person // at whom the next request may aim: nothing about them is in doubt
	doubted []*person // of this round
	touched []*person // of this round
	all     []*person

	acks     []ack
	problems []string // answers that should not have come
	answers  tally
	slowest  time.Duration // answer

	unanswered answer // the last one that did not come
	done       int    // changes that were not acknowledged and turned out to be done
}

// tally counts answers.
type tally struct{ acknowledged, unavailable, unanswered int }

func (t *tally) add(o tally) {
	t.acknowledged += o.acknowledged
	t.unavailable += o.unavailable
	t.unanswered += o.unanswered
}

// pause is how long a writer leaves a server alone that has answered 503; what Retry-After asks for would be a round.
const pause = 50 * time.Millisecond

func (w *writer) write(to *client, groups []string, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		switch a := w.step(to, groups); {
		case a.outcome == unsent:
			return
		case a.outcome == unknown:
			w.answers.unanswered++
			w.unanswered = a
			return
		case a.Status == http.StatusServiceUnavailable:
			w.answers.unavailable++
			select {
			case <-stop:
				return
			case <-time.After(pause):
			}
		}
	}
}

// step sends one request and notes what came of it.
func (w *writer) step(to *client, groups []string) answer {
	if to.think > 0 {
		<-time.After(time.Duration(w.random.Int64N(int64(to.think))))
	}
	dice := w.random.IntN(100)
	if len(w.staff) < 5 || dice < 30 {
		return w.create(to)
	}
	i := w.random.IntN(len(w.staff))
	p := w.staff[i]
	w.touch(p)
	var a answer
	switch member := p.group.sure; {
	case dice < 60:
		title := fmt.Sprintf("grade %d", w.next())
		a = to.set(p.id, "title", title)
		note(w, p, a, p.id, &p.title, title)
	case dice < 70:
		active := !p.active.sure
		a = to.set(p.id, "active", active)
		note(w, p, a, p.id, &p.active, active)
	case dice < 90 && member == "":
		group := groups[w.random.IntN(len(groups))]
		a = to.addMembers(group, p.id)
		note(w, p, a, group, &p.group, group)
	case dice < 90:
		a = to.removeMembers(member, p.id)
		note(w, p, a, member, &p.group, "")
	default:
		a = to.delete("/Users/" + p.id)
		note(w, p, a, p.id, &p.exists, false)
	}
	if a.outcome != acknowledged || !p.exists.sure || len(w.staff) > 50 {
		w.staff = slices.Delete(w.staff, i, i+1)
	}
	return a
}

func (w *writer) next() int { w.serial++; return w.serial }

func (w *writer) touch(p *person) {
	if !slices.Contains(w.touched, p) {
		w.touched = append(w.touched, p)
	}
}

// note enters into the ledger what came of a request to change one value; resource is what it was sent to.
func note[T comparable](w *writer, p *person, a answer, resource string, cell *possible[T], value T) {
	w.slowest = max(w.slowest, a.Took)
	switch {
	case a.outcome == acknowledged:
		cell.acknowledge(value)
		w.acknowledged(a, resource)
	case w.unclear(a):
		cell.suspect(value)
		w.doubted = append(w.doubted, p)
	default:
		w.problems = append(w.problems, fmt.Sprintf("%s: unexpected answer %v", p.name, a))
	}
}

func (w *writer) acknowledged(a answer, resource string) {
	w.answers.acknowledged++
	w.acks = append(w.acks, ack{a.Header.Get(endpoint.CorrelationHeader), resource})
}

// unclear reports whether a request may have been done although it was not acknowledged, and notes a 503 that does not
// say when to come again.
func (w *writer) unclear(a answer) bool {
	if a.Status == http.StatusServiceUnavailable && a.Header.Get("Retry-After") == "" {
		w.problems = append(w.problems, fmt.Sprintf("503 without Retry-After: %v", a))
	}
	return a.outcome != refused || a.Status == http.StatusServiceUnavailable
}

func (w *writer) create(to *client) answer {
	p := &person{name: fmt.Sprintf("w%d-%d@example.com", w.number, w.next()), active: settledOn(true), title: settledOn("grade 0")}
	w.all = append(w.all, p)
	w.touch(p)
	a := w.sendCreate(to, p)
	note(w, p, a, a.id(), &p.exists, true)
	if a.outcome == acknowledged {
		p.id = a.id()
		w.staff = append(w.staff, p)
	}
	return a
}

func (w *writer) sendCreate(to *client, p *person) answer {
	return to.createUser(map[string]any{"userName": p.name, "externalId": p.name, "title": p.title.sure, "active": true,
		"displayName": p.name, "emails": []any{map[string]any{"type": "work", "value": p.name, "primary": true}}})
}

// createAgain repeats the creations that were not answered. One that was done is refused as a duplicate now, and the
// person is found under the name, once.
func (w *writer) createAgain(to *client) {
	for _, p := range w.doubted {
		if p.id != "" {
			continue
		}
		a := w.sendCreate(to, p)
		switch {
		case a.outcome == acknowledged:
			p.id = a.id()
			w.acknowledged(a, p.id)
		case a.Status != http.StatusConflict:
			w.problems = append(w.problems, fmt.Sprintf("%s, created again: %v", p.name, a))
			continue
		default:
			w.done++
		}
		found := to.filter("/Users", fmt.Sprintf("userName eq %q", p.name))
		total, ids, _ := found.list()
		if total != 1 || len(ids) != 1 || p.id != "" && ids[0] != p.id {
			w.problems = append(w.problems, fmt.Sprintf("%s, created again with answer %d: found %d times: %v", p.name, a.Status, total, ids))
			continue
		}
		p.id = ids[0]
		p.exists.acknowledge(true)
	}
}

// settle ends a round: what was in doubt is what found says, and those of whom nothing is in doubt are staff again.
func (w *writer) settle(found func(*person) (more bool)) {
	for _, p := range w.doubted {
		if found(p) {
			w.done++
		}
		if p.exists.sure && !slices.Contains(w.staff, p) {
			w.staff = append(w.staff, p)
		}
	}
	w.doubted, w.touched, w.acks = nil, nil, nil
}
