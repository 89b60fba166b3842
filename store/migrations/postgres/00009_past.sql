-- +goose Up

-- Memberships that ended: whose they were, and when, so that the old ones are found.
create index member_was on member (member) where valid_to is not null;
create index member_ended on member (valid_to) where valid_to is not null;

-- How far back a tenant's journal reaches; no row: to its beginning.
create table horizon (
    tenant   text   collate "C" not null primary key,
    cut      timestamptz not null,
    done     timestamptz,
    position bigint not null
) with (fillfactor = 70);
