package mirror

import (
	"encoding/json"
	"fmt"
	"maps"

	"github.com/google/go-cmp/cmp"
)

// Mirror is the copy, and how far it has come.
type Mirror struct {
	Users   map[string]string // by id: the user as JSON, byte for byte
	Groups  map[string]string
	Members map[string]map[string]bool // by group
	At      int64                      // the position that it has reached
}

// New returns a mirror of nothing, at the beginning of the journal.
func New() *Mirror {
	return &Mirror{Users: map[string]string{}, Groups: map[string]string{}, Members: map[string]map[string]bool{}}
}

// Item is one change as it is told.
type Item struct {
	Position    int64
	Resource    struct{ ID string }
	User, Group json.RawMessage // nil where it is not told, null where it is gone
	Members     struct {
		Add    []struct{ ID string }
		Remove []string
	}
}

// Gap is a change that is not the next one.
type Gap struct{ At, Told int64 }

func (g *Gap) Error() string { return fmt.Sprintf("position %d is told after %d", g.Told, g.At) }

// Apply puts one change in. The error is a *Gap.
func (m *Mirror) Apply(i Item) error {
	if i.Position != m.At+1 {
		return &Gap{m.At, i.Position}
	}
	m.At = i.Position
	put(m.Users, i.Resource.ID, i.User)
	put(m.Groups, i.Resource.ID, i.Group)
	if string(i.Group) == "null" {
		delete(m.Members, i.Resource.ID)
		return nil
	}
	for _, a := range i.Members.Add {
		m.join(i.Resource.ID, a.ID)
	}
	for _, id := range i.Members.Remove {
		delete(m.Members[i.Resource.ID], id)
	}
	return nil
}

func put(into map[string]string, id string, now json.RawMessage) {
	switch {
	case now == nil:
	case string(now) == "null":
		delete(into, id)
	default:
		into[id] = string(now)
	}
}

func (m *Mirror) join(group, id string) {
	if m.Members[group] == nil {
		m.Members[group] = map[string]bool{}
	}
	m.Members[group][id] = true
}

// Differs compares two mirrors but for how far they have come; "" if they are equal. A group without members is as one
// that none was told of.
func (m *Mirror) Differs(other *Mirror) string {
	view := func(m *Mirror) []any {
		members := maps.Clone(m.Members)
		maps.DeleteFunc(members, func(_ string, of map[string]bool) bool { return len(of) == 0 })
		return []any{m.Users, m.Groups, members}
	}
	return cmp.Diff(view(m), view(other))
}
