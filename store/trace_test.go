package store

import (
	"context"
	"database/sql"
	"math"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"meibo/provisioning"
)

// Without a tracer the ways that lead past tracing allocate what the work itself does, and with a
// caller whose span is not recorded as well.
func TestNoTracerCostsNothing(t *testing.T) {
	s := openTest(t, Options{URL: databases[0].url(t)})
	connection := tenantOf(t, s)
	unrecorded := trace.ContextWithSpanContext(context.Background(),
		trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}}))
	const count, touch = "select 1 from tenant where name = $1", "update tenant set name = name where name = $1"
	args := []any{"nobody"}
	none := func(*sql.Rows) error { return nil }
	view := func(r provisioning.Reader) error { _, err := r.Credentials(connection.ID); return err }
	update := func(tx provisioning.Tx) error { _, err := tx.Credentials(connection.ID); return err }
	for _, way := range []struct {
		name   string
		ctx    context.Context
		tracer trace.Tracer
	}{{"no tracer", context.Background(), nil}, {"not recorded", unrecorded, panicking{}}} {
		s.options.Tracer = way.tracer
		ctx := way.ctx
		x := s.session(ctx, "acme", s.writes)
		for what, pair := range map[string][2]func() error{
			"query":  {func() error { return x.query(count, args, none) }, func() error { return x.read(x.bounded(), count, args, none) }},
			"exec":   {func() error { _, err := x.exec("tenant", touch, args...); return err }, func() error { _, err := x.write(touch, args); return err }},
			"view":   {func() error { return s.View(ctx, "acme", view) }, func() error { return s.view(ctx, "acme", view) }},
			"update": {func() error { return s.Update(ctx, "acme", update) }, func() error { return s.update(ctx, "acme", update) }},
		} {
			// In turns, and the least of each: buffers that come and go with the garbage collector count else.
			least := [2]float64{math.Inf(1), math.Inf(1)}
			for range 5 {
				for i, run := range pair {
					least[i] = min(least[i], testing.AllocsPerRun(100, func() { must(t, run()) }))
				}
			}
			if least[0] > least[1] {
				t.Errorf("%s, %s: %v allocations, %v without a thought of tracing", way.name, what, least[0], least[1])
			}
		}
	}
}

// panicking is a tracer that must not be asked.
type panicking struct{ trace.Tracer }

func TestOperation(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"select a, b from resource r\n\twhere id = $1":                                                               "select resource",
		"select id from resource where tenant = $1 order by id for update":                                           "select resource",
		"insert into entry (id) select $1":                                                                           "insert entry",
		"with u as (insert into resource (id) values ($1) returning seq), e as (insert into entry …) select":         "insert resource",
		"with q as (insert into pending (entry) values ($1)) insert into entry (id) select $1":                       "insert entry",
		"update resource set version = $1 where id = $2":                                                             "update resource",
		"delete from resource_value where resource = $1":                                                             "delete resource_value",
		"select x.id from json_each($1) as x left join resource r on r.id = x.id":                                    "select resource",
		"select x.id from unnest($1::text[]) as x(id) left join lateral (select v from member limit 1) as m on true": "select member",
		"insert into tally (lane) values ($1) on conflict (lane) do update set n = 1":                                "insert tally",
	} {
		verb, table := operation(text)
		if got := verb + " " + table; got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}
