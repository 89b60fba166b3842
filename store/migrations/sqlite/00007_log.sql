-- +goose Up

drop index entry_resource;
create index entry_resource on entry (tenant || '/' || resource, at, id);
drop index entry_correlation;
create index entry_correlation on entry (correlation, at, id);
create index entry_name on entry (tenant || '/' || substr(coalesce(resource_folded, resource_name), 1, 100), at, id);

create table mention (
    member text not null,
    entry  text not null,
    primary key (member, entry)
) without rowid;

create table activity (
    tenant     text    not null,
    hour       integer not null,
    connection integer not null,
    action     text    not null,
    outcome    text    not null,
    reason     text    not null,
    method     text    not null,
    status     integer not null,
    n          integer not null,
    micros     integer not null,
    slowest    integer not null,
    primary key (tenant, hour, connection, action, outcome, reason, method, status)
) without rowid;

-- A table anew: SQLite adds no column that must be given.
alter table position_head rename to position_head_before;
create table position_head (
    tenant   text    not null primary key,
    position integer not null,
    entry    text    not null,
    counted  integer not null
) without rowid;
insert into position_head (tenant, position, entry, counted) select tenant, position, entry, position from position_head_before;
drop table position_head_before;

insert into activity (tenant, hour, connection, action, outcome, reason, method, status, n, micros, slowest)
select tenant, at - at % 3600000000, connection, action, outcome, coalesce(reason ->> 'code', ''),
    coalesce(request ->> 'method', ''), coalesce(request ->> 'status', 0), count(*), coalesce(sum(duration), 0), coalesce(max(duration), 0)
from entry where rowid <= (select coalesce(max(e.rowid), 0) from position_head h join entry e on e.id = h.entry) group by 1, 2, 3, 4, 5, 6, 7, 8;

insert into mention (member, entry)
select distinct case when x.type = 'object' then x.value ->> 'value' else x.value end, e.id
from entry e, json_each(json_array(e.members -> 'assertedAdd', e.members -> 'assertedRemove', e.members -> 'effectiveAdd', e.members -> 'effectiveRemove')) as l,
    json_each(l.value) as x
where e.members is not null and l.type = 'array'
    and e.rowid <= (select coalesce(max(e.rowid), 0) from position_head h join entry e on e.id = h.entry);
