-- +goose Up

-- There is one writer, so the rows of entry are in the order of commits: what follows the row of the
-- last entry that has a position has none. Whoever deletes old entries must leave that one.
create table position_head (
    tenant   text    not null primary key,
    position integer not null,
    entry    text    not null
) without rowid;

insert into position (tenant, position, entry)
select tenant, row_number() over (partition by tenant order by rowid), id from entry;

insert into position_head (tenant, position, entry)
select tenant, max(position), entry from position group by tenant;
