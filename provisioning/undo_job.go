package provisioning

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// UndoResult is what a job of JobUndo came to.
type UndoResult struct {
	Undone  int `json:"undone"`  // resources that changed
	Nothing int `json:"nothing"` // those that were as before already
	// Left are resources of which something was not undone, the first of them.
	Left []UndoLeft `json:"left,omitempty"`
	More int        `json:"more,omitempty"` // how many there are beside them
	// Waiting are users whose earlier effective userName was somebody else's when it was their turn: that one may give
	// it up yet.
	Waiting []pick `json:"waiting,omitempty"`
}

// UndoLeft is a resource of which something was not undone.
type UndoLeft struct {
	ID        string         `json:"id"`
	Type      string         `json:"type"`
	Name      string         `json:"name"`
	Lost      []string       `json:"lost,omitempty"`
	Conflicts []UndoConflict `json:"conflicts,omitempty"`
	Refused   string         `json:"refused,omitempty"`
}

// mostLeft bounds what a job tells.
const mostLeft = 100

// ReasonUndoStarted is of the entry that says who ordered an undo, and what of.
const ReasonUndoStarted = "undoStarted"

// Undo orders a job that undoes what a query names: see PlanUndo, whose errors it has. What it changes has its job's id
// as the correlation.
func (s *Service) Undo(ctx context.Context, o Origin, q UndoQuery) (Job, error) {
	var j Job
	started := s.Now()
	end := started.Add(time.Microsecond) // what was done at this very instant, too
	id := s.newID()
	q.Agreed = false
	proposed, err := s.undoProposal(ctx, o.Tenant, q)
	if err != nil {
		return j, err
	}
	var refusal *Error
	err = s.administer(ctx, o, func(tx Tx) ([]step, error) {
		refusal = nil
		u, err := q.resolve(tx, o.Tenant, end)
		if err != nil {
			return nil, err
		}
		var closes *MatterChange
		if proposed != nil {
			if closes, _, refusal, err = s.second(tx, o, *proposed); err != nil {
				return nil, err
			}
			if refusal != nil {
				return []step{proposalStep(*proposed, closes)}, nil
			}
			u.Agreed = true
		}
		_, entries, _, err := u.picks(tx, u.entries())
		if err != nil {
			return nil, err
		}
		if j, err = s.newJob(o, JobUndo, u.UndoQuery); err != nil {
			return nil, err
		}
		j.ID, j.Created, j.Changed, j.Connection, j.Total = id, started, started, u.connection, entries
		return []step{{job: &j, matter: closes, reason: ReasonUndoStarted, connection: Connection{ID: u.connection, Name: q.Connection},
			args: map[string]string{"job": id, "entry": q.Entry, "correlation": q.Correlation}}}, nil
	})
	if err == nil && refusal != nil {
		return Job{}, refusal
	}
	return j, err
}

// undoStride undoes the resources of the next selected entries. Its cursor is the last of those entries; each resource is
// undone at its newest one. What was undone already comes to nothing, so a stride may be done again.
func undoStride(ctx context.Context, s *Service, tenant string, j *Job) error {
	var q UndoQuery
	var result UndoResult
	if err := json.Unmarshal(j.Params, &q); err != nil {
		return err
	}
	if j.Result != nil {
		if err := json.Unmarshal(j.Result, &result); err != nil {
			return err
		}
	}
	next, err := s.nextUndo(ctx, tenant, q, j, result.Waiting)
	if err != nil {
		return err
	}
	if j.Cursor == cursorWaiting {
		result.Waiting = nil
	}
	for _, p := range next.picks {
		if err := s.undoOne(ctx, next.undo, p, j, &result); err != nil {
			return err
		}
	}
	switch {
	case j.Cursor == cursorWaiting:
		if len(result.Waiting) == len(next.picks) { // no name became free
			for _, p := range result.Waiting {
				result.note(ResourceUndo{ID: p.ID, Type: p.Type, Name: p.Name, Refused: Taken("userName").Detail}, false)
			}
			result.Waiting = nil
		}
	case next.read < jobStride || q.Entry != "":
		j.Cursor = cursorWaiting
		j.Done += next.entries
	default:
		j.Cursor = next.last.String()
		j.Done += next.entries
	}
	if j.Cursor == cursorWaiting && len(result.Waiting) == 0 {
		j.State = JobDone
	}
	j.Result, err = json.Marshal(result)
	return err
}

// cursorWaiting is the cursor when all is done but for those who wait for a name.
const cursorWaiting = "waiting"

// undoPart is what a stride of an undo has to do.
type undoPart struct {
	undo
	picks         []pick
	entries, read int
	last          Place
}

func (s *Service) nextUndo(ctx context.Context, tenant string, q UndoQuery, j *Job, waiting []pick) (undoPart, error) {
	return View(ctx, s.store, tenant, func(r Reader) (next undoPart, err error) {
		if next.undo, err = q.resolve(r, tenant, j.Created.Add(time.Microsecond)); err != nil {
			return next, err
		}
		next.own = j.ID
		if j.Cursor == cursorWaiting {
			next.picks = waiting
			return next, nil
		}
		eq := next.undo.entries()
		if eq.Limit = jobStride; j.Cursor != "" {
			if eq.Before, err = ParsePlace(j.Cursor); err != nil {
				return next, err
			}
		}
		seen := map[string]bool{}
		return next, r.Entries(eq, func(e Entry) error {
			next.read++
			next.last = e.Place()
			if next.selects(&e) {
				next.entries++
				if !seen[e.ResourceID] {
					seen[e.ResourceID] = true
					next.picks = append(next.picks, pick{Type: e.ResourceType, ID: e.ResourceID, Newest: e.ID})
				}
			}
			return nil
		})
	})
}

// undoOne undoes one resource and notes what came of it. Its error is one that ends the job, or has it wait.
func (s *Service) undoOne(ctx context.Context, u undo, p pick, j *Job, result *UndoResult) error {
	var out ResourceUndo
	var o Origin
	taken := false
	err := s.store.View(ctx, u.tenant, func(r Reader) error {
		x, err := r.Account(p.Type, p.ID, References{})
		if err != nil {
			return err
		}
		o = Origin{Tenant: u.tenant, Connection: u.owners[x.Connection], Actor: j.Actor, Correlation: u.own}
		if out, err = s.planUndo(r, u, p, s.Now()); err == nil {
			taken, err = out.nameIsTaken(r, func(Resource) bool { return false })
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case out.latest.ID != p.Newest: // it was undone when that entry's turn was
		return nil
	case out.IsZero():
		result.note(out, out.done)
		return nil
	case taken:
		p.Name = out.Name
		result.Waiting = append(result.Waiting, p)
		return nil
	}
	in := Intent{Action: ActionUpdate, Type: p.Type, ID: p.ID, Name: out.Name, Quiet: true, Alone: true}
	wants := s.undoing(o, u, p, &out)
	in.Want = func(r Reader, rules *Rules) (Facts, Desired, error) {
		f, d, err := wants(r, rules)
		if err == nil && f.Current.Connection != o.Connection.ID {
			err = &Error{Kind: Precondition, Detail: "the resource got another owner meanwhile; undo it again"}
		}
		return f, d, err
	}
	done, err := s.Apply(ctx, o, in)
	own := new(Error)
	switch refused := errors.As(err, &own); {
	case err == nil:
	case !refused || own.Kind == Unavailable || own.Kind == Internal:
		return err
	default:
		out.refuse(own)
	}
	result.note(out, out.done || err == nil && done.Action != ChangeSkip)
	return nil
}

// note counts what came of a resource. One that is noted again was done before an interruption.
func (r *UndoResult) note(u ResourceUndo, changed bool) {
	if changed {
		r.Undone++
	} else {
		r.Nothing++
	}
	left := UndoLeft{ID: u.ID, Type: string(u.Type), Name: u.Name, Lost: u.Lost, Conflicts: u.Conflicts, Refused: u.Refused}
	switch {
	case len(u.Lost)+len(u.Conflicts) == 0 && u.Refused == "":
	case len(r.Left) < mostLeft:
		r.Left = append(r.Left, left)
	default:
		r.More++
	}
}

// UndoResult reads what an undo's job came to.
func (j Job) UndoResult() (r UndoResult, err error) {
	if len(j.Result) > 0 {
		if err = json.Unmarshal(j.Result, &r); err != nil {
			err = fmt.Errorf("result of the job: %w", err)
		}
	}
	return r, err
}
