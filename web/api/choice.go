package api

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"meibo/provisioning"
)

// Choices are a choice for all open matters that a selection has, or a file of choices.
type Choices struct {
	DryRun bool      `json:"dryRun,omitempty" doc:"Only say what would be done."`
	CSV    string    `json:"csv,omitempty" maxLength:"1048576" doc:"Rows under the columns matter, userName or externalId; choice (allow, reject, link, create, ignore); candidate, the id of the account to link where several may be meant. Excludes all that follows."`
	Status string    `json:"status,omitempty" enum:"allowed,rejected,linked,created,ignored" doc:"The choice. Needs kind."`
	Kind   string    `json:"kind,omitempty" enum:"held,kept,delayed,adoption,purge,proposal" doc:"Of this kind alone."`
	Cause  string    `json:"cause,omitempty" maxLength:"64" doc:"Of this cause alone, such as deactivated."`
	Filter string    `json:"filter,omitempty" maxLength:"4096" doc:"Those about whom a SCIM filter selects, by what the client asserted."`
	Limit  integer   `json:"limit,omitempty" minimum:"1" maximum:"10000" doc:"The latest so many; 10,000 without it."`
	Until  time.Time `json:"until,omitempty,omitzero" doc:"How long a word about delayed departures holds."`
}

// ChoicesMade is what came of many choices.
type ChoicesMade struct {
	Count   map[string]int `json:"count" doc:"Rows by outcome."`
	Results []ChoiceMade   `json:"results" doc:"One for each row, or each matter that was selected."`
}

// ChoiceMade is what came of one choice.
type ChoiceMade struct {
	Line    int    `json:"line,omitempty" minimum:"1"`
	Matter  string `json:"matter" format:"uuid"`
	Name    string `json:"name"`
	Status  string `json:"status" enum:"allowed,rejected,linked,created,ignored" doc:"The choice."`
	Outcome string `json:"outcome" enum:"planned,done,already,waits,failed" doc:"What would be done, was done, was so already, waits for a second person, or failed."`
	Detail  string `json:"detail,omitempty" doc:"Why it failed."`
}

type choicesInput struct{ Body Choices }

const maxChoices = 2*1<<20 + maxBody

func (c *call) resolveMatters(in *choicesInput) (*single[ChoicesMade], error) {
	choices, err := c.choices(&in.Body)
	if err != nil {
		return nil, choiceProblem(err)
	}
	done, err := c.Service.Choose(c.context(), c.origin(), choices, in.Body.DryRun)
	if err != nil {
		return nil, choiceProblem(err)
	}
	out := ChoicesMade{Count: map[string]int{}, Results: make([]ChoiceMade, len(done))}
	for i, d := range done {
		out.Count[string(d.Outcome)]++
		out.Results[i] = ChoiceMade{d.Choice.Line, d.Matter.ID, d.Matter.Name, string(d.Choice.Resolution.Status), string(d.Outcome), d.Detail}
	}
	return &single[ChoicesMade]{out}, nil
}

// choices are those of a file, or the one choice of each matter that is selected.
func (c *call) choices(in *Choices) ([]provisioning.Choice, error) {
	if in.CSV != "" {
		if in.Status+in.Kind+in.Cause+in.Filter != "" || in.Limit > 0 || !in.Until.IsZero() {
			return nil, &provisioning.Error{Kind: provisioning.Invalid, Detail: "csv says all by itself; leave out whatever selects matters, and the choice"}
		}
		return provisioning.ReadChoices(strings.NewReader(in.CSV))
	}
	if in.Status == "" || in.Kind == "" {
		return nil, &provisioning.Error{Kind: provisioning.Invalid, Detail: "send csv, or status with kind"}
	}
	filter, err := provisioning.ParseIdentityFilter(in.Filter)
	if err != nil {
		return nil, err
	}
	limit := provisioning.MaxChoices
	if in.Limit > 0 {
		limit = int(in.Limit)
	}
	var out []provisioning.Choice
	q := provisioning.MatterQuery{Kind: provisioning.MatterKind(in.Kind), Status: provisioning.MatterOpen}
	choice := provisioning.Resolution{Status: provisioning.MatterStatus(in.Status), Until: in.Until}
	err = c.Service.FindMatters(c.context(), c.tenant(), q, filter, func(m provisioning.Matter, selected bool) error {
		if len(out) == limit {
			return errPageFull
		}
		if selected && (in.Cause == "" || in.Cause == m.Cause) {
			out = append(out, provisioning.Choice{Matter: m.ID, Resolution: choice})
		}
		return nil
	})
	if errors.Is(err, errPageFull) {
		err = nil
	}
	return out, err
}

// choiceProblem names each mistake by its line.
func choiceProblem(err error) error {
	faults, ok := errors.AsType[provisioning.ChoiceFaults](err)
	if !ok {
		return err
	}
	p := newProblem(http.StatusUnprocessableEntity, codes[provisioning.Invalid], "nothing was done; errors names each mistake by its line")
	for _, f := range faults {
		if f.Line == 0 {
			p.Errors = append(p.Errors, Fault{Location: "body", Message: f.Detail})
			continue
		}
		p.Errors = append(p.Errors, Fault{Location: "body.csv", Message: f.Error()})
	}
	return p
}
