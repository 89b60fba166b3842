package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"meibo/provisioning"
	"meibo/scim"
)

// Account is what users and groups have in common.
type Account struct {
	ID         string         `json:"id" format:"uuid"`
	ExternalID string         `json:"externalId,omitempty" doc:"The client's id of it."`
	State      string         `json:"state" enum:"active,suspended,held,removed" doc:"held works as active: its departure waits for a person. What is removed can be restored until it is purged."`
	Protected  bool           `json:"protected" doc:"A person protected it: no connection suspends or removes it."`
	Connection string         `json:"connection,omitempty" doc:"The connection that owns it; absent where none does."`
	Version    int64          `json:"version" minimum:"1" doc:"One more with each change."`
	Created    time.Time      `json:"created"`
	Modified   time.Time      `json:"modified"`
	LeftAt     time.Time      `json:"leftAt,omitempty,omitzero" doc:"When it was suspended or removed."`
	PurgeAt    time.Time      `json:"purgeAt,omitempty,omitzero" doc:"When what was removed may be purged."`
	Attributes map[string]any `json:"attributes" doc:"The effective attributes under their names of RFC 7643, active as the state has it."`
	Guessed    []string       `json:"guessed,omitempty" doc:"Attributes whose value is a proposal of the mapping, such as the reading of a name, which nobody confirmed."`
	Overrides  map[string]any `json:"overrides,omitempty" doc:"What a person set by path, and no synchronisation changes. Not for applications."`
	Past       *PastState     `json:"past,omitempty" doc:"Of an instant in the past. Not for applications."`
}

// User is an account of a person as the host application sees it.
type User struct {
	Account
	UserName string `json:"userName" doc:"Unique, whatever its case, among the users that are not removed."`
	Role     string `json:"role"`
}

// Group is a group as the host application sees it.
type Group struct {
	Account
	DisplayName string `json:"displayName"`
	MemberCount int    `json:"memberCount" minimum:"0"`
}

// Member is one member of a group.
type Member struct {
	ID      string `json:"id" doc:"Of a user or group; of nothing where the connection keeps ids that were never issued."`
	Type    string `json:"type,omitempty" enum:"User,Group" doc:"Absent for an id that was never issued."`
	Display string `json:"display,omitempty" doc:"As the client sent it."`

	Asserted  *bool `json:"asserted,omitempty" doc:"Of an instant in the past: the group's client listed it."`
	Effective *bool `json:"effective,omitempty" doc:"Of an instant in the past: the host application saw it."`
}

const (
	accountsTag = "directory"
	filterDoc   = "A filter is SCIM's (RFC 7644 section 3.4.2.2) over the effective attributes. `userName eq`, `externalId eq` and `id eq` are look-ups, alone or joined by `and`; " +
		"with any other filter a request looks at 2000 resources at most, so that its page may be short or empty while there is a `next`. " +
		"A key of the role support finds people by whole values (`eq`), and by parts of them only with `unmask`: 403 otherwise."
)

// listInput are the parameters of a list of users or groups.
type listInput struct {
	Filter         string `query:"filter" minLength:"1" maxLength:"2048" example:"externalId eq \"4711\"" doc:"Which to list."`
	State          string `query:"state" enum:"active,suspended,held,removed" doc:"Those in this state; without it all but the removed ones."`
	IncludeRemoved bool   `query:"includeRemoved" doc:"Removed ones too, until they are purged."`
	Limit          int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many at most."`
	Next           string `query:"next" format:"uuid" pattern:"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$" doc:"The next of the page before."`
}

type idInput struct {
	ID string `path:"id" format:"uuid" pattern:"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"`
}

type membersInput struct {
	ID    string    `path:"id" format:"uuid" pattern:"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"`
	Limit int       `query:"limit" minimum:"1" maximum:"10000" default:"1000" doc:"How many at most."`
	Next  string    `query:"next" maxLength:"4096" pattern:"^([0-9a-f]{2})+$" doc:"The next of the page before."`
	At    time.Time `query:"at" doc:"As it was at that instant; for people. 410 where the journal does not reach back to it."`
}

type single[T any] struct{ Body T }

func (a *api) resourceOperations() {
	register(a, operation{id: "listUsers", method: http.MethodGet, path: "/users", tag: accountsTag, roles: everybody,
		summary: "List users", description: "The users of all connections, in the order of their ids. " + filterDoc},
		func(c *call, in *listInput) (*listed[User], error) { return list(c, scim.User, in, c.user) })
	register(a, operation{id: "getUser", method: http.MethodGet, path: "/users/{id}", tag: accountsTag, roles: everybody, errors: pastErrors,
		summary: "Get a user", description: "Removed ones too, until they are purged. With `at`, as it was then."},
		func(c *call, in *atInput) (*single[User], error) {
			return getAt(c, scim.User, in, c.user, func(u *User) **PastState { return &u.Past })
		})
	register(a, operation{id: "listGroups", method: http.MethodGet, path: "/groups", tag: accountsTag, roles: everybody,
		summary: "List groups", description: "The groups of all connections, in the order of their ids, without their members. " + filterDoc},
		func(c *call, in *listInput) (*listed[Group], error) { return list(c, scim.Group, in, c.group) })
	register(a, operation{id: "getGroup", method: http.MethodGet, path: "/groups/{id}", tag: accountsTag, roles: everybody, errors: pastErrors,
		summary: "Get a group", description: "Removed ones too, until they are purged. With `at`, as it was then."},
		func(c *call, in *atInput) (*single[Group], error) {
			return getAt(c, scim.Group, in, c.group, func(g *Group) **PastState { return &g.Past })
		})
	register(a, operation{id: "listMembers", method: http.MethodGet, path: "/groups/{id}/members", tag: accountsTag, roles: everybody, errors: pastErrors,
		summary: "List the members of a group", description: "Those who are suspended or removed are listed, since they come back as members; their state is theirs. With `at`, as it was then, in both views."},
		(*call).members)
}

// resource is a stored resource with its effective attributes read.
type resource struct {
	provisioning.Resource
	attributes scim.Attributes
	connection string // name of the owner
}

// gone reports whether it was purged: nothing is left that it could be called by.
func (r *resource) gone() bool {
	name, _ := r.attributes[nameAttribute(r.Type)].(string)
	return r.State == provisioning.Removed && name == ""
}

func nameAttribute(t scim.ResourceType) string {
	if t == scim.Group {
		return "displayName"
	}
	return "userName"
}

// reader reads stored resources into views. It asks for the connections' names once.
type reader struct {
	*call
	names map[int64]string
}

// connection is the name of a connection; "" for none.
func (r *reader) connection(id int64) (string, error) {
	if r.names == nil {
		connections, err := r.Service.Connections(r.context(), r.tenant())
		if err != nil {
			return "", err
		}
		r.names = map[int64]string{}
		for _, c := range connections {
			r.names[c.ID] = c.Name
		}
	}
	return r.names[id], nil
}

func (r *reader) read(stored provisioning.Resource) (resource, error) {
	owner, err := r.connection(stored.Connection)
	if err != nil {
		return resource{}, err
	}
	document := stored.Effective
	if document == nil {
		document = stored.Asserted
	}
	out := resource{Resource: stored, connection: owner}
	if len(document) == 0 {
		return out, nil
	}
	attributes, err := scim.Standard(stored.Type).Decode(document)
	if err != nil {
		return resource{}, fmt.Errorf("stored document is damaged: %w", err)
	}
	if stored.Type == scim.User {
		attributes["active"] = stored.State == provisioning.Active || stored.State == provisioning.Held
	}
	out.attributes = attributes
	return out, nil
}

func (c *call) account(r resource) (Account, error) {
	a := Account{ID: r.ID, State: string(r.State), Protected: r.Protected, Connection: r.connection, Version: r.Version,
		Created: r.Created, Modified: r.Modified, LeftAt: r.LeftAt, PurgeAt: r.PurgeAt, Attributes: r.attributes}
	a.ExternalID, _ = r.attributes["externalId"].(string)
	var err error
	if a.Guessed, err = c.Service.Guesses(c.context(), c.tenant(), &r.Resource); err != nil {
		return Account{}, err
	}
	if len(r.Overrides) > 0 && slices.Contains(people, c.holder.Key.Role) {
		if err := json.Unmarshal(r.Overrides, &a.Overrides); err != nil {
			return Account{}, fmt.Errorf("stored overrides are damaged: %w", err)
		}
	}
	return a, nil
}

func (c *call) user(r resource) (User, error) {
	a, err := c.account(r)
	u := User{Account: a, Role: r.RoleName()}
	u.UserName, _ = r.attributes["userName"].(string)
	return u, err
}

func (c *call) group(r resource) (Group, error) {
	a, err := c.account(r)
	g := Group{Account: a, MemberCount: r.MemberCount}
	g.DisplayName, _ = r.attributes["displayName"].(string)
	return g, err
}

// get answers with one resource.
func get[T any](c *call, t scim.ResourceType, id string, view func(resource) (T, error)) (*single[T], error) {
	r, err := c.find(t, id)
	if err != nil {
		return nil, err
	}
	out, err := view(r)
	return &single[T]{out}, err
}

// find reads one resource. NotFound also for what was purged.
func (c *call) find(t scim.ResourceType, id string) (resource, error) {
	stored, err := c.Service.Account(c.context(), c.tenant(), t, id)
	if err != nil {
		return resource{}, err
	}
	r, err := (&reader{call: c}).read(stored)
	if err == nil && r.gone() {
		err = &provisioning.Error{Kind: provisioning.NotFound, Detail: fmt.Sprintf("the %s with that id was purged", t)}
	}
	return r, err
}

const (
	// maxLooked bounds what one request with a filter looks at; then it tells where to go on.
	maxLooked = 2000
	// looked is how many it reads at a time.
	looked = 500
)

// list answers with a page of what the parameters select.
func list[T any](c *call, t scim.ResourceType, in *listInput, view func(resource) (T, error)) (*listed[T], error) {
	s, err := newSelection(t, in)
	if err == nil {
		err = c.findsBy(s.filter)
	}
	if err != nil {
		return nil, err
	}
	var (
		items []T
		last  string
		seen  int
		rd    = reader{call: c}
	)
	for {
		rows, err := s.rows(c)
		if err != nil {
			return nil, err
		}
		for _, stored := range rows {
			if len(items) == in.Limit || seen == maxLooked {
				return page(c, items, last), nil
			}
			r, err := rd.read(stored)
			if err != nil {
				return nil, err
			}
			if s.selects(&r) {
				item, err := view(r)
				if err != nil {
					return nil, err
				}
				items = append(items, item)
			}
			last = r.ID
			seen++
		}
		if s.query.Limit == 0 || len(rows) < s.query.Limit {
			return page(c, items, ""), nil
		}
		s.query.After = last
	}
}

// members answers with a page of a group's members, by id.
func (c *call) members(in *membersInput) (*listed[Member], error) {
	after, err := c.idOf(in.Next)
	if err != nil {
		return nil, err
	}
	if !in.At.IsZero() {
		return c.membersAt(in, after)
	}
	if _, err := c.find(scim.Group, in.ID); err != nil {
		return nil, err
	}
	var items []Member
	err = c.Service.MembershipsAfter(c.context(), c.tenant(), in.ID, after, in.Limit+1, func(m provisioning.GroupMember) error {
		items = append(items, Member{ID: m.Value, Type: string(m.Type), Display: m.Display})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return c.pageOfMembers(items, in.Limit)
}
