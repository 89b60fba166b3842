-- +goose Up

-- No follower works meanwhile; one of an earlier version finds nothing to do.
select pg_advisory_xact_lock(1835362918);

-- The log's order is (at, id), whatever selects from it. Expressions, so that no other look-up can take them.
drop index entry_resource;
create index entry_resource on entry ((tenant || '/' || resource), at, id);
drop index entry_correlation;
create index entry_correlation on entry (correlation, at, id);
-- Of the name only so much that it fits into a page, however long it is.
create index entry_name on entry ((tenant || '/' || left(coalesce(resource_folded, resource_name), 100)), at, id);

-- What members lists an entry names in one view alone: the other view may have the membership already, or still, so that
-- no row of member begins or ends with the entry.
create table mention (
    member text collate "C" not null,
    entry  text collate "C" not null,
    primary key (member, entry)
);

-- How many entries there are in an hour, of those that have a position. What is purged stays counted.
create table activity (
    tenant     text        collate "C" not null,
    hour       timestamptz not null,
    connection bigint      not null,
    action     text        collate "C" not null,
    outcome    text        collate "C" not null,
    reason     text        collate "C" not null,
    method     text        collate "C" not null,         -- "" where no request made them
    status     bigint      not null,                     -- 0 as well
    n          bigint      not null,
    micros     bigint      not null,                     -- that their requests took together
    slowest    bigint      not null,                     -- that the longest of them took
    primary key (tenant, hour, connection, action, outcome, reason, method, status)
) with (fillfactor = 70);

-- How many entries of a tenant activity counts: as many as have a position. It has no default, so that a follower of an
-- earlier version, which does not count, cannot give positions either.
alter table position_head add column counted bigint not null default 0;
update position_head set counted = position;
alter table position_head alter column counted drop default;

-- The follower counts what waits for it, and this the rest.
insert into activity (tenant, hour, connection, action, outcome, reason, method, status, n, micros, slowest)
select tenant, date_bin('1 hour', at, timestamptz 'epoch'), connection, action, outcome, coalesce(reason ->> 'code', ''),
    coalesce(request ->> 'method', ''), coalesce(cast(request ->> 'status' as bigint), 0), count(*), coalesce(sum(duration), 0), coalesce(max(duration), 0)
from entry e where not exists (select 1 from pending p where p.entry = e.id) group by 1, 2, 3, 4, 5, 6, 7, 8;

insert into mention (member, entry)
select distinct coalesce(x.one ->> 'value', x.one #>> '{}'), e.id
from entry e cross join lateral (
    select json_array_elements(members -> 'assertedAdd') as one union all select json_array_elements(members -> 'assertedRemove')
    union all select json_array_elements(members -> 'effectiveAdd') union all select json_array_elements(members -> 'effectiveRemove')) as x
where e.members is not null and not exists (select 1 from pending p where p.entry = e.id);
