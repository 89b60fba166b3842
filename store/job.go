package store

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
	"time"

	"meibo/provisioning"
)

const jobColumns = `id, kind, connection, actor, params, cursor, done, total, state, error, result, created, changed, lease_until, fence`

// jobKindID is what the index job_kind has.
const jobKindID = "(tenant || '/' || kind || '/' || id)"

// jobRow scans jobColumns.
type jobRow struct {
	provisioning.Job
	params, result               document
	created, changed, leaseUntil instant
}

func (r *jobRow) dest(before ...any) []any {
	return append(before, &r.ID, &r.Kind, &r.Connection, &r.Actor, &r.params, &r.Cursor, &r.Done, &r.Total, &r.State, &r.Error, &r.result,
		&r.created, &r.changed, &r.leaseUntil, &r.Fence)
}

func (r *jobRow) job() provisioning.Job {
	r.Params, r.Result = r.params, r.result
	r.Created, r.Changed, r.LeaseUntil = r.created.Time, r.changed.Time, r.leaseUntil.Time
	return r.Job
}

// Job implements provisioning.Reader.
func (x *session) Job(id string) (provisioning.Job, error) {
	var r jobRow
	found, err := false, error(nil)
	if storable(id) {
		found, err = x.row("select "+jobColumns+" from job where id = $1 and tenant = $2", []any{id, x.tenant}, r.dest()...)
	}
	if err == nil && !found {
		err = notFound("the job")
	}
	return r.job(), err
}

// Jobs implements provisioning.Reader.
func (x *session) Jobs(kind provisioning.JobKind, before string, limit int) (all []provisioning.Job, err error) {
	if !storable(before) {
		return nil, nil
	}
	s := statement{dialect: x.dialect}
	order, scope := tenantID(""), x.tenant
	if kind != "" {
		order, scope = jobKindID, x.tenant+"/"+string(kind)
	}
	s.add("select ", jobColumns, " from job where ", s.within(order, scope, "", before))
	c := conditions{statement: &s}
	c.walk(order+" desc", limit)
	err = x.query(s.String(), s.args, func(rows *sql.Rows) error {
		var r jobRow
		err := rows.Scan(r.dest()...)
		all = append(all, r.job())
		return err
	})
	return all, err
}

// jobStep is the plan of one change of a job.
func (x *session) jobStep(c provisioning.JobChange) step {
	s := step{name: "job", statement: statement{dialect: x.dialect}}
	switch j := c.Progress; {
	case c.Create != nil:
		s.createJob(x.tenant, c.Create)
	case c.Erase != nil:
		s.add("update job set result = ", s.json(c.Erase.Result), " where id = ", s.arg(c.Erase.ID), " and tenant = ", s.arg(x.tenant))
	case j != nil:
		s.missed = errFence
		s.add("update job set cursor = ", s.arg(j.Cursor), ", done = ", s.arg(j.Done), ", total = ", s.arg(j.Total), ", state = ", s.arg(string(j.State)),
			", error = ", s.arg(j.Error), ", result = ", s.json(j.Result), ", changed = ", s.typed(x.time(j.Changed), "timestamptz"),
			", lease_until = ", s.typed(x.time(j.LeaseUntil), "timestamptz"),
			" where id = ", s.arg(j.ID), " and tenant = ", s.arg(x.tenant), " and fence = ", s.arg(j.Fence))
	}
	return s
}

// errFence tells the holder of a lease that the job has been given to somebody else.
var errFence = &provisioning.Error{Kind: provisioning.Conflict, Attribute: "fence",
	Detail: "the job's lease ran out and another worker has taken it over; leave it to that one"}

func (s *statement) createJob(tenant string, j *provisioning.Job) {
	s.add("insert into job (id, tenant, kind, connection, actor, params, cursor, done, total, state, error, result, created, changed, lease_until, fence) values (",
		s.arg(j.ID), ", ", s.arg(tenant), ", ", s.arg(string(j.Kind)), ", ", s.arg(j.Connection), ", ", s.arg(j.Actor), ", ", s.json(j.Params), ", ",
		s.arg(j.Cursor), ", ", s.arg(j.Done), ", ", s.arg(j.Total), ", ", s.arg(string(j.State)), ", ", s.arg(j.Error), ", ", s.json(j.Result), ", ",
		s.typed(s.time(j.Created), "timestamptz"), ", ", s.typed(s.time(j.Changed), "timestamptz"), ", ", s.typed(s.time(j.LeaseUntil), "timestamptz"), ", ",
		s.arg(j.Fence), ")")
}

// jobDue is what the index job_due holds: the id of a job that is not done.
const jobDue = `case when state in ('queued', 'running') then id end`

// nextJob selects the oldest job of some kinds that is queued, or whose lease is over at $1, and returns args with the
// kinds behind them. A lease is over as well where none was noted. PostgreSQL does not get to see the kinds: see walk.
func nextJob(kinds []provisioning.JobKind, args ...any) (string, []any) {
	places := make([]string, len(kinds))
	for i, k := range kinds {
		args = append(args, string(k))
		places[i] = "$" + strconv.Itoa(len(args))
	}
	return `select id from job where (` + jobDue + `) > '' and (state = 'queued' or lease_until is null or lease_until <= $1) and case when kind in (` +
		strings.Join(places, ", ") + `) then true else false end order by (` + jobDue + `) limit 1`, args
}

// ClaimJob implements provisioning.Store. On PostgreSQL it passes by a job that another claimer has its hands on.
func (s *Store) ClaimJob(ctx context.Context, kinds []provisioning.JobKind, now, until time.Time) (tenant string, j provisioning.Job, err error) {
	if s.dialect.postgres {
		return s.session(ctx, "", s.reads).claimJob(kinds, now, until)
	}
	x := s.session(ctx, "", s.reads)
	var id string
	text, args := nextJob(kinds, x.time(now))
	if found, err := x.row(text, args, &id); err != nil || !found { // and spare the writer
		return "", j, firstError(err, errNoJob)
	}
	err = s.writer.do(ctx, func(l *lent) error {
		x := s.session(ctx, "", l.db)
		x.transaction = true
		tenant, j, err = x.claimJob(kinds, now, until)
		return err
	})
	return tenant, j, err
}

var errNoJob = notFound("a job that waits")

func (x *session) claimJob(kinds []provisioning.JobKind, now, until time.Time) (tenant string, j provisioning.Job, err error) {
	if hook := x.store.options.BeforeWrite; hook != nil {
		if err := hook("job"); err != nil {
			return "", j, err
		}
	}
	passing := ""
	if x.postgres {
		passing = " for update skip locked"
	}
	var r jobRow
	next, args := nextJob(kinds, x.time(now), x.time(until))
	found, err := x.row("update job set state = 'running', changed = "+x.cast("$1", "timestamptz")+", lease_until = "+x.cast("$2", "timestamptz")+
		", fence = fence + 1 where id = ("+next+passing+") returning tenant, "+jobColumns, args, r.dest(&tenant)...)
	if err == nil && !found {
		err = errNoJob
	}
	return tenant, r.job(), err
}
