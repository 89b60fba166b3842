package api

import (
	"net/http"
	"time"

	"meibo/provisioning"
)

// Summary is what happened by the hour.
type Summary struct {
	Items []Hour `json:"items" doc:"Latest first; hours in which nothing happened are absent."`
}

// Hour is what happened in one.
type Hour struct {
	Hour   time.Time      `json:"hour" doc:"Its beginning, in UTC."`
	Total  int64          `json:"total" minimum:"1"`
	Counts []ActionCounts `json:"counts" doc:"By action and outcome."`
}

// ActionCounts is how many entries there are of an action and an outcome.
type ActionCounts struct {
	Action              string  `json:"provisioningAction" enum:"create,update,disable,delete,stagedDelete,other"`
	Status              string  `json:"status" enum:"success,failure,skipped,warning"`
	Count               int64   `json:"count" minimum:"1"`
	AverageMilliseconds float64 `json:"averageMilliseconds" minimum:"0" doc:"That their requests took."`
}

type summaryInput struct {
	Connection string    `query:"connection" pattern:"^[a-z0-9-]{1,40}$" doc:"Of this connection."`
	Since      time.Time `query:"since" doc:"From the hour on that begins then; without it, of the last 24 hours."`
	Until      time.Time `query:"until" doc:"Before then."`
}

// maxSummary bounds what one request counts: the hours of a month.
const maxSummary = 31 * 24 * time.Hour

func (c *call) summary(in *summaryInput) (*single[Summary], error) {
	q := provisioning.ActivityQuery{Since: in.Since, Until: in.Until}
	if q.Until.IsZero() {
		q.Until = c.Now()
	}
	if q.Since.IsZero() {
		q.Since = q.Until.Add(-24 * time.Hour)
	}
	if q.Until.Sub(q.Since) > maxSummary {
		return nil, newProblem(http.StatusUnprocessableEntity, codes[provisioning.Invalid], "since and until may be 31 days apart at most; ask month by month")
	}
	if in.Connection != "" {
		connection, err := c.Service.Connection(c.context(), c.tenant(), in.Connection)
		if err != nil {
			return nil, err
		}
		q.Connection = connection.ID
	}
	out := Summary{Items: []Hour{}}
	err := c.Service.Activity(c.context(), c.tenant(), q, func(a provisioning.Activity) error {
		if n := len(out.Items); n == 0 || !out.Items[n-1].Hour.Equal(a.Hour) {
			out.Items = append(out.Items, Hour{Hour: a.Hour.UTC()})
		}
		hour := &out.Items[len(out.Items)-1]
		hour.Total += a.Entries
		hour.Counts = append(hour.Counts, ActionCounts{string(a.Action), string(a.Outcome), a.Entries, float64(a.Duration.Microseconds()) / 1000 / float64(a.Entries)})
		return nil
	})
	return &single[Summary]{out}, err
}
