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
	all := map[string][]provisioning.CycleEntries{}
	err := x.query(s.String(), s.args, func(rows *sql.Rows) error {
		var id string
		var e provisioning.CycleEntries
		err := rows.Scan(&id, &e.Action, &e.Outcome, &e.Entries)
		all[id] = append(all[id], e)
		return err
	})
	for id := range all {
		sortCounts(all[id])
	}
	return all, err
}

func sortCounts(all []provisioning.CycleEntries) {
	slices.SortFunc(all, func(a, b provisioning.CycleEntries) int {
		return cmp.Or(cmp.Compare(a.Action, b.Action), cmp.Compare(a.Outcome, b.Outcome))
	})
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

// EntryCounts implements provisioning.Reader.
func (x *session) EntryCounts(correlation string) (all []provisioning.CycleEntries, err error) {
	if !storable(correlation) {
		return nil, nil
	}
	err = x.query("select action, outcome, count(*) from entry where correlation = $1 and tenant || '' = $2 group by action, outcome", []any{correlation, x.tenant},
		func(rows *sql.Rows) error {
			var e provisioning.CycleEntries
			err := rows.Scan(&e.Action, &e.Outcome, &e.Entries)
			all = append(all, e)
			return err
		})
	sortCounts(all)
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
