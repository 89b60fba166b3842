package store

import (
	"cmp"
	"database/sql"
	"maps"
	"slices"

	"meibo/provisioning"
)

const cycleColumns = `c.id, c.connection, c.began, c.last, c.reads, c.writes, c.throttled, c.refused, c.failed`

// Cycles implements provisioning.Reader.
func (x *session) Cycles(q provisioning.CycleQuery) (all []provisioning.Cycle, err error) {
	if !storable(q.ID + q.Before) {
		return nil, nil
	}
	s := statement{dialect: x.dialect}
	s.cycleQuery(x.tenant, q)
	err = x.query(s.String(), s.args, func(rows *sql.Rows) error {
		c := provisioning.Cycle{Kind: provisioning.CycleKind}
		var began, last instant
		err := rows.Scan(&c.ID, &c.Connection, &began, &last, &c.Requests.Reads, &c.Requests.Writes, &c.Requests.Throttled, &c.Requests.Refused, &c.Requests.Failed)
		c.Began, c.Last = began.Time, last.Time
		all = append(all, c)
		return err
	})
	return all, err
}

// CycleEntries implements provisioning.Reader.
func (x *session) CycleEntries(cycles []string) (map[string][]provisioning.CycleEntries, error) {
	s := statement{dialect: x.dialect}
	table := s.elements(s.arg(s.list(cycles)), "i")
	if x.postgres {
		s.add("select i.id, c.action, c.outcome, c.n from ", table, " cross join lateral (select * from cycle_entries where cycle = i.id limit 100) as c")
	} else {
		s.add("select i.id, c.action, c.outcome, c.n from ", table, " cross join cycle_entries c on c.cycle = i.id")
	}
	return x.cycleCounts(s)
}

func (s *statement) cycleQuery(tenant string, q provisioning.CycleQuery) {
	s.add("select ", cycleColumns, " from cycle c where ")
	c := conditions{statement: s}
	order := "c.id"
	switch {
	case q.ID != "":
		s.add("c.id = ", s.arg(q.ID))
		c.compare("c.tenant", "=", tenant)
	case q.Connection != 0:
		s.add("c.connection = ", s.arg(q.Connection))
		if q.Before != "" {
			s.add(" and c.id < ", s.arg(q.Before))
		}
		c.compare("c.tenant", "=", tenant)
	default:
		order = tenantID("c")
		s.add(s.within(order, tenant, "", q.Before))
	}
	c.walk(order+" desc", q.Limit)
}

// Runs implements provisioning.Reader.
func (x *session) Runs(kind provisioning.JobKind, q provisioning.CycleQuery) (all []provisioning.Cycle, err error) {
	if !storable(q.ID + q.Before) {
		return nil, nil
	}
	s := statement{dialect: x.dialect}
	s.runQuery(x.tenant, kind, q)
	err = x.query(s.String(), s.args, func(rows *sql.Rows) error {
		c := provisioning.Cycle{Kind: string(kind)}
		var began, last instant
		err := rows.Scan(&c.ID, &c.Connection, &began, &last, &c.Ended)
		c.Began, c.Last = began.Time, last.Time
		all = append(all, c)
		return err
	})
	return all, err
}

func (s *statement) runQuery(tenant string, kind provisioning.JobKind, q provisioning.CycleQuery) {
	s.add("select id, connection, created, changed, state in ('", string(provisioning.JobDone), "', '", string(provisioning.JobFailed), "') from job where ")
	c := conditions{statement: s}
	if q.ID != "" {
		s.add("id = ", s.arg(q.ID))
		c.compare("tenant", "=", tenant)
		c.compare("kind", "=", string(kind))
		c.walk("id", 1)
		return
	}
	s.add(s.within(jobKindID, tenant+"/"+string(kind), "", q.Before))
	if q.Connection != 0 {
		c.and("connection = " + s.arg(q.Connection))
	}
	c.walk(jobKindID+" desc", q.Limit)
}

// RunEntries implements provisioning.Reader.
func (x *session) RunEntries(runs []string) (map[string][]provisioning.CycleEntries, error) {
	s := statement{dialect: x.dialect}
	table := s.elements(s.arg(s.list(runs)), "i")
	if x.postgres {
		s.add("select i.id, c.action, c.outcome, c.n from ", table, " cross join lateral (select e.action, e.outcome, count(*) as n from entry as e where e.correlation = i.id and ",
			s.own("e", x.tenant), " group by e.action, e.outcome) as c")
	} else { // in SQLite a cross join keeps its order
		s.add("select i.id, e.action, e.outcome, count(*) from ", table, " cross join entry as e on e.correlation = i.id and ", s.own("e", x.tenant), " group by i.id, e.action, e.outcome")
	}
	return x.cycleCounts(s)
}

// cycleCounts reads counts of entries by the ids of cycles.
func (x *session) cycleCounts(s statement) (map[string][]provisioning.CycleEntries, error) {
	all := map[string][]provisioning.CycleEntries{}
	err := x.query(s.String(), s.args, func(rows *sql.Rows) error {
		var id string
		var e provisioning.CycleEntries
		err := rows.Scan(&id, &e.Action, &e.Outcome, &e.Entries)
		all[id] = append(all[id], e)
		return err
	})
	for id := range all {
		slices.SortFunc(all[id], func(a, b provisioning.CycleEntries) int {
			return cmp.Or(cmp.Compare(a.Action, b.Action), cmp.Compare(a.Outcome, b.Outcome))
		})
	}
	return all, err
}

// Hearings implements provisioning.Reader.
func (x *session) Hearings() (all []provisioning.Hearing, err error) {
	err = x.query("select h.connection, h.cycle, h.last, h.succeeded, h.silent from connection k join hearing h on h.connection = k.id where k.tenant = $1",
		[]any{x.tenant}, func(rows *sql.Rows) error {
			var h provisioning.Hearing
			var last, succeeded, silent instant
			err := rows.Scan(&h.Connection, &h.Cycle, &last, &succeeded, &silent)
			h.Last, h.Succeeded, h.Silent = last.Time, succeeded.Time, silent.Time
			all = append(all, h)
			return err
		})
	return all, err
}

// heard adds traffic to the cycle under way, or begins one. The row of hearing is locked meanwhile, so that two servers do
// not begin two.
func (x *session) heard(h *provisioning.HeardTraffic) error {
	greatest := "max"
	if x.postgres {
		greatest = "greatest"
	}
	s := statement{dialect: x.dialect}
	at := func(t any) string { return s.typed(t, "timestamptz") }
	last, succeeded := at(x.time(h.Last)), at(x.time(h.Succeeded))
	s.add("insert into hearing (connection, tenant, cycle, last, succeeded) select c.id, c.tenant, ", s.typed(h.Cycle, "text"), ", ", last, ", ", succeeded,
		" from connection c where c.id = ", s.arg(h.Connection), " and c.tenant = ", s.arg(x.tenant),
		" on conflict (connection) do update set cycle = case when hearing.last >= ", at(x.time(h.First.Add(-h.Gap))), " then hearing.cycle else excluded.cycle end",
		", last = ", greatest, "(hearing.last, excluded.last), succeeded = coalesce(", greatest, "(hearing.succeeded, excluded.succeeded), hearing.succeeded, excluded.succeeded)",
		" returning cycle")
	var cycle string
	found, err := x.row(s.String(), s.args, &cycle)
	if err != nil || !found {
		return firstError(err, notFound("the connection"))
	}
	return firstError(x.addToCycle(cycle, h, greatest), x.addEntries(cycle, h))
}

func (x *session) addToCycle(cycle string, h *provisioning.HeardTraffic, greatest string) error {
	r, least := h.Requests, "min"
	if x.postgres {
		least = "least"
	}
	s := statement{dialect: x.dialect}
	s.add("insert into cycle as c (id, tenant, connection, began, last, reads, writes, throttled, refused, failed) values (", s.arg(cycle), ", ", s.arg(x.tenant), ", ", s.arg(h.Connection),
		", ", s.arg(x.time(h.First)), ", ", s.arg(x.time(h.Last)))
	for _, n := range []int{r.Reads, r.Writes, r.Throttled, r.Refused, r.Failed} {
		s.add(", ", s.arg(n))
	}
	s.add(") on conflict (id) do update set began = ", least, "(c.began, excluded.began), last = ", greatest, "(c.last, excluded.last)")
	for _, column := range []string{"reads", "writes", "throttled", "refused", "failed"} {
		s.add(", ", column, " = c.", column, " + excluded.", column)
	}
	_, err := x.exec("cycle", s.String(), s.args...)
	return err
}

func (x *session) addEntries(cycle string, h *provisioning.HeardTraffic) error {
	for _, kind := range slices.SortedFunc(maps.Keys(h.Entries), func(a, b provisioning.Activity) int {
		return cmp.Or(cmp.Compare(a.Action, b.Action), cmp.Compare(a.Outcome, b.Outcome))
	}) {
		_, err := x.exec("cycle_entries", "insert into cycle_entries as c (cycle, action, outcome, n) values ($1, $2, $3, $4) "+
			"on conflict (cycle, action, outcome) do update set n = c.n + excluded.n", cycle, string(kind.Action), string(kind.Outcome), h.Entries[kind])
		if err != nil {
			return err
		}
	}
	return nil
}
