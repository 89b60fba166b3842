package drill

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// policy is what a fakeServer does with those who leave. Its zero value keeps no states.
type policy struct {
	disabled, deleted string
	share, floor      int
	frozen            bool
	purges            bool
	spent, allowed    int
	rejected          map[string]bool // ids
	waiting           []string        // ids, in the order in which they were put off
}

// policies are the presets as their documentation has them.
var policies = map[Preset]policy{
	"":              {disabled: suspended, deleted: suspended, share: 20, floor: 25},
	Mirror:          {disabled: removed, deleted: removed, share: 20, floor: 25, purges: true},
	SuspendOrDelete: {disabled: suspended, deleted: removed, share: 20, floor: 25},
	Guarded:         {disabled: removed, deleted: removed, share: 10, floor: 5, frozen: true},
	HandPicked:      {disabled: held, deleted: held},
}

// arrive gives a new or restored user its state.
func (s *fakeServer) arrive(rec *record, isActive any) {
	rec.state, rec.role = active, orElse(rec.role, "ordinary")
	if isActive == false && rec.role != "admin" {
		rec.state = suspended
	}
}

// govern decides a PATCH of a user. A reply stands for the whole request.
func (s *fakeServer) govern(q *call, rec *record, attrs map[string]any) *reply {
	if q.kind == "Groups" || rec.attrs["active"] == attrs["active"] {
		if s.plant.stopsOthers && len(s.policy.waiting) > 0 {
			return putOff()
		}
		return nil
	}
	if attrs["active"] == true {
		s.arrive(rec, true)
		return nil
	}
	re := s.leave(rec, s.policy.disabled)
	if re != nil && s.plant.applyDelayed {
		rec.attrs = attrs
	}
	return re
}

// leave takes an account out of active, unless it is protected or the tolerance is used up.
func (s *fakeServer) leave(rec *record, to string) *reply {
	p := &s.policy
	if rec.role == "admin" || p.rejected[rec.id] || to == "" {
		return nil
	}
	if to == held {
		if rec.state == active {
			rec.state = held
		}
		return nil
	}
	if rec.state != active && rec.state != held {
		if to == removed {
			rec.state = removed
		}
		return nil
	}
	if p.share > 0 && p.allowed == 0 && p.spent+1 >= s.limit() {
		if !slices.Contains(p.waiting, rec.id) {
			p.waiting = append(p.waiting, rec.id)
		}
		return putOff()
	}
	p.allowed = max(p.allowed-1, 0)
	p.spent++
	p.waiting = without(p.waiting, rec.id)
	rec.state = to
	if p.purges {
		for _, g := range s.groups {
			g.members = without(g.members, rec.id)
		}
	}
	return nil
}

func putOff() *reply {
	re := fail(http.StatusServiceUnavailable, "", "too many leave at once; a person has to allow it")
	re.header = http.Header{"Retry-After": {"2400"}}
	return re
}

func (s *fakeServer) limit() int {
	present := s.policy.spent
	for _, u := range s.users {
		if u.state == active || u.state == held {
			present++
		}
	}
	return max(min(present*orElse(s.plant.share, s.policy.share)/100, 500), s.policy.floor)
}

// Allow implements Person.
func (s *fakeServer) Allow(_ context.Context, n int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.plant.deafToThem {
		return nil
	}
	s.policy.allowed = n
	for _, u := range s.users {
		if u.state == held {
			u.state = suspended
		}
	}
	return nil
}

// Reject implements Person.
func (s *fakeServer) Reject(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.plant.deafToThem {
		return nil
	}
	s.policy.rejected = map[string]bool{}
	for _, id := range s.policy.waiting {
		s.policy.rejected[id] = true
	}
	for _, u := range s.users {
		if u.state == held {
			u.state = active
		}
	}
	return nil
}

// MakeAdmin implements Person.
func (s *fakeServer) MakeAdmin(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.users {
		if u.id == id {
			u.role = "admin"
			return nil
		}
	}
	return fmt.Errorf("no user %s", id)
}

// View implements Host.
func (s *fakeServer) View(_ context.Context, id string) (Account, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.users {
		if u.id != id {
			continue
		}
		a := Account{State: u.state, Role: u.role, UserName: fmt.Sprint(u.attrs["userName"])}
		if s.policy.frozen {
			a.UserName = u.names[0]
		}
		found := s.plant.view == nil || s.plant.view(&a)
		return a, found, nil
	}
	return Account{}, false, nil
}

// Members implements Host.
func (s *fakeServer) Members(_ context.Context, id string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.groups {
		if g.id == id && !s.plant.hostGroupsEmpty {
			return slices.Clone(g.members), nil
		}
	}
	return nil, nil
}

// lateMisses finds nobody by the same userName a third time.
func lateMisses() func(url.Values, []*record) []*record {
	asked := map[string]int{}
	return func(q url.Values, all []*record) []*record {
		filter := q.Get("filter")
		if !strings.HasPrefix(filter, "userName") || len(all) != 1 {
			return all
		}
		if asked[filter]++; asked[filter] < 2 {
			return all
		}
		return nil
	}
}

// lateChange shows another title when a user is read for the third time.
func lateChange() plant {
	read := map[string]int{}
	return onAnswer(http.MethodGet, "Users", http.StatusOK, func(q *call, r *reply) {
		if q.id == "" {
			return
		}
		if read[q.id]++; read[q.id] > 2 {
			r.body.(map[string]any)["title"] = "Changed"
		}
	})
}
