-- +goose Up

create table cycle (
    id         text    not null primary key,
    tenant     text    not null,
    connection integer not null,
    began      integer not null,
    last       integer not null,
    reads      integer not null,
    writes     integer not null,
    throttled  integer not null,
    refused    integer not null,
    failed     integer not null
) without rowid;
create index cycle_connection on cycle (connection, id);
create index cycle_listed on cycle (tenant || '/' || id);

create table cycle_entries (
    cycle   text    not null,
    action  text    not null,
    outcome text    not null,
    n       integer not null,
    primary key (cycle, action, outcome)
) without rowid;

create table hearing (
    connection integer not null primary key,
    tenant     text    not null,
    cycle      text    not null,
    last       integer not null,
    succeeded  integer,
    silent     integer
);

create index job_kind on job (tenant || '/' || kind || '/' || id);
