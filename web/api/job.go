package api

import (
	"net/http"
	"time"

	"meibo/provisioning"
)

// Job is work that outlives a request.
type Job struct {
	ID         string    `json:"id" format:"uuid"`
	Kind       string    `json:"kind"`
	Connection string    `json:"connection,omitempty"`
	Actor      string    `json:"actor"`
	State      string    `json:"state" enum:"queued,running,done,failed"`
	Done       int       `json:"done" minimum:"0"`
	Total      int       `json:"total" minimum:"0" doc:"0 while it is not known."`
	Error      string    `json:"error,omitempty"`
	Created    time.Time `json:"created"`
	Changed    time.Time `json:"changed"`
}

type jobsInput struct {
	Limit int `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many at most."`
}

func (a *api) jobOperations() {
	const tag = "jobs"
	register(a, operation{id: "listJobs", method: http.MethodGet, path: "/jobs", tag: tag, roles: people, summary: "List jobs", description: "Latest first: what decides anew after new settings (recompute) or memberships (regroup), and undos."},
		func(c *call, in *jobsInput) (*all[Job], error) {
			jobs, err := c.Service.Jobs(c.context(), c.tenant(), "", in.Limit)
			if err != nil {
				return nil, err
			}
			rd, out := reader{call: c}, &all[Job]{Whole[Job]{[]Job{}}}
			for _, j := range jobs {
				view, err := rd.job(j)
				if err != nil {
					return nil, err
				}
				out.Body.Items = append(out.Body.Items, view)
			}
			return out, nil
		})
	register(a, operation{id: "getJob", method: http.MethodGet, path: "/jobs/{id}", tag: tag, roles: people, errors: []int{http.StatusNotFound}, summary: "Get a job"},
		func(c *call, in *idInput) (*single[Job], error) {
			j, err := c.Service.Job(c.context(), c.tenant(), in.ID)
			if err != nil {
				return nil, err
			}
			out, err := (&reader{call: c}).job(j)
			return &single[Job]{out}, err
		})
}

func (r *reader) job(j provisioning.Job) (Job, error) {
	connection, err := r.connection(j.Connection)
	return Job{j.ID, string(j.Kind), connection, j.Actor, string(j.State), j.Done, j.Total, j.Error, j.Created, j.Changed}, err
}
