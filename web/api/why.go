package api

import (
	"net/http"

	"meibo/provisioning/summary"
	"meibo/provisioning/words"
)

func (a *api) whyOperations() {
	register(a, operation{id: "explainLogEntry", method: http.MethodGet, path: "/log/{id}/why", tag: logTag, roles: people, errors: []int{http.StatusNotFound},
		summary: "Ask why something happened",
		description: "Link by link, from the request, run or person to what the host application sees: what was repaired, who was meant, what rows of the mapping, scope, policy, guard and tolerance came to, " +
			"each with its inputs and the setting that decided, in one plain sentence."}, (*call).explain)
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
func (c *call) speaker() summary.Speaker { return summary.Speaker{Words: words.English} }
