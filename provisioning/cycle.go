package provisioning

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// Cycle is one run over a directory: of a connection's client, whose cycles are inferred from its traffic, or of a job, which
// is known exactly.
type Cycle struct {
	ID         string // UUIDv7; of a job its id, which is its entries' correlation
	Connection int64  // 0 where none is concerned
	Kind       string // CycleKind, or the kind of the job
	Began      time.Time
	Last       time.Time // when the last request came, or the job went on last
	Ended      bool
	Requests   CycleRequests // none of a job
	Entries    []CycleEntries
}

// CycleKind is the Kind of cycles of clients.
const CycleKind = "scim"

// CycleEntries is how many entries of an action and outcome a cycle has in the journal. Of clients' cycles a crash may lose
// the last seconds of the count.
type CycleEntries struct {
	Action  JournalAction
	Outcome Outcome
	Entries int
}

// Failures is how many entries say failure, and All how many there are.
func (c *Cycle) Failures() (failures, all int) {
	for _, e := range c.Entries {
		if all += e.Entries; e.Outcome == Failure {
			failures += e.Entries
		}
	}
	return failures, all
}

// CycleQuery selects cycles; zero fields select all.
type CycleQuery struct {
	ID         string
	Connection int64
	Before     string // id: only earlier ones, for paging
	Limit      int    // 0 for no limit
}

// Cycles reads the cycles of a tenant that q selects, latest first: those of clients and those of jobs. NotFound for the tenant.
func (s *Service) Cycles(ctx context.Context, tenant string, q CycleQuery) (all []Cycle, err error) {
	err = s.store.View(ctx, tenant, func(r Reader) error {
		if _, err := tenantOf(r, tenant); err != nil {
			return err
		}
		all, err = s.cycles(r, q)
		return err
	})
	return all, err
}

func (s *Service) cycles(r Reader, q CycleQuery) ([]Cycle, error) {
	all, err := r.Cycles(q)
	if err != nil {
		return nil, err
	}
	now := s.Now()
	for i := range all {
		all[i].Ended = now.Sub(all[i].Last) >= cycleGap
	}
	runs, err := q.runs(r)
	if err != nil {
		return nil, err
	}
	all = append(all, runs...)
	slices.SortFunc(all, func(a, b Cycle) int { return cmp.Compare(b.ID, a.ID) })
	if q.Limit > 0 && len(all) > q.Limit {
		all = all[:q.Limit]
	}
	return all, counted(r, all)
}

// counted gives cycles their Entries.
func counted(r Reader, all []Cycle) (err error) {
	var ids []string
	for i := range all {
		if all[i].Kind == CycleKind {
			ids = append(ids, all[i].ID)
		} else if all[i].Entries, err = r.EntryCounts(all[i].ID); err != nil {
			return err
		}
	}
	of, err := r.CycleEntries(ids)
	for i := range all {
		if all[i].Kind == CycleKind {
			all[i].Entries = of[all[i].ID]
		}
	}
	return err
}

// runs are the cycles of jobs. They are few: people start them.
func (q *CycleQuery) runs(r Reader) (all []Cycle, err error) {
	var jobs []Job
	if q.ID != "" {
		j, err := r.Job(q.ID)
		if KindOf(err) == NotFound && err != nil {
			return nil, nil
		}
		if jobs = []Job{j}; err != nil {
			return nil, err
		}
	}
	for _, kind := range []JobKind{JobRecompute, JobUndo} {
		if q.ID != "" {
			break
		}
		some, err := r.Jobs(kind, q.Before, 0)
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, some...)
	}
	for _, j := range jobs {
		if c := cycleOf(j); q.selects(&c) {
			all = append(all, c)
		}
	}
	return all, nil
}

func cycleOf(j Job) Cycle {
	return Cycle{ID: j.ID, Connection: j.Connection, Kind: string(j.Kind), Began: j.Created, Last: j.Changed,
		Ended: j.State == JobDone || j.State == JobFailed}
}

func (q *CycleQuery) selects(c *Cycle) bool {
	return (q.ID == "" || c.ID == q.ID) && (q.Connection == 0 || c.Connection == q.Connection) && (q.Before == "" || c.ID < q.Before)
}

// Cycle reads one cycle and the one of the same kind and connection before it, nil for none. NotFound.
func (s *Service) Cycle(ctx context.Context, tenant, id string) (c Cycle, before *Cycle, err error) {
	err = s.store.View(ctx, tenant, func(r Reader) error {
		found, err := s.cycles(r, CycleQuery{ID: id})
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return &Error{Kind: NotFound, Attribute: "id", Detail: fmt.Sprintf("there is no cycle with the id %q; list them to see their ids", id)}
		}
		c = found[0]
		before, err = s.before(r, c)
		return err
	})
	return c, before, err
}

// before is the cycle of the same kind and connection before c; nil for none.
func (s *Service) before(r Reader, c Cycle) (*Cycle, error) {
	q := CycleQuery{Connection: c.Connection, Before: c.ID, Limit: 1}
	found, err := r.Cycles(q)
	if c.Kind != CycleKind {
		found, err = q.runs(r)
		found = slices.DeleteFunc(found, func(x Cycle) bool { return x.Kind != c.Kind })
		slices.SortFunc(found, func(a, b Cycle) int { return cmp.Compare(b.ID, a.ID) })
	}
	if err != nil || len(found) == 0 {
		return nil, err
	}
	found = found[:1]
	found[0].Ended = true // another one began
	return &found[0], counted(r, found)
}
