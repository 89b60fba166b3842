-- +goose Up

-- Cycles of connections' clients, inferred from their traffic.
create table cycle (
    id         text        collate "C" primary key,
    tenant     text        collate "C" not null,
    connection bigint      not null,
    began      timestamptz not null,
    last       timestamptz not null,
    reads      bigint      not null,
    writes     bigint      not null,
    throttled  bigint      not null,
    refused    bigint      not null,
    failed     bigint      not null
) with (fillfactor = 70);
create index cycle_connection on cycle (connection, id);
-- An expression, so that no look-up by connection can take it.
create index cycle_listed on cycle ((tenant || '/' || id));

-- Entries of a cycle by action and outcome.
create table cycle_entries (
    cycle   text   collate "C" not null,
    action  text   not null,
    outcome text   not null,
    n       bigint not null,
    primary key (cycle, action, outcome)
) with (fillfactor = 70);

-- The cycle that a connection's next request belongs to, if it comes soon enough. Its row settles between replicas.
create table hearing (
    connection bigint      primary key,
    tenant     text        collate "C" not null,
    cycle      text        collate "C" not null,
    last       timestamptz not null,
    succeeded  timestamptz,                             -- when the last request came that went well; null: never
    silent     timestamptz                              -- since when its silence is known; null: it is heard of
) with (fillfactor = 70);

create index job_kind on job ((tenant || '/' || kind || '/' || id));
