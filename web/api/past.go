package api

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"meibo/provisioning"
	"meibo/scim"
)

// PastState is what is told of a user or group at an instant beside what is told of the present one.
type PastState struct {
	At       time.Time      `json:"at" doc:"The instant that was asked for."`
	Entry    string         `json:"entry" format:"uuid" doc:"The entry of the journal that made it so."`
	Visible  bool           `json:"visible" doc:"Its owner's client found it."`
	Asserted map[string]any `json:"asserted" doc:"What its owner's client asserted."`
	Groups   []GroupAt      `json:"groups,omitempty" nullable:"false" doc:"The groups that a user was in."`
}

// GroupAt is a group that a user was in.
type GroupAt struct {
	ID          string `json:"id" format:"uuid"`
	DisplayName string `json:"displayName"`
	Asserted    bool   `json:"asserted" doc:"In the eyes of the group's client."`
	Effective   bool   `json:"effective" doc:"In those of the host application."`
}

// Difference is what became of a user or group between two instants.
type Difference struct {
	From    time.Time        `json:"from"`
	To      time.Time        `json:"to"`
	New     bool             `json:"new" doc:"It was not there at the first instant."`
	Changes []EntryChange    `json:"changes" doc:"By the paths that entries of the journal have."`
	Members *MemberViewDelta `json:"members,omitempty" doc:"Of a group."`
	Joined  []GroupAt        `json:"joined,omitempty" nullable:"false" doc:"Groups that a user is in at the second instant and was not, or otherwise, at the first."`
	Left    []GroupAt        `json:"left,omitempty" nullable:"false" doc:"The reverse, as they were at the first."`
}

// MemberViewDelta are members that joined and left, by view.
type MemberViewDelta struct {
	AssertedAdd     []Member `json:"assertedAdd"`
	AssertedRemove  []string `json:"assertedRemove"`
	EffectiveAdd    []Member `json:"effectiveAdd"`
	EffectiveRemove []string `json:"effectiveRemove"`
}

type atInput struct {
	ID string    `path:"id" format:"uuid" pattern:"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"`
	At time.Time `query:"at" doc:"As it was at that instant; for people. 410 where the journal does not reach back to it."`
}

type betweenInput struct {
	ID   string    `path:"id" format:"uuid" pattern:"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"`
	From time.Time `query:"from" required:"true"`
	To   time.Time `query:"to" doc:"Without it, now."`
}

// pastErrors are those of who asks for the past.
var pastErrors = []int{http.StatusNotFound, http.StatusGone}

func (a *api) pastOperations() {
	for _, o := range []struct {
		t    scim.ResourceType
		path string
	}{{scim.User, "/users/{id}/difference"}, {scim.Group, "/groups/{id}/difference"}} {
		register(a, operation{id: "difference" + string(o.t), method: http.MethodGet, path: o.path, tag: accountsTag, roles: people, errors: pastErrors,
			summary:     fmt.Sprintf("Compare a %s at two instants", o.t),
			description: "As one entry of the journal would have it that did everything at once. 410 where the journal does not reach back to the first instant."},
			func(c *call, in *betweenInput) (*single[Difference], error) { return c.difference(o.t, in) })
	}
}

// pastQuery checks who asks. The past is for people: an application follows /changes.
func (c *call) pastQuery(t scim.ResourceType, id string, at time.Time) (provisioning.PastQuery, error) {
	if !slices.Contains(people, c.holder.Key.Role) {
		return provisioning.PastQuery{}, &provisioning.Error{Kind: provisioning.Forbidden, Detail: "this key's role may not read the past; use a key of another role, which an owner can create"}
	}
	return provisioning.PastQuery{Type: t, ID: id, At: at.UTC().Truncate(time.Microsecond)}, nil
}

// getAt answers with one resource as it is, or as it was at an instant.
func getAt[T any](c *call, t scim.ResourceType, in *atInput, view func(resource) (T, error), past func(*T) **PastState) (*single[T], error) {
	if in.At.IsZero() {
		return get(c, t, in.ID, view)
	}
	q, err := c.pastQuery(t, in.ID, in.At)
	if err != nil {
		return nil, err
	}
	q.Groups = t == scim.User
	p, err := c.Service.At(c.context(), c.tenant(), q)
	if err != nil {
		return nil, err
	}
	r, err := (&reader{call: c}).read(p.Resource)
	if err == nil && r.gone() {
		err = &provisioning.Error{Kind: provisioning.NotFound, Detail: fmt.Sprintf("the %s with that id was purged by then", t)}
	}
	if err != nil {
		return nil, err
	}
	out, err := view(r)
	if err != nil {
		return nil, err
	}
	state := &PastState{At: q.At, Entry: p.Entry, Visible: p.Visible, Groups: groupsAt(p.Groups)}
	*past(&out) = state
	state.Asserted, err = decodedAttributes(t, p.Asserted)
	return &single[T]{out}, err
}

func decodedAttributes(t scim.ResourceType, document []byte) (map[string]any, error) {
	attributes, err := scim.Standard(t).Decode(document)
	if err != nil {
		err = fmt.Errorf("document is damaged: %w", err)
	}
	return attributes, err
}

func groupsAt(groups []provisioning.PastGroup) []GroupAt {
	out := make([]GroupAt, len(groups))
	for i, g := range groups {
		out[i] = GroupAt{g.ID, g.Display, g.Asserted, g.Effective}
	}
	return out
}

// membersAt answers with a page of a group's members at an instant, by id, with whose eyes see them.
func (c *call) membersAt(in *membersInput, after string) (*listed[Member], error) {
	q, err := c.pastQuery(scim.Group, in.ID, in.At)
	if err != nil {
		return nil, err
	}
	q.Members = true
	p, err := c.Service.At(c.context(), c.tenant(), q)
	if err != nil {
		return nil, err
	}
	items := []Member{}
	for _, m := range p.Members {
		if m.Value > after {
			items = append(items, Member{ID: m.Value, Display: m.Display, Asserted: &m.Asserted, Effective: &m.Effective})
		}
	}
	return c.pageOfMembers(items, in.Limit)
}

func (c *call) difference(t scim.ResourceType, in *betweenInput) (*single[Difference], error) {
	q, err := c.pastQuery(t, in.ID, time.Time{})
	if err != nil {
		return nil, err
	}
	if in.To.IsZero() {
		in.To = c.Service.Now()
	}
	d, err := c.Service.Difference(c.context(), c.tenant(), q, in.From.UTC(), in.To.UTC())
	if err != nil {
		return nil, err
	}
	out := Difference{From: in.From.UTC(), To: in.To.UTC(), New: d.From == nil, Changes: make([]EntryChange, len(d.Changes)),
		Joined: groupsAt(d.Joined), Left: groupsAt(d.Left)}
	for i, change := range d.Changes {
		out.Changes[i] = EntryChange{change.Path, change.Old, change.New}
	}
	if t == scim.Group {
		out.Members = memberViews(d.Members)
	}
	return &single[Difference]{out}, nil
}

func memberViews(d provisioning.MemberDelta) *MemberViewDelta {
	members := func(lists ...[]scim.Member) []Member {
		out := []Member{}
		for _, m := range slices.Concat(lists...) {
			out = append(out, Member{ID: m.Value, Display: m.Display})
		}
		return out
	}
	return &MemberViewDelta{
		AssertedAdd: members(d.Add, d.AssertedAdd), AssertedRemove: append(slices.Concat([]string{}, d.Remove), d.AssertedRemove...),
		EffectiveAdd: members(d.Add, d.EffectiveAdd), EffectiveRemove: append(slices.Concat([]string{}, d.Remove), d.EffectiveRemove...),
	}
}
