package api

import (
	"bytes"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"meibo/provisioning"
	"meibo/scim"
)

// Change is one entry of the journal with what it changed.
type Change struct {
	Position int64            `json:"position" minimum:"1" doc:"Its place in the tenant's journal: one more than the one before, without a gap."`
	ID       string           `json:"id" format:"uuid" doc:"Of the entry."`
	At       time.Time        `json:"at"`
	Action   string           `json:"action" enum:"create,update,disable,delete,stagedDelete,other"`
	Outcome  string           `json:"outcome" enum:"success,failure,skipped,warning"`
	Resource *ChangedResource `json:"resource,omitempty" doc:"What the entry is about; absent for what is about none, such as a new token."`
	User     Current[User]    `json:"user,omitempty,omitzero" doc:"The user as it is now, if the entry changed one; null once it is purged."`
	Group    Current[Group]   `json:"group,omitempty,omitzero" doc:"The group as it is now, if the entry changed one; null once it is purged."`
	Members  *MemberChanges   `json:"members,omitempty" doc:"What the entry added to the group's members and took from them."`
}

// ChangedResource names what an entry is about.
type ChangedResource struct {
	Type string `json:"type" enum:"User,Group"`
	ID   string `json:"id" doc:"As it was asked for: of a request that failed it may be of nothing."`
}

// MemberChanges are the ids that joined a group and those that left it.
type MemberChanges struct {
	Add    []Member `json:"add"`
	Remove []string `json:"remove"`
}

// Current is a resource as it is now. It is null once nothing is left of it, and absent where it is not told.
type Current[T any] struct {
	value *T
	told  bool
}

// IsZero reports whether it is not told.
func (c Current[T]) IsZero() bool { return !c.told }

// MarshalJSON implements json.Marshaler. The value is written as it is elsewhere, byte for byte.
func (c Current[T]) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	err := huma.DefaultJSONFormat.Marshal(&out, c.value)
	return out.Bytes(), err
}

// Schema implements huma.SchemaProvider.
func (Current[T]) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{r.Schema(reflect.TypeFor[T](), true, ""), {Type: "null"}}}
}

// ChangePage is one piece of the journal.
type ChangePage struct {
	Items []Change `json:"items" doc:"In the order of their positions."`
	Head  int64    `json:"head" minimum:"0" doc:"The last position given: whoever has reached it has seen all there is."`
}

type changesInput struct {
	After int64 `query:"after" minimum:"0" default:"0" doc:"The position that the client has reached; 0 for none."`
	Limit int   `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many at most."`
	Wait  int   `query:"wait" minimum:"0" maximum:"60" default:"0" doc:"How many seconds to wait for a first change, where there is none yet."`
}

func (a *api) changeOperations() {
	register(a, operation{id: "listChanges", method: http.MethodGet, path: "/changes", tag: "changes", roles: everybody, errors: []int{http.StatusConflict, http.StatusGone},
		summary: "Follow the changes",
		description: "The journal after a position, without a gap. To mirror the directory: read `head` here (`limit=1`), read /users, /groups and the members of each group in full, with removed ones, " +
			"then go on from that `head` with `after`, for ever: put in each user and group as told, drop what is null with its memberships, add and remove members as told. " +
			"What was changed during the full read is told again, and comes to the same. 409 says that the position is none that was given, 410 that what follows it is kept no longer: start over. Without `after` it begins with the oldest that is kept."},
		(*call).changes)
}

func (c *call) changes(in *changesInput) (*single[ChangePage], error) {
	if !c.echo.Request().URL.Query().Has("after") {
		in.After = provisioning.FromTheOldest // who has reached nothing and says nothing wants to know the head
	}
	found, err := c.await(in)
	if err != nil {
		return nil, err
	}
	if in.After > found.Head {
		return nil, unknownPosition()
	}
	out := ChangePage{Items: make([]Change, 0, len(found.Entries)), Head: found.Head}
	rd := reader{call: c}
	for _, e := range found.Entries {
		item, err := c.change(&rd, e, found.Now)
		if err != nil {
			return nil, err
		}
		out.Items = append(out.Items, item)
	}
	return &single[ChangePage]{out}, nil
}

// await reads the changes, again and again until there is one or the time to wait is over.
func (c *call) await(in *changesInput) (provisioning.Changes, error) {
	found, err := c.Service.Changes(c.context(), c.tenant(), in.After, in.Limit)
	if err != nil || in.Wait == 0 || found.Head != found.After {
		return found, err
	}
	wait := time.Duration(in.Wait) * time.Second
	if !c.take(c.waiting, min(wait, patience)) {
		return found, nil
	}
	defer c.leave(c.waiting)
	err = c.poll(wait, func() (bool, error) {
		found, err = c.Service.Changes(c.context(), c.tenant(), in.After, in.Limit)
		return found.Head != found.After, err
	})
	if err == nil { // a key that was revoked meanwhile is told nothing more
		_, err = c.identify()
	}
	return found, err
}

// change is the view of one entry.
func (c *call) change(rd *reader, e provisioning.PositionedEntry, now map[string]provisioning.Resource) (Change, error) {
	entry := &e.Entry
	out := Change{Position: e.Position, ID: entry.ID, At: entry.At, Action: string(entry.Action), Outcome: string(entry.Outcome)}
	if entry.ResourceID == "" {
		return out, nil
	}
	out.Resource = &ChangedResource{string(entry.ResourceType), entry.ResourceID}
	out.Members = memberChanges(entry.Members)
	if entry.Version == 0 { // it changed nothing
		return out, nil
	}
	r, err := rd.read(now[entry.ResourceID])
	if err != nil {
		return Change{}, err
	}
	if entry.ResourceType == scim.User {
		out.User, err = current(r, c.user)
	} else {
		out.Group, err = current(r, c.group)
	}
	return out, err
}

// memberChanges are those of the effective memberships; nil where only what the client lists has changed.
func memberChanges(d provisioning.MemberDelta) *MemberChanges {
	out := MemberChanges{Add: []Member{}, Remove: append(append([]string{}, d.Remove...), d.EffectiveRemove...)}
	for _, m := range slices.Concat(d.Add, d.EffectiveAdd) {
		out.Add = append(out.Add, Member{ID: m.Value, Display: m.Display})
	}
	if len(out.Add)+len(out.Remove) == 0 {
		return nil
	}
	return &out
}

func current[T any](r resource, view func(resource) (T, error)) (Current[T], error) {
	if r.gone() {
		return Current[T]{told: true}, nil
	}
	value, err := view(r)
	return Current[T]{&value, true}, err
}
