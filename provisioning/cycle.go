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
	Kind       string
	Connection int64
	Before     string // id: only earlier ones, for paging
	Limit      int    // 0 for no limit
}

// kindsOfCycles are those that are listed. Regroupings are no runs of anybody's: a write has as many as it needs.
var kindsOfCycles = []string{CycleKind, string(JobRecompute), string(JobUndo)}

// Cycles reads the cycles of a tenant that q selects, latest first: those of clients and those of jobs. NotFound for the tenant.
func (s *Service) Cycles(ctx context.Context, tenant string, q CycleQuery) (all []Cycle, err error) {
	err = s.store.View(ctx, tenant, func(r Reader) error {
		if _, err := tenantOf(r, tenant); err != nil {
			return err
		}
		if all, err = s.cycles(r, q); err != nil {
			return err
		}
		return counted(r, all)
	})
	return all, err
}

// cycles reads as many of each kind as there may be of all: what comes first of all of them is among those. They have no Entries.
func (s *Service) cycles(r Reader, q CycleQuery) (all []Cycle, err error) {
	for _, kind := range kindsOfCycles {
		if q.Kind != "" && q.Kind != kind {
			continue
		}
		some, err := s.cyclesOf(r, kind, q)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	slices.SortFunc(all, func(a, b Cycle) int { return cmp.Compare(b.ID, a.ID) })
	if q.Limit > 0 && len(all) > q.Limit {
		all = all[:q.Limit]
	}
	return all, nil
}

func (s *Service) cyclesOf(r Reader, kind string, q CycleQuery) ([]Cycle, error) {
	if kind != CycleKind {
		return r.Runs(JobKind(kind), q)
	}
	all, err := r.Cycles(q)
	now := s.Now()
	for i := range all {
		all[i].Ended = now.Sub(all[i].Last) >= cycleGap
	}
	return all, err
}

// counted gives cycles their Entries.
func counted(r Reader, all []Cycle) error {
	var cycles, runs []string
	for i := range all {
		if all[i].Kind == CycleKind {
			cycles = append(cycles, all[i].ID)
		} else {
			runs = append(runs, all[i].ID)
		}
	}
	for _, ids := range []struct {
		of   []string
		read func([]string) (map[string][]CycleEntries, error)
	}{{cycles, r.CycleEntries}, {runs, r.RunEntries}} {
		if len(ids.of) == 0 {
			continue
		}
		entries, err := ids.read(ids.of)
		if err != nil {
			return err
		}
		for i := range all {
			if of, found := entries[all[i].ID]; found {
				all[i].Entries = of
			}
		}
	}
	return nil
}

// Cycle reads one cycle and the one of the same kind and connection before it, nil for none. NotFound.
func (s *Service) Cycle(ctx context.Context, tenant, id string) (c Cycle, before *Cycle, err error) {
	err = s.store.View(ctx, tenant, func(r Reader) error {
		one, err := s.cycle(r, id)
		if err != nil {
			return err
		}
		earlier, err := s.cycles(r, CycleQuery{Kind: one.Kind, Connection: one.Connection, Before: one.ID, Limit: 1})
		if err != nil {
			return err
		}
		both := append([]Cycle{one}, earlier...)
		if err := counted(r, both); err != nil {
			return err
		}
		if c = both[0]; len(earlier) > 0 {
			before = &both[1]
			before.Ended = true // another one began
		}
		return nil
	})
	return c, before, err
}

// cycle reads one cycle without its Entries. NotFound.
func (s *Service) cycle(r Reader, id string) (Cycle, error) {
	found, err := s.cycles(r, CycleQuery{ID: id})
	if err != nil {
		return Cycle{}, err
	}
	if len(found) == 0 {
		return Cycle{}, &Error{Kind: NotFound, Attribute: "id", Detail: fmt.Sprintf("there is no cycle with the id %q; list them to see their ids", id)}
	}
	return found[0], nil
}
