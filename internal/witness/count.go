package witness

import (
	"context"
	"database/sql"
	"fmt"
)

// counted are, for each connection and type, how many resources the tallies say the client is listed and the host
// application sees, and how many rows there are. A lane is eight times the connection, and one more for groups; what
// both figures differ by is counted in the lane -1 - lane.
const counted = `
select o.connection, o.type,
	(select coalesce(sum(n), 0) from tally_total where lane = o.lane) + (select coalesce(sum(delta), 0) from tally where lane = o.lane),
	(select coalesce(sum(n), 0) from tally_total where lane in (o.lane, -1 - o.lane)) +
		(select coalesce(sum(delta), 0) from tally where lane in (o.lane, -1 - o.lane)),
	(select count(*) from resource r where r.connection = o.connection and r.type = o.type and r.visible),
	(select count(*) from resource r where r.connection = o.connection and r.type = o.type and r.state in ('active', 'held'))
from (select c.id as connection, t.type, c.id * 8 + t.n as lane
	from connection c cross join (select 'User' as type, 0 as n union all select 'Group', 1) as t where c.tenant = $1) as o`

// Miscounts compares what is kept as a number with the rows that it counts, for each connection of a tenant.
func (d *Database) Miscounts(ctx context.Context, tenant string) (problems []string, err error) {
	err = d.each(ctx, counted, []any{tenant}, func(rows *sql.Rows) error {
		var connection int64
		var kind string
		var listed, present, visible, there int
		err := rows.Scan(&connection, &kind, &listed, &present, &visible, &there)
		if listed != visible {
			problems = append(problems, fmt.Sprintf("connection %d: a list has %d of type %s, and %d are visible", connection, listed, kind, visible))
		}
		if present != there {
			problems = append(problems, fmt.Sprintf("connection %d: %d of type %s count as present, and %d are so", connection, present, kind, there))
		}
		return err
	})
	return problems, err
}
