-- +goose Up

-- What the host application was asked of a departure that waits, and said.
alter table matter
    add column asks        bigint not null default 0,
    add column asked_at    timestamptz,
    add column ask_failure text   not null default '',
    add column counts      json;
