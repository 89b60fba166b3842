package api

import (
	"net/http"

	"meibo/provisioning/summary"
	"meibo/provisioning/words"
	"meibo/scim"
)

func (a *api) whyOperations() {
	register(a, operation{id: "explainLogEntry", method: http.MethodGet, path: "/log/{id}/why", tag: logTag, roles: people, errors: []int{http.StatusNotFound},
		summary: "Ask why something happened",
		description: "Link by link, from the request, run or person to what the host application sees: what was repaired, who was meant, what rows of the mapping, scope, policy, guard and tolerance came to, " +
			"each with its inputs and the setting that decided, in one plain sentence."}, (*call).explain)
	register(a, operation{id: "explainUser", method: http.MethodGet, path: "/users/{id}/why", tag: logTag, roles: people,
		errors: []int{http.StatusNotFound, http.StatusBadRequest, http.StatusGone}, summary: "Ask why a user, or an attribute of one, is what it is",
		description: "Without an attribute, why the user is active, suspended, held or removed; with one, why the host application sees that value. It is explained as of the entry of the log that decided it."},
		func(c *call, in *whyInput) (*single[summary.PersonWhy], error) { return c.why(scim.User, in) })
	register(a, operation{id: "explainGroup", method: http.MethodGet, path: "/groups/{id}/why", tag: logTag, roles: people,
		errors: []int{http.StatusNotFound, http.StatusBadRequest, http.StatusGone}, summary: "Ask why a group, or an attribute of one, is what it is", description: "As for a user."},
		func(c *call, in *whyInput) (*single[summary.PersonWhy], error) { return c.why(scim.Group, in) })
	register(a, operation{id: "whyNot", method: http.MethodGet, path: "/why-not", tag: logTag, roles: people, errors: []int{http.StatusNotFound},
		summary: "Ask why somebody is not there, or not as expected",
		description: "The most likely cause first: never sent, refused, ignored, out of scope, held, withheld, asked about, suspended or removed and why, renamed, another connection's. " +
			"Somebody with whom nothing is wrong is said to be healthy."}, (*call).whyNot)
}

type whyInput struct {
	ID        string `path:"id" format:"uuid" pattern:"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"`
	Attribute string `query:"attribute" minLength:"1" maxLength:"256" example:"name.givenName" doc:"Path of an attribute as in a filter, or role; without it the state."`
}

type whyNotInput struct {
	User string `query:"user" required:"true" minLength:"1" maxLength:"1024" example:"kim@example.com" doc:"A userName, of now or earlier, a mail address or externalId of now, or an id."`
}

func (c *call) why(t scim.ResourceType, in *whyInput) (*single[summary.PersonWhy], error) {
	if err := c.looksAt(t, in.Attribute); err != nil {
		return nil, err
	}
	p, err := c.Service.WhyPerson(c.context(), c.tenant(), t, in.ID, in.Attribute)
	if err != nil {
		return nil, err
	}
	view, err := summary.PersonWhyOf(c.tenant(), p, c.speaker())
	return &single[summary.PersonWhy]{view}, err
}

func (c *call) whyNot(in *whyNotInput) (*single[summary.WhyNot], error) {
	w, err := c.Service.WhyNot(c.context(), c.tenant(), in.User)
	if err != nil {
		return nil, err
	}
	return &single[summary.WhyNot]{summary.WhyNotOf(w, c.speaker())}, nil
}

func (c *call) explain(in *idInput) (*single[summary.Chain], error) {
	chain, err := c.Service.Why(c.context(), c.tenant(), in.ID)
	if err != nil {
		return nil, err
	}
	view, err := summary.WhyOf(c.tenant(), chain, c.speaker())
	return &single[summary.Chain]{view}, err
}

// speaker says to the caller what codes mean. It is the one place where sentences are made.
func (c *call) speaker() summary.Speaker {
	s := summary.Speaker{Words: words.English}
	if c.hidden != nil {
		m := c.hidden.mask
		s.Hide = func(value string) string { return m.string(place{document: true}, value) }
	}
	return s
}
