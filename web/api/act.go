package api

import (
	"net/http"

	"meibo/provisioning"
	"meibo/scim"
)

// UserAct is what a person wants of a user. What is not named stays as it is.
type UserAct struct {
	State     string         `json:"state,omitempty" enum:"active,suspended,removed" doc:"What is removed can be restored for 30 days."`
	Role      *string        `json:"role,omitempty" maxLength:"64" doc:"A role that no synchronisation changes; empty takes the choice back."`
	Protected *bool          `json:"protected,omitempty" doc:"No connection suspends, removes or purges it."`
	Overrides map[string]any `json:"overrides,omitempty" doc:"Attributes by path, such as displayName, that no synchronisation changes; null takes one back."`
}

// GroupAct is what a person wants of a group. What is not named stays as it is.
type GroupAct struct {
	State     string         `json:"state,omitempty" enum:"active,removed" doc:"What is removed can be restored for 30 days."`
	Protected *bool          `json:"protected,omitempty" doc:"No connection removes, empties or purges it."`
	Overrides map[string]any `json:"overrides,omitempty" doc:"Attributes by path, such as displayName, that no synchronisation changes; null takes one back."`
	Empty     bool           `json:"empty,omitempty" doc:"Ends its memberships. Its client goes on listing whom it lists."`
}

type userActInput struct {
	ID   string `path:"id" format:"uuid" pattern:"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"`
	Body UserAct
}

type groupActInput struct {
	ID   string `path:"id" format:"uuid" pattern:"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"`
	Body GroupAct
}

func (a *api) actOperations() {
	errors := []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed}
	register(a, operation{id: "changeUser", method: http.MethodPatch, path: "/users/{id}", tag: accountsTag, roles: operators, errors: errors,
		summary:     "Choose what a person may choose of a user",
		description: "Its owner's assertion stays as it is: what is chosen here is effective, and survives every synchronisation. Who is protected must be unprotected before leaving."},
		func(c *call, in *userActInput) (*single[User], error) {
			b := in.Body
			return act(c, scim.User, in.ID, provisioning.Act{State: provisioning.State(b.State), Role: b.Role, Protected: b.Protected, Overrides: b.Overrides}, c.user)
		})
	register(a, operation{id: "changeGroup", method: http.MethodPatch, path: "/groups/{id}", tag: accountsTag, roles: operators, errors: errors,
		summary: "Choose what a person may choose of a group", description: "As for a user."},
		func(c *call, in *groupActInput) (*single[Group], error) {
			b := in.Body
			return act(c, scim.Group, in.ID, provisioning.Act{State: provisioning.State(b.State), Protected: b.Protected, Overrides: b.Overrides, Empty: b.Empty}, c.group)
		})
}

// removalGrace is how long what a person removed can be restored.
var removalGrace = provisioning.DefaultSettings().Deletion.Grace

// act does what a person wants, and answers with the resource as it is then.
func act[T any](c *call, t scim.ResourceType, id string, a provisioning.Act, view func(resource) (T, error)) (*single[T], error) {
	if _, err := c.find(t, id); err != nil { // of what was purged nothing is left to choose
		return nil, err
	}
	if a.State == "" && a.Role == nil && a.Protected == nil && len(a.Overrides) == 0 && !a.Empty {
		return get(c, t, id, view)
	}
	a.Grace = removalGrace
	if _, err := c.Service.Act(c.context(), c.origin(), t, id, a); err != nil {
		return nil, err
	}
	return get(c, t, id, view)
}
