package provisioning

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
)

// cycleGap is how long a connection's client is silent between two cycles at least: within one, requests follow each other.
// Entra begins a cycle every 20 to 40 minutes, and has most of that time to spare.
const cycleGap = 5 * time.Minute

// trafficEvery is how often what was heard is written. A crash loses as much of the counts.
const trafficEvery = 5 * time.Second

// Traffic is what was heard of a connection's client in some seconds.
type Traffic struct {
	Connection  int64
	First, Last time.Time // when the first and the last request came
	Succeeded   time.Time // when the last one came that was answered 2xx or 3xx; zero for none
	Requests    CycleRequests
	Entries     map[Activity]int // by Action and Outcome alone
}

// CycleRequests are numbers of requests.
type CycleRequests struct {
	Reads, Writes int // all of them
	Throttled     int // 429
	Refused       int // other 4xx but 404, which a look-up is answered
	Failed        int // 5xx
}

// All is how many there were.
func (c CycleRequests) All() int { return c.Reads + c.Writes }

func (c CycleRequests) plus(o CycleRequests) CycleRequests {
	return CycleRequests{c.Reads + o.Reads, c.Writes + o.Writes, c.Throttled + o.Throttled, c.Refused + o.Refused, c.Failed + o.Failed}
}

func (c *CycleRequests) count(write bool, status int) {
	if write {
		c.Writes++
	} else {
		c.Reads++
	}
	switch {
	case status == 429:
		c.Throttled++
	case status >= 500:
		c.Failed++
	case status >= 400 && status != 404:
		c.Refused++
	}
}

// traffic collects what is heard until it is written.
type traffic struct {
	mu  sync.Mutex
	all map[int64]*tenantTraffic
}

type tenantTraffic struct {
	tenant string
	Traffic
}

func (t *traffic) of(tenant string, connection int64) *tenantTraffic {
	heard := t.all[connection]
	if heard == nil {
		heard = &tenantTraffic{tenant: tenant, Traffic: Traffic{Connection: connection}}
		if t.all == nil {
			t.all = map[int64]*tenantTraffic{}
		}
		t.all[connection] = heard
	}
	return heard
}

// Heard notes a request of a connection's client, for cycles and health. It writes nothing and never waits for the database.
func (s *Service) Heard(tenant string, connection int64, at time.Time, write bool, status int) {
	at = at.UTC().Truncate(time.Microsecond)
	s.traffic.mu.Lock()
	defer s.traffic.mu.Unlock()
	heard := s.traffic.of(tenant, connection)
	if heard.First.IsZero() || at.Before(heard.First) {
		heard.First = at
	}
	if at.After(heard.Last) {
		heard.Last = at
	}
	if status < 400 && at.After(heard.Succeeded) {
		heard.Succeeded = at
	}
	heard.Requests.count(write, status)
}

// journalled notes the entries of clients' requests.
func (t *traffic) journalled(tenant string, entries []Entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range entries {
		e := &entries[i]
		if e.Request == nil || e.Connection == 0 || e.Request.Dialect == "" {
			continue
		}
		heard := t.of(tenant, e.Connection)
		if heard.Entries == nil {
			heard.Entries = map[Activity]int{}
		}
		heard.Entries[Activity{Action: e.Action, Outcome: e.Outcome}]++
	}
}

// take takes out what was heard.
func (t *traffic) take() map[int64]*tenantTraffic {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.all
	t.all = nil
	return all
}

// giveBack puts back what could not be written.
func (t *traffic) giveBack(of *tenantTraffic) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.of(of.tenant, of.Connection)
	if now.First.IsZero() || !of.First.IsZero() && of.First.Before(now.First) {
		now.First = of.First
	}
	if of.Last.After(now.Last) {
		now.Last = of.Last
	}
	if of.Succeeded.After(now.Succeeded) {
		now.Succeeded = of.Succeeded
	}
	now.Requests = now.Requests.plus(of.Requests)
	for kind, n := range of.Entries {
		if now.Entries == nil {
			now.Entries = map[Activity]int{}
		}
		now.Entries[kind] += n
	}
}

// FlushTraffic writes what was heard since the last time. What cannot be written now is written with what comes next.
func (s *Service) FlushTraffic(ctx context.Context) error {
	all := s.traffic.take()
	byTenant := map[string][]*tenantTraffic{}
	for _, id := range slices.Sorted(maps.Keys(all)) {
		heard := all[id]
		if heard.First.IsZero() { // entries whose request is still under way
			s.traffic.giveBack(heard)
			continue
		}
		byTenant[heard.tenant] = append(byTenant[heard.tenant], heard)
	}
	var errs []error
	for tenant, list := range byTenant {
		var b Batch
		for _, heard := range list {
			b.Admin = append(b.Admin, AdminChange{Heard: &HeardTraffic{Traffic: heard.Traffic, Cycle: s.newID(), Gap: cycleGap}})
		}
		if err := s.store.Update(ctx, tenant, func(tx Tx) error { return tx.Commit(b) }); err != nil {
			for _, heard := range list {
				s.traffic.giveBack(heard)
			}
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// HeardTraffic is traffic to be added to a connection's cycle: to the one under way, if it began within Gap of that one's last
// request, or else to a new one with the id Cycle.
type HeardTraffic struct {
	Traffic
	Cycle string
	Gap   time.Duration
}

// RunTraffic writes what is heard until ctx ends, and then what is left. report hears of what failed.
func (s *Service) RunTraffic(ctx context.Context, report func(error)) {
	tick := time.NewTicker(trafficEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), refusalTimeout)
			defer cancel()
			if err := s.FlushTraffic(last); err != nil {
				report(err)
			}
			return
		case <-tick.C:
			if err := s.FlushTraffic(ctx); err != nil && ctx.Err() == nil {
				report(err)
			}
		}
	}
}
