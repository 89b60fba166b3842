-- +goose Up

-- Memberships that ended: whose they were, and when, so that the old ones are found.
create index member_was on member (member) where valid_to is not null;
create index member_ended on member (valid_to) where valid_to is not null;

-- How far back a tenant's journal reaches; no row: to its beginning.
create table horizon (
    tenant   text not null primary key,
    cut      integer not null,
    done     integer,
    position integer not null
) without rowid;
