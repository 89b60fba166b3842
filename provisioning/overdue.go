package provisioning

import (
	"context"
	"errors"
	"time"
)

// Waiting is how much waits for a person, in all tenants.
type Waiting struct {
	Open    map[MatterKind]int
	Overdue int
	// Connections is how many connections there are of each health.
	Connections map[HealthLevel]int
}

// reasonOverdue is the code of the entry that flags a matter which waits for longer than its connection's settings want.
// The entry's correlation is the matter's id, by which it is found again.
const reasonOverdue = "matterOverdue"

// Overdue tells which matters of a tenant wait for longer than the settings of their connections want. NotFound.
func (s *Service) Overdue(ctx context.Context, tenant string) (func(Matter) bool, error) {
	after := map[int64]time.Duration{}
	err := s.store.View(ctx, tenant, func(r Reader) error {
		all, err := connectionsOf(r, tenant)
		for _, c := range all {
			rules, failed := s.rules(r, c)
			if failed != nil {
				return failed
			}
			after[c.ID] = rules.Settings.Matters.OverdueAfter.Duration()
		}
		return err
	})
	now := s.Now()
	return func(m Matter) bool {
		limit := after[m.Connection]
		return m.Status == MatterOpen && limit > 0 && now.Sub(m.Opened) >= limit
	}, err
}

// flagOverdue counts what waits in a tenant, and has the journal name each matter once that is overdue; of many, a stride
// at a time.
func (s *Service) flagOverdue(ctx context.Context, tenant string, all []Connection, w *Waiting) error {
	overdue, err := s.Overdue(ctx, tenant)
	if err != nil {
		return err
	}
	kept, _ := s.flagged.Load(tenant)
	before, _ := kept.(map[string]bool)
	flagged := map[string]bool{} // of those alone that wait still
	var late []Matter
	err = s.Matters(ctx, tenant, MatterQuery{Status: MatterOpen}, func(m Matter) error {
		w.Open[m.Kind]++
		if !overdue(m) {
			return nil
		}
		w.Overdue++
		switch {
		case before[m.ID]:
			flagged[m.ID] = true
		case len(late) < jobStride:
			late = append(late, m)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, m := range late {
		o := Origin{Tenant: tenant, Actor: Schedule, Correlation: m.ID}
		for _, c := range all {
			if c.ID == m.Connection {
				o.Connection = c
			}
		}
		failed := s.flag(ctx, o, m)
		if failed == nil {
			flagged[m.ID] = true
		}
		err = errors.Join(err, failed)
	}
	s.flagged.Store(tenant, flagged)
	return err
}

// errFlagged says that an earlier sweep, or another server's, flagged a matter.
var errFlagged = errors.New("flagged already")

// flag writes the entry of an overdue matter, unless there is one. Of two servers that do it at once, one is overtaken
// on the matter's version and sees the other's entry.
func (s *Service) flag(ctx context.Context, o Origin, m Matter) error {
	err := s.administer(ctx, o, func(tx Tx) ([]step, error) {
		now, err := matterOf(tx, m.ID)
		if err != nil {
			return nil, err
		}
		if now.Status != MatterOpen {
			return nil, errFlagged
		}
		err = tx.Entries(EntryQuery{Correlation: m.ID, Limit: 1}, func(Entry) error { return errFlagged })
		return []step{{matter: &MatterChange{Update: &now}, reason: reasonOverdue, outcome: Warning, connection: o.Connection,
			args: map[string]string{"matter": m.ID, "kind": string(m.Kind), "resource": m.Resource, "opened": m.Opened.Format(time.RFC3339)}}}, err
	})
	if errors.Is(err, errFlagged) {
		return nil
	}
	return err
}
