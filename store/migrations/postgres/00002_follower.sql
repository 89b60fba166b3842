-- +goose Up

-- Entries that have no position yet: written by the statement that writes the entry, taken out by the
-- follower. No index: it is all but empty, and each write would pay for one.
create table pending (
    seq   bigint generated always as identity,
    entry text   collate "C" not null
) with (autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);

-- The last position of each tenant and the entry that has it.
create table position_head (
    tenant   text   collate "C" primary key,
    position bigint not null,
    entry    text   collate "C" not null
) with (fillfactor = 70);

-- What is there already. Ids are in the order of time but for a unit of work that ran again, so the
-- entries of a resource's versions are put where the latest id so far is.
insert into position (tenant, position, entry)
select tenant, row_number() over (partition by tenant order by late, version, id), id
from (select tenant, id, version, case when version = 0 then id else
        max(id) over (partition by tenant, resource, version = 0 order by version, id) end as late
    from entry) as e;

insert into position_head (tenant, position, entry)
select distinct on (tenant) tenant, position, entry from position order by tenant, position desc;
