package store

import (
	"database/sql"
	"encoding/json"
	"strings"

	"meibo/provisioning"
	"meibo/scim"
)

// Departure implements provisioning.Reader.
func (x *session) Departure(q provisioning.BudgetQuery) (provisioning.DepartureFacts, error) {
	facts := provisioning.DepartureFacts{Budget: provisioning.Budget{Connection: q.Connection, Kind: q.Kind}}
	if !storable(q.Resource + q.Key) {
		return facts, nil
	}
	s := statement{dialect: x.dialect}
	s.departure(x.tenant, q)
	err := x.query(s.String(), s.args, func(rows *sql.Rows) error {
		var r matterRow
		var version sql.Null[int64]
		var spent, allowances document
		if err := rows.Scan(r.dest(&facts.Present, &version, &spent, &allowances)...); err != nil {
			return err
		}
		facts.Budget.Version = version.V
		facts.Budget.Spent, facts.Budget.Allowances = nil, nil
		m, err := r.matter()
		if m.ID != "" {
			facts.Matters = append(facts.Matters, m)
		}
		return firstError(err, decode(spent, &facts.Budget.Spent), decode(allowances, &facts.Budget.Allowances))
	})
	facts.Matters = provisioning.LatestMatters(facts.Matters)
	return facts, err
}

// Departure implements provisioning.Reader for a unit of work: with locks, whoever claims the same budget waits.
func (x tx) Departure(q provisioning.BudgetQuery) (provisioning.DepartureFacts, error) {
	if x.locking && q.Kind != "" {
		err := x.query("select version from budget where connection = $1 and kind = $2 and tenant = $3 for update",
			[]any{q.Connection, string(q.Kind), x.tenant}, func(*sql.Rows) error { return nil })
		if err != nil {
			return provisioning.DepartureFacts{}, err
		}
	}
	return x.session.Departure(q)
}

// departure reads all that a departure is weighed by: one row for each matter, or one without.
func (s *statement) departure(tenant string, q provisioning.BudgetQuery) {
	connection, owner := s.typed(q.Connection, "bigint"), s.typed(tenant, "text")
	about := "m.resource = nullif(" + s.typed(q.Resource, "text") + ", '') and m.status in ('open', 'allowed', 'rejected')"
	matters := "select * from matter as m where " + about
	if q.Key != "" {
		matters += " union all select * from matter as m where m.key = " + s.typed(q.Key, "text") +
			" and m.status in ('open', 'allowed', 'rejected', 'ignored', 'created')"
	}
	s.add("select p.present, budget.version, budget.spent, budget.allowances, ", strings.ReplaceAll(matterColumns, "m.", "found."), " from (select ", s.present(q, connection, owner), " as present) as p",
		" left join budget on budget.connection = ", connection, " and budget.kind = ", s.typed(string(q.Kind), "text"), " and budget.tenant = ", owner,
		" left join (", matters, ") as found on found.connection = ", connection, " and found.tenant = ", owner)
}

// present is how much there is of what a budget counts.
func (s *statement) present(q provisioning.BudgetQuery, connection, tenant string) string {
	if q.Kind == "" {
		return "0"
	}
	scope := provisioning.Scope{Connection: q.Connection, Type: scim.User}
	if q.Kind == provisioning.BudgetGroups {
		scope.Type = scim.Group
	}
	lane := laneOf(scope)
	lanes := "(" + s.typed(lane, "bigint") + ", " + s.typed(offsetLane(lane), "bigint") + ")"
	return "case when exists (select 1 from connection where id = " + connection + " and tenant = " + tenant + ") then cast(" +
		"coalesce((select sum(n) from tally_total where lane in " + lanes + "), 0) + " +
		"coalesce((select sum(delta) from tally where lane in " + lanes + "), 0) as bigint) else 0 end"
}

// budgetStep writes a budget as it is after a claim, if it still was what the claim was made on.
func (x *session) budgetStep(b *provisioning.Budget) (step, error) {
	s := step{name: "budget", missed: errOvertaken, statement: statement{dialect: x.dialect}}
	spent, err := json.Marshal(b.Spent)
	if err != nil {
		return s, err
	}
	allowances, err := json.Marshal(b.Allowances)
	if err != nil {
		return s, err
	}
	if b.Version == 1 {
		// From the connection's row, so that a connection of another tenant has none.
		s.add("insert into budget (connection, kind, tenant, version, spent, allowances) select c.id, ", s.typed(string(b.Kind), "text"), ", c.tenant, 1, ", s.json(spent), ", ", s.json(allowances), " from connection c where c.id = ", s.arg(b.Connection),
			" and c.tenant = ", s.arg(x.tenant), " on conflict do nothing")
		return s, nil
	}
	s.add("update budget set version = version + 1, spent = ", s.json(spent), ", allowances = ", s.json(allowances), " where connection = ", s.arg(b.Connection),
		" and kind = ", s.arg(string(b.Kind)), " and tenant = ", s.arg(x.tenant), " and version = ", s.arg(b.Version-1))
	return s, nil
}
